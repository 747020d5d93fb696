//! What callbacks do in a run, how they are resumed, and what they refuse.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use layerwise::data::datasets;
use layerwise::io;
use layerwise::prelude::*;
use layerwise::train::callbacks::{CallbackState, Interrupt, JsonLinesLog, LambdaCallback, TerminateOnNaN, TimeBudget};
use ndarray::{Array2, array};
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};

/// A metric that takes one value of a list after another, epoch by epoch.
struct Listed {
    name: &'static str,
    values: Vec<f64>,
    epoch: usize,
}

fn listed(name: &'static str, values: &[f64]) -> Listed {
    Listed { name, values: values.to_vec(), epoch: 0 }
}

impl Metric for Listed {
    fn name(&self) -> &str {
        self.name
    }

    fn update(&mut self, _: &Tensor, _: &Tensor, _: Option<&[f32]>) -> Result<()> {
        Ok(())
    }

    fn result(&self) -> f64 {
        self.values[(self.epoch - 1).min(self.values.len() - 1)]
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

/// Eight samples of y = 2 x, in two batches.
fn line() -> Dataset {
    let x = Array2::from_shape_fn((8, 1), |(row, _)| row as f32 / 8.0);
    Dataset::new(&x, &(&x * 2.0)).unwrap()
}

fn slope() -> Sequential {
    Sequential::new().add(Dense::new(1))
}

fn trainer(epochs: usize) -> Trainer {
    let trainer = Trainer::new(MeanSquaredError::new(), Sgd::new(0.125)).batch_size(4).epochs(epochs);
    trainer.progress(Progress::Silent)
}

fn bits(model: &dyn Layer) -> Vec<u32> {
    model.params().iter().flat_map(|(_, param)| param.values().unwrap().iter().map(|w| w.to_bits())).collect()
}

/// The names of the files in a folder, in order.
fn files(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = entries.collect();
    names.sort();
    names
}

fn path(folder: &TempDir, name: &str) -> String {
    folder.path().join(name).into_os_string().into_string().unwrap()
}

/// Notes something of every epoch's end.
fn at_epoch_ends<T: Send + 'static>(
    seen: &Arc<Mutex<Vec<T>>>,
    note: impl Fn(&mut Event<'_>) -> T + Send + 'static,
) -> LambdaCallback {
    let seen = Arc::clone(seen);
    LambdaCallback::new().on_epoch_end(move |event| {
        let noted = note(event);
        seen.lock().unwrap().push(noted);
        Ok(())
    })
}

// Files of models.

#[test]
fn a_model_is_saved_after_each_epoch_under_the_numbers_in_its_path() -> Result<()> {
    let folder = tempdir().unwrap();
    let seen = Arc::default();
    let template = path(&folder, "some/where/{epoch:02}-{step}-{loss:.1}.safetensors");
    let mut model = slope();
    let history = trainer(3)
        .callback(ModelCheckpoint::new(template).weights())
        .callback(at_epoch_ends(&seen, |event| bits(&*event.model)))
        .fit(&mut model, line())?;
    for (epoch, weights) in history.epochs().iter().zip(seen.lock().unwrap().iter()) {
        let name = format!("{:02}-{}-{:.1}.safetensors", epoch.number, 2 * epoch.number, epoch.get("loss").unwrap());
        let mut loaded = slope();
        loaded.initialize(&[1], 9)?;
        io::load_weights(&mut loaded, folder.path().join("some/where").join(&name))?;
        assert_eq!(bits(&loaded), *weights, "{name}");
    }
    assert_eq!(files(&folder.path().join("some/where")).len(), 3);
    Ok(())
}

#[test]
fn of_many_files_the_newest_are_kept() -> Result<()> {
    let folder = tempdir().unwrap();
    let by_epoch = ModelCheckpoint::new(path(&folder, "e{epoch}")).weights().every_epochs(2).keep(2);
    let by_step = ModelCheckpoint::new(path(&folder, "s{step:03}-{epoch}-{batch}")).weights().every_steps(3).keep(1);
    trainer(9).callback(by_epoch).callback(by_step).fit(&mut slope(), line())?;
    assert_eq!(files(folder.path()), ["e6", "e8", "s018-9-2"]);
    Ok(())
}

#[test]
fn of_many_files_the_best_are_kept() -> Result<()> {
    let values = [0.5, f64::NAN, 0.25, 0.5, 0.75, 0.25, 0.625, 0.125];
    let run = |make: fn(String) -> ModelCheckpoint, name: &str| -> Result<Vec<String>> {
        let folder = tempdir().unwrap();
        let callback = make(path(&folder, name)).weights().monitor("score").best_only();
        trainer(8).metric(listed("score", &values)).callback(callback).fit(&mut slope(), line())?;
        Ok(files(folder.path()))
    };
    // Larger is better: 1, then 5.
    assert_eq!(run(|path| ModelCheckpoint::new(path).maximize(), "{epoch}")?, ["1", "5"]);
    assert_eq!(run(|path| ModelCheckpoint::new(path).maximize().keep(1), "{epoch}")?, ["5"]);
    assert_eq!(run(|path| ModelCheckpoint::new(path).maximize().keep(3), "{epoch}")?, ["4", "5", "7"]);
    assert_eq!(run(|path| ModelCheckpoint::new(path).maximize().threshold(0.5), "{epoch}")?, ["5"]);
    // Smaller is better: 1, 3, 8.
    assert_eq!(run(|path| ModelCheckpoint::new(path).minimize(), "{epoch}")?, ["1", "3", "8"]);
    assert_eq!(run(|path| ModelCheckpoint::new(path).minimize().keep(2), "{epoch}")?, ["6", "8"]);
    assert_eq!(run(|path| ModelCheckpoint::new(path).minimize().every_epochs(2), "{epoch}")?, ["4", "6", "8"]);
    assert_eq!(run(|path| ModelCheckpoint::new(path).minimize(), "one")?, ["one"]);
    Ok(())
}

#[test]
fn what_is_saved_beside_averages_are_the_averages() -> Result<()> {
    let folder = tempdir().unwrap();
    let mut model = slope();
    let plain = Arc::default();
    trainer(4)
        .callback(at_epoch_ends(&plain, |event| bits(&*event.model)))
        .callback(WeightAveraging::ema(0.5).in_validation())
        .callback(ModelCheckpoint::new(path(&folder, "{epoch}")).weights())
        .fit(&mut model, line())?;
    let mut loaded = slope();
    loaded.initialize(&[1], 9)?;
    io::load_weights(&mut loaded, folder.path().join("4"))?;
    assert_eq!(bits(&loaded), bits(&model));
    assert_ne!(bits(&model), *plain.lock().unwrap()[3]);
    // Training itself does not notice.
    let mut same = slope();
    trainer(4).fit(&mut same, line())?;
    assert_eq!(bits(&same), plain.lock().unwrap()[3]);
    Ok(())
}

/// y = factor x.
struct Scale {
    factor: Param,
}

impl Layer for Scale {
    layerwise::visit_params!(f32; factor);

    fn kind(&self) -> &str {
        "Scale"
    }

    fn build(&mut self, input: &[usize], init: &mut Init) -> Result<Vec<usize>> {
        init.param(&mut self.factor, &[1], &Initializer::Constant(0.5))?;
        self.output_shape(input)
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        Ok(input.to_vec())
    }

    fn forward(&self, x: &Tensor, _: &mut Context) -> Result<Tensor> {
        Ok((x * self.factor.values()?[0]).into_shared())
    }

    fn backward(&self, x: &Tensor, _: &Tensor, dy: &Tensor, _: bool, ctx: &mut Context) -> Result<Option<Tensor>> {
        if let Some(grad) = ctx.grad(&self.factor) {
            grad.accumulate()[0] += (x * dy).sum();
        }
        Ok(Some((dy * self.factor.values()?[0]).into_shared()))
    }
}

#[test]
fn tied_weights_are_averaged_once_and_stay_tied() -> Result<()> {
    let factor = Param::new();
    let seen = Arc::default();
    let mut model = Sequential::new().add(Scale { factor: factor.tied() }).add(Scale { factor });
    trainer(3)
        .callback(at_epoch_ends(&seen, |event| bits(&*event.model)[0]))
        .callback(WeightAveraging::ema(0.5).every_epochs(1))
        .fit(&mut model, line())?;
    let seen: Vec<f32> = seen.lock().unwrap().iter().map(|&bits| f32::from_bits(bits)).collect();
    let params = model.params();
    let (first, second) = (params[0].1.values()?, params[1].1.values()?);
    assert_eq!(first.as_ptr(), second.as_ptr());
    let average = 0.25 * seen[0] + 0.25 * seen[1] + 0.5 * seen[2];
    assert!((first[0] - average).abs() < 1e-6, "{first:?} {seen:?}");
    Ok(())
}

// The best epoch.

#[test]
fn the_best_weights_and_state_come_back_also_where_no_run_was_stopped() -> Result<()> {
    let seen = Arc::default();
    let mut model = Sequential::new().add(BatchNormalization::new()).add(Dense::new(1));
    trainer(5)
        .metric(listed("score", &[3.0, 1.0, 2.0, 0.5, 2.0]))
        .callback(EarlyStopping::new().monitor("score").minimize().patience(3).restore_best())
        .callback(at_epoch_ends(&seen, |event| bits(&*event.model)))
        .fit(&mut model, line())?;
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 5);
    assert_eq!(bits(&model), seen[3]);
    assert_ne!(seen[3], seen[4]);
    Ok(())
}

#[test]
fn an_epoch_that_was_cut_short_counts_for_nothing() -> Result<()> {
    let folder = tempdir().unwrap();
    let stop = LambdaCallback::new().on_batch_end(|event| {
        if event.epoch == 2 {
            event.stop();
        }
        Ok(())
    });
    // It has no validation, which is no reason to complain.
    let trainer = trainer(5).validation_split(ValidationSplit::Last(0.25)).batch_size(3);
    let history = trainer
        .callback(EarlyStopping::new().restore_best())
        .callback(ReduceLROnPlateau::new())
        .callback(ModelCheckpoint::new(path(&folder, "{epoch}")).weights().best_only())
        .callback(stop)
        .fit(&mut slope(), line())?;
    assert_eq!(history.epochs().len(), 2);
    assert!(history.last().unwrap().get("val_loss").is_none());
    assert_eq!(files(folder.path()), ["1"]);
    Ok(())
}

// Rates.

#[test]
fn a_function_of_epoch_and_rate_sets_the_rate() -> Result<()> {
    let schedule = LearningRateScheduler::new(|epoch, rate| if epoch < 3 { rate } else { rate / 2.0 });
    let history = trainer(5).callback(schedule).fit(&mut slope(), line())?;
    let rates: Vec<_> = history.epochs().iter().map(|epoch| epoch.rate).collect();
    assert_eq!(rates, [0.125, 0.125, 0.0625, 0.03125, 0.015625]);
    Ok(())
}

// Logs.

/// The rows of a log of an epoch's number, rate and seconds and what else there is, without the seconds.
fn rows(text: &str, separator: char) -> Vec<Vec<String>> {
    let fields = |line: &str| line.split(separator).map(str::to_owned).collect::<Vec<_>>();
    let without_seconds = |mut row: Vec<String>| {
        row.remove(2);
        row
    };
    text.lines().map(|line| without_seconds(fields(line))).collect()
}

#[test]
fn logs_have_every_number_of_every_epoch_to_the_last_bit() -> Result<()> {
    let folder = tempdir().unwrap();
    let values = [0.1 + 0.2, f64::NAN, f64::INFINITY, 1e-300];
    let (csv, lines) = (path(&folder, "log.csv"), path(&folder, "log.jsonl"));
    let history = trainer(4)
        .metric(listed("a, \"b\"", &values))
        .callback(CsvLog::new(&csv))
        .callback(JsonLinesLog::new(&lines))
        .fit(&mut slope(), line())?;

    let mut reader = csv::Reader::from_path(&csv).unwrap();
    let header: Vec<_> = reader.headers().unwrap().iter().map(str::to_owned).collect();
    assert_eq!(header, ["epoch", "rate", "seconds", "loss", "a, \"b\""]);
    let json = fs::read_to_string(&lines).unwrap();
    let mut lines = json.lines();
    for (record, epoch) in reader.records().zip(history.epochs()) {
        let record = record.unwrap();
        let logged: Vec<f64> = record.iter().map(|field| field.parse().unwrap()).collect();
        let values: Vec<_> = epoch.values().iter().map(|(_, value)| *value).collect();
        let expected: Vec<_> = [epoch.number as f64, epoch.rate, epoch.seconds].into_iter().chain(values).collect();
        let (logged, expected) =
            [logged, expected].map(|row| row.into_iter().map(f64::to_bits).collect::<Vec<_>>()).into();
        assert_eq!(logged, expected);

        let line = lines.next().unwrap();
        assert!(line.starts_with(&format!("{{\"epoch\":{},\"rate\":0.125,\"seconds\":", epoch.number)), "{line}");
        let object: BTreeMap<String, Value> = serde_json::from_str(line).unwrap();
        for (name, value) in epoch.values() {
            let expected = if value.is_finite() { json!(value) } else { Value::Null };
            assert_eq!(object[name], expected, "{name}");
        }
    }
    assert_eq!(lines.next(), None);
    Ok(())
}

#[test]
fn a_log_begins_anew_or_goes_on_as_it_is_told() -> Result<()> {
    let folder = tempdir().unwrap();
    let (new, more) = (path(&folder, "new.csv"), path(&folder, "more.csv"));
    for epochs in [3, 2] {
        let trainer = trainer(epochs).callback(CsvLog::new(&new).separator(';'));
        trainer.callback(CsvLog::new(&more).append()).fit(&mut slope(), line())?;
    }
    let column = |path: &str, separator| -> Vec<String> {
        rows(&fs::read_to_string(path).unwrap(), separator).into_iter().map(|row| row[0].clone()).collect()
    };
    assert_eq!(column(&new, ';'), ["epoch", "1", "2"]);
    assert_eq!(column(&more, ','), ["epoch", "1", "2", "3", "1", "2"]);

    // Another run has other columns.
    let before = fs::read(&more).unwrap();
    let mut other = trainer(1).metric(listed("score", &[1.0])).callback(CsvLog::new(&more).append());
    let error = other.fit(&mut slope(), line()).unwrap_err().to_string();
    let expected = "begins with epoch,rate,seconds,loss, and the columns of this run are epoch,rate,seconds,loss,score";
    assert_eq!(error, format!("{more}: {expected}"));
    assert_eq!(fs::read(&more).unwrap(), before);
    Ok(())
}

// Numbers that are none.

#[test]
fn a_validation_or_a_weight_that_is_no_number_ends_the_run() -> Result<()> {
    let far = Dataset::<f32>::new(&array![[1.0f32]], &array![[f32::MAX]])?;
    for raise in [false, true] {
        let callback = if raise { TerminateOnNaN::new().raise_error() } else { TerminateOnNaN::new() };
        let ended = trainer(5).validation_data(&far)?.callback(callback.clone()).fit(&mut slope(), line());
        match ended {
            Ok(history) => {
                assert!(!raise && history.epochs().len() == 1);
                let warned = history
                    .warnings()
                    .iter()
                    .any(|warning| warning == "ended by TerminateOnNaN: val_loss is inf after epoch 1");
                assert!(warned, "{:?}", history.warnings());
            }
            Err(error) => assert!(raise && error.to_string() == "val_loss is inf after epoch 1", "{error}"),
        }
        // The running mean of a batch normalisation: no loss of the training tells.
        let spoil = LambdaCallback::new().on_epoch_end(|event| match event.epoch {
            2 => event.model.params_mut()[2].1.set(&array![f32::INFINITY]),
            _ => Ok(()),
        });
        let mut model = Sequential::new().add(BatchNormalization::new()).add(Dense::new(1));
        let ended = trainer(5).callback(spoil).callback(callback).fit(&mut model, line());
        match ended {
            Ok(history) => assert!(!raise && history.epochs().len() == 2),
            Err(error) => {
                assert_eq!(error.to_string(), "parameter 0.running_mean holds inf after epoch 2");
                assert!(raise);
            }
        }
    }
    Ok(())
}

// Closures.

#[test]
fn closures_are_called_in_the_order_of_a_run() -> Result<()> {
    let seen = Arc::new(Mutex::new(String::new()));
    let note = |sign: char| {
        let seen = Arc::clone(&seen);
        move |_: &mut Event<'_>| {
            seen.lock().unwrap().push(sign);
            Ok(())
        }
    };
    let watch = LambdaCallback::new()
        .on_train_begin(note('('))
        .on_epoch_begin(note('<'))
        .on_batch_end(note('.'))
        .on_validation_begin(note('['))
        .on_validation_end(note(']'))
        .on_epoch_end(note('>'))
        .on_train_end(note(')'));
    trainer(2).validation_data(line())?.callback(watch).fit(&mut slope(), line())?;
    assert_eq!(*seen.lock().unwrap(), "(<..[]><..[]>)");
    Ok(())
}

