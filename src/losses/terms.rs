//! What the losses that are sums of terms have in common: reductions, weights, and the terms by themselves.

use serde_json::{Value, json};

use super::{Reduction, Samples, check_weights, first_outside, reduce, terms_per_weight};
use crate::context::{Context, Mode};
use crate::error::{Error, Result};
use crate::kernels::loss::weigh;
use crate::scalar::Scalar;
use crate::tensor::{Tensor, unravel, values, values_mut};

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
            _ => Rows::before(before, last),
        })
    }

    /// So many features for each place of the axes before theirs, of which there is at least one.
    pub fn before(axes: &[usize], features: usize) -> Self {
        Rows { batch: axes[0], rows: axes.iter().product(), features }
    }

    /// How many rows share one weight.
    ///
    /// # Errors
    /// Where the weights are neither one for each sample nor one for each row, or one of them is none.
    pub fn per_weight<A: Scalar>(&self, weights: &[A]) -> Result<usize> {
        check_weights(Some(weights))?;
        terms_per_weight(self.batch, self.rows, weights.len())
    }
}

/// What a loss is beside its reduction. [`loss!`](loss) makes a [`Loss`](super::Loss) of it.
pub(super) trait Formula<A: Scalar> {
    /// Every setting but the reduction.
    fn settings(&self) -> Value {
        json!({})
    }

    /// How output and target lie, after a look at the settings.
    fn rows(&self, output: &[usize], target: &[usize]) -> Result<Rows> {
        Rows::of(output, target)
    }

    /// The number of terms of a row: one for each element of the output, if nothing else is said.
    fn terms(&self, rows: &Rows) -> usize {
        rows.features
    }

    /// The shape of all terms.
    fn term_shape(&self, output: &[usize]) -> Vec<usize> {
        output.to_vec()
    }

    /// By what the sum of the terms is divided. The weights are checked.
    fn denominator(&self, reduction: Reduction, rows: &Rows, target: &Tensor<A>, weights: Option<&[A]>) -> Result<A> {
        let _ = target;
        let of_rows = reduce(reduction, rows.batch, rows.rows, weights)?;
        Ok(if reduction == Reduction::Sum { of_rows } else { of_rows * A::of(self.terms(rows) as f64) })
    }

    /// Refuses values that are no targets.
    fn check(&self, target: &Tensor<A>, rows: &Rows) -> Result<()> {
        let _ = (target, rows);
        Ok(())
    }

    /// Writes each term, and for each element of the output the derivative of its row's terms.
    fn write(&self, call: Call<'_, A>, ctx: &mut Context<A>) -> Result<()>;

    /// [`Loss::prediction`](super::Loss::prediction).
    fn prediction(&self, output: &Tensor<A>, ctx: &mut Context<A>) -> Result<Tensor<A>> {
        let _ = ctx;
        Ok(output.clone())
    }
}

/// What a formula reads, and where it writes.
pub(super) struct Call<'a, A: Scalar> {
    pub rows: Rows,
    pub output: &'a Tensor<A>,
    pub x: &'a [A],
    pub t: &'a [A],
    pub terms: &'a mut [A],
    pub gradient: &'a mut [A],
}

/// Makes a [`Loss`](super::Loss) of a struct with a field `reduction` that has a [`Formula`].
macro_rules! loss {
    ($name:ident) => {
        impl<A: $crate::Scalar> $crate::losses::Loss<A> for $name {
            fn kind(&self) -> &str {
                stringify!($name)
            }

            fn config(&self) -> serde_json::Value {
                let mut config = $crate::losses::terms::Formula::<A>::settings(self);
                config["reduction"] = self.reduction.name().into();
                config
            }

            fn denominator(
                &self,
                output: &[usize],
                target: &$crate::Tensor<A>,
                weights: Option<&[A]>,
            ) -> $crate::Result<A> {
                $crate::losses::terms::denominator(self, self.reduction, output, target, weights)
            }

            fn compute(
                &self,
                output: &$crate::Tensor<A>,
                target: &$crate::Tensor<A>,
                samples: $crate::losses::Samples<'_, A>,
                want_gradient: bool,
                ctx: &mut $crate::Context<A>,
            ) -> $crate::Result<(A, Option<$crate::Tensor<A>>)> {
                $crate::losses::terms::compute(self, output, target, samples, want_gradient, ctx)
            }

            fn unreduced(
                &self,
                output: &$crate::Tensor<A>,
                target: &$crate::Tensor<A>,
                weights: Option<&[A]>,
            ) -> $crate::Result<$crate::Tensor<A>> {
                $crate::losses::terms::unreduced(self, output, target, weights)
            }

            fn prediction(
                &self,
                output: &$crate::Tensor<A>,
                ctx: &mut $crate::Context<A>,
            ) -> $crate::Result<$crate::Tensor<A>> {
                $crate::losses::terms::Formula::prediction(self, output, ctx)
            }
        }
    };
}
pub(super) use loss;

