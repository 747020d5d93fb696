//! Which classes were predicted for which: what all metrics of classification count.

use super::Average;
use super::streaming::check_same;
use crate::error::{Error, Result};
use crate::losses::{check_weights, class_of, terms_per_weight};
use crate::scalar::Scalar;
use crate::tensor::{Tensor, unravel, values};

/// What is kept of each pair of true and predicted class.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Detail {
    /// For each class: rightly predicted, predicted, true. Three numbers a class, however many classes there are.
    Class,
    /// Every pair: rows true, columns predicted.
    Pair,
}

/// Sums of the weights of samples, or steps of samples, by class.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    detail: Detail,
    pub threshold: f64,
    /// 0 as long as nothing was taken in.
    pub classes: usize,
    pub cells: Vec<f64>,
    /// True and predicted classes of the batch that is being taken in; kept for its buffer.
    pairs: Vec<(usize, usize)>,
}

/// A ratio of counts.
#[derive(Clone, Copy, Debug)]
pub(super) enum Score {
    Precision,
    Recall,
    F1,
}

impl Score {
    /// 0 where the ratio is 0 / 0, as in scikit-learn with `zero_division=0`.
    fn of(self, correct: f64, predicted: f64, support: f64) -> f64 {
        let (part, whole) = match self {
            Score::Precision => (correct, predicted),
            Score::Recall => (correct, support),
            Score::F1 => (2.0 * correct, predicted + support),
        };
        if whole == 0.0 { 0.0 } else { part / whole }
    }
}

/// A batch as rows of class scores.
struct Layout {
    batch: usize,
    rows: usize,
    width: usize,
    /// Whether the target has a score for each class too.
    one_hot: bool,
}

impl Layout {
    fn of(prediction: &[usize], target: &[usize]) -> Result<Self> {
        let (before, width) = match prediction {
            [] | [.., 0] if prediction != [0] => {
                return Err(Error::shape("prediction", "(batch,) or (batch, ..., classes)", prediction));
            }
            [_] => (prediction, 1),
            [before @ .., width] => (before, *width),
            [] => unreachable!("refused above"),
        };
        let is_column = matches!(target.split_last(), Some((1, labels)) if labels == before);
        let one_hot = width > 1 && target == prediction;
        if target != before && !is_column && !one_hot {
            let mut column = before.to_vec();
            column.push(1);
            let one_hot = if width > 1 { format!(", or one-hot rows of shape {prediction:?}") } else { String::new() };
            let labels = format!("class labels of shape {before:?} or {column:?}{one_hot}");
            return Err(Error::shape("target", format!("{labels}, for a prediction of shape {prediction:?}"), target));
        }
        Ok(Layout { batch: before[0], rows: before.iter().product(), width, one_hot })
    }

    fn classes(&self) -> usize {
        self.width.max(2)
    }
}

/// The place of the largest value; the first of several, as in NumPy. `Err` with the place of the first NaN.
fn largest<A: Scalar>(row: &[A]) -> Result<usize, usize> {
    let mut best = 0;
    for (at, &value) in row.iter().enumerate() {
        if value.is_nan() {
            return Err(at);
        }
        if value > row[best] {
            best = at;
        }
    }
    Ok(best)
}

impl Tally {
    pub fn new(detail: Detail) -> Self {
        Tally { detail, threshold: 0.5, classes: 0, cells: Vec::new(), pairs: Vec::new() }
    }

    /// Takes in a batch, or nothing of it where something is wrong. `accepts` may refuse the number of classes.
    pub fn take<A: Scalar>(
        &mut self,
        prediction: &Tensor<A>,
        target: &Tensor<A>,
        weights: Option<&[A]>,
        accepts: impl FnOnce(usize) -> Result<()>,
    ) -> Result<()> {
        let layout = Layout::of(prediction.shape(), target.shape())?;
        if !self.threshold.is_finite() {
            return Err(Error::setting("threshold", "a finite number", self.threshold));
        }
        if self.classes != 0 && self.classes != layout.classes() {
            let expected = format!("{} classes, as in the batches before", self.classes);
            return Err(Error::shape("prediction", expected, prediction.shape()));
        }
        accepts(layout.classes())?;
        check_weights(weights)?;
        let each = weights.map_or(Ok(1), |weights| terms_per_weight(layout.batch, layout.rows, weights.len()))?;
        self.read(&layout, prediction, target)?;

        self.grow(layout.classes());
        for (row, &(truth, predicted)) in self.pairs.iter().enumerate() {
            let weight = weights.map_or(1.0, |weights| weights[row / each].as_f64());
            match self.detail {
                Detail::Pair => self.cells[truth * self.classes + predicted] += weight,
                Detail::Class => {
                    self.cells[3 * truth + 2] += weight;
                    self.cells[3 * predicted + 1] += weight;
                    if truth == predicted {
                        self.cells[3 * truth] += weight;
                    }
                }
            }
        }
        Ok(())
    }

