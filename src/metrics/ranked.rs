//! Scores of the order in which samples are put, whatever the threshold.

use super::ranking::{Ranking, weighted_mean};
use super::streaming::class_metric;
use super::{Average, Thresholds};
use crate::error::{Error, Result};

/// What these metrics have besides their settings and their formula for two classes.
macro_rules! ranked_metric {
    ($metric:ident, $score:expr) => {
        impl $metric {
            /// With nothing taken in.
            pub fn new() -> Self {
                Self::default()
            }

            /// How the scores of three or more classes become one number: [`Average::Macro`] by default. Two have the
            /// score of class 1.
            #[must_use]
            pub fn average(mut self, average: Average) -> Self {
                self.average = Some(average);
                self
            }

            /// Counts scores in so many bins of equal width instead of keeping them, for data without end: scores in
            /// one bin are ties, and must be probabilities. Keras's `AUC(num_thresholds=n)` has n - 1, which is 199
            /// by default.
            #[must_use]
            pub fn bins(mut self, bins: usize) -> Self {
                self.gathered.bins = Some(bins);
                self
            }

            /// The score of each class against the rest; two classes have one, that of class 1. Empty where there was
            /// nothing.
            pub fn per_class(&self) -> Vec<f64> {
                self.gathered.per_class($score)
            }

            /// What each threshold on the score of a class would do, against all other classes: curves, and the choice
            /// of a threshold.
            ///
            /// # Errors
            /// Where nothing was taken in, or there is no such class; of two classes, class 1 is meant.
            pub fn thresholds(&self, class: usize) -> Result<Thresholds> {
                self.gathered.thresholds(class)
            }
        }
    };
}

/// The area under the receiver operating characteristic: how likely a sample of a class has a higher score for it than
/// one of another class, ties counted as half.
///
/// Predictions, targets and weights are those of [`Accuracy`](super::Accuracy); scores may be anything that puts
/// samples in an order. Of three or more classes each is held against the rest, or
/// [against each other](Self::one_vs_one). Where a class has no sample, or all of them, its area is undefined: NaN, and
/// so is the mean in which it counts, as in scikit-learn.
///
/// It keeps every score, 8 bytes each, with label and weight: an exact area needs them in order.
/// [`bins`](Self::bins) bounds that. [`result`](Self::result) sorts them.
///
/// ```
/// use layerwise::metrics::{Metric, RocAuc};
/// use layerwise::to_tensor;
/// use ndarray::array;
/// let mut area = RocAuc::new();
/// area.update(&to_tensor::<f32, _, _, _>(&array![0.1, 0.4, 0.35, 0.8])?, &to_tensor(&array![0, 0, 1, 1])?, None)?;
/// assert_eq!(area.result(), 0.75);
/// let curve = area.thresholds(1)?.roc_curve();
/// assert_eq!(curve.true_positive_rate.to_vec(), [0.0, 0.5, 0.5, 1.0, 1.0]);
/// # Ok::<(), layerwise::Error>(())
/// ```
#[doc(alias = "AUC")]
#[derive(Clone, Debug, Default)]
pub struct RocAuc {
    gathered: Ranking,
    average: Option<Average>,
    one_vs_one: bool,
}
ranked_metric!(RocAuc, Thresholds::roc_auc);

impl RocAuc {
    /// Holds each of three or more classes against each other (Hand and Till 2001): the mean over the pairs of classes
    /// that are there, [`Average::Weighted`] with how many samples a pair has.
    #[must_use]
    pub fn one_vs_one(mut self) -> Self {
        self.one_vs_one = true;
        self
    }

    /// The area over everything taken in; NaN where there was nothing.
    pub fn result(&self) -> f64 {
        let average = self.average.unwrap_or(Average::Macro);
        if self.one_vs_one && self.gathered.classes() > 2 {
            return self.over_pairs(average);
        }
        self.gathered.average(average, Thresholds::roc_auc)
    }

    fn over_pairs(&self, average: Average) -> f64 {
        let classes = 0..self.gathered.classes();
        let pairs = classes.flat_map(|one| (0..one).map(move |other| (one, other)));
        weighted_mean(pairs.filter_map(|(one, other)| {
            let (first, second) = (self.gathered.against_one(one, other), self.gathered.against_one(other, one));
            let there = first.positives() > 0.0 && second.positives() > 0.0;
            let weight = if average == Average::Weighted { first.positives() + second.positives() } else { 1.0 };
            there.then(|| (weight, (first.roc_auc() + second.roc_auc()) / 2.0))
        }))
    }

    fn check(&self, classes: usize) -> Result<()> {
        let refused =
            |got: &str| Err(Error::setting("what goes with one_vs_one", "Macro or Weighted, and no bins", got));
        match (self.average, self.gathered.bins) {
            (Some(Average::Micro), _) if self.one_vs_one => refused("Micro"),
            (_, Some(_)) if self.one_vs_one => refused("bins"),
            _ => Average::check(self.average, classes),
        }
    }
}
class_metric!(RocAuc, 18.0, |this| if this.one_vs_one { "roc_auc_one_vs_one" } else { "roc_auc" }, RocAuc::check);

/// The mean of the precision over the thresholds, each weighted with how much recall it adds:
///
/// AP = sum (R(n) - R(n - 1)) P(n),
///
/// the area under the curve of precision against recall, drawn in steps. It says more than [`RocAuc`] where a class is
/// rare.
///
/// Predictions, targets and weights are those of [`RocAuc`]. A class that has no sample has 0, as in scikit-learn. It
/// keeps every score, 8 bytes each, with label and weight; [`bins`](Self::bins) bounds that.
///
/// ```
/// use layerwise::metrics::{AveragePrecision, Metric};
/// use layerwise::to_tensor;
/// use ndarray::array;
/// let mut precision = AveragePrecision::new();
/// precision.update(&to_tensor::<f32, _, _, _>(&array![0.9, 0.6, 0.3])?, &to_tensor(&array![1, 0, 1])?, None)?;
/// assert_eq!(precision.result(), 0.5 * 1.0 + 0.5 * (2.0 / 3.0));
/// # Ok::<(), layerwise::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct AveragePrecision {
    gathered: Ranking,
    average: Option<Average>,
}
ranked_metric!(AveragePrecision, Thresholds::average_precision);

impl AveragePrecision {
    /// The average precision over everything taken in; NaN where there was nothing.
    pub fn result(&self) -> f64 {
        self.gathered.average(self.average.unwrap_or(Average::Macro), Thresholds::average_precision)
    }
}
class_metric!(AveragePrecision, 19.0, |_| "average_precision", |this, classes| Average::check(this.average, classes));
