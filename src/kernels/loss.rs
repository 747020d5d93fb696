//! Losses over slices: the terms and their derivatives.

use super::math::{Real, log_one_plus};
use super::simd::simd;

/// How many elements are worked on at a time: few enough to stay in the nearest cache between the passes over them.
const BLOCK: usize = 512;

/// How many rows of at least two classes a block can hold.
const MOST_ROWS: usize = BLOCK / 2;

/// How many partial sums a long sum keeps.
const LANES: usize = 16;

/// The sum, in lanes where it is long, so that it vectorises.
#[inline(always)]
fn sum<A: Real>(x: &[A]) -> A {
    if x.len() < LANES {
        return x.iter().fold(A::zero(), |sum, &x| sum + x);
    }
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

/// The largest element that is a number: NaN comes through the exponentials.
#[inline(always)]
fn max<A: Real>(x: &[A]) -> A {
    let larger = |a: A, b: A| if b > a { b } else { a };
    if x.len() < LANES {
        return x.iter().fold(A::neg_infinity(), |max, &x| larger(max, x));
    }
    let mut lanes = [A::neg_infinity(); LANES];
    let chunks = x.chunks_exact(LANES);
    let rest = chunks.remainder().iter().fold(A::neg_infinity(), |max, &x| larger(max, x));
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane = larger(*lane, x);
        }
    }
    lanes.iter().fold(rest, |max, &lane| larger(max, lane))
}

simd! {
    /// How many values are not from `low` to `high`; NaN is not. Without a branch, so that it vectorises.
    pub(crate) fn count_outside<A>(x: &[A], low: A, high: A) -> usize {
        let mut total = 0;
        for x in x.chunks(BLOCK) {
            let mut outside = 0_u32;
            for &x in x {
                outside += u32::from(!((x >= low) & (x <= high)));
            }
            total += outside as usize;
        }
        total
    }
}

simd! {
    /// terms = (x - t)^2 and gradient = 2 (x - t).
    pub(crate) fn squared_error<A>(x: &[A], t: &[A], terms: &mut [A], gradient: &mut [A]) {
        for (((&x, &t), term), gradient) in x.iter().zip(t).zip(terms).zip(gradient) {
            let difference = x - t;
            *term = difference * difference;
            *gradient = difference + difference;
        }
    }
}

simd! {
    /// terms = p t softplus(-x) + (1 - t) softplus(x) and gradient = (1 - t) sigmoid(x) - p t sigmoid(-x), with the
    /// weights `positive` for p, over and over.
    ///
    /// Both come from e = exp(-|x|), which is at most 1: softplus(x) = max(x, 0) + ln(1 + e), and the two sigmoids are
    /// 1 / (1 + e) and e / (1 + e). Nothing is subtracted that could cancel where t is 0 or 1.
    pub(crate) fn binary_cross_entropy<A>(x: &[A], t: &[A], positive: &[A], terms: &mut [A], gradient: &mut [A]) {
        let (zero, one) = (A::zero(), A::one());
        let tile = positive.len().max(1);
        let blocks = x.chunks(tile).zip(t.chunks(tile)).zip(terms.chunks_mut(tile)).zip(gradient.chunks_mut(tile));
        for (((x, t), terms), gradient) in blocks {
            for ((((&x, &t), &p), term), gradient) in x.iter().zip(t).zip(positive).zip(terms).zip(gradient) {
                let e = (-x.abs()).fast_exp::<FMA>();
                let log = log_one_plus::<A, FMA>(e);
                let inverse = one / (one + e);
                let rest = e * inverse;
                let (above, below) = if x > zero { (x, zero) } else { (zero, -x) };
                let (sigmoid, opposite) = if x > zero { (inverse, rest) } else { (rest, inverse) };
                let (no, yes) = (one - t, p * t);
                *term = no * (above + log) + yes * (below + log);
                *gradient = no * sigmoid - yes * opposite;
            }
        }
    }
}

