//! What a checkpoint is taken for, and what is refused: each with both values, and with nothing changed.

#[path = "common/saved.rs"]
mod saved;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use layerwise::data::augmentation::{RandomContrast, RandomFlip};
use layerwise::data::datasets;
use layerwise::io::{TensorFile, Tensors, load_model, load_weights};
use layerwise::losses::Reduction;
use layerwise::prelude::*;
use layerwise::train::CallbackState;
use ndarray::s;
use saved::{contents, course};
use serde_json::json;
use tempfile::TempDir;

fn folder() -> TempDir {
    tempfile::tempdir().expect("there is room for temporary files")
}

fn model() -> Sequential {
    Sequential::new().add(Flatten::new()).add(Dense::new(6).activation(Activation::Relu)).add(Dense::new(10))
}

fn digits(samples: usize) -> Result<Dataset> {
    let digits = datasets::digits_images();
    Dataset::new(&digits.images.slice(s![..samples, .., .., ..]), &digits.labels.slice(s![..samples]))
}

fn optimized_by(optimizer: impl Optimizer + 'static) -> Trainer {
    with_loss(SoftmaxCrossEntropy::new(), optimizer)
}

fn with_loss(loss: impl Loss + 'static, optimizer: impl Optimizer + 'static) -> Trainer {
    Trainer::new(loss, optimizer).epochs(2).batch_size(8).threads(1).progress(Progress::Silent)
}

fn trainer() -> Trainer {
    optimized_by(Adam::new(0.01)).metric(Accuracy::new()).augment(RandomFlip::horizontal())
}

/// Stops after so many steps.
struct StopAfter(u64);

impl Callback for StopAfter {
    fn on_batch_end(&mut self, event: &mut Event<'_>) -> Result<()> {
        if event.step == self.0 {
            event.stop();
        }
        Ok(())
    }
}

/// A checkpoint in the middle of the second epoch of 3 batches.
fn checkpoint(folder: &TempDir, trainer: Trainer) -> Result<PathBuf> {
    let path = folder.path().join("checkpoint");
    let (mut model, mut trainer) = (model(), trainer.callback(StopAfter(4)));
    trainer.fit(&mut model, &digits(20)?)?;
    trainer.save_checkpoint(&model, &path)?;
    Ok(path)
}

/// Loading into this trainer and this model, built or not, is this error, and changes neither.
fn refused(path: &Path, mut trainer: Trainer, make: impl Fn() -> Sequential) -> Result<String> {
    let mut built = make();
    built.initialize(&[8, 8, 1], 9)?;
    let before = contents(&trainer, &built)?;
    let message = trainer.load_checkpoint(&mut built, path).expect_err("it is to be refused").to_string();
    assert!(contents(&trainer, &built)? == before, "{message}");
    let mut empty = make();
    assert_eq!(trainer.load_checkpoint(&mut empty, path).expect_err("it is to be refused").to_string(), message);
    assert!(empty.params().iter().all(|(_, param)| !param.is_built() && !param.is_frozen()), "{message}");
    Ok(message.replace(&path.display().to_string(), "PATH"))
}

