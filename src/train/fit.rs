//! A training run: epochs over shuffled batches, validation, callbacks.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Instant;

use rand::seq::SliceRandom;

use super::callbacks::{Event, Moment, ProgressReport, Request, Wishes};
use super::checkpoint::{Kept, Loaded, Position, Samples};
use super::evaluate::Mean;
use super::feed::{Feed, Plan};
use super::history::{Epoch, History, Logs};
use super::settings::data_settings;
use super::task::{Batch, Rows, Targets, Task};
use super::trainer::{Trainer, Validation};
use crate::data::augmentation::Draw;
use crate::data::{Dataset, ValidationSplit};
use crate::error::{Error, Result};
use crate::io::{self, TensorFile};
use crate::layer::Layer;
use crate::scalar::Scalar;
use crate::seed::{Stream, stream};

/// The part of the data that errors and warnings name.
const VALIDATION: &str = "validation data";

/// The part of a run that errors of augmentations name.
pub(super) const AUGMENTATION: &str = "augmentation";

/// The samples to train on, and those to validate on.
struct Parts<'s, A: Scalar> {
    training: Cow<'s, Dataset<A>>,
    held_back: Option<Cow<'s, Dataset<A>>>,
    warnings: Vec<String>,
}

/// What a run works on, and where it is.
pub(super) struct Run<'r, A: Scalar> {
    pub(super) model: &'r mut dyn Layer<A>,
    training: &'r Dataset<A>,
    held_back: Option<&'r Dataset<A>>,
    /// Where batches come from, if they are augmented.
    feed: Option<Feed<A>>,
    progress: ProgressReport,
    wishes: Wishes,
    samples: Samples,
    at: Place,
    /// When this process took up the epoch.
    begun: Instant,
}

/// Where a run is.
#[derive(Clone, Default)]
pub(super) struct Place {
    /// The epoch, counted from 1; 0 before the first.
    pub(super) epoch: usize,
    /// How many of its batches were trained on.
    pub(super) batch: usize,
    /// Whether the epoch is over and in the history.
    pub(super) over: bool,
    /// Of the last batch.
    pub(super) loss: f64,
    /// How long other processes have worked on the epoch.
    pub(super) seconds: f64,
    /// The losses of the epoch so far.
    pub(super) means: Vec<Mean>,
    /// What regularizers have added to them.
    pub(super) penalty: Mean,
    pub(super) history: History,
}

impl Place {
    /// Before the first epoch.
    fn start(history: History) -> Self {
        Place { over: true, loss: f64::NAN, history, ..Place::default() }
    }
}

impl<A: Scalar> Run<'_, A> {
    /// A validation loss that is no number stops nothing, but is said, once.
    fn note_validation(&mut self, loss: f64) {
        let warnings = &mut self.at.history.warnings;
        let said = warnings.iter().any(|warning| warning.starts_with(VALIDATION));
        if !loss.is_finite() && !said {
            warnings.push(format!("{VALIDATION}: the loss is {loss} after epoch {}", self.at.epoch));
        }
    }

    /// Whether no callback has ended the epoch before its last batch.
    fn is_epoch_complete(&self) -> bool {
        self.at.batch == self.samples.batches
    }

    /// How long the epoch has taken so far.
    fn seconds(&self) -> f64 {
        self.at.seconds + self.begun.elapsed().as_secs_f64()
    }
}

