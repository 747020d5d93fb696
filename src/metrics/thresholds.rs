use ndarray::Array1;

use super::ranking::Ranking;
use crate::error::{Error, Result};
use crate::scalar::Scalar;
use crate::tensor::Tensor;

/// What each threshold on the score of class 1 would do: the basis of curves, of the areas under them, and of the
/// choice of a threshold.
///
/// ```
/// use layerwise::metrics::Thresholds;
/// use layerwise::to_tensor;
/// use ndarray::array;
/// let scores = to_tensor::<f32, _, _, _>(&array![0.9, 0.8, 0.3, 0.1])?;
/// let thresholds = Thresholds::of(&scores, &to_tensor(&array![1, 0, 1, 0])?, None)?;
/// assert_eq!(thresholds.roc_auc(), 0.75);
/// // A miss costs ten times as much as a false alarm.
/// let point = thresholds.cheapest(1.0, 10.0)?;
/// assert_eq!((point.recall(), point.false_positives), (1.0, 1.0));
/// assert_eq!(thresholds.cheapest(10.0, 1.0)?.precision(), 1.0);
/// # Ok::<(), layerwise::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Thresholds {
    /// The different scores, from the highest to the lowest.
    scores: Vec<f64>,
    /// The weight of class 1, and of the others, with this score or a higher one.
    true_positives: Vec<f64>,
    false_positives: Vec<f64>,
}

/// A receiver operating characteristic: scikit-learn's `roc_curve` with every threshold (`drop_intermediate=False`).
#[derive(Clone, PartialEq, Debug)]
pub struct RocCurve {
    /// The share of the others that is taken for class 1, from 0 to 1; NaN where there are no others.
    pub false_positive_rate: Array1<f64>,
    /// The share of class 1 that is found, from 0 to 1; NaN where there is none.
    pub true_positive_rate: Array1<f64>,
    /// Class 1 are the scores from here up. From infinity down.
    pub thresholds: Array1<f64>,
}

/// Precision against recall: scikit-learn's `precision_recall_curve`. Where there is no class 1, every recall is 1.
#[derive(Clone, PartialEq, Debug)]
pub struct PrecisionRecallCurve {
    /// The share of what is taken for class 1 that is; 1 at the end.
    pub precision: Array1<f64>,
    /// The share of class 1 that is found, from 1 to 0.
    pub recall: Array1<f64>,
    /// Class 1 are the scores from here up. From the lowest score up; one less than there are points.
    pub thresholds: Array1<f64>,
}

/// What one threshold does, in sums of weights (in numbers, without weights).
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct OperatingPoint {
    /// Class 1 are the scores above it, as for [`Accuracy::threshold`](super::Accuracy::threshold).
    pub threshold: f64,
    /// Class 1, and found.
    pub true_positives: f64,
    /// Another class, taken for class 1: false alarms.
    pub false_positives: f64,
    /// Class 1, and missed.
    pub false_negatives: f64,
    /// Another class, and not taken for class 1.
    pub true_negatives: f64,
}

impl OperatingPoint {
    /// TP / (TP + FP); 0 where nothing is taken for class 1.
    pub fn precision(&self) -> f64 {
        share(self.true_positives, self.true_positives + self.false_positives)
    }

    /// TP / (TP + FN); 0 where there is no class 1.
    pub fn recall(&self) -> f64 {
        share(self.true_positives, self.true_positives + self.false_negatives)
    }

    /// What the errors cost together.
    pub fn cost(&self, false_positive: f64, false_negative: f64) -> f64 {
        false_positive * self.false_positives + false_negative * self.false_negatives
    }
}

fn share(part: f64, whole: f64) -> f64 {
    if whole == 0.0 { 0.0 } else { part / whole }
}

impl Thresholds {
    /// Of the scores of two classes: predictions, targets and weights as those of
    /// [`Accuracy`](super::Accuracy). Scores are probabilities or anything else that puts samples in an order.
    ///
    /// # Errors
    /// Where shapes do not fit, a label is neither 0 nor 1, a score is NaN, or there are more than two classes.
    pub fn of<A: Scalar>(prediction: &Tensor<A>, target: &Tensor<A>, weights: Option<&[A]>) -> Result<Self> {
        let mut ranking = Ranking::default();
        let batch = ranking.batch(prediction, target, weights)?;
        if batch.classes() > 2 {
            return Err(Error::shape("prediction", "the scores of two classes", prediction.shape()));
        }
        ranking.take(&batch)?;
        Ok(ranking.against_rest(0))
    }

    /// Of scores, whether they belong to class 1, and weights, in any order.
    pub(super) fn of_samples(mut samples: Vec<(f64, bool, f64)>) -> Self {
        samples.sort_unstable_by(|one, other| other.0.total_cmp(&one.0));
        let mut thresholds = Thresholds { scores: Vec::new(), true_positives: Vec::new(), false_positives: Vec::new() };
        let (mut positives, mut negatives) = (0.0, 0.0);
        for ties in samples.chunk_by(|one, other| one.0 == other.0) {
            for &(_, positive, weight) in ties {
                *(if positive { &mut positives } else { &mut negatives }) += weight;
            }
            thresholds.scores.push(ties[0].0);
            thresholds.true_positives.push(positives);
            thresholds.false_positives.push(negatives);
        }
        thresholds
    }

    /// The weight of class 1.
    pub fn positives(&self) -> f64 {
        self.true_positives.last().copied().unwrap_or(0.0)
    }

