use serde_json::{Value, json};

use super::super::{child_backward, child_forward, child_shape};
use crate::context::{Context, Frame};
use crate::error::{Error, Result};
use crate::initializers::Init;
use crate::io::{Place, Setting, Settings, TorchNames};
use crate::layer::{Layer, Merge};
use crate::param::{Param, Visitor};
use crate::scalar::Scalar;
use crate::summary::Summary;
use crate::tensor::Tensor;

/// A layer or a merge, with its name.
pub(super) struct Part<A: Scalar> {
    pub(super) name: String,
    pub(super) does: Does<A>,
}

pub(super) enum Does<A: Scalar> {
    Layer(Box<dyn Layer<A>>),
    Merge(Box<dyn Merge<A>>),
}

/// Which of both, in a file.
enum Family {
    Layer,
    Merge,
}

impl Setting for Family {
    fn read(value: &Value, place: Place<'_>) -> Result<Self> {
        match value.as_str() {
            Some("layer") => Ok(Family::Layer),
            Some("merge") => Ok(Family::Merge),
            _ => Err(place.refuse("\"layer\" or \"merge\"", value)),
        }
    }
}

/// The values of all nodes, those still needed.
type Values<A> = [Option<Tensor<A>>];

impl<A: Scalar> Part<A> {
    fn kind(&self) -> &str {
        match &self.does {
            Does::Layer(layer) => layer.kind(),
            Does::Merge(merge) => merge.kind(),
        }
    }

    pub(super) fn config(&self) -> Value {
        let (family, config) = match &self.does {
            Does::Layer(layer) => ("layer", layer.config()),
            Does::Merge(merge) => ("merge", merge.config()),
        };
        json!({ "name": self.name, "family": family, "kind": self.kind(), "config": config })
    }

    /// Back from [`config`](Self::config); the graph applies it so many times.
    pub(super) fn from_config(settings: &Settings<'_, A>, times: usize) -> Result<Self> {
        let name = settings.get("name")?;
        let does = match settings.get("family")? {
            Family::Layer => Does::Layer(settings.described_layer(times)?),
            Family::Merge => Does::Merge(settings.described_merge(times)?),
        };
        Ok(Part { name, does })
    }

    pub(super) fn build(&mut self, inputs: &[Vec<usize>], init: &mut Init<A>) -> Result<Vec<usize>> {
        let built = match &mut self.does {
            Does::Layer(layer) => layer.build(&inputs[0], init),
            Does::Merge(merge) => merge.build(inputs, init),
        };
        child_shape(built, &self.name, self.kind())
    }

    pub(super) fn output_shape(&self, inputs: &[Vec<usize>]) -> Result<Vec<usize>> {
        let shape = match &self.does {
            Does::Layer(layer) => layer.output_shape(&inputs[0]),
            Does::Merge(merge) => merge.output_shape(inputs),
        };
        child_shape(shape, &self.name, self.kind())
    }

    pub(super) fn couples_samples(&self) -> bool {
        match &self.does {
            Does::Layer(layer) => layer.couples_samples(),
            Does::Merge(merge) => merge.couples_samples(),
        }
    }

    /// Whether the pass wants the gradient of any weight.
    pub(super) fn learns(&self, ctx: &Context<A>) -> bool {
        let mut found = false;
        let mut look = |_: &str, param: &Param<A>| found = found || ctx.wants_grad(param);
        let visitor = &mut Visitor::unnamed(&mut look);
        match &self.does {
            Does::Layer(layer) => layer.visit(visitor),
            Does::Merge(merge) => merge.visit(visitor),
        }
        found
    }

    /// A merge has none to tell.
    pub(super) fn torch_names(&self, names: &mut TorchNames) {
        if let Does::Layer(layer) = &self.does {
            names.scope(&self.name, |names| layer.torch_names(names));
        }
    }

