//! Activations, softmax over any axis and PReLU: PyTorch's numbers, finite differences, the edges of the number types,
//! and what is refused.

#[path = "common/cases.rs"]
mod common;
#[path = "common/gradients.rs"]
mod gradients;

use common::{array, cases, tensor};
use gradients::{check, input};
use layerwise::io::{LoadWeights, Registry, Tensors};
use layerwise::layers::{
    Conv1d, Conv2d, ConvTranspose2d, DepthwiseConv2d, LogSoftmax, PRelu, SeparableConv2d, SimpleRnn, Softmax,
};
use layerwise::prelude::*;
use ndarray::{ArrayD, IxDyn};
use serde_json::Value;

const FILE: &str = include_str!("reference/activations_torch.json");

/// One of each kind with settings, those that depend on them several times.
const ACTIVATIONS: [Activation; 24] = [
    Activation::Relu6,
    Activation::Elu(1.0),
    Activation::Elu(0.3),
    Activation::Selu,
    Activation::Celu(1.0),
    Activation::Celu(2.5),
    Activation::LogSigmoid,
    Activation::HardSigmoid,
    Activation::HardTanh(-1.0, 1.0),
    Activation::HardTanh(0.25, 3.0),
    Activation::TanhShrink,
    Activation::LogSoftmax,
    Activation::Silu,
    Activation::HardSwish,
    Activation::Mish,
    Activation::Softplus(1.0),
    Activation::Softplus(2.5),
    Activation::Softplus(-0.5),
    Activation::Softsign,
    Activation::Exponential,
    Activation::HardShrink(0.5),
    Activation::SoftShrink(0.5),
    Activation::Threshold(0.1, -2.0),
    Activation::Sigmoid,
];

fn run<A: Scalar>(case: &Value, tolerance: f64) -> Result<()> {
    let layer = Registry::<A>::of().make(case["kind"].as_str().unwrap(), &case["config"])?;
    common::run(case, layer, tolerance)
}

#[test]
fn pytorch_s_values_and_gradients_in_both_number_types() -> Result<()> {
    let cases = cases(FILE);
    assert_eq!(cases.len(), 136);
    for case in &cases {
        run::<f64>(case, 1e-12)?;
        run::<f32>(case, 2e-5)?;
    }
    Ok(())
}

/// y = f(x) for one number.
fn at<A: Scalar>(activation: Activation, x: f64) -> Result<f64> {
    slope_at::<A>(activation, x).map(|(y, _)| y)
}

/// The same with the derivative.
fn slope_at<A: Scalar>(activation: Activation, x: f64) -> Result<(f64, f64)> {
    let one = |x: f64| ArrayD::from_elem(IxDyn(&[1, 1]), A::of(x)).into_shared();
    let (x, mut ctx) = (one(x), Context::recording(Mode::Training));
    let y = activation.forward(&x, &mut ctx)?;
    let dx = activation.backward(&x, &y, &one(1.0), true, &mut ctx)?.expect("it was asked for");
    Ok((y.first().unwrap().as_f64(), dx.first().unwrap().as_f64()))
}

/// Small results keep their digits: errors are relative to the result, not to 1.
#[test]
fn outputs_are_exact_to_the_last_digits() -> Result<()> {
    for case in cases(FILE) {
        let kind = case["kind"].as_str().unwrap();
        // The difference of two numbers that are almost equal, also in PyTorch; and a sum over a row.
        if ["TanhShrink", "HardSigmoid", "SoftmaxOver", "LogSoftmaxOver", "LogSoftmax"].contains(&kind) {
            continue;
        }
        let mut layer = Registry::<f64>::of().make(kind, &case["config"])?;
        let x: Tensor<f64> = tensor(&case["inputs"][0]);
        layer.initialize(&x.shape()[1..], 0)?;
        if let Some(slope) = layer.params_mut().into_iter().next() {
            slope.1.set(&tensor::<f64>(&case["params"]["slope"]))?;
        }
        let y = layer.predict(&x)?;
        for ((&x, &got), &expected) in x.iter().zip(&y).zip(&array(&case["outputs"][0])) {
            let apart = (got - expected).abs();
            assert!(apart <= 2e-15 * expected.abs(), "{}: {got} instead of {expected} at {x}", case["name"]);
        }
    }
    Ok(())
}

