use super::Reduction;
use super::elementwise::Elementwise;
use super::numbers::{EPSILON, clip};
use super::terms::{loss, reduction_method};
use crate::scalar::Scalar;

/// The squared difference of the logarithms, for targets t of 0 and more that span orders of magnitude: the mean over
/// all elements of
///
/// l = (ln(1 + x) - ln(1 + t))², with the gradient 2 (ln(1 + x) - ln(1 + t)) / (1 + x).
///
/// Output x and target below 1e-7 count as 1e-7, and such an output has no gradient, as in Keras's
/// `MeanSquaredLogarithmicError`: an activation that keeps outputs positive (softplus, exponential) lets all of them
/// learn.
///
/// Output and target have the same shape; for an output of (batch, ..., 1) the target may leave the last axis out.
/// There is one weight for each sample, or for each step (all axes but the last).
///
/// ```
/// use layerwise::losses::{Loss, MeanSquaredLogarithmicError};
/// use layerwise::to_tensor;
/// use ndarray::array;
/// let output = to_tensor::<f64, _, _, _>(&array![[1.0], [3.0]])?;
/// let (loss, gradient) = MeanSquaredLogarithmicError::new().evaluate(&output, &to_tensor(&array![1.0, 1.0])?, None)?;
/// assert!((loss - 2.0_f64.ln().powi(2) / 2.0).abs() < 1e-15);
/// assert_eq!(gradient[[0, 0]], 0.0);
/// # Ok::<(), layerwise::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct MeanSquaredLogarithmicError {
    reduction: Reduction,
}

impl MeanSquaredLogarithmicError {
    /// The mean over all elements.
    pub fn new() -> Self {
        Self::default()
    }

    reduction_method!();
}

impl Elementwise for MeanSquaredLogarithmicError {
    const TARGET: &'static str = "a finite number of at least 0";

    fn takes<A: Scalar>(&self, t: A) -> bool {
        t.is_finite() && t >= A::zero()
    }

    fn pair<A: Scalar>(&self, x: A, t: A) -> (A, A) {
        let at_least = |x| clip(x, A::of(EPSILON), A::infinity());
        let ((x, inside), (t, _)) = (at_least(x), at_least(t));
        let difference = x.ln_1p() - t.ln_1p();
        let slope = if inside { (difference + difference) / (A::one() + x) } else { A::zero() };
        (difference * difference, slope)
    }
}

loss!(MeanSquaredLogarithmicError);
