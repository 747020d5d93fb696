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
    if shallow {
        add_rows(level, a, b, c, row_stride, ending);
    } else if dots {
        make_dots(level, a, b, c, row_stride, ending);
    }
    shallow || dots
}

/// Each row of c from the one or two rows of b.
fn add_rows<A: Real>(
    level: Level,
    a: &Matrix<'_, A>,
    b: &Matrix<'_, A>,
    c: &mut [A],
    row_stride: usize,
    ending: Ending<'_, A>,
) {
    let mut turned = Scratch::of(if b.column_stride == 1 { 0 } else { b.rows * b.columns });
    let b = if b.column_stride == 1 {
        *b
    } else {
        transpose(b.data, b.column_stride, b.columns, b.rows, &mut turned, b.columns);
        Matrix::row_major(&turned, b.rows, b.columns)
    };
    for row in 0..a.rows {
        let c = &mut c[row * row_stride..][..b.columns];
        let mut x = [A::zero(); SHALLOW];
        for (step, x) in x.iter_mut().enumerate().take(a.columns) {
            *x = a.data[row * a.row_stride + step * a.column_stride];
        }
        line::row(level, &x[..a.columns], b, ending.beta, c);
        ending.finish(c, b.columns);
    }
}

/// Each row of c as products of a row of a with the columns of b.
fn make_dots<A: Real>(
    level: Level,
    a: &Matrix<'_, A>,
    b: &Matrix<'_, A>,
    c: &mut [A],
    row_stride: usize,
    ending: Ending<'_, A>,
) {
    let mut turned = Scratch::of(if a.column_stride == 1 { 0 } else { a.rows * a.columns });
    let a = if a.column_stride == 1 {
        *a
    } else {
        transpose(a.data, a.column_stride, a.columns, a.rows, &mut turned, a.columns);
        Matrix::row_major(&turned, a.rows, a.columns)
    };
    for row in 0..a.rows {
        let c = &mut c[row * row_stride..][..b.columns];
        line::column(level, b.t(), &a.data[row * a.row_stride..][..a.columns], ending.beta, c);
        ending.finish(c, b.columns);
    }
}
