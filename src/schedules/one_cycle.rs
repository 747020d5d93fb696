use serde_json::{Value, json};

use super::Schedule;
use super::checks::{check_positive, check_rate, check_steps};
use super::cosine::half_wave;
use crate::error::{Error, Result};

/// Up from a small rate to a peak, and down to almost nothing, over `steps` steps (Smith and Topin 2018):
///
/// peak / divisor -> peak -> peak / (divisor * final_divisor)
///
/// along half cosine waves or [straight lines](Self::linear). The first part ends with step `rise * steps` - 1, the
/// second with the last step, `steps` - 1, whose rate stays. With [`three_phases`](Self::three_phases) the way down
/// stops at the first rate, with step `2 * rise * steps` - 2, before it goes on to the last.
///
/// PyTorch's `OneCycleLR` with its defaults (25, 10000, 0.3, cosine), but for the momentum, which stays as it is:
/// there `cycle_momentum=False`.
///
/// ```
/// use layerwise::schedules::{OneCycle, Schedule};
/// let rate = OneCycle::new(0.1, 100);
/// assert!((rate.rate(0) - 0.004).abs() < 1e-12);
/// assert!((rate.rate(29) - 0.1).abs() < 1e-12);
/// assert!((rate.rate(99) - 4e-7).abs() < 1e-12);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct OneCycle {
    peak: f64,
    steps: u64,
    rise: f64,
    divisor: f64,
    final_divisor: f64,
    linear: bool,
    three_phases: bool,
}

impl OneCycle {
    /// Up to `peak` and down again within `steps` steps.
    pub fn new(peak: f64, steps: u64) -> Self {
        OneCycle { peak, steps, rise: 0.3, divisor: 25.0, final_divisor: 1e4, linear: false, three_phases: false }
    }

    /// The part of the steps on the way up, in [0, 1], instead of 0.3 (`pct_start`); with three phases at most 0.5.
    #[must_use]
    pub fn rise(mut self, part: f64) -> Self {
        self.rise = part;
        self
    }

    /// How much smaller the first rate is than the peak, instead of 25 (`div_factor`).
    #[must_use]
    pub fn divisor(mut self, divisor: f64) -> Self {
        self.divisor = divisor;
        self
    }

    /// How much smaller the last rate is than the first, instead of 10000 (`final_div_factor`).
    #[must_use]
    pub fn final_divisor(mut self, divisor: f64) -> Self {
        self.final_divisor = divisor;
        self
    }

    /// Whether the ways are straight lines. Default: no, half waves.
    #[must_use]
    pub fn linear(mut self, linear: bool) -> Self {
        self.linear = linear;
        self
    }

    /// Whether there is a third part, from the first rate to the last. Default: no.
    #[must_use]
    pub fn three_phases(mut self, three: bool) -> Self {
        self.three_phases = three;
        self
    }

    /// The ends of the parts: steps, as fractions of PyTorch's are, and rates.
    fn ends(&self) -> [(f64, f64); 3] {
        let (steps, first) = (self.steps as f64, self.peak / self.divisor);
        let top = (self.rise * steps - 1.0, self.peak);
        let last = (steps - 1.0, first / self.final_divisor);
        let middle = if self.three_phases { (2.0 * self.rise * steps - 2.0, first) } else { last };
        [top, middle, last]
    }
}

impl Schedule for OneCycle {
    fn kind(&self) -> &str {
        "OneCycle"
    }

    fn config(&self) -> Value {
        json!({
            "peak": self.peak, "steps": self.steps, "rise": self.rise, "divisor": self.divisor,
            "final_divisor": self.final_divisor, "linear": self.linear, "three_phases": self.three_phases,
        })
    }

    fn rate(&self, step: u64) -> f64 {
        let step = step as f64;
        let mut from = (0.0, self.peak / self.divisor);
        for to in self.ends() {
            if step <= to.0 && from.0 < to.0 {
                let (at, length) = (step - from.0, to.0 - from.0);
                return if self.linear {
                    from.1 + (to.1 - from.1) * (at / length)
                } else {
                    half_wave(from.1, to.1, at, length)
                };
            }
            from = to;
        }
        from.1
    }

    fn check(&self) -> Result<()> {
        check_rate("peak of the learning rate", self.peak)?;
        check_steps("one-cycle", self.steps)?;
        check_positive("divisor of the first rate", self.divisor)?;
        check_positive("divisor of the last rate", self.final_divisor)?;
        let most = if self.three_phases { 0.5 } else { 1.0 };
        if (0.0..=most).contains(&self.rise) {
            return Ok(());
        }
        Err(Error::setting("part of the steps on the way up", format!("from 0 to {most}"), self.rise))
    }
}
