//! From gradients to new weights: sum over shards, clipping, decay, and the optimizer's rule, in one sweep.

mod accumulation;
mod clip;
mod groups;
mod memory;
mod options;
mod slots;
mod sweep;
mod tensors;
mod weights;

use std::collections::HashMap;
use std::sync::Arc;

use accumulation::Accumulation;
pub(super) use clip::Clipping;
use clip::Factors;
pub(super) use groups::Scaled;
use groups::{Groups, Share};
pub(super) use memory::{History, Memory};
use serde_json::{Value, json};
use slots::Slots;
use sweep::Sweep;
use tensors::Tensors;
use weights::{Ties, collect, constrain};

use super::rate::RateControl;
use super::slices::{Chunks, MOST_SLOTS, SliceTable};
use crate::error::{Error, Result};
use crate::gradients::{Binding, Gradients};
use crate::layer::Layer;
use crate::optimizers::Optimizer;
use crate::param::ParamId;
use crate::scalar::Scalar;
use crate::workers::Workers;

/// The elements that are treated at once: a chunk of the weight, its gradient and two moments fit the first cache.
const CHUNK: usize = 2048;

/// Below so many weights the update stays on the calling thread.
const FORK_FROM: usize = 1 << 16;

/// An optimizer's rule with everything around it.
pub(super) struct Engine<A: Scalar> {
    rule: Arc<dyn Optimizer<A>>,
    clipping: Clipping,
    groups: Groups,
    accumulation: Accumulation<A>,
    binding: Arc<Binding>,
    /// Whether there was a model to bind to yet.
    bound: bool,
    chunks: Chunks,
    factors: Factors,
    /// What each weight has of rate and decay.
    shares: Vec<Share>,
    slots: Slots<A>,
    /// What a rule for whole tensors needs besides.
    tensors: Tensors<A>,
    /// The updates that each weight has had: bias corrections count these.
    ages: Vec<u64>,
    /// Slots and ages of weights of the model that are frozen now.
    resting: HashMap<ParamId, History<A>>,
    /// Steps taken.
    step: u64,
    rates: RateControl,
    /// The rate of the last step.
    last_rate: Option<f64>,
    table: SliceTable<A>,
    ties: Ties<A>,
    /// For constraints.
    scratch: Vec<A>,
}

impl<A: Scalar> Engine<A> {
    pub(super) fn new(rule: Arc<dyn Optimizer<A>>) -> Self {
        Engine {
            rule,
            clipping: Clipping::default(),
            groups: Groups::default(),
            accumulation: Accumulation::new(1),
            binding: Arc::default(),
            bound: false,
            chunks: Chunks::default(),
            factors: Factors::default(),
            shares: Vec::new(),
            slots: Slots::default(),
            tensors: Tensors::default(),
            ages: Vec::new(),
            resting: HashMap::new(),
            step: 0,
            rates: RateControl::default(),
            last_rate: None,
            table: SliceTable::new(),
            ties: Ties::default(),
            scratch: Vec::new(),
        }
    }

    pub(super) fn step(&self) -> u64 {
        self.step
    }

    /// The learning rate of the next step.
    pub(super) fn rate(&self) -> f64 {
        self.rates.rate(self.scheduled_rate())
    }

    /// What the schedule has for the next step.
    pub(super) fn scheduled_rate(&self) -> f64 {
        self.rule.schedule().rate(self.step)
    }

    /// Refuses a rate of the next step that is none.
    pub(super) fn check_rate(&self) -> Result<()> {
        self.rates.check_rate(self.scheduled_rate()).map_err(|error| error.within(format!("step {}", self.step + 1)))
    }

    /// The learning rate of the last step, if there was one.
    pub(super) fn last_rate(&self) -> Option<f64> {
        self.last_rate
    }

    /// What callbacks make of the schedule's rates.
    pub(super) fn rates(&self) -> RateControl {
        self.rates
    }

    /// The same, to be changed.
    pub(super) fn rates_mut(&mut self) -> &mut RateControl {
        &mut self.rates
    }

    pub(super) fn rule(&self) -> &dyn Optimizer<A> {
        &*self.rule
    }

    /// The rule and its settings, as checkpoints have them.
    pub(super) fn settings(&self) -> Value {
        json!({ "kind": self.rule.kind(), "config": self.rule.config(), "slots": self.rule.slots() })
    }

    pub(super) fn check(&self) -> Result<()> {
        self.rule.check()?;
        self.clipping.check()?;
        self.groups.check()?;
        if self.accumulation.every == 0 {
            return Err(Error::setting("accumulate", "at least 1 batch", 0));
        }
        if self.rule.slots().len() > MOST_SLOTS {
            return Err(Error::setting(
                "slots of the optimizer",
                format!("at most {MOST_SLOTS}"),
                self.rule.slots().len(),
            ));
        }
        Ok(())
    }

