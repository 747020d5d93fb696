//! Reading CSV files.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use ::csv::{ErrorKind, ReaderBuilder, StringRecord, Trim};

use super::column::Column;
use super::lines::Lines;
use super::names::{listed, number};
use super::table::{Table, table_error};
use crate::error::{Error, Result};

/// How a CSV file is to be read into a [`Table`].
///
/// A column holds numbers if every cell that is there is a finite number, and text otherwise.
/// [`number_columns`](Self::number_columns) makes a cell that is not a number an error with its line;
/// [`text_columns`](Self::text_columns) keeps what is written, for codes such as `007` or numbers of more than fifteen
/// digits.
///
/// Defaults: commas, a header line, blanks around cells cut off, and a cell is missing if it is empty or reads `NA`,
/// `N/A`, `NaN`, `nan`, `null` (the main ones of pandas) or `?` (in files of the UCI repository). Blank lines are
/// passed over.
///
/// ```
/// use layerwise::data::CsvReader;
/// let file = "39; 7,5; State-gov\n50; ?; Private\n";
/// let table = CsvReader::new().delimiter(b';').has_headers(false).from_reader(file.as_bytes(), "adult")?;
/// assert_eq!(table.names(), ["0", "1", "2"]);
/// assert_eq!(table.missing(), [("0", 0), ("1", 1), ("2", 0)]);
/// # Ok::<(), layerwise::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct CsvReader {
    delimiter: u8,
    has_headers: bool,
    trim: bool,
    na_values: Vec<String>,
    number_columns: Vec<String>,
    text_columns: Vec<String>,
}

impl Default for CsvReader {
    fn default() -> Self {
        Self {
            delimiter: b',',
            has_headers: true,
            trim: true,
            na_values: strings(&["", "NA", "N/A", "NaN", "nan", "null", "?"]),
            number_columns: Vec::new(),
            text_columns: Vec::new(),
        }
    }
}

impl CsvReader {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// What stands between two cells: `b';'`, `b'\t'`...
    #[must_use]
    pub fn delimiter(mut self, delimiter: u8) -> Self {
        self.delimiter = delimiter;
        self
    }

    /// Whether the first line names the columns. Without it they are called `0`, `1`, `2`...
    #[must_use]
    pub fn has_headers(mut self, has_headers: bool) -> Self {
        self.has_headers = has_headers;
        self
    }

    /// Whether blanks around names and cells are cut off. RFC 4180 counts them as part of the cell.
    #[must_use]
    pub fn trim(mut self, trim: bool) -> Self {
        self.trim = trim;
        self
    }

    /// What a missing cell reads, in place of the defaults.
    #[must_use]
    pub fn na_values(mut self, values: &[impl AsRef<str>]) -> Self {
        self.na_values = strings(values);
        self
    }

    /// Columns that must hold numbers.
    #[must_use]
    pub fn number_columns(mut self, columns: &[impl AsRef<str>]) -> Self {
        self.number_columns = strings(columns);
        self
    }