// Going on after a crash.

/// A network in which everything is random or has state, over iris.
fn flowers() -> (Sequential, Dataset) {
    let iris = datasets::iris();
    let model = Sequential::new()
        .add(Dense::new(8).activation(Activation::Tanh))
        .add(BatchNormalization::new())
        .add(Dropout::new(0.25))
        .add(Dense::new(3));
    (model, Dataset::new(&iris.features, &iris.labels).unwrap())
}

const EPOCHS: usize = 7;

/// Every callback that remembers something, with files in this folder. Four steps an epoch.
fn with_everything(folder: &Path, backup: BackupAndRestore) -> Trainer {
    let path = |name: &str| folder.join(name).into_os_string().into_string().unwrap();
    let trainer = Trainer::new(SoftmaxCrossEntropy::new(), Adam::new(0.05))
        .metric(Accuracy::new())
        .validation_split(ValidationSplit::Stratified(0.2))
        .epochs(EPOCHS)
        .seed(3)
        .progress(Progress::Silent);
    trainer
        .callback(backup)
        .callback(WeightAveraging::ema(0.9).warm_up().in_validation().average_state())
        .callback(WeightAveraging::swa().from_epoch(3))
        .callback(LearningRateScheduler::new(|epoch, rate| if epoch == 2 { 0.9 * rate } else { rate }))
        .callback(ReduceLROnPlateau::new().monitor("loss").maximize().factor(0.8).patience(1).cooldown(2))
        .callback(EarlyStopping::new().patience(3).min_delta(0.01).restore_best())
        .callback(ModelCheckpoint::new(path("e{epoch}")).weights().keep(2))
        .callback(ModelCheckpoint::new(path("b{epoch}")).weights().best_only().keep(2))
        .callback(CsvLog::new(path("log.csv")).append())
        .callback(JsonLinesLog::new(path("log.jsonl")))
        .callback(TimeBudget::new(Duration::from_secs(3600)).in_total())
}

