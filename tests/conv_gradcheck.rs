//! The gradients of convolutions held against finite differences, in training and in inference mode.

#[path = "common/gradients.rs"]
mod gradients;

use gradients::{check, input};
use layerwise::layers::*;
use layerwise::prelude::*;

const ACTIVATIONS: [Activation; 10] = [
    Activation::Linear,
    Activation::Relu,
    Activation::LeakyRelu(0.2),
    Activation::LeakyRelu(0.0),
    Activation::LeakyRelu(-0.5),
    Activation::Sigmoid,
    Activation::Tanh,
    Activation::Softmax,
    Activation::Gelu,
    Activation::GeluTanh,
];

/// What there is to say of the windows over images: every stride with every dilation and every padding.
fn each_window(mut work: impl FnMut((usize, usize), (usize, usize), Padding) -> Result<()>) -> Result<()> {
    let paddings = [Padding::Valid, Padding::Same, Padding::from((1, 0)), Padding::from([(0, 1), (2, 0)])];
    for stride in [(1, 1), (2, 1), (3, 2)] {
        for dilation in [(1, 1), (1, 2), (3, 1)] {
            for padding in paddings {
                work(stride, dilation, padding)?;
            }
        }
    }
    Ok(())
}

#[test]
fn convolutions_of_images() -> Result<()> {
    let x = [input(&[2, 5, 4, 4])];
    each_window(|stride, dilation, padding| {
        let layer = || Conv2d::of(4, 2).stride(stride).dilation(dilation).padding(padding);
        check(layer(), &x)?;
        check(layer().groups(2).activation(Activation::Gelu), &x)?;
        check(layer().groups(4).without_bias(), &x).map(drop)
    })?;
    let [report, _] = check(Conv2d::of(3, (3, 2)), &x)?;
    assert_eq!(report.compared, 2 * 5 * 4 * 4 + 3 * 2 * 4 * 3 + 3);
    check(Conv2d::of(2, 1), &x)?;
    check(Conv2d::of(2, 7).padding(3), &[input(&[1, 3, 3, 1])]).map(drop)
}

#[test]
fn convolutions_of_sequences() -> Result<()> {
    let x = [input(&[2, 7, 4])];
    for padding in [Padding::Valid, Padding::Same, Padding::Causal, Padding::from([(0, 0), (1, 2)])] {
        for (stride, dilation) in [(1, 1), (2, 1), (1, 3)] {
            check(Conv1d::of(6, 3).stride(stride).dilation(dilation).padding(padding), &x)?;
            check(Conv1d::of(4, 2).stride(stride).dilation(dilation).padding(padding).groups(2), &x)?;
            check(DepthwiseConv1d::of(3).stride(stride).dilation(dilation).padding(padding).multiplier(2), &x)?;
            check(SeparableConv1d::of(3, 3).stride(stride).dilation(dilation).padding(padding), &x)?;
        }
    }
    Ok(())
}

#[test]
fn transposed_convolutions() -> Result<()> {
    let x = [input(&[2, 3, 2, 4])];
    each_window(|stride, dilation, padding| {
        let layer = || ConvTranspose2d::of(2, 3).stride(stride).dilation(dilation).padding(padding);
        check(layer(), &x)?;
        check(layer().groups(2).activation(Activation::Tanh).without_bias(), &x)?;
        let legal = stride.0.max(dilation.0).min(stride.1.max(dilation.1));
        match padding {
            Padding::Same => Ok(()),
            _ => check(layer().output_padding(legal - 1), &x).map(drop),
        }
    })?;
    let x = [input(&[2, 4, 4])];
    for padding in [Padding::Valid, Padding::Same, Padding::from([(0, 0), (2, 1)])] {
        for (stride, dilation) in [(1, 1), (2, 1), (3, 1), (1, 2)] {
            check(ConvTranspose1d::of(4, 3).stride(stride).dilation(dilation).padding(padding).groups(2), &x)?;
        }
    }
    check(ConvTranspose1d::of(2, 2).stride(3).output_padding(2).activation(Activation::Gelu), &x).map(drop)
}

#[test]
fn depthwise_and_separable_convolutions() -> Result<()> {
    let x = [input(&[2, 5, 4, 3])];
    each_window(|stride, dilation, padding| {
        for multiplier in [1, 2, 3] {
            let layer = || DepthwiseConv2d::of(2).stride(stride).dilation(dilation).padding(padding);
            check(layer().multiplier(multiplier), &x)?;
            let layer = || SeparableConv2d::of(2, 2).stride(stride).dilation(dilation).padding(padding);
            check(layer().multiplier(multiplier).without_bias(), &x)?;
        }
        Ok(())
    })?;
    let [report, _] = check(SeparableConv2d::of(4, (2, 3)).multiplier(2), &x)?;
    assert_eq!(report.compared, 2 * 5 * 4 * 3 + 2 * 3 * 3 * 2 + 6 * 4 + 4);
    Ok(())
}

#[test]
fn fused_activations() -> Result<()> {
    let (image, sequence) = ([input(&[2, 3, 4, 2])], [input(&[2, 5, 3])]);
    for activation in ACTIVATIONS {
        check(Conv2d::of(3, 2).padding(Padding::Same).activation(activation), &image)?;
        check(ConvTranspose2d::of(3, 2).stride(2).activation(activation), &image)?;
        check(DepthwiseConv2d::of(2).multiplier(2).activation(activation), &image)?;
        check(SeparableConv2d::of(3, 2).activation(activation), &image)?;
        check(Conv1d::of(3, 2).activation(activation), &sequence)?;
        check(ConvTranspose1d::of(3, 2).activation(activation).without_bias(), &sequence)?;
        check(DepthwiseConv1d::of(2).activation(activation).without_bias(), &sequence)?;
        check(SeparableConv1d::of(3, 2).activation(activation).without_bias(), &sequence)?;
    }
    Ok(())
}

#[test]
fn in_a_network_with_batch_statistics_and_a_shortcut() -> Result<()> {
    let block = Sequential::of()
        .add(Conv2d::of(4, 3).padding(Padding::Same).without_bias())
        .add(BatchNormalization::of())
        .add(Activation::Gelu)
        .add(DepthwiseConv2d::of(3).padding(1));
    let model = Sequential::of()
        .add(Conv2d::of(4, 2).stride(2).activation(Activation::Tanh))
        .add(Residual::new(block))
        .add(ConvTranspose2d::of(2, 2).stride(2))
        .add(SeparableConv2d::of(3, 2));
    check(model, &[input(&[2, 6, 4, 2])]).map(drop)
}
