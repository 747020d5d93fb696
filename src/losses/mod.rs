//! What training makes small.

mod binary;
mod binary_cross_entropy;
mod binary_focal;
mod categorical_cross_entropy;
mod categorical_focal;
mod categorical_hinge;
mod classes;
mod contrastive;
mod cosine_similarity;
mod elementwise;
mod embeddings;
mod focal;
mod gaussian;
mod hinge;
mod huber;
mod kl_divergence;
mod log_cosh;
mod mean_absolute_error;
mod mean_absolute_percentage_error;
mod mean_squared_error;
mod mean_squared_logarithmic_error;
mod numbers;
mod poisson;
mod quantile;
mod softmax_cross_entropy;
mod squared_hinge;
mod terms;
mod through;
mod triplet_margin;
mod unreduced;

pub use binary_cross_entropy::BinaryCrossEntropy;
pub use binary_focal::BinaryFocal;
pub use categorical_cross_entropy::{CategoricalCrossEntropy, SparseCategoricalCrossEntropy};
pub use categorical_focal::CategoricalFocal;
pub use categorical_hinge::CategoricalHinge;
pub(crate) use classes::class_of;
pub use contrastive::Contrastive;
pub use cosine_similarity::CosineSimilarity;
pub use gaussian::GaussianNegativeLogLikelihood;
pub use hinge::Hinge;
pub use huber::Huber;
pub use kl_divergence::KLDivergence;
pub use log_cosh::LogCosh;
pub use mean_absolute_error::MeanAbsoluteError;
pub use mean_absolute_percentage_error::MeanAbsolutePercentageError;
pub use mean_squared_error::MeanSquaredError;
pub use mean_squared_logarithmic_error::MeanSquaredLogarithmicError;
pub use poisson::Poisson;
pub use quantile::Quantile;
pub use softmax_cross_entropy::SoftmaxCrossEntropy;
pub use squared_hinge::SquaredHinge;
pub(crate) use terms::Rows;
pub use through::Through;
pub use triplet_margin::TripletMargin;

use serde_json::Value;

use crate::context::{Context, Mode};
use crate::error::{Error, Result};
use crate::kernels::loss::count_outside;
use crate::scalar::Scalar;
use crate::tensor::Tensor;

/// By what the sum of the weighted losses is divided.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Reduction {
    /// By the number of terms, whatever their weights. Keras's default (`sum_over_batch_size`).
    #[default]
    Mean,
    /// By the sum of the weights. PyTorch's `mean` where there are class weights.
    WeightedMean,
    /// By nothing.
    Sum,
}

impl Reduction {
    /// The name in files.
    fn name(self) -> &'static str {
        match self {
            Reduction::Mean => "mean",
            Reduction::WeightedMean => "weighted_mean",
            Reduction::Sum => "sum",
        }
    }
}

/// The part of a batch that a loss is asked about: the weights of these samples and the factor for all of them.
#[derive(Clone, Copy, Debug)]
pub struct Samples<'a, A> {
    /// One weight for each sample (or for each step of each sample, in row-major order); all 1 if absent.
    pub weights: Option<&'a [A]>,
    /// One divided by [`Loss::denominator`] of the whole batch.
    pub scale: A,
}

/// A function of the network's output and the target, and its derivative.
///
/// A batch may come in shards, each with its part of the samples. So that they add up to the loss of the batch, the
/// trainer first asks for the [`denominator`](Self::denominator) of the whole batch, and every shard multiplies by its
/// inverse, [`Samples::scale`].
pub trait Loss<A: Scalar = f32>: Send + Sync {
    /// The loss's name, as errors and files name it.
    fn kind(&self) -> &str;

    /// The settings, as JSON: a run goes on from a checkpoint only with the same.
    fn config(&self) -> Value {
        Value::Null
    }

    /// By what the sum over the whole batch is divided: for a mean, the number of terms or the sum of their weights.
    /// `output` is the shape of the network's output for the whole batch.
    ///
    /// # Errors
    /// Where the target or the weights do not fit the output.
    fn denominator(&self, output: &[usize], target: &Tensor<A>, weights: Option<&[A]>) -> Result<A>;

    /// `scale * sum_i w_i l_i` over the samples of `output`, and if wanted its gradient with respect to `output`, in
    /// the shape of `output`.
    ///
    /// # Errors
    /// Where the target does not fit the output or holds a value that is none (a label out of range).
    fn compute(
        &self,
        output: &Tensor<A>,
        target: &Tensor<A>,
        samples: Samples<'_, A>,
        want_gradient: bool,
        ctx: &mut Context<A>,
    ) -> Result<(A, Option<Tensor<A>>)>;

