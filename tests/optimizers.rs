//! The optimizers through the trainer: PyTorch's and Keras's trajectories, and what the engine around the rules owes.

#[path = "common/ones.rs"]
mod ones;

use layerwise::optimizers::{
    Adadelta, Adafactor, Adagrad, Adam, AdamW, Adamax, Lamb, Lion, Muon, Nadam, RAdam, RmsProp, Sgd, Step,
};
use layerwise::prelude::*;
use layerwise::schedules::{Cosine, Schedule};
use layerwise::{to_tensor, values};
use ndarray::{Array1, Array2, array};
use ones::Ones;
use serde_json::Value;

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

/// The numbers of a list of tensors, one list for each.
fn lists(value: &Value) -> Vec<Vec<f64>> {
    value.as_array().unwrap().iter().map(|tensor| numbers(&tensor["data"])).collect()
}

fn reference() -> Value {
    serde_json::from_str(include_str!("reference/optimizers_torch.json")).unwrap()
}

fn assert_close<A: Scalar>(got: &[A], expected: &[f64], tolerance: f64, place: &str) {
    assert_eq!(got.len(), expected.len(), "{place}");
    for (got, &expected) in got.iter().zip(expected) {
        let difference = (got.as_f64() - expected).abs();
        assert!(difference <= tolerance * expected.abs().max(1.0), "{place}: {got} for {expected}");
    }
}

fn set<A: Scalar>(param: &mut Param<A>, data: &[f64]) -> Result<()> {
    let shape = param.get()?.raw_dim();
    param.set(&Tensor::from_shape_vec(shape, data.iter().map(|&x| A::of(x)).collect()).unwrap())
}

/// The values of every parameter of a model.
fn weights<A: Scalar>(model: &dyn Layer<A>) -> Result<Vec<Vec<A>>> {
    model.params().iter().map(|(_, param)| param.values().map(<[A]>::to_vec)).collect()
}

/// Two parameters whose gradients stand in a list. A sample is (share, step): it adds its share of that step's.
struct Listed<A: Scalar> {
    first: Param<A>,
    second: Param<A>,
    gradients: Vec<Vec<Vec<f64>>>,
}

impl<A: Scalar> Listed<A> {
    fn of(gradients: Vec<Vec<Vec<f64>>>) -> Self {
        Listed { first: Param::new(), second: Param::new(), gradients }
    }

    /// Built, and set to the start of the reference file.
    fn of_file(file: &Value) -> Result<Self> {
        let gradients = file["grads"].as_array().unwrap().iter().map(lists).collect();
        let mut layer = Self::of(gradients);
        layer.initialize(&[2], 0)?;
        let start = lists(&file["start"]);
        set(&mut layer.first, &start[0])?;
        set(&mut layer.second, &start[1])?;
        Ok(layer)
    }
}

impl<A: Scalar> Layer<A> for Listed<A> {
    layerwise::visit_params!(A; first, second);

    fn kind(&self) -> &str {
        "Listed"
    }

    fn build(&mut self, input: &[usize], init: &mut Init<A>) -> Result<Vec<usize>> {
        init.param(&mut self.first, &[3, 4], &Initializer::Zeros)?;
        init.param(&mut self.second, &[5], &Initializer::Zeros)?;
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
        x: &Tensor<A>,
        _: &Tensor<A>,
        dy: &Tensor<A>,
        _: bool,
        ctx: &mut Context<A>,
    ) -> Result<Option<Tensor<A>>> {
        for (row, (sample, &dy)) in values(x)?.chunks_exact(2).zip(dy).enumerate() {
            let gradients = &self.gradients[sample[1].to_usize().unwrap()];
            for (param, gradient) in [&self.first, &self.second].into_iter().zip(gradients) {
                // An empty list is no gradient at all.
                if let (Some(grad), false) = (ctx.grad(param), gradient.is_empty()) {
                    // Both ways to add, by turns.
                    let part = |g: &f64| sample[0] * dy * A::of(*g);
                    if row % 2 == 0 {
                        for (total, g) in grad.accumulate().iter_mut().zip(gradient) {
                            *total += part(g);
                        }
                    } else {
                        let part = gradient.iter().map(part).collect();
                        grad.add_tensor(&Tensor::from_shape_vec(param.get()?.raw_dim(), part).unwrap())?;
                    }
                }
            }
        }
        Ok(None)
    }
}

/// The samples of one step: their shares add up to 1, and nothing is lost when they do.
fn batch<A: Scalar>(step: usize) -> Result<Dataset<A>> {
    let shares = [0.5, -2.0, 1.0, 0.25, 0.75, 0.5];
    let x = Array2::from_shape_fn((6, 2), |(row, column)| A::of(if column == 0 { shares[row] } else { step as f64 }));
    Dataset::of_tensors(vec![x.into_dyn().into_shared()], vec![Tensor::zeros(vec![6, 1])])
}

