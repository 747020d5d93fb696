//! The schedules: PyTorch's and Keras's rates over their whole range, laws that hold beyond it, and what a training makes
//! of them.

#[path = "common/cases.rs"]
mod cases;

use std::collections::BTreeMap;

use cases::{cases, counts, flag};
use layerwise::prelude::*;
use layerwise::schedules::{
    Constant, Cosine, CosineRestarts, Exponential, IntoSchedule, InverseTime, MultiStepDecay, OneCycle, Piecewise,
    Polynomial, StepDecay,
};
use ndarray::{Array1, Array2};
use serde_json::Value;

fn number(config: &Value, name: &str) -> f64 {
    config[name].as_f64().unwrap_or_else(|| panic!("{config} has no {name}"))
}

fn steps(config: &Value, name: &str) -> u64 {
    config[name].as_u64().unwrap_or_else(|| panic!("{config} has no {name}"))
}

/// The schedule that has the settings of a case.
fn schedule(kind: &str, config: &Value) -> Box<dyn Schedule> {
    let (number, steps) = (|name: &str| number(config, name), |name: &str| steps(config, name));
    let integers =
        |name: &str| config[name].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).collect::<Vec<_>>();
    match kind {
        "StepDecay" => Box::new(StepDecay::new(number("rate"), steps("steps")).factor(number("factor"))),
        "MultiStepDecay" => {
            Box::new(MultiStepDecay::new(number("rate"), &integers("milestones")).factor(number("factor")))
        }
        "Exponential" => {
            let schedule = Exponential::new(number("rate"), number("factor")).per(steps("steps"));
            Box::new(schedule.staircase(flag(config, "staircase")))
        }
        "InverseTime" => {
            let schedule = InverseTime::new(number("rate"), number("decay")).per(steps("steps"));
            Box::new(schedule.staircase(flag(config, "staircase")))
        }
        "Polynomial" => {
            let schedule = Polynomial::new(number("rate"), steps("steps")).end(number("end")).power(number("power"));
            Box::new(schedule.cycle(flag(config, "cycle")))
        }
        "Piecewise" => {
            let rates: Vec<f64> =
                config["rates"].as_array().unwrap().iter().map(|rate| rate.as_f64().unwrap()).collect();
            let later = integers("boundaries").into_iter().zip(&rates[1..]);
            Box::new(later.fold(Piecewise::new(rates[0]), |schedule, (step, &rate)| schedule.then(step, rate)))
        }
        "Cosine" => Box::new(Cosine::new(number("rate"), steps("steps")).minimum(number("minimum"))),
        "CosineRestarts" => {
            let schedule = CosineRestarts::new(number("rate"), steps("steps")).minimum(number("minimum"));
            Box::new(schedule.longer(steps("longer")).lower(number("lower")))
        }
        "OneCycle" => {
            let schedule = OneCycle::new(number("peak"), steps("steps")).rise(number("rise"));
            let schedule = schedule.divisor(number("divisor")).final_divisor(number("final_divisor"));
            Box::new(schedule.linear(flag(config, "linear")).three_phases(flag(config, "three_phases")))
        }
        other => panic!("{other}"),
    }
}

#[test]
fn every_rate_is_that_of_pytorch_or_keras() -> Result<()> {
    let cases = cases(include_str!("reference/schedules.json"));
    let expected = [
        ("Cosine", 3),
        ("CosineRestarts", 6),
        ("Exponential", 6),
        ("InverseTime", 4),
        ("MultiStepDecay", 4),
        ("OneCycle", 10),
        ("Piecewise", 2),
        ("Polynomial", 10),
        ("StepDecay", 3),
    ];
    assert_eq!(counts(&cases), BTreeMap::from(expected));
    for case in &cases {
        let (name, kind, config) = (&case["name"], case["kind"].as_str().unwrap(), &case["config"]);
        let schedule = schedule(kind, config);
        schedule.check()?;
        assert_eq!(schedule.kind(), kind);
        for (key, value) in config.as_object().unwrap() {
            assert_eq!(&schedule.config()[key], value, "{name}: {key}");
        }
        for (step, rate) in case["rates"].as_array().unwrap().iter().enumerate() {
            let (ours, theirs) = (schedule.rate(step as u64), rate.as_f64().unwrap());
            // PyTorch multiplies step by step, so that near 0 it is less exact than its size would have it.
            assert!((ours - theirs).abs() <= 1e-12 * theirs.abs() + 1e-16, "{name}, step {step}: {ours} for {theirs}");
        }
    }
    Ok(())
}

