//! Matrix products.

mod drive;
mod few;
mod line;
mod narrow;
mod rows;
mod shared;
mod tile;
mod tiny;

use ndarray::{ArrayView2, ArrayViewMut2};

pub(crate) use shared::with_help;
pub(super) use tile::{Finish, write};

use super::activation::relu;
use super::math::Real;
use super::simd::{Level, level};
use crate::error::{Error, Result};

/// A matrix in a slice: rows by columns, element (i, j) at `i * row_stride + j * column_stride`.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a, A> {
    data: &'a [A],
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) row_stride: usize,
    pub(super) column_stride: usize,
}

impl<'a, A> Matrix<'a, A> {
    /// Rows one after the other.
    pub(crate) fn row_major(data: &'a [A], rows: usize, columns: usize) -> Self {
        Self::strided(data, rows, columns, columns)
    }

    /// Rows that start `row_stride` apart.
    pub(crate) fn strided(data: &'a [A], rows: usize, columns: usize, row_stride: usize) -> Self {
        Matrix { data, rows, columns, row_stride, column_stride: 1 }
    }

    /// The transpose, without moving anything.
    pub(crate) fn t(self) -> Self {
        Matrix {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }
}

impl<'a, A: Real> Matrix<'a, A> {
    /// A view that fills a slice, by rows or by columns.
    fn of(view: ArrayView2<'a, A>) -> Option<Self> {
        let (rows, columns) = view.dim();
        if let Some(data) = view.to_slice() {
            return Some(Self::row_major(data, rows, columns));
        }
        view.reversed_axes().to_slice().map(|data| Self::row_major(data, columns, rows).t())
    }

    /// Some rows and columns of it.
    pub(super) fn part(self, row: usize, rows: usize, column: usize, columns: usize) -> Self {
        let start = row * self.row_stride + column * self.column_stride;
        Matrix { data: &self.data[start.min(self.data.len())..], rows, columns, ..self }
    }

    /// # Panics
    /// Where elements lie outside of the slice.
    fn check(&self) {
        if self.rows > 0 && self.columns > 0 {
            assert!((self.rows - 1) * self.row_stride + (self.columns - 1) * self.column_stride < self.data.len());
            assert!(self.row_stride == 1 || self.column_stride == 1, "a product of a matrix with two strides");
        }
    }
}

/// What becomes of the sums of a product.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ending<'e, A> {
    /// By what that which stood in the result is multiplied before it is added; at 0 it is not read.
    pub(crate) beta: A,
    /// Added to each row.
    pub(crate) bias: Option<&'e [A]>,
    /// Whether negative sums become 0.
    pub(crate) relu: bool,
}

impl<A: Real> Ending<'_, A> {
    /// c = a b + beta c.
    pub(crate) fn sum(beta: A) -> Self {
        Ending { beta, bias: None, relu: false }
    }

    /// What is left to do of it where beta has been dealt with, for rows of the given width.
    fn finish(self, c: &mut [A], width: usize) {
        if let Some(bias) = self.bias {
            for row in c.chunks_exact_mut(width) {
                row.iter_mut().zip(bias).for_each(|(c, &bias)| *c += bias);
            }
        }
        if self.relu {
            relu().apply_in_place(c);
        }
    }

    /// For some of the columns, and for the first or last chunk of the depth, or both.
    fn part(self, column: usize, columns: usize, first: bool, last: bool) -> Self {
        Ending {
            beta: if first { self.beta } else { A::one() },
            bias: self.bias.filter(|_| last).map(|bias| &bias[column..column + columns]),
            relu: self.relu && last,
        }
    }
}

/// The most multiplications of a product that is over before much is decided.
const SMALL: usize = 1 << 14;

/// A right factor of at most so many elements is near enough to be used as it stands: 16 KiB of `f32`.
const NEAR: usize = 1 << 12;

