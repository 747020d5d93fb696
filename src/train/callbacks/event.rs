//! What a callback is shown, and what it can ask of the run.

use std::path::PathBuf;

use super::Callback;
use crate::error::Result;
use crate::layer::Layer;
use crate::scalar::Scalar;
use crate::train::history::{Epoch, History};
use crate::train::rate::RateControl;

/// What a [`Callback`] is shown.
///
/// Files are written by the trainer once all callbacks have seen the event, in the order in which they were asked for,
/// because a checkpoint holds the state of all callbacks. The first that cannot be written ends the run with its error,
/// and what was asked for after it is left undone.
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
    /// Whether the last batch has changed the weights: with [`accumulate`](crate::Trainer::accumulate) not every batch
    /// does.
    pub updated: bool,
    /// The loss of the last batch; NaN before the first.
    pub loss: f64,
    /// The epochs so far.
    pub history: &'e History,
    /// What the schedule has for the next step.
    pub(in crate::train) scheduled: f64,
    pub(in crate::train) rates: &'e mut RateControl,
    pub(in crate::train) wishes: &'e mut Wishes,
}

/// What callbacks have asked for.
#[derive(Default)]
pub(in crate::train) struct Wishes {
    pub(in crate::train) stop: bool,
    pub(in crate::train) interrupt: bool,
    /// Whether callbacks were told of the interruption.
    pub(in crate::train) interrupt_told: bool,
    pub(in crate::train) requests: Vec<Request>,
}

/// Something that the trainer does once all callbacks have seen an event.
pub(in crate::train) enum Request {
    SaveWeights(PathBuf),
    SaveModel(PathBuf),
    SaveCheckpoint(PathBuf),
    RemoveFile(PathBuf),
    ResumeFrom(PathBuf),
    Warn(String),
}

impl<A: Scalar> Event<'_, A> {
    /// Ends the run after this event.
    pub fn stop(&mut self) {
        self.wishes.stop = true;
    }

    /// Ends the run after this event as [`stop`](Self::stop) does, but as one that is not done: every callback is told
    /// with [`on_interrupt`](Callback::on_interrupt) (where this was called in a validation, when the epoch is over), and
    /// backups are kept.
    pub fn interrupt(&mut self) {
        self.wishes.interrupt = true;
        self.stop();
    }

    /// Whether the run has been [interrupted](Self::interrupt).
    pub fn is_interrupted(&self) -> bool {
        self.wishes.interrupt
    }

    /// Adds to the [warnings](History::warnings) of the history.
    pub fn warn(&mut self, warning: impl Into<String>) {
        self.wishes.requests.push(Request::Warn(warning.into()));
    }

    /// The learning rate of the next step.
    pub fn rate(&self) -> f64 {
        self.rates.rate(self.scheduled)
    }

    /// From the next step on the learning rate is this, whatever the schedule says.
    ///
    /// # Errors
    /// [`Error::Setting`](crate::Error::Setting) where it is not a finite number of at least 0.
    pub fn set_rate(&mut self, rate: f64) -> Result<()> {
        self.rates.set(rate)
    }

    /// From the next step on the learning rate is this many times what it would have been: the factors of several calls
    /// multiply. A rate that was [set](Self::set_rate) before is scaled like those of the schedule.
    ///
    /// # Errors
    /// [`Error::Setting`](crate::Error::Setting) where it is not a finite number of at least 0.
    pub fn scale_rate(&mut self, factor: f64) -> Result<()> {
        self.rates.scale(factor)
    }

    /// The epoch that has just ended.
    pub fn last_epoch(&self) -> Option<&Epoch> {
        self.history.last()
    }

    /// Writes the weights, as [`save_weights`](crate::io::save_weights) does.
    pub fn save_weights(&mut self, path: impl Into<PathBuf>) {
        self.wishes.requests.push(Request::SaveWeights(path.into()));
    }

    /// Writes architecture and weights, as [`save_model`](crate::io::save_model) does.
    pub fn save_model(&mut self, path: impl Into<PathBuf>) {
        self.wishes.requests.push(Request::SaveModel(path.into()));
    }

    /// Writes a checkpoint from which the run can go on after this event, as
    /// [`Trainer::save_checkpoint`](crate::Trainer::save_checkpoint) does. Not between the beginning and the end of a
    /// validation, where a callback may have put other weights into the network for a while.
    pub fn save_checkpoint(&mut self, path: impl Into<PathBuf>) {
        self.wishes.requests.push(Request::SaveCheckpoint(path.into()));
    }

    /// Removes a file, if it is there: an old checkpoint, after the new one that was asked for before.
    pub fn remove_file(&mut self, path: impl Into<PathBuf>) {
        self.wishes.requests.push(Request::RemoveFile(path.into()));
    }

    /// Has the run go on from a checkpoint, as after [`Trainer::load_checkpoint`](crate::Trainer::load_checkpoint). Only
    /// before the first epoch, in [`on_train_begin`](Callback::on_train_begin).
    pub fn resume_from(&mut self, path: impl Into<PathBuf>) {
        self.wishes.requests.push(Request::ResumeFrom(path.into()));
    }
}

/// The places of a run at which callbacks are called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::train) enum Moment {
    TrainBegin,
    EpochBegin,
    BatchEnd,
    Interrupt,
    ValidationBegin,
    ValidationEnd,
    EpochEnd,
    TrainEnd,
}

impl Moment {
    /// Calls the callback's method for this moment.
    pub(in crate::train) fn tell<A: Scalar>(
        self,
        callback: &mut dyn Callback<A>,
        event: &mut Event<'_, A>,
    ) -> Result<()> {
        match self {
            Moment::TrainBegin => callback.on_train_begin(event),
            Moment::EpochBegin => callback.on_epoch_begin(event),
            Moment::BatchEnd => callback.on_batch_end(event),
            Moment::Interrupt => callback.on_interrupt(event),
            Moment::ValidationBegin => callback.on_validation_begin(event),
            Moment::ValidationEnd => callback.on_validation_end(event),
            Moment::EpochEnd => callback.on_epoch_end(event),
            Moment::TrainEnd => callback.on_train_end(event),
        }
    }
}
