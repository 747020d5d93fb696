//! Labels to class numbers.

use std::collections::HashMap;

use ndarray::Array1;

use super::features::not_fitted;
use super::names::{listed, sorted_classes};
use crate::error::{Error, Result};

/// Numbers the classes of text labels: 0 for the first in order, 1 for the next...
///
/// The order is that of text, as in scikit-learn; labels that are numbers, every one of them, are in the order of
/// numbers (as scikit-learn has it for labels that are not text), so that `"10"` follows `"9"`.
///
/// ```
/// use layerwise::data::LabelEncoder;
/// let mut encoder = LabelEncoder::new();
/// let labels = encoder.fit_transform(["versicolor", "setosa", "versicolor"])?;
/// assert_eq!(labels, ndarray::array![1, 0, 1]);
/// assert_eq!(encoder.classes(), ["setosa", "versicolor"]);
/// assert_eq!(encoder.inverse_transform(&[0, 1])?, ["setosa", "versicolor"]);
/// # Ok::<(), layerwise::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LabelEncoder {
    classes: Vec<String>,
}

const KIND: &str = "LabelEncoder";

impl LabelEncoder {
    /// One without classes yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Learns the classes.
    ///
    /// # Errors
    /// [`Error::Empty`] without labels.
    pub fn fit<T: AsRef<str>>(&mut self, labels: impl IntoIterator<Item = T>) -> Result<&mut Self> {
        let labels: Vec<T> = labels.into_iter().collect();
        let classes = sorted_classes(labels.iter().map(AsRef::as_ref));
        if classes.is_empty() {
            return Err(Error::Empty(format!("{KIND} input")));
        }
        self.classes = classes;
        Ok(self)
    }

    /// The number of each label's class.
    ///
    /// # Errors
    /// [`Error::Setting`] before `fit`, [`Error::Value`] for a label that was not there in `fit`.
    pub fn transform<T: AsRef<str>>(&self, labels: impl IntoIterator<Item = T>) -> Result<Array1<usize>> {
        if self.classes.is_empty() {
            return Err(not_fitted(KIND));
        }
        let numbers: HashMap<&str, usize> = self.classes.iter().map(String::as_str).zip(0..).collect();
        let number = |(index, label): (usize, T)| {
            let label = label.as_ref();
            numbers.get(label).copied().ok_or_else(|| {
                let expected = format!("one of {}", listed(&self.classes));
                Error::value("label", &[index], expected, format!("{label:?}"))
            })
        };
        labels.into_iter().enumerate().map(number).collect()
    }

    /// [`fit`](Self::fit), then [`transform`](Self::transform).
    ///
    /// # Errors
    /// Those of `fit`.
    pub fn fit_transform<T: AsRef<str>>(&mut self, labels: impl IntoIterator<Item = T>) -> Result<Array1<usize>> {
        let labels: Vec<T> = labels.into_iter().collect();
        self.fit(&labels)?.transform(&labels)
    }

    /// The labels of class numbers.
    ///
    /// # Errors
    /// [`Error::Setting`] before `fit`, [`Error::Value`] for a number that is no class.
    pub fn inverse_transform<'a>(&self, numbers: impl IntoIterator<Item = &'a usize>) -> Result<Vec<String>> {
        if self.classes.is_empty() {
            return Err(not_fitted(KIND));
        }
        let label = |(index, &number): (usize, &usize)| {
            let class = self.classes.get(number).cloned();
            class.ok_or_else(|| {
                Error::value("class number", &[index], format!("one below {}", self.classes.len()), number)
            })
        };
        numbers.into_iter().enumerate().map(label).collect()
    }

    /// The classes in the order of their numbers; none before `fit`.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inverse_gives_the_labels_back() -> Result<()> {
        let labels = ["10", "9", "11", "9"];
        let mut encoder = LabelEncoder::new();
        let numbers = encoder.fit_transform(labels)?;
        assert_eq!(numbers, ndarray::array![1, 0, 2, 0]);
        assert_eq!(encoder.inverse_transform(&numbers)?, labels);
        Ok(())
    }
}
