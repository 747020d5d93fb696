//! Probabilities sorted into bins of equal width.

use crate::error::{Error, Result};

/// More bins than this are a slip of the finger.
const MOST_BINS: usize = 1 << 20;

/// Refuses a number of bins that cannot be.
pub(super) fn check_bins(bins: usize) -> Result<()> {
    if bins == 0 || bins > MOST_BINS {
        return Err(Error::setting("bins", format!("from 1 to {MOST_BINS}"), bins));
    }
    Ok(())
}

/// Where bin `bin` begins and the one before it ends, as NumPy's `linspace` rounds it.
pub(super) fn edge(bin: usize, bins: usize) -> f64 {
    bin as f64 * (1.0 / bins as f64)
}

/// The bin of a probability: bin i reaches from i / bins, left out, to (i + 1) / bins; the first has 0 too. So do
/// scikit-learn's `calibration_curve` and, as thresholds, Keras's `AUC`.
pub(super) fn bin_of(probability: f64, bins: usize) -> usize {
    // The product tells the neighbourhood, comparisons with the rounded edges the bin.
    let mut bin = ((probability * bins as f64) as usize).min(bins - 1);
    while bin > 0 && probability <= edge(bin, bins) {
        bin -= 1;
    }
    while bin + 1 < bins && probability > edge(bin + 1, bins) {
        bin += 1;
    }
    bin
}
