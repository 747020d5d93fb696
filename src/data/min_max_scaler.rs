//! Features to a given range.

use std::marker::PhantomData;

use ndarray::{Array2, ArrayBase, Data, Ix2};
use serde_json::{Value, json};

use super::features::{all_missing, check, check_as_fitted, map, not_fitted};
use super::preprocessing::{finite, positive, transform};
use crate::error::{Error, Result};
use crate::io::Fields;
use crate::scalar::Scalar;

/// Brings each feature to a range, `(0, 1)` by default:
/// `z = low + (x - min) / (max - min) * (high - low)`.
///
/// `min` and `max` are those of the rows given to [`fit`](Self::fit): other rows may fall outside the range, unless
/// they are clipped. As in scikit-learn, a constant feature (one whose range is below ten machine epsilons of `A`) is
/// moved to `low` and left unscaled, and NaN stands for a missing value, is ignored by `fit` and kept by `transform`.
/// Unlike there, a feature without any number is an error.
///
/// Arrays are `(rows, features)`. `new` makes one for `f32`, `of` for either number type.
///
/// ```
/// use layerwise::data::MinMaxScaler;
/// use ndarray::array;
/// let mut scaler = MinMaxScaler::new().feature_range(-1.0, 1.0);
/// assert_eq!(scaler.fit_transform(&array![[0.0], [128.0], [256.0]])?, array![[-1.0], [0.0], [1.0]]);
/// assert_eq!(scaler.clone().clip(true).transform(&array![[512.0]])?, array![[1.0]]);
/// # Ok::<(), layerwise::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct MinMaxScaler<A = f32> {
    low: f64,
    high: f64,
    clip: bool,
    fitted: Option<Extent>,
    number: PhantomData<A>,
}

/// The extremes of each feature, and the line `z = x * scale + offset` that they give.
#[derive(Clone, Debug, PartialEq)]
struct Extent {
    min: Vec<f64>,
    max: Vec<f64>,
    scale: Vec<f64>,
    offset: Vec<f64>,
}

const KIND: &str = "MinMaxScaler";

transform!(MinMaxScaler);

impl MinMaxScaler<f32> {
    /// One for `f32` arrays and the range `(0, 1)`, without clipping.
    pub fn new() -> Self {
        Self::of()
    }
}

impl<A: Scalar> Default for MinMaxScaler<A> {
    fn default() -> Self {
        Self::of()
    }
}

impl<A: Scalar> MinMaxScaler<A> {
    /// One for arrays of either number type and the range `(0, 1)`, without clipping.
    pub fn of() -> Self {
        Self { low: 0.0, high: 1.0, clip: false, fitted: None, number: PhantomData }
    }

    /// The range that the features are brought to. Undoes an earlier `fit`.
    #[must_use]
    pub fn feature_range(mut self, low: f64, high: f64) -> Self {
        (self.low, self.high) = (low, high);
        self.fitted = None;
        self
    }

    /// Whether what falls outside the range is moved to its nearer end. It cannot be brought back then.
    #[must_use]
    pub fn clip(mut self, clip: bool) -> Self {
        self.clip = clip;
        self
    }

    /// Learns the extremes from `(rows, features)`.
    ///
    /// # Errors
    /// [`Error::Setting`] for a range that is not one, [`Error::Empty`] without rows or features, [`Error::Value`] for
    /// an infinite value, a feature of NaN alone, or one whose range is too large for `f64`.
    pub fn fit<S: Data<Elem = A>>(&mut self, x: &ArrayBase<S, Ix2>) -> Result<&mut Self> {
        self.check_range()?;
        let (low, high) = (self.low, self.high);
        check(KIND, x)?;
        let (min, max) = extremes(x)?;
        // A range that only rounding tells from zero counts as zero, and a constant feature is not scaled.
        let zero = 10.0 * A::epsilon().as_f64();
        let range = |(min, max): (&f64, &f64)| if max - min < zero { 1.0 } else { max - min };
        let scale: Vec<f64> = min.iter().zip(&max).map(range).map(|range| (high - low) / range).collect();
        let offset = min.iter().zip(&scale).map(|(min, scale)| low - min * scale).collect();
        self.fitted = Some(Extent { min, max, scale, offset });
        Ok(self)
    }

    /// Scales `(rows, features)`.
    ///
    /// # Errors
    /// [`Error::Setting`] before `fit`, [`Error::Shape`] for another number of features than in `fit`,
    /// [`Error::Empty`] without rows, [`Error::Value`] for an infinite value or a result too large for `A`.
    pub fn transform<S: Data<Elem = A>>(&self, x: &ArrayBase<S, Ix2>) -> Result<Array2<A>> {
        let Extent { scale, offset, .. } = self.checked(x)?;
        map(KIND, x, |feature, value| {
            let scaled = value * scale[feature] + offset[feature];
            if self.clip { scaled.clamp(self.low, self.high) } else { scaled }
        })
    }

