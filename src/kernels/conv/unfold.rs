//! Convolutions whose weight is larger than the caches, as plain products: patches are written out, some images at a
//! time, so that each part of the weight that comes from far is used for all of them.

use super::super::elementwise::add_assign;
use super::super::gemm::{Ending, Matrix, gemm};
use super::super::math::Real;
use super::super::scratch::Scratch;
use super::Geometry;
use super::meeting::Meeting;

/// Weights of fewer numbers stay in the cache, also where each block of images reads them anew.
const LARGE: usize = 1 << 21;

/// The same where they are summed up.
const LARGE_SUMS: usize = 1 << 19;

/// With fewer channels most of a register of them would be empty.
const FEW_CHANNELS: usize = 5;

/// From how many elements of a kernel on it is worth writing patches out for few channels.
const LARGE_KERNEL: usize = 16;

/// The numbers of the patches that are written out at once, if an image has no more.
const TOGETHER: usize = 1 << 20;

fn weights(geometry: &Geometry) -> usize {
    geometry.depth() * geometry.filters
}

/// Whether a convolution is done so.
pub(super) fn serves(geometry: &Geometry) -> bool {
    geometry.groups == 1 && weights(geometry) >= LARGE
}

/// Whether the gradient of the images is: also where there are few channels, to which each element of the kernel would
/// have to be added by itself.
pub(super) fn serves_input_gradient(geometry: &Geometry) -> bool {
    let few = geometry.channels < FEW_CHANNELS && geometry.height.kernel * geometry.width.kernel >= LARGE_KERNEL;
    serves(geometry) || geometry.groups == 1 && few
}

/// Whether the gradient of the weight is.
pub(super) fn serves_weight_gradient(geometry: &Geometry) -> bool {
    geometry.groups == 1 && weights(geometry) >= LARGE_SUMS
}

/// y = f(x * w + b), as [`forward`](super::forward).
pub(super) fn forward<A: Real>(geometry: &Geometry, x: &[A], w: &[A], y: &mut [A], ending: Ending<'_, A>) {
    let (depth, filters) = (geometry.depth(), geometry.filters);
    let block = Block::of(geometry, x.len() / geometry.image());
    let mut patches = Scratch::of(block.numbers);
    let blocks = x.chunks(block.images * geometry.image()).zip(y.chunks_mut(block.images * geometry.output()));
    for (x, y) in blocks {
        let rows = y.len() / filters;
        unfold(geometry, x, &mut patches);
        let (patches, w) = (Matrix::row_major(&patches, rows, depth), Matrix::row_major(w, depth, filters));
        gemm(patches, w, y, filters, ending);
    }
}

/// dx from dz, as [`input_gradient`](super::input_gradient).
pub(super) fn input_gradient<A: Real>(geometry: &Geometry, dz: &[A], w: &[A], dx: &mut [A]) {
    let (depth, filters) = (geometry.depth(), geometry.filters);
    let block = Block::of(geometry, dx.len() / geometry.image());
    let mut patches = Scratch::of(block.numbers);
    let blocks = dx.chunks_mut(block.images * geometry.image()).zip(dz.chunks(block.images * geometry.output()));
    for (dx, dz) in blocks {
        let rows = dz.len() / filters;
        let (dz, w) = (Matrix::row_major(dz, rows, filters), Matrix::row_major(w, depth, filters));
        gemm(dz, w.t(), &mut patches, depth, Ending::sum(A::zero()));
        fold(geometry, &patches, dx);
    }
}

