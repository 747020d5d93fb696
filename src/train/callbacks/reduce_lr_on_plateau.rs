use serde_json::json;

use super::monitor::{Monitor, check_size, monitor_methods};
use super::saved::{Saved, number};
use super::{Callback, CallbackState, Event};
use crate::error::{Error, Result};
use crate::scalar::Scalar;

/// Reduces the learning rate when a number has stopped improving.
///
/// After [`patience`](Self::patience) epochs in a row without an improvement by more than
/// [`min_delta`](Self::min_delta), the rate becomes `max(factor * rate, min_rate)`, and the count begins anew; for
/// [`cooldown`](Self::cooldown) epochs after that nothing is counted. NaN is no improvement, and an epoch that was cut
/// short counts for nothing.
///
/// A schedule keeps its form: the rates of all later steps are multiplied. It may go below `min_rate` by itself.
///
/// Rules and defaults are Keras's `ReduceLROnPlateau`: factor 0.1, patience 10, min_delta 1e-4, no cooldown, min_rate 0.
///
/// ```
/// use layerwise::prelude::*;
///
/// let trainer = Trainer::new(MeanSquaredError::new(), Sgd::new(0.1))
///     .callback(ReduceLROnPlateau::new().monitor("loss").factor(0.5).patience(3).min_rate(1e-4));
/// ```
#[derive(Clone, Debug)]
pub struct ReduceLROnPlateau {
    monitor: Monitor,
    factor: f64,
    patience: usize,
    cooldown: usize,
    min_rate: f64,
    /// The best value so far.
    best: Option<f64>,
    /// Epochs since it was improved on.
    wait: usize,
    /// Epochs of the cooldown that are left.
    cooling: usize,
}

const KIND: &str = "ReduceLROnPlateau";

impl ReduceLROnPlateau {
    /// With Keras's defaults.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        ReduceLROnPlateau {
            monitor: Monitor::new(KIND, 1e-4),
            factor: 0.1,
            patience: 10,
            cooldown: 0,
            min_rate: 0.0,
            best: None,
            wait: 0,
            cooling: 0,
        }
    }

    monitor_methods!();

    /// What the rate is multiplied with, between 0 and 1.
    #[must_use]
    pub fn factor(mut self, factor: f64) -> Self {
        self.factor = factor;
        self
    }

    /// How many epochs without improvement reduce the rate. 0 is the same as 1.
    #[must_use]
    pub fn patience(mut self, epochs: usize) -> Self {
        self.patience = epochs;
        self
    }

    /// A change of no more than this is no improvement.
    #[must_use]
    pub fn min_delta(mut self, min_delta: f64) -> Self {
        self.monitor.set_min_delta(min_delta);
        self
    }

    /// For how many epochs after a reduction nothing is counted.
    #[must_use]
    pub fn cooldown(mut self, epochs: usize) -> Self {
        self.cooldown = epochs;
        self
    }

    /// The rate is not reduced below this.
    #[must_use]
    pub fn min_rate(mut self, rate: f64) -> Self {
        self.min_rate = rate;
        self
    }

    fn reduce<A: Scalar>(&mut self, event: &mut Event<'_, A>) -> Result<()> {
        let rate = event.rate();
        if rate > self.min_rate {
            event.scale_rate(self.factor.max(self.min_rate / rate))?;
            (self.cooling, self.wait) = (self.cooldown, 0);
        }
        Ok(())
    }
}

impl<A: Scalar> Callback<A> for ReduceLROnPlateau {
    fn kind(&self) -> &str {
        KIND
    }

    fn state(&self) -> CallbackState<A> {
        let settings = json!({ "best": self.best.map(number), "wait": self.wait, "cooling": self.cooling });
        CallbackState { settings, ..CallbackState::default() }
    }

    fn restore(&mut self, state: CallbackState<A>) -> Result<()> {
        let saved = Saved::new(KIND, &state.settings);
        (self.best, self.wait, self.cooling) =
            (saved.maybe_number("best")?, saved.size("wait")?, saved.size("cooling")?);
        Ok(())
    }

    fn on_train_begin(&mut self, _: &mut Event<'_, A>) -> Result<()> {
        (self.best, self.wait, self.cooling) = (None, 0, 0);
        if !(self.factor > 0.0 && self.factor < 1.0) {
            return Err(Error::setting(format!("factor of {KIND}"), "between 0 and 1", self.factor));
        }
        check_size(KIND, "min_rate", self.min_rate)?;
        self.monitor.check()
    }

    fn on_epoch_end(&mut self, event: &mut Event<'_, A>) -> Result<()> {
        let Some(value) = self.monitor.value(event)? else { return Ok(()) };
        if self.cooling > 0 {
            (self.cooling, self.wait) = (self.cooling - 1, 0);
        }
        if self.monitor.improves(value, self.best)? {
            (self.best, self.wait) = (Some(value), 0);
        } else if self.cooling == 0 {
            self.wait = self.wait.saturating_add(1);
            if self.wait >= self.patience {
                self.reduce(event)?;
            }
        }
        Ok(())
    }
}
