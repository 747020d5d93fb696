//! Matrix products. The one file that knows which engine computes them.

use gemmkit::{Bias, MatMut, MatRef, Parallelism};
use ndarray::{ArrayView2, ArrayViewMut2};

use super::math::Real;
use super::small;
use super::transpose::transpose;
use crate::error::{Error, Result};

/// A matrix in a slice: rows by columns, element (i, j) at `i * row_stride + j * column_stride`.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a, A> {
    pub(super) data: &'a [A],
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

    /// The columns before the given one, and those from it on.
    pub(super) fn split_columns(self, column: usize) -> (Self, Self) {
        let right = &self.data[(column * self.column_stride).min(self.data.len())..];
        let columns = self.columns - column;
        (Matrix { columns: column, ..self }, Matrix { data: right, columns, ..self })
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

    fn view(self) -> MatRef<'a, A> {
        MatRef::new(self.data, self.rows, self.columns, self.row_stride as isize, self.column_stride as isize)
    }
}

/// c = a b + beta c + bias, with c in rows that start `row_stride` apart and `bias` added to each row.
///
/// With `beta` 0 what stood in c is not read. Serial: whoever calls owns the threads.
pub(crate) fn gemm<A: Real>(
    a: Matrix<'_, A>,
    b: Matrix<'_, A>,
    beta: A,
    c: &mut [A],
    row_stride: usize,
    bias: Option<&[A]>,
) {
    if small::is_row(&a, &b) {
        return small::row(a.data, b, beta, c, bias);
    }
    let wide = b.columns - small::thin_columns(&a, &b);
    if wide == b.columns {
        return wide_gemm(a, b, beta, c, row_stride, bias);
    }
    let (left, right) = b.split_columns(wide);
    if wide > 0 {
        wide_gemm(a, left, beta, c, row_stride, bias.map(|bias| &bias[..wide]));
    }
    small::small(a, right, beta, &mut c[wide..], row_stride, bias.map(|bias| &bias[wide..]));
}

/// A product whose columns fill the engine's tiles well enough.
fn wide_gemm<A: Real>(a: Matrix<'_, A>, b: Matrix<'_, A>, beta: A, c: &mut [A], row_stride: usize, bias: Option<&[A]>) {
    if turn_first(&a, &b) {
        // Rows a little longer than they need be: a stride of a power of two would put them all into a few cache sets.
        let stride = b.columns + 16;
        return A::with_scratch(b.rows * stride, |turned| {
            transpose(b.data, b.column_stride, b.columns, b.rows, turned, stride);
            general(a, Matrix::strided(turned, b.rows, b.columns, stride), beta, c, row_stride, bias);
        });
    }
    general(a, b, beta, c, row_stride, bias);
}

/// Whether a transposed right factor is better turned as a whole than read by columns. The engine packs such a factor
/// slowly; in a product of many rows it does not matter.
fn turn_first<A>(a: &Matrix<'_, A>, b: &Matrix<'_, A>) -> bool {
    b.row_stride == 1 && b.column_stride > 1 && (2..=256).contains(&a.rows)
}

/// The general engine's product.
fn general<A: Real>(a: Matrix<'_, A>, b: Matrix<'_, A>, beta: A, c: &mut [A], row_stride: usize, bias: Option<&[A]>) {
    let c = MatMut::new(c, a.rows, b.columns, row_stride as isize, 1);
    let bias = bias.map(Bias::PerCol);
    gemmkit::gemm_fused(A::one(), a.view(), b.view(), beta, c, bias, None, Parallelism::Serial);
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
        gemm(a, b, A::zero(), c, row_stride.unsigned_abs(), None);
        return Ok(());
    }
    let ([rsa, csa], [rsb, csb]) = (strides(a.strides()), strides(b.strides()));
    let [rsc, csc] = strides(c.strides());
    let (one, zero, serial) = (A::one(), A::zero(), Parallelism::Serial);
    // SAFETY: pointers, dimensions and strides are those of live views, whose every (i, j) is in bounds; `c` is borrowed
    // exclusively, so that it overlaps neither `a` nor `b`; with `beta` 0 it is only written.
    unsafe {
        let (a, b, c) = (a.as_ptr(), b.as_ptr(), c.as_mut_ptr());
        gemmkit::gemm_unchecked(m, k, n, one, a, rsa, csa, b, rsb, csb, zero, c, rsc, csc, serial);
    }
    Ok(())
}

/// The strides of a matrix, row first.
fn strides(strides: &[isize]) -> [isize; 2] {
    [strides[0], strides[1]]
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

    #[test]
    fn every_orientation_and_stride_agrees_with_ndarray() {
        for (m, k, n) in [
            (1, 1, 1),
            (1, 5, 7),
            (1, 64, 64),
            (1, 30, 150),
            (3, 4, 1),
            (4, 3, 2),
            (5, 64, 9),
            (19, 600, 3),
            (16, 16, 16),
            (9, 256, 5),
            (33, 17, 65),
            (12, 30, 24),
            (20, 40, 48),
            (7, 5, 83),
            (128, 70, 40),
        ] {
            let (a, b) = (counting(m, k), counting(k, n));
            let (at, bt) = (a.t().as_standard_layout().to_owned(), b.t().as_standard_layout().to_owned());
            let bias: Vec<f64> = (0..n).map(|j| j as f64).collect();
            let expected = a.dot(&b) + ndarray::ArrayView1::from(&bias);
            let left = Matrix::row_major(a.as_slice().unwrap(), m, k);
            let left_t = Matrix::row_major(at.as_slice().unwrap(), k, m).t();
            let right = Matrix::row_major(b.as_slice().unwrap(), k, n);
            let right_t = Matrix::row_major(bt.as_slice().unwrap(), n, k).t();
            for (left, right) in [(left, right), (left_t, right), (left, right_t), (left_t, right_t)] {
                let mut wide = Array2::from_elem((m, n + 3), f64::NAN);
                gemm(left, right, 0.0, wide.as_slice_mut().unwrap(), n + 3, Some(&bias));
                assert_eq!(wide.slice(s![.., ..n]), expected);
            }
        }
    }
}
