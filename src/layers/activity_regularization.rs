use serde_json::{Value, json};

use crate::context::Context;
use crate::cost::Cost;
use crate::error::{Error, Result};
use crate::io::Settings;
use crate::layer::{Layer, Needs};
use crate::scalar::Scalar;
use crate::tensor::{Tensor, values, values_mut};

/// y = x, with a price on what flows through: (l1 sum |x| + l2 sum x^2) / batch is added to the loss.
///
/// The sums are over all values of all samples, and the division is by the number of samples in the whole batch, as in
/// Keras 3. Sample weights and the weights of several losses do not touch it. The loss that training and evaluation
/// report has it in it. dx = dy + (l1 sign(x) + 2 l2 x) / batch, with sign(0) = 0; so the layer must be on the way to an
/// output that has a loss.
///
/// ```
/// use layerwise::layers::ActivityRegularization;
/// use layerwise::prelude::*;
///
/// // A sparse code: most hidden values become 0.
/// let autoencoder = Sequential::new()
///     .add(Dense::new(32).activation(Activation::Relu))
///     .add(ActivityRegularization::new(1e-4, 0.0))
///     .add(Dense::new(64));
/// # let layer = ActivityRegularization::new(0.5, 0.25);
/// let mut ctx = Context::training(&layer, 0);
/// layer.forward(&ndarray::array![[2.0_f32, -4.0], [0.0, 0.0]].into_dyn().into_shared(), &mut ctx)?;
/// assert_eq!(ctx.penalty(), (0.5 * 6.0 + 0.25 * 20.0) / 2.0);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ActivityRegularization {
    l1: f64,
    l2: f64,
}

impl ActivityRegularization {
    /// With the prices of absolute values and of squares, each at least 0. Keras's defaults are 0.
    pub fn new(l1: f64, l2: f64) -> Self {
        ActivityRegularization { l1, l2 }
    }

    fn check(self) -> Result<()> {
        for (name, price) in [("l1", self.l1), ("l2", self.l2)] {
            if !(price >= 0.0 && price.is_finite()) {
                let name = format!("{name} of ActivityRegularization");
                return Err(Error::setting(name, "a finite number of at least 0", price));
            }
        }
        Ok(())
    }

    pub(super) fn from_config<A: Scalar>(settings: &Settings<'_, A>) -> Result<Self> {
        Ok(ActivityRegularization { l1: settings.get("l1")?, l2: settings.get("l2")? })
    }
}

impl<A: Scalar> Layer<A> for ActivityRegularization {
    fn kind(&self) -> &str {
        "ActivityRegularization"
    }

    fn config(&self) -> Value {
        json!({ "l1": self.l1, "l2": self.l2 })
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        self.check()?;
        Ok(input.to_vec())
    }

    /// The price is one of training.
    fn cost(&self, _: &[usize], _: &[usize]) -> Result<Cost> {
        Ok(Cost::view())
    }

    fn forward(&self, x: &Tensor<A>, ctx: &mut Context<A>) -> Result<Tensor<A>> {
        self.check()?;
        let batch = ctx.batch_size(samples(x)?) as f64;
        // In f64: there may be many, and their squares large.
        let price = |&x: &A| {
            let x = x.as_f64();
            self.l1 * x.abs() + self.l2 * x * x
        };
        ctx.add_penalty(A::of(values(x)?.iter().map(price).sum::<f64>() / batch));
        Ok(x.clone())
    }

    fn backward(
        &self,
        x: &Tensor<A>,
        _: &Tensor<A>,
        dy: &Tensor<A>,
        want_dx: bool,
        ctx: &mut Context<A>,
    ) -> Result<Option<Tensor<A>>> {
        if !want_dx {
            return Ok(None);
        }
        let batch = ctx.batch_size(samples(x)?) as f64;
        let (l1, l2) = (A::of(self.l1 / batch), A::of(2.0 * self.l2 / batch));
        let mut dx = ctx.tensor(x.shape());
        let given = values(x)?.iter().zip(values(dy)?);
        for (dx, (&x, &dy)) in values_mut(&mut dx).iter_mut().zip(given) {
            let sign = if x == A::zero() { x } else { x.signum() };
            *dx = dy + l1 * sign + l2 * x;
        }
        Ok(Some(dx))
    }

    fn needs(&self) -> Needs {
        Needs::INPUT
    }

    fn keeps_mask(&self) -> bool {
        true
    }
}

/// The samples that a layer sees.
fn samples<A>(x: &Tensor<A>) -> Result<usize> {
    x.shape().first().copied().ok_or_else(|| Error::shape("input", "a batch axis", x.shape()))
}