    /// The classes of every row, in `pairs`.
    fn read<A: Scalar>(&mut self, layout: &Layout, prediction: &Tensor<A>, target: &Tensor<A>) -> Result<()> {
        let (y, t) = (values(prediction)?, values(target)?);
        let nan = |what: &str, at: usize, tensor: &Tensor<A>| {
            Err(Error::value(what, &unravel(at, tensor.shape()), "a number, as NaN has no class", "NaN"))
        };
        let threshold = A::of(self.threshold);
        self.pairs.clear();
        for (row, y) in y.chunks_exact(layout.width).enumerate() {
            let predicted = match largest(y) {
                Err(at) => return nan("prediction", row * layout.width + at, prediction),
                Ok(_) if layout.width == 1 => usize::from(y[0] > threshold),
                Ok(predicted) => predicted,
            };
            let truth = if layout.one_hot {
                let scores = &t[row * layout.width..][..layout.width];
                let truth = match largest(scores) {
                    Err(at) => return nan("target", row * layout.width + at, target),
                    Ok(truth) => truth,
                };
                // Several answers for one sample are no one-hot row: their accuracy would mean nothing.
                if scores.iter().filter(|&&score| score == scores[truth]).count() > 1 {
                    let index = unravel(row, &target.shape()[..target.ndim() - 1]);
                    return Err(Error::value("target", &index, "one class above all others", "several"));
                }
                truth
            } else {
                let classes = layout.classes();
                class_of(t[row], classes).ok_or_else(|| {
                    let expected = format!("a whole number from 0 to {}", classes - 1);
                    Error::value("class label", &unravel(row, target.shape()), expected, t[row])
                })?
            };
            self.pairs.push((truth, predicted));
        }
        Ok(())
    }

    fn size(&self, classes: usize) -> usize {
        match self.detail {
            Detail::Class => classes.saturating_mul(3),
            Detail::Pair => classes.saturating_mul(classes),
        }
    }

    fn grow(&mut self, classes: usize) {
        self.classes = classes;
        self.cells.resize(self.size(classes), 0.0);
    }

    pub fn reset(&mut self) {
        self.classes = 0;
        self.cells.clear();
    }

    pub fn write(&self, state: &mut Vec<f64>) {
        state.extend([self.threshold, self.classes as f64]);
        state.extend(&self.cells);
    }

    pub fn take_state(&mut self, state: &[f64], accepts: impl FnOnce(usize) -> Result<()>) -> Result<()> {
        let [threshold, classes, cells @ ..] = state else {
            return Err(Error::length("the state to merge", 3 + self.cells.len(), 1 + state.len()));
        };
        let classes = *classes as usize;
        if *threshold != self.threshold {
            return Err(Error::setting("the threshold of the state to merge", self.threshold.to_string(), threshold));
        }
        check_same("classes", self.classes, classes)?;
        if cells.len() != self.size(classes) {
            return Err(Error::length("the counts of the state to merge", self.size(classes), cells.len()));
        }
        if classes > 0 {
            accepts(classes)?;
            self.grow(classes);
            self.cells.iter_mut().zip(cells).for_each(|(mine, theirs)| *mine += theirs);
        }
        Ok(())
    }

    fn correct(&self, class: usize) -> f64 {
        match self.detail {
            Detail::Class => self.cells[3 * class],
            Detail::Pair => self.cells[class * self.classes + class],
        }
    }

    fn predicted(&self, class: usize) -> f64 {
        match self.detail {
            Detail::Class => self.cells[3 * class + 1],
            Detail::Pair => self.cells.iter().skip(class).step_by(self.classes).sum(),
        }
    }

    pub fn support(&self, class: usize) -> f64 {
        match self.detail {
            Detail::Class => self.cells[3 * class + 2],
            Detail::Pair => self.cells[class * self.classes..][..self.classes].iter().sum(),
        }
    }

    fn sum(&self, count: impl Fn(&Self, usize) -> f64) -> f64 {
        (0..self.classes).map(|class| count(self, class)).sum()
    }

    pub fn total(&self) -> f64 {
        self.sum(Self::support)
    }

    /// The share that was predicted rightly; NaN of nothing.
    pub fn accuracy(&self) -> f64 {
        self.sum(Self::correct) / self.total()
    }

    pub fn score(&self, score: Score, class: usize) -> f64 {
        score.of(self.correct(class), self.predicted(class), self.support(class))
    }

    pub fn per_class(&self, score: Score) -> Vec<f64> {
        (0..self.classes).map(|class| self.score(score, class)).collect()
    }

    /// NaN of nothing. `every_class`: a macro average also counts classes that nobody saw.
    pub fn average(&self, score: Score, average: Average, every_class: bool) -> f64 {
        let total = self.total();
        if total == 0.0 {
            return f64::NAN;
        }
        match average {
            Average::Binary => self.score(score, 1),
            Average::Micro => score.of(self.sum(Self::correct), total, total),
            Average::Weighted => self.sum(|tally, class| tally.support(class) * tally.score(score, class)) / total,
            Average::Macro => {
                let counts = |class: usize| every_class || self.predicted(class) + self.support(class) > 0.0;
                let number = (0..self.classes).filter(|&class| counts(class)).count();
                self.sum(|tally, class| if counts(class) { tally.score(score, class) } else { 0.0 }) / number as f64
            }
        }
    }
}
