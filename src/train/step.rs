//! One step of a trainer: the network built and bound, a pass over the batch, an update.

use super::penalty::check_rules;
use super::task::{Batch, Plan, Purpose, Targets, Task};
use super::trainer::Trainer;
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::initializers::Init;
use crate::layer::Layer;
use crate::losses::Loss;
use crate::model::Model;
use crate::scalar::Scalar;

/// What a step has found.
pub(super) struct Stepped {
    /// The loss before the step.
    pub(super) loss: f64,
    /// What of it regularizers have added.
    pub(super) penalty: f64,
    pub(super) shards: usize,
}

impl<A: Scalar> Trainer<A> {
    /// Builds the model if it is not, and binds the optimizer to its weights if they are not those it knows.
    pub(super) fn prepare(&mut self, model: &mut dyn Layer<A>, data: &Dataset<A>) -> Result<()> {
        self.check_settings()?;
        self.engine.check()?;
        if self.engine.fits(model) {
            return Ok(());
        }
        if model.is_built() {
            self.check_outputs(model, data)?;
        } else {
            model.build_all(&data.sample_shapes(), &mut Init::new(self.seed))?;
        }
        check_rules(model)?;
        self.engine.check_names(model)?;
        let binding = self.engine.bind(model);
        self.pass.bind(binding);
        self.sample_shapes = data.sample_shapes();
        if self.engine.step() == 0 {
            self.epochs_done = 0;
            self.online.begin_epoch();
        }
        self.check_outputs(model, data)
    }

    /// Refuses data that do not fit the network before anything is computed.
    pub(super) fn check_outputs(&self, model: &dyn Layer<A>, data: &Dataset<A>) -> Result<()> {
        let (wants, has) = (model.output_shapes(&data.sample_shapes())?.len(), self.losses.len());
        if wants != has {
            return Err(Error::length("losses of the trainer against outputs of the model", wants, has));
        }
        Ok(())
    }

    /// Forward, backward, update. `instead` is a loss that stands in for the trainer's; `predictions` are kept for
    /// metrics; after the `last` batch weights change also if others were to be gathered first.
    pub(super) fn train_on(
        &mut self,
        model: &mut dyn Layer<A>,
        batch: Batch<'_, A>,
        instead: Option<&dyn Loss<A>>,
        predictions: bool,
        last: bool,
    ) -> Result<Stepped> {
        let stepped = self.pass_and_update(model, batch, instead, predictions, last);
        if stepped.is_err() {
            self.engine.forget_gathered();
        }
        stepped
    }

    fn pass_and_update(
        &mut self,
        model: &mut dyn Layer<A>,
        batch: Batch<'_, A>,
        instead: Option<&dyn Loss<A>>,
        predictions: bool,
        last: bool,
    ) -> Result<Stepped> {
        let targets = Targets { losses: &self.losses, instead };
        let purpose = self.training();
        let task = Task { model, targets, batch, purpose, predictions, micro_batch: self.micro_batch };
        let plan = task.plan(self.shards, self.shards_of_work(), self.threads);
        let loss = self.pass.run(task, plan, &mut self.workers)?.as_f64();
        let penalty = self.pass.penalize(model);
        let loss = loss + penalty;
        if !loss.is_finite() {
            return Err(Error::NonFinite { what: "loss".into(), step: self.engine.step() + 1, value: loss });
        }
        self.engine.check_rate()?;
        // The pass may have had a thread for each shard; the update needs no more than there are cores.
        let plan = Plan { threads: plan.threads.min(self.threads), ..plan };
        let penalty = penalty + self.pass.penalty(plan.shards).as_f64();
        self.pass.update(model, &mut self.engine, last, plan, &mut self.workers)?;
        Ok(Stepped { loss, penalty, shards: plan.shards })
    }

    /// In how many shards a batch is cut that is worth it, where the user has not fixed it: one for each thread, or as
    /// on the machine on which the training began.
    pub(super) fn shards_of_work(&self) -> usize {
        self.begun_with.unwrap_or(self.threads)
    }

    /// What the next step is for.
    pub(super) fn training(&self) -> Purpose {
        Purpose::Train { seed: self.seed, step: self.engine.passes() }
    }
}
