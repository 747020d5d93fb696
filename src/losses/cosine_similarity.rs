use super::Reduction;
use super::numbers::EPSILON;
use super::terms::{Call, Formula, Rows, loss, reduction_method, without_last};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::scalar::Scalar;

/// The cosine of the angle between output x and target t along the last axis, negated so that it is -1 for vectors of
/// one direction: the mean over all samples, or steps of samples, of
///
/// l = -(x / |x|) (t / |t|), with the gradient -(t / |t| + l x / |x|) / |x|.
///
/// A vector shorter than 1e-7 is divided by 1e-7, as in Keras's `CosineSimilarity`: with a vector of zeros the loss is
/// 0. (An output of zeros has a gradient as large as 1e7.)
///
/// Output and target have the same shape, (batch, ..., features). There is one weight for each sample, or for each step
/// (all axes but the last).
///
/// ```
/// use layerwise::losses::{CosineSimilarity, Loss};
/// use layerwise::to_tensor;
/// use ndarray::array;
/// let output = to_tensor::<f64, _, _, _>(&array![[3.0, 4.0]])?;
/// let (loss, gradient) = CosineSimilarity::new().evaluate(&output, &to_tensor(&array![[8.0, 0.0]])?, None)?;
/// assert!((loss + 0.6).abs() < 1e-15);
/// assert!((gradient[[0, 0]] + 0.128).abs() < 1e-15);
/// # Ok::<(), layerwise::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct CosineSimilarity {
    reduction: Reduction,
}

impl CosineSimilarity {
    /// The mean over all samples or steps.
    pub fn new() -> Self {
        Self::default()
    }

    reduction_method!();
}

/// One over the length, and whether that changes with the vector.
fn inverse_length<A: Scalar>(x: &[A]) -> (A, bool) {
    // Of numbers that are at most 1, so that squares neither overflow nor vanish.
    let largest =
        x.iter().fold(A::zero(), |largest, x| if x.abs() > largest || x.is_nan() { x.abs() } else { largest });
    let scale = if largest > A::zero() { largest } else { A::one() };
    let length = x.iter().map(|&x| (x / scale) * (x / scale)).sum::<A>().sqrt() * scale;
    if length < A::of(EPSILON) { (A::of(1.0 / EPSILON), false) } else { (A::one() / length, true) }
}

impl<A: Scalar> Formula<A> for CosineSimilarity {
    fn rows(&self, output: &[usize], target: &[usize]) -> Result<Rows> {
        if output.len() < 2 || output[output.len() - 1] == 0 {
            return Err(Error::shape("output of CosineSimilarity", "(batch, ..., features)", output));
        }
        Rows::of(output, target)
    }

    fn terms(&self, _: &Rows) -> usize {
        1
    }

    fn term_shape(&self, output: &[usize]) -> Vec<usize> {
        without_last(output)
    }

    fn write(&self, call: Call<'_, A>, _: &mut Context<A>) -> Result<()> {
        let features = call.rows.features;
        let rows = call.x.chunks_exact(features).zip(call.t.chunks_exact(features));
        for (((x, t), gradient), term) in rows.zip(call.gradient.chunks_exact_mut(features)).zip(call.terms) {
            let ((of_x, inside), (of_t, _)) = (inverse_length(x), inverse_length(t));
            *term = -x.iter().zip(t).map(|(&x, &t)| (x * of_x) * (t * of_t)).sum::<A>();
            let pull = if inside { *term } else { A::zero() };
            for ((gradient, &x), &t) in gradient.iter_mut().zip(x).zip(t) {
                *gradient = -(t * of_t + pull * (x * of_x)) * of_x;
            }
        }
        Ok(())
    }
}

loss!(CosineSimilarity);
