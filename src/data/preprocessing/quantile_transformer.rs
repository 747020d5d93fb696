//! Features to a uniform or normal distribution, by their ranks.

use std::marker::PhantomData;

use super::normal;
use super::per_feature::{PerFeature, per_feature};
use super::quantiles::{even_quantile, quantile};
use super::stored::named;
use crate::error::{Error, Result};
use crate::scalar::Scalar;

/// What the features of a [`QuantileTransformer`] are distributed like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputDistribution {
    /// Evenly from 0 to 1.
    Uniform,
    /// With mean 0 and variance 1. Values outside what was seen go to about -5.2 and 5.2.
    Normal,
}

named!(OutputDistribution { Uniform: "uniform", Normal: "normal" });

/// Brings each feature to a uniform or normal distribution: a value becomes the share of the values of
/// [`fit`](Self::fit) that are below it, and from that, if wanted, the number with that share of the normal
/// distribution below it.
///
/// Outliers come to lie beside the others, and the distances of values are lost. The share is read off a line through
/// `quantiles` points (1000, or the number of rows if that is less). As in scikit-learn, values outside what was seen
/// get the share 0 or 1, and NaN is ignored by `fit` and kept by `transform`. Unlike there, all rows are used, not
/// 10,000 of them.
///
/// ```
/// use layerwise::data::QuantileTransformer;
/// use ndarray::array;
/// let z = QuantileTransformer::new().fit_transform(&array![[1.0], [10.0], [1000.0]])?;
/// assert_eq!(z, array![[0.0], [0.5], [1.0]]);
/// # Ok::<(), layerwise::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct QuantileTransformer<A = f32> {
    quantiles: usize,
    output: OutputDistribution,
    fitted: Option<Vec<Vec<f64>>>,
    number: PhantomData<A>,
}

per_feature!(QuantileTransformer: quantiles, output);

/// How near to 0 and 1 a share of the normal distribution may come, as in scikit-learn.
const BOUND: f64 = 1e-7;

impl QuantileTransformer<f32> {
    /// One for `f32` arrays, 1000 quantiles and a uniform result.
    pub fn new() -> Self {
        Self::of()
    }
}

impl<A: Scalar> Default for QuantileTransformer<A> {
    fn default() -> Self {
        Self::of()
    }
}

impl<A: Scalar> QuantileTransformer<A> {
    /// One for arrays of either number type, 1000 quantiles and a uniform result.
    pub fn of() -> Self {
        Self { quantiles: 1000, output: OutputDistribution::Uniform, fitted: None, number: PhantomData }
    }

    /// How many points the line has at most. Undoes an earlier `fit`.
    #[must_use]
    pub fn quantiles(mut self, quantiles: usize) -> Self {
        self.quantiles = quantiles;
        self.fitted = None;
        self
    }

    /// The distribution of the result.
    #[must_use]
    pub fn output(mut self, output: OutputDistribution) -> Self {
        self.output = output;
        self
    }

    fn is_normal(&self) -> bool {
        self.output == OutputDistribution::Normal
    }

    /// What is nearer to an end than this is at the end, as in scikit-learn.
    fn near(&self) -> f64 {
        if self.is_normal() { BOUND } else { 0.0 }
    }
}

/// It learns the quantiles at even shares from 0 to 1.
impl<A: Scalar> PerFeature for QuantileTransformer<A> {
    const KIND: &'static str = "QuantileTransformer";

    fn check_settings(&self) -> Result<()> {
        match self.quantiles {
            few @ (0 | 1) => Err(Error::setting("quantiles", "at least 2", few)),
            _ => Ok(()),
        }
    }

    fn learn(&self, sorted: &[f64], rows: usize) -> Vec<f64> {
        let count = self.quantiles.min(rows);
        let mut points: Vec<f64> = (0..count).map(|point| even_quantile(sorted, point, count)).collect();
        // Rounding could let a quantile fall below the one before it.
        for point in 1..count {
            points[point] = points[point].max(points[point - 1]);
        }
        points
    }

    fn could_learn(&self, learned: &[f64]) -> bool {
        !learned.is_empty() && learned.is_sorted()
    }

    fn map(&self, points: &[f64], value: f64) -> f64 {
        if value.is_nan() {
            return value;
        }
        let near = self.near();
        let share = if value == points[0] || value - near < points[0] {
            0.0
        } else if value == points[points.len() - 1] || value + near > points[points.len() - 1] {
            1.0
        } else {
            rank(points, value) / (points.len() - 1) as f64
        };
        if !self.is_normal() {
            return share;
        }
        let end = BOUND - f64::EPSILON;
        normal::quantile(share.clamp(end, 1.0 - end))
    }

    fn invert(&self, points: &[f64], value: f64) -> f64 {
        let share = if self.is_normal() { normal::cdf(value) } else { value };
        match share {
            share if share.is_nan() => share,
            share if share - self.near() < 0.0 => points[0],
            share if share + self.near() > 1.0 => points[points.len() - 1],
            share => quantile(points, share),
        }
    }
}

/// The place of a value between the first and the last of sorted points: on the line between its neighbours, and in the
/// middle of a run of points that are equal to it.
fn rank(points: &[f64], value: f64) -> f64 {
    let first = points.partition_point(|&point| point < value);
    let after = points.partition_point(|&point| point <= value);
    if first < after {
        return f64::midpoint(first as f64, (after - 1) as f64);
    }
    let (below, above) = (points[first - 1], points[first]);
    (first - 1) as f64 + (value - below) / (above - below)
}
