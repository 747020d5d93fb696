use serde_json::{Value, json};

use super::Reduction;
use super::binary::{of_probability, smooth};
use super::numbers::check_share;
use super::terms::{Call, Formula, Rows, check_shares, loss, reduction_method};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::kernels::activation::sigmoid;
use crate::kernels::loss;
use crate::scalar::Scalar;
use crate::tensor::{Tensor, values, values_mut};

/// The cross-entropy of yes-or-no answers, from logits x and targets t between 0 and 1: the mean over all elements of
///
/// l = p t softplus(-x) + (1 - t) softplus(x), with the gradient (1 - t) sigmoid(x) - p t sigmoid(-x),
///
/// where p, 1 by default, is the weight of the positive answers. That is max(x, 0) - x t + ln(1 + exp(-|x|)) for
/// p = 1, and is exact for logits of any size. The network ends without an activation:
/// [`prediction`](super::Loss::prediction) gives sigmoid(x).
///
/// With [`probabilities`](Self::probabilities) the output is p = sigmoid(x) itself, kept between 1e-7 and 1 - 1e-7, as
/// in Keras: beyond there is no gradient, so that a network that is sure of a wrong answer does not learn. Logits are
/// better.
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
    smoothing: f64,
    probabilities: bool,
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

    reduction_method!();

    /// The weight p of the positive answers, in no denominator, as in PyTorch; above 1 favours recall over precision.
    /// (number of negatives) / (number of positives) makes both sorts weigh the same.
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

    /// With the smoothing s, from 0 to 1, a target t counts as (1 - s) t + s / 2. Default: 0.
    #[must_use]
    pub fn label_smoothing(mut self, smoothing: f64) -> Self {
        self.smoothing = smoothing;
        self
    }

    /// Whether the output is probabilities and not logits. Default: no.
    #[must_use]
    pub fn probabilities(mut self, probabilities: bool) -> Self {
        self.probabilities = probabilities;
        self
    }

    fn check_settings(&self, features: usize) -> Result<()> {
        check_share("label_smoothing", self.smoothing)?;
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

impl<A: Scalar> Formula<A> for BinaryCrossEntropy {
    fn settings(&self) -> Value {
        let weight = match &self.positive {
            Positive::All(weight) => json!(weight),
            Positive::Each(weights) => json!(weights),
        };
        // Nothing where there is none: checkpoints from before there were these settings go on.
        let smoothing = (self.smoothing != 0.0).then_some(self.smoothing);
        let probabilities = self.probabilities.then_some(true);
        json!({ "pos_weight": weight, "label_smoothing": smoothing, "probabilities": probabilities })
    }

    fn rows(&self, output: &[usize], target: &[usize]) -> Result<Rows> {
        let rows = Rows::of(output, target)?;
        self.check_settings(rows.features)?;
        Ok(rows)
    }

    fn check(&self, target: &Tensor<A>, _: &Rows) -> Result<()> {
        check_shares(target)
    }

    fn write(&self, call: Call<'_, A>, ctx: &mut Context<A>) -> Result<()> {
        let positive = self.tile(ctx);
        let smoothed = (self.smoothing > 0.0).then(|| {
            let mut smoothed = ctx.tensor(&[call.t.len()]);
            for (smoothed, &t) in values_mut(&mut smoothed).iter_mut().zip(call.t) {
                *smoothed = smooth(t, self.smoothing);
            }
            smoothed
        });
        let t = smoothed.as_ref().map_or(Ok(call.t), values)?;
        let p = values(&positive)?;
        if self.probabilities {
            let places = call.terms.iter_mut().zip(call.gradient);
            for (((&x, &t), &p), (term, gradient)) in call.x.iter().zip(t).zip(p.iter().cycle()).zip(places) {
                (*term, *gradient) = of_probability(x, t, p);
            }
        } else {
            loss::binary_cross_entropy(call.x, t, p, call.terms, call.gradient);
        }
        ctx.recycle(positive);
        smoothed.into_iter().for_each(|smoothed| ctx.recycle(smoothed));
        Ok(())
    }

    fn prediction(&self, output: &Tensor<A>, ctx: &mut Context<A>) -> Result<Tensor<A>> {
        if self.probabilities {
            return Ok(output.clone());
        }
        let x = values(output)?;
        let mut probabilities = ctx.tensor(output.shape());
        sigmoid().apply(x, values_mut(&mut probabilities));
        Ok(probabilities)
    }
}

loss!(BinaryCrossEntropy);
