//! Pooling: the pixels in each window of an image become one pixel, channel by channel.
//!
//! Images are `(height, width, channels)`. A window is a range of rows and one of columns, however they come about, so
//! the same loops serve windows that slide, windows of a whole image, and as many windows as somebody wants to have;
//! a sequence is an image of height 1. Channels lie side by side: the innermost loops go over them.

use std::ops::Range;

use super::math::Real;
use super::simd::simd;

/// Where the windows along an axis lie.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Spacing {
    /// Of one size and at one distance. The first begins `before` elements before the axis, in the padding, which
    /// ends `after` elements behind it.
    Sliding { size: usize, stride: usize, before: usize, after: usize },
    /// As even as whole numbers allow: window o of n has the elements from floor(o input / n) to below
    /// ceil((o + 1) input / n).
    Even,
}

/// The windows along one axis, each of which has an element of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Line {
    /// The elements of the axis.
    pub(crate) input: usize,
    /// The windows.
    pub(crate) output: usize,
    /// Where they lie.
    pub(crate) spacing: Spacing,
}

/// A window along one axis.
struct Span {
    /// The elements in it.
    inside: Range<usize>,
    /// How many they are together with the padding in it.
    padded: usize,
    /// How many they would be if the window did not reach over the padding, too.
    size: usize,
}

impl Line {
    /// A window.
    #[inline(always)]
    fn span(self, at: usize) -> Span {
        match self.spacing {
            Spacing::Sliding { size, stride, before, after } => {
                let begin = at * stride;
                let end = (begin + size).min(before + self.input + after);
                let inside = begin.max(before) - before..end.min(before + self.input) - before;
                Span { inside, padded: end - begin, size }
            }
            Spacing::Even => {
                let inside = at * self.input / self.output..((at + 1) * self.input).div_ceil(self.output);
                Span { padded: inside.len(), size: inside.len(), inside }
            }
        }
    }

    /// How many elements the windows have in all, those in the padding among them.
    fn read(self) -> u64 {
        let (input, output) = (self.input as u64, self.output as u64);
        match self.spacing {
            Spacing::Sliding { size, .. } => output.saturating_mul(size as u64),
            // Windows share an element with the next one, except where they end between two.
            Spacing::Even => input.saturating_add(output) - common_divisor(input, output),
        }
    }

    /// Whether an element may lie in two windows.
    fn overlaps(self) -> bool {
        match self.spacing {
            Spacing::Sliding { size, stride, .. } => stride < size && self.output > 1,
            Spacing::Even => !self.input.is_multiple_of(self.output),
        }
    }

    /// Whether every element lies in one window, and in no other.
    fn tiles(self) -> bool {
        let Spacing::Sliding { size, stride, before, .. } = self.spacing else { return !self.overlaps() };
        !self.overlaps()
            && (size == stride || self.output == 1)
            && (self.output - 1) * stride + size >= before + self.input
    }

    /// Whether each window has two elements, beginning with the first.
    fn pairs(self) -> bool {
        let Spacing::Sliding { size, stride, before, .. } = self.spacing else { return false };
        (size, stride, before) == (2, 2, 0) && 2 * self.output <= self.input
    }
}

/// The windows over an image.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Grid {
    /// From top to bottom.
    pub(crate) height: Line,
    /// From left to right.
    pub(crate) width: Line,
    /// The numbers of a pixel, at least one.
    pub(crate) channels: usize,
}

impl Grid {
    /// How many numbers the windows have in all, those in the padding among them.
    pub(crate) fn read(self) -> u64 {
        self.height.read().saturating_mul(self.width.read()).saturating_mul(self.channels as u64)
    }
}

/// The largest number that divides both.
fn common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { common_divisor(b, a % b) }
}

/// A window over an image.
struct Window {
    rows: Range<usize>,
    columns: Range<usize>,
    /// The pixels, those of the padding among them.
    padded: usize,
    /// The pixels of a whole window.
    size: usize,
    /// The place of its pixel in the output.
    output: Range<usize>,
}

impl Window {
    /// The pixels of the image.
    #[inline(always)]
    fn pixels(&self) -> usize {
        self.rows.len() * self.columns.len()
    }
}

impl Grid {
    /// The numbers of an image.
    fn input(&self) -> usize {
        self.height.input * self.width.input * self.channels
    }

