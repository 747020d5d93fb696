//! Rows to learn from and rows to test on.

use std::collections::BTreeMap;

use ndarray::{Array, ArrayBase, Axis, Data, Dimension, RemoveAxis};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::error::{Error, Result};

/// Two sets of row numbers without a row in common.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// The rows to learn from.
    pub train: Vec<usize>,
    /// The rows to test on.
    pub test: Vec<usize>,
}

/// Splits rows `0..samples` at random: `ceil(samples * test_fraction)` to test on, as in scikit-learn, and the rest to
/// learn from. The same seed gives the same split on every machine.
///
/// # Errors
/// [`Error::Setting`] if the fraction is not between 0 and 1 or leaves nothing to learn from; [`Error::Empty`] for no
/// samples.
///
/// ```
/// use layerwise::data::train_test_split;
/// let split = train_test_split(10, 0.25, 7)?;
/// assert_eq!((split.train.len(), split.test.len()), (7, 3));
/// # Ok::<(), layerwise::Error>(())
/// ```
pub fn train_test_split(samples: usize, test_fraction: f64, seed: u64) -> Result<Split> {
    let test = test_rows("test_fraction", samples, test_fraction)?;
    Ok(shuffled(samples, test, seed))
}

/// Splits rows at random with as much of each class on either side as the fraction asks for.
///
/// The counts are those of scikit-learn's `StratifiedShuffleSplit`: each class gets its share rounded down, and the
/// rows that are still to be given out go to the classes that were rounded down most; where classes are level, chance
/// decides.
///
/// # Errors
/// Those of [`train_test_split`], and [`Error::Setting`] if a class has only one row or if one side has fewer rows than
/// there are classes.
///
/// ```
/// use layerwise::data::stratified_train_test_split;
/// let split = stratified_train_test_split(&[0, 0, 0, 0, 0, 0, 1, 1, 1], 1.0 / 3.0, 7)?;
/// assert_eq!(split.test.iter().filter(|&&row| row >= 6).count(), 1);
/// # Ok::<(), layerwise::Error>(())
/// ```
pub fn stratified_train_test_split<'l>(
    labels: impl IntoIterator<Item = &'l usize>,
    test_fraction: f64,
    seed: u64,
) -> Result<Split> {
    let labels: Vec<usize> = labels.into_iter().copied().collect();
    let test = test_rows("test_fraction", labels.len(), test_fraction)?;
    stratified("test_fraction", &labels, test, seed)
}

/// Some rows of an array of any rank and any strides, in the order given, as an array of their own in row-major layout.
///
/// # Errors
/// [`Error::Shape`] for an array without axes, [`Error::Value`] for a row that is not there.
///
/// ```
/// use layerwise::data::take;
/// use ndarray::array;
/// assert_eq!(take(&array![[1, 2], [3, 4], [5, 6]], &[2, 0])?, array![[5, 6], [1, 2]]);
/// # Ok::<(), layerwise::Error>(())
/// ```
pub fn take<T, S, D>(array: &ArrayBase<S, D>, rows: &[usize]) -> Result<Array<T, D>>
where
    T: Clone,
    S: Data<Elem = T>,
    D: Dimension + RemoveAxis,
{
    let Some(&samples) = array.shape().first() else {
        return Err(Error::shape("array to take rows of", "at least one axis", array.shape()));
    };
    let mut shape = array.raw_dim();
    shape[0] = rows.len();
    let mut values = Vec::with_capacity(shape.size());
    for (place, &row) in rows.iter().enumerate() {
        if row >= samples {
            return Err(Error::value("row", &[place], format!("one below {samples}"), row));
        }
        let row = array.index_axis(Axis(0), row);
        match row.as_slice() {
            Some(row) => values.extend_from_slice(row),
            None => values.extend(row.iter().cloned()),
        }
    }
    Ok(Array::from_shape_vec(shape, values).expect("as many values as the shape has room for"))
}

/// How many rows are kept out of `samples`: scikit-learn's `ceil(samples * fraction)`, with rows left on either side.
pub(super) fn test_rows(name: &str, samples: usize, fraction: f64) -> Result<usize> {
    check_fraction(name, samples, fraction)?;
    let test = (samples as f64 * fraction).ceil() as usize;
    if test >= samples {
        let requirement = format!("a fraction that leaves some of {samples} samples to learn from");
        return Err(Error::setting(name, requirement, fraction));
    }
    Ok(test)
}

pub(super) fn check_fraction(name: &str, samples: usize, fraction: f64) -> Result<()> {
    if !(fraction > 0.0 && fraction < 1.0) {
        return Err(Error::setting(name, "above 0 and below 1", fraction));
    }
    if samples == 0 {
        return Err(Error::Empty("the set of samples to split".to_owned()));
    }
    Ok(())
}

