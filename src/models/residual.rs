use serde_json::{Value, json};

use super::{child_backward, child_forward, child_shape};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::initializers::Init;
use crate::io::{Settings, TorchNames, describe_layer};
use crate::layer::{Layer, Needs};
use crate::param::{Param, Visitor};
use crate::scalar::Scalar;
use crate::summary::{Summary, SummaryValue};
use crate::tensor::Tensor;

/// y = body(x) + x, or body(x) + projection(x) where the body changes the shape (He et al. 2016).
///
/// Parameters are named `body.…` and `projection.…`.
///
/// ```
/// use layerwise::prelude::*;
///
/// let block = Residual::new(
///     Sequential::new().add(Dense::new(8).activation(Activation::Relu)).add(Dense::new(4)),
/// );
/// let wider = Residual::new(Dense::new(16)).projection(Dense::new(16).without_bias());
/// ```
pub struct Residual<A: Scalar = f32> {
    body: Box<dyn Layer<A>>,
    projection: Option<Box<dyn Layer<A>>>,
    built_for: Option<Vec<usize>>,
}

impl<A: Scalar> Residual<A> {
    /// With the input itself added to the body's output.
    pub fn new(body: impl Layer<A> + 'static) -> Self {
        Residual { body: Box::new(body), projection: None, built_for: None }
    }

    /// With the projection's output added instead.
    #[must_use]
    pub fn projection(mut self, projection: impl Layer<A> + 'static) -> Self {
        self.projection = Some(Box::new(projection));
        self
    }

    /// Both shapes, which must be one.
    fn joined(&self, body: Vec<usize>, shortcut: &[usize]) -> Result<Vec<usize>> {
        if body == shortcut {
            return Ok(body);
        }
        let hint = if self.projection.is_some() { "" } else { " (give a projection where the body changes the shape)" };
        Err(Error::shape("output of the body", format!("shape {shortcut:?} of the shortcut{hint}"), &body))
    }

    fn shortcut_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        match &self.projection {
            Some(layer) => child_shape(layer.output_shape(input), "projection", layer.kind()),
            None => Ok(input.to_vec()),
        }
    }

    pub(super) fn from_config(settings: &Settings<'_, A>) -> Result<Self> {
        let (body, projection) = (settings.layer("body")?, settings.optional_layer("projection")?);
        Ok(Residual { body, projection, built_for: None })
    }
}

impl<A: Scalar> Layer<A> for Residual<A> {
    fn kind(&self) -> &str {
        "Residual"
    }

    fn config(&self) -> Value {
        json!({ "body": describe_layer(&*self.body), "projection": self.projection.as_deref().map(describe_layer) })
    }

    fn build(&mut self, input: &[usize], init: &mut Init<A>) -> Result<Vec<usize>> {
        let body = child_shape(self.body.build(input, init), "body", self.body.kind())?;
        if let Some(layer) = &mut self.projection {
            layer.build(input, init).map_err(|error| error.in_layer("projection", layer.kind()))?;
        }
        let output = self.joined(body, &self.shortcut_shape(input)?)?;
        self.built_for = Some(input.to_vec());
        Ok(output)
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        let body = child_shape(self.body.output_shape(input), "body", self.body.kind())?;
        self.joined(body, &self.shortcut_shape(input)?)
    }

    fn forward(&self, x: &Tensor<A>, ctx: &mut Context<A>) -> Result<Tensor<A>> {
        let mut frame = ctx.frame(2);
        let mask = ctx.mask().cloned();
        frame.marks.push(ctx.mark());
        let body = child_forward(&*self.body, "body", x, ctx)?;
        frame.marks.push(ctx.mark());
        let of_body = ctx.take_mask();
        ctx.set_mask(mask);
        let shortcut = match &self.projection {
            Some(layer) => child_forward(&**layer, "projection", x, ctx)?,
            None => x.clone(),
        };
        if body.shape() != shortcut.shape() {
            self.joined(body.shape().to_vec(), shortcut.shape())?;
        }
        let masks = [of_body, ctx.take_mask()];
        let joined = ctx.join_masks(&masks)?;
        ctx.set_mask(joined);
        masks.into_iter().flatten().for_each(|mask| ctx.recycle(mask));
        let keep = |wanted: bool, value: &Tensor<A>| (ctx.is_recording() && wanted).then(|| value.clone());
        let kept_body = keep(self.body.needs().output, &body);
        let kept_shortcut = keep(self.projection.as_ref().is_some_and(|layer| layer.needs().output), &shortcut);
        frame.values.extend([kept_body, kept_shortcut]);
        let mut y = Some(body);
        ctx.accumulate(&mut y, shortcut)?;
        ctx.save_frame(frame);
        y.ok_or(Error::NotBuilt)
    }

