use std::sync::Arc;

use serde_json::{Value, json};

use super::Augment;
use super::batch::{Draw, ImageBatch, Preparer, image_shape};
use crate::data::Dataset;
use crate::error::Result;
use crate::scalar::Scalar;

/// Augmentations, one after the other.
///
/// ```
/// use layerwise::data::augmentation::{Augmentations, Fill, RandomCrop, RandomFlip};
/// use layerwise::data::{Dataset, datasets};
///
/// let digits = datasets::digits_images();
/// let data = Dataset::new(&digits.images, &digits.labels)?;
/// let augmentations = Augmentations::new().add(RandomFlip::horizontal()).add(RandomCrop::new(1).fill(Fill::Nearest));
/// let first = augmentations.apply(&data, 7, 0)?;
/// assert_eq!(first.inputs()[0].shape(), [1797, 8, 8, 1]);
/// assert_ne!(first.inputs()[0], augmentations.apply(&data, 7, 1)?.inputs()[0]);
/// # Ok::<(), layerwise::Error>(())
/// ```
#[derive(Clone)]
pub struct Augmentations<A: Scalar = f32> {
    list: Vec<Arc<dyn Augment<A>>>,
}

impl<A: Scalar> Default for Augmentations<A> {
    fn default() -> Self {
        Self::of()
    }
}

impl Augmentations {
    /// None yet, for `f32` images.
    pub fn new() -> Self {
        Self::of()
    }
}

impl<A: Scalar> Augmentations<A> {
    /// None yet, for images of any number type.
    pub fn of() -> Self {
        Augmentations { list: Vec::new() }
    }

    /// One more, after those that are there.
    #[must_use]
    #[allow(clippy::should_implement_trait)] // a list grows, it is no sum
    pub fn add(mut self, augmentation: impl Augment<A> + 'static) -> Self {
        self.list.push(Arc::new(augmentation));
        self
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// A data set as an epoch (counted from 0) sees it, as one batch: for looking at it, and for one's own training
    /// loops. The images are the first input.
    ///
    /// # Errors
    /// Where a setting cannot work, the first input holds no images, or the targets are not what mixing needs.
    pub fn apply(&self, data: &Dataset<A>, seed: u64, epoch: u64) -> Result<Dataset<A>> {
        if self.is_empty() {
            return Ok(data.clone());
        }
        self.check_data(data)?;
        let rows: Vec<usize> = (0..data.len()).collect();
        let mut augmented = Dataset::unfilled();
        Preparer::new().prepare(self, Draw { seed, epoch, before: 0 }, data, &rows, &mut augmented)?;
        Ok(augmented)
    }

    /// Kind and settings of each.
    pub(crate) fn settings(&self) -> Value {
        self.list.iter().map(|one| json!({ "kind": one.kind(), "config": one.config() })).collect()
    }

    /// Refuses what cannot be applied to a data set.
    pub(crate) fn check_data(&self, data: &Dataset<A>) -> Result<()> {
        if self.is_empty() { Ok(()) } else { self.check(image_shape(data)?) }
    }
}

impl<A: Scalar> Augment<A> for Augmentations<A> {
    fn kind(&self) -> &str {
        "Augmentations"
    }

    fn config(&self) -> Value {
        self.settings()
    }

    fn check(&self, image: [usize; 3]) -> Result<()> {
        self.list.iter().try_for_each(|augmentation| augmentation.check(image))
    }

    fn batch(&self, batch: &mut ImageBatch<'_, A>) -> Result<()> {
        self.list.iter().try_for_each(|augmentation| augmentation.batch(batch))
    }
}
