//! Layers held against finite differences.

use layerwise::prelude::*;
use layerwise::{GradCheck, GradReport, gradcheck};
use ndarray::{ArrayD, IxDyn};

/// Values from -2 to 2 that repeat nowhere and keep away from the kink at 0.
pub fn input(shape: &[usize]) -> Tensor<f64> {
    let mut number = 0.0;
    let next = || {
        number += 1.0;
        let value = 2.0 * f64::sin(number * 1.7 + shape.len() as f64);
        value + f64::copysign(0.01, value)
    };
    ArrayD::from_shape_simple_fn(IxDyn(shape), next).into_shared()
}

/// Builds the layer for these inputs, moves every parameter off its start (a bias of zeros hides mistakes), and checks
/// it in one mode.
pub fn check_in(mode: Mode, layer: &mut dyn Layer<f64>, xs: &[Tensor<f64>]) -> Result<GradReport> {
    let shapes: Vec<_> = xs.iter().map(|x| x.shape()[1..].to_vec()).collect();
    layer.initialize_all(&shapes, 7)?;
    for (number, (_, param)) in layer.params_mut().into_iter().enumerate() {
        let moved = param.get()?.mapv(|v| v + 0.1 + 0.05 * (number % 3) as f64);
        let spread = input(moved.shape()) * 0.05;
        param.set(&(moved + spread))?;
    }
    gradcheck(layer, xs, &GradCheck { mode, ..GradCheck::default() })
}

/// The same in both modes.
pub fn check(mut layer: impl Layer<f64>, xs: &[Tensor<f64>]) -> Result<[GradReport; 2]> {
    let training = check_in(Mode::Training, &mut layer, xs)?;
    Ok([training, check_in(Mode::Inference, &mut layer, xs)?])
}