/// Whether two numbers agree to a relative error.
fn near(got: f64, expected: f64, tolerance: f64) -> bool {
    got == expected || (got - expected).abs() <= tolerance * expected.abs()
}

#[test]
fn far_out_nothing_overflows_and_nothing_is_rounded_to_nothing() -> Result<()> {
    use Activation::*;
    // The function, x, y and the derivative, from the asymptotes.
    let far: [(Activation, f64, f64, f64); 18] = [
        (Softplus(1.0), -80.0, (-80.0_f64).exp(), (-80.0_f64).exp()),
        (Softplus(1.0), 1e30, 1e30, 1.0),
        (Softplus(1.0), -1e30, 0.0, 0.0),
        (LogSigmoid, -1e4, -1e4, 1.0),
        (LogSigmoid, 80.0, -(-80.0_f64).exp(), (-80.0_f64).exp()),
        (LogSigmoid, -1e30, -1e30, 1.0),
        (Mish, 1e30, 1e30, 1.0),
        (Mish, -1e30, 0.0, 0.0),
        (Mish, -80.0, -80.0 * (-80.0_f64).exp(), -79.0 * (-80.0_f64).exp()),
        (Silu, 1e30, 1e30, 1.0),
        (Silu, -1e30, 0.0, 0.0),
        (Silu, -80.0, -80.0 * (-80.0_f64).exp(), -79.0 * (-80.0_f64).exp()),
        (HardSwish, 1e38, 1e38, 1.0),
        (HardSwish, -1e38, 0.0, 0.0),
        (Elu(1.0), -1e30, -1.0, 0.0),
        (Elu(1.0), -1e-30, -1e-30, 1.0),
        (Softsign, 1e15, 1.0, 1e-30),
        (Celu(1e-3), -1e30, -1e-3, 0.0),
    ];
    for (activation, x, y, slope) in far {
        let double = slope_at::<f64>(activation, x)?;
        assert!(near(double.0, y, 1e-14) && near(double.1, slope, 1e-12), "{activation:?}({x}): {double:?}");
        let single = slope_at::<f32>(activation, x)?;
        assert!(near(single.0, y, 1e-5) && near(single.1, slope, 1e-5), "{activation:?}({x}): {single:?}");
    }
    // Below the smallest normal number of f32 there are digits left, and they are right.
    let tiny = (-100.0_f64).exp();
    assert!((at::<f32>(Softplus(1.0), -100.0)? - tiny).abs() <= 1e-45);
    assert!((at::<f32>(Mish, -100.0)? + 100.0 * tiny).abs() <= 1e-43);
    assert!((at::<f64>(Softplus(1.0), -740.0)? / (-740.0_f64).exp() - 1.0).abs() < 0.1);
    Ok(())
}

#[test]
fn nan_flows_through_and_infinities_go_where_the_function_goes() -> Result<()> {
    use Activation::*;
    for activation in ACTIVATIONS {
        assert!(at::<f32>(activation, f64::NAN)?.is_nan(), "{activation:?}");
        assert!(at::<f64>(activation, f64::NAN)?.is_nan(), "{activation:?}");
    }
    for (activation, at_minus, at_plus) in [
        (Relu6, 0.0, 6.0),
        (Elu(0.5), -0.5, f64::INFINITY),
        (HardSigmoid, 0.0, 1.0),
        (HardTanh(-2.0, 3.0), -2.0, 3.0),
        (LogSigmoid, f64::NEG_INFINITY, 0.0),
        (Softplus(1.0), 0.0, f64::INFINITY),
        (Exponential, 0.0, f64::INFINITY),
        (SoftShrink(0.5), f64::NEG_INFINITY, f64::INFINITY),
        (Threshold(1.0, 7.0), 7.0, f64::INFINITY),
    ] {
        for (x, y) in [(f64::NEG_INFINITY, at_minus), (f64::INFINITY, at_plus)] {
            assert_eq!((at::<f32>(activation, x)?, at::<f64>(activation, x)?), (y, y), "{activation:?}({x})");
        }
    }
    Ok(())
}

