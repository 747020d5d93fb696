//! One pass of a batch over a network, cut into shards that run side by side.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::engine::Engine;
use super::shared_sum::SharedSum;
use super::workers::Workers;
use crate::context::{AllReduce, Context, Mode};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::gradients::{Binding, Gradients};
use crate::kernels::elementwise;
use crate::layer::Layer;
use crate::losses::{Loss, Samples, scale};
use crate::model::rows_of;
use crate::param::{Param, Visitor};
use crate::scalar::Scalar;
use crate::tensor::{Tensor, values, values_mut};

/// The samples of a batch: all of a data set, or some rows of it.
#[derive(Clone, Copy)]
pub(super) struct Batch<'b, A: Scalar> {
    pub(super) data: &'b Dataset<A>,
    pub(super) rows: Option<&'b [usize]>,
}

impl<A: Scalar> Batch<'_, A> {
    pub(super) fn len(&self) -> usize {
        self.rows.map_or(self.data.len(), <[usize]>::len)
    }

    /// A part of a tensor of the data set: shared where the batch is the data set, gathered where it is some rows.
    fn take(&self, tensor: &Tensor<A>, part: Range<usize>, ctx: &mut Context<A>) -> Result<Tensor<A>> {
        let Some(rows) = self.rows else { return Ok(rows_of(tensor, part.start, part.end)) };
        let rows = &rows[part];
        let mut shape = tensor.raw_dim();
        shape[0] = rows.len();
        let mut gathered = ctx.tensor(ndarray::Dimension::slice(&shape));
        let source = values(tensor)?;
        let width = source.len() / tensor.shape()[0];
        for (place, &row) in values_mut(&mut gathered).chunks_exact_mut(width.max(1)).zip(rows) {
            place.copy_from_slice(&source[row * width..(row + 1) * width]);
        }
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
}

/// The loss of each output and its share in the sum.
#[derive(Clone, Copy)]
pub(super) struct Targets<'t, A: Scalar> {
    pub(super) losses: &'t [(Box<dyn Loss<A>>, f64)],
    /// One that stands in for them all.
    pub(super) instead: Option<&'t dyn Loss<A>>,
}

impl<'t, A: Scalar> Targets<'t, A> {
    fn of(&self, output: usize) -> (&'t dyn Loss<A>, f64) {
        match self.instead {
            Some(loss) => (loss, 1.0),
            None => (&*self.losses[output].0, self.losses[output].1),
        }
    }
}

/// What all shards of a pass have in common.
struct Job<'j, A: Scalar> {
    model: &'j dyn Layer<A>,
    targets: Targets<'j, A>,
    batch: Batch<'j, A>,
    purpose: Purpose,
    predictions: bool,
    /// Target and weights of the whole batch.
    gathered: &'j [Tensor<A>],
    weights: Option<&'j Tensor<A>>,
    denominators: &'j [A],
    /// The shape of each output for the whole batch.
    output_shapes: &'j [Vec<usize>],
    shards: usize,
}

impl<A: Scalar> Job<'_, A> {
    /// The row of the data set that is row `row` of a shard.
    fn sample(&self, shard: usize, row: usize) -> usize {
        let row = part(self.batch.len(), self.shards, shard).start + row;
        self.batch.rows.and_then(|rows| rows.get(row).copied()).unwrap_or(row)
    }
}

/// One shard: its context and what it holds during a pass.
pub(super) struct Shard<A: Scalar> {
    pub(super) ctx: Context<A>,
    inputs: Vec<Tensor<A>>,
    outputs: Vec<Tensor<A>>,
    gradients: Vec<Option<Tensor<A>>>,
    /// For each output what its loss takes it for, where somebody asked.
    pub(super) predictions: Vec<Tensor<A>>,
    /// The loss of each output, as this shard's part of the batch's, without its weight in the sum.
    losses: Vec<A>,
    error: Option<Error>,
}