    fn backward(
        &self,
        x: &Tensor<A>,
        _: &Tensor<A>,
        dy: &Tensor<A>,
        want_dx: bool,
        ctx: &mut Context<A>,
    ) -> Result<Option<Tensor<A>>> {
        let mut frame = ctx.restore_frame();
        let nothing = ctx.nothing();
        let mut dx = None;
        let shortcut = match &self.projection {
            Some(layer) => {
                let y = frame.values[1].as_ref().unwrap_or(&nothing);
                child_backward(&**layer, "projection", x, y, dy, want_dx, ctx)?
            }
            None => want_dx.then(|| dy.clone()),
        };
        ctx.truncate(frame.marks[1]);
        let y = frame.values[0].take();
        let body = child_backward(&*self.body, "body", x, y.as_ref().unwrap_or(&nothing), dy, want_dx, ctx)?;
        ctx.truncate(frame.marks[0]);
        y.into_iter().for_each(|y| ctx.recycle(y));
        for gradient in [body, shortcut].into_iter().flatten() {
            ctx.accumulate(&mut dx, gradient)?;
        }
        ctx.recycle_frame(frame);
        Ok(dx)
    }

    fn needs(&self) -> Needs {
        let projected = self.projection.as_ref().is_some_and(|layer| layer.needs().input);
        Needs { input: self.body.needs().input || projected, output: false }
    }

    fn keeps_mask(&self) -> bool {
        true
    }

    fn couples_samples(&self) -> bool {
        self.body.couples_samples() || self.projection.as_ref().is_some_and(|layer| layer.couples_samples())
    }

    fn torch_names(&self, names: &mut TorchNames) {
        names.scope("body", |names| self.body.torch_names(names));
        if let Some(layer) = &self.projection {
            names.scope("projection", |names| layer.torch_names(names));
        }
    }

    fn visit<'a>(&'a self, visitor: &mut Visitor<'_, &'a Param<A>>) {
        visitor.scope("body", |visitor| self.body.visit(visitor));
        if let Some(layer) = &self.projection {
            visitor.scope("projection", |visitor| layer.visit(visitor));
        }
    }

    fn visit_mut<'a>(&'a mut self, visitor: &mut Visitor<'_, &'a mut Param<A>>) {
        visitor.scope("body", |visitor| self.body.visit_mut(visitor));
        if let Some(layer) = &mut self.projection {
            visitor.scope("projection", |visitor| layer.visit_mut(visitor));
        }
    }

    fn built_for(&self) -> Option<Vec<Vec<usize>>> {
        self.built_for.clone().map(|input| vec![input])
    }

    fn summarize(&self, inputs: &[Vec<usize>], summary: &mut Summary) -> Result<()> {
        let (x, before) = (summary.value(), summary.newest());
        let mut child = |name: &str, layer: &dyn Layer<A>, held: &[Vec<usize>]| -> Result<SummaryValue> {
            summary.read(x);
            let inside = |summary: &mut Summary| summary.holding(held, |summary| layer.summarize(inputs, summary));
            summary.scope(name, inside).map_err(|error| error.in_layer(name, layer.kind()))?;
            if layer.needs().output {
                summary.keep(summary.value());
            }
            Ok(summary.value())
        };
        let body = child("body", &*self.body, &[])?;
        let output = self.output_shapes(inputs)?;
        let shortcut = self.projection.as_deref().map_or(Ok(x), |layer| child("projection", layer, &output))?;
        summary.sum([body, shortcut], &output[0], before);
        Ok(())
    }
}