    /// Columns that are text even where they read like numbers.
    #[must_use]
    pub fn text_columns(mut self, columns: &[impl AsRef<str>]) -> Self {
        self.text_columns = strings(columns);
        self
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be opened or read; otherwise as [`from_reader`](Self::from_reader).
    pub fn read(&self, path: impl AsRef<Path>) -> Result<Table> {
        let path = path.as_ref();
        let file = File::open(path).map_err(|source| Error::Io { path: path.to_owned(), source })?;
        self.from_reader(file, &path.display().to_string())
    }

    /// Reads from anything; `name` is what errors call the table.
    ///
    /// # Errors
    /// [`Error::Table`], with the line and the column, for a row of another length than the header, a quote that is
    /// never closed, text that is not UTF-8, two columns of one name, an unknown name among the wanted columns, or text
    /// in a number column. [`Error::Empty`] if there is no row. [`Error::Setting`] for a delimiter that cannot be one.
    pub fn from_reader(&self, mut reader: impl Read, name: &str) -> Result<Table> {
        if !self.delimiter.is_ascii() || matches!(self.delimiter, b'"' | b'\n' | b'\r') {
            let got = format!("{:?}", char::from(self.delimiter));
            return Err(Error::setting("delimiter", "an ASCII character other than a quote or a line end", got));
        }
        let mut text = Vec::new();
        reader.read_to_end(&mut text).map_err(|source| Error::Io { path: PathBuf::from(name), source })?;
        let mut reader = ReaderBuilder::new()
            .delimiter(self.delimiter)
            .has_headers(self.has_headers)
            .trim(if self.trim { Trim::All } else { Trim::None })
            .from_reader(text.as_slice());
        let located = |error| csv_error(error, name, &text);
        let header = match self.has_headers {
            true => Some(reader.headers().map_err(located)?.clone()),
            false => None,
        };
        let records: Vec<StringRecord> = reader.records().collect::<Result<_, _>>().map_err(located)?;
        let mut lines = Lines::new(&text);
        let header = header.map(|header| (lines.at(byte(&header)), header));
        let lines: Vec<u64> = records.iter().map(|record| lines.at(byte(record))).collect();
        check_closed(name, &records, &lines, &text)?;
        self.table(name, header, &records, lines)
    }

    /// The records, all of one length, as a table.
    fn table(
        &self,
        name: &str,
        header: Option<(u64, StringRecord)>,
        records: &[StringRecord],
        lines: Vec<u64>,
    ) -> Result<Table> {
        let Some(first) = records.first() else {
            let header = header.is_some_and(|(_, header)| !header.is_empty());
            return Err(Error::Empty(if header { format!("{name} below its header") } else { name.to_owned() }));
        };
        let header_line = header.as_ref().map(|(line, _)| *line);
        let names: Vec<String> = match header {
            Some((_, header)) => header.iter().map(String::from).collect(),
            None => (0..first.len()).map(|column| column.to_string()).collect(),
        };
        check_names(name, &names, header_line)?;
        self.check_wanted(name, &names)?;
        let columns = names.iter().enumerate().map(|(index, column)| {
            let cells = records.iter().map(|record| &record[index]);
            self.column(cells, column)
                .map_err(|(row, message)| table_error(name, Some(lines[row]), Some(column), message))
        });
        let columns = columns.collect::<Result<_>>()?;
        Ok(Table::new(name.to_owned(), names, columns, lines))
    }

    /// One column; the error is a row and what is wrong there.
    fn column<'a>(&self, cells: impl Iterator<Item = &'a str> + Clone, name: &str) -> Result<Column, (usize, String)> {
        let present = |cell: &'a str| (!self.na_values.iter().any(|missing| missing == cell)).then_some(cell);
        if self.text_columns.iter().any(|text| text == name) {
            return Ok(Column::Text(cells.map(|cell| present(cell).map(String::from)).collect()));
        }
        let mut numbers = Vec::new();
        for (row, cell) in cells.clone().enumerate() {
            match present(cell).map_or(Some(f64::NAN), number) {
                Some(number) => numbers.push(number),
                None if self.number_columns.iter().any(|wanted| wanted == name) => {
                    return Err((row, format!("{cell:?} is not a finite number")));
                }
                None => return Ok(Column::Text(cells.map(|cell| present(cell).map(String::from)).collect())),
            }
        }
        Ok(Column::Numbers(numbers))
    }

    /// The columns asked for are there, and none is asked to be both numbers and text.
    fn check_wanted(&self, table: &str, names: &[String]) -> Result<()> {
        for column in self.number_columns.iter().chain(&self.text_columns) {
            if !names.contains(column) {
                return Err(unknown_column(table, column, names));
            }
        }
        match self.number_columns.iter().find(|column| self.text_columns.contains(column)) {
            Some(both) => {
                Err(Error::setting("text_columns", "other columns than number_columns", format!("{both:?} in both")))
            }
            None => Ok(()),
        }
    }
}

fn strings(values: &[impl AsRef<str>]) -> Vec<String> {
    values.iter().map(|value| value.as_ref().to_owned()).collect()
}

/// The error for a column that the table does not have.
pub(super) fn unknown_column(table: &str, column: &str, names: &[String]) -> Error {
    table_error(table, None, Some(column), format!("no such column; there are {}", listed(names)))
}

fn check_names(table: &str, names: &[String], header_line: Option<u64>) -> Result<()> {
    let mut seen = HashMap::new();
    for (index, name) in names.iter().enumerate() {
        if let Some(first) = seen.insert(name, index) {
            let message = format!("columns {} and {} both have this name", first + 1, index + 1);
            return Err(table_error(table, header_line, Some(name), message));
        }
    }
    Ok(())
}

