//! Convolutions of each channel by itself: `multiplier` filters a channel, filter j of channel c at c * multiplier + j.
//!
//! The weight is `(kernel height, kernel width, channels, multiplier)`, that is `(taps, filters)`. With one filter a
//! channel everything runs along the channels, a register at a time.

use num_traits::Zero;

use super::super::math::Real;
use super::super::scratch::Scratch;
use super::super::simd::{by_level, level};
use super::super::vector::Vector;
use super::input_gradient::turned_axes;
use super::{Geometry, copy_from_frames, copy_into_frames, read, save};

/// Windows of a row that are worked on side by side: as many sums as hide how long one multiplication takes.
const SIDE: usize = 8;

/// Elements of a kernel whose gradients are summed up side by side.
const TAPS: usize = 9;

/// y = x * w + b.
pub(crate) fn depthwise<A: Real>(geometry: &Geometry, x: &[A], w: &[A], bias: Option<&[A]>, y: &mut [A]) {
    check(geometry, x, y, w);
    assert!(bias.is_none_or(|bias| bias.len() == geometry.filters));
    each_frame(geometry, x, |image, frame| {
        let y = &mut y[image * geometry.output()..][..geometry.output()];
        match multiplier(geometry) {
            1 => gather(level(), geometry, frame, w, bias, y),
            several => gather_several(geometry, several, frame, w, bias, y),
        }
    });
}

/// dx from dz.
pub(crate) fn depthwise_input_gradient<A: Real>(geometry: &Geometry, dz: &[A], w: &[A], dx: &mut [A]) {
    check(geometry, dx, dz, w);
    if let (1, Some((height, width))) = (multiplier(geometry), turned_axes(geometry)) {
        // The kernel's elements in reverse over the outputs' gradients.
        let mut turned = Scratch::of(w.len());
        for (to, from) in turned.chunks_exact_mut(geometry.channels).zip(w.chunks_exact(geometry.channels).rev()) {
            to.copy_from_slice(from);
        }
        return depthwise(&Geometry { height, width, ..*geometry }, dz, &turned, None, dx);
    }
    let padded = geometry.is_padded();
    let mut room = Scratch::of(if padded { geometry.frame() } else { 0 });
    for (dx, dz) in dx.chunks_exact_mut(geometry.image()).zip(dz.chunks_exact(geometry.output())) {
        let frame = if padded { &mut *room } else { &mut *dx };
        frame.fill(A::zero());
        match multiplier(geometry) {
            1 => scatter(level(), geometry, dz, w, frame),
            several => scatter_several(geometry, several, dz, w, frame),
        }
        if padded {
            copy_from_frames(geometry, &room, dx);
        }
    }
}

/// dw from x and dz, added to what stands there.
pub(crate) fn depthwise_weight_gradient<A: Real>(geometry: &Geometry, x: &[A], dz: &[A], dw: &mut [A]) {
    check(geometry, x, dz, dw);
    each_frame(geometry, x, |image, frame| {
        let dz = &dz[image * geometry.output()..][..geometry.output()];
        match multiplier(geometry) {
            1 => correlate(level(), geometry, frame, dz, dw),
            several => correlate_several(geometry, several, frame, dz, dw),
        }
    });
}

fn multiplier(geometry: &Geometry) -> usize {
    geometry.filters / geometry.channels
}

fn taps(geometry: &Geometry) -> usize {
    geometry.height.kernel * geometry.width.kernel
}

fn check<A>(geometry: &Geometry, x: &[A], y: &[A], w: &[A]) {
    assert!(x.len() / geometry.image() * geometry.output() == y.len() && x.len().is_multiple_of(geometry.image()));
    assert!(w.len() == taps(geometry) * geometry.filters && geometry.filters.is_multiple_of(geometry.channels));
}

/// Calls `work` for each image as windows see it.
fn each_frame<A: Real>(geometry: &Geometry, x: &[A], mut work: impl FnMut(usize, &[A])) {
    let padded = geometry.is_padded();
    let mut room = Scratch::of(if padded { geometry.frame() } else { 0 });
    room.fill(A::zero());
    for (number, image) in x.chunks_exact(geometry.image()).enumerate() {
        if padded {
            copy_into_frames(geometry, image, &mut room);
            work(number, &room);
        } else {
            work(number, image);
        }
    }
}

/// Where the first of a row's windows begins.
#[inline(always)]
fn row_start(geometry: &Geometry, row: usize) -> usize {
    row * geometry.height.stride * geometry.row()
}

/// From where a window begins to one of its elements.
#[inline(always)]
fn tap_shift(geometry: &Geometry, row: usize, column: usize) -> usize {
    row * geometry.height.dilation * geometry.row() + column * geometry.width.dilation * geometry.channels
}

