//! A matrix times one row or one column: every element of the matrix is used once, so that all is in reading it in the
//! order in which it lies.

use num_traits::Zero;

use super::super::simd::by_level;
use super::super::vector::Vector;
use super::Matrix;

/// Rows of the matrix that are read side by side.
const ROWS: usize = 8;

by_level! {
    /// y = x b + beta y for one row x and a matrix of rows without gaps between their elements.
    pub(super) fn row<A>(x: &[A], b: Matrix<'_, A>, beta: A, y: &mut [A]) = add_rows
}

by_level! {
    /// y = b x + beta y for one column x and a matrix of rows without gaps between their elements.
    pub(super) fn column<A>(b: Matrix<'_, A>, x: &[A], beta: A, y: &mut [A]) = dots
}

/// # Safety
/// The instruction set of `V`.
#[inline(always)]
unsafe fn add_rows<V: Vector>(x: &[V::Item], b: Matrix<'_, V::Item>, beta: V::Item, y: &mut [V::Item]) {
    if beta == V::Item::zero() {
        y.fill(beta);
    } else {
        y.iter_mut().for_each(|y| *y *= beta);
    }
    let mut from = 0;
    // SAFETY: the instruction set is there.
    unsafe {
        while from + ROWS <= b.rows {
            add_some::<V, ROWS>(x, b, from, y);
            from += ROWS;
        }
        while from + 2 <= b.rows {
            add_some::<V, 2>(x, b, from, y);
            from += 2;
        }
        while from < b.rows {
            add_some::<V, 1>(x, b, from, y);
            from += 1;
        }
    }
}

/// Adds some rows of the matrix to y, each times its element of x.
///
/// # Safety
/// The instruction set of `V`.
#[inline(always)]
unsafe fn add_some<V: Vector, const COUNT: usize>(
    x: &[V::Item],
    b: Matrix<'_, V::Item>,
    from: usize,
    y: &mut [V::Item],
) {
    let columns = b.columns;
    let rows = &b.data[from * b.row_stride..][..(COUNT - 1) * b.row_stride + columns];
    let (x, y) = (&x[from..from + COUNT], &mut y[..columns]);
    // SAFETY: the instruction set is there; columns stay below `columns`, or are masked where they do not.
    unsafe {
        let mut factors = [V::splat(V::Item::zero()); COUNT];
        for (factor, &x) in factors.iter_mut().zip(x) {
            *factor = V::splat(x);
        }
        let mut column = 0;
        while column + V::LANES <= columns {
            let to = y.as_mut_ptr().add(column);
            let mut sum = V::load(to);
            for (row, factor) in factors.iter().enumerate() {
                sum = factor.fma(V::load(rows.as_ptr().add(row * b.row_stride + column)), sum);
            }
            sum.store(to);
            column += V::LANES;
        }
        if column < columns {
            let mask = V::mask(columns - column);
            let to = y.as_mut_ptr().add(column);
            let mut sum = V::load_some(to, mask);
            for (row, factor) in factors.iter().enumerate() {
                sum = factor.fma(V::load_some(rows.as_ptr().add(row * b.row_stride + column), mask), sum);
            }
            sum.store_some(to, mask);
        }
    }
}

/// # Safety
/// The instruction set of `V`.
#[inline(always)]
unsafe fn dots<V: Vector>(b: Matrix<'_, V::Item>, x: &[V::Item], beta: V::Item, y: &mut [V::Item]) {
    let mut row = 0;
    // SAFETY: the instruction set is there.
    unsafe {
        while row + 4 <= b.rows {
            some_dots::<V, 4>(b, row, x, beta, y);
            row += 4;
        }
        while row < b.rows {
            some_dots::<V, 1>(b, row, x, beta, y);
            row += 1;
        }
    }
}

/// The products of some rows of the matrix with x, each in two sums that are independent of each other.
///
/// # Safety
/// The instruction set of `V`.
#[inline(always)]
unsafe fn some_dots<V: Vector, const COUNT: usize>(
    b: Matrix<'_, V::Item>,
    from: usize,
    x: &[V::Item],
    beta: V::Item,
    y: &mut [V::Item],
) {
    let depth = b.columns;
    let rows = &b.data[from * b.row_stride..][..(COUNT - 1) * b.row_stride + depth];
    let (x, y) = (&x[..depth], &mut y[from..from + COUNT]);
    // SAFETY: the instruction set is there; steps stay below `depth`, or are masked where they do not.
    unsafe {
        let mut sums = [[V::splat(V::Item::zero()); 2]; COUNT];
        let mut step = 0;
        while step + 2 * V::LANES <= depth {
            let first = V::load(x.as_ptr().add(step));
            let second = V::load(x.as_ptr().add(step + V::LANES));
            for (row, sums) in sums.iter_mut().enumerate() {
                let b = rows.as_ptr().add(row * b.row_stride + step);
                sums[0] = first.fma(V::load(b), sums[0]);
                sums[1] = second.fma(V::load(b.add(V::LANES)), sums[1]);
            }
            step += 2 * V::LANES;
        }
        while step < depth {
            let mask = V::mask(depth - step);
            let x = V::load_some(x.as_ptr().add(step), mask);
            for (row, sums) in sums.iter_mut().enumerate() {
                let b = V::load_some(rows.as_ptr().add(row * b.row_stride + step), mask);
                sums[0] = x.fma(b, sums[0]);
            }
            step += V::LANES;
        }
        for (sums, y) in sums.iter().zip(y) {
            let sum = sums[0].add(sums[1]).sum();
            *y = if beta == V::Item::zero() { sum } else { sum + beta * *y };
        }
    }
}