/// The rows of each class, in order.
pub(super) fn rows_by_class(labels: &[usize]) -> BTreeMap<usize, Vec<usize>> {
    let mut classes: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (row, &label) in labels.iter().enumerate() {
        classes.entry(label).or_default().push(row);
    }
    classes
}

pub(super) fn shuffled(samples: usize, test: usize, seed: u64) -> Split {
    let mut rows: Vec<usize> = (0..samples).collect();
    rows.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    let train = rows.split_off(test);
    Split { train, test: rows }
}

/// `test` rows of `labels` against the rest, each class in proportion.
pub(super) fn stratified(name: &str, labels: &[usize], test: usize, seed: u64) -> Result<Split> {
    let classes = rows_by_class(labels);
    check_classes(name, &classes, labels.len(), test)?;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let counts: Vec<usize> = classes.values().map(Vec::len).collect();
    // The training side is drawn first, as in scikit-learn; what is left of each class is the test side.
    let to_train = apportion(&counts, labels.len() - test, &mut rng);
    let mut split = Split::default();
    for (mut rows, train) in classes.into_values().zip(to_train) {
        rows.shuffle(&mut rng);
        split.test.extend(rows.drain(train..));
        split.train.append(&mut rows);
    }
    split.train.shuffle(&mut rng);
    split.test.shuffle(&mut rng);
    Ok(split)
}

fn check_classes(name: &str, classes: &BTreeMap<usize, Vec<usize>>, samples: usize, test: usize) -> Result<()> {
    if let Some((class, _)) = classes.iter().find(|(_, rows)| rows.len() < 2) {
        let requirement = "given at least two rows of every class, one for either side";
        return Err(Error::setting("a stratified split", requirement, format!("one row of class {class}")));
    }
    if test.min(samples - test) < classes.len() {
        let requirement =
            format!("a fraction that leaves at least {} rows (one a class) on either side", classes.len());
        let got = format!("{} and {test} of {samples}", samples - test);
        return Err(Error::setting(name, requirement, got));
    }
    Ok(())
}

/// Gives `draws` out over classes of these sizes, by largest remainder: `floor(count / total * draws)` each, and one
/// more to those with the largest fractions until none is left. Ties are broken at random.
fn apportion(counts: &[usize], draws: usize, rng: &mut ChaCha8Rng) -> Vec<usize> {
    let total = counts.iter().sum::<usize>() as f64;
    let shares: Vec<f64> = counts.iter().map(|&count| count as f64 / total * draws as f64).collect();
    let mut given: Vec<usize> = shares.iter().map(|share| share.floor() as usize).collect();
    let mut order: Vec<usize> = (0..counts.len()).collect();
    // The sort keeps the shuffled order of classes that are level.
    order.shuffle(rng);
    order.sort_by(|&a, &b| shares[b].fract().total_cmp(&shares[a].fract()));
    let missing = draws - given.iter().sum::<usize>();
    for &class in &order[..missing] {
        given[class] += 1;
    }
    given
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array3, arr0, s};

    #[test]
    fn rows_are_taken_whatever_the_rank_and_the_strides() -> Result<()> {
        let array = Array3::from_shape_fn((6, 3, 4), |(i, j, k)| 100 * i + 10 * j + k);
        for view in [array.view(), array.slice(s![..;-2, .., ..;3]), array.view().permuted_axes([2, 0, 1])] {
            let rows = [2, 0, 2];
            let taken = take(&view, &rows)?;
            assert!(taken.is_standard_layout());
            assert_eq!(taken, view.select(Axis(0), &rows));
            assert_eq!(take(&view.into_dyn(), &rows)?, taken.into_dyn());
        }
        assert_eq!(take(&array, &[])?.shape(), [0, 3, 4]);
        Ok(())
    }

    #[test]
    fn an_array_without_rows_is_refused() {
        let message = take(&arr0(1.0).into_dyn(), &[0]).unwrap_err().to_string();
        assert_eq!(message, "array to take rows of: expected at least one axis, got shape []");
    }

    #[test]
    fn shares_sum_to_the_draws_and_are_off_by_less_than_one() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for draws in 0..=45 {
            let counts = [3, 3, 17, 2, 20];
            let given = apportion(&counts, draws, &mut rng);
            assert_eq!(given.iter().sum::<usize>(), draws);
            for (given, count) in given.iter().zip(counts) {
                assert!((*given as f64 - count as f64 * draws as f64 / 45.0).abs() < 1.0);
            }
        }
    }

    #[test]
    fn a_tie_goes_now_to_one_class_and_now_to_another() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let firsts = (0..200).filter(|_| apportion(&[5, 5], 5, &mut rng)[0] == 3).count();
        assert!((60..140).contains(&firsts), "{firsts}");
    }
}
