//! Reading the settings of a callback's state: a file may hold anything.

use serde_json::Value;

use crate::error::{Error, Result};
pub(super) use crate::train::json::number;
use crate::train::json::shown;

/// The settings of a state, read key by key. Errors name the callback, the key and the value.
pub(super) struct Saved<'s> {
    kind: &'s str,
    settings: &'s Value,
}

impl<'s> Saved<'s> {
    pub(super) fn new(kind: &'s str, settings: &'s Value) -> Self {
        Saved { kind, settings }
    }

    fn read<T>(&self, key: &str, expected: &str, read: impl FnOnce(&'s Value) -> Option<T>) -> Result<T> {
        let value = self.settings.get(key).unwrap_or(&Value::Null);
        let name = || format!("{key} in the state of {}", self.kind);
        read(value).ok_or_else(|| Error::setting(name(), expected, shown(value)))
    }

    /// A whole number.
    pub(super) fn count(&self, key: &str) -> Result<u64> {
        self.read(key, "a whole number of at least 0", Value::as_u64)
    }

    /// A whole number that counts something in memory.
    pub(super) fn size(&self, key: &str) -> Result<usize> {
        self.read(key, "a whole number of at least 0", |value| value.as_u64()?.try_into().ok())
    }

    /// Yes or no.
    pub(super) fn flag(&self, key: &str) -> Result<bool> {
        self.read(key, "true or false", Value::as_bool)
    }

    /// A number that [`number`] wrote.
    pub(super) fn number(&self, key: &str) -> Result<f64> {
        self.read(key, "a number", parse)
    }

    /// The same, or null.
    pub(super) fn maybe_number(&self, key: &str) -> Result<Option<f64>> {
        self.read(key, "a number or null", |value| match value {
            Value::Null => Some(None),
            value => parse(value).map(Some),
        })
    }

    /// Numbers with their names, as [`named_numbers`] wrote them.
    pub(super) fn named_numbers(&self, key: &str) -> Result<Vec<(String, f64)>> {
        let pair = |pair: &Value| match pair.as_array()?.as_slice() {
            [name, number] => Some((name.as_str()?.to_owned(), parse(number)?)),
            _ => None,
        };
        self.read(key, "a list of names with numbers", |value| value.as_array()?.iter().map(pair).collect())
    }
}

/// What [`number`] has made: text for NaN and the infinities, for which JSON has no numbers.
fn parse(value: &Value) -> Option<f64> {
    let named = |text: &str| text.parse().ok().filter(|number: &f64| !number.is_finite());
    value.as_f64().or_else(|| named(value.as_str()?))
}

/// A list of names with their numbers.
pub(super) fn named_numbers(pairs: &[(String, f64)]) -> Value {
    pairs.iter().map(|(name, value)| Value::from(vec![Value::from(name.as_str()), number(*value)])).collect()
}
