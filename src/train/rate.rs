//! The learning rate where callbacks have a say in it.

use crate::error::{Error, Result};

/// What callbacks have made of the schedule's rates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct RateControl {
    /// The rate that stands for the schedule's.
    pub(super) fixed: Option<f64>,
    /// What the schedule's rates are multiplied with.
    pub(super) factor: f64,
}

impl Default for RateControl {
    fn default() -> Self {
        RateControl { fixed: None, factor: 1.0 }
    }
}

impl RateControl {
    /// The rate of a step for which the schedule has `scheduled`.
    pub(super) fn rate(&self, scheduled: f64) -> f64 {
        self.fixed.unwrap_or(self.factor * scheduled)
    }

    /// Refuses a rate that is none, as a schedule of a user's own may give one.
    pub(super) fn check_rate(&self, scheduled: f64) -> Result<()> {
        check("learning rate", self.rate(scheduled))
    }

    pub(super) fn set(&mut self, rate: f64) -> Result<()> {
        check("learning rate", rate)?;
        self.fixed = Some(rate);
        Ok(())
    }

    pub(super) fn scale(&mut self, factor: f64) -> Result<()> {
        check("factor of the learning rate", factor)?;
        let scaled = RateControl { fixed: self.fixed.map(|rate| rate * factor), factor: self.factor * factor };
        scaled.check()?;
        *self = scaled;
        Ok(())
    }

    /// Refuses what no calls of [`set`](Self::set) and [`scale`](Self::scale) can have led to.
    pub(super) fn check(&self) -> Result<()> {
        check("learning rate", self.fixed.unwrap_or(0.0))?;
        check("factor of the learning rate", self.factor)
    }
}

fn check(name: &str, number: f64) -> Result<()> {
    if number.is_finite() && number >= 0.0 {
        return Ok(());
    }
    Err(Error::setting(name, "a finite number of at least 0", number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_multiply_and_a_rate_that_was_set_is_scaled_too() -> Result<()> {
        let mut rates = RateControl::default();
        assert_eq!(rates.rate(0.25), 0.25);
        rates.scale(0.5)?;
        rates.scale(0.5)?;
        assert_eq!(rates.rate(0.25), 0.0625);
        rates.set(8.0)?;
        assert_eq!(rates.rate(0.25), 8.0);
        rates.scale(0.5)?;
        assert_eq!(rates.rate(0.25), 4.0);
        Ok(())
    }

    #[test]
    fn what_is_no_rate_is_refused_and_changes_nothing() {
        let mut rates = RateControl { fixed: Some(1e300), factor: 2.0 };
        let before = rates;
        for number in [f64::NAN, f64::INFINITY, -1.0] {
            assert!(rates.set(number).is_err() && rates.scale(number).is_err(), "{number}");
        }
        // Too large together.
        assert!(rates.scale(1e10).is_err());
        assert_eq!(rates, before);
    }
}