    /// The numbers of an image's output.
    fn output(&self) -> usize {
        self.height.output * self.width.output * self.channels
    }

    fn overlaps(&self) -> bool {
        self.height.overlaps() || self.width.overlaps()
    }

    fn tiles(&self) -> bool {
        self.height.tiles() && self.width.tiles()
    }

    /// Where the columns of a row stand in the image.
    #[inline(always)]
    fn run(&self, row: usize, columns: &Range<usize>) -> Range<usize> {
        let first = row * self.width.input;
        (first + columns.start) * self.channels..(first + columns.end) * self.channels
    }

    /// The windows in the order of the output.
    #[inline(always)]
    fn windows(&self) -> Windows<'_> {
        Windows { grid: self, row: 0, column: 0 }
    }
}

/// The windows over an image that are still to come.
struct Windows<'a> {
    grid: &'a Grid,
    row: usize,
    column: usize,
}

impl Iterator for Windows<'_> {
    type Item = Window;

    #[inline(always)]
    fn next(&mut self) -> Option<Window> {
        let Grid { height, width, channels } = *self.grid;
        if self.row == height.output {
            return None;
        }
        let (rows, columns) = (height.span(self.row), width.span(self.column));
        let at = (self.row * width.output + self.column) * channels;
        self.column += 1;
        if self.column == width.output {
            (self.row, self.column) = (self.row + 1, 0);
        }
        Some(Window {
            padded: rows.padded * columns.padded,
            size: rows.size * columns.size,
            rows: rows.inside,
            columns: columns.inside,
            output: at..at + channels,
        })
    }
}

/// y = finish(add(... add(start, x_1) ..., x_n)) over the pixels x of each window.
#[inline(always)]
fn fold<A: Real>(
    x: &[A],
    y: &mut [A],
    grid: &Grid,
    start: A,
    add: impl Fn(A, A) -> A,
    finish: impl Fn(A, &Window) -> A,
) {
    for (x, y) in x.chunks_exact(grid.input()).zip(y.chunks_exact_mut(grid.output())) {
        for window in grid.windows() {
            let y = &mut y[window.output.clone()];
            y.fill(start);
            for row in window.rows.clone() {
                for x in x[grid.run(row, &window.columns)].chunks_exact(grid.channels) {
                    for (y, &x) in y.iter_mut().zip(x) {
                        *y = add(*y, x);
                    }
                }
            }
            for y in y.iter_mut() {
                *y = finish(*y, &window);
            }
        }
    }
}

/// dx = the sum of pull(dy share(window), x) over the windows that a pixel x lies in.
#[inline(always)]
fn spread<A: Real>(
    x: &[A],
    dy: &[A],
    dx: &mut [A],
    grid: &Grid,
    share: impl Fn(&Window) -> A,
    pull: impl Fn(A, A) -> A,
) {
    let (tiles, overlaps, channels) = (grid.tiles(), grid.overlaps(), grid.channels);
    let images = x.chunks_exact(grid.input()).zip(dx.chunks_exact_mut(grid.input()));
    for ((x, dx), dy) in images.zip(dy.chunks_exact(grid.output())) {
        // Image by image, so that what is cleared here is in the cache when it is added to.
        if !tiles {
            dx.fill(A::zero());
        }
        for window in grid.windows() {
            let (share, dy) = (share(&window), &dy[window.output.clone()]);
            for row in window.rows.clone() {
                let run = grid.run(row, &window.columns);
                for (x, dx) in x[run.clone()].chunks_exact(channels).zip(dx[run].chunks_exact_mut(channels)) {
                    if overlaps {
                        for ((dx, &x), &dy) in dx.iter_mut().zip(x).zip(dy) {
                            *dx += pull(dy * share, x);
                        }
                    } else {
                        for ((dx, &x), &dy) in dx.iter_mut().zip(x).zip(dy) {
                            *dx = pull(dy * share, x);
                        }
                    }
                }
            }
        }
    }
}

simd! {
    /// y = the mean of each window: over the padding too, as zeros, if it is `padded`.
    pub(crate) fn average<A>(x: &[A], y: &mut [A], grid: &Grid, padded: bool) {
        fold(x, y, grid, A::zero(), |sum, x| sum + x, |sum, window| sum / count(window, padded));
    }
}
simd! {
    /// Its gradient. Of x nothing is read.
    pub(crate) fn average_gradient<A>(x: &[A], dy: &[A], dx: &mut [A], grid: &Grid, padded: bool) {
        spread(x, dy, dx, grid, |window| A::one() / count(window, padded), |dy, _| dy);
    }
}