/// One rate for each step.
struct Rates(Vec<f64>);

impl Schedule for Rates {
    fn kind(&self) -> &str {
        "Rates"
    }

    fn config(&self) -> Value {
        Value::Null
    }

    fn rate(&self, step: u64) -> f64 {
        self.0[step.min(self.0.len() as u64 - 1) as usize]
    }
}

fn with_rule<A: Scalar>(case: &Value, rate: impl layerwise::schedules::IntoSchedule, scaled: bool) -> Trainer<A> {
    let config = &case["config"];
    let number = |key: &str| config[key].as_f64().unwrap();
    let decay = number("weight_decay");
    let trainer = match case["kind"].as_str().unwrap() {
        "SGD" => {
            let rule = Sgd::new(rate).momentum(number("momentum")).weight_decay(decay);
            Trainer::of(Ones, rule.nesterov(config["nesterov"].as_bool().unwrap()).scaled_velocity(scaled))
        }
        "Adam" => {
            let rule = Adam::new(rate).betas(number("beta1"), number("beta2"));
            Trainer::of(Ones, rule.epsilon(number("epsilon")).weight_decay(decay))
        }
        "AdamW" => {
            let rule = AdamW::new(rate).betas(number("beta1"), number("beta2"));
            Trainer::of(Ones, rule.epsilon(number("epsilon")).weight_decay(decay))
        }
        other => panic!("{other}"),
    };
    match config["clip_norm"].as_f64() {
        Some(norm) => trainer.clip_norm(norm),
        None => trainer,
    }
}

fn trainer<A: Scalar>(case: &Value, scaled: bool) -> Trainer<A> {
    let (schedule, rate) = (&case["config"]["schedule"], case["config"]["lr"].as_f64().unwrap());
    match schedule["kind"].as_str().unwrap() {
        "constant" => with_rule(case, rate, scaled),
        "cosine" => {
            let cosine = Cosine::new(rate, schedule["steps"].as_u64().unwrap());
            with_rule(case, cosine.minimum(schedule["min_lr"].as_f64().unwrap()), scaled)
        }
        "list" => with_rule(case, Rates(numbers(&schedule["values"])), scaled),
        other => panic!("{other}"),
    }
}

/// The weights after each step of a case, in our hands.
fn trajectory<A: Scalar>(file: &Value, case: &Value, shards: usize, scaled: bool) -> Result<Vec<Vec<Vec<A>>>> {
    let mut model = Listed::<A>::of_file(file)?;
    for frozen in numbers(&case["config"]["frozen"]) {
        [&mut model.first, &mut model.second][frozen as usize].set_frozen(true);
    }
    let mut trainer = trainer(case, scaled).shards(shards);
    let mut after = Vec::new();
    for (step, &rate) in numbers(&case["lrs"]).iter().enumerate() {
        assert!((trainer.optimizer().schedule().rate(step as u64) - rate).abs() < 1e-15);
        trainer.step(&mut model, &batch(step)?)?;
        after.push(weights(&model)?);
    }
    assert_eq!(after.len(), 25);
    Ok(after)
}

fn compare<A: Scalar>(tolerance: f64, shards: &[usize]) -> Result<()> {
    let file = reference();
    for case in file["cases"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let keras = case["config"]["keras"] == true;
        for &shards in shards {
            let ours = trajectory::<A>(&file, case, shards, keras)?;
            for (step, (ours, theirs)) in ours.iter().zip(case["weights_after"].as_array().unwrap()).enumerate() {
                for (ours, theirs) in ours.iter().zip(lists(theirs)) {
                    assert_close(ours, &theirs, tolerance, &format!("{name}, step {step}, {shards} shards"));
                }
            }
        }
    }
    Ok(())
}

#[test]
fn every_step_is_that_of_pytorch_or_keras_however_many_shards_share_the_gradient() -> Result<()> {
    compare::<f64>(1e-12, &[1, 2, 3])
}

#[test]
fn every_step_is_that_of_pytorch_or_keras_in_f32() -> Result<()> {
    compare::<f32>(1e-5, &[1, 3])
}

#[test]
fn the_two_forms_of_momentum_agree_as_long_as_the_rate_stays_the_same() -> Result<()> {
    let file = reference();
    for case in file["cases"].as_array().unwrap().iter().filter(|case| case["config"]["keras"] == true) {
        let [torch, keras] = [false, true].map(|scaled| trajectory::<f64>(&file, case, 1, scaled));
        let (torch, keras) = (torch?.concat().concat(), keras?.concat().concat());
        let differ = torch.iter().zip(&keras).any(|(a, b)| (a - b).abs() > 1e-3);
        assert_eq!(differ, case["config"]["schedule"]["kind"] != "constant", "{}", case["name"]);
        if !differ {
            assert_close(&torch, &keras, 1e-12, "constant rate");
        }
    }
    Ok(())
}

