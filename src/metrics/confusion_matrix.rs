use std::fmt;

use ndarray::Array2;

use super::Average;
use super::streaming::streaming_metric;
use super::tally::{Detail, Score, Tally};
use crate::error::{Error, Result};
use crate::scalar::Scalar;
use crate::tensor::Tensor;

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

impl Default for ConfusionMatrix {
    fn default() -> Self {
        Self::new()
    }
}

impl ConfusionMatrix {
    /// With nothing taken in, classes named by their numbers, and a threshold of 0.5.
    pub fn new() -> Self {
        ConfusionMatrix { gathered: Tally::new(Detail::Pair), names: None }
    }

    /// What the classes are called in tables, from class 0 on.
    #[must_use]
    pub fn class_names<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.names = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// Above which a single output means class 1: 0.5 for probabilities (the default), 0 for logits.
    #[must_use]
    pub fn threshold(mut self, threshold: f64) -> Self {
        self.gathered.threshold = threshold;
        self
    }

    /// The sum of the weights (the number, without weights) of the samples of each true class (row) and predicted
    /// class (column), in the shape (classes, classes); (0, 0) where there was nothing.
    pub fn matrix(&self) -> Array2<f64> {
        let classes = self.gathered.classes;
        Array2::from_shape_fn((classes, classes), |(truth, predicted)| self.gathered.cells[truth * classes + predicted])
    }

    /// The accuracy over everything taken in; NaN where there was nothing.
    pub fn result(&self) -> f64 {
        self.gathered.accuracy()
    }

    /// Precision, recall, F1 and support of each class, then the accuracy and the averages: scikit-learn's
    /// `classification_report`. Every class of the output has its row; the macro average leaves out those that were
    /// neither true nor predicted.
    ///
    /// ```
    /// use layerwise::metrics::{ConfusionMatrix, Metric};
    /// use layerwise::to_tensor;
    /// use ndarray::array;
    /// let mut confusion = ConfusionMatrix::new().class_names(["cat", "dog"]);
    /// let probabilities = to_tensor::<f32, _, _, _>(&array![[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])?;
    /// confusion.update(&probabilities, &to_tensor(&array![0, 1, 1])?, None)?;
    /// println!("{}", confusion.report());
    /// //               precision    recall  f1-score   support
    /// //
    /// //          cat       0.50      1.00      0.67         1
    /// //          dog       1.00      0.50      0.67         2
    /// //
    /// //     accuracy                           0.67         3
    /// //    macro avg       0.75      0.75      0.67         3
    /// // weighted avg       0.83      0.67      0.67         3
    /// # Ok::<(), layerwise::Error>(())
    /// ```
    pub fn report(&self) -> String {
        const SCORES: [Score; 3] = [Score::Precision, Score::Recall, Score::F1];
        let tally = &self.gathered;
        let names: Vec<String> = (0..tally.classes).map(|class| self.class_name(class)).collect();
        let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).max("weighted avg".len());
        let row = |name: &str, [precision, recall, f1]: [f64; 3], support: f64| {
            let support = number(support, support.fract() == 0.0);
            format!("{name:>width$}  {precision:>9.2} {recall:>9.2} {f1:>9.2} {support:>9}\n")
        };
        let mut report =
            format!("{:>width$}  {:>9} {:>9} {:>9} {:>9}\n\n", "", "precision", "recall", "f1-score", "support");
        for (class, name) in names.iter().enumerate() {
            report += &row(name, SCORES.map(|score| tally.score(score, class)), tally.support(class));
        }
        let total = tally.total();
        let support = number(total, total.fract() == 0.0);
        report += &format!("\n{:>width$}  {:>9} {:>9} {:>9.2} {support:>9}\n", "accuracy", "", "", tally.accuracy());
        for (name, average) in [("macro avg", Average::Macro), ("weighted avg", Average::Weighted)] {
            report += &row(name, SCORES.map(|score| tally.average(score, average, false)), total);
        }
        report
    }

    fn class_name(&self, class: usize) -> String {
        self.names.as_ref().map_or_else(|| class.to_string(), |names| names[class].clone())
    }

    fn full_name(&self) -> &str {
        "accuracy"
    }

    fn take<A: Scalar>(&mut self, prediction: &Tensor<A>, target: &Tensor<A>, weights: Option<&[A]>) -> Result<()> {
        let names = self.names.as_ref().map(Vec::len);
        self.gathered.take(prediction, target, weights, |classes| check_names(names, classes))
    }

    fn take_state(&mut self, state: &[f64]) -> Result<()> {
        let names = self.names.as_ref().map(Vec::len);
        self.gathered.take_state(state, |classes| check_names(names, classes))
    }
}
streaming_metric!(ConfusionMatrix, 5.0);

fn check_names(names: Option<usize>, classes: usize) -> Result<()> {
    match names {
        Some(names) if names != classes => Err(Error::length("class names, one for each class", classes, names)),
        _ => Ok(()),
    }
}

/// A count as it reads best: without a point where the counts are whole.
fn number(count: f64, whole: bool) -> String {
    if whole { format!("{count:.0}") } else { format!("{count:.2}") }
}

/// The table, with the true classes as rows.
impl fmt::Display for ConfusionMatrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const CORNER: &str = "true \\ predicted";
        let classes = self.gathered.classes;
        let names: Vec<String> = (0..classes).map(|class| self.class_name(class)).collect();
        let whole = self.gathered.cells.iter().all(|count| count.fract() == 0.0);
        let cells: Vec<String> = self.gathered.cells.iter().map(|&count| number(count, whole)).collect();
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
