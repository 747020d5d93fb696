//! Every layer held against PyTorch, in both number types.

#[path = "common/cases.rs"]
mod common;

use common::{array, cases, counts, flag, size};
use layerwise::prelude::*;
use layerwise::to_tensor;
use serde_json::Value;

const FILE: &str = include_str!("reference/layers_torch.json");

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

fn run<A: Scalar>(case: &Value, tolerance: f64) -> Result<()> {
    let inputs = case["inputs"].as_array().unwrap().len();
    common::run(case, layer::<A>(case["kind"].as_str().unwrap(), &case["config"], inputs), tolerance)
}

/// Whether `f32` can hold the inputs of a case.
fn in_range_of_f32(case: &Value) -> bool {
    let holds = |x: &f64| *x == 0.0 || (x.abs() > f32::MIN_POSITIVE.into() && x.abs() < f32::MAX.into());
    case["inputs"].as_array().unwrap().iter().all(|x| array(x).iter().all(holds))
}

#[test]
fn every_case_in_f64() -> Result<()> {
    let cases = cases(FILE);
    cases.iter().try_for_each(|case| run::<f64>(case, 1e-12))?;
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
    assert_eq!(counts(&cases), expected.into());
    Ok(())
}

#[test]
fn every_case_in_f32() -> Result<()> {
    let cases = cases(FILE);
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
