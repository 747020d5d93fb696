use serde_json::{Value, json};

use super::rules::weight_rules;
use super::{check_batch, check_features, features};
use crate::context::{Context, Mode};
use crate::cost::{Cost, product};
use crate::error::{Error, Result};
use crate::initializers::{Init, Initializer};
use crate::io::{Settings, TorchLayout, TorchNames};
use crate::kernels::elementwise::{add_assign, normalize, normalize_gradient};
use crate::kernels::reduce::{add_centered_products, add_columns, add_squared_deviations};
use crate::layer::{Layer, Needs};
use crate::param::{Param, Visitor};
use crate::scalar::Scalar;
use crate::tensor::{Tensor, values, values_mut};

/// y = gamma (x - mean) / sqrt(variance + epsilon) + beta, channel by channel (Ioffe and Szegedy 2015).
///
/// Input `(batch, ..., channels)`, output the same; gamma, beta and the two states are `(channels)`. In training, mean
/// and variance are those of all values of a channel in the batch, over all shards; the running ones move towards them:
/// `running = momentum * running + (1 - momentum) * batch`. In inference, and in training once
/// [frozen](crate::Model::freeze) (as in Keras), the running ones are used.
///
/// With n values of a channel and x^ = (x - mean) / sqrt(variance + epsilon): dbeta = sum dy, dgamma = sum dy x^, and
/// dx = gamma / sqrt(variance + epsilon) * (dy - dbeta / n - x^ dgamma / n); with running statistics
/// dx = gamma / sqrt(variance + epsilon) * dy.
///
/// Defaults, which are Keras's: momentum 0.99, epsilon 1e-3, running variance from the biased batch variance (sum of
/// squares / n). PyTorch's are `.momentum(0.9)` (which it calls 0.1), `.epsilon(1e-5)` and `.unbiased(true)`.
///
/// ```
/// use layerwise::prelude::*;
///
/// let model = Sequential::new()
///     .add(Dense::new(64).without_bias())
///     .add(BatchNormalization::new())
///     .add(Activation::Relu);
/// ```
#[derive(Debug)]
pub struct BatchNormalization<A: Scalar = f32> {
    momentum: f64,
    epsilon: f64,
    unbiased: bool,
    gamma: Option<Param<A>>,
    beta: Option<Param<A>>,
    running_mean: Param<A>,
    running_variance: Param<A>,
}

impl BatchNormalization {
    /// With Keras's defaults, for `f32` models.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Self::of()
    }
}

impl<A: Scalar> BatchNormalization<A> {
    /// With Keras's defaults, for models of any number type.
    pub fn of() -> Self {
        BatchNormalization {
            momentum: 0.99,
            epsilon: 1e-3,
            unbiased: false,
            gamma: Some(Param::new()),
            beta: Some(Param::new()),
            running_mean: Param::state(),
            running_variance: Param::state(),
        }
    }

    /// How much of the running statistics stays in one step, from 0 to 1. PyTorch's momentum is one minus this.
    #[must_use]
    pub fn momentum(mut self, momentum: f64) -> Self {
        self.momentum = momentum;
        self
    }

    /// What is added to the variance.
    #[must_use]
    pub fn epsilon(mut self, epsilon: f64) -> Self {
        self.epsilon = epsilon;
        self
    }

    /// Whether the running variance follows the unbiased batch variance, as in PyTorch. The output is the same in
    /// training.
    #[must_use]
    pub fn unbiased(mut self, unbiased: bool) -> Self {
        self.unbiased = unbiased;
        self
    }

    /// Leaves beta away.
    #[must_use]
    pub fn without_center(mut self) -> Self {
        self.beta = None;
        self
    }

    /// Leaves gamma away.
    #[must_use]
    pub fn without_scale(mut self) -> Self {
        self.gamma = None;
        self
    }

    weight_rules! {
        gamma_regularizer, gamma_constraint: "gamma" in gamma;
        beta_regularizer, beta_constraint: "beta" in beta;
    }

