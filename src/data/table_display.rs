//! A table as people look at it.

use std::fmt;

use super::column::Column;
use super::table::Table;

/// How many rows are shown, as by `head` in pandas.
const HEAD: usize = 5;
/// How many columns are shown at either side of a wide table.
const SIDE: usize = 5;
/// How many characters of a cell are shown, as in pandas.
const WIDTH: usize = 50;

/// The first five rows, aligned, under the columns' names; a wide table is cut in the middle.
///
/// ```
/// # use layerwise::data::Table;
/// let table = Table::from_reader("age,class\n22,third\n,first\n".as_bytes(), "titanic")?;
/// assert_eq!(table.to_string(), "   age  class\n0   22  third\n1  NaN  first\n[2 rows x 2 columns]");
/// # Ok::<(), layerwise::Error>(())
/// ```
impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.rows().min(HEAD);
        let mut blocks: Vec<Vec<String>> = vec![index_block(shown)];
        for (index, (name, column)) in self.names.iter().zip(&self.columns).enumerate() {
            if self.names.len() <= 2 * SIDE || index < SIDE || index >= self.names.len() - SIDE {
                blocks.push(block(name, column, shown));
            } else if index == SIDE {
                blocks.push(vec!["...".to_owned(); shown + 1]);
            }
        }
        let widths: Vec<usize> =
            blocks.iter().map(|block| block.iter().map(|cell| cell.chars().count()).max().unwrap_or(0)).collect();
        for row in 0..=shown {
            let cells = blocks.iter().zip(&widths).map(|(block, &width)| format!("{:>width$}", block[row]));
            writeln!(f, "{}", cells.collect::<Vec<_>>().join("  "))?;
        }
        if self.rows() > shown {
            writeln!(f, "...")?;
        }
        write!(f, "[{} rows x {} columns]", self.rows(), self.names.len())
    }
}

fn index_block(shown: usize) -> Vec<String> {
    std::iter::once(String::new()).chain((0..shown).map(|row| row.to_string())).collect()
}

fn block(name: &str, column: &Column, shown: usize) -> Vec<String> {
    let cell = |row| match column {
        _ if column.is_missing(row) => "NaN".to_owned(),
        Column::Numbers(cells) => short(cells[row]),
        Column::Text(cells) => clipped(cells[row].as_deref().unwrap_or_default()),
    };
    std::iter::once(clipped(name)).chain((0..shown).map(cell)).collect()
}

/// A number as it was written, but for long ones: those to six decimals, as in pandas.
fn short(number: f64) -> String {
    match number.to_string() {
        plain if plain.len() <= 10 => plain,
        _ if (1e-4..1e9).contains(&number.abs()) => format!("{number:.6}"),
        _ => format!("{number:.6e}"),
    }
}

fn clipped(text: &str) -> String {
    let line = text.replace(['\n', '\r', '\t'], " ");
    match line.char_indices().nth(WIDTH) {
        Some(_) => line.chars().take(WIDTH - 3).chain("...".chars()).collect(),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Result;

    #[test]
    fn five_rows_are_shown_and_the_rest_is_counted() -> Result<()> {
        let text: String = (0..7).map(|row| format!("{row},{}\n", "x".repeat(row))).collect();
        let table = Table::from_reader(format!("n,text\n{text}").as_bytes(), "table")?;
        let shown = table.to_string();
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(
            lines,
            [
                "   n  text",
                "0  0   NaN",
                "1  1     x",
                "2  2    xx",
                "3  3   xxx",
                "4  4  xxxx",
                "...",
                "[7 rows x 2 columns]"
            ]
        );
        Ok(())
    }

    #[test]
    fn a_wide_table_is_cut_in_the_middle_and_long_cells_at_the_end() -> Result<()> {
        let names: Vec<String> = (0..12).map(|column| format!("c{column}")).collect();
        let cells = vec!["é".repeat(60); 12];
        let table = Table::from_reader(format!("{}\n{}\n", names.join(","), cells.join(",")).as_bytes(), "table")?;
        let shown = table.to_string();
        assert!(shown.contains("c4") && shown.contains("c7") && !shown.contains("c5") && !shown.contains("c6"));
        assert!(shown.contains(&format!("{}...", "é".repeat(47))) && !shown.contains(&"é".repeat(48)));
        assert!(shown.ends_with("[1 rows x 12 columns]"));
        Ok(())
    }

    #[test]
    fn long_numbers_are_shown_to_six_decimals() {
        let shown = [22.0, 7.925, 1.0 / 3.0, 1e-12 / 3.0, -123456.789012].map(short);
        assert_eq!(shown, ["22", "7.925", "0.333333", "3.333333e-13", "-123456.789012"]);
    }
}
