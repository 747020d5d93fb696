//! Features to zero mean and unit variance.

use std::marker::PhantomData;

use ndarray::{Array2, ArrayBase, Data, Ix2};
use serde_json::{Value, json};

use super::features::{all_missing, check, check_as_fitted, check_weights, map, not_fitted};
use super::preprocessing::{finite, positive, transform};
use crate::error::{Error, Result};
use crate::io::Fields;
use crate::scalar::Scalar;

/// Brings each feature to zero mean and unit variance: `z = (x - mean) / sqrt(variance)`.
///
/// Mean and variance are those of the rows given to [`fit`](Self::fit): give it the training rows alone. As in
/// scikit-learn, the variance is the population's (divided by the number of rows, in two passes in `f64`), a constant
/// feature is centred and left unscaled, and NaN stands for a missing value, is ignored by `fit` and kept by
/// `transform`. Unlike there, a feature without any number is an error.
///
/// Arrays are `(rows, features)`. `new` makes one for `f32`, `of` for either number type.
///
/// ```
/// use layerwise::data::StandardScaler;
/// use ndarray::array;
/// let train = array![[1.0, 10.0], [3.0, 10.0]];
/// let mut scaler = StandardScaler::new();
/// assert_eq!(scaler.fit_transform(&train)?, array![[-1.0, 0.0], [1.0, 0.0]]);
/// assert_eq!(scaler.transform(&array![[5.0, 11.0]])?, array![[3.0, 1.0]]);
/// # Ok::<(), layerwise::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct StandardScaler<A = f32> {
    with_mean: bool,
    with_std: bool,
    fitted: Option<Moments>,
    number: PhantomData<A>,
}

/// Mean, variance and what to divide by, for each feature.
#[derive(Clone, Debug, PartialEq)]
struct Moments {
    mean: Vec<f64>,
    variance: Vec<f64>,
    scale: Vec<f64>,
}

const KIND: &str = "StandardScaler";

transform!(StandardScaler);

impl StandardScaler<f32> {
    /// One for `f32` arrays that centres and scales.
    pub fn new() -> Self {
        Self::of()
    }
}

impl<A: Scalar> Default for StandardScaler<A> {
    fn default() -> Self {
        Self::of()
    }
}

impl<A: Scalar> StandardScaler<A> {
    /// One for arrays of either number type that centres and scales.
    pub fn of() -> Self {
        Self { with_mean: true, with_std: true, fitted: None, number: PhantomData }
    }

    /// Whether the mean is subtracted.
    #[must_use]
    pub fn with_mean(mut self, with_mean: bool) -> Self {
        self.with_mean = with_mean;
        self
    }

    /// Whether the result is divided by the standard deviation.
    #[must_use]
    pub fn with_std(mut self, with_std: bool) -> Self {
        self.with_std = with_std;
        self
    }

    /// Learns mean and variance from `(rows, features)`.
    ///
    /// # Errors
    /// [`Error::Empty`] without rows or features; [`Error::Value`] for an infinite value, a feature of NaN alone, or
    /// one whose variance is too large for `f64`.
    pub fn fit<S: Data<Elem = A>>(&mut self, x: &ArrayBase<S, Ix2>) -> Result<&mut Self> {
        check(KIND, x)?;
        self.fitted = Some(learn(x, |_| 1.0)?);
        Ok(self)
    }

    /// The same with a weight for each row: mean and variance are `sum w x / sum w` and
    /// `sum w (x - mean)^2 / sum w`, as in scikit-learn.
    ///
    /// # Errors
    /// Those of [`fit`](Self::fit), a feature without a number of positive weight among them; [`Error::Length`] for
    /// another number of weights, [`Error::Value`] for one that is below 0 or not finite, [`Error::Setting`] for zeros
    /// alone.
    pub fn fit_weighted<S: Data<Elem = A>>(&mut self, x: &ArrayBase<S, Ix2>, weights: &[A]) -> Result<&mut Self> {
        check(KIND, x)?;
        check_weights(x.nrows(), weights)?;
        self.fitted = Some(learn(x, |row| weights[row].as_f64())?);
        Ok(self)
    }

