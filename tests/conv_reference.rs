//! Every convolution layer held against PyTorch, in both number types.

#[path = "common/cases.rs"]
mod common;

use common::{cases, compare, counts, flag, run, size, tensor};
use layerwise::layers::*;
use layerwise::prelude::*;
use ndarray::IxDyn;
use serde_json::Value;

const FILE: &str = include_str!("reference/conv_torch.json");

fn numbers(value: &Value) -> Vec<usize> {
    let numbers = value.as_array().unwrap_or_else(|| panic!("{value} is no list"));
    numbers.iter().map(|number| number.as_u64().unwrap() as usize).collect()
}

fn one(value: &Value) -> usize {
    match numbers(value)[..] {
        [number] => number,
        _ => panic!("{value} is not one number"),
    }
}

fn pair(value: &Value) -> (usize, usize) {
    match numbers(value)[..] {
        [first, second] => (first, second),
        _ => panic!("{value} is no pair"),
    }
}

fn padding(value: &Value) -> Padding {
    match value.as_str() {
        Some("valid") => Padding::Valid,
        Some("same") => Padding::Same,
        Some("causal") => Padding::Causal,
        Some(other) => panic!("unknown padding {other}"),
        None => Padding::from([pair(&value[0]), pair(&value[1])]),
    }
}

fn activation(value: &Value) -> Activation {
    match value["name"].as_str().unwrap() {
        "Linear" => Activation::Linear,
        "Relu" => Activation::Relu,
        "LeakyRelu" => Activation::LeakyRelu(value["slope"].as_f64().unwrap()),
        "Sigmoid" => Activation::Sigmoid,
        "Tanh" => Activation::Tanh,
        "Softmax" => Activation::Softmax,
        "Gelu" => Activation::Gelu,
        "GeluTanh" => Activation::GeluTanh,
        other => panic!("unknown activation {other}"),
    }
}

/// A layer with the windows of a case. `$each` reads what there is for each axis.
macro_rules! windows {
    ($layer:expr, $config:expr, $each:ident) => {
        $layer
            .stride($each(&$config["stride"]))
            .dilation($each(&$config["dilation"]))
            .padding(padding(&$config["padding"]))
    };
}

/// The same with activation and bias, boxed.
macro_rules! finished {
    ($layer:expr, $config:expr) => {{
        let layer = $layer.activation(activation(&$config["activation"]));
        let boxed: Box<dyn Layer<A>> =
            if flag($config, "bias") { Box::new(layer) } else { Box::new(layer.without_bias()) };
        boxed
    }};
}

/// The layers of one number of axes.
macro_rules! family {
    ($name:ident, $each:ident, $conv:ident, $transposed:ident, $depthwise:ident, $separable:ident) => {
        fn $name<A: Scalar>(kind: &str, config: &Value) -> Box<dyn Layer<A>> {
            let kernel = || $each(&config["kernel_size"]);
            if kind.starts_with("ConvTranspose") {
                let layer = windows!($transposed::of(size(config, "filters"), kernel()), config, $each);
                let layer = layer.output_padding($each(&config["output_padding"]));
                finished!(layer.groups(size(config, "groups")), config)
            } else if kind.starts_with("Conv") {
                let layer = windows!($conv::of(size(config, "filters"), kernel()), config, $each);
                finished!(layer.groups(size(config, "groups")), config)
            } else if kind.starts_with("Depthwise") {
                let layer = windows!($depthwise::of(kernel()), config, $each);
                finished!(layer.multiplier(size(config, "multiplier")), config)
            } else {
                let (first, second) = (&config["depthwise"], &config["pointwise"]);
                let layer = $separable::of(size(second, "filters"), $each(&first["kernel_size"]));
                finished!(windows!(layer, first, $each).multiplier(size(first, "multiplier")), second)
            }
        }
    };
}
family!(of_sequences, one, Conv1d, ConvTranspose1d, DepthwiseConv1d, SeparableConv1d);
family!(of_images, pair, Conv2d, ConvTranspose2d, DepthwiseConv2d, SeparableConv2d);

