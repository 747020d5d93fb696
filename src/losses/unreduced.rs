//! The loss of each sample, of losses that only know how to sum.

use ndarray::{Axis, Slice};

use super::{Loss, Samples};
use crate::context::{Context, Mode};
use crate::error::{Error, Result};
use crate::scalar::Scalar;
use crate::tensor::{Tensor, from_vec};

/// Each sample as a batch of its own, with a factor of 1.
pub(super) fn one_by_one<A: Scalar, L: Loss<A> + ?Sized>(
    loss: &L,
    output: &Tensor<A>,
    target: &Tensor<A>,
    weights: Option<&[A]>,
) -> Result<Tensor<A>> {
    if loss.couples_samples() {
        let message =
            format!("{} has no loss of a sample by itself: samples of a batch influence each other", loss.kind());
        return Err(Error::custom(message));
    }
    loss.denominator(output.shape(), target, weights)?; // for its errors, which are about the whole batch
    let batch = output.shape().first().copied().unwrap_or_default();
    let row = |tensor: &Tensor<A>, at: usize| {
        tensor.slice_axis(Axis(0), Slice::from(at..at + 1)).as_standard_layout().into_owned().into_shared()
    };
    let ctx = &mut Context::recording(Mode::Inference);
    let of_sample = |at: usize| {
        let weights = weights.map(|weights| {
            let each = weights.len() / batch;
            &weights[at * each..(at + 1) * each]
        });
        let samples = Samples { weights, scale: A::one() };
        let value = loss.compute(&row(output, at), &row(target, at), samples, false, ctx);
        value.map(|(value, _)| value).map_err(|error| error.map_sample(|row| at + row))
    };
    Ok(from_vec(&[batch], (0..batch).map(of_sample).collect::<Result<Vec<_>>>()?))
}
