use super::Reduction;
use super::elementwise::Elementwise;
use super::numbers::{gap, is_side};
use super::terms::{loss, reduction_method};
use crate::scalar::Scalar;

/// The loss of support vector machines, for an output x whose sign is the answer: the mean over all elements of
///
/// l = max(1 - t x, 0), with the gradient -t where that is above 0.
///
/// The target t is -1 or 1; 0 is read as -1. (Keras's `Hinge` does so where a batch has only zeros and ones in it,
/// which is the same.) Where a term is 0 its gradient is 0, in the kink too.
///
/// Output and target have the same shape; for an output of (batch, ..., 1) the target may leave the last axis out.
/// There is one weight for each sample, or for each step (all axes but the last).
///
/// ```
/// use layerwise::losses::{Hinge, Loss};
/// use layerwise::to_tensor;
/// use ndarray::array;
/// let output = to_tensor::<f64, _, _, _>(&array![[0.5], [0.5]])?;
/// let (loss, gradient) = Hinge::new().evaluate(&output, &to_tensor(&array![1, -1])?, None)?;
/// assert_eq!(loss, 1.0);
/// assert_eq!(gradient, to_tensor(&array![[-0.5], [0.5]])?);
/// # Ok::<(), layerwise::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Hinge {
    reduction: Reduction,
}

impl Hinge {
    /// The mean over all elements.
    pub fn new() -> Self {
        Self::default()
    }

    reduction_method!();
}

impl Elementwise for Hinge {
    const TARGET: &'static str = "-1, 0 or 1";

    fn takes<A: Scalar>(&self, t: A) -> bool {
        is_side(t)
    }

    fn pair<A: Scalar>(&self, x: A, t: A) -> (A, A) {
        let (gap, slope) = gap(x, t);
        (gap, slope)
    }
}

loss!(Hinge);
