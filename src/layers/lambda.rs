use serde_json::{Value, json};

use crate::context::Context;
use crate::error::{Error, Result};
use crate::io::CLOSURES;
use crate::layer::{Layer, Needs};
use crate::scalar::Scalar;
use crate::tensor::{Tensor, values, values_mut};

type Shape = Box<dyn Fn(&[usize]) -> Result<Vec<usize>> + Send + Sync>;
type Forward<A> = Box<dyn Fn(&Tensor<A>, &mut Context<A>) -> Result<Tensor<A>> + Send + Sync>;
type Backward<A> = Box<dyn Fn(&Tensor<A>, &Tensor<A>, &Tensor<A>, &mut Context<A>) -> Result<Tensor<A>> + Send + Sync>;

/// A layer without parameters from closures: y = f(x), dx = g(x, y, dy).
///
/// Its [`kind`](Layer::kind) is the name that it is given. The shapes of what the closures return are checked; whether
/// g is the derivative of f tells [`gradcheck`](crate::gradcheck()).
///
/// No file can hold closures: a model with such a layer cannot be saved as a whole ([`save_model`](crate::io::save_model)),
/// only its weights.
///
/// ```
/// use layerwise::prelude::*;
/// use ndarray::Axis;
///
/// let square = Lambda::elementwise("square", |x: f32| x * x, |x| 2.0 * x);
/// // (batch, time, features) to (batch, features): the mean over time.
/// let mean = Lambda::new(
///     "mean over time",
///     |sample| Ok(sample[1..].to_vec()),
///     |x| Ok(x.mean_axis(Axis(1)).ok_or_else(|| Error::Empty("time".into()))?.into_shared()),
///     |x, _, dy| {
///         let steps = x.shape()[1] as f32;
///         let wide = dy.view().insert_axis(Axis(1));
///         let wide = wide.broadcast(x.raw_dim()).ok_or_else(|| Error::custom("no steps"))?;
///         Ok(wide.mapv(|dy| dy / steps).into_shared())
///     },
/// );
/// let model = Sequential::new().add(square).add(mean);
/// assert_eq!(model.output_shape(&[7, 4])?, [4]);
/// # Ok::<(), Error>(())
/// ```
pub struct Lambda<A: Scalar = f32> {
    name: String,
    /// `None` where the output has the shape of the input.
    shape: Option<Shape>,
    forward: Forward<A>,
    backward: Backward<A>,
    needs: Needs,
}

impl Lambda {
    /// From the shape of one output (given that of one sample), f, and g, for `f32` models.
    pub fn new(
        name: impl Into<String>,
        output_shape: impl Fn(&[usize]) -> Result<Vec<usize>> + Send + Sync + 'static,
        forward: impl Fn(&Tensor) -> Result<Tensor> + Send + Sync + 'static,
        backward: impl Fn(&Tensor, &Tensor, &Tensor) -> Result<Tensor> + Send + Sync + 'static,
    ) -> Self {
        Self::of(name, output_shape, forward, backward)
    }
}

impl<A: Scalar> Lambda<A> {
    /// From the shape of one output (given that of one sample), f, and g, for models of any number type.
    pub fn of(
        name: impl Into<String>,
        output_shape: impl Fn(&[usize]) -> Result<Vec<usize>> + Send + Sync + 'static,
        forward: impl Fn(&Tensor<A>) -> Result<Tensor<A>> + Send + Sync + 'static,
        backward: impl Fn(&Tensor<A>, &Tensor<A>, &Tensor<A>) -> Result<Tensor<A>> + Send + Sync + 'static,
    ) -> Self {
        Lambda {
            name: name.into(),
            shape: Some(Box::new(output_shape)),
            forward: Box::new(move |x, _| forward(x)),
            backward: Box::new(move |x, y, dy, _| backward(x, y, dy)),
            needs: Needs::BOTH,
        }
    }

    /// From a function of one number and its derivative: y = f(x), dx = dy f'(x). For models of any number type.
    pub fn elementwise(
        name: impl Into<String>,
        f: impl Fn(A) -> A + Send + Sync + 'static,
        derivative: impl Fn(A) -> A + Send + Sync + 'static,
    ) -> Self {
        let forward: Forward<A> = Box::new(move |x, ctx| {
            let mut y = ctx.tensor(x.shape());
            values_mut(&mut y).iter_mut().zip(values(x)?).for_each(|(y, &x)| *y = f(x));
            Ok(y)
        });
        let backward: Backward<A> = Box::new(move |x, _, dy, ctx| {
            let mut dx = ctx.tensor(x.shape());
            let given = values(x)?.iter().zip(values(dy)?);
            values_mut(&mut dx).iter_mut().zip(given).for_each(|(dx, (&x, &dy))| *dx = dy * derivative(x));
            Ok(dx)
        });
        Lambda { name: name.into(), shape: None, forward, backward, needs: Needs::INPUT }
    }
}

impl<A: Scalar> Layer<A> for Lambda<A> {
    fn kind(&self) -> &str {
        &self.name
    }

    fn config(&self) -> Value {
        json!({ CLOSURES: self.name })
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        self.shape.as_ref().map_or_else(|| Ok(input.to_vec()), |shape| shape(input))
    }

    fn forward(&self, x: &Tensor<A>, ctx: &mut Context<A>) -> Result<Tensor<A>> {
        let y = (self.forward)(x, ctx)?;
        if let Some(shape) = &self.shape {
            let &[batch, ref sample @ ..] = x.shape() else {
                return Err(Error::shape("input", "a batch axis", x.shape()));
            };
            let sample = shape(sample)?;
            if y.shape().split_first() != Some((&batch, &sample[..])) {
                let expected = format!("{batch} samples of shape {sample:?}");
                return Err(Error::shape("output of the closure", expected, y.shape()));
            }
        }
        Ok(y)
    }

    fn backward(
        &self,
        x: &Tensor<A>,
        y: &Tensor<A>,
        dy: &Tensor<A>,
        want_dx: bool,
        ctx: &mut Context<A>,
    ) -> Result<Option<Tensor<A>>> {
        if !want_dx {
            return Ok(None);
        }
        let dx = (self.backward)(x, y, dy, ctx)?;
        if dx.shape() != x.shape() {
            let expected = format!("the input's shape {:?}", x.shape());
            return Err(Error::shape("gradient from the closure", expected, dx.shape()));
        }
        Ok(Some(dx))
    }

    fn needs(&self) -> Needs {
        self.needs
    }
}
