use serde_json::{Value, json};

use super::Schedule;
use super::checks::check_rate;
use crate::error::Result;

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
