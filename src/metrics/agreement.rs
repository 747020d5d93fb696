//! Scores of the whole table of true and predicted classes.

use super::streaming::{class_metric, default_is_new, threshold_setting};
use super::tally::{Detail, Rule, Tally};

/// The mean of the classes' recalls: the accuracy, if all classes were equally frequent.
///
/// Predictions, targets and weights are those of [`Accuracy`](super::Accuracy). Classes that are never true do not
/// count, as in scikit-learn.
///
/// ```
/// use layerwise::metrics::{BalancedAccuracy, Metric};
/// use layerwise::to_tensor;
/// use ndarray::array;
/// let mut balanced = BalancedAccuracy::new();
/// let probabilities = to_tensor::<f32, _, _, _>(&array![0.1, 0.2, 0.3, 0.4])?;
/// balanced.update(&probabilities, &to_tensor(&array![0, 0, 0, 1])?, None)?;
/// assert_eq!(balanced.result(), 0.5);
/// # Ok::<(), layerwise::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct BalancedAccuracy {
    gathered: Tally,
    adjusted: bool,
}

impl BalancedAccuracy {
    /// With nothing taken in and a threshold of 0.5.
    pub fn new() -> Self {
        BalancedAccuracy { gathered: Tally::new(Detail::Class, Rule::Largest), adjusted: false }
    }

    /// Counts from chance: (score - 1 / classes) / (1 - 1 / classes), so that guessing has 0 and being right 1. No
    /// finite number where there is one class alone.
    #[must_use]
    pub fn adjusted(mut self) -> Self {
        self.adjusted = true;
        self
    }

    /// The balanced accuracy over everything taken in; NaN where there was nothing.
    pub fn result(&self) -> f64 {
        let tally = &self.gathered;
        let present = tally.sum(|tally, class| f64::from(u8::from(tally.support(class) > 0.0)));
        let recalls = tally.sum(|tally, class| match tally.support(class) {
            0.0 => 0.0,
            support => tally.correct(class) / support,
        });
        let score = recalls / present;
        if self.adjusted { (score - 1.0 / present) / (1.0 - 1.0 / present) } else { score }
    }
}
class_metric!(BalancedAccuracy, 12.0, |this| match this.adjusted {
    true => "balanced_accuracy_adjusted",
    false => "balanced_accuracy",
});

/// The correlation of true and predicted classes, from -1 to 1 (Matthews 1975; Gorodkin 2004 for many classes):
///
/// (c s - sum p t) / sqrt((s² - sum p²) (s² - sum t²))
///
/// with c rightly predicted of s, and p predicted and t true of each class. Predictions, targets and weights are those
/// of [`Accuracy`](super::Accuracy). Where only one class is true or only one predicted it is 0, as in scikit-learn.
///
/// ```
/// use layerwise::metrics::{MatthewsCorrelation, Metric};
/// use layerwise::to_tensor;
/// use ndarray::array;
/// let mut correlation = MatthewsCorrelation::new();
/// let probabilities = to_tensor::<f32, _, _, _>(&array![0.9, 0.8, 0.3, 0.7])?;
/// correlation.update(&probabilities, &to_tensor(&array![1, 1, 0, 0])?, None)?;
/// assert_eq!(correlation.result(), 4.0 / 48_f64.sqrt());
/// # Ok::<(), layerwise::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct MatthewsCorrelation {
    gathered: Tally,
}

impl MatthewsCorrelation {
    /// With nothing taken in and a threshold of 0.5.
    pub fn new() -> Self {
        MatthewsCorrelation { gathered: Tally::new(Detail::Class, Rule::Largest) }
    }

    /// The correlation over everything taken in; NaN where there was nothing.
    pub fn result(&self) -> f64 {
        let tally = &self.gathered;
        let all = tally.total();
        if all == 0.0 {
            return f64::NAN;
        }
        // s² - sum t² as sum t (s - t): exactly 0 where all are of one class.
        let spread = |count: fn(&Tally, usize) -> f64| {
            tally.sum(|tally, class| count(tally, class) * (all - count(tally, class)))
        };
        let spreads = spread(Tally::predicted) * spread(Tally::support);
        let covariance =
            tally.sum(|tally, class| tally.correct(class) * all - tally.predicted(class) * tally.support(class));
        if spreads == 0.0 { 0.0 } else { covariance / spreads.sqrt() }
    }
}
class_metric!(MatthewsCorrelation, 13.0, |_| "matthews_correlation");