/// The trainer of a case of the further rules: each number and switch by its name.
macro_rules! further_rule {
    ($case:expr, $rate:expr, $($rule:ident: $($number:ident)*; $($switch:ident)*,)*) => {
        match $case["kind"].as_str().unwrap() {
            $(stringify!($rule) => {
                let mut rule = $rule::new($rate);
                for (name, value) in $case["numbers"].as_object().unwrap() {
                    let value = value.as_f64().unwrap();
                    rule = match name.as_str() {
                        "weight_decay" => rule.weight_decay(value),
                        $(stringify!($number) => rule.$number(value),)*
                        other => panic!("{other}"),
                    };
                }
                for name in $case["switches"].as_array().unwrap() {
                    rule = match name.as_str().unwrap() {
                        "decoupled_decay" => rule.decoupled_decay(true),
                        $(stringify!($switch) => rule.$switch(true),)*
                        other => panic!("{other}"),
                    };
                }
                Trainer::of(Ones, rule)
            })*
            other => panic!("{other}"),
        }
    };
}

fn further<A: Scalar>(case: &Value) -> Trainer<A> {
    let rates = case["lrs"].as_array().map_or_else(|| vec![case["rate"].as_f64().unwrap()], |_| numbers(&case["lrs"]));
    further_rule!(case, Rates(rates.clone()),
        RmsProp: alpha epsilon momentum; centered,
        Adagrad: initial_accumulator rate_decay epsilon;,
        Adadelta: rho epsilon;,
        Adam: beta1 beta2 epsilon; amsgrad,
        AdamW: beta1 beta2 epsilon; amsgrad,
        Adamax: beta1 beta2 epsilon;,
        Nadam: beta1 beta2 epsilon momentum_decay;,
        RAdam: beta1 beta2 epsilon;,
        Adafactor: beta2_decay scale_epsilon clip;,
        Muon: momentum epsilon vector_rate; plain_momentum match_rms_adamw,
        Lion: beta1 beta2;,
        Lamb: beta1 beta2 epsilon;,
    )
}

fn compare_further<A: Scalar>(tolerance: f64, shards: &[usize]) -> Result<()> {
    let start = reference();
    let file: Value = serde_json::from_str(include_str!("reference/optimizers_rules.json")).unwrap();
    let steps = numbers(&file["steps"]);
    for case in file["cases"].as_array().unwrap() {
        for &shards in shards {
            let mut model = Listed::<A>::of_file(&start)?;
            let mut trainer = further(case).shards(shards);
            for step in 0..25 {
                trainer.step(&mut model, &batch(step)?)?;
                let Some(at) = steps.iter().position(|&kept| kept == step as f64) else { continue };
                for (ours, theirs) in weights(&model)?.iter().zip(lists(&case["weights"][at])) {
                    let place = format!("{}, step {step}, {shards} shards", case["name"]);
                    assert_close(ours, &theirs, tolerance, &place);
                }
            }
        }
    }
    Ok(())
}

#[test]
fn every_step_of_the_further_rules_is_that_of_pytorch_or_optax() -> Result<()> {
    compare_further::<f64>(1e-11, &[1, 2])
}

#[test]
fn every_step_of_the_further_rules_is_that_of_pytorch_or_optax_in_f32() -> Result<()> {
    compare_further::<f32>(1e-4, &[1, 3])
}

#[test]
fn rules_that_take_tensors_whole_see_the_matrices_in_them() {
    let file: Value = serde_json::from_str(include_str!("reference/optimizers_rules.json")).unwrap();
    for case in file["whole"].as_array().unwrap() {
        let rule: Box<dyn Optimizer<f64>> = match case["rule"].as_str().unwrap() {
            "Adafactor" => Box::new(Adafactor::new(0.1)),
            "Muon" => Box::new(Muon::new(0.02).weight_decay(0.0)),
            other => panic!("{other}"),
        };
        let shape: Vec<usize> = numbers(&case["start"]["shape"]).into_iter().map(|extent| extent as usize).collect();
        let mut w = numbers(&case["start"]["data"]);
        let mut slots: Vec<Vec<f64>> =
            (0..rule.slots().len()).map(|slot| vec![rule.slot_start(slot); rule.slot_len(slot, &shape)]).collect();
        let mut room = Vec::new();
        assert!(rule.takes_tensors());
        for (at, (g, after)) in lists(&case["grads"]).iter().zip(lists(&case["after"])).enumerate() {
            let rate = rule.schedule().rate(at as u64);
            let step = Step { number: at as u64 + 1, rate, decay: 0.0 };
            let mut slots: Vec<&mut [f64]> = slots.iter_mut().map(Vec::as_mut_slice).collect();
            rule.update_tensor(step, &shape, &mut w, g, &mut slots, &mut room);
            assert_close(&w, &after, 1e-11, &format!("{} of {shape:?}, step {at}", case["rule"]));
        }
    }
}

