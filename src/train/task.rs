//! What a pass is asked to do: for which samples and losses, and in how many pieces.

use std::ops::Range;

use crate::context::Context;
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::layer::Layer;
use crate::losses::Loss;
use crate::model::rows_of;
use crate::param::{Param, Visitor};
use crate::scalar::Scalar;
use crate::summary::Summary;
use crate::tensor::{Tensor, gather_rows};

/// Below so many floating-point operations a pass stays on the calling thread: a few tens of microseconds.
const FORK_FROM: f64 = 4e6;

/// The numbers that a micro-batch may work on: 1 MiB of `f32`.
const CACHE: usize = 1 << 18;

/// The fewest rows of a micro-batch.
const LEAST_ROWS: usize = 8;

/// One pass of a batch over a network.
#[derive(Clone, Copy)]
pub(super) struct Task<'t, A: Scalar> {
    pub(super) model: &'t dyn Layer<A>,
    pub(super) targets: Targets<'t, A>,
    pub(super) batch: Batch<'t, A>,
    pub(super) purpose: Purpose,
    /// Whether somebody asks what the losses take the outputs for.
    pub(super) predictions: bool,
    /// How many rows of a shard go through the network at once, where the user fixed it.
    pub(super) micro_batch: Option<usize>,
}

impl<A: Scalar> Task<'_, A> {
    /// Whether the samples of a batch influence each other.
    pub(super) fn couples_samples(&self) -> bool {
        self.model.couples_samples() || self.targets.couple_samples()
    }

    /// In how many shards to cut the batch and how many threads to use, where `shards` is what the user fixed and
    /// `of_work` is for batches that are worth it where he did not. The number of shards must not depend on what the
    /// machine is busy with.
    pub(super) fn plan(&self, shards: Option<usize>, of_work: usize, threads: usize) -> Plan {
        let rows = self.batch.len();
        let sample = &self.batch.data.inputs()[0].shape()[1..];
        let operations = operations(self.model, sample, self.batch.len());
        let worth_it = is_worth_a_fork(self.purpose.operations() * operations);
        let automatic = if worth_it { of_work } else { 1 };
        let shards = shards.unwrap_or(automatic).min(rows);
        let threads = match (self.couples_samples(), worth_it) {
            (true, _) => shards,
            (false, true) => shards.min(threads),
            (false, false) => 1,
        };
        Plan { shards, threads }
    }
}

/// How often weights are used in a forward pass, as an estimate: every one once at every position of every sample.
pub(super) fn operations<A: Scalar>(model: &dyn Layer<A>, sample: &[usize], rows: usize) -> f64 {
    let positions: usize = sample.iter().rev().skip(1).product();
    let mut weights = 0;
    model.visit(&mut Visitor::unnamed(&mut |_, param: &Param<A>| weights += param.len()));
    weights as f64 * positions as f64 * rows as f64
}

/// Whether so many floating-point operations are worth a second thread.
pub(super) fn is_worth_a_fork(operations: f64) -> bool {
    operations >= FORK_FROM
}

/// How much memory a network works on.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Size {
    /// The values between its layers, for one sample.
    values: usize,
    /// The numbers of its weights.
    weights: usize,
}

impl Size {
    pub(super) fn of<A: Scalar>(model: &dyn Layer<A>, inputs: &[Vec<usize>]) -> Result<Self> {
        let mut summary = Summary::of::<A>(inputs);
        model.summarize(inputs, &mut summary)?;
        let numbers =
            |shapes: &Vec<Vec<usize>>| shapes.iter().map(|shape| shape.iter().product::<usize>()).sum::<usize>();
        let values = summary.rows().iter().map(|row| numbers(&row.outputs)).sum();
        Ok(Size { values, weights: summary.trainable() + summary.non_trainable() })
    }

    /// The rows whose values and gradients stay in the second cache, but so many that reading the weights anew for each
    /// of these micro-batches costs less than it saves. It must not depend on the machine: sums are in this order.
    pub(super) fn rows_at_once(self) -> usize {
        let values = self.values.max(1);
        (CACHE / (2 * values)).max(self.weights.div_ceil(values)).max(LEAST_ROWS)
    }
}

