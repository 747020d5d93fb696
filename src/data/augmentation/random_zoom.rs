use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use super::warp::{Affine, warp};
use super::{Augment, Factor, Fill, Image};
use crate::error::Result;
use crate::scalar::Scalar;

/// Makes what an image shows larger or smaller around its centre (Keras's `RandomZoom`).
///
/// A factor f shows 1 + f times as much of the picture: above 0 zooms out, below 0 zooms in. Height and width have one
/// draw, so that proportions stay, unless [`width`](Self::width) gives the width its own. What comes in is
/// [`Fill::Reflect`] by default, and between pixels values are interpolated linearly, as in Keras.
///
/// ```
/// use layerwise::data::augmentation::RandomZoom;
/// let zoom = RandomZoom::new((-0.2, 0.1));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct RandomZoom {
    height: Factor,
    width: Option<Factor>,
    fill: Fill,
}

impl RandomZoom {
    /// By one factor in both directions.
    pub fn new(factor: impl Into<Factor>) -> Self {
        RandomZoom { height: factor.into(), width: None, fill: Fill::Reflect }
    }

    /// By a factor of its own in width.
    #[must_use]
    pub fn width(mut self, factor: impl Into<Factor>) -> Self {
        self.width = Some(factor.into());
        self
    }

    /// What comes in from beyond the edge.
    #[must_use]
    pub fn fill(mut self, fill: Fill) -> Self {
        self.fill = fill;
        self
    }
}

impl<A: Scalar> Augment<A> for RandomZoom {
    fn kind(&self) -> &str {
        "RandomZoom"
    }

    fn config(&self) -> Value {
        json!({ "height": self.height.config(), "width": self.width.map(Factor::config), "fill": self.fill.config() })
    }

    fn check(&self, _: [usize; 3]) -> Result<()> {
        self.height.check("factor of RandomZoom")?;
        self.width.map_or(Ok(()), |width| width.check("width factor of RandomZoom"))?;
        self.fill.check()
    }

    fn image(&self, image: &mut Image<'_, A>, rng: &mut ChaCha8Rng) {
        let height = 1.0 + self.height.draw(rng);
        let width = self.width.map_or(height, |width| 1.0 + width.draw(rng));
        warp(image, &Affine { m: [[height, 0.0], [0.0, width]], shift: [0.0; 2] }, self.fill);
    }
}