#[test]
fn numbers_of_the_further_rules_that_cannot_work_are_refused() -> Result<()> {
    let cases: Vec<(Trainer<f64>, &str)> = vec![
        (Trainer::of(Ones, RmsProp::new(0.1).alpha(1.0)), "alpha must be at least 0 and below 1, got 1"),
        (Trainer::of(Ones, RmsProp::new(0.1).momentum(-0.5)), "momentum must be at least 0 and below 1, got -0.5"),
        (Trainer::of(Ones, RmsProp::new(f64::NAN)), "learning rate must be a finite number of at least 0, got NaN"),
        (
            Trainer::of(Ones, Adagrad::new(0.1).initial_accumulator(-1.0)),
            "initial accumulator must be a finite number of at least 0, got -1",
        ),
        (
            Trainer::of(Ones, Adagrad::new(0.1).rate_decay(f64::INFINITY)),
            "rate decay must be a finite number of at least 0, got inf",
        ),
        (Trainer::of(Ones, Adadelta::new(0.1).rho(f64::NAN)), "rho must be at least 0 and below 1, got NaN"),
        (Trainer::of(Ones, Adadelta::new(0.1).epsilon(0.0)), "epsilon must be a finite number above 0, got 0"),
        (Trainer::of(Ones, Adamax::new(0.1).betas(0.9, 1.0)), "beta2 must be at least 0 and below 1, got 1"),
        (
            Trainer::of(Ones, Nadam::new(0.1).momentum_decay(-1.0)),
            "momentum decay must be a finite number of at least 0, got -1",
        ),
        (
            Trainer::of(Ones, RAdam::new(0.1).weight_decay(-1.0)),
            "weight decay must be a finite number of at least 0, got -1",
        ),
        (Trainer::of(Ones, Lion::new(0.1).beta1(1.5)), "beta1 must be at least 0 and below 1, got 1.5"),
        (Trainer::of(Ones, Lamb::new(0.1).epsilon(-1.0)), "epsilon must be a finite number above 0, got -1"),
        (
            Trainer::of(Ones, Adafactor::new(0.1).beta2_decay(0.5)),
            "beta2 decay must be a finite number of at most 0, got 0.5",
        ),
        (Trainer::of(Ones, Adafactor::new(0.1).clip(0.0)), "clip must be a finite number above 0, got 0"),
        (Trainer::of(Ones, Muon::new(0.1).momentum(1.0)), "momentum must be at least 0 and below 1, got 1"),
        (
            Trainer::of(Ones, Muon::new(0.1).vector_rate(-1.0)),
            "vector rate must be a finite number of at least 0, got -1",
        ),
    ];
    let file = reference();
    for (mut trainer, message) in cases {
        let mut model = Listed::of_file(&file)?;
        assert_eq!(trainer.step(&mut model, &batch(0)?).unwrap_err().to_string(), message);
    }
    Ok(())
}

#[test]
fn a_constant_gradient_has_no_deviation_below_zero() -> Result<()> {
    let mut model = Listed::<f32>::of(vec![vec![vec![0.1; 12], vec![0.3; 5]]]);
    model.initialize(&[2], 0)?;
    let mut trainer = Trainer::of(Ones, RmsProp::new(1e-3).alpha(0.5).centered(true).epsilon(1.0));
    for _ in 0..2000 {
        trainer.step(&mut model, &batch(0)?)?;
    }
    assert!(weights(&model)?.concat().iter().all(|w| w.is_finite() && *w < 0.0));
    Ok(())
}

