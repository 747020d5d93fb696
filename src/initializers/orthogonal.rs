//! Matrices with orthonormal rows or columns, and the simplest of them.

use ndarray_rand::rand_distr::StandardNormal;
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::error::{Error, Result};
use crate::kernels::gemm::{Ending, Matrix, gemm};
use crate::scalar::Scalar;

fn check(gain: f64) -> Result<()> {
    if gain.is_finite() {
        return Ok(());
    }
    Err(Error::setting("gain of an initializer", "finite", gain))
}

/// `gain` times a random orthogonal matrix, uniformly distributed: all axes but the last are its rows.
pub(super) fn draw<A: Scalar>(gain: f64, shape: &[usize], rng: &mut ChaCha8Rng) -> Result<Vec<A>> {
    check(gain)?;
    let [window @ .., columns] = shape else { return Err(refused(shape)) };
    if window.is_empty() {
        return Err(refused(shape));
    }
    let (rows, columns) = (window.iter().product::<usize>(), *columns);
    let (count, length) = (rows.min(columns), rows.max(columns));
    let vectors = orthonormal(count, length, rng);
    let at = |row: usize, column: usize| match rows <= columns {
        true => vectors[row * length + column],
        false => vectors[column * length + row],
    };
    Ok((0..rows * columns).map(|place| A::of(gain * at(place / columns, place % columns))).collect())
}

fn refused(shape: &[usize]) -> Error {
    Error::shape("parameter that starts orthogonal", "at least 2 axes", shape)
}

/// So many orthonormal vectors of this length, one after the other.
///
/// Normal vectors have no direction of their own. Each loses what it has of those before (Gram and Schmidt), twice: once
/// is not enough where little is left.
fn orthonormal(count: usize, length: usize, rng: &mut ChaCha8Rng) -> Vec<f64> {
    let mut vectors: Vec<f64> = (0..count * length).map(|_| rng.sample(StandardNormal)).collect();
    let mut shares = vec![0.0; count];
    for number in 0..count {
        let (before, rest) = vectors.split_at_mut(number * length);
        let vector = &mut rest[..length];
        let before = Matrix::row_major(before, number, length);
        for _ in 0..2 {
            let shares = &mut shares[..number];
            gemm(before, Matrix::row_major(vector, length, 1), shares, 1, Ending::sum(0.0));
            shares.iter_mut().for_each(|share| *share = -*share);
            if number > 0 {
                gemm(Matrix::row_major(shares, 1, number), before, vector, length, Ending::sum(1.0));
            }
        }
        let norm = vector.iter().map(|x| x * x).sum::<f64>().sqrt();
        vector.iter_mut().for_each(|x| *x /= norm);
    }
    vectors
}

/// `gain` on the diagonal of a matrix.
pub(super) fn identity<A: Scalar>(gain: f64, shape: &[usize]) -> Result<Vec<A>> {
    check(gain)?;
    let &[rows, columns] = shape else {
        return Err(Error::shape("parameter that starts as identity", "2 axes", shape));
    };
    let at = |place: usize| if place / columns == place % columns { A::of(gain) } else { A::zero() };
    Ok((0..rows * columns).map(at).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::{Stream, stream};

    #[test]
    fn rows_or_columns_are_orthonormal_whatever_the_shape() -> Result<()> {
        for shape in [&[6, 6][..], &[3, 40], &[70, 5], &[3, 3, 4, 8], &[2, 2, 1, 30], &[1, 1], &[4, 1]] {
            let columns = shape[shape.len() - 1];
            let rows = shape.iter().product::<usize>() / columns;
            let w: Vec<f64> = draw(1.5, shape, &mut stream(3, Stream::Weights))?;
            let (count, length) = (rows.min(columns), rows.max(columns));
            let at = |vector: usize, i: usize| {
                if rows <= columns { w[vector * columns + i] } else { w[i * columns + vector] }
            };
            for (a, b) in (0..count).flat_map(|a| (0..count).map(move |b| (a, b))) {
                let inner: f64 = (0..length).map(|i| at(a, i) * at(b, i)).sum();
                let expected = if a == b { 1.5 * 1.5 } else { 0.0 };
                assert!((inner - expected).abs() < 1e-12, "{shape:?}: {a}, {b}: {inner}");
            }
        }
        Ok(())
    }

    #[test]
    fn directions_are_drawn_evenly() -> Result<()> {
        // Each entry of an orthogonal 4 by 4 matrix has mean 0 and variance 1 / 4, its sign among the rest.
        let mut rng = stream(5, Stream::Weights);
        let (mut sums, mut squares) = ([0.0; 16], [0.0; 16]);
        let draws = 4000;
        for _ in 0..draws {
            for (place, w) in draw::<f64>(1.0, &[4, 4], &mut rng)?.into_iter().enumerate() {
                sums[place] += w / f64::from(draws);
                squares[place] += w * w / f64::from(draws);
            }
        }
        // Four deviations of a mean of so many draws.
        assert!(sums.iter().all(|mean| mean.abs() < 4.0 * 0.5 / f64::from(draws).sqrt()), "{sums:?}");
        assert!(
            squares.iter().all(|square| (square - 0.25).abs() < 4.0 * 0.25 / f64::from(draws).sqrt()),
            "{squares:?}"
        );
        Ok(())
    }

    #[test]
    fn identity_of_every_form() -> Result<()> {
        assert_eq!(identity::<f32>(2.0, &[2, 3])?, [2.0, 0.0, 0.0, 0.0, 2.0, 0.0]);
        assert_eq!(identity::<f32>(1.0, &[3, 1])?, [1.0, 0.0, 0.0]);
        Ok(())
    }
}
