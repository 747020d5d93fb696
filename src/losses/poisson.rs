use serde_json::{Value, json};

use super::Reduction;
use super::elementwise::Elementwise;
use super::numbers::{EPSILON, check_not_negative};
use super::terms::{loss, reduction_method};
use crate::error::Result;
use crate::scalar::Scalar;

/// The negative log-likelihood of counts t with the expected count x, without the part that x has no say in: the mean
/// over all elements of
///
/// l = x - t ln(x + 1e-7), with the gradient 1 - t / (x + 1e-7).
///
/// That is Keras's `Poisson`, for outputs that an activation keeps above 0. With [`log_input`](Self::log_input) the
/// output is the logarithm of the expected count and the network ends without an activation: l = exp(x) - t x, with the
/// gradient exp(x) - t, and [`prediction`](super::Loss::prediction) gives exp(x). PyTorch's `PoissonNLLLoss`, whose
/// default that is.
///
/// Output and target have the same shape; for an output of (batch, ..., 1) the target may leave the last axis out.
/// There is one weight for each sample, or for each step (all axes but the last).
///
/// ```
/// use layerwise::losses::{Loss, Poisson};
/// use layerwise::to_tensor;
/// use ndarray::array;
/// let output = to_tensor::<f64, _, _, _>(&array![[0.0], [0.0]])?;
/// let (loss, gradient) = Poisson::new().log_input(true).evaluate(&output, &to_tensor(&array![1, 3])?, None)?;
/// assert_eq!(loss, 1.0);
/// assert_eq!(gradient, to_tensor(&array![[0.0], [-1.0]])?);
/// # Ok::<(), layerwise::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Poisson {
    reduction: Reduction,
    log_input: bool,
    full: bool,
    epsilon: f64,
}

impl Default for Poisson {
    fn default() -> Self {
        Poisson { reduction: Reduction::Mean, log_input: false, full: false, epsilon: EPSILON }
    }
}

impl Poisson {
    /// The mean over all elements, from expected counts.
    pub fn new() -> Self {
        Self::default()
    }

    reduction_method!();

    /// Whether the output is the logarithm of the expected count. Default: no.
    #[must_use]
    pub fn log_input(mut self, log_input: bool) -> Self {
        self.log_input = log_input;
        self
    }

    /// Whether Stirling's approximation of ln t!, t ln t - t + ln(2 pi t) / 2, is added for targets above 1. It has no
    /// gradient. Default: no.
    #[must_use]
    pub fn full(mut self, full: bool) -> Self {
        self.full = full;
        self
    }

    /// What is added to an expected count before its logarithm is taken, at least 0. Default: 1e-7, as in Keras;
    /// PyTorch has 1e-8.
    #[must_use]
    pub fn epsilon(mut self, epsilon: f64) -> Self {
        self.epsilon = epsilon;
        self
    }
}

impl Elementwise for Poisson {
    const TARGET: &'static str = "a finite number of at least 0";

    fn settings(&self) -> Value {
        json!({ "log_input": self.log_input, "full": self.full, "epsilon": self.epsilon })
    }

    fn check_settings(&self) -> Result<()> {
        check_not_negative("epsilon", self.epsilon)
    }

    fn takes<A: Scalar>(&self, t: A) -> bool {
        t.is_finite() && t >= A::zero()
    }

    fn pair<A: Scalar>(&self, x: A, t: A) -> (A, A) {
        let (term, slope) = if self.log_input {
            (x.exp() - t * x, x.exp() - t)
        } else {
            let count = x + A::of(self.epsilon);
            (x - t * count.ln(), A::one() - t / count)
        };
        if !self.full || t <= A::one() {
            return (term, slope);
        }
        let stirling = t * t.ln() - t + A::of(0.5) * (A::of(std::f64::consts::TAU) * t).ln();
        (term + stirling, slope)
    }

    fn transforms(&self) -> bool {
        self.log_input
    }

    fn predicts<A: Scalar>(&self, x: A) -> A {
        x.exp()
    }
}

loss!(Poisson);
