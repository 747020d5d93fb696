//! Steps at which a rate jumps.

use crate::error::{Error, Result};

/// How many boundaries lie at or before a step: a boundary is the first step with the new rate.
pub(super) fn passed(boundaries: &[u64], step: u64) -> usize {
    boundaries.partition_point(|&boundary| boundary <= step)
}

/// Refuses boundaries that do not increase.
pub(super) fn check_increasing(name: &str, boundaries: &[u64]) -> Result<()> {
    match boundaries.windows(2).find(|pair| pair[0] >= pair[1]) {
        Some(pair) => Err(Error::setting(name, "increasing", format!("{} after {}", pair[1], pair[0]))),
        None => Ok(()),
    }
}