impl<A: Scalar> Shard<A> {
    fn new() -> Self {
        Shard {
            ctx: Context::inference(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            gradients: Vec::new(),
            predictions: Vec::new(),
            losses: Vec::new(),
            error: None,
        }
    }

    /// Gives all values back that a pass has left.
    fn clear(&mut self) {
        for list in [&mut self.inputs, &mut self.outputs, &mut self.predictions] {
            list.drain(..).for_each(|tensor| self.ctx.recycle(tensor));
        }
        self.gradients.drain(..).flatten().for_each(|tensor| self.ctx.recycle(tensor));
        self.losses.clear();
    }

    /// Gives the model the state that this shard's pass has come to.
    fn commit_state(&mut self, model: &mut dyn Layer<A>) {
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

    fn run(&mut self, number: usize, job: &Job<'_, A>) -> Result<()> {
        self.clear();
        let rows = part(job.batch.len(), job.shards, number);
        match job.purpose {
            Purpose::Train { seed, step } => {
                self.ctx.begin(Mode::Training, true);
                self.ctx.seed(seed, step, number);
            }
            Purpose::Evaluate => self.ctx.begin(Mode::Inference, false),
        }
        for input in job.batch.data.inputs() {
            self.inputs.push(job.batch.take(input, rows.clone(), &mut self.ctx)?);
        }
        job.model.forward_all(&self.inputs, &mut self.outputs, &mut self.ctx)?;
        for output in &mut self.outputs {
            let given = std::mem::replace(output, self.ctx.nothing());
            *output = self.ctx.standard(given);
        }
        self.compute_losses(&rows, job)?;
        if let Purpose::Train { .. } = job.purpose {
            let mut unused = self.ctx.frame(job.batch.data.inputs().len());
            job.model.backward_all(
                &self.inputs,
                &self.outputs,
                &self.gradients,
                false,
                &mut unused.values,
                &mut self.ctx,
            )?;
            self.ctx.recycle_frame(unused);
        }
        Ok(())
    }

    fn compute_losses(&mut self, rows: &Range<usize>, job: &Job<'_, A>) -> Result<()> {
        if self.outputs.len() != job.gathered.len() {
            let what = "targets of the data set against outputs of the model";
            return Err(Error::length(what, self.outputs.len(), job.gathered.len()));
        }
        let weights = job.weights.map(|weights| rows_of(weights, rows.start, rows.end));
        let weights = weights.as_ref().map(values).transpose()?;
        let train = matches!(job.purpose, Purpose::Train { .. });
        for (number, output) in self.outputs.iter().enumerate() {
            let (loss, weight) = job.targets.of(number);
            // The denominators were worked out for the shape that the model promised.
            let promised = &job.output_shapes[number][1..];
            if output.shape().split_first() != Some((&rows.len(), promised)) {
                let expected = format!("shape {promised:?} for each of {} samples, as `output_shape` says", rows.len());
                return Err(Error::shape(format!("output {number} of the model"), expected, output.shape()));
            }
            let target = rows_of(&job.gathered[number], rows.start, rows.end);
            let samples = Samples { weights, scale: scale(job.denominators[number]) };
            let (value, gradient) = loss.compute(output, &target, samples, train, &mut self.ctx)?;
            self.losses.push(value);
            let gradient = gradient.map(|gradient| weighed(gradient, weight, output, loss.kind(), &mut self.ctx));
            self.gradients.push(gradient.transpose()?);
            if job.predictions {
                self.predictions.push(loss.prediction(output, &mut self.ctx)?);
            }
        }
        Ok(())
    }

    /// Runs the shard, and keeps an error or a panic for the caller to find.
    fn run_and_report(&mut self, number: usize, job: &Job<'_, A>, meeting: &SharedSum<A>) {
        let outcome = catch_unwind(AssertUnwindSafe(|| self.run(number, job)));
        self.error = match outcome {
            Ok(result) => result.err().map(|error| error.map_sample(|row| job.sample(number, row))),
            Err(panic) => Some(Error::Panicked { shard: number, message: message(&*panic) }),
        };
        match self.error {
            Some(_) => meeting.poison(),
            None => meeting.leave(),
        }
    }
}

/// The gradient of a loss with respect to an output, times the loss's weight in the sum.
fn weighed<A: Scalar>(
    gradient: Tensor<A>,
    weight: f64,
    output: &Tensor<A>,
    kind: &str,
    ctx: &mut Context<A>,
) -> Result<Tensor<A>> {
    if gradient.shape() != output.shape() {
        let expected = format!("shape {:?} of the output", output.shape());
        return Err(Error::shape(format!("gradient of {kind}"), expected, gradient.shape()));
    }
    let mut gradient = ctx.standard(gradient);
    if weight != 1.0 {
        elementwise::scale(values_mut(&mut gradient), A::of(weight));
    }
    Ok(gradient)
}

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "unknown".into())
}

