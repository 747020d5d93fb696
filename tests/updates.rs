//! What stands around the rules of optimizers: regularizers and constraints, clipping, accumulation, weights with a rate
//! and a decay of their own, and running statistics worked out anew; against Keras and PyTorch.

#[path = "common/cases.rs"]
mod cases;
#[path = "common/ones.rs"]
mod ones;

use cases::{cases, counts, tensor};
use layerwise::layers::{DepthwiseConv2d, SeparableConv1d};
use layerwise::prelude::*;
use layerwise::schedules::Cosine;
use layerwise::{io, values};
use ndarray::{Array1, Array2, ArrayD, Axis, array};
use ones::Ones;
use serde_json::Value;

const FILE: &str = include_str!("reference/updates_keras_torch.json");

/// The samples of a batch, which share out its gradient.
const SHARES: [f64; 4] = [0.5, -2.0, 1.5, 1.0];

fn file() -> Value {
    serde_json::from_str(FILE).unwrap()
}

fn of_kind(kind: &str) -> Vec<Value> {
    let mut all = cases(FILE);
    all.retain(|case| case["kind"] == kind);
    assert!(!all.is_empty(), "no cases of {kind}");
    all
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(number).collect()
}

fn tensors(value: &Value) -> Vec<Tensor<f64>> {
    value.as_array().unwrap().iter().map(tensor).collect()
}

fn assert_close<A: Scalar>(place: &str, got: &[A], expected: &[f64], tolerance: f64) {
    assert_eq!(got.len(), expected.len(), "{place}");
    for (at, (got, expected)) in got.iter().zip(expected).enumerate() {
        let apart = (got.as_f64() - expected).abs() / expected.abs().max(1.0);
        assert!(apart <= tolerance, "{place}, {at}: {got} for {expected}");
    }
}

fn message<T>(outcome: Result<T>) -> String {
    outcome.err().map_or_else(|| "no error".into(), |error| error.to_string())
}

/// Three weights whose gradients stand in a list. A sample is (share, step): it adds its share of that step's.
struct Listed {
    first: Param<f64>,
    second: Param<f64>,
    third: Param<f64>,
    gradients: Vec<Vec<Tensor<f64>>>,
}

impl Listed {
    fn new() -> Result<Self> {
        let file = file();
        let gradients = file["grads"].as_array().unwrap().iter().map(tensors).collect();
        let mut listed = Listed { first: Param::new(), second: Param::new(), third: Param::new(), gradients };
        listed.initialize(&[2], 0)?;
        for (param, start) in listed.all_mut().into_iter().zip(tensors(&file["start"])) {
            param.set(&start)?;
        }
        Ok(listed)
    }

    fn all_mut(&mut self) -> [&mut Param<f64>; 3] {
        [&mut self.first, &mut self.second, &mut self.third]
    }

    fn values(&self) -> Result<Vec<Tensor<f64>>> {
        [&self.first, &self.second, &self.third].into_iter().map(|param| param.get().cloned()).collect()
    }
}

impl Layer<f64> for Listed {
    layerwise::visit_params!(f64; first, second, third);

    fn kind(&self) -> &str {
        "Listed"
    }

    fn build(&mut self, input: &[usize], init: &mut Init<f64>) -> Result<Vec<usize>> {
        init.param(&mut self.first, &[3, 4], &Initializer::Zeros)?;
        init.param(&mut self.second, &[5], &Initializer::Zeros)?;
        init.param(&mut self.third, &[2, 1, 3, 2], &Initializer::Zeros)?;
        self.output_shape(input)
    }

    fn output_shape(&self, _: &[usize]) -> Result<Vec<usize>> {
        Ok(vec![1])
    }

    fn forward(&self, x: &Tensor<f64>, _: &mut Context<f64>) -> Result<Tensor<f64>> {
        Ok(Tensor::zeros(vec![x.shape()[0], 1]))
    }

    fn backward(
        &self,
        x: &Tensor<f64>,
        _: &Tensor<f64>,
        _: &Tensor<f64>,
        _: bool,
        ctx: &mut Context<f64>,
    ) -> Result<Option<Tensor<f64>>> {
        for sample in values(x)?.chunks_exact(2) {
            let gradients = &self.gradients[sample[1] as usize];
            for (param, gradient) in [&self.first, &self.second, &self.third].into_iter().zip(gradients) {
                if let Some(grad) = ctx.grad(param) {
                    grad.add_tensor(&(gradient * sample[0]).into_shared())?;
                }
            }
        }
        Ok(None)
    }
}

/// The samples of some steps.
fn batches(steps: std::ops::Range<usize>) -> Result<Dataset<f64>> {
    let rows = SHARES.len() * steps.len();
    let x = Array2::from_shape_fn((rows, 2), |(row, column)| match column {
        0 => SHARES[row % SHARES.len()],
        _ => (steps.start + row / SHARES.len()) as f64,
    });
    Dataset::of_tensors(vec![x.into_dyn().into_shared()], vec![Tensor::zeros(vec![rows, 1])])
}

fn regularizer(rule: &Value) -> Option<Regularizer> {
    let rule = rule.as_array()?;
    let factor = number(&rule[1]);
    Some(match rule[0].as_str().unwrap() {
        "L1" => Regularizer::L1(factor),
        "L2" => Regularizer::L2(factor),
        "L1L2" => Regularizer::L1L2 { l1: factor, l2: 2.0 * factor },
        "OrthogonalRows" => Regularizer::OrthogonalRows(factor),
        "OrthogonalColumns" => Regularizer::OrthogonalColumns(factor),
        other => panic!("{other}"),
    })
}

fn constraint(rule: &Value) -> Option<Constraint> {
    let name = rule.get("name")?.as_str()?;
    let [least, most, rate] = ["least", "most", "rate"].map(|key| rule[key].as_f64().unwrap_or(1.0));
    let norm = match name {
        "NonNegative" => return Some(Constraint::NonNegative),
        "max" => NormConstraint::max(most),
        "unit" => NormConstraint::unit(),
        "between" => NormConstraint::between(least, most).rate(rate),
        other => panic!("{other}"),
    };
    Some(norm.axes(cases::numbers(&rule["axes"])).into())
}

