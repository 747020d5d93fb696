//! Normalisation of each sample by itself, group by group of its channels.

use serde_json::{Value, json};

pub(super) use super::group_layout::Grouping;
use super::group_layout::{Layout, check_axes, rows};
use super::{check_batch, features};
use crate::context::Context;
use crate::cost::{Cost, product};
use crate::error::{Error, Result};
use crate::initializers::{Init, Initializer};
use crate::io::{Settings, TorchLayout, TorchNames};
use crate::kernels::elementwise::{add_assign, group_gradient, normalize};
use crate::kernels::reduce::{add_centered_products, add_columns, add_squared_deviations};
use crate::layer::{Layer, Needs};
use crate::param::{Param, Visitor};
use crate::scalar::Scalar;
use crate::tensor::{Tensor, count, values, values_mut};

/// The layer under group, instance, layer and root mean square normalisation: y = gamma x^ + beta with
/// x^ = (x - mean) s and s = 1 / sqrt(variance + epsilon), where mean and variance are those of the n values of a group.
///
/// dbeta = sum dy, dgamma = sum dy x^ for each channel, and with g = gamma dy
/// dx = s (g - mean of g - x^ mean of g x^), the means being over the group. Without a mean (it is 0 then) dx is without
/// the mean of g.
#[derive(Debug)]
pub(super) struct Groups<A: Scalar> {
    pub(super) grouping: Grouping,
    pub(super) epsilon: f64,
    pub(super) gamma: Option<Param<A>>,
    pub(super) beta: Option<Param<A>>,
}

impl<A: Scalar> Groups<A> {
    /// With Keras's defaults.
    pub(super) fn of(grouping: Grouping) -> Self {
        let beta = grouping.centers().then(Param::new);
        Groups { grouping, epsilon: 1e-3, gamma: Some(Param::new()), beta }
    }

    fn built(&self) -> Option<&Param<A>> {
        self.gamma.as_ref().or(self.beta.as_ref())
    }

    fn layout(&self, sample: &[usize]) -> Result<Layout> {
        if !(self.epsilon > 0.0 && self.epsilon.is_finite()) {
            return Err(Error::setting("epsilon", "a finite number above 0", self.epsilon));
        }
        let last = features(sample)?;
        let all = count("input of one sample", sample)?;
        let channels = match self.normalized(sample)? {
            [_] => last,
            axes => axes.iter().product(),
        };
        let layout = match self.grouping {
            Grouping::Groups(groups) => Layout { channels, sample: all, groups },
            Grouping::Channels => Layout { channels, sample: all, groups: channels },
            Grouping::Features(_) | Grouping::MeanSquare(_) => Layout { channels, sample: channels, groups: 1 },
        };
        if layout.groups == 0 || !channels.is_multiple_of(layout.groups) {
            return Err(Error::setting("groups", format!("a divisor of the {channels} channels"), layout.groups));
        }
        let least = if self.grouping.centers() { 2 } else { 1 };
        if layout.sample / layout.groups < least {
            let expected = format!("at least {least} values in each group");
            return Err(Error::shape("input of one sample", expected, sample));
        }
        Ok(layout)
    }

    /// The layout of a batch, which must have the channels that the layer was built for.
    fn layout_of(&self, x: &Tensor<A>) -> Result<Layout> {
        let built = self.built().map(|param| param.get()).transpose()?.map(|values| values.shape());
        let last = built.unwrap_or(x.shape()).last();
        check_batch(x, last.copied().unwrap_or_default())?;
        check_axes(built, x.shape())?;
        self.layout(&x.shape()[1..])
    }

    /// Mean and s of every group of one sample. The variance needs the mean first: so large means cost it no digits.
    fn statistics(&self, layout: Layout, x: &[A], mean: &mut [A], inverse: &mut [A], [center, sums]: [&mut [A]; 2]) {
        let (count, epsilon) = (layout.count::<A>(), A::of(self.epsilon));
        mean.fill(A::zero());
        if self.grouping.centers() {
            sums.fill(A::zero());
            add_columns(x, sums);
            mean.iter_mut().zip(layout.totals(sums)).for_each(|(mean, total)| *mean = total / count);
        }
        layout.spread(mean, center);
        sums.fill(A::zero());
        add_squared_deviations(x, center, sums);
        for (inverse, total) in inverse.iter_mut().zip(layout.totals(sums)) {
            *inverse = A::one() / (total / count + epsilon).sqrt();
        }
    }

