//! What people read off a trained network.

mod classification;
mod confusion_matrix;
mod regression;
mod streaming;
mod tally;

pub use classification::{Accuracy, Average, F1, Precision, Recall};
pub use confusion_matrix::ConfusionMatrix;
pub use regression::{MeanAbsoluteError, MeanSquaredError, R2};

use crate::error::Result;
use crate::scalar::Scalar;
use crate::tensor::Tensor;

/// A number gathered over batches.
///
/// A trainer shows it the predictions as the loss understands them ([`Loss::prediction`](crate::Loss::prediction)):
/// probabilities where the network gives logits.
pub trait Metric<A: Scalar = f32>: Send {
    /// The name in histories and logs, for example `accuracy`.
    fn name(&self) -> &str;

    /// Takes in a batch, with one weight for each sample if there are weights.
    ///
    /// # Errors
    /// Where the shapes do not fit or a label is out of range; nothing is taken in then.
    fn update(&mut self, prediction: &Tensor<A>, target: &Tensor<A>, weights: Option<&[A]>) -> Result<()>;

    /// The value over everything taken in; NaN where there was nothing.
    fn result(&self) -> f64;

    /// Forgets everything.
    fn reset(&mut self);

    /// What was gathered, as plain numbers, to be sent to another metric of the same kind and settings. One that has
    /// gathered nothing and [merges](Self::merge) it goes on as this one would: checkpoints are made of it.
    fn state(&self) -> Vec<f64>;

    /// Takes in what another one gathered: the result is that over both.
    ///
    /// # Errors
    /// Where the state is not one of this kind of metric.
    fn merge(&mut self, state: &[f64]) -> Result<()>;
}
