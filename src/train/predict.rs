//! A batch of predictions shared out over the trainer's threads.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use ndarray::Dimension;

use super::task::{is_worth_a_fork, operations, part};
use super::trainer::Trainer;
use crate::context::{Context, Mode};
use crate::error::{Error, Result};
use crate::layer::Layer;
use crate::model::{predict_rows, rows_of, with_context};
use crate::scalar::Scalar;
use crate::tensor::{Tensor, values, values_mut};

/// The most threads that share a prediction. Where each of them leaves its part stands in an array of this length, so
/// that nothing is allocated.
const MOST: usize = 32;

/// Below so many floating-point operations threads that sleep are not waited for: to wake them takes as long.
const WAKE_FROM: f64 = 4e7;

/// What one thread makes of its rows.
type Part<A> = Mutex<Option<Result<Tensor<A>>>>;

impl<A: Scalar> Trainer<A> {
    /// The outputs for samples in row-major order, by as many threads as are worth it.
    pub(super) fn predict_shared(&self, model: &dyn Layer<A>, x: &Tensor<A>) -> Result<Tensor<A>> {
        let rows = x.shape()[0];
        let threads = self.threads.min(rows).min(MOST);
        let operations = 2.0 * operations(model, &x.shape()[1..], rows);
        if threads < 2 || !is_worth_a_fork(operations) {
            return outputs(model, x, 0..rows);
        }
        // Taken where a layer predicts with the trainer that runs it: then this thread works alone.
        let Ok(mut workers) = self.serving.try_lock() else { return outputs(model, x, 0..rows) };
        if operations < WAKE_FROM && !workers.are_awake(threads) {
            if workers.are_in_demand() {
                workers.wake(threads);
            }
            let outputs = outputs(model, x, 0..rows);
            workers.finished();
            return outputs;
        }
        let parts: [Part<A>; MOST] = [const { Mutex::new(None) }; MOST];
        workers.run(threads, &|thread| {
            let outputs = outputs(model, x, part(rows, threads, thread));
            *parts[thread].lock().unwrap_or_else(PoisonError::into_inner) = Some(outputs);
        });
        workers.finished();
        with_context(|ctx| join(rows, parts.into_iter().take(threads), ctx))
    }
}

/// The outputs for some of the samples, by this thread.
fn outputs<A: Scalar>(model: &dyn Layer<A>, x: &Tensor<A>, rows: Range<usize>) -> Result<Tensor<A>> {
    let start = rows.start;
    with_context(|ctx| {
        ctx.begin(Mode::Inference, false);
        let outputs = predict_rows(model, &rows_of(x, rows.start, rows.end), ctx)?;
        Ok(ctx.lend(outputs))
    })
    .map_err(|error: Error| error.map_sample(|row| start + row))
}

/// The parts of the threads, one behind the other.
fn join<A: Scalar>(rows: usize, parts: impl Iterator<Item = Part<A>>, ctx: &mut Context<A>) -> Result<Tensor<A>> {
    let mut whole: Option<Tensor<A>> = None;
    let mut at = 0;
    for part in parts {
        let Some(outputs) = part.into_inner().unwrap_or_else(PoisonError::into_inner) else { continue };
        let outputs = outputs?;
        let whole = whole.get_or_insert_with(|| {
            let mut shape = outputs.raw_dim();
            shape[0] = rows;
            ctx.tensor(Dimension::slice(&shape))
        });
        let outputs = values(&outputs)?;
        values_mut(whole)[at..at + outputs.len()].copy_from_slice(outputs);
        at += outputs.len();
    }
    let whole = whole.ok_or_else(|| Error::Empty("the array of samples to predict".into()))?;
    Ok(ctx.lend(whole))
}
