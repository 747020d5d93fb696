//! Scores of classes, kept to be put in order.

use super::bins::{bin_of, check_bins, edge};
use super::labelled::Labelled;
use super::streaming::Totals;
use super::{Average, Thresholds};
use crate::error::{Error, Result};
use crate::scalar::Scalar;
use crate::tensor::Tensor;

/// The scores of samples, with true class and weight; or, in bins, how much weight has which score.
///
/// Of two classes the score of class 1 is enough: one column. Kept samples are rows of columns + 2 numbers. In bins
/// there are for each column the bins of the other classes, then those of its own.
#[derive(Clone, Debug, Default)]
pub(super) struct Ranking {
    /// Without them every score is kept.
    pub bins: Option<usize>,
    totals: Totals,
}

impl Ranking {
    pub fn classes(&self) -> usize {
        self.totals.classes
    }

    fn columns(&self) -> usize {
        columns_of(self.totals.classes)
    }

    fn setting(&self) -> (&'static str, f64) {
        ("number of bins", self.bins.unwrap_or(0) as f64)
    }

    pub fn batch<'a, A: Scalar>(
        &self,
        prediction: &'a Tensor<A>,
        target: &'a Tensor<A>,
        weights: Option<&'a [A]>,
    ) -> Result<Labelled<'a, A>> {
        self.bins.map_or(Ok(()), check_bins)?;
        Labelled::new(self.totals.classes, prediction, target, weights)
    }

    /// Takes in a batch, or nothing of it where something is wrong. Samples of weight 0 are left out.
    pub fn take<A: Scalar>(&mut self, batch: &Labelled<'_, A>) -> Result<()> {
        let classes = batch.classes();
        let columns = columns_of(classes);
        match self.bins {
            None => batch.check()?,
            Some(bins) => {
                batch.check_probabilities()?;
                self.totals.grow(classes, columns * 2 * bins);
            }
        }
        self.totals.classes = classes;
        for row in (0..batch.rows()).filter(|&row| batch.weight(row) > 0.0) {
            let (scores, truth, weight) = (batch.scores(row), batch.truth(row)?, batch.weight(row));
            let scores = scores[scores.len() - columns..].iter().map(|score| score.as_f64());
            let Some(bins) = self.bins else {
                self.totals.cells.extend(scores.chain([truth as f64, weight]));
                continue;
            };
            for (column, score) in scores.enumerate() {
                let own = usize::from(truth == class_of_column(classes, column));
                self.totals.cells[(2 * column + own) * bins + bin_of(score, bins)] += weight;
            }
        }
        Ok(())
    }

    pub fn reset(&mut self) {
        self.totals.reset();
    }

    pub fn write(&self, state: &mut Vec<f64>) {
        self.totals.write(self.setting().1, state);
    }

    pub fn parse<'s>(&self, state: &'s [f64]) -> Result<(usize, &'s [f64])> {
        self.bins.map_or(Ok(()), check_bins)?;
        self.totals.parse(self.setting(), state, |classes, cells| match self.bins {
            _ if classes == 0 => cells == 0,
            None => cells % columns_of(classes).saturating_add(2) == 0,
            Some(bins) => cells == columns_of(classes).saturating_mul(2).saturating_mul(bins),
        })
    }

    pub fn merge(&mut self, classes: usize, cells: &[f64]) {
        if self.bins.is_some() {
            self.totals.add(classes, cells);
        } else if !cells.is_empty() {
            self.totals.classes = classes;
            self.totals.cells.extend(cells);
        }
    }

    /// The scores, the true class and the weight of each sample that was kept.
    fn kept(&self) -> impl Iterator<Item = (&[f64], usize, f64)> {
        let columns = self.columns();
        let rows = self.totals.cells.chunks_exact(columns + 2);
        rows.map(move |row| (&row[..columns], row[columns] as usize, row[columns + 1]))
    }

    /// Scores of a column, whether the sample is of its class, and weights.
    fn samples(&self, column: usize) -> Vec<(f64, bool, f64)> {
        let Some(bins) = self.bins else {
            let class = class_of_column(self.classes(), column);
            return self.kept().map(|(scores, truth, weight)| (scores[column], truth == class, weight)).collect();
        };
        let cells = self.totals.cells[2 * column * bins..][..2 * bins].iter().enumerate();
        let full = cells.filter(|&(_, &weight)| weight > 0.0);
        full.map(|(at, &weight)| (edge(at % bins + 1, bins), at >= bins, weight)).collect()
    }

    /// The class of a column against all others.
    pub fn against_rest(&self, column: usize) -> Thresholds {
        Thresholds::of_samples(self.samples(column))
    }

    /// A class against one other, among the samples of these two. Of three or more classes, and kept samples.
    pub fn against_one(&self, class: usize, other: usize) -> Thresholds {
        let two = self.kept().filter(|&(_, truth, _)| truth == class || truth == other);
        Thresholds::of_samples(two.map(|(scores, truth, weight)| (scores[class], truth == class, weight)).collect())
    }

    /// What each threshold on the score of a class does.
    pub fn thresholds(&self, class: usize) -> Result<Thresholds> {
        match self.classes() {
            0 => Err(Error::Empty("what was taken in".into())),
            2 if class == 1 => Ok(self.against_rest(0)),
            2 => Err(Error::setting("class", "1, where there are two", class)),
            classes if class < classes => Ok(self.against_rest(class)),
            classes => Err(Error::setting("class", format!("below {classes}"), class)),
        }
    }

    /// A score of each class against the rest; of two classes, that of class 1.
    pub fn per_class(&self, score: impl Fn(&Thresholds) -> f64) -> Vec<f64> {
        (0..self.columns()).map(|column| score(&self.against_rest(column))).collect()
    }

    /// The scores of the classes against the rest as one.
    pub fn average(&self, average: Average, score: impl Fn(&Thresholds) -> f64) -> f64 {
        let columns = 0..self.columns();
        match average {
            _ if columns.len() < 2 => self.per_class(score).first().copied().unwrap_or(f64::NAN),
            Average::Micro => score(&Thresholds::of_samples(columns.flat_map(|column| self.samples(column)).collect())),
            Average::Macro | Average::Binary => {
                weighted_mean(self.per_class(score).into_iter().map(|score| (1.0, score)))
            }
            Average::Weighted => {
                let rests = columns.map(|column| self.against_rest(column));
                weighted_mean(rests.map(|rest| (rest.positives(), score(&rest))))
            }
        }
    }
}

/// Of weights and values. What has no weight does not count, even if it is NaN; NaN of nothing.
pub(super) fn weighted_mean(values: impl Iterator<Item = (f64, f64)>) -> f64 {
    let counting = values.filter(|&(weight, _)| weight > 0.0);
    let (weight, sum) = counting.fold((0.0, 0.0), |(all, sum), (weight, value)| (all + weight, sum + weight * value));
    sum / weight
}

fn columns_of(classes: usize) -> usize {
    if classes == 2 { 1 } else { classes }
}

/// The one column of two classes is that of class 1.
fn class_of_column(classes: usize, column: usize) -> usize {
    if classes == 2 { 1 } else { column }
}