#[test]
fn a_setting_that_differs_is_named_with_both_values() -> Result<()> {
    let folder = folder();
    let path = checkpoint(&folder, trainer())?;
    let adam = || Adam::new(0.01);
    let flip = RandomFlip::horizontal;
    let cases: Vec<(Trainer, &str)> = vec![
        (trainer().batch_size(9), "batch_size must be 8, as in the checkpoint, got 9"),
        (trainer().seed(7), "seed must be 0, as in the checkpoint, got 7"),
        (trainer().shuffle(false), "shuffle must be true, as in the checkpoint, got false"),
        (trainer().shards(2), "shards must be none, as in the checkpoint, got 2"),
        (trainer().micro_batch(2), "micro_batch must be none, as in the checkpoint, got 2"),
        (trainer().clip_norm(1.0), "clip_norm must be none, as in the checkpoint, got 1.0"),
        (
            trainer().validation_split(ValidationSplit::Last(0.5)),
            "validation must be none, as in the checkpoint, got {\"fraction\":0.5,\"split\":\"last\"}",
        ),
        (
            trainer().metric(Accuracy::new()),
            "metrics must be [{\"name\":\"accuracy\",\"output\":0}], as in the checkpoint, got \
             [{\"name\":\"accuracy\",\"output\":0},{\"name\":\"accuracy\",\"output\":0}]",
        ),
        (
            optimized_by(Adam::new(0.02)).metric(Accuracy::new()).augment(flip()),
            "optimizer.config.schedule.config.rate must be 0.01, as in the checkpoint, got 0.02",
        ),
        (
            optimized_by(adam().betas(0.8, 0.999)).metric(Accuracy::new()).augment(flip()),
            "optimizer.config.beta1 must be 0.9, as in the checkpoint, got 0.8",
        ),
        (
            optimized_by(AdamW::new(0.01).weight_decay(0.0)).metric(Accuracy::new()).augment(flip()),
            "optimizer.kind must be \"Adam\", as in the checkpoint, got \"AdamW\"",
        ),
        (
            with_loss(SoftmaxCrossEntropy::new().reduction(Reduction::Sum), adam())
                .metric(Accuracy::new())
                .augment(flip()),
            "losses[0].config.reduction must be \"mean\", as in the checkpoint, got \"sum\"",
        ),
        (trainer().first_output_weight(0.5), "losses[0].weight must be 1.0, as in the checkpoint, got 0.5"),
        (
            optimized_by(adam()).metric(Accuracy::new()).augment(RandomContrast::new(0.1)),
            "augmentations[0].config.horizontal must be true, as in the checkpoint, got none",
        ),
        (
            optimized_by(adam()).metric(Accuracy::new()).augment(RandomFlip::vertical()),
            "augmentations[0].config.horizontal must be true, as in the checkpoint, got false",
        ),
    ];
    for (trainer, expected) in cases {
        let message = refused(&path, trainer, model)?;
        assert_eq!(message, format!("PATH: {expected}"));
    }
    Ok(())
}

#[test]
fn another_model_is_refused_with_its_shapes_or_settings() -> Result<()> {
    let folder = folder();
    let path = checkpoint(&folder, trainer())?;
    let wide = || Sequential::new().add(Flatten::new()).add(Dense::new(7)).add(Dense::new(10));
    let message = refused(&path, trainer(), wide)?;
    assert!(message.contains("1.weight") && message.contains("[64, 6]") && message.contains("[64, 7]"), "{message}");
    let tanh =
        || Sequential::new().add(Flatten::new()).add(Dense::new(6).activation(Activation::Tanh)).add(Dense::new(10));
    let message = refused(&path, trainer(), tanh)?;
    let expected = "model.config.layers[1].config.activation.name must be \"Relu\", as in the checkpoint, got \"Tanh\"";
    assert_eq!(message, format!("PATH: {expected}"));
    Ok(())
}

#[test]
fn data_and_epochs_are_looked_at_when_the_run_goes_on() -> Result<()> {
    let folder = folder();
    let path = checkpoint(&folder, trainer())?;
    let (mut model, mut trainer) = (model(), trainer());
    trainer.load_checkpoint(&mut model, &path)?;
    let loaded = contents(&trainer, &model)?;
    let message = trainer.fit(&mut model, digits(21)?).expect_err("other data").to_string();
    assert_eq!(message, format!("{}: data.samples must be 20, as in the checkpoint, got 21", path.display()));
    trainer = trainer.epochs(1);
    let message = trainer.fit(&mut model, digits(20)?).expect_err("too few epochs").to_string();
    assert_eq!(message, format!("{}: epochs must be at least 2, the epoch of the checkpoint, got 1", path.display()));
    trainer = trainer.epochs(2).batch_size(10);
    let message = trainer.fit(&mut model, digits(20)?).expect_err("other batches").to_string();
    assert_eq!(message, format!("{}: batch_size must be 8, as in the checkpoint, got 10", path.display()));
    trainer = trainer.batch_size(8);
    let mut other = self::model();
    let message = trainer.fit(&mut other, digits(20)?).expect_err("another model").to_string();
    assert_eq!(message, format!("{}: the model is not the one into which the checkpoint was loaded", path.display()));
    // And after all that the run goes on as if nothing had been.
    assert!(contents(&trainer, &model)? == loaded);
    assert_eq!(trainer.fit(&mut model, digits(20)?)?.epochs().len(), 2);
    assert_eq!(trainer.steps(), 6);
    Ok(())
}

