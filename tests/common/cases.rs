//! Reference cases: read from a file, run through a layer, compared.

// A family's file reads the settings that its layers have.
#![allow(dead_code)]

use std::collections::BTreeMap;

use layerwise::prelude::*;
use ndarray::{ArrayD, Dimension, IxDyn};
use serde_json::Value;

/// The cases of a reference file.
pub fn cases(text: &str) -> Vec<Value> {
    let file: Value = serde_json::from_str(text).expect("the reference file is JSON");
    file["cases"].as_array().expect("it has cases").clone()
}

/// How many cases there are of each kind.
pub fn counts(cases: &[Value]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for case in cases {
        *counts.entry(case["kind"].as_str().expect("a case has a kind")).or_insert(0) += 1;
    }
    counts
}

/// A tensor of the file.
pub fn array(value: &Value) -> ArrayD<f64> {
    let numbers = |name: &str| value[name].as_array().unwrap_or_else(|| panic!("{value} has no {name}"));
    let shape: Vec<usize> = numbers("shape").iter().map(|n| n.as_u64().unwrap() as usize).collect();
    let data = numbers("data").iter().map(|n| n.as_f64().unwrap()).collect();
    ArrayD::from_shape_vec(IxDyn(&shape), data).unwrap()
}

/// The same in the number type that is tested.
pub fn tensor<A: Scalar>(value: &Value) -> Tensor<A> {
    array(value).mapv(A::of).into_shared()
}

/// A number among the settings.
pub fn size(config: &Value, name: &str) -> usize {
    config[name].as_u64().unwrap_or_else(|| panic!("{config} has no {name}")) as usize
}

/// A switch among the settings.
pub fn flag(config: &Value, name: &str) -> bool {
    config[name].as_bool().unwrap_or_else(|| panic!("{config} has no {name}"))
}

/// A list of numbers.
pub fn numbers(value: &Value) -> Vec<usize> {
    let numbers = value.as_array().unwrap_or_else(|| panic!("{value} is no list"));
    numbers.iter().map(|number| number.as_u64().unwrap() as usize).collect()
}

/// A list of one number.
pub fn one(value: &Value) -> usize {
    match numbers(value)[..] {
        [number] => number,
        _ => panic!("{value} is not one number"),
    }
}

/// A list of two numbers.
pub fn pair(value: &Value) -> (usize, usize) {
    match numbers(value)[..] {
        [first, second] => (first, second),
        _ => panic!("{value} is no pair"),
    }
}

/// Compares within `tolerance`, relative for large values and absolute for small ones.
pub fn compare<A: Scalar>(what: &str, got: &Tensor<A>, expected: &Value, tolerance: f64) {
    let expected = array(expected);
    assert_eq!(got.shape(), expected.shape(), "shape of {what}");
    for ((index, &expected), got) in expected.indexed_iter().zip(got.iter()) {
        let apart = (got.as_f64() - expected).abs() / expected.abs().max(1.0);
        assert!(apart <= tolerance, "{what}{:?}: {got} instead of {expected}", index.slice());
    }
}

/// Runs one case forwards and backwards through a layer made for it and compares everything.
///
/// Twice, for the gradients add up, and the second time without the gradient of the input; in buffers that hold NaN
/// before, so that an element that is not written, or is added to, shows.
pub fn run<A: Scalar>(case: &Value, mut layer: Box<dyn Layer<A>>, tolerance: f64) -> Result<()> {
    let name = case["name"].as_str().unwrap();
    let xs: Vec<Tensor<A>> = case["inputs"].as_array().unwrap().iter().map(tensor).collect();
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
    let dys: Vec<_> = case["grad_outputs"].as_array().unwrap().iter().map(|dy| Some(tensor(dy))).collect();
    let check = |what: String, got: &Tensor<A>, expected: &Value| {
        compare(&format!("{name}: {what}"), got, expected, tolerance);
    };
    for round in [1, 2] {
        let (mut ys, mut dxs) = (Vec::new(), Vec::new());
        let spoil = |ctx: &mut Context<A>| {
            for used in xs.iter().chain(dys.iter().flatten()).chain(dys.iter().flatten()) {
                ctx.recycle(used.mapv(|_| A::of(f64::NAN)).into_shared());
            }
        };
        ctx.in_mode(mode, |ctx| {
            spoil(ctx);
            layer.forward_all(&xs, &mut ys, ctx)?;
            spoil(ctx);
            layer.backward_all(&xs, &ys, &dys, round == 1, &mut dxs, ctx)
        })?;
        assert_eq!(ys.len(), case["outputs"].as_array().unwrap().len(), "{name}: outputs");
        for (number, y) in ys.iter().enumerate() {
            assert_eq!(y.shape()[1..], built[number], "{name}: built shape");
            check(format!("output {number}"), y, &case["outputs"][number]);
        }
        assert_eq!(dxs.len(), xs.len(), "{name}: gradients of inputs");
        for (number, dx) in dxs.iter().enumerate() {
            match (dx, &case["input_grads"][number]) {
                (None, Value::Null) => {}
                (Some(dx), expected) if round == 1 => check(format!("gradient of input {number}"), dx, expected),
                (None, _) if round == 2 => {}
                (None, _) => panic!("{name}: no gradient of input {number}"),
                (Some(_), _) => panic!("{name}: an unwanted gradient of input {number}"),
            }
        }
        for (param_name, param) in layer.params() {
            if param.is_state() {
                if round == 1 {
                    check(format!("{param_name} after"), ctx.state(param)?, &case["state_after"][&param_name]);
                }
                continue;
            }
            match (ctx.gradient_of(param)?, &case["param_grads"][&param_name]) {
                (None, Value::Null) => {}
                (Some(total), expected) => {
                    let mean = total.mapv(|g| g / A::of(f64::from(round))).into_shared();
                    check(format!("gradient of {param_name}, round {round}"), &mean, expected);
                }
                (None, _) => panic!("{name}: no gradient of {param_name}"),
            }
        }
    }
    if mode == Mode::Inference {
        for (y, expected) in layer.predict_all(&xs)?.iter().zip(case["outputs"].as_array().unwrap()) {
            compare(&format!("{name}: prediction"), y, expected, tolerance);
        }
    }
    Ok(())
}
