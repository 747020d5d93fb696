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