/// Everything that a run leaves behind but the seconds it took.
#[derive(PartialEq, Debug)]
struct Left {
    weights: Vec<u32>,
    logs: Vec<Vec<(String, u64)>>,
    rates: Vec<u64>,
    csv: Vec<Vec<String>>,
    epochs_of_json: Vec<Value>,
    files: Vec<(String, Vec<u32>)>,
}

fn left(model: &Sequential, history: &History, folder: &Path) -> Result<Left> {
    let mut saved = Vec::new();
    for name in files(folder).into_iter().filter(|name| !name.starts_with("log")) {
        let mut model = flowers().0;
        model.initialize(&[4], 0)?;
        io::load_weights(&mut model, folder.join(&name))?;
        saved.push((name, bits(&model)));
    }
    let logs = |epoch: &layerwise::train::Epoch| -> Vec<_> {
        epoch.values().iter().map(|(name, value)| (name.clone(), value.to_bits())).collect()
    };
    let json = fs::read_to_string(folder.join("log.jsonl")).unwrap();
    Ok(Left {
        weights: bits(model),
        logs: history.epochs().iter().map(logs).collect(),
        rates: history.epochs().iter().map(|epoch| epoch.rate.to_bits()).collect(),
        csv: rows(&fs::read_to_string(folder.join("log.csv")).unwrap(), ','),
        epochs_of_json: json
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap()["epoch"].clone())
            .collect(),
        files: saved,
    })
}

