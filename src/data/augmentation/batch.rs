//! What augmentations work on: one image, a batch of them, and how a batch is gathered.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::{Augment, Augmentations};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::losses::class_of;
use crate::pool::Pool;
use crate::scalar::Scalar;
use crate::seed::{Stream, stream};
use crate::tensor::{Tensor, gather_rows, unravel, values, values_mut};

/// One image: `(height, width, channels)` in row-major order.
pub struct Image<'i, A> {
    shape: [usize; 3],
    values: &'i mut [A],
    before: &'i mut Vec<A>,
}

impl<A: Scalar> Image<'_, A> {
    /// `[height, width, channels]`.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// The values, to be changed where they stand.
    pub fn values(&mut self) -> &mut [A] {
        self.values
    }

    /// A copy of the image as it is, and the image, to be drawn anew from it.
    pub fn redraw(&mut self) -> (&[A], &mut [A]) {
        self.before.clear();
        self.before.extend_from_slice(self.values);
        (self.before, self.values)
    }
}

/// Which stream the draws of an epoch come from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Draw {
    pub(crate) seed: u64,
    pub(crate) epoch: u64,
    /// The samples of the epoch that came before those of the data set.
    pub(crate) before: u64,
}

/// A batch of images with its targets.
pub struct ImageBatch<'b, A: Scalar> {
    images: &'b mut [A],
    shape: [usize; 3],
    target: Option<&'b mut Tensor<A>>,
    /// The number of each sample in the data set.
    samples: &'b [usize],
    draw: Draw,
    /// How many augmentations there were before: each has streams of its own.
    stage: u64,
    preparer: &'b mut Preparer<A>,
}

