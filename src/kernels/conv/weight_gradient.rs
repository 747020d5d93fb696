//! dw = x turned * dz: for each element of the kernel the products of what it met with what became of it.

use num_traits::Zero;

use super::super::gemm::{Ending, Finish, Matrix, gemm};
use super::super::math::Real;
use super::super::scratch::Scratch;
use super::super::simd::{by_level, level};
use super::super::vector::Vector;
use super::tile::{MOST_ROWS, Runs, Strip, Strips, full, mask, tile_of};
use super::{Geometry, copy_into_frames, unfold, winograd};

/// About how many windows are summed up in registers before the sums go to memory: their gradients stay in the first
/// cache.
const DEPTH: usize = 192;

/// The gradient with respect to the weight, added to beta times what stands in `dw` (which is not read at 0).
pub(crate) fn weight_gradient<A: Real>(geometry: &Geometry, x: &[A], dz: &[A], dw: &mut [A], beta: A) {
    assert!(x.len() / geometry.image() * geometry.output() == dz.len() && x.len().is_multiple_of(geometry.image()));
    assert!(dw.len() == geometry.depth() * geometry.filters);
    if geometry.is_pointwise() {
        let (rows, filters) = (dz.len() / geometry.filters, geometry.filters);
        let (x, dz) = (Matrix::row_major(x, rows, geometry.channels), Matrix::row_major(dz, rows, filters));
        return gemm(x.t(), dz, dw, filters, Ending::sum(beta));
    }
    if winograd::serves_weight_gradient::<A>(geometry, x.len() / geometry.image()) {
        return winograd::weight_gradient(geometry, x, dz, dw, beta);
    }
    if unfold::serves_weight_gradient(geometry) {
        return unfold::weight_gradient(geometry, x, dz, dw, beta);
    }
    images(level(), geometry, x, dz, dw, beta);
}

by_level! {
    fn images<A>(geometry: &Geometry, x: &[A], dz: &[A], dw: &mut [A], beta: A) = blocks
}

/// Rows of windows that are summed up at once: of some images, or a part of one image's.
#[derive(Clone, Copy)]
struct Block {
    images: usize,
    rows: usize,
}

impl Block {
    fn of(geometry: &Geometry) -> Self {
        let pixels = geometry.pixels();
        if pixels >= DEPTH {
            let rows = (DEPTH / geometry.width.output).clamp(1, geometry.height.output);
            return Block { images: 1, rows };
        }
        Block {
            images: geometry.images_at_once(geometry.frame()).min(DEPTH.div_ceil(pixels)),
            rows: geometry.height.output,
        }
    }
}

/// # Safety
/// The instruction set of `V`.
#[inline(always)]
unsafe fn blocks<V: Vector>(geometry: &Geometry, x: &[V::Item], dz: &[V::Item], dw: &mut [V::Item], beta: V::Item) {
    let at_most = Block::of(geometry);
    let images = x.len() / geometry.image();
    let padded = geometry.is_padded();
    let frames = if padded { geometry.frame() * at_most.images.min(images) } else { 0 };
    let pixels = at_most.images * at_most.rows * geometry.width.output;
    let packed = geometry.groups * pixels * full::<V>(geometry.group_filters());
    let mut room = Scratch::of(frames + packed);
    let (packed, frames) = room.split_at_mut(packed);
    frames.fill(V::Item::zero());
    let mut beta = beta;
    let blocks = x.chunks(at_most.images * geometry.image()).zip(dz.chunks(at_most.images * geometry.output()));
    for (x, dz) in blocks {
        let images = x.len() / geometry.image();
        let x = if padded {
            copy_into_frames(geometry, x, frames);
            &*frames
        } else {
            x
        };
        let mut row = 0;
        while row < geometry.height.output {
            let block = Block { images, rows: at_most.rows.min(geometry.height.output - row) };
            let (x, dz) = (
                &x[row * geometry.height.stride * geometry.row()..],
                &dz[row * geometry.width.output * geometry.filters..],
            );
            // SAFETY: the instruction set is there, as the caller promises.
            unsafe { add::<V>(geometry, block, x, dz, packed, dw, beta) };
            beta = <V::Item as num_traits::One>::one();
            row += block.rows;
        }
    }
}

