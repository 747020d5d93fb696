//! Images changed at random, so that a network sees each of them in many forms.
//!
//! [`Trainer::augment`](crate::Trainer::augment) applies them to the batches of a run while the batch before is being
//! trained on; [`Augmentations`] is a list of them that can be applied to a data set by hand. Names, factors and fill
//! modes are those of Keras's layers of preprocessing; what Keras lacks has its paper named. No augmentation changes
//! the shape of an image, so that training and validation see one shape.
//!
//! Every augmentation draws from a stream of its own for each (seed, epoch, sample, place in the list). What becomes of
//! an image therefore depends neither on threads nor on how samples fall into batches, and a run that is taken up again
//! sees the same images. [`MixUp`] and [`CutMix`] mix samples of one batch: there the batch counts too.

mod augmentations;
mod batch;
mod cut_mix;
mod cutout;
mod factor;
mod mix_up;
mod patch;
mod random_contrast;
mod random_crop;
mod random_flip;
mod random_rotation;
mod random_translation;
mod random_zoom;
mod warp;

pub use augmentations::Augmentations;
pub(crate) use batch::{Draw, Preparer};
pub use batch::{Image, ImageBatch};
pub use cut_mix::CutMix;
pub use cutout::Cutout;
pub use factor::Factor;
pub use mix_up::MixUp;
pub use random_contrast::RandomContrast;
pub use random_crop::RandomCrop;
pub use random_flip::RandomFlip;
pub use random_rotation::RandomRotation;
pub use random_translation::RandomTranslation;
pub use random_zoom::RandomZoom;
pub use warp::Fill;

use rand_chacha::ChaCha8Rng;
use serde_json::Value;

use crate::error::{Error, Result};
use crate::scalar::Scalar;

/// A random change of images, and of their targets where they are mixed.
///
/// An augmentation of one's own that looks at one image at a time takes two methods:
///
/// ```
/// use layerwise::data::augmentation::{Augment, Augmentations, Image};
/// use layerwise::prelude::*;
/// use rand::Rng;
///
/// /// Makes an image as bright as chance has it.
/// struct RandomBrightness;
///
/// impl<A: Scalar> Augment<A> for RandomBrightness {
///     fn kind(&self) -> &str {
///         "RandomBrightness"
///     }
///
///     fn image(&self, image: &mut Image<'_, A>, rng: &mut rand_chacha::ChaCha8Rng) {
///         let more = A::of(rng.random_range(-0.2..0.2));
///         image.values().iter_mut().for_each(|value| *value += more);
///     }
/// }
///
/// let trainer = Trainer::new(SoftmaxCrossEntropy::new(), Adam::new(1e-3)).augment(RandomBrightness);
/// ```
pub trait Augment<A: Scalar = f32>: Send + Sync {
    /// The augmentation's name, as errors and files have it.
    fn kind(&self) -> &str;

    /// The settings, as JSON: a run goes on from a checkpoint only with the same.
    fn config(&self) -> Value {
        Value::Null
    }

    /// Refuses settings that cannot work, and images `[height, width, channels]` that cannot be changed so.
    ///
    /// # Errors
    /// [`Error::Setting`] or [`Error::Shape`].
    fn check(&self, image: [usize; 3]) -> Result<()> {
        let _ = image;
        Ok(())
    }

    /// Changes one image, by draws from its own stream.
    fn image(&self, image: &mut Image<'_, A>, rng: &mut ChaCha8Rng) {
        let _ = (image, rng);
    }

    /// Changes a batch: by default every image by itself.
    ///
    /// # Errors
    /// Where the targets are not what the augmentation needs.
    fn batch(&self, batch: &mut ImageBatch<'_, A>) -> Result<()> {
        batch.each_image(|image, rng| self.image(image, rng));
        Ok(())
    }
}

/// Refuses a probability that is none.
fn check_probability(name: &str, probability: f64) -> Result<()> {
    if (0.0..=1.0).contains(&probability) {
        return Ok(());
    }
    Err(Error::setting(name, "from 0 to 1", probability))
}
