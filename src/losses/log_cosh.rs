use super::Reduction;
use super::elementwise::Elementwise;
use super::terms::{loss, reduction_method};
use crate::scalar::Scalar;

/// Nearly squared for small errors and nearly straight for large ones, smooth everywhere: the mean over all elements of
///
/// l = ln cosh(x - t), with the gradient tanh(x - t).
///
/// Output and target have the same shape; for an output of (batch, ..., 1) the target may leave the last axis out.
/// There is one weight for each sample, or for each step (all axes but the last). Keras's `LogCosh`; errors of any size
/// are safe, and tiny ones keep their digits.
///
/// ```
/// use layerwise::losses::{LogCosh, Loss};
/// use layerwise::to_tensor;
/// use ndarray::array;
/// let output = to_tensor::<f64, _, _, _>(&array![[1e4], [1e-10]])?;
/// let (loss, gradient) = LogCosh::new().evaluate(&output, &to_tensor(&array![0.0, 0.0])?, None)?;
/// assert!((loss - (1e4 - 2.0_f64.ln()) / 2.0).abs() < 1e-11);
/// assert_eq!(gradient, to_tensor(&array![[0.5], [0.5e-10]])?);
/// # Ok::<(), layerwise::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct LogCosh {
    reduction: Reduction,
}

impl LogCosh {
    /// The mean over all elements.
    pub fn new() -> Self {
        Self::default()
    }

    reduction_method!();
}

impl Elementwise for LogCosh {
    /// ln cosh d = |d| + ln(1 + exp(-2 |d|)) - ln 2, which cancels for small d: there it is ln(1 + sinh² d) / 2.
    fn pair<A: Scalar>(&self, x: A, t: A) -> (A, A) {
        let difference = x - t;
        let size = difference.abs();
        let term = if size < A::one() {
            let sinh = size.sinh();
            A::of(0.5) * (sinh * sinh).ln_1p()
        } else {
            size + (-(size + size)).exp().ln_1p() - A::of(std::f64::consts::LN_2)
        };
        (term, difference.tanh())
    }
}

loss!(LogCosh);
