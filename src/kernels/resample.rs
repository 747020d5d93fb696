//! Resampling along two axes: every place of the output is a weighted sum of neighbouring places of the input.

use super::math::Real;
use super::scratch::Scratch;
use super::simd::simd;

/// The coefficient of the cubic kernel (Keys 1981), as PyTorch has it.
const CUBIC: f64 = -0.75;

/// An axis of so many elements made from one of others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stretch {
    /// The elements of the input.
    pub(crate) input: usize,
    /// The elements of the output.
    pub(crate) output: usize,
    /// Whether the centres of the first and of the last elements lie upon each other, rather than their outer edges.
    pub(crate) aligned: bool,
}

impl Stretch {
    /// The places that an element of the output reads, and their weights: the nearest one, two for straight lines,
    /// four for cubics. Beyond the edges the elements there are read again.
    #[inline(always)]
    fn taps<A: Real, const N: usize>(self, position: usize) -> ([usize; N], [A; N]) {
        if N == 1 {
            return ([position * self.input / self.output; N], [A::one(); N]);
        }
        let at = if self.aligned {
            position as f64 * (self.input - 1) as f64 / (self.output.max(2) - 1) as f64
        } else {
            (position as f64 + 0.5) * self.input as f64 / self.output as f64 - 0.5
        };
        // Straight lines do not go on beyond the first element.
        let at = if N == 2 { at.max(0.0) } else { at };
        // One more than the place below, which may be -1.
        let above = (at + 1.0) as usize;
        let t = at - (above as f64 - 1.0);
        let mut places = [0; N];
        let mut weights = [A::zero(); N];
        for k in 0..N {
            places[k] = (above + k).saturating_sub(N / 2).min(self.input - 1);
            weights[k] = A::of(match (N, k) {
                (2, 0) => 1.0 - t,
                (2, _) => t,
                (_, 0) => outer(1.0 + t),
                (_, 1) => inner(t),
                (_, 2) => inner(1.0 - t),
                _ => outer(2.0 - t),
            });
        }
        (places, weights)
    }
}

/// The cubic kernel at a distance up to 1.
#[inline(always)]
fn inner(t: f64) -> f64 {
    ((CUBIC + 2.0) * t - (CUBIC + 3.0)) * t * t + 1.0
}

/// The cubic kernel at a distance from 1 to 2.
#[inline(always)]
fn outer(t: f64) -> f64 {
    ((CUBIC * t - 5.0 * CUBIC) * t + 8.0 * CUBIC) * t - 4.0 * CUBIC
}

/// y = sum of the parts times their weights.
#[inline(always)]
fn mix<A: Real, const N: usize, const FMA: bool>(parts: [&[A]; N], weights: [A; N], y: &mut [A]) {
    let parts = parts.map(|part| &part[..y.len()]);
    for (c, y) in y.iter_mut().enumerate() {
        let mut sum = parts[0][c] * weights[0];
        for k in 1..N {
            sum = parts[k][c].fma::<FMA>(weights[k], sum);
        }
        *y = sum;
    }
}

/// y += x * weight.
#[inline(always)]
fn add_weighted<A: Real, const FMA: bool>(x: &[A], weight: A, y: &mut [A]) {
    for (y, &x) in y.iter_mut().zip(x) {
        *y = x.fma::<FMA>(weight, *y);
    }
}

/// One row of the output: the rows of the input that it reads are mixed first, then the pixels of the mixture.
#[inline(always)]
fn row<A: Real, const N: usize, const FMA: bool>(
    x: &[A],
    y: &mut [A],
    mixture: &mut [A],
    position: usize,
    [rows, columns]: [Stretch; 2],
    channels: usize,
) {
    let (places, weights) = rows.taps::<A, N>(position);
    mix::<A, N, FMA>(places.map(|row| &x[row * mixture.len()..]), weights, mixture);
    for (position, y) in y.chunks_exact_mut(channels).enumerate() {
        let (places, weights) = columns.taps::<A, N>(position);
        mix::<A, N, FMA>(places.map(|column| &mixture[column * channels..]), weights, y);
    }
}

/// The adjoint of [`row`]: adds to dx.
#[inline(always)]
fn row_back<A: Real, const N: usize, const FMA: bool>(
    dy: &[A],
    dx: &mut [A],
    mixture: &mut [A],
    position: usize,
    [rows, columns]: [Stretch; 2],
    channels: usize,
) {
    mixture.fill(A::zero());
    for (position, dy) in dy.chunks_exact(channels).enumerate() {
        let (places, weights) = columns.taps::<A, N>(position);
        for (column, weight) in places.into_iter().zip(weights) {
            add_weighted::<A, FMA>(dy, weight, &mut mixture[column * channels..]);
        }
    }
    let (places, weights) = rows.taps::<A, N>(position);
    for (row, weight) in places.into_iter().zip(weights) {
        add_weighted::<A, FMA>(mixture, weight, &mut dx[row * mixture.len()..]);
    }
}

simd! {
    /// [`row`] with 1, 2 or 4 places a direction.
    fn resample_row<A>(
        x: &[A], y: &mut [A], mixture: &mut [A], position: usize, stretches: [Stretch; 2], channels: usize, places: usize,
    ) {
        match places {
            1 => row::<A, 1, FMA>(x, y, mixture, position, stretches, channels),
            2 => row::<A, 2, FMA>(x, y, mixture, position, stretches, channels),
            _ => row::<A, 4, FMA>(x, y, mixture, position, stretches, channels),
        }
    }
}

simd! {
    /// [`row_back`] with 1, 2 or 4 places a direction.
    fn resample_row_back<A>(
        dy: &[A], dx: &mut [A], mixture: &mut [A], position: usize, stretches: [Stretch; 2], channels: usize,
        places: usize,
    ) {
        match places {
            1 => row_back::<A, 1, FMA>(dy, dx, mixture, position, stretches, channels),
            2 => row_back::<A, 2, FMA>(dy, dx, mixture, position, stretches, channels),
            _ => row_back::<A, 4, FMA>(dy, dx, mixture, position, stretches, channels),
        }
    }
}

/// Images `x` of `(height, width, channels)` each, resampled into `y` with N places a direction: 1 for the nearest, 2
/// for straight lines, 4 for cubics.
pub(crate) fn resample<A: Real, const N: usize>(
    x: &[A],
    y: &mut [A],
    rows: Stretch,
    columns: Stretch,
    channels: usize,
) {
    let mut mixture = Scratch::of(columns.input * channels);
    let (image, row) = (rows.input * columns.input * channels, columns.output * channels);
    for (x, y) in x.chunks_exact(image).zip(y.chunks_exact_mut(rows.output * row)) {
        for (position, y) in y.chunks_exact_mut(row).enumerate() {
            resample_row(x, y, &mut mixture, position, [rows, columns], channels, N);
        }
    }
}

/// The adjoint of [`resample`]: adds to `dx`.
pub(crate) fn resample_back<A: Real, const N: usize>(
    dy: &[A],
    dx: &mut [A],
    rows: Stretch,
    columns: Stretch,
    channels: usize,
) {
    let mut mixture = Scratch::of(columns.input * channels);
    let (image, row) = (rows.input * columns.input * channels, columns.output * channels);
    for (dy, dx) in dy.chunks_exact(rows.output * row).zip(dx.chunks_exact_mut(image)) {
        for (position, dy) in dy.chunks_exact(row).enumerate() {
            resample_row_back(dy, dx, &mut mixture, position, [rows, columns], channels, N);
        }
    }
}
