use serde_json::{Value, json};

use super::classes::{Classes, class_formula, class_methods, softmax};
use super::numbers::check_not_negative;
use super::terms::{Call, Formula, loss, reduction_method};
use super::{Reduction, focal};
use crate::context::Context;
use crate::error::Result;
use crate::scalar::Scalar;
use crate::tensor::Tensor;

/// The cross-entropy of one class out of several in which easy answers count less, for classes of very different size
/// (Lin and others, "Focal loss for dense object detection", 2017): from logits x, the mean over all samples, or steps
/// of samples, of
///
/// l = -alpha sum_c (1 - p_c)^gamma t_c ln p_c, with p = softmax(x).
///
/// Logits of any size are safe, and [`prediction`](super::Loss::prediction) gives softmax(x). With
/// [`probabilities`](Self::probabilities) the output is probabilities, as for
/// [`CategoricalCrossEntropy`](super::CategoricalCrossEntropy). Output, target (class labels, or probabilities t),
/// weights and reductions are as for [`SoftmaxCrossEntropy`](super::SoftmaxCrossEntropy). Keras's
/// `CategoricalFocalCrossentropy`; its list for `alpha` is [`class_weights`](Self::class_weights) beside an alpha of 1.
///
/// ```
/// use layerwise::losses::{CategoricalFocal, Loss};
/// use layerwise::to_tensor;
/// use ndarray::array;
/// let logits = to_tensor::<f64, _, _, _>(&array![[0.0, 0.0], [1e4, -1e4]])?;
/// let (loss, gradient) = CategoricalFocal::new().evaluate(&logits, &to_tensor(&array![1, 0])?, None)?;
/// assert!((loss - 0.25 * 0.25 * 2.0_f64.ln() / 2.0).abs() < 1e-15);
/// assert_eq!(gradient[[1, 0]], 0.0);
/// # Ok::<(), layerwise::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct CategoricalFocal {
    reduction: Reduction,
    classes: Classes,
    gamma: f64,
    alpha: f64,
    probabilities: bool,
}

impl Default for CategoricalFocal {
    fn default() -> Self {
        let (reduction, classes) = (Reduction::Mean, Classes::default());
        CategoricalFocal { reduction, classes, gamma: 2.0, alpha: 0.25, probabilities: false }
    }
}

impl CategoricalFocal {
    /// The mean over all samples or steps, from logits, with gamma = 2 and alpha = 0.25.
    pub fn new() -> Self {
        Self::default()
    }

    reduction_method!();
    class_methods!();

    /// How much less easy answers count, at least 0. Default: 2, as in Keras.
    #[must_use]
    pub fn gamma(mut self, gamma: f64) -> Self {
        self.gamma = gamma;
        self
    }

    /// The factor of all terms, at least 0. Default: 0.25, as in Keras.
    #[must_use]
    pub fn alpha(mut self, alpha: f64) -> Self {
        self.alpha = alpha;
        self
    }

    /// Whether the output is probabilities and not logits. Default: no.
    #[must_use]
    pub fn probabilities(mut self, probabilities: bool) -> Self {
        self.probabilities = probabilities;
        self
    }

    fn check_settings(&self) -> Result<()> {
        check_not_negative("gamma", self.gamma)?;
        check_not_negative("alpha", self.alpha)
    }
}

impl<A: Scalar> Formula<A> for CategoricalFocal {
    fn settings(&self) -> Value {
        let mut settings = self.classes.settings();
        settings["gamma"] = json!(self.gamma);
        settings["alpha"] = json!(self.alpha);
        settings["probabilities"] = json!(self.probabilities);
        settings
    }

    class_formula!("CategoricalFocal", check_settings);

    fn write(&self, call: Call<'_, A>, ctx: &mut Context<A>) -> Result<()> {
        focal::write(call, &self.classes, (self.gamma, self.alpha), !self.probabilities, ctx)
    }

    fn prediction(&self, output: &Tensor<A>, ctx: &mut Context<A>) -> Result<Tensor<A>> {
        if self.probabilities { Ok(output.clone()) } else { softmax("CategoricalFocal", output, ctx) }
    }
}

loss!(CategoricalFocal);
