use serde_json::{Value, json};

use super::thin::thin_layer;
use crate::context::Context;
use crate::cost::Cost;
use crate::error::{Error, Result};
use crate::kernels::permute::{MOST_AXES, permute};
use crate::layer::{Layer, Needs};
use crate::scalar::Scalar;
use crate::tensor::{Tensor, values, values_mut};

/// The axes of each sample in another order, counted from 1 as in Keras, because axis 0 is the batch: axis i of the
/// output is axis `dims[i - 1]` of the input.
///
/// dx is dy with the axes back in their order.
///
/// ```
/// use layerwise::layers::Permute;
/// use layerwise::prelude::*;
///
/// // (batch, time, features) becomes (batch, features, time).
/// assert_eq!(Layer::<f32>::output_shape(&Permute::new([2, 1]), &[10, 64])?, [64, 10]);
/// assert_eq!(Layer::<f32>::output_shape(&Permute::new([3, 1, 2]), &[5, 6, 7])?, [7, 5, 6]);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Permute(Transposition);

impl Permute {
    /// With the axes 1, 2, ... of the input in this order.
    pub fn new(dims: impl Into<Vec<usize>>) -> Self {
        Permute(Transposition::Given(dims.into()))
    }
}

thin_layer!(Permute, settings => settings.get("dims").map(Transposition::Given));

/// Images with the channels first, as PyTorch has them, to images with the channels last, as the layers here want them:
/// `(batch, channels, height, width)` becomes `(batch, height, width, channels)`, and `(batch, channels, time)`
/// `(batch, time, channels)`.
///
/// dx is dy with the channels first. Such data need this layer once, at the start of the model:
///
/// ```
/// use layerwise::layers::{ChannelsFirst, ChannelsLast};
/// use layerwise::prelude::*;
///
/// let model = Sequential::new().add(ChannelsLast::new()).add(BatchNormalization::new());
/// assert_eq!(model.output_shape(&[3, 28, 32])?, [28, 32, 3]);
/// let model = model.add(ChannelsFirst::new());
/// assert_eq!(model.output_shape(&[3, 28, 32])?, [3, 28, 32]);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ChannelsLast(Transposition);

impl ChannelsLast {
    /// The layer; it has no settings.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        ChannelsLast(Transposition::FirstToLast)
    }
}

thin_layer!(ChannelsLast, _settings => Ok(Transposition::FirstToLast));

/// Images with the channels last to images with the channels first: `(batch, height, width, channels)` becomes
/// `(batch, channels, height, width)`, and `(batch, time, channels)` `(batch, channels, time)`. What
/// [`ChannelsLast`] does, undone.
#[derive(Clone, Debug)]
pub struct ChannelsFirst(Transposition);

impl ChannelsFirst {
    /// The layer; it has no settings.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        ChannelsFirst(Transposition::LastToFirst)
    }
}

thin_layer!(ChannelsFirst, _settings => Ok(Transposition::LastToFirst));

/// The layer under all three: where the axes of a sample go.
#[derive(Clone, Debug)]
enum Transposition {
    /// Axes from 1.
    Given(Vec<usize>),
    FirstToLast,
    LastToFirst,
}

impl Transposition {
    /// The order that the axes of a batch get; as many numbers as there are axes count.
    fn order(&self, sample: &[usize]) -> Result<[usize; MOST_AXES]> {
        let (mut order, count) = (std::array::from_fn(|axis| axis), sample.len() + 1);
        let expected = match self {
            Transposition::Given(dims) if dims.len() + 1 == count => None,
            Transposition::Given(dims) => Some(format!("{} axes", dims.len())),
            _ if (3..=MOST_AXES).contains(&count) => None,
            _ => Some(format!("from 2 to {} axes, one of them for the channels", MOST_AXES - 1)),
        };
        if let Some(expected) = expected {
            return Err(Error::shape("input of one sample", expected, sample));
        }
        match self {
            Transposition::Given(dims) => order[1..count].copy_from_slice(dims),
            Transposition::FirstToLast => order[1..count].rotate_left(1),
            Transposition::LastToFirst => order[1..count].rotate_right(1),
        }
        Ok(order)
    }

    fn check(&self) -> Result<()> {
        let Transposition::Given(dims) = self else { return Ok(()) };
        if dims.len() < MOST_AXES && (1..=dims.len()).all(|axis| dims.contains(&axis)) {
            return Ok(());
        }
        let requirement = format!("the numbers from 1 to that of the axes, at most {}, once each", MOST_AXES - 1);
        Err(Error::setting("dims of Permute", requirement, format!("{dims:?}")))
    }
}

/// The shape of one sample of a batch.
fn sample<A>(x: &Tensor<A>) -> Result<&[usize]> {
    x.shape().get(1..).ok_or_else(|| Error::shape("input", "a batch axis", x.shape()))
}

/// A tensor with its axes in another order.
fn permuted<A: Scalar>(x: &Tensor<A>, order: &[usize], ctx: &mut Context<A>) -> Result<Tensor<A>> {
    let mut shape = [0; MOST_AXES];
    for (extent, &axis) in shape.iter_mut().zip(order) {
        *extent = x.shape()[axis];
    }
    let mut y = ctx.tensor(&shape[..order.len()]);
    permute(values(x)?, x.shape(), order, values_mut(&mut y));
    Ok(y)
}

impl<A: Scalar> Layer<A> for Transposition {
    fn kind(&self) -> &str {
        "Transposition"
    }

    fn config(&self) -> Value {
        match self {
            Transposition::Given(dims) => json!({ "dims": dims }),
            _ => Value::Null,
        }
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        self.check()?;
        let order = self.order(input)?;
        Ok(order[1..=input.len()].iter().map(|&axis| input[axis - 1]).collect())
    }

    fn cost(&self, _: &[usize], _: &[usize]) -> Result<Cost> {
        Ok(Cost::of(0))
    }

    fn forward(&self, x: &Tensor<A>, ctx: &mut Context<A>) -> Result<Tensor<A>> {
        self.check()?;
        let order = self.order(sample(x)?)?;
        permuted(x, &order[..x.ndim()], ctx)
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
        let order = self.order(sample(dy)?)?;
        let mut back = [0; MOST_AXES];
        for (at, &axis) in order[..dy.ndim()].iter().enumerate() {
            back[axis] = at;
        }
        permuted(dy, &back[..dy.ndim()], ctx).map(Some)
    }

    fn needs(&self) -> Needs {
        Needs::NEITHER
    }
}
