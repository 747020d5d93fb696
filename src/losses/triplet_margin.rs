use serde_json::{Value, json};

use super::numbers::{check_not_negative, check_positive, sign};
use super::terms::{Call, Formula, Rows, loss, reduction_method};
use super::{Reduction, embeddings};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::scalar::Scalar;

/// Has an anchor a nearer to a sample p of its sort than to a sample n of another, by a margin at least: the mean over
/// all triplets of
///
/// l = max(d(a, p) - d(a, n) + margin, 0), with the distance d(x, y) = (sum_i |x_i - y_i + eps|^norm)^(1 / norm).
///
/// The output is the three embeddings of each triplet in this order, (batch, 3, features) or (batch, 3 features), such
/// as three branches give that are concatenated. All is said by that: the target needs the batch as axis 0, and its
/// values are not read. Where a term is 0 its gradient is 0, in the kink too.
///
/// PyTorch's `TripletMarginLoss` with its defaults: norm 2, eps 1e-6, margin 1. With [`swap`](Self::swap) the distance
/// d(p, n) stands for d(a, n) where it is smaller (Balntas and others, 2016).
///
/// ```
/// use layerwise::losses::{Loss, TripletMargin};
/// use layerwise::to_tensor;
/// use ndarray::array;
/// let triplets = to_tensor::<f64, _, _, _>(&array![[[0.0], [1.0], [0.5]], [[0.0], [0.0], [9.0]]])?;
/// let loss = TripletMargin::new().epsilon(0.0);
/// let (loss, gradient) = loss.evaluate(&triplets, &to_tensor(&array![0, 0])?, None)?;
/// assert_eq!(loss, 1.5 / 2.0);
/// assert_eq!(gradient, to_tensor(&array![[[0.0], [0.5], [-0.5]], [[0.0], [0.0], [0.0]]])?);
/// # Ok::<(), layerwise::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct TripletMargin {
    reduction: Reduction,
    margin: f64,
    norm: f64,
    epsilon: f64,
    swap: bool,
}

impl Default for TripletMargin {
    fn default() -> Self {
        TripletMargin { reduction: Reduction::Mean, margin: 1.0, norm: 2.0, epsilon: 1e-6, swap: false }
    }
}

impl TripletMargin {
    /// The mean over all triplets, of Euclidean distances, with a margin of 1.
    pub fn new() -> Self {
        Self::default()
    }

    reduction_method!();

    /// By how much the other sort should be farther away, above 0. Default: 1.
    #[must_use]
    pub fn margin(mut self, margin: f64) -> Self {
        self.margin = margin;
        self
    }

    /// The exponent of the distance, a finite number of at least 1; PyTorch's `p`. Default: 2.
    #[must_use]
    pub fn norm(mut self, norm: f64) -> Self {
        self.norm = norm;
        self
    }

    /// What is added to each difference, at least 0. Default: 1e-6.
    #[must_use]
    pub fn epsilon(mut self, epsilon: f64) -> Self {
        self.epsilon = epsilon;
        self
    }

    /// Whether the nearer of anchor and positive sample is held against the negative one. Default: no.
    #[must_use]
    pub fn swap(mut self, swap: bool) -> Self {
        self.swap = swap;
        self
    }

    fn distance<A: Scalar>(&self, x: &[A], y: &[A]) -> A {
        let (epsilon, norm) = (A::of(self.epsilon), A::of(self.norm));
        let power = |v: A| if self.norm == 2.0 { v * v } else { v.abs().powf(norm) };
        let sum = x.iter().zip(y).map(|(&x, &y)| power(x - y + epsilon)).sum::<A>();
        if self.norm == 2.0 { sum.sqrt() } else { sum.powf(A::one() / norm) }
    }

    /// The derivative of a distance d with respect to the coordinates x and y, which is that of y negated:
    /// sign(v) (|v| / d)^(norm - 1), with v = x - y + eps.
    fn slope<A: Scalar>(&self, x: A, y: A, d: A) -> A {
        let v = x - y + A::of(self.epsilon);
        if v == A::zero() {
            return A::zero(); // d may be 0 as well
        }
        sign(v) * (v.abs() / d).powf(A::of(self.norm - 1.0))
    }

    /// One triplet.
    fn triplet<A: Scalar>(&self, x: &[A], gradient: &mut [A]) -> A {
        let width = x.len() / 3;
        let (anchor, positive, negative) = (&x[..width], &x[width..2 * width], &x[2 * width..]);
        let (near, far) = (self.distance(anchor, positive), self.distance(anchor, negative));
        let other = if self.swap { self.distance(positive, negative) } else { A::infinity() };
        // How much of the push is between p and n: two distances that are equal share it, as in PyTorch.
        let share = A::of(if other < far {
            1.0
        } else if other == far {
            0.5
        } else {
            0.0
        });
        let away = if other < far { other } else { far };
        let term = near - away + A::of(self.margin);
        gradient.fill(A::zero());
        if term <= A::zero() {
            return A::zero();
        }
        for i in 0..width {
            let pull = self.slope(anchor[i], positive[i], near);
            let push = (A::one() - share) * self.slope(anchor[i], negative[i], far);
            let of_other = share * self.slope(positive[i], negative[i], other);
            gradient[i] = pull - push;
            gradient[width + i] = -pull - of_other;
            gradient[2 * width + i] = push + of_other;
        }
        term
    }
}

impl<A: Scalar> Formula<A> for TripletMargin {
    fn settings(&self) -> Value {
        json!({ "margin": self.margin, "norm": self.norm, "epsilon": self.epsilon, "swap": self.swap })
    }

    fn rows(&self, output: &[usize], target: &[usize]) -> Result<Rows> {
        check_positive("margin", self.margin)?;
        check_not_negative("epsilon", self.epsilon)?;
        if !(self.norm.is_finite() && self.norm >= 1.0) {
            return Err(Error::setting("norm", "a finite number of at least 1", self.norm));
        }
        let rows = embeddings::rows("TripletMargin", output, 3)?;
        match target.first() {
            Some(&batch) if batch == rows.batch => Ok(rows),
            _ => Err(Error::shape("target", format!("({}, ...), whose values are not read", rows.batch), target)),
        }
    }

    fn terms(&self, _: &Rows) -> usize {
        1
    }

    fn term_shape(&self, output: &[usize]) -> Vec<usize> {
        output[..1].to_vec()
    }

    fn write(&self, call: Call<'_, A>, _: &mut Context<A>) -> Result<()> {
        let width = call.rows.features;
        for ((x, gradient), term) in
            call.x.chunks_exact(width).zip(call.gradient.chunks_exact_mut(width)).zip(call.terms)
        {
            *term = self.triplet(x, gradient);
        }
        Ok(())
    }
}

loss!(TripletMargin);
