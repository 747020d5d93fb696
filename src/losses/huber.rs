use serde_json::{Value, json};

use super::Reduction;
use super::elementwise::Elementwise;
use super::numbers::{check_positive, clip};
use super::terms::{loss, reduction_method};
use crate::error::Result;
use crate::scalar::Scalar;

/// Squared for small errors and straight for large ones: with d = x - t, the mean over all elements of
///
/// l = d² / 2 where |d| <= delta, and delta (|d| - delta / 2) beyond; the gradient is d, kept between -delta and delta.
///
/// Output and target have the same shape; for an output of (batch, ..., 1) the target may leave the last axis out.
/// There is one weight for each sample, or for each step (all axes but the last). PyTorch's `HuberLoss`, Keras's
/// `Huber`. PyTorch's `SmoothL1Loss` with `beta` is this with delta = beta, divided by beta.
///
/// ```
/// use layerwise::losses::{Huber, Loss};
/// use layerwise::to_tensor;
/// use ndarray::array;
/// let output = to_tensor::<f64, _, _, _>(&array![[1.5], [5.0]])?;
/// let (loss, gradient) = Huber::new().evaluate(&output, &to_tensor(&array![2.0, 2.0])?, None)?;
/// assert_eq!(loss, (0.125 + 2.5) / 2.0);
/// assert_eq!(gradient, to_tensor(&array![[-0.25], [0.5]])?);
/// # Ok::<(), layerwise::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Huber {
    reduction: Reduction,
    delta: f64,
}

impl Default for Huber {
    fn default() -> Self {
        Huber { reduction: Reduction::Mean, delta: 1.0 }
    }
}

impl Huber {
    /// The mean over all elements, with delta = 1.
    pub fn new() -> Self {
        Self::default()
    }

    reduction_method!();

    /// Where squares end, above 0. Default: 1, as in PyTorch and Keras.
    #[must_use]
    pub fn delta(mut self, delta: f64) -> Self {
        self.delta = delta;
        self
    }
}

impl Elementwise for Huber {
    fn settings(&self) -> Value {
        json!({ "delta": self.delta })
    }

    fn check_settings(&self) -> Result<()> {
        check_positive("delta", self.delta)
    }

    fn pair<A: Scalar>(&self, x: A, t: A) -> (A, A) {
        let (difference, delta, half) = (x - t, A::of(self.delta), A::of(0.5));
        let (slope, inside) = clip(difference, -delta, delta);
        let term = if inside { half * difference * difference } else { delta * (difference.abs() - half * delta) };
        (term, slope)
    }
}

loss!(Huber);
