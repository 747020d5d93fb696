//! What the losses with one term for each element have in common.

use super::{Reduction, Samples, check_weights, reduce, terms_per_weight};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::kernels::loss::weigh;
use crate::scalar::Scalar;
use crate::tensor::{Tensor, values, values_mut};

/// An output and its target as rows of features: a row is a sample, or a step of a sample.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows {
    pub batch: usize,
    pub rows: usize,
    pub features: usize,
}

impl Rows {
    /// The target has the output's shape, or lacks its last axis where that is 1. Nothing is broadcast.
    ///
    /// # Errors
    /// [`Error::Shape`] where it has another.
    pub fn of(output: &[usize], target: &[usize]) -> Result<Self> {
        let Some((&last, before)) = output.split_last() else {
            return Err(Error::shape("output", "the batch as axis 0", output));
        };
        let may_be_short = last == 1 && !before.is_empty();
        if target != output && !(may_be_short && target == before) {
            let short = if may_be_short { format!(" or {before:?}") } else { String::new() };
            return Err(Error::shape("target", format!("shape {output:?}{short}, as the output"), target));
        }
        Ok(match before {
            [] => Rows { batch: last, rows: last, features: 1 },
            _ => Rows { batch: before[0], rows: before.iter().product(), features: last },
        })
    }

    /// How many rows share one weight.
    ///
    /// # Errors
    /// Where the weights are neither one for each sample nor one for each row, or one of them is none.
    pub fn per_weight<A: Scalar>(&self, weights: &[A]) -> Result<usize> {
        check_weights(Some(weights))?;
        terms_per_weight(self.batch, self.rows, weights.len())
    }

    pub fn denominator<A: Scalar>(&self, reduction: Reduction, weights: Option<&[A]>) -> Result<A> {
        check_weights(weights)?;
        let of_rows = reduce(reduction, self.batch, self.rows, weights)?;
        Ok(if reduction == Reduction::Sum { of_rows } else { of_rows * A::of(self.features as f64) })
    }
}

/// [`Loss::compute`](super::Loss::compute) of a loss whose kernel writes the terms and their derivatives, given output
/// and target.
pub(super) fn compute<A: Scalar>(
    output: &Tensor<A>,
    target: &Tensor<A>,
    samples: Samples<'_, A>,
    want_gradient: bool,
    ctx: &mut Context<A>,
    kernel: impl FnOnce(&[A], &[A], &mut [A], &mut [A]),
) -> Result<(A, Option<Tensor<A>>)> {
    let rows = Rows::of(output.shape(), target.shape())?;
    if let Some(weights) = samples.weights {
        rows.per_weight(weights)?;
    }
    let (x, t) = (values(output)?, values(target)?);
    let mut terms = ctx.tensor(output.shape());
    let mut gradient = ctx.tensor(output.shape());
    kernel(x, t, values_mut(&mut terms), values_mut(&mut gradient));
    let even = [A::one()];
    let weights = samples.weights.unwrap_or(&even);
    let total = weigh(values(&terms)?, values_mut(&mut gradient), weights, samples.scale);
    ctx.recycle(terms);
    Ok((A::of(total * samples.scale.as_f64()), wanted(gradient, want_gradient, ctx)))
}

/// The gradient, or its buffer back to the pool.
pub(super) fn wanted<A: Scalar>(gradient: Tensor<A>, want: bool, ctx: &mut Context<A>) -> Option<Tensor<A>> {
    if want {
        return Some(gradient);
    }
    ctx.recycle(gradient);
    None
}
