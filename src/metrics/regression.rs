use super::rows::{Batch, mean};
use super::streaming::{check_same, default_is_new, streaming_metric};
use crate::error::{Error, Result};
use crate::scalar::Scalar;
use crate::tensor::Tensor;

/// What becomes of the errors of many samples.
#[derive(Clone, Copy, Debug)]
enum Fold {
    Mean,
    Largest,
}

impl Fold {
    /// NaN stays NaN.
    fn add(self, sum: &mut f64, error: f64) {
        match self {
            Fold::Mean => *sum += error,
            Fold::Largest if error > *sum || error.is_nan() => *sum = error,
            Fold::Largest => {}
        }
    }
}

/// Weighted sums of errors, or the largest, output by output.
#[derive(Clone, Debug)]
struct Errors {
    fold: Fold,
    weight: f64,
    /// Empty as long as nothing was taken in.
    sums: Vec<f64>,
}

impl Errors {
    fn take<A: Scalar>(&mut self, batch: &Batch<'_, A>, error: impl Fn(f64, f64) -> f64) {
        self.sums.resize(batch.outputs, 0.0);
        for (weight, y, t) in batch.rows() {
            self.weight += weight;
            let factor = if let Fold::Mean = self.fold { weight } else { 1.0 };
            for ((sum, y), t) in self.sums.iter_mut().zip(y).zip(t) {
                self.fold.add(sum, factor * error(y.as_f64(), t.as_f64()));
            }
        }
    }

    fn reset(&mut self) {
        self.weight = 0.0;
        self.sums.clear();
    }

    fn per_output(&self) -> impl ExactSizeIterator<Item = f64> {
        let whole = match self.fold {
            Fold::Largest if self.weight > 0.0 => 1.0,
            _ => self.weight,
        };
        self.sums.iter().map(move |sum| sum / whole)
    }

    fn write(&self, state: &mut Vec<f64>) {
        state.push(self.weight);
        state.extend(&self.sums);
    }

    fn take_state(&mut self, state: &[f64]) -> Result<()> {
        let [weight, sums @ ..] = state else {
            return Err(Error::length("the state to merge", 2 + self.sums.len(), 1 + state.len()));
        };
        check_same("outputs", self.sums.len(), sums.len())?;
        self.weight += weight;
        self.sums.resize(self.sums.len().max(sums.len()), 0.0);
        self.sums.iter_mut().zip(sums).for_each(|(mine, &theirs)| self.fold.add(mine, theirs));
        Ok(())
    }
}

