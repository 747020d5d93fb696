//! Convolutions of 3 by 3 windows with stride 1 by a quarter of the multiplications: F(4x4, 3x3) of Winograd's minimal
//! filtering (Lavin and Gray 2016).
//!
//! Outputs are made in tiles of 4 by 4. Each tile's 6 by 6 inputs and each filter's 3 by 3 weights are turned into 36
//! sums (their values as polynomials at the points 0, ±√½, ±√2 and infinity, which round least); for each of the 36 one
//! product over the channels is left, and the outputs are sums of those:
//!
//! y = Aᵀ [(G w Gᵀ) (Bᵀ x B)] A, and backwards dw = Gᵀ [(Bᵀ x B) (A dy Aᵀ)] G.
//!
//! In `f32` the sums round more than those of a plain convolution do: tests hold them to 3e-6 of the largest output. In
//! `f64`, which is there to check things, convolutions stay plain.

use std::any::TypeId;
use std::f64::consts::SQRT_2;

use num_traits::Zero;

use super::super::gemm::{Ending, Finish};
use super::super::math::Real;
use super::super::scratch::{LINE, Scratch};
use super::super::simd::{by_level, level};
use super::super::vector::Vector;
use super::tile::{MOST_ROWS, Runs, Strip, Strips, full, mask, tile_of};
use super::{Extent, Geometry, copy_into_frames, read, save};

/// The outputs of a tile along an axis.
const TILE: usize = 4;
/// The inputs of a tile along an axis.
const REACH: usize = 6;
/// The products that are left for each tile.
const POINTS: usize = REACH * REACH;

/// Below so many channels or filters turning costs more than it saves.
const LEAST_CHANNELS: usize = 8;
/// Below so many tiles it does not pay to turn the weights.
const LEAST_TILES: usize = 48;
/// Turned weights of more numbers come from far memory too often.
const MOST_WEIGHTS: usize = 1 << 16;
/// The same where they are summed up.
const MOST_SUMS: usize = 1 << 14;

/// Whether a convolution of so many images is done so.
pub(super) fn serves<A: Real>(geometry: &Geometry, images: usize) -> bool {
    let fits = |axis: Extent| axis.kernel == 3 && axis.stride == 1 && axis.dilation == 1;
    let Geometry { height, width, channels, filters, groups } = *geometry;
    let tiles = Tiles::of(geometry).in_image();
    TypeId::of::<A>() == TypeId::of::<f32>()
        && groups == 1
        && fits(height)
        && fits(width)
        && channels.min(filters) >= LEAST_CHANNELS
        && channels * filters <= MOST_WEIGHTS
        && images * tiles >= LEAST_TILES
        // Tiles that reach over the edge compute what nobody reads.
        && 2 * tiles * POINTS <= geometry.pixels() * 9
}

/// The same for the gradient of the weight.
pub(super) fn serves_weight_gradient<A: Real>(geometry: &Geometry, images: usize) -> bool {
    serves::<A>(geometry, images) && geometry.channels * geometry.filters <= MOST_SUMS
}

/// The tiles that cover an image's outputs.
#[derive(Clone, Copy)]
struct Tiles {
    rows: usize,
    columns: usize,
}

impl Tiles {
    fn of(geometry: &Geometry) -> Self {
        Tiles { rows: geometry.height.output.div_ceil(TILE), columns: geometry.width.output.div_ceil(TILE) }
    }

    fn in_image(self) -> usize {
        self.rows * self.columns
    }

    /// Image, first row and first column of the outputs of a tile.
    fn place(self, tile: usize) -> (usize, usize, usize) {
        let (image, tile) = (tile / self.in_image(), tile % self.in_image());
        (image, tile / self.columns * TILE, tile % self.columns * TILE)
    }

    /// How many tiles are worked on at once. Their turned values stay in the cache; where weights are many, each that is
    /// fetched should serve more of them.
    fn at_once(geometry: &Geometry) -> usize {
        if geometry.channels * geometry.filters > 1 << 12 { 96 } else { 24 }
    }
}

