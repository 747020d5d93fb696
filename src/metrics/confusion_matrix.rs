use std::fmt;

use ndarray::Array2;

use super::ClassificationReport;
use super::streaming::{class_metric, default_is_new, threshold_setting};
use super::tally::{Detail, Rule, Tally};
use crate::error::{Error, Result};

/// How often each class was taken for each: rows are the true classes, columns the predicted ones.
///
/// Predictions, targets and weights are those of [`Accuracy`](super::Accuracy), and the result is the accuracy. It
/// prints as a table; [`report`](Self::report) gives the scores of each class. It holds classes² numbers.
///
/// ```
/// use layerwise::metrics::{ConfusionMatrix, Metric};
/// use layerwise::to_tensor;
/// use ndarray::array;
/// let mut confusion = ConfusionMatrix::new().class_names(["cat", "dog"]);
/// let probabilities = to_tensor::<f32, _, _, _>(&array![[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])?;
/// confusion.update(&probabilities, &to_tensor(&array![0, 1, 1])?, None)?;
/// assert_eq!(confusion.matrix(), array![[1.0, 0.0], [1.0, 1.0]]);
/// assert_eq!(
///     confusion.to_string(),
///     "true \\ predicted  cat  dog\n\
///      \x20            cat    1    0\n\
///      \x20            dog    1    1\n"
/// );
/// # Ok::<(), layerwise::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ConfusionMatrix {
    gathered: Tally,
    names: Option<Vec<String>>,
}

impl ConfusionMatrix {
    /// With nothing taken in, classes named by their numbers, and a threshold of 0.5.
    pub fn new() -> Self {
        ConfusionMatrix { gathered: Tally::new(Detail::Pair, Rule::Largest), names: None }
    }

    /// What the classes are called in tables, from class 0 on.
    #[must_use]
    pub fn class_names<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.names = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// The sum of the weights (the number, without weights) of the samples of each true class (row) and predicted
    /// class (column), in the shape (classes, classes); (0, 0) where there was nothing.
    pub fn matrix(&self) -> Array2<f64> {
        let classes = self.gathered.classes();
        Array2::from_shape_fn((classes, classes), |(truth, predicted)| self.gathered.pair(truth, predicted))
    }

    /// The accuracy over everything taken in; NaN where there was nothing.
    pub fn result(&self) -> f64 {
        self.gathered.accuracy()
    }

    /// Precision, recall, F1 and support of each class, the accuracy and the averages, as a table.
    pub fn report(&self) -> ClassificationReport {
        ClassificationReport::new(&self.gathered, self.names().into_iter())
    }

    /// What the classes are called, in the order of their numbers.
    pub(crate) fn names(&self) -> Vec<String> {
        (0..self.gathered.classes()).map(|class| self.class_name(class)).collect()
    }

    fn class_name(&self, class: usize) -> String {
        self.names.as_ref().map_or_else(|| class.to_string(), |names| names[class].clone())
    }
}
class_metric!(ConfusionMatrix, 5.0, |_| "accuracy", |this, classes| {
    check_names(this.names.as_ref().map(Vec::len), classes)
});
default_is_new!(ConfusionMatrix);
threshold_setting!(ConfusionMatrix);

fn check_names(names: Option<usize>, classes: usize) -> Result<()> {
    match names {
        Some(names) if names != classes => Err(Error::length("class names, one for each class", classes, names)),
        _ => Ok(()),
    }
}

/// A count as it reads best: without a point where the counts are whole.
pub(super) fn number(count: f64, whole: bool) -> String {
    if whole { format!("{count:.0}") } else { format!("{count:.2}") }
}

/// The table, with the true classes as rows.
impl fmt::Display for ConfusionMatrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const CORNER: &str = "true \\ predicted";
        let classes = self.gathered.classes();
        let matrix = self.matrix();
        let names = self.names();
        let whole = matrix.iter().all(|count| count.fract() == 0.0);
        let cells: Vec<String> = matrix.iter().map(|&count| number(count, whole)).collect();
        let length = |text: &String| text.chars().count();
        let first = names.iter().map(length).max().unwrap_or(0).max(CORNER.len());
        let width = names.iter().chain(&cells).map(length).max().unwrap_or(0);

        write!(f, "{CORNER:>first$}")?;
        for name in &names {
            write!(f, "  {name:>width$}")?;
        }
        writeln!(f)?;
        for (name, row) in names.iter().zip(cells.chunks(classes.max(1))) {
            write!(f, "{name:>first$}")?;
            for cell in row {
                write!(f, "  {cell:>width$}")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
