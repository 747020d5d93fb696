//! Numbers in place of missing values.

use std::marker::PhantomData;

use ndarray::{Array2, ArrayBase, Data, Ix2};
use serde_json::{Value, json};

use super::features::{all_missing, check, check_as_fitted, map, not_fitted};
use super::preprocessing::{finite, transform};
use crate::error::{Error, Result};
use crate::io::{Fields, Place, Setting, real};
use crate::scalar::Scalar;

/// What takes the place of a missing value, under scikit-learn's names.
#[derive(Clone, Debug, PartialEq)]
pub enum Impute {
    /// The mean of the values that are there.
    Mean,
    /// The median of the values that are there; of an even number, the mean of the middle two.
    Median,
    /// The value that comes most often; of several, the smallest.
    MostFrequent,
    /// This number.
    Constant(f64),
    /// This text, in columns of text.
    ConstantText(String),
}

impl Impute {
    /// What fills the gaps among numbers, given those that are there; `None` if there are none to tell from.
    pub(super) fn number(&self, mut present: Vec<f64>) -> Result<Option<f64>> {
        if let Impute::Constant(value) = *self {
            return match value.is_finite() {
                true => Ok(Some(value)),
                false => Err(Error::setting("Impute::Constant", "a finite number", value)),
            };
        }
        if matches!(self, Impute::ConstantText(_)) {
            return Err(Error::setting("the strategy for numbers", "one for numbers", "Impute::ConstantText"));
        }
        present.sort_by(f64::total_cmp);
        let (count, middle) = (present.len(), present.len() / 2);
        Ok(match self {
            _ if count == 0 => None,
            Impute::Mean => Some(mean(&present)),
            Impute::Median if count % 2 == 0 => Some(f64::midpoint(present[middle - 1], present[middle])),
            Impute::Median => Some(present[middle]),
            _ => most_frequent(&present).copied(),
        })
    }
}

impl From<&Impute> for Value {
    fn from(strategy: &Impute) -> Self {
        match strategy {
            Impute::Mean => "mean".into(),
            Impute::Median => "median".into(),
            Impute::MostFrequent => "most_frequent".into(),
            Impute::Constant(value) => json!({ "constant": real(*value) }),
            Impute::ConstantText(text) => json!({ "text": text }),
        }
    }
}

impl Setting for Impute {
    fn read(value: &Value, place: Place<'_>) -> Result<Self> {
        match value.as_str() {
            Some("mean") => return Ok(Impute::Mean),
            Some("median") => return Ok(Impute::Median),
            Some("most_frequent") => return Ok(Impute::MostFrequent),
            Some(_) => return Err(place.refuse("a strategy", value)),
            None => {}
        }
        let fields = Fields::of(value, place)?;
        let strategy = match fields.get::<Option<String>>("text")? {
            Some(text) => Impute::ConstantText(text),
            None => Impute::Constant(fields.get("constant")?),
        };
        fields.finish()?;
        Ok(strategy)
    }
}

/// The sum over the count; where the sum is too large for `f64`, the sum of the shares.
fn mean(values: &[f64]) -> f64 {
    let count = values.len() as f64;
    match values.iter().sum::<f64>() {
        sum if sum.is_finite() => sum / count,
        _ => values.iter().map(|value| value / count).sum(),
    }
}

/// The value of the longest run in sorted values; of several, the first.
pub(super) fn most_frequent<T: PartialEq>(sorted: &[T]) -> Option<&T> {
    let mut best: &[T] = &[];
    for run in sorted.chunk_by(|a, b| a == b) {
        if run.len() > best.len() {
            best = run;
        }
    }
    best.first()
}

/// Fills NaN in each feature of an array `(rows, features)` with what [`Impute`] says of the rows given to
/// [`fit`](Self::fit): give it the training rows alone.
///
/// A feature without any number is an error, except under [`Impute::Constant`]; scikit-learn drops it.
///
/// ```
/// use layerwise::data::{Impute, SimpleImputer};
/// use ndarray::array;
/// let mut imputer = SimpleImputer::new(Impute::Median);
/// imputer.fit(&array![[1.0, 7.0], [2.0, f32::NAN], [9.0, 7.0]])?;
/// assert_eq!(imputer.transform(&array![[f32::NAN, f32::NAN]])?, array![[2.0, 7.0]]);
/// # Ok::<(), layerwise::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct SimpleImputer<A = f32> {
    strategy: Impute,
    statistics: Option<Vec<f64>>,
    number: PhantomData<A>,
}

