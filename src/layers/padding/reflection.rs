use super::{Border, Edges};
use crate::layers::Padding;
use crate::layers::thin::thin_layer;

/// A sequence mirrored at its first and last steps, which are not repeated: as PyTorch's `ReflectionPad1d`.
///
/// `(batch, time, features)` becomes `(batch, before + time + after, features)`; both must be below `time`. Each step
/// of dx is the sum of dy where it was read.
///
/// ```
/// use layerwise::layers::ReflectionPadding1d;
/// use layerwise::prelude::*;
/// use ndarray::array;
///
/// let y = ReflectionPadding1d::new(2, 1).predict(&array![[[1.0_f32], [2.0], [3.0]]])?;
/// assert_eq!(y, array![[[3.0], [2.0], [1.0], [2.0], [3.0], [2.0]]].into_dyn());
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ReflectionPadding1d(Edges);

impl ReflectionPadding1d {
    /// With so many steps before the first and after the last one.
    pub fn new(before: usize, after: usize) -> Self {
        ReflectionPadding1d(Edges::of_sequence(Border::Reflection, before, after))
    }
}

thin_layer!(ReflectionPadding1d, settings => Edges::sequence_from_config(Border::Reflection, settings));

/// An image mirrored at its edges, which are not repeated: as PyTorch's `ReflectionPad2d`.
///
/// `(batch, height, width, channels)` becomes `(batch, top + height + bottom, left + width + right, channels)`; what is
/// added on a side must be below the extent of its axis. Each pixel of dx is the sum of dy where it was read.
///
/// ```
/// use layerwise::layers::ReflectionPadding2d;
/// use layerwise::prelude::*;
///
/// assert_eq!(Layer::<f32>::output_shape(&ReflectionPadding2d::new(3), &[8, 9, 3])?, [14, 15, 3]);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ReflectionPadding2d(Edges);

impl ReflectionPadding2d {
    /// With so much on all sides, `(height, width)` on either side of the axes, or `[(top, bottom), (left, right)]`.
    pub fn new(padding: impl Into<Padding>) -> Self {
        ReflectionPadding2d(Edges::of_image(Border::Reflection, padding))
    }
}

thin_layer!(ReflectionPadding2d, settings => Edges::image_from_config(Border::Reflection, settings));