/// One of each kind that falls.
fn all() -> Vec<Box<dyn Schedule>> {
    vec![
        0.1.into_schedule(),
        Constant::new(0.1).into_schedule(),
        Cosine::new(0.1, 10).warmup(3).into_schedule(),
        CosineRestarts::new(0.1, 10).into_schedule(),
        CosineRestarts::new(0.1, 10).longer(2).lower(0.5).minimum(0.01).warmup(5).into_schedule(),
        CosineRestarts::new(0.1, 3).longer(u64::MAX).into_schedule(),
        Exponential::new(0.1, 0.5).into_schedule(),
        InverseTime::new(0.1, 0.5).per(3).staircase(true).into_schedule(),
        MultiStepDecay::new(0.1, &[1, u64::MAX]).into_schedule(),
        OneCycle::new(0.1, 10).into_schedule(),
        OneCycle::new(0.1, 10).three_phases(true).into_schedule(),
        Piecewise::new(0.1).then(3, 0.2).then(u64::MAX, 0.01).into_schedule(),
        Polynomial::new(0.1, 10).into_schedule(),
        Polynomial::new(0.1, 10).cycle(true).into_schedule(),
        StepDecay::new(0.1, 10).into_schedule(),
        (|step: u64| 1.0 / (step as f64 + 1.0)).into_schedule(),
    ]
}

#[test]
fn every_step_has_a_rate_however_late_it_is() {
    let late = (0..64).flat_map(|power| [(1_u64 << power) - 1, 1 << power, (1 << power) + 1]).chain([u64::MAX]);
    for schedule in all() {
        schedule.check().unwrap();
        for step in (0..100).chain(late.clone()) {
            let rate = schedule.rate(step);
            assert!((0.0..=1.0).contains(&rate), "{} {}, step {step}: {rate}", schedule.kind(), schedule.config());
        }
    }
}

#[test]
fn what_has_an_end_stays_there() {
    let end = 0.1 / 25.0 / 1e4;
    for step in [10, 11, 1000, u64::MAX] {
        assert_eq!(OneCycle::new(0.1, 10).rate(step), OneCycle::new(0.1, 10).rate(9));
        assert!((OneCycle::new(0.1, 10).three_phases(true).rate(step) - end).abs() < 1e-20);
        assert_eq!(Polynomial::new(0.1, 10).end(0.05).power(3.0).rate(step), 0.05);
        assert_eq!(Cosine::new(0.1, 10).minimum(0.05).rate(step), 0.05);
    }
    // A way up that is no whole step long begins at the peak.
    assert_eq!(OneCycle::new(0.1, 10).rise(0.1).rate(0), 0.1);
}

#[test]
fn a_restart_is_where_the_cycles_before_it_add_up_to() {
    let schedule = CosineRestarts::new(1.0, 5).longer(3).minimum(0.5);
    let mut begin = 0;
    for cycle in 0..20 {
        let length = 5 * 3_u64.pow(cycle);
        assert_eq!(schedule.rate(begin), 1.0, "cycle {cycle}");
        assert!(schedule.rate(begin + length - 1) < 0.55, "cycle {cycle}");
        begin += length;
    }
    // After the warm-up everything is as without one.
    let later = schedule.warmup(4);
    assert_eq!([0, 1, 2, 3].map(|step| later.rate(step)), [0.25, 0.5, 0.75, 1.0]);
    assert!((0..100).all(|step| later.rate(step + 4) == schedule.rate(step)));
    // The first cycle is the wave that has no others.
    let once = Cosine::new(1.0, 5).minimum(0.5);
    assert!((0..5).all(|step| once.rate(step) == schedule.rate(step)));
}

#[test]
fn a_straight_line_up_is_a_warmup() {
    let line = Polynomial::new(0.0, 4).end(1.0);
    assert_eq!([0, 1, 2, 3, 4, 5].map(|step| line.rate(step)), [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]);
}

fn refused(schedule: impl Schedule) -> String {
    schedule.check().err().map_or_else(|| "no error".into(), |error| error.to_string())
}

