//! Convolutions over images of channels, as products whose left factor is read where it stands in the image.
//!
//! An image is `(height, width, channels)`; a weight is `(kernel height, kernel width, channels of a group, filters)`.
//! Sequences are images of height 1. Nothing is unfolded into a matrix of patches: a row of that matrix is a few runs
//! of numbers that lie side by side in the image, and the tiles follow the runs.

mod ahead;
mod depthwise;
mod forward;
mod input_gradient;
mod meeting;
mod tile;
mod unfold;
mod weight_gradient;
mod winograd;

use super::math::Real;
use super::vector::Vector;

pub(crate) use depthwise::{depthwise, depthwise_input_gradient, depthwise_weight_gradient};
pub(crate) use forward::forward;
pub(crate) use input_gradient::input_gradient;
pub(crate) use weight_gradient::weight_gradient;

/// One axis of the image and the windows over it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Extent {
    /// The elements.
    pub(crate) input: usize,
    /// The windows.
    pub(crate) output: usize,
    /// The elements that a window takes.
    pub(crate) kernel: usize,
    /// How far the next window is.
    pub(crate) stride: usize,
    /// How far the next element of a window is.
    pub(crate) dilation: usize,
    /// The padding before the first element.
    pub(crate) before: usize,
}

impl Extent {
    /// The elements that windows reach, those of the padding among them.
    fn reached(&self) -> usize {
        (self.output - 1) * self.stride + (self.kernel - 1) * self.dilation + 1
    }

    /// The elements of the padded axis: at least the input and all that windows reach.
    fn padded(&self) -> usize {
        self.reached().max(self.before + self.input)
    }

    fn is_padded(&self) -> bool {
        self.before > 0 || self.reached() > self.input
    }
}

/// What is convolved with what.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Geometry {
    pub(crate) height: Extent,
    pub(crate) width: Extent,
    /// The channels of the image, those of all groups.
    pub(crate) channels: usize,
    /// The filters of all groups.
    pub(crate) filters: usize,
    /// Parts of the channels that are convolved apart from each other.
    pub(crate) groups: usize,
}

impl Geometry {
    /// The numbers of one image.
    pub(crate) fn image(&self) -> usize {
        self.height.input * self.width.input * self.channels
    }

    /// The windows over one image.
    pub(crate) fn pixels(&self) -> usize {
        self.height.output * self.width.output
    }

    /// The numbers of one output.
    pub(crate) fn output(&self) -> usize {
        self.pixels() * self.filters
    }

    /// The numbers that one output sums up: the rows of the weight as a matrix.
    fn depth(&self) -> usize {
        self.height.kernel * self.width.kernel * self.group_channels()
    }

    fn group_channels(&self) -> usize {
        self.channels / self.groups
    }

    fn group_filters(&self) -> usize {
        self.filters / self.groups
    }

    fn is_padded(&self) -> bool {
        self.height.is_padded() || self.width.is_padded()
    }

    /// The numbers of a row of the image that windows move over.
    fn row(&self) -> usize {
        self.frame_width() * self.channels
    }

    /// The pixels of a row of the image that windows move over: the padded one where there is padding.
    fn frame_width(&self) -> usize {
        if self.is_padded() { self.width.padded() } else { self.width.input }
    }

    /// The numbers of the image that windows move over.
    fn frame(&self) -> usize {
        let height = if self.is_padded() { self.height.padded() } else { self.height.input };
        height * self.row()
    }

    /// Whether it is a product of pixels with a matrix.
    fn is_pointwise(&self) -> bool {
        let single =
            |axis: Extent| axis.kernel == 1 && axis.stride == 1 && axis.input == axis.output && axis.before == 0;
        self.groups == 1 && single(self.height) && single(self.width)
    }

    /// How many images of so many numbers each are worked on at once, so that they stay in the second cache.
    fn images_at_once(&self, numbers: usize) -> usize {
        const TOGETHER: usize = 1 << 15;
        (TOGETHER / numbers.max(1)).max(1)
    }
}

/// Copies images into frames that are zero where there is padding.
fn copy_into_frames<A: Real>(geometry: &Geometry, x: &[A], frames: &mut [A]) {
    let (row, frame) = (geometry.width.input * geometry.channels, geometry.frame());
    let first = geometry.height.before * geometry.row() + geometry.width.before * geometry.channels;
    for (image, frame) in x.chunks_exact(geometry.image()).zip(frames.chunks_exact_mut(frame)) {
        for (from, to) in image.chunks_exact(row).zip(frame[first..].chunks_mut(geometry.row())) {
            to[..row].copy_from_slice(from);
        }
    }
}

