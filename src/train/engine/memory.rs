//! What an engine remembers of each weight: how it goes from one binding to the next, and into checkpoints and out of
//! them.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::rate::RateControl;
use super::Engine;
use crate::gradients::Binding;
use crate::layer::Layer;
use crate::param::{Param, ParamId, Visitor};
use crate::scalar::Scalar;

/// What the optimizer remembers of a weight.
#[derive(Clone)]
pub(in crate::train) struct History<A> {
    /// The updates that it has had.
    pub(in crate::train) age: u64,
    pub(in crate::train) slots: Vec<Vec<A>>,
}

/// All that an engine remembers of a training.
#[derive(Clone)]
pub(in crate::train) struct Memory<A> {
    pub(in crate::train) histories: HashMap<ParamId, History<A>>,
    pub(in crate::train) step: u64,
    pub(in crate::train) rates: RateControl,
    pub(in crate::train) last_rate: Option<f64>,
    /// The batches since the last update, and what was gathered of them.
    pub(in crate::train) gathered: (u64, HashMap<ParamId, Vec<A>>),
}

impl<A: Scalar> Engine<A> {
    /// Age and slots of a weight, whether it is trained now or rests; `None` if there are none yet.
    pub(in crate::train) fn remembered(&self, id: ParamId) -> Option<(u64, Vec<&[A]>)> {
        if let Some(at) = self.binding.position(id) {
            return Some((self.ages[at], self.slots.of(at)));
        }
        let history = self.resting.get(&id)?;
        Some((history.age, history.slots.iter().map(Vec::as_slice).collect()))
    }

    /// Whether it knows weights, and none of them is of this model.
    pub(in crate::train) fn is_strange_to(&self, model: &dyn Layer<A>) -> bool {
        let mut known = self.binding.spans.is_empty() && self.resting.is_empty();
        let mut look = |_: &str, param: &Param<A>| {
            let id = param.id();
            known = known || self.binding.position(id).is_some() || self.resting.contains_key(&id);
        };
        model.visit(&mut Visitor::unnamed(&mut look));
        !known
    }

    /// A copy of everything that it remembers.
    pub(in crate::train) fn memory(&self) -> Memory<A> {
        let mut histories = self.resting.clone();
        let mut gathered = HashMap::new();
        for (at, (span, &age)) in self.binding.spans.iter().zip(&self.ages).enumerate() {
            histories.insert(span.id, self.history(at, age));
            gathered.extend(self.accumulation.of(span.id).map(|values| (span.id, values.to_vec())));
        }
        let gathered = (self.accumulation.batches, gathered);
        Memory { histories, step: self.step, rates: self.rates, last_rate: self.last_rate, gathered }
    }

    fn history(&self, at: usize, age: u64) -> History<A> {
        History { age, slots: self.slots.of(at).into_iter().map(<[A]>::to_vec).collect() }
    }

    /// Is bound to no model any more. What is known of weights waits for the next that has them.
    pub(in crate::train) fn unbind(&mut self, histories: HashMap<ParamId, History<A>>) {
        (self.binding, self.resting, self.bound) = (Arc::default(), histories, false);
    }

    /// Forgets everything, and goes on with a model and what another engine has known of it.
    pub(in crate::train) fn restore(&mut self, model: &dyn Layer<A>, memory: Memory<A>) -> Arc<Binding> {
        self.binding = Arc::default();
        self.resting = memory.histories;
        let binding = self.bind(model);
        (self.step, self.rates, self.last_rate) = (memory.step, memory.rates, memory.last_rate);
        self.accumulation.restore(memory.gathered.0, &memory.gathered.1);
        binding
    }

    /// What is known of the weights of a model, whether they are trained now or rest. It is gone from the engine then.
    pub(super) fn take_known_of(&mut self, model: &dyn Layer<A>) -> HashMap<ParamId, History<A>> {
        let mut all = std::mem::take(&mut self.resting);
        for (at, (span, &age)) in self.binding.spans.iter().zip(&self.ages).enumerate() {
            all.insert(span.id, self.history(at, age));
        }
        let mut known = HashMap::new();
        let mut keep = |_: &str, param: &Param<A>| known.extend(all.remove_entry(&param.id()));
        model.visit(&mut Visitor::unnamed(&mut keep));
        known
    }
}
