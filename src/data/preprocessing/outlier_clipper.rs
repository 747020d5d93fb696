//! Values far from the others.

use std::marker::PhantomData;

use ndarray::{ArrayBase, Data, Ix2};

use super::per_feature::{Member, PerFeature, per_feature};
use super::quantiles::quantile;
use super::stored::named;
use crate::data::features::{check_as_fitted, not_fitted};
use crate::data::standard_scaler::moments;
use crate::error::{Error, Result};
use crate::scalar::Scalar;

/// Which values are outliers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutlierRule {
    /// Those further from the mean than `factor` standard deviations (of the population).
    ZScore,
    /// Those further outside the quartiles than `factor` times their distance (Tukey 1977).
    InterquartileRange,
}

named!(OutlierRule { ZScore: "z_score", InterquartileRange: "interquartile_range" });

/// Moves outliers to the limit of what is none, or tells which rows have none.
///
/// The limits of each feature are learned from the rows given to [`fit`](Self::fit). What lies on a limit is no
/// outlier, and neither is NaN, which stays.
///
/// ```
/// use layerwise::data::{OutlierClipper, take};
/// use ndarray::array;
/// let x = array![[1.0], [2.0], [3.0], [4.0], [100.0]];
/// let mut clipper = OutlierClipper::interquartile_range(1.5);
/// assert_eq!(clipper.fit_transform(&x)?, array![[1.0], [2.0], [3.0], [4.0], [7.0]]);
/// let rows = clipper.rows_within(&x)?;
/// assert_eq!(take(&x, &rows)?, array![[1.0], [2.0], [3.0], [4.0]]);
/// # Ok::<(), layerwise::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct OutlierClipper<A = f32> {
    rule: OutlierRule,
    factor: f64,
    fitted: Option<Vec<Vec<f64>>>,
    number: PhantomData<A>,
}

per_feature!(OutlierClipper: rule, factor);

impl OutlierClipper<f32> {
    /// One for `f32` arrays whose limits are the mean minus and plus `factor` standard deviations; 3 is usual.
    pub fn z_score(factor: f64) -> Self {
        Self::of(OutlierRule::ZScore, factor)
    }

    /// One for `f32` arrays whose limits are `factor` interquartile ranges outside the quartiles; 1.5 is usual.
    pub fn interquartile_range(factor: f64) -> Self {
        Self::of(OutlierRule::InterquartileRange, factor)
    }
}

impl<A: Scalar> OutlierClipper<A> {
    /// One for arrays of either number type.
    pub fn of(rule: OutlierRule, factor: f64) -> Self {
        Self { rule, factor, fitted: None, number: PhantomData }
    }

    /// The rows without an outlier in any feature, in order, for [`take`](crate::data::take).
    ///
    /// # Errors
    /// Those of [`transform`](Self::transform).
    pub fn rows_within<S: Data<Elem = A>>(&self, x: &ArrayBase<S, Ix2>) -> Result<Vec<usize>> {
        let limits = self.limits().ok_or_else(|| not_fitted(Self::KIND))?;
        check_as_fitted(Self::KIND, limits.len(), x)?;
        let outlier = |(value, &(low, high)): (&A, &(f64, f64))| value.as_f64() < low || value.as_f64() > high;
        let whole = |row: &usize| !x.row(*row).iter().zip(&limits).any(outlier);
        Ok((0..x.nrows()).filter(whole).collect())
    }

    /// The limits of each feature, after `fit`.
    pub fn limits(&self) -> Option<Vec<(f64, f64)>> {
        self.fitted().map(|fitted| fitted.iter().map(|limits| (limits[0], limits[1])).collect())
    }
}

/// It learns both limits.
impl<A: Scalar> PerFeature for OutlierClipper<A> {
    const KIND: &'static str = "OutlierClipper";

    fn check_settings(&self) -> Result<()> {
        match self.factor.is_finite() && self.factor >= 0.0 {
            true => Ok(()),
            false => Err(Error::setting("factor", "a finite number from 0", self.factor)),
        }
    }

    fn learn(&self, sorted: &[f64], _: usize) -> Vec<f64> {
        let (low, high, spread) = match self.rule {
            OutlierRule::ZScore => {
                let (mean, variance) = moments(sorted);
                (mean, mean, variance.sqrt())
            }
            OutlierRule::InterquartileRange => {
                let (low, high) = (quantile(sorted, 0.25), quantile(sorted, 0.75));
                (low, high, high - low)
            }
        };
        vec![low - self.factor * spread, high + self.factor * spread]
    }

    fn could_learn(&self, learned: &[f64]) -> bool {
        matches!(learned, [low, high] if low <= high)
    }

    fn map(&self, learned: &[f64], value: f64) -> f64 {
        value.clamp(learned[0], learned[1])
    }

    /// What was moved cannot be moved back; all else was not changed.
    fn invert(&self, _: &[f64], value: f64) -> f64 {
        value
    }
}
