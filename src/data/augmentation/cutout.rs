use rand::Rng;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use super::patch::Patch;
use super::{Augment, Image, check_probability};
use crate::error::{Error, Result};
use crate::scalar::Scalar;

/// Covers a square of an image, so that the network learns not to rely on one part (DeVries and Taylor 2017).
///
/// The middle of the square is any pixel, all equally likely, so that part of it may lie beyond the edge. Cover and
/// probability are 0 and 1 by default, as in the paper.
///
/// ```
/// use layerwise::data::augmentation::Cutout;
/// let cutout = Cutout::new(8).value(0.5).probability(0.5);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Cutout {
    size: usize,
    value: f64,
    probability: f64,
}

impl Cutout {
    /// With so many pixels to a side.
    pub fn new(size: usize) -> Self {
        Cutout { size, value: 0.0, probability: 1.0 }
    }

    /// What covers it.
    #[must_use]
    pub fn value(mut self, value: f64) -> Self {
        self.value = value;
        self
    }

    /// How likely an image is covered at all.
    #[must_use]
    pub fn probability(mut self, probability: f64) -> Self {
        self.probability = probability;
        self
    }
}

impl<A: Scalar> Augment<A> for Cutout {
    fn kind(&self) -> &str {
        "Cutout"
    }

    fn config(&self) -> Value {
        json!({ "size": self.size, "value": self.value, "probability": self.probability })
    }

    fn check(&self, [height, width, _]: [usize; 3]) -> Result<()> {
        let most = 2 * height.max(width);
        if !(1..=most).contains(&self.size) {
            return Err(Error::setting("size of Cutout", format!("from 1 to {most} for such images"), self.size));
        }
        if !self.value.is_finite() {
            return Err(Error::setting("value of Cutout", "a finite number", self.value));
        }
        check_probability("probability of Cutout", self.probability)
    }

    fn image(&self, image: &mut Image<'_, A>, rng: &mut ChaCha8Rng) {
        let [height, width, channels] = image.shape();
        if rng.random::<f64>() >= self.probability {
            return;
        }
        let patch = Patch::draw([height, width], [self.size; 2], rng);
        let values = image.values();
        patch.lines(width, channels).for_each(|line| values[line].fill(A::of(self.value)));
    }
}