    /// Scales `(rows, features)`.
    ///
    /// # Errors
    /// [`Error::Setting`] before `fit`, [`Error::Shape`] for another number of features than in `fit`,
    /// [`Error::Empty`] without rows, [`Error::Value`] for an infinite value or a result too large for `A`.
    pub fn transform<S: Data<Elem = A>>(&self, x: &ArrayBase<S, Ix2>) -> Result<Array2<A>> {
        let Moments { mean, scale, .. } = self.checked(x)?;
        map(KIND, x, |feature, value| {
            let centred = if self.with_mean { value - mean[feature] } else { value };
            if self.with_std { centred / scale[feature] } else { centred }
        })
    }

    /// [`fit`](Self::fit), then [`transform`](Self::transform).
    ///
    /// # Errors
    /// Those of `fit`.
    pub fn fit_transform<S: Data<Elem = A>>(&mut self, x: &ArrayBase<S, Ix2>) -> Result<Array2<A>> {
        self.fit(x)?.transform(x)
    }

    /// Scaled `(rows, features)` back to what they were: `x = z * sqrt(variance) + mean`.
    ///
    /// # Errors
    /// Those of [`transform`](Self::transform).
    pub fn inverse_transform<S: Data<Elem = A>>(&self, z: &ArrayBase<S, Ix2>) -> Result<Array2<A>> {
        let Moments { mean, scale, .. } = self.checked(z)?;
        map(KIND, z, |feature, value| {
            let spread = if self.with_std { value * scale[feature] } else { value };
            if self.with_mean { spread + mean[feature] } else { spread }
        })
    }

    /// The mean of each feature, after `fit`.
    pub fn mean(&self) -> Option<&[f64]> {
        self.fitted.as_ref().map(|fitted| fitted.mean.as_slice())
    }

    /// The population variance of each feature, after `fit`.
    pub fn var(&self) -> Option<&[f64]> {
        self.fitted.as_ref().map(|fitted| fitted.variance.as_slice())
    }

    /// What each feature is divided by, after `fit`: the standard deviation, or 1 for a constant feature.
    pub fn scale(&self) -> Option<&[f64]> {
        self.fitted.as_ref().map(|fitted| fitted.scale.as_slice())
    }

    pub(super) fn read(fields: &Fields<'_>) -> Result<Self> {
        let mean = finite(fields, "mean", None)?;
        let variance = finite(fields, "variance", Some(mean.len()))?;
        let scale = positive(fields, "scale", mean.len())?;
        let fitted = Some(Moments { mean, variance, scale });
        let (with_mean, with_std) = (fields.get("with_mean")?, fields.get("with_std")?);
        Ok(Self { with_mean, with_std, fitted, number: PhantomData })
    }

    fn json(&self) -> Result<Value> {
        let Moments { mean, variance, scale } = self.fitted.as_ref().ok_or_else(|| not_fitted(KIND))?;
        Ok(json!({
            "kind": KIND, "with_mean": self.with_mean, "with_std": self.with_std,
            "mean": mean, "variance": variance, "scale": scale,
        }))
    }

    fn checked<S: Data<Elem = A>>(&self, x: &ArrayBase<S, Ix2>) -> Result<&Moments> {
        let fitted = self.fitted.as_ref().ok_or_else(|| not_fitted(KIND))?;
        check_as_fitted(KIND, fitted.mean.len(), x)?;
        Ok(fitted)
    }
}

