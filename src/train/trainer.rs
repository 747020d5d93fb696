use std::borrow::Cow;
use std::time::Instant;

use ndarray::{ArrayBase, Data, Dimension};
use rand::seq::SliceRandom;

use super::callbacks::{Callback, Event, Progress, ProgressReport};
use super::engine::Engine;
use super::history::{Epoch, History, Logs, Report};
use super::pass::{Batch, Pass, Purpose, Targets};
use super::workers::Workers;
use crate::data::{Dataset, IntoDataset, ValidationSplit};
use crate::error::{Error, Result};
use crate::initializers::Init;
use crate::layer::Layer;
use crate::losses::Loss;
use crate::metrics::Metric;
use crate::model::{Model, rows_of, with_context};
use crate::optimizers::Optimizer;
use crate::param::{Param, Visitor};
use crate::scalar::{Element, Scalar};
use crate::seed::{Stream, stream};
use crate::tensor::Tensor;

/// Below so many floating-point operations a pass stays on the calling thread: a few tens of microseconds.
const FORK_FROM: f64 = 4e6;

/// More threads or shards than this are a slip of the finger, and the system may refuse them.
const MOST_THREADS: usize = 4096;

/// The samples to train on, and those to validate on.
type Parts<'s, A> = (Cow<'s, Dataset<A>>, Option<Cow<'s, Dataset<A>>>);

/// Where the samples come from that a run is validated on after each epoch.
enum Validation<A: Scalar> {
    None,
    Split(ValidationSplit),
    Data(Dataset<A>),
}

/// Fits a network to data: loss, optimizer, metrics and everything else that is not the network.
///
/// ```
/// use layerwise::prelude::*;
/// use layerwise::data::datasets;
///
/// let iris = datasets::iris();
/// let mut model = Sequential::new().add(Dense::new(16).activation(Activation::Relu)).add(Dense::new(3));
/// let mut trainer = Trainer::new(SoftmaxCrossEntropy::new(), Adam::new(0.01))
///     .metric(Accuracy::new())
///     .validation_split(ValidationSplit::Stratified(0.2))
///     .epochs(20)
///     .seed(7)
///     .progress(Progress::Silent);
/// let history = trainer.fit(&mut model, (&iris.features, &iris.labels))?;
/// assert!(history.last().and_then(|epoch| epoch.get("val_accuracy")) > Some(0.8));
/// # Ok::<(), Error>(())
/// ```
///
/// A batch is cut into shards, which run side by side and whose gradients are summed in their order: the same seed and
/// the same number of shards give the same bits on any number of cores. By default there are as many shards as cores,
/// and one where the work is too little to be worth a second thread; [`shards`](Self::shards) fixes it.
///
/// An error ends a step before any weight has changed.
pub struct Trainer<A: Scalar = f32> {
    losses: Vec<(Box<dyn Loss<A>>, f64)>,
    metrics: Vec<(usize, Box<dyn Metric<A>>)>,
    callbacks: Vec<Box<dyn Callback<A>>>,
    validation: Validation<A>,
    epochs: usize,
    batch_size: usize,
    shuffle: bool,
    seed: u64,
    shards: Option<usize>,
    threads: usize,
    progress: Progress,
    epochs_done: u64,
    engine: Engine<A>,
    pass: Pass<A>,
    workers: Workers,
}

impl Trainer {
    /// For an `f32` network with one output.
    pub fn new(loss: impl Loss + 'static, optimizer: impl Optimizer + 'static) -> Self {
        Self::of(loss, optimizer)
    }
}

