use serde_json::{Value, json};

use super::Schedule;
use super::checks::{check_positive, check_rate, check_steps};
use crate::error::Result;

/// From one rate to another over `steps` steps along a power, and the second from then on:
///
/// rate(t) = end + (rate - end) (1 - t / steps)^power
///
/// Power 1, the default, is a straight line, up or down. PyTorch's `PolynomialLR`, and Keras's `PolynomialDecay`, which
/// ends at 0.0001 where this ends at 0. With [`cycle`](Self::cycle), Keras's too, `steps` grows to its next multiple
/// each time that it is over, so that the rate jumps up again, to less and less.
///
/// ```
/// use layerwise::schedules::{Polynomial, Schedule};
/// let rate = Polynomial::new(0.1, 100).power(2.0);
/// assert_eq!([0, 50, 100, 101].map(|step| rate.rate(step)), [0.1, 0.025, 0.0, 0.0]);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Polynomial {
    rate: f64,
    end: f64,
    steps: u64,
    power: f64,
    cycle: bool,
}

impl Polynomial {
    /// From `rate` to 0 over `steps` steps in a straight line.
    pub fn new(rate: f64, steps: u64) -> Self {
        Polynomial { rate, end: 0.0, steps, power: 1.0, cycle: false }
    }

    /// To this rate instead of 0.
    #[must_use]
    pub fn end(mut self, rate: f64) -> Self {
        self.end = rate;
        self
    }

    /// The power instead of 1.
    #[must_use]
    pub fn power(mut self, power: f64) -> Self {
        self.power = power;
        self
    }

    /// Whether to begin again after the end. Default: no.
    #[must_use]
    pub fn cycle(mut self, cycle: bool) -> Self {
        self.cycle = cycle;
        self
    }
}

impl Schedule for Polynomial {
    fn kind(&self) -> &str {
        "Polynomial"
    }

    fn config(&self) -> Value {
        json!({
            "rate": self.rate, "end": self.end, "steps": self.steps, "power": self.power, "cycle": self.cycle,
        })
    }

    fn rate(&self, step: u64) -> f64 {
        let (at, mut steps) = (step as f64, self.steps as f64);
        if self.cycle {
            steps *= (at / steps).ceil().max(1.0);
        } else if step >= self.steps {
            return self.end;
        }
        self.end + (self.rate - self.end) * (1.0 - at / steps).powf(self.power)
    }

    fn check(&self) -> Result<()> {
        check_rate("learning rate", self.rate)?;
        check_rate("learning rate at the end", self.end)?;
        check_positive("power of the polynomial schedule", self.power)?;
        check_steps("polynomial", self.steps)
    }
}