/// The csv crate takes a quote that is never closed to go on to the end of the file: a last record of several lines
/// with an odd number of quotes.
fn check_closed(table: &str, records: &[StringRecord], lines: &[u64], text: &[u8]) -> Result<()> {
    let (Some(record), Some(&line)) = (records.last(), lines.last()) else { return Ok(()) };
    let start = usize::try_from(byte(record)).unwrap_or(text.len());
    let last = text.get(start..).unwrap_or_default().trim_ascii();
    let quotes = last.iter().filter(|&&byte| byte == b'"').count();
    if quotes % 2 == 1 && last.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
        return Err(table_error(table, Some(line), None, "a quote that opens here is never closed"));
    }
    Ok(())
}

/// Where the csv crate began to read a record.
fn byte(record: &StringRecord) -> u64 {
    record.position().map_or(0, ::csv::Position::byte)
}

fn csv_error(error: ::csv::Error, table: &str, text: &[u8]) -> Error {
    let line = error.position().map(|position| Lines::new(text).at(position.byte()));
    match error.into_kind() {
        ErrorKind::Io(source) => Error::Io { path: PathBuf::from(table), source },
        ErrorKind::UnequalLengths { expected_len, len, .. } => {
            table_error(table, line, None, format!("expected {expected_len} cells, got {len}"))
        }
        ErrorKind::Utf8 { err, .. } => {
            let message = format!("cell {} is not UTF-8; save the file in that encoding", err.field() + 1);
            table_error(table, line, None, message)
        }
        other => table_error(table, line, None, format!("{other:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Table> {
        CsvReader::new().from_reader(text.as_bytes(), "table")
    }

    #[test]
    fn a_column_of_numbers_with_missing_cells_is_numbers() -> Result<()> {
        let table = read("a,b,c\n1,NA,x\n?,,2\n 1e-3 ,null,NaN\n")?;
        assert_eq!(table.number_columns(), ["a", "b"]);
        assert_eq!(table.missing(), [("a", 1), ("b", 3), ("c", 1)]);
        let a = table.numbers_or_nan::<f64>(&["a"])?;
        assert_eq!((a[[0, 0]], a[[1, 0]].is_nan(), a[[2, 0]]), (1.0, true, 1e-3));
        Ok(())
    }

    #[test]
    fn infinity_is_text_so_that_no_column_of_numbers_holds_it() -> Result<()> {
        assert_eq!(read("a\n1\ninf\n")?.number_columns(), Vec::<&str>::new());
        Ok(())
    }

    #[test]
    fn lines_are_counted_past_quoted_line_ends_blank_lines_and_carriage_returns() {
        let cases = [
            ("\u{feff}a,b\n1,2\n3\n", 3),
            ("a,b\n\"x\ny\",1\n2\n", 4),
            ("a,b\r\n1,2\r\n3\r\n", 3),
            ("\na,b\n\n1,2\n\r\n\n3\n", 7),
        ];
        for (text, line) in cases {
            let message = read(text).unwrap_err().to_string();
            assert_eq!(message, format!("table, line {line}: expected 2 cells, got 1"), "{text:?}");
        }
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_first_name() -> Result<()> {
        assert_eq!(read("\u{feff}a,b\n1,2\n")?.names(), ["a", "b"]);
        Ok(())
    }

    #[test]
    fn text_columns_keep_what_is_written() -> Result<()> {
        let text = "zip\n00501\n10001\n";
        assert_eq!(read(text)?.text("zip")?, ["501", "10001"]);
        let table = CsvReader::new().text_columns(&["zip"]).from_reader(text.as_bytes(), "table")?;
        assert_eq!(table.text("zip")?, ["00501", "10001"]);
        Ok(())
    }

    #[test]
    fn blanks_stay_where_they_are_not_trimmed() -> Result<()> {
        let table = CsvReader::new().trim(false).from_reader("a, b\n x,1\n".as_bytes(), "table")?;
        assert_eq!(table.names(), ["a", " b"]);
        assert_eq!(table.text("a")?, [" x"]);
        Ok(())
    }
}
