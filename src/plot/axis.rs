//! The numbers along a side of a chart.

use super::number::digits;

/// A range of numbers along a side.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    low: f64,
    high: f64,
    log: bool,
    /// Whether there are whole numbers alone: epochs, counts.
    whole: bool,
}

impl Axis {
    /// From one number to another, exactly.
    pub(super) fn from_to(low: f64, high: f64) -> Self {
        Axis { low, high, log: false, whole: false }
    }

    /// Over all of these that can be shown, with some room, or over 0 to 1 where there is none.
    pub(super) fn over(values: impl IntoIterator<Item = f64>, log: bool) -> Self {
        let shown = values.into_iter().filter(|&value| Self::shows(value, log));
        let range = shown.fold(None, |range: Option<(f64, f64)>, value| {
            Some(range.map_or((value, value), |(low, high)| (low.min(value), high.max(value))))
        });
        let (low, high) = range.unwrap_or(if log { (0.1, 1.0) } else { (0.0, 1.0) });
        let axis = Axis { low, high, log, whole: false };
        // Logarithms of numbers that are as good as one are one.
        if low == high || log && high / low < 1.0 + 1e-9 {
            return axis.alone();
        }
        let room = 0.05;
        if log {
            let factor = (high / low).powf(room);
            let (below, above) = (low / factor, high * factor);
            // At the ends of the number type there is no room.
            return Axis { low: if below > 0.0 { below } else { low }, high: above.min(f64::MAX), ..axis };
        }
        let more = room * high - room * low;
        Axis { low: (low - more).max(f64::MIN), high: (high + more).min(f64::MAX), ..axis }
    }

    /// Around one number.
    fn alone(self) -> Self {
        let (low, high) = match (self.log, self.low) {
            (true, value) => (value / 2.0, value * 2.0),
            (false, 0.0) => (-0.5, 0.5),
            (false, value) => (value - 0.1 * value.abs(), value + 0.1 * value.abs()),
        };
        // Where the number type ends.
        let fits = low < high && high.is_finite() && (low > 0.0 || !self.log);
        if fits { Axis { low, high, ..self } } else { Axis { low: self.low / 2.0, high: self.low, ..self } }
    }

    /// The epochs 1 to `count`.
    pub(super) fn epochs(count: usize) -> Self {
        let (low, high) = if count <= 1 { (0.5, 1.5) } else { (1.0, count as f64) };
        Axis { low, high, log: false, whole: true }
    }

    /// Counts from 0 to `most`, with some room.
    pub(super) fn counts(most: f64) -> Self {
        Axis { low: 0.0, high: most * 1.05, log: false, whole: true }
    }

    /// Whether a number has a place on such an axis.
    pub(super) fn shows(value: f64, log: bool) -> bool {
        value.is_finite() && (value > 0.0 || !log)
    }

    /// Where a number is: 0 at the low end, 1 at the high one.
    pub(super) fn place(&self, value: f64) -> f64 {
        if self.log {
            let [low, high, value] = [self.low, self.high, value].map(f64::log10);
            return (value - low) / (high - low);
        }
        // Halves, so that no difference is too large for the number type.
        (value / 2.0 - self.low / 2.0) / (self.high / 2.0 - self.low / 2.0)
    }

    /// The number at a place of a linear axis.
    pub(super) fn at(&self, place: f64) -> f64 {
        self.low * (1.0 - place) + self.high * place
    }

    /// Round numbers along the axis with their texts, about as many as asked for.
    pub(super) fn ticks(&self, about: usize) -> Vec<(f64, String)> {
        let values = if self.log { self.log_ticks(about) } else { self.linear_ticks(about) };
        values.into_iter().map(|value| (value, digits(value, 6))).collect()
    }

    fn linear_ticks(&self, about: usize) -> Vec<f64> {
        let rough = self.high / about as f64 - self.low / about as f64;
        let power = 10_f64.powf(rough.log10().floor());
        let steps = [1.0, 2.0, 5.0, 10.0].map(|digit| digit * power);
        let mut step = steps.into_iter().find(|&step| step >= rough * 0.99).unwrap_or(rough);
        if self.whole {
            step = step.max(1.0).round();
        }
        let first = (self.low / step).ceil();
        let values = (0..=2 * about).map(|number| (first + number as f64) * step);
        // A product that misses a round number by its last bits is that number to `digits`.
        let end = (self.high + 1e-9 * step).min(f64::MAX);
        values.take_while(|&value| value <= end).collect()
    }

    fn log_ticks(&self, about: usize) -> Vec<f64> {
        let (low, high) = (self.low.log10(), self.high.log10());
        let every = ((0.75 * (high - low) / about as f64).ceil() as i32).max(1);
        let digits: &[f64] = if high - low < 1.0 {
            &[1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0]
        } else if high - low < 3.0 {
            &[1.0, 2.0, 5.0]
        } else {
            &[1.0]
        };
        let powers = (low.floor() as i32..=high.ceil() as i32).filter(|power| power % every == 0);
        let values = powers.flat_map(|power| digits.iter().map(move |digit| digit * 10_f64.powi(power)));
        values.filter(|&value| (self.low..=self.high).contains(&value)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(axis: Axis) -> Vec<String> {
        axis.ticks(5).into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn ticks_are_round_whatever_the_range() {
        assert_eq!(texts(Axis::from_to(0.0, 1.0)), ["0", "0.2", "0.4", "0.6", "0.8", "1"]);
        assert_eq!(texts(Axis::epochs(3)), ["1", "2", "3"]);
        assert_eq!(texts(Axis::epochs(1)), ["1"]);
        assert_eq!(texts(Axis::over([1e-5, 1.0], true)), ["1e-5", "0.0001", "0.001", "0.01", "0.1", "1"]);
        let extremes = [[-1e308, 1e308], [f64::MIN, f64::MAX], [1e16, 1e16 + 2.0], [5e-324, 1e-323], [3.0, 3.0]];
        for [low, high] in extremes {
            for log in [false, true] {
                let axis = Axis::over([low, high, f64::NAN, f64::INFINITY], log);
                let places = axis.ticks(5).into_iter().map(|(value, _)| axis.place(value));
                assert!(places.into_iter().all(|place| (-1e-6..=1.0 + 1e-6).contains(&place)), "{low} {high} {log}");
            }
        }
    }
}
