//! Settings of schedules that cannot work.

use crate::error::{Error, Result};

/// Refuses rates and factors below 0 and those that are no numbers.
pub(super) fn check_rate(name: &str, rate: f64) -> Result<()> {
    if rate.is_finite() && rate >= 0.0 {
        return Ok(());
    }
    Err(Error::setting(name, "a finite number of at least 0", rate))
}

/// Refuses what is not a finite number above 0.
pub(super) fn check_positive(name: &str, number: f64) -> Result<()> {
    if number.is_finite() && number > 0.0 {
        return Ok(());
    }
    Err(Error::setting(name, "a finite number above 0", number))
}

/// Refuses a span of 0 steps.
pub(super) fn check_steps(schedule: &str, steps: u64) -> Result<()> {
    if steps > 0 {
        return Ok(());
    }
    Err(Error::setting(format!("steps of the {schedule} schedule"), "at least 1", steps))
}