const KIND: &str = "SimpleImputer";

transform!(SimpleImputer);

impl SimpleImputer<f32> {
    /// One for `f32` arrays.
    pub fn new(strategy: Impute) -> Self {
        Self::of(strategy)
    }
}

impl<A: Scalar> SimpleImputer<A> {
    /// One for arrays of either number type.
    pub fn of(strategy: Impute) -> Self {
        Self { strategy, statistics: None, number: PhantomData }
    }

    /// Learns what to fill in from `(rows, features)`.
    ///
    /// # Errors
    /// [`Error::Empty`] without rows or features; [`Error::Value`] for an infinite value or a feature of NaN alone;
    /// [`Error::Setting`] for a constant that is no finite number.
    pub fn fit<S: Data<Elem = A>>(&mut self, x: &ArrayBase<S, Ix2>) -> Result<&mut Self> {
        check(KIND, x)?;
        let statistic = |(feature, column): (usize, ndarray::ArrayView1<'_, A>)| {
            let present = column.iter().filter(|value| !value.is_nan()).map(|value| value.as_f64()).collect();
            self.strategy.number(present)?.ok_or_else(|| all_missing(KIND, feature))
        };
        self.statistics = Some(x.columns().into_iter().enumerate().map(statistic).collect::<Result<_>>()?);
        Ok(self)
    }

    /// Fills NaN in `(rows, features)`; all else stays as it is.
    ///
    /// # Errors
    /// [`Error::Setting`] before `fit`, [`Error::Shape`] for another number of features than in `fit`,
    /// [`Error::Empty`] without rows, [`Error::Value`] for an infinite value.
    pub fn transform<S: Data<Elem = A>>(&self, x: &ArrayBase<S, Ix2>) -> Result<Array2<A>> {
        let statistics = self.statistics.as_ref().ok_or_else(|| not_fitted(KIND))?;
        check_as_fitted(KIND, statistics.len(), x)?;
        map(KIND, x, |feature, value| if value.is_nan() { statistics[feature] } else { value })
    }

    /// [`fit`](Self::fit), then [`transform`](Self::transform).
    ///
    /// # Errors
    /// Those of `fit`.
    pub fn fit_transform<S: Data<Elem = A>>(&mut self, x: &ArrayBase<S, Ix2>) -> Result<Array2<A>> {
        self.fit(x)?.transform(x)
    }

    /// Back to what it was: filled values stay, for where they were is not known.
    ///
    /// # Errors
    /// Those of [`transform`](Self::transform).
    pub fn inverse_transform<S: Data<Elem = A>>(&self, z: &ArrayBase<S, Ix2>) -> Result<Array2<A>> {
        let statistics = self.statistics.as_ref().ok_or_else(|| not_fitted(KIND))?;
        check_as_fitted(KIND, statistics.len(), z)?;
        Ok(z.to_owned())
    }

    pub(super) fn read(fields: &Fields<'_>) -> Result<Self> {
        let statistics = Some(finite(fields, "statistics", None)?);
        Ok(Self { strategy: fields.get("strategy")?, statistics, number: PhantomData })
    }

    fn json(&self) -> Result<Value> {
        let statistics = self.statistics.as_ref().ok_or_else(|| not_fitted(KIND))?;
        Ok(json!({ "kind": KIND, "strategy": Value::from(&self.strategy), "statistics": statistics }))
    }

    /// What each feature is filled with, after `fit`.
    pub fn statistics(&self) -> Option<&[f64]> {
        self.statistics.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_values_that_come_equally_often_the_smallest_is_taken() -> Result<()> {
        assert_eq!(Impute::MostFrequent.number(vec![3.0, 2.0, 3.0, 1.0, 2.0])?, Some(2.0));
        assert_eq!(Impute::MostFrequent.number(vec![5.0, -1.0])?, Some(-1.0));
        Ok(())
    }

    #[test]
    fn a_mean_of_huge_numbers_is_finite() -> Result<()> {
        assert_eq!(Impute::Mean.number(vec![1e308, 1e308])?, Some(1e308));
        Ok(())
    }

    #[test]
    fn a_constant_fills_even_a_feature_that_is_all_missing() -> Result<()> {
        let x = ndarray::array![[f32::NAN], [f32::NAN]];
        assert_eq!(SimpleImputer::new(Impute::Constant(4.0)).fit_transform(&x)?, ndarray::array![[4.0], [4.0]]);
        assert!(SimpleImputer::new(Impute::Mean).fit(&x).is_err());
        Ok(())
    }
}
