//! One column of a table.

use std::borrow::Cow;

/// The cells of one column: numbers, or text.
#[derive(Clone, Debug)]
pub(super) enum Column {
    /// Finite numbers, with NaN for a missing cell.
    Numbers(Vec<f64>),
    /// Text, with `None` for a missing cell.
    Text(Vec<Option<String>>),
}

impl Column {
    /// Whether a cell is missing.
    pub(super) fn is_missing(&self, row: usize) -> bool {
        match self {
            Column::Numbers(cells) => cells[row].is_nan(),
            Column::Text(cells) => cells[row].is_none(),
        }
    }

    /// How many cells are missing.
    pub(super) fn missing(&self) -> usize {
        match self {
            Column::Numbers(cells) => cells.iter().filter(|cell| cell.is_nan()).count(),
            Column::Text(cells) => cells.iter().filter(|cell| cell.is_none()).count(),
        }
    }

    /// A cell as text, or `None` where it is missing.
    pub(super) fn text(&self, row: usize) -> Option<Cow<'_, str>> {
        match self {
            Column::Numbers(cells) if cells[row].is_nan() => None,
            Column::Numbers(cells) => Some(Cow::Owned(cells[row].to_string())),
            Column::Text(cells) => cells[row].as_deref().map(Cow::Borrowed),
        }
    }

    /// Some of the rows, in the order given. The caller has checked them.
    pub(super) fn take(&self, rows: &[usize]) -> Column {
        match self {
            Column::Numbers(cells) => Column::Numbers(rows.iter().map(|&row| cells[row]).collect()),
            Column::Text(cells) => Column::Text(rows.iter().map(|&row| cells[row].clone()).collect()),
        }
    }
}

/// Missing cells are equal to one another, unlike the NaN that stands for them.
impl PartialEq for Column {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Column::Text(a), Column::Text(b)) => a == b,
            (Column::Numbers(a), Column::Numbers(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a == b || a.is_nan() && b.is_nan())
            }
            _ => false,
        }
    }
}
