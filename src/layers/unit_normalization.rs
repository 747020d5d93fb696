use serde_json::{Value, json};

use super::resolve_axis;
use crate::context::Context;
use crate::cost::{Cost, product};
use crate::error::{Error, Result};
use crate::io::Settings;
use crate::kernels::elementwise::{group_gradient, scale_channels};
use crate::kernels::reduce::{add_centered_products, add_squared_deviations};
use crate::layer::{Layer, Needs};
use crate::scalar::Scalar;
use crate::tensor::{Tensor, count, values, values_mut};

/// y = x / max(|x|, 1e-12), the norm |x| being the root of the sum of squares along an axis: vectors of length 1.
///
/// Any shape; the axis counts the batch as axis 0, as in Keras, or from the end if negative; the default is the last.
/// The batch itself (axis 0) is an error. dx = (dy - y sum y dy) / |x|, and dy / 1e-12 where |x| is below 1e-12, as in
/// PyTorch's `normalize`.
///
/// ```
/// use layerwise::layers::UnitNormalization;
/// use layerwise::prelude::*;
/// use ndarray::array;
///
/// let mut layer = UnitNormalization::new();
/// Model::<f32>::initialize(&mut layer, &[2], 0)?;
/// let y: Tensor = layer.predict(&array![[6.0_f32, 8.0], [0.0, 0.0]])?;
/// assert!((y[[0, 0]] - 0.6).abs() < 1e-6 && (y[[0, 1]] - 0.8).abs() < 1e-6 && y[[1, 0]] == 0.0);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct UnitNormalization {
    axis: isize,
}

/// Keras's and PyTorch's.
const LEAST_NORM: f64 = 1e-12;

impl UnitNormalization {
    /// Along the last axis.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        UnitNormalization { axis: -1 }
    }

    /// Along another axis.
    #[must_use]
    pub fn axis(mut self, axis: isize) -> Self {
        self.axis = axis;
        self
    }

    /// The vectors of a batch of this shape.
    fn vectors(self, shape: &[usize]) -> Result<Vectors> {
        let axis = resolve_axis("UnitNormalization", self.axis, shape.len())?;
        let (length, stride) = (shape[axis], shape[axis + 1..].iter().product());
        if length == 0 || stride == 0 {
            return Err(Error::shape("input", "at least one value in each sample", shape));
        }
        Ok(Vectors { length, stride, least: LEAST_NORM })
    }

    pub(super) fn from_config<A: Scalar>(settings: &Settings<'_, A>) -> Result<Self> {
        Ok(UnitNormalization { axis: settings.get("axis")? })
    }
}

/// How vectors lie in an array: `stride` of them beside each other, element after element.
#[derive(Clone, Copy)]
pub(super) struct Vectors {
    pub(super) length: usize,
    pub(super) stride: usize,
    /// What a smaller norm counts as.
    pub(super) least: f64,
}

impl Vectors {
    /// y = x / max(|x|, least), and one over that maximum for each vector.
    pub(super) fn normalize<A: Scalar>(self, x: &[A], y: &mut [A], inverse: &mut [A], zeros: &[A]) {
        let block = self.length * self.stride;
        let blocks = x.chunks_exact(block).zip(y.chunks_exact_mut(block));
        for ((x, y), inverse) in blocks.zip(inverse.chunks_exact_mut(self.stride)) {
            inverse.fill(A::zero());
            add_squared_deviations(x, zeros, inverse);
            let most = A::of(1.0 / self.least);
            for inverse in inverse.iter_mut() {
                let over = A::one() / inverse.sqrt();
                *inverse = if over > most { most } else { over };
            }
            scale_channels(x, y, inverse);
        }
    }

    /// dx = (dy - y sum y dy) / |x|; without the sum where |x| counts as more than it is.
    pub(super) fn gradient<A: Scalar>(self, y: &[A], dy: &[A], inverse: &[A], dx: &mut [A], work: &mut [A]) {
        let block = self.length * self.stride;
        let (zeros, slope) = work.split_at_mut(self.stride);
        zeros.fill(A::zero());
        let blocks = y.chunks_exact(block).zip(dy.chunks_exact(block)).zip(dx.chunks_exact_mut(block));
        for (((y, dy), dx), inverse) in blocks.zip(inverse.chunks_exact(self.stride)) {
            slope.fill(A::zero());
            add_centered_products(y, dy, zeros, slope);
            for (slope, &inverse) in slope.iter_mut().zip(inverse) {
                *slope = if inverse == A::of(1.0 / self.least) { A::zero() } else { *slope * inverse };
            }
            group_gradient(y, dy, dx, zeros, inverse, zeros, slope);
        }
    }
}

impl<A: Scalar> Layer<A> for UnitNormalization {
    fn kind(&self) -> &str {
        "UnitNormalization"
    }

    fn config(&self) -> Value {
        json!({ "axis": self.axis })
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        count("input of one sample", input)?;
        self.vectors(&[&[1], input].concat())?;
        Ok(input.to_vec())
    }

    /// A square, a sum and a product.
    fn cost(&self, input: &[usize], output: &[usize]) -> Result<Cost> {
        Layer::<A>::output_shape(self, input)?;
        let (values, vectors) = (product(output), self.vectors(&[&[1], input].concat())?);
        Ok(Cost::of(values.saturating_mul(3)).saving(values / vectors.length as u64))
    }

    fn forward(&self, x: &Tensor<A>, ctx: &mut Context<A>) -> Result<Tensor<A>> {
        let vectors = self.vectors(x.shape())?;
        let mut inverse = ctx.tensor(&[x.len() / vectors.length]);
        let (zeros, mut y) = (ctx.zeros(&[vectors.stride]), ctx.tensor(x.shape()));
        vectors.normalize(values(x)?, values_mut(&mut y), values_mut(&mut inverse), values(&zeros)?);
        ctx.recycle(zeros);
        ctx.save(inverse);
        Ok(y)
    }

    fn backward(
        &self,
        _: &Tensor<A>,
        y: &Tensor<A>,
        dy: &Tensor<A>,
        want_dx: bool,
        ctx: &mut Context<A>,
    ) -> Result<Option<Tensor<A>>> {
        let inverse = ctx.restore();
        let mut dx = None;
        if want_dx {
            let vectors = self.vectors(y.shape())?;
            let (mut work, mut gradient) = (ctx.tensor(&[2, vectors.stride]), ctx.tensor(y.shape()));
            let (inverse, work_values) = (values(&inverse)?, values_mut(&mut work));
            vectors.gradient(values(y)?, values(dy)?, inverse, values_mut(&mut gradient), work_values);
            ctx.recycle(work);
            dx = Some(gradient);
        }
        ctx.recycle(inverse);
        Ok(dx)
    }

    fn needs(&self) -> Needs {
        Needs::OUTPUT
    }

    fn keeps_mask(&self) -> bool {
        true
    }
}