#[test]
fn settings_that_cannot_work_are_refused_before_the_first_step() -> Result<()> {
    let at_least_0 = "a finite number of at least 0";
    let fraction = "at least 0 and below 1";
    let cases: Vec<(Trainer<f64>, String)> = vec![
        (Trainer::of(Ones, Sgd::new(-0.1)), format!("learning rate must be {at_least_0}, got -0.1")),
        (Trainer::of(Ones, Adam::new(f64::NAN)), format!("learning rate must be {at_least_0}, got NaN")),
        (Trainer::of(Ones, AdamW::new(f64::INFINITY)), format!("learning rate must be {at_least_0}, got inf")),
        (
            Trainer::of(Ones, Adam::new(Cosine::new(0.1, 10).minimum(0.2))),
            "minimum learning rate must be at most 0.1, got 0.2".into(),
        ),
        (
            Trainer::of(Ones, Sgd::new(Cosine::new(0.1, 0))),
            "steps of the cosine schedule must be at least 1, got 0".into(),
        ),
        (Trainer::of(Ones, Sgd::new(0.1).momentum(1.0)), format!("momentum must be {fraction}, got 1")),
        (Trainer::of(Ones, Sgd::new(0.1).momentum(f64::NAN)), format!("momentum must be {fraction}, got NaN")),
        (
            Trainer::of(Ones, Sgd::new(0.1).nesterov(true)),
            "momentum must be above 0 for Nesterov's look-ahead, got 0".into(),
        ),
        (Trainer::of(Ones, Sgd::new(0.1).weight_decay(-1.0)), format!("weight decay must be {at_least_0}, got -1")),
        (Trainer::of(Ones, Adam::new(0.1).betas(1.0, 0.9)), format!("beta1 must be {fraction}, got 1")),
        (Trainer::of(Ones, AdamW::new(0.1).betas(0.9, 1.0)), format!("beta2 must be {fraction}, got 1")),
        (Trainer::of(Ones, Adam::new(0.1).betas(-0.1, 0.9)), format!("beta1 must be {fraction}, got -0.1")),
        (Trainer::of(Ones, Adam::new(0.1).epsilon(0.0)), "epsilon must be a finite number above 0, got 0".into()),
        (Trainer::of(Ones, AdamW::new(0.1).weight_decay(-1.0)), format!("weight decay must be {at_least_0}, got -1")),
        (Trainer::of(Ones, Sgd::new(0.1)).clip_norm(0.0), "clip_norm must be a finite number above 0, got 0".into()),
        (
            Trainer::of(Ones, Sgd::new(0.1)).clip_norm(f64::NAN),
            "clip_norm must be a finite number above 0, got NaN".into(),
        ),
    ];
    let file = reference();
    for (mut trainer, message) in cases {
        let mut model = Listed::of_file(&file)?;
        let start = weights(&model)?;
        assert_eq!(trainer.step(&mut model, &batch(0)?).unwrap_err().to_string(), message);
        assert_eq!(trainer.fit(&mut model, &batch(0)?).unwrap_err().to_string(), message);
        assert_eq!((weights(&model)?, trainer.steps()), (start, 0));
    }
    Ok(())
}

/// A table of which a sample (row, 5 numbers) touches one row: the numbers are the row's gradient. The last row is
/// touched densely by every sample where `also_dense`.
struct Table {
    table: Param<f64>,
    rows: usize,
    sparse: bool,
    also_dense: bool,
}

impl Layer<f64> for Table {
    layerwise::visit_params!(f64; table);

    fn kind(&self) -> &str {
        "Table"
    }

    fn build(&mut self, input: &[usize], init: &mut Init<f64>) -> Result<Vec<usize>> {
        init.param(&mut self.table, &[self.rows, 5], &Initializer::Uniform { low: -1.0, high: 1.0 })?;
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
        for (number, sample) in values(x)?.chunks_exact(6).enumerate() {
            // No row at all: a sample without a token.
            if sample[0] >= 0.0 {
                let row = sample[0] as usize;
                if self.sparse {
                    ctx.grad_rows(&self.table).unwrap().add(row, &sample[1..]);
                } else {
                    let grad = ctx.grad(&self.table).unwrap().accumulate();
                    grad[5 * row..][..5].iter_mut().zip(&sample[1..]).for_each(|(g, s)| *g += s);
                }
            }
            if self.also_dense && number == 1 {
                let dense = Tensor::from_shape_fn(vec![self.rows, 5], |at| (at[0] + at[1]) as f64);
                ctx.grad(&self.table).unwrap().add_tensor(&dense)?;
            }
        }
        Ok(None)
    }
}

fn table_run(trainer: Trainer<f64>, shards: usize, sparse: bool, also_dense: bool) -> Result<Vec<f64>> {
    // 700 rows of 5: more than one chunk of the sweep, and no row ends where a chunk does.
    let mut model = Table { table: Param::new(), rows: 700, sparse, also_dense };
    model.initialize(&[6], 3)?;
    let mut trainer = trainer.shards(shards);
    let rows =
        [[0, 1, 0, 409, 409, 699], [3, 3, 3, 3, -1, -1], [0, 699, 410, 409, 408, 0], [-1; 6], [5, -1, -1, 7, 1, 5]];
    for (step, rows) in rows.iter().cycle().take(8).enumerate() {
        let x = Array2::from_shape_fn((6, 6), |(row, column)| match column {
            0 => f64::from(rows[row]),
            _ => ((7 * step + 3 * row + column) as f64).sin(),
        });
        trainer.step(&mut model, &Dataset::new(&x, &Array1::<f64>::zeros(6))?)?;
    }
    Ok(model.table.values()?.to_vec())
}

