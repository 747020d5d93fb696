//! Forward and backward of every layer, and whole training steps, on one thread.
//!
//! ```text
//! cargo bench --bench backprop [-- NAME]
//! ```

#![allow(missing_docs)] // criterion_group! makes an undocumented function

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use layerwise::layers::*;
use layerwise::prelude::*;
use ndarray::{Array, ArrayD, IxDyn};
use ndarray_rand::RandomExt;
use ndarray_rand::rand_distr::StandardNormal;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

fn random(shape: &[usize]) -> ArrayD<f32> {
    Array::random_using(IxDyn(shape), StandardNormal, &mut ChaCha8Rng::seed_from_u64(0))
}

fn ids(shape: &[usize], vocabulary: usize) -> ArrayD<f32> {
    let count: usize = shape.iter().product();
    let values: Vec<f32> = (0..count).map(|i| (i * 7919 % vocabulary) as f32).collect();
    Array::from_shape_vec(IxDyn(shape), values).expect("as many values as the shape has")
}

/// Forward in inference mode, and forward with backward in training mode.
fn layer(criterion: &mut Criterion, name: &str, mut layer: impl Layer, x: &ArrayD<f32>) {
    let x = x.to_shared();
    layer.initialize(&x.shape()[1..], 0).expect("the layer takes this shape");
    let mut group = criterion.benchmark_group(format!("layer/{name}"));
    group.throughput(Throughput::Elements(x.len() as u64));
    let mut ctx = Context::inference();
    group.bench_function("forward", |bencher| {
        bencher.iter(|| {
            let y = layer.forward(&x, &mut ctx).expect("the layer takes this input");
            ctx.recycle(y);
        });
    });
    let mut ctx = Context::training(&layer, 0);
    let y = layer.forward(&x, &mut ctx).expect("the layer takes this input");
    let dy = y.clone();
    ctx.truncate(0);
    group.bench_function("forward_backward", |bencher| {
        bencher.iter(|| {
            let y = layer.forward(&x, &mut ctx).expect("the layer takes this input");
            let dx = layer.backward(&x, &y, &dy, true, &mut ctx).expect("the gradient has the output's shape");
            ctx.recycle(y);
            dx.into_iter().for_each(|dx| ctx.recycle(dx));
        });
    });
    group.finish();
}

fn layers(criterion: &mut Criterion) {
    let flat = random(&[128, 512]);
    let steps = random(&[64, 32, 64]);
    let images = random(&[32, 16, 16, 32]);
    for activation in [
        Activation::Relu,
        Activation::LeakyRelu(0.1),
        Activation::Sigmoid,
        Activation::Tanh,
        Activation::Softmax,
        Activation::Gelu,
        Activation::GeluTanh,
        Activation::Elu(1.0),
        Activation::Silu,
        Activation::HardSwish,
        Activation::Mish,
        Activation::Softplus(1.0),
        Activation::LogSoftmax,
    ] {
        layer(criterion, Layer::<f32>::kind(&activation), activation, &flat);
    }
    layer(criterion, "Dense", Dense::new(512), &flat);
    layer(criterion, "Dense_Relu", Dense::new(512).activation(Activation::Relu), &flat);
    layer(criterion, "Dense_Gelu", Dense::new(512).activation(Activation::Gelu), &flat);
    layer(criterion, "Dropout", Dropout::new(0.5), &flat);
    layer(criterion, "BatchNormalization", BatchNormalization::new(), &flat);
    layer(criterion, "BatchNormalization_images", BatchNormalization::new(), &images);
    let nchw = random(&[32, 32, 16, 16]);
    layer(criterion, "BatchNormalization_few_channels", BatchNormalization::new(), &random(&[32, 16, 16, 16]));
    layer(criterion, "GroupNormalization", GroupNormalization::new(8), &images);
    layer(criterion, "InstanceNormalization", InstanceNormalization::new(), &images);
    layer(criterion, "LayerNormalization", LayerNormalization::new(), &flat);
    layer(criterion, "SpatialDropout1d", SpatialDropout1d::new(0.5), &steps);
    layer(criterion, "SpatialDropout2d", SpatialDropout2d::new(0.5), &images);
    layer(criterion, "ZeroPadding1d", ZeroPadding1d::new(1, 1), &steps);
    layer(criterion, "ZeroPadding2d", ZeroPadding2d::new(1), &images);
    layer(criterion, "ReflectionPadding1d", ReflectionPadding1d::new(1, 1), &steps);
    layer(criterion, "ReflectionPadding2d", ReflectionPadding2d::new(1), &images);
    layer(criterion, "ReplicationPadding1d", ReplicationPadding1d::new(1, 1), &steps);
    layer(criterion, "ReplicationPadding2d", ReplicationPadding2d::new(1), &images);
    layer(criterion, "Cropping1d", Cropping1d::new(1, 1), &steps);
    layer(criterion, "Cropping2d", Cropping2d::new(1), &images);
    layer(criterion, "UpSampling1d", UpSampling1d::new(2), &steps);
    for interpolation in [Interpolation::Nearest, Interpolation::Bilinear, Interpolation::Bicubic] {
        let upsampling = UpSampling2d::new((2, 2)).interpolation(interpolation);
        layer(criterion, &format!("UpSampling2d_{interpolation:?}"), upsampling, &images);
    }
    layer(criterion, "PixelShuffle", PixelShuffle::new(2), &images);
    layer(criterion, "PixelUnshuffle", PixelUnshuffle::new(2), &images);
    layer(criterion, "Permute", Permute::new([2, 1]), &steps);
    layer(criterion, "ChannelsLast", ChannelsLast::new(), &nchw);
    layer(criterion, "ChannelsFirst", ChannelsFirst::new(), &images);
    layer(criterion, "Conv2d", Conv2d::new(32, 3).padding(Padding::Same), &images);
    layer(criterion, "Conv1d", Conv1d::new(64, 3).padding(Padding::Causal), &steps);
    layer(criterion, "ConvTranspose2d", ConvTranspose2d::new(32, 3).stride(2), &images);
    layer(criterion, "ConvTranspose1d", ConvTranspose1d::new(64, 3).stride(2), &steps);
    layer(criterion, "DepthwiseConv2d", DepthwiseConv2d::new(3).padding(Padding::Same), &images);
    layer(criterion, "DepthwiseConv1d", DepthwiseConv1d::new(3).padding(Padding::Causal), &steps);
    layer(criterion, "SeparableConv2d", SeparableConv2d::new(32, 3).padding(Padding::Same), &images);
    layer(criterion, "SeparableConv1d", SeparableConv1d::new(64, 3).padding(Padding::Causal), &steps);
    layer(criterion, "Flatten", Flatten::new(), &images);
    layer(criterion, "Reshape", Reshape::new([256, -1]), &images);
    layer(criterion, "Embedding", Embedding::new(1682, 64), &ids(&[1024, 1], 1682));
    layer(criterion, "SimpleRNN", SimpleRnn::new(128), &steps);
    layer(criterion, "Residual", Residual::new(Dense::new(512).activation(Activation::Relu)), &flat);
    layer(criterion, "Graph", two_towers(), &flat);
    pooling(criterion, &images, &steps);
}

