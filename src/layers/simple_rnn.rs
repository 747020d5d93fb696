use ndarray::Dimension;
use serde_json::{Value, json};

use super::activation::Kept;
use super::rules::weight_rules;
use super::{Activation, check_features};
use crate::context::Context;
use crate::cost::Cost;
use crate::error::{Error, Result};
use crate::initializers::{Init, Initializer};
use crate::io::{Settings, TorchLayout, TorchNames};
use crate::kernels::elementwise::add_assign;
use crate::kernels::gemm::{Ending, Matrix, gemm};
use crate::kernels::reduce::add_columns;
use crate::layer::{Layer, Needs};
use crate::param::{Param, Visitor};
use crate::scalar::Scalar;
use crate::tensor::{Tensor, values, values_mut};

/// h_t = f(x_t W + h_{t-1} U + b) over time, from h_0 = 0 (Elman 1990).
///
/// Input `(batch, time, features)`; output the last step, `(batch, units)`, or every step, `(batch, time, units)`,
/// with [`return_sequences`](Self::return_sequences). W is `(features, units)`, U `(units, units)` and b `(units)`.
///
/// At a step that is [masked](super::Masking) h stays as it was.
///
/// Backwards through time with dh_t = dy_t + dz_{t+1} U^T and dz_t = dh_t f'(z_t): dW = sum x_t^T dz_t,
/// dU = sum h_{t-1}^T dz_t, db = sum dz_t, dx_t = dz_t W^T.
///
/// Defaults, which are Keras's: f = tanh, Glorot uniform for W, zeros for b. For U Keras has a random orthogonal
/// matrix ([`Initializer::Orthogonal`]); here it is Glorot uniform too. PyTorch draws all three uniformly within ±1 / sqrt(units) and has two biases,
/// of which only the sum counts.
///
/// ```
/// use layerwise::prelude::*;
///
/// let model = Sequential::new()
///     .add(Embedding::new(1000, 16))
///     .add(SimpleRnn::new(32).return_sequences())
///     .add(SimpleRnn::new(32))
///     .add(Dense::new(2));
/// assert_eq!(model.output_shape(&[20])?, [2]);
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug)]
pub struct SimpleRnn<A: Scalar = f32> {
    units: usize,
    activation: Activation,
    sequences: bool,
    weight_start: Initializer,
    recurrent_start: Initializer,
    bias_start: Initializer,
    weight: Param<A>,
    recurrent_weight: Param<A>,
    bias: Option<Param<A>>,
}

impl SimpleRnn {
    /// With `units` outputs, for `f32` models.
    pub fn new(units: usize) -> Self {
        Self::of(units)
    }
}

impl<A: Scalar> SimpleRnn<A> {
    /// With `units` outputs, for models of any number type.
    pub fn of(units: usize) -> Self {
        SimpleRnn {
            units,
            activation: Activation::Tanh,
            sequences: false,
            weight_start: Initializer::GlorotUniform,
            recurrent_start: Initializer::GlorotUniform,
            bias_start: Initializer::Zeros,
            weight: Param::new(),
            recurrent_weight: Param::new(),
            bias: Some(Param::new()),
        }
    }

    /// f: any activation whose derivative follows from its output, so none of the smooth ones with a dip
    /// (GELU, SiLU, HardSwish, Mish), nor Softsign, TanhShrink, Threshold and falling leaky ReLUs.
    #[must_use]
    pub fn activation(mut self, activation: Activation) -> Self {
        self.activation = activation;
        self
    }

    /// Gives every step instead of the last one.
    #[must_use]
    pub fn return_sequences(mut self) -> Self {
        self.sequences = true;
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

    /// How U starts.
    #[must_use]
    pub fn recurrent_initializer(mut self, start: Initializer) -> Self {
        self.recurrent_start = start;
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
        recurrent_regularizer, recurrent_constraint: "U" in recurrent_weight;
        bias_regularizer, bias_constraint: "b" in bias;
    }

    /// U as a matrix.
    fn recurrent(&self) -> Result<Matrix<'_, A>> {
        Ok(Matrix::row_major(self.recurrent_weight.values()?, self.units, self.units))
    }

