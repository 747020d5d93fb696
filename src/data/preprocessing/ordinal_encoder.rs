//! Categories as numbers in their order.

use std::marker::PhantomData;

use ndarray::Array2;
use serde_json::{Value, json};

use super::encode::{Code, categories_json, codes, encode, read_categories};
use crate::data::features::not_fitted;
use crate::data::names::sorted_classes;
use crate::data::table::{Table, table_error};
use crate::error::{Error, Result};
use crate::io::Fields;
use crate::scalar::Scalar;

/// Columns of text in a table as an array with one column each: the number of the row's category, counted from 0.
///
/// The order of the categories is the one given by [`categories`](Self::categories), or that of
/// [`LabelEncoder`](crate::data::LabelEncoder)'s classes. As in scikit-learn, a missing cell becomes NaN, and a
/// category that was not there in `fit` is an error unless it is given a number by
/// [`unknown_value`](Self::unknown_value).
///
/// ```
/// use layerwise::data::{OrdinalEncoder, Table};
/// let table = Table::from_reader("size,colour\nsmall,red\nlarge,blue\n".as_bytes(), "shirts")?;
/// let mut encoder = OrdinalEncoder::new().categories("size", &["small", "medium", "large"]);
/// let array = encoder.fit(&table, &["size", "colour"])?.transform(&table)?;
/// assert_eq!(array, ndarray::array![[0.0, 1.0], [2.0, 0.0]]);
/// # Ok::<(), layerwise::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct OrdinalEncoder<A = f32> {
    given: Vec<(String, Vec<String>)>,
    unknown_value: Option<f64>,
    /// The columns with their categories.
    fitted: Vec<(String, Vec<String>)>,
    number: PhantomData<A>,
}

encode!(OrdinalEncoder);

impl OrdinalEncoder<f32> {
    /// One that makes `f32` arrays and refuses unknown categories.
    pub fn new() -> Self {
        Self::of()
    }
}

impl<A: Scalar> Default for OrdinalEncoder<A> {
    fn default() -> Self {
        Self::of()
    }
}

impl<A: Scalar> OrdinalEncoder<A> {
    /// One that makes arrays of either number type and refuses unknown categories.
    pub fn of() -> Self {
        Self { given: Vec::new(), unknown_value: None, fitted: Vec::new(), number: PhantomData }
    }

    /// The categories of a column in their order; one that is not among them is unknown.
    #[must_use]
    pub fn categories(mut self, column: &str, categories: &[impl AsRef<str>]) -> Self {
        let categories = categories.iter().map(|category| category.as_ref().to_owned()).collect();
        self.given.push((column.to_owned(), categories));
        self
    }

    /// What an unknown category becomes: -1, NaN...
    #[must_use]
    pub fn unknown_value(mut self, value: f64) -> Self {
        self.unknown_value = Some(value);
        self
    }

    /// Learns the categories of these columns.
    ///
    /// # Errors
    /// [`Error::Table`] for a column that does not exist, has no category at all, or has one that is unknown;
    /// [`Error::Empty`] for no columns; [`Error::Setting`] for categories given twice, or of a column that is not among
    /// these.
    pub fn fit(&mut self, table: &Table, columns: &[impl AsRef<str>]) -> Result<&mut Self> {
        if columns.is_empty() {
            return Err(Error::Empty("the choice of columns of OrdinalEncoder".to_owned()));
        }
        self.check_given(columns)?;
        self.fitted = columns.iter().map(|column| self.learn(table, column.as_ref())).collect::<Result<_>>()?;
        Ok(self)
    }

    fn check_given(&self, columns: &[impl AsRef<str>]) -> Result<()> {
        for (at, (column, categories)) in self.given.iter().enumerate() {
            let again = self.given[..at].iter().any(|(other, _)| other == column);
            if again || !columns.iter().any(|known| known.as_ref() == column) {
                let requirement = "of columns that are encoded, each once";
                return Err(Error::setting("categories", requirement, format!("{column:?}")));
            }
            let twice = (1..categories.len()).find(|&at| categories[..at].contains(&categories[at]));
            if let Some(twice) = twice {
                let got = format!("{:?} twice", categories[twice]);
                return Err(Error::setting(format!("categories of {column:?}"), "different", got));
            }
        }
        Ok(())
    }

