//! A text file that grows by a line with every epoch.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::train::history::{Epoch, History};

/// The columns that every log has beside the logged numbers.
pub(super) const COLUMNS: [&str; 3] = ["epoch", "rate", "seconds"];

/// Lines reach the system one by one. With the first line of a run all lines of its history are written: a run that goes
/// on from a checkpoint so has each of its epochs once, whatever an earlier process had written before it died.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    append: bool,
    /// Where the lines of this run begin.
    start: u64,
    file: Option<File>,
}

impl LogFile {
    pub(super) fn new(path: PathBuf) -> Self {
        LogFile { path, append: false, start: 0, file: None }
    }

    pub(super) fn set_append(&mut self) {
        self.append = true;
    }

    pub(super) fn start(&self) -> u64 {
        self.start
    }

    pub(super) fn set_start(&mut self, start: u64) {
        self.start = start;
    }

    /// Makes sure before the first epoch that the file can be written to.
    pub(super) fn begin(&mut self) -> Result<()> {
        self.file = None;
        let length = OpenOptions::new().append(true).create(true).open(&self.path).and_then(|file| file.metadata());
        let length = length.map_err(|source| self.error(source))?.len();
        self.start = if self.append { length } else { 0 };
        Ok(())
    }

    /// Writes the line of the last epoch, and before it, in a file that was empty, the header. A file with lines of
    /// other runs must have the same header.
    pub(super) fn add(
        &mut self,
        history: &History,
        header: Option<&str>,
        line: impl Fn(&Epoch) -> Result<String>,
    ) -> Result<()> {
        let mut epochs = history.epochs();
        let mut text = String::new();
        let mut file = match self.file.take() {
            Some(file) => {
                epochs = &epochs[epochs.len().saturating_sub(1)..];
                file
            }
            None => {
                text += header.filter(|_| self.start == 0).unwrap_or_default();
                self.open(header)?
            }
        };
        for epoch in epochs {
            text += &line(epoch)?;
        }
        file.write_all(text.as_bytes()).map_err(|source| self.error(source))?;
        self.file = Some(file);
        Ok(())
    }

    /// The file, cut off where this run's lines begin.
    fn open(&self, header: Option<&str>) -> Result<File> {
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&self.path);
        let mut file = open.map_err(|source| self.error(source))?;
        let length = file.metadata().map_err(|source| self.error(source))?.len();
        if length < self.start {
            let message = format!("the lines of this run begin after {} bytes, and there are {length}", self.start);
            return Err(Error::file(&self.path, message));
        }
        if let Some(header) = header.filter(|_| self.start > 0) {
            let mut first = Vec::new();
            let read = BufReader::new(&mut file).read_until(b'\n', &mut first);
            read.map_err(|source| self.error(source))?;
            if first != header.as_bytes() {
                let (first, header) = (String::from_utf8_lossy(&first), header.trim_end());
                let message = format!("begins with {}, and the columns of this run are {header}", first.trim_end());
                return Err(Error::file(&self.path, message));
            }
        }
        let cut = file.set_len(self.start).and_then(|()| file.seek(SeekFrom::Start(self.start)));
        cut.map_err(|source| self.error(source))?;
        Ok(file)
    }

    fn error(&self, source: std::io::Error) -> Error {
        Error::Io { path: self.path.clone(), source }
    }
}

/// The names of the numbers that an epoch has logged, which must not be those of the other columns.
pub(super) fn names(history: &History) -> Result<Vec<&str>> {
    let first = history.epochs().first().map_or(&[][..], Epoch::values);
    let names: Vec<_> = first.iter().map(|(name, _)| name.as_str()).collect();
    match names.iter().find(|name| COLUMNS.contains(name)) {
        Some(name) => Err(Error::setting("name of a metric in a log", "none of epoch, rate, seconds", name)),
        None => Ok(names),
    }
}
