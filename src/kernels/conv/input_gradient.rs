//! dx = dz * w turned: each output's gradient goes back to the patch it was made from.

use num_traits::Zero;

use super::super::gemm::{Ending, Finish, Matrix, gemm};
use super::super::math::Real;
use super::super::scratch::Scratch;
use super::super::simd::{by_level, level};
use super::super::transpose::transpose;
use super::super::vector::Vector;
use super::forward::{Pixels, forward};
use super::tile::{MOST_ROWS, Runs, Strip, Strips, full, mask, tile_of};
use super::{Extent, Geometry, copy_from_frames, unfold, winograd};

/// How many steps of a sum it costs to add it to what stands in memory.
const WRITING: usize = 4;

/// The gradient with respect to the images. This is also what a transposed convolution computes.
pub(crate) fn input_gradient<A: Real>(geometry: &Geometry, dz: &[A], w: &[A], dx: &mut [A]) {
    assert!(dx.len() / geometry.image() * geometry.output() == dz.len() && dx.len().is_multiple_of(geometry.image()));
    assert!(w.len() == geometry.depth() * geometry.filters);
    if geometry.is_pointwise() {
        let (rows, filters) = (dz.len() / geometry.filters, geometry.filters);
        let (dz, w) = (Matrix::row_major(dz, rows, filters), Matrix::row_major(w, geometry.channels, filters));
        return gemm(dz, w.t(), dx, geometry.channels, Ending::sum(A::zero()));
    }
    let turned = turned::<A>(geometry, dx.len() / geometry.image());
    let fast = turned.as_ref().is_some_and(|turned| winograd::serves::<A>(turned, dx.len() / geometry.image()));
    if unfold::serves_input_gradient(geometry) && !fast {
        return unfold::input_gradient(geometry, dz, w, dx);
    }
    match turned {
        Some(turned) => by_gathering(geometry, &turned, dz, w, dx),
        None => images(level(), geometry, dz, w, dx),
    }
}

/// The axes of a convolution of the outputs' gradients that gives those of the images, where the stride allows one.
fn turned_axes(geometry: &Geometry) -> Option<(Extent, Extent)> {
    let axis = |axis: Extent| {
        let reach = (axis.kernel - 1) * axis.dilation;
        (axis.stride == 1 && axis.before <= reach).then(|| Extent {
            input: axis.output,
            output: axis.input,
            before: reach - axis.before,
            ..axis
        })
    };
    Some((axis(geometry.height)?, axis(geometry.width)?))
}

/// The convolution of the outputs' gradients with the turned weight that gives the same, where it is less work: each
/// number is written once, but edges are summed up over zeros.
fn turned<A: Real>(geometry: &Geometry, images: usize) -> Option<Geometry> {
    let (height, width) = turned_axes(geometry)?;
    let filters = geometry.group_filters();
    let gathering = height.output * width.output * filters;
    let scattering = geometry.pixels() * (filters + WRITING);
    let turned = Geometry { height, width, channels: geometry.filters, filters: geometry.channels, ..*geometry };
    (gathering <= scattering || winograd::serves::<A>(&turned, images)).then_some(turned)
}

/// dx as a convolution with the kernel's elements in reverse and its channels and filters exchanged.
fn by_gathering<A: Real>(geometry: &Geometry, turned: &Geometry, dz: &[A], w: &[A], dx: &mut [A]) {
    let mut memory = Scratch::of(w.len());
    let (channels, filters) = (geometry.group_channels(), geometry.group_filters());
    let taps = geometry.height.kernel * geometry.width.kernel;
    for tap in 0..taps {
        let from = &w[tap * channels * geometry.filters..];
        let to = &mut memory[(taps - 1 - tap) * filters * geometry.channels..][..filters * geometry.channels];
        for group in 0..geometry.groups {
            let to = &mut to[group * channels..];
            transpose(&from[group * filters..], geometry.filters, channels, filters, to, geometry.channels);
        }
    }
    forward(turned, dz, &memory, dx, Ending::sum(A::zero()));
}

by_level! {
    fn images<A>(geometry: &Geometry, dz: &[A], w: &[A], dx: &mut [A]) = blocks
}