#[test]
fn a_gradient_of_some_rows_gives_the_weights_of_the_same_gradient_written_out() -> Result<()> {
    let makers: [fn() -> Trainer<f64>; 5] = [
        || Trainer::of(Ones, Sgd::new(0.1)),
        || Trainer::of(Ones, Sgd::new(0.1).momentum(0.9)),
        || Trainer::of(Ones, Adam::new(0.1)),
        || Trainer::of(Ones, AdamW::new(0.1).weight_decay(0.1)),
        || Trainer::of(Ones, Sgd::new(0.1).weight_decay(0.1)).clip_norm(1.5),
    ];
    for (number, maker) in makers.iter().enumerate() {
        for shards in [1, 3, 6] {
            for also_dense in [false, true] {
                let sparse = table_run(maker(), shards, true, also_dense)?;
                let dense = table_run(maker(), shards, false, also_dense)?;
                assert_close(&sparse, &dense, 1e-14, &format!("rule {number}, {shards} shards"));
                // One step in five touches nothing, in which the written-out gradient is none either.
                assert!(sparse.iter().all(|w| w.is_finite()));
            }
        }
    }
    Ok(())
}

/// y = x * factor, feature by feature.
struct Scale {
    factor: Param<f64>,
}

impl Layer<f64> for Scale {
    layerwise::visit_params!(f64; factor);

    fn kind(&self) -> &str {
        "Scale"
    }

    fn build(&mut self, input: &[usize], init: &mut Init<f64>) -> Result<Vec<usize>> {
        init.param(&mut self.factor, input, &Initializer::Uniform { low: 0.5, high: 1.5 })?;
        Ok(input.to_vec())
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        Ok(input.to_vec())
    }

    fn forward(&self, x: &Tensor<f64>, _: &mut Context<f64>) -> Result<Tensor<f64>> {
        Ok((x * self.factor.get()?).into_shared())
    }

    fn backward(
        &self,
        x: &Tensor<f64>,
        _: &Tensor<f64>,
        dy: &Tensor<f64>,
        _: bool,
        ctx: &mut Context<f64>,
    ) -> Result<Option<Tensor<f64>>> {
        if let Some(grad) = ctx.grad(&self.factor) {
            grad.add_tensor(&(x * dy).sum_axis(ndarray::Axis(0)).into_shared())?;
        }
        Ok(Some((dy * self.factor.get()?).into_shared()))
    }
}

/// y = x * factor^2, the two uses of one factor in one layer.
struct ScaleTwice(Scale);

impl Layer<f64> for ScaleTwice {
    fn kind(&self) -> &str {
        "ScaleTwice"
    }

    fn build(&mut self, input: &[usize], init: &mut Init<f64>) -> Result<Vec<usize>> {
        self.0.build(input, init)
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        Ok(input.to_vec())
    }

    fn forward(&self, x: &Tensor<f64>, _: &mut Context<f64>) -> Result<Tensor<f64>> {
        let factor = self.0.factor.get()?;
        Ok((x * factor * factor).into_shared())
    }

    fn backward(
        &self,
        x: &Tensor<f64>,
        _: &Tensor<f64>,
        dy: &Tensor<f64>,
        _: bool,
        ctx: &mut Context<f64>,
    ) -> Result<Option<Tensor<f64>>> {
        let factor = self.0.factor.get()?;
        if let Some(grad) = ctx.grad(&self.0.factor) {
            grad.add_tensor(&(x * dy * factor * 2.0).sum_axis(ndarray::Axis(0)).into_shared())?;
        }
        Ok(Some((dy * factor * factor).into_shared()))
    }

    fn visit<'a>(&'a self, visitor: &mut Visitor<'_, &'a Param<f64>>) {
        self.0.visit(visitor);
    }

    fn visit_mut<'a>(&'a mut self, visitor: &mut Visitor<'_, &'a mut Param<f64>>) {
        self.0.visit_mut(visitor);
    }
}

fn scales() -> Result<Dataset<f64>> {
    let x = array![[1.0, -2.0, 0.5], [0.3, 0.2, 0.1], [-1.0, 1.0, 2.0]];
    Dataset::new(&x, &(&x * 2.0))
}

