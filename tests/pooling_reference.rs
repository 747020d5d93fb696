//! Every pooling layer held against PyTorch, in both number types.

#[path = "common/cases.rs"]
mod common;

use common::{cases, counts, one, pair};
use layerwise::layers::*;
use layerwise::prelude::*;
use ndarray::{ArrayD, IxDyn};
use serde_json::Value;

const FILE: &str = include_str!("reference/pooling_torch.json");

fn padding(value: &Value) -> Padding {
    match value {
        Value::String(name) if name == "valid" => Padding::Valid,
        Value::String(name) if name == "same" => Padding::Same,
        sides => match &sides.as_array().unwrap()[..] {
            [width] => Padding::from([(0, 0), pair(width)]),
            [height, width] => Padding::from([pair(height), pair(width)]),
            _ => panic!("{value} is no padding"),
        },
    }
}

/// Windows with the size, stride, padding and ceil mode of a case.
macro_rules! sliding {
    ($config:ident, $layer:expr, $size:ident) => {{
        let layer = $layer.stride($size(&$config["stride"])).padding(padding(&$config["padding"]));
        if $config["ceil_mode"] == true { layer.ceil_mode() } else { layer }
    }};
}

fn layer<A: Scalar>(kind: &str, config: &Value) -> Box<dyn Layer<A>> {
    let (size, output) = (&config["size"], &config["output"]);
    let p = || config["p"].as_f64().unwrap();
    let (counted, kept) = (config["count_include_pad"] == true, config["keep_dims"] == true);
    match kind {
        "MaxPool1d" => Box::new(sliding!(config, MaxPool1d::new(one(size)), one)),
        "MaxPool2d" => Box::new(sliding!(config, MaxPool2d::new(pair(size)), pair)),
        "AveragePool1d" => {
            let layer = sliding!(config, AveragePool1d::new(one(size)), one);
            Box::new(if counted { layer.count_include_pad() } else { layer })
        }
        "AveragePool2d" => {
            let layer = sliding!(config, AveragePool2d::new(pair(size)), pair);
            Box::new(if counted { layer.count_include_pad() } else { layer })
        }
        "LpPool1d" => Box::new(sliding!(config, LpPool1d::new(p(), one(size)), one)),
        "LpPool2d" => Box::new(sliding!(config, LpPool2d::new(p(), pair(size)), pair)),
        "GlobalMaxPool1d" if kept => Box::new(GlobalMaxPool1d::new().keep_dims()),
        "GlobalMaxPool1d" => Box::new(GlobalMaxPool1d::new()),
        "GlobalMaxPool2d" if kept => Box::new(GlobalMaxPool2d::new().keep_dims()),
        "GlobalMaxPool2d" => Box::new(GlobalMaxPool2d::new()),
        "GlobalAveragePool1d" if kept => Box::new(GlobalAveragePool1d::new().keep_dims()),
        "GlobalAveragePool1d" => Box::new(GlobalAveragePool1d::new()),
        "GlobalAveragePool2d" if kept => Box::new(GlobalAveragePool2d::new().keep_dims()),
        "GlobalAveragePool2d" => Box::new(GlobalAveragePool2d::new()),
        "AdaptiveAveragePool1d" => Box::new(AdaptiveAveragePool1d::new(one(output))),
        "AdaptiveAveragePool2d" => Box::new(AdaptiveAveragePool2d::new(pair(output))),
        "AdaptiveMaxPool1d" => Box::new(AdaptiveMaxPool1d::new(one(output))),
        "AdaptiveMaxPool2d" => Box::new(AdaptiveMaxPool2d::new(pair(output))),
        other => panic!("unknown kind {other}"),
    }
}

fn run<A: Scalar>(case: &Value, tolerance: f64) -> Result<()> {
    let kind = case["kind"].as_str().unwrap();
    let layer = layer::<A>(kind, &case["config"]);
    // The settings are all there, in the form of the reference file, in which the height of a sequence has no padding.
    let (config, mut given) = (layer.config(), case["config"].clone());
    if let Some(sides) = given.get_mut("padding").and_then(Value::as_array_mut).filter(|sides| sides.len() == 1) {
        sides.insert(0, serde_json::json!([0, 0]));
    }
    assert_eq!((layer.kind(), config), (kind, given), "{}: settings", case["name"]);
    common::run(case, layer, tolerance)
}

