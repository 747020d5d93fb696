//! The cross-entropy of one yes-or-no answer, from a logit and from a probability.

use super::numbers::{EPSILON, clip};
use crate::scalar::Scalar;

/// (1 - s) t + s / 2 for the smoothing s.
pub(super) fn smooth<A: Scalar>(t: A, smoothing: f64) -> A {
    t * A::of(1.0 - smoothing) + A::of(0.5 * smoothing)
}

/// 1 / (1 + exp(-x)). Far below 0 it keeps its digits.
pub(super) fn sigmoid<A: Scalar>(x: A) -> A {
    let e = (-x.abs()).exp();
    if x > A::zero() { A::one() / (A::one() + e) } else { e / (A::one() + e) }
}

/// -t ln p - (1 - t) ln(1 - p) with p = sigmoid(x), and its derivative p - t, with no difference of large numbers.
pub(super) fn of_logit<A: Scalar>(x: A, t: A) -> (A, A) {
    let rest = (-x.abs()).exp().ln_1p();
    let (above, below) = if x > A::zero() { (x, A::zero()) } else { (A::zero(), -x) };
    let (no, yes) = (A::one() - t, t);
    (no * (above + rest) + yes * (below + rest), no * sigmoid(x) - yes * sigmoid(-x))
}

/// -w t ln p - (1 - t) ln(1 - p) with the weight w of positive answers, and its derivative, with p kept between 1e-7
/// and 1 - 1e-7: beyond there is none.
pub(super) fn of_probability<A: Scalar>(p: A, t: A, positive: A) -> (A, A) {
    let (p, inside) = clip(p, A::of(EPSILON), A::of(1.0 - EPSILON));
    let (no, yes, rest) = (A::one() - t, positive * t, A::one() - p);
    let slope = if inside { no / rest - yes / p } else { A::zero() };
    (-(yes * p.ln() + no * rest.ln()), slope)
}