/// As PyTorch: an impossible class has probability 0, and a row of them none at all.
#[test]
fn softmax_of_minus_infinity() -> Result<()> {
    let none = f32::NEG_INFINITY;
    let x = ndarray::array![[none, 0.0], [1.0, 0.0], [none, none]].into_dyn().into_shared();
    for (soft, log) in [(Softmax::new(), LogSoftmax::new()), (Softmax::new().axis(1), LogSoftmax::new().axis(1))] {
        let (y, log) = (soft.forward(&x, &mut Context::inference())?, log.forward(&x, &mut Context::inference())?);
        assert_eq!((y[[0, 0]], y[[0, 1]], log[[0, 0]], log[[0, 1]]), (0.0, 1.0, none, 0.0));
        assert!(y[[2, 0]].is_nan() && y[[2, 1]].is_nan() && log[[2, 0]].is_nan());
    }
    let over_time = LogSoftmax::new().axis(1);
    let y = over_time.forward(&x.into_shape_with_order(IxDyn(&[1, 3, 2])).unwrap(), &mut Context::inference())?;
    assert_eq!((y[[0, 0, 0]], y[[0, 1, 0]], y[[0, 2, 1]]), (none, 0.0, none));
    Ok(())
}

#[test]
fn finite_differences_alone_and_fused() -> Result<()> {
    for activation in ACTIVATIONS {
        for shape in [&[3, 4][..], &[2, 3, 2], &[2, 2, 2, 3]] {
            let [report, _] = check(activation, &[input(shape)])?;
            assert_eq!(report.compared, shape.iter().product::<usize>(), "{activation:?}");
            check(Dense::of(4).activation(activation), &[input(shape)])?;
        }
        let image = [input(&[2, 3, 3, 2])];
        check(Conv2d::of(3, 2).activation(activation), &image)?;
        check(ConvTranspose2d::of(3, 2).activation(activation), &image)?;
        check(DepthwiseConv2d::of(2).activation(activation), &image)?;
    }
    check(SeparableConv2d::of(3, 2).activation(Activation::Mish), &[input(&[2, 3, 3, 2])])?;
    check(Conv1d::of(3, 2).activation(Activation::Softplus(2.0)), &[input(&[2, 4, 2])])?;
    for activation in [Activation::Elu(0.5), Activation::HardTanh(-2.0, 2.0), Activation::Softplus(1.0)] {
        check(SimpleRnn::of(3).activation(activation), &[input(&[2, 3, 2])])?;
    }
    Ok(())
}

#[test]
fn finite_differences_over_every_axis_and_of_learned_slopes() -> Result<()> {
    for shape in [&[3, 4][..], &[2, 3, 4], &[2, 3, 2, 3]] {
        for axis in 1..shape.len() as isize {
            check(Softmax::new().axis(axis), &[input(shape)])?;
            check(LogSoftmax::new().axis(axis - shape.len() as isize), &[input(shape)])?;
        }
        let elements: usize = shape.iter().product();
        for (layer, slopes) in [
            (PRelu::of(), 1),
            (PRelu::of().per_channel(), shape[shape.len() - 1]),
            (PRelu::of().per_element(), elements / shape[0]),
        ] {
            let [report, _] = check(layer, &[input(shape)])?;
            assert_eq!(report.compared, elements + slopes);
        }
    }
    Ok(())
}

#[test]
fn slopes_come_from_pytorch_s_files() -> Result<()> {
    let path = std::env::temp_dir().join(format!("layerwise-prelu-{}.safetensors", std::process::id()));
    let mut file = Tensors::new();
    file.add("1.weight", &[2], &[0.5_f32, -0.25][..])?;
    file.write(&path)?;
    let mut model = Sequential::new().add(PRelu::new().per_channel());
    model.initialize(&[2], 0)?;
    LoadWeights::new(&path)?.pytorch().into_model(&mut model)?;
    assert_eq!(model.predict(&ndarray::array![[-2.0_f32, -4.0]])?, ndarray::array![[-1.0, 1.0]].into_dyn());
    std::fs::remove_file(path).unwrap();
    Ok(())
}

fn boxed(layer: impl Layer + 'static) -> Box<dyn Layer> {
    Box::new(layer)
}