#[test]
fn every_case_in_f64() -> Result<()> {
    let cases = cases(FILE);
    cases.iter().try_for_each(|case| run::<f64>(case, 1e-12))?;
    let expected = [
        ("AdaptiveAveragePool1d", 4),
        ("AdaptiveAveragePool2d", 6),
        ("AdaptiveMaxPool1d", 4),
        ("AdaptiveMaxPool2d", 6),
        ("AveragePool1d", 36),
        ("AveragePool2d", 110),
        ("GlobalAveragePool1d", 6),
        ("GlobalAveragePool2d", 6),
        ("GlobalMaxPool1d", 6),
        ("GlobalMaxPool2d", 6),
        ("LpPool1d", 18),
        ("LpPool2d", 65),
        ("MaxPool1d", 18),
        ("MaxPool2d", 59),
    ];
    assert_eq!(counts(&cases), expected.into());
    Ok(())
}

#[test]
fn every_case_in_f32() -> Result<()> {
    cases(FILE).iter().try_for_each(|case| run::<f32>(case, 2e-5))
}

/// Output and gradient, in buffers that hold NaN before: an element that is not written shows.
fn pass(layer: &dyn Layer<f64>, x: &Tensor<f64>, dy: &Tensor<f64>) -> Result<(Tensor<f64>, Tensor<f64>)> {
    let mut ctx = Context::recording(Mode::Training);
    for shape in [x.shape(), dy.shape()] {
        ctx.recycle(Tensor::from_elem(IxDyn(shape), f64::NAN));
    }
    let y = layer.forward(x, &mut ctx)?;
    ctx.recycle(Tensor::from_elem(IxDyn(x.shape()), f64::NAN));
    let dx = layer.backward(x, &y, dy, true, &mut ctx)?.expect("it was wanted");
    assert!(layer.backward(x, &y, dy, false, &mut ctx)?.is_none());
    Ok((y, dx))
}

fn image(shape: &[usize], values: &[f64]) -> Tensor<f64> {
    ArrayD::from_shape_vec(IxDyn(shape), values.to_vec()).unwrap().into_shared()
}

/// A layer, the shape of its output, and the gradient for a gradient of ones.
type Case<'a> = (&'a dyn Layer<f64>, &'a [usize], [f64; 9]);

/// The gradients are what PyTorch 2.15 gives for max_pool2d, adaptive_max_pool2d and max_pool1d.
#[test]
fn nan_is_the_maximum_and_the_last_one_gets_the_gradient() -> Result<()> {
    let nan = f64::NAN;
    let x = image(&[1, 3, 3, 1], &[1.0, nan, 2.0, nan, 5.0, nan, 7.0, 7.0, 7.0]);
    let ones = |shape: &[usize]| Tensor::ones(IxDyn(shape));
    let last = [0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0];
    let cases: [Case; 4] = [
        (&MaxPool2d::new(2).stride(1), &[1, 2, 2, 1], [0.0, 0.0, 0.0, 2.0, 0.0, 2.0, 0.0, 0.0, 0.0]),
        (&MaxPool2d::new(3), &[1, 1, 1, 1], last),
        (&AdaptiveMaxPool2d::new(1), &[1, 1, 1, 1], last),
        (&GlobalMaxPool2d::new(), &[1, 1], last),
    ];
    for (layer, shape, gradient) in cases {
        let (y, dx) = pass(layer, &x, &ones(shape))?;
        assert!(y.iter().all(|y| y.is_nan()), "{}: {y}", layer.kind());
        assert_eq!(dx.as_slice(), Some(&gradient[..]), "{}", layer.kind());
    }
    // Two by two at distance two has a way of its own.
    for (values, at) in [([nan, 1.0, 2.0, 3.0], 0), ([nan, nan, 2.0, 3.0], 1), ([9.0, nan, nan, 3.0], 2)] {
        let (y, dx) = pass(&MaxPool2d::new(2), &image(&[1, 2, 2, 1], &values), &ones(&[1, 1, 1, 1]))?;
        assert!(y[[0, 0, 0, 0]].is_nan());
        assert!(dx.iter().enumerate().all(|(i, &dx)| dx == if i == at { 1.0 } else { 0.0 }), "{values:?}: {dx}");
    }
    let x = image(&[1, 6, 1], &[1.0, nan, nan, 2.0, 3.0, 3.0]);
    let (y, dx) = pass(&MaxPool1d::new(3), &x, &ones(&[1, 2, 1]))?;
    assert!(y[[0, 0, 0]].is_nan() && y[[0, 1, 0]] == 3.0);
    assert_eq!(dx.as_slice(), Some(&[0.0, 0.0, 1.0, 0.0, 1.0, 0.0][..]));
    Ok(())
}

