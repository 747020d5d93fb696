//! y = f(x * w + b).

use num_traits::Zero;

use super::super::gemm::{Ending, Finish, Matrix, gemm};
use super::super::math::Real;
use super::super::scratch::Scratch;
use super::super::simd::{by_level, level};
use super::super::vector::Vector;
use super::tile::{MOST_ROWS, Runs, Strip, Strips, full, mask, tile_of};
use super::{Geometry, copy_into_frames, unfold, winograd};

/// Weights of at most so many numbers stay in the first cache: then windows are gone through once.
const NEAR: usize = 1 << 12;

/// Convolves images with a weight: output `(height, width, filters)` each, with bias and ReLU of the ending (its beta
/// is not looked at).
pub(crate) fn forward<A: Real>(geometry: &Geometry, x: &[A], w: &[A], y: &mut [A], ending: Ending<'_, A>) {
    assert!(x.len() / geometry.image() * geometry.output() == y.len() && x.len().is_multiple_of(geometry.image()));
    assert!(w.len() == geometry.depth() * geometry.filters);
    assert!(ending.bias.is_none_or(|bias| bias.len() == geometry.filters));
    if geometry.is_pointwise() {
        let (rows, depth) = (x.len() / geometry.channels, geometry.channels);
        let (x, w) = (Matrix::row_major(x, rows, depth), Matrix::row_major(w, depth, geometry.filters));
        return gemm(x, w, y, geometry.filters, ending);
    }
    if winograd::serves::<A>(geometry, x.len() / geometry.image()) {
        return winograd::forward(geometry, x, w, y, ending);
    }
    if unfold::serves(geometry) {
        return unfold::forward(geometry, x, w, y, ending);
    }
    images(level(), geometry, x, w, y, ending);
}

