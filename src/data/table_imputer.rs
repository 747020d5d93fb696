//! Missing cells of a table.

use serde_json::{Value, json};

use super::column::Column;
use super::features::not_fitted;
use super::impute::{Impute, most_frequent};
use super::preprocessing::each;
use super::table::{Table, table_error};
use crate::error::Result;
use crate::io::{Fields, Place, Setting};

/// Fills the missing cells of a table with what [`Impute`] says of the table given to [`fit`](Self::fit): give it the
/// training rows alone.
///
/// Without [`columns`](Self::columns) it fills every column that the strategy can fill: those of numbers under `Mean`,
/// `Median` and `Constant`, those of text under `ConstantText`, all under `MostFrequent`. Missing cells of other
/// columns stay missing. Columns are matched by name.
///
/// ```
/// use layerwise::data::{Impute, Table, TableImputer};
/// let train = Table::from_reader("age,sex\n20,f\n,f\n40,m\n".as_bytes(), "train")?;
/// let test = Table::from_reader("age,sex\n,\n".as_bytes(), "test")?;
/// let test = TableImputer::new(Impute::Mean).columns(&["age"]).fit(&train)?.transform(&test)?;
/// let test = TableImputer::new(Impute::MostFrequent).fit(&train)?.transform(&test)?;
/// assert_eq!(test.numbers::<f32>(&["age"])?, ndarray::array![[30.0]]);
/// assert_eq!(test.text("sex")?, ["f"]);
/// # Ok::<(), layerwise::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct TableImputer {
    strategy: Impute,
    columns: Option<Vec<String>>,
    fitted: Option<Vec<(String, Fill)>>,
}

#[derive(Clone, Debug, PartialEq)]
enum Fill {
    Number(f64),
    Text(String),
}

impl Setting for Fill {
    fn read(value: &Value, place: Place<'_>) -> Result<Self> {
        match value.as_f64() {
            Some(number) => Ok(Fill::Number(number)),
            None => String::read(value, place).map(Fill::Text),
        }
    }
}

impl TableImputer {
    /// One for every column that the strategy can fill.
    pub fn new(strategy: Impute) -> Self {
        Self { strategy, columns: None, fitted: None }
    }

    /// One for these columns alone.
    #[must_use]
    pub fn columns(mut self, columns: &[impl AsRef<str>]) -> Self {
        self.columns = Some(columns.iter().map(|column| column.as_ref().to_owned()).collect());
        self.fitted = None;
        self
    }

    /// Learns what to fill in from a table.
    ///
    /// # Errors
    /// [`Error::Table`] for a column that does not exist, that the strategy cannot fill, or that has no cell to tell
    /// from; [`Error::Setting`] for a constant that is no finite number.
    ///
    /// [`Error::Table`]: crate::Error::Table
    /// [`Error::Setting`]: crate::Error::Setting
    pub fn fit(&mut self, table: &Table) -> Result<&mut Self> {
        let names: Vec<&String> = match &self.columns {
            Some(columns) => columns.iter().collect(),
            None => {
                let columns = table.names.iter().zip(&table.columns);
                columns.filter(|(_, column)| self.fits(column)).map(|(name, _)| name).collect()
            }
        };
        let fitted = names.into_iter().map(|name| self.fill(table, name)).collect::<Result<_>>()?;
        self.fitted = Some(fitted);
        Ok(self)
    }

    /// Fills a table.
    ///
    /// # Errors
    /// [`Error::Setting`] before `fit`; [`Error::Table`] for a column that is not there, or that holds text where it
    /// held numbers in `fit`, or the reverse.
    ///
    /// [`Error::Table`]: crate::Error::Table
    /// [`Error::Setting`]: crate::Error::Setting
    pub fn transform(&self, table: &Table) -> Result<Table> {
        let mut filled = table.clone();
        for (name, fill) in self.fitted.as_ref().ok_or_else(|| not_fitted("TableImputer"))? {
            let index = table.index(name)?;
            let column = &mut filled.columns[index];
            // A column with no cell at all was read as numbers, whatever it is.
            if matches!(fill, Fill::Text(_)) && column.missing() == table.rows() {
                *column = Column::Text(vec![None; table.rows()]);
            }
            match (column, fill) {
                (Column::Numbers(cells), &Fill::Number(value)) => {
                    cells.iter_mut().filter(|cell| cell.is_nan()).for_each(|cell| *cell = value);
                }
                (Column::Text(cells), Fill::Text(value)) => {
                    cells.iter_mut().filter(|cell| cell.is_none()).for_each(|cell| *cell = Some(value.clone()));
                }
                (column, _) => {
                    let message = format!("{} here, but not in the table of `fit`", holds(column));
                    return Err(table_error(table.name(), None, Some(name), message));
                }
            }
        }
        Ok(filled)
    }

