use serde_json::{Value, json};

use super::Schedule;
use super::checks::{check_rate, check_steps};
use crate::error::{Error, Result};

/// Half a cosine wave from `rate` down to `minimum` over `steps` steps, and `minimum` from then on:
///
/// rate(t) = minimum + (rate - minimum) (1 + cos(pi t / steps)) / 2
///
/// with an optional warm-up before it, in which the rate grows in a straight line from 0. Loshchilov and Hutter 2017,
/// without restarts ([`CosineRestarts`](super::CosineRestarts) has them); PyTorch's `CosineAnnealingLR` and Keras's
/// `CosineDecay`.
///
/// ```
/// use layerwise::schedules::{Cosine, Schedule};
/// let rate = Cosine::new(0.1, 100).minimum(0.01);
/// assert_eq!(rate.rate(0), 0.1);
/// assert!((rate.rate(50) - 0.055).abs() < 1e-12);
/// assert_eq!(rate.rate(100), 0.01);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Cosine {
    pub(super) rate: f64,
    pub(super) minimum: f64,
    pub(super) steps: u64,
    pub(super) warmup: u64,
}

impl Cosine {
    /// From `rate` down to 0 over `steps` steps.
    pub fn new(rate: f64, steps: u64) -> Self {
        Cosine { rate, minimum: 0.0, steps, warmup: 0 }
    }

    /// Down to this rate instead of 0.
    #[must_use]
    pub fn minimum(mut self, minimum: f64) -> Self {
        self.minimum = minimum;
        self
    }

    /// Before the wave, so many steps up from 0 to the rate: step t of them has rate * (t + 1) / steps.
    #[must_use]
    pub fn warmup(mut self, steps: u64) -> Self {
        self.warmup = steps;
        self
    }
}

impl Schedule for Cosine {
    fn kind(&self) -> &str {
        "Cosine"
    }

    fn config(&self) -> Value {
        json!({ "rate": self.rate, "minimum": self.minimum, "steps": self.steps, "warmup": self.warmup })
    }

    fn rate(&self, step: u64) -> f64 {
        if step < self.warmup {
            return self.rate * (step + 1) as f64 / self.warmup as f64;
        }
        let step = step - self.warmup;
        if step >= self.steps {
            return self.minimum;
        }
        half_wave(self.rate, self.minimum, step as f64, self.steps as f64)
    }

    fn check(&self) -> Result<()> {
        check_rate("learning rate", self.rate)?;
        check_rate("minimum learning rate", self.minimum)?;
        if self.minimum > self.rate {
            return Err(Error::setting("minimum learning rate", format!("at most {}", self.rate), self.minimum));
        }
        check_steps("cosine", self.steps)
    }
}

/// From one rate to another along half a cosine wave: the rate of step `at` of `steps`.
pub(super) fn half_wave(from: f64, to: f64, at: f64, steps: f64) -> f64 {
    to + (from - to) * (1.0 + (std::f64::consts::PI * at / steps).cos()) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_warmup_ends_where_the_wave_begins() {
        let schedule = Cosine::new(1.0, 10).warmup(4);
        assert_eq!([0, 1, 2, 3].map(|t| schedule.rate(t)), [0.25, 0.5, 0.75, 1.0]);
        assert_eq!(schedule.rate(4), 1.0);
        assert!((schedule.rate(9) - 0.5).abs() < 1e-12);
        assert_eq!(schedule.rate(u64::MAX), 0.0);
    }

    #[test]
    fn settings_that_cannot_work_are_refused() {
        for schedule in [
            Cosine::new(-0.1, 10),
            Cosine::new(f64::NAN, 10),
            Cosine::new(0.1, 0),
            Cosine::new(0.1, 10).minimum(0.2),
            Cosine::new(0.1, 10).minimum(-1.0),
        ] {
            assert!(schedule.check().is_err(), "{schedule:?}");
        }
    }
}
