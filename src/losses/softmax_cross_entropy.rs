use serde_json::Value;

use super::classes::{Classes, are_labels, class_methods, softmax};
use super::terms::{Rows, reduction_method, wanted, without_last};
use super::{Loss, Reduction, Samples, check_weights};
use crate::context::{Context, Mode};
use crate::error::Result;
use crate::kernels::loss::{cross_entropy_of_labels, cross_entropy_of_probabilities};
use crate::scalar::Scalar;
use crate::tensor::{Tensor, from_vec, values, values_mut};

/// The cross-entropy of one class out of several, from logits x: the mean over all samples, or steps of samples, of
///
/// l = -sum_c t_c ln p_c, with p = softmax(x) and the gradient p sum_c(t_c) - t.
///
/// The output is (batch, ..., classes), with 2 classes or more and no activation: [`prediction`](Loss::prediction)
/// gives softmax(x). The target is one of
///
/// - class labels, whole numbers from 0, in the output's shape without the last axis, or with 1 for it;
/// - probabilities t, one-hot or soft, in the output's shape: finite and at least 0. They should add up to 1 over the
///   classes; where they do not, the formula above holds all the same.
///
/// [`class_weights`](Self::class_weights) makes that l = -sum_c w_c t_c ln p_c. Labels can be
/// [smoothed](Self::label_smoothing), and one of them [ignored](Self::ignore_class). There is one weight for each
/// sample, or for each step (all axes but the last). Logits of any size are safe: the largest of a row is subtracted
/// from it.
///
/// By default the sum is divided by the number of terms ([`Reduction::Mean`]), which is Keras's way also where there
/// are weights. PyTorch's `CrossEntropyLoss` divides by the sum of the class weights of the labels:
/// [`Reduction::WeightedMean`], which divides by the sum over the terms of sample weight * sum_c w_c t_c, with targets
/// that are not smoothed.
///
/// ```
/// use layerwise::losses::{Loss, SoftmaxCrossEntropy};
/// use layerwise::to_tensor;
/// use ndarray::array;
/// let logits = to_tensor::<f64, _, _, _>(&array![[0.0, 0.0], [1e4, -1e4]])?;
/// let (loss, gradient) = SoftmaxCrossEntropy::new().evaluate(&logits, &to_tensor(&array![1, 0])?, None)?;
/// assert!((loss - 2.0_f64.ln() / 2.0).abs() < 1e-12);
/// assert_eq!(gradient, to_tensor(&array![[0.25, -0.25], [0.0, 0.0]])?);
/// # Ok::<(), layerwise::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct SoftmaxCrossEntropy {
    reduction: Reduction,
    classes: Classes,
}

/// What the kernels read for a batch, in buffers that go back to the pool.
struct Prepared<A: Scalar> {
    /// Smoothed targets times class weights, where targets count as something else than they are.
    spread: Option<Tensor<A>>,
    class_weights: Tensor<A>,
}

impl SoftmaxCrossEntropy {
    /// The mean over all samples or steps, with classes of one weight.
    pub fn new() -> Self {
        Self::default()
    }

    reduction_method!();
    class_methods!();

    fn rows(&self, output: &[usize], target: &[usize]) -> Result<Rows> {
        self.classes.rows("SoftmaxCrossEntropy", output, target)
    }

    fn prepare<A: Scalar>(&self, t: &[A], rows: &Rows, ctx: &mut Context<A>) -> Prepared<A> {
        let spread = self.classes.change_targets().then(|| self.classes.spread(t, rows, ctx));
        let mut class_weights = ctx.tensor(&[rows.features]);
        for (class, weight) in values_mut(&mut class_weights).iter_mut().enumerate() {
            *weight = if spread.is_some() { A::one() } else { A::of(self.classes.weight(class)) };
        }
        Prepared { spread, class_weights }
    }
}

