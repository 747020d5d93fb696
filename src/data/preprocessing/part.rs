//! One part of a column transformer.

use ndarray::Array2;
use serde_json::{Value, json};

use super::encode::{Encode, read_encoder};
use super::stored::read_transform;
use super::transform::Transform;
use crate::data::names::listed;
use crate::data::table::Table;
use crate::error::{Error, Result};
use crate::io::{Fields, Place};
use crate::scalar::Scalar;

/// Columns on their way into the array: numbers as they are, others through an encoder.
#[derive(Debug)]
pub(super) struct Part<A: Scalar> {
    pub(super) columns: Vec<String>,
    pub(super) encoder: Option<Box<dyn Encode<A>>>,
    pub(super) steps: Box<dyn Transform<A>>,
}

impl<A: Scalar> Part<A> {
    pub(super) fn fit(&mut self, table: &Table) -> Result<()> {
        if let Some(encoder) = &mut self.encoder {
            encoder.fit(table, &self.columns)?;
        }
        let array = self.array(table)?;
        self.steps.fit(array.view())
    }

    fn array(&self, table: &Table) -> Result<Array2<A>> {
        match &self.encoder {
            Some(encoder) => encoder.transform(table),
            None => table.numbers_or_nan(&self.columns),
        }
    }

    pub(super) fn transform(&self, table: &Table) -> Result<Array2<A>> {
        self.steps.transform(self.array(table)?.view())
    }

    pub(super) fn names(&self) -> Vec<String> {
        let encoded = self.encoder.as_ref().map(|encoder| encoder.feature_names_out());
        self.steps.feature_names_out(encoded.as_deref().unwrap_or(&self.columns))
    }

    pub(super) fn within(&self, error: Error) -> Error {
        match error {
            // A table's error names its column already.
            Error::Table { .. } => error,
            other => other.within(format!("columns {}", listed(&self.columns))),
        }
    }

    pub(super) fn json(&self) -> Result<Value> {
        let encoder = self.encoder.as_ref().map(|encoder| encoder.to_json()).transpose()?;
        Ok(json!({ "columns": self.columns, "encoder": encoder, "steps": self.steps.to_json()? }))
    }

    pub(super) fn read(value: &Value, place: Place<'_>) -> Result<Self> {
        let fields = Fields::of(value, place)?;
        let columns: Vec<String> = fields.get("columns")?;
        if columns.is_empty() {
            return Err(Error::Empty(place.key("columns").to_string()));
        }
        let encoder = fields.value("encoder").filter(|encoder| !encoder.is_null());
        let encoder = encoder.map(|encoder| read_encoder(encoder, place.key("encoder"))).transpose()?;
        let steps = read_transform(fields.value("steps").unwrap_or(&Value::Null), place.key("steps"))?;
        fields.finish()?;
        Ok(Part { columns, encoder, steps })
    }
}
