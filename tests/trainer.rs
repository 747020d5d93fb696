//! What a training run promises: the same bits, the gradient of the whole batch, errors that leave nothing behind.

use std::sync::{Arc, Mutex};

use layerwise::data::datasets;
use layerwise::losses::{Reduction, Through};
use layerwise::metrics::{Accuracy, MeanAbsoluteError};
use layerwise::prelude::*;
use layerwise::train::callbacks::OnEpochEnd;
use layerwise::{to_tensor, values};
use ndarray::{Array1, Array2, Axis, array, concatenate, s};

fn weights<A: Scalar>(model: &dyn Layer<A>) -> Vec<f64> {
    model.params().iter().flat_map(|(_, param)| param.values().unwrap().iter().map(|w| w.as_f64())).collect()
}

/// An f32 becomes an f64 without loss, so these are the bits of any model.
fn bits<A: Scalar>(model: &dyn Layer<A>) -> Vec<u64> {
    weights(model).into_iter().map(f64::to_bits).collect()
}

fn assert_close(got: &[f64], expected: &[f64], tolerance: f64, place: &str) {
    assert_eq!(got.len(), expected.len(), "{place}");
    for (at, (got, expected)) in got.iter().zip(expected).enumerate() {
        assert!((got - expected).abs() <= tolerance, "{place}: {got} for {expected} at {at}");
    }
}

fn sgd(rate: f64) -> Trainer<f64> {
    Trainer::of(MeanSquaredError::new(), Sgd::new(rate)).progress(Progress::Silent)
}

/// Rows in which feature 0 is the row's number, and a target for each.
fn numbered(rows: usize) -> Dataset<f64> {
    let x = Array2::from_shape_fn((rows, 3), |(row, column)| match column {
        0 => row as f64,
        _ => ((5 * row + column) as f64).sin(),
    });
    let y = x.map_axis(Axis(1), |row| 0.1 * row[0] - row[1] * row[2]);
    Dataset::new(&x, &y).unwrap()
}

// The same seed, the same bits.

#[test]
fn the_same_seed_gives_the_same_bits_on_any_number_of_threads() -> Result<()> {
    let iris = datasets::iris();
    // Large enough that pass and update go to other threads.
    let run = |shards, threads, seed| -> Result<Vec<u64>> {
        let relu = |units| Dense::new(units).activation(Activation::Relu);
        let mut model = Sequential::new().add(relu(256)).add(relu(256)).add(Dense::new(3));
        let trainer = Trainer::new(SoftmaxCrossEntropy::new(), Adam::new(1e-3)).progress(Progress::Silent);
        let mut trainer = trainer.batch_size(75).shards(shards).threads(threads).seed(seed);
        let history = trainer.fit(&mut model, (&iris.features, &iris.labels))?;
        assert_eq!(history.shards(), shards);
        Ok(bits(&model))
    };
    for shards in [1, 2, 3, 7] {
        let first = run(shards, 1, 5)?;
        assert!(first == run(shards, 2, 5)?, "{shards} shards on 2 threads");
        if shards == 3 {
            assert!(first != run(shards, 1, 6)?, "another seed");
            assert!(first == run(shards, 1, 5)?, "again, after another run");
        }
    }
    Ok(())
}

#[test]
fn a_trainer_that_was_used_before_trains_a_new_model_as_a_new_trainer_does() -> Result<()> {
    let iris = datasets::iris();
    let model = || Sequential::new().add(Dense::new(8).activation(Activation::Tanh)).add(Dense::new(3));
    let trainer = || {
        let trainer = Trainer::new(SoftmaxCrossEntropy::new(), Adam::new(0.01)).progress(Progress::Silent);
        trainer.epochs(3).seed(1).validation_split(ValidationSplit::Stratified(0.2))
    };
    let (mut used, mut first, mut again, mut second) = (trainer(), model(), model(), model());
    let data = (&iris.features, &iris.labels);
    used.fit(&mut first, data)?;
    used.fit(&mut again, data)?;
    trainer().fit(&mut second, data)?;
    assert!(bits(&first) == bits(&second) && bits(&again) == bits(&second));
    // A second run on the same model goes on: other orders, and the optimizer's moments and steps.
    let steps = used.steps();
    used.fit(&mut again, data)?;
    assert_eq!(used.steps(), 2 * steps);
    assert!(bits(&again) != bits(&second));
    Ok(())
}

// The gradient of the whole batch.

#[test]
fn shards_add_up_to_the_gradient_of_the_whole_batch() -> Result<()> {
    let iris = datasets::iris();
    let rows: Vec<usize> = (0..10).map(|row| 15 * row).collect();
    let x = iris.features.select(Axis(0), &rows).mapv(f64::from);
    let labels = iris.labels.select(Axis(0), &rows);
    let sample_weights = array![1.0, 0.5, 0.0, 2.0, 3.0, 0.25, 0.0, 1.0, 4.0, 0.125];
    for reduction in [Reduction::Mean, Reduction::WeightedMean, Reduction::Sum] {
        for weighted in [false, true] {
            let mut data = Dataset::new(&x, &labels)?;
            if weighted {
                data = data.weights(&sample_weights)?;
            }
            let build = || -> Result<_> {
                let mut model = Sequential::of().add(Dense::of(5).activation(Activation::Tanh)).add(Dense::of(3));
                model.initialize(&[4], 11)?;
                Ok(model)
            };
            let loss = || SoftmaxCrossEntropy::new().reduction(reduction);

            // By hand, with the loss of the whole batch.
            let model = build()?;
            let mut ctx = Context::training(&model, 0);
            let y = model.forward(&data.inputs()[0], &mut ctx)?;
            let sample_weights = data.sample_weights().map(values).transpose()?;
            let (value, dy) = loss().evaluate(&y, &data.targets()[0], sample_weights)?;
            model.backward(&data.inputs()[0], &y, &dy, false, &mut ctx)?;
            let mut expected = Vec::new();
            for (_, param) in model.params() {
                let stepped = param.get()? - ctx.gradient_of(param)?.unwrap();
                expected.extend(stepped.iter().copied());
            }

            for shards in [1, 2, 3, 7, 10, 25] {
                let mut model = build()?;
                let mut trainer = Trainer::of(loss(), Sgd::new(1.0)).shards(shards);
                let place = format!("{reduction:?}, weights {weighted}, {shards} shards");
                assert_close(&[trainer.step(&mut model, &data)?], &[value], 1e-12, &place);
                assert_close(&weights(&model), &expected, 1e-12, &place);
            }
        }
    }
    Ok(())
}

