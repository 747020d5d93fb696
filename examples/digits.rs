//! A small convolutional network on the bundled 8 by 8 digits, in seconds.
//!
//! ```text
//! cargo run --release --example digits
//! ```
//!
//! With `--features plot` it writes a report of the run, `target/digits.html`, and `target/digits.svg`: what it got
//! wrong of the test set, the surest mistakes first.

#[path = "common/pictures.rs"]
mod pictures;

use layerwise::data::augmentation::RandomTranslation;
use layerwise::data::{datasets, stratified_train_test_split};
use layerwise::layers::Padding;
use layerwise::prelude::*;
use layerwise::schedules::Cosine;

const EPOCHS: usize = 60;
const BATCH: usize = 64;

fn main() -> Result<()> {
    let digits = datasets::digits_images();
    let split = stratified_train_test_split(digits.labels.as_slice().unwrap_or_default(), 0.25, 1)?;
    let (train, test) = (digits.rows(&split.train)?, digits.rows(&split.test)?);

    let mut model = Sequential::new()
        .add(Conv2d::new(32, 3).padding(Padding::Same).activation(Activation::Relu))
        .add(Conv2d::new(32, 3).padding(Padding::Same).activation(Activation::Relu))
        .add(MaxPool2d::new(2))
        .add(Conv2d::new(64, 3).padding(Padding::Same).activation(Activation::Relu))
        .add(MaxPool2d::new(2))
        .add(Flatten::new())
        .add(Dropout::new(0.3))
        .add(Dense::new(10));
    let steps = (EPOCHS * train.len().div_ceil(BATCH)) as u64;
    let mut trainer = Trainer::new(SoftmaxCrossEntropy::new(), Adam::new(Cosine::new(2e-3, steps)))
        .metric(Accuracy::new())
        .validation_data((&test.images, &test.labels))?
        .augment(RandomTranslation::new(0.06, 0.06))
        .epochs(EPOCHS)
        .batch_size(BATCH)
        .seed(1)
        .progress(Progress::Silent);
    let history = trainer.fit(&mut model, (&train.images, &train.labels))?;
    let summary = model.summary(&[8, 8, 1])?;
    println!("{summary}\n");
    for epoch in history.epochs().iter().skip(9).step_by(10) {
        println!("epoch {:>2}  {epoch}", epoch.number);
    }

    let probabilities = trainer.predict_proba(&model, &test.images)?;
    let run = pictures::Run { set: &test, probabilities: &probabilities, history: &history, summary: &summary };
    let wrong = run.show("digits")?;
    println!("\n{wrong} of {} digits wrong", test.len());
    println!("Test accuracy: {:.4}", 1.0 - wrong as f64 / test.len() as f64);
    Ok(())
}