fn keras_trainer(config: &Value) -> Trainer<f64> {
    let trainer = match config["optimizer"].as_str().unwrap() {
        "SGD" => Trainer::of(Ones, Sgd::new(0.05)),
        "momentum" => Trainer::of(Ones, Sgd::new(0.05).momentum(0.9)),
        "Adam" => Trainer::of(Ones, Adam::new(0.02).epsilon(1e-30)),
        other => panic!("{other}"),
    };
    let clip = &config["clip"];
    match (clip["clipnorm"].as_f64(), clip["clipvalue"].as_f64()) {
        (Some(norm), _) => trainer.clip_norm_each(norm),
        (_, Some(value)) => trainer.clip_value(value),
        _ => trainer,
    }
}

#[test]
fn every_step_is_that_of_keras_with_regularizers_constraints_and_clipping() -> Result<()> {
    let file = file();
    let recorded = cases::numbers(&file["recorded"]);
    for case in of_kind("keras") {
        for shards in [1, 3] {
            let config = &case["config"];
            let mut model = Listed::new()?;
            for (at, param) in model.all_mut().into_iter().enumerate() {
                param.set_regularizer(regularizer(&config["regularizers"][at]));
                param.set_constraint(constraint(&config["constraints"][at]));
            }
            let mut trainer = keras_trainer(config).shards(shards);
            let mut expected = case["weights_after"].as_array().unwrap().iter();
            for (step, penalty) in numbers(&case["penalties"]).into_iter().enumerate() {
                let place = format!("{}, {shards} shards, step {}", case["name"], step + 1);
                let loss = trainer.step(&mut model, &batches(step..step + 1)?)?;
                assert_close(&format!("penalty of {place}"), &[loss], &[penalty], 1e-12);
                if recorded.contains(&(step + 1)) {
                    for (got, expected) in model.values()?.iter().zip(tensors(expected.next().unwrap())) {
                        assert_close(&place, values(got)?, values(&expected)?, 1e-11);
                    }
                }
            }
            assert!(expected.next().is_none() && trainer.steps() == 20);
        }
    }
    Ok(())
}

/// Keeps the weights after each update.
#[derive(Clone, Default)]
struct Watch(std::sync::Arc<std::sync::Mutex<Vec<Vec<Vec<f64>>>>>);

impl Callback<f64> for Watch {
    fn on_batch_end(&mut self, event: &mut Event<'_, f64>) -> Result<()> {
        if event.updated {
            let params = event.model.params();
            let weights = params.iter().map(|(_, param)| param.values().map(<[f64]>::to_vec));
            self.0.lock().unwrap().push(weights.collect::<Result<_>>()?);
        }
        Ok(())
    }
}

fn torch_trainer(config: &Value) -> Trainer<f64> {
    let [lr, decay, momentum] = ["lr", "weight_decay", "momentum"].map(|key| number(&config[key]));
    let cosine = config["cosine"].as_u64();
    let rate = cosine.map_or(Cosine::new(lr, 1).minimum(lr), |steps| Cosine::new(lr, steps));
    let mut trainer = match config["kind"].as_str().unwrap() {
        "SGD" => Trainer::of(Ones, Sgd::new(rate).momentum(momentum).weight_decay(decay)),
        "Adam" => Trainer::of(Ones, Adam::new(rate).weight_decay(decay)),
        "AdamW" => Trainer::of(Ones, AdamW::new(rate).weight_decay(decay)),
        other => panic!("{other}"),
    };
    for (name, group) in ["first", "*con*", "third"].iter().zip(config["groups"].as_array().unwrap()) {
        let [rate, decay] = [number(&group[0]), number(&group[1])];
        let name = name.replace("*con*", "sec*nd");
        // What was said before of all is overruled.
        trainer = trainer.rate_for(&name, 7.0).rate_for(&name, rate).decay_for(&name, 7.0).decay_for(&name, decay);
    }
    if let Some(limit) = config["clip_value"].as_f64() {
        trainer = trainer.clip_value(limit);
    }
    if let Some(norm) = config["clip_norm"].as_f64() {
        trainer = trainer.clip_norm(norm);
    }
    trainer.accumulate(cases::size(config, "accumulate"))
}

#[test]
fn every_update_is_that_of_pytorch_with_groups_and_accumulation() -> Result<()> {
    for case in of_kind("torch") {
        for shards in [1, 2] {
            let (mut model, watch) = (Listed::new()?, Watch::default());
            let config = &case["config"];
            let mut trainer = torch_trainer(config)
                .shards(shards)
                .shuffle(false)
                .batch_size(SHARES.len())
                .callback(watch.clone())
                .progress(Progress::Silent);
            // The last group of an epoch may have fewer batches.
            trainer.fit(&mut model, &batches(0..20)?)?;
            let updates = watch.0.lock().unwrap();
            assert_eq!(updates.len(), 20_usize.div_ceil(cases::size(config, "accumulate")));
            let expected = case["weights_after"].as_array().unwrap();
            for (update, (got, expected)) in updates[updates.len() - 3..].iter().zip(expected).enumerate() {
                for (got, expected) in got.iter().zip(tensors(expected)) {
                    let place = format!("{}, {shards} shards, update {update} of the last 3", case["name"]);
                    assert_close(&place, got, values(&expected)?, 1e-11);
                }
            }
        }
    }
    Ok(())
}

/// A weight with no gradient but that of its regularizer.
struct Alone<A: Scalar> {
    weight: Param<A>,
    shape: Vec<usize>,
}

