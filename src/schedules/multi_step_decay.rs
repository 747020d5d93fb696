use serde_json::{Value, json};

use super::Schedule;
use super::boundaries::{check_increasing, passed};
use super::checks::{check_positive, check_rate};
use crate::error::Result;

/// A rate that is multiplied with a factor at each of some steps, the milestones:
///
/// rate(t) = rate * factor^(milestones at or before t)
///
/// PyTorch's `MultiStepLR`; factor 0.1 as there.
///
/// ```
/// use layerwise::schedules::{MultiStepDecay, Schedule};
/// let rate = MultiStepDecay::new(0.1, &[30, 80]).factor(0.5);
/// assert_eq!([29, 30, 80].map(|step| rate.rate(step)), [0.1, 0.05, 0.025]);
/// ```
#[derive(Clone, Debug)]
pub struct MultiStepDecay {
    rate: f64,
    milestones: Vec<u64>,
    factor: f64,
}

impl MultiStepDecay {
    /// From `rate`, less from each milestone on. Milestones increase.
    pub fn new(rate: f64, milestones: &[u64]) -> Self {
        MultiStepDecay { rate, milestones: milestones.to_vec(), factor: 0.1 }
    }

    /// The factor instead of 0.1.
    #[must_use]
    pub fn factor(mut self, factor: f64) -> Self {
        self.factor = factor;
        self
    }
}

impl Schedule for MultiStepDecay {
    fn kind(&self) -> &str {
        "MultiStepDecay"
    }

    fn config(&self) -> Value {
        json!({ "rate": self.rate, "milestones": self.milestones, "factor": self.factor })
    }

    fn rate(&self, step: u64) -> f64 {
        self.rate * self.factor.powf(passed(&self.milestones, step) as f64)
    }

    fn check(&self) -> Result<()> {
        check_rate("learning rate", self.rate)?;
        check_positive("factor of the learning rate", self.factor)?;
        check_increasing("milestones", &self.milestones)
    }
}
