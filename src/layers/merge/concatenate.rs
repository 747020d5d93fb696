use ndarray::Dimension;
use serde_json::{Value, json};

use super::super::resolve_axis;
use super::check_inputs;
use crate::context::Context;
use crate::cost::Cost;
use crate::error::{Error, Result};
use crate::io::Settings;
use crate::layer::Merge;
use crate::scalar::Scalar;
use crate::tensor::{Tensor, values, values_mut};

/// Two or more inputs one after the other along an axis; they must agree along the others.
///
/// The axis counts the batch as axis 0, as in Keras, or from the end if negative; the default is the last. Joining
/// batches (axis 0) is an error.
///
/// Every dx_i is its part of dy. Masks of the steps are joined with them along the time (axis 1); along another axis a
/// step counts if it does in any input.
///
/// ```
/// use layerwise::prelude::*;
///
/// let sequences = Concatenate::new(1); // (batch, 3, 8) and (batch, 5, 8) to (batch, 8, 8)
/// assert_eq!(Merge::<f32>::output_shape(&sequences, &[vec![3, 8], vec![5, 8]])?, [8, 8]);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Concatenate {
    axis: isize,
}

impl Concatenate {
    /// Along this axis.
    pub fn new(axis: isize) -> Self {
        Concatenate { axis }
    }

    /// The axis in tensors of `rank` axes, the batch among them.
    fn resolve(self, rank: usize) -> Result<usize> {
        resolve_axis("Concatenate", self.axis, rank)
    }

    pub(super) fn from_config<A: Scalar>(settings: &Settings<'_, A>) -> Result<Self> {
        Ok(Concatenate { axis: settings.get("axis")? })
    }
}

impl Default for Concatenate {
    fn default() -> Self {
        Concatenate { axis: -1 }
    }
}

/// Refuses a shape that differs from the first input's on another axis than `axis`.
fn check_others(number: usize, shape: &[usize], first: &[usize], axis: usize) -> Result<()> {
    let fits = |(at, (one, other)): (usize, (&usize, &usize))| at == axis || one == other;
    if shape.len() == first.len() && shape.iter().zip(first).enumerate().all(fits) {
        return Ok(());
    }
    let extents = first.iter().enumerate().map(|(at, extent)| if at == axis { "_".into() } else { extent.to_string() });
    let expected = format!("shape [{}] as input 0 has it", extents.collect::<Vec<_>>().join(", "));
    Err(Error::shape(format!("input {number}"), expected, shape))
}

impl<A: Scalar> Merge<A> for Concatenate {
    fn kind(&self) -> &str {
        "Concatenate"
    }

    fn config(&self) -> Value {
        json!({ "axis": self.axis })
    }

    fn output_shape(&self, inputs: &[Vec<usize>]) -> Result<Vec<usize>> {
        let (first, rest) = check_inputs("Concatenate", inputs)?;
        // Samples have no batch axis.
        let axis = self.resolve(first.len() + 1)? - 1;
        let mut output = first.clone();
        for (number, shape) in rest.iter().enumerate() {
            check_others(number + 1, shape, first, axis)?;
            output[axis] = output[axis].saturating_add(shape[axis]);
        }
        Ok(output)
    }

    fn cost(&self, _: &[Vec<usize>], _: &[usize]) -> Result<Cost> {
        Ok(Cost::of(0))
    }

    fn forward(&self, xs: &[Tensor<A>], ctx: &mut Context<A>) -> Result<Tensor<A>> {
        let (first, rest) = check_inputs("Concatenate", xs)?;
        let axis = self.resolve(first.ndim())?;
        let mut shape = first.raw_dim();
        for (number, x) in rest.iter().enumerate() {
            check_others(number + 1, x.shape(), first.shape(), axis)?;
            shape[axis] += x.shape()[axis];
        }
        let mut y = ctx.tensor(shape.slice());
        let row = block(y.shape(), axis);
        let mut start = 0;
        for x in xs {
            let part = block(x.shape(), axis);
            let rows = values_mut(&mut y).chunks_exact_mut(row.max(1));
            for (y, x) in rows.zip(values(x)?.chunks_exact(part.max(1))) {
                y[start..start + part].copy_from_slice(x);
            }
            start += part;
        }
        Ok(y)
    }

    fn backward(
        &self,
        xs: &[Tensor<A>],
        _: &Tensor<A>,
        dy: &Tensor<A>,
        want: &dyn Fn(usize) -> bool,
        dxs: &mut [Option<Tensor<A>>],
        ctx: &mut Context<A>,
    ) -> Result<()> {
        let axis = self.resolve(dy.ndim())?;
        let row = block(dy.shape(), axis);
        let mut start = 0;
        for (number, (x, dx)) in xs.iter().zip(dxs).enumerate() {
            let part = block(x.shape(), axis);
            if want(number) {
                let mut gradient = ctx.tensor(x.shape());
                let rows = values_mut(&mut gradient).chunks_exact_mut(part.max(1));
                for (dx, dy) in rows.zip(values(dy)?.chunks_exact(row.max(1))) {
                    dx.copy_from_slice(&dy[start..start + part]);
                }
                *dx = Some(gradient);
            }
            start += part;
        }
        Ok(())
    }

    fn join_masks(
        &self,
        xs: &[Tensor<A>],
        masks: &[Option<Tensor<A>>],
        ctx: &mut Context<A>,
    ) -> Result<Option<Tensor<A>>> {
        let (first, _) = check_inputs("Concatenate", xs)?;
        if self.resolve(first.ndim())? != 1 {
            return ctx.join_masks(masks);
        }
        let (batch, steps) = (first.shape()[0], xs.iter().map(|x| x.shape()[1]).sum());
        let mut joined = ctx.tensor(&[batch, steps]);
        // An input without a mask has no step to skip.
        values_mut(&mut joined).fill(A::one());
        let mut start = 0;
        for (x, mask) in xs.iter().zip(masks) {
            let part = x.shape()[1];
            if let Some(mask) = mask {
                let rows = values_mut(&mut joined).chunks_exact_mut(steps).zip(values(mask)?.chunks_exact(part));
                rows.for_each(|(joined, mask)| joined[start..start + part].copy_from_slice(mask));
            }
            start += part;
        }
        Ok(Some(joined))
    }
}

/// The number of values from `axis` on that lie together.
fn block(shape: &[usize], axis: usize) -> usize {
    shape[axis..].iter().product()
}
