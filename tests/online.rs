//! Learning batch by batch: the bits of `fit`, ways back that leave nothing changed, and feedback that nothing is lost of.

#[path = "common/saved.rs"]
mod saved;

use layerwise::Element;
use layerwise::data::augmentation::{MixUp, RandomTranslation};
use layerwise::data::datasets;
use layerwise::prelude::*;
use layerwise::schedules::Cosine;
use layerwise::train::online::{Adwin, Change, FeedbackLoop, Guard, PageHinkley, ReplayBuffer, SampleError};
use ndarray::{Array1, Array2, Axis};
use saved::{Saved, contents};

/// Weights, state, slots, ages, steps and rates: all that is not of a run.
fn learned<A: Scalar>(trainer: &Trainer<A>, model: &dyn Layer<A>) -> Result<Saved> {
    let mut saved = contents(trainer, model)?;
    let of_a_run = |name: &str| name == "training/means" || name.starts_with("training/metric");
    saved.tensors.retain(|(name, ..)| !of_a_run(name));
    for key in ["run", "epochs_done", "streamed"] {
        saved.training[key] = serde_json::Value::Null;
    }
    Ok(saved)
}

/// 50 irises of all kinds, with weights.
fn irises<A: Scalar>() -> Result<Dataset<A>>
where
    u32: Element<A>,
{
    let iris = datasets::iris();
    let rows: Vec<usize> = (0..50).map(|row| row * 31 % 150).collect();
    let x = iris.features.select(Axis(0), &rows).mapv(|x| A::of(f64::from(x)));
    let labels = iris.labels.select(Axis(0), &rows).mapv(|label| A::of(label as f64));
    let data = Dataset::of_tensors(vec![x.into_dyn().into_shared()], vec![labels.into_dyn().into_shared()])?;
    data.weights(&Array1::from_shape_fn(50, |row| 1 + row % 3).mapv(|weight| weight as u32))
}

fn network<A: Scalar>() -> Sequential<A> {
    let hidden = Dense::of(6).activation(Activation::Tanh).weight_regularizer(Regularizer::L2(1e-3));
    Sequential::of().add(hidden).add(BatchNormalization::of()).add(Dropout::new(0.3)).add(Dense::of(3))
}

/// A trainer for batches of 8 in order.
fn trainer<A: Scalar>(shards: usize, every: usize) -> Trainer<A> {
    Trainer::of(SoftmaxCrossEntropy::new(), Adam::new(Cosine::new(0.05, 12)))
        .metric(Accuracy::new())
        .batch_size(8)
        .shuffle(false)
        .seed(5)
        .shards(shards)
        .accumulate(every)
        .clip_norm(1.0)
        .progress(Progress::Silent)
}

/// Goes over samples in calls of so many, and ends the epoch as `fit` does.
fn stream<A: Scalar>(trainer: &mut Trainer<A>, model: &mut dyn Layer<A>, data: &Dataset<A>, call: usize) -> Result<()> {
    let rows: Vec<usize> = (0..data.len()).collect();
    for rows in rows.chunks(call) {
        trainer.partial_fit(model, &data.rows(rows)?)?;
    }
    trainer.update_gathered(model).map(drop)
}

fn equals_fit<A: Scalar>(shards: usize, every: usize) -> Result<()>
where
    u32: Element<A>,
{
    let data = irises::<A>()?;
    let (mut whole, mut fitted) = (trainer::<A>(shards, every), network::<A>());
    let history = whole.fit(&mut fitted, &data)?;
    whole.fit(&mut fitted, &data)?;
    // One call for each batch, for three, for all; the last is a smaller one.
    for call in [8, 24, 50] {
        let name = format!("{} in {shards} shards, updates after {every}, {call} a call", A::NAME);
        let (mut online, mut model) = (trainer::<A>(shards, every), network::<A>());
        stream(&mut online, &mut model, &data, call)?;
        if call == 50 {
            let expected = history.last().map(|epoch| epoch.values().to_vec());
            assert_eq!(Some(online.streamed().values().to_vec()), expected, "{name}");
        }
        // And the second epoch: by fit, and by the stream.
        let before = online.savepoint(&model)?;
        online.fit(&mut model, &data)?;
        assert!(learned(&online, &model)? == learned(&whole, &fitted)?, "{name}: then fit");
        online.roll_back(&mut model, &before)?;
        stream(&mut online, &mut model, &data, call)?;
        assert!(learned(&online, &model)? == learned(&whole, &fitted)?, "{name}");
    }
    Ok(())
}

