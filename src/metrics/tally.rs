//! Which classes were predicted for which: what the metrics of decisions count.

use super::Average;
use super::labelled::Labelled;
use super::streaming::Totals;
use crate::error::{Error, Result};
use crate::scalar::Scalar;
use crate::tensor::Tensor;

/// What is kept of each pair of true and predicted class.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Detail {
    /// For each class: rightly predicted, predicted, true. Three numbers a class, however many classes there are.
    Class,
    /// Every pair: rows true, columns predicted.
    Pair,
}

/// Which class a row of scores predicts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Rule {
    /// The one of the largest score; of a single score, class 1 above the threshold.
    Largest,
    /// The same, where every output is a question of its own.
    Questions,
    /// The true one, if it is among so many of the largest.
    Top(usize),
}

/// A ratio of counts.
#[derive(Clone, Copy, Debug)]
pub(super) enum Score {
    Precision,
    Recall,
    FBeta(f64),
}

impl Score {
    /// 0 where the ratio is 0 / 0, as in scikit-learn with `zero_division=0`.
    fn of(self, correct: f64, predicted: f64, support: f64) -> f64 {
        let (part, whole) = match self {
            Score::Precision => (correct, predicted),
            Score::Recall => (correct, support),
            Score::FBeta(beta) => ((1.0 + beta * beta) * correct, predicted + beta * beta * support),
        };
        if whole == 0.0 { 0.0 } else { part / whole }
    }
}

/// Sums of the weights of samples, or steps of samples, by class.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    pub detail: Detail,
    rule: Rule,
    pub threshold: f64,
    totals: Totals,
    /// True and predicted classes of the batch that is being taken in; kept for its buffer.
    pairs: Vec<(usize, usize)>,
}

impl Tally {
    pub fn new(detail: Detail, rule: Rule) -> Self {
        Tally { detail, rule, threshold: 0.5, totals: Totals::default(), pairs: Vec::new() }
    }

    /// 0 as long as nothing was taken in.
    pub fn classes(&self) -> usize {
        self.totals.classes
    }

    /// What a state must have been gathered with.
    fn setting(&self) -> (&'static str, f64) {
        match self.rule {
            Rule::Top(k) => ("k", k as f64),
            Rule::Largest | Rule::Questions => ("threshold", self.threshold),
        }
    }

    pub fn batch<'a, A: Scalar>(
        &self,
        prediction: &'a Tensor<A>,
        target: &'a Tensor<A>,
        weights: Option<&'a [A]>,
    ) -> Result<Labelled<'a, A>> {
        if !self.threshold.is_finite() {
            return Err(Error::setting("threshold", "a finite number", self.threshold));
        }
        let batch = match self.rule {
            Rule::Questions => Labelled::questions(prediction, target, weights)?,
            Rule::Largest | Rule::Top(_) => Labelled::new(self.classes(), prediction, target, weights)?,
        };
        match self.rule {
            Rule::Top(k) if k == 0 || k > batch.width() => {
                Err(Error::setting("k", format!("from 1 to {}, the scores of a prediction", batch.width()), k))
            }
            _ => Ok(batch),
        }
    }

    /// Takes in a batch, or nothing of it where something is wrong.
    pub fn take<A: Scalar>(&mut self, batch: &Labelled<'_, A>) -> Result<()> {
        self.read(batch)?;
        self.totals.grow(batch.classes(), self.size(batch.classes()));
        let (classes, cells) = (self.totals.classes, &mut self.totals.cells);
        for (row, &(truth, predicted)) in self.pairs.iter().enumerate() {
            let weight = batch.weight(row);
            match self.detail {
                Detail::Pair => cells[truth * classes + predicted] += weight,
                Detail::Class => {
                    cells[3 * truth + 2] += weight;
                    cells[3 * predicted + 1] += weight;
                    if truth == predicted {
                        cells[3 * truth] += weight;
                    }
                }
            }
        }
        Ok(())
    }

    /// The classes of every row, in `pairs`.
    fn read<A: Scalar>(&mut self, batch: &Labelled<'_, A>) -> Result<()> {
        let threshold = A::of(self.threshold);
        self.pairs.clear();
        for row in 0..batch.rows() {
            let (scores, likeliest, truth) = (batch.scores(row), batch.likeliest(row)?, batch.truth(row)?);
            let predicted = match (self.rule, scores) {
                (_, [score]) => usize::from(*score > threshold),
                (Rule::Top(k), _) if rank(scores, truth) < k => truth,
                _ => likeliest,
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

    pub fn reset(&mut self) {
        self.totals.reset();
    }

    pub fn write(&self, state: &mut Vec<f64>) {
        self.totals.write(self.setting().1, state);
    }

    pub fn parse<'s>(&self, state: &'s [f64]) -> Result<(usize, &'s [f64])> {
        self.totals.parse(self.setting(), state, |classes, cells| self.size(classes) == cells)
    }

    pub fn merge(&mut self, classes: usize, cells: &[f64]) {
        self.totals.add(classes, cells);
    }

    /// The weight of the samples of a true class for which another one, or the same, was predicted.
    pub fn pair(&self, truth: usize, predicted: usize) -> f64 {
        self.totals.cells[truth * self.totals.classes + predicted]
    }

    pub fn correct(&self, class: usize) -> f64 {
        match self.detail {
            Detail::Class => self.totals.cells[3 * class],
            Detail::Pair => self.pair(class, class),
        }
    }

    pub fn predicted(&self, class: usize) -> f64 {
        match self.detail {
            Detail::Class => self.totals.cells[3 * class + 1],
            Detail::Pair => (0..self.classes()).map(|truth| self.pair(truth, class)).sum(),
        }
    }

    pub fn support(&self, class: usize) -> f64 {
        match self.detail {
            Detail::Class => self.totals.cells[3 * class + 2],
            Detail::Pair => (0..self.classes()).map(|predicted| self.pair(class, predicted)).sum(),
        }
    }

    /// Of a count, or of what is made of counts, over the classes.
    pub fn sum(&self, count: impl Fn(&Self, usize) -> f64) -> f64 {
        (0..self.classes()).map(|class| count(self, class)).sum()
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
        (0..self.classes()).map(|class| self.score(score, class)).collect()
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
                let number = (0..self.classes()).filter(|&class| counts(class)).count();
                self.sum(|tally, class| if counts(class) { tally.score(score, class) } else { 0.0 }) / number as f64
            }
        }
    }
}

/// How many classes come before this one: those with a larger score, and those with the same that stand before it.
fn rank<A: Scalar>(scores: &[A], class: usize) -> usize {
    let own = scores[class];
    scores.iter().enumerate().filter(|&(at, &score)| score > own || (score == own && at < class)).count()
}
