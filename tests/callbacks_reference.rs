//! What callbacks decide: Keras's decisions on random sequences, PyTorch's averages of weights.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use layerwise::prelude::*;
use layerwise::train::callbacks::LambdaCallback;
use ndarray::Array2;
use serde_json::Value;

fn reference() -> Value {
    serde_json::from_str(include_str!("reference/callbacks_keras.json")).unwrap()
}

fn cases(kind: &str) -> Vec<Value> {
    let cases = reference()["cases"].as_array().unwrap().clone();
    cases.into_iter().filter(|case| case["kind"] == kind).collect()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

fn size(value: &Value) -> usize {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no size")) as usize
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(number).collect()
}

/// The numbers of a list of tensors.
fn lists(value: &Value) -> Vec<Vec<f64>> {
    value.as_array().unwrap().iter().map(|tensor| numbers(&tensor["data"])).collect()
}

/// A metric that takes one value of a list after another, epoch by epoch.
struct Watched {
    values: Vec<f64>,
    epoch: usize,
}

impl Metric<f64> for Watched {
    fn name(&self) -> &str {
        "watched"
    }

    fn update(&mut self, _: &Tensor<f64>, _: &Tensor<f64>, _: Option<&[f64]>) -> Result<()> {
        Ok(())
    }

    fn result(&self) -> f64 {
        self.values[self.epoch - 1]
    }

    fn reset(&mut self) {
        self.epoch += 1;
    }

    fn state(&self) -> Vec<f64> {
        Vec::new()
    }

    fn merge(&mut self, _: &[f64]) -> Result<()> {
        Ok(())
    }
}

/// One weight, which is another after each epoch: its target is far away.
fn one_weight() -> Result<(Sequential<f64>, Dataset<f64>)> {
    let mut model = Sequential::of().add(Dense::of(1).without_bias());
    model.initialize(&[1], 0)?;
    Ok((model, Dataset::new(&Array2::<f64>::ones((1, 1)), &Array2::from_elem((1, 1), -1e6))?))
}

/// Runs a callback over the values of a case. Gives the weight and the rate after each epoch, and the weight at the end.
fn run(config: &Value, rate: f64, callback: impl Callback<f64> + 'static) -> Result<(Vec<(f64, f64)>, f64)> {
    let (mut model, data) = one_weight()?;
    let values = numbers(&config["values"]);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let note = Arc::clone(&seen);
    let watch = LambdaCallback::of().on_epoch_end(move |event: &mut Event<'_, f64>| {
        note.lock().unwrap().push((event.model.params()[0].1.values()?[0], event.rate()));
        Ok(())
    });
    let mut trainer = Trainer::of(MeanSquaredError::new(), Sgd::new(rate))
        .epochs(values.len())
        .metric(Watched { values, epoch: 0 })
        .callback(callback)
        .callback(watch)
        .progress(Progress::Silent);
    trainer.fit(&mut model, &data)?;
    let weight = model.params()[0].1.values()?[0];
    let seen = seen.lock().unwrap().clone();
    Ok((seen, weight))
}

#[test]
fn early_stopping_stops_and_restores_where_keras_does() -> Result<()> {
    let cases = cases("EarlyStopping");
    assert!(cases.len() >= 150, "{}", cases.len());
    let (mut early, mut restored) = (0, 0);
    for case in &cases {
        let (name, config) = (&case["name"], &case["config"]);
        let callback = EarlyStopping::of().monitor("watched").patience(size(&config["patience"]));
        let callback = callback.min_delta(number(&config["min_delta"]));
        let mut callback = callback.start_from_epoch(size(&config["start_from_epoch"]));
        callback = if config["mode"] == "min" { callback.minimize() } else { callback.maximize() };
        if !config["baseline"].is_null() {
            callback = callback.baseline(number(&config["baseline"]));
        }
        if config["restore_best"] == true {
            callback = callback.restore_best();
        }
        let (seen, weight) = run(config, 1e-3, callback)?;
        assert_eq!(seen.len(), size(&case["last"]), "{name}: epochs");
        early += usize::from(seen.len() < numbers(&config["values"]).len());
        let epoch = if case["restored"].is_null() { seen.len() } else { size(&case["restored"]) };
        restored += usize::from(epoch < seen.len());
        assert_eq!(weight, seen[epoch - 1].0, "{name}: weights of epoch {epoch}");
    }
    // The cases are of all kinds.
    assert!(early > 50 && early < cases.len() - 15 && restored > 20, "{early} {restored}");
    Ok(())
}

