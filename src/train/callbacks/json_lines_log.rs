use std::path::PathBuf;

use serde_json::{Value, json};

use super::log_file::{LogFile, names};
use super::saved::Saved;
use super::{Callback, CallbackState, Event};
use crate::error::Result;
use crate::scalar::Scalar;
use crate::train::history::Epoch;

/// Writes a file with a JSON object for each epoch, one a line:
/// `{"epoch":1,"rate":0.001,"seconds":0.25,"loss":0.693,"val_loss":0.7}`.
///
/// A number that is NaN or infinite, for which JSON has no sign, is null. Everything else is as for
/// [`CsvLog`](super::CsvLog).
///
/// ```
/// use layerwise::prelude::*;
/// use layerwise::train::callbacks::JsonLinesLog;
///
/// let trainer = Trainer::new(MeanSquaredError::new(), Adam::new(1e-3)).callback(JsonLinesLog::new("training.jsonl"));
/// ```
#[derive(Debug)]
pub struct JsonLinesLog {
    log: LogFile,
}

const KIND: &str = "JsonLinesLog";

impl JsonLinesLog {
    /// A new file, in the place of one that may be there.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        JsonLinesLog { log: LogFile::new(path.into()) }
    }

    /// Writes behind the lines that are there.
    #[must_use]
    pub fn append(mut self) -> Self {
        self.log.set_append();
        self
    }
}

impl<A: Scalar> Callback<A> for JsonLinesLog {
    fn kind(&self) -> &str {
        KIND
    }

    fn state(&self) -> CallbackState<A> {
        CallbackState { settings: json!({ "start": self.log.start() }), ..CallbackState::default() }
    }

    fn restore(&mut self, state: CallbackState<A>) -> Result<()> {
        self.log.set_start(Saved::new(KIND, &state.settings).count("start")?);
        Ok(())
    }

    fn on_train_begin(&mut self, _: &mut Event<'_, A>) -> Result<()> {
        self.log.begin()
    }

    fn on_epoch_end(&mut self, event: &mut Event<'_, A>) -> Result<()> {
        names(event.history)?;
        self.log.add(event.history, None, |epoch| Ok(line(epoch)))
    }
}

/// In the order of the logs, which a map would lose.
fn line(epoch: &Epoch) -> String {
    let mut line = format!("{{\"epoch\":{}", epoch.number);
    let own = [("rate", epoch.rate), ("seconds", epoch.seconds)];
    let logged = epoch.values().iter().map(|(name, value)| (name.as_str(), *value));
    for (name, value) in own.into_iter().chain(logged) {
        line += &format!(",{}:{}", Value::from(name), Value::from(value));
    }
    line + "}\n"
}