impl<A: Scalar> Alone<A> {
    fn of(weight: &Value) -> Result<Self> {
        let start: Tensor<A> = tensor(weight);
        let mut alone = Alone { weight: Param::new(), shape: start.shape().to_vec() };
        alone.initialize(&[1], 0)?;
        alone.weight.set(&start)?;
        Ok(alone)
    }
}

impl<A: Scalar> Layer<A> for Alone<A> {
    layerwise::visit_params!(A; weight);

    fn kind(&self) -> &str {
        "Alone"
    }

    fn build(&mut self, input: &[usize], init: &mut Init<A>) -> Result<Vec<usize>> {
        init.param(&mut self.weight, &self.shape, &Initializer::Zeros)?;
        self.output_shape(input)
    }

    fn output_shape(&self, _: &[usize]) -> Result<Vec<usize>> {
        Ok(vec![1])
    }

    fn forward(&self, x: &Tensor<A>, _: &mut Context<A>) -> Result<Tensor<A>> {
        Ok(Tensor::zeros(vec![x.shape()[0], 1]))
    }

    fn backward(
        &self,
        _: &Tensor<A>,
        _: &Tensor<A>,
        _: &Tensor<A>,
        _: bool,
        _: &mut Context<A>,
    ) -> Result<Option<Tensor<A>>> {
        Ok(None)
    }
}

fn nothing<A: Scalar>() -> Result<Dataset<A>> {
    Dataset::of_tensors(vec![Tensor::zeros(vec![4, 1])], vec![Tensor::zeros(vec![4, 1])])
}

/// How far two numbers are apart, in parts of the larger.
fn relative(a: f64, b: f64) -> f64 {
    (a - b).abs() / a.abs().max(b.abs()).max(f64::MIN_POSITIVE)
}

fn check_penalties<A: Scalar>(tolerance: f64) -> Result<()> {
    for case in of_kind("penalty") {
        let mut model = Alone::<A>::of(&case["weight"])?;
        model.weight.set_regularizer(regularizer(&case["config"]["regularizer"]));
        let mut trainer = Trainer::<A>::of(Ones, Sgd::new(1.0));
        let before = model.weight.get()?.clone();
        let value = trainer.evaluate(&model, &nothing()?)?.loss();
        let expected = number(&case["value"]);
        assert!(relative(value, expected) < tolerance, "{}: {value} for {expected}", case["name"]);
        assert_eq!(trainer.step(&mut model, &nothing()?)?, value);
        let expected: Tensor<A> = tensor(&case["gradient"]);
        for ((after, before), expected) in model.weight.get()?.iter().zip(&before).zip(&expected) {
            // What a step of rate 1 has taken off, as far as the digits of the weight tell.
            let (got, expected) = (*before - *after, expected.as_f64());
            let digits = tolerance * before.as_f64().abs().max(1.0);
            assert!((got.as_f64() - expected).abs() <= digits, "{}: {got} for {expected} at {before}", case["name"]);
        }
    }
    Ok(())
}

#[test]
fn penalties_and_their_gradients_are_those_of_keras() -> Result<()> {
    check_penalties::<f64>(1e-12)?;
    check_penalties::<f32>(2e-5)
}

#[test]
fn gradients_of_penalties_are_differences_of_penalties() -> Result<()> {
    let mut trainer = Trainer::<f64>::of(Ones, Sgd::new(1.0));
    for rule in ["L1", "L2", "L1L2", "OrthogonalRows", "OrthogonalColumns"] {
        let weight = Array2::from_shape_fn((5, 4), |(i, j)| ((3 * i + 7 * j) as f64).sin() + 0.2);
        let description = serde_json::json!({ "shape": [5, 4], "data": weight.iter().collect::<Vec<_>>() });
        let mut model = Alone::<f64>::of(&description)?;
        model.weight.set_regularizer(regularizer(&serde_json::json!([rule, 0.7])));
        trainer.step(&mut model, &nothing()?)?;
        let gradient = &weight - &model.weight.get()?.view().into_dimensionality::<ndarray::Ix2>().unwrap();
        for at in [(0, 0), (1, 3), (4, 2)] {
            let mut shifted = |by: f64| {
                let mut weight = weight.clone();
                weight[at] += by;
                model.weight.set(&weight)?;
                trainer.evaluate(&model, &nothing()?).map(|report| report.loss())
            };
            let slope = (shifted(1e-6)? - shifted(-1e-6)?) / 2e-6;
            assert!((slope - gradient[at]).abs() < 1e-8, "{rule}: {slope} against {}", gradient[at]);
        }
    }
    Ok(())
}

fn check_constraints<A: Scalar>(tolerance: f64) -> Result<()> {
    for case in of_kind("constraint") {
        let mut model = Alone::<A>::of(&case["weight"])?;
        model.weight.set_constraint(constraint(&case["config"]["constraint"]));
        Trainer::<A>::of(Ones, Sgd::new(1.0)).step(&mut model, &nothing()?)?;
        let expected: Tensor<f64> = tensor(&case["after"]);
        assert_close(case["name"].as_str().unwrap(), model.weight.values()?, values(&expected)?, tolerance);
    }
    Ok(())
}

#[test]
fn constraints_are_those_of_keras_along_any_axes() -> Result<()> {
    check_constraints::<f64>(1e-14)?;
    check_constraints::<f32>(1e-6)
}

#[test]
fn nan_passes_through_constraints() -> Result<()> {
    let weight = serde_json::json!({ "shape": [2, 3], "data": [1.0, -2.0, 3.0, 4.0, -5.0, 6.0] });
    for rule in [Constraint::NonNegative, NormConstraint::max(1.0).into(), NormConstraint::between(0.5, 1.0).into()] {
        let mut model = Alone::<f64>::of(&weight)?;
        let mut start = model.weight.get()?.clone();
        start[[1, 0]] = f64::NAN;
        model.weight.set(&start)?;
        model.weight.set_constraint(rule);
        Trainer::<f64>::of(Ones, Sgd::new(1.0)).step(&mut model, &nothing()?)?;
        let after = model.weight.get()?;
        assert!(after[[1, 0]].is_nan() && after.index_axis(Axis(1), 2).iter().all(|w| w.is_finite()));
    }
    Ok(())
}

