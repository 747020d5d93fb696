//! What can go wrong, said so that the reader can find the place and mend it.

use std::fmt;
use std::path::PathBuf;

/// The result of everything in this crate that a user's input can make fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Every error of this crate. Containers add where in the model it happened with [`Error::in_layer`].
///
/// `{:?}` prints the same sentence as `{}`: that is what a `main` that returns an error, and `unwrap`, show.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An error inside a model, with the place where it happened.
    #[error("layer {path} ({kind}): {source}")]
    Layer {
        /// Dotted position of the layer in the model, for example `2` or `0.body.1`.
        path: String,
        /// The layer's type, as [`Layer::kind`](crate::Layer::kind) names it.
        kind: String,
        /// What happened there.
        #[source]
        source: Box<Error>,
    },
    /// An error with the part of a larger whole in which it happened: `output 1 (MeanSquaredError)`, `validation data`.
    #[error("{place}: {source}")]
    Within {
        /// The part.
        place: String,
        /// What happened there.
        #[source]
        source: Box<Error>,
    },
    /// An array has another shape than the one that is needed. Axis 0 of a batch is the sample.
    #[error("{what}: expected {expected}, got shape {got:?}")]
    Shape {
        /// What the array is: `input`, `target`, `gradient`...
        what: String,
        /// The shape that would do, in words.
        expected: String,
        /// The shape that came.
        got: Vec<usize>,
    },
    /// Two things that belong together differ in length.
    #[error("{what}: expected length {expected}, got {got}")]
    Length {
        /// What has the wrong length, and against what it is held.
        what: String,
        /// The length that would do.
        expected: usize,
        /// The length that came.
        got: usize,
    },
    /// A layer was asked to work before its parameters were made.
    #[error("used before it was built: call `initialize` on the model, or `fit`, which builds it from the data")]
    NotBuilt,
    /// A setting that cannot work.
    #[error("{name} must be {requirement}, got {got}")]
    Setting {
        /// The setting, as the user wrote it.
        name: String,
        /// Which values would do.
        requirement: String,
        /// The value that came.
        got: String,
    },
    /// A value in the data that cannot be used where it stands.
    #[error("{what} at {index:?}: expected {expected}, got {got}")]
    Value {
        /// What the value is: `class label`, `token id`, `sample weight`...
        what: String,
        /// Where it stands in its array.
        index: Vec<usize>,
        /// Which values would do.
        expected: String,
        /// The value that came.
        got: String,
    },
    /// There is nothing to work on.
    #[error("{0} is empty")]
    Empty(String),
    /// A loss or gradient is NaN or infinite. The weights are as they were before this step.
    #[error("{what} is {value} at step {step}; the weights are as they were before this step")]
    NonFinite {
        /// `loss` or `gradient norm`.
        what: String,
        /// The step, counted from 1.
        step: u64,
        /// The value.
        value: f64,
    },
    /// A worker panicked in the middle of a pass. The weights are as they were before this step.
    #[error("shard {shard} panicked: {message}")]
    Panicked {
        /// The shard, counted from 0.
        shard: usize,
        /// The panic's message.
        message: String,
    },
    /// Another shard of the same pass failed while this one waited for its share of a sum.
    #[error("another shard of this pass failed")]
    Poisoned,
    /// A file cannot be opened or read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A file whose content is not what it should be.
    #[error("{}: {message}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// A table (CSV) that cannot be read as asked.
    #[error("{table}{}{}: {message}", line.map(|l| format!(", line {l}")).unwrap_or_default(), column.as_ref().map(|c| format!(", column \"{c}\"")).unwrap_or_default())]
    Table {
        /// The file's name, or `table` for one that came from memory.
        table: String,
        /// The line in the file, counted from 1, headers included.
        line: Option<u64>,
        /// The column's name.
        column: Option<String>,
        /// What is wrong.
        message: String,
    },
    /// A graph that is not one: an unknown node, a missing output, inputs that do not fit.
    #[error("graph: {0}")]
    Graph(String),
    /// An error of a user's own layer, loss or callback.
    #[error(transparent)]
    Custom(#[from] Box<dyn std::error::Error + Send + Sync>),
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error {
    /// An array of the wrong shape.
    pub fn shape(what: impl Into<String>, expected: impl Into<String>, got: &[usize]) -> Self {
        Error::Shape { what: what.into(), expected: expected.into(), got: got.to_vec() }
    }

    /// A setting that cannot work.
    pub fn setting(name: impl Into<String>, requirement: impl Into<String>, got: impl ToString) -> Self {
        Error::Setting { name: name.into(), requirement: requirement.into(), got: got.to_string() }
    }

    /// A value in the data that cannot be used.
    pub fn value(what: impl Into<String>, index: &[usize], expected: impl Into<String>, got: impl ToString) -> Self {
        Error::Value { what: what.into(), index: index.to_vec(), expected: expected.into(), got: got.to_string() }
    }

    /// A file whose content is not what it should be.
    pub fn file(path: impl Into<PathBuf>, message: impl Into<String>) -> Self {
        Error::File { path: path.into(), message: message.into() }
    }

    /// Two lengths that should agree.
    pub fn length(what: impl Into<String>, expected: usize, got: usize) -> Self {
        Error::Length { what: what.into(), expected, got }
    }

    /// A user's own error, from a message.
    pub fn custom(message: impl Into<String>) -> Self {
        Error::Custom(message.into().into())
    }

    /// Adds the part of a larger whole in which it happened.
    #[must_use]
    pub fn within(self, place: impl Into<String>) -> Self {
        Error::Within { place: place.into(), source: Box::new(self) }
    }

    /// Adds the place in a model: containers call this for each child, from the inside out, so that the path reads
    /// from the outermost container to the layer that failed.
    #[must_use]
    pub fn in_layer(self, name: impl fmt::Display, kind: &str) -> Self {
        match self {
            Error::Layer { path, kind, source } => Error::Layer { path: format!("{name}.{path}"), kind, source },
            other => Error::Layer { path: name.to_string(), kind: kind.to_owned(), source: Box::new(other) },
        }
    }

    /// Translates the sample that a value's index begins with: from a row of a shard to a row of the data.
    #[must_use]
    pub(crate) fn map_sample(self, row: impl FnOnce(usize) -> usize) -> Self {
        match self {
            Error::Value { what, mut index, expected, got } => {
                if let Some(sample) = index.first_mut() {
                    *sample = row(*sample);
                }
                Error::Value { what, index, expected, got }
            }
            Error::Layer { path, kind, source } => {
                Error::Layer { path, kind, source: Box::new(source.map_sample(row)) }
            }
            Error::Within { place, source } => Error::Within { place, source: Box::new(source.map_sample(row)) },
            other => other,
        }
    }

    /// The error itself, without the place in the model.
    pub fn root(&self) -> &Error {
        match self {
            Error::Layer { source, .. } | Error::Within { source, .. } => source.root(),
            other => other,
        }
    }
}
