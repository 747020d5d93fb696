//! How values are spread: counts in buckets of equal width.

use super::proto::Message;
use crate::error::{Error, Result};
use crate::scalar::Scalar;

/// The buckets of TensorFlow's `summary.histogram`.
pub(super) const BUCKETS: usize = 30;

/// Counts, edges and sums of values, as NumPy's `histogram` makes them.
pub(crate) struct Histogram {
    least: f64,
    most: f64,
    values: usize,
    sum: f64,
    squares: f64,
    /// Between the buckets, and on either side of them all.
    pub(crate) edges: Vec<f64>,
    pub(crate) counts: Vec<f64>,
}

impl Histogram {
    /// In so many buckets, at least 1.
    pub(crate) fn of<A: Scalar>(tag: &str, values: &[A], buckets: usize) -> Result<Self> {
        if values.is_empty() {
            return Err(Error::Empty(format!("histogram \"{tag}\"")));
        }
        let (mut least, mut most) = (f64::INFINITY, f64::NEG_INFINITY);
        let (mut sum, mut squares) = (0.0, 0.0);
        for (at, value) in values.iter().enumerate() {
            let value = value.as_f64();
            if !value.is_finite() {
                return Err(Error::value(format!("value of histogram \"{tag}\""), &[at], "a finite number", value));
            }
            (least, most) = (least.min(value), most.max(value));
            sum += value;
            squares += value * value;
        }
        // All values alike: a bucket in the middle of a range around them.
        let (first, last) = if least == most { (least - 0.5, most + 0.5) } else { (least, most) };
        let width = last - first;
        if !width.is_finite() {
            let what = format!("spread of histogram \"{tag}\"");
            return Err(Error::setting(what, "finite", format!("values from {least:e} to {most:e}")));
        }
        let step = width / buckets as f64;
        let edge = |bucket: usize| if bucket == buckets { last } else { first + bucket as f64 * step };
        let mut counts = vec![0.0; buckets];
        for value in values.iter().map(|value| value.as_f64()) {
            // The quotient is rounded: the edges have the last word.
            let near = (((value - first) / width * buckets as f64) as usize).min(buckets - 1);
            let below = usize::from(value < edge(near));
            let above = usize::from(near + 1 < buckets && value >= edge(near + 1));
            counts[near + above - below] += 1.0;
        }
        let edges = (0..=buckets).map(edge).collect();
        Ok(Histogram { least, most, values: values.len(), sum, squares, edges, counts })
    }

    /// TensorFlow's `HistogramProto`.
    pub(super) fn message(&self) -> Message {
        Message::new()
            .double(1, self.least)
            .double(2, self.most)
            .double(3, self.values as f64)
            .double(4, self.sum)
            .double(5, self.squares)
            .doubles(6, &self.edges[1..])
            .doubles(7, &self.counts)
    }
}