#[test]
fn a_run_that_crashed_goes_on_as_if_nothing_had_happened() -> Result<()> {
    let whole = tempdir().unwrap();
    let (mut model, data) = flowers();
    let backup = |folder: &TempDir| BackupAndRestore::new(folder.path().join("backup"));
    let history = with_everything(whole.path(), backup(&whole)).fit(&mut model, &data)?;
    let expected = left(&model, &history, whole.path())?;
    // There is something to get wrong.
    assert!(expected.rates.first() != expected.rates.last() && expected.files.len() == 4, "{expected:?}");

    for (crash, every_steps) in [(1, 1), (4, 1), (6, 1), (11, 3), (12, 4), (15, 1), (9, 0), (12, 0), (18, 0), (3, 0)] {
        let folder = tempdir().unwrap();
        let backup = || if every_steps == 0 { backup(&folder) } else { backup(&folder).every_steps(every_steps) };
        let crash_at = LambdaCallback::new().on_batch_end(move |event| match event.step {
            step if step == crash => Err(Error::custom("crash")),
            _ => Ok(()),
        });
        let (mut model, data) = flowers();
        let crashed = with_everything(folder.path(), backup()).callback(crash_at).fit(&mut model, &data);
        assert_eq!(crashed.unwrap_err().to_string(), "crash");

        let (mut model, data) = flowers();
        let mut trainer = with_everything(folder.path(), backup()).callback(LambdaCallback::new());
        let history = trainer.fit(&mut model, &data)?;
        assert_eq!(left(&model, &history, folder.path())?, expected, "crash at {crash}, backups every {every_steps}");
    }
    Ok(())
}