    /// Multiplies by gamma.
    fn scale(&self, channels: &mut [A]) -> Result<()> {
        if let Some(gamma) = &self.gamma {
            channels.iter_mut().zip(gamma.values()?).for_each(|(value, &gamma)| *value *= gamma);
        }
        Ok(())
    }

    /// The axes of a sample that gamma and beta have.
    fn normalized<'s>(&self, sample: &'s [usize]) -> Result<&'s [usize]> {
        let axes = self.grouping.axes();
        match sample.len().checked_sub(axes) {
            Some(before) if axes > 0 => Ok(&sample[before..]),
            _ => Err(Error::setting("axes", format!("from 1 to {}, those of a sample", sample.len()), axes)),
        }
    }

    pub(super) fn from_config(grouping: Grouping, settings: &Settings<'_, A>) -> Result<Self> {
        let center = grouping.centers() && settings.get("center")?;
        Ok(Groups {
            grouping,
            epsilon: settings.get("epsilon")?,
            gamma: settings.get::<bool>("scale")?.then(Param::new),
            beta: center.then(Param::new),
        })
    }
}

impl<A: Scalar> Layer<A> for Groups<A> {
    fn kind(&self) -> &str {
        "Groups"
    }

    fn config(&self) -> Value {
        let (center, scale) = (self.beta.is_some(), self.gamma.is_some());
        match self.grouping {
            Grouping::Features(axes) => {
                json!({ "axes": axes, "epsilon": self.epsilon, "center": center, "scale": scale })
            }
            Grouping::MeanSquare(axes) => json!({ "axes": axes, "epsilon": self.epsilon, "scale": scale }),
            Grouping::Groups(groups) => {
                json!({ "groups": groups, "epsilon": self.epsilon, "center": center, "scale": scale })
            }
            Grouping::Channels => json!({ "epsilon": self.epsilon, "center": center, "scale": scale }),
        }
    }

    fn build(&mut self, input: &[usize], init: &mut Init<A>) -> Result<Vec<usize>> {
        let output = self.output_shape(input)?;
        let shape = self.normalized(input)?.to_vec();
        if let Some(gamma) = &mut self.gamma {
            init.param(gamma, &shape, &Initializer::Constant(1.0))?;
        }
        if let Some(beta) = &mut self.beta {
            init.param(beta, &shape, &Initializer::Zeros)?;
        }
        Ok(output)
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        self.layout(input)?;
        let built = self.built().and_then(|param| param.get().ok()).map(|values| values.shape());
        check_axes(built, input)?;
        Ok(input.to_vec())
    }

    /// A sum for the mean, two differences from it; a square and a sum for the variance, a product; gamma, beta.
    fn cost(&self, input: &[usize], output: &[usize]) -> Result<Cost> {
        let layout = self.layout(input)?;
        let (values, affine) = (product(output), [&self.gamma, &self.beta].into_iter().flatten().count() as u64);
        let groups = values / layout.sample as u64 * layout.groups as u64;
        let operations = affine + if self.grouping.centers() { 6 } else { 3 };
        Ok(Cost::of(values.saturating_mul(operations)).saving(groups.saturating_mul(2)))
    }

