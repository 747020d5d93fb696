//! Functions of each element with their derivatives: what the activations compute.

use super::math::{Real, log_one_plus};
use super::simd::simd;

/// How many elements are copied at a time where a function is applied in place: they stay in the nearest cache.
const BLOCK: usize = 512;

/// The constants of a function: four at most.
type Constants<A> = [A; 4];

/// y = f(x).
type Apply<A> = fn(x: &[A], y: &mut [A], Constants<A>);

/// dx = dy f', from the kept values.
type Gradient<A> = fn(kept: &[A], dy: &[A], dx: &mut [A], Constants<A>);

/// A function and its derivative over slices, with its constants.
pub(crate) struct Function<A> {
    apply: Apply<A>,
    gradient: Gradient<A>,
    constants: Constants<A>,
}

impl<A: Real> Function<A> {
    /// y = f(x).
    pub(crate) fn apply(&self, x: &[A], y: &mut [A]) {
        (self.apply)(x, y, self.constants);
    }

    /// y = f(y), block by block out of a copy, so that there is one loop for both.
    pub(crate) fn apply_in_place(&self, y: &mut [A]) {
        let mut block = [A::zero(); BLOCK];
        for y in y.chunks_mut(BLOCK) {
            let x = &mut block[..y.len()];
            x.copy_from_slice(y);
            (self.apply)(x, y, self.constants);
        }
    }

    /// dx = dy f'(x), where f' is written in terms of the kept values: the input or the output.
    pub(crate) fn gradient(&self, kept: &[A], dy: &[A], dx: &mut [A]) {
        (self.gradient)(kept, dy, dx, self.constants);
    }
}

