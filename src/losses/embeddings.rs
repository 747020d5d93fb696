//! Several embeddings of a sample in one output.

use super::terms::Rows;
use crate::error::{Error, Result};

/// An output (batch, count, ...) or (batch, count * features): the embeddings of a sample lie one behind the other.
pub(super) fn rows(kind: &str, output: &[usize], count: usize) -> Result<Rows> {
    let wrong = || {
        let expected = format!("(batch, {count}, features) or (batch, {count} features)");
        Err(Error::shape(format!("output of {kind}"), expected, output))
    };
    let Some((&batch, sample)) = output.split_first() else { return wrong() };
    let fits = match sample {
        [] => false,
        [all] => *all > 0 && all % count == 0,
        [first, rest @ ..] => *first == count && !rest.contains(&0),
    };
    if fits { Ok(Rows { batch, rows: batch, features: sample.iter().product() }) } else { wrong() }
}
