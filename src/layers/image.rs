//! Images and sequences as one: a sequence is an image of height 1.

use ndarray::IxDyn;

use crate::error::{Error, Result};
use crate::tensor::count;

/// What the axes of a sample are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Axes {
    /// `(time, features)`.
    Sequence,
    /// `(height, width, channels)`.
    Image,
}

/// The extents of a batch of images, or of sequences, whose width is the time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Image {
    pub(super) batch: usize,
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) channels: usize,
}

impl Axes {
    /// Those of samples that a layer goes over along one axis, or along two.
    pub(super) fn along(axes: usize) -> Self {
        if axes == 1 { Axes::Sequence } else { Axes::Image }
    }

    /// What they are called.
    pub(super) fn names(self) -> &'static str {
        if self == Axes::Image { "height, width, channels" } else { "time, features" }
    }

    /// The extents of one sample.
    pub(super) fn of_sample(self, sample: &[usize]) -> Result<Image> {
        count("input of one sample", sample)?;
        self.read(1, sample)
            .filter(|image| !image.is_empty())
            .ok_or_else(|| Error::shape("input of one sample", format!("shape ({}) without a 0", self.names()), sample))
    }

    /// The extents of a batch, which may be empty.
    pub(super) fn of_batch(self, shape: &[usize]) -> Result<Image> {
        let image = shape.split_first().and_then(|(&batch, sample)| self.read(batch, sample));
        image.filter(|image| !image.is_empty()).ok_or_else(|| {
            Error::shape("input", format!("shape (batch, {}) without a 0 after the batch", self.names()), shape)
        })
    }

    /// The extents of so many samples of this shape, whatever they are, if it has these axes.
    pub(super) fn read(self, batch: usize, sample: &[usize]) -> Option<Image> {
        match (self, sample) {
            (Axes::Sequence, &[width, channels]) => Some(Image { batch, height: 1, width, channels }),
            (Axes::Image, &[height, width, channels]) => Some(Image { batch, height, width, channels }),
            _ => None,
        }
    }

    /// The shape of a batch.
    pub(super) fn shape(self, image: Image) -> IxDyn {
        let Image { batch, height, width, channels } = image;
        match self {
            Axes::Sequence => IxDyn(&[batch, width, channels]),
            Axes::Image => IxDyn(&[batch, height, width, channels]),
        }
    }
}

impl Image {
    /// Whether a sample holds no numbers.
    pub(super) fn is_empty(self) -> bool {
        self.height == 0 || self.width == 0 || self.channels == 0
    }
}
