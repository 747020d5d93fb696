//! Which learning rate to begin with: a short run in which the rate grows until the loss does.

use std::sync::{Arc, Mutex, PoisonError};

use super::callbacks::{Callback, Event, Progress};
use super::checkpoint::Snapshot;
use super::online::Online;
use super::pass::Pass;
use super::rate_sweep::RateSweep;
use super::trainer::{Trainer, Validation};
use crate::data::{Dataset, IntoDataset};
use crate::error::{Error, Result};
use crate::layer::Layer;
use crate::scalar::Scalar;
use crate::workers::Workers;

/// Finds a learning rate by a sweep (Smith 2017): a short training in which the rate grows from step to step, by equal
/// factors, from a rate that changes nothing to one at which the loss runs away. Rates are good where the loss falls.
///
/// Step i of n has the rate `low (high / low)^(i / (n - 1))` and the loss before its update. Losses are smoothed by an
/// exponential average with bias correction, as in fastai and PyTorch Lightning:
/// `average = beta average + (1 - beta) loss`, smoothed = `average / (1 - beta^(i + 1))`. The sweep ends early once the
/// smoothed loss is more than 4 times the smallest so far, or where loss or gradients are no numbers any more.
///
/// It trains as [`Trainer::fit`] would: with the trainer's losses, optimizer, clipping, accumulation, augmentation,
/// batch size and seed, on the samples that are not held back for validation, in epochs as many as it takes; but
/// without metrics and callbacks, and with an optimizer that remembers nothing yet. Afterwards model and trainer are as
/// they were, to the last bit, also where the sweep fails; a model that was not built is not built.
///
/// Defaults are Lightning's: rates from 1e-8 to 1 in 100 steps, beta 0.98. (Lightning corrects the bias for one step
/// too many, which halves its first losses; fastai does as is done here.)
///
/// ```
/// use layerwise::data::datasets;
/// use layerwise::prelude::*;
/// use layerwise::train::LearningRateFinder;
///
/// let iris = datasets::iris();
/// let data = (&iris.features, &iris.labels);
/// let mut model = Sequential::new().add(Dense::new(16).activation(Activation::Relu)).add(Dense::new(3));
/// let mut trainer = Trainer::new(SoftmaxCrossEntropy::new(), Adam::new(1e-3));
///
/// let sweep = LearningRateFinder::new().low(1e-5).run(&mut trainer, &mut model, data)?;
/// println!("{sweep}"); // and sweep.rates, sweep.losses to plot
/// let rate = sweep.steepest_descent().unwrap_or(1e-3);
/// let mut trainer = Trainer::new(SoftmaxCrossEntropy::new(), Adam::new(rate)).progress(Progress::Silent);
/// trainer.fit(&mut model, data)?;
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct LearningRateFinder {
    low: f64,
    high: f64,
    steps: usize,
    beta: f64,
    stop_at: f64,
}

impl Default for LearningRateFinder {
    fn default() -> Self {
        LearningRateFinder { low: 1e-8, high: 1.0, steps: 100, beta: 0.98, stop_at: 4.0 }
    }
}

impl LearningRateFinder {
    /// With the defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// The rate of the first step, above 0.
    #[must_use]
    pub fn low(mut self, rate: f64) -> Self {
        self.low = rate;
        self
    }

    /// The rate of the last step, if the sweep comes so far.
    #[must_use]
    pub fn high(mut self, rate: f64) -> Self {
        self.high = rate;
        self
    }

    /// How many steps of the optimizer it takes, at least 2.
    #[must_use]
    pub fn steps(mut self, steps: usize) -> Self {
        self.steps = steps;
        self
    }

    /// How much of the average of losses stays in a step, from 0, which smooths nothing, to below 1.
    #[must_use]
    pub fn smoothing(mut self, beta: f64) -> Self {
        self.beta = beta;
        self
    }

    /// By how many times the smoothed loss may exceed the smallest before the sweep ends, above 1. Infinity ends it
    /// never; so it should be for losses that can be negative.
    #[must_use]
    pub fn stop_at(mut self, times: f64) -> Self {
        self.stop_at = times;
        self
    }

