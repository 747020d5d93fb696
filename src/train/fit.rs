//! A training run: epochs over shuffled batches, validation, callbacks.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::time::Instant;

use rand::seq::SliceRandom;

use super::callbacks::{Callback, Event, ProgressReport};
use super::evaluate::Mean;
use super::feed::{Feed, Plan};
use super::history::{Epoch, History, Logs};
use super::task::{Batch, Rows, Targets, Task};
use super::trainer::{Trainer, Validation};
use crate::data::augmentation::Draw;
use crate::data::{Dataset, ValidationSplit};
use crate::error::{Error, Result};
use crate::layer::Layer;
use crate::scalar::Scalar;
use crate::seed::{Stream, stream};

/// The part of the data that errors and warnings name.
const VALIDATION: &str = "validation data";

/// The part of a run that errors of augmentations name.
pub(super) const AUGMENTATION: &str = "augmentation";

/// The samples to train on, and those to validate on.
struct Samples<'s, A: Scalar> {
    training: Cow<'s, Dataset<A>>,
    held_back: Option<Cow<'s, Dataset<A>>>,
    warnings: Vec<String>,
}

/// What a run works on, and where it is.
struct Run<'r, A: Scalar> {
    model: &'r mut dyn Layer<A>,
    training: &'r Dataset<A>,
    held_back: Option<&'r Dataset<A>>,
    /// Where batches come from, if they are augmented.
    feed: Option<Feed<A>>,
    progress: ProgressReport,
    history: History,
    epoch: usize,
    batch: usize,
    batches: usize,
    /// Of the last batch.
    loss: f64,
    stop: bool,
}

impl<A: Scalar> Run<'_, A> {
    /// A validation loss that is no number stops nothing, but is said, once.
    fn note_validation(&mut self, loss: f64) {
        let said = self.history.warnings.iter().any(|warning| warning.starts_with(VALIDATION));
        if !loss.is_finite() && !said {
            self.history.warnings.push(format!("{VALIDATION}: the loss is {loss} after epoch {}", self.epoch));
        }
    }

    /// Whether no callback has ended the epoch before its last batch.
    fn is_epoch_complete(&self) -> bool {
        !self.stop || self.batch == self.batches
    }
}

impl<A: Scalar> Trainer<A> {
    /// The run behind [`fit`](Self::fit), with settings that were checked.
    pub(super) fn run(&mut self, model: &mut dyn Layer<A>, data: &Dataset<A>) -> Result<History> {
        let samples = self.split(data)?;
        let (training, held_back) = (&*samples.training, samples.held_back.as_deref());
        let progress = ProgressReport::new(self.progress);
        self.prepare(model, training)?;
        self.augmentations.check_data(training).map_err(|error| error.within(AUGMENTATION))?;
        let feed = (!self.augmentations.is_empty()).then(|| Feed::new(self.augmentations.clone()));
        if let Some(held_back) = held_back {
            self.check_held_back(model, held_back).map_err(|error| error.within(VALIDATION))?;
        }
        let mut order: Vec<usize> = (0..training.len()).collect();
        let shards = self.shards_of_a_full_batch(model, training, &order);
        let history = History { warnings: samples.warnings, shards, ..History::default() };
        let batches = training.len().div_ceil(self.batch_size);
        let at = Run {
            model,
            training,
            held_back,
            feed,
            progress,
            history,
            epoch: 0,
            batch: 0,
            batches,
            loss: f64::NAN,
            stop: false,
        };
        self.run_epochs(at, &mut order)
    }