#[test]
fn the_batches_of_an_epoch_lead_to_the_bits_of_fit() -> Result<()> {
    for shards in [1, 3] {
        for every in [1, 3] {
            equals_fit::<f32>(shards, every)?;
        }
    }
    equals_fit::<f64>(2, 2)
}

#[test]
fn augmented_batches_too() -> Result<()> {
    let digits = datasets::digits_images().rows(&(0..44).collect::<Vec<_>>())?;
    let data = Dataset::new(&digits.images, &digits.labels)?;
    let make = || {
        let model = Sequential::new().add(Flatten::new()).add(Dense::new(10));
        let augmented = trainer::<f32>(2, 1).augment(RandomTranslation::new(0.2, 0.2)).augment(MixUp::new(10));
        (augmented, model)
    };
    let (mut whole, mut fitted) = make();
    whole.fit(&mut fitted, &data)?;
    let once = learned(&whole, &fitted)?;
    whole.fit(&mut fitted, &data)?;
    for call in [8, 16, 44] {
        let (mut online, mut model) = make();
        stream(&mut online, &mut model, &data, call)?;
        assert!(learned(&online, &model)? == once, "{call}");
        // After an epoch of `fit`, the stream is the next.
        let (mut online, mut model) = make();
        online.fit(&mut model, &data)?;
        stream(&mut online, &mut model, &data, call)?;
        assert!(learned(&online, &model)? == learned(&whole, &fitted)?, "{call}, after fit");
    }
    Ok(())
}

#[test]
fn a_stream_goes_on_from_a_checkpoint() -> Result<()> {
    let folder = tempfile::tempdir().expect("there is room for temporary files");
    let path = folder.path().join("stream");
    let digits = datasets::digits_images().rows(&(0..40).collect::<Vec<_>>())?;
    let data = Dataset::new(&digits.images, &digits.labels)?;
    let make = || {
        let model = Sequential::new().add(Flatten::new()).add(Dense::new(10));
        (trainer::<f32>(1, 3).augment(RandomTranslation::new(0.2, 0.2)), model)
    };
    let (mut whole, mut model) = make();
    for start in (0..40).step_by(8) {
        let batch = data.rows(&(start..start + 8).collect::<Vec<_>>())?;
        whole.partial_fit(&mut model, &batch)?;
        let (mut other, mut fresh) = make();
        if start > 0 {
            other.load_checkpoint(&mut fresh, &path)?;
        }
        other.partial_fit(&mut fresh, &batch)?;
        assert!(contents(&whole, &model)? == contents(&other, &fresh)?, "from {start} on");
        whole.save_checkpoint(&model, &path)?;
    }
    Ok(())
}

#[test]
fn a_roll_back_changes_every_bit_back() -> Result<()> {
    let data = irises::<f64>()?;
    let (mut trainer, mut model) = (trainer::<f64>(2, 3), network::<f64>());
    model.initialize(&[4], 1)?;
    // Before the first step, amid a group of gathered batches, and later.
    for batches in 0..5 {
        let (before, good) = (contents(&trainer, &model)?, trainer.savepoint(&model)?);
        let rows: Vec<usize> = (0..8).map(|row| 8 * batches + row).collect();
        let batch = data.rows(&rows)?;
        let mut ends = Vec::new();
        for _ in 0..3 {
            for _ in 0..5 {
                trainer.partial_fit(&mut model, &batch)?;
            }
            ends.push(learned(&trainer, &model)?);
            model.freeze();
            trainer.roll_back(&mut model, &good)?;
            let mut after = contents(&trainer, &model)?;
            // For what shapes it was built is known from the first step on.
            after.training["inputs"] = before.training["inputs"].clone();
            assert!(after == before, "after {batches} batches");
            assert!(!model.params()[0].1.is_frozen());
        }
        // What comes then is what would have come.
        assert!(ends[0] == ends[1] && ends[0] == ends[2], "after {batches} batches");
        assert!(ends[0].tensors != before.tensors);
        trainer.partial_fit(&mut model, &batch)?;
    }
    Ok(())
}