/// y = x - the mean over the batch, all shards of it.
struct Center {
    says_so: bool,
}

impl Center {
    fn centered(&self, x: &Tensor<f64>, ctx: &mut Context<f64>) -> Result<Tensor<f64>> {
        let mut sums = x.sum_axis(Axis(0)).into_raw_vec_and_offset().0;
        sums.push(x.shape()[0] as f64);
        ctx.all_reduce(&mut sums)?;
        let count = sums.pop().unwrap();
        let mean = Array1::from(sums) / count;
        Ok((x - &mean).into_shared())
    }
}

impl Layer<f64> for Center {
    fn kind(&self) -> &str {
        "Center"
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        Ok(input.to_vec())
    }

    fn forward(&self, x: &Tensor<f64>, ctx: &mut Context<f64>) -> Result<Tensor<f64>> {
        self.centered(x, ctx)
    }

    fn backward(
        &self,
        _: &Tensor<f64>,
        _: &Tensor<f64>,
        dy: &Tensor<f64>,
        _: bool,
        ctx: &mut Context<f64>,
    ) -> Result<Option<Tensor<f64>>> {
        self.centered(dy, ctx).map(Some)
    }

    fn couples_samples(&self) -> bool {
        self.says_so
    }
}

#[test]
fn a_statistic_over_the_batch_is_over_all_its_shards() -> Result<()> {
    let data = numbered(10);
    let run = |shards| -> Result<Vec<f64>> {
        let model = Sequential::of().add(Dense::of(4)).add(Center { says_so: true });
        let mut model = model.add(Activation::Tanh).add(Dense::of(1));
        model.initialize(&[3], 2)?;
        // However few threads there are, shards that meet have one each.
        let mut trainer = sgd(0.1).shards(shards).threads(1);
        for _ in 0..3 {
            trainer.step(&mut model, &data)?;
        }
        Ok(weights(&model))
    };
    let whole = run(1)?;
    for shards in [2, 3, 7] {
        assert_close(&run(shards)?, &whole, 1e-12, &format!("{shards} shards"));
    }
    Ok(())
}

#[test]
fn a_layer_that_meets_other_shards_without_saying_so_is_an_error_and_no_hang() -> Result<()> {
    let mut model = Sequential::of().add(Center { says_so: false }).add(Dense::of(1));
    let message = sgd(0.1).shards(2).fit(&mut model, numbered(4)).unwrap_err().to_string();
    let expected = "layer 0 (Center): a layer that calls `all_reduce` must say so in `couples_samples`";
    assert_eq!(message, expected);
    // One shard has nobody to meet.
    sgd(0.1).shards(1).fit(&mut model, numbered(4))?;
    Ok(())
}

/// Meets the other shards unless its first sample is number 0.
struct Sometimes;

impl Layer<f64> for Sometimes {
    fn kind(&self) -> &str {
        "Sometimes"
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        Ok(input.to_vec())
    }

    fn forward(&self, x: &Tensor<f64>, ctx: &mut Context<f64>) -> Result<Tensor<f64>> {
        if x[[0, 0]] != 0.0 {
            ctx.all_reduce(&mut [1.0])?;
        }
        Ok(x.clone())
    }

    fn backward(
        &self,
        _: &Tensor<f64>,
        _: &Tensor<f64>,
        dy: &Tensor<f64>,
        _: bool,
        _: &mut Context<f64>,
    ) -> Result<Option<Tensor<f64>>> {
        Ok(Some(dy.clone()))
    }

    fn couples_samples(&self) -> bool {
        true
    }
}

#[test]
fn a_shard_that_never_comes_to_the_meeting_leaves_nobody_waiting() -> Result<()> {
    let mut model = Sequential::of().add(Sometimes).add(Dense::of(1));
    let mut trainer = sgd(0.1).shards(3);
    for _ in 0..20 {
        let message = trainer.step(&mut model, &numbered(6)).unwrap_err().to_string();
        let expected = "layer 0 (Sometimes): a shard ended its pass with fewer calls of `all_reduce` than another";
        assert_eq!(message, expected);
    }
    Ok(())
}

// Shards that fail.

#[derive(Clone, Copy, PartialEq, Debug)]
enum Failure {
    Error,
    Panic,
}

/// y = x, until a sample with one of these numbers comes along.
struct Trap {
    rows: &'static [usize],
    failure: Failure,
    in_backward: bool,
}

impl Trap {
    fn spring(&self, x: &Tensor<f64>) -> Result<()> {
        let caught = x.outer_iter().map(|row| row[[0]] as usize).find(|row| self.rows.contains(row));
        match (caught, self.failure) {
            (None, _) => Ok(()),
            (Some(row), Failure::Error) => Err(Error::custom(format!("sample {row}"))),
            (Some(row), Failure::Panic) => panic!("sample {row}"),
        }
    }
}

impl Layer<f64> for Trap {
    fn kind(&self) -> &str {
        "Trap"
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        Ok(input.to_vec())
    }

    fn forward(&self, x: &Tensor<f64>, _: &mut Context<f64>) -> Result<Tensor<f64>> {
        if !self.in_backward {
            self.spring(x)?;
        }
        Ok(x.clone())
    }

    fn backward(
        &self,
        x: &Tensor<f64>,
        _: &Tensor<f64>,
        dy: &Tensor<f64>,
        _: bool,
        _: &mut Context<f64>,
    ) -> Result<Option<Tensor<f64>>> {
        if self.in_backward {
            self.spring(x)?;
        }
        Ok(Some(dy.clone()))
    }
}