impl<A: Scalar> Prepared<A> {
    /// The sum of `factor * term` over rows of the output, given their targets, and the gradient. `from` is the first.
    fn run(&self, x: &[A], t: &[A], rows: &Rows, from: usize, factors: &[A], gradient: &mut [A]) -> Result<f64> {
        let weights = values(&self.class_weights)?;
        let (width, count) = (rows.features, factors.len());
        let part = |width: usize| from * width..(from + count) * width;
        let x = &x[part(width)];
        Ok(match &self.spread {
            Some(spread) => {
                cross_entropy_of_probabilities(x, &values(spread)?[part(width)], factors, weights, gradient)
            }
            None if are_labels(t, rows) => cross_entropy_of_labels(x, &t[part(1)], factors, weights, gradient),
            None => cross_entropy_of_probabilities(x, &t[part(width)], factors, weights, gradient),
        })
    }
}

impl<A: Scalar> Loss<A> for SoftmaxCrossEntropy {
    fn kind(&self) -> &str {
        "SoftmaxCrossEntropy"
    }

    fn config(&self) -> Value {
        let mut config = self.classes.settings();
        config["reduction"] = self.reduction.name().into();
        config
    }

    fn denominator(&self, output: &[usize], target: &Tensor<A>, weights: Option<&[A]>) -> Result<A> {
        let rows = self.rows(output, target.shape())?;
        check_weights(weights)?;
        self.classes.denominator(self.reduction, &rows, target, weights)
    }

    fn compute(
        &self,
        output: &Tensor<A>,
        target: &Tensor<A>,
        samples: Samples<'_, A>,
        want_gradient: bool,
        ctx: &mut Context<A>,
    ) -> Result<(A, Option<Tensor<A>>)> {
        let rows = self.rows(output.shape(), target.shape())?;
        let each = samples.weights.map_or(Ok(1), |weights| rows.per_weight(weights))?;
        self.classes.check(target, &rows)?;
        let (x, t) = (values(output)?, values(target)?);

        let mut factors = ctx.tensor(&[rows.rows]);
        match samples.weights {
            None => values_mut(&mut factors).fill(samples.scale),
            Some(weights) => {
                for (factors, &w) in values_mut(&mut factors).chunks_mut(each.max(1)).zip(weights) {
                    factors.fill(samples.scale * w);
                }
            }
        }
        let prepared = self.prepare(t, &rows, ctx);
        let mut gradient = ctx.tensor(output.shape());
        let value = prepared.run(x, t, &rows, 0, values(&factors)?, values_mut(&mut gradient))?;
        ctx.recycle(factors);
        ctx.recycle(prepared.class_weights);
        prepared.spread.into_iter().for_each(|spread| ctx.recycle(spread));
        Ok((A::of(value), wanted(gradient, want_gradient, ctx)))
    }

    fn unreduced(&self, output: &Tensor<A>, target: &Tensor<A>, weights: Option<&[A]>) -> Result<Tensor<A>> {
        let rows = self.rows(output.shape(), target.shape())?;
        let each = weights.map_or(Ok(1), |weights| rows.per_weight(weights))?;
        self.classes.check(target, &rows)?;
        let (x, t) = (values(output)?, values(target)?);
        let prepared = self.prepare(t, &rows, &mut Context::recording(Mode::Inference));
        let mut gradient = vec![A::zero(); rows.features];
        let of_row = |row: usize| {
            let factor = [weights.map_or(A::one(), |weights| weights[row / each])];
            prepared.run(x, t, &rows, row, &factor, &mut gradient).map(A::of)
        };
        let terms = (0..rows.rows).map(of_row).collect::<Result<Vec<_>>>()?;
        Ok(from_vec(&without_last(output.shape()), terms))
    }

    /// softmax(x) over the last axis.
    fn prediction(&self, output: &Tensor<A>, ctx: &mut Context<A>) -> Result<Tensor<A>> {
        softmax("SoftmaxCrossEntropy", output, ctx)
    }
}
