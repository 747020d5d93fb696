use serde_json::{Value, json};

use super::Reduction;
use super::binary::{of_logit, of_probability, sigmoid, smooth};
use super::elementwise::Elementwise;
use super::numbers::{check_not_negative, check_share};
use super::terms::{loss, reduction_method};
use crate::error::Result;
use crate::scalar::Scalar;

/// The cross-entropy of yes-or-no answers in which those that are easy count less, for classes of very different size
/// (Lin and others, "Focal loss for dense object detection", 2017): from logits x and targets t, the mean over all
/// elements of
///
/// l = a (1 - p_t)^gamma (-t ln p - (1 - t) ln(1 - p)), with p = sigmoid(x) and p_t = t p + (1 - t) (1 - p).
///
/// a is 1, or with [`alpha`](Self::alpha) t alpha + (1 - t) (1 - alpha). Logits of any size are safe, and
/// [`prediction`](super::Loss::prediction) gives sigmoid(x). With [`probabilities`](Self::probabilities) the output is
/// p itself: under the logarithms, and only there, it is kept between 1e-7 and 1 - 1e-7, and has no gradient through
/// them beyond. Keras's `BinaryFocalCrossentropy`, where `alpha` needs `apply_class_balancing`; torchvision's
/// `sigmoid_focal_loss`.
///
/// Output and target have the same shape; for an output of (batch, ..., 1) the target may leave the last axis out.
/// There is one weight for each sample, or for each step (all axes but the last).
///
/// ```
/// use layerwise::losses::{BinaryFocal, Loss};
/// use layerwise::to_tensor;
/// use ndarray::array;
/// let output = to_tensor::<f64, _, _, _>(&array![[0.0], [1000.0]])?;
/// let (loss, gradient) = BinaryFocal::new().evaluate(&output, &to_tensor(&array![1, 1])?, None)?;
/// assert!((loss - 0.25 * 2.0_f64.ln() / 2.0).abs() < 1e-15);
/// assert_eq!(gradient[[1, 0]], 0.0);
/// # Ok::<(), layerwise::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct BinaryFocal {
    reduction: Reduction,
    gamma: f64,
    alpha: Option<f64>,
    smoothing: f64,
    probabilities: bool,
}

impl Default for BinaryFocal {
    fn default() -> Self {
        BinaryFocal { reduction: Reduction::Mean, gamma: 2.0, alpha: None, smoothing: 0.0, probabilities: false }
    }
}

impl BinaryFocal {
    /// The mean over all elements, from logits, with gamma = 2 and no alpha.
    pub fn new() -> Self {
        Self::default()
    }

    reduction_method!();

    /// How much less easy answers count, at least 0; with 0 this is the cross-entropy. Default: 2, as in Keras.
    #[must_use]
    pub fn gamma(mut self, gamma: f64) -> Self {
        self.gamma = gamma;
        self
    }

    /// The weight of positive answers, from 0 to 1; negative ones have what is left to 1. Default: both have 1. Keras
    /// and torchvision know 0.25.
    #[must_use]
    pub fn alpha(mut self, alpha: f64) -> Self {
        self.alpha = Some(alpha);
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
}

impl Elementwise for BinaryFocal {
    const TARGET: &'static str = "a number from 0 to 1";

    fn settings(&self) -> Value {
        json!({
            "gamma": self.gamma,
            "alpha": self.alpha,
            "label_smoothing": self.smoothing,
            "probabilities": self.probabilities,
        })
    }

    fn check_settings(&self) -> Result<()> {
        check_not_negative("gamma", self.gamma)?;
        check_share("alpha", self.alpha.unwrap_or_default())?;
        check_share("label_smoothing", self.smoothing)
    }

    fn takes<A: Scalar>(&self, t: A) -> bool {
        t >= A::zero() && t <= A::one()
    }

    fn pair<A: Scalar>(&self, x: A, t: A) -> (A, A) {
        let (one, gamma) = (A::one(), A::of(self.gamma));
        let t = smooth(t, self.smoothing);
        let balance = self.alpha.map_or(one, |alpha| t * A::of(alpha) + (one - t) * A::of(1.0 - alpha));
        let (p, q) = if self.probabilities { (x, one - x) } else { (sigmoid(x), sigmoid(-x)) };
        let (entropy, entropy_slope) = if self.probabilities { of_probability(x, t, one) } else { of_logit(x, t) };
        // 1 - p_t without a difference, so that it keeps its digits, and its derivative.
        let miss = t * q + (one - t) * p;
        let miss_slope = (one - t - t) * if self.probabilities { one } else { p * q };
        // A certain answer has an entropy of 0, which wins over an infinite slope of the power.
        let power_slope = if miss == A::zero() && gamma < one { A::zero() } else { gamma * miss.powf(gamma - one) };
        let power = miss.powf(gamma);
        (balance * power * entropy, balance * (power * entropy_slope + power_slope * miss_slope * entropy))
    }

    fn transforms(&self) -> bool {
        !self.probabilities
    }

    fn predicts<A: Scalar>(&self, x: A) -> A {
        sigmoid(x)
    }
}

loss!(BinaryFocal);
