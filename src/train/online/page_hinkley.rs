use super::check_not_negative;
use super::drift::{Change, DriftDetector, check_value};
use crate::error::{Error, Result};

/// The test of Page and Hinkley: sums up how far each number is above the mean so far, and tells of a rise when the sum
/// has gone far above where it was lowest.
///
/// With x the t-th number and `mean` that of the first t, and m = M = 0 before the first,
///
/// ```text
/// m = alpha m + (x - mean - delta)      M = the lowest m so far      a rise: m - M > threshold
/// ```
///
/// and a fall the same with `+ delta`, the highest, and `M - m`. After a change everything begins anew. E. S. Page,
/// "Continuous inspection schemes" (1954); form and defaults are River's, which watches both ways by default: here a
/// rise alone counts unless [`both`](Self::both) is said, as a falling error is no alarm.
///
/// The threshold is in units of the numbers times samples: errors of 0 and 1 whose share rises by 0.25 reach 10 after
/// some 40 samples. A larger threshold has fewer false alarms, and takes longer.
///
/// ```
/// use layerwise::train::online::{DriftDetector, PageHinkley};
///
/// let mut detector = PageHinkley::new().threshold(10.0);
/// assert_eq!(detector.update(0.0)?, None);
/// # Ok::<(), layerwise::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct PageHinkley {
    min_samples: u64,
    delta: f64,
    threshold: f64,
    alpha: f64,
    both: bool,
    sums: Sums,
}

/// What was gathered since the last change.
#[derive(Clone, Copy, Debug)]
struct Sums {
    seen: u64,
    mean: f64,
    above: f64,
    lowest: f64,
    below: f64,
    highest: f64,
}

const NOTHING: Sums =
    Sums { seen: 0, mean: 0.0, above: 0.0, lowest: f64::INFINITY, below: 0.0, highest: f64::NEG_INFINITY };

const NAME: &str = "PageHinkley";

impl PageHinkley {
    /// With River's defaults, for rises.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        PageHinkley { min_samples: 30, delta: 0.005, threshold: 50.0, alpha: 0.9999, both: false, sums: NOTHING }
    }

    /// There is no change before so many numbers; 30 by default.
    #[must_use]
    pub fn min_samples(mut self, samples: u64) -> Self {
        self.min_samples = samples;
        self
    }

    /// How far a number may be from the mean without counting; 0.005 by default.
    #[must_use]
    pub fn delta(mut self, delta: f64) -> Self {
        self.delta = delta;
        self
    }

    /// How large the sum of what is above the mean must become; 50 by default.
    #[must_use]
    pub fn threshold(mut self, threshold: f64) -> Self {
        self.threshold = threshold;
        self
    }

    /// What is left of the sum from number to number, from above 0 to 1; 0.9999 by default.
    #[must_use]
    pub fn alpha(mut self, alpha: f64) -> Self {
        self.alpha = alpha;
        self
    }

    /// Tells of falls as well.
    #[must_use]
    pub fn both(mut self) -> Self {
        self.both = true;
        self
    }
}

impl DriftDetector for PageHinkley {
    fn name(&self) -> &str {
        NAME
    }

    fn update(&mut self, value: f64) -> Result<Option<Change>> {
        self.check()?;
        check_value(NAME, self.sums.seen, value)?;
        let sums = &mut self.sums;
        sums.seen += 1;
        sums.mean += (value - sums.mean) / sums.seen as f64;
        let apart = value - sums.mean;
        sums.above = self.alpha * sums.above + apart - self.delta;
        sums.below = self.alpha * sums.below + apart + self.delta;
        sums.lowest = sums.lowest.min(sums.above);
        sums.highest = sums.highest.max(sums.below);
        let rise = sums.above - sums.lowest > self.threshold;
        let fall = self.both && sums.highest - sums.below > self.threshold;
        if sums.seen < self.min_samples || !(rise || fall) {
            return Ok(None);
        }
        self.reset();
        Ok(Some(if rise { Change::Rise } else { Change::Fall }))
    }

    fn reset(&mut self) {
        self.sums = NOTHING;
    }

    fn check(&self) -> Result<()> {
        check_not_negative("delta of PageHinkley", self.delta)?;
        check_not_negative("threshold of PageHinkley", self.threshold)?;
        if self.alpha > 0.0 && self.alpha <= 1.0 {
            return Ok(());
        }
        Err(Error::setting("alpha of PageHinkley", "above 0 and at most 1", self.alpha))
    }
}
