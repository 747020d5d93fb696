//! Penalties on weights that are added to the loss.

use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::io::{Fields, Place, Setting, real};
use crate::kernels::gemm::{Ending, Matrix, gemm};
use crate::kernels::{reduce, update};
use crate::scalar::Scalar;

/// The numbers of a weight that are treated at once, so that they are read from memory once.
const CHUNK: usize = 2048;

/// The directions of rows whose products with all others are held at once: memory grows with the rows, not with their
/// square.
const BLOCK: usize = 64;

/// What a weight adds to the loss, so that it stays small or its rows stay different (Keras's regularizers).
///
/// A [`Trainer`](crate::Trainer) adds the penalties of all weights that are not frozen to the loss that it reports, in
/// training and in evaluation, and their gradients to those of the weights, before any clipping. A penalty is for the
/// whole weight, once a batch, whatever the batch's size; tied weights pay once.
///
/// Layers have a builder method for each of their large weights; [`Param::set_regularizer`](crate::Param::set_regularizer)
/// is for any weight.
///
/// Unlike an optimizer's `weight_decay` it is part of the loss: the two agree for plain SGD, where a decay of d is
/// `L2(d / 2)`.
///
/// ```
/// use layerwise::prelude::*;
///
/// let model = Sequential::new()
///     .add(Dense::new(64).activation(Activation::Relu).weight_regularizer(Regularizer::L2(1e-4)))
///     .add(Dense::new(3).bias_regularizer(Regularizer::L1(1e-3)));
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
#[non_exhaustive]
pub enum Regularizer {
    /// factor * sum |w|, whose gradient is factor * sign(w), and 0 at 0. Keras's default factor is 0.01.
    L1(f64),
    /// factor * sum w², whose gradient is 2 factor w (no half in it, as in Keras). Keras's default factor is 0.01.
    L2(f64),
    /// The sum of both.
    L1L2 {
        /// The factor of sum |w|.
        l1: f64,
        /// The factor of sum w².
        l2: f64,
    },
    /// factor * the mean of |cosine| over all pairs of rows of a matrix (Keras's `OrthogonalRegularizer`, default factor
    /// 0.01): 0 where all rows are orthogonal, factor where all are parallel. With directions u_i = w_i / |w_i|, n rows
    /// and g_i = factor / (n (n - 1) / 2) * sum over j of sign(u_i u_j) u_j, the gradient of row i is
    /// (g_i - (g_i u_i) u_i) / |w_i|. A row of zeros has no direction: it counts as orthogonal, with a gradient of 0.
    OrthogonalRows(f64),
    /// The same of the columns.
    OrthogonalColumns(f64),
}

impl Regularizer {
    fn name(&self) -> &'static str {
        match self {
            Regularizer::L1(_) => "L1",
            Regularizer::L2(_) => "L2",
            Regularizer::L1L2 { .. } => "L1L2",
            Regularizer::OrthogonalRows(_) => "OrthogonalRows",
            Regularizer::OrthogonalColumns(_) => "OrthogonalColumns",
        }
    }

    /// Refuses factors that are none, and weights that it is not for.
    ///
    /// # Errors
    /// [`Error::Setting`] for a factor, [`Error::Shape`] for a weight.
    pub(crate) fn check(&self, shape: &[usize]) -> Result<()> {
        let (first, second) = match *self {
            Regularizer::L1L2 { l1, l2 } => (l1, l2),
            Regularizer::L1(factor)
            | Regularizer::L2(factor)
            | Regularizer::OrthogonalRows(factor)
            | Regularizer::OrthogonalColumns(factor) => (factor, 0.0),
        };
        if let Some(factor) = [first, second].into_iter().find(|factor| !(factor.is_finite() && *factor >= 0.0)) {
            return Err(Error::setting(format!("factor of {}", self.name()), "a finite number of at least 0", factor));
        }
        let (axis, whose) = match self {
            Regularizer::OrthogonalRows(_) => (0, "rows"),
            Regularizer::OrthogonalColumns(_) => (1, "columns"),
            _ => return Ok(()),
        };
        match shape {
            [_, _] if shape[axis] >= 2 => Ok(()),
            _ => {
                let expected = format!("a matrix of at least 2 {whose} for {}", self.name());
                Err(Error::shape("weight", expected, shape))
            }
        }
    }

    /// The penalty of a weight, whose gradient is added to `gradient` where there is one. The weight was
    /// [checked](Self::check); `scratch` is memory to use again.
    pub(crate) fn apply<A: Scalar>(
        &self,
        w: &[A],
        shape: &[usize],
        gradient: Option<&mut [A]>,
        scratch: &mut Vec<A>,
    ) -> f64 {
        let (l1, l2) = match *self {
            Regularizer::L1(factor) => (factor, 0.0),
            Regularizer::L2(factor) => (0.0, factor),
            Regularizer::L1L2 { l1, l2 } => (l1, l2),
            Regularizer::OrthogonalRows(factor) => {
                let vectors = Vectors { count: shape[0], length: shape[1], step: shape[1], stride: 1 };
                return vectors.apply(factor, w, gradient, scratch);
            }
            Regularizer::OrthogonalColumns(factor) => {
                let vectors = Vectors { count: shape[1], length: shape[0], step: 1, stride: shape[1] };
                return vectors.apply(factor, w, gradient, scratch);
            }
        };
        let sum = |w: &[A]| reduce::sum_of_penalties(w, A::of(l1), A::of(l2)).as_f64();
        let parts = w.chunks(CHUNK);
        let Some(gradient) = gradient else { return parts.map(sum).sum() };
        let both = gradient.chunks_mut(CHUNK).zip(parts).map(|(gradient, w)| {
            update::penalize(gradient, w, A::of(l1), A::of(2.0 * l2));
            sum(w)
        });
        both.sum()
    }

    /// As a setting in a file.
    pub(crate) fn describe(&self) -> Value {
        let name = self.name();
        match *self {
            Regularizer::L1L2 { l1, l2 } => json!({ "name": name, "l1": real(l1), "l2": real(l2) }),
            Regularizer::L1(factor)
            | Regularizer::L2(factor)
            | Regularizer::OrthogonalRows(factor)
            | Regularizer::OrthogonalColumns(factor) => json!({ "name": name, "factor": real(factor) }),
        }
    }
}

