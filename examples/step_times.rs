//! Times a training step and predictions of fixed workloads, one JSON line each, in the format that the comparison
//! programs of other libraries print too.
//!
//! ```text
//! cargo run --release --example step_times -- [--threads N] [--only NAME] [--seconds S]
//! ```
//!
//! `step_us` is the median over at least S seconds and 7 runs after 3 warm-ups of a whole step through
//! [`Trainer::step`]: forward, loss, backward, Adam. Targets are random and step i uses set i % 8 of them, so that the
//! loss stays near its entropy however long it runs. `infer1_us` and `inferB_us` are `predict` for one row and for the
//! batch.

use std::hint::black_box;
use std::time::Instant;

use layerwise::prelude::*;
use ndarray::{Array, Array1, ArrayD, Axis};
use ndarray_rand::RandomExt;
use ndarray_rand::rand_distr::{StandardNormal, Uniform};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// The target sets that the steps go through.
const TARGET_SETS: usize = 8;

struct Options {
    threads: usize,
    only: String,
    seconds: f64,
}

fn options() -> Options {
    let arguments: Vec<String> = std::env::args().collect();
    let value = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1)
    };
    Options {
        threads: value("--threads").and_then(|text| text.parse().ok()).unwrap_or(2),
        only: value("--only").cloned().unwrap_or_default(),
        seconds: value("--seconds").and_then(|text| text.parse().ok()).unwrap_or(2.0),
    }
}

/// Median and minimum of the microseconds that one call takes.
fn time(seconds: f64, mut call: impl FnMut() -> Result<()>) -> Result<(f64, f64)> {
    for _ in 0..3 {
        call()?;
    }
    let mut times = Vec::new();
    let begun = Instant::now();
    while begun.elapsed().as_secs_f64() < seconds || times.len() < 7 {
        let start = Instant::now();
        call()?;
        times.push(start.elapsed().as_secs_f64() * 1e6);
    }
    times.sort_by(f64::total_cmp);
    Ok((times[times.len() / 2], times[0]))
}

fn dense_network(widths: &[usize]) -> Sequential {
    let mut model = Sequential::new();
    for (number, &units) in widths.iter().enumerate() {
        let last = number + 1 == widths.len();
        let activation = if last { Activation::Linear } else { Activation::Relu };
        model = model.add(Dense::new(units).activation(activation));
    }
    model
}

/// Convolutions, pooling, dropout and a dense layer: Keras's example network for MNIST.
fn convolutional_network() -> Sequential {
    Sequential::new()
        .add(Conv2d::new(32, 3).activation(Activation::Relu))
        .add(MaxPool2d::new(2))
        .add(Conv2d::new(64, 3).activation(Activation::Relu))
        .add(MaxPool2d::new(2))
        .add(Flatten::new())
        .add(Dropout::new(0.5))
        .add(Dense::new(10))
}

/// A 3 by 3 convolution and batch normalisation, as PyTorch sets it.
fn convolution(model: Sequential, filters: usize, stride: usize) -> Sequential {
    let normalization = BatchNormalization::new().momentum(0.9).epsilon(1e-5).unbiased(true);
    model.add(Conv2d::new(filters, 3).stride(stride).padding(1).without_bias()).add(normalization)
}

/// Two convolutions and a way around them, which is a convolution itself where the shape changes.
fn residual_block(filters: usize, stride: usize) -> Sequential {
    let body = convolution(Sequential::new(), filters, stride).add(Activation::Relu);
    let block = Residual::new(convolution(body, filters, 1));
    let block = if stride == 1 {
        block
    } else {
        let normalization = BatchNormalization::new().momentum(0.9).epsilon(1e-5).unbiased(true);
        let around = Conv2d::new(filters, 1).stride(stride).without_bias();
        block.projection(Sequential::new().add(around).add(normalization))
    };
    Sequential::new().add(block).add(Activation::Relu)
}

fn residual_network() -> Sequential {
    convolution(Sequential::new(), 16, 1)
        .add(Activation::Relu)
        .add(residual_block(16, 1))
        .add(residual_block(32, 2))
        .add(residual_block(64, 2))
        .add(GlobalAveragePool2d::new())
        .add(Dense::new(10))
}

/// Times a network that sorts samples of a shape into classes.
fn run(name: &str, mut model: Sequential, sample: &[usize], batch: usize, options: &Options) -> Result<()> {
    if !name.contains(&options.only) {
        return Ok(());
    }
    let classes = model.output_shape(sample)?[0];
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let shape = [&[batch], sample].concat();
    let x: ArrayD<f32> = Array::random_using(shape, StandardNormal, &mut rng);
    let labels = Uniform::new(0, classes).map_err(|error| Error::custom(error.to_string()))?;
    let batches = (0..TARGET_SETS)
        .map(|_| Dataset::new(&x, &Array1::random_using(batch, labels, &mut rng)))
        .collect::<Result<Vec<_>>>()?;

    let mut trainer = Trainer::new(SoftmaxCrossEntropy::new(), Adam::new(1e-3)).threads(options.threads);
    let (mut step, mut loss) = (0, 0.0);
    let (step_us, step_min_us) = time(options.seconds, || {
        loss = trainer.step(&mut model, &batches[step % TARGET_SETS])?;
        step += 1;
        Ok(())
    })?;
    let one = x.slice_axis(Axis(0), (0..1).into());
    let (infer1_us, _) = time(options.seconds, || {
        black_box(trainer.predict(&model, &one)?);
        Ok(())
    })?;
    let (infer_batch_us, _) = time(options.seconds, || {
        black_box(trainer.predict(&model, &x)?);
        Ok(())
    })?;
    let params: usize = model.params().iter().map(|(_, param)| param.len()).sum();
    println!(
        "{{\"peer\": \"layerwise\", \"threads\": {}, \"work\": \"{name}\", \"step_us\": {step_us:.1}, \
         \"step_min_us\": {step_min_us:.1}, \"infer1_us\": {infer1_us:.2}, \"inferB_us\": {infer_batch_us:.1}, \
         \"params\": {params}, \"loss\": {loss:.4}}}",
        options.threads
    );
    Ok(())
}

fn main() -> Result<()> {
    let options = options();
    run("iris_mlp_b32", dense_network(&[64, 64, 3]), &[4], 32, &options)?;
    run("mnist_mlp_b128", dense_network(&[512, 512, 10]), &[784], 128, &options)?;
    run("mnist_cnn_b128", convolutional_network(), &[28, 28, 1], 128, &options)?;
    run("cifar_resnet8_b64", residual_network(), &[32, 32, 3], 64, &options)
}
