//! Products with few columns, such as the last layer of a classifier: n from 2 to 16.
//!
//! A general product works on tiles of 32 columns and more and would waste most of them. Here a row of the result is one
//! vector: acc[r] += a[r, p] * b[p, ..], for eight rows at a time, so that one load of b serves eight multiplications.

use std::mem::MaybeUninit;

use super::gemm::Matrix;
use super::math::Real;
use super::simd::simd;

/// The most columns.
pub(super) const MOST_COLUMNS: usize = 16;

/// The rows of the left factor below which the general product is as good.
pub(super) const LEAST_ROWS: usize = 4;

/// Rows of the result that are worked on at once.
const ROWS: usize = 8;

/// The depth after which the right factor is packed anew: 16 columns of it fit the first cache.
const DEPTH: usize = 256;

/// c = a b + beta c + bias for at most 16 columns, c in rows that start `row_stride` apart.
pub(super) fn thin<A: Real>(
    a: Matrix<'_, A>,
    b: Matrix<'_, A>,
    beta: A,
    c: &mut [A],
    row_stride: usize,
    bias: Option<&[A]>,
) {
    match b.columns {
        0..=4 => with_width::<A, 4>(a, b, beta, c, row_stride, bias),
        5..=8 => with_width::<A, 8>(a, b, beta, c, row_stride, bias),
        _ => with_width::<A, 16>(a, b, beta, c, row_stride, bias),
    }
}

fn with_width<A: Real, const WIDTH: usize>(
    a: Matrix<'_, A>,
    b: Matrix<'_, A>,
    beta: A,
    c: &mut [A],
    row_stride: usize,
    bias: Option<&[A]>,
) {
    let mut first = [A::zero(); WIDTH];
    if let Some(bias) = bias {
        first[..b.columns].copy_from_slice(&bias[..b.columns]);
    }
    // A product of depth 0 is 0: the loop runs once even then.
    let mut room = [const { MaybeUninit::uninit() }; DEPTH];
    for from in (0..a.columns.max(1)).step_by(DEPTH) {
        let depth = DEPTH.min(a.columns - from);
        let packed = pack(b, from, &mut room[..depth]);
        let a = Matrix { data: &a.data[from * a.column_stride..], columns: depth, ..a };
        let (first, beta) = if from == 0 { (first, beta) } else { ([A::zero(); WIDTH], A::one()) };
        block::<A, WIDTH>(a, packed, b.columns, &first, beta, c, row_stride);
    }
}

/// Some rows of b, each padded with zeros to the width of the vector.
fn pack<'r, A: Real, const WIDTH: usize>(
    b: Matrix<'_, A>,
    from: usize,
    room: &'r mut [MaybeUninit<[A; WIDTH]>],
) -> &'r [[A; WIDTH]] {
    for (p, place) in room.iter_mut().enumerate() {
        let row = place.write([A::zero(); WIDTH]);
        for (j, value) in row[..b.columns].iter_mut().enumerate() {
            *value = b.data[(from + p) * b.row_stride + j * b.column_stride];
        }
    }
    // SAFETY: the loop above has written every element of `room`, and arrays in `MaybeUninit` lie as arrays do.
    unsafe { &*(std::ptr::from_ref(room) as *const [[A; WIDTH]]) }
}

simd! {
    /// c = first + a packed + beta c, for c of `columns` columns.
    fn block<A, const WIDTH: usize>(
        a: Matrix<'_, A>, packed: &[[A; WIDTH]], columns: usize, first: &[A; WIDTH], beta: A, c: &mut [A],
        row_stride: usize,
    ) {
        let mut row = 0;
        while row + ROWS <= a.rows {
            let sums = tile::<A, WIDTH, ROWS, FMA>(&a, row, packed, first);
            write_rows(&sums, columns, beta, &mut c[row * row_stride..], row_stride);
            row += ROWS;
        }
        while row < a.rows {
            let sums = tile::<A, WIDTH, 1, FMA>(&a, row, packed, first);
            write_rows(&sums, columns, beta, &mut c[row * row_stride..], row_stride);
            row += 1;
        }
    }
}

/// first + some rows of a, times b.
#[inline(always)]
fn tile<A: Real, const WIDTH: usize, const HEIGHT: usize, const FMA: bool>(
    a: &Matrix<'_, A>,
    row: usize,
    packed: &[[A; WIDTH]],
    first: &[A; WIDTH],
) -> [[A; WIDTH]; HEIGHT] {
    let mut sums = [*first; HEIGHT];
    let Some(last) = packed.len().checked_sub(1) else { return sums };
    let starts: [usize; HEIGHT] = std::array::from_fn(|r| (row + r) * a.row_stride);
    assert!(starts[HEIGHT - 1] + last * a.column_stride < a.data.len());
    for (p, b) in packed.iter().enumerate() {
        for (sum, start) in sums.iter_mut().zip(starts) {
            // SAFETY: rows and columns grow with their strides, so every element of the tile lies at or before the last
            // one, which was checked above.
            let a = unsafe { *a.data.get_unchecked(start + p * a.column_stride) };
            for (sum, &b) in sum.iter_mut().zip(b) {
                *sum = a.fma::<FMA>(b, *sum);
            }
        }
    }
    sums
}

/// c = sums + beta c. What stood in c is not read where `beta` is 0.
#[inline(always)]
fn write_rows<A: Real, const WIDTH: usize>(
    sums: &[[A; WIDTH]],
    columns: usize,
    beta: A,
    c: &mut [A],
    row_stride: usize,
) {
    for (sums, c) in sums.iter().zip(c.chunks_mut(row_stride)) {
        // A row that fills its vector is written as one.
        if let (true, Some(c)) = (columns == WIDTH, c.first_chunk_mut::<WIDTH>()) {
            write(sums, beta, c);
        } else {
            write(&sums[..columns], beta, &mut c[..columns]);
        }
    }
}

#[inline(always)]
fn write<A: Real>(sums: &[A], beta: A, c: &mut [A]) {
    if beta == A::zero() {
        c.copy_from_slice(sums);
    } else {
        c.iter_mut().zip(sums).for_each(|(c, &sum)| *c = sum + beta * *c);
    }
}
