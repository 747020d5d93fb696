//! Every convolution layer held against PyTorch, in both number types.

#[path = "common/cases.rs"]
mod common;

use common::{cases, counts, flag, one, pair, run, size};
use layerwise::layers::*;
use layerwise::prelude::*;
use serde_json::Value;

const FILE: &str = include_str!("reference/conv_torch.json");

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
    assert_eq!(layer.kind(), kind);
    has(&layer.config(), config, &case["name"]);
    layer
}

/// The settings of the file are the layer's, which beside them has initializers.
fn has(settings: &Value, of_file: &Value, name: &Value) {
    for (key, setting) in of_file.as_object().unwrap() {
        match key.as_str() {
            "depthwise" | "pointwise" => has(&settings[key], setting, name),
            _ => assert_eq!(&settings[key], setting, "{name}: {key}"),
        }
    }
}

#[test]
fn every_case_in_f64() -> Result<()> {
    let cases = cases(FILE);
    cases.iter().try_for_each(|case| run::<f64>(case, layer(case), 1e-12))?;
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
    assert_eq!(counts(&cases), expected.into());
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
    }
    assert_eq!(exact, 404);
    Ok(())
}
