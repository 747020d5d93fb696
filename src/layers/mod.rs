//! The layers, one file each.

mod activation;
mod dense;

pub use activation::Activation;
pub use dense::Dense;

use crate::error::{Error, Result};

/// The length of the last axis of a sample of the shape `input`.
fn features(input: &[usize]) -> Result<usize> {
    match input.last() {
        Some(&features) if features > 0 => Ok(features),
        _ => Err(Error::shape("input of one sample", "a last axis of features", input)),
    }
}

/// Refuses an input whose last axis is another than the one that the layer was built for.
fn check_features(features: usize, built: Option<usize>, shape: &[usize]) -> Result<()> {
    match built {
        Some(built) if built != features => {
            Err(Error::shape("input", format!("{built} features on the last axis"), shape))
        }
        _ => Ok(()),
    }
}