#[test]
fn running_statistics_are_those_of_pytorchs_update_bn() -> Result<()> {
    for case in of_kind("update_bn") {
        for shards in [1, 2] {
            let norm = || BatchNormalization::of().momentum(0.9).epsilon(1e-5).unbiased(true);
            let mut model =
                Sequential::of().add(Dense::of(4)).add(norm()).add(Activation::Tanh).add(Dense::of(2)).add(norm());
            model.initialize(&[3], 0)?;
            for (name, param) in model.params_mut() {
                if let Some(given) = case["params"].get(&name) {
                    param.set(&tensor::<f64>(given))?;
                } else if param.is_state() {
                    // Whatever was there before, even what training has spoilt, is gone.
                    param.set(&ArrayD::from_elem(param.get()?.raw_dim(), f64::NAN))?;
                }
            }
            let x = tensor::<f64>(&case["x"]);
            let data = (&x, &Array2::<f64>::zeros((18, 2)));
            let mut trainer = Trainer::of(MeanSquaredError::new(), Sgd::new(0.1))
                .batch_size(cases::size(&case["config"], "batch_size"))
                .shards(shards);
            for _ in 0..2 {
                trainer.refresh_statistics(&mut model, data)?;
                for (name, param) in model.params() {
                    let expected = case["after"].get(&name).or(case["params"].get(&name));
                    let Some(expected) = expected else { continue };
                    assert_close(&name, param.values()?, values(&tensor::<f64>(expected))?, 1e-12);
                }
            }
            assert_eq!(trainer.steps(), 0);
        }
    }
    Ok(())
}

#[test]
fn statistics_that_cannot_be_worked_out_stay_and_so_do_frozen_ones() -> Result<()> {
    let x = Array2::from_shape_fn((7, 3), |(i, j)| ((i + 3 * j) as f64).sin());
    let y = Array1::<f64>::zeros(7);
    let mut model = Sequential::of().add(BatchNormalization::of().unbiased(true)).add(Dense::of(1));
    let mut trainer = Trainer::of(MeanSquaredError::new(), Sgd::new(0.1)).batch_size(3);
    assert_eq!(
        message(trainer.refresh_statistics(&mut model, (&x, &y))),
        "layer 0 (BatchNormalization): used before it was built: call `initialize` on the model, or `fit`, which builds it from the data"
    );
    model.initialize(&[3], 0)?;
    let before = model.params()[2].1.get()?.clone();
    // The last batch has one sample: no unbiased variance.
    let error = message(trainer.refresh_statistics(&mut model, (&x, &y)));
    assert_eq!(
        error,
        "layer 0 (BatchNormalization): input: expected at least 2 values of each channel to train on, got shape [1, 3]"
    );
    assert_eq!(model.params()[2].1.get()?, &before);
    let mut trainer = trainer.batch_size(7);
    model.freeze();
    trainer.refresh_statistics(&mut model, (&x, &y))?;
    assert_eq!(model.params()[2].1.get()?, &before);
    model.unfreeze();
    trainer.refresh_statistics(&mut model, (&x, &y))?;
    let mean = x.mean_axis(Axis(0)).unwrap();
    assert_close("mean", model.params()[2].1.values()?, mean.as_slice().unwrap(), 1e-15);
    Ok(())
}

fn network() -> Sequential<f64> {
    Sequential::of().add(Dense::of(6).activation(Activation::Tanh)).add(Dense::of(2))
}

fn samples(rows: usize) -> (Array2<f64>, Array2<f64>) {
    let x = Array2::from_shape_fn((rows, 3), |(i, j)| ((i * 5 + j * 3) as f64).sin());
    let y = Array2::from_shape_fn((rows, 2), |(i, j)| ((i + 4 * j) as f64).cos());
    (x, y)
}

fn flat(model: &dyn Layer<f64>) -> Result<Vec<f64>> {
    Ok(model.params().iter().map(|(_, param)| param.values()).collect::<Result<Vec<_>>>()?.concat())
}

#[test]
fn batches_that_are_gathered_are_one_large_batch() -> Result<()> {
    let (x, y) = samples(48);
    let run = |batch_size: usize, gathered: usize| {
        let mut model = Sequential::of()
            .add(Dense::of(6).activation(Activation::Tanh).weight_regularizer(Regularizer::L2(0.01)))
            .add(Dense::of(2).weight_constraint(NormConstraint::max(0.5)));
        let mut trainer = Trainer::of(MeanSquaredError::new(), AdamW::new(0.01).weight_decay(0.1))
            .batch_size(batch_size)
            .accumulate(gathered)
            .clip_norm(0.2)
            .callback(WeightAveraging::ema(0.8))
            .epochs(3)
            .progress(Progress::Silent);
        let history = trainer.fit(&mut model, (&x, &y))?;
        let losses: Vec<f64> = history.epochs().iter().map(|epoch| epoch.get("loss").unwrap()).collect();
        Ok::<_, Error>((flat(&model)?, losses, trainer.steps()))
    };
    let (one, one_loss, one_steps) = run(16, 1)?;
    let (many, many_loss, many_steps) = run(4, 4)?;
    assert_eq!((one_steps, many_steps), (9, 9));
    assert_close("weights", &many, &one, 1e-12);
    assert_close("losses", &many_loss, &one_loss, 1e-12);
    // The last group of an epoch is smaller: 12 batches in groups of 5, 5 and 2.
    assert_eq!(run(4, 5)?.2, 9);
    Ok(())
}