#[test]
fn a_backup_outlives_errors_and_interruptions_and_no_others() -> Result<()> {
    let folder = tempdir().unwrap();
    let backup = folder.path().join("backup");
    let run = |stop: fn(&mut Event<'_>) -> Result<()>| {
        let at_five = move |event: &mut Event<'_>| if event.step == 5 { stop(event) } else { Ok(()) };
        let mut trainer = trainer(4).callback(BackupAndRestore::new(&backup));
        trainer = trainer.callback(LambdaCallback::new().on_batch_end(at_five));
        (trainer.fit(&mut slope(), line()).map(|history| history.epochs().len()), backup.exists())
    };
    assert!(matches!(run(|_| Err(Error::custom("crash"))), (Err(_), true)));
    fs::remove_file(&backup).unwrap();
    let ended = run(|event| {
        event.stop();
        Ok(())
    });
    assert!(matches!(ended, (Ok(3), false)), "{ended:?}");
    let ended = run(|event| {
        event.interrupt();
        Ok(())
    });
    assert!(matches!(ended, (Ok(3), true)), "{ended:?}");
    // It goes on behind the fifth step, and ends well.
    let ended = run(|_| Err(Error::custom("the fifth step again")));
    assert!(matches!(ended, (Ok(4), false)), "{ended:?}");
    trainer(2).callback(BackupAndRestore::new(&backup).keep()).fit(&mut slope(), line())?;
    assert!(backup.exists());
    Ok(())
}

#[test]
fn a_time_budget_ends_the_run_after_the_step_that_uses_it_up() -> Result<()> {
    let folder = tempdir().unwrap();
    let file = folder.path().join("later.checkpoint");
    let mut spent = trainer(3).callback(TimeBudget::new(Duration::ZERO).checkpoint(&file));
    let history = spent.fit(&mut slope(), line())?;
    assert_eq!((history.epochs().len(), spent.steps()), (1, 1));

    let with = |budget: TimeBudget| trainer(3).callback(budget);
    let mut model = slope();
    let mut rich = with(TimeBudget::new(Duration::from_secs(3600)));
    rich.load_checkpoint(&mut model, &file)?;
    rich.fit(&mut model, line())?;
    let mut undisturbed = slope();
    trainer(3).fit(&mut undisturbed, line())?;
    assert_eq!((rich.steps(), bits(&model)), (6, bits(&undisturbed)));
    Ok(())
}

// Bad inputs.

/// The error that a run ends with because of a callback.
fn refused(callback: impl Callback + 'static) -> String {
    let ended = trainer(2).metric(listed("gini", &[1.0])).callback(callback).fit(&mut slope(), line());
    ended.expect_err("a run with a callback that cannot work").to_string()
}

