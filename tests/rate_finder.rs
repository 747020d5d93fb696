//! The learning-rate finder: against sweeps in PyTorch and by hand, and everything as it was afterwards.

#[path = "common/cases.rs"]
mod cases;

use cases::tensor;
use layerwise::data::augmentation::RandomFlip;
use layerwise::data::datasets;
use layerwise::optimizers::RmsProp;
use layerwise::prelude::*;
use layerwise::train::{LearningRateFinder, RateSweep};
use ndarray::{Array1, Array2, array, s};
use serde_json::Value;

const FILE: &str = include_str!("reference/rate_finder.json");

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

fn assert_close(place: &str, got: &[f64], expected: &[f64]) {
    assert_eq!(got.len(), expected.len(), "{place}");
    for (at, (got, expected)) in got.iter().zip(expected).enumerate() {
        assert!((got - expected).abs() <= 1e-11 * expected.abs(), "{place}, {at}: {got} for {expected}");
    }
}

fn finder(settings: &Value) -> LearningRateFinder {
    let of = |name: &str| settings[name].as_f64().unwrap();
    LearningRateFinder::new()
        .low(of("low"))
        .high(of("high"))
        .steps(of("steps") as usize)
        .smoothing(of("smoothing"))
        .stop_at(of("stop_at"))
}

fn reference_trainer(name: &str) -> Trainer<f64> {
    let loss = MeanSquaredError::new();
    let trainer = match name {
        "adam" => Trainer::of(loss, Adam::new(1e-3)),
        "momentum" => Trainer::of(loss, Sgd::new(1.0).momentum(0.9)),
        _ => Trainer::of(loss, Sgd::new(1.0)),
    };
    trainer.batch_size(8).shuffle(false)
}

#[test]
fn a_sweep_is_that_of_a_loop_in_pytorch() -> Result<()> {
    let cases = cases::cases(FILE);
    assert_eq!(cases.len(), 4);
    for case in cases {
        let name = case["name"].as_str().unwrap();
        let mut model = Sequential::of().add(Dense::<f64>::of(6).activation(Activation::Tanh)).add(Dense::of(1));
        model.initialize(&[4], 0)?;
        for ((_, param), value) in model.params_mut().into_iter().zip(case["weights"].as_array().unwrap()) {
            param.set(&tensor::<f64>(value))?;
        }
        let data = Dataset::of_tensors(vec![tensor(&case["x"])], vec![tensor(&case["y"])])?;
        let sweep = finder(&case["settings"]).run(&mut reference_trainer(name), &mut model, &data)?;
        assert_close(name, &sweep.rates, &numbers(&case["rates"]));
        assert_close(name, &sweep.raw_losses, &numbers(&case["raw_losses"]));
        assert_close(name, &sweep.losses, &numbers(&case["losses"]));
        let found = [sweep.steepest_descent().unwrap(), sweep.tenth_of_minimum().unwrap()];
        assert_close(name, &found, &[case["steepest"].as_f64().unwrap(), case["tenth"].as_f64().unwrap()]);
        assert_eq!(sweep.diverged, sweep.rates.len() < case["settings"]["steps"].as_u64().unwrap() as usize, "{name}");
    }
    Ok(())
}

/// w^2 as a network: one weight, one sample of 1, and 0 as what is wanted.
fn parabola() -> Result<(Sequential<f64>, Dataset<f64>)> {
    let mut model = Sequential::of().add(Dense::<f64>::of(1).without_bias());
    model.initialize(&[1], 0)?;
    model.params_mut()[0].1.set(&array![[3.0]])?;
    Ok((model, Dataset::new(&array![[1.0]], &array![[0.0]])?))
}