    /// dz of all steps from h of all steps, dy, and the mask, which is empty where all steps count.
    fn through_time(
        &self,
        h: &[A],
        dy: &[A],
        mask: &Tensor<A>,
        time: usize,
        ctx: &mut Context<A>,
    ) -> Result<Tensor<A>> {
        let (units, batch) = (self.units, h.len() / (time * self.units));
        let (mask, beta) = (values(mask)?, if mask.is_empty() { A::zero() } else { A::one() });
        let mut dz = ctx.tensor(&[batch, time, units]);
        let mut step = ctx.tensor(&[3, batch, units]);
        let (h_step, rest) = values_mut(&mut step).split_at_mut(batch * units);
        let (dh, dz_step) = rest.split_at_mut(batch * units);
        dh.fill(A::zero());
        if !self.sequences {
            dh.copy_from_slice(dy);
        }
        for t in (0..time).rev() {
            if self.sequences {
                let rows = dy.chunks_exact(time * units).zip(dh.chunks_exact_mut(units));
                rows.for_each(|(dy, dh)| add_assign(dh, &dy[t * units..(t + 1) * units]));
            }
            gather(h, t, time, units, h_step);
            self.activation.gradient(h_step, dh, dz_step, units);
            part_masked(mask, t, time, units, dz_step, dh);
            scatter(dz_step, t, time, units, values_mut(&mut dz));
            if t > 0 {
                gemm(Matrix::row_major(dz_step, batch, units), self.recurrent()?.t(), dh, units, Ending::sum(beta));
            }
        }
        ctx.recycle(step);
        Ok(dz)
    }

    /// Adds the gradients of W, U and b.
    fn add_gradients(&self, x: &Tensor<A>, h: &[A], dz: &Tensor<A>, ctx: &mut Context<A>) -> Result<()> {
        let (units, rows, time) = (self.units, dz.len() / self.units, dz.shape()[1]);
        let dz = values(dz)?;
        if let Some(grad) = ctx.grad(&self.weight) {
            let (grad, beta) = grad.into_parts();
            let x = Matrix::row_major(values(x)?, rows, x.shape()[2]);
            gemm(x.t(), Matrix::row_major(dz, rows, units), grad, units, Ending::sum(beta));
        }
        if ctx.wants_grad(&self.recurrent_weight) {
            // h one step later: the first step of each sample saw zeros.
            let mut before = ctx.tensor(&[rows, units]);
            for (before, h) in values_mut(&mut before).chunks_exact_mut(time * units).zip(h.chunks_exact(time * units))
            {
                before[..units].fill(A::zero());
                before[units..].copy_from_slice(&h[..(time - 1) * units]);
            }
            if let Some(grad) = ctx.grad(&self.recurrent_weight) {
                let (grad, beta) = grad.into_parts();
                let before = Matrix::row_major(values(&before)?, rows, units);
                gemm(before.t(), Matrix::row_major(dz, rows, units), grad, units, Ending::sum(beta));
            }
            ctx.recycle(before);
        }
        if let Some(grad) = self.bias.as_ref().and_then(|bias| ctx.grad(bias)) {
            add_columns(dz, grad.accumulate());
        }
        Ok(())
    }

    pub(super) fn from_config(settings: &Settings<'_, A>) -> Result<Self> {
        Ok(SimpleRnn {
            units: settings.get("units")?,
            activation: settings.get("activation")?,
            sequences: settings.get("return_sequences")?,
            weight_start: settings.get("weight_initializer")?,
            recurrent_start: settings.get("recurrent_initializer")?,
            bias_start: settings.get("bias_initializer")?,
            weight: Param::new(),
            recurrent_weight: Param::new(),
            bias: settings.get::<bool>("bias")?.then(Param::new),
        })
    }
}

