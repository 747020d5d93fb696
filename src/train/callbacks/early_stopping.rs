use serde_json::json;

use super::monitor::{Monitor, check_finite, monitor_methods};
use super::saved::{Saved, number};
use super::snapshot::Snapshot;
use super::{Callback, CallbackState, Event};
use crate::error::Result;
use crate::scalar::Scalar;

/// Ends a run once a number has not improved for a while.
///
/// After each epoch the [monitored](Self::monitor) number is held against the best so far. It has improved if it is
/// better by more than [`min_delta`](Self::min_delta); after [`patience`](Self::patience) epochs in a row without
/// improvement the run ends. Patience 0 is the same as 1: the first epoch without improvement ends it. NaN is no
/// improvement, and an epoch that was cut short counts for nothing.
///
/// With [`restore_best`](Self::restore_best) the model has the weights and state of its best epoch when the run is over,
/// however it ended.
///
/// Rules and defaults are Keras's `EarlyStopping` (where a first value of NaN is the best for ever).
///
/// ```
/// use layerwise::prelude::*;
///
/// let trainer = Trainer::new(MeanSquaredError::new(), Adam::new(1e-3))
///     .validation_split(ValidationSplit::Shuffled(0.2))
///     .epochs(500)
///     .callback(EarlyStopping::new().patience(20).restore_best());
/// ```
#[derive(Clone)]
pub struct EarlyStopping<A: Scalar = f32> {
    monitor: Monitor,
    patience: usize,
    baseline: Option<f64>,
    start_from_epoch: usize,
    restore_best: bool,
    /// The best value so far.
    best: Option<f64>,
    /// Epochs since it was improved on.
    wait: usize,
    best_weights: Option<Snapshot<A>>,
}

const KIND: &str = "EarlyStopping";

impl EarlyStopping {
    /// For `f32` models.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Self::of()
    }
}

impl<A: Scalar> EarlyStopping<A> {
    /// For models of any number type.
    pub fn of() -> Self {
        EarlyStopping {
            monitor: Monitor::new(KIND, 0.0),
            patience: 0,
            baseline: None,
            start_from_epoch: 0,
            restore_best: false,
            best: None,
            wait: 0,
            best_weights: None,
        }
    }

    monitor_methods!();

    /// How many epochs without improvement end the run; 0 by default.
    #[must_use]
    pub fn patience(mut self, epochs: usize) -> Self {
        self.patience = epochs;
        self
    }

    /// A change of no more than this is no improvement; 0 by default.
    #[must_use]
    pub fn min_delta(mut self, min_delta: f64) -> Self {
        self.monitor.set_min_delta(min_delta);
        self
    }

    /// A value that must be improved on as well: an epoch that improves on the best but not on this is waited for no
    /// longer than one that does not improve.
    #[must_use]
    pub fn baseline(mut self, baseline: f64) -> Self {
        self.baseline = Some(baseline);
        self
    }

    /// The first epochs, this many, are not looked at; 0 by default.
    #[must_use]
    pub fn start_from_epoch(mut self, epochs: usize) -> Self {
        self.start_from_epoch = epochs;
        self
    }

    /// Gives the model the weights of its best epoch at the end of the run.
    #[must_use]
    pub fn restore_best(mut self) -> Self {
        self.restore_best = true;
        self
    }

    fn watch(&mut self, value: f64, event: &mut Event<'_, A>) -> Result<()> {
        self.wait = self.wait.saturating_add(1);
        if self.monitor.improves(value, self.best)? {
            self.best = Some(value);
            if self.restore_best {
                self.best_weights = Some(Snapshot::of(&*event.model)?);
            }
            if self.baseline.is_none() || self.monitor.improves(value, self.baseline)? {
                self.wait = 0;
            }
        } else if self.wait >= self.patience && event.epoch > 1 {
            event.stop();
        }
        Ok(())
    }
}

impl<A: Scalar> Callback<A> for EarlyStopping<A> {
    fn kind(&self) -> &str {
        KIND
    }

    fn state(&self) -> CallbackState<A> {
        let settings = json!({ "best": self.best.map(number), "wait": self.wait });
        CallbackState { settings, tensors: Snapshot::to_tensors(self.best_weights.as_ref()) }
    }

    fn restore(&mut self, state: CallbackState<A>) -> Result<()> {
        let saved = Saved::new(KIND, &state.settings);
        (self.best, self.wait) = (saved.maybe_number("best")?, saved.size("wait")?);
        self.best_weights = Snapshot::from_state(state);
        Ok(())
    }

    fn on_train_begin(&mut self, _: &mut Event<'_, A>) -> Result<()> {
        (self.best, self.wait, self.best_weights) = (None, 0, None);
        if let Some(baseline) = self.baseline {
            check_finite(KIND, "baseline", baseline)?;
        }
        self.monitor.check()
    }

    fn on_epoch_end(&mut self, event: &mut Event<'_, A>) -> Result<()> {
        match self.monitor.value(event)? {
            Some(value) if event.epoch > self.start_from_epoch => self.watch(value, event),
            _ => Ok(()),
        }
    }

    fn on_train_end(&mut self, event: &mut Event<'_, A>) -> Result<()> {
        match &self.best_weights {
            Some(best) => best.put_into(event.model).map_err(|error| error.within(KIND)),
            None => Ok(()),
        }
    }
}
