//! Loops that treat each element alone: sums and products of arrays.

use super::math::Real;
use super::simd::simd;

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
    /// y = x where x >= 0, slope * x elsewhere, with the slope of its channel, for rows of channels.
    pub(crate) fn prelu<A>(x: &[A], y: &mut [A], slope: &[A]) {
        by_channel(x, x, y, [slope; 4], |x, _, [slope, ..]| if x < A::zero() { x * slope } else { x });
    }
}
simd! {
    /// Its gradient: dx = dy where x > 0, slope * dy elsewhere.
    pub(crate) fn prelu_gradient<A>(x: &[A], dy: &[A], dx: &mut [A], slope: &[A]) {
        by_channel(x, dy, dx, [slope; 4], |x, dy, [slope, ..]| if x > A::zero() { dy } else { dy * slope });
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