/// Copies step t of `(batch, time, units)` to `(batch, units)`.
fn gather<A: Scalar>(all: &[A], t: usize, time: usize, units: usize, step: &mut [A]) {
    for (all, step) in all.chunks_exact(time * units).zip(step.chunks_exact_mut(units)) {
        step.copy_from_slice(&all[t * units..(t + 1) * units]);
    }
}

/// At step t dh goes on as it is where the step is masked, and through dz alone where it is not.
fn part_masked<A: Scalar>(mask: &[A], t: usize, time: usize, units: usize, dz: &mut [A], dh: &mut [A]) {
    let rows = dz.chunks_exact_mut(units).zip(dh.chunks_exact_mut(units));
    for ((dz, dh), mask) in rows.zip(mask.chunks_exact(time)) {
        if mask[t] == A::zero() { dz } else { dh }.fill(A::zero());
    }
}

/// Puts h of the step before in the place of that of step t where that is masked.
fn carry<A: Scalar>(mask: &[A], t: usize, time: usize, units: usize, all: &[A], step: &mut [A]) {
    let rows = step.chunks_exact_mut(units).zip(all.chunks_exact(time * units));
    for ((step, all), mask) in rows.zip(mask.chunks_exact(time)) {
        match (mask[t] == A::zero(), t) {
            (true, 0) => step.fill(A::zero()),
            (true, t) => step.copy_from_slice(&all[(t - 1) * units..t * units]),
            (false, _) => {}
        }
    }
}

/// Copies `(batch, units)` to step t of `(batch, time, units)`.
fn scatter<A: Scalar>(step: &[A], t: usize, time: usize, units: usize, all: &mut [A]) {
    for (all, step) in all.chunks_exact_mut(time * units).zip(step.chunks_exact(units)) {
        all[t * units..(t + 1) * units].copy_from_slice(step);
    }
}

impl<A: Scalar> Layer<A> for SimpleRnn<A> {
    fn kind(&self) -> &str {
        "SimpleRNN"
    }

    fn config(&self) -> Value {
        json!({
            "units": self.units, "activation": self.activation.describe(), "return_sequences": self.sequences,
            "bias": self.bias.is_some(), "weight_initializer": self.weight_start.describe(),
            "recurrent_initializer": self.recurrent_start.describe(), "bias_initializer": self.bias_start.describe(),
        })
    }

    fn build(&mut self, input: &[usize], init: &mut Init<A>) -> Result<Vec<usize>> {
        let output = self.output_shape(input)?;
        let shape = [input[1], self.units];
        init.param(&mut self.weight, &shape, &self.weight_start)?;
        init.param(&mut self.recurrent_weight, &[self.units, self.units], &self.recurrent_start)?;
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
        if self.activation.kept() == Kept::Input {
            let requirement = "one whose derivative follows from its output (Tanh, Relu, Sigmoid, Linear...)";
            return Err(Error::setting("activation of SimpleRNN", requirement, format!("{:?}", self.activation)));
        }
        let &[time, features] = input else {
            return Err(Error::shape("input of one sample", "shape (time, features)", input));
        };
        if time == 0 || features == 0 {
            return Err(Error::shape("input of one sample", "at least one time step and one feature", input));
        }
        check_features(features, self.weight.get().ok().map(|w| w.shape()[0]), input)?;
        Ok(if self.sequences { vec![time, self.units] } else { vec![self.units] })
    }

    fn cost(&self, input: &[usize], _: &[usize]) -> Result<Cost> {
        self.output_shape(input)?;
        let (time, features, units) = (input[0] as u64, input[1] as u64, self.units as u64);
        let values = time.saturating_mul(units);
        // The first step, whose state is zeros, counts like the others.
        let terms = features.saturating_add(units);
        let cost = self.activation.fused_cost(values.saturating_mul(terms), values, self.bias.is_some());
        // Sequences are the output.
        Ok(if self.sequences { cost } else { cost.saving(values) })
    }

