use ndarray::Array2;

use super::Picture;
use super::frame::{LARGE, NORMAL, SMALL};
use super::number::digits;
use super::palette::{Colour, GREY, INK, RULE, WHITE, series};
use super::panels::head;
use super::scene::Scene;
use super::text;
use crate::error::{Error, Result};
use crate::metrics;

/// The widest that a class's name is shown.
const LONGEST: f64 = 170.0;
const MARGIN: f64 = 14.0;

/// How often each class was taken for each, as a table of colours: rows are the true classes, and the darker a cell, the
/// larger its share of its row, so that rare classes are seen as well as frequent ones.
///
/// A cell has its number in it where there is room, and tells number and share under the mouse.
///
/// ```
/// use layerwise::metrics::{ConfusionMatrix, Metric};
/// use layerwise::plot::{self, Picture};
/// use layerwise::to_tensor;
/// use ndarray::array;
/// let mut matrix = ConfusionMatrix::new().class_names(["cat", "dog"]);
/// let probabilities = to_tensor::<f32, _, _, _>(&array![[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])?;
/// matrix.update(&probabilities, &to_tensor(&array![0, 1, 1])?, None)?;
/// let svg = plot::ConfusionMatrix::of(&matrix).svg()?;
/// assert!(svg.contains("true dog, predicted cat: 1 (50 %)"));
/// # Ok::<(), layerwise::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ConfusionMatrix {
    counts: Array2<f64>,
    names: Vec<String>,
    title: String,
    shares: bool,
}

/// Where the table is, and how large its cells are.
struct Table {
    left: f64,
    top: f64,
    cell: f64,
    /// The size of the names of classes.
    letters: f64,
    turned: bool,
}

impl ConfusionMatrix {
    /// Of a metric that has taken in its samples. The heading is the accuracy.
    pub fn of(matrix: &metrics::ConfusionMatrix) -> Self {
        let title = format!("accuracy {}", digits(matrix.result(), 4));
        ConfusionMatrix { counts: matrix.matrix(), names: matrix.names(), title, shares: false }
    }

    /// Another heading; an empty one is none.
    #[must_use]
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = title.into();
        self
    }

    /// Shows what share of its row each cell is, in per cent, instead of the number.
    #[must_use]
    pub fn normalize(mut self) -> Self {
        self.shares = true;
        self
    }

    /// The share of its row that a cell is; NaN in an empty row.
    fn share(&self, row: usize, column: usize) -> f64 {
        self.counts[[row, column]] / self.counts.row(row).sum()
    }

    fn cell_text(&self, row: usize, column: usize) -> String {
        match self.shares {
            true => format!("{:.0} %", 100.0 * self.share(row, column)),
            false => digits(self.counts[[row, column]], 6),
        }
    }

    /// The widest of the texts in cells.
    fn widest(&self, size: f64) -> f64 {
        let texts = self.counts.indexed_iter().map(|((row, column), _)| self.cell_text(row, column));
        texts.map(|text| text::width(&text, size)).fold(0.0, f64::max)
    }

    fn table(&self) -> Table {
        let classes = self.names.len();
        let usual = (560.0 / classes as f64).clamp(14.0, 64.0);
        // Few classes have room for large numbers.
        let cell = if classes <= 20 { usual.max((self.widest(NORMAL) + 10.0).min(110.0)) } else { usual };
        let letters = NORMAL.min(cell - 3.0);
        let longest = self.names.iter().map(|name| text::width(name, letters)).fold(0.0, f64::max).min(LONGEST);
        let turned = longest > cell - 6.0;
        let head = if self.title.is_empty() { 0.0 } else { LARGE + 12.0 };
        let names = if turned { longest } else { letters };
        Table { left: MARGIN + 22.0 + longest + 6.0, top: MARGIN + head + 22.0 + names + 6.0, cell, letters, turned }
    }

    fn draw_names(&self, scene: &mut Scene, table: &Table) {
        let &Table { left, top, cell, letters, turned } = table;
        for (class, name) in self.names.iter().enumerate() {
            let middle = (class as f64 + 0.5) * cell;
            let below = letters * 0.36;
            let short = text::fit(name, letters, LONGEST);
            scene.text([left - 6.0, top + middle + below], short.clone(), letters).end().tip(name);
            if turned {
                scene.text([left + middle + below, top - 6.0], short, letters).turn().tip(name);
            } else {
                scene.text([left + middle, top - 6.0], short, letters).middle().tip(name);
            }
        }
    }

    fn draw_cells(&self, scene: &mut Scene, table: &Table) {
        let &Table { left, top, cell, .. } = table;
        let size = [NORMAL, SMALL, 9.0, 8.0].into_iter().find(|&size| self.widest(size) <= cell - 3.0);
        for ((row, column), &count) in self.counts.indexed_iter() {
            let share = self.share(row, column);
            let at = [left + column as f64 * cell, top + row as f64 * cell];
            let fill = if share.is_nan() { RULE } else { series(0).mix(share) };
            let per_cent = digits(100.0 * share, 3);
            let (truth, predicted) = (&self.names[row], &self.names[column]);
            let tip = format!("true {truth}, predicted {predicted}: {} ({per_cent} %)", digits(count, 6));
            scene.rect(at, [cell, cell], fill).tip(tip);
            // Among many small numbers zeros are no news.
            let news = count != 0.0 || self.names.len() <= 20;
            if let Some(size) = size.filter(|_| news) {
                let ink = number_ink(count, share);
                let at = [at[0] + cell / 2.0, at[1] + cell / 2.0 + size * 0.36];
                scene.text(at, self.cell_text(row, column), size).middle().ink(ink);
            }
        }
    }
}

/// Zeros step back, and on a dark cell the number is white.
fn number_ink(count: f64, share: f64) -> Colour {
    match share > 0.55 {
        true => WHITE,
        false if count == 0.0 => GREY.mix(0.6),
        false => INK,
    }
}

impl Picture for ConfusionMatrix {
    fn scene(&self) -> Result<Scene> {
        if self.names.is_empty() {
            return Err(Error::Empty("the confusion matrix".into()));
        }
        let table = self.table();
        let side = table.cell * self.names.len() as f64;
        let needed = MARGIN + text::width(&self.title, LARGE).min(400.0) + 1.0 + MARGIN;
        let predicted = 2.0 * MARGIN + text::width("predicted", NORMAL);
        let width = (table.left + side.max(predicted) + MARGIN).max(needed);
        let height = (table.top + side).max(MARGIN + 90.0) + MARGIN;
        let mut scene = Scene::new(format!("confusion matrix, {}", self.title), width, height);
        head(&mut scene, &self.title, MARGIN);
        self.draw_cells(&mut scene, &table);
        self.draw_names(&mut scene, &table);
        scene.frame([table.left, table.top], [side, side], GREY);
        let above = if self.title.is_empty() { 0.0 } else { LARGE + 12.0 };
        scene.text([table.left, MARGIN + above + NORMAL], "predicted", NORMAL).ink(GREY);
        let middle = table.top + side / 2.0;
        scene.text([MARGIN + NORMAL, middle], "true", NORMAL).middle().turn().ink(GREY);
        Ok(scene)
    }
}