simd! {
    /// Multiplies the gradient by `scale * w` and gives the sum of w * term; each weight is that of an equal share of
    /// the terms and of the gradient.
    pub(crate) fn weigh<A>(terms: &[A], gradient: &mut [A], weights: &[A], scale: A) -> f64 {
        let count = weights.len().max(1);
        let (of_terms, of_gradient) = ((terms.len() / count).max(1), (gradient.len() / count).max(1));
        let mut total = 0.0;
        for ((terms, gradient), &w) in terms.chunks(of_terms).zip(gradient.chunks_mut(of_gradient)).zip(weights) {
            let sum: f64 = terms.chunks(BLOCK).map(|terms| sum(terms).as_f64()).sum();
            total += w.as_f64() * sum;
            let factor = w * scale;
            for gradient in gradient {
                *gradient *= factor;
            }
        }
        total
    }
}

/// z = x - max(x) for each row of `width`, and e = exp(z) for all of them at once: rows are too short to vectorise.
#[inline(always)]
fn shift<A: Real>(x: &[A], z: &mut [A], width: usize) {
    for (x, z) in x.chunks_exact(width).zip(z.chunks_exact_mut(width)) {
        let max = max(x);
        for (z, &x) in z.iter_mut().zip(x) {
            *z = x - max;
        }
    }
}

#[inline(always)]
fn exp<A: Real, const FMA: bool>(z: &mut [A]) {
    for z in z {
        *z = z.fast_exp::<FMA>();
    }
}

simd! {
    /// The sum of `f * w_k * -ln(softmax(x)_k)` over the rows, with the row's label k, its factor f and the weight w_k
    /// of its class. The gradient is f * w_k * (softmax(x) - one_hot(k)).
    ///
    /// With z = x - max(x): -ln(softmax(x)_k) = ln(sum(exp(z))) - z_k. Labels are whole and in range.
    pub(crate) fn cross_entropy_of_labels<A>(
        x: &[A], labels: &[A], factors: &[A], class_weights: &[A], gradient: &mut [A],
    ) -> f64 {
        let width = class_weights.len();
        let rows = (BLOCK / width).max(1);
        let mut of_label = [A::zero(); MOST_ROWS];
        let mut total = 0.0;
        let blocks = x.chunks(rows * width).zip(gradient.chunks_mut(rows * width));
        for (((x, gradient), labels), factors) in blocks.zip(labels.chunks(rows)).zip(factors.chunks(rows)) {
            shift(x, gradient, width);
            for ((z, &label), of_label) in gradient.chunks_exact(width).zip(labels).zip(&mut of_label) {
                *of_label = z[label.as_f64() as usize];
            }
            exp::<A, FMA>(gradient);
            let rows = gradient.chunks_exact_mut(width).zip(labels).zip(factors).zip(&of_label);
            for (((gradient, &label), &factor), &z) in rows {
                let k = label.as_f64() as usize;
                let factor = factor * class_weights[k];
                let sum = sum(gradient);
                total += (factor * (sum.ln() - z)).as_f64();
                let share = factor / sum;
                for gradient in gradient.iter_mut() {
                    *gradient *= share;
                }
                gradient[k] -= factor;
            }
        }
        total
    }
}

/// sum(w t) and sum(w t z). A logit of minus infinity masks a class: with a target of 0 it adds nothing.
#[inline(always)]
fn mass_and_inner<A: Real>(z: &[A], t: &[A], w: &[A]) -> (A, A) {
    let product = |t: A, z: A| if t == A::zero() { A::zero() } else { t * z };
    let (mut masses, mut inners) = ([A::zero(); LANES], [A::zero(); LANES]);
    for ((z, t), w) in z.as_chunks::<LANES>().0.iter().zip(t.as_chunks::<LANES>().0).zip(w.as_chunks::<LANES>().0) {
        for lane in 0..LANES {
            let t = w[lane] * t[lane];
            masses[lane] += t;
            inners[lane] += product(t, z[lane]);
        }
    }
    let in_lanes = z.len() - z.len() % LANES;
    let (mut mass, mut inner) = if in_lanes > 0 { (sum(&masses), sum(&inners)) } else { (A::zero(), A::zero()) };
    for ((&z, &t), &w) in z[in_lanes..].iter().zip(&t[in_lanes..]).zip(&w[in_lanes..]) {
        let t = w * t;
        mass += t;
        inner += product(t, z);
    }
    (mass, inner)
}

