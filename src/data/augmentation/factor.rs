use rand::Rng;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use crate::error::{Error, Result};

/// How strong a random change may be: evenly drawn between two numbers from -1 to 1.
///
/// One number f stands for -f to f, a pair for itself, as in Keras; equal ends make it certain.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Factor {
    low: f64,
    high: f64,
}

impl From<f64> for Factor {
    fn from(factor: f64) -> Self {
        Factor { low: -factor, high: factor }
    }
}

impl From<(f64, f64)> for Factor {
    fn from((low, high): (f64, f64)) -> Self {
        Factor { low, high }
    }
}

impl Factor {
    pub(super) fn config(self) -> Value {
        json!([self.low, self.high])
    }

    pub(super) fn check(self, name: &str) -> Result<()> {
        if -1.0 <= self.low && self.low <= self.high && self.high <= 1.0 {
            return Ok(());
        }
        let got = format!("{} to {}", self.low, self.high);
        Err(Error::setting(name, "a number from 0 to 1, or a rising pair of numbers from -1 to 1", got))
    }

    pub(super) fn draw(self, rng: &mut ChaCha8Rng) -> f64 {
        self.low + (self.high - self.low) * rng.random::<f64>()
    }
}