#[test]
fn a_run_that_goes_on_may_have_more_epochs_and_a_second_fit_is_a_new_run() -> Result<()> {
    let folder = folder();
    let path = checkpoint(&folder, trainer())?;
    let (mut whole, mut whole_trainer) = (model(), trainer().epochs(4));
    let expected = whole_trainer.fit(&mut whole, digits(20)?)?;
    let (mut model, mut trainer) = (model(), trainer().epochs(4));
    trainer.load_checkpoint(&mut model, &path)?;
    let history = trainer.fit(&mut model, digits(20)?)?;
    assert_eq!(course(&history), course(&expected));
    assert_eq!(history.epochs().len(), 4);
    assert!(contents(&trainer, &model)? == contents(&whole_trainer, &whole)?);
    let second = trainer.fit(&mut model, digits(20)?)?;
    assert_eq!((second.epochs().len(), second.epochs()[0].number, trainer.steps()), (4, 1, 24));
    assert_eq!(course(&second), course(&whole_trainer.fit(&mut whole, digits(20)?)?));
    Ok(())
}

#[test]
fn a_run_that_is_over_gives_its_history_again() -> Result<()> {
    let folder = folder();
    let path = folder.path().join("over");
    let (mut first, mut first_trainer) = (model(), trainer());
    let expected = first_trainer.fit(&mut first, digits(20)?)?;
    first_trainer.save_checkpoint(&first, &path)?;
    let (mut model, mut trainer) = (model(), trainer());
    trainer.load_checkpoint(&mut model, &path)?;
    let history = trainer.fit(&mut model, digits(20)?)?;
    assert_eq!(history, expected);
    assert!(contents(&trainer, &model)? == contents(&first_trainer, &first)?);
    Ok(())
}

#[test]
fn steps_of_ones_own_go_on_without_a_run() -> Result<()> {
    let folder = folder();
    let path = folder.path().join("steps");
    let (data, mut whole, mut whole_trainer) = (digits(20)?, model(), trainer());
    let (mut half, mut half_trainer) = (model(), trainer());
    for _ in 0..6 {
        whole_trainer.step(&mut whole, &data)?;
    }
    for _ in 0..3 {
        half_trainer.step(&mut half, &data)?;
    }
    half_trainer.save_checkpoint(&half, &path)?;
    let (mut model, mut trainer) = (model(), trainer());
    trainer.load_checkpoint(&mut model, &path)?;
    for _ in 3..6 {
        trainer.step(&mut model, &data)?;
    }
    assert!(contents(&trainer, &model)? == contents(&whole_trainer, &whole)?);
    Ok(())
}

#[test]
fn weights_and_model_can_be_loaded_from_a_checkpoint() -> Result<()> {
    let folder = folder();
    let path = checkpoint(&folder, trainer())?;
    let x = digits(20)?.inputs()[0].clone();
    let loaded = load_model(&path)?;
    let mut filled = model();
    filled.initialize(&[8, 8, 1], 3)?;
    load_weights(&mut filled, &path)?;
    let (mut resumed, mut trainer) = (model(), trainer());
    trainer.load_checkpoint(&mut resumed, &path)?;
    let expected = resumed.predict(&x)?;
    assert_eq!(loaded.predict(&x)?, expected);
    assert_eq!(filled.predict(&x)?, expected);
    // A run goes on on the loaded model as well.
    let mut loaded = loaded;
    let mut again = self::trainer();
    again.load_checkpoint(&mut *loaded, &path)?;
    trainer.fit(&mut resumed, digits(20)?)?;
    again.fit(&mut *loaded, digits(20)?)?;
    assert!(contents(&again, &*loaded)? == contents(&trainer, &resumed)?);
    Ok(())
}

