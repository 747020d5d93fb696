//! Classes of different sizes made equal by choosing rows, or by making some up.

use ndarray::{Array1, Array2, ArrayBase, ArrayView1, Axis, Data, Ix1, Ix2};
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::split::rows_by_class;
use crate::error::{Error, Result};
use crate::scalar::Scalar;

/// Rows in which every class comes as often as the largest: all rows in their order, and then rows of the smaller
/// classes drawn at random, each any number of times. For [`take`](super::take) and
/// [`Table::take_rows`](super::Table::take_rows); training rows alone, lest a row is learned from and tested on.
///
/// # Errors
/// [`Error::Empty`] without labels.
///
/// ```
/// use layerwise::data::over_sample;
/// let rows = over_sample(&[0, 0, 0, 1], 7)?;
/// assert_eq!(rows, [0, 1, 2, 3, 3, 3]);
/// # Ok::<(), layerwise::Error>(())
/// ```
pub fn over_sample<'l>(labels: impl IntoIterator<Item = &'l usize>, seed: u64) -> Result<Vec<usize>> {
    let labels = collected(labels, "over_sample")?;
    let classes = rows_by_class(&labels);
    let largest = classes.values().map(Vec::len).max().unwrap_or(0);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut rows: Vec<usize> = (0..labels.len()).collect();
    for class in classes.values() {
        rows.extend((class.len()..largest).filter_map(|_| class.choose(&mut rng)));
    }
    Ok(rows)
}

/// Rows in which every class comes as often as the smallest, drawn at random without any twice, in their order.
///
/// # Errors
/// [`Error::Empty`] without labels.
///
/// ```
/// use layerwise::data::under_sample;
/// let rows = under_sample(&[0, 0, 0, 1], 7)?;
/// assert_eq!((rows.len(), rows[1]), (2, 3));
/// # Ok::<(), layerwise::Error>(())
/// ```
pub fn under_sample<'l>(labels: impl IntoIterator<Item = &'l usize>, seed: u64) -> Result<Vec<usize>> {
    let labels = collected(labels, "under_sample")?;
    let classes = rows_by_class(&labels);
    let smallest = classes.values().map(Vec::len).min().unwrap_or(0);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut rows = Vec::new();
    for mut class in classes.into_values() {
        class.shuffle(&mut rng);
        rows.extend_from_slice(&class[..smallest]);
    }
    rows.sort_unstable();
    Ok(rows)
}

fn collected<'l>(labels: impl IntoIterator<Item = &'l usize>, what: &str) -> Result<Vec<usize>> {
    let labels: Vec<usize> = labels.into_iter().copied().collect();
    match labels.is_empty() {
        true => Err(Error::Empty(format!("the set of labels for {what}"))),
        false => Ok(labels),
    }
}

/// Samples in which every class comes as often as the largest: those given, and then new ones of the smaller classes
/// (SMOTE, Chawla et al. 2002), each on the line from a sample of its class, drawn at random, to one of the
/// `neighbours` nearest of that class: `x + u (neighbour - x)`, u even from 0 to 1. 5 neighbours are usual.
///
/// `x` is `(rows, features)`, scaled, for nearest is by Euclid. It takes time with the square of a class's size.
///
/// # Errors
/// [`Error::Length`] for another number of labels than rows, [`Error::Empty`] for none; [`Error::Setting`] for no
/// neighbours, or a class to enlarge of no more than that; [`Error::Value`] for a value that is not finite.
///
/// ```
/// use layerwise::data::smote;
/// use ndarray::array;
/// let x = array![[0.0], [0.1], [0.2], [0.3], [5.0], [7.0]];
/// let (x, labels) = smote(&x, &array![0, 0, 0, 0, 1, 1], 1, 7)?;
/// assert_eq!(labels, array![0, 0, 0, 0, 1, 1, 1, 1]);
/// assert!(x[[6, 0]] >= 5.0 && x[[6, 0]] <= 7.0);
/// # Ok::<(), layerwise::Error>(())
/// ```
pub fn smote<A: Scalar, S: Data<Elem = A>>(
    x: &ArrayBase<S, Ix2>,
    labels: &ArrayBase<impl Data<Elem = usize>, Ix1>,
    neighbours: usize,
    seed: u64,
) -> Result<(Array2<A>, Array1<usize>)> {
    let mut enlarged = collected(labels, "smote")?;
    if enlarged.len() != x.nrows() {
        return Err(Error::length("labels against rows", x.nrows(), enlarged.len()));
    }
    if let Some(((row, feature), value)) = x.indexed_iter().find(|(_, value)| !value.is_finite()) {
        return Err(Error::value("smote input", &[row, feature], "a finite number", value));
    }
    let classes = rows_by_class(&enlarged);
    let largest = classes.values().map(Vec::len).max().unwrap_or(0);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut values = x.iter().copied().collect::<Vec<A>>();
    for (&label, rows) in classes.iter().filter(|(_, rows)| rows.len() < largest) {
        if neighbours == 0 || neighbours >= rows.len() {
            let requirement = format!("at least 1 and below {}, the rows of class {label}", rows.len());
            return Err(Error::setting("neighbours", requirement, neighbours));
        }
        let near: Vec<Vec<usize>> = rows.iter().map(|&row| nearest(x, row, rows, neighbours)).collect();
        for _ in rows.len()..largest {
            let chosen = rng.random_range(0..rows.len());
            let other = near[chosen][rng.random_range(0..neighbours)];
            let part = A::of(rng.random());
            let (from, to) = (x.row(rows[chosen]), x.row(other));
            values.extend(from.iter().zip(to).map(|(&from, &to)| from + part * (to - from)));
            enlarged.push(label);
        }
    }
    let made = Array2::from_shape_vec((enlarged.len(), x.ncols()), values).expect("a row for each label");
    Ok((made, Array1::from_vec(enlarged)))
}

