use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use signal_hook::consts::SIGINT;
use signal_hook::{SigId, flag, low_level};

use super::{Callback, Event};
use crate::error::{Error, Result};
use crate::scalar::Scalar;

/// Lets Ctrl-C (`SIGINT`) [interrupt](Event::interrupt) the run cleanly after the present step: the epoch is closed,
/// callbacks see the end of the run, [`Trainer::fit`](crate::Trainer::fit) returns the history so far, and the program
/// goes on. A second Ctrl-C ends the process as usual, and so does any outside of a run.
///
/// [`BackupAndRestore`](super::BackupAndRestore) keeps its backup then, from which the next run goes on;
/// [`checkpoint`](Self::checkpoint) writes one without it.
///
/// It is meant for programs that do not handle `SIGINT` themselves. Those that do call [`Event::interrupt`] in a callback
/// of their own.
///
/// ```
/// use layerwise::prelude::*;
/// use layerwise::train::callbacks::Interrupt;
///
/// let trainer = Trainer::new(MeanSquaredError::new(), Adam::new(1e-3))
///     .callback(BackupAndRestore::new("run.backup"))
///     .callback(Interrupt::new());
/// ```
#[derive(Debug, Default)]
pub struct Interrupt {
    checkpoint: Option<PathBuf>,
    watch: Option<Watch>,
}

impl Interrupt {
    /// Ends the run on Ctrl-C.
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes a checkpoint to this file when the run is interrupted.
    #[must_use]
    pub fn checkpoint(mut self, path: impl Into<PathBuf>) -> Self {
        self.checkpoint = Some(path.into());
        self
    }
}

impl<A: Scalar> Callback<A> for Interrupt {
    fn on_train_begin(&mut self, _: &mut Event<'_, A>) -> Result<()> {
        let watch = Watch::begin();
        let watch = watch.map_err(|source| Error::custom(format!("cannot watch for Ctrl-C: {source}")))?;
        self.watch = Some(watch);
        Ok(())
    }

    fn on_batch_end(&mut self, event: &mut Event<'_, A>) -> Result<()> {
        if self.watch.as_ref().is_some_and(Watch::take) {
            self.checkpoint.iter().for_each(|path| event.save_checkpoint(path));
            event.interrupt();
        }
        Ok(())
    }

    fn on_train_end(&mut self, _: &mut Event<'_, A>) -> Result<()> {
        self.watch = None;
        Ok(())
    }

    fn on_error(&mut self, _: &Error) {
        self.watch = None;
    }
}

/// What runs that watch for Ctrl-C have in common.
struct Watched {
    /// How many there are.
    runs: usize,
    /// Whether Ctrl-C does what it does in programs without handlers: outside of runs, and from the second on. `None`
    /// before the first run.
    usual: Option<Arc<AtomicBool>>,
}

static WATCHED: Mutex<Watched> = Mutex::new(Watched { runs: 0, usual: None });

/// As long as it lives, the first Ctrl-C only raises a flag.
#[derive(Debug)]
struct Watch {
    pressed: Arc<AtomicBool>,
    action: SigId,
}

impl Watch {
    fn begin() -> std::io::Result<Self> {
        let mut watched = WATCHED.lock().unwrap_or_else(PoisonError::into_inner);
        let usual = match &watched.usual {
            Some(usual) => Arc::clone(usual),
            None => usual_action()?,
        };
        watched.usual = Some(Arc::clone(&usual));
        let pressed = Arc::new(AtomicBool::new(false));
        let action = flag::register(SIGINT, Arc::clone(&pressed))?;
        if watched.runs == 0 {
            usual.store(false, Ordering::SeqCst);
        }
        watched.runs += 1;
        Ok(Watch { pressed, action })
    }

    /// Whether Ctrl-C was pressed since the last time.
    fn take(&self) -> bool {
        self.pressed.swap(false, Ordering::SeqCst)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut watched = WATCHED.lock().unwrap_or_else(PoisonError::into_inner);
        low_level::unregister(self.action);
        watched.runs -= 1;
        if let Some(usual) = watched.usual.as_ref().filter(|_| watched.runs == 0) {
            usual.store(true, Ordering::SeqCst);
        }
    }
}

/// Once a handler is installed, a signal without actions is ignored for ever. So one action stays that does what the
/// system would do, while the flag it gives is raised; and another behind it that raises the flag.
fn usual_action() -> std::io::Result<Arc<AtomicBool>> {
    let usual = Arc::new(AtomicBool::new(true));
    flag::register_conditional_default(SIGINT, Arc::clone(&usual))?;
    flag::register(SIGINT, Arc::clone(&usual))?;
    Ok(usual)
}