#[test]
fn settings_that_make_no_function_are_refused() {
    use Activation::*;
    for (activation, message) in [
        (Elu(-1.0), "alpha of Elu must be a finite number from 0, got -1"),
        (Elu(f64::NAN), "alpha of Elu must be a finite number from 0, got NaN"),
        (Elu(f64::INFINITY), "alpha of Elu must be a finite number from 0, got inf"),
        (Celu(0.0), "alpha of Celu must be a finite number above 0, got 0"),
        (Celu(f64::INFINITY), "alpha of Celu must be a finite number above 0, got inf"),
        (Softplus(0.0), "beta of Softplus must be a finite number other than 0, got 0"),
        (Softplus(f64::NAN), "beta of Softplus must be a finite number other than 0, got NaN"),
        (HardTanh(1.0, 1.0), "bounds of HardTanh must be min < max, got min 1 and max 1"),
        (HardTanh(0.0, f64::NAN), "bounds of HardTanh must be min < max, got min 0 and max NaN"),
        (HardShrink(-0.5), "lambda of HardShrink must be a finite number from 0, got -0.5"),
        (SoftShrink(f64::NAN), "lambda of SoftShrink must be a finite number from 0, got NaN"),
    ] {
        for (mut layer, shape) in [
            (boxed(activation), &[4, 4, 2][..]),
            (boxed(Dense::new(2).activation(activation)), &[4]),
            (boxed(Conv2d::new(2, 2).activation(activation)), &[4, 4, 2]),
            (boxed(ConvTranspose2d::new(2, 2).activation(activation)), &[4, 4, 2]),
            (boxed(DepthwiseConv2d::new(2).activation(activation)), &[4, 4, 2]),
            (boxed(SeparableConv2d::new(2, 2).activation(activation)), &[4, 4, 2]),
            (boxed(SimpleRnn::new(2).activation(activation)), &[4, 2]),
        ] {
            assert_eq!(layer.initialize(shape, 0).unwrap_err().to_string(), message);
        }
    }
}

#[test]
fn axes_and_shapes_that_do_not_fit_are_refused() -> Result<()> {
    for (mut layer, shape, message) in [
        (
            boxed(Softmax::new().axis(0)),
            &[4][..],
            "axis of SoftmaxOver must be an axis of 2 other than 0, the batch, got 0",
        ),
        (
            boxed(Softmax::new().axis(2)),
            &[4],
            "axis of SoftmaxOver must be an axis of 2 other than 0, the batch, got 2",
        ),
        (boxed(Softmax::new()), &[], "axis of SoftmaxOver must be an axis of 1 other than 0, the batch, got -1"),
        (
            boxed(LogSoftmax::new().axis(-3)),
            &[4, 2],
            "axis of LogSoftmaxOver must be an axis of 3 other than 0, the batch, got -3",
        ),
        (
            boxed(LogSoftmax::new().axis(isize::MAX)),
            &[4],
            "axis of LogSoftmaxOver must be an axis of 2 other than 0, the batch, got 9223372036854775807",
        ),
        (boxed(PRelu::new().per_channel()), &[], "input of one sample: expected a last axis of features, got shape []"),
    ] {
        assert_eq!(layer.initialize(shape, 0).unwrap_err().to_string(), message);
    }
    for (mut layer, message) in [
        (boxed(PRelu::new().per_channel()), "input: expected 3 features on the last axis, got shape [3, 4]"),
        (
            boxed(PRelu::new().per_element()),
            "input of one sample: expected shape [4, 3] of the slopes, got shape [3, 4]",
        ),
    ] {
        layer.initialize(&[4, 3], 0)?;
        let x = ArrayD::<f32>::zeros(IxDyn(&[2, 3, 4]));
        assert_eq!(layer.predict(&x).unwrap_err().to_string(), message);
        let mut ctx = Context::inference();
        assert_eq!(layer.forward(&x.into_shared(), &mut ctx).unwrap_err().to_string(), message);
    }
    let rnn = SimpleRnn::new(2).activation(Activation::Silu);
    let message = Layer::<f32>::output_shape(&rnn, &[3, 2]).unwrap_err().to_string();
    assert!(message.starts_with("activation of SimpleRNN must be one whose derivative follows from its output"));
    Ok(())
}
