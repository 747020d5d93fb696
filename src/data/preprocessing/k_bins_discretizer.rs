//! Numbers to the bins that they fall into.

use std::marker::PhantomData;

use ndarray::{ArrayBase, Data, Ix2};

use super::per_feature::{Member, PerFeature, fit_by, per_feature};
use super::quantiles::step_quantiles;
use super::stored::named;
use super::transform::MOST_FEATURES;
use crate::data::features::check_weights;
use crate::error::{Error, Result};
use crate::scalar::Scalar;

/// Where the edges of the bins of a [`KBinsDiscretizer`] are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinStrategy {
    /// At equal distances from the smallest to the largest value.
    Uniform,
    /// So that the bins hold equally many values.
    Quantile,
}

named!(BinStrategy { Uniform: "uniform", Quantile: "quantile" });

/// How a [`KBinsDiscretizer`] writes a bin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinCode {
    /// As its number, counted from 0.
    Ordinal,
    /// As a column for each bin of the feature: 1 in its own and 0 in the others.
    OneHot,
}

named!(BinCode { Ordinal: "ordinal", OneHot: "one_hot" });

/// Sorts the values of each feature into bins, whose edges are learned from the rows given to [`fit`](Self::fit).
///
/// A bin holds its lower edge and not its upper one; the first and the last go on for ever. As in scikit-learn,
/// quantile bins no wider than 1e-8 are joined to their neighbours, and a constant feature has one bin. NaN is ignored
/// by `fit` and kept by `transform` (in all columns of its feature, where there are several), which scikit-learn
/// refuses. The inverse gives the middle of the bin.
///
/// ```
/// use layerwise::data::{BinCode, KBinsDiscretizer};
/// use ndarray::array;
/// let x = array![[0.0], [1.0], [2.0], [9.0]];
/// let mut bins = KBinsDiscretizer::new(3).code(BinCode::Ordinal);
/// assert_eq!(bins.fit_transform(&x)?, array![[0.0], [0.0], [0.0], [2.0]]);
/// assert_eq!(bins.inverse_transform(&array![[1.0]])?, array![[4.5]]);
/// # Ok::<(), layerwise::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct KBinsDiscretizer<A = f32> {
    bins: usize,
    strategy: BinStrategy,
    code: BinCode,
    fitted: Option<Vec<Vec<f64>>>,
    number: PhantomData<A>,
}

per_feature!(KBinsDiscretizer: bins, strategy, code);

impl KBinsDiscretizer<f32> {
    /// One for `f32` arrays, with uniform bins and a column for each.
    pub fn new(bins: usize) -> Self {
        Self::of(bins)
    }
}

impl<A: Scalar> KBinsDiscretizer<A> {
    /// One for arrays of either number type, with uniform bins and a column for each.
    pub fn of(bins: usize) -> Self {
        Self { bins, strategy: BinStrategy::Uniform, code: BinCode::OneHot, fitted: None, number: PhantomData }
    }

    /// Where the edges are. Undoes an earlier `fit`.
    #[must_use]
    pub fn strategy(mut self, strategy: BinStrategy) -> Self {
        self.strategy = strategy;
        self.fitted = None;
        self
    }

    /// How a bin is written.
    #[must_use]
    pub fn code(mut self, code: BinCode) -> Self {
        self.code = code;
        self
    }

    /// Learns the edges with a weight for each row: a row of weight 2 is one that comes twice, and one of weight 0 is
    /// not there.
    ///
    /// # Errors
    /// Those of [`fit`](Self::fit), a feature without a number of positive weight among them; [`Error::Length`] for
    /// another number of weights, [`Error::Value`] for one that is below 0 or not finite, [`Error::Setting`] for zeros
    /// alone.
    pub fn fit_weighted<S: Data<Elem = A>>(&mut self, x: &ArrayBase<S, Ix2>, weights: &[A]) -> Result<&mut Self> {
        check_weights(x.nrows(), weights)?;
        fit_by(self, x.view(), |bins, column| {
            let weighted = column.iter().zip(weights).map(|(value, weight)| (value.as_f64(), weight.as_f64()));
            let mut values: Vec<_> = weighted.filter(|(value, weight)| !value.is_nan() && *weight > 0.0).collect();
            values.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
            (!values.is_empty()).then(|| bins.edges(&values))
        })?;
        Ok(self)
    }

    /// The edges for sorted values with their weights.
    fn edges(&self, sorted: &[(f64, f64)]) -> Vec<f64> {
        let (low, high) = (sorted[0].0, sorted[sorted.len() - 1].0);
        if low == high {
            return vec![low, high];
        }
        if self.strategy == BinStrategy::Uniform {
            let step = (high - low) / self.bins as f64;
            let edge = |edge| if edge == self.bins { high } else { edge as f64 * step + low };
            return (0..=self.bins).map(edge).collect();
        }
        let mut edges = step_quantiles(sorted, self.bins);
        // An edge goes if it is too near to the one before it, whether that one stays or not.
        let wide: Vec<bool> = edges.windows(2).map(|pair| pair[1] - pair[0] > 1e-8).collect();
        let mut stays = std::iter::once(true).chain(wide);
        edges.retain(|_| stays.next().unwrap_or(true));
        // A feature in which almost all values agree may be left with one edge: it is as good as constant.
        if edges.len() == 1 {
            edges.push(edges[0]);
        }
        edges
    }

    /// The edges of each feature's bins, after `fit`; both edges of a constant feature are its value.
    pub fn bin_edges(&self) -> Option<&[Vec<f64>]> {
        self.fitted()
    }
}

/// It learns the edges, the outer ones too.
impl<A: Scalar> PerFeature for KBinsDiscretizer<A> {
    const KIND: &'static str = "KBinsDiscretizer";

    fn check_settings(&self) -> Result<()> {
        match self.bins {
            0 | 1 => Err(Error::setting("bins", "at least 2", self.bins)),
            more if more > MOST_FEATURES => {
                let requirement = format!("at most {}", MOST_FEATURES);
                Err(Error::setting("bins", requirement, more))
            }
            _ => Ok(()),
        }
    }

    fn learn(&self, sorted: &[f64], _: usize) -> Vec<f64> {
        self.edges(&sorted.iter().map(|&value| (value, 1.0)).collect::<Vec<_>>())
    }

    fn could_learn(&self, learned: &[f64]) -> bool {
        learned.len() >= 2 && learned.len() <= self.bins + 1 && learned.is_sorted()
    }

    fn map(&self, learned: &[f64], value: f64) -> f64 {
        if value.is_nan() {
            return value;
        }
        learned[1..learned.len() - 1].partition_point(|&edge| edge <= value) as f64
    }

    fn invert(&self, learned: &[f64], value: f64) -> f64 {
        if value.is_nan() {
            return value;
        }
        // The bin that the number is nearest to: a network may have made it.
        let bin = (value.round().max(0.0) as usize).min(learned.len() - 2);
        f64::midpoint(learned[bin], learned[bin + 1])
    }

    fn classes(&self, learned: &[f64]) -> Option<usize> {
        (self.code == BinCode::OneHot).then(|| learned.len() - 1)
    }
}
