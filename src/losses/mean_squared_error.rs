use super::Reduction;
use super::terms::{Call, Formula, loss, reduction_method};
use crate::context::Context;
use crate::error::Result;
use crate::kernels::loss::squared_error;
use crate::scalar::Scalar;

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

    reduction_method!();
}

impl<A: Scalar> Formula<A> for MeanSquaredError {
    fn write(&self, call: Call<'_, A>, _: &mut Context<A>) -> Result<()> {
        squared_error(call.x, call.t, call.terms, call.gradient);
        Ok(())
    }
}

loss!(MeanSquaredError);
