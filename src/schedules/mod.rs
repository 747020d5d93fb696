//! Learning rates that change with the step.
//!
//! All count steps from 0, not epochs: where a schedule is known in epochs, times the steps of one.

mod boundaries;
mod checks;
mod closure;
mod constant;
mod cosine;
mod cosine_restarts;
mod exponential;
mod inverse_time;
mod multi_step_decay;
mod one_cycle;
mod pace;
mod piecewise;
mod polynomial;

pub use constant::Constant;
pub use cosine::Cosine;
pub use cosine_restarts::CosineRestarts;
pub use exponential::{Exponential, StepDecay};
pub use inverse_time::InverseTime;
pub use multi_step_decay::MultiStepDecay;
pub use one_cycle::OneCycle;
pub use piecewise::Piecewise;
pub use polynomial::Polynomial;

use crate::error::Result;

/// The learning rate of each step. Closures from the step to the rate are schedules too.
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

/// Whatever may be given for a learning rate: a number, a schedule, or a closure `|step: u64| ...`.
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
