//! Named columns with missing cells.

use std::collections::HashSet;
use std::io::Read;
use std::path::Path;

use ndarray::Array2;

use super::column::Column;
use super::csv::{CsvReader, unknown_column};
use super::impute::Impute;
use super::names::number;
use super::table_imputer::TableImputer;
use crate::error::{Error, Result};
use crate::scalar::Scalar;

/// A table of named columns, each of numbers or of text, in which cells may be missing.
///
/// It has at least one row and one column. Rows keep the line of the file that they came from, however they are chosen
/// and reordered, so that an error about a cell names the place to look.
///
/// ```
/// use layerwise::data::Table;
/// let file = "age,fare,class\n22,7.25,third\n38,,first\n26,7.925,third\n";
/// let table = Table::from_reader(file.as_bytes(), "titanic")?;
/// let (table, dropped) = table.drop_missing()?;
/// assert_eq!((table.rows(), dropped), (2, 1));
/// assert_eq!(table.numbers::<f32>(&["age", "fare"])?, ndarray::array![[22.0, 7.25], [26.0, 7.925]]);
/// assert_eq!(table.text("class")?, ["third", "third"]);
/// # Ok::<(), layerwise::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    pub(super) name: String,
    pub(super) names: Vec<String>,
    pub(super) columns: Vec<Column>,
    pub(super) lines: Vec<u64>,
}

impl Table {
    /// Columns of one length, with names that differ: the caller has seen to it.
    pub(super) fn new(name: String, names: Vec<String>, columns: Vec<Column>, lines: Vec<u64>) -> Self {
        Self { name, names, columns, lines }
    }

    /// Reads a CSV file with a header; [`CsvReader`] has the options.
    ///
    /// # Errors
    /// Those of [`CsvReader::read`].
    pub fn read(path: impl AsRef<Path>) -> Result<Table> {
        CsvReader::new().read(path)
    }

    /// Reads CSV with a header from anything; `name` is what errors call the table.
    ///
    /// # Errors
    /// Those of [`CsvReader::from_reader`].
    pub fn from_reader(reader: impl Read, name: &str) -> Result<Table> {
        CsvReader::new().from_reader(reader, name)
    }

    /// The table's name: its path, or what it was called when it was read.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The columns' names, in the order of the file.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The names of the columns that hold numbers.
    pub fn number_columns(&self) -> Vec<&str> {
        let numbers = |(name, column)| matches!(column, &Column::Numbers(_)).then_some(name);
        self.names.iter().map(String::as_str).zip(&self.columns).filter_map(numbers).collect()
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.lines.len()
    }

    /// How many cells are missing in each column.
    pub fn missing(&self) -> Vec<(&str, usize)> {
        self.names.iter().map(String::as_str).zip(self.columns.iter().map(Column::missing)).collect()
    }

    /// The rows without a missing cell, and how many were left out.
    ///
    /// # Errors
    /// [`Error::Empty`] if no row is left.
    pub fn drop_missing(&self) -> Result<(Table, usize)> {
        let whole = |&row: &usize| !self.columns.iter().any(|column| column.is_missing(row));
        let rows: Vec<usize> = (0..self.rows()).filter(whole).collect();
        if rows.is_empty() {
            return Err(Error::Empty(format!("{} without its rows that miss a cell", self.name)));
        }
        Ok((self.take_rows(&rows)?, self.rows() - rows.len()))
    }

    /// The table with the missing cells of these columns filled in from the table itself.
    ///
    /// To fill a test table with what the training table says, use a [`TableImputer`].
    ///
    /// # Errors
    /// Those of [`TableImputer::fit`].
    pub fn impute(&self, columns: &[impl AsRef<str>], strategy: Impute) -> Result<Table> {
        TableImputer::new(strategy).columns(columns).fit_transform(self)
    }

