//! A logged number that a callback watches, and which way is better.

use super::Event;
use crate::error::{Error, Result};
use crate::scalar::Scalar;

/// Parts of names whose numbers are better when they are smaller, and when they are larger.
const SMALLER: [&str; 2] = ["loss", "error"];
const LARGER: [&str; 6] = ["accuracy", "precision", "recall", "f1", "r2", "auc"];

/// Which way is better.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Goal {
    ByName,
    Smaller,
    Larger,
}

/// A number of the epochs' logs.
#[derive(Clone, Debug)]
pub(super) struct Monitor {
    /// The callback, for errors.
    owner: &'static str,
    name: String,
    goal: Goal,
    min_delta: f64,
}

impl Monitor {
    /// Watches `val_loss`; a change of at most `min_delta` is none.
    pub(super) fn new(owner: &'static str, min_delta: f64) -> Self {
        Monitor { owner, name: "val_loss".to_owned(), goal: Goal::ByName, min_delta }
    }

    pub(super) fn set_name(&mut self, name: String) {
        self.name = name;
    }

    pub(super) fn set_larger(&mut self, larger: bool) {
        self.goal = if larger { Goal::Larger } else { Goal::Smaller };
    }

    pub(super) fn set_min_delta(&mut self, min_delta: f64) {
        self.min_delta = min_delta;
    }

    pub(super) fn check(&self) -> Result<()> {
        check_size(self.owner, "min_delta", self.min_delta)
    }

    /// The value after an epoch; `None` after one that was cut short, whose numbers are those of a part.
    ///
    /// # Errors
    /// Where the logs have no number of this name, or the name does not tell which way is better and nobody has said.
    pub(super) fn value<A: Scalar>(&self, event: &Event<'_, A>) -> Result<Option<f64>> {
        let Some(epoch) = event.last_epoch().filter(|_| event.batch == event.batches) else { return Ok(None) };
        let Some(value) = epoch.get(&self.name) else {
            let names: Vec<_> = epoch.values().iter().map(|(name, _)| name.as_str()).collect();
            let name = format!("monitor of {}", self.owner);
            return Err(Error::setting(name, format!("one of {}", names.join(", ")), &self.name));
        };
        self.is_larger_better().map(|_| Some(value))
    }

    /// Whether a value is better than another by more than `min_delta`, as it is than none. NaN is never better.
    pub(super) fn improves(&self, value: f64, on: Option<f64>) -> Result<bool> {
        let larger = self.is_larger_better()?;
        Ok(match on {
            None => !value.is_nan(),
            Some(on) if larger => value - self.min_delta > on,
            Some(on) => value + self.min_delta < on,
        })
    }

    fn is_larger_better(&self) -> Result<bool> {
        let has = |parts: &[&str]| parts.iter().any(|part| self.name.contains(part));
        match self.goal {
            Goal::Larger => Ok(true),
            Goal::Smaller => Ok(false),
            Goal::ByName if has(&SMALLER) => Ok(false),
            Goal::ByName if has(&LARGER) => Ok(true),
            Goal::ByName => {
                let name = format!("monitor of {}", self.owner);
                let requirement = "followed by minimize() or maximize() where its name does not tell which is better";
                Err(Error::setting(name, requirement, &self.name))
            }
        }
    }
}

/// Refuses a setting that is not a finite number of at least 0.
pub(super) fn check_size(owner: &str, name: &str, value: f64) -> Result<()> {
    if value.is_finite() && value >= 0.0 {
        return Ok(());
    }
    Err(Error::setting(format!("{name} of {owner}"), "a finite number of at least 0", value))
}

/// Refuses a setting that is no finite number.
pub(super) fn check_finite(owner: &str, name: &str, value: f64) -> Result<()> {
    if value.is_finite() {
        return Ok(());
    }
    Err(Error::setting(format!("{name} of {owner}"), "a finite number", value))
}

/// The methods by which a callback with a field `monitor` is told what to watch.
macro_rules! monitor_methods {
    () => {
        /// The number to watch: `loss` or the name of a metric, with `val_` before it for the validation's; `val_loss` by
        /// default. An epoch whose logs do not have it ends the run with an error.
        #[must_use]
        pub fn monitor(mut self, name: impl Into<String>) -> Self {
            self.monitor.set_name(name.into());
            self
        }

        /// Smaller is better. Without this, the name tells: losses and errors should be small; accuracy, precision,
        /// recall, F1, R2 and AUC large.
        #[must_use]
        pub fn minimize(mut self) -> Self {
            self.monitor.set_larger(false);
            self
        }

        /// Larger is better.
        #[must_use]
        pub fn maximize(mut self) -> Self {
            self.monitor.set_larger(true);
            self
        }
    };
}
pub(super) use monitor_methods;

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> Monitor {
        let mut monitor = Monitor::new("Test", 0.0);
        monitor.set_name(name.to_owned());
        monitor
    }

    #[test]
    fn the_name_tells_which_way_is_better() {
        for name in ["loss", "val_loss", "loss_1", "val_mean_absolute_error", "mean_squared_error_2"] {
            assert!(named(name).improves(1.0, Some(2.0)).unwrap(), "{name}");
            assert!(!named(name).improves(2.0, Some(1.0)).unwrap(), "{name}");
        }
        for name in ["accuracy", "val_accuracy_0", "precision", "val_recall", "f1", "r2", "auc"] {
            assert!(named(name).improves(2.0, Some(1.0)).unwrap(), "{name}");
        }
        let error = named("gini").improves(1.0, None).unwrap_err().to_string();
        assert!(error.starts_with("monitor of Test must be followed by minimize() or maximize()"), "{error}");
    }

    #[test]
    fn not_a_number_is_never_better() {
        assert!(!named("loss").improves(f64::NAN, None).unwrap());
        assert!(!named("loss").improves(f64::NAN, Some(1.0)).unwrap());
        assert!(named("loss").improves(f64::INFINITY, None).unwrap());
    }
}