/// Which of the register's channels there are, where not all are.
///
/// # Safety
/// The instruction set of `V`.
#[inline(always)]
unsafe fn mask<V: Vector>(channels: usize, channel: usize) -> Option<V::Mask> {
    let left = channels - channel;
    // SAFETY: the caller's promise.
    (left < V::LANES).then(|| unsafe { V::mask(left) })
}

by_level! {
    fn gather<A>(geometry: &Geometry, frame: &[A], w: &[A], bias: Option<&[A]>, y: &mut [A]) = gather_rows
}
by_level! {
    fn scatter<A>(geometry: &Geometry, dz: &[A], w: &[A], frame: &mut [A]) = scatter_rows
}
by_level! {
    fn correlate<A>(geometry: &Geometry, frame: &[A], dz: &[A], dw: &mut [A]) = correlate_rows
}

/// # Safety
/// The instruction set of `V`.
#[inline(always)]
unsafe fn gather_rows<V: Vector>(
    geometry: &Geometry,
    frame: &[V::Item],
    w: &[V::Item],
    bias: Option<&[V::Item]>,
    y: &mut [V::Item],
) {
    let Geometry { height, width, channels, .. } = *geometry;
    let next = width.stride * channels;
    for row in 0..height.output {
        let x = &frame[row_start(geometry, row)..];
        let y = &mut y[row * width.output * channels..][..width.output * channels];
        for first in (0..width.output).step_by(SIDE) {
            let count = SIDE.min(width.output - first);
            // Windows beyond the last of a row stand for the last one and are not written.
            let offsets: [usize; SIDE] = std::array::from_fn(|side| (first + side.min(count - 1)) * next);
            for channel in (0..channels).step_by(V::LANES) {
                // SAFETY: the instruction set is there; windows lie within the frame by how the extents were worked
                // out, and channels that are none are masked.
                unsafe {
                    let start = bias.map(|bias| bias.as_ptr().add(channel));
                    let (x, w) = (x.as_ptr().add(channel), w.as_ptr().add(channel));
                    let sums = match mask::<V>(channels, channel) {
                        None => gather_windows::<V>(geometry, x, w, start, &offsets, None),
                        some => gather_windows::<V>(geometry, x, w, start, &offsets, some),
                    };
                    let mask = mask::<V>(channels, channel);
                    for (side, sum) in sums.iter().enumerate().take(count) {
                        save(*sum, y.as_mut_ptr().add((first + side) * channels + channel), mask);
                    }
                }
            }
        }
    }
}

/// The sums of some windows, which begin at the offsets, for a register of channels.
///
/// # Safety
/// The instruction set of `V`; pointers good for the windows.
#[inline(always)]
unsafe fn gather_windows<V: Vector>(
    geometry: &Geometry,
    x: *const V::Item,
    w: *const V::Item,
    bias: Option<*const V::Item>,
    offsets: &[usize; SIDE],
    mask: Option<V::Mask>,
) -> [V; SIDE] {
    let Geometry { height, width, channels, .. } = *geometry;
    // SAFETY: the caller's promises.
    unsafe {
        let start = match bias {
            Some(bias) => read::<V>(bias, mask),
            None => V::splat(V::Item::zero()),
        };
        let mut sums = [start; SIDE];
        let mut weight = w;
        for tap_row in 0..height.kernel {
            let mut from = x.add(tap_row * height.dilation * geometry.row());
            for _ in 0..width.kernel {
                let factor = read::<V>(weight, mask);
                for (sum, &offset) in sums.iter_mut().zip(offsets) {
                    *sum = factor.fma(read::<V>(from.add(offset), mask), *sum);
                }
                weight = weight.add(channels);
                from = from.wrapping_add(width.dilation * channels);
            }
        }
        sums
    }
}

/// # Safety
/// The instruction set of `V`.
#[inline(always)]
unsafe fn scatter_rows<V: Vector>(geometry: &Geometry, dz: &[V::Item], w: &[V::Item], frame: &mut [V::Item]) {
    let Geometry { height, width, channels, .. } = *geometry;
    let next = width.stride * channels;
    for row in 0..height.output {
        let dx = &mut frame[row_start(geometry, row)..];
        let dz = &dz[row * width.output * channels..][..width.output * channels];
        for tap_row in 0..height.kernel {
            for tap_column in 0..width.kernel {
                let tap = tap_row * width.kernel + tap_column;
                let shift = tap_shift(geometry, tap_row, tap_column);
                // SAFETY: the instruction set is there; windows lie within the frame by how the extents were worked
                // out.
                unsafe {
                    for channel in (0..channels).step_by(V::LANES) {
                        let mask = mask::<V>(channels, channel);
                        let weight = read::<V>(w.as_ptr().add(tap * channels + channel), mask);
                        for window in 0..width.output {
                            let to = dx.as_mut_ptr().add(shift + window * next + channel);
                            let gradient = read::<V>(dz.as_ptr().add(window * channels + channel), mask);
                            save(weight.fma(gradient, read::<V>(to, mask)), to, mask);
                        }
                    }
                }
            }
        }
    }
}

