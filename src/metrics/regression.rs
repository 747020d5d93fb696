use super::streaming::{check_same, streaming_metric};
use crate::error::{Error, Result};
use crate::losses::Rows;
use crate::scalar::Scalar;
use crate::tensor::{Tensor, values};

/// A batch about which everything was checked.
struct Batch<'a, A> {
    prediction: &'a [A],
    target: &'a [A],
    weights: Option<&'a [A]>,
    /// How many rows share one weight.
    share: usize,
    outputs: usize,
}

impl<'a, A: Scalar> Batch<'a, A> {
    /// `known` is the number of outputs of the batches before, 0 if there were none.
    fn new(known: usize, prediction: &'a Tensor<A>, target: &'a Tensor<A>, weights: Option<&'a [A]>) -> Result<Self> {
        let rows = Rows::of(prediction.shape(), target.shape())?;
        if rows.features == 0 || (known != 0 && known != rows.features) {
            let before = if known == 0 { String::new() } else { format!(", {known} as in the batches before") };
            return Err(Error::shape("prediction", format!("outputs on the last axis{before}"), prediction.shape()));
        }
        let share = weights.map_or(Ok(1), |weights| rows.per_weight(weights))?;
        let (prediction, target) = (values(prediction)?, values(target)?);
        Ok(Batch { prediction, target, weights, share, outputs: rows.features })
    }

    /// Weight, prediction and target of each row. Rows of weight 0 are left out.
    fn rows(&self) -> impl Iterator<Item = (f64, &'a [A], &'a [A])> {
        let (weights, share) = (self.weights, self.share);
        let rows = self.prediction.chunks_exact(self.outputs).zip(self.target.chunks_exact(self.outputs));
        rows.enumerate()
            .map(move |(row, (y, t))| (weights.map_or(1.0, |weights| weights[row / share].as_f64()), y, t))
            .filter(|&(weight, _, _)| weight > 0.0)
    }
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let number = values.len() as f64;
    values.sum::<f64>() / number
}

/// Weighted sums of errors, output by output.
#[derive(Clone, Debug, Default)]
struct Sums {
    weight: f64,
    /// Empty as long as nothing was taken in.
    errors: Vec<f64>,
}

impl Sums {
    fn take<A: Scalar>(&mut self, batch: &Batch<'_, A>, error: impl Fn(f64) -> f64) {
        self.errors.resize(batch.outputs, 0.0);
        for (weight, y, t) in batch.rows() {
            self.weight += weight;
            for ((sum, y), t) in self.errors.iter_mut().zip(y).zip(t) {
                *sum += weight * error(y.as_f64() - t.as_f64());
            }
        }
    }

    fn reset(&mut self) {
        self.weight = 0.0;
        self.errors.clear();
    }

    fn per_output(&self) -> impl ExactSizeIterator<Item = f64> {
        self.errors.iter().map(|error| error / self.weight)
    }

    fn write(&self, state: &mut Vec<f64>) {
        state.push(self.weight);
        state.extend(&self.errors);
    }

    fn take_state(&mut self, state: &[f64]) -> Result<()> {
        let [weight, errors @ ..] = state else {
            return Err(Error::length("the state to merge", 2 + self.errors.len(), 1 + state.len()));
        };
        check_same("outputs", self.errors.len(), errors.len())?;
        self.weight += weight;
        self.errors.resize(self.errors.len().max(errors.len()), 0.0);
        self.errors.iter_mut().zip(errors).for_each(|(mine, theirs)| *mine += theirs);
        Ok(())
    }
}