#[test]
fn on_a_parabola_the_loss_falls_up_to_the_rate_at_which_it_must_grow() -> Result<()> {
    let (mut model, data) = parabola()?;
    let finder = LearningRateFinder::new().low(1e-3).high(20.0).steps(80).smoothing(0.9);
    let sweep = finder.run(&mut Trainer::of(MeanSquaredError::new(), Sgd::new(1.0)), &mut model, &data)?;

    // By hand: the gradient is 2 w, so that a step multiplies w by 1 - 2 rate.
    let (mut w, mut average, mut smallest): (f64, f64, f64) = (3.0, 0.0, f64::INFINITY);
    let mut by_hand = RateSweep::default();
    for step in 0..80 {
        let (rate, loss) = (1e-3 * (20.0_f64 / 1e-3).powf(step as f64 / 79.0), w * w);
        average = 0.9 * average + 0.1 * loss;
        let smoothed = average / (1.0 - 0.9_f64.powi(step + 1));
        by_hand.rates.push(rate);
        by_hand.losses.push(smoothed);
        by_hand.raw_losses.push(loss);
        w -= rate * 2.0 * w;
        if smoothed > 4.0 * smallest {
            by_hand.diverged = true;
            break;
        }
        smallest = smallest.min(smoothed);
    }
    assert_close("rates", &sweep.rates, &by_hand.rates);
    assert_close("losses", &sweep.losses, &by_hand.losses);
    assert_close("raw losses", &sweep.raw_losses, &by_hand.raw_losses);
    assert!(sweep.diverged && by_hand.diverged && sweep.rates.len() < 80);

    // The theory: |1 - 2 rate| is 1 at a rate of 1. The loss grows from the step after that, and the smallest comes
    // before.
    for (at, rate) in sweep.rates.iter().enumerate().take(sweep.rates.len() - 1) {
        assert_eq!(sweep.raw_losses[at + 1] < sweep.raw_losses[at], *rate < 1.0, "at {rate}");
    }
    let suggested = sweep.steepest_descent().unwrap();
    assert!(suggested < 0.5 && suggested > 1e-2, "{suggested}");
    assert!(sweep.to_string().contains("where the loss ran away"), "{sweep}");
    Ok(())
}

#[test]
fn a_sweep_that_nothing_ends_comes_to_the_highest_rate() -> Result<()> {
    let (mut model, data) = parabola()?;
    let mut trainer = Trainer::of(MeanSquaredError::new(), Sgd::new(1.0));
    let finder = LearningRateFinder::new().low(1e-3).high(5.0).steps(20);
    let sweep = finder.stop_at(f64::INFINITY).run(&mut trainer, &mut model, &data)?;
    assert_eq!((sweep.rates.len(), sweep.diverged), (20, false));
    assert!((sweep.rates[19] - 5.0).abs() < 1e-12 && sweep.rates[0] == 1e-3);
    // Infinite losses end it all the same, and are no part of it.
    let far = LearningRateFinder::new().low(1.0).high(1e300).steps(50).stop_at(f64::INFINITY);
    let sweep = far.run(&mut trainer, &mut model, &data)?;
    assert!(sweep.diverged && sweep.rates.len() < 50);
    assert!(sweep.losses.iter().all(|loss| loss.is_finite()));
    Ok(())
}

#[test]
fn gathered_batches_are_one_step() -> Result<()> {
    let x = Array2::from_shape_fn((12, 2), |(i, j)| ((i * 5 + j * 3) % 7) as f64 / 3.0 - 1.0);
    let y = Array2::from_shape_fn((12, 1), |(i, _)| x[[i, 0]] - x[[i, 1]]);
    let sweep = |batch: usize, every: usize| {
        let mut model = Sequential::of().add(Dense::<f64>::of(1));
        let trainer = Trainer::of(MeanSquaredError::new(), Adam::new(1e-3)).batch_size(batch).accumulate(every);
        LearningRateFinder::new().low(1e-4).steps(15).run(&mut trainer.shuffle(false), &mut model, (&x, &y))
    };
    let (whole, gathered) = (sweep(6, 1)?, sweep(2, 3)?);
    assert_eq!(gathered.rates, whole.rates);
    for (a, b) in gathered.raw_losses.iter().zip(&whole.raw_losses) {
        assert!((a - b).abs() < 1e-12, "{a} {b}");
    }
    Ok(())
}

fn images() -> Result<Dataset> {
    let set = datasets::digits_images();
    Dataset::new(&set.images.slice(s![..90, .., .., ..]), &set.labels.slice(s![..90]))
}

fn network() -> Sequential {
    Sequential::new()
        .add(Conv2d::new(4, 3).activation(Activation::Relu))
        .add(BatchNormalization::new())
        .add(Flatten::new())
        .add(Dropout::new(0.3))
        .add(Dense::new(10))
}

/// With everything that could be changed by a run.
fn trainer(epochs: usize) -> Trainer {
    Trainer::new(SoftmaxCrossEntropy::new(), Adam::new(0.01))
        .metric(Accuracy::new())
        .augment(RandomFlip::horizontal())
        .validation_split(ValidationSplit::Shuffled(0.2))
        .callback(EarlyStopping::new().patience(50))
        .callback(WeightAveraging::ema(0.9))
        .accumulate(2)
        .clip_norm(1.0)
        .rate_for("4", 0.5)
        .batch_size(16)
        .shards(2)
        .epochs(epochs)
        .seed(3)
        .progress(Progress::Silent)
}