/// As in PyTorch the first of equals has it, also where all are minus infinity and padding could be taken for them.
#[test]
fn padding_is_never_the_maximum() -> Result<()> {
    let lowest = f64::NEG_INFINITY;
    let layer = MaxPool2d::new(3).padding(1).stride(2);
    let (y, dx) = pass(&layer, &image(&[1, 2, 2, 1], &[lowest; 4]), &Tensor::ones(IxDyn(&[1, 1, 1, 1])))?;
    assert_eq!((y.as_slice(), dx.as_slice()), (Some(&[lowest][..]), Some(&[1.0, 0.0, 0.0, 0.0][..])));
    Ok(())
}

/// NaN comes out of the windows that it is in, and of no others.
#[test]
fn nan_flows_through_means_and_norms() -> Result<()> {
    let x = image(&[1, 4, 1], &[1.0, f64::NAN, 3.0, 4.0]);
    let layers: [&dyn Layer<f64>; 4] =
        [&AveragePool1d::new(2), &LpPool1d::new(2.0, 2), &LpPool1d::new(3.0, 2), &AdaptiveAveragePool1d::new(2)];
    for layer in layers {
        let y = layer.predict(&x)?;
        assert!(y[[0, 0, 0]].is_nan() && y[[0, 1, 0]].is_finite(), "{}: {y}", layer.kind());
    }
    Ok(())
}

#[test]
fn a_norm_of_zero_has_no_gradient_and_a_negative_sum_no_root() -> Result<()> {
    for p in [0.5, 1.0, 1.5, 2.0, 3.0] {
        let x = image(&[1, 4, 1], &[0.0, 0.0, 3.0, 4.0]);
        let (y, dx) = pass(&LpPool1d::new(p, 2), &x, &Tensor::ones(IxDyn(&[1, 2, 1])))?;
        assert_eq!(y[[0, 0, 0]], 0.0);
        assert_eq!(dx.as_slice().unwrap()[..2], [0.0, 0.0], "p = {p}");
        assert!(dx.iter().all(|dx| dx.is_finite()));
    }
    let y = |p: f64| LpPool1d::new(p, 2).predict(&image(&[1, 4, 1], &[-2.0, 1.0, -1.0, 2.0]));
    assert_eq!(y(1.0)?.as_slice(), Some(&[-1.0, 1.0][..]));
    assert!((y(4.0)?[[0, 0, 0]] - 17_f64.powf(0.25)).abs() < 1e-15);
    let odd = y(3.0)?;
    assert!(odd[[0, 0, 0]].is_nan() && (odd[[0, 1, 0]] - 7_f64.cbrt()).abs() < 1e-15);
    assert!(y(1.5)?.iter().all(|y| y.is_nan()));
    Ok(())
}

#[test]
fn an_empty_batch_gives_an_empty_batch() -> Result<()> {
    let x = Tensor::<f64>::zeros(IxDyn(&[0, 4, 4, 3]));
    let (y, dx) = pass(&MaxPool2d::new(2), &x, &Tensor::zeros(IxDyn(&[0, 2, 2, 3])))?;
    assert_eq!((y.shape(), dx.shape()), (&[0, 2, 2, 3][..], x.shape()));
    let y = GlobalAveragePool2d::new().forward(&x, &mut Context::inference())?;
    assert_eq!(y.shape(), [0, 3]);
    Ok(())
}