#[test]
fn what_is_no_checkpoint_is_refused() -> Result<()> {
    let folder = folder();
    let path = folder.path().join("weights");
    let mut built = model();
    built.initialize(&[8, 8, 1], 0)?;
    layerwise::io::save_weights(&built, &path)?;
    let message = refused(&path, trainer(), model)?;
    let expected = "PATH: it is no checkpoint (layerwise.file: weights): \"layerwise.training\" is not in its metadata";
    assert_eq!(message, expected);
    let missing = folder.path().join("missing");
    assert!(matches!(trainer().load_checkpoint(&mut built, &missing), Err(Error::Io { path, .. }) if path == missing));
    let message = trainer().save_checkpoint(&model(), folder.path().join("x")).expect_err("not built").to_string();
    assert!(message.contains("before it was built"), "{message}");
    let (mut one, mut other, mut trainer) = (model(), model(), trainer());
    trainer.fit(&mut one, digits(20)?)?;
    other.initialize(&[8, 8, 1], 0)?;
    let message = trainer.save_checkpoint(&other, folder.path().join("x")).expect_err("another model").to_string();
    assert_eq!(message, "save_checkpoint: this trainer has trained another model");
    Ok(())
}

#[test]
fn a_slot_of_another_shape_is_refused() -> Result<()> {
    let folder = folder();
    let path = checkpoint(&folder, trainer())?;
    let file = TensorFile::open(&path)?;
    let changed = folder.path().join("changed");
    let mut tensors = Tensors::new();
    for key in ["layerwise.training", "layerwise.model"] {
        tensors.metadata(key, file.metadata(key).expect("it is there"));
    }
    for name in file.names() {
        let tensor = file.get::<f32>(name)?;
        let shape = if name == "training/slot/mean/1.weight" { vec![6, 64] } else { tensor.shape().to_vec() };
        tensors.add::<f32>(name, &shape, tensor.iter().copied().collect::<Vec<_>>())?;
    }
    tensors.write(&changed)?;
    let message = refused(&changed, trainer(), model)?;
    assert_eq!(message, "PATH: training/slot/mean/1.weight: expected shape [64, 6], got [6, 64]");
    Ok(())
}

/// The loss of its first epoch.
const FIRST_LOSS: f64 = 2.391076993942261;

/// A checkpoint of the first version, which all later ones must be able to go on from.
const FIRST_VERSION: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/files/checkpoint-1.safetensors");

#[test]
fn a_checkpoint_of_the_first_version_goes_on() -> Result<()> {
    let (mut model, mut trainer) = (model(), trainer());
    trainer.load_checkpoint(&mut model, FIRST_VERSION)?;
    assert_eq!(trainer.steps(), 4);
    let history = trainer.fit(&mut model, digits(20)?)?;
    assert_eq!((history.epochs().len(), trainer.steps()), (2, 6));
    // Of the epoch that was over; the other one comes from this machine, whose sums may round otherwise.
    assert_eq!(history.epochs()[0].get("loss"), Some(FIRST_LOSS));
    let (mut whole, mut whole_trainer) = (self::model(), self::trainer());
    let expected = whole_trainer.fit(&mut whole, digits(20)?)?;
    let [got, expected] = [history, expected].map(|history| history.epochs()[1].get("loss").unwrap());
    assert!((got - expected).abs() < 1e-4, "{got} for {expected}");
    Ok(())
}

/// Writes that file. Run once for each version of the format, and never again.
#[test]
#[ignore = "the file is there and stays as it is"]
fn write_the_checkpoint_of_this_version() -> Result<()> {
    let folder = folder();
    let path = checkpoint(&folder, trainer())?;
    std::fs::copy(path, FIRST_VERSION).expect("the folder is there");
    Ok(())
}

// Callbacks.

/// Counts epochs, under a name of its own, and can be made to refuse its state.
struct Counter {
    kind: &'static str,
    epochs: Arc<Mutex<u64>>,
    refuses: bool,
}

