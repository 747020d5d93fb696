//! Products of two to four columns, which would leave most of a register empty: they are made turned, where the many
//! rows lie along the registers, and turned back.

use super::super::math::Real;
use super::super::simd::level;
use super::narrow::product;
use super::{Ending, Matrix};

/// The most columns that count as few.
const COLUMNS: usize = 4;

/// The rows that are made at once.
const BLOCK: usize = 64;

/// Whether this is faster: where half of the shortest register would be empty, and turning the left factor costs
/// nothing or little of the whole.
pub(super) fn is_few<A>(a: &Matrix<'_, A>, b: &Matrix<'_, A>) -> bool {
    let deep = if a.row_stride == 1 { 4 } else { 8 };
    size_of::<A>() == 4 && b.columns <= COLUMNS && a.rows >= 16 && a.columns >= deep
}

/// c = ending(a b) for at most [`COLUMNS`] columns.
pub(super) fn few<A: Real>(a: Matrix<'_, A>, b: Matrix<'_, A>, c: &mut [A], row_stride: usize, ending: Ending<'_, A>) {
    let mut turned = [A::zero(); COLUMNS * BLOCK];
    for row in (0..a.rows).step_by(BLOCK) {
        let rows = BLOCK.min(a.rows - row);
        let block = a.part(row, rows, 0, a.columns);
        product(level(), &b.t(), &block.t(), &mut turned, BLOCK, &Ending::sum(A::zero()));
        for (at, c) in c[row * row_stride..].chunks_mut(row_stride).enumerate().take(rows) {
            let c = &mut c[..b.columns];
            for (column, c) in c.iter_mut().enumerate() {
                let sum = turned[column * BLOCK + at];
                *c = if ending.beta == A::zero() { sum } else { sum + ending.beta * *c };
            }
            ending.finish(c, b.columns);
        }
    }
}