    /// Parts the samples as the settings ask for.
    fn split<'s>(&self, data: &'s Dataset<A>) -> Result<Samples<'s, A>> {
        let whole = |held_back| Samples { training: Cow::Borrowed(data), held_back, warnings: Vec::new() };
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
                Ok(Samples { training, held_back, warnings: parts.warnings })
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
        task.plan(self.shards, self.threads).shards
    }

    fn run_epochs(&mut self, mut run: Run<'_, A>, order: &mut [usize]) -> Result<History> {
        self.notify(&mut run, |callback, event| callback.on_train_begin(event))?;
        for epoch in 1..=self.epochs {
            if run.stop {
                break;
            }
            (run.epoch, run.batch) = (epoch, 0);
            self.notify(&mut run, |callback, event| callback.on_epoch_begin(event))?;
            if run.stop {
                break;
            }
            let begun = Instant::now();
            let mut logs = self.run_batches(&mut run, order)?;
            if let Some(held_back) = run.held_back.filter(|_| run.is_epoch_complete()) {
                let report = self.evaluate(run.model, held_back).map_err(|error| error.within(VALIDATION))?;
                run.note_validation(report.loss());
                logs.extend(report.logs.into_iter().map(|(name, value)| (format!("val_{name}"), value)));
            }
            let rate = self.engine.rule().schedule().rate(self.engine.step().saturating_sub(1));
            run.history.epochs.push(Epoch { number: epoch, seconds: begun.elapsed().as_secs_f64(), rate, logs });
            self.epochs_done += 1;
            self.notify(&mut run, |callback, event| callback.on_epoch_end(event))?;
        }
        self.notify(&mut run, |callback, event| callback.on_train_end(event))?;
        Ok(run.history)
    }

    /// The steps of one epoch.
    fn run_batches(&mut self, run: &mut Run<'_, A>, order: &mut [usize]) -> Result<Logs> {
        self.reorder(order);
        let mut means = self.begin_means();
        let Some(mut feed) = run.feed.take() else {
            for rows in order.chunks(self.batch_size) {
                if self.run_batch(run, Batch { data: run.training, rows: Rows::Of(rows) }, &mut means)? {
                    break;
                }
            }
            return Ok(self.logs(&means));
        };
        let plan = Plan { data: run.training, order, batch_size: self.batch_size, draw: self.draw() };
        feed.run(plan, self.threads, |batch, rows| {
            let stop = self.run_batch(run, Batch { data: batch, rows: Rows::Taken(rows) }, &mut means)?;
            self.pass.release();
            Ok(stop)
        })?;
        run.feed = Some(feed);
        Ok(self.logs(&means))
    }

    /// One step, and whether the run ends with it.
    fn run_batch(&mut self, run: &mut Run<'_, A>, batch: Batch<'_, A>, means: &mut [Mean]) -> Result<bool> {
        // A callback may have frozen or exchanged a layer.
        self.prepare(run.model, run.training)?;
        let stepped = self.train_on(run.model, batch, None, !self.metrics.is_empty())?;
        self.gather(stepped.shards, batch.len(), means)?;
        run.batch += 1;
        run.loss = stepped.loss;
        self.notify(run, |callback, event| callback.on_batch_end(event))?;
        Ok(run.stop)
    }

    /// The streams of this epoch's augmentations.
    fn draw(&self) -> Draw {
        Draw { seed: self.seed, epoch: self.epochs_done }
    }

    /// The order of the next epoch.
    fn reorder(&self, order: &mut [usize]) {
        if self.shuffle {
            // From the sorted order each time, so that an epoch's order depends on its number alone.
            order.iter_mut().enumerate().for_each(|(place, row)| *row = place);
            order.shuffle(&mut stream(self.seed, Stream::Shuffle { epoch: self.epochs_done }));
        }
    }

    /// Calls one method of every callback.
    fn notify(
        &mut self,
        run: &mut Run<'_, A>,
        method: impl Fn(&mut dyn Callback<A>, &mut Event<'_, A>) -> Result<()>,
    ) -> Result<()> {
        let mut event = Event {
            model: run.model,
            epoch: run.epoch,
            epochs: self.epochs,
            batch: run.batch,
            batches: run.batches,
            step: self.engine.step(),
            rate: self.engine.rate(),
            loss: run.loss,
            history: &run.history,
            stop: &mut run.stop,
        };
        method(&mut run.progress, &mut event)?;
        self.callbacks.iter_mut().try_for_each(|callback| method(&mut **callback, &mut event))
    }
}

/// Whether whole numbers are likely to be classes: few different ones. Counts and prices are not.
fn looks_like_classes(labels: &[usize]) -> bool {
    let classes = labels.iter().collect::<BTreeSet<_>>().len();
    classes <= 1000 && 2 * classes <= labels.len()
}
