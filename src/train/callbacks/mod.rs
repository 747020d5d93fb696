//! Watching a training run, and stopping it.

mod backup_and_restore;
mod closure;
mod csv_log;
mod early_stopping;
mod event;
mod every;
mod interrupt;
mod json_lines_log;
mod lambda_callback;
mod learning_rate_scheduler;
mod log_file;
mod model_checkpoint;
mod monitor;
mod progress;
mod reduce_lr_on_plateau;
mod saved;
mod snapshot;
mod template;
mod tensor_board;
mod terminate_on_nan;
mod time_budget;
mod weight_averaging;

pub use backup_and_restore::BackupAndRestore;
pub use closure::OnEpochEnd;
pub use csv_log::CsvLog;
pub use early_stopping::EarlyStopping;
pub use event::Event;
pub(super) use event::{Moment, Request, Wishes};
pub use interrupt::Interrupt;
pub use json_lines_log::JsonLinesLog;
pub use lambda_callback::LambdaCallback;
pub use learning_rate_scheduler::LearningRateScheduler;
pub use model_checkpoint::ModelCheckpoint;
pub use progress::Progress;
pub(super) use progress::ProgressReport;
pub use reduce_lr_on_plateau::ReduceLROnPlateau;
pub use tensor_board::TensorBoard;
pub use terminate_on_nan::TerminateOnNaN;
pub use time_budget::TimeBudget;
pub use weight_averaging::WeightAveraging;

use serde_json::Value;

use crate::error::{Error, Result};
use crate::scalar::Scalar;
use crate::tensor::Tensor;

/// What a callback keeps in a checkpoint.
#[derive(Clone, Debug)]
pub struct CallbackState<A: Scalar = f32> {
    /// Numbers, strings and lists of them. JSON has no NaN and no infinity: store those as something else.
    pub settings: Value,
    /// Arrays with names of the callback's own.
    pub tensors: Vec<(String, Tensor<A>)>,
}

impl<A: Scalar> Default for CallbackState<A> {
    fn default() -> Self {
        CallbackState { settings: Value::Null, tensors: Vec::new() }
    }
}

/// Code that is called in the course of [`Trainer::fit`](super::Trainer::fit). An error ends the run with that error.
///
/// A callback that remembers something from event to event has it saved with the checkpoints of a run: it gives itself
/// a [`kind`](Self::kind), its [`state`](Self::state), and takes the state back in [`restore`](Self::restore).
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
    /// The callback's name, as checkpoints have it. One without a name keeps no state.
    ///
    /// Callbacks of one kind are told apart by their order in the trainer.
    fn kind(&self) -> &str {
        ""
    }

    /// What it must know to go on from here in another process.
    fn state(&self) -> CallbackState<A> {
        CallbackState::default()
    }

    /// Goes on from a state of this kind of callback, whatever it knew before.
    ///
    /// In a run that is taken up again this comes after [`on_train_begin`](Self::on_train_begin), which may therefore
    /// begin anew as in any other run. [`Trainer::load_checkpoint`](super::Trainer::load_checkpoint) calls it as well,
    /// so that a state that cannot be taken is refused there; with the state from before if loading fails.
    ///
    /// # Errors
    /// Where the state is not one of this kind; nothing has changed then.
    fn restore(&mut self, state: CallbackState<A>) -> Result<()> {
        if state.settings.is_null() && state.tensors.is_empty() {
            return Ok(());
        }
        Err(Error::custom(format!("callback {} has no `restore` for the state in a checkpoint", self.kind())))
    }

    /// Before the first epoch, or before the epoch in which a run is taken up again.
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

    /// After another event, once [`Event::interrupt`] was called in it: the time to save from where the run goes on.
    ///
    /// # Errors
    /// Whatever ends the run.
    fn on_interrupt(&mut self, event: &mut Event<'_, A>) -> Result<()> {
        Ok(())
    }

    /// Before the validation of an epoch, which sees the weights that this leaves in the model.
    ///
    /// # Errors
    /// Whatever ends the run.
    fn on_validation_begin(&mut self, event: &mut Event<'_, A>) -> Result<()> {
        Ok(())
    }

    /// After the validation of an epoch, also one that failed: whoever changed the weights for it puts them back.
    ///
    /// # Errors
    /// Whatever ends the run.
    fn on_validation_end(&mut self, event: &mut Event<'_, A>) -> Result<()> {
        Ok(())
    }

    /// After each epoch and its validation. An epoch that was stopped before its last batch has no validation.
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

    /// Instead of [`on_train_end`](Self::on_train_end) where the run ends with an error: lets go of what is held for a run.
    fn on_error(&mut self, error: &Error) {}
}
