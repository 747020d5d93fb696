use std::sync::{Arc, Mutex};

use ndarray::{ArrayBase, Data, Dimension};

use super::callbacks::{Callback, Progress};
use super::checkpoint::{Loaded, Position};
use super::engine::Engine;
use super::history::{History, Report};
use super::online::Online;
use super::pass::Pass;
use super::task::{Batch, Rows};
use crate::data::augmentation::{Augment, Augmentations};
use crate::data::{Dataset, IntoDataset, ValidationSplit};
use crate::error::{Error, Result};
use crate::kernels::gemm::with_help;
use crate::layer::Layer;
use crate::losses::Loss;
use crate::metrics::Metric;
use crate::model::{Model, check_samples, with_context, with_input};
use crate::optimizers::Optimizer;
use crate::scalar::{Element, Scalar};
use crate::tensor::Tensor;
use crate::workers::Workers;

/// More threads or shards than this are a slip of the finger, and the system may refuse them.
pub(super) const MOST_THREADS: usize = 4096;

/// Where the samples come from that a run is validated on after each epoch.
pub(super) enum Validation<A: Scalar> {
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
    pub(super) losses: Vec<(Box<dyn Loss<A>>, f64)>,
    pub(super) metrics: Vec<(usize, Box<dyn Metric<A>>)>,
    pub(super) callbacks: Vec<Box<dyn Callback<A>>>,
    pub(super) augmentations: Augmentations<A>,
    pub(super) validation: Validation<A>,
    pub(super) epochs: usize,
    pub(super) batch_size: usize,
    pub(super) shuffle: bool,
    pub(super) seed: u64,
    pub(super) shards: Option<usize>,
    pub(super) threads: usize,
    pub(super) micro_batch: Option<usize>,
    pub(super) progress: Progress,
    pub(super) epochs_done: u64,
    /// The shards of a batch that is worth it, on the machine on which the training that was loaded had begun.
    pub(super) begun_with: Option<usize>,
    /// For what the model was built.
    pub(super) sample_shapes: Vec<Vec<usize>>,
    /// The run that goes on with the next `fit`.
    pub(super) loaded: Option<Loaded<A>>,
    /// Where the last run ended.
    pub(super) ended: Option<Position<A>>,
    /// What is kept from one [`partial_fit`](Self::partial_fit) to the next.
    pub(super) online: Online<A>,
    pub(super) engine: Engine<A>,
    pub(super) pass: Pass<A>,
    pub(super) workers: Workers,
    /// Those that share predictions, for which a trainer is only borrowed.
    pub(super) serving: Arc<Mutex<Workers>>,
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
            augmentations: Augmentations::of(),
            validation: Validation::None,
            epochs: 1,
            batch_size: 32,
            shuffle: true,
            seed: 0,
            shards: None,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            micro_batch: None,
            progress: Progress::Auto,
            epochs_done: 0,
            begun_with: None,
            sample_shapes: Vec::new(),
            loaded: None,
            ended: None,
            online: Online::default(),
            engine: Engine::new(Arc::new(optimizer)),
            pass: Pass::new(),
            workers: Workers::new(),
            serving: Arc::default(),
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

    /// Changes the images that a run trains on at random, after those changes that were given before. The images are the
    /// first input, of shape `(batch, height, width, channels)`; validation and evaluation see them as they are.
    ///
    /// A thread of its own prepares the next batch while this one is trained on, unless
    /// [`threads`](Self::threads) is 1 or a batch is too small to be worth it: what comes out is the same.
    ///
    /// ```
    /// use layerwise::data::augmentation::{RandomFlip, RandomRotation};
    /// use layerwise::prelude::*;
    ///
    /// let trainer = Trainer::new(SoftmaxCrossEntropy::new(), Adam::new(1e-3))
    ///     .augment(RandomFlip::horizontal())
    ///     .augment(RandomRotation::new(0.03));
    /// ```
    #[must_use]
    pub fn augment(mut self, augmentation: impl Augment<A> + 'static) -> Self {
        self.augmentations = self.augmentations.add(augmentation);
        self.online.forget_feed();
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

    /// How often a run goes over the samples, the epochs before a checkpoint that it goes on from included.
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

    /// The seed of everything random: starting weights, order of samples, augmentation, dropout, validation
    /// split.
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

    /// How many samples of a shard go through the network at once, forwards and backwards, with their gradients added up:
    /// the same mathematics with less memory traffic. By default as many as fit the cache, judged by the network and not
    /// by the machine. Networks whose samples influence each other (batch statistics) take each shard as a whole.
    #[must_use]
    pub fn micro_batch(mut self, samples: usize) -> Self {
        self.micro_batch = Some(samples);
        self
    }

    /// How many threads work at once, the calling one included. With layers that need statistics over the whole batch
    /// every shard has a thread of its own, however few there are cores.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
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
        self.check_settings()?;
        check_count("epochs", self.epochs, usize::MAX)?;
        self.engine.check()?;
        let data = data.into_dataset()?;
        self.run(model, &data)
    }

    /// One training step on a batch: for one's own loops. Gives the loss before the step.
    ///
    /// With [`accumulate`](Self::accumulate) every so many calls change the weights.
    ///
    /// After the first few steps on batches of one shape nothing is allocated any more. A run that was loaded from a
    /// checkpoint does not go on after it: the next [`fit`](Self::fit) is a new one.
    ///
    /// # Errors
    /// As for [`fit`](Self::fit). No weight has changed then.
    pub fn step(&mut self, model: &mut dyn Layer<A>, batch: &Dataset<A>) -> Result<f64> {
        (self.loaded, self.ended) = (None, None);
        self.prepare(model, batch)?;
        self.train_on(model, Batch { data: batch, rows: Rows::All }, None, false, false).map(|stepped| stepped.loss)
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
        (self.loaded, self.ended) = (None, None);
        self.prepare(model, batch)?;
        self.train_on(model, Batch { data: batch, rows: Rows::All }, Some(loss), false, false)
            .map(|stepped| stepped.loss)
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

    /// The outputs of a network for samples, axis 0 the batch, any strides: [`Model::predict`], shared out over this
    /// trainer's threads where the work is worth it: the samples, or for a single one the columns of large dense layers.
    ///
    /// # Errors
    /// Where the samples do not fit the network.
    pub fn predict<E, S, D>(&self, model: &dyn Layer<A>, x: &ArrayBase<S, D>) -> Result<Tensor<A>>
    where
        E: Element<A>,
        S: Data<Elem = E>,
        D: Dimension,
    {
        check_samples(x.shape())?;
        if x.shape()[0] == 1 {
            return with_help(&self.serving, self.threads, || model.predict(x));
        }
        with_input(x, |x| self.predict_shared(model, x))
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
        let outputs = self.predict(model, x)?;
        with_context(|ctx| self.losses[0].0.prediction(&outputs, ctx))
    }

    /// Refuses settings that no pass can work with.
    pub(super) fn check_settings(&self) -> Result<()> {
        check_count("batch_size", self.batch_size, usize::MAX)?;
        check_count("threads", self.threads, MOST_THREADS)?;
        check_count("micro_batch", self.micro_batch.unwrap_or(1), usize::MAX)?;
        check_count("shards", self.shards.unwrap_or(1), MOST_THREADS)?;
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
}

fn check_count(name: &str, count: usize, most: usize) -> Result<()> {
    match count {
        0 => Err(Error::setting(name, "at least 1", 0)),
        _ if count > most => Err(Error::setting(name, format!("at most {most}"), count)),
        _ => Ok(()),
    }
}