/// The rows of a class that are nearest to one of them, that one left out.
fn nearest<A: Scalar, S: Data<Elem = A>>(
    x: &ArrayBase<S, Ix2>,
    row: usize,
    rows: &[usize],
    neighbours: usize,
) -> Vec<usize> {
    let square = |a: ArrayView1<'_, A>, b: ArrayView1<'_, A>| {
        a.iter().zip(b).map(|(a, b)| (a.as_f64() - b.as_f64()).powi(2)).sum::<f64>()
    };
    let at = x.index_axis(Axis(0), row);
    let others = rows.iter().filter(|&&other| other != row);
    let mut apart: Vec<(f64, usize)> = others.map(|&other| (square(at, x.row(other)), other)).collect();
    apart.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    apart.into_iter().take(neighbours).map(|(_, other)| other).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(labels: &[usize], rows: &[usize], class: usize) -> usize {
        rows.iter().filter(|&&row| labels[row] == class).count()
    }

    #[test]
    fn every_class_comes_as_often_as_the_largest_or_the_smallest() -> Result<()> {
        let labels: Vec<usize> = (0..100).map(|row| usize::from(row % 7 == 0) + usize::from(row % 14 == 0)).collect();
        let sizes = [0, 1, 2].map(|class| labels.iter().filter(|&&label| label == class).count());
        for seed in 0..5 {
            let (over, under) = (over_sample(&labels, seed)?, under_sample(&labels, seed)?);
            for class in 0..3 {
                assert_eq!(count(&labels, &over, class), sizes[0]);
                assert_eq!(count(&labels, &under, class), sizes[1].min(sizes[2]));
            }
            assert!(over[..100].iter().copied().eq(0..100));
            assert!(under.is_sorted_by(|a, b| a < b));
            assert_eq!(over, over_sample(&labels, seed)?);
        }
        assert_ne!(under_sample(&labels, 1)?, under_sample(&labels, 2)?);
        Ok(())
    }

    #[test]
    fn made_up_samples_lie_between_neighbours_of_their_class() -> Result<()> {
        // The small class is a line of pairs: with one neighbour nothing is made between points of two pairs.
        let x = Array2::from_shape_fn((40, 2), |(row, axis)| {
            if row < 34 {
                1000.0 + (row * axis) as f64
            } else {
                (row - 34) as f64 * 10.0 + if row % 2 == 0 { 0.0 } else { -2.0 }
            }
        });
        let labels = Array1::from_shape_fn(40, |row| usize::from(row >= 34));
        let (made, all) = smote(&x, &labels, 1, 3)?;
        assert_eq!(made.dim(), (68, 2));
        assert_eq!(made.slice(ndarray::s![..40, ..]), x);
        for (row, label) in made.rows().into_iter().zip(&all).skip(40) {
            assert_eq!(*label, 1);
            assert!((row[0] - row[1]).abs() < 1e-9 && (row[0] % 20.0) <= 8.0 + 1e-9, "{row}");
        }
        Ok(())
    }
}