    fn forward(&self, x: &Tensor<A>, ctx: &mut Context<A>) -> Result<Tensor<A>> {
        let layout = self.layout_of(x)?;
        let mut statistics = ctx.tensor(&[2, layout.samples(x.len()), layout.groups]);
        let mut work = ctx.zeros(&[4, layout.channels]);
        let mut y = ctx.tensor(x.shape());
        let [center, sums, scale, shift] = rows(&mut work);
        if let Some(beta) = &self.beta {
            shift.copy_from_slice(beta.values()?);
        }
        let (means, inverses) = values_mut(&mut statistics).split_at_mut(layout.samples(x.len()) * layout.groups);
        let groups = means.chunks_exact_mut(layout.groups).zip(inverses.chunks_exact_mut(layout.groups));
        let samples = values(x)?.chunks_exact(layout.sample).zip(values_mut(&mut y).chunks_exact_mut(layout.sample));
        for ((x, y), (mean, inverse)) in samples.zip(groups) {
            self.statistics(layout, x, mean, inverse, [center, sums]);
            layout.spread(inverse, scale);
            self.scale(scale)?;
            normalize(x, y, center, scale, shift);
        }
        ctx.recycle(work);
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
        let layout = self.layout_of(x)?;
        let mut work = ctx.zeros(&[8, layout.channels]);
        let mut dx = want_dx.then(|| ctx.tensor(x.shape()));
        let [center, scale, sum, product, offset, slope, dgamma, dbeta] = rows(&mut work);
        let (means, inverses) = values(&statistics)?.split_at(layout.samples(x.len()) * layout.groups);
        let groups = means.chunks_exact(layout.groups).zip(inverses.chunks_exact(layout.groups));
        let samples = values(x)?.chunks_exact(layout.sample).zip(values(dy)?.chunks_exact(layout.sample));
        for (number, ((x, dy), (mean, inverse))) in samples.zip(groups).enumerate() {
            layout.spread(mean, center);
            layout.spread(inverse, scale);
            // Sums of dy and of dy (x - mean).
            sum.fill(A::zero());
            product.fill(A::zero());
            add_columns(dy, sum);
            add_centered_products(x, dy, center, product);
            add_assign(dbeta, sum);
            for ((dgamma, &product), &inverse) in dgamma.iter_mut().zip(&*product).zip(&*scale) {
                *dgamma += product * inverse;
            }
            let Some(dx) = &mut dx else { continue };
            // The same of g, whose means are subtracted: s mean of g, and s^3 mean of g (x - mean) times (x - mean).
            self.scale(sum)?;
            self.scale(product)?;
            let count = layout.count::<A>();
            let per_group = offset.chunks_exact_mut(layout.channels / layout.groups);
            let per_group = per_group.zip(slope.chunks_exact_mut(layout.channels / layout.groups));
            let totals = layout.totals(sum).zip(layout.totals(product));
            for (((offset, slope), (sum, product)), &inverse) in per_group.zip(totals).zip(inverse) {
                offset.fill(if self.grouping.centers() { inverse * sum / count } else { A::zero() });
                slope.fill(inverse * inverse * inverse * product / count);
            }
            self.scale(scale)?;
            let dx = &mut values_mut(dx)[number * layout.sample..][..layout.sample];
            group_gradient(x, dy, dx, center, scale, offset, slope);
        }
        for (param, total) in [(&self.gamma, dgamma), (&self.beta, dbeta)] {
            if let Some(grad) = param.as_ref().and_then(|param| ctx.grad(param)) {
                add_assign(grad.accumulate(), total);
            }
        }
        ctx.recycle(work);
        ctx.recycle(statistics);
        Ok(dx)
    }

    fn keeps_mask(&self) -> bool {
        true
    }

    fn needs(&self) -> Needs {
        Needs::INPUT
    }

    fn torch_names(&self, names: &mut TorchNames) {
        names.param("gamma", "weight", TorchLayout::Same);
        names.param("beta", "bias", TorchLayout::Same);
    }

    fn visit<'a>(&'a self, visitor: &mut Visitor<'_, &'a Param<A>>) {
        self.gamma.iter().for_each(|gamma| visitor.param("gamma", gamma));
        self.beta.iter().for_each(|beta| visitor.param("beta", beta));
    }

    fn visit_mut<'a>(&'a mut self, visitor: &mut Visitor<'_, &'a mut Param<A>>) {
        self.gamma.iter_mut().for_each(|gamma| visitor.param("gamma", gamma));
        self.beta.iter_mut().for_each(|beta| visitor.param("beta", beta));
    }
}

/// The settings that the layers of this family have in common.
macro_rules! group_settings {
    ($name:ident) => {
        impl<A: $crate::Scalar> $name<A> {
            /// What is added to the variance.
            #[must_use]
            pub fn epsilon(mut self, epsilon: f64) -> Self {
                self.0.epsilon = epsilon;
                self
            }

            /// Leaves beta away.
            #[must_use]
            pub fn without_center(mut self) -> Self {
                self.0.beta = None;
                self
            }

            /// Leaves gamma away.
            #[must_use]
            pub fn without_scale(mut self) -> Self {
                self.0.gamma = None;
                self
            }
        }
    };
}
pub(super) use group_settings;
