//! What encoders of a table's columns have in common.

use std::collections::{HashMap, HashSet};
use std::fmt::Debug;

use ndarray::Array2;
use serde_json::{Value, json};

use super::stored::each;
use super::{FeatureHasher, OrdinalEncoder};
use crate::data::OneHotEncoder;
use crate::data::names::listed;
use crate::data::table::{Table, table_error};
use crate::error::{Error, Result};
use crate::io::{Fields, Place};
use crate::scalar::Scalar;

/// An encoder, which makes an array of columns of a table that may hold text.
///
/// The encoders of this crate have methods of the same names; the trait is for
/// [`ColumnTransformer`](super::ColumnTransformer). One's own can be used there, but not saved with a model.
pub trait Encode<A: Scalar = f32>: Debug + Send + Sync {
    /// The type's name, for errors and files.
    fn kind(&self) -> &str;

    /// Learns these columns of a table, and forgets what it knew.
    ///
    /// # Errors
    /// [`Error::Table`] for a column that does not exist or cannot be learned from.
    fn fit(&mut self, table: &Table, columns: &[String]) -> Result<()>;

    /// The columns of [`fit`](Self::fit) as an array `(rows, features)`.
    ///
    /// # Errors
    /// [`Error::Setting`] before `fit`, [`Error::Table`] for a cell that cannot be encoded.
    fn transform(&self, table: &Table) -> Result<Array2<A>>;

    /// The names of the array's features.
    fn feature_names_out(&self) -> Vec<String>;

    /// Its settings and what it has learned, from which a file's reader makes it again.
    ///
    /// # Errors
    /// [`Error::Setting`] before `fit`, [`Error::Custom`] for one that no file can hold.
    fn to_json(&self) -> Result<Value> {
        Err(Error::custom(format!("{} is not one of this library's: no file can hold it", self.kind())))
    }
}

/// [`Encode`] from the methods of the same names that an encoder has.
macro_rules! encode {
    ($name:ident) => {
        impl<A: $crate::scalar::Scalar> $crate::data::Encode<A> for $name<A> {
            fn kind(&self) -> &str {
                stringify!($name)
            }

            fn fit(&mut self, table: &$crate::data::Table, columns: &[String]) -> $crate::error::Result<()> {
                $name::fit(self, table, columns).map(|_| ())
            }

            fn transform(&self, table: &$crate::data::Table) -> $crate::error::Result<ndarray::Array2<A>> {
                $name::transform(self, table)
            }

            fn feature_names_out(&self) -> Vec<String> {
                $name::feature_names_out(self)
            }

            fn to_json(&self) -> $crate::error::Result<serde_json::Value> {
                $name::json(self)
            }
        }
    };
}
pub(in crate::data) use encode;

/// An encoder from what [`Encode::to_json`] says of it.
pub(super) fn read_encoder<A: Scalar>(value: &Value, place: Place<'_>) -> Result<Box<dyn Encode<A>>> {
    let fields = Fields::of(value, place)?;
    let kind: String = fields.get("kind")?;
    let read: Box<dyn Encode<A>> = match &*kind {
        "OneHotEncoder" => Box::new(OneHotEncoder::read(&fields)?),
        "OrdinalEncoder" => Box::new(OrdinalEncoder::read(&fields)?),
        "FeatureHasher" => Box::new(FeatureHasher::read(&fields)?),
        _ => return Err(fields.place().key("kind").refuse("an encoder of this library", &kind.into())),
    };
    fields.finish()?;
    Ok(read)
}

/// What a cell is among the categories of its column.
pub(in crate::data) enum Code {
    Known(usize),
    Unknown,
    Missing,
}

/// The codes of a column's cells; an unknown category is an error with its line, unless it is `allowed`.
pub(in crate::data) fn codes(table: &Table, column: &str, categories: &[String], allowed: bool) -> Result<Vec<Code>> {
    let places: HashMap<&str, usize> = categories.iter().map(String::as_str).zip(0..).collect();
    let cells = table.column(column)?;
    let code = |row: usize| {
        let Some(cell) = cells.text(row) else { return Ok(Code::Missing) };
        match places.get(cell.as_ref()) {
            Some(&place) => Ok(Code::Known(place)),
            None if allowed => Ok(Code::Unknown),
            None => {
                let message = format!("{cell:?} was not there in `fit`; known are {}", listed(categories));
                Err(table_error(table.name(), Some(table.lines[row]), Some(column), message))
            }
        }
    };
    (0..table.rows()).map(code).collect()
}

/// Columns with their categories, for a file.
pub(in crate::data) fn categories_json(categories: &[(String, Vec<String>)]) -> Value {
    categories.iter().map(|(column, known)| json!({ "column": column, "categories": known })).collect()
}

/// The same out of a file: at least one column, each with categories that differ.
pub(in crate::data) fn read_categories(fields: &Fields<'_>) -> Result<Vec<(String, Vec<String>)>> {
    let one = |value: &Value, place: Place<'_>| {
        let fields = Fields::of(value, place)?;
        let column: String = fields.get("column")?;
        let known: Vec<String> = fields.get("categories")?;
        fields.finish()?;
        let mut seen = HashSet::new();
        match known.iter().find(|category| !seen.insert(*category)) {
            Some(twice) => Err(place.key("categories").refuse("different categories", &twice.as_str().into())),
            None if known.is_empty() => Err(Error::Empty(place.key("categories").to_string())),
            None => Ok((column, known)),
        }
    };
    let categories = each(fields, "columns", one)?;
    if categories.is_empty() {
        return Err(Error::Empty(fields.place().key("columns").to_string()));
    }
    Ok(categories)
}
