//! What goes wrong with pooling layers is said with what was expected and what came.

use layerwise::layers::*;
use layerwise::prelude::*;
use ndarray::{ArrayD, IxDyn};

fn boxed(layer: impl Layer + 'static) -> Box<dyn Layer> {
    Box::new(layer)
}

fn zeros(shape: &[usize]) -> Tensor {
    ArrayD::zeros(IxDyn(shape)).into_shared()
}

/// Building a layer for samples of a shape fails with this message.
#[test]
fn settings_and_shapes_are_checked_when_a_layer_is_built() {
    const IMAGE: &[usize] = &[8, 8, 3];
    let cases: Vec<(Box<dyn Layer>, &[usize], &str)> = vec![
        (boxed(MaxPool2d::new(0)), IMAGE, "window size must be at least 1, got 0"),
        (boxed(MaxPool2d::new((2, 0))), IMAGE, "window size must be at least 1, got 0"),
        (boxed(MaxPool2d::new(2).stride((0, 1))), IMAGE, "window stride must be at least 1, got 0"),
        (boxed(AveragePool1d::new(0)), &[8, 3], "window size must be at least 1, got 0"),
        (boxed(LpPool1d::new(2.0, 2).stride(0)), &[8, 3], "window stride must be at least 1, got 0"),
        (
            boxed(LpPool2d::new(2.0, 1 << 31).stride(1).padding(Padding::Same)),
            IMAGE,
            "window size must be at most 2147483647, got 2147483648",
        ),
        (boxed(LpPool2d::new(0.0, 2)), IMAGE, "p must be a finite number above 0, got 0"),
        (boxed(LpPool2d::new(-1.0, 2)), IMAGE, "p must be a finite number above 0, got -1"),
        (boxed(LpPool2d::new(f64::NAN, 2)), IMAGE, "p must be a finite number above 0, got NaN"),
        (boxed(LpPool1d::new(f64::INFINITY, 2)), &[8, 3], "p must be a finite number above 0, got inf"),
        (boxed(AdaptiveMaxPool2d::new((3, 0))), IMAGE, "output size must be at least 1, got 0"),
        (boxed(AdaptiveAveragePool1d::new(0)), &[8, 3], "output size must be at least 1, got 0"),
        (
            boxed(MaxPool2d::new(2).padding(Padding::Causal)),
            IMAGE,
            "padding of pooling must be Valid, Same or Sides, got Causal",
        ),
        (
            boxed(AveragePool1d::new(2).padding(Padding::Causal)),
            &[8, 3],
            "padding of pooling must be Valid, Same or Sides, got Causal",
        ),
        (
            boxed(MaxPool2d::new(2).padding([(0, 2), (0, 0)])),
            IMAGE,
            "padding along the height must be below the window's size of 2, so that no window holds padding alone, got \
             (0, 2)",
        ),
        (
            boxed(AveragePool2d::new((5, 3)).padding(4)),
            IMAGE,
            "padding along the width must be below the window's size of 3, so that no window holds padding alone, got \
             (4, 4)",
        ),
        (
            boxed(LpPool1d::new(2.0, 1).padding((9, 1))),
            &[8, 3],
            "padding along the width must be below the window's size of 1, so that no window holds padding alone, got \
             (1, 1)",
        ),
        (
            boxed(MaxPool2d::new((2, 9))),
            IMAGE,
            "input: expected at least 9 elements along the width, padding counted, got shape [8]",
        ),
        (
            boxed(MaxPool1d::new(4).padding(1)),
            &[1, 3],
            "input: expected at least 4 elements along the width, padding counted, got shape [3]",
        ),
        (
            boxed(MaxPool2d::new(2)),
            &[8, 8],
            "input of one sample: expected shape (height, width, channels) with at least one of each, got shape [8, 8]",
        ),
        (
            boxed(GlobalAveragePool2d::new()),
            &[8, 0, 3],
            "input of one sample: expected shape (height, width, channels) with at least one of each, got shape [8, 0, \
             3]",
        ),
        (
            boxed(AdaptiveAveragePool2d::new(2)),
            &[],
            "input of one sample: expected shape (height, width, channels) with at least one of each, got shape []",
        ),
        (
            boxed(GlobalMaxPool1d::new()),
            &[8, 8, 3],
            "input of one sample: expected shape (time, features) with at least one of each, got shape [8, 8, 3]",
        ),
        (
            boxed(AdaptiveMaxPool1d::new(2)),
            &[8, 0],
            "input of one sample: expected shape (time, features) with at least one of each, got shape [8, 0]",
        ),
        (
            boxed(Sequential::new().add(MaxPool2d::new(2)).add(MaxPool2d::new(5))),
            IMAGE,
            "layer 1 (MaxPool2d): input: expected at least 5 elements along the height, padding counted, got shape [4]",
        ),
    ];
    for (mut layer, input, message) in cases {
        let error = layer.initialize(input, 0).expect_err(message);
        assert_eq!(error.to_string(), message);
    }
}