/// A classifier that has learned irises, its data, and a loop.
fn deployed() -> Result<(Sequential, Trainer, Dataset)> {
    let iris = datasets::iris();
    let data = Dataset::new(&iris.features, &iris.labels)?;
    let mut model = Sequential::new().add(Dense::new(8).activation(Activation::Tanh)).add(Dense::new(3));
    let mut trainer = Trainer::new(SoftmaxCrossEntropy::new(), Adam::new(0.02)).seed(2).progress(Progress::Silent);
    trainer = trainer.epochs(15).shards(1);
    trainer.fit(&mut model, &data)?;
    Ok((model, trainer, data))
}

fn looped(trainer: Trainer, data: &Dataset) -> Result<FeedbackLoop> {
    let mut buffer = ReplayBuffer::new(60).class_balanced().seed(3);
    buffer.add(data)?;
    Ok(FeedbackLoop::new(trainer).detector(Adwin::new().clock(1)).replay(buffer, 2.0).passes(2))
}

/// Samples with every label wrong.
fn poison(data: &Dataset, rows: &[usize]) -> Result<Dataset> {
    let rows = data.rows(rows)?;
    let labels = Array1::from_vec(rows.labels().unwrap_or_default()).mapv(|label| (label + 1) % 3);
    Dataset::new(&rows.inputs()[0], &labels)
}

fn message<T>(outcome: Result<T>) -> String {
    outcome.err().map_or_else(|| "no error".into(), |error| error.to_string())
}

#[test]
fn feedback_that_is_refused_loses_nothing() -> Result<()> {
    let (mut model, trainer, data) = deployed()?;
    let (mut twin, twins, _) = deployed()?;
    let guard = || Ok::<_, Error>(Guard::held_out(&data)?.tolerance(1.0));
    let mut feedback = looped(trainer, &data)?.guard(guard()?);
    let mut undisturbed = looped(twins, &data)?.guard(guard()?);
    for start in 0..10 {
        let before = learned(feedback.trainer(), &model)?;
        let held = feedback.buffer().map(ReplayBuffer::seen);
        for (value, expected) in [
            (f32::NAN, "input 0 of feedback at [1, 2]: expected a finite number, got NaN"),
            (f32::INFINITY, "input 0 of feedback at [1, 2]: expected a finite number, got inf"),
        ] {
            let mut x = Array2::<f32>::ones((3, 4));
            x[[1, 2]] = value;
            assert_eq!(message(feedback.learn(&mut model, (&x, &Array1::<usize>::zeros(3)))), expected);
        }
        let x = Array2::<f32>::ones((3, 4));
        let none = feedback.learn(&mut model, (&x, &Array1::from_elem(3, f32::NAN)));
        assert_eq!(message(none), "target 0 of feedback at [0]: expected a finite number, got NaN");
        let strange = feedback.learn(&mut model, (&x, &Array1::from_elem(3, 7usize)));
        assert_eq!(message(strange), "class label at [0]: expected a whole number from 0 to 2, got 7");
        // A file that cannot be written, after all steps are taken.
        feedback = feedback.checkpoint("no-such-folder/feedback");
        assert!(feedback.learn(&mut model, &data.rows(&[0, 1, 2])?).is_err());
        assert!(learned(feedback.trainer(), &model)? == before);
        assert_eq!(feedback.buffer().map(ReplayBuffer::seen), held);
        assert_eq!(feedback.seen(), 4 * start);
        // So the next batch is learned from as if nothing had been.
        let folder = tempfile::tempdir().expect("there is room for temporary files");
        feedback = feedback.checkpoint(folder.path().join("good"));
        let batch = data.rows(&[start as usize, 60, 110, 140 - start as usize])?;
        let [one, other] = [feedback.learn(&mut model, &batch)?, undisturbed.learn(&mut twin, &batch)?];
        assert_eq!(one, other);
        assert!(contents(feedback.trainer(), &model)? == contents(undisturbed.trainer(), &twin)?);
        // The file is the last good state.
        assert!(saved::saved(&folder.path().join("good"))? == contents(feedback.trainer(), &model)?);
    }
    Ok(())
}

