use ndarray_rand::rand_distr::{Beta, Distribution};
use serde_json::{Value, json};

use super::{Augment, ImageBatch};
use crate::error::{Error, Result};
use crate::scalar::Scalar;

/// x = s x_i + (1 - s) x_j and t = s t_i + (1 - s) t_j: every image of a batch is laid over another one (Zhang et al.
/// 2018).
///
/// For each image j is any of the batch and s comes from a Beta(alpha, alpha) distribution; alpha is 0.2 by default
/// (Keras's). Class labels become a number for each class, which
/// [`SoftmaxCrossEntropy`](crate::losses::SoftmaxCrossEntropy) takes; sample weights stay as they are. Metrics of the
/// training batches count the class with the larger share.
///
/// ```
/// use layerwise::data::augmentation::MixUp;
/// let mix_up = MixUp::new(10).alpha(0.4);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct MixUp {
    classes: usize,
    alpha: f64,
}

impl MixUp {
    /// For so many classes.
    pub fn new(classes: usize) -> Self {
        MixUp { classes, alpha: 0.2 }
    }

    /// How strongly: near 0 hardly ever, 1 by any share alike.
    #[must_use]
    pub fn alpha(mut self, alpha: f64) -> Self {
        self.alpha = alpha;
        self
    }
}

impl<A: Scalar> Augment<A> for MixUp {
    fn kind(&self) -> &str {
        "MixUp"
    }

    fn config(&self) -> Value {
        json!({ "classes": self.classes, "alpha": self.alpha })
    }

    fn check(&self, _: [usize; 3]) -> Result<()> {
        shares("MixUp", self.classes, self.alpha).map(drop)
    }

    fn batch(&self, batch: &mut ImageBatch<'_, A>) -> Result<()> {
        let shares = shares("MixUp", self.classes, self.alpha)?;
        batch.mix(self.classes, |image, other, rng| {
            let share = shares.sample(rng);
            let (own, rest) = (A::of(share), A::of(1.0 - share));
            image.values().iter_mut().zip(other).for_each(|(x, &other)| *x = own * *x + rest * other);
            share
        })
    }
}

/// The distribution of shares, if the settings allow one.
pub(super) fn shares(kind: &str, classes: usize, alpha: f64) -> Result<Beta<f64>> {
    if classes < 2 {
        return Err(Error::setting(format!("classes of {kind}"), "at least 2", classes));
    }
    let beta = Beta::new(alpha, alpha).ok().filter(|_| alpha.is_finite());
    beta.ok_or_else(|| Error::setting(format!("alpha of {kind}"), "a finite number above 0", alpha))
}