by_level! {
    fn images<A>(geometry: &Geometry, x: &[A], w: &[A], y: &mut [A], ending: Ending<'_, A>) = blocks
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
    let together = geometry.images_at_once(geometry.frame() + geometry.output());
    let padded = geometry.is_padded();
    let frames = if padded { geometry.frame() * together.min(x.len() / geometry.image()) } else { 0 };
    let packed = geometry.groups * geometry.depth() * full::<V>(geometry.group_filters());
    let mut room = Scratch::of(frames + packed);
    let (packed, frames) = room.split_at_mut(packed);
    pack::<V>(geometry, w, packed);
    frames.fill(V::Item::zero());
    let blocks = x.chunks(together * geometry.image()).zip(y.chunks_mut(together * geometry.output()));
    for (x, y) in blocks {
        let x = if padded {
            copy_into_frames(geometry, x, frames);
            &frames[..x.len() / geometry.image() * geometry.frame()]
        } else {
            x
        };
        // SAFETY: the instruction set is there, as the caller promises.
        unsafe { block::<V>(geometry, x, packed, y, ending) };
    }
}

/// The columns of each group's weights in strips, row behind row, filled up with zeros to whole registers.
#[inline(always)]
fn pack<V: Vector>(geometry: &Geometry, w: &[V::Item], packed: &mut [V::Item]) {
    /// Rows that are read together, so that far memory is read line after line.
    const ROWS: usize = 16;
    let (depth, columns) = (geometry.depth(), geometry.group_filters());
    for first in (0..depth).step_by(ROWS) {
        let rows = ROWS.min(depth - first);
        for (group, packed) in packed.chunks_exact_mut(depth * full::<V>(columns)).enumerate() {
            for Strip { column, width, vectors } in Strips::of::<V>(columns) {
                let wide = vectors * V::LANES;
                let strip = &mut packed[column * depth + first * wide..][..rows * wide];
                for (row, to) in strip.chunks_exact_mut(wide).enumerate() {
                    let from = &w[(first + row) * geometry.filters + group * columns + column..][..width];
                    to[..width].copy_from_slice(from);
                    to[width..].fill(V::Item::zero());
                }
            }
        }
    }
}

/// Some images that are in the cache.
///
/// # Safety
/// The instruction set of `V`.
#[inline(always)]
unsafe fn block<V: Vector>(
    geometry: &Geometry,
    x: &[V::Item],
    packed: &[V::Item],
    y: &mut [V::Item],
    ending: Ending<'_, V::Item>,
) {
    let (depth, columns) = (geometry.depth(), geometry.group_filters());
    let images = x.len() / geometry.frame();
    for group in 0..geometry.groups {
        let packed = &packed[group * depth * full::<V>(columns)..];
        let all = Strips::of::<V>(columns);
        // SAFETY: the instruction set is there, as the caller promises, and the slices are those of the geometry.
        unsafe {
            if depth * columns <= NEAR {
                tiles::<V>(geometry, group, images, all, x, packed, y, ending);
            } else {
                for strip in all {
                    let one = std::iter::once(strip);
                    tiles::<V>(geometry, group, images, one, x, packed, y, ending);
                }
            }
        }
    }
}

/// All windows of a group, in some strips of its filters.
///
/// # Safety
/// The instruction set of `V`; frames, packed weights and outputs of the geometry's sizes.
#[inline(always)]
unsafe fn tiles<V: Vector>(
    geometry: &Geometry,
    group: usize,
    images: usize,
    strips: impl Iterator<Item = Strip> + Clone,
    x: &[V::Item],
    packed: &[V::Item],
    y: &mut [V::Item],
    ending: Ending<'_, V::Item>,
) {
    let (depth, first) = (geometry.depth(), group * geometry.group_filters());
    let runs = patch(geometry);
    let mut pixels = Pixels::of(geometry, images);
    // A wide strip is the only one.
    let rows = strips.clone().next().map_or(0, |strip| V::rows(strip.vectors));
    // SAFETY: the instruction set is there, as the caller promises. Patches lie within the frames by how the extents
    // were worked out, targets within the output, and the strips were packed for this depth.
    unsafe {
        let (x, y) = (x.as_ptr().add(group * geometry.group_channels()), y.as_mut_ptr().add(first));
        while pixels.left > 0 {
            let mut a = [x; MOST_ROWS];
            let count = pixels.left.min(rows);
            let begun = y.add(pixels.number * geometry.filters);
            for a in a.iter_mut().take(count) {
                *a = x.add(pixels.patch);
                pixels.step();
            }
            let last = a[count - 1];
            a[count..].fill(last);
            for Strip { column, width, vectors } in strips.clone() {
                let mut targets = [begun.add(column); MOST_ROWS];
                for (row, target) in targets.iter_mut().enumerate().take(count) {
                    *target = target.add(row * geometry.filters);
                }
                let b = packed[column * depth..].as_ptr();
                let bias = ending.bias.map_or(std::ptr::null(), |bias| bias[first + column..].as_ptr());
                let finish = Finish { beta: V::Item::zero(), bias, relu: ending.relu };
                let mask = mask::<V>(width, vectors);
                tile_of::<V>(vectors, &a, runs, b, &targets, count, mask, finish);
            }
        }
    }
}

/// The runs of a patch: rows of the kernel, as a whole where its elements lie side by side.
fn patch(geometry: &Geometry) -> Runs {
    let whole = geometry.width.dilation == 1 && geometry.groups == 1;
    let columns = geometry.width.kernel;
    Runs {
        outer: geometry.height.kernel,
        outer_jump: geometry.height.dilation * geometry.row(),
        inner: if whole { 1 } else { columns },
        inner_jump: geometry.width.dilation * geometry.channels,
        length: geometry.group_channels() * if whole { columns } else { 1 },
        along: 1,
    }
}

/// The windows over some images, one after the other.
pub(super) struct Pixels {
    pub(super) left: usize,
    pub(super) number: usize,
    /// Where the window begins in the images.
    pub(super) patch: usize,
    column: usize,
    row: usize,
    columns: usize,
    rows: usize,
    next_column: usize,
    next_row: usize,
    next_image: usize,
}

impl Pixels {
    pub(super) fn of(geometry: &Geometry, images: usize) -> Self {
        let Geometry { height, width, .. } = geometry;
        let next_column = width.stride * geometry.channels;
        let next_row = height.stride * geometry.row();
        Pixels {
            left: images * geometry.pixels(),
            number: 0,
            patch: 0,
            column: 0,
            row: 0,
            columns: width.output,
            rows: height.output,
            next_column,
            // From the window behind the last one of a row, or of an image, to the first of the next.
            next_row: next_row.wrapping_sub(width.output * next_column),
            next_image: geometry.frame().wrapping_sub(height.output * next_row),
        }
    }

    /// Goes on to the next window.
    #[inline(always)]
    pub(super) fn step(&mut self) {
        self.left -= 1;
        self.number += 1;
        self.patch += self.next_column;
        self.column += 1;
        if self.column == self.columns {
            self.column = 0;
            self.patch = self.patch.wrapping_add(self.next_row);
            self.row += 1;
            if self.row == self.rows {
                self.row = 0;
                self.patch = self.patch.wrapping_add(self.next_image);
            }
        }
    }
}