/// The way back: what of the frames is image.
fn copy_from_frames<A: Real>(geometry: &Geometry, frames: &[A], x: &mut [A]) {
    let (row, frame) = (geometry.width.input * geometry.channels, geometry.frame());
    let first = geometry.height.before * geometry.row() + geometry.width.before * geometry.channels;
    for (image, frame) in x.chunks_exact_mut(geometry.image()).zip(frames.chunks_exact(frame)) {
        for (to, from) in image.chunks_exact_mut(row).zip(frame[first..].chunks(geometry.row())) {
            to.copy_from_slice(&from[..row]);
        }
    }
}

/// # Safety
/// The instruction set of `V`; a pointer good for what the mask says.
#[inline(always)]
unsafe fn read<V: Vector>(from: *const V::Item, mask: Option<V::Mask>) -> V {
    // SAFETY: the caller's promises.
    unsafe { mask.map_or_else(|| V::load(from), |mask| V::load_some(from, mask)) }
}

/// # Safety
/// As for [`read`].
#[inline(always)]
unsafe fn save<V: Vector>(value: V, to: *mut V::Item, mask: Option<V::Mask>) {
    // SAFETY: the caller's promises.
    unsafe { mask.map_or_else(|| value.store(to), |mask| value.store_some(to, mask)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::gemm::Ending;

    /// Numbers that look random, from a linear congruence.
    struct Draw(u64);

    impl Draw {
        fn below(&mut self, end: usize) -> usize {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) as usize % end
        }

        /// Small whole numbers: their sums are exact in every order.
        fn numbers<A: Real>(&mut self, count: usize) -> Vec<A> {
            (0..count).map(|_| A::of(self.below(7) as f64 - 3.0)).collect()
        }

        fn extent(&mut self) -> Extent {
            let (kernel, stride, dilation) = (1 + self.below(6), 1 + self.below(3), 1 + self.below(3));
            let reach = (kernel - 1) * dilation;
            let before = self.below(reach + 2);
            let after = self.below(reach + 2);
            let input = (reach + 1).saturating_sub(before + after).max(1) + self.below(9);
            Extent {
                input,
                output: (before + input + after - reach - 1) / stride + 1,
                kernel,
                stride,
                dilation,
                before,
            }
        }
    }

    /// Calls `meet` with every window, element of the image, element of the weight that meet, seven loops deep.
    fn meetings(g: &Geometry, mut meet: impl FnMut(usize, usize, usize)) {
        let (channels, filters) = (g.channels / g.groups, g.filters / g.groups);
        for (oh, ow) in (0..g.height.output).flat_map(|oh| (0..g.width.output).map(move |ow| (oh, ow))) {
            for (kh, kw) in (0..g.height.kernel).flat_map(|kh| (0..g.width.kernel).map(move |kw| (kh, kw))) {
                let place = |axis: Extent, o: usize, k: usize| {
                    (o * axis.stride + k * axis.dilation).checked_sub(axis.before).filter(|&i| i < axis.input)
                };
                let (Some(h), Some(w)) = (place(g.height, oh, kh), place(g.width, ow, kw)) else { continue };
                for (filter, channel) in (0..g.filters).flat_map(|f| (0..channels).map(move |c| (f, c))) {
                    let image = (h * g.width.input + w) * g.channels + filter / filters * channels + channel;
                    let weight = ((kh * g.width.kernel + kw) * channels + channel) * g.filters + filter;
                    meet((oh * g.width.output + ow) * g.filters + filter, image, weight);
                }
            }
        }
    }

    fn check<A: Real + std::fmt::Debug>(g: &Geometry, images: usize, draw: &mut Draw) {
        let by_tiles = size_of::<A>() == 4 && g.height.kernel * g.width.kernel == 9 && images * g.pixels() > 300;
        let same = |found: &[A], expected: &[A], what: &str| {
            let largest = expected.iter().fold(A::one(), |largest, x| largest.max(x.abs()));
            let allowed = if by_tiles { largest * A::of(3e-6) } else { A::zero() };
            let near = |(a, b): (&A, &A)| (*a - *b).abs() <= allowed;
            let wrong = found.iter().zip(expected).position(|pair| !near(pair));
            assert!(
                wrong.is_none(),
                "{what} of {g:?}, {images} images: {wrong:?} is {:?}",
                wrong.map(|at| (found[at], expected[at]))
            );
        };
        let (x, w) = (draw.numbers::<A>(images * g.image()), draw.numbers::<A>(g.depth() * g.filters));
        let (dz, bias) = (draw.numbers::<A>(images * g.output()), draw.numbers::<A>(g.filters));
        let mut y: Vec<A> = bias.iter().copied().cycle().take(images * g.output()).collect();
        let (mut dx, mut dw) = (vec![A::zero(); x.len()], vec![A::one(); w.len()]);
        for image in 0..images {
            let (first, start) = (image * g.output(), image * g.image());
            meetings(g, |output, input, weight| {
                y[first + output] += x[start + input] * w[weight];
                dx[start + input] += dz[first + output] * w[weight];
                dw[weight] += dz[first + output] * x[start + input];
            });
        }
        y.iter_mut().for_each(|y| *y = y.max(A::zero()));
        let (mut found, ending) = (vec![A::nan(); y.len()], Ending { bias: Some(&bias), relu: true, beta: A::zero() });
        forward(g, &x, &w, &mut found, ending);
        same(&found, &y, "output");
        let mut found = vec![A::nan(); dx.len()];
        input_gradient(g, &dz, &w, &mut found);
        same(&found, &dx, "gradient of the images");
        let mut found = vec![A::one(); dw.len()];
        weight_gradient(g, &x, &dz, &mut found, A::one());
        same(&found, &dw, "gradient of the weight");
        found.fill(A::nan());
        weight_gradient(g, &x, &dz, &mut found, A::zero());
        dw.iter_mut().for_each(|dw| *dw -= A::one());
        same(&found, &dw, "gradient of the weight over what stood there");

        if g.groups == 1 {
            let mut found = vec![A::nan(); y.len()];
            unfold::forward(g, &x, &w, &mut found, ending);
            same(&found, &y, "output from patches");
            let mut found = vec![A::nan(); dx.len()];
            unfold::input_gradient(g, &dz, &w, &mut found);
            same(&found, &dx, "gradient of the images from patches");
            let mut found = vec![A::nan(); dw.len()];
            unfold::weight_gradient(g, &x, &dz, &mut found, A::zero());
            same(&found, &dw, "gradient of the weight from patches");
        }
        if g.groups == g.channels {
            let relu = |y: Vec<A>| y.into_iter().map(|y| y.max(A::zero())).collect::<Vec<_>>();
            // One channel a group: (taps, 1, filters) is (taps, channels, multiplier).
            let mut found = vec![A::nan(); y.len()];
            depthwise(g, &x, &w, Some(&bias), &mut found);
            same(&relu(found), &y, "each channel by itself");
            let mut found = vec![A::nan(); dx.len()];
            depthwise_input_gradient(g, &dz, &w, &mut found);
            same(&found, &dx, "each channel's image gradient");
            let mut found = vec![A::zero(); dw.len()];
            depthwise_weight_gradient(g, &x, &dz, &mut found);
            same(&found, &dw, "each channel's weight gradient");
        }
    }

    #[test]
    fn any_convolution_is_that_of_seven_loops() {
        let mut draw = Draw(1);
        for round in 0..400 {
            let groups = [1, 1, 1, 2, 3][draw.below(5)];
            let depthwise = draw.below(4) == 0;
            let channels = groups * [1, 2, 3, 8, 5][draw.below(5)];
            let groups = if depthwise { channels } else { groups };
            let filters = groups * [1, 2, 3, 17, 20, 33][draw.below(if depthwise { 3 } else { 6 })];
            let mut g = Geometry { height: draw.extent(), width: draw.extent(), channels, filters, groups };
            if round % 7 == 0 {
                g.height = Extent { input: 1, output: 1, kernel: 1, stride: 1, dilation: 1, before: 0 };
            }
            let images = 1 + draw.below(4);
            check::<f32>(&g, images, &mut draw);
            check::<f64>(&g, images, &mut draw);
        }
        // Larger than what is worked on at once.
        let axis =
            |input, before| Extent { input, output: input + 2 * before - 2, kernel: 3, stride: 1, dilation: 1, before };
        for (before, channels, filters) in [(0, 5, 40), (1, 16, 16), (1, 40, 5)] {
            let g = Geometry { height: axis(31, before), width: axis(29, before), channels, filters, groups: 1 };
            check::<f32>(&g, 3, &mut draw);
        }
    }

    #[test]
    fn convolutions_by_tiles_are_those_of_seven_loops_but_for_rounding() {
        let mut draw = Draw(2);
        let axis =
            |input, before| Extent { input, output: input + 2 * before - 2, kernel: 3, stride: 1, dilation: 1, before };
        for (height, width, before, channels, filters) in
            [(14, 14, 0, 32, 64), (13, 11, 0, 9, 20), (16, 9, 1, 17, 8), (30, 33, 2, 8, 50), (8, 8, 1, 70, 33)]
        {
            let g = Geometry { height: axis(height, before), width: axis(width, before), channels, filters, groups: 1 };
            for images in [13, 30] {
                assert!(winograd::serves_weight_gradient::<f32>(&g, images), "{g:?}");
                check::<f32>(&g, images, &mut draw);
            }
        }
    }
}