#[test]
fn settings_that_cannot_work_are_refused_with_name_and_value() {
    let at_least_0 = "a finite number of at least 0";
    let above_0 = "a finite number above 0";
    let rate = format!("learning rate must be {at_least_0}");
    let factor = format!("factor of the learning rate must be {above_0}");
    let nan = f64::NAN;
    for (got, expected) in [
        (refused(StepDecay::new(-0.1, 3)), format!("{rate}, got -0.1")),
        (refused(StepDecay::new(0.1, 3).factor(0.0)), format!("{factor}, got 0")),
        (refused(StepDecay::new(0.1, 0)), "steps of the exponential schedule must be at least 1, got 0".into()),
        (refused(Exponential::new(nan, 0.5)), format!("{rate}, got NaN")),
        (refused(Exponential::new(0.1, f64::INFINITY)), format!("{factor}, got inf")),
        (
            refused(Exponential::new(0.1, 0.5).per(0)),
            "steps of the exponential schedule must be at least 1, got 0".into(),
        ),
        (refused(InverseTime::new(-1.0, 0.5)), format!("{rate}, got -1")),
        (refused(InverseTime::new(0.1, -0.5)), format!("decay of the learning rate must be {at_least_0}, got -0.5")),
        (
            refused(InverseTime::new(0.1, 0.5).per(0)),
            "steps of the inverse-time schedule must be at least 1, got 0".into(),
        ),
        (refused(MultiStepDecay::new(nan, &[])), format!("{rate}, got NaN")),
        (refused(MultiStepDecay::new(0.1, &[3]).factor(-1.0)), format!("{factor}, got -1")),
        (refused(MultiStepDecay::new(0.1, &[3, 5, 5])), "milestones must be increasing, got 5 after 5".into()),
        (refused(MultiStepDecay::new(0.1, &[30, 3])), "milestones must be increasing, got 3 after 30".into()),
        (refused(Piecewise::new(-0.1)), format!("{rate}, got -0.1")),
        (refused(Piecewise::new(0.1).then(3, nan)), format!("{rate}, got NaN")),
        (refused(Piecewise::new(0.1).then(3, 0.1).then(2, 0.1)), "boundaries must be increasing, got 2 after 3".into()),
        (refused(Polynomial::new(-0.1, 3)), format!("{rate}, got -0.1")),
        (
            refused(Polynomial::new(0.1, 3).end(-0.1)),
            format!("learning rate at the end must be {at_least_0}, got -0.1"),
        ),
        (
            refused(Polynomial::new(0.1, 3).power(0.0)),
            format!("power of the polynomial schedule must be {above_0}, got 0"),
        ),
        (refused(Polynomial::new(0.1, 0)), "steps of the polynomial schedule must be at least 1, got 0".into()),
        (refused(CosineRestarts::new(-0.1, 3)), format!("{rate}, got -0.1")),
        (refused(CosineRestarts::new(0.1, 0)), "steps of the cosine schedule must be at least 1, got 0".into()),
        (
            refused(CosineRestarts::new(0.1, 3).minimum(0.2)),
            "minimum learning rate must be at most 0.1, got 0.2".into(),
        ),
        (
            refused(CosineRestarts::new(0.1, 3).longer(0)),
            "length of each cycle against the last must be at least 1, got 0".into(),
        ),
        (
            refused(CosineRestarts::new(0.1, 3).lower(nan)),
            format!("height of each cycle against the last must be {at_least_0}, got NaN"),
        ),
        (refused(OneCycle::new(-0.1, 3)), format!("peak of the learning rate must be {at_least_0}, got -0.1")),
        (refused(OneCycle::new(0.1, 0)), "steps of the one-cycle schedule must be at least 1, got 0".into()),
        (refused(OneCycle::new(0.1, 3).divisor(0.0)), format!("divisor of the first rate must be {above_0}, got 0")),
        (
            refused(OneCycle::new(0.1, 3).final_divisor(-1.0)),
            format!("divisor of the last rate must be {above_0}, got -1"),
        ),
        (
            refused(OneCycle::new(0.1, 3).rise(1.5)),
            "part of the steps on the way up must be from 0 to 1, got 1.5".into(),
        ),
        (
            refused(OneCycle::new(0.1, 3).rise(0.6).three_phases(true)),
            "part of the steps on the way up must be from 0 to 0.5, got 0.6".into(),
        ),
        (refused(|_: u64| nan), format!("{rate}, got NaN")),
    ] {
        assert_eq!(got, expected);
    }
}