impl<A: Scalar> Trainer<A> {
    /// For a network of any number type with one output. Defaults: 1 epoch, batches of 32 in shuffled order (Keras's),
    /// seed 0, no validation, one thread for each core.
    pub fn of(loss: impl Loss<A> + 'static, optimizer: impl Optimizer<A> + 'static) -> Self {
        Trainer {
            losses: vec![(Box::new(loss), 1.0)],
            metrics: Vec::new(),
            callbacks: Vec::new(),
            validation: Validation::None,
            epochs: 1,
            batch_size: 32,
            shuffle: true,
            seed: 0,
            shards: None,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            progress: Progress::Auto,
            epochs_done: 0,
            engine: Engine::new(Box::new(optimizer)),
            pass: Pass::new(),
            workers: Workers::new(),
        }
    }

    /// A loss for the next output of a network that has several, and its weight in the sum. Histories and reports name
    /// the sum `loss`, and the losses themselves, without their weights, `loss_0`, `loss_1` (as Keras does).
    #[must_use]
    pub fn output(mut self, loss: impl Loss<A> + 'static, weight: f64) -> Self {
        self.losses.push((Box::new(loss), weight));
        self
    }

    /// The weight of the first output's loss in the sum; 1 by default.
    #[must_use]
    pub fn first_output_weight(mut self, weight: f64) -> Self {
        self.losses[0].1 = weight;
        self
    }

    /// A metric of the first output, for training and validation. Sample weights do not enter it (Keras's `metrics`).
    #[must_use]
    pub fn metric(self, metric: impl Metric<A> + 'static) -> Self {
        self.metric_of(0, metric)
    }

    /// A metric of the output with this number.
    #[must_use]
    pub fn metric_of(mut self, output: usize, metric: impl Metric<A> + 'static) -> Self {
        self.metrics.push((output, Box::new(metric)));
        self
    }

    /// Code to be called in the course of a run.
    #[must_use]
    pub fn callback(mut self, callback: impl Callback<A> + 'static) -> Self {
        self.callbacks.push(Box::new(callback));
        self
    }

    /// Keeps some of the samples back for validation. It warns where a class is missing from either part.
    #[must_use]
    pub fn validation_split(mut self, split: ValidationSplit) -> Self {
        self.validation = Validation::Split(split);
        self
    }

