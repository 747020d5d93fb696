use super::rows::{Batch, mean};
use super::streaming::{check_same, streaming_metric};
use crate::error::{Error, Result};
use crate::scalar::Scalar;

/// A weighted mean, and the sum of the squared deviations from it.
///
/// They are gathered around the running mean (Welford 1962) and merged with the difference of the means (Chan, Golub
/// and LeVeque 1983), so that numbers far from 0 lose no digits.
#[derive(Clone, Copy, Debug, Default)]
struct Moments {
    mean: f64,
    /// sum w (x - mean)².
    deviation: f64,
}

impl Moments {
    /// `share` is the weight's in all weights so far.
    fn add(&mut self, x: f64, weight: f64, share: f64) {
        let before = x - self.mean;
        self.mean += before * share;
        self.deviation += weight * before * (x - self.mean);
    }

    /// Adds others of this weight to those that have had the weight `before`.
    fn merge(&mut self, other: &[f64], before: f64, weight: f64) {
        let share = weight / (before + weight);
        let difference = other[0] - self.mean;
        self.mean += difference * share;
        self.deviation += other[1] + difference * difference * before * share;
    }
}

/// Of one output: the targets, and the errors t - y.
#[derive(Clone, Copy, Debug, Default)]
struct Output {
    target: Moments,
    error: Moments,
}

impl Output {
    /// sum w (t - y)² over sum w (t - mean(t))², from 1; `weight` is the sum of all weights.
    fn r2(&self, weight: f64) -> f64 {
        self.explained(self.error.deviation + weight * self.error.mean * self.error.mean)
    }

    /// The same with the variance of the errors.
    fn explained_variance(&self, _: f64) -> f64 {
        self.explained(self.error.deviation)
    }

    fn explained(&self, residual: f64) -> f64 {
        if self.target.deviation == 0.0 && residual >= 0.0 {
            return if residual == 0.0 { 1.0 } else { 0.0 };
        }
        1.0 - residual / self.target.deviation
    }
}

/// The moments of all outputs.
#[derive(Clone, Debug, Default)]
struct Outputs {
    rows: f64,
    weight: f64,
    /// Empty as long as nothing was taken in.
    each: Vec<Output>,
}

impl Outputs {
    fn take<A: Scalar>(&mut self, batch: &Batch<'_, A>) {
        self.each.resize(batch.outputs, Output::default());
        for (weight, y, t) in batch.rows() {
            self.rows += 1.0;
            self.weight += weight;
            let share = weight / self.weight;
            for ((output, y), t) in self.each.iter_mut().zip(y).zip(t) {
                let (y, t) = (y.as_f64(), t.as_f64());
                output.target.add(t, weight, share);
                output.error.add(t - y, weight, share);
            }
        }
    }

    fn reset(&mut self) {
        self.rows = 0.0;
        self.weight = 0.0;
        self.each.clear();
    }

    fn write(&self, state: &mut Vec<f64>) {
        state.extend([self.rows, self.weight]);
        let numbers = |moments: &Moments| [moments.mean, moments.deviation];
        state.extend(self.each.iter().flat_map(|output| [numbers(&output.target), numbers(&output.error)]).flatten());
    }

    fn take_state(&mut self, state: &[f64]) -> Result<()> {
        let (rows, weight, theirs) = match state {
            [rows, weight, theirs @ ..] if theirs.len() % 4 == 0 => (*rows, *weight, theirs),
            _ => return Err(Error::length("the state to merge", 3 + 4 * self.each.len(), 1 + state.len())),
        };
        check_same("outputs", self.each.len(), theirs.len() / 4)?;
        self.each.resize(self.each.len().max(theirs.len() / 4), Output::default());
        if weight == 0.0 {
            return Ok(());
        }
        for (output, theirs) in self.each.iter_mut().zip(theirs.chunks_exact(4)) {
            output.target.merge(&theirs[..2], self.weight, weight);
            output.error.merge(&theirs[2..], self.weight, weight);
        }
        self.rows += rows;
        self.weight += weight;
        Ok(())
    }
}

/// The two differ in what they hold against the variance of the targets, and in how few samples have one.
macro_rules! explained {
    ($(#[$meta:meta])* $metric:ident, $name:literal, $code:literal, $fewest:literal, $score:path) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default)]
        pub struct $metric {
            gathered: Outputs,
        }

        impl $metric {
            /// With nothing taken in.
            pub fn new() -> Self {
                Self::default()
            }

            /// The score over everything taken in; NaN where there was nothing, or too little.
            pub fn result(&self) -> f64 {
                mean(self.scores())
            }

            /// The score of each output (scikit-learn's `multioutput="raw_values"`); empty where there was nothing.
            pub fn per_output(&self) -> Vec<f64> {
                self.scores().collect()
            }

            fn scores(&self) -> impl ExactSizeIterator<Item = f64> {
                let enough = self.gathered.rows >= $fewest;
                let score = move |output| if enough { $score(output, self.gathered.weight) } else { f64::NAN };
                self.gathered.each.iter().map(score)
            }

            fn full_name(&self) -> &str {
                $name
            }

            fn take<A: Scalar>(
                &mut self,
                prediction: &$crate::Tensor<A>,
                target: &$crate::Tensor<A>,
                weights: Option<&[A]>,
            ) -> Result<()> {
                let batch = Batch::new(self.gathered.each.len(), prediction, target, weights)?;
                self.gathered.take(&batch);
                Ok(())
            }

            fn take_state(&mut self, state: &[f64]) -> Result<()> {
                self.gathered.take_state(state)
            }
        }
        streaming_metric!($metric, $code);
    };
}

explained! {
    /// The coefficient of determination: the share of the target's variance that the prediction explains,
    ///
    /// R² = 1 - sum w (t - y)² / sum w (t - mean(t))².
    ///
    /// 1 is a perfect prediction, 0 is as good as the mean of the targets, and there is no lower end. Shapes and
    /// weights are those of [`MeanSquaredError`](super::MeanSquaredError); of several outputs it is the plain mean
    /// (scikit-learn's `uniform_average`). A constant target has 1 where it is met exactly and 0 elsewhere
    /// (`force_finite`), and of fewer than two samples there is no variance: NaN. Targets far from 0 lose no digits.
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
    R2, "r2", 8.0, 2.0, Output::r2
}
explained! {
    /// The share of the target's variance that is left when a constant error is forgiven,
    ///
    /// 1 - Var(t - y) / Var(t).
    ///
    /// It is [`R2`] where the errors have the mean 0, and above it elsewhere: a bias costs nothing. Shapes, weights and
    /// constant targets are those of [`R2`]; one sample has 1, as in scikit-learn.
    ///
    /// ```
    /// use layerwise::metrics::{ExplainedVariance, Metric};
    /// use layerwise::to_tensor;
    /// use ndarray::array;
    /// let mut explained = ExplainedVariance::new();
    /// let biased = to_tensor::<f32, _, _, _>(&array![2.0, 3.0, 4.0])?;
    /// explained.update(&biased, &to_tensor(&array![1.0, 2.0, 3.0])?, None)?;
    /// assert_eq!(explained.result(), 1.0);
    /// # Ok::<(), layerwise::Error>(())
    /// ```
    ExplainedVariance, "explained_variance", 22.0, 1.0, Output::explained_variance
}