impl<A: Scalar> Trainer<A> {
    /// The run behind [`fit`](Self::fit), with settings that were checked.
    pub(super) fn run(&mut self, model: &mut dyn Layer<A>, data: &Dataset<A>) -> Result<History> {
        let parts = self.split(data)?;
        let (training, held_back) = (&*parts.training, parts.held_back.as_deref());
        let batches = training.len().div_ceil(self.batch_size);
        let samples = Samples { settings: data_settings(training, held_back), batches };
        self.check_loaded(model, &samples)?;
        let progress = ProgressReport::new(self.progress);
        self.prepare(model, training)?;
        self.augmentations.check_data(training).map_err(|error| error.within(AUGMENTATION))?;
        let feed = (!self.augmentations.is_empty()).then(|| Feed::new(self.augmentations.clone()));
        if let Some(held_back) = held_back {
            self.check_held_back(model, held_back).map_err(|error| error.within(VALIDATION))?;
        }
        let mut order: Vec<usize> = (0..training.len()).collect();
        let at = match &self.loaded {
            Some(loaded) => loaded.position.place.clone(),
            None => Place::start(History {
                warnings: parts.warnings,
                shards: self.shards_of_a_full_batch(model, training, &order),
                ..History::default()
            }),
        };
        let (wishes, begun) = (Wishes::default(), Instant::now());
        self.ended = None;
        self.online.begin_epoch();
        if self.loaded.is_none() {
            self.engine.forget_gathered();
        }
        let run = Run { model, training, held_back, feed, progress, wishes, samples, at, begun };
        let ended = self.run_epochs(run, &mut order);
        if let Err(error) = &ended {
            self.callbacks.iter_mut().for_each(|callback| callback.on_error(error));
        }
        ended
    }

