use rand::Rng;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use super::{Augment, Image};
use crate::scalar::Scalar;

/// Turns an image into its mirror image, every second time on average (Keras's `RandomFlip`).
///
/// ```
/// use layerwise::data::augmentation::RandomFlip;
/// let flip = RandomFlip::horizontal();
/// ```
#[derive(Clone, Copy, Debug)]
pub struct RandomFlip {
    horizontal: bool,
    vertical: bool,
}

impl RandomFlip {
    /// Left and right change places.
    pub fn horizontal() -> Self {
        RandomFlip { horizontal: true, vertical: false }
    }

    /// Top and bottom change places.
    pub fn vertical() -> Self {
        RandomFlip { horizontal: false, vertical: true }
    }

    /// Either, each by its own draw (Keras's default).
    pub fn both() -> Self {
        RandomFlip { horizontal: true, vertical: true }
    }
}

impl<A: Scalar> Augment<A> for RandomFlip {
    fn kind(&self) -> &str {
        "RandomFlip"
    }

    fn config(&self) -> Value {
        json!({ "horizontal": self.horizontal, "vertical": self.vertical })
    }

    fn image(&self, image: &mut Image<'_, A>, rng: &mut ChaCha8Rng) {
        let [_, width, channels] = image.shape();
        let line = width * channels;
        if self.horizontal && rng.random::<bool>() {
            // Turned round value by value and then each pixel back again, the channels are in their order.
            for line in image.values().chunks_exact_mut(line.max(1)) {
                line.reverse();
                line.chunks_exact_mut(channels.max(1)).for_each(<[A]>::reverse);
            }
        }
        if self.vertical && rng.random::<bool>() {
            let values = image.values();
            values.reverse();
            values.chunks_exact_mut(line.max(1)).for_each(<[A]>::reverse);
        }
    }
}