#[test]
fn a_shard_that_fails_ends_the_step_and_leaves_no_trace() -> Result<()> {
    let (good, bad) = (numbered(6), numbered(9));
    for failure in [Failure::Error, Failure::Panic] {
        for (coupled, in_backward) in [(false, false), (false, true), (true, false), (true, true)] {
            // Of 9 samples in 3 shards the last 3 are shard 2's.
            for (rows, shard, caught) in [(&[7][..], 2, 7), (&[8, 4], 1, 4), (&[0], 0, 0)] {
                let build = |rows| -> Result<_> {
                    let mut model = Sequential::of().add(Trap { rows, failure, in_backward }).add(Dense::of(4));
                    if coupled {
                        model = model.add(Center { says_so: true });
                    }
                    // The trap's backward is called only if something below it learns.
                    let mut model = Sequential::of().add(Dense::of(3)).add(model).add(Dense::of(1));
                    model.initialize(&[3], 4)?;
                    let identity = Array2::eye(3);
                    model.params_mut()[0].1.set(&identity)?;
                    Ok(model)
                };
                let place = format!("{failure:?}, coupled {coupled}, in backward {in_backward}, sample {caught}");
                let mut model = build(rows)?;
                let start = bits(&model);
                let trainer = || Trainer::of(MeanSquaredError::new(), Adam::new(1e-3)).shards(3);
                let mut first = trainer();
                for _ in 0..3 {
                    let error = first.step(&mut model, &bad).unwrap_err();
                    let expected = match failure {
                        Failure::Error => format!("layer 1.0 (Trap): sample {caught}"),
                        Failure::Panic => format!("shard {shard} panicked: sample {caught}"),
                    };
                    assert_eq!(error.to_string(), expected, "{place}");
                    assert_eq!(matches!(error, Error::Panicked { .. }), failure == Failure::Panic);
                    assert!(bits(&model) == start, "{place}");
                    assert_eq!(first.steps(), 0);
                }
                // And the next step is as if nothing had been.
                if caught >= 6 {
                    let mut fresh = build(&[])?;
                    first.step(&mut model, &good)?;
                    trainer().step(&mut fresh, &good)?;
                    assert!(bits(&model) == bits(&fresh), "{place}");
                }
            }
        }
    }
    Ok(())
}

#[test]
fn a_loss_that_is_no_number_ends_the_run_at_its_step_with_the_weights_of_the_step_before() -> Result<()> {
    // Relu lets NaN pass; of an infinity it might make a 0.
    for (bad, activation) in [(f64::NAN, Activation::Relu), (f64::INFINITY, Activation::Linear)] {
        let data = numbered(12);
        let mut x = data.inputs()[0].to_owned();
        x[[9, 1]] = bad;
        let model = || -> Result<_> {
            let mut model = Sequential::of().add(Dense::of(4).activation(activation)).add(Dense::of(1));
            model.initialize(&[3], 0)?;
            Ok(model)
        };
        let trainer = || sgd(1e-3).batch_size(4).shuffle(false).shards(2);
        let (mut first, mut second) = (model()?, model()?);
        let error = trainer().fit(&mut first, (&x, &data.targets()[0])).unwrap_err().to_string();
        assert!(error.starts_with("loss is "), "{error}");
        assert!(error.ends_with(" at step 3; the weights are as they were before this step"), "{error}");
        trainer().fit(&mut second, data.rows(&[0, 1, 2, 3, 4, 5, 6, 7])?)?;
        assert!(bits(&first) == bits(&second));
    }
    Ok(())
}

// Using a model.

#[test]
fn eight_threads_predict_at_once_what_one_predicts() -> Result<()> {
    let iris = datasets::iris();
    let mut model = Sequential::new().add(Dense::new(32).activation(Activation::Gelu)).add(Dense::new(3));
    model.initialize(&[4], 1)?;
    // The same samples in the same company: a product of another size may round otherwise.
    let some = |model: &Sequential, from: usize| model.predict(&iris.features.slice(s![from..from + 10, ..]));
    let expected = (0..140).map(|from| some(&model, from)).collect::<Result<Vec<_>>>()?;
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|number| {
                let (model, expected) = (&model, &expected);
                scope.spawn(move || -> Result<()> {
                    for from in (0..40).map(|round| (number * 20 + round) % 140) {
                        assert_eq!(some(model, from)?, expected[from]);
                    }
                    Ok(())
                })
            })
            .collect();
        threads.into_iter().try_for_each(|thread| thread.join().unwrap())
    })
}

#[test]
fn predictions_do_not_depend_on_strides_or_on_how_many_come_at_once() -> Result<()> {
    let mut model = Sequential::of().add(Dense::of(7).activation(Activation::Tanh)).add(Dense::of(2));
    model.initialize(&[3], 1)?;
    // More than predict takes at once.
    let x = Array2::from_shape_fn((600, 3), |(row, column)| ((row * 3 + column) as f64).sin());
    let columns = x.t().as_standard_layout().into_owned();
    let whole = model.predict(&x)?;
    assert_eq!(whole.shape(), [600, 2]);
    assert_eq!(model.predict(&columns.t())?, whole);
    let all = model.predict_all(&[columns.t().into_dyn().to_shared()])?;
    assert_close(values(&all[0])?, values(&whole)?, 1e-12, "all at once, column by column");
    for row in [0, 255, 256, 599] {
        let one = model.predict(&x.slice(s![row..=row, ..]))?;
        assert_close(values(&one)?, whole.index_axis(Axis(0), row).as_slice().unwrap(), 1e-12, "one row");
    }
    Ok(())
}

