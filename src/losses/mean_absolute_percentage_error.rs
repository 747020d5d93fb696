use super::Reduction;
use super::elementwise::Elementwise;
use super::numbers::{EPSILON, clip, sign};
use super::terms::{loss, reduction_method};
use crate::scalar::Scalar;

/// The distance of output x and target t in percent of the target: the mean over all elements of
///
/// l = 100 |x - t| / max(|t|, 1e-7), with the gradient 100 sign(x - t) / max(|t|, 1e-7).
///
/// Output and target have the same shape; for an output of (batch, ..., 1) the target may leave the last axis out.
/// There is one weight for each sample, or for each step (all axes but the last). The bound is Keras's, as is the rest:
/// `MeanAbsolutePercentageError`. A target of 0 makes terms that dwarf all others.
///
/// ```
/// use layerwise::losses::{Loss, MeanAbsolutePercentageError};
/// use layerwise::to_tensor;
/// use ndarray::array;
/// let output = to_tensor::<f64, _, _, _>(&array![[1.0], [5.0]])?;
/// let (loss, gradient) = MeanAbsolutePercentageError::new().evaluate(&output, &to_tensor(&array![2.0, 4.0])?, None)?;
/// assert_eq!(loss, 37.5);
/// assert_eq!(gradient, to_tensor(&array![[-25.0], [12.5]])?);
/// # Ok::<(), layerwise::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct MeanAbsolutePercentageError {
    reduction: Reduction,
}

impl MeanAbsolutePercentageError {
    /// The mean over all elements.
    pub fn new() -> Self {
        Self::default()
    }

    reduction_method!();
}

impl Elementwise for MeanAbsolutePercentageError {
    fn pair<A: Scalar>(&self, x: A, t: A) -> (A, A) {
        let percent = A::of(100.0) / clip(t.abs(), A::of(EPSILON), A::infinity()).0;
        ((x - t).abs() * percent, sign(x - t) * percent)
    }
}

loss!(MeanAbsolutePercentageError);
