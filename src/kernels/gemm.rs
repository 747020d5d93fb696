//! Matrix products. The one file that knows which engine computes them.

use gemmkit::{Bias, MatMut, MatRef, Parallelism};

use super::math::Real;

/// A matrix in a slice: rows by columns, element (i, j) at `i * row_stride + j * column_stride`.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a, A> {
    data: &'a [A],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
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
    let c = MatMut::new(c, a.rows, b.columns, row_stride as isize, 1);
    let bias = bias.map(Bias::PerCol);
    gemmkit::gemm_fused(A::one(), a.view(), b.view(), beta, c, bias, None, Parallelism::Serial);
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, s};

    fn counting(rows: usize, columns: usize) -> Array2<f64> {
        Array2::from_shape_fn((rows, columns), |(i, j)| ((i * 7 + j * 3) % 11) as f64 - 5.0)
    }

    #[test]
    fn every_orientation_and_stride_agrees_with_ndarray() {
        for (m, k, n) in [(1, 1, 1), (1, 5, 7), (3, 4, 1), (5, 64, 9), (33, 17, 65), (128, 70, 40)] {
            let (a, b) = (counting(m, k), counting(k, n));
            let (at, bt) = (a.t().as_standard_layout().to_owned(), b.t().as_standard_layout().to_owned());
            let bias: Vec<f64> = (0..n).map(|j| j as f64).collect();
            let expected = a.dot(&b) + &ndarray::ArrayView1::from(&bias);
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
