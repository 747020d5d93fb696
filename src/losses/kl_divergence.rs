use serde_json::{Value, json};

use super::Reduction;
use super::elementwise::Elementwise;
use super::numbers::{EPSILON, clip};
use super::terms::{loss, reduction_method};
use crate::error::{Error, Result};
use crate::scalar::Scalar;

/// The Kullback-Leibler divergence of the output's distribution x from the target's t, which stand along the last axis:
/// the mean over all samples, or steps of samples, of
///
/// l = sum_c t_c ln(t_c / x_c), with the gradient -t / x.
///
/// Targets are from 0 to 1. As in Keras's `KLDivergence`, numbers outside 1e-7 to 1 count as the nearer bound, and an
/// output there has no gradient. With [`log_input`](Self::log_input) the output is ln x (a log-softmax): nothing is
/// bounded, a target of 0 adds nothing, and the gradient is -t. With [`log_target`](Self::log_target) too the target is
/// ln t. That is PyTorch's `KLDivLoss` with `reduction="batchmean"`; its `"mean"` divides by the number of classes too.
///
/// Output and target have the same shape. There is one weight for each sample, or for each step (all axes but the
/// last).
///
/// ```
/// use layerwise::losses::{KLDivergence, Loss};
/// use layerwise::to_tensor;
/// use ndarray::array;
/// let output = to_tensor::<f64, _, _, _>(&array![[0.25, 0.75]])?;
/// let (loss, gradient) = KLDivergence::new().evaluate(&output, &to_tensor(&array![[0.25, 0.75]])?, None)?;
/// assert_eq!(loss, 0.0);
/// assert_eq!(gradient, to_tensor(&array![[-1.0, -1.0]])?);
/// # Ok::<(), layerwise::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct KLDivergence {
    reduction: Reduction,
    log_input: bool,
    log_target: bool,
}

impl Default for KLDivergence {
    fn default() -> Self {
        KLDivergence { reduction: Reduction::Mean, log_input: false, log_target: false }
    }
}

impl KLDivergence {
    /// The mean over all samples or steps, of probabilities.
    pub fn new() -> Self {
        Self::default()
    }

    reduction_method!();

    /// Whether the output is the logarithm of probabilities. Default: no.
    #[must_use]
    pub fn log_input(mut self, log_input: bool) -> Self {
        self.log_input = log_input;
        self
    }

    /// Whether the target is the logarithm of probabilities too; only with [`log_input`](Self::log_input). Default: no.
    #[must_use]
    pub fn log_target(mut self, log_target: bool) -> Self {
        self.log_target = log_target;
        self
    }
}

impl Elementwise for KLDivergence {
    const TARGET: &'static str = "a number from 0 to 1";

    const SUMMED: bool = true;

    fn settings(&self) -> Value {
        json!({ "log_input": self.log_input, "log_target": self.log_target })
    }

    fn check_settings(&self) -> Result<()> {
        if self.log_target && !self.log_input {
            return Err(Error::setting("log_target", "false where log_input is", self.log_target));
        }
        Ok(())
    }

    fn takes<A: Scalar>(&self, t: A) -> bool {
        self.log_target || (t >= A::zero() && t <= A::one())
    }

    fn pair<A: Scalar>(&self, x: A, t: A) -> (A, A) {
        if self.log_target {
            let p = t.exp();
            return (p * (t - x), -p);
        }
        if self.log_input {
            let term = if t == A::zero() { A::zero() } else { t * (t.ln() - x) };
            return (term, -t);
        }
        let bound = |x| clip(x, A::of(EPSILON), A::one());
        let ((x, inside), (t, _)) = (bound(x), bound(t));
        (t * (t / x).ln(), if inside { -t / x } else { A::zero() })
    }
}

loss!(KLDivergence);
