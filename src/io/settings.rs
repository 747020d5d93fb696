//! Settings out of JSON, each with its place, so that an error tells which number of a long file is meant.

use std::cell::RefCell;
use std::fmt::{self, Display, Write};

use serde_json::{Map, Value};

use crate::error::{Error, Result};

/// Where a value stands in JSON. It shows itself as `config.layers[2].config.units`.
#[derive(Clone, Copy)]
pub struct Place<'p> {
    parent: Option<&'p Place<'p>>,
    step: Step<'p>,
}

#[derive(Clone, Copy)]
enum Step<'p> {
    Key(&'p str),
    Item(usize),
}

impl<'p> Place<'p> {
    /// The outermost value, by this name.
    pub(crate) fn root(name: &'p str) -> Self {
        Place { parent: None, step: Step::Key(name) }
    }

    /// A value in an object.
    pub(crate) fn key(&'p self, name: &'p str) -> Self {
        Place { parent: Some(self), step: Step::Key(name) }
    }

    /// A value in a list.
    pub(crate) fn item(&'p self, number: usize) -> Self {
        Place { parent: Some(self), step: Step::Item(number) }
    }

    /// How many values this one stands in.
    pub(crate) fn depth(&self) -> usize {
        self.parent.map_or(0, |parent| 1 + parent.depth())
    }

    /// The error that names this place, which values would do there, and the one that came.
    pub fn refuse(&self, requirement: impl Into<String>, got: &Value) -> Error {
        Error::setting(self.to_string(), requirement, Short(got))
    }
}

impl Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.parent, self.step) {
            (None, Step::Key(name)) => f.write_str(name),
            (Some(parent), Step::Key(name)) => write!(f, "{parent}.{name}"),
            (None, Step::Item(number)) => write!(f, "[{number}]"),
            (Some(parent), Step::Item(number)) => write!(f, "{parent}[{number}]"),
        }
    }
}

/// The beginning of a value, for an error.
struct Short<'v>(&'v Value);

impl Display for Short<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// Takes so many characters.
        struct Beginning<'t>(&'t mut String, usize);

        impl Write for Beginning<'_> {
            fn write_str(&mut self, text: &str) -> fmt::Result {
                for character in text.chars() {
                    self.1 = self.1.checked_sub(1).ok_or(fmt::Error)?;
                    self.0.push(character);
                }
                Ok(())
            }
        }
        let mut text = String::new();
        if write!(Beginning(&mut text, 60), "{}", self.0).is_err() {
            text.push_str("...");
        }
        f.write_str(&text)
    }
}

/// What can be read from the JSON of a file as a setting: numbers, flags, strings, lists and pairs of them, and what
/// else implements this.
///
/// ```
/// use layerwise::io::{Place, Setting};
/// use layerwise::prelude::*;
///
/// enum Side { Left, Right }
///
/// impl Setting for Side {
///     fn read(value: &serde_json::Value, place: Place<'_>) -> Result<Self> {
///         match value.as_str() {
///             Some("left") => Ok(Side::Left),
///             Some("right") => Ok(Side::Right),
///             _ => Err(place.refuse("\"left\" or \"right\"", value)),
///         }
///     }
/// }
/// ```
pub trait Setting: Sized {
    /// Reads it; `place` is for the error.
    ///
    /// # Errors
    /// [`Error::Setting`] with the place and the value, where that is none.
    fn read(value: &Value, place: Place<'_>) -> Result<Self>;

    /// What it is where the file says nothing: an error, but for an `Option`.
    ///
    /// # Errors
    /// [`Error::Setting`] with the place.
    fn missing(place: Place<'_>) -> Result<Self> {
        Err(Error::setting(place.to_string(), "given", "nothing"))
    }
}

impl Setting for bool {
    fn read(value: &Value, place: Place<'_>) -> Result<Self> {
        value.as_bool().ok_or_else(|| place.refuse("true or false", value))
    }
}

macro_rules! whole {
    ($($number:ty: $as:ident, $requirement:expr);*) => {$(
        impl Setting for $number {
            fn read(value: &Value, place: Place<'_>) -> Result<Self> {
                let number = value.$as().and_then(|number| <$number>::try_from(number).ok());
                number.ok_or_else(|| place.refuse($requirement, value))
            }
        }
    )*};
}
whole!(
    usize: as_u64, "a whole number from 0"; u64: as_u64, "a whole number from 0";
    isize: as_i64, "a whole number"; i64: as_i64, "a whole number"
);

impl Setting for f64 {
    fn read(value: &Value, place: Place<'_>) -> Result<Self> {
        let special = |text| match text {
            "NaN" => Some(f64::NAN),
            "inf" => Some(f64::INFINITY),
            "-inf" => Some(f64::NEG_INFINITY),
            _ => None,
        };
        let number = value.as_f64().or_else(|| value.as_str().and_then(special));
        number.ok_or_else(|| place.refuse("a number", value))
    }
}

impl Setting for String {
    fn read(value: &Value, place: Place<'_>) -> Result<Self> {
        value.as_str().map(str::to_owned).ok_or_else(|| place.refuse("a string", value))
    }
}

impl<T: Setting> Setting for Option<T> {
    fn read(value: &Value, place: Place<'_>) -> Result<Self> {
        if value.is_null() { Ok(None) } else { T::read(value, place).map(Some) }
    }

