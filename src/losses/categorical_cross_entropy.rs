use serde_json::Value;

use super::classes::{Classes, class_formula, class_methods};
use super::terms::{Call, Formula, loss, reduction_method};
use super::{Reduction, focal};
use crate::context::Context;
use crate::error::Result;
use crate::scalar::Scalar;

/// The cross-entropy of one class out of several, from probabilities x: the mean over all samples, or steps of samples,
/// of
///
/// l = -sum_c t_c ln p_c, with p = x / sum(x).
///
/// For a network that ends with a softmax. [`SoftmaxCrossEntropy`](super::SoftmaxCrossEntropy), from logits, is better:
/// here p is kept between 1e-7 and 1 - 1e-7, as in Keras, and beyond has no gradient, so that a network that is sure of
/// a wrong answer does not learn. Output, target (class labels, or probabilities t), weights and reductions are as
/// there.
///
/// Keras's `CategoricalCrossentropy` and `SparseCategoricalCrossentropy`, without `from_logits`.
///
/// ```
/// use layerwise::losses::{CategoricalCrossEntropy, Loss};
/// use layerwise::to_tensor;
/// use ndarray::array;
/// let output = to_tensor::<f64, _, _, _>(&array![[0.5, 0.5], [1.0, 0.0]])?;
/// let (loss, gradient) = CategoricalCrossEntropy::new().evaluate(&output, &to_tensor(&array![1, 0])?, None)?;
/// assert!((loss - 2.0_f64.ln() / 2.0).abs() < 1e-7);
/// assert_eq!(gradient, to_tensor(&array![[0.5, -0.5], [0.0, 0.0]])?);
/// # Ok::<(), layerwise::Error>(())
/// ```
#[doc(alias = "NLLLoss")]
#[derive(Clone, Debug, Default)]
pub struct CategoricalCrossEntropy {
    reduction: Reduction,
    classes: Classes,
}

/// Keras's name for [`CategoricalCrossEntropy`] where targets are class labels, which it takes as well.
pub type SparseCategoricalCrossEntropy = CategoricalCrossEntropy;

impl CategoricalCrossEntropy {
    /// The mean over all samples or steps, with classes of one weight.
    pub fn new() -> Self {
        Self::default()
    }

    reduction_method!();
    class_methods!();
}

impl<A: Scalar> Formula<A> for CategoricalCrossEntropy {
    fn settings(&self) -> Value {
        self.classes.settings()
    }

    class_formula!("CategoricalCrossEntropy");

    fn write(&self, call: Call<'_, A>, ctx: &mut Context<A>) -> Result<()> {
        focal::write(call, &self.classes, (0.0, 1.0), false, ctx)
    }
}

loss!(CategoricalCrossEntropy);