#[test]
fn a_number_that_is_not_logged_is_named_with_those_that_are() {
    let error = refused(EarlyStopping::new());
    assert_eq!(error, "monitor of EarlyStopping must be one of loss, gini, got val_loss");
    let error = refused(ReduceLROnPlateau::new().monitor("accuracy"));
    assert_eq!(error, "monitor of ReduceLROnPlateau must be one of loss, gini, got accuracy");
    let error = refused(ModelCheckpoint::new("never").best_only());
    assert_eq!(error, "monitor of ModelCheckpoint must be one of loss, gini, got val_loss");
    let error = refused(EarlyStopping::new().monitor("gini"));
    let requirement = "followed by minimize() or maximize() where its name does not tell which is better";
    assert_eq!(error, format!("monitor of EarlyStopping must be {requirement}, got gini"));
}

#[test]
fn settings_that_cannot_work_are_refused_before_the_first_epoch() {
    let size = "must be a finite number of at least 0";
    for (wrong, shown) in [(-1.0, "-1"), (f64::NAN, "NaN"), (f64::INFINITY, "inf")] {
        let error = refused(EarlyStopping::new().min_delta(wrong));
        assert_eq!(error, format!("min_delta of EarlyStopping {size}, got {shown}"));
        let error = refused(ReduceLROnPlateau::new().min_rate(wrong));
        assert_eq!(error, format!("min_rate of ReduceLROnPlateau {size}, got {shown}"));
        let error = refused(LearningRateScheduler::new(move |_, _| wrong));
        assert_eq!(error, format!("LearningRateScheduler: learning rate {size}, got {shown}"));
        let error = refused(WeightAveraging::<f32>::ema(wrong));
        assert_eq!(error, format!("decay of WeightAveraging must be from 0 to below 1, got {shown}"));
    }
    let error = refused(EarlyStopping::new().baseline(f64::NAN));
    assert_eq!(error, "baseline of EarlyStopping must be a finite number, got NaN");
    for wrong in [0.0, 1.0, -0.5, f64::NAN] {
        let error = refused(ReduceLROnPlateau::new().factor(wrong));
        assert_eq!(error, format!("factor of ReduceLROnPlateau must be between 0 and 1, got {wrong}"));
    }
    let error = refused(WeightAveraging::<f32>::swa().every_epochs(0));
    assert_eq!(error, "every_epochs of WeightAveraging must be at least 1, got 0");
    let error = refused(WeightAveraging::<f32>::ema(0.9).every_steps(0));
    assert_eq!(error, "every_steps of WeightAveraging must be at least 1, got 0");
    let error = refused(WeightAveraging::<f32>::swa().from_epoch(0));
    assert_eq!(error, "from_epoch of WeightAveraging must be at least 1, got 0");
    let error = refused(BackupAndRestore::new("never").every_epochs(0));
    assert_eq!(error, "every_epochs of BackupAndRestore must be at least 1, got 0");
    let error = refused(CsvLog::new("never").separator('x'));
    let signs = "a tab, a space or an ASCII sign that stands in no number or name";
    assert_eq!(error, format!("separator of CsvLog must be {signs}, got x"));
    assert!(!Path::new("never").exists());
}

#[test]
fn a_model_checkpoint_that_cannot_work_is_refused_before_the_first_epoch() {
    let error = refused(ModelCheckpoint::new("{").weights());
    assert!(error.starts_with("ModelCheckpoint: path must be a path in which braces stand around a field"), "{error}");
    let error = refused(ModelCheckpoint::new("x").keep(0));
    assert_eq!(error, "keep of ModelCheckpoint must be at least 1, got 0");
    let several = "so that there are several files to keep";
    let error = refused(ModelCheckpoint::new("{loss}").keep(2));
    assert_eq!(
        error,
        format!("path of ModelCheckpoint must be one with {{epoch}} or {{step}} in it, {several}, got {{loss}}")
    );
    let error = refused(ModelCheckpoint::new("{epoch}").every_steps(2).keep(2));
    assert_eq!(error, format!("path of ModelCheckpoint must be one with {{step}} in it, {several}, got {{epoch}}"));
    let error = refused(ModelCheckpoint::new("x").every_steps(2).best_only());
    assert_eq!(error, "best_only of ModelCheckpoint must be used after epochs, got every_steps");
    let error = refused(ModelCheckpoint::new("x").every_steps(0));
    assert_eq!(error, "every_steps of ModelCheckpoint must be at least 1, got 0");
    let error = refused(ModelCheckpoint::new("x").threshold(f64::NAN));
    assert_eq!(error, "threshold of ModelCheckpoint must be a finite number, got NaN");
    let error = refused(ModelCheckpoint::new("{val_loss}").weights());
    let fields = "epoch, batch, step, rate, loss, gini";
    assert_eq!(error, format!("ModelCheckpoint: field of the path must be one of {fields}, got val_loss"));
}

