//! Every row tested once, in as many folds.

use std::collections::BTreeMap;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::split::{Split, rows_by_class};
use crate::error::{Error, Result};

/// Splits rows into `n_splits` folds of nearly equal size; each is the test set once, and the rest learns.
///
/// As in scikit-learn, the first `samples % n_splits` folds have one row more than the others; folds are runs of
/// neighbouring rows unless they are shuffled, and row numbers rise within each side.
///
/// ```
/// use layerwise::data::KFold;
/// let folds = KFold::new(3).split(7)?;
/// assert_eq!(folds[0].test, [0, 1, 2]);
/// assert_eq!(folds[2].train, [0, 1, 2, 3, 4]);
/// # Ok::<(), layerwise::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KFold {
    n_splits: usize,
    shuffle: Option<u64>,
}

impl KFold {
    /// Folds of neighbouring rows.
    pub fn new(n_splits: usize) -> Self {
        Self { n_splits, shuffle: None }
    }

    /// Deals the rows out at random. The same seed gives the same folds.
    #[must_use]
    pub fn shuffle(mut self, seed: u64) -> Self {
        self.shuffle = Some(seed);
        self
    }

    /// The folds of rows `0..samples`.
    ///
    /// # Errors
    /// [`Error::Setting`] for fewer than two folds or more folds than rows.
    pub fn split(&self, samples: usize) -> Result<Vec<Split>> {
        check_splits(self.n_splits, samples)?;
        let mut rows: Vec<usize> = (0..samples).collect();
        if let Some(seed) = self.shuffle {
            rows.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        }
        let (size, larger) = (samples / self.n_splits, samples % self.n_splits);
        let sizes = (0..self.n_splits).map(|fold| size + usize::from(fold < larger));
        let mut fold_of_row = vec![0; samples];
        let dealt = sizes.enumerate().flat_map(|(fold, size)| std::iter::repeat_n(fold, size));
        rows.iter().zip(dealt).for_each(|(&row, fold)| fold_of_row[row] = fold);
        Ok(splits(self.n_splits, &fold_of_row))
    }
}

/// The folds of a [`StratifiedKFold`], and what is to be said against them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folds {
    /// One split a fold.
    pub splits: Vec<Split>,
    /// A sentence for each class with fewer rows than there are folds: some folds test without it.
    pub warnings: Vec<String>,
}

/// Splits rows into `n_splits` folds with each class spread evenly over them; each is the test set once.
///
/// The counts are those of scikit-learn, and so are the folds themselves unless they are shuffled: the rows sorted by
/// class, in the order in which the classes first come, are dealt out one fold after the other. Shuffling decides which
/// rows of a class go where.
///
/// ```
/// use layerwise::data::StratifiedKFold;
/// let folds = StratifiedKFold::new(2).split(&[0, 0, 0, 0, 1, 1])?;
/// assert_eq!(folds.splits[0].test, [0, 1, 4]);
/// assert!(folds.warnings.is_empty());
/// # Ok::<(), layerwise::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StratifiedKFold {
    n_splits: usize,
    shuffle: Option<u64>,
}

impl StratifiedKFold {
    /// Folds in the order of the rows.
    pub fn new(n_splits: usize) -> Self {
        Self { n_splits, shuffle: None }
    }

    /// Deals the rows of each class out at random. The same seed gives the same folds.
    #[must_use]
    pub fn shuffle(mut self, seed: u64) -> Self {
        self.shuffle = Some(seed);
        self
    }

    /// The folds of rows with these class labels.
    ///
    /// # Errors
    /// [`Error::Setting`] for fewer than two folds, more folds than rows, or more folds than any class has rows.
    pub fn split<'l>(&self, labels: impl IntoIterator<Item = &'l usize>) -> Result<Folds> {
        let labels: Vec<usize> = labels.into_iter().copied().collect();
        check_splits(self.n_splits, labels.len())?;
        let classes = rows_by_class(&labels);
        let warnings = self.warnings(&classes)?;
        let mut classes: Vec<Vec<usize>> = classes.into_values().collect();
        classes.sort_by_key(|rows| rows[0]);
        let mut rng = self.shuffle.map(ChaCha8Rng::seed_from_u64);
        let mut fold_of_row = vec![0; labels.len()];
        let mut dealt = 0;
        for rows in &classes {
            let mut folds: Vec<usize> = (dealt..dealt + rows.len()).map(|card| card % self.n_splits).collect();
            dealt += rows.len();
            folds.sort_unstable();
            if let Some(rng) = &mut rng {
                folds.shuffle(rng);
            }
            rows.iter().zip(folds).for_each(|(&row, fold)| fold_of_row[row] = fold);
        }
        Ok(Folds { splits: splits(self.n_splits, &fold_of_row), warnings })
    }

    fn warnings(&self, classes: &BTreeMap<usize, Vec<usize>>) -> Result<Vec<String>> {
        let largest = classes.values().map(Vec::len).max().unwrap_or(0);
        if self.n_splits > largest {
            let requirement = format!("at most {largest}, the number of rows of the largest class");
            return Err(Error::setting("n_splits", requirement, self.n_splits));
        }
        let small = classes.iter().filter(|(_, rows)| rows.len() < self.n_splits);
        let warning = |(class, rows): (&usize, &Vec<usize>)| {
            format!("class {class} has {} rows for {} folds: some folds test without it", rows.len(), self.n_splits)
        };
        Ok(small.map(warning).collect())
    }
}

fn check_splits(n_splits: usize, samples: usize) -> Result<()> {
    if n_splits < 2 {
        return Err(Error::setting("n_splits", "at least 2", n_splits));
    }
    if n_splits > samples {
        return Err(Error::setting("n_splits", format!("at most {samples}, the number of samples"), n_splits));
    }
    Ok(())
}

fn splits(n_splits: usize, fold_of_row: &[usize]) -> Vec<Split> {
    let split = |fold| {
        let (test, train) = (0..fold_of_row.len()).partition(|&row| fold_of_row[row] == fold);
        Split { train, test }
    };
    (0..n_splits).map(split).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_with_fewer_rows_than_folds_is_warned_of_by_name() -> Result<()> {
        let folds = StratifiedKFold::new(3).split(&[7, 7, 7, 4, 4])?;
        assert_eq!(folds.warnings, ["class 4 has 2 rows for 3 folds: some folds test without it"]);
        Ok(())
    }

    #[test]
    fn shuffling_changes_the_rows_of_a_fold_but_not_its_classes() -> Result<()> {
        let labels: Vec<usize> = (0..50).map(|row| row % 7 / 3).collect();
        let count = |split: &Split| {
            let mut count = [0; 3];
            split.test.iter().for_each(|&row| count[labels[row]] += 1);
            count
        };
        let plain = StratifiedKFold::new(4).split(&labels)?;
        let shuffled = StratifiedKFold::new(4).shuffle(3).split(&labels)?;
        assert_ne!(plain, shuffled);
        for (plain, shuffled) in plain.splits.iter().zip(&shuffled.splits) {
            assert_eq!(count(plain), count(shuffled));
        }
        Ok(())
    }
}
