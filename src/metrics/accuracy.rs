use super::streaming::{class_metric, default_is_new, threshold_setting};
use super::tally::{Detail, Rule, Tally};

/// The accuracies differ in which class they take for predicted.
macro_rules! accuracy {
    ($(#[$meta:meta])* $metric:ident($($k:ident)?), $name:literal, $code:literal, $rule:expr) => {
        $(#[$meta])*
        #[derive(Clone, Debug)]
        pub struct $metric {
            gathered: Tally,
        }

        impl $metric {
            /// With nothing taken in.
            pub fn new($($k: usize)?) -> Self {
                $metric { gathered: Tally::new(Detail::Class, $rule) }
            }

            /// The accuracy over everything taken in; NaN where there was nothing.
            pub fn result(&self) -> f64 {
                self.gathered.accuracy()
            }
        }
        class_metric!($metric, $code, |_| $name);
    };
}

accuracy! {
    /// The share of samples, or of steps of samples, whose class was predicted rightly.
    ///
    /// The prediction is one of
    ///
    /// - (batch, ..., classes): the class is where the row is largest, the first of several. The target holds class
    ///   labels in the shape without the last axis, or with 1 for it (Keras's `SparseCategoricalAccuracy`); or a row
    ///   for each sample (one-hot, or soft), whose class is the one above all others (`CategoricalAccuracy`);
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
    #[doc(alias = "CategoricalAccuracy")]
    #[doc(alias = "SparseCategoricalAccuracy")]
    Accuracy(), "accuracy", 1.0, Rule::Largest
}
accuracy! {
    /// The share of outputs that are on the right side of the [`threshold`](Self::threshold), where every output is a
    /// question of its own: several labels for one sample, or one yes or no.
    ///
    /// Prediction and target have the same shape; for a prediction of (batch, ..., 1) the target may leave the last
    /// axis out. The target holds 0 and 1. Weights come one for each sample or one for each output.
    ///
    /// ```
    /// use layerwise::metrics::{BinaryAccuracy, Metric};
    /// use layerwise::to_tensor;
    /// use ndarray::array;
    /// let mut accuracy = BinaryAccuracy::new();
    /// let probabilities = to_tensor::<f32, _, _, _>(&array![[0.9, 0.8, 0.1], [0.2, 0.8, 0.7]])?;
    /// accuracy.update(&probabilities, &to_tensor(&array![[1, 1, 0], [0, 1, 0]])?, None)?;
    /// assert_eq!(accuracy.result(), 5.0 / 6.0);
    /// # Ok::<(), layerwise::Error>(())
    /// ```
    BinaryAccuracy(), "binary_accuracy", 9.0, Rule::Questions
}
accuracy! {
    /// The share of samples, or of steps of samples, whose true class is among the k with the largest scores.
    ///
    /// Predictions, targets and weights are those of [`Accuracy`], which is the same with k = 1; k is at most the
    /// number of scores. Of equal scores the first counts as larger (scikit-learn's `top_k_accuracy_score` takes the
    /// last, Keras all of them).
    ///
    /// ```
    /// use layerwise::metrics::{Metric, TopKAccuracy};
    /// use layerwise::to_tensor;
    /// use ndarray::array;
    /// let mut accuracy = TopKAccuracy::new(2);
    /// let probabilities = to_tensor::<f32, _, _, _>(&array![[0.6, 0.3, 0.1], [0.2, 0.5, 0.3]])?;
    /// accuracy.update(&probabilities, &to_tensor(&array![1, 0])?, None)?;
    /// assert_eq!(accuracy.result(), 0.5);
    /// # Ok::<(), layerwise::Error>(())
    /// ```
    #[doc(alias = "TopKCategoricalAccuracy")]
    #[doc(alias = "SparseTopKCategoricalAccuracy")]
    TopKAccuracy(k), "top_k_accuracy", 10.0, Rule::Top(k)
}
default_is_new!(Accuracy, BinaryAccuracy);
threshold_setting!(Accuracy, BinaryAccuracy);
