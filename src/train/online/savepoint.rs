use crate::error::{Error, Result};
use crate::layer::Layer;
use crate::model::Model;
use crate::scalar::Scalar;
use crate::train::checkpoint::Snapshot;
use crate::train::engine::Memory;
use crate::train::trainer::Trainer;

/// A training at one moment, in memory, to come back to: made by [`Trainer::savepoint`].
///
/// It has what a checkpoint has: weights, state, what is frozen, what the optimizer remembers, steps and rates. Weights
/// are shared with the model until training changes them; the optimizer's numbers are copied.
pub struct Savepoint<A: Scalar = f32> {
    params: Snapshot<A>,
    memory: Memory<A>,
    /// Whether the trainer knew the model.
    bound: bool,
    epochs_done: u64,
    seen: u64,
}

impl<A: Scalar> Savepoint<A> {
    /// Calls `look` while the model has the weights and the state that it had then.
    pub(super) fn while_back<R>(&self, model: &mut dyn Layer<A>, look: impl FnOnce(&mut dyn Layer<A>) -> R) -> R {
        let now = Snapshot::of(model);
        self.params.put_back(model);
        let seen = look(model);
        now.put_back(model);
        seen
    }
}

impl<A: Scalar> Trainer<A> {
    /// Remembers model and optimizer as they are, for [`roll_back`](Self::roll_back).
    ///
    /// ```
    /// use layerwise::data::datasets;
    /// use layerwise::prelude::*;
    ///
    /// let iris = datasets::iris();
    /// let mut model = Sequential::new().add(Dense::new(3));
    /// let mut trainer = Trainer::new(SoftmaxCrossEntropy::new(), Adam::new(0.01)).progress(Progress::Silent);
    /// trainer.fit(&mut model, (&iris.features, &iris.labels))?;
    /// let before = model.predict(&iris.features)?;
    ///
    /// let good = trainer.savepoint(&model)?;
    /// trainer.partial_fit(&mut model, (&iris.features, &iris.labels))?;
    /// trainer.roll_back(&mut model, &good)?;
    /// assert_eq!(model.predict(&iris.features)?, before);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NotBuilt`] before the model was built, [`Error::Custom`] where this trainer has trained another one.
    pub fn savepoint(&self, model: &dyn Layer<A>) -> Result<Savepoint<A>> {
        if !model.is_built() {
            return Err(Error::NotBuilt);
        }
        if self.engine.step() > 0 && self.engine.is_strange_to(model) {
            return Err(Error::custom("savepoint: this trainer has trained another model"));
        }
        Ok(Savepoint {
            params: Snapshot::of(model),
            memory: self.engine.memory(),
            bound: self.engine.fits(model),
            epochs_done: self.epochs_done,
            seen: self.online.seen(),
        })
    }

    /// Model and trainer become what they were at a savepoint, bit for bit: what is learned from here on is what would
    /// have been learned from there on. A run that was loaded from a checkpoint does not go on after it.
    ///
    /// # Errors
    /// [`Error::Custom`] where the model has other parameters than it had; nothing has changed then.
    pub fn roll_back(&mut self, model: &mut dyn Layer<A>, to: &Savepoint<A>) -> Result<()> {
        if !to.params.is_of(model) {
            return Err(Error::custom("roll_back: the model has other parameters than at the savepoint"));
        }
        to.params.put_back(model);
        let binding = self.engine.restore(model, to.memory.clone());
        self.pass.bind(binding);
        if !to.bound {
            self.engine.unbind(to.memory.histories.clone());
        }
        self.epochs_done = to.epochs_done;
        self.online.go_on_from(to.seen);
        (self.loaded, self.ended) = (None, None);
        Ok(())
    }
}
