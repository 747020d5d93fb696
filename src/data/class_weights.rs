//! Weights that make up for classes of different sizes.

use ndarray::Array1;

use crate::error::{Error, Result};
use crate::scalar::Scalar;

/// A weight for each class, such that all classes weigh the same together: `samples / (classes * samples of the
/// class)`, scikit-learn's `balanced`.
///
/// # Errors
/// [`Error::Empty`] without labels; [`Error::Value`] for a label that is not below `classes` or a class without
/// samples.
///
/// ```
/// use layerwise::data::{class_weights, sample_weights};
/// let labels = [0, 0, 0, 1];
/// let weights = class_weights(&labels, 2)?;
/// assert_eq!(weights, [4.0 / 6.0, 2.0]);
/// assert_eq!(sample_weights::<f32>(&labels, &weights)?.sum(), 4.0);
/// # Ok::<(), layerwise::Error>(())
/// ```
pub fn class_weights<'l>(labels: impl IntoIterator<Item = &'l usize>, classes: usize) -> Result<Vec<f64>> {
    let mut counts = vec![0usize; classes];
    let mut samples = 0usize;
    for (row, &label) in labels.into_iter().enumerate() {
        let count = counts.get_mut(label).ok_or_else(|| unknown(row, label, classes))?;
        *count += 1;
        samples += 1;
    }
    if samples == 0 {
        return Err(Error::Empty("the set of labels for class_weights".to_owned()));
    }
    match counts.iter().position(|&count| count == 0) {
        Some(class) => Err(Error::value("class", &[class], "at least one sample", "none")),
        None => Ok(counts.iter().map(|&count| samples as f64 / (classes as f64 * count as f64)).collect()),
    }
}

/// The weight of each sample's class, for a [`Dataset`](super::Dataset) or a loss.
///
/// # Errors
/// [`Error::Value`] for a label without a weight.
pub fn sample_weights<'l, A: Scalar>(
    labels: impl IntoIterator<Item = &'l usize>,
    class_weights: &[f64],
) -> Result<Array1<A>> {
    let weight = |(row, &label): (usize, &usize)| {
        let weight = class_weights.get(label).copied().map(A::of);
        weight.ok_or_else(|| unknown(row, label, class_weights.len()))
    };
    labels.into_iter().enumerate().map(weight).collect()
}

fn unknown(row: usize, label: usize, classes: usize) -> Error {
    Error::value("class label", &[row], format!("a class below {classes}"), label)
}
