//! The arithmetic of optimizers: one sweep over a weight, its gradient and its moments.

use super::simd::simd;

simd! {
    /// w -= rate * g.
    pub(crate) fn descend<A>(w: &mut [A], g: &[A], rate: A) {
        for (w, &g) in w.iter_mut().zip(g) {
            *w = g.fma::<FMA>(-rate, *w);
        }
    }
}
simd! {
    /// v = momentum * v + g; w -= rate * v, or with `nesterov` w -= rate * (g + momentum * v); all with `scale * g`
    /// for g.
    pub(crate) fn momentum<A>(
        w: &mut [A], g: &[A], v: &mut [A], scale: A, rate: A, momentum: A, nesterov: bool,
    ) {
        let (gradient_part, velocity_part) = if nesterov { (A::one(), momentum) } else { (A::zero(), A::one()) };
        for ((w, &g), v) in w.iter_mut().zip(g).zip(v.iter_mut()) {
            let g = scale * g;
            *v = momentum.fma::<FMA>(*v, g);
            let direction = velocity_part.fma::<FMA>(*v, gradient_part * g);
            *w = direction.fma::<FMA>(-rate, *w);
        }
    }
}
simd! {
    /// m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g^2; w -= rate * m / (sqrt(v) * root_scale + epsilon).
    pub(crate) fn adam<A>(
        w: &mut [A], g: &[A], m: &mut [A], v: &mut [A], rate: A, beta1: A, beta2: A, root_scale: A, epsilon: A,
    ) {
        let (rest1, rest2) = (A::one() - beta1, A::one() - beta2);
        for (((w, &g), m), v) in w.iter_mut().zip(g).zip(m.iter_mut()).zip(v.iter_mut()) {
            *m = beta1.fma::<FMA>(*m, rest1 * g);
            *v = beta2.fma::<FMA>(*v, rest2 * g * g);
            let denominator = v.sqrt().fma::<FMA>(root_scale, epsilon);
            *w -= rate * *m / denominator;
        }
    }
}
simd! {
    /// g = scale * g + decay * w: the mean over the batch, clipping and coupled weight decay in one go.
    pub(crate) fn prepare_gradient<A>(g: &mut [A], w: &[A], scale: A, decay: A) {
        for (g, &w) in g.iter_mut().zip(w) {
            *g = g.fma::<FMA>(scale, decay * w);
        }
    }
}
simd! {
    /// g += l1 * sign(w) + l2 * w, with sign(0) = 0: the gradient of a penalty. NaN in w becomes NaN in g.
    pub(crate) fn penalize<A>(g: &mut [A], w: &[A], l1: A, l2: A) {
        for (g, &w) in g.iter_mut().zip(w) {
            let rises = if w > A::zero() { l1 } else { A::zero() };
            let falls = if w < A::zero() { l1 } else { A::zero() };
            *g = l2.fma::<FMA>(w, *g + (rises - falls));
        }
    }
}
simd! {
    /// g between -limit and limit; NaN stays NaN.
    pub(crate) fn clip<A>(g: &mut [A], limit: A) {
        for g in g.iter_mut() {
            let below = if *g > limit { limit } else { *g };
            *g = if below < -limit { -limit } else { below };
        }
    }
}
simd! {
    /// m = keep * m + rest * g.
    pub(crate) fn mean<A>(m: &mut [A], g: &[A], keep: A, rest: A) {
        for (m, &g) in m.iter_mut().zip(g) {
            *m = keep.fma::<FMA>(*m, rest * g);
        }
    }
}
simd! {
    /// v = keep * v + rest * g^2.
    pub(crate) fn mean_square<A>(v: &mut [A], g: &[A], keep: A, rest: A) {
        for (v, &g) in v.iter_mut().zip(g) {
            *v = keep.fma::<FMA>(*v, rest * g * g);
        }
    }
}
simd! {
    /// Each number of the first becomes that of the second where that is larger, or NaN.
    pub(crate) fn largest<A>(most: &mut [A], v: &[A]) {
        for (most, &v) in most.iter_mut().zip(v) {
            *most = if v <= *most { *most } else { v };
        }
    }
}
simd! {
    /// w -= rate * d / (sqrt(v) * root_scale + epsilon).
    pub(crate) fn step_by_root<A>(w: &mut [A], d: &[A], v: &[A], rate: A, root_scale: A, epsilon: A) {
        for ((w, &d), &v) in w.iter_mut().zip(d).zip(v) {
            *w -= rate * d / v.sqrt().fma::<FMA>(root_scale, epsilon);
        }
    }
}
simd! {
    /// b = momentum * b + g / (sqrt(v) + epsilon).
    pub(crate) fn velocity_by_root<A>(b: &mut [A], g: &[A], v: &[A], momentum: A, epsilon: A) {
        for ((b, &g), &v) in b.iter_mut().zip(g).zip(v) {
            *b = momentum.fma::<FMA>(*b, g / (v.sqrt() + epsilon));
        }
    }
}
simd! {
    /// b = momentum * b + g / (sqrt(v - m^2) + epsilon), where rounding cannot take v below m^2.
    pub(crate) fn velocity_by_deviation<A>(b: &mut [A], g: &[A], v: &[A], m: &[A], momentum: A, epsilon: A) {
        for (((b, &g), &v), &m) in b.iter_mut().zip(g).zip(v).zip(m) {
            let variance = v - m * m;
            let variance = if variance < A::zero() { A::zero() } else { variance };
            *b = momentum.fma::<FMA>(*b, g / (variance.sqrt() + epsilon));
        }
    }
}
simd! {
    /// u = max(beta * u, |g| + epsilon); w -= rate * m / u.
    pub(crate) fn adamax<A>(w: &mut [A], g: &[A], m: &[A], u: &mut [A], rate: A, beta: A, epsilon: A) {
        for (((w, &g), &m), u) in w.iter_mut().zip(g).zip(m).zip(u.iter_mut()) {
            let (old, new) = (beta * *u, g.abs() + epsilon);
            *u = if new <= old { old } else { new };
            *w -= rate * m / *u;
        }
    }
}
simd! {
    /// d = g sqrt(u + epsilon) / sqrt(v + epsilon); u = rho u + (1 - rho) d^2; w -= rate * d.
    pub(crate) fn adadelta<A>(w: &mut [A], g: &[A], v: &[A], u: &mut [A], rate: A, rho: A, epsilon: A) {
        let rest = A::one() - rho;
        for (((w, &g), &v), u) in w.iter_mut().zip(g).zip(v).zip(u.iter_mut()) {
            let d = g * ((*u + epsilon).sqrt() / (v + epsilon).sqrt());
            *u = rho.fma::<FMA>(*u, rest * d * d);
            *w = d.fma::<FMA>(-rate, *w);
        }
    }
}
simd! {
    /// w -= rate * sign(beta * m + (1 - beta) * g), with sign(0) = 0; NaN stays NaN.
    pub(crate) fn lion<A>(w: &mut [A], g: &[A], m: &[A], rate: A, beta: A) {
        let rest = A::one() - beta;
        for ((w, &g), &m) in w.iter_mut().zip(g).zip(m) {
            let direction = beta.fma::<FMA>(m, rest * g);
            let falls = if direction < A::zero() { -A::one() } else { direction };
            let sign = if direction > A::zero() { A::one() } else { falls };
            *w = sign.fma::<FMA>(-rate, *w);
        }
    }
}
