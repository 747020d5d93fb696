//! Mean and deviation of numbers that several runs came to.

use std::fmt;

/// The mean, and the sample standard deviation (the sum of squares divided by one less than the count). Shown as
/// `mean ± deviation`, with the digits that the format asks for.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    pub mean: f64,
    pub deviation: f64,
}

impl Spread {
    pub fn of(values: &[f64]) -> Self {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let squares = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
        Spread { mean, deviation: (squares / (count - 1.0)).sqrt() }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(2);
        let text = format!("{:.digits$} ± {:.digits$}", self.mean, self.deviation);
        write!(f, "{text:>width$}", width = f.width().unwrap_or(0))
    }
}
