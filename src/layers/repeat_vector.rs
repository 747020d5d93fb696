use serde_json::{Value, json};

use crate::context::Context;
use crate::cost::Cost;
use crate::error::{Error, Result};
use crate::io::Settings;
use crate::kernels::reduce::add_columns;
use crate::layer::{Layer, Needs};
use crate::scalar::Scalar;
use crate::tensor::{Tensor, values, values_mut};

/// Each sample n times, as the steps of a sequence: `(batch, features)` becomes `(batch, n, features)`.
///
/// dx is the sum of dy over the steps. Stands between an encoder that gives one vector and a decoder of sequences.
///
/// ```
/// use layerwise::layers::RepeatVector;
/// use layerwise::prelude::*;
///
/// let model = Sequential::new()
///     .add(SimpleRnn::new(16))
///     .add(RepeatVector::new(7))
///     .add(SimpleRnn::new(16).return_sequences())
///     .add(Dense::new(2));
/// assert_eq!(model.output_shape(&[10, 3])?, [7, 2]);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct RepeatVector {
    times: usize,
}

impl RepeatVector {
    /// With the number of steps, at least 1.
    pub fn new(times: usize) -> Self {
        RepeatVector { times }
    }

    fn check(self, features: &[usize], got: &[usize], expected: &str) -> Result<usize> {
        match (self.times, features) {
            (0, _) => Err(Error::setting("times of RepeatVector", "at least 1", 0)),
            (_, &[features]) if features > 0 => Ok(features),
            _ => Err(Error::shape("input", expected, got)),
        }
    }

    pub(super) fn from_config<A: Scalar>(settings: &Settings<'_, A>) -> Result<Self> {
        Ok(RepeatVector { times: settings.get("times")? })
    }
}

impl<A: Scalar> Layer<A> for RepeatVector {
    fn kind(&self) -> &str {
        "RepeatVector"
    }

    fn config(&self) -> Value {
        json!({ "times": self.times })
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        Ok(vec![self.times, self.check(input, input, "shape (features) of one sample")?])
    }

    fn cost(&self, _: &[usize], _: &[usize]) -> Result<Cost> {
        Ok(Cost::of(0))
    }

    fn forward(&self, x: &Tensor<A>, ctx: &mut Context<A>) -> Result<Tensor<A>> {
        let sample = x.shape().get(1..).unwrap_or_default();
        let features = self.check(sample, x.shape(), "shape (batch, features)")?;
        let mut y = ctx.tensor(&[x.shape()[0], self.times, features]);
        let samples = values_mut(&mut y).chunks_exact_mut(self.times * features);
        for (y, x) in samples.zip(values(x)?.chunks_exact(features)) {
            y.chunks_exact_mut(features).for_each(|step| step.copy_from_slice(x));
        }
        Ok(y)
    }

    fn backward(
        &self,
        _: &Tensor<A>,
        _: &Tensor<A>,
        dy: &Tensor<A>,
        want_dx: bool,
        ctx: &mut Context<A>,
    ) -> Result<Option<Tensor<A>>> {
        if !want_dx {
            return Ok(None);
        }
        let features = dy.shape()[2];
        let mut dx = ctx.zeros(&[dy.shape()[0], features]);
        let samples = values_mut(&mut dx).chunks_exact_mut(features);
        for (dx, dy) in samples.zip(values(dy)?.chunks_exact(self.times * features)) {
            add_columns(dy, dx);
        }
        Ok(Some(dx))
    }

    fn needs(&self) -> Needs {
        Needs::NEITHER
    }
}