/// The rows of shard `number` of `shards`: as even as can be.
fn part(rows: usize, shards: usize, number: usize) -> Range<usize> {
    number * rows / shards..(number + 1) * rows / shards
}

/// The shards with their contexts, kept from pass to pass.
pub(super) struct Pass<A: Scalar> {
    shards: Vec<Mutex<Shard<A>>>,
    meeting: Arc<SharedSum<A>>,
    binding: Option<Arc<Binding>>,
    /// For what belongs to the whole batch.
    ctx: Context<A>,
    gathered: Vec<Tensor<A>>,
    denominators: Vec<A>,
    /// Where the shards' gradients are while the weights change.
    gradients: Vec<Gradients<A>>,
    /// The outputs' shapes for the batch, and the inputs' for which they were worked out.
    output_shapes: Vec<Vec<usize>>,
    input_shapes: Vec<Vec<usize>>,
}

impl<A: Scalar> Pass<A> {
    pub(super) fn new() -> Self {
        Pass {
            shards: Vec::new(),
            meeting: Arc::new(SharedSum::new(0)),
            binding: None,
            ctx: Context::inference(),
            gathered: Vec::new(),
            denominators: Vec::new(),
            gradients: Vec::new(),
            output_shapes: Vec::new(),
            input_shapes: Vec::new(),
        }
    }

    /// The gradients that are gathered from now on are those of this binding.
    pub(super) fn bind(&mut self, binding: Arc<Binding>) {
        for shard in &mut self.shards {
            own(shard).ctx.bind(Arc::clone(&binding));
        }
        self.binding = Some(binding);
        self.forget_shapes();
    }

    /// The next pass may be over another model.
    pub(super) fn forget_shapes(&mut self) {
        self.input_shapes.clear();
    }

    /// The shards of the last pass.
    pub(super) fn shards(&mut self, count: usize) -> impl Iterator<Item = &mut Shard<A>> {
        self.shards[..count].iter_mut().map(own)
    }

    /// What the loss takes an output of the last pass for, in one shard.
    pub(super) fn prediction(&mut self, shard: usize, output: usize) -> &Tensor<A> {
        &own(&mut self.shards[shard]).predictions[output]
    }

    /// Changes the model's weights by the gradients of the last pass, and its state by what the first shard found.
    pub(super) fn update(
        &mut self,
        model: &mut dyn Layer<A>,
        engine: &mut Engine<A>,
        shards: usize,
        workers: &mut Workers,
        threads: usize,
    ) -> Result<()> {
        let shards = &mut self.shards[..shards];
        self.gradients.extend(shards.iter_mut().filter_map(|shard| own(shard).ctx.take_gradients()));
        let updated = engine.update(model, &self.gradients, workers, threads);
        for (shard, gradients) in shards.iter_mut().zip(self.gradients.drain(..)) {
            own(shard).ctx.give_gradients(gradients);
        }
        updated?;
        own(&mut shards[0]).commit_state(model);
        Ok(())
    }

    /// The targets of the last batch.
    pub(super) fn gathered(&self) -> &[Tensor<A>] {
        &self.gathered
    }

    /// Runs a batch over the model in `shards` shards on `threads` threads, and gives the weighted sum of the losses.
    pub(super) fn run(
        &mut self,
        model: &dyn Layer<A>,
        targets: Targets<'_, A>,
        batch: Batch<'_, A>,
        purpose: Purpose,
        predictions: bool,
        (shards, threads): (usize, usize),
        workers: &mut Workers,
    ) -> Result<A> {
        self.prepare(model, batch, shards)?;
        let weights = batch.data.sample_weights().map(|w| batch.take(w, 0..batch.len(), &mut self.ctx)).transpose()?;
        let sample = |row: usize| batch.rows.and_then(|rows| rows.get(row).copied()).unwrap_or(row);
        self.measure(targets, weights.as_ref()).map_err(|error| error.map_sample(sample))?;
        let job = Job {
            model,
            targets,
            batch,
            purpose,
            predictions,
            gathered: &self.gathered,
            weights: weights.as_ref(),
            denominators: &self.denominators,
            output_shapes: &self.output_shapes,
            shards,
        };
        let all = &self.shards;
        let meeting = &*self.meeting;
        meeting.begin(threads >= shards);
        workers.run(threads, &|thread| {
            for number in (thread..shards).step_by(threads) {
                lock(&all[number]).run_and_report(number, &job, meeting);
            }
        });
        weights.into_iter().for_each(|weights| self.ctx.recycle(weights));
        self.first_error(shards)?;
        let mut total = A::zero();
        for shard in self.shards(shards) {
            for (number, &loss) in shard.losses.iter().enumerate() {
                total += A::of(targets.of(number).1) * loss;
            }
        }
        Ok(total)
    }

