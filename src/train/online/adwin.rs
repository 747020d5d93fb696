use std::collections::VecDeque;

use super::drift::{Change, DriftDetector, check_value};
use crate::error::{Error, Result};

/// Adaptive windowing: keeps a window of the last numbers, as long as can be with one mean throughout.
///
/// Every [`clock`](Self::clock) numbers the window of n is cut in two at each place where it can be, n0 old numbers and
/// n1 new ones. If their means differ by more than
///
/// ```text
/// e = sqrt(2 / m  variance  d) + 2 / (3 m)  d      d = ln(2 ln(n) / delta)      1 / m = 1 / n0 + 1 / n1
/// ```
///
/// the oldest numbers are dropped until no two parts differ: that is a change, and the window goes on with what is new.
/// Bifet and Gavaldà, "Learning from time-changing data with adaptive windowing" (2007), with its ADWIN2: the window is
/// an exponential histogram, [`max_buckets`](Self::max_buckets) buckets of 1, 2, 4, 8... numbers each with their sum and
/// variance, so that n numbers take memory for log n. As in its authors' MOA and in River, whose defaults these are,
/// neither part is shorter than [`min_window`](Self::min_window), and n0 and n1 count in m from there.
///
/// A window that still shrinks at later looks tells of the same change again; [`reset`](DriftDetector::reset) after a
/// change begins anew instead, as River's class does.
///
/// For numbers of any mean and spread; the bound is for those of a width of about 1, such as errors of 0 and 1.
///
/// ```
/// use layerwise::train::online::{Adwin, DriftDetector};
///
/// let mut detector = Adwin::new();
/// for at in 0..1000 {
///     detector.update(if at < 500 { 0.1 } else { 0.9 })?;
/// }
/// assert!(detector.window() < 540 && detector.mean() > 0.85);
/// # Ok::<(), layerwise::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Adwin {
    delta: f64,
    clock: u64,
    max_buckets: usize,
    min_window: u64,
    grace: u64,
    /// Numbers since the last reset.
    seen: u64,
    whole: Sums,
    /// Buckets of 2^level numbers, the oldest first. The highest level has some, unless it is the only one.
    levels: Vec<VecDeque<Sums>>,
}

/// Numbers: how many, their sum, and the sum of their squared distances from their mean.
#[derive(Clone, Copy, Default, Debug)]
struct Sums {
    count: f64,
    total: f64,
    squares: f64,
}

impl Sums {
    fn mean(self) -> f64 {
        self.total / self.count
    }

    /// What the distance between the means of two parts adds to the squares of both together.
    fn between(self, other: Sums) -> f64 {
        let apart = self.mean() - other.mean();
        self.count * other.count * apart * apart / (self.count + other.count)
    }

    fn with(self, other: Sums) -> Sums {
        if self.count == 0.0 {
            return other;
        }
        let squares = self.squares + other.squares + self.between(other);
        Sums { count: self.count + other.count, total: self.total + other.total, squares }
    }

    /// The rest without a part of it.
    fn without(self, part: Sums) -> Sums {
        let rest = Sums { count: self.count - part.count, total: self.total - part.total, squares: 0.0 };
        if rest.count == 0.0 {
            return Sums::default();
        }
        // Of equal numbers rounding can leave less than none, whose root would hide every change.
        let squares = (self.squares - part.squares - part.between(rest)).max(0.0);
        Sums { squares, ..rest }
    }
}

const NAME: &str = "Adwin";

