use rand::Rng;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use super::{Augment, Fill, Image};
use crate::error::{Error, Result};
use crate::scalar::Scalar;

/// Pads an image on every side and cuts its own size out of it at random (torchvision's `RandomCrop` with padding, the
/// augmentation of the ResNet paper for CIFAR: He et al. 2016).
///
/// That is a shift by whole pixels, from -padding to padding in each direction, all equally likely. The padding is
/// 0 by default.
///
/// ```
/// use layerwise::data::augmentation::RandomCrop;
/// let crop = RandomCrop::new(4);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct RandomCrop {
    padding: usize,
    fill: Fill,
}

impl RandomCrop {
    /// With so many pixels of padding on every side.
    pub fn new(padding: usize) -> Self {
        RandomCrop { padding, fill: Fill::Constant(0.0) }
    }

    /// What the padding is made of.
    #[must_use]
    pub fn fill(mut self, fill: Fill) -> Self {
        self.fill = fill;
        self
    }
}

impl<A: Scalar> Augment<A> for RandomCrop {
    fn kind(&self) -> &str {
        "RandomCrop"
    }

    fn config(&self) -> Value {
        json!({ "padding": self.padding, "fill": self.fill.config() })
    }

    fn check(&self, [height, width, _]: [usize; 3]) -> Result<()> {
        if self.padding > height.min(width) {
            let requirement = format!("at most {}, the shorter side of the image", height.min(width));
            return Err(Error::setting("padding of RandomCrop", requirement, self.padding));
        }
        self.fill.check()
    }

    fn image(&self, image: &mut Image<'_, A>, rng: &mut ChaCha8Rng) {
        let [height, width, channels] = image.shape();
        let mut shift = || rng.random_range(0..=2 * self.padding) as i64 - self.padding as i64;
        let (down, right) = (shift(), shift());
        if (down, right) == (0, 0) {
            return;
        }
        let (from, to) = image.redraw();
        for (row, line) in to.chunks_exact_mut((width * channels).max(1)).enumerate() {
            let row = self.fill.place(row as i64 + down, height);
            for (column, pixel) in line.chunks_exact_mut(channels.max(1)).enumerate() {
                match row.zip(self.fill.place(column as i64 + right, width)) {
                    Some((row, column)) => {
                        pixel.copy_from_slice(&from[(row * width + column) * channels..][..channels]);
                    }
                    None => pixel.fill(self.fill.value()),
                }
            }
        }
    }
}