    /// Takes on the trainable weights of a model. Weights that it knows go on with their slots and ages, also after they
    /// were frozen for a while; those that have left the model are forgotten. A model of which it knows no weight begins
    /// at step 1.
    pub(super) fn bind(&mut self, model: &dyn Layer<A>) -> Arc<Binding> {
        let mut known = self.take_known_of(model);
        let is_new = known.is_empty();
        if is_new {
            (self.step, self.rates, self.last_rate) = (0, RateControl::default(), None);
        }
        let binding = Binding::of(model);
        let shapes = slots::shapes(model, &binding);
        let mut slots = Slots::new(&*self.rule, &shapes);
        let mut ages = vec![0; binding.spans.len()];
        for (at, (age, span)) in ages.iter_mut().zip(&binding.spans).enumerate() {
            let Some(history) = known.remove(&span.id) else { continue };
            if slots.set(at, &history.slots) {
                *age = history.age;
            }
        }
        self.resting = known;
        self.chunks = Chunks::cut(binding.spans.iter().map(|span| span.range.len()), CHUNK);
        self.factors = Factors::new(binding.spans.len(), self.chunks.iter().len());
        self.shares = self.groups.shares(model, &binding);
        self.tensors = Tensors::of(&*self.rule, shapes, &slots);
        (self.slots, self.ages, self.bound) = (slots, ages, true);
        self.binding = Arc::new(binding);
        self.accumulation.bind(&self.binding, !is_new);
        Arc::clone(&self.binding)
    }

    /// Whether it is bound to the model's weights as they are now.
    pub(super) fn fits(&self, model: &dyn Layer<A>) -> bool {
        self.bound && self.binding.fits(model)
    }

    /// Takes the gradients of a batch, and changes the weights by them: at once, or together with those of the batches
    /// before if it is the last of them.
    ///
    /// # Errors
    /// [`Error::NonFinite`] for a gradient norm that is none; no weight has changed then.
    pub(super) fn take(
        &mut self,
        model: &mut dyn Layer<A>,
        shards: &[Gradients<A>],
        last: bool,
        workers: &mut Workers,
        threads: usize,
    ) -> Result<()> {
        if self.accumulation.every == 1 {
            return self.update(model, shards, 1.0, workers, threads);
        }
        let gathered = self.accumulation.add(shards, last);
        self.update_by(model, gathered, workers, threads).map(drop)
    }

    /// Changes the weights by the mean of what was gathered since the last update, if anything was; tells whether.
    ///
    /// # Errors
    /// As for [`take`](Self::take).
    pub(super) fn flush(&mut self, model: &mut dyn Layer<A>, workers: &mut Workers, threads: usize) -> Result<bool> {
        let gathered = self.accumulation.take();
        self.update_by(model, gathered, workers, threads)
    }

    fn update_by(
        &mut self,
        model: &mut dyn Layer<A>,
        gathered: Option<(Gradients<A>, u64)>,
        workers: &mut Workers,
        threads: usize,
    ) -> Result<bool> {
        let Some((sum, batches)) = gathered else { return Ok(false) };
        let updated = self.update(model, std::slice::from_ref(&sum), 1.0 / batches as f64, workers, threads);
        self.accumulation.give_back(sum);
        updated.map(|()| true)
    }

    /// One step: changes the weights of the model by `share` times the gradients of the shards.
    fn update(
        &mut self,
        model: &mut dyn Layer<A>,
        shards: &[Gradients<A>],
        share: f64,
        workers: &mut Workers,
        threads: usize,
    ) -> Result<()> {
        let threads = if self.binding.len() < FORK_FROM { 1 } else { threads };
        if self.clipping.needs_norms() {
            self.factors.measure(shards, &self.chunks, workers, threads);
        }
        self.factors.find(self.clipping, share, &self.chunks, self.step + 1)?;
        for (at, age) in self.ages.iter_mut().enumerate() {
            *age += u64::from(shards.iter().any(|shard| shard.is_touched(at)));
        }
        let rate = self.rate();
        let sweep = Sweep {
            rule: &*self.rule,
            rate,
            ages: &self.ages,
            shares: &self.shares,
            factors: &self.factors.of,
            clip_value: self.clipping.value,
            shards,
        };
        self.ties.release(model, &self.binding);
        let mut slices = self.table.borrow(self.binding.spans.len());
        collect(model, &self.binding, &mut slices);
        for slot in &mut self.slots.values {
            slices.push_slot(slot);
        }
        match self.rule.takes_tensors() {
            true => self.tensors.sweep(slices, &sweep, workers, threads),
            false => slices.sweep(workers, threads, &self.chunks, &|chunk, w, slots| sweep.chunk(chunk, w, slots)),
        }
        if self.binding.has_constraints() {
            constrain(model, &self.binding, &mut self.scratch);
        }
        self.ties.restore(model, &self.binding);
        self.step += 1;
        self.last_rate = Some(rate);
        Ok(())
    }
}
