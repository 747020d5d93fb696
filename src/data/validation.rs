//! Rows to watch the training by.

use std::collections::BTreeSet;

use super::split::{Split, check_fraction, shuffled, stratified, test_rows};
use crate::error::{Error, Result};

/// How the rows for validation are chosen out of those to train on; the fraction is theirs.
///
/// `Last` is what Keras does under `validation_split`: the last rows, before any shuffle. On data that is sorted by
/// class (the iris set, a folder of pictures a class) that leaves whole classes out of the training without a word.
/// [`indices`](Self::indices) says so in [`Validation::warnings`] when it is given the labels; `Stratified` avoids it.
///
/// ```
/// use layerwise::data::ValidationSplit;
/// let sorted = [0, 0, 0, 0, 1, 1, 1, 1];
/// let last = ValidationSplit::Last(0.25).indices(8, Some(&sorted), 7)?;
/// assert_eq!(last.validation, [6, 7]);
/// assert_eq!(last.warnings, ["class 0 has 4 rows, none of which are in the validation part"]);
/// let even = ValidationSplit::Stratified(0.25).indices(8, Some(&sorted), 7)?;
/// assert!(even.warnings.is_empty());
/// # Ok::<(), layerwise::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ValidationSplit {
    /// The last rows: those from `floor(samples * (1 - fraction))` on, as in Keras.
    Last(f64),
    /// Rows chosen at random: `ceil(samples * fraction)` of them, as in [`train_test_split`](super::train_test_split).
    Shuffled(f64),
    /// As `Shuffled`, with each class in proportion, as in
    /// [`stratified_train_test_split`](super::stratified_train_test_split).
    Stratified(f64),
}

/// Rows to train on and rows to validate on, and what is to be said against them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validation {
    /// The rows to train on.
    pub train: Vec<usize>,
    /// The rows to validate on.
    pub validation: Vec<usize>,
    /// A sentence for each class that is missing from one part.
    pub warnings: Vec<String>,
}

const FRACTION: &str = "validation fraction";

impl ValidationSplit {
    /// Splits rows `0..samples`. `Last` has no use for the seed; `Stratified` needs the labels, and the others take
    /// them to warn of classes that are missing from one part.
    ///
    /// # Errors
    /// [`Error::Setting`] if the fraction is not between 0 and 1 or leaves a part empty, if `Stratified` comes without
    /// labels, and as for [`stratified_train_test_split`](super::stratified_train_test_split); [`Error::Length`] for
    /// another number of labels than samples; [`Error::Empty`] for no samples.
    pub fn indices(&self, samples: usize, labels: Option<&[usize]>, seed: u64) -> Result<Validation> {
        if let Some(labels) = labels.filter(|labels| labels.len() != samples) {
            return Err(Error::length("labels against samples", samples, labels.len()));
        }
        let Split { train, test: validation } = match *self {
            Self::Last(fraction) => last(samples, fraction)?,
            Self::Shuffled(fraction) => shuffled(samples, test_rows(FRACTION, samples, fraction)?, seed),
            Self::Stratified(fraction) => {
                let missing = || Error::setting("ValidationSplit::Stratified", "given class labels", "none");
                let validation = test_rows(FRACTION, samples, fraction)?;
                stratified(FRACTION, labels.ok_or_else(missing)?, validation, seed)?
            }
        };
        let warnings = labels.map_or_else(Vec::new, |labels| warnings(labels, &train, &validation));
        Ok(Validation { train, validation, warnings })
    }
}

fn last(samples: usize, fraction: f64) -> Result<Split> {
    check_fraction(FRACTION, samples, fraction)?;
    let split_at = (samples as f64 * (1.0 - fraction)).floor() as usize;
    if split_at == 0 || split_at == samples {
        let requirement = format!("a fraction that leaves some of {samples} samples in either part");
        return Err(Error::setting(FRACTION, requirement, fraction));
    }
    Ok(Split { train: (0..split_at).collect(), test: (split_at..samples).collect() })
}

fn warnings(labels: &[usize], train: &[usize], validation: &[usize]) -> Vec<String> {
    let classes = |rows: &[usize]| rows.iter().map(|&row| labels[row]).collect::<BTreeSet<_>>();
    let (in_train, in_validation) = (classes(train), classes(validation));
    let mut warnings = Vec::new();
    for (part, missing) in [("training", &in_validation - &in_train), ("validation", &in_train - &in_validation)] {
        for class in missing {
            let rows = labels.iter().filter(|&&label| label == class).count();
            warnings.push(format!("class {class} has {rows} rows, none of which are in the {part} part"));
        }
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_rows_are_those_of_keras() -> Result<()> {
        // math.floor(samples * (1.0 - fraction)) in Python; of 1000 at 0.07, rounding costs the training part one row.
        for (samples, fraction, split_at) in
            [(10, 0.2, 8), (7, 0.5, 3), (150, 0.1, 135), (100, 0.07, 93), (1000, 0.07, 929)]
        {
            let split = ValidationSplit::Last(fraction).indices(samples, None, 0)?;
            assert_eq!(split.train, (0..split_at).collect::<Vec<_>>(), "{samples} {fraction}");
            assert_eq!(split.validation, (split_at..samples).collect::<Vec<_>>());
        }
        Ok(())
    }

    #[test]
    fn a_class_too_small_for_its_share_is_named_even_when_stratified() -> Result<()> {
        let labels: Vec<usize> = [[0; 11].as_slice(), &[1; 9], &[2; 2]].concat();
        let split = ValidationSplit::Stratified(0.2).indices(22, Some(&labels), 0)?;
        assert_eq!(split.warnings, ["class 2 has 2 rows, none of which are in the validation part"]);
        Ok(())
    }

    #[test]
    fn the_trap_of_sorted_classes_is_named() -> Result<()> {
        let labels: Vec<usize> = (0..150).map(|row| row / 50).collect();
        let split = ValidationSplit::Last(0.34).indices(150, Some(&labels), 0)?;
        let expected = [
            "class 2 has 50 rows, none of which are in the training part",
            "class 0 has 50 rows, none of which are in the validation part",
        ];
        assert_eq!(split.warnings, expected);
        Ok(())
    }
}
