//! From gradients to new weights: sum over shards, clipping, decay, and the optimizer's rule, in one sweep.

mod memory;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub(super) use memory::{History, Memory};
use serde_json::{Value, json};

use super::rate::RateControl;
use super::workers::{Chunk, Chunks, MOST_SLOTS, SliceTable, Slices, Workers};
use crate::error::{Error, Result};
use crate::gradients::{Binding, Gradients};
use crate::kernels::{elementwise, reduce, update};
use crate::layer::Layer;
use crate::optimizers::{Decay, Optimizer, Step};
use crate::param::{Param, ParamId, Visitor};
use crate::scalar::Scalar;
use crate::tensor::Tensor;

/// The elements that are treated at once: a chunk of the weight, its gradient and two moments fit the first cache.
const CHUNK: usize = 2048;

/// Below so many weights the update stays on the calling thread.
const FORK_FROM: usize = 1 << 16;

/// What `clip_norm` adds to the norm before it divides, as PyTorch's `clip_grad_norm_` does.
const CLIP_EPSILON: f64 = 1e-6;

/// An optimizer's rule with everything around it.
pub(super) struct Engine<A: Scalar> {
    rule: Box<dyn Optimizer<A>>,
    clip_norm: Option<f64>,
    binding: Arc<Binding>,
    /// Whether there was a model to bind to yet.
    bound: bool,
    chunks: Chunks,
    /// The bits of each chunk's sum of squares, for the norm.
    squares: Vec<AtomicU64>,
    slots: Vec<Vec<A>>,
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
}

impl<A: Scalar> Engine<A> {
    pub(super) fn new(rule: Box<dyn Optimizer<A>>) -> Self {
        Engine {
            rule,
            clip_norm: None,
            binding: Arc::default(),
            bound: false,
            chunks: Chunks::default(),
            squares: Vec::new(),
            slots: Vec::new(),
            ages: Vec::new(),
            resting: HashMap::new(),
            step: 0,
            rates: RateControl::default(),
            last_rate: None,
            table: SliceTable::new(),
            ties: Ties::default(),
        }
    }

    pub(super) fn set_clip_norm(&mut self, norm: f64) {
        self.clip_norm = Some(norm);
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

    pub(super) fn clip_norm(&self) -> Option<f64> {
        self.clip_norm
    }

    pub(super) fn check(&self) -> Result<()> {
        self.rule.check()?;
        if let Some(norm) = self.clip_norm
            && !(norm.is_finite() && norm > 0.0)
        {
            return Err(Error::setting("clip_norm", "a finite number above 0", norm));
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
        if known.is_empty() {
            (self.step, self.rates, self.last_rate) = (0, RateControl::default(), None);
        }
        let binding = Binding::of(model);
        let mut slots: Vec<Vec<A>> = self.rule.slots().iter().map(|_| vec![A::zero(); binding.len()]).collect();
        let mut ages = vec![0; binding.spans.len()];
        for (age, span) in ages.iter_mut().zip(&binding.spans) {
            let Some(history) = known.remove(&span.id) else { continue };
            if history.slots.iter().all(|slot| slot.len() == span.range.len()) {
                *age = history.age;
                for (new, old) in slots.iter_mut().zip(&history.slots) {
                    new[span.range.clone()].copy_from_slice(old);
                }
            }
        }
        self.resting = known;
        self.chunks = Chunks::cut(binding.spans.iter().map(|span| span.range.len()), CHUNK);
        self.squares = self.chunks.iter().map(|_| AtomicU64::new(0)).collect();
        (self.slots, self.ages, self.bound) = (slots, ages, true);
        self.binding = Arc::new(binding);
        Arc::clone(&self.binding)
    }

    /// Whether it is bound to the model's weights as they are now.
    pub(super) fn fits(&self, model: &dyn Layer<A>) -> bool {
        self.bound && self.binding.fits(model)
    }

    /// One step: changes the weights of the model by the gradients of the shards.
    ///
    /// # Errors
    /// [`Error::NonFinite`] for a gradient norm that is none; nothing has changed then.
    pub(super) fn update(
        &mut self,
        model: &mut dyn Layer<A>,
        shards: &[Gradients<A>],
        workers: &mut Workers,
        threads: usize,
    ) -> Result<()> {
        let threads = if self.binding.len() < FORK_FROM { 1 } else { threads };
        let factor = self.clip_factor(shards, workers, threads)?;
        for (at, age) in self.ages.iter_mut().enumerate() {
            *age += u64::from(shards.iter().any(|shard| shard.is_touched(at)));
        }
        let rate = self.rate();
        let sweep = Sweep { rule: &*self.rule, rate, ages: &self.ages, factor, shards };
        self.ties.release(model, &self.binding);
        let mut slices = self.table.borrow(self.binding.spans.len());
        collect(model, &self.binding, &mut slices);
        for slot in &mut self.slots {
            slices.push_slot(slot);
        }
        slices.sweep(workers, threads, &self.chunks, &|chunk, w, slots| sweep.chunk(chunk, w, slots));
        self.ties.restore(model, &self.binding);
        self.step += 1;
        self.last_rate = Some(rate);
        Ok(())
    }

    /// What the gradients are multiplied with so that their norm over all weights is at most `clip_norm`.
    fn clip_factor(&self, shards: &[Gradients<A>], workers: &mut Workers, threads: usize) -> Result<f64> {
        let Some(most) = self.clip_norm else { return Ok(1.0) };
        workers.run(threads, &|thread| {
            for (chunk, place) in self.chunks.iter().zip(&self.squares).skip(thread).step_by(threads) {
                let mut buffer = [A::zero(); CHUNK];
                let gradient = total(shards, chunk, &mut buffer);
                let square = gradient.map_or(0.0, |gradient| reduce::sum_of_squares(gradient).as_f64());
                place.store(square.to_bits(), Ordering::Relaxed);
            }
        });
        // In the order of the chunks, whoever has done them.
        let sum: f64 = self.squares.iter().map(|square| f64::from_bits(square.load(Ordering::Relaxed))).sum();
        let norm = sum.sqrt();
        if !norm.is_finite() {
            return Err(Error::NonFinite { what: "gradient norm".into(), step: self.step + 1, value: norm });
        }
        Ok((most / (norm + CLIP_EPSILON)).min(1.0))
    }
}

/// What every chunk of one step has in common.
struct Sweep<'s, A: Scalar> {
    rule: &'s dyn Optimizer<A>,
    rate: f64,
    ages: &'s [u64],
    factor: f64,
    shards: &'s [Gradients<A>],
}

impl<A: Scalar> Sweep<'_, A> {
    fn chunk(&self, chunk: &Chunk, w: &mut [A], slots: &mut [&mut [A]]) {
        let decay = self.rule.decay();
        if decay == Decay::None && self.rule.ignores_zero_gradients() && self.is_zero(chunk) {
            return;
        }
        let mut buffer = [A::zero(); CHUNK];
        let Some(gradient) = total(self.shards, chunk, &mut buffer) else { return };
        let coupled = if let Decay::Coupled(factor) = decay { factor } else { 0.0 };
        let step = Step { number: self.ages[chunk.span], rate: self.rate };
        if let Decay::Decoupled(factor) = decay {
            elementwise::scale(w, A::of(1.0 - step.rate * factor));
        }
        if self.factor == 1.0 && coupled == 0.0 {
            return self.rule.update(step, w, gradient, slots);
        }
        let mut prepared = [A::zero(); CHUNK];
        let prepared = &mut prepared[..gradient.len()];
        prepared.copy_from_slice(gradient);
        update::prepare_gradient(prepared, w, A::of(self.factor), A::of(coupled));
        self.rule.update(step, w, prepared, slots);
    }