    /// The weight of the others.
    pub fn negatives(&self) -> f64 {
        self.false_positives.last().copied().unwrap_or(0.0)
    }

    /// The area under the [`roc_curve`](Self::roc_curve): how likely a sample of class 1 has a higher score than one of
    /// another class, ties counted as half. NaN where there is one class alone, or nothing.
    pub fn roc_auc(&self) -> f64 {
        let (mut area, mut found, mut alarms) = (0.0, 0.0, 0.0);
        for (&tp, &fp) in self.true_positives.iter().zip(&self.false_positives) {
            area += (fp - alarms) * (tp + found) / 2.0;
            (found, alarms) = (tp, fp);
        }
        area / (self.positives() * self.negatives())
    }

    /// The mean precision over the thresholds, each weighted with how much recall it adds: the area under the steps of
    /// the [`precision_recall_curve`](Self::precision_recall_curve). 0 where there is no class 1, as in scikit-learn;
    /// NaN where there is nothing.
    pub fn average_precision(&self) -> f64 {
        let (mut area, mut found) = (0.0, 0.0);
        for (&tp, &fp) in self.true_positives.iter().zip(&self.false_positives) {
            area += (tp - found) * tp / (tp + fp);
            found = tp;
        }
        match self.positives() {
            0.0 if self.negatives() > 0.0 => 0.0,
            positives => area / positives,
        }
    }

    /// True positives against false ones, from the threshold that takes nothing for class 1 to the one that takes all.
    pub fn roc_curve(&self) -> RocCurve {
        let from_zero = |counts: &[f64], all: f64| [0.0].iter().chain(counts).map(|count| count / all).collect();
        RocCurve {
            false_positive_rate: from_zero(&self.false_positives, self.negatives()),
            true_positive_rate: from_zero(&self.true_positives, self.positives()),
            thresholds: [f64::INFINITY].iter().chain(&self.scores).copied().collect(),
        }
    }

    /// Precision and recall, from the threshold that takes all for class 1 to the one that takes nothing.
    pub fn precision_recall_curve(&self) -> PrecisionRecallCurve {
        let positives = self.positives();
        let recall = |tp: &f64| if positives == 0.0 { 1.0 } else { tp / positives };
        let counts = self.true_positives.iter().zip(&self.false_positives).rev();
        PrecisionRecallCurve {
            precision: counts.map(|(tp, fp)| tp / (tp + fp)).chain([1.0]).collect(),
            recall: self.true_positives.iter().rev().map(recall).chain([0.0]).collect(),
            thresholds: self.scores.iter().rev().copied().collect(),
        }
    }

    /// Every choice there is, from the threshold that takes nothing for class 1 to the one that takes all. Each is a
    /// score below those that it takes, so that the choice is the same in any number type.
    pub fn points(&self) -> impl Iterator<Item = OperatingPoint> {
        // Below the lowest score, as far as the number type goes.
        let lowest = self.scores.last().map_or(0.0, |lowest| lowest - lowest.abs().max(1.0));
        let thresholds = self.scores.iter().copied().chain([lowest]);
        let counts = self.true_positives.iter().copied().zip(self.false_positives.iter().copied());
        thresholds.zip([(0.0, 0.0)].into_iter().chain(counts)).map(|(threshold, counts)| self.point(threshold, counts))
    }

    fn point(&self, threshold: f64, (true_positives, false_positives): (f64, f64)) -> OperatingPoint {
        OperatingPoint {
            threshold,
            true_positives,
            false_positives,
            false_negatives: self.positives() - true_positives,
            true_negatives: self.negatives() - false_positives,
        }
    }

    /// What this threshold does.
    pub fn at(&self, threshold: f64) -> OperatingPoint {
        let above = self.scores.partition_point(|&score| score > threshold);
        let counts = above.checked_sub(1).map_or((0.0, 0.0), |at| (self.true_positives[at], self.false_positives[at]));
        self.point(threshold, counts)
    }

    /// The threshold at which errors cost least, given what a false alarm and a miss cost; of several the highest.
    /// Choose it on samples that are not those on which it is judged.
    ///
    /// # Errors
    /// Where a cost is not a finite number of at least 0, or there are no samples.
    pub fn cheapest(&self, false_positive: f64, false_negative: f64) -> Result<OperatingPoint> {
        for (name, cost) in [("false_positive", false_positive), ("false_negative", false_negative)] {
            if !(cost.is_finite() && cost >= 0.0) {
                return Err(Error::setting(name, "a finite cost of at least 0", cost));
            }
        }
        if self.scores.is_empty() {
            return Err(Error::Empty("the set of samples".into()));
        }
        let cost = |point: &OperatingPoint| point.cost(false_positive, false_negative);
        self.points()
            .reduce(|best, point| if cost(&point) < cost(&best) { point } else { best })
            .ok_or_else(|| Error::Empty("the set of samples".into()))
    }

    /// The highest threshold that finds at least this share of class 1.
    ///
    /// # Errors
    /// Where the share is not from 0 to 1, or no sample is of class 1.
    pub fn for_recall(&self, recall: f64) -> Result<OperatingPoint> {
        if !(0.0..=1.0).contains(&recall) {
            return Err(Error::setting("recall", "from 0 to 1", recall));
        }
        if self.positives() == 0.0 {
            return Err(Error::Empty("class 1".into()));
        }
        self.points().find(|point| point.recall() >= recall).ok_or_else(|| Error::Empty("class 1".into()))
    }
}