/// From the numbers of one point to those of the next: an odd number of lines, so that the 36 lines that are written side
/// by side go to different places of the first cache.
fn spread<A>(numbers: usize) -> usize {
    let line = LINE / size_of::<A>();
    (numbers.div_ceil(line) | 1) * line
}

/// The geometry with outputs rounded up to whole tiles: that of the frames which tiles read.
fn rounded(geometry: &Geometry) -> Geometry {
    let tiles = Tiles::of(geometry);
    let height = Extent { output: tiles.rows * TILE, ..geometry.height };
    let width = Extent { output: tiles.columns * TILE, ..geometry.width };
    Geometry { height, width, ..*geometry }
}

/// y = f(x * w + b), as [`forward`](super::forward).
pub(super) fn forward<A: Real>(geometry: &Geometry, x: &[A], w: &[A], y: &mut [A], ending: Ending<'_, A>) {
    images(level(), geometry, x, w, y, ending);
}

/// dw, as [`weight_gradient`](super::weight_gradient).
pub(super) fn weight_gradient<A: Real>(geometry: &Geometry, x: &[A], dz: &[A], dw: &mut [A], beta: A) {
    gradients(level(), geometry, x, dz, dw, beta);
}

by_level! {
    fn images<A = f32>(geometry: &Geometry, x: &[A], w: &[A], y: &mut [A], ending: Ending<'_, A>) = blocks
}
by_level! {
    fn gradients<A = f32>(geometry: &Geometry, x: &[A], dz: &[A], dw: &mut [A], beta: A) = gradient_blocks
}

/// Some multiples of numbers in registers.
///
/// # Safety
/// The instruction set of `V`.
#[inline(always)]
unsafe fn times<V: Vector>(factor: f64, x: V, plus: V) -> V {
    // SAFETY: the caller's promise.
    unsafe { V::splat(V::Item::of(factor)).fma(x, plus) }
}

/// # Safety
/// The instruction set of `V`.
#[inline(always)]
unsafe fn minus<V: Vector>(a: V, b: V) -> V {
    // SAFETY: the caller's promise.
    unsafe { times(-1.0, b, a) }
}

/// # Safety
/// The instruction set of `V`.
#[inline(always)]
unsafe fn zero<V: Vector>() -> V {
    // SAFETY: the caller's promise.
    unsafe { V::splat(V::Item::zero()) }
}

/// Bᵀ d.
///
/// # Safety
/// The instruction set of `V`.
#[inline(always)]
unsafe fn turn_input<V: Vector>(d: [V; REACH]) -> [V; REACH] {
    // SAFETY: the caller's promise.
    unsafe {
        let (even, odd) = (times(-2.0, d[2], d[4]), minus(times(0.5, d[3], zero()), d[1]));
        let (far_even, far_odd) = (times(-0.5, d[2], d[4]), times(-0.5, d[1], d[3]));
        [
            times(-2.5, d[2], d[0].add(d[4])),
            times(SQRT_2, odd, even),
            times(-SQRT_2, odd, even),
            times(SQRT_2, far_odd, far_even),
            times(-SQRT_2, far_odd, far_even),
            times(-2.5, d[3], d[1].add(d[5])),
        ]
    }
}

/// Aᵀ m.
///
/// # Safety
/// The instruction set of `V`.
#[inline(always)]
unsafe fn turn_back<V: Vector>(m: [V; REACH]) -> [V; TILE] {
    // SAFETY: the caller's promise.
    unsafe {
        let (near, near_odd) = (m[1].add(m[2]), minus(m[1], m[2]));
        let (far, far_odd) = (m[3].add(m[4]), minus(m[3], m[4]));
        [
            m[0].add(near).add(far),
            times(SQRT_2, times(0.5, near_odd, far_odd), zero()),
            times(0.5, near, times(2.0, far, zero())),
            times(SQRT_2, times(0.25, near_odd, times(2.0, far_odd, zero())), m[5]),
        ]
    }
}

/// A d.
///
/// # Safety
/// The instruction set of `V`.
#[inline(always)]
unsafe fn turn_gradient<V: Vector>(d: [V; TILE]) -> [V; REACH] {
    // SAFETY: the caller's promise.
    unsafe {
        let (near, near_odd) = (times(0.5, d[2], d[0]), times(0.5, d[1], times(0.25, d[3], zero())));
        let (far, far_odd) = (times(2.0, d[2], d[0]), times(2.0, d[3], d[1]));
        [
            d[0],
            times(SQRT_2, near_odd, near),
            times(-SQRT_2, near_odd, near),
            times(SQRT_2, far_odd, far),
            times(-SQRT_2, far_odd, far),
            d[3],
        ]
    }
}

/// G g.
///
/// # Safety
/// The instruction set of `V`.
#[inline(always)]
unsafe fn turn_weight<V: Vector>(g: [V; 3]) -> [V; REACH] {
    // SAFETY: the caller's promise.
    unsafe {
        let near = times(-2.0 / 3.0, g[0], times(-1.0 / 3.0, g[2], zero()));
        let far = times(1.0 / 6.0, g[0], times(1.0 / 3.0, g[2], zero()));
        [
            g[0],
            times(-SQRT_2 / 3.0, g[1], near),
            times(SQRT_2 / 3.0, g[1], near),
            times(SQRT_2 / 6.0, g[1], far),
            times(-SQRT_2 / 6.0, g[1], far),
            g[2],
        ]
    }
}

/// Gᵀ m.
///
/// # Safety
/// The instruction set of `V`.
#[inline(always)]
unsafe fn turn_weight_back<V: Vector>(m: [V; REACH]) -> [V; 3] {
    // SAFETY: the caller's promise.
    unsafe {
        let (near, far) = (m[1].add(m[2]), m[3].add(m[4]));
        [
            times(-2.0 / 3.0, near, times(1.0 / 6.0, far, m[0])),
            times(SQRT_2 / 3.0, minus(m[2], m[1]), times(SQRT_2 / 6.0, minus(m[3], m[4]), zero())),
            times(1.0 / 3.0, minus(far, near), m[5]),
        ]
    }
}

/// Turns the rows of a square and then its columns.
macro_rules! turn_square {
    ($square:expr, $turn:ident, $from:expr, $to:expr) => {{
        let square = $square;
        let mut rows = [[square[0][0]; $to]; $from];
        let mut row = 0;
        while row < $from {
            rows[row] = $turn(square[row]);
            row += 1;
        }
        let mut turned = [[square[0][0]; $to]; $to];
        let mut column = 0;
        while column < $to {
            let mut line = [square[0][0]; $from];
            let mut row = 0;
            while row < $from {
                line[row] = rows[row][column];
                row += 1;
            }
            let line = $turn(line);
            let mut row = 0;
            while row < $to {
                turned[row][column] = line[row];
                row += 1;
            }
            column += 1;
        }
        turned
    }};
}

/// # Safety
/// The instruction set of `V`.
#[inline(always)]
unsafe fn blocks<V: Vector>(
    geometry: &Geometry,
    x: &[V::Item],
    w: &[V::Item],
    y: &mut [V::Item],
    ending: Ending<'_, V::Item>,
) {
    let frames = rounded(geometry);
    let (channels, filters) = (geometry.channels, geometry.filters);
    let images = x.len() / geometry.image();
    let (tiles, at_once) = (Tiles::of(geometry), Tiles::at_once(geometry));
    let together = geometry.images_at_once(frames.frame() + geometry.output()).min(images);
    let framed = if frames.is_padded() { together * frames.frame() } else { 0 };
    let [turned_weight, turned_inputs, sums] =
        [channels * full::<V>(filters), at_once * channels, at_once * filters].map(|n| POINTS * spread::<V::Item>(n));
    let mut room = Scratch::of(framed + turned_weight + turned_inputs + sums);
    let (weights, rest) = room.split_at_mut(turned_weight);
    let (copies, rest) = rest.split_at_mut(framed);
    let (inputs, products) = rest.split_at_mut(turned_inputs);
    copies.fill(V::Item::zero());
    // SAFETY: the instruction set is there, as the caller promises, and the pieces of memory have the sizes that follow
    // from the geometry.
    unsafe {
        turn_weights::<V>(geometry, w, weights);
        let blocks = x.chunks(together * geometry.image()).zip(y.chunks_mut(together * geometry.output()));
        for (x, y) in blocks {
            let all = x.len() / geometry.image() * tiles.in_image();
            let x = if framed > 0 {
                copy_into_frames(&frames, x, copies);
                &*copies
            } else {
                x
            };
            for first in (0..all).step_by(at_once) {
                let count = at_once.min(all - first);
                turn_inputs::<V>(&frames, tiles, first, count, x, inputs);
                multiply::<V>(geometry, count, inputs, weights, products);
                turn_outputs::<V>(geometry, tiles, first, count, products, y, ending);
            }
        }
    }
}

/// G w Gᵀ for each channel and filter, packed: for each point the channels' rows in strips of filters.
///
/// # Safety
/// The instruction set of `V`.
#[inline(always)]
unsafe fn turn_weights<V: Vector>(geometry: &Geometry, w: &[V::Item], packed: &mut [V::Item]) {
    let (channels, filters) = (geometry.channels, geometry.filters);
    let point = spread::<V::Item>(channels * full::<V>(filters));
    for Strip { column, width, vectors } in Strips::of::<V>(filters) {
        let wide = vectors * V::LANES;
        for channel in 0..channels {
            for vector in 0..vectors {
                let at = vector * V::LANES;
                // SAFETY: the instruction set is there; filters below their number, or masked where they are not.
                unsafe {
                    let mask = mask::<V>((width - at).min(V::LANES), 1);
                    let mut square = [[zero::<V>(); 3]; 3];
                    for (tap, value) in square.as_flattened_mut().iter_mut().enumerate() {
                        let from = w.as_ptr().add((tap * channels + channel) * filters + column + at);
                        *value = read::<V>(from, mask);
                    }
                    let turned = turn_square!(square, turn_weight, 3, REACH);
                    let to = packed.as_mut_ptr().add(column * channels + channel * wide + at);
                    for (number, value) in turned.as_flattened().iter().enumerate() {
                        value.store(to.add(number * point));
                    }
                }
            }
        }
    }
}

/// Bᵀ x B for some tiles: for each point the tiles' rows of channels.
///
/// # Safety
/// The instruction set of `V`; frames of the geometry with outputs rounded up to whole tiles.
#[inline(always)]
unsafe fn turn_inputs<V: Vector>(
    frames: &Geometry,
    tiles: Tiles,
    first: usize,
    count: usize,
    x: &[V::Item],
    inputs: &mut [V::Item],
) {
    let channels = frames.channels;
    let steps = Steps { row: frames.row(), column: channels, point: spread::<V::Item>(count * channels) };
    for tile in 0..count {
        let (image, row, column) = tiles.place(first + tile);
        let start = image * frames.frame() + row * frames.row() + column * channels;
        for channel in (0..channels).step_by(V::LANES) {
            // SAFETY: the instruction set is there; the tile lies within the frame, and channels that are none are
            // masked.
            unsafe {
                let from = x.as_ptr().add(start + channel);
                let to = inputs.as_mut_ptr().add(tile * channels + channel);
                match mask::<V>((channels - channel).min(V::LANES), 1) {
                    None => turn_input_tile::<V>(from, to, steps, None),
                    some => turn_input_tile::<V>(from, to, steps, some),
                }
            }
        }
    }
}

/// From a row, a column of an image, and a point to the next.
#[derive(Clone, Copy)]
struct Steps {
    row: usize,
    column: usize,
    point: usize,
}

/// # Safety
/// The instruction set of `V`; pointers good for a tile.
#[inline(always)]
unsafe fn turn_input_tile<V: Vector>(from: *const V::Item, to: *mut V::Item, steps: Steps, mask: Option<V::Mask>) {
    // SAFETY: the caller's promises.
    unsafe {
        let mut square = [[zero::<V>(); REACH]; REACH];
        for (row, values) in square.iter_mut().enumerate() {
            for (column, value) in values.iter_mut().enumerate() {
                *value = read::<V>(from.add(row * steps.row + column * steps.column), mask);
            }
        }
        let turned = turn_square!(square, turn_input, REACH, REACH);
        for (number, value) in turned.as_flattened().iter().enumerate() {
            save(*value, to.add(number * steps.point), mask);
        }
    }
}

/// For each point the product of the tiles' channels with the weights.
///
/// # Safety
/// The instruction set of `V`; memory of the sizes that `count` and the geometry give.
#[inline(always)]
unsafe fn multiply<V: Vector>(
    geometry: &Geometry,
    count: usize,
    inputs: &[V::Item],
    weights: &[V::Item],
    products: &mut [V::Item],
) {
    let (channels, filters) = (geometry.channels, geometry.filters);
    let runs = Runs { outer: 1, outer_jump: 0, inner: 1, inner_jump: 0, length: channels, along: 1 };
    let finish = Finish { beta: V::Item::zero(), bias: std::ptr::null(), relu: false };
    for point in 0..POINTS {
        let inputs = &inputs[point * spread::<V::Item>(count * channels)..][..count * channels];
        let weights = &weights[point * spread::<V::Item>(channels * full::<V>(filters))..];
        let products = &mut products[point * spread::<V::Item>(count * filters)..][..count * filters];
        for Strip { column, width, vectors } in Strips::of::<V>(filters) {
            // SAFETY: the instruction set is there; rows and columns are those of the matrices.
            unsafe {
                let mask = mask::<V>(width, vectors);
                let b = weights[column * channels..].as_ptr();
                for first in (0..count).step_by(V::rows(vectors)) {
                    let rows = V::rows(vectors).min(count - first);
                    let mut a = [inputs.as_ptr(); MOST_ROWS];
                    let mut targets = [products.as_mut_ptr(); MOST_ROWS];
                    for (row, (a, target)) in a.iter_mut().zip(&mut targets).enumerate() {
                        *a = a.add((first + row.min(rows - 1)) * channels);
                        *target = target.add((first + row.min(rows - 1)) * filters + column);
                    }
                    tile_of::<V>(vectors, &a, runs, b, &targets, rows, mask, finish);
                }
            }
        }
    }
}

/// Aᵀ m A for some tiles, with bias and ReLU, as far as tiles lie within the output.
///
/// # Safety
/// The instruction set of `V`; memory of the sizes that `count` and the geometry give.
#[inline(always)]
unsafe fn turn_outputs<V: Vector>(
    geometry: &Geometry,
    tiles: Tiles,
    first: usize,
    count: usize,
    products: &[V::Item],
    y: &mut [V::Item],
    ending: Ending<'_, V::Item>,
) {
    let filters = geometry.filters;
    let (height, width) = (geometry.height.output, geometry.width.output);
    let steps = Steps { row: width * filters, column: filters, point: spread::<V::Item>(count * filters) };
    for tile in 0..count {
        let (image, row, column) = tiles.place(first + tile);
        let part = (TILE.min(height - row), TILE.min(width - column));
        let start = image * geometry.output() + (row * width + column) * filters;
        for filter in (0..filters).step_by(V::LANES) {
            // SAFETY: the instruction set is there; rows and columns within the output, filters that are none masked.
            unsafe {
                let from = products.as_ptr().add(tile * filters + filter);
                let to = y.as_mut_ptr().add(start + filter);
                let bias = ending.bias.map(|bias| bias.as_ptr().add(filter));
                match mask::<V>((filters - filter).min(V::LANES), 1) {
                    None if part == (TILE, TILE) => {
                        turn_output_tile::<V>(from, to, steps, (TILE, TILE), bias, ending.relu, None);
                    }
                    some => turn_output_tile::<V>(from, to, steps, part, bias, ending.relu, some),
                }
            }
        }
    }
}

/// # Safety
/// The instruction set of `V`; pointers good for so many rows and columns of a tile.
#[inline(always)]
unsafe fn turn_output_tile<V: Vector>(
    from: *const V::Item,
    to: *mut V::Item,
    steps: Steps,
    (rows, columns): (usize, usize),
    bias: Option<*const V::Item>,
    relu: bool,
    mask: Option<V::Mask>,
) {
    // SAFETY: the caller's promises.
    unsafe {
        let mut square = [[zero::<V>(); REACH]; REACH];
        for (number, value) in square.as_flattened_mut().iter_mut().enumerate() {
            *value = read::<V>(from.add(number * steps.point), mask);
        }
        let mut outputs = turn_square!(square, turn_back, REACH, TILE);
        if let Some(bias) = bias {
            let bias = read::<V>(bias, mask);
            for value in outputs.as_flattened_mut() {
                *value = value.add(bias);
            }
        }
        if relu {
            for value in outputs.as_flattened_mut() {
                *value = value.relu();
            }
        }
        for (row, values) in outputs.iter().enumerate().take(rows) {
            for (column, value) in values.iter().enumerate().take(columns) {
                save(*value, to.add(row * steps.row + column * steps.column), mask);
            }
        }
    }
}

/// # Safety
/// The instruction set of `V`.
#[inline(always)]
unsafe fn gradient_blocks<V: Vector>(
    geometry: &Geometry,
    x: &[V::Item],
    dz: &[V::Item],
    dw: &mut [V::Item],
    beta: V::Item,
) {
    let frames = rounded(geometry);
    let (channels, filters) = (geometry.channels, geometry.filters);
    let images = x.len() / geometry.image();
    let (tiles, at_once) = (Tiles::of(geometry), Tiles::at_once(geometry));
    let together = geometry.images_at_once(frames.frame() + geometry.output()).min(images);
    let framed = if frames.is_padded() { together * frames.frame() } else { 0 };
    let [sums, turned_inputs, turned_gradients] =
        [channels * filters, at_once * channels, at_once * full::<V>(filters)].map(|n| POINTS * spread::<V::Item>(n));
    let mut room = Scratch::of(framed + sums + turned_inputs + turned_gradients);
    let (sums, rest) = room.split_at_mut(sums);
    let (copies, rest) = rest.split_at_mut(framed);
    let (inputs, gradients) = rest.split_at_mut(turned_inputs);
    copies.fill(V::Item::zero());
    sums.fill(V::Item::zero());
    // SAFETY: the instruction set is there, as the caller promises, and the pieces of memory have the sizes that follow
    // from the geometry.
    unsafe {
        for (x, dz) in x.chunks(together * geometry.image()).zip(dz.chunks(together * geometry.output())) {
            let all = x.len() / geometry.image() * tiles.in_image();
            let x = if framed > 0 {
                copy_into_frames(&frames, x, copies);
                &*copies
            } else {
                x
            };
            for first in (0..all).step_by(at_once) {
                let count = at_once.min(all - first);
                turn_inputs::<V>(&frames, tiles, first, count, x, inputs);
                turn_gradients::<V>(geometry, tiles, first, count, dz, gradients);
                add_products::<V>(geometry, count, inputs, gradients, sums);
            }
        }
        turn_sums::<V>(geometry, sums, dw, beta);
    }
}

/// A dz Aᵀ for some tiles, packed: for each point the tiles' rows in strips of filters.
///
/// # Safety
/// The instruction set of `V`; memory of the sizes that `count` and the geometry give.
#[inline(always)]
unsafe fn turn_gradients<V: Vector>(
    geometry: &Geometry,
    tiles: Tiles,
    first: usize,
    count: usize,
    dz: &[V::Item],
    gradients: &mut [V::Item],
) {
    let filters = geometry.filters;
    let (height, width) = (geometry.height.output, geometry.width.output);
    let point = spread::<V::Item>(count * full::<V>(filters));
    let steps = Steps { row: width * filters, column: filters, point };
    for tile in 0..count {
        let (image, row, column) = tiles.place(first + tile);
        let part = (TILE.min(height - row), TILE.min(width - column));
        let start = image * geometry.output() + (row * width + column) * filters;
        for strip in Strips::of::<V>(filters) {
            let wide = strip.vectors * V::LANES;
            for at in (0..wide).step_by(V::LANES) {
                // SAFETY: the instruction set is there; rows and columns within the output, filters that are none
                // masked.
                unsafe {
                    let from = dz.as_ptr().add(start + strip.column + at);
                    let to = gradients.as_mut_ptr().add(strip.column * count + tile * wide + at);
                    match mask::<V>((strip.width - at).min(V::LANES), 1) {
                        None if part == (TILE, TILE) => {
                            turn_gradient_tile::<V>(from, to, steps, (TILE, TILE), None);
                        }
                        some => turn_gradient_tile::<V>(from, to, steps, part, some),
                    }
                }
            }
        }
    }
}

/// # Safety
/// The instruction set of `V`; pointers good for so many rows and columns of a tile.
#[inline(always)]
unsafe fn turn_gradient_tile<V: Vector>(
    from: *const V::Item,
    to: *mut V::Item,
    steps: Steps,
    (rows, columns): (usize, usize),
    mask: Option<V::Mask>,
) {
    // SAFETY: the caller's promises.
    unsafe {
        let mut square = [[zero::<V>(); TILE]; TILE];
        for (row, values) in square.iter_mut().enumerate().take(rows) {
            for (column, value) in values.iter_mut().enumerate().take(columns) {
                *value = read::<V>(from.add(row * steps.row + column * steps.column), mask);
            }
        }
        let turned = turn_square!(square, turn_gradient, TILE, REACH);
        for (number, value) in turned.as_flattened().iter().enumerate() {
            value.store(to.add(number * steps.point));
        }
    }
}

/// Adds for each point the products of the tiles' channels with their gradients.
///
/// # Safety
/// The instruction set of `V`; memory of the sizes that `count` and the geometry give.
#[inline(always)]
unsafe fn add_products<V: Vector>(
    geometry: &Geometry,
    count: usize,
    inputs: &[V::Item],
    gradients: &[V::Item],
    sums: &mut [V::Item],
) {
    let (channels, filters) = (geometry.channels, geometry.filters);
    let runs = Runs { outer: 1, outer_jump: 0, inner: 1, inner_jump: 0, length: count, along: channels };
    let finish = Finish { beta: <V::Item as num_traits::One>::one(), bias: std::ptr::null(), relu: false };
    for point in 0..POINTS {
        let inputs = &inputs[point * spread::<V::Item>(count * channels)..][..count * channels];
        let gradients = &gradients[point * spread::<V::Item>(count * full::<V>(filters))..];
        let sums = &mut sums[point * spread::<V::Item>(channels * filters)..][..channels * filters];
        for Strip { column, width, vectors } in Strips::of::<V>(filters) {
            // SAFETY: the instruction set is there; rows and columns are those of the matrices.
            unsafe {
                let mask = mask::<V>(width, vectors);
                let b = gradients[column * count..].as_ptr();
                for first in (0..channels).step_by(V::rows(vectors)) {
                    let rows = V::rows(vectors).min(channels - first);
                    let mut a = [inputs.as_ptr(); MOST_ROWS];
                    let mut targets = [sums.as_mut_ptr(); MOST_ROWS];
                    for (row, (a, target)) in a.iter_mut().zip(&mut targets).enumerate() {
                        *a = a.add(first + row.min(rows - 1));
                        *target = target.add((first + row.min(rows - 1)) * filters + column);
                    }
                    tile_of::<V>(vectors, &a, runs, b, &targets, rows, mask, finish);
                }
            }
        }
    }
}

/// dw = Gᵀ sums G + beta dw.
///
/// # Safety
/// The instruction set of `V`.
#[inline(always)]
unsafe fn turn_sums<V: Vector>(geometry: &Geometry, sums: &[V::Item], dw: &mut [V::Item], beta: V::Item) {
    let size = geometry.channels * geometry.filters;
    let point = spread::<V::Item>(size);
    for at in (0..size).step_by(V::LANES) {
        // SAFETY: the instruction set is there; places that are none are masked.
        unsafe {
            let mask = mask::<V>((size - at).min(V::LANES), 1);
            let mut square = [[zero::<V>(); REACH]; REACH];
            for (number, value) in square.as_flattened_mut().iter_mut().enumerate() {
                *value = read::<V>(sums.as_ptr().add(number * point + at), mask);
            }
            let turned = turn_square!(square, turn_weight_back, REACH, 3);
            for (tap, value) in turned.as_flattened().iter().enumerate() {
                let to = dw.as_mut_ptr().add(tap * size + at);
                let value = match beta == V::Item::zero() {
                    true => *value,
                    false => V::splat(beta).fma(read::<V>(to, mask), *value),
                };
                save(value, to, mask);
            }
        }
    }
}
