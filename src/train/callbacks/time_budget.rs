use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::json;

use super::saved::{Saved, number};
use super::{Callback, CallbackState, Event};
use crate::error::{Error, Result};
use crate::scalar::Scalar;

/// Interrupts a run when its time is over, after the step in which that happens: for machines that are lent by the hour.
///
/// Each process has the whole time, so that a run that is resumed again and again gets on every time; with
/// [`in_total`](Self::in_total) the time that was used before a checkpoint counts too. The present step, the writing of
/// checkpoints and what the program does after the run come on top.
///
/// ```
/// use std::time::Duration;
///
/// use layerwise::prelude::*;
/// use layerwise::train::callbacks::TimeBudget;
///
/// let trainer = Trainer::new(MeanSquaredError::new(), Adam::new(1e-3))
///     .callback(BackupAndRestore::new("run.backup"))
///     .callback(TimeBudget::new(Duration::from_secs(55 * 60)));
/// ```
#[derive(Clone, Debug)]
pub struct TimeBudget {
    budget: Duration,
    in_total: bool,
    checkpoint: Option<PathBuf>,
    began: Instant,
    /// What was used before this process.
    before: Duration,
}

const KIND: &str = "TimeBudget";

impl TimeBudget {
    /// This much time from the beginning of the run.
    pub fn new(budget: Duration) -> Self {
        let began = Instant::now();
        TimeBudget { budget, in_total: false, checkpoint: None, began, before: Duration::ZERO }
    }

    /// Counts the time that was used before the checkpoint from which a run goes on, too.
    #[must_use]
    pub fn in_total(mut self) -> Self {
        self.in_total = true;
        self
    }

    /// Writes a checkpoint when the time is over. With [`BackupAndRestore`](super::BackupAndRestore) there is one in any
    /// case.
    #[must_use]
    pub fn checkpoint(mut self, path: impl Into<PathBuf>) -> Self {
        self.checkpoint = Some(path.into());
        self
    }

    fn used(&self) -> Duration {
        self.before.saturating_add(self.began.elapsed())
    }
}

impl<A: Scalar> Callback<A> for TimeBudget {
    fn kind(&self) -> &str {
        KIND
    }

    fn state(&self) -> CallbackState<A> {
        let settings = json!({ "seconds": number(self.used().as_secs_f64()) });
        CallbackState { settings, ..CallbackState::default() }
    }

    fn restore(&mut self, state: CallbackState<A>) -> Result<()> {
        let seconds = Saved::new(KIND, &state.settings).number("seconds")?;
        self.before = Duration::try_from_secs_f64(seconds).map_err(|_| {
            Error::setting(format!("seconds in the state of {KIND}"), "a number of seconds of at least 0", seconds)
        })?;
        Ok(())
    }

    fn on_train_begin(&mut self, _: &mut Event<'_, A>) -> Result<()> {
        (self.began, self.before) = (Instant::now(), Duration::ZERO);
        Ok(())
    }

    fn on_batch_end(&mut self, event: &mut Event<'_, A>) -> Result<()> {
        let used = if self.in_total { self.used() } else { self.began.elapsed() };
        if used >= self.budget {
            self.checkpoint.iter().for_each(|path| event.save_checkpoint(path));
            event.interrupt();
        }
        Ok(())
    }
}
