use std::fmt;

use super::Average;
use super::confusion_matrix::number;
use super::tally::{Score, Tally};

/// Precision, recall, F1 and support of each class, the accuracy and the averages: scikit-learn's
/// `classification_report`. [`ConfusionMatrix::report`](super::ConfusionMatrix::report) makes it.
///
/// It prints as a table. Every class of the output has its row; the macro average leaves out those that were neither
/// true nor predicted.
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
/// assert_eq!(confusion.report().classes[1].recall, 0.5);
/// # Ok::<(), layerwise::Error>(())
/// ```
#[derive(Clone, PartialEq, Debug)]
pub struct ClassificationReport {
    /// The classes in the order of their numbers.
    pub classes: Vec<ReportRow>,
    /// The share of samples that were predicted rightly.
    pub accuracy: f64,
    /// The plain means over the classes.
    pub macro_average: ReportRow,
    /// The means over the classes, each weighted with its support.
    pub weighted_average: ReportRow,
    digits: usize,
}

/// The scores of a class, or their means over the classes.
#[derive(Clone, PartialEq, Debug)]
pub struct ReportRow {
    /// The class, or the kind of mean.
    pub name: String,
    /// Of the samples predicted to be of the class, the share that is.
    pub precision: f64,
    /// Of the samples of the class, the share that was predicted to be.
    pub recall: f64,
    /// The harmonic mean of precision and recall.
    pub f1: f64,
    /// The sum of the weights (the number, without weights) of the samples of the class.
    pub support: f64,
}

impl ClassificationReport {
    pub(super) fn new(tally: &Tally, names: impl Iterator<Item = String>) -> Self {
        let row = |name: String, score: &dyn Fn(Score) -> f64, support| ReportRow {
            name,
            precision: score(Score::Precision),
            recall: score(Score::Recall),
            f1: score(Score::FBeta(1.0)),
            support,
        };
        let average =
            |name: &str, average| row(name.to_owned(), &|score| tally.average(score, average, false), tally.total());
        ClassificationReport {
            classes: names
                .enumerate()
                .map(|(class, name)| row(name, &|score| tally.score(score, class), tally.support(class)))
                .collect(),
            accuracy: tally.accuracy(),
            macro_average: average("macro avg", Average::Macro),
            weighted_average: average("weighted avg", Average::Weighted),
            digits: 2,
        }
    }

    /// How many digits behind the point are printed; 2 by default (scikit-learn's).
    #[must_use]
    pub fn digits(mut self, digits: usize) -> Self {
        self.digits = digits;
        self
    }
}

impl fmt::Display for ClassificationReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.digits;
        let averages = [&self.macro_average, &self.weighted_average];
        let names = self.classes.iter().chain(averages).map(|row| row.name.chars().count());
        let width = names.max().unwrap_or(0).max(digits);
        let support = |support: f64| number(support, support.fract() == 0.0);
        let print = |f: &mut fmt::Formatter<'_>, row: &ReportRow| {
            write!(f, "{:>width$}  {:>9.digits$} {:>9.digits$}", row.name, row.precision, row.recall)?;
            writeln!(f, " {:>9.digits$} {:>9}", row.f1, support(row.support))
        };
        writeln!(f, "{:>width$}  {:>9} {:>9} {:>9} {:>9}\n", "", "precision", "recall", "f1-score", "support")?;
        self.classes.iter().try_for_each(|row| print(f, row))?;
        let all = support(self.macro_average.support);
        writeln!(f, "\n{:>width$}  {:>9} {:>9} {:>9.digits$} {all:>9}", "accuracy", "", "", self.accuracy)?;
        averages.into_iter().try_for_each(|row| print(f, row))
    }
}