/// Up to so many rows a right factor is used as it stands, wherever it is.
const FEW_ROWS: usize = 8;

/// From so many rows on even a near one is copied where its rows do not fill their registers.
const MANY_ROWS: usize = 32;

/// c = ending(a b), with c in rows that start `row_stride` apart.
///
/// On the calling thread: whoever calls owns the threads, and may lend them for one case (`shared`).
pub(crate) fn gemm<A: Real>(a: Matrix<'_, A>, b: Matrix<'_, A>, c: &mut [A], row_stride: usize, ending: Ending<'_, A>) {
    a.check();
    b.check();
    assert!(a.columns == b.rows && ending.bias.is_none_or(|bias| bias.len() == b.columns));
    if a.rows == 0 || b.columns == 0 {
        return;
    }
    assert!((a.rows - 1) * row_stride + b.columns <= c.len());
    if tiny::is_tiny(&a, &b) {
        return tiny::product(&a, &b, c, row_stride, ending);
    }
    let best = level();
    if with_a_line(best, &a, &b, c, row_stride, ending) {
        return;
    }
    if rows::product(best, &a, &b, c, row_stride, ending) {
        return;
    }
    if few::is_few(&a, &b) {
        return few::few(a, b, c, row_stride, ending);
    }
    // Half a register is enough for few columns.
    let level = if b.columns * size_of::<A>() <= Level::Avx2.bytes() { best.min(Level::Avx2) } else { best };
    let lanes = level.bytes() / size_of::<A>();
    let near = b.rows * b.columns <= NEAR;
    if (b.columns <= lanes && near) || a.rows * a.columns * b.columns <= SMALL {
        return narrow::product(level, &a, &b, c, row_stride, &ending);
    }
    // A right factor that is not copied is used as it stands where it fills registers, and what is over for itself.
    let stands = b.column_stride == 1 && (a.rows <= FEW_ROWS || (a.rows < MANY_ROWS && near));
    let over = if stands { b.columns % lanes } else { 0 };
    let whole = b.columns - over;
    if whole > 0 {
        let (b, ending) = (b.part(0, b.rows, 0, whole), ending.part(0, whole, true, true));
        drive::product(level, &a, &b, c, row_stride, &ending);
    }
    if over > 0 {
        let (b, ending) = (b.part(0, b.rows, whole, over), ending.part(whole, over, true, true));
        narrow::product(level, &a, &b, &mut c[whole..], row_stride, &ending);
    }
}

/// Does a product with one row or one column, and tells whether it was one that is better done so.
fn with_a_line<A: Real>(
    best: Level,
    a: &Matrix<'_, A>,
    b: &Matrix<'_, A>,
    c: &mut [A],
    row_stride: usize,
    ending: Ending<'_, A>,
) -> bool {
    // A sum along a line is only worth it where the line is longer than a register.
    let long = a.columns >= 16;
    if a.rows == 1 && a.column_stride == 1 && (long || b.column_stride == 1) {
        let y = &mut c[..b.columns];
        match b.column_stride {
            1 => shared::row(best, a.data, *b, ending.beta, y),
            _ => shared::column(best, b.t(), a.data, ending.beta, y),
        }
        ending.finish(y, b.columns);
        return true;
    }
    if b.columns == 1 && b.row_stride == 1 && row_stride == 1 && (long || a.column_stride != 1) {
        let y = &mut c[..a.rows];
        match a.column_stride {
            1 => line::column(best, *a, b.data, ending.beta, y),
            _ => line::row(best, b.data, a.t(), ending.beta, y),
        }
        ending.finish(y, 1);
        return true;
    }
    false
}