/// dw from x and dz, as [`weight_gradient`](super::weight_gradient).
pub(super) fn weight_gradient<A: Real>(geometry: &Geometry, x: &[A], dz: &[A], dw: &mut [A], beta: A) {
    let (depth, filters) = (geometry.depth(), geometry.filters);
    let block = Block::of(geometry, x.len() / geometry.image());
    let mut patches = Scratch::of(block.numbers);
    let blocks = x.chunks(block.images * geometry.image()).zip(dz.chunks(block.images * geometry.output()));
    for (number, (x, dz)) in blocks.enumerate() {
        let rows = dz.len() / filters;
        unfold(geometry, x, &mut patches);
        let (patches, dz) = (Matrix::row_major(&patches, rows, depth), Matrix::row_major(dz, rows, filters));
        gemm(patches.t(), dz, dw, filters, Ending::sum(if number == 0 { beta } else { A::one() }));
    }
}

/// The images whose patches are written out at once.
struct Block {
    images: usize,
    /// The numbers of their patches.
    numbers: usize,
}

impl Block {
    fn of(geometry: &Geometry, images: usize) -> Self {
        let numbers = geometry.pixels() * geometry.depth();
        let images = (TOGETHER / numbers).clamp(1, images.max(1));
        Block { images, numbers: images * numbers }
    }
}

/// Calls `visit` with each row of a patch: where it begins among the patches, and where in the image what it meets does,
/// with how many places before it, of it and behind it in the kernel's row; no places where the row meets nothing.
fn each_row(geometry: &Geometry, mut visit: impl FnMut(usize, usize, [usize; 3])) {
    let Geometry { height, width, .. } = *geometry;
    let (rows, columns) = (Meeting::of_windows(height), Meeting::of_windows(width));
    let mut patch = 0;
    for row in 0..height.output {
        let rows = rows.run(row);
        for column in 0..width.output {
            let columns = columns.run(column);
            for tap in 0..height.kernel {
                let within = (rows.tap(0)..rows.tap(rows.count)).contains(&tap);
                let (place, parts) = match within && columns.count > 0 {
                    true => {
                        let place = rows.place(tap - rows.tap(0)) * width.input + columns.place(0);
                        (place, [columns.tap(0), columns.count, width.kernel - columns.tap(columns.count)])
                    }
                    false => (0, [width.kernel, 0, 0]),
                };
                visit(patch, place, parts);
                patch += width.kernel;
            }
        }
    }
}

/// The patches of all windows, one after the other.
fn unfold<A: Real>(geometry: &Geometry, x: &[A], patches: &mut [A]) {
    let (channels, dilation) = (geometry.channels, geometry.width.dilation);
    let size = geometry.pixels() * geometry.depth();
    for (image, patches) in x.chunks_exact(geometry.image()).zip(patches.chunks_exact_mut(size)) {
        each_row(geometry, |patch, place, [before, met, behind]| {
            let row = &mut patches[patch * channels..][..(before + met + behind) * channels];
            let (left, row) = row.split_at_mut(before * channels);
            let (middle, right) = row.split_at_mut(met * channels);
            left.fill(A::zero());
            right.fill(A::zero());
            if dilation == 1 {
                middle.copy_from_slice(&image[place * channels..][..met * channels]);
            } else {
                for (number, to) in middle.chunks_exact_mut(channels).enumerate() {
                    to.copy_from_slice(&image[(place + number * dilation) * channels..][..channels]);
                }
            }
        });
    }
}

/// The way back: each place of the images is the sum over the patches that it is in.
fn fold<A: Real>(geometry: &Geometry, patches: &[A], x: &mut [A]) {
    let (channels, dilation) = (geometry.channels, geometry.width.dilation);
    let size = geometry.pixels() * geometry.depth();
    for (image, patches) in x.chunks_exact_mut(geometry.image()).zip(patches.chunks_exact(size)) {
        image.fill(A::zero());
        each_row(geometry, |patch, place, [before, met, _]| {
            let middle = &patches[(patch + before) * channels..][..met * channels];
            if dilation == 1 {
                add_assign(&mut image[place * channels..][..met * channels], middle);
            } else {
                for (number, from) in middle.chunks_exact(channels).enumerate() {
                    add_assign(&mut image[(place + number * dilation) * channels..][..channels], from);
                }
            }
        });
    }
}
