use serde_json::{Value, json};

use super::elementwise::{self, Rows};
use super::{Loss, Reduction, Samples, first_outside};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::kernels::elementwise::sigmoid;
use crate::kernels::loss;
use crate::scalar::Scalar;
use crate::tensor::{Tensor, unravel, values, values_mut};

/// The cross-entropy of yes-or-no answers, from logits x and targets t between 0 and 1: the mean over all elements of
///
/// l = p t softplus(-x) + (1 - t) softplus(x), with the gradient (1 - t) sigmoid(x) - p t sigmoid(-x),
///
/// where p, 1 by default, is the weight of the positive answers. That is max(x, 0) - x t + ln(1 + exp(-|x|)) for
/// p = 1, and is exact for logits of any size. The network ends without an activation:
/// [`prediction`](Loss::prediction) gives sigmoid(x).
///
/// Output and target have the same shape, so that (batch, labels) has several answers for each sample; for an output
/// of (batch, ..., 1) the target may leave the last axis out. There is one weight for each sample, or for each step
/// (all axes but the last). PyTorch's `BCEWithLogitsLoss` and Keras's `BinaryCrossentropy(from_logits=True)`.
///
/// ```
/// use layerwise::losses::{BinaryCrossEntropy, Loss};
/// use layerwise::to_tensor;
/// use ndarray::array;
/// let logits = to_tensor::<f64, _, _, _>(&array![[0.0], [1000.0]])?;
/// let (loss, gradient) = BinaryCrossEntropy::new().evaluate(&logits, &to_tensor(&array![1, 0])?, None)?;
/// assert!((loss - (2.0_f64.ln() + 1000.0) / 2.0).abs() < 1e-12);
/// assert_eq!(gradient, to_tensor(&array![[-0.25], [0.5]])?);
/// # Ok::<(), layerwise::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct BinaryCrossEntropy {
    reduction: Reduction,
    positive: Positive,
}

/// The weight of the positive answers.
#[derive(Clone, Debug)]
enum Positive {
    All(f64),
    Each(Vec<f64>),
}

impl Default for Positive {
    fn default() -> Self {
        Positive::All(1.0)
    }
}

impl BinaryCrossEntropy {
    /// The mean over all elements, with positive and negative answers of one weight.
    pub fn new() -> Self {
        Self::default()
    }

    /// By what the sum is divided. The weight of the positive answers counts as part of the term, as in PyTorch: it is
    /// in no denominator.
    #[must_use]
    pub fn reduction(mut self, reduction: Reduction) -> Self {
        self.reduction = reduction;
        self
    }

    /// The weight p of the positive answers; above 1 favours recall over precision. (number of negatives) / (number of
    /// positives) makes both sorts weigh the same.
    #[must_use]
    pub fn pos_weight(mut self, weight: f64) -> Self {
        self.positive = Positive::All(weight);
        self
    }

    /// One weight of the positive answers for each element of the output's last axis.
    #[must_use]
    pub fn pos_weights(mut self, weights: Vec<f64>) -> Self {
        self.positive = Positive::Each(weights);
        self
    }

    fn check(&self, features: usize) -> Result<()> {
        let weights = match &self.positive {
            Positive::All(weight) => std::slice::from_ref(weight),
            Positive::Each(weights) if weights.len() != features => {
                let what = "pos_weights, one for each element of the output's last axis";
                return Err(Error::length(what, features, weights.len()));
            }
            Positive::Each(weights) => weights,
        };
        match weights.iter().find(|w| !(w.is_finite() && **w >= 0.0)) {
            Some(weight) => Err(Error::setting("pos_weight", "a finite number of at least 0", weight)),
            None => Ok(()),
        }
    }

    /// The weights of the positive answers, repeated to a length that vector loops like.
    fn tile<A: Scalar>(&self, ctx: &mut Context<A>) -> Tensor<A> {
        const LENGTH: usize = 256;
        let one = [1.0];
        let weights = match &self.positive {
            Positive::All(weight) => std::slice::from_ref(weight),
            Positive::Each(weights) if weights.is_empty() => &one,
            Positive::Each(weights) => weights,
        };
        let mut tile = ctx.tensor(&[weights.len() * LENGTH.div_ceil(weights.len())]);
        for (place, &weight) in values_mut(&mut tile).iter_mut().zip(weights.iter().cycle()) {
            *place = A::of(weight);
        }
        tile
    }
}

impl<A: Scalar> Loss<A> for BinaryCrossEntropy {
    fn kind(&self) -> &str {
        "BinaryCrossEntropy"
    }

    fn config(&self) -> Value {
        let weight = match &self.positive {
            Positive::All(weight) => json!(weight),
            Positive::Each(weights) => json!(weights),
        };
        json!({ "reduction": self.reduction.name(), "pos_weight": weight })
    }

    fn denominator(&self, output: &[usize], target: &Tensor<A>, weights: Option<&[A]>) -> Result<A> {
        let rows = Rows::of(output, target.shape())?;
        self.check(rows.features)?;
        rows.denominator(self.reduction, weights)
    }

    fn compute(
        &self,
        output: &Tensor<A>,
        target: &Tensor<A>,
        samples: Samples<'_, A>,
        want_gradient: bool,
        ctx: &mut Context<A>,
    ) -> Result<(A, Option<Tensor<A>>)> {
        self.check(Rows::of(output.shape(), target.shape())?.features)?;
        let t = values(target)?;
        if let Some(at) = first_outside(t, A::zero(), A::one()) {
            return Err(Error::value("target", &unravel(at, target.shape()), "a number from 0 to 1", t[at]));
        }
        let positive = self.tile(ctx);
        let p = values(&positive)?;
        let kernel = |x: &[A], t: &[A], terms: &mut [A], gradient: &mut [A]| {
            loss::binary_cross_entropy(x, t, p, terms, gradient);
        };
        let result = elementwise::compute(output, target, samples, want_gradient, ctx, kernel);
        ctx.recycle(positive);
        result
    }

    /// sigmoid(x).
    fn prediction(&self, output: &Tensor<A>, ctx: &mut Context<A>) -> Result<Tensor<A>> {
        let x = values(output)?;
        let mut probabilities = ctx.tensor(output.shape());
        sigmoid(x, values_mut(&mut probabilities));
        Ok(probabilities)
    }
}
