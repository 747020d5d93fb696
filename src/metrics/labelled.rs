//! Scores of classes, and the labels that they are held against.

use crate::error::{Error, Result};
use crate::losses::{Rows, check_weights, class_of, first_outside, terms_per_weight};
use crate::scalar::Scalar;
use crate::tensor::{Tensor, unravel, values};

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

    /// Every output is a question of its own, with the answer 0 or 1.
    fn of_questions(prediction: &[usize], target: &[usize]) -> Result<Self> {
        let rows = Rows::of(prediction, target)?;
        Ok(Layout { batch: rows.batch, rows: rows.rows * rows.features, width: 1, one_hot: false })
    }
}

/// A batch of class scores, labels and weights about which everything was checked but the scores and labels.
pub(super) struct Labelled<'a, A: Scalar> {
    prediction: &'a Tensor<A>,
    target: &'a Tensor<A>,
    scores: &'a [A],
    labels: &'a [A],
    weights: Option<&'a [A]>,
    /// How many rows share one weight.
    share: usize,
    layout: Layout,
}

impl<'a, A: Scalar> Labelled<'a, A> {
    /// One row of scores for each sample, or step of a sample. `known` is the number of classes of the batches before,
    /// 0 if there were none.
    pub fn new(
        known: usize,
        prediction: &'a Tensor<A>,
        target: &'a Tensor<A>,
        weights: Option<&'a [A]>,
    ) -> Result<Self> {
        let layout = Layout::of(prediction.shape(), target.shape())?;
        if known != 0 && known != layout.width.max(2) {
            let expected = format!("{known} classes, as in the batches before");
            return Err(Error::shape("prediction", expected, prediction.shape()));
        }
        Self::of(layout, prediction, target, weights)
    }

    /// One row for each output.
    pub fn questions(prediction: &'a Tensor<A>, target: &'a Tensor<A>, weights: Option<&'a [A]>) -> Result<Self> {
        Self::of(Layout::of_questions(prediction.shape(), target.shape())?, prediction, target, weights)
    }

    fn of(layout: Layout, prediction: &'a Tensor<A>, target: &'a Tensor<A>, weights: Option<&'a [A]>) -> Result<Self> {
        check_weights(weights)?;
        let share = weights.map_or(Ok(1), |weights| terms_per_weight(layout.batch, layout.rows, weights.len()))?;
        let (scores, labels) = (values(prediction)?, values(target)?);
        Ok(Labelled { prediction, target, scores, labels, weights, share, layout })
    }

    pub fn rows(&self) -> usize {
        self.layout.rows
    }

    /// The scores in a row: one where a single output decides between two classes.
    pub fn width(&self) -> usize {
        self.layout.width
    }

    pub fn classes(&self) -> usize {
        self.layout.width.max(2)
    }

    pub fn weight(&self, row: usize) -> f64 {
        self.weights.map_or(1.0, |weights| weights[row / self.share].as_f64())
    }

    pub fn scores(&self, row: usize) -> &'a [A] {
        &self.scores[row * self.layout.width..][..self.layout.width]
    }

    /// The place of the largest score of a row; the first of several, as in NumPy.
    pub fn likeliest(&self, row: usize) -> Result<usize> {
        largest(self.scores(row)).map_err(|at| nan("prediction", row * self.layout.width + at, self.prediction))
    }

    /// The true class of a row.
    pub fn truth(&self, row: usize) -> Result<usize> {
        let width = self.layout.width;
        if self.layout.one_hot {
            let scores = &self.labels[row * width..][..width];
            let truth = largest(scores).map_err(|at| nan("target", row * width + at, self.target))?;
            // Several answers for one sample are no one-hot row: their accuracy would mean nothing.
            if scores.iter().filter(|&&score| score == scores[truth]).count() > 1 {
                let index = unravel(row, &self.target.shape()[..self.target.ndim() - 1]);
                return Err(Error::value("target", &index, "one class above all others", "several"));
            }
            return Ok(truth);
        }
        let classes = self.classes();
        class_of(self.labels[row], classes).ok_or_else(|| {
            let expected = format!("a whole number from 0 to {}", classes - 1);
            Error::value("class label", &unravel(row, self.target.shape()), expected, self.labels[row])
        })
    }

    /// Refuses a batch in which a score is NaN or a label none.
    pub fn check(&self) -> Result<()> {
        match self.scores.iter().position(|score| score.is_nan()) {
            Some(at) => Err(nan("prediction", at, self.prediction)),
            None => (0..self.rows()).try_for_each(|row| self.truth(row).map(drop)),
        }
    }

    /// Refuses a batch in which a score is no probability or a label none.
    pub fn check_probabilities(&self) -> Result<()> {
        if let Some(at) = first_outside(self.scores, A::zero(), A::one()) {
            let index = unravel(at, self.prediction.shape());
            return Err(Error::value("prediction", &index, "a probability from 0 to 1", self.scores[at]));
        }
        self.check()
    }
}

/// The place of the largest value; the first of several. `Err` with the place of the first NaN.
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

fn nan<A: Scalar>(what: &str, at: usize, tensor: &Tensor<A>) -> Error {
    Error::value(what, &unravel(at, tensor.shape()), "a number, as NaN has no class", "NaN")
}