    pub(super) fn visit<'a>(&'a self, visitor: &mut Visitor<'_, &'a Param<A>>) {
        visitor.scope(&self.name, |visitor| match &self.does {
            Does::Layer(layer) => layer.visit(visitor),
            Does::Merge(merge) => merge.visit(visitor),
        });
    }

    pub(super) fn visit_mut<'a>(&'a mut self, visitor: &mut Visitor<'_, &'a mut Param<A>>) {
        visitor.scope(&self.name, |visitor| match &mut self.does {
            Does::Layer(layer) => layer.visit_mut(visitor),
            Does::Merge(merge) => merge.visit_mut(visitor),
        });
    }

    pub(super) fn summarize(&self, inputs: &[Vec<usize>], output: &[usize], summary: &mut Summary) -> Result<()> {
        summary.scope(&self.name, |summary| match &self.does {
            Does::Layer(layer) => layer.summarize(inputs, summary),
            Does::Merge(merge) => {
                let mut params = Vec::new();
                let mut each = |_: &str, p: &Param<A>| params.push((p.id(), p.len(), p.is_trainable()));
                merge.visit(&mut Visitor::unnamed(&mut each));
                summary.add(merge.kind(), &[output.to_vec()], &params, merge.cost(inputs, output)?);
                Ok(())
            }
        })
    }

    /// The value of a node from the nodes that it reads, and their masks; its own is then that of the context.
    pub(super) fn forward(
        &self,
        inputs: &[usize],
        values: &Values<A>,
        masks: &Values<A>,
        ctx: &mut Context<A>,
    ) -> Result<Tensor<A>> {
        let value = |input: usize| values[input].as_ref().expect("a value lives until its last use");
        match &self.does {
            Does::Layer(layer) => {
                ctx.set_mask(masks[inputs[0]].clone());
                child_forward(&**layer, &self.name, value(inputs[0]), ctx)
            }
            Does::Merge(merge) => {
                let mut xs = ctx.list(inputs.len());
                xs.extend(inputs.iter().map(|&input| value(input).clone()));
                let place = |error: Error| error.in_layer(&self.name, merge.kind());
                let y = merge.forward(&xs, ctx).map_err(place)?;
                let mask = join_masks(&**merge, inputs, &xs, masks, ctx).map_err(place)?;
                ctx.set_mask(mask);
                ctx.recycle_list(xs);
                Ok(ctx.standard(y))
            }
        }
    }

    /// Adds to the gradients of the nodes that node `node` reads. `gradients.marks` are 1 where one is wanted.
    pub(super) fn backward(
        &self,
        inputs: &[usize],
        node: usize,
        dy: &Tensor<A>,
        values: &Values<A>,
        gradients: &mut Frame<A>,
        ctx: &mut Context<A>,
    ) -> Result<()> {
        let nothing = ctx.nothing();
        let value = |node: usize| values[node].as_ref().unwrap_or(&nothing);
        match &self.does {
            Does::Layer(layer) => {
                let want = gradients.marks[inputs[0]] == 1;
                let dx = child_backward(&**layer, &self.name, value(inputs[0]), value(node), dy, want, ctx)?;
                if let Some(dx) = dx {
                    ctx.accumulate(&mut gradients.values[inputs[0]], dx)?;
                }
            }
            Does::Merge(merge) => {
                let mut xs = ctx.list(inputs.len());
                xs.extend(inputs.iter().map(|&input| value(input).clone()));
                let mut dxs = ctx.frame(inputs.len());
                dxs.values.resize(inputs.len(), None);
                let want = |input: usize| gradients.marks[inputs[input]] == 1;
                merge
                    .backward(&xs, value(node), dy, &want, &mut dxs.values, ctx)
                    .map_err(|error| error.in_layer(&self.name, merge.kind()))?;
                ctx.recycle_list(xs);
                for (&input, dx) in inputs.iter().zip(&mut dxs.values) {
                    if let Some(dx) = dx.take() {
                        let dx = ctx.standard(dx);
                        ctx.accumulate(&mut gradients.values[input], dx)?;
                    }
                }
                ctx.recycle_frame(dxs);
            }
        }
        Ok(())
    }
}

/// The mask of what a merge gives, if any of its inputs has one.
fn join_masks<A: Scalar>(
    merge: &dyn Merge<A>,
    inputs: &[usize],
    xs: &[Tensor<A>],
    masks: &Values<A>,
    ctx: &mut Context<A>,
) -> Result<Option<Tensor<A>>> {
    if inputs.iter().all(|&input| masks[input].is_none()) {
        return Ok(None);
    }
    let mut given = ctx.frame(inputs.len());
    given.values.extend(inputs.iter().map(|&input| masks[input].clone()));
    let joined = merge.join_masks(xs, &given.values, ctx);
    ctx.recycle_frame(given);
    joined
}