    /// [`fit`](Self::fit), then [`transform`](Self::transform).
    ///
    /// # Errors
    /// Those of `fit`.
    pub fn fit_transform<S: Data<Elem = A>>(&mut self, x: &ArrayBase<S, Ix2>) -> Result<Array2<A>> {
        self.fit(x)?.transform(x)
    }

    /// Scaled `(rows, features)` back to what they were.
    ///
    /// # Errors
    /// Those of [`transform`](Self::transform).
    pub fn inverse_transform<S: Data<Elem = A>>(&self, z: &ArrayBase<S, Ix2>) -> Result<Array2<A>> {
        let Extent { scale, offset, .. } = self.checked(z)?;
        map(KIND, z, |feature, value| (value - offset[feature]) / scale[feature])
    }

    /// The smallest value of each feature, after `fit`.
    pub fn data_min(&self) -> Option<&[f64]> {
        self.fitted.as_ref().map(|fitted| fitted.min.as_slice())
    }

    /// The largest value of each feature, after `fit`.
    pub fn data_max(&self) -> Option<&[f64]> {
        self.fitted.as_ref().map(|fitted| fitted.max.as_slice())
    }

    fn check_range(&self) -> Result<()> {
        let (low, high) = (self.low, self.high);
        if low.is_finite() && high.is_finite() && low < high {
            return Ok(());
        }
        let got = format!("({low}, {high})");
        Err(Error::setting("feature_range", "two finite numbers, the smaller one first", got))
    }

    pub(super) fn read(fields: &Fields<'_>) -> Result<Self> {
        let (low, high) = fields.get("feature_range")?;
        let min = finite(fields, "min", None)?;
        let list = |name| finite(fields, name, Some(min.len()));
        let (max, offset, scale) = (list("max")?, list("offset")?, positive(fields, "scale", min.len())?);
        let fitted = Some(Extent { min, max, scale, offset });
        let read = Self { low, high, clip: fields.get("clip")?, fitted, number: PhantomData };
        read.check_range()?;
        Ok(read)
    }

    fn json(&self) -> Result<Value> {
        let Extent { min, max, scale, offset } = self.fitted.as_ref().ok_or_else(|| not_fitted(KIND))?;
        Ok(json!({
            "kind": KIND, "feature_range": [self.low, self.high], "clip": self.clip,
            "min": min, "max": max, "scale": scale, "offset": offset,
        }))
    }

    fn checked<S: Data<Elem = A>>(&self, x: &ArrayBase<S, Ix2>) -> Result<&Extent> {
        let fitted = self.fitted.as_ref().ok_or_else(|| not_fitted(KIND))?;
        check_as_fitted(KIND, fitted.min.len(), x)?;
        Ok(fitted)
    }
}

fn extremes<A: Scalar, S: Data<Elem = A>>(x: &ArrayBase<S, Ix2>) -> Result<(Vec<f64>, Vec<f64>)> {
    let mut min = vec![f64::INFINITY; x.ncols()];
    let mut max = vec![f64::NEG_INFINITY; x.ncols()];
    for row in x.rows() {
        for (feature, value) in row.iter().enumerate() {
            // `min` and `max` of floats pass over a NaN.
            min[feature] = min[feature].min(value.as_f64());
            max[feature] = max[feature].max(value.as_f64());
        }
    }
    if let Some(feature) = min.iter().position(|min| min.is_infinite()) {
        return Err(all_missing(KIND, feature));
    }
    match min.iter().zip(&max).position(|(min, max)| (max - min).is_infinite()) {
        Some(feature) => {
            let what = format!("{KIND} input, feature");
            Err(Error::value(what, &[feature], "a range that f64 holds", "a larger one"))
        }
        None => Ok((min, max)),
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
        let mut scaler = MinMaxScaler::of().feature_range(-2.0, 3.0);
        let z = scaler.fit_transform(&x.t())?;
        assert!(z.iter().all(|z| (-2.0 - 1e-12..=3.0 + 1e-12).contains(z)));
        assert_abs_diff_eq!(scaler.inverse_transform(&z)?, x.t(), epsilon = 1e-10);
        Ok(())
    }

    #[test]
    fn clipping_keeps_nan() -> Result<()> {
        let mut scaler = MinMaxScaler::new().clip(true);
        scaler.fit(&array![[0.0], [1.0]])?;
        let z = scaler.transform(&array![[f32::NAN], [-3.0], [7.0]])?;
        assert!(z[[0, 0]].is_nan());
        assert_eq!((z[[1, 0]], z[[2, 0]]), (0.0, 1.0));
        Ok(())
    }
}
