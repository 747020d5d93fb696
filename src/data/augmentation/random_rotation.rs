use serde_json::{Value, json};

use std::f64::consts::TAU;

use rand_chacha::ChaCha8Rng;

use super::warp::{Affine, warp};
use super::{Augment, Factor, Fill, Image};
use crate::error::Result;
use crate::scalar::Scalar;

/// Turns an image around its centre (Keras's `RandomRotation`).
///
/// The factor is a share of a full turn; above 0 is counter-clockwise. What comes in at the corners is
/// [`Fill::Reflect`] by default, and between pixels values are interpolated linearly, as in Keras.
///
/// ```
/// use layerwise::data::augmentation::RandomRotation;
/// let rotation = RandomRotation::new(10.0 / 360.0); // up to ten degrees either way
/// ```
#[derive(Clone, Copy, Debug)]
pub struct RandomRotation {
    factor: Factor,
    fill: Fill,
}

impl RandomRotation {
    /// By a share of a full turn.
    pub fn new(factor: impl Into<Factor>) -> Self {
        RandomRotation { factor: factor.into(), fill: Fill::Reflect }
    }

    /// What comes in from beyond the edge.
    #[must_use]
    pub fn fill(mut self, fill: Fill) -> Self {
        self.fill = fill;
        self
    }
}

impl<A: Scalar> Augment<A> for RandomRotation {
    fn kind(&self) -> &str {
        "RandomRotation"
    }

    fn config(&self) -> Value {
        json!({ "factor": self.factor.config(), "fill": self.fill.config() })
    }

    fn check(&self, _: [usize; 3]) -> Result<()> {
        self.factor.check("factor of RandomRotation")?;
        self.fill.check()
    }

    fn image(&self, image: &mut Image<'_, A>, rng: &mut ChaCha8Rng) {
        // From the math library of this crate, so that every machine turns by the same bits.
        let (sin, cos) = libm::sincos(TAU * self.factor.draw(rng));
        warp(image, &Affine { m: [[cos, sin], [-sin, cos]], shift: [0.0; 2] }, self.fill);
    }
}
