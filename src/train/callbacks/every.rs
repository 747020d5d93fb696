//! How often a callback does what it does.

use super::Event;
use crate::error::{Error, Result};
use crate::scalar::Scalar;

/// The methods by which a callback with a field `every` is told how often it does what it does: `"Saves"`.
macro_rules! every_methods {
    ($does:literal) => {
        #[doc = concat!($does, " after every so many epochs.")]
        #[must_use]
        pub fn every_epochs(mut self, epochs: usize) -> Self {
            self.every = super::every::Every::Epochs(epochs);
            self
        }

        #[doc = concat!($does, " after every so many steps, counted over all runs, and not after epochs.")]
        #[must_use]
        pub fn every_steps(mut self, steps: u64) -> Self {
            self.every = super::every::Every::Steps(steps);
            self
        }
    };
}
pub(super) use every_methods;

/// Every so many epochs, or steps. Steps are those of the optimizer, over all runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Every {
    Epochs(usize),
    Steps(u64),
}

impl Every {
    pub(super) fn check(self, owner: &str) -> Result<()> {
        match self {
            Every::Epochs(0) => Err(Error::setting(format!("every_epochs of {owner}"), "at least 1", 0)),
            Every::Steps(0) => Err(Error::setting(format!("every_steps of {owner}"), "at least 1", 0)),
            _ => Ok(()),
        }
    }

    /// Whether it is due after this step.
    pub(super) fn is_due_at_step<A: Scalar>(self, event: &Event<'_, A>) -> bool {
        event.updated && matches!(self, Every::Steps(steps) if event.step.is_multiple_of(steps))
    }

    /// Whether it is due after this epoch, which is not the case if the epoch was cut short.
    pub(super) fn is_due_at_epoch<A: Scalar>(self, event: &Event<'_, A>) -> bool {
        let complete = event.batch == event.batches;
        complete && matches!(self, Every::Epochs(epochs) if event.epoch.is_multiple_of(epochs))
    }
}
