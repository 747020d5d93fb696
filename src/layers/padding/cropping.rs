use super::{Border, Edges};
use crate::layers::Padding;
use crate::layers::thin::thin_layer;

/// A sequence without its first and last steps: `(batch, time, features)` becomes
/// `(batch, time - before - after, features)`, of which at least one step must be left. dx is dy with zeros around.
///
/// ```
/// use layerwise::layers::Cropping1d;
/// use layerwise::prelude::*;
/// use ndarray::array;
///
/// let y = Cropping1d::new(1, 0).predict(&array![[[1.0_f32], [2.0], [3.0]]])?;
/// assert_eq!(y, array![[[2.0], [3.0]]].into_dyn());
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Cropping1d(Edges);

impl Cropping1d {
    /// Without so many steps at the start and at the end.
    pub fn new(before: usize, after: usize) -> Self {
        Cropping1d(Edges::of_sequence(Border::Cropping, before, after))
    }
}

thin_layer!(Cropping1d, settings => Edges::sequence_from_config(Border::Cropping, settings));

/// An image without its edges: `(batch, height, width, channels)` becomes
/// `(batch, height - top - bottom, width - left - right, channels)`, of which at least one pixel must be left. dx is dy
/// with zeros around.
///
/// ```
/// use layerwise::layers::Cropping2d;
/// use layerwise::prelude::*;
///
/// let layer = Cropping2d::new([(0, 1), (2, 2)]); // or 1, or (1, 2): the same on opposite sides
/// assert_eq!(Layer::<f32>::output_shape(&layer, &[8, 8, 3])?, [7, 4, 3]);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Cropping2d(Edges);

impl Cropping2d {
    /// Without so much on all sides, `(height, width)` on either side of the axes, or
    /// `[(top, bottom), (left, right)]`.
    pub fn new(cropping: impl Into<Padding>) -> Self {
        Cropping2d(Edges::of_image(Border::Cropping, cropping))
    }
}

thin_layer!(Cropping2d, settings => Edges::image_from_config(Border::Cropping, settings));
