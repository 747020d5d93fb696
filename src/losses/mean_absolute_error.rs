use super::Reduction;
use super::elementwise::Elementwise;
use super::numbers::sign;
use super::terms::{loss, reduction_method};
use crate::scalar::Scalar;

/// The distance of output x and target t, for regression that large errors should not rule: the mean over all elements
/// of
///
/// l = |x - t|, with the gradient -1, 0 or 1.
///
/// Output and target have the same shape; for an output of (batch, ..., 1) the target may leave the last axis out.
/// There is one weight for each sample, or for each step (all axes but the last). PyTorch's `L1Loss`, Keras's
/// `MeanAbsoluteError`.
///
/// ```
/// use layerwise::losses::{Loss, MeanAbsoluteError};
/// use layerwise::to_tensor;
/// use ndarray::array;
/// let output = to_tensor::<f64, _, _, _>(&array![[1.0], [4.0]])?;
/// let (loss, gradient) = MeanAbsoluteError::new().evaluate(&output, &to_tensor(&array![2.0, 2.0])?, None)?;
/// assert_eq!(loss, 1.5);
/// assert_eq!(gradient, to_tensor(&array![[-0.5], [0.5]])?);
/// # Ok::<(), layerwise::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct MeanAbsoluteError {
    reduction: Reduction,
}

impl MeanAbsoluteError {
    /// The mean over all elements.
    pub fn new() -> Self {
        Self::default()
    }

    reduction_method!();
}

impl Elementwise for MeanAbsoluteError {
    fn pair<A: Scalar>(&self, x: A, t: A) -> (A, A) {
        ((x - t).abs(), sign(x - t))
    }
}

loss!(MeanAbsoluteError);
