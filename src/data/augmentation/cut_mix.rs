use ndarray_rand::rand_distr::Distribution;
use serde_json::{Value, json};

use super::mix_up::shares;
use super::patch::Patch;
use super::{Augment, ImageBatch};
use crate::error::Result;
use crate::scalar::Scalar;

/// Puts a rectangle of another image of the batch over every image, and mixes the targets by area (Yun et al. 2019).
///
/// A share s comes from a Beta(alpha, alpha) distribution, alpha being 1 by default (the paper's and Keras's); the
/// rectangle has sqrt(1 - s) of the image's height and width around any pixel and is cut off at the edge. The target is
/// t = a t_i + (1 - a) t_j, where a is the area of the image that is left. Targets and metrics are as for
/// [`MixUp`](super::MixUp).
///
/// ```
/// use layerwise::data::augmentation::CutMix;
/// let cut_mix = CutMix::new(10);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct CutMix {
    classes: usize,
    alpha: f64,
}

impl CutMix {
    /// For so many classes.
    pub fn new(classes: usize) -> Self {
        CutMix { classes, alpha: 1.0 }
    }

    /// How strongly: near 0 all or nothing, 1 by any share alike.
    #[must_use]
    pub fn alpha(mut self, alpha: f64) -> Self {
        self.alpha = alpha;
        self
    }
}

impl<A: Scalar> Augment<A> for CutMix {
    fn kind(&self) -> &str {
        "CutMix"
    }

    fn config(&self) -> Value {
        json!({ "classes": self.classes, "alpha": self.alpha })
    }

    fn check(&self, _: [usize; 3]) -> Result<()> {
        shares("CutMix", self.classes, self.alpha).map(drop)
    }

    fn batch(&self, batch: &mut ImageBatch<'_, A>) -> Result<()> {
        let shares = shares("CutMix", self.classes, self.alpha)?;
        batch.mix(self.classes, |image, other, rng| {
            let [height, width, channels] = image.shape();
            let side = (1.0 - shares.sample(rng)).sqrt();
            let size = [(side * height as f64) as usize, (side * width as f64) as usize];
            let patch = Patch::draw([height, width], size, rng);
            for line in patch.lines(width, channels) {
                image.values()[line.clone()].copy_from_slice(&other[line]);
            }
            1.0 - patch.area() as f64 / (height * width) as f64
        })
    }
}