#[test]
fn a_file_that_cannot_be_written_is_named() {
    let folder = tempdir().unwrap();
    let taken = path(&folder, "taken");
    fs::write(&taken, "a file, and no folder").unwrap();
    let below = format!("{taken}/x");
    for error in [refused(CsvLog::new(&below)), refused(JsonLinesLog::new(&below))] {
        assert!(error.starts_with(&format!("{below}: ")), "{error}");
    }
    let error = refused(ModelCheckpoint::new(&below).weights());
    assert!(error.starts_with(&format!("{taken}: ")), "{error}");
    let error = refused(BackupAndRestore::new(format!("{taken}x/y")));
    assert!(error.starts_with(&format!("{taken}x/y: ")), "{error}");

    // What is no checkpoint is not taken for one, and stays.
    let error = refused(BackupAndRestore::new(&taken));
    assert!(error.starts_with(&format!("{taken}: ")), "{error}");
    assert_eq!(fs::read_to_string(&taken).unwrap(), "a file, and no folder");
}

#[test]
fn a_metric_that_is_called_like_another_column_is_refused_by_logs() {
    let folder = tempdir().unwrap();
    let run = |log: CsvLog| trainer(1).metric(listed("rate", &[1.0])).callback(log).fit(&mut slope(), line());
    let error = run(CsvLog::new(path(&folder, "log"))).unwrap_err().to_string();
    assert_eq!(error, "name of a metric in a log must be none of epoch, rate, seconds, got rate");
}

#[test]
fn weights_of_another_model_are_not_put_into_this_one() -> Result<()> {
    let other = |name: &str, shape: &[usize]| CallbackState {
        settings: json!({ "best": 1.0, "wait": 0, "updates": 1, "swapped": false }),
        tensors: vec![(name.to_owned(), Tensor::zeros(shape)), ("0.bias".to_owned(), Tensor::zeros(vec![1]))],
    };
    let cases = [
        (other("1.weight", &[1, 1]), "name of a parameter of the model must be 1.weight, as was kept, got 0.weight"),
        (other("0.weight", &[2, 1]), "parameter 0.weight: expected shape [2, 1], as was kept, got shape [1, 1]"),
        (
            CallbackState { tensors: other("0.weight", &[1, 1]).tensors[..1].to_vec(), ..other("", &[1]) },
            "parameters of the model against those that were kept: expected length 1, got 2",
        ),
    ];
    for (state, expected) in cases {
        let (mut stopping, mut averaging) = (EarlyStopping::new(), WeightAveraging::ema(0.5));
        stopping.restore(state.clone())?;
        averaging.restore(state)?;
        let untimely = LambdaCallback::new().on_epoch_end(move |event| {
            let before = bits(&*event.model);
            let error = stopping.on_train_end(event).unwrap_err().to_string();
            assert_eq!(error, format!("EarlyStopping: {expected}"));
            let error = averaging.on_train_end(event).unwrap_err().to_string();
            let other = "the model has other parameters than those that were averaged";
            assert_eq!(error, format!("WeightAveraging: {other}"));
            assert_eq!(bits(&*event.model), before);
            Ok(())
        });
        trainer(1).callback(untimely).fit(&mut slope(), line())?;
    }
    Ok(())
}

/// A value of JSON that a state may hold where another is expected.
fn any_value(rng: &mut impl Rng, depth: usize) -> Value {
    match rng.random_range(0..if depth < 3 { 10 } else { 8 }) {
        0 => Value::Null,
        1 => json!(rng.random::<bool>()),
        2 => json!(rng.random::<u64>()),
        3 => json!(u64::MAX),
        4 => json!(-1),
        5 => json!(rng.random::<f64>() * 1e300),
        6 => json!(["NaN", "inf", "-inf", "1e400", "-5", "0", "x", ""][rng.random_range(0..8)]),
        7 => json!("9".repeat(rng.random_range(0..400))),
        8 => (0..rng.random_range(0..4)).map(|_| any_value(rng, depth + 1)).collect(),
        _ => json!({ "best": any_value(rng, depth + 1), "wait": any_value(rng, depth + 1) }),
    }
}

#[test]
fn any_state_is_taken_whole_or_refused_and_a_run_goes_on_either_way() -> Result<()> {
    let folder = tempdir().unwrap();
    type Make = fn(&TempDir) -> Box<dyn Callback>;
    let makers: [Make; 7] = [
        |_| Box::new(EarlyStopping::new().monitor("loss").restore_best()),
        |_| Box::new(ReduceLROnPlateau::new().monitor("loss")),
        |folder| Box::new(ModelCheckpoint::new(path(folder, "{epoch}")).weights().keep(2)),
        |folder| Box::new(CsvLog::new(path(folder, "log.csv"))),
        |folder| Box::new(JsonLinesLog::new(path(folder, "log.jsonl"))),
        |_| Box::new(TimeBudget::new(Duration::from_secs(3600)).in_total()),
        |_| Box::new(WeightAveraging::<f32>::ema(0.5)),
    ];
    let keys = ["best", "wait", "cooling", "kept", "start", "seconds", "updates", "swapped"];
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(11);
    let (mut taken, mut refused) = (0, 0);
    for round in 0..2000 {
        for make in makers {
            let mut callback = make(&folder);
            // A good state with one value exchanged, or anything.
            let mut state = callback.state();
            match round % 3 {
                0 => state.settings = any_value(&mut rng, 0),
                _ => state.settings[keys[rng.random_range(0..keys.len())]] = any_value(&mut rng, 0),
            }
            let before = callback.state();
            match callback.restore(state) {
                Ok(()) => taken += 1,
                Err(error) => {
                    refused += 1;
                    assert!(error.to_string().contains(callback.kind()), "{error}");
                    if callback.kind() != "TimeBudget" {
                        assert_eq!(callback.state().settings, before.settings);
                    }
                }
            }
        }
    }
    println!("{taken} states taken, {refused} refused");
    assert!(taken > 1000 && refused > 1000);
    Ok(())
}

