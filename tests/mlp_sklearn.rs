//! scikit-learn's worked-out training step of a perceptron, as it publishes the numbers and as it computes them.

use layerwise::prelude::*;
use layerwise::to_tensor;
use ndarray::IxDyn;
use serde_json::Value;

fn tensor(value: &Value) -> Tensor<f64> {
    let numbers = |key: &str| value[key].as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect::<Vec<_>>();
    let shape: Vec<usize> = numbers("shape").into_iter().map(|x| x as usize).collect();
    Tensor::from_shape_vec(IxDyn(&shape), numbers("data")).unwrap()
}

fn case() -> Value {
    let file: Value = serde_json::from_str(include_str!("reference/mlp_sklearn.json")).unwrap();
    file["cases"][0].clone()
}

/// The network of the case: its last sigmoid is the loss's.
fn network(case: &Value) -> Result<Sequential<f64>> {
    let mut model = Sequential::of().add(Dense::of(2).activation(Activation::Sigmoid)).add(Dense::of(1));
    model.initialize(&[3], 0)?;
    for (name, param) in model.params_mut() {
        param.set(&tensor(&case["params"][name.as_str()]))?;
    }
    Ok(model)
}

/// scikit-learn's L2 penalty: alpha / 2 * sum(w^2) / samples over the weights, biases left out. Its gradient is
/// alpha * w / samples.
struct Penalized {
    alpha: f64,
    inner: Sequential<f64>,
}

impl Layer<f64> for Penalized {
    fn kind(&self) -> &str {
        "Penalized"
    }

    fn build(&mut self, input: &[usize], init: &mut Init<f64>) -> Result<Vec<usize>> {
        self.inner.build(input, init)
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        self.inner.output_shape(input)
    }

    fn forward(&self, x: &Tensor<f64>, ctx: &mut Context<f64>) -> Result<Tensor<f64>> {
        self.inner.forward(x, ctx)
    }

    fn backward(
        &self,
        x: &Tensor<f64>,
        y: &Tensor<f64>,
        dy: &Tensor<f64>,
        want_dx: bool,
        ctx: &mut Context<f64>,
    ) -> Result<Option<Tensor<f64>>> {
        for (name, param) in self.inner.params() {
            if let (true, Some(grad)) = (name.ends_with("weight"), ctx.grad(param)) {
                grad.add_tensor(&(param.get()? * (self.alpha / x.shape()[0] as f64)).into_shared())?;
            }
        }
        self.inner.backward(x, y, dy, want_dx, ctx)
    }

    fn needs(&self) -> Needs {
        self.inner.needs()
    }

    fn visit<'a>(&'a self, visitor: &mut Visitor<'_, &'a Param<f64>>) {
        self.inner.visit(visitor);
    }

    fn visit_mut<'a>(&'a mut self, visitor: &mut Visitor<'_, &'a mut Param<f64>>) {
        self.inner.visit_mut(visitor);
    }
}

fn assert_after(model: &dyn Layer<f64>, expected: &Value, tolerance: f64) -> Result<()> {
    for (name, param) in model.params() {
        let expected = tensor(&expected["params_after"][name.as_str()]);
        assert_eq!(param.get()?.shape(), expected.shape());
        for (got, expected) in param.get()?.iter().zip(&expected) {
            assert!((got - expected).abs() <= tolerance, "{name}: {got} for {expected}");
        }
    }
    Ok(())
}

#[test]
fn the_published_step_of_scikit_learn_comes_out_of_the_trainer() -> Result<()> {
    let case = case();
    let config = |key: &str| case["config"][key].as_f64().unwrap();
    let (x, target) = (tensor(&case["inputs"][0]), tensor(&case["target"]));
    let mut model = Penalized { alpha: config("alpha"), inner: network(&case)? };
    let mut trainer = Trainer::of(BinaryCrossEntropy::new(), Sgd::new(config("lr")));

    let probability =
        |trainer: &Trainer<f64>, model: &Penalized| -> Result<f64> { Ok(trainer.predict_proba(model, &x)?[[0, 0]]) };
    let before = probability(&trainer, &model)?;
    // Two numbers for the same thing: the penalty is the part of the loss that the trainer does not see.
    let penalty = |model: &Penalized| -> Result<f64> {
        let mut squares = 0.0;
        for (name, param) in model.inner.params() {
            if name.ends_with("weight") {
                squares += param.values()?.iter().map(|w| w * w).sum::<f64>();
            }
        }
        Ok(model.alpha / 2.0 * squares)
    };
    let penalty = penalty(&model)?;
    let loss = trainer.step(&mut model, &Dataset::of_tensors(vec![x.clone()], vec![target])?)?;
    let after = probability(&trainer, &model)?;

    let (computed, published) = (&case["computed"], &case["published"]);
    let number = |value: &Value, key: &str| value[key].as_f64().unwrap();
    assert!((before - number(computed, "output_before")).abs() < 1e-12);
    assert!((after - number(computed, "output_after")).abs() < 1e-12);
    assert!((loss + penalty - number(computed, "loss_with_penalty")).abs() < 1e-12);
    assert_after(&model, computed, 1e-12)?;

    // scikit-learn compares with `decimal=3`, which is this.
    let tolerance = 1.5e-3;
    assert!((before - number(published, "output_before")).abs() < tolerance);
    assert!((after - number(published, "output_after")).abs() < tolerance);
    assert_after(&model, published, tolerance)
}

#[test]
fn the_same_step_by_hand_out_of_a_context_s_gradients() -> Result<()> {
    let case = case();
    let config = |key: &str| case["config"][key].as_f64().unwrap();
    let x = to_tensor(&tensor(&case["inputs"][0]))?;
    let mut model = network(&case)?;
    let mut ctx = Context::training(&model, 0);
    let y = model.forward(&x, &mut ctx)?;
    let (_, dy) = BinaryCrossEntropy::new().evaluate(&y, &tensor(&case["target"]), None)?;
    assert!(model.backward(&x, &y, &dy, false, &mut ctx)?.is_none());
    for (name, param) in model.params_mut() {
        let mut gradient = ctx.gradient_of(param)?.unwrap();
        if name.ends_with("weight") {
            gradient = gradient + param.get()? * config("alpha");
        }
        let stepped = param.get()? - gradient * config("lr");
        param.set(&stepped)?;
    }
    assert_after(&model, &case["computed"], 1e-12)
}