/// # Safety
/// The instruction set of `V`.
#[inline(always)]
unsafe fn blocks<V: Vector>(geometry: &Geometry, dz: &[V::Item], w: &[V::Item], dx: &mut [V::Item]) {
    let together = geometry.images_at_once(geometry.frame() + geometry.output());
    let padded = geometry.is_padded();
    let frames = if padded { geometry.frame() * together.min(dx.len() / geometry.image()) } else { 0 };
    let taps = geometry.height.kernel * geometry.width.kernel;
    let packed = taps * geometry.filters * full::<V>(geometry.group_channels());
    let mut room = Scratch::of(frames + packed);
    let (packed, frames) = room.split_at_mut(packed);
    pack::<V>(geometry, w, packed);
    let blocks = dx.chunks_mut(together * geometry.image()).zip(dz.chunks(together * geometry.output()));
    for (dx, dz) in blocks {
        // SAFETY: the instruction set is there, as the caller promises.
        unsafe {
            if padded {
                let frames = &mut frames[..dx.len() / geometry.image() * geometry.frame()];
                block::<V>(geometry, dz, packed, frames);
                copy_from_frames(geometry, frames, dx);
            } else {
                block::<V>(geometry, dz, packed, dx);
            }
        }
    }
}

/// For each tap of the kernel and each group its weights turned, `(filters, channels)`, in strips of channels.
#[inline(always)]
fn pack<V: Vector>(geometry: &Geometry, w: &[V::Item], packed: &mut [V::Item]) {
    let (channels, filters) = (geometry.group_channels(), geometry.group_filters());
    let size = filters * full::<V>(channels);
    for (number, packed) in packed.chunks_exact_mut(size).enumerate() {
        let (tap, group) = (number / geometry.groups, number % geometry.groups);
        let from = &w[tap * channels * geometry.filters + group * filters..];
        for Strip { column, width, vectors } in Strips::of::<V>(channels) {
            let wide = vectors * V::LANES;
            let strip = &mut packed[column * filters..][..filters * wide];
            for row in strip.chunks_exact_mut(wide) {
                row[width..].fill(V::Item::zero());
            }
            transpose(&from[column * geometry.filters..], geometry.filters, width, filters, strip, wide);
        }
    }
}

/// Some images that are in the cache.
///
/// # Safety
/// The instruction set of `V`.
#[inline(always)]
unsafe fn block<V: Vector>(geometry: &Geometry, dz: &[V::Item], packed: &[V::Item], dx: &mut [V::Item]) {
    dx.fill(V::Item::zero());
    let (channels, filters) = (geometry.group_channels(), geometry.group_filters());
    let size = filters * full::<V>(channels);
    let runs = Runs { outer: 1, outer_jump: 0, inner: 1, inner_jump: 0, length: filters, along: 1 };
    let one = <V::Item as num_traits::One>::one();
    let finish = Finish { beta: one, bias: std::ptr::null(), relu: false };
    for (number, packed) in packed.chunks_exact(size).enumerate() {
        let (tap, group) = (number / geometry.groups, number % geometry.groups);
        let (row, column) = (tap / geometry.width.kernel, tap % geometry.width.kernel);
        let shift = row * geometry.height.dilation * geometry.row()
            + column * geometry.width.dilation * geometry.channels
            + group * channels;
        for Strip { column, width, vectors } in Strips::of::<V>(channels) {
            let b = packed[column * filters..].as_ptr();
            // SAFETY: the instruction set is there, as the caller promises. Patches lie within the frames by how the
            // extents were worked out, and the strip was packed for this depth.
            unsafe {
                let mask = mask::<V>(width, vectors);
                let mut pixels = Pixels::of(geometry, dx.len() / geometry.frame());
                let (dz, dx) = (dz.as_ptr().add(group * filters), dx.as_mut_ptr().add(shift + column));
                while pixels.left > 0 {
                    let mut a = [dz; MOST_ROWS];
                    let mut targets = [dx; MOST_ROWS];
                    let count = pixels.left.min(V::rows(vectors));
                    for (a, target) in a.iter_mut().zip(&mut targets).take(count) {
                        *a = dz.add(pixels.number * geometry.filters);
                        *target = dx.add(pixels.patch);
                        pixels.step();
                    }
                    tile_of::<V>(vectors, &a, runs, b, &targets, count, mask, finish);
                }
            }
        }
    }
}
