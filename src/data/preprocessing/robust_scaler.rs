//! Features scaled by what outliers do not move.

use std::marker::PhantomData;

use super::normal;
use super::per_feature::{PerFeature, divisor, per_feature};
use super::quantiles::quantile;
use crate::error::{Error, Result};
use crate::scalar::Scalar;

/// Centres each feature on its median and divides by the distance of two quantiles, by default the quartiles:
/// `z = (x - median) / (q75 - q25)`.
///
/// They are those of the rows given to [`fit`](Self::fit). As in scikit-learn, a feature whose quantiles agree is
/// centred and left unscaled, and NaN stands for a missing value, is ignored by `fit` and kept by `transform`.
///
/// ```
/// use layerwise::data::RobustScaler;
/// use ndarray::array;
/// let x = array![[1.0], [2.0], [3.0], [4.0], [1e6]];
/// let z = RobustScaler::new().fit_transform(&x)?;
/// assert_eq!(z.column(0).to_vec()[..4], [-1.0, -0.5, 0.0, 0.5]);
/// # Ok::<(), layerwise::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct RobustScaler<A = f32> {
    with_centering: bool,
    with_scaling: bool,
    low_percent: f64,
    high_percent: f64,
    unit_variance: bool,
    fitted: Option<Vec<Vec<f64>>>,
    number: PhantomData<A>,
}

per_feature!(RobustScaler: with_centering, with_scaling, low_percent, high_percent, unit_variance);

impl RobustScaler<f32> {
    /// One for `f32` arrays that centres and scales by the quartiles.
    pub fn new() -> Self {
        Self::of()
    }
}

impl<A: Scalar> Default for RobustScaler<A> {
    fn default() -> Self {
        Self::of()
    }
}

impl<A: Scalar> RobustScaler<A> {
    /// One for arrays of either number type that centres and scales by the quartiles.
    pub fn of() -> Self {
        Self {
            with_centering: true,
            with_scaling: true,
            low_percent: 25.0,
            high_percent: 75.0,
            unit_variance: false,
            fitted: None,
            number: PhantomData,
        }
    }

    /// Whether the median is subtracted.
    #[must_use]
    pub fn with_centering(mut self, with_centering: bool) -> Self {
        self.with_centering = with_centering;
        self
    }

    /// Whether the result is divided by the distance of the quantiles.
    #[must_use]
    pub fn with_scaling(mut self, with_scaling: bool) -> Self {
        self.with_scaling = with_scaling;
        self
    }

    /// Which quantiles, in percent. Undoes an earlier `fit`.
    #[must_use]
    pub fn quantile_range(mut self, low: f64, high: f64) -> Self {
        (self.low_percent, self.high_percent) = (low, high);
        self.fitted = None;
        self
    }

    /// Whether the distance is divided by that of the normal distribution, so that normal features get variance 1.
    /// Undoes an earlier `fit`.
    #[must_use]
    pub fn unit_variance(mut self, unit_variance: bool) -> Self {
        self.unit_variance = unit_variance;
        self.fitted = None;
        self
    }
}

/// It learns the median and the divisor.
impl<A: Scalar> PerFeature for RobustScaler<A> {
    const KIND: &'static str = "RobustScaler";

    fn check_settings(&self) -> Result<()> {
        let (low, high) = (self.low_percent, self.high_percent);
        // The normal distribution has no finite quantile at the ends.
        let open = !self.unit_variance || low > 0.0 && high < 100.0;
        if 0.0 <= low && low < high && high <= 100.0 && open {
            return Ok(());
        }
        let ends = if open { "from 0 to 100" } else { "between 0 and 100" };
        let requirement = format!("two percentages {ends}, the smaller one first");
        Err(Error::setting("quantile_range", requirement, format!("({low}, {high})")))
    }

    fn learn(&self, sorted: &[f64], _: usize) -> Vec<f64> {
        let (low, high) = (self.low_percent / 100.0, self.high_percent / 100.0);
        let mut scale = divisor::<A>(quantile(sorted, high) - quantile(sorted, low));
        if self.unit_variance {
            scale /= normal::quantile(high) - normal::quantile(low);
        }
        vec![quantile(sorted, 0.5), scale]
    }

    fn could_learn(&self, learned: &[f64]) -> bool {
        matches!(learned, [_, scale] if *scale > 0.0)
    }

    fn map(&self, learned: &[f64], value: f64) -> f64 {
        let centred = if self.with_centering { value - learned[0] } else { value };
        if self.with_scaling { centred / learned[1] } else { centred }
    }

    fn invert(&self, learned: &[f64], value: f64) -> f64 {
        let spread = if self.with_scaling { value * learned[1] } else { value };
        if self.with_centering { spread + learned[0] } else { spread }
    }
}