/// The builder method that every loss has.
macro_rules! reduction_method {
    () => {
        /// By what the sum is divided.
        #[must_use]
        pub fn reduction(mut self, reduction: $crate::losses::Reduction) -> Self {
            self.reduction = reduction;
            self
        }
    };
}
pub(super) use reduction_method;

/// [`Loss::denominator`](super::Loss::denominator) of a formula.
pub(super) fn denominator<A: Scalar>(
    formula: &impl Formula<A>,
    reduction: Reduction,
    output: &[usize],
    target: &Tensor<A>,
    weights: Option<&[A]>,
) -> Result<A> {
    let rows = formula.rows(output, target.shape())?;
    check_weights(weights)?;
    formula.denominator(reduction, &rows, target, weights)
}

/// Terms and derivatives, neither weighed nor reduced.
fn write<A: Scalar>(
    formula: &impl Formula<A>,
    output: &Tensor<A>,
    target: &Tensor<A>,
    weights: Option<&[A]>,
    ctx: &mut Context<A>,
) -> Result<(Tensor<A>, Tensor<A>)> {
    let rows = formula.rows(output.shape(), target.shape())?;
    if let Some(weights) = weights {
        rows.per_weight(weights)?;
    }
    formula.check(target, &rows)?;
    let (x, t) = (values(output)?, values(target)?);
    let mut terms = ctx.tensor(&[rows.rows * formula.terms(&rows)]);
    let mut gradient = ctx.tensor(output.shape());
    let (to, slopes) = (values_mut(&mut terms), values_mut(&mut gradient));
    formula.write(Call { rows, output, x, t, terms: to, gradient: slopes }, ctx)?;
    Ok((terms, gradient))
}

/// [`Loss::compute`](super::Loss::compute) of a formula.
pub(super) fn compute<A: Scalar>(
    formula: &impl Formula<A>,
    output: &Tensor<A>,
    target: &Tensor<A>,
    samples: Samples<'_, A>,
    want_gradient: bool,
    ctx: &mut Context<A>,
) -> Result<(A, Option<Tensor<A>>)> {
    let (terms, mut gradient) = write(formula, output, target, samples.weights, ctx)?;
    let even = [A::one()];
    let weights = samples.weights.unwrap_or(&even);
    let total = weigh(values(&terms)?, values_mut(&mut gradient), weights, samples.scale);
    ctx.recycle(terms);
    Ok((A::of(total * samples.scale.as_f64()), wanted(gradient, want_gradient, ctx)))
}

/// [`Loss::unreduced`](super::Loss::unreduced) of a formula.
pub(super) fn unreduced<A: Scalar>(
    formula: &impl Formula<A>,
    output: &Tensor<A>,
    target: &Tensor<A>,
    weights: Option<&[A]>,
) -> Result<Tensor<A>> {
    let (mut terms, _) = write(formula, output, target, weights, &mut Context::recording(Mode::Inference))?;
    if let Some(weights) = weights {
        let each = terms.len() / weights.len().max(1);
        for (terms, &w) in values_mut(&mut terms).chunks_mut(each.max(1)).zip(weights) {
            terms.iter_mut().for_each(|term| *term *= w);
        }
    }
    let shape = formula.term_shape(output.shape());
    Ok(terms.into_shape_with_order(shape).expect("the shape of the terms has as many"))
}

/// Refuses targets that are not from 0 to 1.
pub(super) fn check_shares<A: Scalar>(target: &Tensor<A>) -> Result<()> {
    let t = values(target)?;
    match first_outside(t, A::zero(), A::one()) {
        Some(at) => Err(Error::value("target", &unravel(at, target.shape()), "a number from 0 to 1", t[at])),
        None => Ok(()),
    }
}

/// The gradient, or its buffer back to the pool.
pub(super) fn wanted<A: Scalar>(gradient: Tensor<A>, want: bool, ctx: &mut Context<A>) -> Option<Tensor<A>> {
    if want {
        return Some(gradient);
    }
    ctx.recycle(gradient);
    None
}

/// All axes but the last: the shape of one term for each row.
pub(super) fn without_last(output: &[usize]) -> Vec<usize> {
    output[..output.len() - 1].to_vec()
}
