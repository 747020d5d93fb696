//! The dense network of Keras's MNIST example, 784-512-512-10 with dropout (published test accuracy 98.40 %).
//!
//! ```text
//! scripts/get-data.sh mnist
//! cargo run --release --example mnist_mlp [-- EPOCHS]
//! ```
//!
//! With `--features plot` it writes a report of the run, `target/mnist_mlp.html`, and `target/mnist_mlp.svg`: what it got
//! wrong of the test set, the surest mistakes first.

#[path = "common/pictures.rs"]
mod pictures;

use std::time::Instant;

use layerwise::data::datasets;
use layerwise::prelude::*;
use layerwise::schedules::Cosine;

const BATCH: usize = 128;

fn main() -> Result<()> {
    let epochs = std::env::args().nth(1).and_then(|epochs| epochs.parse().ok()).unwrap_or(20);
    let data = datasets::mnist()?;
    let mut model = Sequential::new()
        .add(Flatten::new())
        .add(Dense::new(512).activation(Activation::Relu))
        .add(Dropout::new(0.2))
        .add(Dense::new(512).activation(Activation::Relu))
        .add(Dropout::new(0.2))
        .add(Dense::new(10));
    model.initialize(&[28, 28, 1], 1)?;
    let summary = model.summary(&[28, 28, 1])?;
    println!("{summary}\n");

    let steps = (epochs * data.train.len().div_ceil(BATCH)) as u64;
    let mut trainer = Trainer::new(SoftmaxCrossEntropy::new(), Adam::new(Cosine::new(1e-3, steps)))
        .metric(Accuracy::new())
        .validation_data((&data.test.images, &data.test.labels))?
        .epochs(epochs)
        .batch_size(BATCH)
        .seed(1);
    let begun = Instant::now();
    let history = trainer.fit(&mut model, (&data.train.images, &data.train.labels))?;
    let seconds = begun.elapsed().as_secs_f64();

    let probabilities = trainer.predict_proba(&model, &data.test.images)?;
    let run = pictures::Run { set: &data.test, probabilities: &probabilities, history: &history, summary: &summary };
    let wrong = run.show("mnist_mlp")?;
    println!("\n{wrong} of {} digits wrong", data.test.len());
    let accuracy = history.last().and_then(|epoch| epoch.get("val_accuracy")).unwrap_or(0.0);
    println!("Test accuracy: {accuracy:.4} after {epochs} epochs in {seconds:.0} s");
    Ok(())
}