#[inline(always)]
fn count<A: Real>(window: &Window, padded: bool) -> A {
    A::of(if padded { window.padded } else { window.pixels() } as f64)
}

simd! {
    /// y = (s sum x^p)^(1 / p) over each window. s is 1 for whole windows, padding counted, and size / pixels for those
    /// that reach over the padding.
    pub(crate) fn lp<A>(x: &[A], y: &mut [A], grid: &Grid, p: A) {
        if p == A::of(2.0) {
            fold(x, y, grid, A::zero(), |sum, x| x.fma::<FMA>(x, sum), |sum, window| (sum * whole::<A>(window)).sqrt());
        } else {
            let root = A::one() / p;
            fold(x, y, grid, A::zero(), |sum, x| sum + x.powf(p), |sum, window| (sum * whole::<A>(window)).powf(root));
        }
    }
}
simd! {
    /// slope = dy y^(1 - p), and 0 where y is: what all pixels of a window have in common in the gradient.
    pub(crate) fn lp_slope<A>(y: &[A], dy: &[A], slope: &mut [A], p: A) {
        for ((slope, &y), &dy) in slope.iter_mut().zip(y).zip(dy) {
            let power = if p == A::of(2.0) { A::one() / y } else { y.powf(A::one() - p) };
            *slope = if y == A::zero() { A::zero() } else { dy * power };
        }
    }
}
simd! {
    /// The gradient from that: dx = the sum of slope s x^(p - 1).
    pub(crate) fn lp_gradient<A>(x: &[A], slope: &[A], dx: &mut [A], grid: &Grid, p: A) {
        if p == A::of(2.0) {
            spread(x, slope, dx, grid, whole, |slope, x| slope * x);
        } else {
            // Where p is below 1 the power of 0 is infinite.
            let (power, zero) = (p - A::one(), A::zero());
            let pull = |slope: A, x: A| if slope == zero { zero } else { slope * x.powf(power) };
            spread(x, slope, dx, grid, whole, pull);
        }
    }
}

/// How much more a whole window would hold.
#[inline(always)]
fn whole<A: Real>(window: &Window) -> A {
    A::of(window.size as f64) / A::of(window.padded as f64)
}

/// Whether x takes the place of the best so far: the first of equals stays, and every NaN comes in, as in PyTorch.
#[inline(always)]
fn beats<A: Real>(x: A, best: A) -> bool {
    (x > best) | x.is_nan()
}

#[inline(always)]
fn larger<A: Real>(best: A, x: A) -> A {
    if beats(x, best) { x } else { best }
}

simd! {
    /// y = the maximum of each window; NaN where one is in it.
    pub(crate) fn max<A>(x: &[A], y: &mut [A], grid: &Grid) {
        if grid.height.pairs() && grid.width.pairs() {
            max_of_squares(x, y, grid);
        } else {
            fold(x, y, grid, A::neg_infinity(), larger, |max, _| max);
        }
    }
}
simd! {
    /// Its gradient, which goes to the first maximum in the window's rows, or to the last NaN.
    pub(crate) fn max_gradient<A>(x: &[A], dy: &[A], dx: &mut [A], grid: &Grid) {
        if grid.height.pairs() && grid.width.pairs() {
            max_of_squares_gradient(x, dy, dx, grid);
        } else {
            route(x, dy, dx, grid);
        }
    }
}

/// How many channels the search for maxima takes at once.
const BLOCK: usize = 64;

