use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use super::{Augment, Factor, Image};
use crate::error::{Error, Result};
use crate::scalar::Scalar;

/// x = m + (1 + f) (x - m), where m is the mean of a channel over the image (Keras's `RandomContrast`).
///
/// The factor f is one draw for the image; -1 leaves nothing but the means. As in Keras, values are then held to the
/// range that images have: 0 to 1 unless [`range`](Self::range) says otherwise.
///
/// ```
/// use layerwise::data::augmentation::RandomContrast;
/// let contrast = RandomContrast::new(0.3);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct RandomContrast {
    factor: Factor,
    range: (f64, f64),
}

impl RandomContrast {
    /// By a factor.
    pub fn new(factor: impl Into<Factor>) -> Self {
        RandomContrast { factor: factor.into(), range: (0.0, 1.0) }
    }

    /// The least and the largest value of an image; infinite where nothing is to be held.
    #[must_use]
    pub fn range(mut self, low: f64, high: f64) -> Self {
        self.range = (low, high);
        self
    }
}

impl<A: Scalar> Augment<A> for RandomContrast {
    fn kind(&self) -> &str {
        "RandomContrast"
    }

    fn config(&self) -> Value {
        json!({ "factor": self.factor.config(), "range": self.range })
    }

    fn check(&self, _: [usize; 3]) -> Result<()> {
        self.factor.check("factor of RandomContrast")?;
        let (low, high) = self.range;
        if low < high {
            return Ok(());
        }
        Err(Error::setting("range of RandomContrast", "two rising numbers", format!("{low} to {high}")))
    }

    fn image(&self, image: &mut Image<'_, A>, rng: &mut ChaCha8Rng) {
        let factor = 1.0 + self.factor.draw(rng);
        let (low, high) = (A::of(self.range.0), A::of(self.range.1));
        let [height, width, channels] = image.shape();
        let values = image.values();
        for channel in 0..channels {
            let sum: f64 = values[channel..].iter().step_by(channels).map(|value| value.as_f64()).sum();
            // As a sum of two products a factor of 1 changes no bit.
            let base = A::of(sum / (height * width) as f64 * (1.0 - factor));
            let factor = A::of(factor);
            for value in values[channel..].iter_mut().step_by(channels) {
                let changed = *value * factor + base;
                // Comparisons, so that NaN stays.
                *value = if changed < low {
                    low
                } else if changed > high {
                    high
                } else {
                    changed
                };
            }
        }
    }
}