impl Adwin {
    /// With River's defaults.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Adwin {
            delta: 0.002,
            clock: 32,
            max_buckets: 5,
            min_window: 5,
            grace: 10,
            seen: 0,
            whole: Sums::default(),
            levels: vec![VecDeque::new()],
        }
    }

    /// How sure a change must be: a bound on the chance of a false alarm at a look, above 0 and below 1; 0.002 by
    /// default.
    #[must_use]
    pub fn delta(mut self, delta: f64) -> Self {
        self.delta = delta;
        self
    }

    /// Looks for a change after every so many numbers; 32 by default.
    #[must_use]
    pub fn clock(mut self, numbers: u64) -> Self {
        self.clock = numbers;
        self
    }

    /// The most buckets of one size; 5 by default. More of them are more places to cut at.
    #[must_use]
    pub fn max_buckets(mut self, buckets: usize) -> Self {
        self.max_buckets = buckets;
        self
    }

    /// The fewest numbers of either part; 5 by default.
    #[must_use]
    pub fn min_window(mut self, numbers: u64) -> Self {
        self.min_window = numbers;
        self
    }

    /// There is no change in a window of so many numbers or fewer; 10 by default.
    #[must_use]
    pub fn grace(mut self, numbers: u64) -> Self {
        self.grace = numbers;
        self
    }

    /// The numbers in the window: after a change, those since then.
    pub fn window(&self) -> u64 {
        self.whole.count as u64
    }

    /// Their mean; NaN where there are none.
    pub fn mean(&self) -> f64 {
        self.whole.mean()
    }

    /// Their variance; NaN where there are none.
    pub fn variance(&self) -> f64 {
        self.whole.squares / self.whole.count
    }

    fn insert(&mut self, number: Sums) {
        self.whole = self.whole.with(number);
        let (mut level, mut bucket) = (0, number);
        loop {
            if level == self.levels.len() {
                self.levels.push(VecDeque::new());
            }
            let buckets = &mut self.levels[level];
            buckets.push_back(bucket);
            if buckets.len() <= self.max_buckets {
                return;
            }
            // Too many of this size: the two oldest become one of the next.
            let (Some(first), Some(second)) = (buckets.pop_front(), buckets.pop_front()) else { return };
            (level, bucket) = (level + 1, first.with(second));
        }
    }

    fn drop_oldest(&mut self) {
        let Some(buckets) = self.levels.last_mut() else { return };
        if let Some(oldest) = buckets.pop_front() {
            self.whole = self.whole.without(oldest);
        }
        if buckets.is_empty() && self.levels.len() > 1 {
            self.levels.pop();
        }
    }

    /// Which way the means of the first two parts that are too far apart differ, the cuts from the oldest on.
    fn difference(&self) -> Option<Change> {
        let least = self.min_window as f64;
        let mut old = Sums::default();
        for bucket in self.levels.iter().rev().flatten() {
            old = Sums { count: old.count + bucket.count, total: old.total + bucket.total, squares: 0.0 };
            let new = Sums { count: self.whole.count - old.count, total: self.whole.total - old.total, squares: 0.0 };
            if old.count < least || new.count < least.max(1.0) {
                continue;
            }
            let apart = new.mean() - old.mean();
            if apart.abs() > self.bound(old.count, new.count) {
                return Some(if apart > 0.0 { Change::Rise } else { Change::Fall });
            }
        }
        None
    }

    /// How far the means of two parts may be apart.
    fn bound(&self, old: f64, new: f64) -> f64 {
        let d = (2.0 * self.whole.count.ln() / self.delta).ln();
        let least = self.min_window as f64;
        let inverse = 1.0 / (old - least + 1.0) + 1.0 / (new - least + 1.0);
        (2.0 * inverse * self.variance() * d).sqrt() + 2.0 / 3.0 * d * inverse
    }
}

impl DriftDetector for Adwin {
    fn name(&self) -> &str {
        NAME
    }

    fn update(&mut self, value: f64) -> Result<Option<Change>> {
        self.check()?;
        check_value(NAME, self.seen, value)?;
        self.seen += 1;
        self.insert(Sums { count: 1.0, total: value, squares: 0.0 });
        if !self.seen.is_multiple_of(self.clock) || self.window() <= self.grace {
            return Ok(None);
        }
        let mut change = None;
        while let Some(difference) = self.difference() {
            // The first cut is that between what was and what is.
            change = change.or(Some(difference));
            self.drop_oldest();
        }
        Ok(change)
    }

    fn reset(&mut self) {
        self.seen = 0;
        self.whole = Sums::default();
        self.levels.truncate(1);
        self.levels.iter_mut().for_each(VecDeque::clear);
    }

    fn check(&self) -> Result<()> {
        if !(self.delta > 0.0 && self.delta < 1.0) {
            return Err(Error::setting("delta of Adwin", "above 0 and below 1", self.delta));
        }
        let counts = [("clock", self.clock), ("min_window", self.min_window)];
        if let Some((name, _)) = counts.into_iter().find(|&(_, count)| count == 0) {
            return Err(Error::setting(format!("{name} of Adwin"), "at least 1", 0));
        }
        match self.max_buckets {
            0 => Err(Error::setting("max_buckets of Adwin", "at least 1", 0)),
            _ => Ok(()),
        }
    }
}
