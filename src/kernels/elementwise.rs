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
    /// mask = 0 where `drawn` is below the threshold and `kept` elsewhere.
    pub(crate) fn drop_mask<A>(drawn: &[u32], threshold: u32, kept: A, mask: &mut [A]) {
        for (&drawn, mask) in drawn.iter().zip(mask) {
            *mask = if drawn < threshold { A::zero() } else { kept };
        }
    }
}
simd! {
    /// y += share * (x - y): an average moves towards a new value.
    pub(crate) fn move_towards<A>(y: &mut [A], x: &[A], share: A) {
        for (y, &x) in y.iter_mut().zip(x) {
            *y += share * (x - *y);
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

/// The widest group of rows that loops over channels take at once.
const GROUP: usize = 128;

/// out = f(x, dy, the constants of its channel) for rows of channels.
///
/// Narrow rows are taken in groups as one long row, for which the constants are repeated: so vectors are full whatever
/// the number of channels.
#[inline(always)]
fn by_channel<A: Real>(x: &[A], dy: &[A], out: &mut [A], constants: [&[A]; 4], f: impl Fn(A, A, [A; 4]) -> A) {
    let channels = constants[0].len().max(1);
    let group = GROUP / channels * channels;
    if group <= channels || x.len() < 2 * group {
        return each_row(x, dy, out, constants, f);
    }
    let mut repeated = [[A::zero(); GROUP]; 4];
    for (repeated, constants) in repeated.iter_mut().zip(constants) {
        repeated.chunks_exact_mut(channels).for_each(|repeated| repeated.copy_from_slice(constants));
    }
    let [a, b, c, d] = &repeated;
    let whole = x.len() / group * group;
    let (rows, rest) = out.split_at_mut(whole);
    each_row(&x[..whole], &dy[..whole], rows, [&a[..group], &b[..group], &c[..group], &d[..group]], &f);
    each_row(&x[whole..], &dy[whole..], rest, constants, f);
}

#[inline(always)]
fn each_row<A: Real>(x: &[A], dy: &[A], out: &mut [A], [a, b, c, d]: [&[A]; 4], f: impl Fn(A, A, [A; 4]) -> A) {
    let width = a.len();
    // Lengths that the compiler knows to be one: without checks the loop over a row is vector code.
    let (b, c, d) = (&b[..width], &c[..width], &d[..width]);
    let rows = x.chunks_exact(width.max(1)).zip(dy.chunks_exact(width.max(1)));
    for ((x, dy), out) in rows.zip(out.chunks_exact_mut(width.max(1))) {
        for i in 0..width {
            out[i] = f(x[i], dy[i], [a[i], b[i], c[i], d[i]]);
        }
    }
}

simd! {
    /// y = x * factor, channel by channel, for rows of channels.
    pub(crate) fn scale_channels<A>(x: &[A], y: &mut [A], factor: &[A]) {
        by_channel(x, x, y, [factor; 4], |x, _, [factor, ..]| x * factor);
    }
}
simd! {
    /// y = shift + scale * (x - center), channel by channel, for rows of channels.
    pub(crate) fn normalize<A>(x: &[A], y: &mut [A], center: &[A], scale: &[A], shift: &[A]) {
        by_channel(x, x, y, [center, scale, shift, shift], |x, _, [center, scale, shift, _]| {
            (x - center).fma::<FMA>(scale, shift)
        });
    }
}
simd! {
    /// dx = scale * (dy - mean_dy - (x - center) * slope), channel by channel: the gradient of a normalisation.
    pub(crate) fn normalize_gradient<A>(
        x: &[A], dy: &[A], dx: &mut [A], center: &[A], scale: &[A], mean_dy: &[A], slope: &[A],
    ) {
        by_channel(x, dy, dx, [center, scale, mean_dy, slope], |x, dy, [center, scale, mean_dy, slope]| {
            scale * (x - center).fma::<FMA>(-slope, dy - mean_dy)
        });
    }
}
simd! {
    /// dx = scale * dy - offset - (x - center) * slope, channel by channel: that of a normalisation over several
    /// channels, whose means are of dy times their gammas.
    pub(crate) fn group_gradient<A>(
        x: &[A], dy: &[A], dx: &mut [A], center: &[A], scale: &[A], offset: &[A], slope: &[A],
    ) {
        by_channel(x, dy, dx, [center, scale, offset, slope], |x, dy, [center, scale, offset, slope]| {
            (x - center).fma::<FMA>(-slope, dy.fma::<FMA>(scale, -offset))
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_meet_their_constants_in_rows_of_every_width() {
        for width in [1, 2, 3, 16, 100, 128, 129, 300] {
            for rows in [0, 1, 2, 7, 130, 600] {
                let value = |i: usize| ((i * 7) % 13) as f64;
                let x: Vec<f64> = (0..rows * width).map(value).collect();
                let dy: Vec<f64> = (0..rows * width).map(|i| value(i + 5)).collect();
                let [a, b, c, d] = [1, 2, 3, 4].map(|k| (0..width).map(|i| value(i * k + k)).collect::<Vec<f64>>());
                let mut out = [0; 4].map(|_| vec![-1.0; rows * width]);
                scale_channels(&x, &mut out[0], &a);
                normalize(&x, &mut out[1], &a, &b, &c);
                normalize_gradient(&x, &dy, &mut out[2], &a, &b, &c, &d);
                group_gradient(&x, &dy, &mut out[3], &a, &b, &c, &d);
                for i in 0..rows * width {
                    let (x, dy, a, b, c, d) = (x[i], dy[i], a[i % width], b[i % width], c[i % width], d[i % width]);
                    let from_center = x - a;
                    let expected =
                        [x * a, c + b * from_center, b * (dy - c - from_center * d), b * dy - c - from_center * d];
                    // Whole numbers: every way of computing them is exact.
                    assert_eq!([out[0][i], out[1][i], out[2][i], out[3][i]], expected, "{i} of {rows} x {width}");
                }
            }
        }
    }
}
