//! Two products that are best made row after row: of hardly any depth, and of few rows with a right factor that lies in
//! columns, which to turn would take longer than to use.

use super::super::math::Real;
use super::super::scratch::Scratch;
use super::super::simd::Level;
use super::super::transpose::transpose;
use super::{Ending, Matrix, line};

/// The most depth that counts as hardly any: nearly all of the time is that of writing the result.
const SHALLOW: usize = 2;

/// The fewest columns of such a product.
const WIDE: usize = 256;

/// The most rows and columns, and the least depth, of a product of dots.
const ROWS: usize = 7;
const COLUMNS: usize = 32;
const DEEP: usize = 64;

/// Does a product that is better done so, and tells whether it was one.
pub(super) fn product<A: Real>(
    level: Level,
    a: &Matrix<'_, A>,
    b: &Matrix<'_, A>,
    c: &mut [A],
    row_stride: usize,
    ending: Ending<'_, A>,
) -> bool {
    let shallow = (1..=SHALLOW).contains(&a.columns) && b.columns >= WIDE;
    let dots = b.column_stride != 1 && a.rows <= ROWS && b.columns <= COLUMNS && a.columns >= DEEP;
    if !(shallow || dots) {
        return false;
    }
    let (mut left, mut right) = (Scratch::of(0), Scratch::of(0));
    let a = by_rows(*a, &mut left);
    let b = if shallow { by_rows(*b, &mut right) } else { *b };
    for row in 0..a.rows {
        let c = &mut c[row * row_stride..][..b.columns];
        let x = &a.data[row * a.row_stride..][..a.columns];
        match b.column_stride {
            1 => line::row(level, x, b, ending.beta, c),
            _ => line::column(level, b.t(), x, ending.beta, c),
        }
        ending.finish(c, b.columns);
    }
    true
}

/// The same matrix with its columns side by side: as it is, or turned in a room that is made for it.
fn by_rows<'m, A: Real>(matrix: Matrix<'m, A>, room: &'m mut Scratch<A>) -> Matrix<'m, A> {
    let Matrix { rows, columns, .. } = matrix;
    if matrix.column_stride == 1 {
        return matrix;
    }
    *room = Scratch::of(rows * columns);
    transpose(matrix.data, matrix.column_stride, columns, rows, room, columns);
    Matrix::row_major(room, rows, columns)
}
