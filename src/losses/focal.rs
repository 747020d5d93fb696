//! Rows of the focal cross-entropy of several classes. With gamma = 0 it is the cross-entropy.

use super::classes::Classes;
use super::numbers::{EPSILON, clip};
use super::terms::Call;
use crate::context::Context;
use crate::error::Result;
use crate::scalar::Scalar;
use crate::tensor::values;

/// Writes the terms of an output of logits or probabilities, times `factor`.
pub(super) fn write<A: Scalar>(
    call: Call<'_, A>,
    classes: &Classes,
    (gamma, factor): (f64, f64),
    from_logits: bool,
    ctx: &mut Context<A>,
) -> Result<()> {
    let width = call.rows.features;
    let spread = classes.spread(call.t, &call.rows, ctx);
    let rows = call.x.chunks_exact(width).zip(values(&spread)?.chunks_exact(width));
    let (gamma, factor) = (A::of(gamma), A::of(factor));
    for (((x, t), gradient), term) in rows.zip(call.gradient.chunks_exact_mut(width)).zip(call.terms) {
        *term = factor
            * if from_logits { of_logits(x, t, gamma, gradient) } else { of_probabilities(x, t, gamma, gradient) };
        gradient.iter_mut().for_each(|gradient| *gradient *= factor);
    }
    ctx.recycle(spread);
    Ok(())
}

/// The term -t (1 - p)^gamma ln p of one class, and its derivative with respect to ln p:
/// t (1 - p)^gamma (gamma p ln p / (1 - p) - 1). Where p is 1, ln p / (1 - p) is -1.
fn of_class<A: Scalar>(t: A, p: A, log: A, miss: A, gamma: A) -> (A, A) {
    if t == A::zero() {
        return (A::zero(), A::zero()); // also where ln p is minus infinity
    }
    let power = if gamma == A::zero() { t } else { t * miss.powf(gamma) };
    let ratio = if miss == A::zero() { -A::one() } else { log / miss };
    (-power * log, power * (gamma * p * ratio - A::one()))
}

/// p = softmax(x). With u_c for the derivative with respect to ln p_c, that with respect to x_c is u_c - p_c sum(u).
fn of_logits<A: Scalar>(x: &[A], t: &[A], gamma: A, gradient: &mut [A]) -> A {
    let largest = x.iter().fold(A::neg_infinity(), |largest, &x| if x > largest { x } else { largest });
    let log_sum = x.iter().map(|&x| (x - largest).exp()).sum::<A>().ln();
    let (mut term, mut total) = (A::zero(), A::zero());
    for ((&x, &t), gradient) in x.iter().zip(t).zip(gradient.iter_mut()) {
        let log = x - largest - log_sum;
        let (of_class, slope) = of_class(t, log.exp(), log, -log.exp_m1(), gamma);
        term += of_class;
        total += slope;
        *gradient = slope;
    }
    for (&x, gradient) in x.iter().zip(gradient) {
        *gradient -= (x - largest - log_sum).exp() * total;
    }
    term
}

/// p = x / sum(x), kept between 1e-7 and 1 - 1e-7. With g_c for the derivative with respect to x_c / sum(x), that with
/// respect to x_c is (g_c - sum_k(g_k x_k) / sum(x)) / sum(x).
fn of_probabilities<A: Scalar>(x: &[A], t: &[A], gamma: A, gradient: &mut [A]) -> A {
    let inverse = A::one() / x.iter().copied().sum::<A>();
    let (mut term, mut inner) = (A::zero(), A::zero());
    for ((&x, &t), gradient) in x.iter().zip(t).zip(gradient.iter_mut()) {
        let (p, inside) = clip(x * inverse, A::of(EPSILON), A::of(1.0 - EPSILON));
        let (of_class, slope) = of_class(t, p, p.ln(), A::one() - p, gamma);
        term += of_class;
        *gradient = if inside { slope / p } else { A::zero() };
        inner += *gradient * x * inverse;
    }
    gradient.iter_mut().for_each(|gradient| *gradient = (*gradient - inner) * inverse);
    term
}