#[test]
fn rates_are_reduced_where_keras_reduces_them() -> Result<()> {
    let cases = cases("ReduceLROnPlateau");
    assert!(cases.len() >= 150, "{}", cases.len());
    let mut reductions = 0;
    for case in &cases {
        let (name, config) = (&case["name"], &case["config"]);
        let callback = ReduceLROnPlateau::new().monitor("watched").patience(size(&config["patience"]));
        let callback = callback.min_delta(number(&config["min_delta"])).factor(number(&config["factor"]));
        let callback = callback.cooldown(size(&config["cooldown"])).min_rate(number(&config["min_rate"]));
        let callback = if config["mode"] == "min" { callback.minimize() } else { callback.maximize() };
        let (seen, _) = run(config, number(&config["rate"]), callback)?;
        let rates = numbers(&case["rates"]);
        assert_eq!(seen.len(), rates.len(), "{name}");
        for (epoch, ((_, got), expected)) in seen.iter().zip(&rates).enumerate() {
            assert!((got - expected).abs() <= 1e-12 * expected, "{name}, epoch {}: {got} for {expected}", epoch + 1);
        }
        reductions += rates.windows(2).filter(|pair| pair[1] < pair[0]).count();
    }
    assert!(reductions > 200, "{reductions}");
    Ok(())
}

/// Two weights and a state that take one value of a list after another, step by step.
struct Listed {
    weight: Param<f64>,
    matrix: Param<f64>,
    state: Param<f64>,
    lists: [Vec<Vec<f64>>; 3],
    step: AtomicUsize,
}

impl Listed {
    fn of(file: &Value) -> Self {
        let lists = ["weights", "matrices", "states"].map(|name| lists(&file[name]));
        Listed { weight: Param::new(), matrix: Param::new(), state: Param::state(), lists, step: AtomicUsize::new(0) }
    }
}

impl Layer<f64> for Listed {
    layerwise::visit_params!(f64; weight, matrix, state);

    fn kind(&self) -> &str {
        "Listed"
    }

    fn build(&mut self, input: &[usize], init: &mut Init<f64>) -> Result<Vec<usize>> {
        init.param(&mut self.weight, &[3], &Initializer::Zeros)?;
        init.param(&mut self.matrix, &[2, 2], &Initializer::Zeros)?;
        init.param(&mut self.state, &[2], &Initializer::Zeros)?;
        self.output_shape(input)
    }

    fn output_shape(&self, _: &[usize]) -> Result<Vec<usize>> {
        Ok(vec![1])
    }

    fn forward(&self, x: &Tensor<f64>, ctx: &mut Context<f64>) -> Result<Tensor<f64>> {
        if ctx.mode() == Mode::Training {
            let next = &self.lists[2][self.step.load(Ordering::SeqCst)];
            ctx.set_state(&self.state, Tensor::from_shape_vec(vec![2], next.clone()).unwrap());
        }
        Ok(Tensor::zeros(vec![x.shape()[0], 1]))
    }

    /// At a rate of 1 the gradient is what is to go.
    fn backward(
        &self,
        _: &Tensor<f64>,
        _: &Tensor<f64>,
        _: &Tensor<f64>,
        _: bool,
        ctx: &mut Context<f64>,
    ) -> Result<Option<Tensor<f64>>> {
        let step = self.step.fetch_add(1, Ordering::SeqCst);
        for (param, list) in [(&self.weight, &self.lists[0]), (&self.matrix, &self.lists[1])] {
            let now = param.values()?;
            if let Some(grad) = ctx.grad(param) {
                for ((total, now), next) in grad.accumulate().iter_mut().zip(now).zip(&list[step]) {
                    *total += now - next;
                }
            }
        }
        Ok(None)
    }
}