fn finder_of_images() -> LearningRateFinder {
    LearningRateFinder::new().low(1e-4).high(10.0).steps(12)
}

fn bits(model: &dyn Layer) -> Vec<(String, Vec<u32>)> {
    let bits = |param: &Param| param.values().unwrap().iter().map(|value| value.to_bits()).collect();
    model.params().into_iter().map(|(name, param)| (name, bits(param))).collect()
}

/// What a checkpoint would hold: weights, slots, steps, rates, epochs, history, callbacks.
fn everything(trainer: &Trainer, model: &dyn Layer) -> Result<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("all");
    trainer.save_checkpoint(model, &path)?;
    Ok(std::fs::read(path).unwrap())
}

#[test]
fn model_and_trainer_are_as_they_were_to_the_last_bit() -> Result<()> {
    let data = images()?;
    let (mut model, mut used) = (network(), trainer(2));
    used.fit(&mut model, &data)?;
    model.layers_mut()[0].freeze();
    let before = (bits(&model), everything(&used, &model)?);
    let sweep = finder_of_images().run(&mut used, &mut model, &data)?;
    assert!(sweep.rates.len() > 5);
    assert_eq!(bits(&model), before.0);
    assert!(everything(&used, &model)? == before.1, "the checkpoint is another");
    assert!(model.layers()[0].params().iter().all(|(_, param)| param.is_frozen()));
    // And again, to the same numbers.
    assert_eq!(finder_of_images().run(&mut used, &mut model, &data)?, sweep);
    Ok(())
}

#[test]
fn a_run_after_a_sweep_is_the_run_without_it() -> Result<()> {
    let data = images()?;
    let run = |sweeps: bool| -> Result<_> {
        let (mut model, mut used) = (network(), trainer(2));
        let sweep = |used: &mut Trainer, model: &mut Sequential| -> Result<()> {
            if sweeps {
                finder_of_images().run(used, model, &data)?;
            }
            Ok(())
        };
        sweep(&mut used, &mut model)?;
        assert!(!model.is_built(), "a sweep builds nothing");
        let first = used.fit(&mut model, &data)?;
        sweep(&mut used, &mut model)?;
        let second = used.fit(&mut model, &data)?;
        let losses =
            |history: &History| history.epochs().iter().map(|epoch| epoch.values().to_vec()).collect::<Vec<_>>();
        Ok((bits(&model), losses(&first), losses(&second), used.steps()))
    };
    assert_eq!(run(true)?, run(false)?);
    Ok(())
}

#[test]
fn a_run_that_was_loaded_still_goes_on_after_a_sweep() -> Result<()> {
    let data = images()?;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let (mut model, mut begun) = (network(), trainer(2));
    begun.fit(&mut model, &data)?;
    begun.save_checkpoint(&model, &path)?;
    let go_on = |sweeps: bool| -> Result<_> {
        let (mut model, mut used) = (network(), trainer(4));
        used.load_checkpoint(&mut model, &path)?;
        if sweeps {
            finder_of_images().run(&mut used, &mut model, &data)?;
        }
        let history = used.fit(&mut model, &data)?;
        Ok((bits(&model), history.epochs().len()))
    };
    let on = go_on(true)?;
    assert_eq!(on.1, 4);
    assert_eq!(on, go_on(false)?);
    Ok(())
}

#[test]
fn a_sweep_that_fails_changes_nothing_either() -> Result<()> {
    let data = images()?;
    let (mut model, mut used) = (network(), trainer(1));
    used.fit(&mut model, &data)?;
    let before = (bits(&model), everything(&used, &model)?);
    let spoilt = data.inputs()[0].mapv(|_| f32::NAN).into_shared();
    let spoilt = Dataset::of_tensors(vec![spoilt], data.targets().to_vec())?;
    let error = finder_of_images().run(&mut used, &mut model, &spoilt).unwrap_err();
    assert!(matches!(error, Error::NonFinite { step: 1, .. }), "{error}");
    let narrow = Array2::<f32>::zeros((30, 3));
    assert!(finder_of_images().run(&mut used, &mut model, (&narrow, &Array1::<usize>::zeros(30))).is_err());
    // A class that there is not, met after some steps.
    let mut failed = 0;
    for sample in 0..10 {
        let mut labels = data.targets()[0].to_owned();
        labels[[sample]] = 99.0;
        let wrong = Dataset::of_tensors(data.inputs().to_vec(), vec![labels.into_shared()])?;
        failed += usize::from(finder_of_images().run(&mut used, &mut model, &wrong).is_err());
        assert_eq!(bits(&model), before.0, "sample {sample}");
    }
    assert!(failed > 5, "{failed} sweeps failed");
    assert_eq!(bits(&model), before.0);
    assert!(everything(&used, &model)? == before.1, "the checkpoint is another");
    Ok(())
}

