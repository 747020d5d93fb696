//! Classes and categories as one column each.

use std::marker::PhantomData;

use ndarray::{Array2, ArrayBase, Data, Ix1};
use serde_json::{Value, json};

use super::features::not_fitted;
use super::names::sorted_classes;
use super::preprocessing::{Code, categories_json, codes, encode, read_categories};
use super::table::Table;
use crate::error::{Error, Result};
use crate::io::Fields;
use crate::scalar::Scalar;

/// Class numbers `(rows)` as an array `(rows, classes)` that is 1 in the column of the class and 0 elsewhere.
///
/// # Errors
/// [`Error::Value`] for a class number that is not below `classes`, [`Error::Empty`] for no class.
///
/// ```
/// use layerwise::data::one_hot;
/// use ndarray::array;
/// assert_eq!(one_hot::<f32>(&array![2, 0], 3)?, array![[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]);
/// # Ok::<(), layerwise::Error>(())
/// ```
pub fn one_hot<A: Scalar>(labels: &ArrayBase<impl Data<Elem = usize>, Ix1>, classes: usize) -> Result<Array2<A>> {
    if classes == 0 {
        return Err(Error::Empty("the set of classes for one_hot".to_owned()));
    }
    let mut array = Array2::zeros((labels.len(), classes));
    for (row, &label) in labels.iter().enumerate() {
        if label >= classes {
            return Err(Error::value("class label", &[row], format!("a class below {classes}"), label));
        }
        array[[row, label]] = A::one();
    }
    Ok(array)
}

/// What becomes of a category that was not there in `fit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandleUnknown {
    /// It is an error that names its line.
    Error,
    /// It is 0 in all columns of its feature.
    Ignore,
}

/// Columns of text in a table as an array with one column for each category, 1 where the row has it and 0 elsewhere.
///
/// Categories are those of the table given to [`fit`](Self::fit), in the order of [`LabelEncoder`]'s classes. Columns
/// are matched by name. A missing cell is an error: fill it first, with a category of its own if need be.
///
/// [`LabelEncoder`]: super::LabelEncoder
///
/// ```
/// use layerwise::data::{OneHotEncoder, Table};
/// let table = Table::from_reader("sex,port\nf,S\nm,C\n".as_bytes(), "titanic")?;
/// let mut encoder = OneHotEncoder::new();
/// let array = encoder.fit(&table, &["sex", "port"])?.transform(&table)?;
/// assert_eq!(array, ndarray::array![[1.0, 0.0, 0.0, 1.0], [0.0, 1.0, 1.0, 0.0]]);
/// assert_eq!(encoder.feature_names_out(), ["sex_f", "sex_m", "port_C", "port_S"]);
/// # Ok::<(), layerwise::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct OneHotEncoder<A = f32> {
    handle_unknown: HandleUnknown,
    /// The columns with their categories.
    categories: Vec<(String, Vec<String>)>,
    number: PhantomData<A>,
}

encode!(OneHotEncoder);

impl OneHotEncoder<f32> {
    /// One that makes `f32` arrays and refuses unknown categories.
    pub fn new() -> Self {
        Self::of()
    }
}

impl<A: Scalar> Default for OneHotEncoder<A> {
    fn default() -> Self {
        Self::of()
    }
}

impl<A: Scalar> OneHotEncoder<A> {
    /// One that makes arrays of either number type and refuses unknown categories.
    pub fn of() -> Self {
        Self { handle_unknown: HandleUnknown::Error, categories: Vec::new(), number: PhantomData }
    }

    /// What becomes of a category that was not there in `fit`.
    #[must_use]
    pub fn handle_unknown(mut self, handle_unknown: HandleUnknown) -> Self {
        self.handle_unknown = handle_unknown;
        self
    }

    /// Learns the categories of these columns.
    ///
    /// # Errors
    /// [`Error::Table`] for a column that does not exist or has a missing cell, [`Error::Empty`] for no columns.
    pub fn fit(&mut self, table: &Table, columns: &[impl AsRef<str>]) -> Result<&mut Self> {
        if columns.is_empty() {
            return Err(Error::Empty("the choice of columns of OneHotEncoder".to_owned()));
        }
        let mut categories = Vec::with_capacity(columns.len());
        for column in columns {
            let cells = table.text(column.as_ref())?;
            categories.push((column.as_ref().to_owned(), sorted_classes(cells.iter().map(String::as_str))));
        }
        self.categories = categories;
        Ok(self)
    }

    /// The array `(rows, categories of all columns)`.
    ///
    /// # Errors
    /// [`Error::Setting`] before `fit`; [`Error::Table`], with line and column, for a missing cell or a category that
    /// is unknown and not ignored.
    pub fn transform(&self, table: &Table) -> Result<Array2<A>> {
        if self.categories.is_empty() {
            return Err(not_fitted("OneHotEncoder"));
        }
        let width = self.categories.iter().map(|(_, categories)| categories.len()).sum();
        let mut array = Array2::zeros((table.rows(), width));
        let mut start = 0;
        for (column, categories) in &self.categories {
            let codes = codes(table, column, categories, self.handle_unknown == HandleUnknown::Ignore)?;
            for (row, code) in codes.into_iter().enumerate() {
                match code {
                    Code::Known(place) => array[[row, start + place]] = A::one(),
                    Code::Unknown => {}
                    Code::Missing => return Err(table.missing_cell(row, column)),
                }
            }
            start += categories.len();
        }
        Ok(array)
    }

    fn json(&self) -> Result<Value> {
        if self.categories.is_empty() {
            return Err(not_fitted("OneHotEncoder"));
        }
        let ignore = self.handle_unknown == HandleUnknown::Ignore;
        Ok(json!({ "kind": "OneHotEncoder", "ignore_unknown": ignore, "columns": categories_json(&self.categories) }))
    }

    pub(super) fn read(fields: &Fields<'_>) -> Result<Self> {
        let unknown = if fields.get("ignore_unknown")? { HandleUnknown::Ignore } else { HandleUnknown::Error };
        Ok(Self { handle_unknown: unknown, categories: read_categories(fields)?, number: PhantomData })
    }

    /// The fitted columns, each with its categories; none before `fit`.
    pub fn categories(&self) -> &[(String, Vec<String>)] {
        &self.categories
    }

    /// The names of the array's columns: `column_category`.
    pub fn feature_names_out(&self) -> Vec<String> {
        let names = |(column, categories): &(String, Vec<String>)| {
            categories.iter().map(|category| format!("{column}_{category}")).collect::<Vec<_>>()
        };
        self.categories.iter().flat_map(names).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn an_unknown_category_is_refused_with_its_line_or_all_zero() -> Result<()> {
        let train = Table::from_reader("port\nS\nC\n".as_bytes(), "train")?;
        let test = Table::from_reader("port\nC\nQ\n".as_bytes(), "test")?;
        let mut encoder = OneHotEncoder::<f64>::of();
        let message = encoder.fit(&train, &["port"])?.transform(&test).unwrap_err().to_string();
        assert_eq!(message, r#"test, line 3, column "port": "Q" was not there in `fit`; known are "C", "S""#);
        let encoder = encoder.handle_unknown(HandleUnknown::Ignore);
        assert_eq!(encoder.transform(&test)?, array![[1.0, 0.0], [0.0, 0.0]]);
        Ok(())
    }

    #[test]
    fn labels_of_any_stride_are_taken() -> Result<()> {
        let labels = array![0, 9, 1, 9];
        assert_eq!(one_hot::<f64>(&labels.slice(ndarray::s![..;2]), 2)?, array![[1.0, 0.0], [0.0, 1.0]]);
        Ok(())
    }
}