#[test]
fn rows_of_a_table_are_gathered_too() -> Result<()> {
    let ids = Array2::from_shape_fn((12, 2), |(i, j)| ((i * i + 3 * j) % 7) as f64);
    let targets = Array2::from_shape_fn((12, 2), |(i, j)| ((i + 4 * j) as f64).cos());
    let run = |batch_size: usize, gathered: usize, shards: usize| {
        let mut model = Sequential::of().add(Embedding::of(9, 3)).add(Flatten::new()).add(Dense::of(2));
        let mut trainer = Trainer::of(MeanSquaredError::new(), Adam::new(0.05))
            .batch_size(batch_size)
            .accumulate(gathered)
            .clip_norm_each(0.1)
            .shards(shards)
            .epochs(4)
            .progress(Progress::Silent);
        trainer.fit(&mut model, (&ids, &targets))?;
        flat(&model)
    };
    let one = run(6, 1, 1)?;
    assert_close("in one shard", &run(2, 3, 1)?, &one, 1e-12);
    assert_close("in two", &run(2, 3, 2)?, &one, 1e-12);
    Ok(())
}

#[test]
fn threads_change_no_bit() -> Result<()> {
    // Enough weights for an update to be shared out.
    let x = Array2::from_shape_fn((4, 300), |(i, j)| ((i * 5 + j) as f64).sin());
    let y = Array2::<f64>::zeros((4, 300));
    let makers: [fn(Trainer<f64>) -> Trainer<f64>; 3] = [
        |trainer| trainer.clip_norm_each(0.01),
        |trainer| trainer.clip_value(1e-4).rate_for("0.bias", 0.5),
        |trainer| trainer.accumulate(2).clip_norm(0.01),
    ];
    for maker in makers {
        let run = |threads: usize| {
            let layer = Dense::of(300).weight_regularizer(Regularizer::L1(1e-3));
            let mut model = Sequential::of().add(layer.weight_constraint(NormConstraint::max(0.5)));
            let rule = AdamW::new(0.01).weight_decay(0.1);
            let trainer = Trainer::of(MeanSquaredError::new(), rule).shards(2).threads(threads).epochs(4);
            let mut trainer = maker(trainer).batch_size(2).progress(Progress::Silent);
            trainer.fit(&mut model, (&x, &y))?;
            flat(&model)
        };
        assert!(run(1)? == run(2)?);
    }
    Ok(())
}

#[test]
fn dropout_differs_from_batch_to_batch_of_a_group() -> Result<()> {
    let (x, y) = samples(8);
    let mut model = Sequential::of().add(Dropout::new(0.5)).add(Dense::of(2));
    let mut trainer = Trainer::of(MeanSquaredError::new(), Sgd::new(0.0)).accumulate(3);
    let data = Dataset::of_tensors(vec![x.into_dyn().into_shared()], vec![y.into_dyn().into_shared()])?;
    let mut losses = Vec::new();
    for _ in 0..7 {
        losses.push(trainer.step(&mut model, &data)?.to_bits());
    }
    assert_eq!(trainer.steps(), 2);
    losses.sort_unstable();
    losses.dedup();
    assert_eq!(losses.len(), 7);
    Ok(())
}

#[test]
fn an_error_and_a_new_run_drop_what_was_gathered() -> Result<()> {
    let step = |trainer: &mut Trainer<f64>, model: &mut Listed, at: usize| trainer.step(model, &batches(at..at + 1)?);
    let make = || -> Result<_> {
        let mut model = Listed::new()?;
        model.gradients.push(model.gradients[0].iter().map(|g| g.mapv(|_| f64::NAN).into_shared()).collect());
        Ok((model, Trainer::of(Ones, Sgd::new(0.1)).accumulate(2).clip_norm(1.0)))
    };
    let (mut model, mut trainer) = make()?;
    let start = flat(&model)?;
    step(&mut trainer, &mut model, 0)?;
    assert_eq!((flat(&model)?, trainer.steps()), (start.clone(), 0));
    let error = message(step(&mut trainer, &mut model, 20));
    assert_eq!(error, "gradient norm is NaN at step 1; the weights are as they were before this step");
    assert_eq!((flat(&model)?, trainer.steps()), (start, 0));
    for at in [3, 4] {
        step(&mut trainer, &mut model, at)?;
    }
    let (mut other, mut fresh) = make()?;
    for at in [3, 4] {
        step(&mut fresh, &mut other, at)?;
    }
    assert_eq!(flat(&model)?, flat(&other)?);

    // A run begins with nothing: its two batches of one group are all that counts.
    let (mut model, mut trainer) = make()?;
    step(&mut trainer, &mut model, 0)?;
    let mut trainer = trainer.batch_size(SHARES.len()).shuffle(false).progress(Progress::Silent);
    trainer.fit(&mut model, &batches(3..5)?)?;
    assert_eq!((flat(&model)?, trainer.steps()), (flat(&other)?, 1));
    Ok(())
}

#[test]
fn what_is_gathered_survives_a_layer_that_is_frozen_amid_a_group() -> Result<()> {
    let (mut model, mut plain) = (Listed::new()?, Listed::new()?);
    let mut trainer = Trainer::of(Ones, Sgd::new(0.1)).accumulate(3);
    trainer.step(&mut model, &batches(0..1)?)?;
    model.second.set_frozen(true);
    trainer.step(&mut model, &batches(1..2)?)?;
    trainer.step(&mut model, &batches(2..3)?)?;
    let mut trainer = Trainer::of(Ones, Sgd::new(0.1)).accumulate(3);
    for at in 0..3 {
        trainer.step(&mut plain, &batches(at..at + 1)?)?;
    }
    assert_eq!(model.first.get()?, plain.first.get()?);
    assert_eq!(model.second.get()?, Listed::new()?.second.get()?);
    Ok(())
}

