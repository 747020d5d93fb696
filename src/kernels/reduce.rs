//! Sums, maxima, softmax and its logarithm over rows.

use super::math::Real;
use super::simd::simd;

/// How many partial sums a reduction keeps, so that it vectorises and loses fewer digits.
const LANES: usize = 32;

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
    /// The sum of l1 |x| + l2 x^2.
    pub(crate) fn sum_of_penalties<A>(x: &[A], l1: A, l2: A) -> A {
        let mut lanes = [A::zero(); LANES];
        let chunks = x.chunks_exact(LANES);
        let add = |sum: A, x: A| x.abs().fma::<FMA>(l2.fma::<FMA>(x.abs(), l1), sum);
        let rest = chunks.remainder().iter().fold(A::zero(), |sum, &x| add(sum, x));
        for chunk in chunks {
            for (lane, &x) in lanes.iter_mut().zip(chunk) {
                *lane = add(*lane, x);
            }
        }
        lanes.iter().fold(rest, |sum, &lane| sum + lane)
    }
}
/// The widest group of rows that sums over columns take at once.
const GROUP: usize = 256;

/// total[c] = add(total[c], x[row, c], dy[row, c], center[c]) over all rows.
///
/// Narrow rows are taken in groups as one long row, with a lane for each of its places, and the lanes are added up at
/// the end: so vectors are full whatever the width, sums do not wait for each other, and fewer digits are lost.
#[inline(always)]
fn over_rows<A: Real>(x: &[A], dy: &[A], center: &[A], total: &mut [A], add: impl Fn(A, A, A, A) -> A) {
    let width = total.len().max(1);
    let group = GROUP / width * width;
    if group <= width || x.len() < 2 * group {
        return each_row(x, dy, center, total, add);
    }
    let (mut lanes, mut centers) = ([A::zero(); GROUP], [A::zero(); GROUP]);
    for centers in centers.chunks_exact_mut(width) {
        centers.copy_from_slice(&center[..width]);
    }
    let whole = x.len() / group * group;
    each_row(&x[..whole], &dy[..whole], &centers, &mut lanes[..group], &add);
    for lanes in lanes[..group].chunks_exact(width) {
        for (total, &lane) in total.iter_mut().zip(lanes) {
            *total += lane;
        }
    }
    each_row(&x[whole..], &dy[whole..], center, total, add);
}

#[inline(always)]
fn each_row<A: Real>(x: &[A], dy: &[A], center: &[A], total: &mut [A], add: impl Fn(A, A, A, A) -> A) {
    let width = total.len();
    let center = &center[..width];
    for (x, dy) in x.chunks_exact(width.max(1)).zip(dy.chunks_exact(width.max(1))) {
        for c in 0..width {
            total[c] = add(total[c], x[c], dy[c], center[c]);
        }
    }
}

simd! {
    /// total[c] += sum over rows of x[row, c].
    pub(crate) fn add_columns<A>(x: &[A], total: &mut [A]) {
        // There are as many values as columns, if there are any: they stand in for the centers that nobody reads.
        if !x.is_empty() {
            over_rows(x, x, x, total, |total, x, _, _| total + x);
        }
    }
}
simd! {
    /// total[c] += sum over rows of (x[row, c] - center[c])^2.
    pub(crate) fn add_squared_deviations<A>(x: &[A], center: &[A], total: &mut [A]) {
        over_rows(x, x, center, total, |total, x, _, center| (x - center).fma::<FMA>(x - center, total));
    }
}
simd! {
    /// total[c] += sum over rows of dy[row, c] * (x[row, c] - center[c]).
    pub(crate) fn add_centered_products<A>(x: &[A], dy: &[A], center: &[A], total: &mut [A]) {
        over_rows(x, dy, center, total, |total, x, dy, center| (x - center).fma::<FMA>(dy, total));
    }
}

simd! {
    /// total[c] += sum over rows of x[row, c] * dy[row, c] where x is not above 0.
    pub(crate) fn add_negative_products<A>(x: &[A], dy: &[A], total: &mut [A]) {
        // The centers are read by nobody, as above.
        if !x.is_empty() {
            over_rows(x, dy, x, total, |total, x, dy, _| if x > A::zero() { total } else { x.fma::<FMA>(dy, total) });
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
    /// The logarithm of the softmax of each row of `width`, in place: x - max - ln(sum exp(x - max)), which is exact
    /// where the softmax itself would be 0.
    pub(crate) fn log_softmax_rows<A>(x: &mut [A], width: usize) {
        for row in x.chunks_exact_mut(width.max(1)) {
            let max = max(row);
            let mut lanes = [A::zero(); LANES];
            let mut add = |x: &mut [A]| {
                for (lane, x) in lanes.iter_mut().zip(x) {
                    *x -= max;
                    *lane += x.fast_exp::<FMA>();
                }
            };
            let mut chunks = row.chunks_exact_mut(LANES);
            chunks.by_ref().for_each(&mut add);
            add(chunks.into_remainder());
            let log = lanes.iter().fold(A::zero(), |sum, &lane| sum + lane).ln();
            for x in row.iter_mut() {
                *x -= log;
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

simd! {
    /// dx = dy - exp(y) * sum(dy) for each row of `width`.
    pub(crate) fn log_softmax_gradient<A>(y: &[A], dy: &[A], dx: &mut [A], width: usize) {
        let width = width.max(1);
        for ((y, dy), dx) in y.chunks_exact(width).zip(dy.chunks_exact(width)).zip(dx.chunks_exact_mut(width)) {
            let mut total = A::zero();
            for &dy in dy {
                total += dy;
            }
            for ((dx, &y), &dy) in dx.iter_mut().zip(y).zip(dy) {
                *dx = y.fast_exp::<FMA>().fma::<FMA>(-total, dy);
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
            let squares: f64 = x.iter().map(|x| x * x).sum();
            assert_eq!(sum_of_squares(&x), squares);
        }
    }

    #[test]
    fn sums_over_columns_count_each_row_once() {
        for width in [1, 2, 3, 16, 100, 128, 129, 256, 300] {
            for rows in [0, 1, 2, 7, 130, 600] {
                let value = |i: usize| ((i * 7) % 13) as f64;
                let x: Vec<f64> = (0..rows * width).map(value).collect();
                let dy: Vec<f64> = (0..rows * width).map(|i| value(i + 5)).collect();
                let center: Vec<f64> = (0..width).map(value).collect();
                let signed: Vec<f64> = x.iter().map(|x| x - 6.0).collect();
                let mut totals = [0; 4].map(|_| vec![1.0; width]);
                add_columns(&x, &mut totals[0]);
                add_squared_deviations(&x, &center, &mut totals[1]);
                add_centered_products(&x, &dy, &center, &mut totals[2]);
                add_negative_products(&signed, &dy, &mut totals[3]);
                for c in 0..width {
                    let sum = |term: &dyn Fn(usize) -> f64| 1.0 + (0..rows).map(|r| term(r * width + c)).sum::<f64>();
                    assert_eq!(totals[0][c], sum(&|i| x[i]), "{rows} x {width}");
                    assert_eq!(totals[1][c], sum(&|i| (x[i] - center[c]).powi(2)), "{rows} x {width}");
                    assert_eq!(totals[2][c], sum(&|i| (x[i] - center[c]) * dy[i]), "{rows} x {width}");
                    assert_eq!(totals[3][c], sum(&|i| signed[i].min(0.0) * dy[i]), "{rows} x {width}");
                }
            }
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
