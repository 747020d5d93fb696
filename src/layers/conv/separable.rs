use serde_json::{Value, json};

use super::{Convolution, DepthwiseConvolution, Padding};
use crate::constraints::Constraint;
use crate::context::Context;
use crate::cost::{Cost, product};
use crate::error::Result;
use crate::initializers::{Init, Initializer};
use crate::io::{Settings, TorchNames};
use crate::layer::{Layer, Needs};
use crate::layers::Activation;
use crate::param::{Param, Visitor};
use crate::regularizers::Regularizer;
use crate::scalar::Scalar;
use crate::tensor::Tensor;

/// A separable convolution of images: [`SeparableConvolution`] along height and width.
pub type SeparableConv2d<A = f32> = SeparableConvolution<A, 2>;

/// A separable convolution of sequences: [`SeparableConvolution`] along the time.
pub type SeparableConv1d<A = f32> = SeparableConvolution<A, 1>;

/// y = f((x * v) w + b): each channel is convolved by itself with v, then the channels are mixed by w (Chollet 2017).
///
/// `SeparableConv2d`: input `(batch, height, width, channels)`, output `(batch, height', width', filters)`,
/// v `(kernel height, kernel width, channels, multiplier)`, w `(1, 1, channels * multiplier, filters)`, b `(filters)`:
/// a [`DepthwiseConvolution`] without bias and a [`Convolution`] with windows of one element, by whose names the
/// weights go: `depthwise.weight`, `pointwise.weight`, `pointwise.bias`. `SeparableConv1d` the same without height.
/// Defaults as there.
///
/// ```
/// use layerwise::layers::{Padding, SeparableConv2d};
/// use layerwise::prelude::*;
///
/// let layer = SeparableConv2d::new(24, 3).padding(Padding::Same).activation(Activation::Relu);
/// assert_eq!(Layer::<f32>::output_shape(&layer, &[8, 8, 5])?, [8, 8, 24]);
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug)]
pub struct SeparableConvolution<A: Scalar, const AXES: usize> {
    depthwise: DepthwiseConvolution<A, AXES>,
    pointwise: Convolution<A, AXES>,
}

impl<const AXES: usize> SeparableConvolution<f32, AXES>
where
    usize: super::Extents<AXES>,
{
    /// With so many filters and windows of this size, for `f32` models.
    pub fn new(filters: usize, kernel: impl super::Extents<AXES>) -> Self {
        Self::of(filters, kernel)
    }
}

impl<A: Scalar, const AXES: usize> SeparableConvolution<A, AXES>
where
    usize: super::Extents<AXES>,
{
    /// With so many filters and windows of this size, for models of any number type.
    pub fn of(filters: usize, kernel: impl super::Extents<AXES>) -> Self {
        SeparableConvolution {
            depthwise: DepthwiseConvolution::of(kernel).without_bias(),
            pointwise: Convolution::of(filters, 1),
        }
    }

    /// The filters of each channel in the first step.
    #[must_use]
    pub fn multiplier(self, multiplier: usize) -> Self {
        SeparableConvolution { depthwise: self.depthwise.multiplier(multiplier), ..self }
    }

    /// How far the next window is.
    #[must_use]
    pub fn stride(self, stride: impl super::Extents<AXES>) -> Self {
        SeparableConvolution { depthwise: self.depthwise.stride(stride), ..self }
    }

    /// How far the next element of a window is.
    #[must_use]
    pub fn dilation(self, dilation: impl super::Extents<AXES>) -> Self {
        SeparableConvolution { depthwise: self.depthwise.dilation(dilation), ..self }
    }

    /// How far windows reach over the edges.
    #[must_use]
    pub fn padding(self, padding: impl Into<Padding>) -> Self {
        SeparableConvolution { depthwise: self.depthwise.padding(padding), ..self }
    }

    /// What is applied to the sums.
    #[must_use]
    pub fn activation(self, activation: Activation) -> Self {
        SeparableConvolution { pointwise: self.pointwise.activation(activation), ..self }
    }

    /// Leaves the bias away.
    #[must_use]
    pub fn without_bias(self) -> Self {
        SeparableConvolution { pointwise: self.pointwise.without_bias(), ..self }
    }

    /// How v starts.
    #[must_use]
    pub fn depthwise_initializer(self, start: Initializer) -> Self {
        SeparableConvolution { depthwise: self.depthwise.weight_initializer(start), ..self }
    }

    /// How w starts.
    #[must_use]
    pub fn pointwise_initializer(self, start: Initializer) -> Self {
        SeparableConvolution { pointwise: self.pointwise.weight_initializer(start), ..self }
    }

    /// What v adds to the loss; nothing by default.
    #[must_use]
    pub fn depthwise_regularizer(self, regularizer: Regularizer) -> Self {
        SeparableConvolution { depthwise: self.depthwise.weight_regularizer(regularizer), ..self }
    }

    /// What w adds to the loss; nothing by default.
    #[must_use]
    pub fn pointwise_regularizer(self, regularizer: Regularizer) -> Self {
        SeparableConvolution { pointwise: self.pointwise.weight_regularizer(regularizer), ..self }
    }

    /// What b adds to the loss; nothing by default.
    #[must_use]
    pub fn bias_regularizer(self, regularizer: Regularizer) -> Self {
        SeparableConvolution { pointwise: self.pointwise.bias_regularizer(regularizer), ..self }
    }

    /// What v is made to be after each update; nothing special by default.
    #[must_use]
    pub fn depthwise_constraint(self, constraint: impl Into<Constraint>) -> Self {
        SeparableConvolution { depthwise: self.depthwise.weight_constraint(constraint), ..self }
    }

    /// What w is made to be after each update; nothing special by default.
    #[must_use]
    pub fn pointwise_constraint(self, constraint: impl Into<Constraint>) -> Self {
        SeparableConvolution { pointwise: self.pointwise.weight_constraint(constraint), ..self }
    }

    /// What b is made to be after each update; nothing special by default.
    #[must_use]
    pub fn bias_constraint(self, constraint: impl Into<Constraint>) -> Self {
        SeparableConvolution { pointwise: self.pointwise.bias_constraint(constraint), ..self }
    }

    /// v.
    pub fn depthwise_weight(&self) -> &Param<A> {
        self.depthwise.weight()
    }

    /// w.
    pub fn pointwise_weight(&self) -> &Param<A> {
        self.pointwise.weight()
    }
}

