use super::streaming::streaming_metric;
use super::tally::{Detail, Score, Tally};
use crate::error::{Error, Result};
use crate::scalar::Scalar;
use crate::tensor::Tensor;

/// How the scores of the classes become one number. The names and meanings are scikit-learn's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Average {
    /// The score of class 1, where there are two.
    Binary,
    /// The score of all decisions together. With one class for each sample it is the accuracy, whatever the score.
    Micro,
    /// The plain mean over the classes: rare ones count as much as frequent ones.
    Macro,
    /// The mean over the classes, each weighted with how often it is true.
    Weighted,
}

/// The share of samples, or of steps of samples, whose class was predicted rightly.
///
/// The prediction is one of
///
/// - (batch, ..., classes): the class is where the row is largest, the first of several. The target holds class labels
///   in the shape without the last axis, or with 1 for it; or a row for each sample (one-hot, or soft), whose class is
///   the one above all others;
/// - (batch,) or (batch, ..., 1): class 1 above the [`threshold`](Self::threshold), class 0 elsewhere. The target
///   holds 0 and 1.
///
/// Weights come one for each sample or one for each step. A NaN in a prediction is an error: it has no class.
///
/// ```
/// use layerwise::metrics::{Accuracy, Metric};
/// use layerwise::to_tensor;
/// use ndarray::array;
/// let mut accuracy = Accuracy::new();
/// let probabilities = to_tensor::<f32, _, _, _>(&array![[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])?;
/// accuracy.update(&probabilities, &to_tensor(&array![0, 1, 1])?, None)?;
/// assert_eq!(accuracy.result(), 2.0 / 3.0);
/// # Ok::<(), layerwise::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Accuracy {
    gathered: Tally,
}

impl Default for Accuracy {
    fn default() -> Self {
        Self::new()
    }
}

impl Accuracy {
    /// With nothing taken in and a threshold of 0.5.
    pub fn new() -> Self {
        Accuracy { gathered: Tally::new(Detail::Class) }
    }

    /// Above which a single output means class 1: 0.5 for probabilities (the default, as in Keras), 0 for logits.
    #[must_use]
    pub fn threshold(mut self, threshold: f64) -> Self {
        self.gathered.threshold = threshold;
        self
    }

    /// The accuracy over everything taken in; NaN where there was nothing.
    pub fn result(&self) -> f64 {
        self.gathered.accuracy()
    }

    fn full_name(&self) -> &str {
        "accuracy"
    }

    fn take<A: Scalar>(&mut self, prediction: &Tensor<A>, target: &Tensor<A>, weights: Option<&[A]>) -> Result<()> {
        self.gathered.take(prediction, target, weights, |_| Ok(()))
    }

    fn take_state(&mut self, state: &[f64]) -> Result<()> {
        self.gathered.take_state(state, |_| Ok(()))
    }
}
streaming_metric!(Accuracy, 1.0);

/// The scores of classes differ in their formula alone.
macro_rules! class_score {
    ($(#[$meta:meta])* $metric:ident, $name:literal, $code:literal) => {
        $(#[$meta])*
        ///
        /// Predictions, targets and weights are those of [`Accuracy`]. 0 / 0 counts as 0 (scikit-learn's
        /// `zero_division=0`). Unless [`average`](Self::average) says otherwise, two classes have the score of class 1
        /// ([`Average::Binary`]) and three or more have the mean over the classes ([`Average::Macro`]).
        #[derive(Clone, Debug)]
        pub struct $metric {
            gathered: Tally,
            average: Option<Average>,
            every_class: bool,
        }

        impl Default for $metric {
            fn default() -> Self {
                Self::new()
            }
        }

        impl $metric {
            /// With nothing taken in and a threshold of 0.5.
            pub fn new() -> Self {
                $metric { gathered: Tally::new(Detail::Class), average: None, every_class: false }
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

            /// Above which a single output means class 1: 0.5 for probabilities (the default), 0 for logits.
            #[must_use]
            pub fn threshold(mut self, threshold: f64) -> Self {
                self.gathered.threshold = threshold;
                self
            }

            /// The score over everything taken in; NaN where there was nothing.
            pub fn result(&self) -> f64 {
                let usual = if self.gathered.classes == 2 { Average::Binary } else { Average::Macro };
                self.gathered.average(Score::$metric, self.average.unwrap_or(usual), self.every_class)
            }

            /// The score of each class of the output (scikit-learn's `average=None`); empty where there was nothing.
            pub fn per_class(&self) -> Vec<f64> {
                self.gathered.per_class(Score::$metric)
            }

            fn full_name(&self) -> &str {
                match self.average {
                    None => $name,
                    Some(Average::Binary) => concat!($name, "_binary"),
                    Some(Average::Micro) => concat!($name, "_micro"),
                    Some(Average::Macro) => concat!($name, "_macro"),
                    Some(Average::Weighted) => concat!($name, "_weighted"),
                }
            }

            fn take<A: Scalar>(
                &mut self,
                prediction: &Tensor<A>,
                target: &Tensor<A>,
                weights: Option<&[A]>,
            ) -> Result<()> {
                self.gathered.take(prediction, target, weights, |classes| check_average(self.average, classes))
            }

            fn take_state(&mut self, state: &[f64]) -> Result<()> {
                self.gathered.take_state(state, |classes| check_average(self.average, classes))
            }
        }
        streaming_metric!($metric, $code);
    };
}

fn check_average(average: Option<Average>, classes: usize) -> Result<()> {
    if average == Some(Average::Binary) && classes > 2 {
        return Err(Error::setting("average", format!("Micro, Macro or Weighted for {classes} classes"), "Binary"));
    }
    Ok(())
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
    Precision, "precision", 2.0
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
    Recall, "recall", 3.0
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
    F1, "f1", 4.0
}