#[test]
fn what_makes_the_model_worse_is_taken_back() -> Result<()> {
    let (mut model, trainer, data) = deployed()?;
    let mut buffer = ReplayBuffer::new(60);
    buffer.add(&data)?;
    let mut feedback = FeedbackLoop::new(trainer).replay(buffer, 0.1).passes(60);
    feedback = feedback.guard(Guard::held_out(&data)?.tolerance(0.05));
    let wrong: Vec<usize> = (0..30).map(|row| 5 * row).collect();
    let before = learned(feedback.trainer(), &model)?;
    let held = feedback.buffer().map(ReplayBuffer::seen);
    let poisoned = feedback.learn(&mut model, &poison(&data, &wrong)?)?;
    assert!(poisoned.rolled_back, "{poisoned:?}");
    let (least, after) = poisoned.judged.expect("there is a guard");
    assert!(poisoned.error > 0.9 && least < 0.1 && after > least + 0.05, "{poisoned:?}");
    assert!(learned(feedback.trainer(), &model)? == before);
    assert_eq!(feedback.buffer().map(ReplayBuffer::seen), held, "it is not replayed either");
    assert_eq!(feedback.seen(), 30);
    // Right feedback is learned from.
    let right = feedback.learn(&mut model, &data.rows(&wrong)?)?;
    assert!(!right.rolled_back && right.error < 0.1, "{right:?}");
    assert!(contents(feedback.trainer(), &model)?.tensors != before.tensors);
    assert_eq!(feedback.buffer().map(ReplayBuffer::seen), held.map(|held| held + 30));
    Ok(())
}

#[test]
fn a_slow_decline_ends_at_the_tolerance() -> Result<()> {
    let (mut model, trainer, data) = deployed()?;
    let trainer = trainer.batch_size(8);
    let mut feedback = FeedbackLoop::new(trainer).guard(Guard::held_out(&data)?.tolerance(0.1));
    let mut worst: f64 = 0.0;
    let mut taken_back = 0;
    for start in 0..60 {
        let rows: Vec<usize> = (0..8).map(|row| (start * 8 + row) * 7 % 150).collect();
        let learned = feedback.learn(&mut model, &poison(&data, &rows)?)?;
        taken_back += usize::from(learned.rolled_back);
        worst = worst.max(1.0 - accuracy(&model, &data)?);
    }
    assert!(taken_back > 20, "{taken_back}");
    assert!(worst <= 0.02 + 0.1 + 1e-9, "{worst}");
    Ok(())
}

fn accuracy(model: &Sequential, data: &Dataset) -> Result<f64> {
    let mut accuracy = Accuracy::new();
    accuracy.update(&model.predict(&data.inputs()[0])?, &data.targets()[0], None)?;
    Ok(accuracy.result())
}

#[test]
fn the_recent_window_is_never_trained_on_and_ends_in_the_buffer() -> Result<()> {
    let (mut model, trainer, data) = deployed()?;
    let mut feedback =
        FeedbackLoop::new(trainer).replay(ReplayBuffer::new(1000), 0.0).guard(Guard::recent(4, 6).tolerance(1.0));
    let (mut plain, mut twins, _) = deployed()?;
    for start in 0..12 {
        let rows: Vec<usize> = (0..10).map(|row| (10 * start + row) % 150).collect();
        let learned = feedback.learn(&mut model, &data.rows(&rows)?)?;
        // One of four samples of the stream is kept aside; 6 at most.
        let trained: Vec<usize> = (10 * start..10 * start + 10).filter(|at| (at + 1) % 4 != 0).collect();
        twins.partial_fit(&mut plain, &data.rows(&trained.iter().map(|at| at % 150).collect::<Vec<_>>())?)?;
        let aside = (10 * (start + 1) / 4).min(6);
        assert_eq!(feedback.buffer().map(ReplayBuffer::seen), Some((10 * (start + 1) - aside) as u64));
        assert!(learned.judged.is_some());
    }
    assert_eq!(feedback.trainer().steps(), twins.steps());
    assert!(contents(feedback.trainer(), &model)?.tensors == contents(&twins, &plain)?.tensors);
    // Before and after are of the same samples: those that nobody has trained on judge what is poison to them.
    let mut feedback = FeedbackLoop::new(twins).passes(80).guard(Guard::recent(3, 60));
    let all: Vec<usize> = (0..150).map(|row| row * 7 % 150).collect();
    assert!(!feedback.learn(&mut plain, &data.rows(&all)?)?.rolled_back);
    let poisoned = feedback.learn(&mut plain, &poison(&data, &all[..12])?)?;
    assert!(poisoned.rolled_back, "{poisoned:?}");
    Ok(())
}

