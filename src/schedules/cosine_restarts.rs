use serde_json::{Value, json};

use super::checks::check_rate;
use super::cosine::half_wave;
use super::{Cosine, Schedule};
use crate::error::{Error, Result};

/// A [`Cosine`] that begins again whenever it is over (SGDR, Loshchilov and Hutter 2017): cycle i = 0, 1, ... has
/// n(i) = `steps` * `longer`^i steps and
///
/// rate(t) = minimum + `lower`^i (rate - minimum) (1 + cos(pi t / n(i))) / 2
///
/// where t counts from the beginning of the cycle. All cycles have the same length and height unless they are told
/// otherwise: PyTorch's `CosineAnnealingWarmRestarts` with its `T_mult` of 1. Keras's `CosineDecayRestarts` is the same
/// with cycles that are twice as long each time, and has the heights too.
///
/// ```
/// use layerwise::schedules::{CosineRestarts, Schedule};
/// let rate = CosineRestarts::new(0.1, 10).longer(2).lower(0.5);
/// assert_eq!([0, 5, 10, 20, 30].map(|step| rate.rate(step)), [0.1, 0.05, 0.05, 0.025, 0.025]);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct CosineRestarts {
    /// The first cycle, and the warm-up before it.
    first: Cosine,
    longer: u64,
    lower: f64,
}

impl CosineRestarts {
    /// From `rate` down to 0 over `steps` steps, again and again.
    pub fn new(rate: f64, steps: u64) -> Self {
        CosineRestarts { first: Cosine::new(rate, steps), longer: 1, lower: 1.0 }
    }

    /// Each cycle so many times as long as the one before it; default 1 (`T_mult`, `t_mul`).
    #[must_use]
    pub fn longer(mut self, times: u64) -> Self {
        self.longer = times;
        self
    }

    /// Each cycle so many times as high above the minimum as the one before it; default 1 (`m_mul`).
    #[must_use]
    pub fn lower(mut self, times: f64) -> Self {
        self.lower = times;
        self
    }

    /// Down to this rate instead of 0.
    #[must_use]
    pub fn minimum(mut self, minimum: f64) -> Self {
        self.first = self.first.minimum(minimum);
        self
    }

    /// Before the first cycle, so many steps up from 0 to the rate, as [`Cosine::warmup`].
    #[must_use]
    pub fn warmup(mut self, steps: u64) -> Self {
        self.first = self.first.warmup(steps);
        self
    }

    /// The cycle of a step that is counted from the end of the warm-up, the step in it, and the cycle's length.
    fn cycle(&self, step: u64) -> (u64, u64, u64) {
        let (mut cycle, mut at, mut length) = (0, step, self.first.steps);
        if self.longer <= 1 {
            return (step / length, step % length, length);
        }
        while at >= length {
            (cycle, at, length) = (cycle + 1, at - length, length.saturating_mul(self.longer));
        }
        (cycle, at, length)
    }
}

impl Schedule for CosineRestarts {
    fn kind(&self) -> &str {
        "CosineRestarts"
    }

    fn config(&self) -> Value {
        let Cosine { rate, minimum, steps, warmup } = self.first;
        json!({
            "rate": rate, "minimum": minimum, "steps": steps, "warmup": warmup,
            "longer": self.longer, "lower": self.lower,
        })
    }

    fn rate(&self, step: u64) -> f64 {
        let Cosine { rate, minimum, steps, warmup } = self.first;
        // A cycle of 0 steps is refused, but it can be asked.
        if step < warmup || steps == 0 {
            return self.first.rate(step);
        }
        let (cycle, at, length) = self.cycle(step - warmup);
        half_wave(minimum + self.lower.powf(cycle as f64) * (rate - minimum), minimum, at as f64, length as f64)
    }

    fn check(&self) -> Result<()> {
        self.first.check()?;
        check_rate("height of each cycle against the last", self.lower)?;
        if self.longer == 0 {
            return Err(Error::setting("length of each cycle against the last", "at least 1", 0));
        }
        Ok(())
    }
}