#[test]
fn any_optimizer_and_several_outputs_can_be_swept() -> Result<()> {
    let mut graph = Graph::new();
    let x = graph.input();
    let (a, b) = (graph.add(Dense::new(3), x), graph.add(Dense::new(1), x));
    let mut model = graph.outputs(&[a, b]);
    let iris = datasets::iris();
    let classes = Dataset::new(&iris.features, &iris.labels)?;
    let length = classes.inputs()[0].slice(s![.., ..1]).to_owned().into_dyn().into_shared();
    let data = Dataset::of_tensors(classes.inputs().to_vec(), vec![classes.targets()[0].clone(), length])?;
    let mut trainer = Trainer::new(SoftmaxCrossEntropy::new(), RmsProp::new(1e-3)).output(MeanSquaredError::new(), 0.5);
    let sweep = LearningRateFinder::new().low(1e-5).steps(30).run(&mut trainer, &mut model, &data)?;
    assert_eq!(sweep.rates.len(), sweep.losses.len());
    assert!(sweep.losses.iter().any(|&loss| loss < 0.8 * sweep.losses[0]), "{:?}", sweep.losses);
    Ok(())
}

#[test]
fn curves_without_enough_steps_suggest_nothing() {
    let sweep = |losses: &[f64]| RateSweep {
        rates: (0..losses.len()).map(|at| 10f64.powi(at as i32)).collect(),
        losses: losses.to_vec(),
        ..RateSweep::default()
    };
    assert_eq!((sweep(&[]).steepest_descent(), sweep(&[]).tenth_of_minimum()), (None, None));
    assert_eq!(sweep(&[]).to_string(), "no steps");
    assert_eq!((sweep(&[1.0]).steepest_descent(), sweep(&[1.0]).tenth_of_minimum()), (None, Some(0.1)));
    assert_eq!(sweep(&[1.0, 0.5]).steepest_descent(), None);
    assert_eq!(sweep(&[1.0, 0.5, 9.0]).steepest_descent(), Some(1.0));
    // From 4 to 1 over two steps around the third.
    assert_eq!(sweep(&[5.0, 4.0, 3.5, 1.0, 1.0, 0.9, 8.0]).steepest_descent(), Some(100.0));
    let text =
        "7 learning rates from 1.0e0 to 1.0e6; 1.0e2 at the steepest descent; 1.0e4 a tenth of that at the minimum";
    assert_eq!(sweep(&[5.0, 4.0, 3.5, 1.0, 1.0, 0.9, 8.0]).to_string(), text);
}

#[test]
fn settings_that_cannot_work_are_named() {
    let told = |finder: LearningRateFinder| {
        let (mut model, data) = parabola().unwrap();
        let mut trainer = Trainer::of(MeanSquaredError::new(), Sgd::new(1.0));
        finder.run(&mut trainer, &mut model, &data).unwrap_err().to_string()
    };
    let new = LearningRateFinder::new;
    for (finder, expected) in [
        (new().low(0.0), "low of LearningRateFinder must be a finite number above 0, got 0"),
        (new().low(f64::NAN), "low of LearningRateFinder must be a finite number above 0, got NaN"),
        (
            new().high(1e-9),
            "high of LearningRateFinder must be a finite number above 0.00000001, the low one, got 0.000000001",
        ),
        (
            new().high(f64::INFINITY),
            "high of LearningRateFinder must be a finite number above 0.00000001, the low one, got inf",
        ),
        (new().steps(1), "steps of LearningRateFinder must be at least 2, got 1"),
        (new().smoothing(1.0), "smoothing of LearningRateFinder must be from 0 to below 1, got 1"),
        (new().smoothing(-0.1), "smoothing of LearningRateFinder must be from 0 to below 1, got -0.1"),
        (new().stop_at(1.0), "stop_at of LearningRateFinder must be above 1, got 1"),
        (new().stop_at(f64::NAN), "stop_at of LearningRateFinder must be above 1, got NaN"),
    ] {
        assert_eq!(told(finder), expected);
    }
}
