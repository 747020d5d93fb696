//! Products that are too thin for the general engine, which works on tiles of 32 columns and more.
//!
//! Up to 16 columns, a row of the result is one vector: acc[r] += a[r, p] * b[p, ..], for eight rows at a time, so that
//! one load of b serves eight multiplications. Up to 4 columns that would leave most of a vector empty: there a column
//! of the result is one, sixteen rows of it.

use std::mem::MaybeUninit;

use super::gemm::Matrix;
use super::math::Real;
use super::simd::simd;
use super::transpose::transpose;

/// Rows of the result that are worked on at once.
const ROWS: usize = 8;

/// The elements of a vector of `f32` in AVX-512.
const LANES: usize = 16;

/// The depth after which the right factor is packed anew: a panel of it fits the first cache.
const DEPTH: usize = 128;

/// How many of the last columns of a product are better treated here than by the general engine, whose tiles are 32
/// wide: those that would leave a quarter of the last tile empty, unless there are many full ones.
pub(super) fn thin_columns<A>(a: &Matrix<'_, A>, b: &Matrix<'_, A>) -> usize {
    let rest = b.columns % 32;
    if a.rows >= 4 && b.columns >= 2 && b.columns < 128 && rest <= 24 { rest } else { 0 }
}

/// Whether a product is one row times a factor that stays in the cache, in rows: [`row`] does it without a detour.
pub(super) fn is_row<A>(a: &Matrix<'_, A>, b: &Matrix<'_, A>) -> bool {
    a.rows == 1 && (a.column_stride == 1 || a.columns == 1) && b.column_stride == 1 && b.rows * b.columns <= 1 << 15
}

/// How many columns [`row`] treats at once.
const SPAN: usize = 64;

simd! {
    /// y = x b + beta y + bias for one row x: b's rows are added up, 64 columns at a time.
    pub(super) fn row<A>(x: &[A], b: Matrix<'_, A>, beta: A, y: &mut [A], bias: Option<&[A]>) {
        let x = &x[..b.rows];
        let mut column = 0;
        while column + SPAN <= b.columns {
            let mut sums = [A::zero(); SPAN];
            for (p, &x) in x.iter().enumerate() {
                let start = p * b.row_stride + column;
                let b: &[A; SPAN] = b.data[start..start + SPAN].try_into().expect("as long as the span");
                for (sum, &b) in sums.iter_mut().zip(b) {
                    *sum = x.fma::<FMA>(b, *sum);
                }
            }
            finish(&sums, beta, &mut y[column..column + SPAN], bias.map(|bias| &bias[column..column + SPAN]));
            column += SPAN;
        }
        let rest = b.columns - column;
        if rest > 0 {
            let mut sums = [A::zero(); SPAN];
            for (p, &x) in x.iter().enumerate() {
                let b = &b.data[p * b.row_stride + column..][..rest];
                for (sum, &b) in sums.iter_mut().zip(b) {
                    *sum = x.fma::<FMA>(b, *sum);
                }
            }
            finish(&sums[..rest], beta, &mut y[column..column + rest], bias.map(|bias| &bias[column..column + rest]));
        }
    }
}

/// y = sums + beta y + bias.
#[inline(always)]
fn finish<A: Real>(sums: &[A], beta: A, y: &mut [A], bias: Option<&[A]>) {
    write(sums, beta, y);
    if let Some(bias) = bias {
        y.iter_mut().zip(bias).for_each(|(y, &bias)| *y += bias);
    }
}

/// c = a b + beta c + bias for at most 32 columns, c in rows that start `row_stride` apart.
pub(super) fn small<A: Real>(
    a: Matrix<'_, A>,
    b: Matrix<'_, A>,
    beta: A,
    c: &mut [A],
    row_stride: usize,
    bias: Option<&[A]>,
) {
    match b.columns {
        2 if a.rows >= LANES => few::<A, 2>(a, b, beta, c, row_stride, bias),
        3 if a.rows >= LANES => few::<A, 3>(a, b, beta, c, row_stride, bias),
        4 if a.rows >= LANES => few::<A, 4>(a, b, beta, c, row_stride, bias),
        ..=4 => panel::<A, 4>(a, b, beta, c, row_stride, bias),
        5..=8 => panel::<A, 8>(a, b, beta, c, row_stride, bias),
        9..=16 => panel::<A, 16>(a, b, beta, c, row_stride, bias),
        _ => {
            let (left, right) = b.split_columns(16);
            small(a, left, beta, c, row_stride, bias);
            small(a, right, beta, &mut c[16..], row_stride, bias.map(|bias| &bias[16..]));
        }
    }
}

/// A product with `COLUMNS` columns: sixteen rows of a are packed column by column, and b takes the part of the rows.
fn few<A: Real, const COLUMNS: usize>(
    a: Matrix<'_, A>,
    b: Matrix<'_, A>,
    beta: A,
    c: &mut [A],
    row_stride: usize,
    bias: Option<&[A]>,
) {
    let whole = a.rows / LANES * LANES;
    for from in (0..a.columns.max(1)).step_by(DEPTH) {
        let depth = DEPTH.min(a.columns - from);
        let (bias, beta) = if from == 0 { (bias, beta) } else { (None, A::one()) };
        let a = Matrix { data: &a.data[from * a.column_stride..], columns: depth, ..a };
        let b = Matrix { data: &b.data[from * b.row_stride..], rows: depth, ..b };
        let mut packed = [[A::zero(); LANES]; DEPTH];
        for row in (0..whole).step_by(LANES) {
            pack_columns(a, row, &mut packed[..depth]);
            let mut sums = [[A::zero(); LANES]; COLUMNS];
            columns::<A, COLUMNS>(b.t(), &packed[..depth], &mut sums);
            for lane in 0..LANES {
                let sums: [A; COLUMNS] =
                    std::array::from_fn(|j| bias.map_or(A::zero(), |bias| bias[j]) + sums[j][lane]);
                write(&sums, beta, &mut c[(row + lane) * row_stride..][..COLUMNS]);
            }
        }
        if whole < a.rows {
            let rest = Matrix { data: &a.data[whole * a.row_stride..], rows: a.rows - whole, ..a };
            panel::<A, 4>(rest, b, beta, &mut c[whole * row_stride..], row_stride, bias);
        }
    }
}

/// packed[p] = sixteen rows of column p.
fn pack_columns<A: Real>(a: Matrix<'_, A>, row: usize, packed: &mut [[A; LANES]]) {
    let depth = packed.len();
    if a.column_stride == 1 {
        return transpose(&a.data[row * a.row_stride..], a.row_stride, LANES, depth, packed.as_flattened_mut(), LANES);
    }
    for (p, packed) in packed.iter_mut().enumerate() {
        if a.row_stride == 1 {
            packed.copy_from_slice(&a.data[row + p * a.column_stride..][..LANES]);
            continue;
        }
        for (r, value) in packed.iter_mut().enumerate() {
            *value = a.data[(row + r) * a.row_stride + p * a.column_stride];
        }
    }
}

simd! {
    /// sums = b^T packed, where the rows of `transposed` are the columns of b.
    fn columns<A, const COLUMNS: usize>(
        transposed: Matrix<'_, A>, packed: &[[A; LANES]], sums: &mut [[A; LANES]; COLUMNS],
    ) {
        *sums = tile::<A, LANES, COLUMNS, FMA>(&transposed, 0, packed, &[A::zero(); LANES]);
    }
}

/// A product with at most `WIDTH` columns.
fn panel<A: Real, const WIDTH: usize>(
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
