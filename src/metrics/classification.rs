use super::Average;
use super::streaming::{class_metric, default_is_new, threshold_setting};
use super::tally::{Detail, Rule, Score, Tally};
use crate::error::{Error, Result};

/// The scores of classes differ in their formula alone.
macro_rules! class_score {
    ($(#[$meta:meta])* $metric:ident($($beta:ident)?), $name:literal, $code:literal, $score:expr) => {
        $(#[$meta])*
        ///
        /// Predictions, targets and weights are those of [`Accuracy`](super::Accuracy). 0 / 0 counts as 0
        /// (scikit-learn's `zero_division=0`). Unless [`average`](Self::average) says otherwise, two classes have the
        /// score of class 1 ([`Average::Binary`]) and three or more have the mean over the classes
        /// ([`Average::Macro`]).
        #[derive(Clone, Debug)]
        pub struct $metric {
            gathered: Tally,
            score: Score,
            average: Option<Average>,
            every_class: bool,
        }

        impl $metric {
            /// With nothing taken in and a threshold of 0.5.
            pub fn new($($beta: f64)?) -> Self {
                let gathered = Tally::new(Detail::Class, Rule::Largest);
                $metric { gathered, score: $score, average: None, every_class: false }
            }

            /// How the scores of the classes become one number; the name says so then, for example
            #[doc = concat!("`", $name, "_macro`.")]
            #[must_use]
            pub fn average(mut self, average: Average) -> Self {
                self.average = Some(average);
                self
            }

            /// Lets [`Average::Macro`] count every class of the output. By default it leaves out those that were
            /// neither true nor predicted with any weight, as scikit-learn does unless it is given `labels`.
            #[must_use]
            pub fn every_class(mut self) -> Self {
                self.every_class = true;
                self
            }

            /// The score over everything taken in; NaN where there was nothing.
            pub fn result(&self) -> f64 {
                let usual = if self.gathered.classes() == 2 { Average::Binary } else { Average::Macro };
                self.gathered.average(self.score, self.average.unwrap_or(usual), self.every_class)
            }

            /// The score of each class of the output (scikit-learn's `average=None`); empty where there was nothing.
            pub fn per_class(&self) -> Vec<f64> {
                self.gathered.per_class(self.score)
            }
        }
        class_metric!(
            $metric,
            $code,
            |this| match this.average {
                None => $name,
                Some(Average::Binary) => concat!($name, "_binary"),
                Some(Average::Micro) => concat!($name, "_micro"),
                Some(Average::Macro) => concat!($name, "_macro"),
                Some(Average::Weighted) => concat!($name, "_weighted"),
            },
            |this, classes| check_score(this.score).and_then(|()| Average::check(this.average, classes))
        );
    };
}

fn check_score(score: Score) -> Result<()> {
    match score {
        Score::FBeta(beta) if !(beta.is_finite() && beta >= 0.0) => {
            Err(Error::setting("beta", "a finite number of at least 0", beta))
        }
        _ => Ok(()),
    }
}

class_score! {
    /// Of the samples predicted to be of a class, the share that is: TP / (TP + FP).
    ///
    /// ```
    /// use layerwise::metrics::{Metric, Precision};
    /// use layerwise::to_tensor;
    /// use ndarray::array;
    /// let mut precision = Precision::new();
    /// let probabilities = to_tensor::<f32, _, _, _>(&array![0.9, 0.8, 0.7, 0.1])?;
    /// precision.update(&probabilities, &to_tensor(&array![1, 0, 0, 1])?, None)?;
    /// assert_eq!(precision.result(), 1.0 / 3.0);
    /// # Ok::<(), layerwise::Error>(())
    /// ```
    Precision(), "precision", 2.0, Score::Precision
}
class_score! {
    /// Of the samples that are of a class, the share that was predicted to be: TP / (TP + FN).
    ///
    /// ```
    /// use layerwise::metrics::{Metric, Recall};
    /// use layerwise::to_tensor;
    /// use ndarray::array;
    /// let mut recall = Recall::new();
    /// let probabilities = to_tensor::<f32, _, _, _>(&array![0.9, 0.8, 0.7, 0.1])?;
    /// recall.update(&probabilities, &to_tensor(&array![1, 0, 0, 1])?, None)?;
    /// assert_eq!(recall.result(), 0.5);
    /// # Ok::<(), layerwise::Error>(())
    /// ```
    Recall(), "recall", 3.0, Score::Recall
}
class_score! {
    /// The harmonic mean of precision and recall: 2 TP / (2 TP + FP + FN).
    ///
    /// ```
    /// use layerwise::metrics::{Average, F1, Metric};
    /// use layerwise::to_tensor;
    /// use ndarray::array;
    /// let mut f1 = F1::new().average(Average::Weighted);
    /// let probabilities = to_tensor::<f32, _, _, _>(&array![0.9, 0.8, 0.7, 0.1])?;
    /// f1.update(&probabilities, &to_tensor(&array![1, 0, 0, 1])?, None)?;
    /// assert_eq!(f1.per_class(), [0.0, 0.4]);
    /// assert_eq!(f1.result(), 0.2);
    /// # Ok::<(), layerwise::Error>(())
    /// ```
    F1(), "f1", 4.0, Score::FBeta(1.0)
}
class_score! {
    /// The harmonic mean of precision and recall in which recall counts β times as much (van Rijsbergen 1979):
    /// (1 + β²) TP / ((1 + β²) TP + FP + β² FN).
    ///
    /// With β = 0 it is the precision, with 1 [`F1`]; 2 is usual where a miss is worse than a false alarm.
    ///
    /// ```
    /// use layerwise::metrics::{FBeta, Metric};
    /// use layerwise::to_tensor;
    /// use ndarray::array;
    /// let mut f2 = FBeta::new(2.0);
    /// let probabilities = to_tensor::<f32, _, _, _>(&array![0.9, 0.8, 0.7, 0.1])?;
    /// f2.update(&probabilities, &to_tensor(&array![1, 0, 0, 1])?, None)?;
    /// assert_eq!(f2.result(), 5.0 / 11.0);
    /// # Ok::<(), layerwise::Error>(())
    /// ```
    FBeta(beta), "fbeta", 11.0, Score::FBeta(beta)
}
default_is_new!(Precision, Recall, F1);
threshold_setting!(Precision, Recall, F1, FBeta);