    fn forward(&self, x: &Tensor<A>, ctx: &mut Context<A>) -> Result<Tensor<A>> {
        let (units, features) = (self.units, self.weight.get()?.shape()[0]);
        let (batch, time) = match *x.shape() {
            [batch, time, last] if time > 0 && last == features => (batch, time),
            _ => {
                let expected = format!("shape (batch, time, {features}) with at least one time step");
                return Err(Error::shape("input", expected, x.shape()));
            }
        };
        let mask = ctx.mask_of(batch, time)?.unwrap_or_else(|| ctx.nothing());
        // z of all steps but for h U, turned into h step by step.
        let mut h = ctx.tensor(&[batch, time, units]);
        let all = values_mut(&mut h);
        let bias = self.bias.as_ref().map(Param::values).transpose()?;
        let weight = Matrix::row_major(self.weight.values()?, features, units);
        gemm(
            Matrix::row_major(values(x)?, batch * time, features),
            weight,
            all,
            units,
            Ending { bias, ..Ending::sum(A::zero()) },
        );

        let mut last = ctx.tensor(&[batch, units]);
        let step = values_mut(&mut last);
        for t in 0..time {
            if t > 0 && batch > 0 {
                let before = Matrix::row_major(step, batch, units);
                gemm(before, self.recurrent()?, &mut all[t * units..], time * units, Ending::sum(A::one()));
            }
            gather(all, t, time, units, step);
            self.activation.apply_in_place(step, units);
            carry(values(&mask)?, t, time, units, all, step);
            scatter(step, t, time, units, all);
        }
        ctx.save(mask);
        let (y, other) = if self.sequences { (h, last) } else { (last, h) };
        if self.sequences {
            ctx.recycle(other);
        } else {
            ctx.save(other);
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
        let h = if self.sequences { y.clone() } else { ctx.restore() };
        let mask = ctx.restore();
        let dz = self.through_time(values(&h)?, values(dy)?, &mask, h.shape()[1], ctx)?;
        ctx.recycle(mask);
        self.add_gradients(x, values(&h)?, &dz, ctx)?;
        ctx.recycle(h);

        let mut dx = None;
        if want_dx {
            let (rows, features) = (dz.len() / self.units, self.weight.get()?.shape()[0]);
            let mut shape = dz.raw_dim();
            shape[2] = features;
            let mut gradient = ctx.tensor(shape.slice());
            let weight = Matrix::row_major(self.weight.values()?, features, self.units);
            let dz = Matrix::row_major(values(&dz)?, rows, self.units);
            gemm(dz, weight.t(), values_mut(&mut gradient), features, Ending::sum(A::zero()));
            dx = Some(gradient);
        }
        ctx.recycle(dz);
        Ok(dx)
    }

    fn keeps_mask(&self) -> bool {
        self.sequences
    }

    fn needs(&self) -> Needs {
        Needs { input: true, output: self.sequences }
    }

    fn torch_names(&self, names: &mut TorchNames) {
        names.param("weight", "weight_ih", TorchLayout::FirstTwoLast);
        names.param("recurrent_weight", "weight_hh", TorchLayout::FirstTwoLast);
        names.sum("bias", &["bias_ih", "bias_hh"]);
    }

    fn visit<'a>(&'a self, visitor: &mut Visitor<'_, &'a Param<A>>) {
        visitor.param("weight", &self.weight);
        visitor.param("recurrent_weight", &self.recurrent_weight);
        self.bias.iter().for_each(|bias| visitor.param("bias", bias));
    }

    fn visit_mut<'a>(&'a mut self, visitor: &mut Visitor<'_, &'a mut Param<A>>) {
        visitor.param("weight", &mut self.weight);
        visitor.param("recurrent_weight", &mut self.recurrent_weight);
        self.bias.iter_mut().for_each(|bias| visitor.param("bias", bias));
    }
}
