//! What people read off a trained network.
//!
//! | of | metrics |
//! | --- | --- |
//! | decisions | [`Accuracy`], [`BinaryAccuracy`], [`TopKAccuracy`], [`Precision`], [`Recall`], [`F1`], [`FBeta`], [`BalancedAccuracy`], [`MatthewsCorrelation`], [`CohenKappa`], [`ConfusionMatrix`] and its [`ClassificationReport`] |
//! | the order of scores | [`RocAuc`], [`AveragePrecision`], curves and the choice of a threshold: [`Thresholds`] |
//! | probabilities | [`LogLoss`], [`BrierScore`], [`CalibrationError`] and its [`ReliabilityBin`]s |
//! | numbers | [`MeanSquaredError`], [`RootMeanSquaredError`], [`MeanAbsoluteError`], [`MeanAbsolutePercentageError`], [`MaxError`], [`R2`], [`ExplainedVariance`] |
//!
//! Each streams over batches, and merges what others have gathered ([`Metric::state`], [`Metric::merge`]): any split of
//! the samples has the same result, but for the last digits.

mod accuracy;
mod agreement;
mod average;
mod bins;
mod calibration;
mod classification;
mod confusion_matrix;
mod explained;
mod labelled;
mod probability;
mod ranked;
mod ranking;
mod regression;
mod report;
mod rows;
mod streaming;
mod tally;
mod thresholds;

pub use accuracy::{Accuracy, BinaryAccuracy, TopKAccuracy};
pub use agreement::{BalancedAccuracy, CohenKappa, Disagreement, MatthewsCorrelation};
pub use average::Average;
pub use calibration::{CalibrationError, ReliabilityBin};
pub use classification::{F1, FBeta, Precision, Recall};
pub use confusion_matrix::ConfusionMatrix;
pub use explained::{ExplainedVariance, R2};
pub use probability::{BrierScore, LogLoss};
pub use ranked::{AveragePrecision, RocAuc};
pub use regression::{
    MaxError, MeanAbsoluteError, MeanAbsolutePercentageError, MeanSquaredError, RootMeanSquaredError,
};
pub use report::{ClassificationReport, ReportRow};
pub use thresholds::{OperatingPoint, PrecisionRecallCurve, RocCurve, Thresholds};

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