/// Mean, variance and divisor of each feature, in two passes over the rows.
fn learn<A: Scalar, S: Data<Elem = A>>(x: &ArrayBase<S, Ix2>, weight: impl Fn(usize) -> f64) -> Result<Moments> {
    let features = x.ncols();
    let (mut count, mut mean) = (vec![0.0; features], vec![0.0; features]);
    for_each_number(x, |row, feature, value| {
        count[feature] += weight(row);
        mean[feature] += weight(row) * value;
    });
    if let Some(feature) = count.iter().position(|&count| count == 0.0) {
        return Err(all_missing(KIND, feature));
    }
    mean.iter_mut().zip(&count).for_each(|(mean, count)| *mean /= count);
    let (mut sum, mut squares) = (vec![0.0; features], vec![0.0; features]);
    for_each_number(x, |row, feature, value| {
        let d = value - mean[feature];
        sum[feature] += weight(row) * d;
        squares[feature] += weight(row) * (d * d);
    });
    let variance: Vec<f64> = (0..features).map(|j| corrected(count[j], sum[j], squares[j])).collect();
    if let Some(feature) = variance.iter().position(|variance| !variance.is_finite()) {
        let expected = "a variance that f64 holds";
        return Err(Error::value(format!("{KIND} input, feature"), &[feature], expected, "a larger one"));
    }
    let scale = (0..features).map(|j| if constant(count[j], mean[j], variance[j]) { 1.0 } else { variance[j].sqrt() });
    Ok(Moments { scale: scale.collect(), mean, variance })
}

/// Mean and population variance of numbers of which there is at least one.
pub(super) fn moments(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let deviations = values.iter().map(|value| value - mean);
    let (sum, squares) = deviations.fold((0.0, 0.0), |(sum, squares), d| (sum + d, squares + d * d));
    (mean, corrected(count, sum, squares))
}

/// The variance from a second pass, corrected for the rounding of the mean (Chan, Golub and LeVeque 1983): with
/// `d = x - mean` it is `(sum d^2 - (sum d)^2 / n) / n`, in which the sum of `d` would be zero in exact arithmetic.
fn corrected(count: f64, sum: f64, squares: f64) -> f64 {
    (squares - sum * sum / count) / count
}

/// Whether the variance is no more than what rounding alone would give a constant feature: the error bound of the two
/// passes, as in scikit-learn.
pub(super) fn constant(count: f64, mean: f64, variance: f64) -> bool {
    let rounding = count * mean * f64::EPSILON;
    variance <= count * f64::EPSILON * variance + rounding * rounding
}

/// `f(row, feature, value)` for all values but NaN.
fn for_each_number<A: Scalar, S: Data<Elem = A>>(x: &ArrayBase<S, Ix2>, mut f: impl FnMut(usize, usize, f64)) {
    for (number, row) in x.rows().into_iter().enumerate() {
        let present = row.iter().enumerate().filter(|(_, value)| !value.is_nan());
        present.for_each(|(feature, value)| f(number, feature, value.as_f64()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_abs_diff_eq;
    use ndarray::{Array, array};

    #[test]
    fn the_inverse_gives_back_what_was_scaled_whatever_the_strides() -> Result<()> {
        let x = Array::from_shape_fn((4, 30), |(i, j)| ((i * 37 + j * 11) % 17) as f64 * 1e3 - 5.0);
        for (mean, std) in [(true, true), (true, false), (false, true), (false, false)] {
            let mut scaler = StandardScaler::of().with_mean(mean).with_std(std);
            let z = scaler.fit_transform(&x.t())?;
            assert_abs_diff_eq!(scaler.inverse_transform(&z)?, x.t(), epsilon = 1e-10);
        }
        Ok(())
    }

    #[test]
    fn a_large_constant_feature_is_not_blown_up() -> Result<()> {
        let x = Array::from_elem((1000, 1), 1e10 / 3.0);
        let mut scaler = StandardScaler::<f64>::of();
        assert_abs_diff_eq!(scaler.fit_transform(&x)?, Array::zeros((1000, 1)), epsilon = 1e-4);
        assert_eq!(scaler.scale(), Some([1.0].as_slice()));
        Ok(())
    }

    #[test]
    fn f32_far_from_zero_keeps_its_digits() -> Result<()> {
        let x = array![[16777214.0f32], [16777215.0], [16777216.0]];
        let z = StandardScaler::new().fit_transform(&x)?;
        let one = 1.5f32.sqrt();
        assert_abs_diff_eq!(z, array![[-one], [0.0], [one]], epsilon = 1e-6);
        Ok(())
    }
}