/// The errors differ in what a prediction y costs where t is true, and in what is made of the costs.
macro_rules! error_of_numbers {
    ($(#[$meta:meta])* $metric:ident, $name:literal, $code:literal, $fold:ident, $error:expr, $finish:expr) => {
        $(#[$meta])*
        ///
        /// Prediction and target have the same shape; for a prediction of (batch, ..., 1) the target may leave the
        /// last axis out. The last axis are the outputs, and all count the same. Weights come one for each sample or
        /// one for each step; what has weight 0 is left out.
        #[derive(Clone, Debug)]
        pub struct $metric {
            gathered: Errors,
        }

        impl $metric {
            /// With nothing taken in.
            pub fn new() -> Self {
                $metric { gathered: Errors { fold: Fold::$fold, weight: 0.0, sums: Vec::new() } }
            }

            /// The error over everything taken in, the mean over the outputs; NaN where there was nothing.
            pub fn result(&self) -> f64 {
                mean(self.gathered.per_output().map($finish))
            }

            /// The error of each output (scikit-learn's `multioutput="raw_values"`); empty where there was nothing.
            pub fn per_output(&self) -> Vec<f64> {
                self.gathered.per_output().map($finish).collect()
            }

            fn full_name(&self) -> &str {
                $name
            }

            fn take<A: Scalar>(
                &mut self,
                prediction: &Tensor<A>,
                target: &Tensor<A>,
                weights: Option<&[A]>,
            ) -> Result<()> {
                let batch = Batch::new(self.gathered.sums.len(), prediction, target, weights)?;
                self.gathered.take(&batch, $error);
                Ok(())
            }

            fn take_state(&mut self, state: &[f64]) -> Result<()> {
                self.gathered.take_state(state)
            }
        }
        streaming_metric!($metric, $code);
        default_is_new!($metric);
    };
}

fn squared(y: f64, t: f64) -> f64 {
    (y - t) * (y - t)
}

fn absolute(y: f64, t: f64) -> f64 {
    (y - t).abs()
}

fn relative(y: f64, t: f64) -> f64 {
    (y - t).abs() / t.abs().max(f64::EPSILON)
}

error_of_numbers! {
    /// The mean of (prediction - target)².
    ///
    /// ```
    /// use layerwise::metrics::{MeanSquaredError, Metric};
    /// use layerwise::to_tensor;
    /// use ndarray::array;
    /// let mut error = MeanSquaredError::new();
    /// error.update(&to_tensor::<f32, _, _, _>(&array![[1.0], [4.0]])?, &to_tensor(&array![2.0, 2.0])?, None)?;
    /// assert_eq!(error.result(), 2.5);
    /// # Ok::<(), layerwise::Error>(())
    /// ```
    MeanSquaredError, "mean_squared_error", 6.0, Mean, squared, |mean| mean
}
error_of_numbers! {
    /// The mean of |prediction - target|.
    ///
    /// ```
    /// use layerwise::metrics::{MeanAbsoluteError, Metric};
    /// use layerwise::to_tensor;
    /// use ndarray::array;
    /// let mut error = MeanAbsoluteError::new();
    /// error.update(&to_tensor::<f32, _, _, _>(&array![[1.0], [4.0]])?, &to_tensor(&array![2.0, 2.0])?, None)?;
    /// assert_eq!(error.result(), 1.5);
    /// # Ok::<(), layerwise::Error>(())
    /// ```
    MeanAbsoluteError, "mean_absolute_error", 7.0, Mean, absolute, |mean| mean
}
error_of_numbers! {
    /// The square root of the mean of (prediction - target)², in the units of the target. Of several outputs it is the
    /// mean of their roots, as in scikit-learn.
    ///
    /// ```
    /// use layerwise::metrics::{Metric, RootMeanSquaredError};
    /// use layerwise::to_tensor;
    /// use ndarray::array;
    /// let mut error = RootMeanSquaredError::new();
    /// error.update(&to_tensor::<f32, _, _, _>(&array![[1.0], [9.0]])?, &to_tensor(&array![2.0, 2.0])?, None)?;
    /// assert_eq!(error.result(), 5.0);
    /// # Ok::<(), layerwise::Error>(())
    /// ```
    RootMeanSquaredError, "root_mean_squared_error", 20.0, Mean, squared, f64::sqrt
}
error_of_numbers! {
    /// The mean of |prediction - target| / |target|, as a share: Keras's is 100 times that.
    ///
    /// A target nearer to 0 than 2.2e-16 counts as that (scikit-learn's bound), so that a single target of 0 makes it
    /// huge.
    ///
    /// ```
    /// use layerwise::metrics::{MeanAbsolutePercentageError, Metric};
    /// use layerwise::to_tensor;
    /// use ndarray::array;
    /// let mut error = MeanAbsolutePercentageError::new();
    /// error.update(&to_tensor::<f32, _, _, _>(&array![[1.0], [3.0]])?, &to_tensor(&array![2.0, 2.0])?, None)?;
    /// assert_eq!(error.result(), 0.5);
    /// # Ok::<(), layerwise::Error>(())
    /// ```
    MeanAbsolutePercentageError, "mean_absolute_percentage_error", 21.0, Mean, relative, |mean| mean
}
error_of_numbers! {
    /// The largest |prediction - target|, whatever the weights of the samples that have any.
    ///
    /// ```
    /// use layerwise::metrics::{MaxError, Metric};
    /// use layerwise::to_tensor;
    /// use ndarray::array;
    /// let mut error = MaxError::new();
    /// error.update(&to_tensor::<f32, _, _, _>(&array![[1.0], [5.0]])?, &to_tensor(&array![2.0, 2.0])?, None)?;
    /// assert_eq!(error.result(), 3.0);
    /// # Ok::<(), layerwise::Error>(())
    /// ```
    MaxError, "max_error", 23.0, Largest, absolute, |largest| largest
}