    fn learn(&self, table: &Table, column: &str) -> Result<(String, Vec<String>)> {
        let known = match self.given.iter().find(|(given, _)| given == column) {
            Some((_, categories)) => categories.clone(),
            None => {
                let cells = table.column(column)?;
                let texts: Vec<_> = (0..table.rows()).filter_map(|row| cells.text(row)).collect();
                sorted_classes(texts.iter().map(AsRef::as_ref))
            }
        };
        if known.is_empty() {
            return Err(table_error(table.name(), None, Some(column), "there is no category to learn"));
        }
        codes(table, column, &known, self.unknown_value.is_some())?;
        Ok((column.to_owned(), known))
    }

    /// The array `(rows, columns)`.
    ///
    /// # Errors
    /// [`Error::Setting`] before `fit`; [`Error::Table`], with line and column, for a category that is unknown and has
    /// no number.
    pub fn transform(&self, table: &Table) -> Result<Array2<A>> {
        if self.fitted.is_empty() {
            return Err(not_fitted("OrdinalEncoder"));
        }
        let mut array = Array2::zeros((table.rows(), self.fitted.len()));
        for ((column, categories), mut out) in self.fitted.iter().zip(array.columns_mut()) {
            let codes = codes(table, column, categories, self.unknown_value.is_some())?;
            for (out, code) in out.iter_mut().zip(codes) {
                *out = A::of(match code {
                    Code::Known(number) => number as f64,
                    Code::Unknown => self.unknown_value.unwrap_or(f64::NAN),
                    Code::Missing => f64::NAN,
                });
            }
        }
        Ok(array)
    }

    /// The categories of an array `(rows, columns)`, as [`transform`](Self::transform) makes it; `None` for NaN and for
    /// the number of an unknown category.
    ///
    /// # Errors
    /// [`Error::Setting`] before `fit`, [`Error::Shape`] for another number of columns, [`Error::Value`] for any other
    /// number.
    pub fn inverse_transform(&self, array: &Array2<A>) -> Result<Vec<Vec<Option<String>>>> {
        if self.fitted.is_empty() {
            return Err(not_fitted("OrdinalEncoder"));
        }
        if array.ncols() != self.fitted.len() {
            let expected = format!("(rows, {}) as in `fit`", self.fitted.len());
            return Err(Error::shape("OrdinalEncoder input", expected, array.shape()));
        }
        let cell = |row: usize, column: usize| {
            let (number, known) = (array[[row, column]].as_f64(), &self.fitted[column].1);
            if number.is_nan() || self.unknown_value == Some(number) {
                return Ok(None);
            }
            let whole = number >= 0.0 && number.fract() == 0.0;
            let category = whole.then(|| known.get(number as usize)).flatten();
            let expected = || format!("a category number below {}", known.len());
            let unfit = || Error::value("OrdinalEncoder input", &[row, column], expected(), number);
            category.cloned().map(Some).ok_or_else(unfit)
        };
        let row = |row| (0..array.ncols()).map(|column| cell(row, column)).collect();
        (0..array.nrows()).map(row).collect()
    }

    /// The names of the array's columns: those of the table's.
    pub fn feature_names_out(&self) -> Vec<String> {
        self.fitted.iter().map(|(column, _)| column.clone()).collect()
    }

    fn json(&self) -> Result<Value> {
        if self.fitted.is_empty() {
            return Err(not_fitted("OrdinalEncoder"));
        }
        let unknown = self.unknown_value.map(crate::io::real);
        Ok(json!({ "kind": "OrdinalEncoder", "unknown_value": unknown, "columns": categories_json(&self.fitted) }))
    }

    /// What was given is what was learned: a `fit` finds the same.
    pub(super) fn read(fields: &Fields<'_>) -> Result<Self> {
        let fitted = read_categories(fields)?;
        Ok(Self { given: fitted.clone(), unknown_value: fields.get("unknown_value")?, fitted, number: PhantomData })
    }
}
