//! Predictions for rows that a network has not learned from, of every row of a set.

use layerwise::data::{Split, StratifiedKFold};
use layerwise::prelude::*;
use ndarray::Array1;

/// One probability for each label, `(rows)`: `predict` is called for each fold and gives those of its test rows by a
/// network that has learned from the others (scikit-learn's `cross_val_predict`).
///
/// A threshold is chosen on such probabilities. Those of the rows that a network has learned from are too good.
pub fn out_of_fold(
    labels: &Array1<usize>,
    folds: StratifiedKFold,
    mut predict: impl FnMut(&Split) -> Result<Tensor>,
) -> Result<Tensor> {
    let mut probabilities = Array1::<f32>::zeros(labels.len());
    for split in folds.split(labels)?.splits {
        for (&row, &probability) in split.test.iter().zip(&predict(&split)?) {
            probabilities[row] = probability;
        }
    }
    layerwise::to_tensor(&probabilities)
}
