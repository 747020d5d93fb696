//! A residual network on Fashion-MNIST: 10 kinds of clothes, 60,000 images to learn from, each of them in many forms.
//!
//! ```text
//! scripts/get-data.sh fashion-mnist
//! cargo run --release --example fashion_resnet [-- EPOCHS]
//! ```
//!
//! With `--features plot` it writes a report of the run, `target/fashion_resnet.html`, and `target/fashion_resnet.svg`: what it got
//! wrong of the test set, the surest mistakes first.

#[path = "common/pictures.rs"]
mod pictures;

use std::time::Instant;

use layerwise::data::augmentation::{RandomCrop, RandomFlip};
use layerwise::data::datasets;
use layerwise::layers::Padding;
use layerwise::prelude::*;
use layerwise::schedules::Cosine;

const BATCH: usize = 128;
const FILTERS: usize = 24;

/// A 3 by 3 convolution and batch normalisation, with PyTorch's settings.
fn convolution(model: Sequential, filters: usize, stride: usize) -> Sequential {
    let start = Initializer::HeNormal;
    let layer = Conv2d::new(filters, 3).stride(stride).padding(Padding::Same).without_bias().weight_initializer(start);
    model.add(layer).add(normalization())
}

fn normalization() -> BatchNormalization {
    BatchNormalization::new().momentum(0.9).epsilon(1e-5)
}

/// Two convolutions and a way around them, a convolution itself where the shape changes (He et al. 2016).
fn block(model: Sequential, filters: usize, stride: usize) -> Sequential {
    let body = convolution(Sequential::new(), filters, stride).add(Activation::Relu);
    let block = Residual::new(convolution(body, filters, 1));
    let around = Conv2d::new(filters, 1).stride(stride).without_bias();
    let block = match stride {
        1 => block,
        _ => block.projection(Sequential::new().add(around).add(normalization())),
    };
    model.add(block).add(Activation::Relu)
}

fn network() -> Sequential {
    let model = convolution(Sequential::new(), FILTERS, 1).add(Activation::Relu);
    let model = block(model, FILTERS, 1);
    let model = block(model, 2 * FILTERS, 2);
    let model = block(model, 4 * FILTERS, 2);
    model.add(GlobalAveragePool2d::new()).add(Dense::new(10))
}

fn main() -> Result<()> {
    let epochs = std::env::args().nth(1).and_then(|epochs| epochs.parse().ok()).unwrap_or(18);
    let data = datasets::fashion_mnist()?;
    let mut model = network();
    model.initialize(&[28, 28, 1], 1)?;
    let summary = model.summary(&[28, 28, 1])?;
    println!("{summary}\n");

    let steps = (epochs * data.train.len().div_ceil(BATCH)) as u64;
    let rate = Cosine::new(0.1, steps).warmup(steps / 20);
    let mut trainer =
        Trainer::new(SoftmaxCrossEntropy::new(), Sgd::new(rate).momentum(0.9).nesterov(true).weight_decay(3e-4))
            .metric(Accuracy::new())
            .validation_data((&data.test.images, &data.test.labels))?
            .augment(RandomFlip::horizontal())
            .augment(RandomCrop::new(1))
            .epochs(epochs)
            .batch_size(BATCH)
            .seed(1);
    let begun = Instant::now();
    let history = trainer.fit(&mut model, (&data.train.images, &data.train.labels))?;
    let seconds = begun.elapsed().as_secs_f64();

    let probabilities = trainer.predict_proba(&model, &data.test.images)?;
    let run = pictures::Run { set: &data.test, probabilities: &probabilities, history: &history, summary: &summary };
    let wrong = run.show("fashion_resnet")?;
    println!("\n{wrong} of {} images wrong", data.test.len());
    let accuracy = history.last().and_then(|epoch| epoch.get("val_accuracy")).unwrap_or(0.0);
    println!("Test accuracy: {accuracy:.4} after {epochs} epochs in {seconds:.0} s");
    Ok(())
}
