use crate::context::Context;
use crate::cost::Cost;
use crate::error::Result;
use crate::layer::{Layer, Needs};
use crate::scalar::Scalar;
use crate::tensor::Tensor;

/// y = x, and dx = dy: a place to name in a graph, or to put another layer into later. Any shape; copies nothing.
///
/// ```
/// use layerwise::layers::Identity;
/// use layerwise::prelude::*;
///
/// let shortcut = Residual::new(Dense::new(4)).projection(Identity::new());
/// assert_eq!(shortcut.output_shape(&[4])?, [4]);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Identity;

impl Identity {
    /// The layer; it has no settings.
    pub fn new() -> Self {
        Identity
    }
}

impl<A: Scalar> Layer<A> for Identity {
    fn kind(&self) -> &str {
        "Identity"
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        Ok(input.to_vec())
    }

    fn cost(&self, _: &[usize], _: &[usize]) -> Result<Cost> {
        Ok(Cost::view())
    }

    fn forward(&self, x: &Tensor<A>, _: &mut Context<A>) -> Result<Tensor<A>> {
        Ok(x.clone())
    }

    fn backward(
        &self,
        _: &Tensor<A>,
        _: &Tensor<A>,
        dy: &Tensor<A>,
        want_dx: bool,
        _: &mut Context<A>,
    ) -> Result<Option<Tensor<A>>> {
        Ok(want_dx.then(|| dy.clone()))
    }

    fn needs(&self) -> Needs {
        Needs::NEITHER
    }

    fn keeps_mask(&self) -> bool {
        true
    }
}