#[test]
fn losses_have_the_penalty_in_training_validation_and_evaluation() -> Result<()> {
    let (x, y) = samples(10);
    let make = |factor: f64| {
        let mut model = network();
        model.initialize(&[3], 1)?;
        for (name, param) in model.params_mut() {
            if name.ends_with("weight") {
                param.set_regularizer(Regularizer::L2(factor));
            }
        }
        let trainer = Trainer::of(MeanSquaredError::new(), Sgd::new(0.0))
            .batch_size(4)
            .validation_data((&x, &y))?
            .progress(Progress::Silent);
        Ok::<_, Error>((model, trainer))
    };
    let (mut plain, mut without) = make(0.0)?;
    let (mut model, mut trainer) = make(0.25)?;
    let weights =
        model.params().into_iter().filter(|(name, _)| name.ends_with("weight")).map(|(_, param)| param.values());
    let squares: f64 = weights.collect::<Result<Vec<_>>>()?.concat().iter().map(|w| w * w).sum();
    let history = trainer.fit(&mut model, (&x, &y))?;
    let bare = without.fit(&mut plain, (&x, &y))?;
    for name in ["loss", "val_loss"] {
        let [with, without] = [&history, &bare].map(|history| history.last().unwrap().get(name).unwrap());
        assert_close(name, &[with], &[without + 0.25 * squares], 1e-14);
    }
    let evaluated = trainer.evaluate(&model, (&x, &y))?.loss();
    assert_close("evaluation", &[evaluated], &[bare.last().unwrap().get("val_loss").unwrap() + 0.25 * squares], 1e-14);
    // Frozen weights pay nothing, in training and in evaluation (Keras's `trainable_weights`).
    model.freeze();
    let frozen = trainer.evaluate(&model, (&x, &y))?.loss();
    assert_close("frozen", &[frozen], &[without.evaluate(&plain, (&x, &y))?.loss()], 1e-14);
    Ok(())
}

#[test]
fn a_penalty_makes_the_gradient_of_a_table_dense() -> Result<()> {
    let mut model =
        Sequential::of().add(Embedding::of(6, 2).weight_regularizer(Regularizer::L2(0.5))).add(Dense::of(1));
    model.initialize(&[1], 0)?;
    let before = model.params()[0].1.get()?.clone();
    let ids = array![[1.0], [1.0]].into_dyn().into_shared();
    let data = Dataset::of_tensors(vec![ids], vec![Tensor::zeros(vec![2, 1, 1])])?;
    Trainer::of(MeanSquaredError::new(), Sgd::new(0.1)).step(&mut model, &data)?;
    let after = model.params()[0].1.get()?;
    for row in [0, 2, 3, 4, 5] {
        let expected = before.index_axis(Axis(0), row).mapv(|w| w - 0.1 * w);
        assert_close(
            "a row without a sample",
            &after.index_axis(Axis(0), row).iter().copied().collect::<Vec<_>>(),
            &expected.into_raw_vec_and_offset().0,
            1e-15,
        );
    }
    Ok(())
}

/// Two handles to one weight, neither of which has another gradient than its regularizer's.
struct Twins {
    one: Param<f64>,
    other: Param<f64>,
}

impl Layer<f64> for Twins {
    layerwise::visit_params!(f64; one, other);

    fn kind(&self) -> &str {
        "Twins"
    }

    fn build(&mut self, input: &[usize], init: &mut Init<f64>) -> Result<Vec<usize>> {
        init.param(&mut self.one, &[2, 2], &Initializer::Constant(3.0))?;
        init.param(&mut self.other, &[2, 2], &Initializer::Constant(3.0))?;
        self.output_shape(input)
    }

    fn output_shape(&self, _: &[usize]) -> Result<Vec<usize>> {
        Ok(vec![1])
    }

    fn forward(&self, x: &Tensor<f64>, _: &mut Context<f64>) -> Result<Tensor<f64>> {
        Ok(Tensor::zeros(vec![x.shape()[0], 1]))
    }

    fn backward(
        &self,
        _: &Tensor<f64>,
        _: &Tensor<f64>,
        _: &Tensor<f64>,
        _: bool,
        _: &mut Context<f64>,
    ) -> Result<Option<Tensor<f64>>> {
        Ok(None)
    }
}

#[test]
fn a_tied_weight_pays_once_and_is_constrained_once() -> Result<()> {
    let mut one = Param::new();
    one.set_regularizer(Regularizer::L1(0.5));
    one.set_constraint(Constraint::from(NormConstraint::between(0.0, 2.0).rate(0.5)));
    let mut model = Twins { other: one.tied(), one };
    let mut trainer = Trainer::of(Ones, Sgd::new(1.0)).rate_for("one", 9.0).rate_for("other", 2.0);
    assert_eq!(trainer.step(&mut model, &nothing()?)?, 0.5 * 12.0);
    // 3 - 2 * 0.5, then half of the way from a norm of sqrt(8) to 2.
    let expected = 2.0 * (0.5 * 2.0 + 0.5 * 8.0_f64.sqrt()) / 8.0_f64.sqrt();
    assert_close("one", model.one.values()?, &[expected; 4], 1e-7);
    assert_eq!(model.one.get()?, model.other.get()?);
    Ok(())
}

#[test]
fn decay_is_for_matrices_alone_where_that_is_asked_for() -> Result<()> {
    for (names, decays) in [(None, [true, false, true]), (Some("second"), [true, true, true])] {
        let mut model = Listed::new()?;
        let start = model.values()?;
        let mut trainer = Trainer::of(Ones, AdamW::new(0.1).weight_decay(0.5)).no_decay_for_biases_and_norms();
        if let Some(names) = names {
            trainer = trainer.decay_for(names, 1.0);
        }
        // The gradient is 0 in this step, and Adam moves nothing.
        trainer.step(&mut model, &batches(7..8)?)?;
        for ((after, before), decays) in model.values()?.iter().zip(&start).zip(decays) {
            let factor = if decays { 0.95 } else { 1.0 };
            assert_close("decay", values(after)?, values(&before.mapv(|w| w * factor).into_shared())?, 1e-15);
        }
    }
    Ok(())
}

