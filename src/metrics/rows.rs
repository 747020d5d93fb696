//! Predicted numbers and the numbers that they should be.

use crate::error::{Error, Result};
use crate::losses::Rows;
use crate::scalar::Scalar;
use crate::tensor::{Tensor, values};

/// A batch about which everything was checked.
pub(super) struct Batch<'a, A> {
    prediction: &'a [A],
    target: &'a [A],
    weights: Option<&'a [A]>,
    /// How many rows share one weight.
    share: usize,
    pub outputs: usize,
}

impl<'a, A: Scalar> Batch<'a, A> {
    /// `known` is the number of outputs of the batches before, 0 if there were none.
    pub fn new(
        known: usize,
        prediction: &'a Tensor<A>,
        target: &'a Tensor<A>,
        weights: Option<&'a [A]>,
    ) -> Result<Self> {
        let rows = Rows::of(prediction.shape(), target.shape())?;
        if rows.features == 0 || (known != 0 && known != rows.features) {
            let before = if known == 0 { String::new() } else { format!(", {known} as in the batches before") };
            return Err(Error::shape("prediction", format!("outputs on the last axis{before}"), prediction.shape()));
        }
        let share = weights.map_or(Ok(1), |weights| rows.per_weight(weights))?;
        let (prediction, target) = (values(prediction)?, values(target)?);
        Ok(Batch { prediction, target, weights, share, outputs: rows.features })
    }

    /// Weight, prediction and target of each row. Rows of weight 0 are left out.
    pub fn rows(&self) -> impl Iterator<Item = (f64, &'a [A], &'a [A])> {
        let (weights, share) = (self.weights, self.share);
        let rows = self.prediction.chunks_exact(self.outputs).zip(self.target.chunks_exact(self.outputs));
        rows.enumerate()
            .map(move |(row, (y, t))| (weights.map_or(1.0, |weights| weights[row / share].as_f64()), y, t))
            .filter(|&(weight, _, _)| weight > 0.0)
    }
}

/// The plain mean over the outputs.
pub(super) fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let number = values.len() as f64;
    values.sum::<f64>() / number
}
