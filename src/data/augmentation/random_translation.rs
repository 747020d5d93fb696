use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use super::warp::{Affine, warp};
use super::{Augment, Factor, Fill, Image};
use crate::error::Result;
use crate::scalar::Scalar;

/// Shifts an image (Keras's `RandomTranslation`).
///
/// Factors are shares of the height and the width; above 0 is down and to the right. What comes in is
/// [`Fill::Reflect`] by default, and between pixels values are interpolated linearly, as in Keras.
///
/// ```
/// use layerwise::data::augmentation::RandomTranslation;
/// let shift = RandomTranslation::new(0.1, 0.1); // up to a tenth, any way
/// let down = RandomTranslation::new((0.0, 0.2), 0.0);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct RandomTranslation {
    height: Factor,
    width: Factor,
    fill: Fill,
}

impl RandomTranslation {
    /// By shares of the height and of the width.
    pub fn new(height: impl Into<Factor>, width: impl Into<Factor>) -> Self {
        RandomTranslation { height: height.into(), width: width.into(), fill: Fill::Reflect }
    }

    /// What comes in from beyond the edge.
    #[must_use]
    pub fn fill(mut self, fill: Fill) -> Self {
        self.fill = fill;
        self
    }
}

impl<A: Scalar> Augment<A> for RandomTranslation {
    fn kind(&self) -> &str {
        "RandomTranslation"
    }

    fn config(&self) -> Value {
        json!({ "height": self.height.config(), "width": self.width.config(), "fill": self.fill.config() })
    }

    fn check(&self, _: [usize; 3]) -> Result<()> {
        self.height.check("height factor of RandomTranslation")?;
        self.width.check("width factor of RandomTranslation")?;
        self.fill.check()
    }

    fn image(&self, image: &mut Image<'_, A>, rng: &mut ChaCha8Rng) {
        let [height, width, _] = image.shape();
        let shift = [self.height.draw(rng) * height as f64, self.width.draw(rng) * width as f64];
        warp(image, &Affine { m: [[1.0, 0.0], [0.0, 1.0]], shift }, self.fill);
    }
}