    /// The samples that a run trains on.
    pub(super) fn training_part<'s>(&self, data: &'s Dataset<A>) -> Result<Cow<'s, Dataset<A>>> {
        Ok(self.split(data)?.training)
    }

    /// Parts the samples as the settings ask for.
    fn split<'s>(&self, data: &'s Dataset<A>) -> Result<Parts<'s, A>> {
        let whole = |held_back| Parts { training: Cow::Borrowed(data), held_back, warnings: Vec::new() };
        match &self.validation {
            Validation::None => Ok(whole(None)),
            Validation::Data(held_back) => Ok(whole(Some(Cow::Owned(held_back.clone())))),
            Validation::Split(split) => {
                // Whoever asks for a stratified split says that these are classes.
                let asked = matches!(split, ValidationSplit::Stratified(_));
                let labels = data.labels().filter(|labels| asked || looks_like_classes(labels));
                let parts = split.indices(data.len(), labels.as_deref(), self.seed)?;
                let held_back = Some(Cow::Owned(data.rows(&parts.validation)?));
                let training = Cow::Owned(data.rows(&parts.train)?);
                Ok(Parts { training, held_back, warnings: parts.warnings })
            }
        }
    }

    /// Refuses validation samples that do not fit the network before the first epoch, not after it.
    fn check_held_back(&self, model: &dyn Layer<A>, held_back: &Dataset<A>) -> Result<()> {
        self.check_outputs(model, held_back)?;
        let (wants, has) = (self.losses.len(), held_back.targets().len());
        if wants != has {
            return Err(Error::length("targets against outputs of the model", wants, has));
        }
        Ok(())
    }

    fn shards_of_a_full_batch(&self, model: &dyn Layer<A>, data: &Dataset<A>, order: &[usize]) -> usize {
        let targets = Targets { losses: &self.losses, instead: None };
        let batch = Batch { data, rows: Rows::Of(&order[..self.batch_size.min(order.len())]) };
        let task =
            Task { model, targets, batch, purpose: self.training(), predictions: false, micro_batch: self.micro_batch };
        task.plan(self.shards, self.shards_of_work(), self.threads).shards
    }

    fn run_epochs(&mut self, mut run: Run<'_, A>, order: &mut [usize]) -> Result<History> {
        self.notify(&mut run, Moment::TrainBegin)?;
        self.take_up(&mut run)?;
        while !run.wishes.stop && (run.at.epoch < self.epochs || !run.at.over) {
            self.run_epoch(&mut run, order)?;
        }
        if self.ended.is_none() {
            self.ended = Some(self.position(&run));
        }
        self.notify(&mut run, Moment::TrainEnd)?;
        Ok(run.at.history)
    }

    /// Goes on where a checkpoint was, if one was loaded.
    fn take_up(&mut self, run: &mut Run<'_, A>) -> Result<()> {
        let Some(Loaded { position, .. }) = self.loaded.take() else { return Ok(()) };
        // Callbacks have begun anew when they were told of the run.
        position.restore(&mut self.callbacks)?;
        self.restore_metrics(&position)?;
        self.epochs_done = position.epochs_done;
        *self.engine.rates_mut() = position.rates;
        let said = std::mem::replace(&mut run.at, position.place).history.warnings;
        let warnings = &mut run.at.history.warnings;
        for warning in said {
            if !warnings.contains(&warning) {
                warnings.push(warning);
            }
        }
        Ok(())
    }

    /// Where a run is now.
    fn position(&self, run: &Run<'_, A>) -> Position<A> {
        let metrics = self.metrics.iter().filter(|_| !run.at.over);
        Position {
            place: Place { seconds: run.seconds(), ..run.at.clone() },
            epochs_done: self.epochs_done,
            rates: self.engine.rates(),
            data: run.samples.settings.clone(),
            metrics: metrics.map(|(_, metric)| metric.state()).collect(),
            callbacks: Kept::all(&self.callbacks),
        }
    }

    /// What is left of the epoch, or the next one if it is over.
    fn run_epoch(&mut self, run: &mut Run<'_, A>, order: &mut [usize]) -> Result<()> {
        if run.at.over {
            self.begin_epoch(run)?;
        }
        if run.wishes.stop {
            return Ok(());
        }
        run.begun = Instant::now();
        self.reorder(order);
        self.run_batches(run, order)?;
        let mut logs = self.logs(&run.at.means, run.at.penalty.value());
        if run.is_epoch_complete() {
            self.validate(run, &mut logs)?;
        } else {
            // A checkpoint from here on goes on with the batches that are left, whatever becomes of the history.
            self.ended = Some(self.position(run));
        }
        let rate = self.engine.last_rate().unwrap_or_else(|| self.engine.rate());
        let (number, seconds) = (run.at.epoch, run.seconds());
        run.at.history.epochs.push(Epoch { number, seconds, rate, logs });
        run.at.over = true;
        self.epochs_done += 1;
        self.notify(run, Moment::EpochEnd)
    }

    fn begin_epoch(&mut self, run: &mut Run<'_, A>) -> Result<()> {
        run.at.epoch += 1;
        (run.at.batch, run.at.over, run.at.seconds) = (0, false, 0.0);
        (run.at.means, run.at.penalty) = (self.begin_means(), Mean::default());
        run.begun = Instant::now();
        self.notify(run, Moment::EpochBegin)
    }

    /// The steps that are left of an epoch.
    fn run_batches(&mut self, run: &mut Run<'_, A>, order: &[usize]) -> Result<()> {
        let order = &order[(run.at.batch * self.batch_size).min(order.len())..];
        let Some(mut feed) = run.feed.take() else {
            for rows in order.chunks(self.batch_size) {
                if self.run_batch(run, Batch { data: run.training, rows: Rows::Of(rows) })? {
                    break;
                }
            }
            return Ok(());
        };
        let plan = Plan { data: run.training, order, batch_size: self.batch_size, draw: self.draw() };
        feed.run(plan, self.threads, |batch, rows| {
            let stop = self.run_batch(run, Batch { data: batch, rows: Rows::Taken(rows) })?;
            self.pass.release();
            Ok(stop)
        })?;
        run.feed = Some(feed);
        Ok(())
    }

    /// One step, and whether the run ends with it.
    fn run_batch(&mut self, run: &mut Run<'_, A>, batch: Batch<'_, A>) -> Result<bool> {
        // A callback may have frozen or exchanged a layer.
        self.prepare(run.model, run.training)?;
        let last = run.at.batch + 1 == run.samples.batches;
        let stepped = self.train_on(run.model, batch, None, !self.metrics.is_empty(), last)?;
        self.gather(stepped.shards, batch.len(), &mut run.at.means)?;
        run.at.penalty.add(stepped.penalty, batch.len() as f64);
        run.at.batch += 1;
        run.at.loss = stepped.loss;
        self.notify(run, Moment::BatchEnd)?;
        Ok(run.wishes.stop)
    }

    /// The numbers of the samples that were held back, if any were, after an epoch.
    fn validate(&mut self, run: &mut Run<'_, A>, logs: &mut Logs) -> Result<()> {
        let Some(held_back) = run.held_back else { return Ok(()) };
        self.notify(run, Moment::ValidationBegin)?;
        let report = self.evaluate(run.model, held_back).map_err(|error| error.within(VALIDATION));
        // Whatever has happened: a callback may have put other weights into the network.
        let ended = self.notify(run, Moment::ValidationEnd);
        let report = report?;
        ended?;
        run.note_validation(report.loss());
        logs.extend(report.logs.into_iter().map(|(name, value)| (format!("val_{name}"), value)));
        Ok(())
    }

    /// The streams of this epoch's augmentations.
    fn draw(&self) -> Draw {
        Draw { seed: self.seed, epoch: self.epochs_done, before: 0 }
    }

    /// The order of the next epoch.
    fn reorder(&self, order: &mut [usize]) {
        if self.shuffle {
            // From the sorted order each time, so that an epoch's order depends on its number alone.
            order.iter_mut().enumerate().for_each(|(place, row)| *row = place);
            order.shuffle(&mut stream(self.seed, Stream::Shuffle { epoch: self.epochs_done }));
        }
    }

    /// Tells every callback, then does what they have asked for.
    fn notify(&mut self, run: &mut Run<'_, A>, moment: Moment) -> Result<()> {
        self.tell(run, moment)?;
        // Nothing can go on from within a validation: those who save for that hear of it when the epoch is over.
        let validating = matches!(moment, Moment::ValidationBegin | Moment::ValidationEnd);
        if run.wishes.interrupt && !run.wishes.interrupt_told && !validating {
            run.wishes.interrupt_told = true;
            self.tell(run, Moment::Interrupt)?;
        }
        self.grant(run, moment)
    }

    fn tell(&mut self, run: &mut Run<'_, A>, moment: Moment) -> Result<()> {
        let mut event = Event {
            model: run.model,
            epoch: run.at.epoch,
            epochs: self.epochs,
            batch: run.at.batch,
            batches: run.samples.batches,
            step: self.engine.step(),
            updated: self.engine.gathered() == 0,
            loss: run.at.loss,
            history: &run.at.history,
            scheduled: self.engine.scheduled_rate(),
            rates: self.engine.rates_mut(),
            wishes: &mut run.wishes,
        };
        moment.tell(&mut run.progress, &mut event)?;
        self.callbacks.iter_mut().try_for_each(|callback| moment.tell(&mut **callback, &mut event))
    }

    /// Does what callbacks have asked for, in the order in which they did.
    fn grant(&mut self, run: &mut Run<'_, A>, moment: Moment) -> Result<()> {
        for request in std::mem::take(&mut run.wishes.requests) {
            match request {
                Request::SaveWeights(path) => io::save_weights(run.model, path)?,
                Request::SaveModel(path) => io::save_model(run.model, path)?,
                Request::SaveCheckpoint(path) => self.save_run(run, moment, &path)?,
                Request::RemoveFile(path) => remove_file(path)?,
                Request::Warn(warning) => run.at.history.warnings.push(warning),
                Request::ResumeFrom(path) => self.resume_run(run, moment, &path)?,
            }
        }
        Ok(())
    }

    fn save_run(&mut self, run: &Run<'_, A>, moment: Moment, path: &Path) -> Result<()> {
        if matches!(moment, Moment::ValidationBegin | Moment::ValidationEnd) {
            let message = format!("a checkpoint ({}) cannot be saved during a validation", path.display());
            return Err(Error::custom(message));
        }
        match &self.ended {
            Some(position) => self.write_checkpoint(run.model, Some(position), path),
            None => self.write_checkpoint(run.model, Some(&self.position(run)), path),
        }
    }

    fn resume_run(&mut self, run: &mut Run<'_, A>, moment: Moment, path: &Path) -> Result<()> {
        if moment != Moment::TrainBegin {
            let message = format!("a run can go on from a checkpoint ({}) only before its first epoch", path.display());
            return Err(Error::custom(message));
        }
        self.restore(run.model, &TensorFile::open(path)?, Some(&run.samples))
    }
}

/// Removes a file, if it is there.
fn remove_file(path: PathBuf) -> Result<()> {
    match std::fs::remove_file(&path) {
        Err(source) if source.kind() != ErrorKind::NotFound => Err(Error::Io { path, source }),
        _ => Ok(()),
    }
}

/// Whether whole numbers are likely to be classes: few different ones. Counts and prices are not.
fn looks_like_classes(labels: &[usize]) -> bool {
    let classes = labels.iter().collect::<BTreeSet<_>>().len();
    classes <= 1000 && 2 * classes <= labels.len()
}
