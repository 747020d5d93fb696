use std::path::PathBuf;

use super::every::{Every, every_methods};
use super::{Callback, Event};
use crate::error::Result;
use crate::scalar::Scalar;

/// Goes on after a crash: keeps a checkpoint of the run, and begins with it where there is one.
///
/// The checkpoint is written after every epoch, or [every so many steps](Self::every_steps), and when a callback
/// [interrupts](Event::interrupt) the run. A run that finds it when it begins goes on from there, to the same bits as if
/// nothing had happened. Once a run has ended, after its last epoch or because a callback [stopped](Event::stop) it, the
/// file is removed; after an error or an interruption it stays.
///
/// A trainer that has [loaded](crate::Trainer::load_checkpoint) another checkpoint goes on from that one.
///
/// After Keras's `BackupAndRestore`.
///
/// ```
/// use layerwise::prelude::*;
///
/// let trainer = Trainer::new(MeanSquaredError::new(), Adam::new(1e-3)).callback(BackupAndRestore::new("run.backup"));
/// ```
#[derive(Clone, Debug)]
pub struct BackupAndRestore {
    path: PathBuf,
    every: Every,
    keep: bool,
}

const KIND: &str = "BackupAndRestore";

impl BackupAndRestore {
    /// Keeps the checkpoint in this file.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        BackupAndRestore { path: path.into(), every: Every::Epochs(1), keep: false }
    }

    every_methods!("Saves");

    /// Leaves the file where it is when the run has ended. The next run then goes on from it.
    #[must_use]
    pub fn keep(mut self) -> Self {
        self.keep = true;
        self
    }
}

impl<A: Scalar> Callback<A> for BackupAndRestore {
    fn on_train_begin(&mut self, event: &mut Event<'_, A>) -> Result<()> {
        self.every.check(KIND)?;
        // What is there but cannot be read is an error of reading it, not a reason to begin anew.
        if event.epoch == 0 && std::fs::symlink_metadata(&self.path).is_ok() {
            event.resume_from(&self.path);
        }
        Ok(())
    }

    fn on_batch_end(&mut self, event: &mut Event<'_, A>) -> Result<()> {
        if self.every.is_due_at_step(event) {
            event.save_checkpoint(&self.path);
        }
        Ok(())
    }

    fn on_epoch_end(&mut self, event: &mut Event<'_, A>) -> Result<()> {
        if self.every.is_due_at_epoch(event) {
            event.save_checkpoint(&self.path);
        }
        Ok(())
    }

    fn on_interrupt(&mut self, event: &mut Event<'_, A>) -> Result<()> {
        event.save_checkpoint(&self.path);
        Ok(())
    }

    fn on_train_end(&mut self, event: &mut Event<'_, A>) -> Result<()> {
        if !self.keep && !event.is_interrupted() {
            event.remove_file(&self.path);
        }
        Ok(())
    }
}
