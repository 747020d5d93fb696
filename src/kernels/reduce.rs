//! Sums, maxima and softmax over rows.

use super::math::Real;
use super::simd::simd;

/// How many partial sums a reduction keeps, so that it vectorises and loses fewer digits.
const LANES: usize = 32;

simd! {
    /// The sum of all elements.
    pub(crate) fn sum<A>(x: &[A]) -> A {
        let mut lanes = [A::zero(); LANES];
        let chunks = x.chunks_exact(LANES);
        let rest = chunks.remainder().iter().fold(A::zero(), |sum, &x| sum + x);
        for chunk in chunks {
            for (lane, &x) in lanes.iter_mut().zip(chunk) {
                *lane += x;
            }
        }
        lanes.iter().fold(rest, |sum, &lane| sum + lane)
    }
}
simd! {
    /// The sum of the squares, for norms.
    pub(crate) fn sum_of_squares<A>(x: &[A]) -> A {
        let mut lanes = [A::zero(); LANES];
        let chunks = x.chunks_exact(LANES);
        let rest = chunks.remainder().iter().fold(A::zero(), |sum, &x| x.fma::<FMA>(x, sum));
        for chunk in chunks {
            for (lane, &x) in lanes.iter_mut().zip(chunk) {
                *lane = x.fma::<FMA>(x, *lane);
            }
        }
        lanes.iter().fold(rest, |sum, &lane| sum + lane)
    }
}
simd! {
    /// total[c] = start[c] + sum over rows of x[row, c].
    pub(crate) fn add_columns<A>(x: &[A], total: &mut [A]) {
        for row in x.chunks_exact(total.len().max(1)) {
            for (total, &x) in total.iter_mut().zip(row) {
                *total += x;
            }
        }
    }
}
simd! {
    /// total[c] += sum over rows of (x[row, c] - center[c])^2.
    pub(crate) fn add_squared_deviations<A>(x: &[A], center: &[A], total: &mut [A]) {
        for row in x.chunks_exact(total.len().max(1)) {
            for ((total, &x), &center) in total.iter_mut().zip(row).zip(center) {
                let deviation = x - center;
                *total = deviation.fma::<FMA>(deviation, *total);
            }
        }
    }
}
simd! {
    /// total[c] += sum over rows of dy[row, c] * (x[row, c] - center[c]).
    pub(crate) fn add_centered_products<A>(x: &[A], dy: &[A], center: &[A], total: &mut [A]) {
        let channels = total.len().max(1);
        for (x, dy) in x.chunks_exact(channels).zip(dy.chunks_exact(channels)) {
            for c in 0..channels {
                total[c] = (x[c] - center[c]).fma::<FMA>(dy[c], total[c]);
            }
        }
    }
}

/// The largest element; NaN if there is one.
#[inline(always)]
pub(crate) fn max<A: Real>(x: &[A]) -> A {
    x.iter().fold(A::neg_infinity(), |max, &x| if x > max || x.is_nan() { x } else { max })
}

simd! {
    /// Softmax of each row of `width`, in place: exp(x - max) / sum. Returns nothing; a row with NaN becomes NaN.
    pub(crate) fn softmax_rows<A>(x: &mut [A], width: usize) {
        for row in x.chunks_exact_mut(width.max(1)) {
            let max = max(row);
            let mut total = A::zero();
            for x in row.iter_mut() {
                *x = (*x - max).fast_exp::<FMA>();
            }
            for &x in row.iter() {
                total += x;
            }
            let inverse = A::one() / total;
            for x in row.iter_mut() {
                *x *= inverse;
            }
        }
    }
}
simd! {
    /// dx = y * (dy - sum(y * dy)) for each row of `width`.
    pub(crate) fn softmax_gradient<A>(y: &[A], dy: &[A], dx: &mut [A], width: usize) {
        let width = width.max(1);
        for ((y, dy), dx) in y.chunks_exact(width).zip(dy.chunks_exact(width)).zip(dx.chunks_exact_mut(width)) {
            let mut inner = A::zero();
            for (&y, &dy) in y.iter().zip(dy) {
                inner = y.fma::<FMA>(dy, inner);
            }
            for ((dx, &y), &dy) in dx.iter_mut().zip(y).zip(dy) {
                *dx = y * (dy - inner);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_of_every_length_count_each_element_once() {
        for n in 0..200_usize {
            let x: Vec<f64> = (0..n).map(|i| i as f64).collect();
            let expected = (n * n.saturating_sub(1) / 2) as f64;
            assert_eq!(sum(&x), expected);
            let squares: f64 = x.iter().map(|x| x * x).sum();
            assert_eq!(sum_of_squares(&x), squares);
        }
    }

    #[test]
    fn softmax_of_large_and_of_equal_logits_is_exact() {
        let mut x = [1e4_f32, 1e4, -1e4, 0.0, 0.0, 0.0];
        softmax_rows(&mut x, 3);
        assert_eq!(x[..3], [0.5, 0.5, 0.0]);
        assert!(x[3..].iter().all(|&p| (p - 1.0 / 3.0).abs() < 1e-7));
    }
}