    /// Refuses steps of which some are masked: they would count in the statistics of the batch.
    fn check_mask(&self, ctx: &Context<A>) -> Result<()> {
        if ctx.mask().is_none() || !self.uses_batch(ctx) {
            return Ok(());
        }
        let requirement = "none in training: its statistics would count steps that are masked";
        Err(Error::setting("mask of the input of BatchNormalization", requirement, "one"))
    }

    fn uses_batch(&self, ctx: &Context<A>) -> bool {
        ctx.mode() == Mode::Training && !self.running_mean.is_frozen()
    }

    /// Mean, n, and 1 / sqrt(variance + epsilon) of the batch, one after the other. Moves the running statistics.
    fn batch_statistics(&self, x: &Tensor<A>, channels: usize, ctx: &mut Context<A>) -> Result<Tensor<A>> {
        let mut statistics = ctx.zeros(&[2 * channels + 1]);
        // The sums and n travel together. The variance needs the mean first: so large means cost it no digits.
        let (sums, variance) = values_mut(&mut statistics).split_at_mut(channels + 1);
        add_columns(values(x)?, &mut sums[..channels]);
        sums[channels] = A::of((x.len() / channels) as f64);
        ctx.all_reduce(sums)?;
        let (mean, count) = sums.split_at_mut(channels);
        let (count, least) = (count[0], if self.unbiased { 2.0 } else { 1.0 });
        if count < A::of(least) {
            let expected = format!("at least {least} values of each channel to train on");
            return Err(Error::shape("input", expected, x.shape()));
        }
        mean.iter_mut().for_each(|mean| *mean /= count);
        add_squared_deviations(values(x)?, mean, variance);
        ctx.all_reduce(variance)?;
        variance.iter_mut().for_each(|variance| *variance /= count);

        let correction = if self.unbiased { count / (count - A::one()) } else { A::one() };
        self.follow(&self.running_mean, mean, A::one(), ctx)?;
        self.follow(&self.running_variance, variance, correction, ctx)?;
        self.invert(variance);
        Ok(statistics)
    }

    /// running = momentum * running + (1 - momentum) * correction * batch.
    fn follow(&self, running: &Param<A>, batch: &[A], correction: A, ctx: &mut Context<A>) -> Result<()> {
        let momentum = ctx.momentum(running, self.momentum);
        let (stays, comes) = (A::of(momentum), A::of(1.0 - momentum) * correction);
        let mut next = ctx.tensor(&[batch.len()]);
        let last = values(ctx.state(running)?)?;
        for ((next, &last), &batch) in values_mut(&mut next).iter_mut().zip(last).zip(batch) {
            // Of what does not stay nothing is left, be it NaN.
            let left = if stays == A::zero() { A::zero() } else { stays * last };
            *next = left + comes * batch;
        }
        ctx.set_state(running, next);
        Ok(())
    }

    /// The same of the running statistics, without n.
    fn running_statistics(&self, channels: usize, ctx: &mut Context<A>) -> Result<Tensor<A>> {
        let mut statistics = ctx.zeros(&[2 * channels + 1]);
        let (mean, variance) = values_mut(&mut statistics).split_at_mut(channels + 1);
        mean[..channels].copy_from_slice(values(ctx.state(&self.running_mean)?)?);
        variance.copy_from_slice(values(ctx.state(&self.running_variance)?)?);
        self.invert(variance);
        Ok(statistics)
    }

    fn invert(&self, variance: &mut [A]) {
        let epsilon = A::of(self.epsilon);
        variance.iter_mut().for_each(|variance| *variance = A::one() / (*variance + epsilon).sqrt());
    }

    /// gamma / sqrt(variance + epsilon).
    fn scale(&self, inverse: &[A], scale: &mut [A]) -> Result<()> {
        scale.copy_from_slice(inverse);
        if let Some(gamma) = &self.gamma {
            scale.iter_mut().zip(gamma.values()?).for_each(|(scale, &gamma)| *scale *= gamma);
        }
        Ok(())
    }

