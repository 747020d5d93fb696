//! What a convolution says to bad settings and shapes, word for word.

use layerwise::layers::*;
use layerwise::prelude::*;
use ndarray::IxDyn;

fn boxed(layer: impl Layer + 'static) -> Box<dyn Layer> {
    Box::new(layer)
}

fn zeros(shape: &[usize]) -> Tensor {
    Tensor::zeros(IxDyn(shape))
}

/// A layer, the shape of one sample, and the message.
type Build = (Box<dyn Layer>, &'static [usize], &'static str);

#[test]
fn bad_settings_and_samples_are_refused_when_built() {
    let cases: Vec<Build> = vec![
        // Settings.
        (boxed(Conv2d::new(0, 3)), &[8, 8, 3], "filters must be at least 1, got 0"),
        (boxed(Conv1d::new(0, 3)), &[8, 3], "filters must be at least 1, got 0"),
        (boxed(ConvTranspose2d::new(0, 3)), &[8, 8, 3], "filters must be at least 1, got 0"),
        (
            boxed(Sequential::new().add(SeparableConv2d::new(0, 3))),
            &[8, 8, 3],
            "layer 0 (SeparableConv2d): filters must be at least 1, got 0",
        ),
        (boxed(DepthwiseConv2d::new(3).multiplier(0)), &[8, 8, 3], "multiplier must be at least 1, got 0"),
        (boxed(DepthwiseConv1d::new(3).multiplier(0)), &[8, 3], "multiplier must be at least 1, got 0"),
        (boxed(SeparableConv1d::new(4, 3).multiplier(0)), &[8, 3], "multiplier must be at least 1, got 0"),
        (boxed(Conv2d::new(4, (3, 0))), &[8, 8, 3], "kernel size must be at least 1, got [3, 0]"),
        (boxed(Conv1d::new(4, 0)), &[8, 3], "kernel size must be at least 1, got [0]"),
        (boxed(ConvTranspose2d::new(4, 0)), &[8, 8, 3], "kernel size must be at least 1, got [0, 0]"),
        (boxed(DepthwiseConv2d::new((0, 1))), &[8, 8, 3], "kernel size must be at least 1, got [0, 1]"),
        (boxed(SeparableConv1d::new(4, 0)), &[8, 3], "kernel size must be at least 1, got [0]"),
        (boxed(Conv2d::new(4, 3).stride((0, 1))), &[8, 8, 3], "stride must be at least 1, got [0, 1]"),
        (boxed(ConvTranspose1d::new(4, 3).stride(0)), &[8, 3], "stride must be at least 1, got [0]"),
        (boxed(Conv2d::new(4, 3).dilation((2, 0))), &[8, 8, 3], "dilation must be at least 1, got [2, 0]"),
        (boxed(ConvTranspose1d::new(4, 3).dilation(0)), &[8, 3], "dilation must be at least 1, got [0]"),
        (
            boxed(Conv2d::new(6, 3).groups(4)),
            &[8, 8, 4],
            "groups must be a divisor of 4 channels and of 6 filters, got 4",
        ),
        (boxed(Conv1d::new(6, 3).groups(3)), &[8, 4], "groups must be a divisor of 4 channels and of 6 filters, got 3"),
        (
            boxed(Conv2d::new(6, 3).groups(0)),
            &[8, 8, 4],
            "groups must be a divisor of 4 channels and of 6 filters, got 0",
        ),
        (
            boxed(ConvTranspose2d::new(6, 3).groups(4)),
            &[8, 8, 4],
            "groups must be a divisor of 4 channels and of 6 filters, got 4",
        ),
        (
            boxed(Conv2d::new(4, 3).padding(Padding::Causal)),
            &[8, 8, 3],
            "padding of images must be valid, same or so much at each side, got causal",
        ),
        (
            boxed(DepthwiseConv2d::new(3).padding(Padding::Causal)),
            &[8, 8, 3],
            "padding of images must be valid, same or so much at each side, got causal",
        ),
        (
            boxed(ConvTranspose2d::new(4, 3).padding(Padding::Causal)),
            &[8, 8, 3],
            "padding of images must be valid, same or so much at each side, got causal",
        ),
        (
            boxed(ConvTranspose1d::new(4, 3).padding(Padding::Causal)),
            &[8, 3],
            "padding of a transposed convolution must be valid, same or so much at each side, got causal",
        ),
        (
            boxed(Conv1d::new(4, 3).padding(Padding::Causal).stride(2).dilation(3)),
            &[8, 3],
            "stride of a dilated causal convolution must be 1, got 2",
        ),
        (
            boxed(ConvTranspose2d::new(4, 3).stride((2, 1)).output_padding((2, 0))),
            &[8, 8, 3],
            "output_padding along the height must be less than the stride 2 or the dilation 1, got 2",
        ),
        (
            boxed(ConvTranspose2d::new(4, 3).stride((3, 1)).dilation((1, 2)).output_padding(2)),
            &[8, 8, 3],
            "output_padding along the width must be less than the stride 1 or the dilation 2, got 2",
        ),
        (
            boxed(ConvTranspose1d::new(4, 3).stride(2).output_padding(3)),
            &[8, 3],
            "output_padding along the time must be less than the stride 2 or the dilation 1, got 3",
        ),
        (
            boxed(ConvTranspose2d::new(4, 3).stride(2).output_padding((0, 1)).padding(Padding::Same)),
            &[8, 8, 3],
            "output_padding with padding `same` must be 0, got 1",
        ),
        (
            boxed(ConvTranspose2d::new(4, 3).padding([(2, 2), (0, 0)])),
            &[2, 8, 3],
            "padding along the height must be less in all than the 4 that the output has without it, got 2 + 2",
        ),
        (
            boxed(ConvTranspose1d::new(4, 2).stride(3).padding(Padding::from((0, 3))).output_padding(1)),
            &[2, 3],
            "padding along the time must be less in all than the 6 that the output has without it, got 3 + 3",
        ),
        (
            boxed(ConvTranspose1d::new(4, 2).padding([(0, 0), (usize::MAX, 1)])),
            &[2, 3],
            "padding along the time must be less in all than the 3 that the output has without it, got \
             18446744073709551615 + 1",
        ),
        // Samples.
        (
            boxed(Conv2d::new(4, 5)),
            &[3, 8, 3],
            "input of one sample: expected at least 5 along the height for a kernel of 5 with dilation 1 and padding \
             0 + 0, got shape [3, 8, 3]",
        ),
        (
            boxed(Conv2d::new(4, 3).dilation((1, 4)).padding([(0, 0), (0, 2)])),
            &[3, 6, 3],
            "input of one sample: expected at least 7 along the width for a kernel of 3 with dilation 4 and padding \
             0 + 2, got shape [3, 6, 3]",
        ),
        (
            boxed(Conv1d::new(4, 7).padding(1)),
            &[4, 3],
            "input of one sample: expected at least 5 along the time for a kernel of 7 with dilation 1 and padding \
             1 + 1, got shape [4, 3]",
        ),
        (
            boxed(DepthwiseConv2d::new((1, 9))),
            &[8, 8, 3],
            "input of one sample: expected at least 9 along the width for a kernel of 9 with dilation 1 and padding \
             0 + 0, got shape [8, 8, 3]",
        ),
        (
            boxed(Sequential::new().add(Conv2d::new(4, 3)).add(SeparableConv2d::new(4, 7))),
            &[8, 9, 3],
            "layer 1 (SeparableConv2d): input of one sample: expected at least 7 along the height for a kernel of 7 \
             with dilation 1 and padding 0 + 0, got shape [6, 7, 4]",
        ),
        (
            boxed(Conv2d::new(4, 2).padding(1)),
            &[0, 3, 2],
            "input of one sample: expected at least 1 along the height for a kernel of 2 with dilation 1 and padding \
             1 + 1, got shape [0, 3, 2]",
        ),
        (
            boxed(Conv2d::new(4, 2).padding(Padding::Same)),
            &[3, 0, 2],
            "input of one sample: expected at least 1 along the width, got shape [3, 0, 2]",
        ),
        (
            boxed(Conv1d::new(4, 2).padding(Padding::Causal)),
            &[0, 2],
            "input of one sample: expected at least 1 along the time, got shape [0, 2]",
        ),
        (
            boxed(ConvTranspose2d::new(4, 2)),
            &[3, 0, 2],
            "input of one sample: expected at least 1 along the width, got shape [3, 0, 2]",
        ),
        (
            boxed(Conv2d::new(4, 3)),
            &[8, 8],
            "input of one sample: expected shape (height, width, channels), got shape [8, 8]",
        ),
        (
            boxed(DepthwiseConv2d::new(3)),
            &[8, 8, 3, 1],
            "input of one sample: expected shape (height, width, channels), got shape [8, 8, 3, 1]",
        ),
        (
            boxed(SeparableConv2d::new(4, 3)),
            &[8],
            "input of one sample: expected shape (height, width, channels), got shape [8]",
        ),
        (
            boxed(Conv1d::new(4, 3)),
            &[8, 8, 3],
            "input of one sample: expected shape (time, features), got shape [8, 8, 3]",
        ),
        (
            boxed(ConvTranspose1d::new(4, 3)),
            &[8],
            "input of one sample: expected shape (time, features), got shape [8]",
        ),
        (
            boxed(Conv2d::new(4, 3)),
            &[8, 8, 0],
            "input of one sample: expected at least one channel, got shape [8, 8, 0]",
        ),
        (
            boxed(DepthwiseConv1d::new(3)),
            &[8, 0],
            "input of one sample: expected at least one channel, got shape [8, 0]",
        ),
    ];
    for (mut layer, sample, message) in cases {
        let error = layer.initialize(sample, 0).expect_err(message);
        assert_eq!(error.to_string(), message);
        assert!(layer.output_shape(sample).is_err(), "{message}");
    }
}

