use super::reshaped;
use crate::context::Context;
use crate::cost::Cost;
use crate::error::{Error, Result};
use crate::layer::{Layer, Needs};
use crate::scalar::Scalar;
use crate::tensor::{Tensor, count};

/// All axes of a sample in one: `(batch, a, b, ...)` becomes `(batch, a b ...)`, in row-major order. Copies nothing.
///
/// ```
/// use layerwise::prelude::*;
///
/// assert_eq!(Layer::<f32>::output_shape(&Flatten::new(), &[28, 28, 1])?, [784]);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Flatten;

impl Flatten {
    /// The layer; it has no settings.
    pub fn new() -> Self {
        Flatten
    }
}

impl<A: Scalar> Layer<A> for Flatten {
    fn kind(&self) -> &str {
        "Flatten"
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        Ok(vec![count("input of one sample", input)?])
    }

    fn cost(&self, _: &[usize], _: &[usize]) -> Result<Cost> {
        Ok(Cost::view())
    }

    fn forward(&self, x: &Tensor<A>, _: &mut Context<A>) -> Result<Tensor<A>> {
        match x.shape() {
            [batch, sample @ ..] => reshaped(x, &[*batch, sample.iter().product()]),
            [] => Err(Error::shape("input", "a batch axis", x.shape())),
        }
    }

    fn backward(
        &self,
        x: &Tensor<A>,
        _: &Tensor<A>,
        dy: &Tensor<A>,
        want_dx: bool,
        _: &mut Context<A>,
    ) -> Result<Option<Tensor<A>>> {
        want_dx.then(|| reshaped(dy, x.shape())).transpose()
    }

    /// The input for its shape alone: it is the same memory as the output.
    fn needs(&self) -> Needs {
        Needs::INPUT
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::IxDyn;

    #[test]
    fn shares_the_values_both_ways() -> Result<()> {
        let x = Tensor::<f32>::zeros(IxDyn(&[2, 3, 4]));
        let ctx = &mut Context::inference();
        let y = Flatten.forward(&x, ctx)?;
        let dx = Flatten.backward(&x, &y, &y, true, ctx)?;
        assert_eq!((y.shape(), y.as_ptr()), (&[2, 12][..], x.as_ptr()));
        assert_eq!(dx.map(|dx| dx.as_ptr()), Some(x.as_ptr()));
        Ok(())
    }
}
