use serde_json::{Value, json};

use super::elementwise::{self, Rows};
use super::{Loss, Reduction, Samples};
use crate::context::Context;
use crate::error::Result;
use crate::kernels::loss::squared_error;
use crate::scalar::Scalar;
use crate::tensor::Tensor;

/// The squared difference of output x and target t, for regression: the mean over all elements of
///
/// l = (x - t)², with the gradient 2 (x - t).
///
/// Output and target have the same shape; for an output of (batch, ..., 1) the target may leave the last axis out.
/// Nothing is broadcast: PyTorch makes (batch, batch) differences of an output (batch, 1) and a target (batch,), and
/// the network then learns the mean of the targets. There is one weight for each sample, or for each step (all axes
/// but the last).
///
/// By default the sum is divided by the number of elements ([`Reduction::Mean`]), as in PyTorch's `MSELoss` and
/// Keras's `MeanSquaredError`.
///
/// ```
/// use layerwise::losses::{Loss, MeanSquaredError};
/// use layerwise::to_tensor;
/// use ndarray::array;
/// let output = to_tensor::<f64, _, _, _>(&array![[1.0], [4.0]])?;
/// let target = to_tensor(&array![2.0, 2.0])?;
/// let (loss, gradient) = MeanSquaredError::new().evaluate(&output, &target, None)?;
/// assert_eq!(loss, 2.5);
/// assert_eq!(gradient, to_tensor(&array![[-1.0], [2.0]])?);
/// # Ok::<(), layerwise::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct MeanSquaredError {
    reduction: Reduction,
}

impl MeanSquaredError {
    /// The mean over all elements.
    pub fn new() -> Self {
        Self::default()
    }

    /// By what the sum is divided.
    #[must_use]
    pub fn reduction(mut self, reduction: Reduction) -> Self {
        self.reduction = reduction;
        self
    }
}

impl<A: Scalar> Loss<A> for MeanSquaredError {
    fn kind(&self) -> &str {
        "MeanSquaredError"
    }

    fn config(&self) -> Value {
        json!({ "reduction": self.reduction.name() })
    }

    fn denominator(&self, output: &[usize], target: &Tensor<A>, weights: Option<&[A]>) -> Result<A> {
        Rows::of(output, target.shape())?.denominator(self.reduction, weights)
    }

    fn compute(
        &self,
        output: &Tensor<A>,
        target: &Tensor<A>,
        samples: Samples<'_, A>,
        want_gradient: bool,
        ctx: &mut Context<A>,
    ) -> Result<(A, Option<Tensor<A>>)> {
        elementwise::compute(output, target, samples, want_gradient, ctx, squared_error)
    }
}
