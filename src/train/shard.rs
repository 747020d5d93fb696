//! One shard of a batch: forward, losses and backward, in a context of its own.

use std::any::Any;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::shared_sum::SharedSum;
use super::task::{Purpose, Task, part};
use crate::context::{Context, Mode};
use crate::error::{Error, Result};
use crate::kernels::elementwise;
use crate::layer::Layer;
use crate::losses::{Loss, Samples, scale};
use crate::model::rows_of;
use crate::param::{Param, Visitor};
use crate::scalar::Scalar;
use crate::tensor::{Tensor, values, values_mut};

/// What all shards of a pass have in common.
pub(super) struct Job<'j, A: Scalar> {
    pub(super) task: Task<'j, A>,
    pub(super) shards: usize,
    /// The targets of the whole batch.
    pub(super) gathered: &'j [Tensor<A>],
    /// The weights of its samples.
    pub(super) weights: Option<&'j Tensor<A>>,
    /// By what the sum of each loss over the whole batch is divided.
    pub(super) denominators: &'j [A],
    /// The shape of each output for the whole batch.
    pub(super) output_shapes: &'j [Vec<usize>],
    /// The rows of a shard that go through the network at once.
    pub(super) rows_at_once: usize,
}

impl<A: Scalar> Job<'_, A> {
    /// The rows of the batch that a shard has.
    fn rows(&self, shard: usize) -> Range<usize> {
        part(self.task.batch.len(), self.shards, shard)
    }

    /// Refuses an output of another shape than the model promised: the denominators were worked out for that one.
    fn check_output(&self, number: usize, output: &Tensor<A>, rows: usize) -> Result<()> {
        let promised = &self.output_shapes[number][1..];
        if output.shape().split_first() == Some((&rows, promised)) {
            return Ok(());
        }
        let expected = format!("shape {promised:?} for each of {rows} samples, as `output_shape` says");
        Err(Error::shape(format!("output {number} of the model"), expected, output.shape()))
    }
}

/// One shard: its context and what it holds during a pass.
pub(super) struct Shard<A: Scalar> {
    pub(super) ctx: Context<A>,
    inputs: Vec<Tensor<A>>,
    outputs: Vec<Tensor<A>>,
    /// The gradient with respect to each output.
    gradients: Vec<Option<Tensor<A>>>,
    /// For each output what its loss takes it for, where somebody asked.
    pub(super) predictions: Vec<Tensor<A>>,
    /// The rows that these have so far.
    predicted: usize,
    /// The loss of each output, as this shard's part of the batch's, without its weight in the sum.
    pub(super) losses: Vec<A>,
    pub(super) error: Option<Error>,
}