/// How much it matters by how much classes were confused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Disagreement {
    /// Wrong is wrong: classes without an order.
    #[default]
    Equal,
    /// By the difference of the classes' numbers.
    Linear,
    /// By its square.
    Quadratic,
}

impl Disagreement {
    fn of(self, truth: usize, predicted: usize) -> f64 {
        let difference = truth.abs_diff(predicted) as f64;
        match self {
            Disagreement::Equal => f64::from(u8::from(truth != predicted)),
            Disagreement::Linear => difference,
            Disagreement::Quadratic => difference * difference,
        }
    }
}

/// How far true and predicted classes agree beyond chance (Cohen 1960; weighted, 1968):
///
/// 1 - sum d n / sum d e
///
/// over the pairs of a true and a predicted class, with the disagreement d, the number n and the number e = t p / s
/// that chance would give. 1 is agreement, 0 is chance. Predictions, targets and weights are those of
/// [`Accuracy`](super::Accuracy). Where all samples are of one class and predicted so, it is undefined: NaN, as in
/// scikit-learn.
///
/// ```
/// use layerwise::metrics::{CohenKappa, Metric};
/// use layerwise::to_tensor;
/// use ndarray::array;
/// let mut kappa = CohenKappa::new();
/// let probabilities = to_tensor::<f32, _, _, _>(&array![0.9, 0.8, 0.3, 0.7])?;
/// kappa.update(&probabilities, &to_tensor(&array![1, 1, 0, 0])?, None)?;
/// assert_eq!(kappa.result(), 0.5);
/// # Ok::<(), layerwise::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct CohenKappa {
    gathered: Tally,
    disagreement: Disagreement,
}

impl CohenKappa {
    /// With nothing taken in, all disagreements equal, and a threshold of 0.5.
    pub fn new() -> Self {
        CohenKappa { gathered: Tally::new(Detail::Class, Rule::Largest), disagreement: Disagreement::Equal }
    }

    /// For classes that have an order: what a larger difference costs (scikit-learn's `weights`). Classes² numbers are
    /// kept then.
    #[must_use]
    pub fn disagreement(mut self, disagreement: Disagreement) -> Self {
        self.disagreement = disagreement;
        self.gathered.detail = if disagreement == Disagreement::Equal { Detail::Class } else { Detail::Pair };
        self
    }

    /// The kappa over everything taken in; NaN where there was nothing.
    pub fn result(&self) -> f64 {
        let tally = &self.gathered;
        let all = tally.total();
        let (observed, expected) = match self.disagreement {
            Disagreement::Equal => (
                all - tally.sum(Tally::correct),
                tally.sum(|tally, class| tally.support(class) * (all - tally.predicted(class))),
            ),
            ordered => {
                let predicted: Vec<f64> = (0..tally.classes()).map(|class| tally.predicted(class)).collect();
                let over_pairs = |count: &dyn Fn(usize, usize) -> f64| {
                    tally.sum(|_, truth| {
                        (0..predicted.len()).map(|other| ordered.of(truth, other) * count(truth, other)).sum()
                    })
                };
                let support: Vec<f64> = (0..tally.classes()).map(|class| tally.support(class)).collect();
                (
                    over_pairs(&|truth, other| tally.pair(truth, other)),
                    over_pairs(&|truth, other| support[truth] * predicted[other]),
                )
            }
        };
        1.0 - observed / (expected / all)
    }
}
class_metric!(CohenKappa, 14.0, |this| match this.disagreement {
    Disagreement::Equal => "cohen_kappa",
    Disagreement::Linear => "cohen_kappa_linear",
    Disagreement::Quadratic => "cohen_kappa_quadratic",
});
default_is_new!(BalancedAccuracy, MatthewsCorrelation, CohenKappa);
threshold_setting!(BalancedAccuracy, MatthewsCorrelation, CohenKappa);
