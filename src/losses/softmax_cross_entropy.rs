use serde_json::{Value, json};

use super::elementwise::wanted;
use super::{Loss, Reduction, Samples, check_weights, first_outside, reduce, terms_per_weight};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::kernels::loss::{cross_entropy_of_labels, cross_entropy_of_probabilities};
use crate::kernels::reduce::softmax_rows;
use crate::scalar::Scalar;
use crate::tensor::{Tensor, unravel, values, values_mut};

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
/// [`class_weights`](Self::class_weights) makes that l = -sum_c w_c t_c ln p_c. There is one weight for each sample,
/// or for each step (all axes but the last). Logits of any size are safe: the largest of a row is subtracted from it.
///
/// By default the sum is divided by the number of terms ([`Reduction::Mean`]), which is Keras's way also where there
/// are weights. PyTorch's `CrossEntropyLoss` divides by the sum of the class weights of the labels:
/// [`Reduction::WeightedMean`], which divides by the sum over the terms of sample weight * sum_c w_c t_c.
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
    class_weights: Option<Vec<f64>>,
}

/// How a target names the class.
enum Target {
    Labels,
    Probabilities,
}

/// An output as rows of classes, and how its target is given.
struct Layout {
    batch: usize,
    rows: usize,
    classes: usize,
    target: Target,
}

impl SoftmaxCrossEntropy {
    /// The mean over all samples or steps, with classes of one weight.
    pub fn new() -> Self {
        Self::default()
    }

    /// By what the sum is divided.
    #[must_use]
    pub fn reduction(mut self, reduction: Reduction) -> Self {
        self.reduction = reduction;
        self
    }

    /// One weight for each class, finite and at least 0: for classes that are rare.
    #[must_use]
    pub fn class_weights(mut self, weights: Vec<f64>) -> Self {
        self.class_weights = Some(weights);
        self
    }

    fn layout(&self, output: &[usize], target: &[usize]) -> Result<Layout> {
        let (classes, before) = classes(output)?;
        let target = if target == output {
            Target::Probabilities
        } else if target == before || matches!(target.split_last(), Some((1, labels)) if labels == before) {
            Target::Labels
        } else {
            let mut column = before.to_vec();
            column.push(1);
            let labels = format!("class labels of shape {before:?} or {column:?}");
            let expected = format!("{labels}, or probabilities of shape {output:?}, for an output of shape {output:?}");
            return Err(Error::shape("target", expected, target));
        };
        if let Some(weights) = &self.class_weights {
            if weights.len() != classes {
                return Err(Error::length("class weights, one for each class", classes, weights.len()));
            }
            if let Some((class, weight)) = weights.iter().enumerate().find(|(_, w)| !(w.is_finite() && **w >= 0.0)) {
                let name = format!("weight of class {class}");
                return Err(Error::setting(name, "a finite number of at least 0", weight));
            }
        }
        Ok(Layout { batch: before[0], rows: before.iter().product(), classes, target })
    }

    fn class_weight(&self, class: usize) -> f64 {
        self.class_weights.as_ref().map_or(1.0, |weights| weights[class])
    }
}

/// The number of classes and the axes before theirs.
fn classes(output: &[usize]) -> Result<(usize, &[usize])> {
    match output.split_last() {
        Some((&classes, before)) if classes >= 2 && !before.is_empty() => Ok((classes, before)),
        _ => {
            let expected = "(batch, ..., classes) with 2 classes or more; for one logit use BinaryCrossEntropy";
            Err(Error::shape("output of SoftmaxCrossEntropy", expected, output))
        }
    }
}

/// The class that a label names, if it names one.
#[inline]
pub(crate) fn class_of<A: Scalar>(label: A, classes: usize) -> Option<usize> {
    let label = label.as_f64();
    let class = label as usize;
    (class as f64 == label && class < classes).then_some(class)
}