    fn missing(_: Place<'_>) -> Result<Self> {
        Ok(None)
    }
}

impl<T: Setting> Setting for Vec<T> {
    fn read(value: &Value, place: Place<'_>) -> Result<Self> {
        let items = value.as_array().ok_or_else(|| place.refuse("a list", value))?;
        items.iter().enumerate().map(|(number, item)| T::read(item, place.item(number))).collect()
    }
}

impl<T: Setting, const N: usize> Setting for [T; N] {
    fn read(value: &Value, place: Place<'_>) -> Result<Self> {
        let refused = || place.refuse(format!("a list of {N}"), value);
        value.as_array().filter(|items| items.len() == N).ok_or_else(refused)?;
        Vec::<T>::read(value, place)?.try_into().map_err(|_| refused())
    }
}

impl<T: Setting> Setting for (T, T) {
    fn read(value: &Value, place: Place<'_>) -> Result<Self> {
        <[T; 2]>::read(value, place).map(Into::into)
    }
}

/// The values of one JSON object by name, each of which must be read: one that nobody asks for is an error, because it
/// may be a setting of a later version, or a misspelt one.
pub struct Fields<'f> {
    place: Place<'f>,
    /// `None` for `null`, which is an object without values.
    values: Option<&'f Map<String, Value>>,
    read: RefCell<Vec<&'f str>>,
}

impl<'f> Fields<'f> {
    /// Those of an object, or of `null`, which has none.
    ///
    /// # Errors
    /// [`Error::Setting`] where the value is neither.
    pub fn of(value: &'f Value, place: Place<'f>) -> Result<Self> {
        let values = match value {
            Value::Null => None,
            Value::Object(values) => Some(values),
            _ => return Err(place.refuse("an object of settings", value)),
        };
        Ok(Fields { place, values, read: RefCell::default() })
    }

    /// One setting.
    ///
    /// # Errors
    /// [`Error::Setting`] with the place where it is missing, or has another type or value than it may have.
    pub fn get<T: Setting>(&self, name: &str) -> Result<T> {
        match self.value(name) {
            Some(value) => T::read(value, self.place.key(name)),
            None => T::missing(self.place.key(name)),
        }
    }

    /// Refuses values that were not read. A [`Registry`](super::Registry) calls this itself.
    ///
    /// # Errors
    /// [`Error::Setting`] with the names of those that were, and the first one that was not.
    pub fn finish(&self) -> Result<()> {
        let read = self.read.borrow();
        match self.values.into_iter().flat_map(Map::keys).find(|name| !read.contains(&name.as_str())) {
            Some(name) if read.is_empty() => Err(Error::setting(self.place.to_string(), "without settings", name)),
            Some(name) => {
                let requirement = format!("made of {} and no more", read.join(", "));
                Err(Error::setting(self.place.to_string(), requirement, format!("{name} too")))
            }
            None => Ok(()),
        }
    }

    /// A value, which counts as read.
    pub(crate) fn value(&self, name: &str) -> Option<&'f Value> {
        let (name, value) = self.values?.get_key_value(name)?;
        self.read.borrow_mut().push(name);
        Some(value)
    }

    /// Where the object stands.
    pub(crate) fn place(&self) -> &Place<'f> {
        &self.place
    }
}
