//! A loss that hands on the gradients of a layer as they are.

use layerwise::losses::Samples;
use layerwise::prelude::*;

/// A loss of 0 whose gradient is 1 for every output.
pub struct Ones;

impl<A: Scalar> Loss<A> for Ones {
    fn kind(&self) -> &str {
        "Ones"
    }

    fn denominator(&self, _: &[usize], _: &Tensor<A>, _: Option<&[A]>) -> Result<A> {
        Ok(A::one())
    }

    fn compute(
        &self,
        output: &Tensor<A>,
        _: &Tensor<A>,
        _: Samples<'_, A>,
        _: bool,
        _: &mut Context<A>,
    ) -> Result<(A, Option<Tensor<A>>)> {
        Ok((A::zero(), Some(Tensor::ones(output.raw_dim()))))
    }
}