impl Layout {
    /// Refuses labels that name no class and probabilities that are none.
    fn check<A: Scalar>(&self, target: &Tensor<A>) -> Result<()> {
        let t = values(target)?;
        let bad = match self.target {
            Target::Labels => t.iter().position(|&label| class_of(label, self.classes).is_none()),
            Target::Probabilities => first_outside(t, A::zero(), A::max_value()),
        };
        let Some(at) = bad else { return Ok(()) };
        let index = unravel(at, target.shape());
        Err(match self.target {
            Target::Labels => {
                let expected = format!("a whole number from 0 to {}", self.classes - 1);
                Error::value("class label", &index, expected, t[at])
            }
            Target::Probabilities => Error::value("class probability", &index, "a finite number of at least 0", t[at]),
        })
    }

    /// How many rows share one sample weight.
    fn per_weight<A: Scalar>(&self, weights: Option<&[A]>) -> Result<usize> {
        check_weights(weights)?;
        weights.map_or(Ok(1), |weights| terms_per_weight(self.batch, self.rows, weights.len()))
    }
}

impl<A: Scalar> Loss<A> for SoftmaxCrossEntropy {
    fn kind(&self) -> &str {
        "SoftmaxCrossEntropy"
    }

    fn config(&self) -> Value {
        json!({ "reduction": self.reduction.name(), "class_weights": self.class_weights })
    }

    fn denominator(&self, output: &[usize], target: &Tensor<A>, weights: Option<&[A]>) -> Result<A> {
        let layout = self.layout(output, target.shape())?;
        let each = layout.per_weight(weights)?;
        if self.reduction != Reduction::WeightedMean {
            return reduce(self.reduction, layout.batch, layout.rows, weights);
        }
        layout.check(target)?;
        let t = values(target)?;
        let of_row = |row: usize| match layout.target {
            Target::Labels => self.class_weight(t[row].as_f64() as usize),
            Target::Probabilities => {
                let t = &t[row * layout.classes..][..layout.classes];
                t.iter().enumerate().map(|(class, t)| t.as_f64() * self.class_weight(class)).sum()
            }
        };
        let of_sample = |row: usize| weights.map_or(1.0, |weights| weights[row / each].as_f64());
        Ok(A::of((0..layout.rows).map(|row| of_sample(row) * of_row(row)).sum()))
    }

    fn compute(
        &self,
        output: &Tensor<A>,
        target: &Tensor<A>,
        samples: Samples<'_, A>,
        want_gradient: bool,
        ctx: &mut Context<A>,
    ) -> Result<(A, Option<Tensor<A>>)> {
        let layout = self.layout(output.shape(), target.shape())?;
        let each = layout.per_weight(samples.weights)?;
        layout.check(target)?;
        let (x, t) = (values(output)?, values(target)?);

        let mut factors = ctx.tensor(&[layout.rows]);
        match samples.weights {
            None => values_mut(&mut factors).fill(samples.scale),
            Some(weights) => {
                for (factors, &w) in values_mut(&mut factors).chunks_mut(each.max(1)).zip(weights) {
                    factors.fill(samples.scale * w);
                }
            }
        }
        let mut class_weights = ctx.tensor(&[layout.classes]);
        for (class, weight) in values_mut(&mut class_weights).iter_mut().enumerate() {
            *weight = A::of(self.class_weight(class));
        }
        let mut gradient = ctx.tensor(output.shape());
        let kernel = match layout.target {
            Target::Labels => cross_entropy_of_labels,
            Target::Probabilities => cross_entropy_of_probabilities,
        };
        let value = kernel(x, t, values(&factors)?, values(&class_weights)?, values_mut(&mut gradient));
        ctx.recycle(factors);
        ctx.recycle(class_weights);
        Ok((A::of(value), wanted(gradient, want_gradient, ctx)))
    }

    /// softmax(x) over the last axis.
    fn prediction(&self, output: &Tensor<A>, ctx: &mut Context<A>) -> Result<Tensor<A>> {
        let (classes, _) = classes(output.shape())?;
        let x = values(output)?;
        let mut probabilities = ctx.tensor(output.shape());
        values_mut(&mut probabilities).copy_from_slice(x);
        softmax_rows(values_mut(&mut probabilities), classes);
        Ok(probabilities)
    }
}
