//! The pictures of the examples, drawn where the feature `plot` is on.

use layerwise::data::Images;
#[cfg(feature = "plot")]
use layerwise::plot::{ImageGrid, Picture, Report};
use layerwise::prelude::*;
use layerwise::{Summary, to_tensor};
use ndarray::Axis;

/// What came of a run on images.
pub struct Run<'r> {
    /// The test set.
    pub set: &'r Images,
    /// Of each class, for each image of it.
    pub probabilities: &'r Tensor,
    pub history: &'r History,
    pub summary: &'r Summary,
}

/// An image, the class that it was taken for, and how sure that was.
type Mistake = (usize, usize, f32);

impl Run<'_> {
    /// Writes `target/NAME.svg`, the images that the classifier got wrong, the surest mistakes first, and a report,
    /// `target/NAME.html`; gives the number of all mistakes.
    pub fn show(&self, name: &str) -> Result<usize> {
        let mut wrong = Vec::new();
        for (number, (row, &class)) in self.probabilities.axis_iter(Axis(0)).zip(&self.set.labels).enumerate() {
            let best = row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(class, _)| class);
            if best != class {
                wrong.push((number, best, row[best]));
            }
        }
        wrong.sort_by(|a, b| b.2.total_cmp(&a.2));
        let mut matrix = ConfusionMatrix::new().class_names(&self.set.classes);
        matrix.update(self.probabilities, &to_tensor(&self.set.labels)?, None)?;
        self.draw(&wrong, &matrix, name)?;
        Ok(wrong.len())
    }

    #[cfg(feature = "plot")]
    fn draw(&self, wrong: &[Mistake], matrix: &ConfusionMatrix, name: &str) -> Result<()> {
        let folder = "target";
        std::fs::create_dir_all(folder).map_err(|error| Error::custom(format!("{folder}: {error}")))?;
        let mut report = Report::new(name).history(self.history)?.confusion_matrix(matrix)?.summary(self.summary);
        if !wrong.is_empty() {
            let rows: Vec<_> = wrong.iter().map(|&(number, ..)| number).collect();
            let taken = |&(_, class, sure): &Mistake| format!("{} {:.0} %", self.set.classes[class], 100.0 * sure);
            let title = format!("{} of {} wrong: what it is, and what it was taken for", wrong.len(), self.set.len());
            let grid = ImageGrid::labelled(&self.set.rows(&rows)?).notes(wrong.iter().map(taken)).title(title);
            grid.save(format!("{folder}/{name}.svg"))?;
            report = report.picture("Mistakes", &grid)?;
        }
        report.save(format!("{folder}/{name}.html"))?;
        println!("\nSee {folder}/{name}.html and, of the mistakes, {folder}/{name}.svg");
        Ok(())
    }

    #[cfg(not(feature = "plot"))]
    fn draw(&self, _: &[Mistake], matrix: &ConfusionMatrix, name: &str) -> Result<()> {
        println!("\n{}\nAccuracy {:.4}", matrix.report(), matrix.result());
        let (warnings, parameters) = (self.history.warnings().len(), self.summary.trainable());
        println!("{parameters} weights, {warnings} warnings; with `--features plot`: target/{name}.html");
        Ok(())
    }
}