// Ctrl-C.

/// What the tests below run in a process of its own.
#[test]
fn child() -> Result<()> {
    let Ok(folder) = std::env::var("LAYERWISE_CALLBACKS_CHILD") else { return Ok(()) };
    let folder = Path::new(&folder);
    // The test's name stands on the line so far.
    println!();
    let [stubborn, failing] = ["stubborn", "failing"].map(|name| folder.ends_with(name));
    let ready = LambdaCallback::new().on_batch_end(move |event| {
        if event.step == 5 {
            println!("ready");
        }
        if failing && event.step == 5 {
            return Err(Error::custom("failed"));
        }
        if stubborn && event.step == 5 {
            wait_for_the_end();
        }
        Ok(())
    });
    let mut trainer = trainer(1_000_000_000)
        .callback(BackupAndRestore::new(folder.join("backup")).every_epochs(1_000_000_000))
        .callback(ready)
        .callback(Interrupt::new().checkpoint(folder.join("checkpoint")));
    let ended = trainer.fit(&mut slope(), line());
    assert_eq!(ended.is_err(), failing);
    println!("ended after {} steps", trainer.steps());
    wait_for_the_end()
}

/// Says from time to time that the process lives.
fn wait_for_the_end() -> ! {
    loop {
        println!("still here");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[cfg(unix)]
mod signals {
    use std::io::{BufRead, BufReader, Lines};
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Child, ChildStdout, Command, Stdio};

    use super::*;

    struct Process {
        child: Child,
        lines: Lines<BufReader<ChildStdout>>,
    }

    impl Process {
        fn start(folder: &Path) -> Self {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.args(["child", "--exact", "--nocapture", "--test-threads=1"]);
            command.env("LAYERWISE_CALLBACKS_CHILD", folder).stdout(Stdio::piped()).stderr(Stdio::null());
            let mut child = command.spawn().unwrap();
            let lines = BufReader::new(child.stdout.take().unwrap()).lines();
            Process { child, lines }
        }

        /// Waits for a line that begins with this.
        fn wait_for(&mut self, start: &str) -> String {
            let line = self.lines.by_ref().map(Result::unwrap).find(|line| line.starts_with(start));
            line.unwrap_or_else(|| panic!("the process ended before it said {start:?}"))
        }

        fn press_ctrl_c(&self) {
            let pid = self.child.id().to_string();
            assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
        }

        /// The signal that has ended it.
        fn signal(mut self) -> Option<i32> {
            self.child.wait().unwrap().signal()
        }
    }

    impl Drop for Process {
        /// A test that fails leaves nothing behind.
        fn drop(&mut self) {
            let _ = self.child.kill();
        }
    }

    #[test]
    fn the_first_ctrl_c_ends_the_run_and_one_outside_of_a_run_the_process() -> Result<()> {
        let folder = tempdir().unwrap();
        let mut process = Process::start(folder.path());
        process.wait_for("ready");
        process.press_ctrl_c();
        let ended = process.wait_for("ended after");
        process.wait_for("still here");
        process.press_ctrl_c();
        assert_eq!(process.signal(), Some(2), "after the run Ctrl-C does what it always does");

        // Both the checkpoint that was asked for and the backup are there, and are where the run was.
        assert_eq!(files(folder.path()), ["backup", "checkpoint"]);
        for name in ["backup", "checkpoint"] {
            let mut trainer = trainer(1_000_000_000);
            trainer.load_checkpoint(&mut slope(), folder.path().join(name))?;
            assert!(ended.ends_with(&format!(" {} steps", trainer.steps())), "{ended}");
        }
        Ok(())
    }

    #[test]
    fn after_a_run_that_failed_ctrl_c_ends_the_process() {
        let folder = tempdir().unwrap();
        let mut process = Process::start(&folder.path().join("failing"));
        process.wait_for("ended after");
        process.press_ctrl_c();
        assert_eq!(process.signal(), Some(2));
    }

    #[test]
    fn the_second_ctrl_c_ends_the_process() {
        let folder = tempdir().unwrap();
        let mut process = Process::start(&folder.path().join("stubborn"));
        process.wait_for("ready");
        process.press_ctrl_c();
        // It lives on in a step that does not end.
        for _ in 0..10 {
            process.wait_for("still here");
        }
        process.press_ctrl_c();
        assert_eq!(process.signal(), Some(2));
    }
}