impl<A: Scalar> ImageBatch<'_, A> {
    /// The number of images.
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// Never: a batch has samples.
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// `[height, width, channels]` of each image.
    pub fn image_shape(&self) -> [usize; 3] {
        self.shape
    }

    /// The number of each sample in the data set.
    pub fn samples(&self) -> &[usize] {
        self.samples
    }

    /// Calls `change` for every image with its stream.
    pub fn each_image(&mut self, mut change: impl FnMut(&mut Image<'_, A>, &mut ChaCha8Rng)) {
        let mut before = std::mem::take(&mut self.preparer.image);
        for row in 0..self.len() {
            let (mut rng, shape) = (self.rng(row), self.shape);
            change(&mut Image { shape, values: self.image(row), before: &mut before }, &mut rng);
        }
        self.preparer.image = before;
        self.stage += 1;
    }

    /// Mixes every image with another of the batch, drawn evenly, itself included.
    ///
    /// `mix` gets the image, the other one as it was before anything was mixed, and the stream of the image. It gives
    /// the share s of the image that is left, and the target becomes s t + (1 - s) t of the other, where t has a
    /// number for each of `classes`: what the target holds, or 1 for its class where it is a class label.
    ///
    /// # Errors
    /// [`Error::Shape`] where the first target is neither a label nor a number for each class, and [`Error::Value`]
    /// for a label that names no class.
    pub fn mix(
        &mut self,
        classes: usize,
        mut mix: impl FnMut(&mut Image<'_, A>, &[A], &mut ChaCha8Rng) -> f64,
    ) -> Result<()> {
        self.soften(classes)?;
        let originals = self.preparer.copy(self.images);
        let targets = self.preparer.copy(self.target.as_deref().map_or(Ok(&[][..]), values)?);
        let mut before = std::mem::take(&mut self.preparer.image);
        let size = self.shape.iter().product::<usize>();
        for row in 0..self.len() {
            let (mut rng, shape) = (self.rng(row), self.shape);
            let other = rng.random_range(0..self.len());
            let mut image = Image { shape, values: self.image(row), before: &mut before };
            let share = mix(&mut image, &values(&originals)?[other * size..][..size], &mut rng);
            let (own, rest): (A, A) = shares(share);
            let theirs = values(&targets)?[other * classes..][..classes].iter();
            if let Some(target) = self.target.as_deref_mut() {
                let target = &mut values_mut(target)[row * classes..][..classes];
                target.iter_mut().zip(theirs).for_each(|(t, &theirs)| *t = own * *t + rest * theirs);
            }
        }
        self.preparer.image = before;
        self.stage += 1;
        self.preparer.pool.give(originals);
        self.preparer.pool.give(targets);
        Ok(())
    }

    /// The stream of one row for this augmentation.
    fn rng(&self, row: usize) -> ChaCha8Rng {
        let (Draw { seed, epoch, before }, stage) = (self.draw, self.stage);
        stream(seed, Stream::Augment { epoch, stage, sample: before + self.samples[row] as u64 })
    }

    fn image(&mut self, row: usize) -> &mut [A] {
        let size = self.shape.iter().product::<usize>();
        &mut self.images[row * size..][..size]
    }

    /// Class labels become a number for each class.
    fn soften(&mut self, classes: usize) -> Result<()> {
        let rows = self.samples.len();
        let expected = || format!("class labels, or {classes} numbers for each sample");
        let Some(target) = self.target.as_deref_mut() else {
            return Err(Error::shape("target 0 of samples to mix", expected(), &[]));
        };
        match *target.shape() {
            [_, width] if width == classes => return Ok(()),
            [_] | [_, 1] => {}
            _ => return Err(Error::shape("target 0 of samples to mix", expected(), target.shape())),
        }
        let mut soft = self.preparer.pool.take(&[rows, classes]);
        let one_hot = values_mut(&mut soft);
        one_hot.fill(A::zero());
        for (row, &label) in values(target)?.iter().enumerate() {
            let Some(class) = class_of(label, classes) else {
                let expected = format!("a whole number from 0 to {}", classes - 1);
                let mut index = unravel(row, target.shape());
                index[0] = self.samples[row];
                self.preparer.pool.give(soft);
                return Err(Error::value("class label", &index, expected, label));
            };
            one_hot[row * classes + class] = A::one();
        }
        let labels = std::mem::replace(target, soft);
        self.preparer.pool.give(labels);
        Ok(())
    }
}

/// The shares of an image and of the one that is mixed in. Two classes of the very same share would leave the sample
/// without a class, which metrics refuse, so the image's own is larger by the last digit.
fn shares<A: Scalar>(share: f64) -> (A, A) {
    let own = A::of(share);
    let own = if own == A::one() - own { own + A::epsilon() } else { own };
    (own, A::one() - own)
}

/// Gathers batches and has them augmented, in buffers that come back.
pub(crate) struct Preparer<A: Scalar> {
    pool: Pool<A>,
    /// An image as it was.
    image: Vec<A>,
}

impl<A: Scalar> Preparer<A> {
    pub(crate) fn new() -> Self {
        Preparer { pool: Pool::new(), image: Vec::new() }
    }

    /// Fills `batch`, whatever it held, with the samples `rows` of `data`, augmented.
    pub(crate) fn prepare(
        &mut self,
        augmentations: &Augmentations<A>,
        draw: Draw,
        data: &Dataset<A>,
        rows: &[usize],
        batch: &mut Dataset<A>,
    ) -> Result<()> {
        batch.drain().for_each(|old| self.pool.give(old));
        batch.fill(data, rows.len(), |tensor, shape| {
            let mut gathered = self.pool.take(shape);
            gather_rows(tensor, rows, &mut gathered)?;
            Ok(gathered)
        })?;
        let (images, target) = batch.first_mut();
        let shape = image_shape(data)?;
        let images = values_mut(images);
        let mut batch = ImageBatch { images, shape, target, samples: rows, draw, stage: 0, preparer: self };
        augmentations.batch(&mut batch)
    }

    fn copy(&mut self, of: &[A]) -> Tensor<A> {
        let mut copy = self.pool.take(&[of.len()]);
        values_mut(&mut copy).copy_from_slice(of);
        copy
    }
}

/// `[height, width, channels]` of the first input.
pub(super) fn image_shape<A: Scalar>(data: &Dataset<A>) -> Result<[usize; 3]> {
    let shape = data.inputs()[0].shape();
    let image = shape.get(1..).and_then(|image| <[usize; 3]>::try_from(image).ok());
    image.ok_or_else(|| Error::shape("images to augment", "(batch, height, width, channels)", shape))
}
