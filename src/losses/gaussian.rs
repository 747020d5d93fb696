use serde_json::{Value, json};

use super::Reduction;
use super::numbers::{check_positive, clip};
use super::terms::{Call, Formula, Rows, loss, reduction_method};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::scalar::Scalar;
use crate::tensor::unravel;

/// The negative log-likelihood of targets t under normal distributions whose means m and variances v are the output,
/// for a network that says how sure it is: the mean over all targets of
///
/// l = (ln v + (t - m)² / v) / 2, with the gradients (m - t) / v and (1 - (t - m)² / v) / 2v.
///
/// The output is (batch, ..., 2 k): first k means, then their k variances. The target is (batch, ..., k), where k = 1
/// may be left out. There is one weight for each sample, or for each step (all axes but the last).
///
/// PyTorch's `GaussianNLLLoss`: a variance below [`epsilon`](Self::epsilon) counts as that, its gradient included, and
/// a negative one is an error. With [`log_variance`](Self::log_variance) the second half of the output is s = ln v, and
/// needs no activation that keeps it above 0: l = (s + (t - m)² exp(-s)) / 2.
///
/// ```
/// use layerwise::losses::{GaussianNegativeLogLikelihood, Loss};
/// use layerwise::to_tensor;
/// use ndarray::array;
/// let mean_and_variance = to_tensor::<f64, _, _, _>(&array![[1.0, 4.0]])?;
/// let loss = GaussianNegativeLogLikelihood::new();
/// let (loss, gradient) = loss.evaluate(&mean_and_variance, &to_tensor(&array![3.0])?, None)?;
/// assert_eq!(loss, (4.0_f64.ln() + 1.0) / 2.0);
/// assert_eq!(gradient, to_tensor(&array![[-0.5, 0.0]])?);
/// # Ok::<(), layerwise::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct GaussianNegativeLogLikelihood {
    reduction: Reduction,
    log_variance: bool,
    full: bool,
    epsilon: f64,
}

impl Default for GaussianNegativeLogLikelihood {
    fn default() -> Self {
        GaussianNegativeLogLikelihood { reduction: Reduction::Mean, log_variance: false, full: false, epsilon: 1e-6 }
    }
}

impl GaussianNegativeLogLikelihood {
    /// The mean over all targets, of means and variances.
    pub fn new() -> Self {
        Self::default()
    }

    reduction_method!();

    /// Whether the second half of the output is logarithms of variances. Default: no.
    #[must_use]
    pub fn log_variance(mut self, log_variance: bool) -> Self {
        self.log_variance = log_variance;
        self
    }

    /// Whether ln(2 pi) / 2 is added to each term, which has no gradient. Default: no.
    #[must_use]
    pub fn full(mut self, full: bool) -> Self {
        self.full = full;
        self
    }

    /// The least variance, above 0; logarithms of variances have no bound. Default: 1e-6, as in PyTorch.
    #[must_use]
    pub fn epsilon(mut self, epsilon: f64) -> Self {
        self.epsilon = epsilon;
        self
    }

    /// The term, and its derivatives with respect to the mean and to the variance or its logarithm.
    fn term<A: Scalar>(&self, mean: A, spread: A, t: A) -> (A, A, A) {
        let (half, difference) = (A::of(0.5), mean - t);
        let constant = if self.full { A::of(0.5 * std::f64::consts::TAU.ln()) } else { A::zero() };
        if self.log_variance {
            let precision = (-spread).exp();
            let square = difference * difference * precision;
            return (half * (spread + square) + constant, difference * precision, half * (A::one() - square));
        }
        let (variance, _) = clip(spread, A::of(self.epsilon), A::infinity());
        let square = difference * difference / variance;
        let of_variance = half * (A::one() - square) / variance;
        (half * (variance.ln() + square) + constant, difference / variance, of_variance)
    }
}

impl<A: Scalar> Formula<A> for GaussianNegativeLogLikelihood {
    fn settings(&self) -> Value {
        json!({ "log_variance": self.log_variance, "full": self.full, "epsilon": self.epsilon })
    }

    fn rows(&self, output: &[usize], target: &[usize]) -> Result<Rows> {
        check_positive("epsilon", self.epsilon)?;
        let (last, before) = match output.split_last() {
            Some((&last, before)) if last > 0 && last % 2 == 0 && !before.is_empty() => (last, before),
            _ => {
                let expected = "(batch, ..., 2 k), k means and k variances";
                return Err(Error::shape("output of GaussianNegativeLogLikelihood", expected, output));
            }
        };
        let half = last / 2;
        let is_whole = matches!(target.split_last(), Some((&last, axes)) if last == half && axes == before);
        if !(is_whole || half == 1 && target == before) {
            let mut whole = before.to_vec();
            whole.push(half);
            let short = if half == 1 { format!(" or {before:?}") } else { String::new() };
            let expected = format!("shape {whole:?}{short}, for an output of shape {output:?}");
            return Err(Error::shape("target", expected, target));
        }
        Ok(Rows::before(before, last))
    }

    fn terms(&self, rows: &Rows) -> usize {
        rows.features / 2
    }

    fn term_shape(&self, output: &[usize]) -> Vec<usize> {
        let mut shape = output.to_vec();
        shape.iter_mut().last().into_iter().for_each(|last| *last /= 2);
        shape
    }

    fn write(&self, call: Call<'_, A>, _: &mut Context<A>) -> Result<()> {
        let (features, half) = (call.rows.features, call.rows.features / 2);
        let rows = call.x.chunks_exact(features).zip(call.t.chunks_exact(half));
        let to = call.gradient.chunks_exact_mut(features).zip(call.terms.chunks_exact_mut(half));
        for (row, ((x, t), (gradient, terms))) in rows.zip(to).enumerate() {
            for place in 0..half {
                let (mean, spread) = (x[place], x[half + place]);
                if !self.log_variance && spread < A::zero() {
                    let at = unravel(row * features + half + place, call.output.shape());
                    return Err(Error::value("variance in the output", &at, "a number of at least 0", spread));
                }
                (terms[place], gradient[place], gradient[half + place]) = self.term(mean, spread, t[place]);
            }
        }
        Ok(())
    }
}

loss!(GaussianNegativeLogLikelihood);
