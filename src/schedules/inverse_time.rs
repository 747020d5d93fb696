use serde_json::{Value, json};

use super::Schedule;
use super::checks::check_rate;
use super::pace::{Pace, pace_methods};
use crate::error::Result;

/// A rate that falls as one over the time:
///
/// rate(t) = rate / (1 + decay * t / steps)
///
/// where `steps` is 1 unless [`per`](Self::per) says otherwise; in a [`staircase`](Self::staircase) t / steps is
/// rounded down. Keras's `InverseTimeDecay`.
///
/// ```
/// use layerwise::schedules::{InverseTime, Schedule};
/// let rate = InverseTime::new(0.1, 1.0).per(100);
/// assert_eq!(rate.rate(100), 0.05);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct InverseTime {
    rate: f64,
    decay: f64,
    pace: Pace,
}

impl InverseTime {
    /// From `rate`, with a denominator that grows by `decay` with every step.
    pub fn new(rate: f64, decay: f64) -> Self {
        InverseTime { rate, decay, pace: Pace::every_step() }
    }
}
pace_methods!(InverseTime, "in which the denominator grows by `decay`");

impl Schedule for InverseTime {
    fn kind(&self) -> &str {
        "InverseTime"
    }

    fn config(&self) -> Value {
        let Pace { steps, staircase } = self.pace;
        json!({ "rate": self.rate, "decay": self.decay, "steps": steps, "staircase": staircase })
    }

    fn rate(&self, step: u64) -> f64 {
        self.rate / (1.0 + self.decay * self.pace.passed(step))
    }

    fn check(&self) -> Result<()> {
        check_rate("learning rate", self.rate)?;
        check_rate("decay of the learning rate", self.decay)?;
        self.pace.check("inverse-time")
    }
}
