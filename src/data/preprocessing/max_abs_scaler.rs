//! Features to the range from -1 to 1, with zero kept.

use std::marker::PhantomData;

use super::per_feature::{PerFeature, divisor, per_feature};
use crate::scalar::Scalar;

/// Divides each feature by its largest absolute value: `z = x / max |x|`. Zeros stay zeros.
///
/// The largest value is that of the rows given to [`fit`](Self::fit). As in scikit-learn, a feature of zeros is left
/// unscaled, and NaN stands for a missing value, is ignored by `fit` and kept by `transform`.
///
/// ```
/// use layerwise::data::MaxAbsScaler;
/// use ndarray::array;
/// let z = MaxAbsScaler::new().fit_transform(&array![[1.0, 0.0], [-4.0, 0.0]])?;
/// assert_eq!(z, array![[0.25, 0.0], [-1.0, 0.0]]);
/// # Ok::<(), layerwise::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct MaxAbsScaler<A = f32> {
    fitted: Option<Vec<Vec<f64>>>,
    number: PhantomData<A>,
}

per_feature!(MaxAbsScaler:);

impl MaxAbsScaler<f32> {
    /// One for `f32` arrays.
    pub fn new() -> Self {
        Self::of()
    }
}

impl<A: Scalar> Default for MaxAbsScaler<A> {
    fn default() -> Self {
        Self::of()
    }
}

impl<A: Scalar> MaxAbsScaler<A> {
    /// One for arrays of either number type.
    pub fn of() -> Self {
        Self { fitted: None, number: PhantomData }
    }
}

/// It learns the divisor.
impl<A: Scalar> PerFeature for MaxAbsScaler<A> {
    const KIND: &'static str = "MaxAbsScaler";

    fn learn(&self, sorted: &[f64], _: usize) -> Vec<f64> {
        let largest = sorted[0].abs().max(sorted[sorted.len() - 1].abs());
        vec![divisor::<A>(largest)]
    }

    fn could_learn(&self, learned: &[f64]) -> bool {
        matches!(learned, [scale] if *scale > 0.0)
    }

    fn map(&self, learned: &[f64], value: f64) -> f64 {
        value / learned[0]
    }

    fn invert(&self, learned: &[f64], value: f64) -> f64 {
        value * learned[0]
    }
}