simd! {
    /// The sum of `f * sum_c w_c t_c * -ln(softmax(x)_c)` over the rows, with the row's targets t and factor f. The
    /// gradient is f * (softmax(x) * sum_c(w_c t_c) - w t).
    ///
    /// With z = x - max(x) <= 0 the row is sum(w t) ln(sum(exp(z))) - sum(w t z), and both parts are positive.
    pub(crate) fn cross_entropy_of_probabilities<A>(
        x: &[A], targets: &[A], factors: &[A], class_weights: &[A], gradient: &mut [A],
    ) -> f64 {
        let width = class_weights.len();
        let rows = (BLOCK / width).max(1);
        let mut of_targets = [(A::zero(), A::zero()); MOST_ROWS];
        let mut total = 0.0;
        let blocks = x.chunks(rows * width).zip(targets.chunks(rows * width)).zip(gradient.chunks_mut(rows * width));
        for (((x, targets), gradient), factors) in blocks.zip(factors.chunks(rows)) {
            shift(x, gradient, width);
            let rows = gradient.chunks_exact(width).zip(targets.chunks_exact(width));
            for ((z, t), of_targets) in rows.zip(&mut of_targets) {
                *of_targets = mass_and_inner(z, t, class_weights);
            }
            exp::<A, FMA>(gradient);
            let rows = gradient.chunks_exact_mut(width).zip(targets.chunks_exact(width)).zip(factors);
            for (((gradient, t), &factor), &(mass, inner)) in rows.zip(&of_targets) {
                let sum = sum(gradient);
                total += (factor * (mass * sum.ln() - inner)).as_f64();
                let share = mass / sum;
                for ((gradient, &t), &w) in gradient.iter_mut().zip(t).zip(class_weights) {
                    *gradient = factor * (*gradient * share - w * t);
                }
            }
        }
        total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_longer_than_a_block_and_longer_than_a_lane_are_whole() {
        for width in [2, 15, 16, 17, 511, 512, 513, 1300] {
            let x: Vec<f64> = (0..3 * width).map(|i| ((i * 37) % 101) as f64 / 10.0).collect();
            let labels = [0.0, (width - 1) as f64, 1.0];
            let mut gradient = vec![0.0; x.len()];
            let weights: Vec<f64> = (0..width).map(|c| 1.0 + (c % 3) as f64).collect();
            let one_hot: Vec<f64> =
                labels.iter().flat_map(|&k| (0..width).map(move |c| f64::from(u8::from(c == k as usize)))).collect();
            let of_one_hot = cross_entropy_of_probabilities(&x, &one_hot, &[1.0; 3], &weights, &mut gradient);
            let from_one_hot = gradient.clone();
            let total = cross_entropy_of_labels(&x, &labels, &[1.0; 3], &weights, &mut gradient);
            assert!((total - of_one_hot).abs() < 1e-11, "{width}: {total} against {of_one_hot}");
            assert!(gradient.iter().zip(&from_one_hot).all(|(a, b)| (a - b).abs() < 1e-14));
            let expected: f64 = x
                .chunks(width)
                .zip(labels)
                .map(|(x, k)| weights[k as usize] * (x.iter().map(|x| x.exp()).sum::<f64>().ln() - x[k as usize]))
                .sum();
            assert!((total - expected).abs() < 1e-11, "{width}: {total} against {expected}");
            for row in gradient.chunks(width) {
                assert!(row.iter().sum::<f64>().abs() < 1e-13, "a gradient of a softmax sums to 0");
            }
        }
    }
}
