//! What a user sets of clipping, of rates and decays by names, and of batches that are gathered.

use std::sync::Arc;

use serde_json::Value;

use super::{Accumulation, Clipping, Engine, Scaled};
use crate::error::Result;
use crate::layer::Layer;
use crate::param::ParamId;
use crate::scalar::Scalar;

impl<A: Scalar> Engine<A> {
    /// One of the same rule and the same settings that has trained nothing yet.
    pub(in crate::train) fn anew(&self) -> Self {
        Engine {
            clipping: self.clipping,
            groups: self.groups.clone(),
            accumulation: Accumulation::new(self.accumulation.every),
            ..Engine::new(Arc::clone(&self.rule))
        }
    }

    /// How gradients are clipped, to be changed.
    pub(in crate::train) fn clipping_mut(&mut self) -> &mut Clipping {
        &mut self.clipping
    }

    /// Gives weights of some names a factor for their rate or their decay.
    pub(in crate::train) fn add_factor(&mut self, what: Scaled, names: String, factor: f64) {
        self.groups.add(what, names, factor);
        self.bound = false;
    }

    /// Has vectors without decay.
    pub(in crate::train) fn decay_matrices_only(&mut self) {
        self.groups.decay_matrices_only();
        self.bound = false;
    }

    /// Changes weights after so many batches.
    pub(in crate::train) fn accumulate(&mut self, batches: usize) {
        self.accumulation = Accumulation::new(batches);
        self.bound = false;
    }

    /// The batches that were gathered since the last update.
    pub(in crate::train) fn gathered(&self) -> u64 {
        self.accumulation.batches
    }

    /// What was gathered for a weight.
    pub(in crate::train) fn gathered_of(&self, id: ParamId) -> Option<&[A]> {
        self.accumulation.of(id)
    }

    /// Forgets what was gathered.
    pub(in crate::train) fn forget_gathered(&mut self) {
        self.accumulation.clear();
    }

    /// The training passes before this one, for random streams: all different, also those that are gathered.
    pub(in crate::train) fn passes(&self) -> u64 {
        self.step.wrapping_mul(self.accumulation.every as u64).wrapping_add(self.accumulation.batches)
    }

    pub(in crate::train) fn clipping(&self) -> Clipping {
        self.clipping
    }

    /// After how many batches weights change.
    pub(in crate::train) fn accumulates(&self) -> usize {
        self.accumulation.every
    }

    /// The factors by names, as checkpoints have them.
    pub(in crate::train) fn group_settings(&self) -> Value {
        self.groups.settings()
    }

    /// Refuses factors for names that the model does not have.
    pub(in crate::train) fn check_names(&self, model: &dyn Layer<A>) -> Result<()> {
        self.groups.check_names(model)
    }
}
