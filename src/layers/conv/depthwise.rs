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
use crate::kernels::conv::{Geometry, depthwise, depthwise_input_gradient, depthwise_weight_gradient};
use crate::kernels::reduce::add_columns;
use crate::layer::{Layer, Needs};
use crate::layers::Activation;
use crate::param::Param;
use crate::scalar::Scalar;
use crate::tensor::{Tensor, values, values_mut};
use crate::visit_params;

/// A depthwise convolution of images: [`DepthwiseConvolution`] along height and width.
pub type DepthwiseConv2d<A = f32> = DepthwiseConvolution<A, 2>;

/// A depthwise convolution of sequences: [`DepthwiseConvolution`] along the time.
pub type DepthwiseConv1d<A = f32> = DepthwiseConvolution<A, 1>;

/// y = f(x * w + b) where each channel is convolved by itself, with `multiplier` filters of its own.
///
/// `DepthwiseConv2d`: input `(batch, height, width, channels)`, output
/// `(batch, height', width', channels * multiplier)`, w `(kernel height, kernel width, channels, multiplier)` as in
/// Keras, b `(channels * multiplier)`. `DepthwiseConv1d` the same without height. Filter j of channel c is output
/// c multiplier + j. The same as a [`Convolution`] with as many groups as channels, but much faster. Defaults as
/// there, and a multiplier of 1.
///
/// ```
/// use layerwise::layers::{DepthwiseConv2d, Padding};
/// use layerwise::prelude::*;
///
/// let layer = DepthwiseConv2d::new(3).multiplier(2).padding(Padding::Same);
/// assert_eq!(Layer::<f32>::output_shape(&layer, &[8, 8, 5])?, [8, 8, 10]);
/// # Ok::<(), Error>(())
/// ```
///
/// [`Convolution`]: super::Convolution
#[derive(Debug)]
pub struct DepthwiseConvolution<A: Scalar, const AXES: usize> {
    multiplier: usize,
    windows: Windows,
    activation: Activation,
    weight_start: Initializer,
    bias_start: Initializer,
    weight: Param<A>,
    bias: Option<Param<A>>,
}

impl<const AXES: usize> DepthwiseConvolution<f32, AXES> {
    /// With windows of this size, for `f32` models.
    pub fn new(kernel: impl super::Extents<AXES>) -> Self {
        Self::of(kernel)
    }
}

impl<A: Scalar, const AXES: usize> DepthwiseConvolution<A, AXES> {
    /// With windows of this size, for models of any number type.
    pub fn of(kernel: impl super::Extents<AXES>) -> Self {
        DepthwiseConvolution {
            multiplier: 1,
            windows: Windows::of(kernel.extents()),
            activation: Activation::Linear,
            weight_start: Initializer::GlorotUniform,
            bias_start: Initializer::Zeros,
            weight: Param::new(),
            bias: Some(Param::new()),
        }
    }

    common_settings!();

    /// The filters of each channel.
    #[must_use]
    pub fn multiplier(mut self, multiplier: usize) -> Self {
        self.multiplier = multiplier;
        self
    }

    /// How w starts.
    #[must_use]
    pub fn weight_initializer(mut self, start: Initializer) -> Self {
        self.weight_start = start;
        self
    }

    /// w, `(kernel height, kernel width, channels, multiplier)`, or without the height for sequences.
    pub fn weight(&self) -> &Param<A> {
        &self.weight
    }

    /// The windows over samples of this shape.
    fn geometry(&self, sample: &[usize]) -> Result<Geometry> {
        let (sides, channels) = sides::<AXES>(sample)?;
        let built = self.weight.get().ok().map(|weight| weight.shape()[AXES]);
        check_channels(built, channels, sample)?;
        let Some(filters) = channels.checked_mul(self.multiplier) else {
            let requirement = format!("so small that {channels} channels times it are a number");
            return Err(Error::setting("multiplier", requirement, self.multiplier));
        };
        Ok(geometry(self.windows.over(sides, sample)?, channels, filters, channels))
    }

    pub(super) fn from_config(settings: &Settings<'_, A>) -> Result<Self> {
        Ok(DepthwiseConvolution {
            multiplier: settings.get("multiplier")?,
            windows: Windows::from_config::<A, AXES>(settings)?,
            activation: settings.get("activation")?,
            weight_start: settings.get("weight_initializer")?,
            bias_start: settings.get("bias_initializer")?,
            weight: Param::new(),
            bias: settings.get::<bool>("bias")?.then(Param::new),
        })
    }
}

impl<A: Scalar, const AXES: usize> Layer<A> for DepthwiseConvolution<A, AXES> {
    fn kind(&self) -> &str {
        if AXES == 1 { "DepthwiseConv1d" } else { "DepthwiseConv2d" }
    }

    fn config(&self) -> Value {
        let mut config = self.windows.describe(AXES);
        config.insert("multiplier".into(), json!(self.multiplier));
        config.insert("bias".into(), json!(self.bias.is_some()));
        config.insert("activation".into(), self.activation.describe());
        config.insert("weight_initializer".into(), self.weight_start.describe());
        config.insert("bias_initializer".into(), self.bias_start.describe());
        Value::Object(config)
    }

    fn build(&mut self, input: &[usize], init: &mut Init<A>) -> Result<Vec<usize>> {
        let output = self.output_shape(input)?;
        let shape = weight_shape::<AXES>(self.windows.kernel, [input[AXES], self.multiplier]);
        init.param(&mut self.weight, &shape, &self.weight_start)?;
        if let Some(bias) = &mut self.bias {
            init.param_with_fans(bias, &[input[AXES] * self.multiplier], &shape, &self.bias_start)?;
        }
        Ok(output)
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        self.activation.check()?;
        if self.multiplier == 0 {
            return Err(Error::setting("multiplier", "at least 1", 0));
        }
        let geometry = self.geometry(input)?;
        Ok(sample_shape::<AXES>([geometry.height.output, geometry.width.output], geometry.filters))
    }

    fn cost(&self, _: &[usize], output: &[usize]) -> Result<Cost> {
        let values = product(output);
        let sums = values.saturating_mul(product(&self.windows.kernel));
        Ok(self.activation.fused_cost(sums, values, self.bias.is_some()))
    }

    fn forward(&self, x: &Tensor<A>, ctx: &mut Context<A>) -> Result<Tensor<A>> {
        let weight = self.weight.values()?;
        let geometry = self.geometry(sample_of(x.shape()))?;
        let output = [geometry.height.output, geometry.width.output];
        let mut y = ctx.tensor(batch_shape::<AXES>(x.shape()[0], output, geometry.filters).slice());
        let bias = self.bias.as_ref().map(Param::values).transpose()?;
        depthwise(&geometry, values(x)?, weight, bias, values_mut(&mut y));
        self.activation.finish(y, ctx)
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
            depthwise_weight_gradient(&geometry, values(x)?, values(&dz)?, grad.accumulate());
        }
        if let Some(grad) = self.bias.as_ref().and_then(|bias| ctx.grad(bias)) {
            add_columns(values(&dz)?, grad.accumulate());
        }
        let mut dx = None;
        if want_dx {
            let mut gradient = ctx.tensor(x.shape());
            depthwise_input_gradient(&geometry, values(&dz)?, self.weight.values()?, values_mut(&mut gradient));
            dx = Some(gradient);
        }
        ctx.recycle(dz);
        Ok(dx)
    }

    fn needs(&self) -> Needs {
        self.activation.fused_needs()
    }

    fn torch_names(&self, names: &mut TorchNames) {
        names.param("weight", "weight", TorchLayout::Depthwise);
    }

    visit_params!(A; weight; bias);
}