#[test]
fn evaluate_is_the_loss_and_the_metric_over_all_samples_however_the_batches_fall() -> Result<()> {
    let iris = datasets::iris();
    let x = iris.features.mapv(f64::from);
    let mut model = Sequential::of().add(Dense::of(6).activation(Activation::Tanh)).add(Dense::of(3));
    let weights = Array1::from_shape_fn(150, |row| f64::from((row % 4) as u8));
    for reduction in [Reduction::Mean, Reduction::WeightedMean] {
        let loss = || SoftmaxCrossEntropy::new().reduction(reduction);
        let data = Dataset::new(&x, &iris.labels)?.weights(&weights)?;
        let mut trainer = Trainer::of(loss(), Adam::new(0.02)).metric(Accuracy::new()).progress(Progress::Silent);
        trainer.fit(&mut model, &data)?;

        let logits = model.predict(&x)?;
        let (expected, _) = loss().evaluate(&logits, &data.targets()[0], weights.as_slice())?;
        let largest = |row: ndarray::ArrayView1<f64>| (0..3).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap();
        let logits = logits.into_dimensionality::<ndarray::Ix2>().unwrap();
        let right = logits.outer_iter().zip(&iris.labels).filter(|(row, label)| largest(row.view()) == **label);
        let accuracy = right.count() as f64 / 150.0;
        for batch_size in [1, 32, 149, 150, 1000] {
            for shards in [1, 4] {
                trainer = trainer.batch_size(batch_size).shards(shards);
                let report = trainer.evaluate(&model, &data)?;
                assert_close(&[report.loss()], &[expected], 1e-12, "loss");
                assert_close(&[report.get("accuracy").unwrap()], &[accuracy], 1e-12, "accuracy");
                assert_eq!(report.get("no such number"), None);
            }
        }
        let report = trainer.evaluate(&model, &data)?;
        assert_eq!(report.to_string(), format!("loss {expected:.4}  accuracy {accuracy:.4}"));
    }
    Ok(())
}

#[test]
fn evaluating_another_model_in_between_disturbs_nothing() -> Result<()> {
    let x = Array2::from_shape_fn((8, 3), |(row, column)| ((row + 2 * column) as f64).cos());
    let (narrow, wide) = (Dataset::new(&x, &x.slice(s![.., ..2]))?, Dataset::new(&x, &x)?);
    let build = |units| -> Result<_> {
        let mut model = Sequential::of().add(Dense::of(units));
        model.initialize(&[3], 1)?;
        Ok(model)
    };
    let (mut model, mut alone, other) = (build(2)?, build(2)?, build(3)?);
    let (mut trainer, mut second) = (sgd(0.1), sgd(0.1));
    for _ in 0..3 {
        assert_eq!(trainer.step(&mut model, &narrow)?.to_bits(), second.step(&mut alone, &narrow)?.to_bits());
        let (expected, _) = MeanSquaredError::new().evaluate(&other.predict(&x)?, &to_tensor(&x)?, None)?;
        assert_close(&[trainer.evaluate(&other, &wide)?.loss()], &[expected], 1e-12, "the other model");
        assert!(trainer.evaluate(&other, &narrow).is_err());
    }
    assert!(bits(&model) == bits(&alone));
    Ok(())
}

#[test]
fn samples_that_all_weigh_nothing_have_no_loss_and_move_no_weight() -> Result<()> {
    let data = numbered(6).weights(&Array1::<f64>::zeros(6))?;
    for reduction in [Reduction::Mean, Reduction::WeightedMean, Reduction::Sum] {
        let mut model = Sequential::of().add(Dense::of(1));
        model.initialize(&[3], 0)?;
        let start = bits(&model);
        let mut trainer = Trainer::of(MeanSquaredError::new().reduction(reduction), Sgd::new(0.1));
        trainer = trainer.batch_size(4).progress(Progress::Silent);
        assert_eq!(trainer.fit(&mut model, &data)?.get("loss").unwrap(), [0.0]);
        assert_eq!(trainer.evaluate(&model, &data)?.loss(), 0.0);
        assert!(bits(&model) == start);
    }
    Ok(())
}

// Runs.

fn classifier() -> Sequential {
    Sequential::new().add(Dense::new(8).activation(Activation::Tanh)).add(Dense::new(3))
}

fn softmax() -> Trainer {
    Trainer::new(SoftmaxCrossEntropy::new(), Adam::new(0.02)).metric(Accuracy::new()).progress(Progress::Silent)
}

#[test]
fn the_last_rows_of_a_sorted_set_for_validation_come_with_a_warning() -> Result<()> {
    let iris = datasets::iris();
    let data = (&iris.features, &iris.labels);
    let mut trainer = softmax().validation_split(ValidationSplit::Last(0.34));
    let history = trainer.fit(&mut classifier(), data)?;
    let expected = [
        "class 2 has 50 rows, none of which are in the training part",
        "class 0 has 50 rows, none of which are in the validation part",
    ];
    assert_eq!(history.warnings(), expected);
    assert!(history.to_string().starts_with(&format!("warning: {}\nwarning: {}\n", expected[0], expected[1])));
    let mut trainer = softmax().validation_split(ValidationSplit::Stratified(0.34));
    assert!(trainer.fit(&mut classifier(), data)?.warnings().is_empty());
    Ok(())
}

#[test]
fn validation_data_are_evaluated_after_each_epoch_and_trained_on_in_none() -> Result<()> {
    let iris = datasets::iris();
    let data = (&iris.features, &iris.labels);
    let odd: Vec<usize> = (1..150).step_by(2).collect();
    let held_back = (&iris.features.select(Axis(0), &odd), &iris.labels.select(Axis(0), &odd));
    let (mut with, mut without) = (classifier(), classifier());
    let mut trainer = softmax().epochs(3).validation_data(held_back)?;
    let history = trainer.fit(&mut with, data)?;
    softmax().epochs(3).fit(&mut without, data)?;
    assert!(bits(&with) == bits(&without));

    let report = trainer.evaluate(&with, held_back)?;
    assert_eq!(history.last().unwrap().get("val_loss"), Some(report.loss()));
    assert_eq!(history.last().unwrap().get("val_accuracy"), report.get("accuracy"));
    assert_eq!(history.epochs().len(), 3);
    let names: Vec<_> = history.last().unwrap().values().iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["loss", "accuracy", "val_loss", "val_accuracy"]);
    let losses = history.get("loss").unwrap();
    assert!(losses[2] < losses[1] && losses[1] < losses[0]);
    assert_eq!(history.get("val_f1"), None);
    let table = history.to_string();
    let lines: Vec<_> = table.lines().collect();
    assert_eq!(lines[0], "epoch       loss   accuracy   val_loss  val_accuracy    seconds");
    assert_eq!(lines.len(), 4);
    assert!(lines.iter().all(|line| line.len() == lines[0].len()), "{table}");
    assert_eq!(History::default().to_string(), "no epochs");
    Ok(())
}

