//! How far a schedule without an end has come.

use super::checks::check_steps;
use crate::error::Result;

/// Spans of so many steps, which go by in parts, or in a staircase only as wholes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    pub(super) steps: u64,
    pub(super) staircase: bool,
}

impl Pace {
    /// Spans of one step.
    pub(super) fn every_step() -> Self {
        Pace { steps: 1, staircase: false }
    }

    /// The spans that have gone by before a step.
    pub(super) fn passed(&self, step: u64) -> f64 {
        let spans = step as f64 / self.steps as f64;
        if self.staircase { spans.floor() } else { spans }
    }

    pub(super) fn check(&self, schedule: &str) -> Result<()> {
        check_steps(schedule, self.steps)
    }
}

/// The builder methods of a schedule that has a pace.
macro_rules! pace_methods {
    ($schedule:ident, $span:literal) => {
        impl $schedule {
            #[doc = concat!("So many steps ", $span, " instead of 1.")]
            #[must_use]
            pub fn per(mut self, steps: u64) -> Self {
                self.pace.steps = steps;
                self
            }

            /// Whether the rate stays the same between two multiples of the steps. Default: no.
            #[must_use]
            pub fn staircase(mut self, staircase: bool) -> Self {
                self.pace.staircase = staircase;
                self
            }
        }
    };
}
pub(super) use pace_methods;