impl Setting for Regularizer {
    fn read(value: &Value, place: Place<'_>) -> Result<Self> {
        let fields = Fields::of(value, place)?;
        let name: String = fields.get("name")?;
        let regularizer = match &name[..] {
            "L1" => Regularizer::L1(fields.get("factor")?),
            "L2" => Regularizer::L2(fields.get("factor")?),
            "L1L2" => Regularizer::L1L2 { l1: fields.get("l1")?, l2: fields.get("l2")? },
            "OrthogonalRows" => Regularizer::OrthogonalRows(fields.get("factor")?),
            "OrthogonalColumns" => Regularizer::OrthogonalColumns(fields.get("factor")?),
            _ => return Err(place.refuse("an object with the name of a regularizer", value)),
        };
        fields.finish()?;
        Ok(regularizer)
    }
}

/// Rows or columns of a matrix.
#[derive(Clone, Copy)]
struct Vectors {
    count: usize,
    length: usize,
    /// From one vector to the next.
    step: usize,
    /// From one of its numbers to the next.
    stride: usize,
}

impl Vectors {
    /// The mean |cosine| of all pairs times `factor`, and its gradient.
    fn apply<A: Scalar>(self, factor: f64, w: &[A], gradient: Option<&mut [A]>, scratch: &mut Vec<A>) -> f64 {
        let (count, length) = (self.count, self.length);
        scratch.resize(count * (length + 1) + BLOCK * (count + length), A::zero());
        let (directions, rest) = scratch.split_at_mut(count * length);
        let (norms, rest) = rest.split_at_mut(count);
        let (products, sums) = rest.split_at_mut(BLOCK * count);
        self.normalize(w, directions, norms);
        let each = factor / (count as f64 * (count as f64 - 1.0) / 2.0);
        let all = Matrix::row_major(directions, count, length);
        let (mut total, mut gradient) = (0.0, gradient);
        for start in (0..count).step_by(BLOCK) {
            let rows = BLOCK.min(count - start);
            let products = &mut products[..rows * count];
            let block = Matrix::row_major(&directions[start * length..][..rows * length], rows, length);
            gemm(block, all.t(), products, count, Ending::sum(A::zero()));
            (0..rows).for_each(|row| products[row * count + start + row] = A::zero());
            total += reduce::sum_of_penalties(products, A::one(), A::zero()).as_f64();
            let Some(gradient) = gradient.as_deref_mut() else { continue };
            products.iter_mut().for_each(|product| *product = sign(*product));
            let sums = &mut sums[..rows * length];
            gemm(Matrix::row_major(products, rows, count), all, sums, length, Ending::sum(A::zero()));
            for (row, sums) in sums.chunks_exact(length).enumerate() {
                let place = &directions[(start + row) * length..][..length];
                self.add_gradient(start + row, A::of(each), place, norms[start + row], sums, gradient);
            }
        }
        // Each pair was met twice.
        0.5 * each * total
    }

    /// Each vector by its norm, and the norms.
    fn normalize<A: Scalar>(self, w: &[A], directions: &mut [A], norms: &mut [A]) {
        for (vector, norm) in norms.iter_mut().enumerate() {
            let direction = &mut directions[vector * self.length..][..self.length];
            let numbers = w[vector * self.step..].iter().step_by(self.stride);
            direction.iter_mut().zip(numbers).for_each(|(to, &from)| *to = from);
            *norm = reduce::sum_of_squares(direction).sqrt();
            if *norm != A::zero() {
                direction.iter_mut().for_each(|number| *number /= *norm);
            }
        }
    }

    /// Adds factor * (sums - (sums u) u) / |w| for one vector w of the direction u.
    fn add_gradient<A: Scalar>(self, vector: usize, factor: A, u: &[A], norm: A, sums: &[A], gradient: &mut [A]) {
        if norm == A::zero() {
            return;
        }
        let along: A = sums.iter().zip(u).map(|(&sum, &u)| sum * u).sum();
        let places = gradient[vector * self.step..].iter_mut().step_by(self.stride);
        for ((place, &sum), &u) in places.zip(sums).zip(u) {
            *place += factor * (sum - along * u) / norm;
        }
    }
}

/// -1, 0 or 1; NaN for NaN.
fn sign<A: Scalar>(x: A) -> A {
    if x == A::zero() { x } else { x.signum() }
}
