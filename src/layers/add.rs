use super::check_inputs;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::kernels::elementwise;
use crate::layer::Merge;
use crate::scalar::Scalar;
use crate::tensor::{Tensor, values, values_mut};

/// y = x_0 + x_1 + ..., two or more inputs of one shape.
///
/// Every dx_i is dy.
///
/// ```
/// use layerwise::prelude::*;
///
/// let mut graph = Graph::new();
/// let x = graph.input();
/// let (a, b) = (graph.add(Dense::new(8), x), graph.add(Dense::new(8), x));
/// let sum = graph.merge(Add::new(), &[a, b]);
/// let model = graph.outputs(&[sum]);
/// assert_eq!(model.output_shape(&[4])?, [8]);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Add;

impl Add {
    /// The merge; it has no settings.
    pub fn new() -> Self {
        Add
    }
}

/// Refuses a shape that is not the first input's.
fn check_same(number: usize, shape: &[usize], first: &[usize]) -> Result<()> {
    if shape == first {
        return Ok(());
    }
    Err(Error::shape(format!("input {number}"), format!("shape {first:?} of input 0"), shape))
}

impl<A: Scalar> Merge<A> for Add {
    fn kind(&self) -> &str {
        "Add"
    }

    fn output_shape(&self, inputs: &[Vec<usize>]) -> Result<Vec<usize>> {
        let (first, rest) = check_inputs("Add", inputs)?;
        for (number, shape) in rest.iter().enumerate() {
            check_same(number + 1, shape, first)?;
        }
        Ok(first.clone())
    }

    fn forward(&self, xs: &[Tensor<A>], ctx: &mut Context<A>) -> Result<Tensor<A>> {
        let (first, rest) = check_inputs("Add", xs)?;
        for (number, x) in rest.iter().enumerate() {
            check_same(number + 1, x.shape(), first.shape())?;
        }
        let mut y = ctx.tensor(first.shape());
        elementwise::add(values(first)?, values(&rest[0])?, values_mut(&mut y));
        for x in &rest[1..] {
            elementwise::add_assign(values_mut(&mut y), values(x)?);
        }
        Ok(y)
    }

    fn backward(
        &self,
        _: &[Tensor<A>],
        _: &Tensor<A>,
        dy: &Tensor<A>,
        want: &dyn Fn(usize) -> bool,
        dxs: &mut [Option<Tensor<A>>],
        _: &mut Context<A>,
    ) -> Result<()> {
        for (number, dx) in dxs.iter_mut().enumerate() {
            *dx = want(number).then(|| dy.clone());
        }
        Ok(())
    }
}