impl<A: Scalar, const AXES: usize> SeparableConvolution<A, AXES> {
    pub(super) fn from_config(settings: &Settings<'_, A>) -> Result<Self> {
        Ok(SeparableConvolution {
            depthwise: settings.inside("depthwise", DepthwiseConvolution::from_config)?,
            pointwise: settings.inside("pointwise", Convolution::from_config)?,
        })
    }
}

impl<A: Scalar, const AXES: usize> Layer<A> for SeparableConvolution<A, AXES> {
    fn kind(&self) -> &str {
        if AXES == 1 { "SeparableConv1d" } else { "SeparableConv2d" }
    }

    fn config(&self) -> Value {
        json!({ "depthwise": self.depthwise.config(), "pointwise": self.pointwise.config() })
    }

    fn build(&mut self, input: &[usize], init: &mut Init<A>) -> Result<Vec<usize>> {
        let between = self.depthwise.build(input, init)?;
        self.pointwise.build(&between, init)
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        self.pointwise.output_shape(&self.depthwise.output_shape(input)?)
    }

    fn cost(&self, input: &[usize], output: &[usize]) -> Result<Cost> {
        let between = self.depthwise.output_shape(input)?;
        let depthwise = self.depthwise.cost(input, &between)?;
        Ok(self.pointwise.cost(&between, output)?.plus(depthwise).saving(product(&between)))
    }

    fn forward(&self, x: &Tensor<A>, ctx: &mut Context<A>) -> Result<Tensor<A>> {
        let between = self.depthwise.forward(x, ctx)?;
        let y = self.pointwise.forward(&between, ctx)?;
        ctx.save(between);
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
        let between = ctx.restore();
        let wanted = want_dx || ctx.wants_grad(self.depthwise.weight());
        let gradient = self.pointwise.backward(&between, y, dy, wanted, ctx)?;
        let dx = match &gradient {
            Some(gradient) => self.depthwise.backward(x, &between, gradient, want_dx, ctx)?,
            None => None,
        };
        gradient.into_iter().for_each(|gradient| ctx.recycle(gradient));
        ctx.recycle(between);
        Ok(dx)
    }

    fn needs(&self) -> Needs {
        Needs { input: true, ..self.pointwise.needs() }
    }

    fn torch_names(&self, names: &mut TorchNames) {
        names.scope("depthwise", |names| self.depthwise.torch_names(names));
        names.scope("pointwise", |names| self.pointwise.torch_names(names));
    }

    fn visit<'a>(&'a self, visitor: &mut Visitor<'_, &'a Param<A>>) {
        visitor.scope("depthwise", |visitor| self.depthwise.visit(visitor));
        visitor.scope("pointwise", |visitor| self.pointwise.visit(visitor));
    }

    fn visit_mut<'a>(&'a mut self, visitor: &mut Visitor<'_, &'a mut Param<A>>) {
        visitor.scope("depthwise", |visitor| self.depthwise.visit_mut(visitor));
        visitor.scope("pointwise", |visitor| self.pointwise.visit_mut(visitor));
    }
}