/// dx = the sum of dy over the windows in which a pixel is the maximum. It is looked for once more, so that forward
/// need not keep its place.
#[inline(always)]
fn route<A: Real>(x: &[A], dy: &[A], dx: &mut [A], grid: &Grid) {
    let channels = grid.channels;
    let (mut best, mut place) = ([A::zero(); BLOCK], [0usize; BLOCK]);
    let images = x.chunks_exact(grid.input()).zip(dx.chunks_exact_mut(grid.input()));
    for ((x, dx), dy) in images.zip(dy.chunks_exact(grid.output())) {
        dx.fill(A::zero());
        for window in grid.windows() {
            let first = grid.run(window.rows.start, &window.columns).start;
            for (block, dy) in dy[window.output.clone()].chunks(BLOCK).enumerate() {
                let from = block * BLOCK;
                let (best, place) = (&mut best[..dy.len()], &mut place[..dy.len()]);
                best.fill(A::neg_infinity());
                place.fill(first);
                for row in window.rows.clone() {
                    let run = grid.run(row, &window.columns);
                    for (at, x) in run.clone().step_by(channels).zip(x[run].chunks_exact(channels)) {
                        for ((best, place), &x) in best.iter_mut().zip(&mut *place).zip(&x[from..from + dy.len()]) {
                            let taken = beats(x, *best);
                            *best = if taken { x } else { *best };
                            *place = if taken { at } else { *place };
                        }
                    }
                }
                for ((channel, &place), &dy) in (from..).zip(&*place).zip(dy) {
                    dx[place + channel] += dy;
                }
            }
        }
    }
}

/// Two by two pixels of an image whose rows are `line` numbers long, from the first number on.
#[inline(always)]
fn square<A>(x: &[A], at: usize, line: usize, channels: usize) -> [&[A]; 4] {
    let (a, b) = x[at..at + 2 * channels].split_at(channels);
    let (c, d) = x[at + line..at + line + 2 * channels].split_at(channels);
    // Lengths that the compiler knows to be one: without checks the loops over channels are vector code.
    [&a[..channels], &b[..channels], &c[..channels], &d[..channels]]
}

/// [`max`] of two by two pixels side by side, all of them read at once.
#[inline(always)]
fn max_of_squares<A: Real>(x: &[A], y: &mut [A], grid: &Grid) {
    let (channels, line, wide) = (grid.channels, grid.width.input * grid.channels, grid.width.output);
    for image in 0..y.len() / grid.output() {
        for row in 0..grid.height.output {
            for column in 0..wide {
                let at = image * grid.input() + 2 * (row * line + column * channels);
                let to = image * grid.output() + (row * wide + column) * channels;
                let ([a, b, c, d], y) = (square(x, at, line, channels), &mut y[to..to + channels]);
                for i in 0..channels {
                    y[i] = larger(larger(a[i], b[i]), larger(c[i], d[i]));
                }
            }
        }
    }
}

/// Its gradient. No pixel lies in two squares, so each is written once, and zeros only where an odd row or column is
/// left over.
///
/// Slices are cut from whole ones by their places, and not by iterators, so that the compiler sees that what is
/// written is not what is read.
#[inline(always)]
fn max_of_squares_gradient<A: Real>(x: &[A], dy: &[A], dx: &mut [A], grid: &Grid) {
    let (channels, line, wide) = (grid.channels, grid.width.input * grid.channels, grid.width.output);
    let (zero, tiles) = (A::zero(), grid.tiles());
    for image in 0..dy.len() / grid.output() {
        let first = image * grid.input();
        if !tiles {
            dx[first..first + grid.input()].fill(zero);
        }
        for row in 0..grid.height.output {
            for column in 0..wide {
                let at = first + 2 * (row * line + column * channels);
                let from = image * grid.output() + (row * wide + column) * channels;
                let ([a, b, c, d], dy) = (square(x, at, line, channels), &dy[from..from + channels]);
                let (top, bottom) = dx[at..at + line + 2 * channels].split_at_mut(line);
                let (da, db) = top[..2 * channels].split_at_mut(channels);
                let (dc, dd) = bottom.split_at_mut(channels);
                let (da, db) = (&mut da[..channels], &mut db[..channels]);
                let (dc, dd) = (&mut dc[..channels], &mut dd[..channels]);
                for i in 0..channels {
                    let (a, b, c, d, dy) = (a[i], b[i], c[i], d[i], dy[i]);
                    let (right_above, right_below) = (beats(b, a), beats(d, c));
                    let above = if right_above { b } else { a };
                    let below = if right_below { d } else { c };
                    let lower = beats(below, above);
                    da[i] = if lower | right_above { zero } else { dy };
                    db[i] = if lower | !right_above { zero } else { dy };
                    dc[i] = if !lower | right_below { zero } else { dy };
                    dd[i] = if !lower | !right_below { zero } else { dy };
                }
            }
        }
    }
}