fn averaging(config: &Value) -> WeightAveraging<f64> {
    let decay = config["decay"].as_f64().unwrap_or_default();
    let callback = match config["rule"].as_str().unwrap() {
        "swa" => WeightAveraging::swa(),
        "ema" => WeightAveraging::ema(decay),
        "corrected" => WeightAveraging::ema(decay).bias_correction(),
        "warm_up" => WeightAveraging::ema(decay).warm_up(),
        other => panic!("{other}"),
    };
    let every = size(&config["every"]);
    let callback = match config["unit"].as_str().unwrap() {
        "steps" => callback.every_steps(every as u64),
        _ => callback.every_epochs(every),
    };
    let callback = callback.from_epoch(size(&config["from_epoch"])).in_validation();
    if config["state"] == true { callback.average_state() } else { callback }
}

fn values_of(model: &dyn Layer<f64>) -> Result<Vec<Vec<f64>>> {
    model.params().iter().map(|(_, param)| param.values().map(<[f64]>::to_vec)).collect()
}

fn assert_close(got: &[Vec<f64>], expected: &[Vec<f64>], place: &str) {
    assert_eq!(got.len(), expected.len(), "{place}");
    for (got, expected) in got.iter().flatten().zip(expected.iter().flatten()) {
        assert!((got - expected).abs() <= 1e-12 * expected.abs().max(1.0), "{place}: {got} for {expected}");
    }
}

#[test]
fn averages_go_the_way_of_pytorchs_and_training_goes_on_undisturbed() -> Result<()> {
    let (file, cases) = (reference(), cases("WeightAveraging"));
    assert!(cases.len() >= 11, "{}", cases.len());
    for case in &cases {
        let (name, config) = (case["name"].as_str().unwrap(), &case["config"]);
        let trajectory: Vec<Vec<Vec<f64>>> = case["trajectory"].as_array().unwrap().iter().map(lists).collect();
        let batches = size(&config["batches"]);
        let plain = Listed::of(&file).lists;

        // The averages are there in the validation, if there is one, and at the end of the epoch.
        for validated in [false, true] {
            let (trajectory, plain, place) = (trajectory.clone(), plain.clone(), name.to_owned());
            let (during, at_end) = (trajectory.clone(), trajectory.clone());
            let watch = LambdaCallback::of()
                .on_batch_end(move |event: &mut Event<'_, f64>| {
                    let step = (event.epoch - 1) * event.batches + event.batch - 1;
                    let now = [0, 1, 2].map(|list| plain[list][step].clone());
                    assert_close(&values_of(&*event.model)?, &now, &format!("{place}, plain at {step}"));
                    Ok(())
                })
                .on_validation_begin(move |event: &mut Event<'_, f64>| {
                    assert_close(&values_of(&*event.model)?, &during[event.epoch - 1], "in validation");
                    Ok(())
                })
                .on_epoch_end(move |event: &mut Event<'_, f64>| {
                    assert_close(&values_of(&*event.model)?, &at_end[event.epoch - 1], "at the end of an epoch");
                    Ok(())
                });
            let mut model = Listed::of(&file);
            model.initialize(&[1], 0)?;
            let zeros = |rows| (Array2::<f64>::zeros((rows, 1)), Array2::<f64>::zeros((rows, 1)));
            let mut trainer = Trainer::of(MeanSquaredError::new(), Sgd::new(1.0))
                .epochs(trajectory.len())
                .batch_size(1)
                .threads(1)
                .callback(averaging(config))
                .callback(watch)
                .progress(Progress::Silent);
            if validated {
                let (x, y) = zeros(2);
                trainer = trainer.validation_data((&x, &y))?;
            }
            let (x, y) = zeros(batches);
            trainer.fit(&mut model, (&x, &y))?;
            assert_close(&values_of(&model)?, trajectory.last().unwrap(), &format!("{name}: at the end of the run"));
        }
    }
    Ok(())
}