/// The mean errors differ in what an error of d costs.
macro_rules! mean_error {
    ($(#[$meta:meta])* $metric:ident, $name:literal, $code:literal, $error:expr) => {
        $(#[$meta])*
        ///
        /// Prediction and target have the same shape; for a prediction of (batch, ..., 1) the target may leave the
        /// last axis out. The last axis are the outputs, and all count the same. Weights come one for each sample or
        /// one for each step; what has weight 0 is left out.
        #[derive(Clone, Debug, Default)]
        pub struct $metric {
            gathered: Sums,
        }

        impl $metric {
            /// With nothing taken in.
            pub fn new() -> Self {
                Self::default()
            }

            /// The mean over everything taken in; NaN where there was nothing.
            pub fn result(&self) -> f64 {
                mean(self.gathered.per_output())
            }

            /// The mean for each output (scikit-learn's `multioutput="raw_values"`); empty where there was nothing.
            pub fn per_output(&self) -> Vec<f64> {
                self.gathered.per_output().collect()
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
                let batch = Batch::new(self.gathered.errors.len(), prediction, target, weights)?;
                self.gathered.take(&batch, $error);
                Ok(())
            }

            fn take_state(&mut self, state: &[f64]) -> Result<()> {
                self.gathered.take_state(state)
            }
        }
        streaming_metric!($metric, $code);
    };
}

mean_error! {
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
    MeanSquaredError, "mean_squared_error", 6.0, |difference| difference * difference
}
mean_error! {
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
    MeanAbsoluteError, "mean_absolute_error", 7.0, f64::abs
}

/// The coefficient of determination: the share of the target's variance that the prediction explains,
///
/// R² = 1 - sum w (t - y)² / sum w (t - mean(t))².
///
/// 1 is a perfect prediction, 0 is as good as the mean of the targets, and there is no lower end. Shapes and weights
/// are those of [`MeanSquaredError`]; of several outputs it is the plain mean (scikit-learn's `uniform_average`). A
/// constant target has 1 where it is met exactly and 0 elsewhere (`force_finite`), and of fewer than two samples there
/// is no variance: NaN.
///
/// The deviations are gathered around a running mean (Welford 1962) and merged with the difference of the means (Chan,
/// Golub and LeVeque 1983), so that targets far from 0 lose no digits.
///
/// ```
/// use layerwise::metrics::{Metric, R2};
/// use layerwise::to_tensor;
/// use ndarray::array;
/// let mut r2 = R2::new();
/// r2.update(&to_tensor::<f32, _, _, _>(&array![1.0, 2.0, 4.0])?, &to_tensor(&array![1.0, 2.0, 3.0])?, None)?;
/// assert_eq!(r2.result(), 0.5);
/// # Ok::<(), layerwise::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct R2 {
    gathered: Moments,
}

/// Weighted moments of the targets and of the errors, output by output.
#[derive(Clone, Debug, Default)]
struct Moments {
    rows: f64,
    weight: f64,
    /// Empty as long as nothing was taken in.
    outputs: Vec<Moment>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Moment {
    /// Of the targets.
    mean: f64,
    /// sum w (t - mean)².
    deviation: f64,
    /// sum w (t - y)².
    residual: f64,
}

impl Moment {
    fn r2(&self) -> f64 {
        if self.deviation == 0.0 && self.residual >= 0.0 {
            return if self.residual == 0.0 { 1.0 } else { 0.0 };
        }
        1.0 - self.residual / self.deviation
    }
}

impl Moments {
    fn take<A: Scalar>(&mut self, batch: &Batch<'_, A>) {
        self.outputs.resize(batch.outputs, Moment::default());
        for (weight, y, t) in batch.rows() {
            self.rows += 1.0;
            self.weight += weight;
            let share = weight / self.weight;
            for ((moment, y), t) in self.outputs.iter_mut().zip(y).zip(t) {
                let (y, t) = (y.as_f64(), t.as_f64());
                let before = t - moment.mean;
                moment.mean += before * share;
                moment.deviation += weight * before * (t - moment.mean);
                moment.residual += weight * (t - y) * (t - y);
            }
        }
    }

    fn reset(&mut self) {
        self.rows = 0.0;
        self.weight = 0.0;
        self.outputs.clear();
    }

    fn write(&self, state: &mut Vec<f64>) {
        state.extend([self.rows, self.weight]);
        state.extend(self.outputs.iter().flat_map(|moment| [moment.mean, moment.deviation, moment.residual]));
    }

    fn take_state(&mut self, state: &[f64]) -> Result<()> {
        let (rows, weight, theirs) = match state {
            [rows, weight, theirs @ ..] if theirs.len() % 3 == 0 => (*rows, *weight, theirs),
            _ => return Err(Error::length("the state to merge", 3 + 3 * self.outputs.len(), 1 + state.len())),
        };
        check_same("outputs", self.outputs.len(), theirs.len() / 3)?;
        self.outputs.resize(self.outputs.len().max(theirs.len() / 3), Moment::default());
        if weight == 0.0 {
            return Ok(());
        }
        let before = self.weight;
        self.rows += rows;
        self.weight += weight;
        for (moment, theirs) in self.outputs.iter_mut().zip(theirs.chunks_exact(3)) {
            let difference = theirs[0] - moment.mean;
            moment.mean += difference * (weight / self.weight);
            moment.deviation += theirs[1] + difference * difference * (before * weight / self.weight);
            moment.residual += theirs[2];
        }
        Ok(())
    }
}

impl R2 {
    /// With nothing taken in.
    pub fn new() -> Self {
        Self::default()
    }

    /// R² over everything taken in; NaN of fewer than two samples.
    pub fn result(&self) -> f64 {
        if self.gathered.rows < 2.0 {
            return f64::NAN;
        }
        mean(self.gathered.outputs.iter().map(Moment::r2))
    }

    /// R² of each output (scikit-learn's `multioutput="raw_values"`); empty where there was nothing.
    pub fn per_output(&self) -> Vec<f64> {
        let enough = self.gathered.rows >= 2.0;
        self.gathered.outputs.iter().map(|moment| if enough { moment.r2() } else { f64::NAN }).collect()
    }

    fn full_name(&self) -> &str {
        "r2"
    }

    fn take<A: Scalar>(&mut self, prediction: &Tensor<A>, target: &Tensor<A>, weights: Option<&[A]>) -> Result<()> {
        let batch = Batch::new(self.gathered.outputs.len(), prediction, target, weights)?;
        self.gathered.take(&batch);
        Ok(())
    }

    fn take_state(&mut self, state: &[f64]) -> Result<()> {
        self.gathered.take_state(state)
    }
}
streaming_metric!(R2, 8.0);