#[test]
fn the_loss_of_an_epoch_is_the_mean_over_its_samples() -> Result<()> {
    // With a rate of 0 the model stays, so that an epoch's numbers are those of an evaluation.
    let mut model = Sequential::of().add(Dense::of(1));
    let mut trainer = sgd(0.0).batch_size(4).metric(MeanAbsoluteError::new());
    let epoch = trainer.fit(&mut model, numbered(10))?.last().unwrap().clone();
    let report = trainer.evaluate(&model, numbered(10))?;
    for (name, value) in report.values() {
        assert_close(&[epoch.get(name).unwrap()], &[*value], 1e-12, name);
    }
    assert_eq!((epoch.number, epoch.rate), (1, 0.0));
    Ok(())
}

#[test]
fn step_and_fit_do_the_same_to_one_batch_in_order() -> Result<()> {
    let data = numbered(10);
    for shards in [1, 3] {
        let trainer = || sgd(0.1).batch_size(10).shuffle(false).shards(shards).seed(3);
        let (mut fitted, mut stepped) = (Sequential::of().add(Dense::of(1)), Sequential::of().add(Dense::of(1)));
        let history = trainer().fit(&mut fitted, &data)?;
        let loss = trainer().step(&mut stepped, &data)?;
        assert!(bits(&fitted) == bits(&stepped));
        assert_eq!(history.get("loss"), Some(vec![loss]));
    }
    Ok(())
}

// Callbacks.

/// Writes down what it is told, and stops or fails where it is asked to.
#[derive(Clone, Default)]
struct Recorder {
    events: Arc<Mutex<Vec<String>>>,
    stop_at: &'static str,
    fail_at: &'static str,
}

impl Recorder {
    fn record<A: Scalar>(&self, name: &str, event: &mut Event<'_, A>) -> Result<()> {
        let what = format!("{name} {}.{}", event.epoch, event.batch);
        self.events.lock().unwrap().push(what.clone());
        if what == self.stop_at {
            event.stop();
        }
        if what == self.fail_at {
            return Err(Error::custom("enough"));
        }
        Ok(())
    }

    fn seen(&self) -> String {
        std::mem::take(&mut *self.events.lock().unwrap()).join(", ")
    }
}

impl<A: Scalar> Callback<A> for Recorder {
    fn on_train_begin(&mut self, event: &mut Event<'_, A>) -> Result<()> {
        assert!(event.loss.is_nan() && event.history.epochs().is_empty());
        self.record("train", event)
    }

    fn on_epoch_begin(&mut self, event: &mut Event<'_, A>) -> Result<()> {
        assert_eq!(event.history.epochs().len(), event.epoch - 1);
        self.record("epoch", event)
    }

    fn on_batch_end(&mut self, event: &mut Event<'_, A>) -> Result<()> {
        assert_eq!((event.batches, event.epochs), (2, 2));
        assert_eq!(event.step as usize, 2 * (event.epoch - 1) + event.batch);
        assert!(event.loss.is_finite());
        self.record("batch", event)
    }

    fn on_epoch_end(&mut self, event: &mut Event<'_, A>) -> Result<()> {
        assert_eq!(event.last_epoch().unwrap().number, event.epoch);
        self.record("end", event)
    }

    fn on_train_end(&mut self, event: &mut Event<'_, A>) -> Result<()> {
        self.record("over", event)
    }
}

fn recorded(stop_at: &'static str, fail_at: &'static str) -> Result<(String, Result<History>)> {
    let recorder = Recorder { stop_at, fail_at, ..Default::default() };
    let mut model = Sequential::of().add(Dense::of(1));
    let mut trainer = sgd(1e-3).epochs(2).batch_size(4).callback(recorder.clone()).validation_data(numbered(3))?;
    let outcome = trainer.fit(&mut model, numbered(8));
    Ok((recorder.seen(), outcome))
}

#[test]
fn callbacks_are_called_in_order() -> Result<()> {
    let (seen, history) = recorded("", "")?;
    let expected = "train 0.0, epoch 1.0, batch 1.1, batch 1.2, end 1.2, epoch 2.0, batch 2.1, batch 2.2, end 2.2, \
                    over 2.2";
    assert_eq!(seen, expected);
    assert_eq!(history?.epochs().len(), 2);
    Ok(())
}

#[test]
fn a_callback_stops_the_run_after_any_event() -> Result<()> {
    for (stop_at, expected, epochs, validated) in [
        ("train 0.0", "train 0.0, over 0.0", 0, false),
        ("epoch 1.0", "train 0.0, epoch 1.0, over 1.0", 0, false),
        ("batch 1.1", "train 0.0, epoch 1.0, batch 1.1, end 1.1, over 1.1", 1, false),
        ("batch 1.2", "train 0.0, epoch 1.0, batch 1.1, batch 1.2, end 1.2, over 1.2", 1, true),
        ("end 1.2", "train 0.0, epoch 1.0, batch 1.1, batch 1.2, end 1.2, over 1.2", 1, true),
    ] {
        let (seen, history) = recorded(stop_at, "")?;
        let history = history?;
        assert_eq!(seen, expected, "{stop_at}");
        assert_eq!(history.epochs().len(), epochs);
        assert_eq!(history.get("val_loss").is_some(), validated, "an epoch that was cut short is not validated");
        assert_eq!(history.get("loss").is_some(), epochs > 0);
    }
    Ok(())
}

#[test]
fn an_error_of_a_callback_ends_the_run_with_it() -> Result<()> {
    for fail_at in ["train 0.0", "epoch 2.0", "batch 1.1", "end 1.2", "over 2.2"] {
        let (seen, outcome) = recorded("", fail_at)?;
        assert_eq!(outcome.unwrap_err().to_string(), "enough");
        assert!(seen.ends_with(fail_at), "{seen}");
    }
    Ok(())
}

