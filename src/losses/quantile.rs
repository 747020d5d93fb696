use serde_json::{Value, json};

use super::Reduction;
use super::terms::{Call, Formula, Rows, loss, reduction_method};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::scalar::Scalar;

/// The pinball loss, whose best output x is a quantile of the targets t: the mean over all elements of
///
/// l = q (t - x) where t > x, and (1 - q) (x - t) elsewhere; the gradient is -q, 1 - q, or 0 where they are equal.
///
/// q = 0.5 is half of the absolute error, and gives the median; 0.05 and 0.95 give an interval that 90% of the targets
/// lie in. For one quantile output and target have the same shape, or the target leaves the last axis of 1 out. For
/// several the output is (batch, ..., quantiles), and the target has all its axes but the last, or 1 for it. There is
/// one weight for each sample, or for each step (all axes but the last). scikit-learn's `mean_pinball_loss`.
///
/// ```
/// use layerwise::losses::{Loss, Quantile};
/// use layerwise::to_tensor;
/// use ndarray::array;
/// let output = to_tensor::<f64, _, _, _>(&array![[1.0, 5.0]])?;
/// let (loss, gradient) = Quantile::several(vec![0.25, 0.75]).evaluate(&output, &to_tensor(&array![3.0])?, None)?;
/// assert_eq!(loss, (0.25 * 2.0 + 0.25 * 2.0) / 2.0);
/// assert_eq!(gradient, to_tensor(&array![[-0.125, 0.125]])?);
/// # Ok::<(), layerwise::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Quantile {
    reduction: Reduction,
    quantiles: Vec<f64>,
}

impl Quantile {
    /// The mean over all elements, for the quantile q, above 0 and below 1.
    pub fn new(q: f64) -> Self {
        Self::several(vec![q])
    }

    /// One quantile for each element of the output's last axis.
    pub fn several(quantiles: Vec<f64>) -> Self {
        Quantile { reduction: Reduction::Mean, quantiles }
    }

    reduction_method!();
}

impl<A: Scalar> Formula<A> for Quantile {
    fn settings(&self) -> Value {
        json!({ "quantiles": self.quantiles })
    }

    fn rows(&self, output: &[usize], target: &[usize]) -> Result<Rows> {
        if let Some(q) = self.quantiles.iter().find(|q| !(**q > 0.0 && **q < 1.0)) {
            return Err(Error::setting("quantile", "a number above 0 and below 1", q));
        }
        let count = self.quantiles.len();
        if count == 0 {
            return Err(Error::Empty("the list of quantiles".into()));
        }
        if count == 1 {
            return Rows::of(output, target);
        }
        let before = match output.split_last() {
            Some((&last, before)) if last == count && !before.is_empty() => before,
            _ => return Err(Error::shape("output of Quantile", format!("(batch, ..., {count})"), output)),
        };
        if target != before && !matches!(target.split_last(), Some((1, axes)) if axes == before) {
            let expected =
                format!("shape {before:?}, with or without an axis of 1 behind, one number for {count} quantiles");
            return Err(Error::shape("target", expected, target));
        }
        Ok(Rows::before(before, count))
    }

    fn write(&self, call: Call<'_, A>, _: &mut Context<A>) -> Result<()> {
        let count = self.quantiles.len();
        let rows = call.x.chunks_exact(count).zip(call.t);
        let to = call.terms.chunks_exact_mut(count).zip(call.gradient.chunks_exact_mut(count));
        for ((x, &t), (terms, gradient)) in rows.zip(to) {
            for (((&x, &q), term), gradient) in x.iter().zip(&self.quantiles).zip(terms).zip(gradient) {
                let missing = t - x;
                let slope = if missing > A::zero() {
                    A::of(-q)
                } else if missing < A::zero() {
                    A::of(1.0 - q)
                } else {
                    missing // 0, or NaN
                };
                *term = -slope * missing;
                *gradient = slope;
            }
        }
        Ok(())
    }
}

loss!(Quantile);