/// Windows far longer than the image, and as far apart, are no mistake.
#[test]
fn the_longest_windows_and_strides_work() -> Result<()> {
    let (x, longest) = (zeros(&[1, 3, 2, 1]), i32::MAX as usize);
    let y = AveragePool2d::new(longest).stride(1).padding(Padding::Same).count_include_pad().predict(&x)?;
    assert_eq!(y.shape(), [1, 3, 2, 1]);
    let layers = [
        boxed(MaxPool2d::new(1).stride(longest).ceil_mode()),
        boxed(LpPool2d::new(2.0, longest).padding(longest - 1).ceil_mode()),
        boxed(AveragePool2d::new(longest).padding([(0, longest - 1), (longest - 1, 0)])),
    ];
    for layer in layers {
        layer.forward(&x, &mut Context::inference())?;
    }
    Ok(())
}

/// A batch fails with this message, whatever the layer was built for.
#[test]
fn batches_are_checked_in_use() {
    let cases: [(Box<dyn Layer>, &[usize], &str); 6] = [
        (
            boxed(MaxPool2d::new(2)),
            &[8, 8, 3],
            "input: expected shape (batch, height, width, channels) with at least one of each, got shape [8, 8, 3]",
        ),
        (
            boxed(GlobalMaxPool1d::new()),
            &[],
            "input: expected shape (batch, time, features) with at least one of each, got shape []",
        ),
        (
            boxed(LpPool1d::new(2.0, 2)),
            &[2, 8, 0],
            "input: expected shape (batch, time, features) with at least one of each, got shape [2, 8, 0]",
        ),
        (
            boxed(AveragePool2d::new(3)),
            &[2, 2, 8, 1],
            "input: expected at least 3 elements along the height, padding counted, got shape [2]",
        ),
        (boxed(LpPool2d::new(-2.0, 2)), &[2, 8, 8, 1], "p must be a finite number above 0, got -2"),
        (boxed(AdaptiveMaxPool1d::new(0)), &[2, 8, 1], "output size must be at least 1, got 0"),
    ];
    for (layer, shape, message) in cases {
        let error = layer.forward(&zeros(shape), &mut Context::inference()).expect_err(message);
        assert_eq!(error.to_string(), message);
    }
}

#[test]
fn a_gradient_of_another_shape_is_refused() -> Result<()> {
    let (layer, x) = (MaxPool2d::new(2), zeros(&[2, 4, 6, 3]));
    let mut ctx = Context::recording(Mode::Training);
    let y = layer.forward(&x, &mut ctx)?;
    let error = layer.backward(&x, &y, &zeros(&[2, 2, 2, 3]), true, &mut ctx).unwrap_err();
    assert_eq!(error.to_string(), "gradient: expected shape [2, 2, 3, 3] of the output, got shape [2, 2, 2, 3]");
    Ok(())
}