/// The gradients of a block's outputs, window behind window, in strips of each group's filters.
#[inline(always)]
fn pack<V: Vector>(geometry: &Geometry, block: Block, dz: &[V::Item], packed: &mut [V::Item]) -> usize {
    let columns = geometry.group_filters();
    let in_image = block.rows * geometry.width.output;
    let pixels = block.images * in_image;
    let size = pixels * full::<V>(columns);
    for (group, packed) in packed.chunks_exact_mut(size).enumerate().take(geometry.groups) {
        for Strip { column, width, vectors } in Strips::of::<V>(columns) {
            let strip = &mut packed[column * pixels..][..pixels * vectors * V::LANES];
            for (number, to) in strip.chunks_exact_mut(vectors * V::LANES).enumerate() {
                let pixel = number / in_image * geometry.pixels() + number % in_image;
                let from = &dz[pixel * geometry.filters + group * columns + column..][..width];
                to[..width].copy_from_slice(from);
                to[width..].fill(V::Item::zero());
            }
        }
    }
    size
}

/// Adds what a block contributes.
///
/// # Safety
/// The instruction set of `V`.
#[inline(always)]
unsafe fn add<V: Vector>(
    geometry: &Geometry,
    block: Block,
    x: &[V::Item],
    dz: &[V::Item],
    packed: &mut [V::Item],
    dw: &mut [V::Item],
    beta: V::Item,
) {
    let size = pack::<V>(geometry, block, dz, packed);
    let pixels = block.images * block.rows * geometry.width.output;
    let (channels, columns) = (geometry.group_channels(), geometry.group_filters());
    let runs = Runs {
        outer: block.images,
        outer_jump: geometry.frame(),
        inner: block.rows,
        inner_jump: geometry.height.stride * geometry.row(),
        length: geometry.width.output,
        along: geometry.width.stride * geometry.channels,
    };
    let finish = Finish { beta, bias: std::ptr::null(), relu: false };
    for (group, packed) in packed.chunks_exact(size).enumerate().take(geometry.groups) {
        for Strip { column, width, vectors } in Strips::of::<V>(columns) {
            let b = packed[column * pixels..].as_ptr();
            // SAFETY: the instruction set is there, as the caller promises. Elements of the kernel lie within the
            // frames by how the extents were worked out, targets within the weight, and the strip was packed for
            // this depth.
            unsafe {
                let mask = mask::<V>(width, vectors);
                let mut elements = Elements::of(geometry);
                let x = x.as_ptr().add(group * channels);
                let dw = dw.as_mut_ptr().add(group * columns + column);
                while elements.left > 0 {
                    let mut a = [x; MOST_ROWS];
                    let mut targets = [dw; MOST_ROWS];
                    let count = elements.left.min(V::rows(vectors));
                    for (a, target) in a.iter_mut().zip(&mut targets).take(count) {
                        *a = x.add(elements.place);
                        *target = dw.add(elements.number * geometry.filters);
                        elements.step();
                    }
                    tile_of::<V>(vectors, &a, runs, b, &targets, count, mask, finish);
                }
            }
        }
    }
}

/// The elements of a kernel, one after the other, and where the first window has them.
struct Elements {
    left: usize,
    number: usize,
    place: usize,
    channel: usize,
    column: usize,
    channels: usize,
    columns: usize,
    next_column: usize,
    next_row: usize,
}

impl Elements {
    fn of(geometry: &Geometry) -> Self {
        let channels = geometry.group_channels();
        let columns = geometry.width.kernel;
        let column = geometry.width.dilation * geometry.channels;
        Elements {
            left: geometry.depth(),
            number: 0,
            place: 0,
            channel: 0,
            column: 0,
            channels,
            columns,
            next_column: column - channels,
            // From behind the last element of a row to the first of the next.
            next_row: (geometry.height.dilation * geometry.row()).wrapping_sub(columns * column),
        }
    }

    /// Goes on to the next element.
    #[inline(always)]
    fn step(&mut self) {
        self.left -= 1;
        self.number += 1;
        self.place += 1;
        self.channel += 1;
        if self.channel == self.channels {
            self.channel = 0;
            self.place += self.next_column;
            self.column += 1;
            if self.column == self.columns {
                self.column = 0;
                self.place = self.place.wrapping_add(self.next_row);
            }
        }
    }
}