    pub(super) fn from_config(settings: &Settings<'_, A>) -> Result<Self> {
        Ok(BatchNormalization {
            momentum: settings.get("momentum")?,
            epsilon: settings.get("epsilon")?,
            unbiased: settings.get("unbiased")?,
            gamma: settings.get::<bool>("scale")?.then(Param::new),
            beta: settings.get::<bool>("center")?.then(Param::new),
            running_mean: Param::state(),
            running_variance: Param::state(),
        })
    }
}

impl<A: Scalar> Layer<A> for BatchNormalization<A> {
    fn kind(&self) -> &str {
        "BatchNormalization"
    }

    fn config(&self) -> Value {
        json!({
            "momentum": self.momentum, "epsilon": self.epsilon, "unbiased": self.unbiased,
            "center": self.beta.is_some(), "scale": self.gamma.is_some(),
        })
    }

    fn build(&mut self, input: &[usize], init: &mut Init<A>) -> Result<Vec<usize>> {
        let output = self.output_shape(input)?;
        let shape = [features(input)?];
        let (zeros, ones) = (Initializer::Zeros, Initializer::Constant(1.0));
        if let Some(gamma) = &mut self.gamma {
            init.param(gamma, &shape, &ones)?;
        }
        if let Some(beta) = &mut self.beta {
            init.param(beta, &shape, &zeros)?;
        }
        init.param(&mut self.running_mean, &shape, &zeros)?;
        init.param(&mut self.running_variance, &shape, &ones)?;
        Ok(output)
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        if !(0.0..=1.0).contains(&self.momentum) {
            return Err(Error::setting("momentum", "from 0 to 1", self.momentum));
        }
        if !(self.epsilon > 0.0 && self.epsilon.is_finite()) {
            return Err(Error::setting("epsilon", "a finite number above 0", self.epsilon));
        }
        check_features(features(input)?, self.running_mean.get().ok().map(|mean| mean.len()), input)?;
        Ok(input.to_vec())
    }

    /// A difference and a product, in which gamma is, and beta. The statistics are those of the batch.
    fn cost(&self, _: &[usize], output: &[usize]) -> Result<Cost> {
        let operations = 2 + u64::from(self.beta.is_some());
        Ok(Cost::of(product(output).saturating_mul(operations)))
    }

    fn forward(&self, x: &Tensor<A>, ctx: &mut Context<A>) -> Result<Tensor<A>> {
        let channels = self.running_mean.get()?.len();
        check_batch(x, channels)?;
        self.check_mask(ctx)?;
        let statistics = match self.uses_batch(ctx) {
            true => self.batch_statistics(x, channels, ctx)?,
            false => self.running_statistics(channels, ctx)?,
        };
        let mut affine = ctx.zeros(&[2 * channels]);
        let (scale, shift) = values_mut(&mut affine).split_at_mut(channels);
        let known = values(&statistics)?;
        self.scale(&known[channels + 1..], scale)?;
        if let Some(beta) = &self.beta {
            shift.copy_from_slice(beta.values()?);
        }
        let mut y = ctx.tensor(x.shape());
        normalize(values(x)?, values_mut(&mut y), &known[..channels], scale, shift);
        ctx.recycle(affine);
        ctx.save(statistics);
        Ok(y)
    }

