use serde_json::{Value, json};

use super::rules::weight_rules;
use super::{Activation, check_batch, check_features, features};
use crate::context::Context;
use crate::cost::{Cost, product};
use crate::error::{Error, Result};
use crate::initializers::{Init, Initializer};
use crate::io::{Settings, TorchLayout, TorchNames};
use crate::kernels::gemm::{Ending, Matrix, gemm};
use crate::kernels::reduce::add_columns;
use crate::layer::{Layer, Needs};
use crate::param::Param;
use crate::scalar::Scalar;
use crate::tensor::{Tensor, values, values_mut};
use crate::visit_params;

/// y = f(x W + b) on the last axis.
///
/// Input `(batch, ..., features)`, output `(batch, ..., units)`; W is `(features, units)` and b `(units)`. Every axis
/// but the last is a batch axis, so time steps or pixels share the weights.
///
/// With z = x W + b and dz = dy f'(z): dW = x^T dz, db = sum of the rows of dz, dx = dz W^T.
///
/// Defaults, which are Keras's: Glorot uniform for W, zeros for b, no activation.
///
/// ```
/// use layerwise::prelude::*;
///
/// let layer = Dense::new(64).activation(Activation::Relu);
/// assert_eq!(Layer::<f32>::output_shape(&layer, &[10, 4])?, [10, 64]);
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug)]
pub struct Dense<A: Scalar = f32> {
    units: usize,
    activation: Activation,
    weight_start: Initializer,
    bias_start: Initializer,
    weight: Param<A>,
    bias: Option<Param<A>>,
}

impl Dense {
    /// With `units` outputs, for `f32` models.
    pub fn new(units: usize) -> Self {
        Self::of(units)
    }
}

impl<A: Scalar> Dense<A> {
    /// With `units` outputs, for models of any number type.
    pub fn of(units: usize) -> Self {
        Dense {
            units,
            activation: Activation::Linear,
            weight_start: Initializer::GlorotUniform,
            bias_start: Initializer::Zeros,
            weight: Param::new(),
            bias: Some(Param::new()),
        }
    }

    /// What is applied to x W + b, in the same pass.
    #[must_use]
    pub fn activation(mut self, activation: Activation) -> Self {
        self.activation = activation;
        self
    }

    /// Leaves b away.
    #[must_use]
    pub fn without_bias(mut self) -> Self {
        self.bias = None;
        self
    }

    /// How W starts.
    #[must_use]
    pub fn weight_initializer(mut self, start: Initializer) -> Self {
        self.weight_start = start;
        self
    }

    /// How b starts.
    #[must_use]
    pub fn bias_initializer(mut self, start: Initializer) -> Self {
        self.bias_start = start;
        self
    }

    weight_rules! {
        weight_regularizer, weight_constraint: "W" in weight;
        bias_regularizer, bias_constraint: "b" in bias;
    }

    /// W, `(features, units)`.
    pub fn weight(&self) -> &Param<A> {
        &self.weight
    }

    /// b, `(units)`.
    pub fn bias(&self) -> Option<&Param<A>> {
        self.bias.as_ref()
    }

    /// Adds the gradients of W and b from x and dz.
    fn add_gradients(&self, x: &Tensor<A>, dz: &[A], ctx: &mut Context<A>) -> Result<()> {
        if let Some(grad) = ctx.grad(&self.weight) {
            let rows = dz.len() / self.units;
            let features = self.weight.len() / self.units;
            let (grad, beta) = grad.into_parts();
            let x = Matrix::row_major(values(x)?, rows, features);
            gemm(x.t(), Matrix::row_major(dz, rows, self.units), grad, self.units, Ending::sum(beta));
        }
        if let Some(grad) = self.bias.as_ref().and_then(|bias| ctx.grad(bias)) {
            add_columns(dz, grad.accumulate());
        }
        Ok(())
    }

    pub(super) fn from_config(settings: &Settings<'_, A>) -> Result<Self> {
        Ok(Dense {
            units: settings.get("units")?,
            activation: settings.get("activation")?,
            weight_start: settings.get("weight_initializer")?,
            bias_start: settings.get("bias_initializer")?,
            weight: Param::new(),
            bias: settings.get::<bool>("bias")?.then(Param::new),
        })
    }
}

impl<A: Scalar> Layer<A> for Dense<A> {
    fn kind(&self) -> &str {
        "Dense"
    }

    fn config(&self) -> Value {
        json!({
            "units": self.units, "bias": self.bias.is_some(), "activation": self.activation.describe(),
            "weight_initializer": self.weight_start.describe(), "bias_initializer": self.bias_start.describe(),
        })
    }

    fn build(&mut self, input: &[usize], init: &mut Init<A>) -> Result<Vec<usize>> {
        let shape = [features(input)?, self.units];
        let output = self.output_shape(input)?;
        init.param(&mut self.weight, &shape, &self.weight_start)?;
        if let Some(bias) = &mut self.bias {
            init.param_with_fans(bias, &[self.units], &shape, &self.bias_start)?;
        }
        Ok(output)
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        self.activation.check()?;
        if self.units == 0 {
            return Err(Error::setting("units", "at least 1", 0));
        }
        check_features(features(input)?, self.weight.get().ok().map(|w| w.shape()[0]), input)?;
        let mut output = input.to_vec();
        output[input.len() - 1] = self.units;
        Ok(output)
    }

    fn cost(&self, input: &[usize], output: &[usize]) -> Result<Cost> {
        let values = product(output);
        Ok(self.activation.fused_cost(values.saturating_mul(features(input)? as u64), values, self.bias.is_some()))
    }

    fn forward(&self, x: &Tensor<A>, ctx: &mut Context<A>) -> Result<Tensor<A>> {
        let features = self.weight.get()?.shape()[0];
        check_batch(x, features)?;
        let rows = x.len() / features;
        let mut shape = x.raw_dim();
        shape[x.ndim() - 1] = self.units;
        let mut y = ctx.tensor(ndarray::Dimension::slice(&shape));

        let bias = self.bias.as_ref().map(Param::values).transpose()?;
        let weight = Matrix::row_major(self.weight.values()?, features, self.units);
        let relu = self.activation == Activation::Relu;
        let x = Matrix::row_major(values(x)?, rows, features);
        gemm(x, weight, values_mut(&mut y), self.units, Ending { beta: A::zero(), bias, relu });
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
        let dz = self.activation.undo(y, dy, ctx)?;
        self.add_gradients(x, values(&dz)?, ctx)?;

        let mut dx = None;
        if want_dx {
            let features = self.weight.len() / self.units;
            let rows = dz.len() / self.units;
            let mut shape = dy.raw_dim();
            shape[dy.ndim() - 1] = features;
            let mut gradient = ctx.tensor(ndarray::Dimension::slice(&shape));
            let weight = Matrix::row_major(self.weight.values()?, features, self.units);
            let dz = Matrix::row_major(values(&dz)?, rows, self.units);
            gemm(dz, weight.t(), values_mut(&mut gradient), features, Ending::sum(A::zero()));
            dx = Some(gradient);
        }
        ctx.recycle(dz);
        Ok(dx)
    }

    fn keeps_mask(&self) -> bool {
        true
    }

    fn needs(&self) -> Needs {
        self.activation.fused_needs()
    }

    fn torch_names(&self, names: &mut TorchNames) {
        names.param("weight", "weight", TorchLayout::FirstTwoLast);
    }

    visit_params!(A; weight; bias);
}
