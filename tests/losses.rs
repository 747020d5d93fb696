//! The losses against PyTorch, against finite differences, and against what users get wrong.

use layerwise::losses::{BinaryCrossEntropy, Loss, MeanSquaredError, Reduction, Samples, SoftmaxCrossEntropy};
use layerwise::{Context, Result, Scalar, Tensor, values};
use ndarray::{ArcArray, Axis, IxDyn, Slice};
use serde_json::Value;

fn tensor<A: Scalar>(value: &Value) -> Option<Tensor<A>> {
    let numbers = |key: &str| value.get(key)?.as_array().map(|list| list.iter().map(|x| x.as_f64().unwrap()));
    let shape: Vec<usize> = numbers("shape")?.map(|x| x as usize).collect();
    let data = numbers("data")?.map(A::of).collect();
    Some(ArcArray::from_shape_vec(IxDyn(&shape), data).unwrap())
}

fn of<A: Scalar>(shape: &[usize], data: &[f64]) -> Tensor<A> {
    ArcArray::from_shape_vec(IxDyn(shape), data.iter().map(|&x| A::of(x)).collect()).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

fn loss<A: Scalar>(case: &Value) -> Box<dyn Loss<A>> {
    let config = &case["config"];
    let reduction = match config["reduction"].as_str().unwrap() {
        "mean" => Reduction::Mean,
        "weighted_mean" => Reduction::WeightedMean,
        "sum" => Reduction::Sum,
        other => panic!("{other}"),
    };
    match case["kind"].as_str().unwrap() {
        "MeanSquaredError" => Box::new(MeanSquaredError::new().reduction(reduction)),
        "BinaryCrossEntropy" => {
            let loss = BinaryCrossEntropy::new().reduction(reduction);
            Box::new(match &config["pos_weight"] {
                Value::Null => loss,
                Value::Number(weight) => loss.pos_weight(weight.as_f64().unwrap()),
                weights => loss.pos_weights(numbers(weights)),
            })
        }
        "SoftmaxCrossEntropy" => {
            let loss = SoftmaxCrossEntropy::new().reduction(reduction);
            Box::new(match &config["class_weights"] {
                Value::Null => loss,
                weights => loss.class_weights(numbers(weights)),
            })
        }
        other => panic!("{other}"),
    }
}

struct Case<A: Scalar> {
    name: String,
    kind: String,
    loss: Box<dyn Loss<A>>,
    output: Tensor<A>,
    target: Tensor<A>,
    weights: Option<Tensor<A>>,
    value: f64,
    gradient: Tensor<f64>,
}

fn cases<A: Scalar>() -> Vec<Case<A>> {
    let file: Value = serde_json::from_str(include_str!("reference/losses_torch.json")).unwrap();
    let cases = file["cases"].as_array().unwrap().iter().map(|case| Case {
        name: case["name"].as_str().unwrap().to_owned(),
        kind: case["kind"].as_str().unwrap().to_owned(),
        loss: loss(case),
        output: tensor(&case["output"]).unwrap(),
        target: tensor(&case["target"]).unwrap(),
        weights: tensor(&case["sample_weights"]),
        value: case["value"].as_f64().unwrap(),
        gradient: tensor(&case["grad"]).unwrap(),
    });
    cases.collect()
}

impl<A: Scalar> Case<A> {
    fn weights(&self) -> Option<&[A]> {
        self.weights.as_ref().map(|weights| weights.as_slice().unwrap())
    }
}

#[track_caller]
fn close(name: &str, got: f64, expected: f64, tolerance: f64) {
    assert!((got - expected).abs() <= tolerance * expected.abs().max(1.0), "{name}: {got:e} against {expected:e}");
}

fn agrees_with_torch<A: Scalar>(tolerance: f64) {
    for kind in ["MeanSquaredError", "BinaryCrossEntropy", "SoftmaxCrossEntropy"] {
        let mut count = 0;
        for case in cases::<A>().iter().filter(|case| case.kind == kind) {
            let (value, gradient) = case.loss.evaluate(&case.output, &case.target, case.weights()).unwrap();
            close(&case.name, value.as_f64(), case.value, tolerance);
            assert_eq!(gradient.shape(), case.gradient.shape(), "{}", case.name);
            for (got, &expected) in gradient.iter().zip(&case.gradient) {
                close(&case.name, got.as_f64(), expected, tolerance);
            }
            assert_eq!(case.loss.kind(), kind);
            count += 1;
        }
        println!("{kind}: {count} cases in {}", A::NAME);
        assert!(count > 0, "no case of {kind}");
    }
}

#[test]
fn every_value_and_gradient_agrees_with_torch() {
    agrees_with_torch::<f64>(1e-12);
}

#[test]
fn single_precision_agrees_with_torch_to_its_digits() {
    agrees_with_torch::<f32>(1e-5);
}

#[test]
fn a_target_may_leave_out_or_keep_an_axis_of_one() -> Result<()> {
    let mut count = 0;
    for case in cases::<f64>() {
        let labels = case.kind == "SoftmaxCrossEntropy" && case.target.ndim() < case.output.ndim();
        let single = case.kind != "SoftmaxCrossEntropy" && case.output.shape()[1..] == [1];
        let target = match (labels, single) {
            (true, _) => case.target.clone().insert_axis(Axis(case.target.ndim())),
            (_, true) => case.target.index_axis(Axis(1), 0).to_owned().into_shared(),
            _ => continue,
        };
        let (value, gradient) = case.loss.evaluate(&case.output, &target, case.weights())?;
        assert_eq!((value, gradient), case.loss.evaluate(&case.output, &case.target, case.weights())?, "{}", case.name);
        count += 1;
    }
    assert!(count > 40, "{count}");
    Ok(())
}

#[test]
fn shards_add_up_to_the_batch() -> Result<()> {
    for case in cases::<f64>() {
        let (value, gradient) = case.loss.evaluate(&case.output, &case.target, case.weights())?;
        let denominator = case.loss.denominator(case.output.shape(), &case.target, case.weights())?;
        let scale = if denominator == 0.0 { 0.0 } else { 1.0 / denominator };
        let batch = case.output.shape()[0];
        for shards in [1, 2, 3, 7] {
            let ctx = &mut Context::inference();
            let mut sum = 0.0;
            let mut parts = Vec::new();
            for shard in 0..shards {
                let (from, to) = (batch * shard / shards, batch * (shard + 1) / shards);
                let part = |x: &Tensor<f64>| {
                    x.slice_axis(Axis(0), Slice::from(from..to)).as_standard_layout().into_owned().into_shared()
                };
                let weights = case.weights.as_ref().map(part);
                let samples = Samples { weights: weights.as_ref().map(|w| w.as_slice().unwrap()), scale };
                let (output, target) = (part(&case.output), part(&case.target));
                let (alone, nothing) = case.loss.compute(&output, &target, samples, false, ctx)?;
                let (value, gradient) = case.loss.compute(&output, &target, samples, true, ctx)?;
                assert!(nothing.is_none());
                assert_eq!(alone, value);
                sum += value;
                parts.extend(gradient.unwrap().iter().copied());
            }
            close(&case.name, sum, value, 1e-13);
            for (got, &expected) in parts.iter().zip(&gradient) {
                close(&case.name, *got, expected, 1e-15);
            }
            assert_eq!(parts.len(), gradient.len());
        }
    }
    Ok(())
}

#[test]
fn the_terms_add_up_to_the_value() -> Result<()> {
    for case in cases::<f64>() {
        let terms = case.loss.unreduced(&case.output, &case.target, case.weights())?;
        let rank = case.output.ndim() - usize::from(case.kind == "SoftmaxCrossEntropy");
        assert_eq!(terms.shape(), &case.output.shape()[..rank], "{}", case.name);
        let denominator = case.loss.denominator(case.output.shape(), &case.target, case.weights())?;
        close(&case.name, terms.sum() / denominator, case.value, 1e-12);
    }
    Ok(())
}

#[test]
fn finite_differences_give_the_gradients() -> Result<()> {
    let mut count = 0;
    for case in cases::<f64>() {
        if case.output.iter().any(|x| x.abs() > 20.0) {
            continue;
        }
        let (_, gradient) = case.loss.evaluate(&case.output, &case.target, case.weights())?;
        for at in 0..case.output.len() {
            let beside = |step: f64| -> Result<f64> {
                let mut output = case.output.clone();
                output.as_slice_mut().unwrap()[at] += step;
                Ok(case.loss.evaluate(&output, &case.target, case.weights())?.0)
            };
            let slope = (beside(1e-5)? - beside(-1e-5)?) / 2e-5;
            close(&case.name, values(&gradient)?[at], slope, 1e-8);
        }
        count += 1;
    }
    assert!(count > 200, "{count}");
    Ok(())
}

#[test]
fn targets_that_do_not_add_up_to_one_follow_the_formula() -> Result<()> {
    let output = of::<f64>(&[2, 3], &[1.0, -2.0, 0.5, 0.0, 3.0, -1.0]);
    let target = of(&[2, 3], &[2.0, 0.5, 0.0, 0.0, 0.0, 0.0]);
    let loss = SoftmaxCrossEntropy::new().reduction(Reduction::Sum);
    let (value, gradient) = loss.evaluate(&output, &target, None)?;
    let p = loss.prediction(&output, &mut Context::inference())?;
    let expected = -2.0 * p[[0, 0]].ln() - 0.5 * p[[0, 1]].ln();
    close("value", value, expected, 1e-14);
    for c in 0..3 {
        close("gradient", gradient[[0, c]], p[[0, c]] * 2.5 - target[[0, c]], 1e-14);
        assert_eq!(gradient[[1, c]], 0.0);
    }
    // A row without a target weighs nothing, not even in the denominator of a weighted mean.
    let loss = SoftmaxCrossEntropy::new().reduction(Reduction::WeightedMean);
    close("weighted mean", loss.evaluate(&output, &target, None)?.0, expected / 2.5, 1e-14);
    Ok(())
}

#[test]
fn weights_one_for_each_step_count_each_step() -> Result<()> {
    let output = of::<f64>(&[2, 2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0]);
    let target = of(&[2, 2, 3], &[0.0; 12]);
    let steps = [1.0, 0.0, 0.0, 2.0];
    let sum = 14.0 + 2.0 * 365.0;
    for (reduction, expected) in
        [(Reduction::Sum, sum), (Reduction::Mean, sum / 12.0), (Reduction::WeightedMean, sum / 9.0)]
    {
        let loss = MeanSquaredError::new().reduction(reduction);
        close("step weights", loss.evaluate(&output, &target, Some(&steps))?.0, expected, 1e-15);
    }
    Ok(())
}

#[test]
fn a_batch_of_weights_of_zero_has_the_loss_zero() -> Result<()> {
    let (output, target) = (of::<f32>(&[2, 2], &[1.0, 2.0, 3.0, 4.0]), of(&[2], &[0.0, 1.0]));
    let loss = SoftmaxCrossEntropy::new().reduction(Reduction::WeightedMean);
    let (value, gradient) = loss.evaluate(&output, &target, Some(&[0.0, 0.0]))?;
    assert_eq!(value, 0.0);
    assert!(gradient.iter().all(|&g| g == 0.0));
    Ok(())
}

#[test]
fn predictions_are_probabilities() -> Result<()> {
    let ctx = &mut Context::inference();
    let output = of::<f32>(&[2, 2], &[1e4, -1e4, 0.0, 3.0_f64.ln()]);
    let softmax = SoftmaxCrossEntropy::new().prediction(&output, ctx)?;
    let sigmoid = BinaryCrossEntropy::new().prediction(&output, ctx)?;
    for (got, expected) in [(softmax, [1.0, 0.0, 0.25, 0.75]), (sigmoid, [1.0, 0.0, 0.5, 0.75])] {
        for (&got, expected) in got.iter().zip(expected) {
            close("probability", f64::from(got), expected, 1e-6);
        }
    }
    assert_eq!(MeanSquaredError::new().prediction(&output, ctx)?, output);
    Ok(())
}

#[test]
fn logits_of_ten_thousand_have_finite_losses_and_gradients() -> Result<()> {
    let output = of::<f32>(&[2, 2], &[1e4, -1e4, -1e4, 1e4]);
    let (value, gradient) = SoftmaxCrossEntropy::new().evaluate(&output, &of(&[2], &[1.0, 1.0]), None)?;
    assert_eq!((value, values(&gradient)?), (1e4, &[0.5, -0.5, 0.0, 0.0][..]));
    let target = of(&[2, 2], &[0.0, 1.0, 0.0, 1.0]);
    let (value, gradient) = BinaryCrossEntropy::new().evaluate(&output, &target, None)?;
    assert_eq!((value, values(&gradient)?), (5e3, &[0.25, -0.25, 0.0, 0.0][..]));
    Ok(())
}

#[test]
fn a_class_masked_by_a_logit_of_minus_infinity_costs_nothing() -> Result<()> {
    let output = of::<f64>(&[1, 3], &[0.0, f64::NEG_INFINITY, 0.0]);
    for target in [of(&[1], &[2.0]), of(&[1, 3], &[0.0, 0.0, 1.0])] {
        let (value, gradient) = SoftmaxCrossEntropy::new().evaluate(&output, &target, None)?;
        close("masked", value, 2.0_f64.ln(), 1e-15);
        assert_eq!(values(&gradient)?, &[0.5, 0.0, -0.5]);
    }
    Ok(())
}

#[test]
fn nan_flows_through() -> Result<()> {
    let output = of::<f32>(&[2, 2], &[f64::NAN, 0.0, 1.0, 2.0]);
    let (labels, answers) = (of(&[2], &[1.0, 1.0]), of(&[2, 2], &[0.0, 1.0, 0.0, 1.0]));
    assert!(SoftmaxCrossEntropy::new().evaluate(&output, &labels, None)?.0.is_nan());
    assert!(SoftmaxCrossEntropy::new().evaluate(&output, &answers, None)?.0.is_nan());
    assert!(BinaryCrossEntropy::new().evaluate(&output, &answers, None)?.0.is_nan());
    assert!(MeanSquaredError::new().evaluate(&output, &answers, None)?.0.is_nan());
    let long = of::<f32>(&[1, 40], &[vec![0.0; 17], vec![f64::NAN], vec![1.0; 22]].concat());
    let (value, gradient) = SoftmaxCrossEntropy::new().evaluate(&long, &of(&[1], &[3.0]), None)?;
    assert!(value.is_nan() && gradient.iter().all(|g| g.is_nan()));
    Ok(())
}

#[test]
fn what_does_not_fit_is_refused_with_the_reason() {
    let mse = || Box::new(MeanSquaredError::new()) as Box<dyn Loss<f64>>;
    let binary = |weights: &[f64]| -> Box<dyn Loss<f64>> {
        Box::new(match weights {
            [] => BinaryCrossEntropy::new(),
            [weight] => BinaryCrossEntropy::new().pos_weight(*weight),
            _ => BinaryCrossEntropy::new().pos_weights(weights.to_vec()),
        })
    };
    let softmax = |weights: &[f64]| -> Box<dyn Loss<f64>> {
        Box::new(match weights {
            [] => SoftmaxCrossEntropy::new(),
            _ => SoftmaxCrossEntropy::new().class_weights(weights.to_vec()),
        })
    };
    let flat = |shape: &[usize]| of::<f64>(shape, &vec![0.0; shape.iter().product()]);
    let classes = "target: expected class labels of shape [2] or [2, 1], or probabilities of shape [2, 3], for an \
                   output of shape [2, 3], got shape";
    let few = "output of SoftmaxCrossEntropy: expected (batch, ..., classes) with 2 classes or more; for one logit \
               use BinaryCrossEntropy, got shape";
    let no_class = "class label at [1]: expected a whole number from 0 to 2, got";
    let no_weight = "sample weight at [1]: expected a finite number of at least 0, got";
    let lengths = "sample weights, one for each sample of the batch: expected length 2, got 3";
    type Row<'a> = (Box<dyn Loss<f64>>, Tensor<f64>, Tensor<f64>, Option<&'a [f64]>, String);
    let table: Vec<Row> = vec![
        (
            mse(),
            flat(&[4, 1]),
            flat(&[1]),
            None,
            "target: expected shape [4, 1] or [4], as the output, got shape [1]".into(),
        ),
        (
            mse(),
            flat(&[4, 1]),
            flat(&[4, 4]),
            None,
            "target: expected shape [4, 1] or [4], as the output, got shape [4, 4]".into(),
        ),
        (mse(), flat(&[4]), flat(&[4, 1]), None, "target: expected shape [4], as the output, got shape [4, 1]".into()),
        (mse(), flat(&[2, 3]), flat(&[3]), None, "target: expected shape [2, 3], as the output, got shape [3]".into()),
        (mse(), flat(&[]), flat(&[]), None, "output: expected the batch as axis 0, got shape []".into()),
        (mse(), flat(&[2, 2]), flat(&[2, 2]), Some(&[0.0; 3]), lengths.into()),
        (mse(), flat(&[2]), flat(&[2]), Some(&[1.0, -1.0]), format!("{no_weight} -1")),
        (binary(&[]), flat(&[2]), flat(&[2]), Some(&[1.0, f64::NAN]), format!("{no_weight} NaN")),
        (softmax(&[]), flat(&[2, 3]), flat(&[2]), Some(&[1.0, f64::INFINITY]), format!("{no_weight} inf")),
        (softmax(&[]), flat(&[2, 3]), flat(&[2]), Some(&[0.0; 3]), lengths.into()),
        (
            binary(&[]),
            flat(&[2, 2]),
            of(&[2, 2], &[0.0, 1.0, 1.5, 0.0]),
            None,
            "target at [1, 0]: expected a number from 0 to 1, got 1.5".into(),
        ),
        (
            binary(&[]),
            flat(&[1]),
            of(&[1], &[f64::NAN]),
            None,
            "target at [0]: expected a number from 0 to 1, got NaN".into(),
        ),
        (
            binary(&[-1.0]),
            flat(&[2]),
            flat(&[2]),
            None,
            "pos_weight must be a finite number of at least 0, got -1".into(),
        ),
        (
            binary(&[1.0, 2.0]),
            flat(&[2, 3]),
            flat(&[2, 3]),
            None,
            "pos_weights, one for each element of the output's last axis: expected length 3, got 2".into(),
        ),
        (softmax(&[]), flat(&[2, 3]), flat(&[3]), None, format!("{classes} [3]")),
        (softmax(&[]), flat(&[2, 3]), flat(&[2, 2]), None, format!("{classes} [2, 2]")),
        (softmax(&[]), flat(&[2, 1]), flat(&[2]), None, format!("{few} [2, 1]")),
        (softmax(&[]), flat(&[3]), flat(&[]), None, format!("{few} [3]")),
        (softmax(&[]), flat(&[2, 3]), of(&[2], &[0.0, 3.0]), None, format!("{no_class} 3")),
        (softmax(&[]), flat(&[2, 3]), of(&[2], &[0.0, -1.0]), None, format!("{no_class} -1")),
        (softmax(&[]), flat(&[2, 3]), of(&[2], &[0.0, 0.5]), None, format!("{no_class} 0.5")),
        (softmax(&[]), flat(&[2, 3]), of(&[2], &[0.0, f64::NAN]), None, format!("{no_class} NaN")),
        (
            softmax(&[]),
            flat(&[1, 2]),
            of(&[1, 2], &[1.5, -0.5]),
            None,
            "class probability at [0, 1]: expected a finite number of at least 0, got -0.5".into(),
        ),
        (
            softmax(&[1.0, 2.0]),
            flat(&[2, 3]),
            flat(&[2]),
            None,
            "class weights, one for each class: expected length 3, got 2".into(),
        ),
        (
            softmax(&[1.0, f64::NAN, 1.0]),
            flat(&[2, 3]),
            flat(&[2]),
            None,
            "weight of class 1 must be a finite number of at least 0, got NaN".into(),
        ),
    ];
    for (loss, output, target, weights, message) in table {
        assert_eq!(loss.evaluate(&output, &target, weights).unwrap_err().to_string(), message);
        // One's own loop may ask for no denominator.
        let alone = loss.compute(&output, &target, Samples { weights, scale: 1.0 }, false, &mut Context::inference());
        assert_eq!(alone.unwrap_err().to_string(), message);
    }
    let few_classes = SoftmaxCrossEntropy::new().prediction(&flat(&[2, 1]), &mut Context::inference());
    assert_eq!(few_classes.unwrap_err().to_string(), format!("{few} [2, 1]"));
}

#[test]
fn buffers_come_back_from_the_context() -> Result<()> {
    let (output, target) = (of::<f32>(&[3, 2], &[0.5; 6]), of(&[3, 2], &[1.0, 0.0, 1.0, 0.0, 1.0, 0.0]));
    let losses: [Box<dyn Loss>; 3] = [
        Box::new(MeanSquaredError::new()),
        Box::new(BinaryCrossEntropy::new()),
        Box::new(SoftmaxCrossEntropy::new().class_weights(vec![1.0, 2.0])),
    ];
    for loss in losses {
        let ctx = &mut Context::inference();
        let samples = Samples { weights: Some(&[1.0, 2.0, 3.0]), scale: 0.5 };
        let mut places = Vec::new();
        for _ in 0..8 {
            let (_, gradient) = loss.compute(&output, &target, samples, true, ctx)?;
            let gradient = gradient.unwrap();
            places.push(gradient.as_ptr());
            ctx.recycle(gradient);
        }
        places.sort();
        places.dedup();
        assert!(places.len() <= 2, "{} takes new buffers: {places:?}", loss.kind());
    }
    Ok(())
}
