use serde_json::{Value, json};

use super::numbers::check_positive;
use super::terms::{Call, Formula, Rows, check_shares, loss, reduction_method};
use super::{Reduction, embeddings};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::scalar::Scalar;
use crate::tensor::Tensor;

/// Pulls pairs of one sort together and pushes others at least a margin apart (Hadsell, Chopra and LeCun, 2006): the
/// mean over all pairs of
///
/// l = (1 - t) d² + t max(margin - d, 0)², with the distance d.
///
/// The target t is 0 for a pair of one sort and 1 for a pair of two, as in Keras's example of a siamese network;
/// numbers between are mixtures. The output is the distance, in any shape, with a target of the same shape (an axis of
/// 1 at the end may be left out).
///
/// Or, with [`embeddings`](Self::embeddings), the output is the two embeddings of each pair, (batch, 2, features) or
/// (batch, 2 features), such as two branches give that are concatenated: d is their Euclidean distance, and the target
/// is (batch) or (batch, 1). Two embeddings that should differ and are the same have no gradient: no direction is
/// better than another.
///
/// ```
/// use layerwise::losses::{Contrastive, Loss};
/// use layerwise::to_tensor;
/// use ndarray::array;
/// let pairs = to_tensor::<f64, _, _, _>(&array![[[0.0, 0.0], [0.3, 0.4]], [[1.0, 0.0], [1.0, 0.5]]])?;
/// let (loss, gradient) = Contrastive::new().embeddings(true).evaluate(&pairs, &to_tensor(&array![0, 1])?, None)?;
/// assert!((loss - 0.25).abs() < 1e-15);
/// assert_eq!(gradient.shape(), [2, 2, 2]);
/// # Ok::<(), layerwise::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Contrastive {
    reduction: Reduction,
    margin: f64,
    embeddings: bool,
}

impl Default for Contrastive {
    fn default() -> Self {
        Contrastive { reduction: Reduction::Mean, margin: 1.0, embeddings: false }
    }
}

impl Contrastive {
    /// The mean over all pairs, from distances, with a margin of 1.
    pub fn new() -> Self {
        Self::default()
    }

    reduction_method!();

    /// How far apart two sorts should be, above 0. Default: 1.
    #[must_use]
    pub fn margin(mut self, margin: f64) -> Self {
        self.margin = margin;
        self
    }

    /// Whether the output is pairs of embeddings and not distances. Default: no.
    #[must_use]
    pub fn embeddings(mut self, embeddings: bool) -> Self {
        self.embeddings = embeddings;
        self
    }

    /// The term, and its derivatives of the two parts: of d², and of the margin, with respect to d.
    fn term<A: Scalar>(&self, d: A, t: A) -> (A, A, A) {
        let (near, two) = (A::one() - t, A::of(2.0));
        let gap = A::of(self.margin) - d;
        let gap = if gap <= A::zero() { A::zero() } else { gap };
        (near * d * d + t * gap * gap, two * near, -two * t * gap)
    }
}

impl<A: Scalar> Formula<A> for Contrastive {
    fn settings(&self) -> Value {
        json!({ "margin": self.margin, "embeddings": self.embeddings })
    }

    fn rows(&self, output: &[usize], target: &[usize]) -> Result<Rows> {
        check_positive("margin", self.margin)?;
        if !self.embeddings {
            return Rows::of(output, target);
        }
        let rows = embeddings::rows("Contrastive", output, 2)?;
        if target != [rows.batch] && target != [rows.batch, 1] {
            let expected = format!("shape [{0}] or [{0}, 1], one number for each pair", rows.batch);
            return Err(Error::shape("target", expected, target));
        }
        Ok(rows)
    }

    fn terms(&self, rows: &Rows) -> usize {
        if self.embeddings { 1 } else { rows.features }
    }

    fn term_shape(&self, output: &[usize]) -> Vec<usize> {
        if self.embeddings { output[..1].to_vec() } else { output.to_vec() }
    }

    fn check(&self, target: &Tensor<A>, _: &Rows) -> Result<()> {
        check_shares(target)
    }

    fn write(&self, call: Call<'_, A>, _: &mut Context<A>) -> Result<()> {
        if !self.embeddings {
            for (((&d, &t), term), gradient) in call.x.iter().zip(call.t).zip(call.terms).zip(call.gradient) {
                let (value, near, apart) = self.term(d, t);
                *term = value;
                *gradient = near * d + apart;
            }
            return Ok(());
        }
        let width = call.rows.features;
        let rows = call.x.chunks_exact(width).zip(call.t);
        for (((x, &t), gradient), term) in rows.zip(call.gradient.chunks_exact_mut(width)).zip(call.terms) {
            let (a, b) = x.split_at(width / 2);
            let (of_a, of_b) = gradient.split_at_mut(width / 2);
            let d = a.iter().zip(b).map(|(&a, &b)| (a - b) * (a - b)).sum::<A>().sqrt();
            let (value, near, apart) = self.term(d, t);
            *term = value;
            // The derivative of d is (a - b) / d.
            let factor = if d == A::zero() { near } else { near + apart / d };
            for (((of_a, of_b), &a), &b) in of_a.iter_mut().zip(of_b).zip(a).zip(b) {
                *of_a = factor * (a - b);
                *of_b = -*of_a;
            }
        }
        Ok(())
    }
}

loss!(Contrastive);