    /// Sweeps, and leaves model and trainer as they were.
    ///
    /// # Errors
    /// [`Error::Setting`] for a setting that cannot work; whatever [`Trainer::fit`] refuses; and
    /// [`Error::NonFinite`] where already the first loss is no number.
    pub fn run<'d, A: Scalar>(
        &self,
        trainer: &mut Trainer<A>,
        model: &mut dyn Layer<A>,
        data: impl IntoDataset<'d, A>,
    ) -> Result<RateSweep> {
        self.check()?;
        trainer.check_settings()?;
        let data = data.into_dataset()?;
        let training = trainer.training_part(&data)?;
        let before = Snapshot::of(model);
        let swept = trainer.aside(|trainer| self.sweep(trainer, model, &training));
        before.put_back(model);
        swept
    }

    /// The rate of a step, counted from 0.
    fn rate(&self, step: usize) -> f64 {
        self.low * (self.high / self.low).powf(step as f64 / (self.steps - 1) as f64)
    }

    fn sweep<A: Scalar>(
        &self,
        trainer: &mut Trainer<A>,
        model: &mut dyn Layer<A>,
        data: &Dataset<A>,
    ) -> Result<RateSweep> {
        let found = Arc::new(Mutex::new(RateSweep::default()));
        trainer.callbacks.push(Box::new(Sweeping::new(*self, Arc::clone(&found))));
        let ended = trainer.fit(model, data);
        let mut sweep = std::mem::take(&mut *found.lock().unwrap_or_else(PoisonError::into_inner));
        match ended {
            // Such losses are what a sweep looks for, but not before its first step.
            Err(Error::NonFinite { .. }) if !sweep.rates.is_empty() => sweep.diverged = true,
            ended => _ = ended?,
        }
        Ok(sweep)
    }

    fn check(&self) -> Result<()> {
        let refuse = |name: &str, requirement: &str, value: f64| {
            Err(Error::setting(format!("{name} of LearningRateFinder"), requirement, value))
        };
        if !(self.low.is_finite() && self.low > 0.0) {
            return refuse("low", "a finite number above 0", self.low);
        }
        if !(self.high.is_finite() && self.high > self.low) {
            return refuse("high", &format!("a finite number above {}, the low one", self.low), self.high);
        }
        if self.steps < 2 {
            return Err(Error::setting("steps of LearningRateFinder", "at least 2", self.steps));
        }
        if !(0.0..1.0).contains(&self.beta) {
            return refuse("smoothing", "from 0 to below 1", self.beta);
        }
        if self.stop_at.is_nan() || self.stop_at <= 1.0 {
            return refuse("stop_at", "above 1", self.stop_at);
        }
        Ok(())
    }
}

impl<A: Scalar> Trainer<A> {
    /// Calls `inside` with a trainer that trains as this one would but has trained nothing yet, without metrics,
    /// validation and callbacks. This one stays as it is.
    fn aside<R>(&mut self, inside: impl FnOnce(&mut Self) -> R) -> R {
        let mut other = Trainer {
            losses: std::mem::take(&mut self.losses),
            metrics: Vec::new(),
            callbacks: Vec::new(),
            augmentations: self.augmentations.clone(),
            validation: Validation::None,
            epochs: usize::MAX,
            progress: Progress::Silent,
            epochs_done: 0,
            begun_with: self.begun_with,
            sample_shapes: Vec::new(),
            loaded: None,
            ended: None,
            online: Online::default(),
            engine: self.engine.anew(),
            pass: Pass::new(),
            workers: Workers::new(),
            serving: Arc::default(),
            ..*self
        };
        let result = inside(&mut other);
        self.losses = other.losses;
        result
    }
}

/// Sets the rates, and writes down the losses.
struct Sweeping {
    finder: LearningRateFinder,
    found: Arc<Mutex<RateSweep>>,
    /// The losses of the batches that an update is gathered from, and how many they are.
    batches: (f64, f64),
    average: f64,
    smallest: f64,
}

impl Sweeping {
    fn new(finder: LearningRateFinder, found: Arc<Mutex<RateSweep>>) -> Self {
        Sweeping { finder, found, batches: (0.0, 0.0), average: 0.0, smallest: f64::INFINITY }
    }

    /// Writes a step down, and tells whether the sweep is over.
    fn take(&mut self, loss: f64) -> bool {
        let LearningRateFinder { steps, beta, stop_at, .. } = self.finder;
        let sweep = &mut *self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let step = sweep.rates.len();
        self.average = beta * self.average + (1.0 - beta) * loss;
        let smoothed = self.average / (1.0 - beta.powf((step + 1) as f64));
        sweep.rates.push(self.finder.rate(step));
        sweep.raw_losses.push(loss);
        sweep.losses.push(smoothed);
        sweep.diverged = stop_at.is_finite() && smoothed > stop_at * self.smallest;
        self.smallest = self.smallest.min(smoothed);
        sweep.diverged || step + 1 == steps
    }
}

impl<A: Scalar> Callback<A> for Sweeping {
    fn on_train_begin(&mut self, event: &mut Event<'_, A>) -> Result<()> {
        event.set_rate(self.finder.rate(0))
    }

    fn on_batch_end(&mut self, event: &mut Event<'_, A>) -> Result<()> {
        self.batches = (self.batches.0 + event.loss, self.batches.1 + 1.0);
        if !event.updated {
            return Ok(());
        }
        let (sum, batches) = std::mem::take(&mut self.batches);
        if self.take(sum / batches) {
            event.stop();
            return Ok(());
        }
        let step = self.found.lock().unwrap_or_else(PoisonError::into_inner).rates.len();
        event.set_rate(self.finder.rate(step))
    }
}
