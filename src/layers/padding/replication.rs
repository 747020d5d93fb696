use super::{Border, Edges};
use crate::layers::Padding;
use crate::layers::thin::thin_layer;

/// A sequence whose first and last steps go on: as PyTorch's `ReplicationPad1d`.
///
/// `(batch, time, features)` becomes `(batch, before + time + after, features)`. Each step of dx is the sum of dy where
/// it was read.
///
/// ```
/// use layerwise::layers::ReplicationPadding1d;
/// use layerwise::prelude::*;
/// use ndarray::array;
///
/// let y = ReplicationPadding1d::new(2, 1).predict(&array![[[1.0_f32], [2.0], [3.0]]])?;
/// assert_eq!(y, array![[[1.0], [1.0], [1.0], [2.0], [3.0], [3.0]]].into_dyn());
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ReplicationPadding1d(Edges);

impl ReplicationPadding1d {
    /// With so many steps before the first and after the last one.
    pub fn new(before: usize, after: usize) -> Self {
        ReplicationPadding1d(Edges::of_sequence(Border::Replication, before, after))
    }
}

thin_layer!(ReplicationPadding1d, settings => Edges::sequence_from_config(Border::Replication, settings));

/// An image whose edges go on: as PyTorch's `ReplicationPad2d`.
///
/// `(batch, height, width, channels)` becomes `(batch, top + height + bottom, left + width + right, channels)`. Each
/// pixel of dx is the sum of dy where it was read.
///
/// ```
/// use layerwise::layers::ReplicationPadding2d;
/// use layerwise::prelude::*;
///
/// assert_eq!(Layer::<f32>::output_shape(&ReplicationPadding2d::new((1, 2)), &[8, 9, 3])?, [10, 13, 3]);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ReplicationPadding2d(Edges);

impl ReplicationPadding2d {
    /// With so much on all sides, `(height, width)` on either side of the axes, or `[(top, bottom), (left, right)]`.
    pub fn new(padding: impl Into<Padding>) -> Self {
        ReplicationPadding2d(Edges::of_image(Border::Replication, padding))
    }
}

thin_layer!(ReplicationPadding2d, settings => Edges::image_from_config(Border::Replication, settings));