#[test]
fn a_setting_that_was_refused_can_be_asked_for_a_rate() {
    let zero = [
        CosineRestarts::new(0.1, 0).into_schedule(),
        CosineRestarts::new(0.1, 0).longer(2).into_schedule(),
        CosineRestarts::new(0.1, 3).longer(0).into_schedule(),
        Exponential::new(0.1, 0.5).per(0).into_schedule(),
        Exponential::new(0.1, 0.5).per(0).staircase(true).into_schedule(),
        InverseTime::new(0.1, 0.5).per(0).staircase(true).into_schedule(),
        Polynomial::new(0.1, 0).cycle(true).into_schedule(),
        OneCycle::new(0.1, 0).into_schedule(),
        Piecewise::new(0.1).then(5, 0.2).then(3, 0.3).into_schedule(),
    ];
    for schedule in zero {
        for step in [0, 1, 7, u64::MAX] {
            // Any number is good, so long as there is one.
            schedule.rate(step);
        }
    }
}

/// y = 2 x, in 4 batches.
fn line() -> Result<Dataset> {
    let x = Array2::from_shape_fn((8, 1), |(row, _)| row as f32 / 8.0);
    let y: Array1<f32> = x.column(0).mapv(|x| 2.0 * x);
    Dataset::new(&x, &y)
}

fn trainer(rate: impl IntoSchedule) -> Trainer {
    let trainer = Trainer::new(MeanSquaredError::new(), Sgd::new(rate)).batch_size(2).epochs(3);
    trainer.progress(Progress::Silent)
}

#[test]
fn a_closure_trains_like_the_schedule_that_it_copies() -> Result<()> {
    let weights = |mut trainer: Trainer| -> Result<(Vec<f32>, History)> {
        let mut model = Dense::new(1);
        let history = trainer.fit(&mut model, &line()?)?;
        Ok((model.params()[0].1.values()?.to_vec(), history))
    };
    let (closure, by_closure) = weights(trainer(|step: u64| if step < 5 { 0.5 } else { 0.125 }))?;
    let (schedule, by_schedule) = weights(trainer(Piecewise::new(0.5).then(5, 0.125)))?;
    let (constant, _) = weights(trainer(0.5))?;
    assert_eq!(closure, schedule);
    assert!(closure != constant);
    let rates = |history: &History| history.epochs().iter().map(|epoch| epoch.rate).collect::<Vec<_>>();
    assert_eq!(rates(&by_closure), rates(&by_schedule));
    assert_eq!(rates(&by_closure), [0.5, 0.125, 0.125]);
    Ok(())
}

#[test]
fn a_rate_that_is_none_ends_the_run_before_its_step() -> Result<()> {
    for (wrong, shown) in [(f64::NAN, "NaN"), (f64::INFINITY, "inf"), (-0.5, "-0.5")] {
        let mut model = Dense::new(1);
        let mut trainer = trainer(move |step: u64| if step == 2 { wrong } else { 0.1 });
        let data = line()?;
        for _ in 0..2 {
            trainer.step(&mut model, &data)?;
        }
        let before = model.params()[0].1.values()?.to_vec();
        let message = trainer.step(&mut model, &data).unwrap_err().to_string();
        assert_eq!(message, format!("step 3: learning rate must be a finite number of at least 0, got {shown}"));
        assert_eq!(model.params()[0].1.values()?, before);
        assert_eq!(trainer.steps(), 2);
    }
    Ok(())
}

#[test]
fn a_checkpoint_tells_schedules_apart_and_takes_one_closure_for_another() -> Result<()> {
    let folder = tempfile::tempdir().expect("there is room for temporary files");
    let path = folder.path().join("run");
    let train = |rate: Box<dyn Fn(u64) -> f64 + Send + Sync>| trainer(rate);
    let (mut model, data) = (Dense::new(1), line()?);
    let mut whole = train(Box::new(|step| 0.5 / (step + 1) as f64));
    for step in 0..6 {
        if step == 3 {
            whole.save_checkpoint(&model, &path)?;
        }
        whole.step(&mut model, &data)?;
    }
    let mut resumed = Dense::new(1);
    let mut rest = train(Box::new(|step| 0.5 / (step + 1) as f64));
    rest.load_checkpoint(&mut resumed, &path)?;
    for _ in 3..6 {
        rest.step(&mut resumed, &data)?;
    }
    assert_eq!(resumed.params()[0].1.values()?, model.params()[0].1.values()?);

    let message = trainer(InverseTime::new(0.5, 1.0)).load_checkpoint(&mut Dense::new(1), &path).unwrap_err();
    let middle = "optimizer.config.schedule.config must be none, as in the checkpoint, got {\"decay\":1.0,";
    assert!(message.to_string().contains(middle), "{message}");
    Ok(())
}
