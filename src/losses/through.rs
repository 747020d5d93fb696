use serde_json::{Value, json};

use super::{Loss, Samples};
use crate::context::{Context, Mode};
use crate::error::{Error, Result};
use crate::layer::Layer;
use crate::scalar::Scalar;
use crate::tensor::Tensor;

/// A loss behind a second network that is not trained: loss(model(output), target).
///
/// This is the step of a GAN's generator, whose output goes through the discriminator; and since a loss gives its
/// gradient with respect to the output, it is also the gradient of a loss with respect to a network's input. The second
/// network is borrowed, so that nobody can change it, and none of its weights' gradients is computed. It runs in the
/// mode of the pass.
///
/// ```
/// use layerwise::prelude::*;
/// use layerwise::losses::Through;
///
/// let mut model = Sequential::new().add(Dense::new(8).activation(Activation::Tanh)).add(Dense::new(1));
/// model.initialize(&[2], 0)?;
/// let x = layerwise::to_tensor(&ndarray::array![[0.5_f32, -1.0]])?;
/// let target = layerwise::to_tensor(&ndarray::array![[2.0_f32]])?;
/// let (loss, dx) = Through::new(&model, &MeanSquaredError::new()).evaluate(&x, &target, None)?;
/// assert_eq!(dx.shape(), x.shape());
/// # Ok::<(), Error>(())
/// ```
pub struct Through<'m, A: Scalar = f32> {
    model: &'m dyn Layer<A>,
    loss: &'m dyn Loss<A>,
}

impl<'m, A: Scalar> Through<'m, A> {
    /// The loss of what `model` makes of an output.
    pub fn new(model: &'m dyn Layer<A>, loss: &'m dyn Loss<A>) -> Self {
        Through { model, loss }
    }

    fn place(&self, error: Error) -> Error {
        error.in_layer("through", self.model.kind())
    }
}

impl<A: Scalar> Loss<A> for Through<'_, A> {
    fn kind(&self) -> &str {
        "Through"
    }

    fn config(&self) -> Value {
        let part = |kind: &str, config: Value| json!({ "kind": kind, "config": config });
        json!({
            "model": part(self.model.kind(), self.model.config()),
            "loss": part(self.loss.kind(), self.loss.config()),
        })
    }

    fn denominator(&self, output: &[usize], target: &Tensor<A>, weights: Option<&[A]>) -> Result<A> {
        let (batch, sample) =
            output.split_first().ok_or_else(|| Error::shape("output", "an axis of samples", output))?;
        let mut shape = self.model.output_shape(sample).map_err(|error| self.place(error))?;
        shape.insert(0, *batch);
        self.loss.denominator(&shape, target, weights)
    }

    fn compute(
        &self,
        output: &Tensor<A>,
        target: &Tensor<A>,
        samples: Samples<'_, A>,
        want_gradient: bool,
        ctx: &mut Context<A>,
    ) -> Result<(A, Option<Tensor<A>>)> {
        let mark = ctx.mark();
        let y = self.model.forward(output, ctx).map_err(|error| self.place(error))?;
        let y = ctx.standard(y);
        let (value, dy) = self.loss.compute(&y, target, samples, want_gradient, ctx)?;
        let mut dx = None;
        if let Some(dy) = dy {
            let backward = |ctx: &mut Context<A>| self.model.backward(output, &y, &dy, true, ctx);
            dx = ctx.without_gradients(backward).map_err(|error| self.place(error))?;
            ctx.recycle(dy);
            if dx.is_none() {
                return Err(self.place(Error::custom("its input has no gradient")));
            }
        }
        ctx.truncate(mark);
        ctx.recycle(y);
        Ok((value, dx))
    }

    fn unreduced(&self, output: &Tensor<A>, target: &Tensor<A>, weights: Option<&[A]>) -> Result<Tensor<A>> {
        let ctx = &mut Context::recording(Mode::Inference);
        let y = self.model.forward(output, ctx).map_err(|error| self.place(error))?;
        self.loss.unreduced(&ctx.standard(y), target, weights)
    }

    fn couples_samples(&self) -> bool {
        self.model.couples_samples() || self.loss.couples_samples()
    }
}
