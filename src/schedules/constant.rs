use serde_json::{Value, json};

use super::Schedule;
use crate::error::{Error, Result};

/// The same rate at every step.
#[derive(Clone, Copy, Debug)]
pub struct Constant {
    rate: f64,
}

impl Constant {
    /// A finite rate of at least 0.
    pub fn new(rate: f64) -> Self {
        Constant { rate }
    }
}

impl Schedule for Constant {
    fn kind(&self) -> &str {
        "Constant"
    }

    fn config(&self) -> Value {
        json!({ "rate": self.rate })
    }

    fn rate(&self, _: u64) -> f64 {
        self.rate
    }

    fn check(&self) -> Result<()> {
        check_rate("learning rate", self.rate)
    }
}

/// Refuses rates below 0 and those that are no numbers.
pub(super) fn check_rate(name: &str, rate: f64) -> Result<()> {
    if rate.is_finite() && rate >= 0.0 {
        return Ok(());
    }
    Err(Error::setting(name, "a finite number of at least 0", rate))
}