impl<A: Scalar> Shard<A> {
    pub(super) fn new() -> Self {
        Shard {
            ctx: Context::inference(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            gradients: Vec::new(),
            predictions: Vec::new(),
            predicted: 0,
            losses: Vec::new(),
            error: None,
        }
    }

    /// Runs the shard, and keeps an error or a panic for the caller to find.
    pub(super) fn run_and_report(&mut self, number: usize, job: &Job<'_, A>, meeting: &SharedSum<A>) {
        let sample = |row: usize| job.task.batch.sample(job.rows(number).start + row);
        let outcome = catch_unwind(AssertUnwindSafe(|| self.run(number, job)));
        self.error = match outcome {
            Ok(result) => result.err().map(|error| error.map_sample(sample)),
            Err(panic) => Some(Error::Panicked { shard: number, message: message(&*panic) }),
        };
        match self.error {
            Some(_) => meeting.poison(),
            None => meeting.leave(),
        }
    }

    fn run(&mut self, number: usize, job: &Job<'_, A>) -> Result<()> {
        self.clear();
        match job.task.purpose {
            Purpose::Train { seed, step } => {
                self.ctx.begin(Mode::Training, true);
                self.ctx.seed(seed, step, number);
            }
            Purpose::Evaluate => self.ctx.begin(Mode::Inference, false),
            Purpose::Refresh { seed, batch } => {
                self.ctx.begin_refresh(batch == 0);
                self.ctx.seed(seed, batch, number);
            }
        }
        self.ctx.set_batch_size(job.task.batch.len());
        let rows = job.rows(number);
        for start in rows.clone().step_by(job.rows_at_once) {
            let part = start..rows.end.min(start + job.rows_at_once);
            let done = self.run_rows(&part, rows.len(), job);
            done.map_err(|error| error.map_sample(|row| part.start - rows.start + row))?;
            if part.end < rows.end {
                self.clear_values();
            }
        }
        Ok(())
    }

    /// Some rows of a shard of `all`: their losses and gradients are added to those of the rows before.
    fn run_rows(&mut self, rows: &Range<usize>, all: usize, job: &Job<'_, A>) -> Result<()> {
        self.forward(rows, job)?;
        if let Purpose::Refresh { .. } = job.task.purpose {
            return Ok(());
        }
        self.compute_losses(rows, all, job)?;
        if job.task.purpose.is_training() {
            self.backward(job)?;
        }
        Ok(())
    }

    /// Gives all values back that a pass has left.
    pub(super) fn clear(&mut self) {
        self.clear_values();
        self.predictions.drain(..).for_each(|tensor| self.ctx.recycle(tensor));
        self.losses.clear();
        self.predicted = 0;
    }

    /// Gives those back that the next rows do not need.
    fn clear_values(&mut self) {
        for list in [&mut self.inputs, &mut self.outputs] {
            list.drain(..).for_each(|tensor| self.ctx.recycle(tensor));
        }
        self.gradients.drain(..).flatten().for_each(|tensor| self.ctx.recycle(tensor));
    }

    fn forward(&mut self, rows: &Range<usize>, job: &Job<'_, A>) -> Result<()> {
        let batch = job.task.batch;
        self.ctx.set_mask(None);
        for input in batch.data.inputs() {
            self.inputs.push(batch.take(input, rows.clone(), &mut self.ctx)?);
        }
        job.task.model.forward_all(&self.inputs, &mut self.outputs, &mut self.ctx)?;
        for output in &mut self.outputs {
            let given = std::mem::replace(output, self.ctx.nothing());
            *output = self.ctx.standard(given);
        }
        Ok(())
    }

    /// The loss of each output, in training its gradient, and what it takes the output for.
    fn compute_losses(&mut self, rows: &Range<usize>, all: usize, job: &Job<'_, A>) -> Result<()> {
        if self.outputs.len() != job.gathered.len() {
            let what = "targets of the data set against outputs of the model";
            return Err(Error::length(what, self.outputs.len(), job.gathered.len()));
        }
        let weights = job.weights.map(|weights| rows_of(weights, rows.start, rows.end));
        let weights = weights.as_ref().map(values).transpose()?;
        for (number, output) in self.outputs.iter().enumerate() {
            job.check_output(number, output, rows.len())?;
            let (loss, weight) = job.task.targets.of(number);
            let target = rows_of(&job.gathered[number], rows.start, rows.end);
            let samples = Samples { weights, scale: scale(job.denominators[number]) };
            let computed = loss.compute(output, &target, samples, job.task.purpose.is_training(), &mut self.ctx);
            let (value, gradient) = computed.map_err(|error| job.task.targets.place(error, number))?;
            match self.losses.get_mut(number) {
                Some(loss) => *loss += value,
                None => self.losses.push(value),
            }
            let gradient = gradient.map(|gradient| weighed(gradient, weight, output, loss, &mut self.ctx));
            self.gradients.push(gradient.transpose()?);
            if job.task.predictions {
                let prediction = loss.prediction(output, &mut self.ctx)?;
                keep_prediction(&mut self.predictions, number, prediction, self.predicted, all, &mut self.ctx)?;
            }
        }
        self.predicted += rows.len();
        Ok(())
    }

    /// Adds up the gradients of the weights. Nobody wants those of the inputs.
    fn backward(&mut self, job: &Job<'_, A>) -> Result<()> {
        let Shard { ctx, inputs, outputs, gradients, .. } = self;
        let mut unused = ctx.frame(inputs.len());
        job.task.model.backward_all(inputs, outputs, gradients, false, &mut unused.values, ctx)?;
        ctx.recycle_frame(unused);
        Ok(())
    }

    /// Gives the model the state that this shard's pass has come to.
    pub(super) fn commit_state(&mut self, model: &mut dyn Layer<A>) {
        if self.ctx.pending().is_empty() {
            return;
        }
        let ctx = &mut self.ctx;
        // A state that stands in the model twice has two places to go to.
        let mut each = |_: &str, param: &mut Param<A>| {
            if let Some(value) = ctx.pending_of(param.id()) {
                param.replace(Some(value)).into_iter().for_each(|old| ctx.recycle(old));
            }
        };
        model.visit_mut(&mut Visitor::unnamed(&mut each));
        ctx.drop_pending();
    }
}

/// Puts the prediction for some rows of `all` behind those of the rows before.
fn keep_prediction<A: Scalar>(
    predictions: &mut Vec<Tensor<A>>,
    number: usize,
    prediction: Tensor<A>,
    before: usize,
    all: usize,
    ctx: &mut Context<A>,
) -> Result<()> {
    let rows = prediction.shape()[0];
    if rows == all {
        predictions.push(prediction);
        return Ok(());
    }
    if predictions.len() == number {
        let mut shape = prediction.raw_dim();
        shape[0] = all;
        predictions.push(ctx.tensor(ndarray::Dimension::slice(&shape)));
    }
    let prediction = ctx.standard(prediction);
    let width = prediction.len() / rows;
    values_mut(&mut predictions[number])[before * width..][..rows * width].copy_from_slice(values(&prediction)?);
    ctx.recycle(prediction);
    Ok(())
}

/// The gradient of a loss with respect to an output, times the loss's weight in the sum.
fn weighed<A: Scalar>(
    gradient: Tensor<A>,
    weight: f64,
    output: &Tensor<A>,
    loss: &dyn Loss<A>,
    ctx: &mut Context<A>,
) -> Result<Tensor<A>> {
    if gradient.shape() != output.shape() {
        let expected = format!("shape {:?} of the output", output.shape());
        return Err(Error::shape(format!("gradient of {}", loss.kind()), expected, gradient.shape()));
    }
    let mut gradient = ctx.standard(gradient);
    if weight != 1.0 {
        elementwise::scale(values_mut(&mut gradient), A::of(weight));
    }
    Ok(gradient)
}

/// What a panic says.
pub(super) fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "unknown".into())
}