#[test]
fn a_callback_may_change_the_model() -> Result<()> {
    let mut model = Sequential::of().add(Dense::of(1));
    let freeze = OnEpochEnd::of(|event: &mut Event<'_, f64>| {
        event.model.freeze();
        Ok(())
    });
    let kept = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&kept);
    let watch = OnEpochEnd::of(move |event: &mut Event<'_, f64>| {
        keep.lock().unwrap().push(bits(&*event.model));
        Ok(())
    });
    sgd(0.01).epochs(3).callback(watch).callback(freeze).fit(&mut model, numbered(8))?;
    let kept = kept.lock().unwrap();
    assert!(kept[0] == kept[1] && kept[1] == kept[2] && kept[2] == bits(&model));
    Ok(())
}

// Networks of several parts.

#[test]
fn two_outputs_have_each_their_loss_and_its_weight() -> Result<()> {
    let x = Array2::from_shape_fn((7, 3), |(row, column)| ((row + 3 * column) as f64).sin());
    let numbers = x.map_axis(Axis(1), |row| row.sum());
    let labels: Array1<usize> = (0..7).map(|row| row % 3).collect();
    let data = Dataset::of_tensors(vec![to_tensor(&x)?], vec![to_tensor(&numbers)?, to_tensor(&labels)?])?;
    let build = || -> Result<_> {
        let mut graph = Graph::of();
        let input = graph.input();
        let body = graph.add(Dense::of(4).activation(Activation::Tanh), input);
        let number = graph.add(Dense::of(1), body);
        let class = graph.add(Dense::of(3), body);
        let mut model = graph.outputs(&[number, class]);
        model.initialize_all(&[vec![3]], 8)?;
        Ok(model)
    };
    for (first, second) in [(1.0, 1.0), (0.25, 3.0), (1.0, 0.0)] {
        // By hand.
        let model = build()?;
        let mut ctx = Context::training(&model, 0);
        let mut ys = Vec::new();
        model.forward_all(data.inputs(), &mut ys, &mut ctx)?;
        let (l0, d0) = MeanSquaredError::new().evaluate(&ys[0], &data.targets()[0], None)?;
        let (l1, d1) = SoftmaxCrossEntropy::new().evaluate(&ys[1], &data.targets()[1], None)?;
        let dys = [Some((d0 * first).into_shared()), Some((d1 * second).into_shared())];
        model.backward_all(data.inputs(), &ys, &dys, false, &mut Vec::new(), &mut ctx)?;
        let mut expected = Vec::new();
        for (_, param) in model.params() {
            expected.extend((param.get()? - ctx.gradient_of(param)?.unwrap()).iter().copied());
        }

        for shards in [1, 3] {
            let mut model = build()?;
            let mut trainer = Trainer::of(MeanSquaredError::new(), Sgd::new(1.0))
                .first_output_weight(first)
                .output(SoftmaxCrossEntropy::new(), second)
                .metric(MeanAbsoluteError::new())
                .metric_of(1, Accuracy::new())
                .shards(shards)
                .batch_size(7)
                .shuffle(false)
                .progress(Progress::Silent);
            let report = trainer.evaluate(&model, &data)?;
            let names: Vec<_> = report.values().iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(names, ["loss", "loss_0", "loss_1", "mean_absolute_error_0", "accuracy_1"]);
            let place = format!("weights {first} and {second}");
            let losses = [first * l0 + second * l1, l0, l1];
            let got = |get: &dyn Fn(&str) -> Option<f64>| ["loss", "loss_0", "loss_1"].map(|name| get(name).unwrap());
            assert_close(&got(&|name| report.get(name)), &losses, 1e-12, &place);
            let history = trainer.fit(&mut model, &data)?;
            assert_close(&got(&|name| history.last()?.get(name)), &losses, 1e-12, &place);
            assert_close(&weights(&model), &expected, 1e-12, &place);
        }
    }
    Ok(())
}

#[test]
fn frozen_layers_stay_as_they_are_and_the_others_learn() -> Result<()> {
    let iris = datasets::iris();
    for frozen in [0, 1] {
        let mut model = classifier();
        model.initialize(&[4], 3)?;
        model.layers_mut()[frozen].freeze();
        let before: Vec<_> = model.layers().iter().map(|layer| bits(&**layer)).collect();
        softmax().shards(2).fit(&mut model, (&iris.features, &iris.labels))?;
        for (number, layer) in model.layers().iter().enumerate() {
            assert_eq!(bits(&**layer) == before[number], number == frozen);
        }
    }
    Ok(())
}

#[test]
fn a_network_that_is_frozen_before_it_is_built_is_built_all_the_same() -> Result<()> {
    let mut model = Sequential::of().add(Dense::of(1));
    model.freeze();
    sgd(0.1).fit(&mut model, numbered(4))?;
    assert!(model.is_built());
    Ok(())
}

#[test]
fn a_trained_body_in_a_new_model_keeps_its_weights() -> Result<()> {
    let iris = datasets::iris();
    let mut model = Sequential::new().add(classifier()).add(Activation::Tanh).add(Dense::new(3));
    softmax().fit(&mut model, (&iris.features, &iris.labels))?;
    let body = std::mem::replace(&mut model.layers_mut()[0], Box::new(Activation::Linear));
    let learned = bits(&*body);

    let mut transferred = Sequential::new();
    transferred.push(body);
    let mut transferred = transferred.add(Dense::new(5)).add(Dense::new(3));
    transferred.layers_mut()[0].freeze();
    softmax().epochs(2).fit(&mut transferred, (&iris.features, &iris.labels))?;
    assert!(bits(&*transferred.layers()[0]) == learned);
    // Fine tuning: the body thaws.
    transferred.unfreeze();
    softmax().fit(&mut transferred, (&iris.features, &iris.labels))?;
    assert!(bits(&*transferred.layers()[0]) != learned);
    Ok(())
}

