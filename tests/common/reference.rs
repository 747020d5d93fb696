//! Reading reference values, and comparing with them.

use layerwise::prelude::*;
use ndarray::{ArrayD, Dimension, IxDyn};
use serde_json::Value;

/// The cases of a file.
pub fn cases(text: &str) -> Vec<Value> {
    let file: Value = serde_json::from_str(text).expect("the reference file is JSON");
    file["cases"].as_array().expect("it has cases").clone()
}

pub fn array(value: &Value) -> ArrayD<f64> {
    let numbers = |name: &str| value[name].as_array().unwrap_or_else(|| panic!("{value} has no {name}"));
    let shape: Vec<usize> = numbers("shape").iter().map(|n| n.as_u64().unwrap() as usize).collect();
    let data = numbers("data").iter().map(|n| n.as_f64().unwrap()).collect();
    ArrayD::from_shape_vec(IxDyn(&shape), data).unwrap()
}

pub fn tensor<A: Scalar>(value: &Value) -> Tensor<A> {
    array(value).mapv(A::of).into_shared()
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
