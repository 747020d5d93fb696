use serde_json::{Value, json};

use super::{Activation, resolve_axis};
use crate::context::Context;
use crate::cost::Cost;
use crate::error::Result;
use crate::io::Settings;
use crate::kernels::permute::permute;
use crate::layer::{Layer, Needs};
use crate::scalar::Scalar;
use crate::tensor::{Tensor, values, values_mut};

/// Softmax over any axis: y_i = exp(x_i) / sum_j exp(x_j).
///
/// The axis counts the batch as axis 0, or from the end if negative; the default is the last, where
/// [`Activation::Softmax`] does the same and can be fused. An axis without a number that is above -inf becomes NaN, as
/// in PyTorch.
///
/// dx = y (dy - sum_j y_j dy_j).
///
/// ```
/// use layerwise::layers::Softmax;
/// use layerwise::prelude::*;
///
/// let mut model = Sequential::new().add(Softmax::new().axis(1)); // over time in (batch, time, features)
/// model.initialize(&[2, 1], 0)?;
/// let y = model.predict(&ndarray::array![[[1e4_f32], [1e4]]])?;
/// assert_eq!(y, ndarray::array![[[0.5], [0.5]]].into_dyn());
/// # Ok::<(), Error>(())
/// ```
pub type Softmax = SoftmaxOver<false>;

/// The logarithm of [`Softmax`] over any axis: y_i = x_i - ln(sum_j exp(x_j)), which is exact where the softmax is 0.
///
/// dx = dy - exp(y) sum_j dy_j.
///
/// ```
/// use layerwise::layers::LogSoftmax;
/// use layerwise::prelude::*;
///
/// let mut model = Sequential::new().add(LogSoftmax::new());
/// model.initialize(&[2], 0)?;
/// let y = model.predict(&ndarray::array![[1e4_f32, 0.0]])?;
/// assert_eq!(y, ndarray::array![[0.0, -1e4]].into_dyn());
/// # Ok::<(), Error>(())
/// ```
pub type LogSoftmax = SoftmaxOver<true>;

/// What [`Softmax`] and [`LogSoftmax`] are.
#[derive(Clone, Copy, Debug)]
pub struct SoftmaxOver<const LOG: bool> {
    axis: isize,
}

impl<const LOG: bool> SoftmaxOver<LOG> {
    pub(super) const KIND: &'static str = if LOG { "LogSoftmaxOver" } else { "SoftmaxOver" };
    const ROWS: Activation = if LOG { Activation::LogSoftmax } else { Activation::Softmax };

    /// Over the last axis.
    pub fn new() -> Self {
        SoftmaxOver { axis: -1 }
    }

    /// Over this axis.
    #[must_use]
    pub fn axis(mut self, axis: isize) -> Self {
        self.axis = axis;
        self
    }

    /// A batch as three axes, of which the one in the middle is that of the softmax.
    fn extents(self, shape: &[usize]) -> Result<[usize; 3]> {
        let axis = resolve_axis(Self::KIND, self.axis, shape.len())?;
        Ok([shape[..axis].iter().product(), shape[axis], shape[axis + 1..].iter().product()])
    }

    pub(super) fn from_config<A: Scalar>(settings: &Settings<'_, A>) -> Result<Self> {
        Ok(SoftmaxOver { axis: settings.get("axis")? })
    }
}

impl<const LOG: bool> Default for SoftmaxOver<LOG> {
    fn default() -> Self {
        Self::new()
    }
}

/// The values in the order that they have with the last two of three axes exchanged, in the shape of `x`.
fn turned<A: Scalar>(x: &Tensor<A>, extents: [usize; 3], ctx: &mut Context<A>) -> Result<Tensor<A>> {
    let mut y = ctx.tensor(x.shape());
    permute(values(x)?, &extents, &[0, 2, 1], values_mut(&mut y));
    Ok(y)
}

impl<A: Scalar, const LOG: bool> Layer<A> for SoftmaxOver<LOG> {
    fn kind(&self) -> &str {
        Self::KIND
    }

    fn config(&self) -> Value {
        json!({ "axis": self.axis })
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        // Samples have no batch axis.
        resolve_axis(Self::KIND, self.axis, input.len() + 1)?;
        Ok(input.to_vec())
    }

    fn cost(&self, input: &[usize], output: &[usize]) -> Result<Cost> {
        Layer::<A>::cost(&Self::ROWS, input, output)
    }

    fn forward(&self, x: &Tensor<A>, ctx: &mut Context<A>) -> Result<Tensor<A>> {
        let [outer, width, inner] = self.extents(x.shape())?;
        if inner == 1 {
            let mut y = ctx.tensor(x.shape());
            Self::ROWS.apply(values(x)?, values_mut(&mut y), width);
            return Ok(y);
        }
        let mut rows = turned(x, [outer, width, inner], ctx)?;
        Self::ROWS.apply_in_place(values_mut(&mut rows), width);
        let y = turned(&rows, [outer, inner, width], ctx)?;
        ctx.recycle(rows);
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
        if !want_dx {
            return Ok(None);
        }
        let [outer, width, inner] = self.extents(dy.shape())?;
        let mut dx = ctx.tensor(dy.shape());
        if inner == 1 {
            Self::ROWS.gradient(values(y)?, values(dy)?, values_mut(&mut dx), width);
            return Ok(Some(dx));
        }
        let rows = turned(y, [outer, width, inner], ctx)?;
        let d_rows = turned(dy, [outer, width, inner], ctx)?;
        Self::ROWS.gradient(values(&rows)?, values(&d_rows)?, values_mut(&mut dx), width);
        let turned_back = turned(&dx, [outer, inner, width], ctx)?;
        for used in [rows, d_rows, dx] {
            ctx.recycle(used);
        }
        Ok(Some(turned_back))
    }

    fn keeps_mask(&self) -> bool {
        true
    }

    fn needs(&self) -> Needs {
        Needs::OUTPUT
    }
}