    /// These columns, in this order.
    ///
    /// # Errors
    /// [`Error::Table`] if one does not exist or is named twice, [`Error::Empty`] if none is named.
    pub fn select(&self, columns: &[impl AsRef<str>]) -> Result<Table> {
        let mut seen = HashSet::new();
        let mut chosen = Vec::new();
        for column in columns {
            let column = column.as_ref();
            if !seen.insert(column) {
                return Err(table_error(&self.name, None, Some(column), "selected twice"));
            }
            chosen.push(self.index(column)?);
        }
        self.keep(&chosen)
    }

    /// All columns but these.
    ///
    /// # Errors
    /// [`Error::Table`] if one does not exist, [`Error::Empty`] if no column is left.
    pub fn drop_columns(&self, columns: &[impl AsRef<str>]) -> Result<Table> {
        let dropped: HashSet<usize> =
            columns.iter().map(|column| self.index(column.as_ref())).collect::<Result<_>>()?;
        let kept: Vec<usize> = (0..self.columns.len()).filter(|column| !dropped.contains(column)).collect();
        self.keep(&kept)
    }

    fn keep(&self, columns: &[usize]) -> Result<Table> {
        if columns.is_empty() {
            return Err(Error::Empty(format!("the choice of columns of {}", self.name)));
        }
        let names = columns.iter().map(|&column| self.names[column].clone()).collect();
        let kept = columns.iter().map(|&column| self.columns[column].clone()).collect();
        Ok(Table::new(self.name.clone(), names, kept, self.lines.clone()))
    }

    /// These rows, counted from 0, in this order; a row may come more than once.
    ///
    /// # Errors
    /// [`Error::Value`] for a row that is not there, [`Error::Empty`] for no rows.
    pub fn take_rows(&self, rows: &[usize]) -> Result<Table> {
        if rows.is_empty() {
            return Err(Error::Empty(format!("the choice of rows of {}", self.name)));
        }
        if let Some(place) = rows.iter().position(|&row| row >= self.rows()) {
            let expected = format!("a row of {} below {}", self.name, self.rows());
            return Err(Error::value("row", &[place], expected, rows[place]));
        }
        let columns = self.columns.iter().map(|column| column.take(rows)).collect();
        let lines = rows.iter().map(|&row| self.lines[row]).collect();
        Ok(Table::new(self.name.clone(), self.names.clone(), columns, lines))
    }

    /// Columns of numbers as an array of shape `(rows, columns)`.
    ///
    /// # Errors
    /// [`Error::Table`], with line and column, for a missing cell, a cell that is not a number or that is too large
    /// for `A`; without a line for a column that does not exist. [`Error::Empty`] if no column is named.
    pub fn numbers<A: Scalar>(&self, columns: &[impl AsRef<str>]) -> Result<Array2<A>> {
        for column in columns {
            let column = column.as_ref();
            let cells = self.column(column)?;
            if let Some(row) = (0..self.rows()).find(|&row| cells.is_missing(row)) {
                return Err(self.missing_cell(row, column));
            }
        }
        self.numbers_or_nan(columns)
    }

    /// Columns of numbers as an array of shape `(rows, columns)`, with NaN for missing cells.
    ///
    /// # Errors
    /// Those of [`numbers`](Self::numbers), but for missing cells.
    pub fn numbers_or_nan<A: Scalar>(&self, columns: &[impl AsRef<str>]) -> Result<Array2<A>> {
        if columns.is_empty() {
            return Err(Error::Empty(format!("the choice of columns of {}", self.name)));
        }
        let mut array = Array2::zeros((self.rows(), columns.len()));
        for (column, mut target) in columns.iter().zip(array.columns_mut()) {
            let cells = self.number_cells(column.as_ref())?;
            for (row, (&cell, value)) in cells.iter().zip(&mut target).enumerate() {
                *value = A::of(cell);
                if value.is_infinite() {
                    let message = format!("{cell:?} is too large for {}", A::NAME);
                    return Err(table_error(&self.name, Some(self.lines[row]), Some(column.as_ref()), message));
                }
            }
        }
        Ok(array)
    }