#[test]
fn corrections_weigh_what_was_said() -> Result<()> {
    let (mut model, trainer, data) = deployed()?;
    let (mut plain, mut twins, _) = deployed()?;
    let mut feedback = FeedbackLoop::new(trainer).correction_weight(4.0).confirmation_weight(0.5);
    let rows: Vec<usize> = (0..20).map(|row| 7 * row).collect();
    let right = data.rows(&rows)?;
    let labels = right.labels().unwrap_or_default();
    let given: Vec<usize> = labels.iter().enumerate().map(|(at, label)| (label + at % 2) % 3).collect();
    let own = Array1::from_shape_fn(20, |at| 1.0 + (at % 3) as f32);
    let said = Dataset::new(&right.inputs()[0], &Array1::from_vec(given.clone()))?.weights(&own)?;
    let outputs = model.predict(&right.inputs()[0])?;
    let taken = outputs.axis_iter(Axis(0)).map(|row| {
        let best = row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
        best.map_or(0, |(class, _)| class)
    });
    let wrong: Vec<bool> = taken.zip(&given).map(|(taken, given)| taken != *given).collect();
    assert!(wrong.iter().filter(|&&wrong| wrong).count() >= 8);
    let weights = Array1::from_shape_fn(20, |at| own[at] * if wrong[at] { 4.0 } else { 0.5 });
    twins.partial_fit(&mut plain, &Dataset::new(&right.inputs()[0], &Array1::from_vec(given))?.weights(&weights)?)?;
    let learned = feedback.learn(&mut model, &said)?;
    assert_eq!(learned.error, wrong.iter().filter(|&&wrong| wrong).count() as f64 / 20.0);
    assert!(contents(feedback.trainer(), &model)?.tensors == contents(&twins, &plain)?.tensors);
    Ok(())
}

#[test]
fn errors_of_numbers_are_their_losses() -> Result<()> {
    let mut model = Sequential::new().add(Dense::new(2));
    model.initialize(&[3], 4)?;
    let trainer = || Trainer::new(MeanSquaredError::new(), Sgd::new(0.01)).progress(Progress::Silent);
    let x = Array2::from_shape_fn((6, 3), |(row, column)| (row as f32 - column as f32) / 3.0);
    let y = Array2::from_shape_fn((6, 2), |(row, column)| (row + column) as f32);
    let outputs = model.predict(&x)?;
    let expected = (&outputs - &y).mapv(|apart| f64::from(apart * apart)).mean().unwrap_or(f64::NAN);
    let mut feedback =
        FeedbackLoop::new(trainer()).error(SampleError::Loss).detector(PageHinkley::new().threshold(5.0));
    assert!((feedback.learn(&mut model, (&x, &y))?.error - expected).abs() < 1e-5);
    // Targets that run away are a drift, with the sample in which it was seen.
    let mut drift = None;
    for batch in 0..40 {
        let away = if batch < 20 { 0.0 } else { 5.0 };
        let targets = &model.predict(&x)? + away;
        let learned = feedback.learn(&mut model, (&x, &targets))?;
        drift = drift.or(learned.drift);
    }
    let (at, _) = drift.expect("they ran away");
    assert!((126..150).contains(&at), "{at}");
    let mistakes = FeedbackLoop::new(trainer()).learn(&mut model, (&x, &(&y + 0.5)));
    let expected = "the targets of feedback are no classes: their errors are SampleError::Loss";
    assert_eq!(message(mistakes), expected);
    Ok(())
}

