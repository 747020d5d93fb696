//! Watching a training run, and stopping it.

mod closure;
mod progress;

pub use closure::OnEpochEnd;
pub use progress::Progress;
pub(super) use progress::ProgressReport;

use super::history::{Epoch, History};
use crate::error::Result;
use crate::layer::Layer;
use crate::scalar::Scalar;

/// What a [`Callback`] is shown.
pub struct Event<'e, A: Scalar = f32> {
    /// The network as it is now.
    pub model: &'e mut dyn Layer<A>,
    /// The epoch, counted from 1, and 0 before the first.
    pub epoch: usize,
    /// How many epochs were asked for.
    pub epochs: usize,
    /// The batch within the epoch, counted from 1, and 0 before the first.
    pub batch: usize,
    /// The batches of an epoch.
    pub batches: usize,
    /// The steps that the optimizer has taken, over all runs.
    pub step: u64,
    /// The learning rate of the next step.
    pub rate: f64,
    /// The loss of the last batch; NaN before the first.
    pub loss: f64,
    /// The epochs so far.
    pub history: &'e History,
    pub(super) stop: &'e mut bool,
}

impl<A: Scalar> Event<'_, A> {
    /// Ends the run after this event.
    pub fn stop(&mut self) {
        *self.stop = true;
    }

    /// The epoch that has just ended.
    pub fn last_epoch(&self) -> Option<&Epoch> {
        self.history.last()
    }
}

/// Code that is called in the course of [`Trainer::fit`](super::Trainer::fit). An error ends the run with that error.
///
/// ```
/// use layerwise::prelude::*;
/// use layerwise::train::{Callback, Event};
///
/// /// Stops when the training loss is low enough.
/// struct GoodEnough(f64);
///
/// impl Callback for GoodEnough {
///     fn on_epoch_end(&mut self, event: &mut Event<'_>) -> Result<()> {
///         let loss = event.last_epoch().and_then(|epoch| epoch.get("loss"));
///         if loss.is_some_and(|loss| loss < self.0) {
///             event.stop();
///         }
///         Ok(())
///     }
/// }
/// ```
#[allow(unused_variables)]
pub trait Callback<A: Scalar = f32>: Send {
    /// Before the first epoch.
    ///
    /// # Errors
    /// Whatever ends the run.
    fn on_train_begin(&mut self, event: &mut Event<'_, A>) -> Result<()> {
        Ok(())
    }

    /// Before each epoch.
    ///
    /// # Errors
    /// Whatever ends the run.
    fn on_epoch_begin(&mut self, event: &mut Event<'_, A>) -> Result<()> {
        Ok(())
    }

    /// After each step.
    ///
    /// # Errors
    /// Whatever ends the run.
    fn on_batch_end(&mut self, event: &mut Event<'_, A>) -> Result<()> {
        Ok(())
    }

    /// After each epoch and its validation.
    ///
    /// # Errors
    /// Whatever ends the run.
    fn on_epoch_end(&mut self, event: &mut Event<'_, A>) -> Result<()> {
        Ok(())
    }

    /// After the last epoch.
    ///
    /// # Errors
    /// Whatever the run shall end with.
    fn on_train_end(&mut self, event: &mut Event<'_, A>) -> Result<()> {
        Ok(())
    }
}
