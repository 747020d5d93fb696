use super::{Callback, Event};
use crate::error::{Error, Result};
use crate::model::Model;
use crate::scalar::Scalar;

/// Ends a run after an epoch that leaves numbers which are none behind: a loss of training or validation, or a weight or
/// state of the model, that is NaN or infinite.
///
/// A step whose loss is not finite is an error of the trainer even without this, and changes no weight. What is left for
/// this callback: the weights after the last step, running statistics, which no training loss sees, and the validation.
/// Other metrics may be NaN for good reasons and are not looked at.
///
/// The run ends as it does with [`Event::stop`], and the history's warnings say why; after Keras's `TerminateOnNaN`.
///
/// ```
/// use layerwise::prelude::*;
/// use layerwise::train::callbacks::TerminateOnNaN;
///
/// let trainer = Trainer::new(MeanSquaredError::new(), Sgd::new(0.1)).callback(TerminateOnNaN::new());
/// ```
#[derive(Clone, Debug, Default)]
pub struct TerminateOnNaN {
    raise_error: bool,
}

impl TerminateOnNaN {
    /// Ends runs without an error.
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends the run with an error instead, so that callbacks do not take it for one that has ended well.
    #[must_use]
    pub fn raise_error(mut self) -> Self {
        self.raise_error = true;
        self
    }
}

impl<A: Scalar> Callback<A> for TerminateOnNaN {
    fn on_epoch_end(&mut self, event: &mut Event<'_, A>) -> Result<()> {
        let Some(found) = bad_loss(event).map_or_else(|| bad_param(event), |found| Ok(Some(found)))? else {
            return Ok(());
        };
        let found = format!("{found} after epoch {}", event.epoch);
        if self.raise_error {
            return Err(Error::custom(found));
        }
        event.warn(format!("ended by TerminateOnNaN: {found}"));
        event.stop();
        Ok(())
    }
}

fn bad_loss<A: Scalar>(event: &Event<'_, A>) -> Option<String> {
    let mut logs = event.last_epoch()?.values().iter();
    let is_loss = |name: &str| name.trim_start_matches("val_").starts_with("loss");
    let (name, value) = logs.find(|(name, value)| is_loss(name) && !value.is_finite())?;
    Some(format!("{name} is {value}"))
}

fn bad_param<A: Scalar>(event: &Event<'_, A>) -> Result<Option<String>> {
    for (name, param) in event.model.params() {
        if let Some(value) = param.values()?.iter().find(|value| !value.is_finite()) {
            return Ok(Some(format!("parameter {name} holds {value}")));
        }
    }
    Ok(None)
}