    /// [`fit`](Self::fit), then [`transform`](Self::transform).
    ///
    /// # Errors
    /// Those of `fit`.
    pub fn fit_transform(&mut self, table: &Table) -> Result<Table> {
        self.fit(table)?.transform(table)
    }

    pub(super) fn json(&self) -> Result<Value> {
        let fill = |(column, fill): &(String, Fill)| match fill {
            Fill::Number(number) => json!({ "column": column, "fill": number }),
            Fill::Text(text) => json!({ "column": column, "fill": text }),
        };
        let fitted = self.fitted.as_ref().ok_or_else(|| not_fitted("TableImputer"))?;
        let fitted: Value = fitted.iter().map(fill).collect();
        Ok(json!({ "strategy": Value::from(&self.strategy), "columns": self.columns, "fitted": fitted }))
    }

    pub(super) fn read(value: &Value, place: Place<'_>) -> Result<Self> {
        let fields = Fields::of(value, place)?;
        let fill = |value: &Value, place: Place<'_>| {
            let fields = Fields::of(value, place)?;
            let fill = (fields.get("column")?, fields.get("fill")?);
            fields.finish()?;
            Ok(fill)
        };
        let fitted = Some(each(&fields, "fitted", fill)?);
        let read = Self { strategy: fields.get("strategy")?, columns: fields.get("columns")?, fitted };
        fields.finish()?;
        Ok(read)
    }

    fn fits(&self, column: &Column) -> bool {
        match self.strategy {
            Impute::MostFrequent => true,
            Impute::ConstantText(_) => matches!(column, Column::Text(_)),
            _ => matches!(column, Column::Numbers(_)),
        }
    }

    fn fill(&self, table: &Table, name: &str) -> Result<(String, Fill)> {
        let column = table.column(name)?;
        if !self.fits(column) {
            let message = format!("{}, which {:?} cannot fill", holds(column), self.strategy);
            return Err(table_error(table.name(), None, Some(name), message));
        }
        let fill = match column {
            Column::Numbers(cells) => {
                let present = cells.iter().copied().filter(|cell| !cell.is_nan()).collect();
                self.strategy.number(present)?.map(Fill::Number)
            }
            Column::Text(cells) => self.text(cells).map(Fill::Text),
        };
        let nothing = || table_error(table.name(), None, Some(name), "every cell is missing: nothing to fill in from");
        Ok((name.to_owned(), fill.ok_or_else(nothing)?))
    }

    fn text(&self, cells: &[Option<String>]) -> Option<String> {
        if let Impute::ConstantText(text) = &self.strategy {
            return Some(text.clone());
        }
        let mut present: Vec<&str> = cells.iter().flatten().map(String::as_str).collect();
        present.sort_unstable();
        most_frequent(&present).map(|&text| text.to_owned())
    }
}

fn holds(column: &Column) -> &'static str {
    match column {
        Column::Numbers(_) => "the column holds numbers",
        Column::Text(_) => "the column holds text",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Result<Table> {
        Table::from_reader(text.as_bytes(), "table")
    }

    #[test]
    fn a_strategy_for_numbers_leaves_text_alone() -> Result<()> {
        let filled = TableImputer::new(Impute::Mean).fit_transform(&table("a,b\n1,x\n,\n3,x\n")?)?;
        assert_eq!(filled.missing(), [("a", 0), ("b", 1)]);
        assert_eq!(filled.text("a")?, ["1", "2", "3"]);
        Ok(())
    }

    #[test]
    fn a_column_of_text_that_a_test_table_lacks_altogether_is_filled() -> Result<()> {
        let mut imputer = TableImputer::new(Impute::MostFrequent);
        imputer.fit(&table("a,b\n1,y\n2,x\n")?)?;
        assert_eq!(imputer.transform(&table("a,b\n1,\n1,\n")?)?.text("b")?, ["x", "x"]);
        assert!(imputer.transform(&table("a,b\n1,7\n1,\n")?).is_err());
        Ok(())
    }

    #[test]
    fn a_table_fills_itself_in_one_call() -> Result<()> {
        let filled = table("a\nx\n?\n")?.impute(&["a"], Impute::ConstantText("unknown".into()))?;
        assert_eq!(filled.text("a")?, ["x", "unknown"]);
        Ok(())
    }
}