#[test]
fn tied_parameters_get_the_sum_of_their_gradients_and_one_update() -> Result<()> {
    let makers: [fn() -> Trainer<f64>; 3] = [
        || Trainer::of(MeanSquaredError::new(), Sgd::new(0.05).momentum(0.9)),
        || Trainer::of(MeanSquaredError::new(), Adam::new(0.05)).clip_norm(0.5),
        || Trainer::of(MeanSquaredError::new(), AdamW::new(0.05)),
    ];
    for maker in makers {
        for shards in [1, 3] {
            let factor = Param::new();
            let mut tied = Sequential::of().add(Scale { factor: factor.tied() }).add(Scale { factor });
            let mut one = ScaleTwice(Scale { factor: Param::new() });
            tied.initialize(&[3], 5)?;
            one.initialize(&[3], 5)?;
            let (mut first, mut second) = (maker().shards(shards), maker().shards(shards));
            for step in 0..10 {
                // Somebody who holds the weights sees no change in what he holds.
                let held = tied.params()[0].1.get()?.clone();
                let before = held.to_owned();
                first.step(&mut tied, &scales()?)?;
                second.step(&mut one, &scales()?)?;
                assert_eq!(held, before);
                let params = tied.params();
                assert_close(params[0].1.values()?, one.0.factor.values()?, 1e-12, &format!("step {step}"));
                assert_eq!(params[0].1.get()?.as_ptr(), params[1].1.get()?.as_ptr(), "one array for both");
            }
        }
    }
    Ok(())
}

#[test]
fn a_frozen_place_of_a_tied_parameter_gives_no_gradient_and_sees_the_update_of_the_others() -> Result<()> {
    for frozen in [0, 1] {
        // The same network with the factor at its frozen place as a constant.
        let factor = Param::new();
        let mut tied = Sequential::of().add(Scale { factor: factor.tied() }).add(Scale { factor });
        tied.initialize(&[3], 5)?;
        tied.params_mut()[frozen].1.set_frozen(true);
        let mut apart = Sequential::of().add(Scale { factor: Param::new() }).add(Scale { factor: Param::new() });
        apart.initialize(&[3], 0)?;
        apart.params_mut()[frozen].1.set_frozen(true);
        let mut first = Trainer::of(MeanSquaredError::new(), Adam::new(0.05)).shards(2);
        let mut second = Trainer::of(MeanSquaredError::new(), Adam::new(0.05)).shards(2);
        for _ in 0..5 {
            let now = tied.params()[0].1.get()?.clone();
            apart.params_mut().into_iter().try_for_each(|(_, param)| param.set(&now))?;
            first.step(&mut tied, &scales()?)?;
            second.step(&mut apart, &scales()?)?;
            let params = tied.params();
            assert_ne!(params[frozen].1.get()?, now);
            assert_eq!(params[0].1.get()?, params[1].1.get()?);
            assert_close(params[0].1.values()?, apart.params()[1 - frozen].1.values()?, 1e-12, "as if apart");
        }
    }
    Ok(())
}

#[test]
fn a_parameter_without_a_gradient_is_left_alone_and_its_steps_do_not_count() -> Result<()> {
    // The second parameter has gradients in steps 0 and 3 only. PyTorch leaves one whose `grad` is None alone: neither
    // momentum nor decay moves it, and Adam's bias correction waits for it.
    let full: Vec<Vec<Vec<f64>>> =
        (0..5).map(|step| vec![vec![1.0; 12], vec![f64::from(step + 1), -2.0, 0.5, 3.0, 0.1]]).collect();
    let sparse: Vec<_> = (0..5)
        .map(|step| vec![full[step][0].clone(), if step % 3 == 0 { full[step][1].clone() } else { Vec::new() }])
        .collect();
    let makers: [fn() -> Trainer<f64>; 3] = [
        || Trainer::of(Ones, Sgd::new(0.1).momentum(0.9).weight_decay(0.1)),
        || Trainer::of(Ones, Adam::new(0.1).weight_decay(0.1)),
        || Trainer::of(Ones, AdamW::new(0.1)),
    ];
    for maker in makers {
        let (mut sometimes, mut always) = (Listed::of(sparse.clone()), Listed::of(full.clone()));
        for model in [&mut sometimes, &mut always] {
            model.initialize(&[2], 0)?;
            set(&mut model.second, &[1.0, 2.0, 3.0, 4.0, 5.0])?;
        }
        let (mut first, mut second) = (maker().shards(2), maker().shards(2));
        for step in 0..5 {
            let before = sometimes.second.values()?.to_vec();
            first.step(&mut sometimes, &batch(step)?)?;
            if step % 3 == 0 {
                second.step(&mut always, &batch(step)?)?;
                assert_eq!(sometimes.second.values()?, always.second.values()?, "step {step}");
            } else {
                assert_eq!(sometimes.second.values()?, before, "step {step}");
            }
        }
    }
    Ok(())
}