/// Writes the constructor of each function from its value and its derivative, which is one of x or of y as the name of
/// its argument tells.
macro_rules! functions {
    ($($(#[$meta:meta])* fn $name:ident($($constant:ident),*) = |$x:ident| $value:expr, |$kept:ident| $slope:expr;)*) => {$(
        $(#[$meta])*
        pub(crate) fn $name<A: Real>($($constant: f64),*) -> Function<A> {
            simd! {
                fn apply<A>(x: &[A], y: &mut [A], constants: Constants<A>) {
                    #[allow(unused_variables)] // The value may need some of the constants, the derivative others.
                    let [$($constant,)* ..] = constants;
                    for (y, &$x) in y.iter_mut().zip(x) {
                        *y = $value;
                    }
                }
            }
            simd! {
                fn gradient<A>(kept: &[A], dy: &[A], dx: &mut [A], constants: Constants<A>) {
                    #[allow(unused_variables)] // The value may need some of the constants, the derivative others.
                    let [$($constant,)* ..] = constants;
                    for ((dx, &$kept), &dy) in dx.iter_mut().zip(kept).zip(dy) {
                        *dx = dy * $slope;
                    }
                }
            }
            let given: &[f64] = &[$($constant),*];
            let mut constants = [A::zero(); 4];
            constants.iter_mut().zip(given).for_each(|(constant, &given)| *constant = A::of(given));
            Function { apply: apply::<A>, gradient: gradient::<A>, constants }
        }
    )*};
}

// Comparisons are such that NaN passes: each is false for it.
functions! {
    /// max(x, 0).
    fn relu() = |x| if x < A::zero() { A::zero() } else { x }, |y| if y > A::zero() { A::one() } else { A::zero() };

    /// x where x >= 0, slope * x elsewhere. For a positive slope the output tells the sign of the input.
    fn leaky_relu(slope) = |x| if x < A::zero() { x * slope } else { x },
        |x| if x > A::zero() { A::one() } else { slope };

    /// (x + shift) scale, no less than `low` and no more than `high`; the derivative at both ends is 0.
    fn clamp(low, high, shift, scale) = |x| {
        let y = (x + shift) * scale;
        let y = if y < low { low } else { y };
        if y > high { high } else { y }
    }, |y| if (y <= low) | (y >= high) { A::zero() } else { scale };

    /// scale x above 0, height (exp(rate x) - 1) elsewhere, with a height from 0.
    fn elu(height, rate, scale) = |x| {
        let below = height * (x * rate).fast_exp_m1::<FMA>();
        if x > A::zero() { x * scale } else { below }
    }, |y| if y > A::zero() { scale } else { (y + height) * rate };

    /// 1 / (1 + exp(-x)).
    fn sigmoid() = |x| logistic::<A, FMA>(x), |y| y * (A::one() - y);

    /// tanh(x).
    fn tanh() = |x| x.fast_tanh::<FMA>(), |y| A::one() - y * y;

    /// x Phi(x) with the standard normal distribution function Phi. The derivative is Phi(x) + x phi(x).
    fn gelu() = |x| x * normal_cdf::<A, FMA>(x), |x| {
        let density = (x * x * A::of(-0.5)).fast_exp::<FMA>() * A::of(0.398_942_280_401_432_7);
        // Far out x is infinite before the density is: their product is 0 there.
        let slope = if density > A::zero() { x * density } else { density };
        normal_cdf::<A, FMA>(x) + slope
    };

    /// x (1 + tanh(u)) / 2 with u = sqrt(2 / pi) (x + 0.044715 x^3), the approximation of Hendrycks and Gimpel.
    fn gelu_tanh() = |x| x * A::of(0.5) * (A::one() + gelu_argument::<A, FMA>(x).fast_tanh::<FMA>()), |x| {
        let t = gelu_argument::<A, FMA>(x).fast_tanh::<FMA>();
        let slope = (x * x).fma::<FMA>(A::of(3.0 * GELU_ROOT * GELU_CUBE), A::of(GELU_ROOT));
        let bend = A::one() - t * t;
        // Where tanh is 1 the bend is 0, whatever x * slope overflows to.
        let bent = if bend > A::zero() { x * bend * slope } else { bend };
        A::of(0.5) * (A::one() + t + bent)
    };

    /// x s with s = 1 / (1 + exp(-x)). The derivative is s (1 + x (1 - s)).
    fn silu() = |x| x * logistic::<A, FMA>(x), |x| {
        let s = logistic::<A, FMA>(x);
        s * x.fma::<FMA>(A::one() - s, A::one())
    };

    /// x t with t = tanh(ln(1 + exp(x))). With e = exp(x) and n = e (e + 2), t = n / (n + 2), without a logarithm and
    /// exact where e is tiny. The derivative is t + x (1 - t^2) e / (1 + e) = t + 4 x e (1 + e) / (n + 2)^2.
    fn mish() = |x| {
        let (_, _, n) = mish_terms::<A, FMA>(x);
        x * (n / (n + A::of(2.0)))
    }, |x| {
        let (x, e, n) = mish_terms::<A, FMA>(x);
        let inverse = A::one() / (n + A::of(2.0));
        let bend = A::of(4.0) * e * (A::one() + e) * inverse * inverse;
        x.fma::<FMA>(bend, n * inverse)
    };

    /// x min(max(x + 3, 0), 6) / 6. The derivative is 0 up to -3 and 1 from 3 on.
    fn hard_swish() = |x| {
        let gate = (x + A::of(3.0)) * A::of(1.0 / 6.0);
        let gate = if gate < A::zero() { A::zero() } else { gate };
        x * if gate > A::one() { A::one() } else { gate }
    }, |x| {
        let slope = x.fma::<FMA>(A::of(1.0 / 3.0), A::of(0.5));
        let slope = if x <= A::of(-3.0) { A::zero() } else { slope };
        if x >= A::of(3.0) { A::one() } else { slope }
    };

    /// ln(1 + exp(beta x)) / beta. With z = beta x it is max(z, 0) + ln(1 + exp(-|z|)), which neither overflows nor
    /// loses small results. The derivative is 1 - exp(-beta y).
    fn softplus(beta, inverse) = |x| {
        let z = x * beta;
        let positive = if z < A::zero() { A::zero() } else { z };
        (positive + log_one_plus::<A, FMA>((-z.abs()).fast_exp::<FMA>())) * inverse
    }, |y| -(-(y * beta)).fast_exp_m1::<FMA>();

    /// x / (1 + |x|).
    fn softsign() = |x| x / (A::one() + x.abs()), |x| {
        let inverse = A::one() / (A::one() + x.abs());
        inverse * inverse
    };

    /// exp(x).
    fn exponential() = |x| x.fast_exp::<FMA>(), |y| y;

    /// 0 for |x| <= width, elsewhere x, moved towards 0 by `shift`.
    fn shrink(width, shift) = |x| {
        let moved = if x > A::zero() { x - shift } else { x + shift };
        if x.abs() <= width { A::zero() } else { moved }
    }, |y| if y == A::zero() { A::zero() } else { A::one() };

    /// x - tanh(x), whose derivative is tanh(x)^2.
    fn tanh_shrink() = |x| x - x.fast_tanh::<FMA>(), |x| {
        let t = x.fast_tanh::<FMA>();
        t * t
    };

    /// x above the threshold, a fixed value elsewhere.
    fn threshold(threshold, value) = |x| if x <= threshold { value } else { x },
        |x| if x <= threshold { A::zero() } else { A::one() };
}

/// 1 / (1 + exp(-x)); exp(-x) overflows to infinity where the result is 0.
#[inline(always)]
fn logistic<A: Real, const FMA: bool>(x: A) -> A {
    A::one() / (A::one() + (-x).fast_exp::<FMA>())
}

const GELU_ROOT: f64 = 0.797_884_560_802_865_4;
const GELU_CUBE: f64 = 0.044_715;

#[inline(always)]
fn normal_cdf<A: Real, const FMA: bool>(x: A) -> A {
    A::of(0.5) * (A::one() + (x * A::of(std::f64::consts::FRAC_1_SQRT_2)).fast_erf::<FMA>())
}

#[inline(always)]
fn gelu_argument<A: Real, const FMA: bool>(x: A) -> A {
    (x * x * x).fma::<FMA>(A::of(GELU_ROOT * GELU_CUBE), x * A::of(GELU_ROOT))
}

/// x, e = exp(x) and n = e (e + 2) for x up to 20. From there on n / (n + 2) is 1 to the last digit, the derivative
/// too, and the square of n does not overflow.
#[inline(always)]
fn mish_terms<A: Real, const FMA: bool>(x: A) -> (A, A, A) {
    let x = if x > A::of(20.0) { A::of(20.0) } else { x };
    let e = x.fast_exp::<FMA>();
    (x, e, e * (e + A::of(2.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_place_and_out_of_place_are_the_same_at_every_length() {
        let function = elu::<f32>(1.5, 1.0, 1.0);
        for length in [0, 1, 15, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 7] {
            let x: Vec<f32> = (0..length).map(|i| (i % 23) as f32 / 4.0 - 3.0).collect();
            let (mut y, mut in_place) = (vec![f32::NAN; length], x.clone());
            function.apply(&x, &mut y);
            function.apply_in_place(&mut in_place);
            assert_eq!(in_place, y);
            assert!(x.iter().zip(&y).all(|(&x, &y)| if x > 0.0 {
                y == x
            } else {
                (y - 1.5 * x.exp_m1()).abs() < 1e-6
            }));
        }
    }
}
