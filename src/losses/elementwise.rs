//! Losses whose terms are one formula of an element of the output and one of the target.

use serde_json::{Value, json};

use super::terms::{Call, Formula, Rows, without_last};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::scalar::Scalar;
use crate::tensor::{Tensor, unravel, values, values_mut};

/// A term and its derivative, element by element. Whatever has this has a [`Formula`].
pub(super) trait Elementwise {
    /// What a target must be, for errors, where it cannot be any number.
    const TARGET: &'static str = "a number";

    /// Whether the elements of the last axis add up to one term.
    const SUMMED: bool = false;

    /// Every setting but the reduction.
    fn settings(&self) -> Value {
        json!({})
    }

    /// Refuses settings that cannot work.
    fn check_settings(&self) -> Result<()> {
        Ok(())
    }

    /// Whether a value can be a target.
    fn takes<A: Scalar>(&self, t: A) -> bool {
        let _ = t;
        true
    }

    /// The term l(x, t) and its derivative with respect to the output x.
    fn pair<A: Scalar>(&self, x: A, t: A) -> (A, A);

    /// What an element of the output means.
    fn predicts<A: Scalar>(&self, x: A) -> A {
        x
    }

    /// Whether that is something else than the element itself.
    fn transforms(&self) -> bool {
        false
    }
}

impl<A: Scalar, E: Elementwise> Formula<A> for E {
    fn settings(&self) -> Value {
        Elementwise::settings(self)
    }

    fn rows(&self, output: &[usize], target: &[usize]) -> Result<Rows> {
        self.check_settings()?;
        Rows::of(output, target)
    }

    fn terms(&self, rows: &Rows) -> usize {
        if E::SUMMED { 1 } else { rows.features }
    }

    fn term_shape(&self, output: &[usize]) -> Vec<usize> {
        if E::SUMMED && output.len() > 1 { without_last(output) } else { output.to_vec() }
    }

    fn check(&self, target: &Tensor<A>, _: &Rows) -> Result<()> {
        let t = values(target)?;
        match t.iter().position(|&t| !self.takes(t)) {
            Some(at) => Err(Error::value("target", &unravel(at, target.shape()), E::TARGET, t[at])),
            None => Ok(()),
        }
    }

    fn write(&self, call: Call<'_, A>, _: &mut Context<A>) -> Result<()> {
        let features = if E::SUMMED { call.rows.features.max(1) } else { 1 };
        let rows = call.x.chunks_exact(features).zip(call.t.chunks_exact(features));
        for (((x, t), gradient), total) in rows.zip(call.gradient.chunks_exact_mut(features)).zip(call.terms) {
            *total = A::zero();
            for ((&x, &t), gradient) in x.iter().zip(t).zip(gradient) {
                let (term, slope) = self.pair(x, t);
                *total += term;
                *gradient = slope;
            }
        }
        Ok(())
    }

    fn prediction(&self, output: &Tensor<A>, ctx: &mut Context<A>) -> Result<Tensor<A>> {
        if !self.transforms() {
            return Ok(output.clone());
        }
        let x = values(output)?;
        let mut prediction = ctx.tensor(output.shape());
        for (prediction, &x) in values_mut(&mut prediction).iter_mut().zip(x) {
            *prediction = self.predicts(x);
        }
        Ok(prediction)
    }
}
