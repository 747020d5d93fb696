use super::Reduction;
use super::classes::{Classes, are_labels, class_formula};
use super::terms::{Call, Formula, loss, reduction_method};
use crate::context::Context;
use crate::error::Result;
use crate::scalar::Scalar;
use crate::tensor::values;

/// The hinge of one class out of several: the mean over all samples, or steps of samples, of
///
/// l = max(1 + max_c((1 - t_c) x_c) - sum_c(t_c x_c), 0).
///
/// The output x is (batch, ..., classes), of any size; the target is class labels or probabilities t, as for
/// [`SoftmaxCrossEntropy`](super::SoftmaxCrossEntropy). As in Keras's `CategoricalHinge`, the class of the target
/// stands in the inner maximum with 0, so that the output of the right class has to reach 1 as well. Classes that share
/// that maximum share its gradient, and where a term is 0 its gradient is 0, in the kink too.
///
/// There is one weight for each sample, or for each step (all axes but the last).
///
/// ```
/// use layerwise::losses::{CategoricalHinge, Loss};
/// use layerwise::to_tensor;
/// use ndarray::array;
/// let output = to_tensor::<f64, _, _, _>(&array![[0.5, 2.0, -1.0]])?;
/// let (loss, gradient) = CategoricalHinge::new().evaluate(&output, &to_tensor(&array![0])?, None)?;
/// assert_eq!(loss, 2.5);
/// assert_eq!(gradient, to_tensor(&array![[-1.0, 1.0, 0.0]])?);
/// # Ok::<(), layerwise::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct CategoricalHinge {
    reduction: Reduction,
    classes: Classes,
}

impl CategoricalHinge {
    /// The mean over all samples or steps.
    pub fn new() -> Self {
        Self::default()
    }

    reduction_method!();
}

impl<A: Scalar> Formula<A> for CategoricalHinge {
    class_formula!("CategoricalHinge");

    fn write(&self, call: Call<'_, A>, ctx: &mut Context<A>) -> Result<()> {
        let width = call.rows.features;
        let spread = are_labels(call.t, &call.rows).then(|| self.classes.spread(call.t, &call.rows, ctx));
        let t = spread.as_ref().map_or(Ok(call.t), values)?;
        let rows = call.x.chunks_exact(width).zip(t.chunks_exact(width));
        for (((x, t), gradient), term) in rows.zip(call.gradient.chunks_exact_mut(width)).zip(call.terms) {
            *term = hinge(x, t, gradient);
        }
        spread.into_iter().for_each(|spread| ctx.recycle(spread));
        Ok(())
    }
}

/// One row.
fn hinge<A: Scalar>(x: &[A], t: &[A], gradient: &mut [A]) -> A {
    let other = |x: A, t: A| (A::one() - t) * x;
    let (mut right, mut wrong, mut sharing) = (A::zero(), A::neg_infinity(), A::zero());
    for (&x, &t) in x.iter().zip(t) {
        right += t * x;
        let other = other(x, t);
        if other == wrong {
            sharing += A::one();
        } else if other > wrong || other.is_nan() {
            (wrong, sharing) = (other, A::one());
        }
    }
    let term = A::one() + wrong - right;
    if term <= A::zero() {
        gradient.fill(A::zero());
        return A::zero();
    }
    for ((gradient, &x), &t) in gradient.iter_mut().zip(x).zip(t) {
        let share = if other(x, t) == wrong { (A::one() - t) / sharing } else { A::zero() };
        *gradient = share - t;
    }
    term
}

loss!(CategoricalHinge);
