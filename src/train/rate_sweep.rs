//! The curve of a sweep over learning rates, and what it suggests.

use std::fmt;

/// What a [`LearningRateFinder`](super::LearningRateFinder) found: a point for each step, to be plotted over the
/// logarithm of the rate.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct RateSweep {
    /// The learning rates.
    pub rates: Vec<f64>,
    /// The smoothed losses.
    pub losses: Vec<f64>,
    /// The losses of the batches, each before the step with its rate.
    pub raw_losses: Vec<f64>,
    /// Whether the sweep ended early because the loss ran away.
    pub diverged: bool,
}

impl RateSweep {
    /// The rate at which the loss falls most steeply over the logarithm of the rate, which is what is mostly taken
    /// (Lightning's `suggestion`, by central differences as `numpy.gradient` takes them). The first tenth of the steps
    /// is left out, where little but noise changes the loss, and so is the last one. `None` where no more than one step
    /// is left.
    pub fn steepest_descent(&self) -> Option<f64> {
        let skipped = self.losses.len() / 10;
        let losses = self.losses.get(skipped..self.losses.len().checked_sub(1)?)?;
        let last = losses.len().checked_sub(1).filter(|&last| last > 0)?;
        let slope = |at: usize| {
            let (from, to) = (at.saturating_sub(1), (at + 1).min(last));
            (losses[to] - losses[from]) / (to - from) as f64
        };
        let steepest = (0..=last).min_by(|&a, &b| slope(a).total_cmp(&slope(b)))?;
        Some(self.rates[skipped + steepest])
    }

    /// A tenth of the rate at which the loss is smallest (fastai's `minimum`): a rule of thumb where the curve is
    /// noisy. `None` for a sweep without steps.
    pub fn tenth_of_minimum(&self) -> Option<f64> {
        let smallest = (0..self.losses.len()).min_by(|&a, &b| self.losses[a].total_cmp(&self.losses[b]))?;
        Some(self.rates[smallest] / 10.0)
    }
}

impl fmt::Display for RateSweep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Some(first), Some(last)) = (self.rates.first(), self.rates.last()) else {
            return write!(f, "no steps");
        };
        let ended = if self.diverged { ", where the loss ran away" } else { "" };
        write!(f, "{} learning rates from {first:.1e} to {last:.1e}{ended}", self.rates.len())?;
        if let Some(rate) = self.steepest_descent() {
            write!(f, "; {rate:.1e} at the steepest descent")?;
        }
        if let Some(rate) = self.tenth_of_minimum() {
            write!(f, "; {rate:.1e} a tenth of that at the minimum")?;
        }
        Ok(())
    }
}
