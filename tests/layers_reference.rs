//! Every layer held against PyTorch, in both number types.

#[path = "common/reference.rs"]
mod reference;

use std::collections::BTreeMap;

use layerwise::prelude::*;
use layerwise::to_tensor;
use reference::{array, compare, tensor};
use serde_json::Value;

fn cases() -> Vec<Value> {
    reference::cases(include_str!("reference/layers_torch.json"))
}

fn size(config: &Value, name: &str) -> usize {
    config[name].as_u64().unwrap_or_else(|| panic!("{config} has no {name}")) as usize
}

fn flag(config: &Value, name: &str) -> bool {
    config[name].as_bool().unwrap_or_else(|| panic!("{config} has no {name}"))
}

fn activation(name: &Value, config: &Value) -> Activation {
    match name.as_str().unwrap() {
        "linear" => Activation::Linear,
        "relu" => Activation::Relu,
        "leaky_relu" => Activation::LeakyRelu(config["slope"].as_f64().unwrap()),
        "sigmoid" => Activation::Sigmoid,
        "tanh" => Activation::Tanh,
        "softmax" => Activation::Softmax,
        "gelu" => Activation::Gelu,
        "gelu_tanh" => Activation::GeluTanh,
        other => panic!("unknown activation {other}"),
    }
}

fn dense<A: Scalar>(config: &Value) -> Dense<A> {
    let layer = Dense::of(size(config, "units")).activation(activation(&config["activation"], config));
    if flag(config, "bias") { layer } else { layer.without_bias() }
}

fn layers<A: Scalar>(configs: &Value) -> Sequential<A> {
    let mut model = Sequential::of();
    for config in configs.as_array().unwrap() {
        model.push(layer(config["kind"].as_str().unwrap(), config, 1));
    }
    model
}

/// The layer of a case; merges in a graph of their own.
fn layer<A: Scalar>(kind: &str, config: &Value, inputs: usize) -> Box<dyn Layer<A>> {
    match kind {
        "Dense" => Box::new(dense(config)),
        "Activation" => Box::new(activation(&config["name"], config)),
        "Dropout" => Box::new(Dropout::new(config["rate"].as_f64().unwrap())),
        "BatchNormalization" => Box::new(
            BatchNormalization::of()
                .momentum(config["momentum"].as_f64().unwrap())
                .epsilon(config["epsilon"].as_f64().unwrap())
                .unbiased(flag(config, "unbiased")),
        ),
        "Flatten" => Box::new(Flatten::new()),
        "Reshape" => {
            let shape = config["shape"].as_array().unwrap();
            Box::new(Reshape::new(shape.iter().map(|n| n.as_i64().unwrap() as isize).collect::<Vec<_>>()))
        }
        "Embedding" => Box::new(Embedding::of(size(config, "vocabulary"), size(config, "dimension"))),
        "SimpleRNN" => {
            let mut layer = SimpleRnn::of(size(config, "units")).activation(activation(&config["activation"], config));
            if flag(config, "return_sequences") {
                layer = layer.return_sequences();
            }
            Box::new(if flag(config, "bias") { layer } else { layer.without_bias() })
        }
        "Concatenate" => merge(Concatenate::new(config["axis"].as_i64().unwrap() as isize), inputs),
        "Add" => merge(Add::new(), inputs),
        "Residual" => {
            let body = &config["body"];
            let block = match body.is_array() {
                true => Residual::new(layers(body)),
                false => Residual::new(dense(body)),
            };
            match &config["projection"] {
                Value::Null => Box::new(block),
                projection => Box::new(block.projection(dense(projection))),
            }
        }
        "Graph" => Box::new(graph()),
        "Sequential" => Box::new(layers(&config["layers"])),
        other => panic!("unknown kind {other}"),
    }
}

fn merge<A: Scalar>(merge: impl Merge<A> + 'static, inputs: usize) -> Box<dyn Layer<A>> {
    let mut graph = Graph::of();
    let nodes: Vec<Node> = (0..inputs).map(|_| graph.input()).collect();
    let joined = graph.merge(merge, &nodes);
    Box::new(graph.outputs(&[joined]))
}

/// The graph that the cases describe in words.
fn graph<A: Scalar>() -> Graph<A> {
    let mut graph = Graph::of();
    let (a, b) = (graph.input(), graph.input());
    let named = |graph: &mut Graph<A>, name: &str, layer: Dense<A>, input| {
        let node = graph.add(layer, input);
        graph.name(name);
        node
    };
    let pa = named(&mut graph, "pa", Dense::of(6), a);
    let pb = named(&mut graph, "pb", Dense::of(6), b);
    let shared = graph.share(Dense::of(5).activation(Activation::Tanh));
    graph.name("shared");
    let (ha, hb) = (graph.apply(shared, pa), graph.apply(shared, pb));
    let both = graph.merge(Concatenate::new(-1), &[ha, hb]);
    let out1 = named(&mut graph, "out1", Dense::of(2), both);
    let sum = graph.merge(Add::new(), &[ha, hb]);
    let out2 = named(&mut graph, "out2", Dense::of(1).activation(Activation::Sigmoid), sum);
    named(&mut graph, "dead", Dense::of(3), pa);
    graph.outputs(&[out1, out2])
}