    fn backward(
        &self,
        x: &Tensor<A>,
        _: &Tensor<A>,
        dy: &Tensor<A>,
        want_dx: bool,
        ctx: &mut Context<A>,
    ) -> Result<Option<Tensor<A>>> {
        let statistics = ctx.restore();
        let channels = self.running_mean.len();
        let (mean, rest) = values(&statistics)?.split_at(channels);
        let (count, inverse) = (rest[0], &rest[1..]);

        // Sums of dy and of dy (x - mean): of this shard for the weights, of all shards for dx.
        let mut sums = ctx.zeros(&[2 * channels]);
        let (sum, product) = values_mut(&mut sums).split_at_mut(channels);
        let learns = [&self.gamma, &self.beta].into_iter().flatten().any(|param| ctx.wants_grad(param));
        if learns || self.uses_batch(ctx) {
            add_columns(values(dy)?, sum);
            add_centered_products(values(x)?, values(dy)?, mean, product);
        }
        if let Some(grad) = self.beta.as_ref().and_then(|beta| ctx.grad(beta)) {
            add_assign(grad.accumulate(), sum);
        }
        if let Some(grad) = self.gamma.as_ref().and_then(|gamma| ctx.grad(gamma)) {
            for ((grad, &product), &inverse) in grad.accumulate().iter_mut().zip(&*product).zip(inverse) {
                *grad += product * inverse;
            }
        }
        if self.uses_batch(ctx) {
            ctx.all_reduce(values_mut(&mut sums))?;
        }

        let mut dx = None;
        if want_dx {
            let mut scale = ctx.tensor(&[channels]);
            self.scale(inverse, values_mut(&mut scale))?;
            let mut gradient = ctx.tensor(dy.shape());
            let (sum, product) = values_mut(&mut sums).split_at_mut(channels);
            if self.uses_batch(ctx) {
                sum.iter_mut().for_each(|sum| *sum /= count);
                for (product, &inverse) in product.iter_mut().zip(inverse) {
                    *product *= inverse * inverse / count;
                }
                let to = values_mut(&mut gradient);
                normalize_gradient(values(x)?, values(dy)?, to, mean, values(&scale)?, sum, product);
            } else {
                sum.fill(A::zero());
                normalize(values(dy)?, values_mut(&mut gradient), sum, values(&scale)?, sum);
            }
            ctx.recycle(scale);
            dx = Some(gradient);
        }
        ctx.recycle(sums);
        ctx.recycle(statistics);
        Ok(dx)
    }

    fn keeps_mask(&self) -> bool {
        true
    }

    fn needs(&self) -> Needs {
        Needs::INPUT
    }

    fn couples_samples(&self) -> bool {
        true
    }

    fn torch_names(&self, names: &mut TorchNames) {
        names.param("gamma", "weight", TorchLayout::Same);
        names.param("beta", "bias", TorchLayout::Same);
        names.param("running_variance", "running_var", TorchLayout::Same);
        names.unused("num_batches_tracked");
    }

