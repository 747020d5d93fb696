//! Numbers in JSON that keep every bit, and JSON of a file that is not to be trusted.

use std::fmt::Display;
use std::path::Path;

use serde_json::Value;

use crate::error::{Error, Result};

/// A number as JSON, which has none for NaN and the infinities: they become strings.
pub(super) fn number(number: f64) -> Value {
    if number.is_finite() { Value::from(number) } else { Value::from(number.to_string()) }
}

/// A value in the JSON of a file, which can say where it stands.
pub(super) struct Json<'j> {
    file: &'j Path,
    place: String,
    value: &'j Value,
}

impl<'j> Json<'j> {
    pub(super) fn new(file: &'j Path, place: &str, value: &'j Value) -> Self {
        Json { file, place: place.to_owned(), value }
    }

    pub(super) fn value(&self) -> &'j Value {
        self.value
    }

    /// What stands under a key of an object.
    pub(super) fn get(&self, key: &str) -> Result<Json<'j>> {
        let value = self.value.get(key).ok_or_else(|| self.error(format!("has no \"{key}\"")))?;
        Ok(self.part(format_args!(".{key}"), value))
    }

    /// The same; `None` where it is null.
    pub(super) fn optional(&self, key: &str) -> Result<Option<Json<'j>>> {
        self.get(key).map(|part| (!part.value.is_null()).then_some(part))
    }

    /// The value of a key that files of earlier versions do not have.
    pub(super) fn added(&self, key: &str) -> Result<Option<Json<'j>>> {
        if self.value.get(key).is_none() { Ok(None) } else { self.get(key).map(Some) }
    }

    /// The entries of an object.
    pub(super) fn entries(&self) -> Result<impl Iterator<Item = (&'j str, Json<'j>)>> {
        let entries = self.value.as_object().ok_or_else(|| self.unlike("an object"))?;
        Ok(entries.iter().map(|(key, value)| (&**key, self.part(format_args!(".{key}"), value))))
    }

    /// The elements of a list.
    pub(super) fn items(&self) -> Result<impl Iterator<Item = Json<'j>>> {
        let items = self.value.as_array().ok_or_else(|| self.unlike("a list"))?;
        Ok(items.iter().enumerate().map(|(at, value)| self.part(format_args!("[{at}]"), value)))
    }

    /// The elements of a list of two.
    pub(super) fn pair(&self) -> Result<[Json<'j>; 2]> {
        <[_; 2]>::try_from(self.items()?.collect::<Vec<_>>()).map_err(|_| self.unlike("a list of two"))
    }

    pub(super) fn u64(&self) -> Result<u64> {
        self.value.as_u64().ok_or_else(|| self.unlike("a whole number of at least 0"))
    }

    pub(super) fn usize(&self) -> Result<usize> {
        let number = self.u64()?;
        usize::try_from(number).map_err(|_| self.unlike("a number that this machine can count to"))
    }

    /// What [`number`] has made.
    pub(super) fn f64(&self) -> Result<f64> {
        let named = |text: &str| text.parse().ok().filter(|number: &f64| !number.is_finite());
        let number = self.value.as_f64().or_else(|| self.value.as_str().and_then(named));
        number.ok_or_else(|| self.unlike("a number"))
    }

    pub(super) fn bool(&self) -> Result<bool> {
        self.value.as_bool().ok_or_else(|| self.unlike("true or false"))
    }

    pub(super) fn text(&self) -> Result<&'j str> {
        self.value.as_str().ok_or_else(|| self.unlike("a text"))
    }

    /// The numbers of a list.
    pub(super) fn usizes(&self) -> Result<Vec<usize>> {
        self.items()?.map(|item| item.usize()).collect()
    }

    /// The texts of a list.
    pub(super) fn texts(&self) -> Result<Vec<String>> {
        self.items()?.map(|item| item.text().map(str::to_owned)).collect()
    }

    /// An error that says where in the file.
    pub(super) fn error(&self, message: impl Display) -> Error {
        Error::file(self.file, format!("{} {message}", self.place))
    }

    fn unlike(&self, expected: &str) -> Error {
        self.error(format_args!("must be {expected}, got {}", shown(self.value)))
    }

    fn part(&self, step: impl Display, value: &'j Value) -> Json<'j> {
        Json { file: self.file, place: format!("{}{step}", self.place), value }
    }
}

/// A value as a message can show it, however long it is.
pub(super) fn shown(value: &Value) -> String {
    const MOST: usize = 100;
    match value {
        Value::Null => "none".into(),
        Value::Array(items) if items.len() > MOST => format!("a list of {}", items.len()),
        Value::Object(entries) if entries.len() > MOST => format!("an object of {}", entries.len()),
        _ => {
            let text = value.to_string();
            match text.char_indices().nth(MOST) {
                Some((end, _)) => format!("{}...", &text[..end]),
                None => text,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_with_every_bit() -> Result<()> {
        let odd = [0.1 + 0.2, -0.0, 5e-324, f64::MAX, f64::MIN_POSITIVE, 2f64.powi(53) + 2.0, 1.0 / 3.0];
        for before in odd.into_iter().chain([f64::NAN, f64::INFINITY, f64::NEG_INFINITY]) {
            let text = number(before).to_string();
            let value: Value = serde_json::from_str(&text).expect("what was written is JSON");
            let after = Json::new(Path::new("x"), "x", &value).f64()?;
            assert!(
                after.to_bits() == before.to_bits() || after.is_nan() && before.is_nan(),
                "{before} {text} {after}"
            );
        }
        Ok(())
    }

    #[test]
    fn an_error_names_file_place_and_value() {
        let value = serde_json::json!({ "run": { "means": [1, "x"] } });
        let json = Json::new(Path::new("a.ckpt"), "training", &value);
        let means = json.get("run").and_then(|run| run.get("means"));
        let error = means.and_then(|means| means.usizes()).unwrap_err().to_string();
        assert_eq!(error, "a.ckpt: training.run.means[1] must be a whole number of at least 0, got \"x\"");
        assert_eq!(json.get("epoch").map(drop).unwrap_err().to_string(), "a.ckpt: training has no \"epoch\"");
    }
}