    /// The loss of an output in the last pass, without its weight in the sum, and its denominator.
    pub(super) fn losses(&mut self, shards: usize, output: usize) -> (A, A) {
        let denominator = self.denominators[output];
        (self.shards(shards).fold(A::zero(), |sum, shard| sum + shard.losses[output]), denominator)
    }

    fn prepare(&mut self, model: &dyn Layer<A>, batch: Batch<'_, A>, shards: usize) -> Result<()> {
        if self.meeting.shards() != shards {
            self.meeting = Arc::new(SharedSum::new(shards));
            self.rewire(shards);
        }
        let inputs = batch.data.inputs();
        let known = self.input_shapes.len() == inputs.len()
            && inputs.iter().zip(&self.input_shapes).all(|(x, shape)| x.shape()[1..] == shape[..]);
        if !known {
            let shapes = batch.data.sample_shapes();
            self.output_shapes = model.output_shapes(&shapes)?;
            self.output_shapes.iter_mut().for_each(|shape| shape.insert(0, 0));
            self.input_shapes = shapes;
        }
        let (wants, has) = (self.output_shapes.len(), batch.data.targets().len());
        if wants != has {
            return Err(Error::length("targets of the data set against outputs of the model", wants, has));
        }
        self.output_shapes.iter_mut().for_each(|shape| shape[0] = batch.len());
        self.gathered.drain(..).for_each(|tensor| self.ctx.recycle(tensor));
        self.ctx.begin(Mode::Inference, false);
        for target in batch.data.targets() {
            self.gathered.push(batch.take(target, 0..batch.len(), &mut self.ctx)?);
        }
        Ok(())
    }

    /// Makes shards as they are needed, and has those of this pass meet in the same place.
    fn rewire(&mut self, shards: usize) {
        while self.shards.len() < shards {
            let mut shard = Shard::new();
            if let Some(binding) = &self.binding {
                shard.ctx.bind(Arc::clone(binding));
            }
            self.shards.push(Mutex::new(shard));
        }
        for (number, shard) in self.shards[..shards].iter_mut().enumerate() {
            let meeting = (shards > 1).then(|| Arc::clone(&self.meeting) as Arc<dyn AllReduce<A>>);
            own(shard).ctx.set_shard(number, meeting);
        }
    }

    fn measure(&mut self, targets: Targets<'_, A>, weights: Option<&Tensor<A>>) -> Result<()> {
        self.denominators.clear();
        let weights = weights.map(values).transpose()?;
        for (number, target) in self.gathered.iter().enumerate() {
            let (loss, _) = targets.of(number);
            self.denominators.push(loss.denominator(&self.output_shapes[number], target, weights)?);
        }
        Ok(())
    }

    /// The first error of a shard that failed by itself.
    fn first_error(&mut self, shards: usize) -> Result<()> {
        let mut first: Option<Error> = None;
        for shard in self.shards(shards) {
            if let Some(error) = shard.error.take() {
                // Those that were only left waiting know nothing of the cause.
                if first.as_ref().is_none_or(|held| matches!(held.root(), Error::Poisoned)) {
                    first = Some(error);
                }
            }
        }
        first.map_or(Ok(()), Err)
    }
}

fn lock<A: Scalar>(shard: &Mutex<Shard<A>>) -> MutexGuard<'_, Shard<A>> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

fn own<A: Scalar>(shard: &mut Mutex<Shard<A>>) -> &mut Shard<A> {
    shard.get_mut().unwrap_or_else(PoisonError::into_inner)
}