    /// Whether samples of a batch influence each other in it ([`Context::all_reduce`]).
    fn couples_samples(&self) -> bool {
        false
    }

    /// What the network's raw output means: a loss from logits turns them into probabilities. Metrics and
    /// `predict_proba` see this; the default is the output itself.
    ///
    /// # Errors
    /// Where the output has a shape that the loss cannot take.
    fn prediction(&self, output: &Tensor<A>, ctx: &mut Context<A>) -> Result<Tensor<A>> {
        let _ = ctx;
        Ok(output.clone())
    }

    /// The terms themselves, with no reduction: w_i l_i for each, whatever the loss's reduction is. A loss with one
    /// term for each element of the output gives them in its shape, one with a term for each sample or step in the
    /// shape without the last axis: PyTorch's `reduction="none"`. (Keras's `reduction=None` is the mean of that over
    /// the last axis.)
    ///
    /// A loss of one's own need not have this: then each sample is computed by itself, and the result, (batch), is the
    /// sum of the sample's terms. Where the samples of a batch influence each other, that is an error.
    ///
    /// # Errors
    /// As for [`compute`](Self::compute).
    fn unreduced(&self, output: &Tensor<A>, target: &Tensor<A>, weights: Option<&[A]>) -> Result<Tensor<A>> {
        unreduced::one_by_one(self, output, target, weights)
    }

    /// The loss of a whole batch, and its gradient with respect to the output: for trying a loss out, and for one's
    /// own training loops.
    ///
    /// # Errors
    /// As for [`compute`](Self::compute).
    fn evaluate(&self, output: &Tensor<A>, target: &Tensor<A>, weights: Option<&[A]>) -> Result<(A, Tensor<A>)> {
        let denominator = self.denominator(output.shape(), target, weights)?;
        let samples = Samples { weights, scale: scale(denominator) };
        let mut ctx = Context::recording(Mode::Inference);
        let (value, gradient) = self.compute(output, target, samples, true, &mut ctx)?;
        let gradient = gradient.ok_or_else(|| Error::custom(format!("{} gave no gradient", self.kind())))?;
        // A network behind the loss may have added to it.
        Ok((value + ctx.penalty(), gradient))
    }
}

/// The factor for a denominator. A batch in which every weight is 0 has the loss 0, not 0 / 0.
pub(crate) fn scale<A: Scalar>(denominator: A) -> A {
    if denominator == A::zero() { A::zero() } else { A::one() / denominator }
}

/// How many terms share one weight: weights come one for each sample or one for each term.
///
/// # Errors
/// [`Error::Length`] where they are neither.
pub(crate) fn terms_per_weight(batch: usize, terms: usize, weights: usize) -> Result<usize> {
    if weights == terms {
        Ok(1)
    } else if weights == batch && batch > 0 {
        Ok(terms / batch)
    } else {
        Err(Error::length("sample weights, one for each sample of the batch", batch, weights))
    }
}

/// Refuses weights that would turn a mean into something else.
///
/// # Errors
/// [`Error::Value`] for the first that is negative, infinite or NaN.
pub(crate) fn check_weights<A: Scalar>(weights: Option<&[A]>) -> Result<()> {
    let weights = weights.unwrap_or_default();
    match first_outside(weights, A::zero(), A::max_value()) {
        Some(at) => Err(Error::value("sample weight", &[at], "a finite number of at least 0", weights[at])),
        None => Ok(()),
    }
}

/// The place of the first value that is not from `low` to `high`, such as NaN.
pub(crate) fn first_outside<A: Scalar>(values: &[A], low: A, high: A) -> Option<usize> {
    match count_outside(values, low, high) {
        0 => None,
        _ => values.iter().position(|&value| !(value >= low && value <= high)),
    }
}

/// The denominator of a reduction over `terms` terms.
pub(crate) fn reduce<A: Scalar>(reduction: Reduction, batch: usize, terms: usize, weights: Option<&[A]>) -> Result<A> {
    let each = weights.map_or(Ok(1), |weights| terms_per_weight(batch, terms, weights.len()))?;
    Ok(match (reduction, weights) {
        (Reduction::Sum, _) => A::one(),
        (Reduction::WeightedMean, Some(weights)) => {
            weights.iter().fold(A::zero(), |sum, &w| sum + w) * A::of(each as f64)
        }
        _ => A::of(terms as f64),
    })
}