#[test]
fn a_step_through_another_network_changes_the_first_alone() -> Result<()> {
    let noise = Array2::from_shape_fn((6, 2), |(row, column)| ((3 * row + column) as f64).sin());
    let data = Dataset::new(&noise, &Array1::<f64>::ones(6))?;
    let generator = || -> Result<_> {
        let mut model = Sequential::of().add(Dense::of(5).activation(Activation::Tanh)).add(Dense::of(3));
        model.initialize(&[2], 1)?;
        Ok(model)
    };
    let mut judge = Sequential::of().add(Dense::of(4).activation(Activation::LeakyRelu(0.2))).add(Dense::of(1));
    judge.initialize(&[3], 2)?;
    let before = bits(&judge);
    let loss = BinaryCrossEntropy::new();

    // The same as one network of both, of which the second half is frozen.
    let mut both = Sequential::of().add(generator()?).add(Dense::of(4).activation(Activation::LeakyRelu(0.2)));
    both = both.add(Dense::of(1));
    both.initialize(&[2], 0)?;
    let judged: Vec<_> = judge.params().into_iter().map(|(_, param)| param.get().unwrap().clone()).collect();
    for ((_, param), value) in both.params_mut().into_iter().skip(4).zip(&judged) {
        param.set(value)?;
        param.set_frozen(true);
    }
    for shards in [1, 2] {
        let mut model = generator()?;
        let mut trainer = Trainer::of(MeanSquaredError::new(), Adam::new(0.01)).shards(shards);
        let mut whole = Trainer::of(BinaryCrossEntropy::new(), Adam::new(0.01)).shards(shards);
        both.params_mut()
            .into_iter()
            .zip(generator()?.params())
            .try_for_each(|((_, to), (_, from))| to.set(from.get()?))?;
        for _ in 0..3 {
            let value = trainer.step_with(&mut model, &data, &Through::new(&judge, &loss))?;
            assert_close(&[value], &[whole.step(&mut both, &data)?], 1e-12, "loss");
        }
        assert_close(&weights(&model), &weights(&both)[..weights(&model).len()], 1e-12, "generator");
        assert!(bits(&judge) == before);
    }
    Ok(())
}

#[test]
fn a_network_without_weights_can_be_fitted_and_evaluated() -> Result<()> {
    let x = array![[1.0, 2.0], [3.0, -4.0], [0.5, 0.0]];
    let half = Dataset::new(&x, &(&x * 0.5))?;
    let models: [fn() -> Sequential<f64>; 2] = [Sequential::of, || Sequential::of().add(Activation::Linear)];
    for model in models {
        let trainers: [fn() -> Trainer<f64>; 3] = [
            || Trainer::of(MeanSquaredError::new(), Sgd::new(0.1)),
            || Trainer::of(MeanSquaredError::new(), Adam::new(0.1)),
            || Trainer::of(MeanSquaredError::new(), Sgd::new(0.1)).clip_norm(1.0),
        ];
        for trainer in trainers {
            let mut trainer = trainer().progress(Progress::Silent).shards(2);
            let mut model = model();
            let expected = (x.mapv(|x| x * x * 0.25)).mean().unwrap();
            let history = trainer.fit(&mut model, &half)?;
            assert_close(&history.get("loss").unwrap(), &[expected], 1e-12, "fit");
            assert_close(&[trainer.evaluate(&model, &half)?.loss()], &[expected], 1e-12, "evaluate");
            assert_eq!(model.predict(&x)?, x.clone().into_dyn());
            assert_eq!(trainer.steps(), 1);
        }
    }
    Ok(())
}

/// Counts the passes, in a state.
struct Counter {
    passes: Param<f64>,
}

impl Layer<f64> for Counter {
    layerwise::visit_params!(f64; passes);

    fn kind(&self) -> &str {
        "Counter"
    }

    fn build(&mut self, input: &[usize], init: &mut Init<f64>) -> Result<Vec<usize>> {
        init.param(&mut self.passes, &[1], &Initializer::Zeros)?;
        Ok(input.to_vec())
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        Ok(input.to_vec())
    }

    fn forward(&self, x: &Tensor<f64>, ctx: &mut Context<f64>) -> Result<Tensor<f64>> {
        if ctx.mode() == Mode::Training {
            let next = ctx.state(&self.passes)? + 1.0;
            ctx.set_state(&self.passes, next.into_shared());
        }
        Ok(x.clone())
    }

    fn backward(
        &self,
        _: &Tensor<f64>,
        _: &Tensor<f64>,
        dy: &Tensor<f64>,
        _: bool,
        _: &mut Context<f64>,
    ) -> Result<Option<Tensor<f64>>> {
        Ok(Some(dy.clone()))
    }
}

#[test]
fn state_at_two_places_of_a_model_is_one_and_changes_with_a_step_that_succeeds() -> Result<()> {
    let passes = Param::state();
    let model = Sequential::of().add(Counter { passes: passes.tied() }).add(Dense::of(1));
    let mut model = model.add(Counter { passes });
    let mut trainer = sgd(0.01).shards(2);
    let counts = |model: &Sequential<f64>| -> Result<[f64; 2]> {
        let params = model.params();
        Ok([params[0].1.values()?[0], params[3].1.values()?[0]])
    };
    for step in 1..4 {
        trainer.step(&mut model, &numbered(4))?;
        assert_eq!(counts(&model)?, [2.0 * f64::from(step); 2]);
        trainer.evaluate(&model, numbered(4))?;
    }
    let nan = Dataset::new(&(&numbered(4).inputs()[0] * f64::NAN), &numbered(4).targets()[0])?;
    assert!(trainer.step(&mut model, &nan).is_err());
    assert_eq!(counts(&model)?, [6.0; 2]);
    Ok(())
}

/// A network in plain ndarray code whose output lies column by column.
struct Transposed;

impl Layer<f64> for Transposed {
    fn kind(&self) -> &str {
        "Transposed"
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        Ok(vec![2 * input[0]])
    }

    fn forward(&self, x: &Tensor<f64>, _: &mut Context<f64>) -> Result<Tensor<f64>> {
        let columns = concatenate![Axis(0), x.t(), x.t()];
        Ok(columns.reversed_axes().into_shared())
    }