/// How a batch is shared out.
#[derive(Clone, Copy)]
pub(super) struct Plan {
    pub(super) shards: usize,
    pub(super) threads: usize,
}

/// The rows of shard `number` of `shards`: as even as can be.
pub(super) fn part(rows: usize, shards: usize, number: usize) -> Range<usize> {
    number * rows / shards..(number + 1) * rows / shards
}

/// The samples of a batch.
#[derive(Clone, Copy)]
pub(super) struct Batch<'b, A: Scalar> {
    pub(super) data: &'b Dataset<A>,
    pub(super) rows: Rows<'b>,
}

/// Which rows of its data set a batch is.
#[derive(Clone, Copy)]
pub(super) enum Rows<'b> {
    /// All of them.
    All,
    /// These.
    Of(&'b [usize]),
    /// All of them, and they have these numbers in the data set from which they were taken.
    Taken(&'b [usize]),
}

impl<A: Scalar> Batch<'_, A> {
    pub(super) fn len(&self) -> usize {
        match self.rows {
            Rows::Of(rows) => rows.len(),
            Rows::All | Rows::Taken(_) => self.data.len(),
        }
    }

    /// The row of the user's data set that is row `row` of the batch.
    pub(super) fn sample(&self, row: usize) -> usize {
        match self.rows {
            Rows::Of(rows) | Rows::Taken(rows) => rows.get(row).copied().unwrap_or(row),
            Rows::All => row,
        }
    }

    /// A part of a tensor of the data set: shared where the batch is the data set, gathered where it is some rows.
    pub(super) fn take(&self, tensor: &Tensor<A>, part: Range<usize>, ctx: &mut Context<A>) -> Result<Tensor<A>> {
        let Rows::Of(rows) = self.rows else { return Ok(rows_of(tensor, part.start, part.end)) };
        let rows = &rows[part];
        let mut shape = tensor.raw_dim();
        shape[0] = rows.len();
        let mut gathered = ctx.tensor(ndarray::Dimension::slice(&shape));
        gather_rows(tensor, rows, &mut gathered)?;
        Ok(gathered)
    }
}

/// What a pass is for.
#[derive(Clone, Copy)]
pub(super) enum Purpose {
    /// Forward, losses, backward.
    Train { seed: u64, step: u64 },
    /// Forward and losses.
    Evaluate,
    /// Forward, as in training: for running statistics. The batches are counted from 0.
    Refresh { seed: u64, batch: u64 },
}

impl Purpose {
    /// A multiplication and an addition forward, and backward as many for either gradient.
    fn operations(self) -> f64 {
        match self {
            Purpose::Train { .. } => 6.0,
            Purpose::Evaluate | Purpose::Refresh { .. } => 2.0,
        }
    }

    pub(super) fn is_training(self) -> bool {
        matches!(self, Purpose::Train { .. })
    }
}

/// The loss of each output and its share in the sum.
#[derive(Clone, Copy)]
pub(super) struct Targets<'t, A: Scalar> {
    pub(super) losses: &'t [(Box<dyn Loss<A>>, f64)],
    /// One that stands in for them all.
    pub(super) instead: Option<&'t dyn Loss<A>>,
}

impl<'t, A: Scalar> Targets<'t, A> {
    /// Adds which output an error is about, where there are several.
    pub(super) fn place(&self, error: Error, output: usize) -> Error {
        if self.losses.len() == 1 {
            return error;
        }
        error.within(format!("output {output} ({})", self.of(output).0.kind()))
    }

    pub(super) fn of(&self, output: usize) -> (&'t dyn Loss<A>, f64) {
        match self.instead {
            Some(loss) => (loss, 1.0),
            None => (&*self.losses[output].0, self.losses[output].1),
        }
    }

    fn couple_samples(&self) -> bool {
        self.instead.is_some_and(|loss| loss.couples_samples())
            || self.losses.iter().any(|(loss, _)| loss.couples_samples())
    }
}