/// Runs one case forwards and backwards and compares everything.
fn run<A: Scalar>(case: &Value, tolerance: f64) -> Result<()> {
    let name = case["name"].as_str().unwrap();
    let xs: Vec<Tensor<A>> = case["inputs"].as_array().unwrap().iter().map(tensor).collect();
    let mut layer = layer::<A>(case["kind"].as_str().unwrap(), &case["config"], xs.len());
    let shapes: Vec<Vec<usize>> = xs.iter().map(|x| x.shape()[1..].to_vec()).collect();
    let built = layer.initialize_all(&shapes, 0)?;
    for (param_name, param) in layer.params_mut() {
        let values = if param.is_state() { &case["state"] } else { &case["params"] };
        param.set(&tensor::<A>(&values[&param_name]))?;
    }
    let given = case["params"].as_object().unwrap().len() + case["state"].as_object().unwrap().len();
    assert_eq!(layer.params().len(), given, "{name}: parameters");

    let mode = if case["mode"] == "training" { Mode::Training } else { Mode::Inference };
    let mut ctx = Context::training(&*layer, 0);
    let (mut ys, mut dxs) = (Vec::new(), Vec::new());
    let dys: Vec<_> = case["grad_outputs"].as_array().unwrap().iter().map(|dy| Some(tensor(dy))).collect();
    ctx.in_mode(mode, |ctx| {
        layer.forward_all(&xs, &mut ys, ctx)?;
        layer.backward_all(&xs, &ys, &dys, true, &mut dxs, ctx)
    })?;

    let check = |what: String, got: &Tensor<A>, expected: &Value| {
        compare(&format!("{name}: {what}"), got, expected, tolerance);
    };
    assert_eq!(ys.len(), case["outputs"].as_array().unwrap().len(), "{name}: outputs");
    for (number, y) in ys.iter().enumerate() {
        assert_eq!(y.shape()[1..], built[number], "{name}: built shape");
        check(format!("output {number}"), y, &case["outputs"][number]);
    }
    assert_eq!(dxs.len(), xs.len(), "{name}: gradients of inputs");
    for (number, dx) in dxs.iter().enumerate() {
        match (dx, &case["input_grads"][number]) {
            (None, Value::Null) => {}
            (Some(dx), expected) => check(format!("gradient of input {number}"), dx, expected),
            (None, _) => panic!("{name}: no gradient of input {number}"),
        }
    }
    for (param_name, param) in layer.params() {
        if param.is_state() {
            check(format!("{param_name} after"), ctx.state(param)?, &case["state_after"][&param_name]);
            continue;
        }
        match (ctx.gradient_of(param)?, &case["param_grads"][&param_name]) {
            (None, Value::Null) => {}
            (Some(gradient), expected) => check(format!("gradient of {param_name}"), &gradient, expected),
            (None, _) => panic!("{name}: no gradient of {param_name}"),
        }
    }
    if mode == Mode::Inference {
        for (y, expected) in layer.predict_all(&xs)?.iter().zip(case["outputs"].as_array().unwrap()) {
            compare(&format!("{name}: prediction"), y, expected, tolerance);
        }
    }
    Ok(())
}

/// Whether `f32` can hold the inputs of a case.
fn in_range_of_f32(case: &Value) -> bool {
    let holds = |x: &f64| *x == 0.0 || (x.abs() > f32::MIN_POSITIVE.into() && x.abs() < f32::MAX.into());
    case["inputs"].as_array().unwrap().iter().all(|x| array(x).iter().all(holds))
}

#[test]
fn every_case_in_f64() -> Result<()> {
    let mut counts = BTreeMap::new();
    for case in cases() {
        run::<f64>(&case, 1e-12)?;
        *counts.entry(case["kind"].as_str().unwrap().to_owned()).or_insert(0) += 1;
    }
    let counts: Vec<(&str, i32)> = counts.iter().map(|(kind, &count)| (kind.as_str(), count)).collect();
    let expected = [
        ("Activation", 46),
        ("Add", 3),
        ("BatchNormalization", 23),
        ("Concatenate", 6),
        ("Dense", 41),
        ("Dropout", 4),
        ("Embedding", 4),
        ("Flatten", 4),
        ("Graph", 2),
        ("Reshape", 4),
        ("Residual", 4),
        ("Sequential", 2),
        ("SimpleRNN", 24),
    ];
    assert_eq!(counts, expected);
    Ok(())
}

#[test]
fn every_case_in_f32() -> Result<()> {
    let cases = cases();
    let (within, beyond): (Vec<_>, Vec<_>) = cases.iter().partition(|case| in_range_of_f32(case));
    for case in &within {
        run::<f32>(case, 2e-5)?;
    }
    // The awkward points of each of the nine activations, and of softmax, are partly subnormal in f32.
    assert_eq!(beyond.iter().filter(|case| case["kind"] != "Activation").count(), 0);
    assert_eq!(beyond.len(), 10);
    Ok(())
}

#[test]
fn whole_numbers_go_in_as_ids() -> Result<()> {
    let mut layer = Embedding::new(6, 3);
    layer.initialize(&[2], 0)?;
    let ids = ndarray::array![[4usize, 0], [2, 5]];
    let x = to_tensor::<f32, _, _, _>(&ids)?;
    assert_eq!(layer.predict(&ids)?, layer.forward(&x, &mut Context::inference())?);
    Ok(())
}
