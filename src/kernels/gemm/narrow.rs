//! Small products, and columns that are left over: one register of columns after the other, whose last needs not be
//! full, from factors that are read where they lie. Little is decided before the first sum is made.

use super::super::math::Real;
use super::super::scratch::Scratch;
use super::super::simd::{Level, by_level};
use super::super::transpose::transpose;
use super::super::vector::Vector;
use super::tile::{Ahead, Factor, Finish, Target, tile};
use super::{Ending, Matrix};

/// The rows of a tile: so many sums hide each other's latency.
const ROWS: usize = 8;

/// The bytes to which the rows of a turned factor are filled up.
const PADDED: usize = 32;

/// c = ending(a b), with c in rows that start `row_stride` apart.
pub(super) fn product<A: Real>(
    level: Level,
    a: &Matrix<'_, A>,
    b: &Matrix<'_, A>,
    c: &mut [A],
    row_stride: usize,
    ending: &Ending<'_, A>,
) {
    if b.column_stride == 1 {
        return as_it_stands(level, a, b, c, row_stride, ending);
    }
    let stride = b.columns.next_multiple_of(PADDED / size_of::<A>());
    let mut turned = Scratch::of(b.rows * stride);
    transpose(b.data, b.column_stride, b.columns, b.rows, &mut turned, stride);
    as_it_stands(level, a, &Matrix::strided(&turned, b.rows, b.columns, stride), c, row_stride, ending);
}

by_level! {
    /// The same for a right factor whose columns lie side by side.
    fn as_it_stands<A>(
        a: &Matrix<'_, A>, b: &Matrix<'_, A>, c: &mut [A], row_stride: usize, ending: &Ending<'_, A>,
    ) = strips
}

/// # Safety
/// The instruction set of `V`.
#[inline(always)]
unsafe fn strips<V: Vector>(
    a: &Matrix<'_, V::Item>,
    b: &Matrix<'_, V::Item>,
    c: &mut [V::Item],
    row_stride: usize,
    ending: &Ending<'_, V::Item>,
) {
    let mut column = 0;
    while column < b.columns {
        let left = b.columns - column;
        let right = Factor { data: b.data[column.min(b.data.len())..].as_ptr(), across: 1, along: b.row_stride };
        let finish = Finish {
            beta: ending.beta,
            bias: ending.bias.map_or(std::ptr::null(), |bias| bias[column..].as_ptr()),
            relu: ending.relu,
        };
        // SAFETY: the instruction set is there, as the caller promises; so many columns of b, of the bias and of each
        // row of c are left, of which the mask lets no more than those be touched.
        unsafe {
            if left < V::LANES {
                down::<V, true>(a, right, &mut c[column..], row_stride, Some(V::mask(left)), finish);
            } else {
                down::<V, false>(a, right, &mut c[column..], row_stride, None, finish);
            }
        }
        column += V::LANES;
    }
}

/// The tiles of a strip of one register of columns.
///
/// # Safety
/// The instruction set of `V`, and a right factor and an ending good for the columns that the mask says.
#[inline(always)]
unsafe fn down<V: Vector, const PARTLY: bool>(
    a: &Matrix<'_, V::Item>,
    b: Factor<V::Item>,
    c: &mut [V::Item],
    row_stride: usize,
    mask: Option<V::Mask>,
    finish: Finish<V::Item>,
) {
    let mut row = 0;
    while row < a.rows {
        let target = Target { data: c[row * row_stride..].as_mut_ptr(), stride: row_stride };
        let left = Factor {
            data: a.data[(row * a.row_stride).min(a.data.len())..].as_ptr(),
            across: a.row_stride,
            along: a.column_stride,
        };
        // SAFETY: as the caller promises, and so many rows of a and c are left.
        unsafe {
            row += match a.rows - row {
                ROWS.. => rows::<V, ROWS, PARTLY>(a.columns, left, b, target, mask, finish),
                4.. => rows::<V, 4, PARTLY>(a.columns, left, b, target, mask, finish),
                2.. => rows::<V, 2, PARTLY>(a.columns, left, b, target, mask, finish),
                _ => rows::<V, 1, PARTLY>(a.columns, left, b, target, mask, finish),
            };
        }
    }
}

/// A tile of so many rows, whose number it gives. Of the left factor's strides the one that is 1 is told to the compiler.
///
/// # Safety
/// As for [`tile`].
#[inline(always)]
unsafe fn rows<V: Vector, const COUNT: usize, const PARTLY: bool>(
    depth: usize,
    a: Factor<V::Item>,
    b: Factor<V::Item>,
    target: Target<V::Item>,
    mask: Option<V::Mask>,
    finish: Finish<V::Item>,
) -> usize {
    let nothing = &mut { Ahead::NOTHING };
    // SAFETY: the caller's promises, handed on.
    unsafe {
        if a.along == 1 {
            tile::<V, COUNT, 1, PARTLY>(depth, Factor { along: 1, ..a }, b, target, mask, finish, nothing);
        } else {
            tile::<V, COUNT, 1, PARTLY>(depth, Factor { across: 1, ..a }, b, target, mask, finish, nothing);
        }
    }
    COUNT
}