    fn visit<'a>(&'a self, visitor: &mut Visitor<'_, &'a Param<A>>) {
        self.gamma.iter().for_each(|gamma| visitor.param("gamma", gamma));
        self.beta.iter().for_each(|beta| visitor.param("beta", beta));
        visitor.param("running_mean", &self.running_mean);
        visitor.param("running_variance", &self.running_variance);
    }

    fn visit_mut<'a>(&'a mut self, visitor: &mut Visitor<'_, &'a mut Param<A>>) {
        self.gamma.iter_mut().for_each(|gamma| visitor.param("gamma", gamma));
        self.beta.iter_mut().for_each(|beta| visitor.param("beta", beta));
        visitor.param("running_mean", &mut self.running_mean);
        visitor.param("running_variance", &mut self.running_variance);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Barrier, Mutex};

    use ndarray::{Array2, array, s};

    use super::*;
    use crate::context::AllReduce;
    use crate::model::Model;

    /// Threads that meet to add up.
    struct Meeting {
        barrier: Barrier,
        parts: Mutex<Vec<Vec<f64>>>,
    }

    impl AllReduce<f64> for Meeting {
        fn all_reduce(&self, shard: usize, values: &mut [f64]) -> Result<()> {
            self.parts.lock().unwrap()[shard] = values.to_vec();
            self.barrier.wait();
            values.fill(0.0);
            for part in self.parts.lock().unwrap().iter() {
                values.iter_mut().zip(part).for_each(|(total, part)| *total += part);
            }
            self.barrier.wait();
            Ok(())
        }
    }

    fn samples() -> Array2<f64> {
        Array2::from_shape_fn((7, 3), |(i, j)| ((i * 5 + j * 3) % 7) as f64 * 0.7 + j as f64 * 100.0)
    }

    /// Output, gradient of the input, gradients of gamma and beta, and the running variance after.
    fn pass(
        layer: &BatchNormalization<f64>,
        x: &Array2<f64>,
        dy: &Array2<f64>,
        ctx: &mut Context<f64>,
    ) -> Result<[Tensor<f64>; 5]> {
        let (x, dy) = (x.to_owned().into_dyn().into_shared(), dy.to_owned().into_dyn().into_shared());
        let y = layer.forward(&x, ctx)?;
        let dx = layer.backward(&x, &y, &dy, true, ctx)?.unwrap();
        let gradient = |param: &Option<Param<f64>>| ctx.gradient_of(param.as_ref().unwrap()).map(Option::unwrap);
        let (dgamma, dbeta) = (gradient(&layer.gamma)?, gradient(&layer.beta)?);
        Ok([y, dx, dgamma, dbeta, ctx.state(&layer.running_variance)?.clone()])
    }

    #[test]
    fn two_shards_are_one_batch() -> Result<()> {
        let mut layer = BatchNormalization::<f64>::of().unbiased(true);
        layer.initialize(&[3], 0)?;
        let (x, dy) = (samples(), samples().mapv(|x| (x * 1.3).sin()));
        let whole = pass(&layer, &x, &dy, &mut Context::training(&layer, 0))?;

        let meeting = Arc::new(Meeting { barrier: Barrier::new(2), parts: Mutex::new(vec![Vec::new(); 2]) });
        let shards = [s![..3, ..], s![3.., ..]].map(|rows| (x.slice(rows).to_owned(), dy.slice(rows).to_owned()));
        let parts: Vec<Result<_>> = std::thread::scope(|scope| {
            let run = |(shard, (x, dy))| {
                let (layer, meeting) = (&layer, meeting.clone());
                scope.spawn(move || {
                    let mut ctx = Context::training(layer, 0);
                    ctx.set_shard(shard, Some(meeting));
                    pass(layer, &x, &dy, &mut ctx)
                })
            };
            let threads: Vec<_> = shards.into_iter().enumerate().map(run).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let [a, b]: [_; 2] = parts.into_iter().collect::<Result<Vec<_>>>()?.try_into().unwrap();
        let close = |one: &Tensor<f64>, other: &Tensor<f64>| {
            assert!(one.iter().zip(other).all(|(a, b)| (a - b).abs() < 1e-12), "{one} {other}");
        };
        for at in 0..2 {
            let rows = ndarray::concatenate![ndarray::Axis(0), a[at], b[at]].into_shared();
            close(&rows, &whole[at]);
        }
        for at in 2..4 {
            close(&(&a[at] + &b[at]).into_shared(), &whole[at]);
        }
        close(&a[4], &whole[4]);
        close(&b[4], &whole[4]);
        Ok(())
    }

    #[test]
    fn a_second_use_in_a_pass_goes_on_from_the_first() -> Result<()> {
        let mut layer = BatchNormalization::<f64>::of().momentum(0.5);
        layer.initialize(&[1], 0)?;
        let mut ctx = Context::training(&layer, 0);
        for mean in [8.0, 4.0] {
            layer.forward(&array![[mean - 1.0], [mean + 1.0]].into_dyn().into_shared(), &mut ctx)?;
        }
        // 0 -> 4 -> 4; nothing is written before the step is done.
        assert_eq!(ctx.state(&layer.running_mean)?[[0]], 4.0);
        assert_eq!(layer.running_mean.get()?[[0]], 0.0);
        Ok(())
    }

    #[test]
    fn frozen_it_works_as_in_inference() -> Result<()> {
        let mut layer = BatchNormalization::<f64>::of();
        layer.initialize(&[3], 0)?;
        layer.freeze();
        let x = samples().into_dyn().into_shared();
        let mut ctx = Context::training(&layer, 0);
        assert_eq!(layer.forward(&x, &mut ctx)?, layer.predict(&x)?);
        assert!(ctx.pending().is_empty());
        Ok(())
    }
}
