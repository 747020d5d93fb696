//! Transfer of what was learned, after Keras's MNIST experiment: a network learns the digits 0 to 4, its convolutions are
//! frozen, and only its dense layers learn the digits 5 to 9 (published: 99.2 % of those after 5 epochs).
//!
//! ```text
//! scripts/get-data.sh mnist
//! cargo run --release --example transfer
//! ```

use std::time::Instant;

use layerwise::data::{Images, TrainTest, datasets};
use layerwise::prelude::*;
use layerwise::schedules::Cosine;

const EPOCHS: usize = 5;
const BATCH: usize = 128;
/// The layers that see images; the others see what these make of them.
const FEATURES: usize = 5;

fn network() -> Sequential {
    Sequential::new()
        .add(Conv2d::new(32, 3).activation(Activation::Relu))
        .add(Conv2d::new(32, 3).activation(Activation::Relu))
        .add(MaxPool2d::new(2))
        .add(Dropout::new(0.25))
        .add(Flatten::new())
        .add(Dense::new(128).activation(Activation::Relu))
        .add(Dropout::new(0.5))
        .add(Dense::new(5))
}

/// The images of five digits, with classes from 0 to 4.
fn five(images: &Images, first: usize) -> Result<Images> {
    let rows: Vec<usize> = (0..images.len()).filter(|&row| (first..first + 5).contains(&images.labels[row])).collect();
    let five = images.rows(&rows)?;
    Ok(Images {
        labels: five.labels.mapv(|label| label - first),
        classes: five.classes[first..first + 5].to_vec(),
        ..five
    })
}

/// Trains on five digits, and gives the accuracy on others of the same five and the seconds that it took.
fn learn(model: &mut Sequential, data: &TrainTest, first: usize) -> Result<(f64, f64)> {
    let (train, test) = (five(&data.train, first)?, five(&data.test, first)?);
    let steps = (EPOCHS * train.len().div_ceil(BATCH)) as u64;
    let mut trainer = Trainer::new(SoftmaxCrossEntropy::new(), Adam::new(Cosine::new(2e-3, steps)))
        .metric(Accuracy::new())
        .validation_data((&test.images, &test.labels))?
        .epochs(EPOCHS)
        .batch_size(BATCH)
        .seed(1);
    let begun = Instant::now();
    let history = trainer.fit(model, (&train.images, &train.labels))?;
    let accuracy = history.last().and_then(|epoch| epoch.get("val_accuracy")).unwrap_or(0.0);
    Ok((accuracy, begun.elapsed().as_secs_f64()))
}

fn main() -> Result<()> {
    let data = datasets::mnist()?;
    let mut model = network();
    println!("The digits 0 to 4:");
    let (whole, whole_seconds) = learn(&mut model, &data, 0)?;

    model.layers_mut()[..FEATURES].iter_mut().for_each(|layer| layer.freeze());
    println!("\nThe digits 5 to 9, with frozen convolutions:\n{}\n", model.summary(&[28, 28, 1])?);
    let (transferred, seconds) = learn(&mut model, &data, 5)?;

    println!("\nTest accuracy: {whole:.4} on 0 to 4 in {whole_seconds:.0} s");
    println!("Test accuracy: {transferred:.4} on 5 to 9 in {seconds:.0} s, after what was learned from the others");
    Ok(())
}
