//! Loops that treat each element alone: activations with their gradients, sums and products of arrays.

use super::math::Real;
use super::simd::simd;

/// An activation over a slice, from one slice into another and in place, and the gradient
/// `dx[i] = dy[i] * f'(...)`, where f' is written in terms of the kept value: the input or the output.
macro_rules! activation {
    ($(#[$meta:meta])* $name:ident, $in_place:ident, $gradient:ident $(($parameter:ident))?,
     |$x:ident| $value:expr, |$kept:ident| $derivative:expr) => {
        simd! {
            $(#[$meta])*
            pub(crate) fn $name<A>(x: &[A], y: &mut [A] $(, $parameter: A)?) {
                for (y, &$x) in y.iter_mut().zip(x) {
                    *y = $value;
                }
            }
        }
        simd! {
            /// The same in place.
            pub(crate) fn $in_place<A>(y: &mut [A] $(, $parameter: A)?) {
                for y in y.iter_mut() {
                    let $x = *y;
                    *y = $value;
                }
            }
        }
        simd! {
            /// Its gradient from the kept values and the gradient of the output.
            pub(crate) fn $gradient<A>(kept: &[A], dy: &[A], dx: &mut [A] $(, $parameter: A)?) {
                for ((dx, &$kept), &dy) in dx.iter_mut().zip(kept).zip(dy) {
                    *dx = dy * $derivative;
                }
            }
        }
    };
}

activation! {
    /// max(x, 0), with NaN passing: `x < 0` is false for NaN.
    relu, relu_in_place, relu_gradient,
    |x| if x < A::zero() { A::zero() } else { x },
    |y| if y > A::zero() { A::one() } else { A::zero() }
}
activation! {
    /// x where x >= 0, slope * x elsewhere. For a positive slope the output tells the sign of the input.
    leaky_relu, leaky_relu_in_place, leaky_relu_gradient(slope),
    |x| if x < A::zero() { x * slope } else { x },
    |x| if x > A::zero() { A::one() } else { slope }
}
activation! {
    /// 1 / (1 + exp(-x)); exp(-x) overflows to infinity where the result is 0.
    sigmoid, sigmoid_in_place, sigmoid_gradient,
    |x| A::one() / (A::one() + (-x).fast_exp::<FMA>()),
    |y| y * (A::one() - y)
}
activation! {
    /// tanh(x).
    tanh, tanh_in_place, tanh_gradient,
    |x| x.fast_tanh::<FMA>(),
    |y| A::one() - y * y
}
activation! {
    /// x Phi(x) with the standard normal distribution function Phi. The derivative is Phi(x) + x phi(x).
    gelu, gelu_in_place, gelu_gradient,
    |x| x * normal_cdf::<A, FMA>(x),
    |x| {
        let density = (x * x * A::of(-0.5)).fast_exp::<FMA>() * A::of(0.398_942_280_401_432_7);
        // Far out x is infinite before the density is: their product is 0 there.
        let slope = if density > A::zero() { x * density } else { density };
        normal_cdf::<A, FMA>(x) + slope
    }
}
activation! {
    /// x (1 + tanh(u)) / 2 with u = sqrt(2 / pi) (x + 0.044715 x^3), the approximation of Hendrycks and Gimpel.
    gelu_tanh, gelu_tanh_in_place, gelu_tanh_gradient,
    |x| x * A::of(0.5) * (A::one() + gelu_argument::<A, FMA>(x).fast_tanh::<FMA>()),
    |x| {
        let t = gelu_argument::<A, FMA>(x).fast_tanh::<FMA>();
        let slope = (x * x).fma::<FMA>(A::of(3.0 * GELU_ROOT * GELU_CUBE), A::of(GELU_ROOT));
        let bend = A::one() - t * t;
        // Where tanh is 1 the bend is 0, whatever x * slope overflows to.
        let bent = if bend > A::zero() { x * bend * slope } else { bend };
        A::of(0.5) * (A::one() + t + bent)
    }
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

simd! {
    /// y += x.
    pub(crate) fn add_assign<A>(y: &mut [A], x: &[A]) {
        for (y, &x) in y.iter_mut().zip(x) {
            *y += x;
        }
    }
}
simd! {
    /// Adds x to each row of y.
    pub(crate) fn add_to_rows<A>(y: &mut [A], x: &[A]) {
        for y in y.chunks_exact_mut(x.len().max(1)) {
            for (y, &x) in y.iter_mut().zip(x) {
                *y += x;
            }
        }
    }
}
simd! {
    /// out = a + b.
    pub(crate) fn add<A>(a: &[A], b: &[A], out: &mut [A]) {
        for ((out, &a), &b) in out.iter_mut().zip(a).zip(b) {
            *out = a + b;
        }
    }
}
simd! {
    /// out = a * b.
    pub(crate) fn multiply<A>(a: &[A], b: &[A], out: &mut [A]) {
        for ((out, &a), &b) in out.iter_mut().zip(a).zip(b) {
            *out = a * b;
        }
    }
}
simd! {
    /// mask = 0 where `drawn` is below the threshold and `kept` elsewhere; y = x * mask.
    pub(crate) fn drop_out<A>(drawn: &[u32], threshold: u32, kept: A, mask: &mut [A], x: &[A], y: &mut [A]) {
        for (((&drawn, mask), &x), y) in drawn.iter().zip(mask).zip(x).zip(y) {
            *mask = if drawn < threshold { A::zero() } else { kept };
            *y = x * *mask;
        }
    }
}
simd! {
    /// y = scale * y.
    pub(crate) fn scale<A>(y: &mut [A], scale: A) {
        for y in y.iter_mut() {
            *y *= scale;
        }
    }
}
simd! {
    /// y = shift + scale * (x - center), channel by channel, for rows of channels.
    pub(crate) fn normalize<A>(x: &[A], y: &mut [A], center: &[A], scale: &[A], shift: &[A]) {
        let channels = center.len();
        for (x, y) in x.chunks_exact(channels).zip(y.chunks_exact_mut(channels)) {
            for ((((y, &x), &center), &scale), &shift) in y.iter_mut().zip(x).zip(center).zip(scale).zip(shift) {
                *y = (x - center).fma::<FMA>(scale, shift);
            }
        }
    }
}
simd! {
    /// dx = scale * (dy - mean_dy - (x - center) * slope), channel by channel: the gradient of a normalisation.
    pub(crate) fn normalize_gradient<A>(
        x: &[A], dy: &[A], dx: &mut [A], center: &[A], scale: &[A], mean_dy: &[A], slope: &[A],
    ) {
        let channels = center.len();
        // Lengths that the compiler knows to be one: without checks the loop over channels is vector code.
        let (scale, mean_dy, slope) = (&scale[..channels], &mean_dy[..channels], &slope[..channels]);
        for ((x, dy), dx) in x.chunks_exact(channels).zip(dy.chunks_exact(channels)).zip(dx.chunks_exact_mut(channels)) {
            for c in 0..channels {
                let centered = dy[c] - mean_dy[c];
                dx[c] = scale[c] * (x[c] - center[c]).fma::<FMA>(-slope[c], centered);
            }
        }
    }
}
