use std::path::PathBuf;

use csv::{Terminator, WriterBuilder};
use serde_json::json;

use super::log_file::{COLUMNS, LogFile, names};
use super::saved::Saved;
use super::{Callback, CallbackState, Event};
use crate::error::{Error, Result};
use crate::scalar::Scalar;

/// Writes a CSV file with a line for each epoch: its number, the learning rate of its last step, its seconds, and
/// everything that is logged.
///
/// A line is handed to the system as soon as its epoch is over. Where an epoch lacks a number, because it was cut short
/// before its validation, the field is empty. A run that goes on from a checkpoint leaves the file as if it had never
/// been interrupted: lines of epochs after the checkpoint are removed, lines that are missing are written.
///
/// After Keras's `CSVLogger`.
///
/// ```
/// use layerwise::prelude::*;
///
/// let trainer = Trainer::new(MeanSquaredError::new(), Adam::new(1e-3)).callback(CsvLog::new("training.csv"));
/// ```
#[derive(Debug)]
pub struct CsvLog {
    log: LogFile,
    separator: char,
}

const KIND: &str = "CsvLog";

impl CsvLog {
    /// A new file, in the place of one that may be there.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        CsvLog { log: LogFile::new(path.into()), separator: ',' }
    }

    /// Writes behind the lines that are there, of other runs with the same columns.
    #[must_use]
    pub fn append(mut self) -> Self {
        self.log.set_append();
        self
    }

    /// What stands between two fields; a comma by default.
    #[must_use]
    pub fn separator(mut self, separator: char) -> Self {
        self.separator = separator;
        self
    }

    /// A byte that cannot be part of a number, a quote or a line's end.
    fn check_separator(&self) -> Result<u8> {
        let usable = self.separator.is_ascii_punctuation() && !"\".-+_".contains(self.separator);
        if usable || matches!(self.separator, '\t' | ' ') {
            return Ok(self.separator as u8);
        }
        let requirement = "a tab, a space or an ASCII sign that stands in no number or name";
        Err(Error::setting(format!("separator of {KIND}"), requirement, self.separator.escape_debug()))
    }
}

impl<A: Scalar> Callback<A> for CsvLog {
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
        self.check_separator()?;
        self.log.begin()
    }

    fn on_epoch_end(&mut self, event: &mut Event<'_, A>) -> Result<()> {
        let separator = self.check_separator()?;
        let names = names(event.history)?;
        let header = line(separator, COLUMNS.iter().chain(&names).map(|name| (*name).to_owned()))?;
        self.log.add(event.history, Some(&header), |epoch| {
            let own = [epoch.number.to_string(), epoch.rate.to_string(), epoch.seconds.to_string()];
            let logged = names.iter().map(|name| epoch.get(name).map_or_else(String::new, |value| value.to_string()));
            line(separator, own.into_iter().chain(logged))
        })
    }
}

/// A line of the file, quoted where it must be.
fn line(separator: u8, fields: impl Iterator<Item = String>) -> Result<String> {
    let mut writer =
        WriterBuilder::new().delimiter(separator).terminator(Terminator::Any(b'\n')).from_writer(Vec::new());
    writer.write_record(fields).map_err(|error| Error::custom(error.to_string()))?;
    let bytes = writer.into_inner().map_err(|error| Error::custom(error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| Error::custom(error.to_string()))
}