#[test]
fn loops_and_ways_back_that_cannot_work() -> Result<()> {
    let (mut model, mut trainer, data) = deployed()?;
    let fresh = || Trainer::new(SoftmaxCrossEntropy::new(), Adam::new(0.01)).progress(Progress::Silent);
    let batch = data.rows(&[0, 60, 120])?;
    let unbuilt = Sequential::new().add(Dense::new(3));
    assert!(matches!(fresh().savepoint(&unbuilt).map(drop), Err(Error::NotBuilt)));
    let mut other = Sequential::new().add(Dense::new(8)).add(Dense::new(3));
    other.initialize(&[4], 0)?;
    let strange = "savepoint: this trainer has trained another model";
    assert_eq!(message(trainer.savepoint(&other)), strange);
    let good = trainer.savepoint(&model)?;
    let before = contents(&trainer, &model)?;
    let expected = "roll_back: the model has other parameters than at the savepoint";
    assert_eq!(message(trainer.roll_back(&mut other, &good)), expected);
    assert!(contents(&trainer, &model)? == before);
    assert!(!fresh().update_gathered(&mut model)?);
    let mut gathering = fresh().accumulate(3);
    gathering.partial_fit(&mut model, &batch)?;
    let expected = "update_gathered: what this trainer has gathered is of another model";
    assert_eq!(message(gathering.update_gathered(&mut other)), expected);

    let new = || FeedbackLoop::new(fresh());
    for (mut feedback, expected) in [
        (new().passes(0), "passes must be at least 1, got 0"),
        (new().correction_weight(-1.0), "correction_weight must be a finite number of at least 0, got -1"),
        (new().confirmation_weight(f64::NAN), "confirmation_weight must be a finite number of at least 0, got NaN"),
        (new().replay_weight(-1.0), "replay_weight must be a finite number of at least 0, got -1"),
        (
            new().replay(ReplayBuffer::new(5), f64::INFINITY),
            "samples to replay for each new one must be a finite number of at least 0, got inf",
        ),
        (new().replay(ReplayBuffer::new(0), 1.0), "capacity of ReplayBuffer must be at least 1, got 0"),
        (new().detector(Adwin::new().delta(2.0)), "delta of Adwin must be above 0 and below 1, got 2"),
        (
            new().guard(Guard::recent(1, 10)),
            "every of Guard::recent must be at least 2, so that some are left to learn from, got 1",
        ),
        (new().guard(Guard::recent(2, 0)), "window of Guard::recent must be at least 1, got 0"),
        (
            new().guard(Guard::recent(2, 9).tolerance(-0.1)),
            "tolerance of Guard must be a finite number of at least 0, got -0.1",
        ),
    ] {
        assert_eq!(message(feedback.learn(&mut model, &batch)), expected);
    }
    let narrow = Dataset::<f32>::new(&Array2::<f32>::zeros((3, 3)), &Array1::<usize>::zeros(3))?;
    let expected = "layer 0 (Dense): input: expected 4 features on the last axis, got shape [3]";
    assert_eq!(message(fresh().partial_fit(&mut model, &narrow)), expected);
    assert_eq!(message(new().learn(&mut model, &narrow)), expected);
    let narrow = Guard::held_out(&narrow)?;
    let expected = "Guard: layer 0 (Dense): input: expected 4 features on the last axis, got shape [3, 3]";
    assert_eq!(message(new().guard(narrow).learn(&mut model, &batch)), expected);
    Ok(())
}

#[test]
fn a_rise_of_errors_can_clear_the_buffer() -> Result<()> {
    for forget in [false, true] {
        let (mut model, trainer, data) = deployed()?;
        let detector = PageHinkley::new().threshold(3.0).min_samples(10);
        let mut feedback = looped(trainer, &data)?.detector(detector).forget_on_drift(forget);
        let rows: Vec<usize> = (0..20).map(|row| 7 * row).collect();
        assert_eq!(feedback.learn(&mut model, &data.rows(&rows)?)?.drift, None);
        let risen = feedback.learn(&mut model, &poison(&data, &rows)?)?;
        assert!(matches!(risen.drift, Some((20..30, Change::Rise))), "{risen:?}");
        let held = if forget { 20 } else { 150 + 40 };
        assert_eq!(feedback.buffer().map(ReplayBuffer::seen), Some(held));
    }
    Ok(())
}