    /// Validates on these samples.
    ///
    /// # Errors
    /// As for [`Dataset::new`].
    pub fn validation_data<'d>(mut self, data: impl IntoDataset<'d, A>) -> Result<Self> {
        self.validation = Validation::Data(data.into_dataset()?.into_owned());
        Ok(self)
    }

    /// How often a run goes over the samples.
    #[must_use]
    pub fn epochs(mut self, epochs: usize) -> Self {
        self.epochs = epochs;
        self
    }

    /// The samples of one step.
    #[must_use]
    pub fn batch_size(mut self, samples: usize) -> Self {
        self.batch_size = samples;
        self
    }

    /// Whether every epoch takes the samples in a new order.
    #[must_use]
    pub fn shuffle(mut self, shuffle: bool) -> Self {
        self.shuffle = shuffle;
        self
    }

    /// The seed of everything random: starting weights, order of samples, dropout, validation split.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// In how many shards a batch is cut (no more than it has samples), whatever the machine.
    #[must_use]
    pub fn shards(mut self, shards: usize) -> Self {
        self.shards = Some(shards);
        self
    }

    /// How many threads work at once, the calling one included. With layers that need statistics over the whole batch
    /// every shard has a thread of its own, however few there are cores.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// Scales the gradients of a step down so that their norm over all weights is at most this (Pascanu et al. 2013).
    #[must_use]
    pub fn clip_norm(mut self, norm: f64) -> Self {
        self.engine.set_clip_norm(norm);
        self
    }

    /// How a run shows how far it is.
    #[must_use]
    pub fn progress(mut self, progress: Progress) -> Self {
        self.progress = progress;
        self
    }

    /// The steps that the optimizer has taken.
    pub fn steps(&self) -> u64 {
        self.engine.step()
    }

    /// The optimizer's rule.
    pub fn optimizer(&self) -> &dyn Optimizer<A> {
        self.engine.rule()
    }

    /// Trains a network, and builds it first if it is not built yet.
    ///
    /// # Errors
    /// Where a setting cannot work, the data do not fit the network, or a loss is not finite.
    pub fn fit<'d>(&mut self, model: &mut dyn Layer<A>, data: impl IntoDataset<'d, A>) -> Result<History> {
        self.check()?;
        let data = data.into_dataset()?;
        let mut history = History::default();
        let (training, held_back) = self.split(&data, &mut history)?;
        let mut progress = ProgressReport::new(self.progress);
        self.prepare(model, &training)?;
        if let Some(held_back) = &held_back {
            self.check_outputs(model, held_back)?;
            let (wants, has) = (self.losses.len(), held_back.targets().len());
            if wants != has {
                return Err(Error::length("targets of the validation data against outputs of the model", wants, has));
            }
        }
        let mut order: Vec<usize> = (0..training.len()).collect();
        let full = Batch { data: &training, rows: Some(&order[..self.batch_size.min(training.len())]) };
        history.shards = self.plan(model, full, None, 6.0).0;

        let mut run =
            Run { epoch: 0, batch: 0, batches: training.len().div_ceil(self.batch_size), loss: f64::NAN, stop: false };
        self.notify(&mut progress, model, &history, &mut run, |callback, event| callback.on_train_begin(event))?;
        for epoch in 1..=self.epochs {
            if run.stop {
                break;
            }
            (run.epoch, run.batch) = (epoch, 0);
            self.notify(&mut progress, model, &history, &mut run, |callback, event| callback.on_epoch_begin(event))?;
            if run.stop {
                break;
            }
            let begun = Instant::now();
            let mut logs = self.run_epoch(model, &training, &mut order, &mut progress, &history, &mut run)?;
            if let Some(held_back) = held_back.as_deref().filter(|_| !run.stop || run.batch == run.batches) {
                let report = self.evaluate(model, held_back)?;
                logs.extend(report.logs.into_iter().map(|(name, value)| (format!("val_{name}"), value)));
            }
            let rate = self.engine.rule().schedule().rate(self.engine.step().saturating_sub(1));
            history.epochs.push(Epoch { number: epoch, seconds: begun.elapsed().as_secs_f64(), rate, logs });
            self.epochs_done += 1;
            self.notify(&mut progress, model, &history, &mut run, |callback, event| callback.on_epoch_end(event))?;
        }
        self.notify(&mut progress, model, &history, &mut run, |callback, event| callback.on_train_end(event))?;
        Ok(history)
    }

    /// One training step on a batch: for one's own loops. Gives the loss before the step.
    ///
    /// After the first few steps on batches of one shape nothing is allocated any more.
    ///
    /// # Errors
    /// As for [`fit`](Self::fit). No weight has changed then.
    pub fn step(&mut self, model: &mut dyn Layer<A>, batch: &Dataset<A>) -> Result<f64> {
        self.prepare(model, batch)?;
        self.train_on(model, Batch { data: batch, rows: None }, None, false).map(|(loss, _)| loss)
    }

    /// One training step with another loss than the trainer's, for networks with one output: the step of a GAN's
    /// generator, whose loss goes through a second network ([`Through`](crate::losses::Through)).
    ///
    /// # Errors
    /// As for [`fit`](Self::fit), and where the network has several outputs.
    pub fn step_with(&mut self, model: &mut dyn Layer<A>, batch: &Dataset<A>, loss: &dyn Loss<A>) -> Result<f64> {
        if self.losses.len() != 1 {
            return Err(Error::length("outputs of a network whose step has a loss of its own", 1, self.losses.len()));
        }
        self.prepare(model, batch)?;
        self.train_on(model, Batch { data: batch, rows: None }, Some(loss), false).map(|(loss, _)| loss)
    }

    /// The loss and the metrics over samples.
    ///
    /// # Errors
    /// Where the data do not fit the network.
    pub fn evaluate<'d>(&mut self, model: &dyn Layer<A>, data: impl IntoDataset<'d, A>) -> Result<Report> {
        self.check_settings()?;
        let data = data.into_dataset()?;
        self.check_outputs(model, &data)?;
        // This need not be the model that was trained, and the next step need not be on this one.
        self.pass.forget_shapes();
        let report = self.evaluate_batches(model, &data);
        self.pass.forget_shapes();
        report
    }

    fn evaluate_batches(&mut self, model: &dyn Layer<A>, data: &Dataset<A>) -> Result<Report> {
        self.reset_metrics();
        let mut means = vec![Mean::default(); self.losses.len()];
        let rows: Vec<usize> = (0..data.len()).collect();
        for rows in rows.chunks(self.batch_size) {
            let batch = Batch { data, rows: Some(rows) };
            let plan = self.plan(model, batch, None, 2.0);
            let targets = Targets { losses: &self.losses, instead: None };
            let metrics = !self.metrics.is_empty();
            self.pass.run(model, targets, batch, Purpose::Evaluate, metrics, plan, &mut self.workers)?;
            self.gather(plan.0, rows.len(), &mut means)?;
        }
        Ok(Report { logs: self.logs(&means) })
    }

    /// The outputs of a network for samples: [`Model::predict`].
    ///
    /// # Errors
    /// Where the samples do not fit the network.
    pub fn predict<E, S, D>(&self, model: &dyn Layer<A>, x: &ArrayBase<S, D>) -> Result<Tensor<A>>
    where
        E: Element<A>,
        S: Data<Elem = E>,
        D: Dimension,
    {
        model.predict(x)
    }

    /// What the outputs mean to the loss: the probabilities where the network gives logits. The name is
    /// scikit-learn's.
    ///
    /// # Errors
    /// Where the samples do not fit the network.
    pub fn predict_proba<E, S, D>(&self, model: &dyn Layer<A>, x: &ArrayBase<S, D>) -> Result<Tensor<A>>
    where
        E: Element<A>,
        S: Data<Elem = E>,
        D: Dimension,
    {
        let outputs = model.predict(x)?;
        with_context(|ctx| self.losses[0].0.prediction(&outputs, ctx))
    }

    fn check_settings(&self) -> Result<()> {
        let counts = [("batch_size", self.batch_size), ("threads", self.threads), ("shards", self.shards.unwrap_or(1))];
        for (name, count) in counts {
            if count == 0 {
                return Err(Error::setting(name, "at least 1", 0));
            }
            if name != "batch_size" && count > MOST_THREADS {
                return Err(Error::setting(name, format!("at most {MOST_THREADS}"), count));
            }
        }
        for (number, (_, weight)) in self.losses.iter().enumerate() {
            if !weight.is_finite() {
                return Err(Error::setting(format!("weight of the loss of output {number}"), "finite", weight));
            }
        }
        if let Some((output, metric)) = self.metrics.iter().find(|(output, _)| *output >= self.losses.len()) {
            let requirement = format!("below {}, the number of losses", self.losses.len());
            return Err(Error::setting(format!("output of metric {}", metric.name()), requirement, output));
        }
        Ok(())
    }

    fn check(&self) -> Result<()> {
        self.check_settings()?;
        if self.epochs == 0 {
            return Err(Error::setting("epochs", "at least 1", 0));
        }
        self.engine.check()
    }

    fn split<'s>(&self, data: &'s Dataset<A>, history: &mut History) -> Result<Parts<'s, A>> {
        match &self.validation {
            Validation::None => Ok((Cow::Borrowed(data), None)),
            Validation::Data(held_back) => Ok((Cow::Borrowed(data), Some(Cow::Owned(held_back.clone())))),
            Validation::Split(split) => {
                let labels = data.labels().filter(|labels| looks_like_classes(labels));
                let parts = split.indices(data.len(), labels.as_deref(), self.seed)?;
                history.warnings.extend(parts.warnings);
                let held_back = data.rows(&parts.validation)?;
                Ok((Cow::Owned(data.rows(&parts.train)?), Some(Cow::Owned(held_back))))
            }
        }
    }

    /// Builds the model if it is not, and binds the optimizer to its weights if they are not those it knows.
    fn prepare(&mut self, model: &mut dyn Layer<A>, data: &Dataset<A>) -> Result<()> {
        self.check_settings()?;
        self.engine.check()?;
        if self.engine.fits(model) {
            return Ok(());
        }
        if model.is_built() {
            self.check_outputs(model, data)?;
        } else {
            model.build_all(&data.sample_shapes(), &mut Init::new(self.seed))?;
        }
        let binding = self.engine.bind(model);
        self.pass.bind(binding);
        if self.engine.step() == 0 {
            self.epochs_done = 0;
        }
        self.check_outputs(model, data)
    }

    /// Refuses data that do not fit the network before anything is computed.
    fn check_outputs(&self, model: &dyn Layer<A>, data: &Dataset<A>) -> Result<()> {
        let outputs = model.output_shapes(&data.sample_shapes())?;
        if outputs.len() != self.losses.len() {
            return Err(Error::length(
                "losses of the trainer against outputs of the model",
                outputs.len(),
                self.losses.len(),
            ));
        }
        Ok(())
    }

    /// In how many shards to cut a batch and how many threads to use. The number of shards must not depend on what the
    /// machine is busy with.
    fn plan(
        &self,
        model: &dyn Layer<A>,
        batch: Batch<'_, A>,
        instead: Option<&dyn Loss<A>>,
        operations: f64,
    ) -> (usize, usize) {
        let (data, rows) = (batch.data, batch.len());
        let positions: usize = data.inputs()[0].shape()[1..].iter().rev().skip(1).product();
        let mut weights = 0;
        model.visit(&mut Visitor::unnamed(&mut |_, param: &Param<A>| weights += param.len()));
        let worth_it = operations * weights as f64 * positions as f64 * rows as f64 >= FORK_FROM;
        let automatic = if worth_it { self.threads } else { 1 };
        let shards = self.shards.unwrap_or(automatic).min(rows);
        let coupled = model.couples_samples()
            || instead.is_some_and(|loss| loss.couples_samples())
            || self.losses.iter().any(|(loss, _)| loss.couples_samples());
        let threads = match (coupled, worth_it) {
            (true, _) => shards,
            (false, true) => shards.min(self.threads),
            (false, false) => 1,
        };
        (shards, threads)
    }

    /// Forward, backward, update. Gives the loss and the number of shards.
    fn train_on(
        &mut self,
        model: &mut dyn Layer<A>,
        batch: Batch<'_, A>,
        instead: Option<&dyn Loss<A>>,
        predictions: bool,
    ) -> Result<(f64, usize)> {
        let plan = self.plan(model, batch, instead, 6.0);
        let targets = Targets { losses: &self.losses, instead };
        let purpose = Purpose::Train { seed: self.seed, step: self.engine.step() };
        let loss = self.pass.run(model, targets, batch, purpose, predictions, plan, &mut self.workers)?.as_f64();
        if !loss.is_finite() {
            return Err(Error::NonFinite { what: "loss".into(), step: self.engine.step() + 1, value: loss });
        }
        let (shards, threads) = plan;
        self.pass.update(model, &mut self.engine, shards, &mut self.workers, threads.min(self.threads))?;
        Ok((loss, shards))
    }

    fn run_epoch(
        &mut self,
        model: &mut dyn Layer<A>,
        data: &Dataset<A>,
        order: &mut [usize],
        progress: &mut ProgressReport,
        history: &History,
        run: &mut Run,
    ) -> Result<Logs> {
        if self.shuffle {
            // From the sorted order each time, so that an epoch's order depends on its number alone.
            order.iter_mut().enumerate().for_each(|(place, row)| *row = place);
            order.shuffle(&mut stream(self.seed, Stream::Shuffle { epoch: self.epochs_done }));
        }
        self.reset_metrics();
        let mut means = vec![Mean::default(); self.losses.len()];
        for rows in order.chunks(self.batch_size) {
            // A callback may have frozen or exchanged a layer.
            self.prepare(model, data)?;
            let batch = Batch { data, rows: Some(rows) };
            let (loss, shards) = self.train_on(model, batch, None, !self.metrics.is_empty())?;
            self.gather(shards, rows.len(), &mut means)?;
            run.batch += 1;
            run.loss = loss;
            self.notify(progress, model, history, run, |callback, event| callback.on_batch_end(event))?;
            if run.stop {
                break;
            }
        }
        Ok(self.logs(&means))
    }

    fn reset_metrics(&mut self) {
        self.metrics.iter_mut().for_each(|(_, metric)| metric.reset());
    }

    /// Takes the losses and predictions of the last pass into the epoch's numbers.
    fn gather(&mut self, shards: usize, rows: usize, means: &mut [Mean]) -> Result<()> {
        for (output, mean) in means.iter_mut().enumerate() {
            let (loss, denominator) = self.pass.losses(shards, output);
            mean.add(loss.as_f64(), denominator.as_f64());
        }
        for (output, metric) in &mut self.metrics {
            for number in 0..shards {
                let (start, end) = (number * rows / shards, (number + 1) * rows / shards);
                let target = rows_of(&self.pass.gathered()[*output], start, end);
                metric.update(self.pass.prediction(number, *output), &target, None)?;
            }
        }
        Ok(())
    }

    fn logs(&self, means: &[Mean]) -> Logs {
        let weighted = |(mean, (_, weight)): (&Mean, &(_, f64))| weight * mean.value();
        let mut logs = vec![("loss".to_owned(), means.iter().zip(&self.losses).map(weighted).sum())];
        if means.len() > 1 {
            logs.extend(means.iter().enumerate().map(|(output, mean)| (format!("loss_{output}"), mean.value())));
        }
        for (output, metric) in &self.metrics {
            let suffix = if means.len() > 1 { format!("_{output}") } else { String::new() };
            logs.push((format!("{}{suffix}", metric.name()), metric.result()));
        }
        logs
    }

    /// Calls one method of every callback.
    fn notify(
        &mut self,
        progress: &mut ProgressReport,
        model: &mut dyn Layer<A>,
        history: &History,
        run: &mut Run,
        method: impl Fn(&mut dyn Callback<A>, &mut Event<'_, A>) -> Result<()>,
    ) -> Result<()> {
        let (step, rate) = (self.engine.step(), self.engine.rate());
        let mut event = Event {
            model,
            epoch: run.epoch,
            epochs: self.epochs,
            batch: run.batch,
            batches: run.batches,
            step,
            rate,
            loss: run.loss,
            history,
            stop: &mut run.stop,
        };
        method(progress, &mut event)?;
        self.callbacks.iter_mut().try_for_each(|callback| method(&mut **callback, &mut event))
    }
}

/// Where a run is.
struct Run {
    epoch: usize,
    batch: usize,
    batches: usize,
    loss: f64,
    stop: bool,
}

/// A mean over batches that is the mean over their terms.
#[derive(Clone, Default)]
struct Mean {
    sum: f64,
    terms: f64,
}

impl Mean {
    fn add(&mut self, value: f64, terms: f64) {
        self.sum += value * terms;
        self.terms += terms;
    }

    /// Samples that all weigh nothing have the loss 0, as a batch of such has.
    fn value(&self) -> f64 {
        if self.terms == 0.0 { 0.0 } else { self.sum / self.terms }
    }
}

/// Whether whole numbers are likely to be classes: few different ones, counted from 0. Counts and prices are not.
fn looks_like_classes(labels: &[usize]) -> bool {
    let classes = labels.iter().max().map_or(0, |&most| most.saturating_add(1));
    classes <= 1000 && 2 * classes <= labels.len()
}
