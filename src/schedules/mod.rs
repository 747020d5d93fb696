//! Learning rates that change with the step.

mod constant;
mod cosine;

pub use constant::Constant;
pub use cosine::Cosine;

use crate::error::Result;

/// The learning rate of each step.
pub trait Schedule: Send + Sync {
    /// The schedule's name, as files name it.
    fn kind(&self) -> &str;

    /// The settings, as JSON.
    fn config(&self) -> serde_json::Value;

    /// The rate of a step, counted from 0.
    fn rate(&self, step: u64) -> f64;

    /// Refuses settings that cannot work. A trainer asks before it begins.
    ///
    /// # Errors
    /// [`Error::Setting`](crate::Error::Setting), naming the setting.
    fn check(&self) -> Result<()> {
        Ok(())
    }
}

/// Whatever may be given for a learning rate: a number or a schedule.
pub trait IntoSchedule {
    /// The schedule.
    fn into_schedule(self) -> Box<dyn Schedule>;
}

impl IntoSchedule for f64 {
    fn into_schedule(self) -> Box<dyn Schedule> {
        Box::new(Constant::new(self))
    }
}

impl<S: Schedule + 'static> IntoSchedule for S {
    fn into_schedule(self) -> Box<dyn Schedule> {
        Box::new(self)
    }
}