    fn backward(
        &self,
        _: &Tensor<f64>,
        _: &Tensor<f64>,
        dy: &Tensor<f64>,
        _: bool,
        _: &mut Context<f64>,
    ) -> Result<Option<Tensor<f64>>> {
        assert!(dy.is_standard_layout());
        Ok(None)
    }
}

#[test]
fn a_layer_of_one_s_own_may_be_the_whole_network_and_lay_out_its_output_as_it_likes() -> Result<()> {
    let x = array![[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]];
    let y = concatenate![Axis(1), x, x];
    let mut trainer = sgd(0.1).metric(MeanAbsoluteError::new());
    trainer.fit(&mut Transposed, (&x, &y))?;
    let report = trainer.evaluate(&Transposed, (&x, &y))?;
    assert_eq!((report.loss(), report.get("mean_absolute_error")), (0.0, Some(0.0)));
    Ok(())
}

/// The identity, which notes whether the gradient of its input was wanted.
struct Asked(Arc<Mutex<Vec<bool>>>);

impl Layer<f64> for Asked {
    fn kind(&self) -> &str {
        "Asked"
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        Ok(input.to_vec())
    }

    fn forward(&self, x: &Tensor<f64>, _: &mut Context<f64>) -> Result<Tensor<f64>> {
        Ok(x.clone())
    }

    fn backward(
        &self,
        _: &Tensor<f64>,
        _: &Tensor<f64>,
        dy: &Tensor<f64>,
        want_dx: bool,
        _: &mut Context<f64>,
    ) -> Result<Option<Tensor<f64>>> {
        self.0.lock().expect("nobody panics with it").push(want_dx);
        Ok(want_dx.then(|| dy.clone()))
    }
}

#[test]
fn a_gradient_that_nobody_asks_for_is_not_computed() -> Result<()> {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let spy = || Asked(Arc::clone(&asked));
    let mut model = Sequential::of().add(Dense::of(3)).add(spy()).add(Dense::of(2)).add(spy()).add(Dense::of(1));
    let data = Dataset::new(&Array2::<f64>::ones((4, 2)), &Array2::<f64>::zeros((4, 1)))?;
    let mut trainer = sgd(0.1);
    trainer.step(&mut model, &data)?;
    assert_eq!(*asked.lock().expect("nobody panics with it"), [true, true], "the first layer learns");
    // Below the lowest layer that learns, backward is not called at all.
    for layer in &mut model.layers_mut()[..3] {
        layer.freeze();
    }
    asked.lock().expect("nobody panics with it").clear();
    trainer.step(&mut model, &data)?;
    assert!(asked.lock().expect("nobody panics with it").is_empty());
    // A network whose first layer has no weights: its input's gradient is wanted by nobody.
    let mut model = Sequential::of().add(spy()).add(Dense::of(1));
    sgd(0.1).step(&mut model, &data)?;
    assert!(asked.lock().expect("nobody panics with it").is_empty());
    // Unless somebody asks.
    model.input_gradient(&data.inputs()[0], |y| y.clone())?;
    assert_eq!(*asked.lock().expect("nobody panics with it"), [true]);
    Ok(())
}

#[test]
fn what_is_wrong_with_the_second_output_or_the_validation_data_says_so() -> Result<()> {
    let mut graph = Graph::new();
    let x = graph.input();
    let (a, b) = (graph.add(Dense::new(2), x), graph.add(Dense::new(1), x));
    let mut model = graph.outputs(&[a, b]);
    let tensor = |shape: &[usize]| Tensor::<f32>::zeros(ndarray::IxDyn(shape));
    let data = Dataset::of_tensors(vec![tensor(&[6, 3])], vec![tensor(&[6]), tensor(&[6, 4])])?;
    let error = softmax().output(MeanSquaredError::new(), 1.0).step(&mut model, &data).unwrap_err().to_string();
    assert!(error.starts_with("output 1 (MeanSquaredError): target: expected shape [6, 1]"), "{error}");

    let (x, y) = (Array2::<f32>::zeros((6, 3)), Array1::<usize>::zeros(6));
    let mut trainer = softmax().validation_data((&Array2::<f32>::zeros((6, 4)), &y))?;
    let error = trainer.fit(&mut classifier(), (&x, &y)).unwrap_err().to_string();
    assert_eq!(error, "validation data: layer 0 (Dense): input: expected 3 features on the last axis, got shape [4]");
    Ok(())
}

#[test]
fn a_stratified_validation_split_takes_the_users_word_that_these_are_classes() -> Result<()> {
    let x = Array2::<f32>::from_shape_fn((40, 2), |(i, j)| (i * (j + 1)) as f32 / 40.0);
    let y: Array2<usize> = Array2::from_shape_fn((40, 1), |(i, _)| [0, 50, 100, 150][i % 4]);
    let mut trainer = Trainer::new(MeanSquaredError::new(), Sgd::new(1e-6))
        .validation_split(ValidationSplit::Stratified(0.2))
        .progress(Progress::Silent);
    let mut model = Sequential::new().add(Dense::new(1));
    let history = trainer.fit(&mut model, (&x, &y))?;
    assert!(history.warnings().is_empty());
    Ok(())
}

#[test]
fn metrics_of_one_name_and_a_validation_loss_that_is_no_number_are_told_apart_and_told() -> Result<()> {
    let (x, y) = (Array2::<f32>::ones((8, 3)), Array1::<usize>::zeros(8));
    let mut bad = x.clone();
    bad[[0, 0]] = f32::NAN;
    let mut trainer = Trainer::new(BinaryCrossEntropy::new(), Sgd::new(0.1))
        .validation_data((&bad, &y))?
        .epochs(3)
        .progress(Progress::Silent);
    let history = trainer.fit(&mut Sequential::new().add(Dense::new(1)), (&x, &y))?;
    assert_eq!(history.warnings(), ["validation data: the loss is NaN after epoch 1"]);

    let mut trainer = softmax().metric(ConfusionMatrix::new());
    let report = {
        let mut model = classifier();
        trainer.fit(&mut model, (&x, &y))?;
        trainer.evaluate(&model, (&x, &y))?
    };
    let names: Vec<&str> = report.values().iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["loss", "accuracy", "accuracy_2"]);
    Ok(())
}