impl Counter {
    fn new(kind: &'static str) -> (Self, Arc<Mutex<u64>>) {
        let epochs = Arc::default();
        (Counter { kind, epochs: Arc::clone(&epochs), refuses: false }, epochs)
    }
}

impl Callback for Counter {
    fn kind(&self) -> &str {
        self.kind
    }

    fn state(&self) -> CallbackState {
        CallbackState { settings: json!(*self.epochs.lock().unwrap()), tensors: Vec::new() }
    }

    fn restore(&mut self, state: CallbackState) -> Result<()> {
        if self.refuses {
            return Err(Error::custom("I will not"));
        }
        *self.epochs.lock().unwrap() = state.settings.as_u64().ok_or_else(|| Error::custom("no number"))?;
        Ok(())
    }

    fn on_train_begin(&mut self, _: &mut Event<'_>) -> Result<()> {
        *self.epochs.lock().unwrap() = 0;
        Ok(())
    }

    fn on_epoch_end(&mut self, _: &mut Event<'_>) -> Result<()> {
        *self.epochs.lock().unwrap() += 1;
        Ok(())
    }
}

#[test]
fn callbacks_may_come_and_go() -> Result<()> {
    let folder = folder();
    let path = checkpoint(&folder, trainer().callback(Counter::new("old").0))?;
    let (counter, new) = Counter::new("new");
    let (mut model, mut trainer) = (model(), trainer().callback(counter));
    trainer.load_checkpoint(&mut model, &path)?;
    let history = trainer.fit(&mut model, digits(20)?)?;
    assert_eq!(history.warnings(), ["the checkpoint has the state of a callback old, of which there is none"]);
    assert_eq!((history.epochs().len(), *new.lock().unwrap()), (2, 1));
    // One that was there goes on counting; the epoch that was cut short does not count twice.
    let (counter, old) = Counter::new("old");
    let mut trainer = self::trainer().callback(counter);
    trainer.load_checkpoint(&mut model, &path)?;
    assert_eq!(*old.lock().unwrap(), 1);
    let history = trainer.fit(&mut model, digits(20)?)?;
    assert_eq!((history.warnings().len(), *old.lock().unwrap()), (0, 2));
    Ok(())
}

#[test]
fn two_callbacks_of_a_kind_are_told_apart_by_their_order() -> Result<()> {
    let folder = folder();
    let ((first, one), (second, two)) = (Counter::new("twin"), Counter::new("twin"));
    let path = folder.path().join("twins");
    let (mut model, mut trainer) = (model(), trainer().callback(first).callback(second));
    trainer.fit(&mut model, digits(20)?)?;
    trainer.save_checkpoint(&model, &path)?;
    (*one.lock().unwrap(), *two.lock().unwrap()) = (0, 0);
    trainer.load_checkpoint(&mut model, &path)?;
    assert_eq!((*one.lock().unwrap(), *two.lock().unwrap()), (2, 2));
    let message = refused(&path, self::trainer().callback(Counter::new("twin").0), self::model)?;
    assert_eq!(message, "PATH: the number of callbacks twin must be 2, as in the checkpoint, got 1");
    Ok(())
}

#[test]
fn a_callback_that_refuses_its_state_leaves_the_others_as_they_were() -> Result<()> {
    let folder = folder();
    let path = checkpoint(&folder, trainer().callback(Counter::new("a").0).callback(Counter::new("b").0))?;
    let ((first, epochs), (second, _)) = (Counter::new("a"), Counter::new("b"));
    *epochs.lock().unwrap() = 77;
    let unwilling = Counter { refuses: true, ..second };
    let message = refused(&path, trainer().callback(first).callback(unwilling), model)?;
    assert_eq!(message, "PATH: callback b: I will not");
    assert_eq!(*epochs.lock().unwrap(), 77);
    Ok(())
}

