use ndarray::{Array1, Array4};

use crate::error::{Error, Result};

/// Images with a class each.
///
/// [`Trainer::fit`](crate::Trainer::fit) takes `(&set.images, &set.labels)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Images {
    /// `(samples, height, width, channels)`, from 0 to 1.
    pub images: Array4<f32>,
    /// `(samples)`: the number of each image's class.
    pub labels: Array1<usize>,
    /// The names of the classes, in the order of their numbers.
    pub classes: Vec<String>,
}

impl Images {
    /// The number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are no images.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The images of these numbers, in this order.
    ///
    /// # Errors
    /// [`Error::Value`] for a number that is none of an image.
    pub fn rows(&self, rows: &[usize]) -> Result<Images> {
        Ok(Images {
            images: super::take(&self.images, rows)?,
            labels: super::take(&self.labels, rows)?,
            classes: self.classes.clone(),
        })
    }

    /// Refuses images without a label, and labels without a class.
    pub(super) fn check(self, name: &str) -> Result<Images> {
        let (images, labels) = (self.images.dim().0, self.labels.len());
        if images != labels {
            return Err(Error::length(format!("labels of {name} against its images"), images, labels));
        }
        match self.labels.iter().position(|&label| label >= self.classes.len()) {
            Some(at) => {
                let expected = format!("below {}, the number of classes", self.classes.len());
                Err(Error::value(format!("class label of {name}"), &[at], expected, self.labels[at]))
            }
            None => Ok(self),
        }
    }
}

/// Images to learn from, and others to see what was learned.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainTest {
    /// To learn from.
    pub train: Images,
    /// To see what was learned.
    pub test: Images,
}
