//! Images and sequences as one: a sequence is an image of height 1.

use ndarray::IxDyn;

use crate::error::{Error, Result};

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
    /// The extents of one sample.
    pub(super) fn of_sample(self, sample: &[usize]) -> Result<Image> {
        self.read(1, sample, || {
            let axes = if self == Axes::Image { "(height, width, channels)" } else { "(time, features)" };
            Error::shape("input of one sample", format!("shape {axes} without a 0"), sample)
        })
    }

    /// The extents of a batch, which may be empty.
    pub(super) fn of_batch(self, shape: &[usize]) -> Result<Image> {
        let refused = || {
            let axes = if self == Axes::Image { "(batch, height, width, channels)" } else { "(batch, time, features)" };
            Error::shape("input", format!("shape {axes} without a 0 after the batch"), shape)
        };
        match shape {
            [batch, sample @ ..] => self.read(*batch, sample, refused),
            [] => Err(refused()),
        }
    }

    fn read(self, batch: usize, sample: &[usize], refused: impl Fn() -> Error) -> Result<Image> {
        let image = match (self, sample) {
            (Axes::Sequence, &[width, channels]) => Image { batch, height: 1, width, channels },
            (Axes::Image, &[height, width, channels]) => Image { batch, height, width, channels },
            _ => return Err(refused()),
        };
        if image.height * image.width * image.channels == 0 { Err(refused()) } else { Ok(image) }
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
