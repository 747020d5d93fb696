use serde_json::{Value, json};

use super::Schedule;
use super::checks::{check_positive, check_rate};
use super::pace::{Pace, pace_methods};
use crate::error::Result;

/// A rate that is multiplied with `factor` again and again:
///
/// rate(t) = rate * factor^(t / steps)
///
/// where `steps` is 1 unless [`per`](Self::per) says otherwise; in a [`staircase`](Self::staircase) t / steps is
/// rounded down. PyTorch's `ExponentialLR` and Keras's `ExponentialDecay`.
///
/// ```
/// use layerwise::schedules::{Exponential, Schedule};
/// let rate = Exponential::new(0.1, 0.5).per(100);
/// assert_eq!(rate.rate(200), 0.025);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Exponential {
    rate: f64,
    factor: f64,
    pace: Pace,
}

impl Exponential {
    /// From `rate`, times `factor` with every step.
    pub fn new(rate: f64, factor: f64) -> Self {
        Exponential { rate, factor, pace: Pace::every_step() }
    }
}
pace_methods!(Exponential, "for the whole factor");

impl Schedule for Exponential {
    fn kind(&self) -> &str {
        "Exponential"
    }

    fn config(&self) -> Value {
        let Pace { steps, staircase } = self.pace;
        json!({ "rate": self.rate, "factor": self.factor, "steps": steps, "staircase": staircase })
    }

    fn rate(&self, step: u64) -> f64 {
        self.rate * self.factor.powf(self.pace.passed(step))
    }

    fn check(&self) -> Result<()> {
        check_rate("learning rate", self.rate)?;
        check_positive("factor of the learning rate", self.factor)?;
        self.pace.check("exponential")
    }
}

/// A rate that is multiplied with a factor after every so many steps:
///
/// rate(t) = rate * factor^floor(t / steps)
///
/// An [`Exponential`] staircase by its other name, PyTorch's `StepLR`; factor 0.1 as there.
///
/// ```
/// use layerwise::schedules::{Schedule, StepDecay};
/// let rate = StepDecay::new(0.1, 30).factor(0.5);
/// assert_eq!([29, 30, 60].map(|step| rate.rate(step)), [0.1, 0.05, 0.025]);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct StepDecay(Exponential);

impl StepDecay {
    /// From `rate`, less after every `steps` steps.
    pub fn new(rate: f64, steps: u64) -> Self {
        StepDecay(Exponential::new(rate, 0.1).per(steps).staircase(true))
    }

    /// The factor instead of 0.1.
    #[must_use]
    pub fn factor(mut self, factor: f64) -> Self {
        self.0.factor = factor;
        self
    }
}

impl Schedule for StepDecay {
    fn kind(&self) -> &str {
        "StepDecay"
    }

    fn config(&self) -> Value {
        json!({ "rate": self.0.rate, "factor": self.0.factor, "steps": self.0.pace.steps })
    }

    fn rate(&self, step: u64) -> f64 {
        self.0.rate(step)
    }

    fn check(&self) -> Result<()> {
        self.0.check()
    }
}
