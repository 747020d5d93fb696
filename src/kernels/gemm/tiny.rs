//! Products of so few numbers that choosing how to make them would take longer than making them.

use super::super::math::Real;
use super::{Ending, Matrix};

/// The most multiplications of such a product, and the most rows: from eight on a tile is full.
const MOST: usize = 128;
const MOST_ROWS: usize = 7;

/// Not where there is no depth, and so no element to begin with.
pub(super) fn is_tiny<A>(a: &Matrix<'_, A>, b: &Matrix<'_, A>) -> bool {
    a.rows <= MOST_ROWS && (1..=MOST).contains(&(a.rows * a.columns * b.columns))
}

/// c = ending(a b), sum by sum.
pub(super) fn product<A: Real>(
    a: &Matrix<'_, A>,
    b: &Matrix<'_, A>,
    c: &mut [A],
    row_stride: usize,
    ending: Ending<'_, A>,
) {
    for i in 0..a.rows {
        let c = &mut c[i * row_stride..][..b.columns];
        for (j, c) in c.iter_mut().enumerate() {
            let (left, right) = (&a.data[i * a.row_stride..], &b.data[j * b.column_stride..]);
            let mut sum = A::zero();
            for p in 0..a.columns {
                sum += left[p * a.column_stride] * right[p * b.row_stride];
            }
            *c = if ending.beta == A::zero() { sum } else { sum + ending.beta * *c };
        }
        ending.finish(c, b.columns);
    }
}