fn layer<A: Scalar>(case: &Value) -> Box<dyn Layer<A>> {
    let (kind, config) = (case["kind"].as_str().unwrap(), &case["config"]);
    let layer = if kind.ends_with("1d") { of_sequences(kind, config) } else { of_images(kind, config) };
    // The file has the settings as the layer gives them.
    assert_eq!((layer.kind(), &layer.config()), (kind, config), "{}: settings", case["name"]);
    layer
}

/// Compares once more in buffers that hold NaN before: an element that is not written, or is added to, shows.
fn run_in_used_buffers<A: Scalar>(case: &Value, tolerance: f64) -> Result<()> {
    let (name, mut layer) = (case["name"].as_str().unwrap(), layer::<A>(case));
    let (x, dy) = (tensor::<A>(&case["inputs"][0]), tensor::<A>(&case["grad_outputs"][0]));
    layer.initialize(&x.shape()[1..], 0)?;
    for (param_name, param) in layer.params_mut() {
        param.set(&tensor::<A>(&case["params"][&param_name]))?;
    }
    let mut ctx = Context::training(&*layer, 0);
    for round in 0..2 {
        for shape in [x.shape(), dy.shape(), dy.shape()] {
            ctx.recycle(Tensor::from_elem(IxDyn(shape), A::of(f64::NAN)));
        }
        let y = layer.forward(&x, &mut ctx)?;
        ctx.recycle(Tensor::from_elem(IxDyn(x.shape()), A::of(f64::NAN)));
        let dx = layer.backward(&x, &y, &dy, round == 0, &mut ctx)?;
        compare(&format!("{name}: output"), &y, &case["outputs"][0], tolerance);
        assert_eq!(dx.is_some(), round == 0, "{name}: gradient of the input where it is wanted");
        if let Some(dx) = dx {
            compare(&format!("{name}: gradient of the input"), &dx, &case["input_grads"][0], tolerance);
        }
    }
    // The parameters' gradients have added up.
    for (param_name, param) in layer.params() {
        let half = ctx.gradient_of(param)?.expect("it is trained").mapv(|g| g * A::of(0.5)).into_shared();
        compare(&format!("{name}: gradient of {param_name}"), &half, &case["param_grads"][&param_name], tolerance);
    }
    Ok(())
}

#[test]
fn every_case_in_f64() -> Result<()> {
    let cases = cases(FILE);
    for case in &cases {
        run::<f64>(case, layer(case), 1e-12)?;
        run_in_used_buffers::<f64>(case, 1e-12)?;
    }
    let expected = [
        ("Conv1d", 50),
        ("Conv2d", 129),
        ("ConvTranspose1d", 66),
        ("ConvTranspose2d", 97),
        ("DepthwiseConv1d", 22),
        ("DepthwiseConv2d", 49),
        ("SeparableConv1d", 17),
        ("SeparableConv2d", 19),
    ];
    assert_eq!(counts(&cases).into_iter().collect::<Vec<_>>(), expected);
    Ok(())
}

/// Sums of sixteenths are exact in either number type, whatever the order: there nothing at all may differ.
#[test]
fn every_case_in_f32_and_exactly_where_it_can_be() -> Result<()> {
    let mut exact = 0;
    for case in &cases(FILE) {
        let config = &case["config"];
        let last = config.get("pointwise").unwrap_or(config);
        let linear = ["Linear", "Relu", "LeakyRelu"].contains(&last["activation"]["name"].as_str().unwrap());
        let tolerance = if linear { 0.0 } else { 2e-5 };
        exact += usize::from(linear);
        run::<f32>(case, layer(case), tolerance)?;
        run_in_used_buffers::<f32>(case, tolerance)?;
    }
    assert_eq!(exact, 404);
    Ok(())
}
