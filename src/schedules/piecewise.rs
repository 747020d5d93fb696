use serde_json::{Value, json};

use super::Schedule;
use super::boundaries::{check_increasing, passed};
use super::checks::check_rate;
use crate::error::Result;

/// One rate up to a step, another from it on, and so forth.
///
/// A boundary is the first step that has the new rate, as in [`MultiStepDecay`](super::MultiStepDecay). In Keras's
/// `PiecewiseConstantDecay` it is the last one with the old: what is 100 here is 99 there.
///
/// ```
/// use layerwise::schedules::{Piecewise, Schedule};
/// let rate = Piecewise::new(0.1).then(100, 0.02).then(200, 0.05);
/// assert_eq!([0, 99, 100, 200].map(|step| rate.rate(step)), [0.1, 0.1, 0.02, 0.05]);
/// ```
#[derive(Clone, Debug)]
pub struct Piecewise {
    /// One more than there are boundaries.
    rates: Vec<f64>,
    boundaries: Vec<u64>,
}

impl Piecewise {
    /// The rate of the first steps.
    pub fn new(rate: f64) -> Self {
        Piecewise { rates: vec![rate], boundaries: Vec::new() }
    }

    /// From this step on, counted from 0, another rate. Steps increase from call to call.
    #[must_use]
    pub fn then(mut self, step: u64, rate: f64) -> Self {
        self.boundaries.push(step);
        self.rates.push(rate);
        self
    }
}

impl Schedule for Piecewise {
    fn kind(&self) -> &str {
        "Piecewise"
    }

    fn config(&self) -> Value {
        json!({ "rates": self.rates, "boundaries": self.boundaries })
    }

    fn rate(&self, step: u64) -> f64 {
        self.rates[passed(&self.boundaries, step)]
    }

    fn check(&self) -> Result<()> {
        self.rates.iter().try_for_each(|&rate| check_rate("learning rate", rate))?;
        check_increasing("boundaries", &self.boundaries)
    }
}