fn pooling(criterion: &mut Criterion, images: &ArrayD<f32>, steps: &ArrayD<f32>) {
    layer(criterion, "MaxPool2d", MaxPool2d::new(2), images);
    layer(criterion, "MaxPool2d_overlapping", MaxPool2d::new(3).stride(2).padding(1), images);
    layer(criterion, "AveragePool2d", AveragePool2d::new(2), images);
    layer(criterion, "AveragePool2d_overlapping", AveragePool2d::new(3).stride(2).padding(1), images);
    layer(criterion, "LpPool2d", LpPool2d::new(2.0, 2), images);
    layer(criterion, "GlobalMaxPool2d", GlobalMaxPool2d::new(), images);
    layer(criterion, "GlobalAveragePool2d", GlobalAveragePool2d::new(), images);
    layer(criterion, "AdaptiveMaxPool2d", AdaptiveMaxPool2d::new(5), images);
    layer(criterion, "AdaptiveAveragePool2d", AdaptiveAveragePool2d::new(5), images);
    layer(criterion, "MaxPool1d", MaxPool1d::new(2), steps);
    layer(criterion, "AveragePool1d", AveragePool1d::new(2), steps);
    layer(criterion, "LpPool1d", LpPool1d::new(2.0, 2), steps);
    layer(criterion, "GlobalMaxPool1d", GlobalMaxPool1d::new(), steps);
    layer(criterion, "GlobalAveragePool1d", GlobalAveragePool1d::new(), steps);
    layer(criterion, "AdaptiveMaxPool1d", AdaptiveMaxPool1d::new(5), steps);
    layer(criterion, "AdaptiveAveragePool1d", AdaptiveAveragePool1d::new(5), steps);
    // What a network for 28 by 28 digits does between its convolutions.
    layer(criterion, "MaxPool2d_26x26x32", MaxPool2d::new(2), &random(&[128, 26, 26, 32]));
    layer(criterion, "MaxPool2d_11x11x64", MaxPool2d::new(2), &random(&[128, 11, 11, 64]));
}

/// A shared layer, both merges.
fn two_towers() -> Graph {
    let mut graph = Graph::new();
    let x = graph.input();
    let shared = graph.share(Dense::new(512).activation(Activation::Relu));
    let a = graph.apply(shared, x);
    let b = graph.apply(shared, a);
    let sum = graph.merge(Add::new(), &[a, b]);
    let both = graph.merge(Concatenate::new(-1), &[sum, x]);
    graph.outputs(&[both])
}

fn dense_network(widths: &[usize]) -> Sequential {
    let (hidden, last) = widths.split_at(widths.len() - 1);
    let model = hidden
        .iter()
        .skip(1)
        .fold(Sequential::new(), |model, &units| model.add(Dense::new(units).activation(Activation::Relu)));
    model.add(Dense::new(last[0]))
}

/// Whole training steps: forward, loss, backward, Adam.
fn steps(criterion: &mut Criterion) {
    for (name, widths, batch) in
        [("iris_mlp_b32", &[4, 64, 64, 3][..], 32), ("mnist_mlp_b128", &[784, 512, 512, 10], 128)]
    {
        let classes = widths[widths.len() - 1];
        let data = Dataset::new(&random(&[batch, widths[0]]), &ids(&[batch], classes)).expect("as many labels as rows");
        let mut model = dense_network(widths);
        let mut trainer = Trainer::new(SoftmaxCrossEntropy::new(), Adam::new(1e-3)).threads(1);
        criterion.bench_function(&format!("step/{name}"), |bencher| {
            bencher.iter(|| trainer.step(&mut model, &data).expect("the data fit the network"));
        });
    }
}

criterion_group!(benches, layers, steps);
criterion_main!(benches);
