//! A run on augmented batches allocates nothing between two steps, on its own thread and on that of the batches.
//!
//! One test alone in this file, because the count is that of the whole process.

#[path = "common/counting.rs"]
mod counting;

use std::sync::{Arc, Mutex};

use layerwise::data::augmentation::{
    CutMix, Cutout, MixUp, RandomContrast, RandomCrop, RandomFlip, RandomRotation, RandomTranslation, RandomZoom,
};
use layerwise::prelude::*;
use ndarray::{Array1, Array4};

/// Counts at the end of every step.
struct Counts(Arc<Mutex<Vec<usize>>>);

impl Callback for Counts {
    fn on_batch_end(&mut self, _: &mut Event<'_>) -> Result<()> {
        self.0.lock().unwrap().push(counting::so_far());
        Ok(())
    }
}

/// Batches that come one by one.
fn stream(trainer: &mut Trainer, model: &mut Sequential, batch: &Dataset) -> Result<()> {
    let mut calls = |count| (0..count).try_for_each(|_| trainer.partial_fit(model, batch).map(drop));
    calls(4)?;
    assert_eq!(counting::allocations(|| calls(10))?, 0, "a stream allocates");
    Ok(())
}

#[test]
fn nothing_is_allocated_between_two_steps() -> Result<()> {
    // The last batch of an epoch is a smaller one.
    let (batches, size) = (12, 24);
    let images =
        Array4::from_shape_fn((batches * size - 7, 28, 28, 1), |(n, y, x, _)| ((n * 7 + y * x) % 31) as f32 / 31.0);
    let labels = Array1::from_shape_fn(images.dim().0, |n| n % 10);
    for (shards, threads) in [(1, 1), (1, 2), (3, 2)] {
        let counts = Arc::new(Mutex::new(Vec::with_capacity(4 * batches)));
        let mut model = Sequential::new().add(Flatten::new()).add(Dense::new(10));
        let mut trainer = Trainer::new(SoftmaxCrossEntropy::new(), Adam::new(1e-3))
            .metric(Accuracy::new())
            .augment(RandomFlip::both())
            .augment(RandomTranslation::new(0.1, 0.1))
            .augment(RandomRotation::new(0.1))
            .augment(RandomZoom::new(0.1))
            .augment(RandomContrast::new(0.1))
            .augment(RandomCrop::new(2))
            .augment(Cutout::new(8))
            .augment(MixUp::new(10))
            .augment(CutMix::new(10))
            .callback(Counts(Arc::clone(&counts)))
            .progress(Progress::Silent)
            .batch_size(size)
            .epochs(4)
            .shards(shards)
            .threads(threads);
        trainer.fit(&mut model, (&images, &labels))?;
        stream(&mut trainer, &mut model, &Dataset::new(&images, &labels)?.rows(&(0..size).collect::<Vec<_>>())?)?;
        let counts = counts.lock().unwrap();
        // An epoch has some of its own: a thread, two channels, its numbers. What comes after its first two steps
        // has none.
        for epoch in [2, 3] {
            let steps = &counts[epoch * batches + 2..(epoch + 1) * batches];
            assert_eq!(
                steps[0],
                steps[steps.len() - 1],
                "epoch {epoch}, {shards} shards on {threads} threads: {steps:?}"
            );
        }
    }
    Ok(())
}