/// Calls a closure at one of its events.
struct At<F>(&'static str, F);

impl<F: FnMut(&mut Event<'_>) + Send> At<F> {
    fn call(&mut self, name: &str, event: &mut Event<'_>) -> Result<()> {
        if name == self.0 {
            (self.1)(event);
        }
        Ok(())
    }
}

impl<F: FnMut(&mut Event<'_>) + Send> Callback for At<F> {
    fn on_train_begin(&mut self, event: &mut Event<'_>) -> Result<()> {
        self.call("begin", event)
    }

    fn on_epoch_end(&mut self, event: &mut Event<'_>) -> Result<()> {
        self.call("epoch", event)
    }

    fn on_validation_begin(&mut self, event: &mut Event<'_>) -> Result<()> {
        self.call("validation", event)
    }

    fn on_validation_end(&mut self, event: &mut Event<'_>) -> Result<()> {
        self.call("validated", event)
    }
}

#[test]
fn what_callbacks_ask_for_is_done_in_order_until_it_fails() -> Result<()> {
    let folder = folder();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("old"), "old").expect("the folder can be written to");
    let [weights, whole, old, never] = ["weights", "model", "old", "never"].map(path);
    let nowhere = folder.path().join("no such folder").join("x");
    let asking = At("epoch", {
        let (weights, whole, old, never, nowhere) =
            (weights.clone(), whole.clone(), old.clone(), never.clone(), nowhere.clone());
        move |event: &mut Event<'_>| {
            event.save_weights(&weights);
            event.save_model(&whole);
            event.remove_file(&old);
            // It is gone already: nothing is left to do.
            event.remove_file(&old);
            event.save_checkpoint(&nowhere);
            event.save_weights(&never);
        }
    });
    let mut model = model();
    let error = trainer().callback(asking).fit(&mut model, digits(20)?).expect_err("there is no such folder");
    assert!(matches!(&error, Error::Io { path, .. } if *path == nowhere), "{error}");
    assert!(weights.exists() && whole.exists() && !old.exists() && !never.exists());
    load_weights(&mut model, &weights)?;
    load_model(&whole)?;
    Ok(())
}

#[test]
fn checkpoints_wait_for_the_end_of_a_validation_and_runs_go_on_only_from_the_beginning() -> Result<()> {
    let folder = folder();
    let path = checkpoint(&folder, trainer())?;
    let split = || trainer().validation_split(ValidationSplit::Last(0.5));
    for moment in ["validation", "validated"] {
        let to = path.clone();
        let asking = At(moment, move |event: &mut Event<'_>| event.save_checkpoint(&to));
        let message = split().callback(asking).fit(&mut model(), digits(20)?).expect_err("too early").to_string();
        assert_eq!(message, format!("a checkpoint ({}) cannot be saved during a validation", path.display()));
    }
    let from = path.clone();
    let asking = At("epoch", move |event: &mut Event<'_>| event.resume_from(&from));
    let message = trainer().callback(asking).fit(&mut model(), digits(20)?).expect_err("too late").to_string();
    assert_eq!(message, format!("a run can go on from a checkpoint ({}) only before its first epoch", path.display()));
    Ok(())
}

#[test]
fn a_callback_takes_up_a_run() -> Result<()> {
    let folder = folder();
    let path = checkpoint(&folder, trainer())?;
    let (mut whole, mut whole_trainer) = (model(), trainer());
    let expected = whole_trainer.fit(&mut whole, digits(20)?)?;
    let resume = |path: &Path| {
        let path = path.to_owned();
        At("begin", move |event: &mut Event<'_>| event.resume_from(&path))
    };
    let (mut model, mut resumed) = (model(), trainer().callback(resume(&path)));
    assert_eq!(course(&resumed.fit(&mut model, digits(20)?)?), course(&expected));
    assert!(contents(&resumed, &model)? == contents(&whole_trainer, &whole)?);
    // What does not fit ends the run before it has begun.
    let (mut other, mut unfit) = (self::model(), trainer().callback(resume(&path)));
    let message = unfit.fit(&mut other, digits(21)?).expect_err("other data").to_string();
    assert_eq!(message, format!("{}: data.samples must be 20, as in the checkpoint, got 21", path.display()));
    assert_eq!(unfit.steps(), 0);
    Ok(())
}