    fn is_zero(&self, chunk: &Chunk) -> bool {
        !self.shards.iter().any(|shard| shard.touches(chunk.span, &chunk.part))
    }
}

/// The sum of the shards' gradients for a chunk; `None` where no shard wrote any for this weight.
fn total<'b, A: Scalar>(shards: &'b [Gradients<A>], chunk: &Chunk, buffer: &'b mut [A; CHUNK]) -> Option<&'b [A]> {
    // One shard that wrote all of it: read it where it stands.
    if let [only] = shards
        && let Some(gradient) = only.slice(chunk.span, chunk.part.clone())
    {
        return Some(gradient);
    }
    if !shards.iter().any(|shard| shard.is_touched(chunk.span)) {
        return None;
    }
    let buffer = &mut buffer[..chunk.part.len()];
    buffer.fill(A::zero());
    for shard in shards {
        shard.add_to(chunk.span, chunk.part.clone(), buffer);
    }
    Some(buffer)
}

/// The model's weights, each in the place of its span.
fn collect<'a, A: Scalar>(model: &'a mut dyn Layer<A>, binding: &Binding, slices: &mut Slices<'a, A>) {
    let mut each = |_: &str, param: &'a mut Param<A>| {
        let position = binding.position(param.id()).filter(|_| param.is_trainable());
        if let (Some(at), Some(weights)) = (position, param.values_mut()) {
            slices.set_span(at, weights);
        }
    };
    model.visit_mut(&mut Visitor::unnamed(&mut each));
}

/// Parameters of one identity share one array. While it is written to, only the first of them that is not frozen holds
/// it: to the others a copy would be made.
#[derive(Default)]
struct Ties<A: Scalar> {
    first: Vec<Option<Tensor<A>>>,
    seen: Vec<bool>,
}

impl<A: Scalar> Ties<A> {
    fn release(&mut self, model: &mut dyn Layer<A>, binding: &Binding) {
        if !binding.has_ties() {
            return;
        }
        self.seen.clear();
        self.seen.resize(binding.spans.len(), false);
        let mut each = |_: &str, param: &mut Param<A>| {
            let Some(at) = binding.position(param.id()) else { return };
            if !param.is_trainable() || std::mem::replace(&mut self.seen[at], true) {
                param.replace(None);
            }
        };
        model.visit_mut(&mut Visitor::unnamed(&mut each));
    }

    fn restore(&mut self, model: &mut dyn Layer<A>, binding: &Binding) {
        if !binding.has_ties() {
            return;
        }
        self.first.clear();
        self.first.resize(binding.spans.len(), None);
        let mut find = |_: &str, param: &mut Param<A>| {
            if let (Some(at), Ok(value)) = (binding.position(param.id()), param.get()) {
                self.first[at] = Some(value.clone());
            }
        };
        model.visit_mut(&mut Visitor::unnamed(&mut find));
        let mut share = |_: &str, param: &mut Param<A>| {
            if let Some(at) = binding.position(param.id()) {
                param.replace(self.first[at].clone());
            }
        };
        model.visit_mut(&mut Visitor::unnamed(&mut share));
        self.first.clear();
    }
}
