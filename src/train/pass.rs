//! One pass of a batch over a network, cut into shards that run side by side.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::engine::Engine;
use super::penalty::penalty;
use super::shard::{Job, Shard};
use super::shared_sum::SharedSum;
use super::task::{Batch, Plan, Size, Targets, Task};
use crate::context::{AllReduce, Context, Mode};
use crate::error::{Error, Result};
use crate::gradients::{Binding, Gradients};
use crate::layer::Layer;
use crate::scalar::Scalar;
use crate::tensor::{Tensor, values};
use crate::workers::Workers;

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
    size: Size,
    /// For penalties.
    scratch: Vec<A>,
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
            size: Size::default(),
            scratch: Vec::new(),
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

    /// What the regularizers of the model's weights add to the loss. Their gradients are added to those of the last pass.
    pub(super) fn penalize(&mut self, model: &dyn Layer<A>) -> f64 {
        let Some(binding) = self.binding.as_deref().filter(|binding| binding.has_penalties()) else { return 0.0 };
        let ctx = &mut own(&mut self.shards[0]).ctx;
        let mut gradients = ctx.take_gradients();
        let penalty = penalty(model, binding, gradients.as_mut(), &mut self.scratch);
        gradients.into_iter().for_each(|gradients| ctx.give_gradients(gradients));
        penalty
    }

    /// Gives the engine the gradients of the last pass to change the model's weights by, at once or with those of the
    /// batches to come unless this is the `last`; and the model the state that the first shard found.
    pub(super) fn update(
        &mut self,
        model: &mut dyn Layer<A>,
        engine: &mut Engine<A>,
        last: bool,
        plan: Plan,
        workers: &mut Workers,
    ) -> Result<()> {
        let shards = &mut self.shards[..plan.shards];
        self.gradients.extend(shards.iter_mut().filter_map(|shard| own(shard).ctx.take_gradients()));
        let updated = engine.take(model, &self.gradients, last, workers, plan.threads);
        for (shard, gradients) in shards.iter_mut().zip(self.gradients.drain(..)) {
            own(shard).ctx.give_gradients(gradients);
        }
        updated?;
        self.commit_state(model);
        Ok(())
    }

    /// Gives the model the state that the first shard found in the last pass.
    pub(super) fn commit_state(&mut self, model: &mut dyn Layer<A>) {
        own(&mut self.shards[0]).commit_state(model);
    }

    /// Lets go of the last batch, whose owner wants to write to it.
    pub(super) fn release(&mut self) {
        self.shards.iter_mut().for_each(|shard| own(shard).clear());
        self.gathered.drain(..).for_each(|tensor| self.ctx.recycle(tensor));
    }

    /// The targets of the last batch.
    pub(super) fn gathered(&self) -> &[Tensor<A>] {
        &self.gathered
    }

    /// Runs a batch over the model and gives the weighted sum of the losses, and what its layers add.
    pub(super) fn run(&mut self, task: Task<'_, A>, plan: Plan, workers: &mut Workers) -> Result<A> {
        let Task { model, targets, batch, .. } = task;
        let Plan { shards, threads } = plan;
        self.prepare(model, batch, shards)?;
        let weights = batch.data.sample_weights().map(|w| batch.take(w, 0..batch.len(), &mut self.ctx)).transpose()?;
        self.measure(targets, weights.as_ref()).map_err(|error| error.map_sample(|row| batch.sample(row)))?;
        let job = Job {
            task,
            shards,
            gathered: &self.gathered,
            weights: weights.as_ref(),
            denominators: &self.denominators,
            output_shapes: &self.output_shapes,
            rows_at_once: self.rows_at_once(task, plan),
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
        Ok(self.total(targets, shards))
    }

    /// What layers have added to the loss in the last pass, in the order of the shards.
    pub(super) fn penalty(&mut self, shards: usize) -> A {
        self.shards(shards).fold(A::zero(), |sum, shard| sum + shard.ctx.penalty())
    }

    /// The weighted sum of the losses, added up in the order of the shards.
    fn total(&mut self, targets: Targets<'_, A>, shards: usize) -> A {
        let mut total = self.penalty(shards);
        for shard in self.shards(shards) {
            for (number, &loss) in shard.losses.iter().enumerate() {
                total += A::of(targets.of(number).1) * loss;
            }
        }
        total
    }

    /// The loss of an output in the last pass, without its weight in the sum, and its denominator.
    pub(super) fn losses(&mut self, shards: usize, output: usize) -> (A, A) {
        let denominator = self.denominators[output];
        (self.shards(shards).fold(A::zero(), |sum, shard| sum + shard.losses[output]), denominator)
    }

    /// Makes the shards, and gathers the targets of the whole batch.
    fn prepare(&mut self, model: &dyn Layer<A>, batch: Batch<'_, A>, shards: usize) -> Result<()> {
        if self.meeting.shards() != shards {
            self.meeting = Arc::new(SharedSum::new(shards));
            self.rewire(shards);
        }
        self.find_output_shapes(model, batch)?;
        let (wants, has) = (self.output_shapes.len(), batch.data.targets().len());
        if wants != has {
            return Err(Error::length("targets of the data set against outputs of the model", wants, has));
        }
        self.gathered.drain(..).for_each(|tensor| self.ctx.recycle(tensor));
        self.ctx.begin(Mode::Inference, false);
        for target in batch.data.targets() {
            self.gathered.push(batch.take(target, 0..batch.len(), &mut self.ctx)?);
        }
        Ok(())
    }

    /// Asks the model for its output shapes where the inputs have others than in the last pass.
    fn find_output_shapes(&mut self, model: &dyn Layer<A>, batch: Batch<'_, A>) -> Result<()> {
        let inputs = batch.data.inputs();
        let known = self.input_shapes.len() == inputs.len()
            && inputs.iter().zip(&self.input_shapes).all(|(x, shape)| x.shape()[1..] == shape[..]);
        if !known {
            let shapes = batch.data.sample_shapes();
            self.output_shapes = model.output_shapes(&shapes)?;
            self.output_shapes.iter_mut().for_each(|shape| shape.insert(0, 0));
            self.size = Size::of(model, &shapes)?;
            self.input_shapes = shapes;
        }
        self.output_shapes.iter_mut().for_each(|shape| shape[0] = batch.len());
        Ok(())
    }

    /// How many rows of a shard go through the network at once: all of them where they influence each other, or where
    /// they fit the cache.
    fn rows_at_once(&self, task: Task<'_, A>, plan: Plan) -> usize {
        let all = task.batch.len().div_ceil(plan.shards);
        if task.couples_samples() { all } else { task.micro_batch.unwrap_or(self.size.rows_at_once()).min(all) }
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

    /// Asks every loss for its denominator over the whole batch.
    fn measure(&mut self, targets: Targets<'_, A>, weights: Option<&Tensor<A>>) -> Result<()> {
        self.denominators.clear();
        let weights = weights.map(values).transpose()?;
        for (number, target) in self.gathered.iter().enumerate() {
            let (loss, _) = targets.of(number);
            let denominator = loss.denominator(&self.output_shapes[number], target, weights);
            self.denominators.push(denominator.map_err(|error| targets.place(error, number))?);
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