#[test]
fn a_trainer_that_goes_to_a_second_model_and_back_begins_anew_each_time() -> Result<()> {
    let file = reference();
    let case = &file["cases"].as_array().unwrap().iter().find(|case| case["name"] == "adam cosine").unwrap();
    let mut trainer = trainer::<f64>(case, false);
    let mut other = Listed::of_file(&file)?;
    for _ in 0..2 {
        let mut model = Listed::of_file(&file)?;
        for step in 0..4 {
            trainer.step(&mut model, &batch(step)?)?;
            let expected = lists(&case["weights_after"][step]);
            assert_close(&weights(&model)?.concat(), &expected.concat(), 1e-12, "from the first step on");
        }
        assert_eq!(trainer.steps(), 4);
        trainer.step(&mut other, &batch(0)?)?;
        assert_eq!(trainer.steps(), 1);
        // Back on the first model: moments and rate are those of a first step.
        let start = lists(&file["start"]);
        set(&mut model.first, &start[0])?;
        set(&mut model.second, &start[1])?;
        trainer.step(&mut model, &batch(0)?)?;
        assert_close(&weights(&model)?.concat(), &lists(&case["weights_after"][0]).concat(), 1e-12, "and back");
    }
    Ok(())
}

#[test]
fn a_weight_that_was_frozen_for_a_while_goes_on_where_it_was_and_the_others_notice_nothing() -> Result<()> {
    let file = reference();
    for (name, whole) in [("adam", "adam"), ("sgd momentum", "sgd momentum"), ("adamw", "adamw")] {
        let find = |name: &str| file["cases"].as_array().unwrap().iter().find(|case| case["name"] == name).unwrap();
        let (case, whole) = (find(name), find(whole));
        let mut model = Listed::<f64>::of_file(&file)?;
        let mut awake = Listed::<f64>::of_file(&file)?;
        let mut awake_trainer = trainer(case, false).shards(2);
        let mut trainer = trainer(case, false).shards(2);
        for step in 0..20 {
            model.second.set_frozen((5..12).contains(&step));
            let before = model.second.values()?.to_vec();
            trainer.step(&mut model, &batch(step)?)?;
            let expected = lists(&whole["weights_after"][step]);
            assert_close(model.first.values()?, &expected[0], 1e-12, &format!("{name}: the other, step {step}"));
            if (5..12).contains(&step) {
                assert_eq!(model.second.values()?, before, "frozen");
            } else {
                // As if the steps in which it was frozen had never been.
                awake_trainer.step(&mut awake, &batch(step)?)?;
                assert_close(model.second.values()?, awake.second.values()?, 1e-12, &format!("{name}, step {step}"));
            }
        }
        assert_eq!(trainer.steps(), 20);
    }
    Ok(())
}

#[test]
fn a_step_in_which_everything_is_frozen_counts_and_loses_nothing() -> Result<()> {
    let file = reference();
    let case = file["cases"].as_array().unwrap().iter().find(|case| case["name"] == "adam").unwrap();
    let mut model = Listed::<f64>::of_file(&file)?;
    let mut trainer = trainer(case, false);
    for step in 0..3 {
        trainer.step(&mut model, &batch(step)?)?;
    }
    let before = weights(&model)?;
    model.freeze();
    trainer.step(&mut model, &batch(3)?)?;
    assert_eq!(weights(&model)?, before);
    model.unfreeze();
    trainer.step(&mut model, &batch(3)?)?;
    assert_eq!(trainer.steps(), 5);
    assert_close(&weights(&model)?.concat(), &lists(&case["weights_after"][3]).concat(), 1e-12, "thawed");
    Ok(())
}

#[test]
fn a_gradient_norm_that_is_none_ends_the_step_with_the_weights_as_they_were() -> Result<()> {
    for bad in [f64::NAN, f64::INFINITY] {
        let mut gradients = vec![vec![vec![1.0; 12], vec![1.0; 5]]; 2];
        gradients[1][0][7] = bad;
        let mut model = Listed::<f64>::of(gradients);
        model.initialize(&[2], 0)?;
        let mut trainer = Trainer::of(Ones, Adam::new(0.1)).clip_norm(1.0);
        trainer.step(&mut model, &batch(0)?)?;
        let before = weights(&model)?;
        let message = trainer.step(&mut model, &batch(1)?).unwrap_err().to_string();
        let expected = "gradient norm is NaN at step 2; the weights are as they were before this step";
        // inf - inf: the shares of the samples turn an infinite gradient into NaN.
        assert_eq!(message, expected);
        assert_eq!(weights(&model)?, before);
        trainer.step(&mut model, &batch(0)?)?;
        assert!(weights(&model)?.concat().iter().all(|w| w.is_finite()));
    }
    Ok(())
}

#[test]
fn a_tensor_of_the_wrong_size_is_no_gradient() -> Result<()> {
    let mut model = Scale { factor: Param::new() };
    model.initialize(&[3], 0)?;
    let mut ctx = Context::training(&model, 0);
    let wrong = to_tensor(&array![1.0, 2.0])?;
    let message = ctx.grad(&model.factor).unwrap().add_tensor(&wrong).unwrap_err().to_string();
    assert_eq!(message, "gradient of a parameter: expected length 3, got 2");
    Ok(())
}