/// c = a b for matrices of any strides, on the calling thread: the product that the layers use.
///
/// # Errors
/// [`Error::Shape`] where the shapes of `(m, k)`, `(k, n)` and `(m, n)` do not agree.
///
/// ```
/// use ndarray::{Array2, array};
/// let (a, b) = (array![[1.0_f32, 2.0], [3.0, 4.0]], array![[5.0, 6.0], [7.0, 8.0]]);
/// let mut c = Array2::zeros((2, 2));
/// layerwise::matmul(a.view(), b.t(), c.view_mut())?;
/// assert_eq!(c, a.dot(&b.t()));
/// # Ok::<(), layerwise::Error>(())
/// ```
pub fn matmul<A: Real>(a: ArrayView2<'_, A>, b: ArrayView2<'_, A>, c: ArrayViewMut2<'_, A>) -> Result<()> {
    let mut c = c;
    let ((m, k), (inner, n)) = (a.dim(), b.dim());
    if inner != k {
        return Err(Error::shape("right factor of a product", format!("{k} rows, as the left has columns"), b.shape()));
    }
    if c.dim() != (m, n) {
        return Err(Error::shape("result of a product", format!("shape [{m}, {n}]"), c.shape()));
    }
    if m == 0 || n == 0 {
        return Ok(());
    }
    let row_stride = c.strides()[0];
    if let (Some(a), Some(b), Some(c)) = (Matrix::of(a), Matrix::of(b), c.as_slice_mut()) {
        gemm(a, b, c, row_stride.unsigned_abs(), Ending::sum(A::zero()));
        return Ok(());
    }
    let (a, b) = (a.as_standard_layout(), b.as_standard_layout());
    let mut dense = vec![A::zero(); m * n];
    if let (Some(a), Some(b)) = (Matrix::of(a.view()), Matrix::of(b.view())) {
        gemm(a, b, &mut dense, n, Ending::sum(A::zero()));
    }
    c.iter_mut().zip(dense).for_each(|(c, value)| *c = value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, s};

    #[test]
    fn views_of_any_strides_multiply_as_ndarray_has_it() -> Result<()> {
        let (a, b) = (counting(9, 14), counting(14, 7));
        for (left, right) in [
            (a.slice(s![..;-1, ..]), b.slice(s![.., ..;2])),
            (a.slice(s![1..8;3, ..;2]), b.slice(s![..7, ..])),
            (b.t(), a.t()),
        ] {
            let mut c = Array2::from_elem((left.nrows(), right.ncols()), f64::NAN);
            matmul(left, right, c.view_mut())?;
            assert_eq!(c, left.dot(&right));
        }
        assert!(matmul(a.view(), a.view(), counting(9, 14).view_mut()).is_err());
        assert!(matmul(a.view(), b.view(), counting(7, 9).view_mut()).is_err());
        let (empty, mut c) = (Array2::<f64>::zeros((3, 0)), Array2::from_elem((3, 7), f64::NAN));
        matmul(empty.view(), Array2::zeros((0, 7)).view(), c.view_mut())?;
        assert_eq!(c, Array2::<f64>::zeros((3, 7)));
        Ok(())
    }

    fn counting(rows: usize, columns: usize) -> Array2<f64> {
        Array2::from_shape_fn((rows, columns), |(i, j)| ((i * 7 + j * 3) % 11) as f64 - 5.0)
    }

    /// Sums of small whole numbers are exact in every order, so that all ways to compute them must agree.
    fn whole<A: Real>(rows: usize, columns: usize) -> Array2<A> {
        counting(rows, columns).mapv(A::of)
    }

    fn check<A: Real + ndarray::LinalgScalar + std::fmt::Debug>((m, k, n): (usize, usize, usize)) {
        let (a, b) = (whole::<A>(m, k), whole::<A>(k, n));
        let (at, bt) = (a.t().as_standard_layout().to_owned(), b.t().as_standard_layout().to_owned());
        let bias: Vec<A> = (0..n).map(|j| A::of(j as f64)).collect();
        let plain = a.dot(&b);
        let left = Matrix::row_major(a.as_slice().unwrap(), m, k);
        let left_t = Matrix::row_major(at.as_slice().unwrap(), k, m).t();
        let right = Matrix::row_major(b.as_slice().unwrap(), k, n);
        let right_t = Matrix::row_major(bt.as_slice().unwrap(), n, k).t();
        for (left, right) in [(left, right), (left_t, right), (left, right_t), (left_t, right_t)] {
            let first = Ending { bias: Some(&bias), ..Ending::sum(A::zero()) };
            let again = Ending { relu: true, ..Ending::sum(A::of(2.0)) };
            let biased = &plain + &ndarray::ArrayView1::from(&bias);
            let expected = (&plain + &biased.mapv(|x| x + x)).mapv(|x| if x < A::zero() { A::zero() } else { x });
            let run = |product: &dyn Fn(&mut [A], Ending<'_, A>)| {
                let mut c = Array2::from_elem((m, n + 3), A::nan());
                product(c.as_slice_mut().unwrap(), first);
                assert_eq!(c.slice(s![.., ..n]), biased, "{m}x{k}x{n}");
                product(c.as_slice_mut().unwrap(), again);
                assert_eq!(c.slice(s![.., ..n]), expected, "{m}x{k}x{n} on top of itself");
                assert!(c.slice(s![..m - 1, n..]).iter().all(|x| x.is_nan()), "{m}x{k}x{n} wrote beside its columns");
            };
            run(&|c, ending| gemm(left, right, c, n + 3, ending));
            if k > 0 {
                run(&|c, ending| tiny::product(&left, &right, c, n + 3, ending));
            }
            for level in [Level::Baseline, Level::Avx2, Level::Avx512] {
                run(&|c, ending| drive::product(level, &left, &right, c, n + 3, &ending));
                run(&|c, ending| narrow::product(level, &left, &right, c, n + 3, &ending));
            }
        }
        if n == 1 {
            let mut c = vec![A::nan(); m];
            for left in [left, left_t] {
                gemm(left, right, &mut c, 1, Ending::sum(A::zero()));
                assert_eq!(c, plain.as_slice().unwrap(), "{m}x{k}x1 without gaps");
            }
        }
    }

    #[test]
    fn every_orientation_stride_and_ending_agrees_with_ndarray_on_every_instruction_set() {
        let small = [(1, 1, 1), (1, 5, 7), (1, 64, 64), (1, 30, 150), (3, 4, 1), (40, 33, 1), (4, 3, 2), (5, 64, 9)];
        let thin = [
            (19, 600, 3),
            (30, 1, 70),
            (21, 2, 417),
            (7, 448, 10),
            (2, 70, 32),
            (70, 9, 4),
            (16, 16, 16),
            (9, 256, 5),
            (33, 17, 65),
            (12, 30, 24),
            (8, 0, 5),
        ];
        // More depth than is summed up at once, more rows than a block, more columns than are packed at once.
        let large = [
            (7, 5, 83),
            (53, 40, 60),
            (131, 300, 64),
            (50, 33, 30),
            (12, 60, 44),
            (5, 100, 70),
            (1100, 70, 64),
            (20, 1600, 48),
            (128, 70, 40),
            (300, 100, 70),
            (200, 800, 50),
            (270, 500, 1100),
        ];
        for shape in small.into_iter().chain(thin).chain(large) {
            check::<f32>(shape);
            check::<f64>(shape);
        }
    }

    #[test]
    fn nan_passes_the_fused_relu() {
        let (a, b) = ([1.0_f32; 40], vec![f32::NAN; 40 * 33]);
        let mut c = vec![0.0; 33];
        for rows in [1, 2] {
            let (left, right) = (Matrix::row_major(&a, rows, 40 / rows), Matrix::row_major(&b, 40 / rows, 33 / rows));
            gemm(left, right, &mut c, 33 / rows, Ending { relu: true, ..Ending::sum(0.0) });
            assert!(c[..32].iter().all(|x| x.is_nan()));
        }
    }
}