/// # Safety
/// The instruction set of `V`.
#[inline(always)]
unsafe fn correlate_rows<V: Vector>(geometry: &Geometry, frame: &[V::Item], dz: &[V::Item], dw: &mut [V::Item]) {
    let Geometry { height, width, channels, .. } = *geometry;
    let taps = taps(geometry);
    for row in 0..height.output {
        let x = &frame[row_start(geometry, row)..];
        let dz = &dz[row * width.output * channels..][..width.output * channels];
        for first in (0..taps).step_by(TAPS) {
            let count = TAPS.min(taps - first);
            let shifts: [usize; TAPS] = std::array::from_fn(|at| {
                let tap = first + at.min(count - 1);
                tap_shift(geometry, tap / width.kernel, tap % width.kernel)
            });
            for channel in (0..channels).step_by(V::LANES) {
                // SAFETY: the instruction set is there; windows lie within the frame by how the extents were worked
                // out, and channels that are none are masked.
                unsafe {
                    let (x, dz) = (x.as_ptr().add(channel), dz.as_ptr().add(channel));
                    let sums = match mask::<V>(channels, channel) {
                        None => correlate_row::<V>(geometry, x, dz, &shifts, None),
                        some => correlate_row::<V>(geometry, x, dz, &shifts, some),
                    };
                    let mask = mask::<V>(channels, channel);
                    for (at, sum) in sums.iter().enumerate().take(count) {
                        let to = dw.as_mut_ptr().add((first + at) * channels + channel);
                        save(read::<V>(to, mask).add(*sum), to, mask);
                    }
                }
            }
        }
    }
}

/// What some elements of the kernel, which windows have at the shifts, met in a row, times what became of it.
///
/// # Safety
/// The instruction set of `V`; pointers good for the windows of a row.
#[inline(always)]
unsafe fn correlate_row<V: Vector>(
    geometry: &Geometry,
    x: *const V::Item,
    dz: *const V::Item,
    shifts: &[usize; TAPS],
    mask: Option<V::Mask>,
) -> [V; TAPS] {
    let Geometry { width, channels, .. } = *geometry;
    // SAFETY: the caller's promises.
    unsafe {
        let mut sums = [V::splat(V::Item::zero()); TAPS];
        for window in 0..width.output {
            let gradient = read::<V>(dz.add(window * channels), mask);
            let from = x.add(window * width.stride * channels);
            for (sum, &shift) in sums.iter_mut().zip(shifts) {
                *sum = gradient.fma(read::<V>(from.add(shift), mask), *sum);
            }
        }
        sums
    }
}

/// Calls `work` with the numbers of a window, a place in the image, a tap and a channel for everything that meets.
#[inline(always)]
fn each_meeting(geometry: &Geometry, mut work: impl FnMut(usize, usize, usize, usize)) {
    let Geometry { height, width, channels, .. } = *geometry;
    for row in 0..height.output {
        for column in 0..width.output {
            let window = row * width.output + column;
            let start = row_start(geometry, row) + column * width.stride * channels;
            for tap in 0..taps(geometry) {
                let place = start + tap_shift(geometry, tap / width.kernel, tap % width.kernel);
                for channel in 0..channels {
                    work(window, place + channel, tap, channel);
                }
            }
        }
    }
}

fn gather_several<A: Real>(g: &Geometry, several: usize, frame: &[A], w: &[A], bias: Option<&[A]>, y: &mut [A]) {
    for y in y.chunks_exact_mut(g.filters) {
        match bias {
            Some(bias) => y.copy_from_slice(bias),
            None => y.fill(A::zero()),
        }
    }
    each_meeting(g, |window, place, tap, channel| {
        let w = &w[tap * g.filters + channel * several..][..several];
        let y = &mut y[window * g.filters + channel * several..][..several];
        y.iter_mut().zip(w).for_each(|(y, &w)| *y += frame[place] * w);
    });
}

fn scatter_several<A: Real>(g: &Geometry, several: usize, dz: &[A], w: &[A], frame: &mut [A]) {
    each_meeting(g, |window, place, tap, channel| {
        let w = &w[tap * g.filters + channel * several..][..several];
        let dz = &dz[window * g.filters + channel * several..][..several];
        frame[place] += w.iter().zip(dz).fold(A::zero(), |sum, (&w, &dz)| sum + w * dz);
    });
}

fn correlate_several<A: Real>(g: &Geometry, several: usize, frame: &[A], dz: &[A], dw: &mut [A]) {
    each_meeting(g, |window, place, tap, channel| {
        let dw = &mut dw[tap * g.filters + channel * several..][..several];
        let dz = &dz[window * g.filters + channel * several..][..several];
        dw.iter_mut().zip(dz).for_each(|(dw, &dz)| *dw += frame[place] * dz);
    });
}