/// A layer, the sample it is built for, the shape of a batch, and the message.
type Use = (Box<dyn Layer>, &'static [usize], &'static [usize], &'static str);

#[test]
fn batches_that_do_not_fit_are_refused_in_use() -> Result<()> {
    let cases: Vec<Use> = vec![
        (
            boxed(Conv2d::new(4, 3)),
            &[8, 8, 3],
            &[2, 8, 8, 4],
            "input of one sample: expected 3 channels on the last axis, got shape [8, 8, 4]",
        ),
        (
            boxed(Conv2d::new(4, 3).groups(2)),
            &[8, 8, 4],
            &[2, 8, 8, 2],
            "input of one sample: expected 4 channels on the last axis, got shape [8, 8, 2]",
        ),
        (
            boxed(ConvTranspose1d::new(4, 3)),
            &[8, 3],
            &[2, 8, 4],
            "input of one sample: expected 3 channels on the last axis, got shape [8, 4]",
        ),
        (
            boxed(DepthwiseConv2d::new(3).multiplier(2)),
            &[8, 8, 3],
            &[2, 8, 8, 6],
            "input of one sample: expected 3 channels on the last axis, got shape [8, 8, 6]",
        ),
        (
            boxed(Sequential::new().add(SeparableConv1d::new(4, 3))),
            &[8, 3],
            &[2, 8, 2],
            "layer 0 (SeparableConv1d): input of one sample: expected 3 channels on the last axis, got shape [8, 2]",
        ),
        (
            boxed(Conv2d::new(4, 3)),
            &[8, 8, 3],
            &[8, 8, 3],
            "input of one sample: expected shape (height, width, channels), got shape [8, 3]",
        ),
        (boxed(Conv1d::new(4, 3)), &[8, 3], &[8], "input of one sample: expected shape (time, features), got shape []"),
        (
            boxed(Conv2d::new(4, 3)),
            &[8, 8, 3],
            &[2, 8, 2, 3],
            "input of one sample: expected at least 3 along the width for a kernel of 3 with dilation 1 and padding \
             0 + 0, got shape [8, 2, 3]",
        ),
        (
            boxed(ConvTranspose2d::new(4, 2).padding(1)),
            &[8, 8, 3],
            &[2, 8, 1, 3],
            "padding along the width must be less in all than the 2 that the output has without it, got 1 + 1",
        ),
    ];
    for (mut layer, sample, batch, message) in cases {
        layer.initialize(sample, 0)?;
        let x = zeros(batch);
        let error = layer.forward(&x, &mut Context::training(&*layer, 0)).expect_err(message);
        assert_eq!(error.to_string(), message);
        assert_eq!(layer.predict(&x).expect_err(message).to_string(), message);
        // The samples may have another size than those that it was built for, if they are not too small.
        let larger: Vec<usize> = sample[..sample.len() - 1].iter().map(|side| side + 1).collect();
        let x = zeros(&[&[2], &larger[..], &sample[sample.len() - 1..]].concat());
        assert_eq!(layer.predict(&x)?.shape()[1..], layer.output_shape(&x.shape()[1..])?);
    }
    Ok(())
}

fn each() -> Vec<(Box<dyn Layer>, &'static [usize])> {
    vec![
        (boxed(Conv2d::new(4, 3).padding(Padding::Same)), &[5, 5, 3]),
        (boxed(Conv2d::new(4, 1)), &[5, 5, 3]),
        (boxed(Conv1d::new(4, 3).activation(Activation::Relu)), &[5, 3]),
        (boxed(ConvTranspose2d::new(4, 3).stride(2)), &[5, 5, 3]),
        (boxed(ConvTranspose1d::new(4, 3).activation(Activation::Gelu)), &[5, 3]),
        (boxed(DepthwiseConv2d::new(3).multiplier(2)), &[5, 5, 3]),
        (boxed(DepthwiseConv1d::new(3)), &[5, 3]),
        (boxed(SeparableConv2d::new(4, 3).padding(1)), &[5, 5, 3]),
        (boxed(SeparableConv1d::new(4, 3)), &[5, 3]),
    ]
}

#[test]
fn unbuilt_layers_say_so() {
    let message = "used before it was built: call `initialize` on the model, or `fit`, which builds it from the data";
    for (layer, sample) in each() {
        let error = layer.predict(&zeros(&[&[2], sample].concat())).unwrap_err();
        assert_eq!(error.to_string(), message, "{}", layer.kind());
    }
}

#[test]
fn a_built_layer_is_not_built_again_for_other_channels() -> Result<()> {
    for (mut layer, sample) in each() {
        layer.initialize(sample, 0)?;
        let mut other = sample.to_vec();
        *other.last_mut().expect("a sample has channels") = 7;
        let error = layer.initialize(&other, 0).unwrap_err().to_string();
        let expected = format!("input of one sample: expected 3 channels on the last axis, got shape {other:?}");
        assert_eq!(error, expected, "{}", layer.kind());
    }
    Ok(())
}

#[test]
fn a_batch_of_no_samples_gives_none() -> Result<()> {
    for (mut layer, sample) in each() {
        let built = layer.initialize(sample, 0)?;
        let x = zeros(&[&[0], sample].concat());
        let mut ctx = Context::training(&*layer, 0);
        let y = layer.forward(&x, &mut ctx)?;
        assert_eq!(y.shape(), [&[0], &built[..]].concat(), "{}", layer.kind());
        let dx = layer.backward(&x, &y, &y, true, &mut ctx)?;
        assert!(dx.is_some_and(|dx| dx.shape() == x.shape()), "{}", layer.kind());
    }
    Ok(())
}

#[test]
fn nan_flows_through() -> Result<()> {
    for (mut layer, sample) in each() {
        layer.initialize(sample, 0)?;
        let x = Tensor::from_elem(IxDyn(&[&[2], sample].concat()), f32::NAN);
        let trained = layer.forward(&x, &mut Context::training(&*layer, 0))?;
        assert!(trained.iter().chain(&layer.predict(&x)?).all(|y| y.is_nan()), "{}", layer.kind());
    }
    Ok(())
}