    fn number_cells(&self, column: &str) -> Result<&[f64]> {
        match self.column(column)? {
            Column::Numbers(cells) => Ok(cells),
            Column::Text(cells) => {
                let words = |cell: &Option<String>| cell.as_deref().is_some_and(|cell| number(cell).is_none());
                let (row, message) = match cells.iter().position(words) {
                    Some(row) => {
                        (Some(row), format!("{:?} is not a finite number", cells[row].as_deref().unwrap_or("")))
                    }
                    None => (None, "the column was read as text, not as numbers".to_owned()),
                };
                Err(table_error(&self.name, row.map(|row| self.lines[row]), Some(column), message))
            }
        }
    }

    /// One column as text, such as the labels. Numbers are written as short as they can be: `1.0` as `1`.
    ///
    /// # Errors
    /// [`Error::Table`] for a missing cell, with its line, or a column that does not exist.
    pub fn text(&self, column: &str) -> Result<Vec<String>> {
        let cells = self.column(column)?;
        let cell = |row| match cells.text(row) {
            Some(text) => Ok(text.into_owned()),
            None => Err(self.missing_cell(row, column)),
        };
        (0..self.rows()).map(cell).collect()
    }

    pub(super) fn column(&self, name: &str) -> Result<&Column> {
        Ok(&self.columns[self.index(name)?])
    }

    pub(super) fn index(&self, name: &str) -> Result<usize> {
        let position = self.names.iter().position(|known| known == name);
        position.ok_or_else(|| unknown_column(&self.name, name, &self.names))
    }

    /// The error for a cell that is needed and missing.
    pub(super) fn missing_cell(&self, row: usize, column: &str) -> Error {
        let message = "the cell is missing; `drop_missing` leaves such rows out, `impute` fills them in";
        table_error(&self.name, Some(self.lines[row]), Some(column), message)
    }
}

/// What is wrong in a table, and where.
pub(super) fn table_error(table: &str, line: Option<u64>, column: Option<&str>, message: impl Into<String>) -> Error {
    Error::Table { table: table.to_owned(), line, column: column.map(String::from), message: message.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    fn table() -> Result<Table> {
        Table::from_reader("a,b,c\n1,x,0\n,y,1\n3,,0\n4,z,1\n".as_bytes(), "table")
    }

    #[test]
    fn dropping_rows_tells_how_many_and_keeps_their_lines() -> Result<()> {
        let (kept, dropped) = table()?.drop_missing()?;
        assert_eq!((kept.rows(), dropped), (2, 2));
        assert_eq!(kept.lines, [2, 5]);
        assert_eq!(kept.numbers::<f64>(&["c", "a"])?, array![[0.0, 1.0], [1.0, 4.0]]);
        Ok(())
    }

    #[test]
    fn an_error_after_reordering_names_the_line_in_the_file() -> Result<()> {
        let turned = table()?.take_rows(&[3, 2, 1, 0])?;
        let message = turned.numbers::<f32>(&["a"]).unwrap_err().to_string();
        assert!(message.starts_with("table, line 3, column \"a\": the cell is missing"), "{message}");
        Ok(())
    }

    #[test]
    fn labels_written_as_numbers_read_as_text() -> Result<()> {
        assert_eq!(table()?.text("c")?, ["0", "1", "0", "1"]);
        Ok(())
    }

    #[test]
    fn selecting_and_dropping_are_two_ways_to_the_same_table() -> Result<()> {
        assert_eq!(table()?.select(&["a", "c"])?, table()?.drop_columns(&["b"])?);
        assert_eq!(table()?.select(&["c", "a"])?.names(), ["c", "a"]);
        Ok(())
    }

    #[test]
    fn a_number_too_large_for_f32_is_refused_not_made_infinite() -> Result<()> {
        let table = Table::from_reader("a\n1\n1e300\n".as_bytes(), "table")?;
        let message = table.numbers::<f32>(&["a"]).unwrap_err().to_string();
        assert_eq!(message, "table, line 3, column \"a\": 1e300 is too large for f32");
        assert_eq!(table.numbers::<f64>(&["a"])?, array![[1.0], [1e300]]);
        Ok(())
    }
}
