use ndarray::{Dimension, IxDyn};
use serde_json::{Value, json};

use super::reshaped;
use crate::context::Context;
use crate::cost::Cost;
use crate::error::{Error, Result};
use crate::io::Settings;
use crate::layer::{Layer, Needs};
use crate::scalar::Scalar;
use crate::tensor::{Tensor, count};

/// The values of each sample in another shape, in row-major order: `(batch, ...)` becomes `(batch, shape...)`. Copies
/// nothing.
///
/// One extent may be -1: it follows from the number of values, as in Keras and PyTorch.
///
/// ```
/// use layerwise::prelude::*;
///
/// assert_eq!(Layer::<f32>::output_shape(&Reshape::new([28, 28, 1]), &[784])?, [28, 28, 1]);
/// assert_eq!(Layer::<f32>::output_shape(&Reshape::new([-1, 8]), &[4, 6])?, [3, 8]);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Reshape {
    shape: Vec<isize>,
}

impl Reshape {
    /// To samples of this shape, without the batch.
    pub fn new(shape: impl Into<Vec<isize>>) -> Self {
        Reshape { shape: shape.into() }
    }

    /// The shape of a batch whose samples have the shape `sample`.
    fn resolve(&self, batch: usize, sample: &[usize]) -> Result<IxDyn> {
        let inferred = self.shape.iter().filter(|&&extent| extent == -1).count();
        if inferred > 1 || self.shape.iter().any(|&extent| extent == 0 || extent < -1) {
            let requirement = "made of positive numbers and at most one -1";
            return Err(Error::setting("shape of Reshape", requirement, format!("{:?}", self.shape)));
        }
        let known = self.shape.iter().filter(|&&extent| extent > 0);
        // A product that no number holds is no sample's.
        let known = known.fold(1_usize, |known, &extent| known.saturating_mul(extent as usize));
        let count = count("input of one sample", sample)?;
        let fits = if inferred == 1 { count > 0 && count.is_multiple_of(known) } else { count == known };
        if !fits {
            let times = if inferred == 1 { "a multiple of " } else { "" };
            let expected = format!("{times}{known} values for shape {:?}", self.shape);
            return Err(Error::shape("input of one sample", expected, sample));
        }
        let mut shape = IxDyn::zeros(self.shape.len() + 1);
        shape[0] = batch;
        for (axis, &extent) in self.shape.iter().enumerate() {
            shape[axis + 1] = if extent > 0 { extent as usize } else { count / known };
        }
        Ok(shape)
    }

    pub(super) fn from_config<A: Scalar>(settings: &Settings<'_, A>) -> Result<Self> {
        Ok(Reshape { shape: settings.get("shape")? })
    }
}

impl<A: Scalar> Layer<A> for Reshape {
    fn kind(&self) -> &str {
        "Reshape"
    }

    fn config(&self) -> Value {
        json!({ "shape": self.shape })
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        Ok(self.resolve(1, input)?.slice()[1..].to_vec())
    }

    fn cost(&self, _: &[usize], _: &[usize]) -> Result<Cost> {
        Ok(Cost::view())
    }

    fn forward(&self, x: &Tensor<A>, _: &mut Context<A>) -> Result<Tensor<A>> {
        match x.shape() {
            [batch, sample @ ..] => reshaped(x, self.resolve(*batch, sample)?.slice()),
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

    #[test]
    fn shares_the_values_both_ways() -> Result<()> {
        let x = Tensor::<f32>::zeros(IxDyn(&[2, 3, 4]));
        let (layer, ctx) = (Reshape::new([2, -1]), &mut Context::inference());
        let y = layer.forward(&x, ctx)?;
        let dx = layer.backward(&x, &y, &y, true, ctx)?;
        assert_eq!((y.shape(), y.as_ptr()), (&[2, 2, 6][..], x.as_ptr()));
        assert_eq!(dx.map(|dx| dx.as_ptr()), Some(x.as_ptr()));
        Ok(())
    }
}
