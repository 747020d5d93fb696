use super::{Border, Edges};
use crate::layers::Padding;
use crate::layers::thin::thin_layer;

/// Zeros before and after a sequence: `(batch, time, features)` becomes `(batch, before + time + after, features)`.
///
/// dx is the part of dy that is not padding.
///
/// ```
/// use layerwise::layers::ZeroPadding1d;
/// use layerwise::prelude::*;
/// use ndarray::array;
///
/// let y = ZeroPadding1d::new(1, 2).predict(&array![[[5.0_f32], [6.0]]])?;
/// assert_eq!(y, array![[[0.0], [5.0], [6.0], [0.0], [0.0]]].into_dyn());
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ZeroPadding1d(Edges);

impl ZeroPadding1d {
    /// With so many steps before the first and after the last one.
    pub fn new(before: usize, after: usize) -> Self {
        ZeroPadding1d(Edges::of_sequence(Border::Zero, before, after))
    }
}

thin_layer!(ZeroPadding1d, settings => Edges::sequence_from_config(Border::Zero, settings));

/// Zeros around an image: `(batch, height, width, channels)` becomes
/// `(batch, top + height + bottom, left + width + right, channels)`.
///
/// dx is the part of dy that is not padding.
///
/// ```
/// use layerwise::layers::ZeroPadding2d;
/// use layerwise::prelude::*;
///
/// let layer = ZeroPadding2d::new([(0, 1), (2, 2)]); // or 1, or (1, 2): the same on opposite sides
/// assert_eq!(Layer::<f32>::output_shape(&layer, &[8, 8, 3])?, [9, 12, 3]);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ZeroPadding2d(Edges);

impl ZeroPadding2d {
    /// With so much on all sides, `(height, width)` on either side of the axes, or `[(top, bottom), (left, right)]`.
    pub fn new(padding: impl Into<Padding>) -> Self {
        ZeroPadding2d(Edges::of_image(Border::Zero, padding))
    }
}

thin_layer!(ZeroPadding2d, settings => Edges::image_from_config(Border::Zero, settings));
