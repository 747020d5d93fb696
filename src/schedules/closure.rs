use serde_json::Value;

use super::Schedule;
use super::checks::check_rate;
use crate::error::Result;

/// Any function of the step, counted from 0, is a schedule:
///
/// ```
/// use layerwise::prelude::*;
///
/// let rule = Sgd::new(|step: u64| 0.1 / (1.0 + step as f64).sqrt());
/// ```
///
/// It should depend on the step alone: checkpoints know no more of it than that there is one. A rate that is none
/// ends the training with an error before its step.
impl<F: Fn(u64) -> f64 + Send + Sync> Schedule for F {
    fn kind(&self) -> &str {
        "Closure"
    }

    fn config(&self) -> Value {
        Value::Null
    }

    fn rate(&self, step: u64) -> f64 {
        self(step)
    }

    fn check(&self) -> Result<()> {
        check_rate("learning rate", self(0))
    }
}
