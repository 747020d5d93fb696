use ndarray::Dimension;
use serde_json::{Value, json};

use super::{
    Windows, batch_shape, check_channels, common_settings, geometry, sample_of, sample_shape, sides, weight_shape,
};
use crate::context::Context;
use crate::cost::{Cost, product};
use crate::error::{Error, Result};
use crate::initializers::{Init, Initializer};
use crate::io::{Settings, TorchLayout, TorchNames};
use crate::kernels::conv::{Geometry, forward, input_gradient, weight_gradient};
use crate::kernels::gemm::Ending;
use crate::kernels::reduce::add_columns;
use crate::layer::{Layer, Needs};
use crate::layers::Activation;
use crate::param::Param;
use crate::scalar::Scalar;
use crate::tensor::{Tensor, values, values_mut};
use crate::visit_params;

/// A convolution of images: [`Convolution`] along height and width.
pub type Conv2d<A = f32> = Convolution<A, 2>;

/// A convolution of sequences: [`Convolution`] along the time.
pub type Conv1d<A = f32> = Convolution<A, 1>;

/// y = f(x * w + b): each filter is held against every window of the input.
///
/// `Conv2d`: input `(batch, height, width, channels)`, output `(batch, height', width', filters)`,
/// w `(kernel height, kernel width, channels / groups, filters)`, b `(filters)`. `Conv1d`: input
/// `(batch, time, features)`, output `(batch, time', filters)`, w `(kernel size, features / groups, filters)`. As in all
/// such libraries the kernel is not turned:
///
/// `y[i, j, f] = b[f] + sum over p, q, c of x[i stride + p dilation - padding, j ..., c] w[p, q, c, f]`
///
/// and an output has floor((input + padding - dilation (kernel - 1) - 1) / stride) + 1 rows.
///
/// With dz = dy f'(z): dw = the sums over windows of x times dz, db = the sums of dz, dx = dz with the kernel turned.
///
/// With [`groups`](Self::groups) the channels and the filters are cut into so many parts, each of which sees only its
/// own. Defaults, which are Keras's: stride and dilation 1, no padding, one group, Glorot uniform for w, zeros for b, no
/// activation. PyTorch's weight `(filters, channels, height, width)` becomes ours by moving its first two axes to the
/// end, in reverse.
///
/// ```
/// use layerwise::layers::Padding;
/// use layerwise::prelude::*;
///
/// let model = Sequential::new()
///     .add(Conv2d::new(32, 3).activation(Activation::Relu))
///     .add(Conv2d::new(64, (3, 5)).stride(2).padding(Padding::Same).without_bias());
/// assert_eq!(model.output_shape(&[28, 28, 1])?, [13, 13, 64]);
///
/// let causal = Conv1d::new(8, 3).dilation(2).padding(Padding::Causal);
/// assert_eq!(Layer::<f32>::output_shape(&causal, &[100, 4])?, [100, 8]);
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug)]
pub struct Convolution<A: Scalar, const AXES: usize> {
    filters: usize,
    windows: Windows,
    groups: usize,
    activation: Activation,
    weight_start: Initializer,
    bias_start: Initializer,
    weight: Param<A>,
    bias: Option<Param<A>>,
}

impl<const AXES: usize> Convolution<f32, AXES> {
    /// With so many filters and windows of this size, for `f32` models.
    pub fn new(filters: usize, kernel: impl super::Extents<AXES>) -> Self {
        Self::of(filters, kernel)
    }
}

impl<A: Scalar, const AXES: usize> Convolution<A, AXES> {
    /// With so many filters and windows of this size, for models of any number type.
    pub fn of(filters: usize, kernel: impl super::Extents<AXES>) -> Self {
        Convolution {
            filters,
            windows: Windows::of(kernel.extents()),
            groups: 1,
            activation: Activation::Linear,
            weight_start: Initializer::GlorotUniform,
            bias_start: Initializer::Zeros,
            weight: Param::new(),
            bias: Some(Param::new()),
        }
    }

    common_settings!();

    /// In how many parts channels and filters are cut; both must be multiples of it.
    #[must_use]
    pub fn groups(mut self, groups: usize) -> Self {
        self.groups = groups;
        self
    }

    /// How w starts.
    #[must_use]
    pub fn weight_initializer(mut self, start: Initializer) -> Self {
        self.weight_start = start;
        self
    }

    /// w, `(kernel height, kernel width, channels / groups, filters)`, or without the height for sequences.
    pub fn weight(&self) -> &Param<A> {
        &self.weight
    }

