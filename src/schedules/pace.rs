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