#[test]
fn a_rate_set_after_the_first_step_counts_and_nothing_is_forgotten() -> Result<()> {
    let (mut model, mut other) = (Listed::new()?, Listed::new()?);
    let mut trainer = Trainer::of(Ones, Sgd::new(0.05).momentum(0.9));
    let mut plain = Trainer::of(Ones, Sgd::new(0.05).momentum(0.9));
    trainer.step(&mut model, &batches(0..1)?)?;
    plain.step(&mut other, &batches(0..1)?)?;
    let mut trainer = trainer.rate_for("second", 0.0);
    let second = model.second.get()?.clone();
    trainer.step(&mut model, &batches(1..2)?)?;
    plain.step(&mut other, &batches(1..2)?)?;
    assert_eq!(model.first.get()?, other.first.get()?);
    assert_eq!(model.second.get()?, &second);
    assert_eq!(trainer.steps(), 2);
    Ok(())
}

/// A layer, the shape of a sample for it, and the number in the rules of each of its weights that has some.
type Ruled = (Box<dyn Layer>, &'static [usize], &'static [(&'static str, f64)]);

#[test]
fn every_builder_method_is_for_the_weight_that_it_names() -> Result<()> {
    let l1 = Regularizer::L1;
    let norm = NormConstraint::max;
    let cases: Vec<Ruled> = vec![
        (
            Box::new(
                Dense::new(2)
                    .weight_regularizer(l1(1.0))
                    .weight_constraint(norm(1.0))
                    .bias_regularizer(l1(2.0))
                    .bias_constraint(norm(2.0)),
            ),
            &[3],
            &[("weight", 1.0), ("bias", 2.0)],
        ),
        (
            Box::new(
                Conv2d::new(2, 3)
                    .weight_regularizer(l1(1.0))
                    .weight_constraint(norm(1.0))
                    .bias_regularizer(l1(2.0))
                    .bias_constraint(norm(2.0)),
            ),
            &[5, 5, 2],
            &[("weight", 1.0), ("bias", 2.0)],
        ),
        (
            Box::new(DepthwiseConv2d::new(3).weight_regularizer(l1(1.0)).weight_constraint(norm(1.0))),
            &[5, 5, 2],
            &[("weight", 1.0)],
        ),
        (
            Box::new(
                SeparableConv1d::new(2, 3)
                    .depthwise_regularizer(l1(1.0))
                    .depthwise_constraint(norm(1.0))
                    .pointwise_regularizer(l1(2.0))
                    .pointwise_constraint(norm(2.0))
                    .bias_regularizer(l1(3.0))
                    .bias_constraint(norm(3.0)),
            ),
            &[5, 2],
            &[("depthwise.weight", 1.0), ("pointwise.weight", 2.0), ("pointwise.bias", 3.0)],
        ),
        (
            Box::new(Embedding::new(5, 2).weight_regularizer(l1(1.0)).weight_constraint(norm(1.0))),
            &[3],
            &[("weight", 1.0)],
        ),
        (
            Box::new(
                SimpleRnn::new(2)
                    .weight_regularizer(l1(1.0))
                    .weight_constraint(norm(1.0))
                    .recurrent_regularizer(l1(2.0))
                    .recurrent_constraint(norm(2.0))
                    .bias_regularizer(l1(3.0))
                    .bias_constraint(norm(3.0)),
            ),
            &[4, 3],
            &[("weight", 1.0), ("recurrent_weight", 2.0), ("bias", 3.0)],
        ),
        (
            Box::new(
                BatchNormalization::new()
                    .gamma_regularizer(l1(1.0))
                    .gamma_constraint(norm(1.0))
                    .beta_regularizer(l1(2.0))
                    .beta_constraint(norm(2.0)),
            ),
            &[3],
            &[("gamma", 1.0), ("beta", 2.0)],
        ),
    ];
    for (mut layer, input, expected) in cases {
        layer.initialize(input, 0)?;
        for (name, param) in layer.params() {
            let factor = expected.iter().find(|(expected, _)| *expected == name).map(|(_, factor)| *factor);
            let place = format!("{} {name}", layer.kind());
            assert_eq!(param.regularizer().copied(), factor.map(l1), "{place}");
            assert_eq!(param.constraint().cloned(), factor.map(|most| norm(most).into()), "{place}");
        }
    }
    Ok(())
}

#[test]
fn rules_are_saved_with_the_model_and_must_agree_with_a_checkpoint() -> Result<()> {
    let rules = [
        (Some(Regularizer::L1(0.1)), None),
        (Some(Regularizer::L2(f64::MIN_POSITIVE)), Some(Constraint::NonNegative)),
        (Some(Regularizer::L1L2 { l1: 0.25, l2: 0.5 }), Some(NormConstraint::unit().axes([1]).into())),
        (Some(Regularizer::OrthogonalRows(1.0)), Some(NormConstraint::between(0.5, 2.0).rate(0.1).axes([0, 1]).into())),
        (Some(Regularizer::OrthogonalColumns(1.0)), Some(NormConstraint::max(3.0).into())),
        (None, None),
    ];
    let folder = tempfile::tempdir().expect("there is room for temporary files");
    let path = folder.path().join("model");
    for (regularizer, constraint) in rules {
        let mut model = Sequential::new().add(Dense::new(4)).add(Dense::new(2));
        model.initialize(&[3], 0)?;
        let (_, param) = model.params_mut().swap_remove(2);
        param.set_regularizer(regularizer);
        param.set_constraint(constraint.clone());
        io::save_model(&model, &path)?;
        let loaded = io::load_model(&path)?;
        for (at, (name, param)) in loaded.params().into_iter().enumerate() {
            let here = at == 2;
            assert_eq!(param.regularizer().copied(), regularizer.filter(|_| here), "{name}");
            assert_eq!(param.constraint(), constraint.as_ref().filter(|_| here), "{name}");
        }
    }

    let make = |factor: f64| {
        let model = Sequential::new().add(Dense::new(1).weight_regularizer(Regularizer::L2(factor)));
        (model, Trainer::new(MeanSquaredError::new(), Sgd::new(0.1)).progress(Progress::Silent))
    };
    let (x, y) = (array![[1.0_f32], [2.0]], array![1.0_f32, 0.0]);
    let (mut model, mut trainer) = make(0.1);
    trainer.fit(&mut model, (&x, &y))?;
    trainer.save_checkpoint(&model, &path)?;
    let (mut model, mut trainer) = make(0.1);
    trainer.load_checkpoint(&mut model, &path)?;
    let (mut model, mut trainer) = make(0.2);
    let error = message(trainer.load_checkpoint(&mut model, &path));
    let expected = "regularizers and constraints[0].regularizer.factor must be 0.1, as in the checkpoint, got 0.2";
    assert!(error.ends_with(expected), "{error}");
    Ok(())
}

#[test]
fn what_cannot_work_is_refused_before_any_weight_changes() -> Result<()> {
    let built = |layer: Dense| message(Sequential::new().add(layer).initialize(&[3], 0));
    for (layer, expected) in [
        (
            Dense::new(2).weight_regularizer(Regularizer::L2(-0.1)),
            "factor of L2 must be a finite number of at least 0, got -0.1",
        ),
        (
            Dense::new(2).weight_regularizer(Regularizer::L1L2 { l1: 0.0, l2: f64::NAN }),
            "factor of L1L2 must be a finite number of at least 0, got NaN",
        ),
        (
            Dense::new(2).bias_regularizer(Regularizer::OrthogonalRows(0.1)),
            "weight: expected a matrix of at least 2 rows for OrthogonalRows, got shape [2]",
        ),
        (
            Dense::new(1).weight_regularizer(Regularizer::OrthogonalColumns(0.1)),
            "weight: expected a matrix of at least 2 columns for OrthogonalColumns, got shape [3, 1]",
        ),
        (
            Dense::new(2).weight_constraint(NormConstraint::max(f64::INFINITY)),
            "largest norm must be a finite number of at least 0, got inf",
        ),
        (
            Dense::new(2).weight_constraint(NormConstraint::between(2.0, 1.0)),
            "largest norm must be a finite number of at least 2, got 1",
        ),
        (
            Dense::new(2).weight_constraint(NormConstraint::between(-1.0, 1.0)),
            "least norm must be a finite number of at least 0, got -1",
        ),
        (
            Dense::new(2).weight_constraint(NormConstraint::unit().rate(1.5)),
            "rate of the norm constraint must be from 0 to 1, got 1.5",
        ),
        (
            Dense::new(2).weight_constraint(NormConstraint::unit().axes([0, 2])),
            "weight: expected an axis 2, over which to take norms, got shape [3, 2]",
        ),
    ] {
        assert_eq!(built(layer), format!("layer 0 (Dense): {expected}"));
    }

    let (x, y) = samples(6);
    let data = Dataset::of_tensors(vec![x.into_dyn().into_shared()], vec![y.into_dyn().into_shared()])?;
    let trainer = || Trainer::of(MeanSquaredError::new(), Sgd::new(0.1));
    for (mut trainer, expected) in [
        (trainer().clip_value(0.0), "clip_value must be a finite number above 0, got 0"),
        (trainer().clip_norm_each(f64::NAN), "clip_norm_each must be a finite number above 0, got NaN"),
        (
            trainer().clip_norm(1.0).clip_value(2.0),
            "clip_value must be the only way of clipping, without clip_norm, got 2",
        ),
        (trainer().accumulate(0), "accumulate must be at least 1 batch, got 0"),
        (trainer().rate_for("0", -1.0), "factor of rate_for \"0\" must be a finite number of at least 0, got -1"),
        (
            trainer().decay_for("0.bias", f64::INFINITY),
            "factor of decay_for \"0.bias\" must be a finite number of at least 0, got inf",
        ),
        (
            trainer().rate_for("*.weight*", 1.0),
            "names of rate_for must be a pattern with one star at most, got *.weight*",
        ),
        (
            trainer().decay_for("2", 0.0),
            "names of decay_for must be those of parameters of the model (0.weight, 0.bias, 1.weight, 1.bias...), got \
             \"2\"",
        ),
    ] {
        let mut model = network();
        model.initialize(&[3], 0)?;
        let before = flat(&model)?;
        assert_eq!(message(trainer.step(&mut model, &data)), expected);
        assert_eq!((flat(&model)?, trainer.steps()), (before, 0));
    }

    // Rules that a built model is given later.
    let mut model = network();
    let mut trainer = trainer();
    trainer.step(&mut model, &data)?;
    model.params_mut()[1].1.set_regularizer(Regularizer::OrthogonalRows(0.1));
    let before = flat(&model)?;
    let expected = "0.bias: weight: expected a matrix of at least 2 rows for OrthogonalRows, got shape [6]";
    assert_eq!(message(trainer.step(&mut model, &data)), expected);
    assert_eq!(message(trainer.evaluate(&model, &data)), expected);
    assert_eq!(flat(&model)?, before);
    Ok(())
}

#[test]
fn a_norm_of_one_weight_that_is_none_ends_the_step() -> Result<()> {
    let mut model = Listed::new()?;
    let mut bad = model.gradients[0][1].clone();
    bad[[2]] = f64::INFINITY;
    model.gradients[0][1] = bad;
    let before = flat(&model)?;
    let mut trainer = Trainer::of(Ones, Adam::new(0.1)).clip_norm_each(1.0);
    let error = message(trainer.step(&mut model, &batches(0..1)?));
    assert_eq!(error, "gradient norm is NaN at step 1; the weights are as they were before this step");
    assert_eq!(flat(&model)?, before);
    Ok(())
}

#[test]
fn the_reference_file_has_all_its_cases() {
    let all = cases(FILE);
    let counts = counts(&all);
    assert_eq!(
        counts.into_iter().collect::<Vec<_>>(),
        [("constraint", 9), ("keras", 14), ("penalty", 16), ("torch", 7), ("update_bn", 1)]
    );
}