    /// The windows over samples of this shape.
    fn geometry(&self, sample: &[usize]) -> Result<Geometry> {
        let (sides, channels) = sides::<AXES>(sample)?;
        if self.groups == 0 || !channels.is_multiple_of(self.groups) || !self.filters.is_multiple_of(self.groups) {
            let requirement = format!("a divisor of {channels} channels and of {} filters", self.filters);
            return Err(Error::setting("groups", requirement, self.groups));
        }
        let built = self.weight.get().ok().map(|weight| weight.shape()[AXES] * self.groups);
        check_channels(built, channels, sample)?;
        Ok(geometry(self.windows.over(sides, sample)?, channels, self.filters, self.groups))
    }

    pub(super) fn from_config(settings: &Settings<'_, A>) -> Result<Self> {
        Ok(Convolution {
            filters: settings.get("filters")?,
            windows: Windows::from_config::<A, AXES>(settings)?,
            groups: settings.get("groups")?,
            activation: settings.get("activation")?,
            weight_start: settings.get("weight_initializer")?,
            bias_start: settings.get("bias_initializer")?,
            weight: Param::new(),
            bias: settings.get::<bool>("bias")?.then(Param::new),
        })
    }
}

impl<A: Scalar, const AXES: usize> Layer<A> for Convolution<A, AXES> {
    fn kind(&self) -> &str {
        if AXES == 1 { "Conv1d" } else { "Conv2d" }
    }

    fn config(&self) -> Value {
        let mut config = self.windows.describe(AXES);
        config.insert("filters".into(), json!(self.filters));
        config.insert("groups".into(), json!(self.groups));
        config.insert("bias".into(), json!(self.bias.is_some()));
        config.insert("activation".into(), self.activation.describe());
        config.insert("weight_initializer".into(), self.weight_start.describe());
        config.insert("bias_initializer".into(), self.bias_start.describe());
        Value::Object(config)
    }

    fn build(&mut self, input: &[usize], init: &mut Init<A>) -> Result<Vec<usize>> {
        let output = self.output_shape(input)?;
        let channels = input[AXES] / self.groups;
        let shape = weight_shape::<AXES>(self.windows.kernel, [channels, self.filters]);
        init.param(&mut self.weight, &shape, &self.weight_start)?;
        if let Some(bias) = &mut self.bias {
            init.param_with_fans(bias, &[self.filters], &shape, &self.bias_start)?;
        }
        Ok(output)
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        self.activation.check()?;
        if self.filters == 0 {
            return Err(Error::setting("filters", "at least 1", 0));
        }
        let geometry = self.geometry(input)?;
        Ok(sample_shape::<AXES>([geometry.height.output, geometry.width.output], self.filters))
    }

    fn cost(&self, input: &[usize], output: &[usize]) -> Result<Cost> {
        let values = product(output);
        let Geometry { channels, groups, .. } = self.geometry(input)?;
        let window = product(&self.windows.kernel).saturating_mul((channels / groups) as u64);
        Ok(self.activation.fused_cost(values.saturating_mul(window), values, self.bias.is_some()))
    }

    fn forward(&self, x: &Tensor<A>, ctx: &mut Context<A>) -> Result<Tensor<A>> {
        let weight = self.weight.values()?;
        let geometry = self.geometry(sample_of(x.shape()))?;
        let output = [geometry.height.output, geometry.width.output];
        let mut y = ctx.tensor(batch_shape::<AXES>(x.shape()[0], output, self.filters).slice());
        let bias = self.bias.as_ref().map(Param::values).transpose()?;
        let relu = self.activation == Activation::Relu;
        forward(&geometry, values(x)?, weight, values_mut(&mut y), Ending { beta: A::zero(), bias, relu });
        if relu { Ok(y) } else { self.activation.finish(y, ctx) }
    }

    fn backward(
        &self,
        x: &Tensor<A>,
        y: &Tensor<A>,
        dy: &Tensor<A>,
        want_dx: bool,
        ctx: &mut Context<A>,
    ) -> Result<Option<Tensor<A>>> {
        let geometry = self.geometry(sample_of(x.shape()))?;
        let dz = self.activation.undo(y, dy, ctx)?;
        if let Some(grad) = ctx.grad(&self.weight) {
            let (grad, beta) = grad.into_parts();
            weight_gradient(&geometry, values(x)?, values(&dz)?, grad, beta);
        }
        if let Some(grad) = self.bias.as_ref().and_then(|bias| ctx.grad(bias)) {
            add_columns(values(&dz)?, grad.accumulate());
        }
        let mut dx = None;
        if want_dx {
            let mut gradient = ctx.tensor(x.shape());
            input_gradient(&geometry, values(&dz)?, self.weight.values()?, values_mut(&mut gradient));
            dx = Some(gradient);
        }
        ctx.recycle(dz);
        Ok(dx)
    }

    fn needs(&self) -> Needs {
        self.activation.fused_needs()
    }

    fn torch_names(&self, names: &mut TorchNames) {
        names.param("weight", "weight", TorchLayout::FirstTwoLast);
    }

    visit_params!(A; weight; bias);
}
