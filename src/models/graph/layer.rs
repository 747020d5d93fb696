//! A graph as a layer.

use serde_json::Value;

use super::part::Part;
use super::{Graph, NodeInfo, Source};
use crate::context::Context;
use crate::cost::Cost;
use crate::error::{Error, Result};
use crate::initializers::Init;
use crate::io::TorchNames;
use crate::layer::{Layer, Needs};
use crate::param::{Param, Visitor};
use crate::scalar::Scalar;
use crate::summary::Summary;
use crate::tensor::Tensor;

impl<A: Scalar> Layer<A> for Graph<A> {
    fn kind(&self) -> &str {
        "Graph"
    }

    fn config(&self) -> Value {
        self.describe()
    }

    fn build(&mut self, input: &[usize], init: &mut Init<A>) -> Result<Vec<usize>> {
        one(self.build_all(&[input.to_vec()], init)?)
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        one(self.output_shapes(&[input.to_vec()])?)
    }

    fn forward(&self, x: &Tensor<A>, ctx: &mut Context<A>) -> Result<Tensor<A>> {
        let mut ys = ctx.list(self.outputs.len());
        self.forward_all(std::slice::from_ref(x), &mut ys, ctx)?;
        let (count, y) = (ys.len(), ys.pop());
        ctx.recycle_list(ys);
        y.filter(|_| count == 1).ok_or_else(|| several(count))
    }

    fn backward(
        &self,
        x: &Tensor<A>,
        y: &Tensor<A>,
        dy: &Tensor<A>,
        want_dx: bool,
        ctx: &mut Context<A>,
    ) -> Result<Option<Tensor<A>>> {
        let mut dxs = ctx.frame(1);
        let (xs, ys) = (std::slice::from_ref(x), std::slice::from_ref(y));
        self.backward_all(xs, ys, &[Some(dy.clone())], want_dx, &mut dxs.values, ctx)?;
        let dx = dxs.values.pop().flatten();
        ctx.recycle_frame(dxs);
        Ok(dx)
    }

    /// The frame keeps the inputs and the outputs where they are needed.
    fn needs(&self) -> Needs {
        Needs::NEITHER
    }

    /// Its children see to it.
    fn keeps_mask(&self) -> bool {
        true
    }

    fn couples_samples(&self) -> bool {
        self.parts.iter().any(Part::couples_samples)
    }

    fn torch_names(&self, names: &mut TorchNames) {
        self.parts.iter().for_each(|part| part.torch_names(names));
    }

    fn visit<'a>(&'a self, visitor: &mut Visitor<'_, &'a Param<A>>) {
        self.parts.iter().for_each(|part| part.visit(visitor));
    }

    fn visit_mut<'a>(&'a mut self, visitor: &mut Visitor<'_, &'a mut Param<A>>) {
        self.parts.iter_mut().for_each(|part| part.visit_mut(visitor));
    }

    fn summarize(&self, inputs: &[Vec<usize>], summary: &mut Summary) -> Result<()> {
        let shapes = self.shapes(inputs)?;
        let given = summary.value();
        let mut values = Vec::with_capacity(shapes.len());
        for (number, (info, output)) in self.nodes.iter().zip(&shapes).enumerate() {
            match &info.source {
                Source::Input => {
                    summary.read(given);
                    summary.add("Input", std::slice::from_ref(output), &[], Cost::view());
                }
                Source::Part { part, inputs } => {
                    summary.read(inputs.first().map_or(given, |&input| values[input]));
                    let inputs: Vec<_> = inputs.iter().map(|&input| shapes[input].clone()).collect();
                    let held = self.held(number, &shapes);
                    summary.holding(&held, |summary| self.parts[*part].summarize(&inputs, output, summary))?;
                }
            }
            let value = summary.value();
            if info.kept || info.last_use == usize::MAX {
                summary.keep(value);
            }
            values.push(value);
        }
        summary.read(self.outputs.first().map_or(given, |&output| values[output]));
        Ok(())
    }

    fn built_for(&self) -> Option<Vec<Vec<usize>>> {
        self.built_for.clone()
    }

    fn ports(&self) -> (usize, usize) {
        (self.inputs.len(), self.outputs.len())
    }

    fn build_all(&mut self, inputs: &[Vec<usize>], init: &mut Init<A>) -> Result<Vec<Vec<usize>>> {
        self.check(inputs.len())?;
        let Graph { nodes, parts, .. } = self;
        let shapes = node_shapes(nodes, inputs, |part, inputs| parts[part].build(inputs, init))?;
        self.built_for = Some(inputs.to_vec());
        Ok(self.outputs.iter().map(|&output| shapes[output].clone()).collect())
    }

    fn output_shapes(&self, inputs: &[Vec<usize>]) -> Result<Vec<Vec<usize>>> {
        let shapes = self.shapes(inputs)?;
        Ok(self.outputs.iter().map(|&output| shapes[output].clone()).collect())
    }

    fn forward_all(&self, xs: &[Tensor<A>], ys: &mut Vec<Tensor<A>>, ctx: &mut Context<A>) -> Result<()> {
        self.check(xs.len())?;
        let mut given = xs.iter();
        let mut entering = ctx.take_mask();
        let (mut frame, mut masks) = (ctx.frame(self.nodes.len()), ctx.frame(self.nodes.len()));
        for (number, info) in self.nodes.iter().enumerate() {
            frame.marks.push(ctx.mark());
            let value = match &info.source {
                Source::Input => {
                    ctx.set_mask(entering.take());
                    given.next().cloned()
                }
                Source::Part { part, inputs } => {
                    Some(self.parts[*part].forward(inputs, &frame.values, &masks.values, ctx)?)
                }
            };
            frame.values.push(value);
            masks.values.push(ctx.take_mask());
            self.release(number, &mut frame.values, ctx);
        }
        ys.extend(self.outputs.iter().filter_map(|&output| frame.values[output].clone()));
        if let [output] = self.outputs[..] {
            ctx.set_mask(masks.values[output].take());
        }
        ctx.recycle_frame(masks);
        ctx.save_frame(frame);
        Ok(())
    }

    fn backward_all(
        &self,
        _: &[Tensor<A>],
        _: &[Tensor<A>],
        dys: &[Option<Tensor<A>>],
        want_dxs: bool,
        dxs: &mut Vec<Option<Tensor<A>>>,
        ctx: &mut Context<A>,
    ) -> Result<()> {
        ctx.set_mask(None);
        let frame = ctx.restore_frame();
        let mut gradients = ctx.frame(self.nodes.len());
        gradients.values.resize(self.nodes.len(), None);
        self.wanted(want_dxs, &mut gradients.marks, ctx);
        for (&output, dy) in self.outputs.iter().zip(dys) {
            if let Some(dy) = dy {
                ctx.accumulate(&mut gradients.values[output], dy.clone())?;
            }
        }
        for (number, info) in self.nodes.iter().enumerate().rev() {
            if let (Source::Part { part, inputs }, 1) = (&info.source, gradients.marks[number])
                && let Some(dy) = gradients.values[number].take()
            {
                self.parts[*part].backward(inputs, number, &dy, &frame.values, &mut gradients, ctx)?;
                ctx.recycle(dy);
            }
            ctx.truncate(frame.marks[number]);
        }
        dxs.extend(self.inputs.iter().map(|&input| gradients.values[input].take()));
        ctx.recycle_frame(gradients);
        ctx.recycle_frame(frame);
        Ok(())
    }
}

impl<A: Scalar> Graph<A> {
    /// The shape of every node's value for one sample.
    fn shapes(&self, inputs: &[Vec<usize>]) -> Result<Vec<Vec<usize>>> {
        self.check(inputs.len())?;
        node_shapes(&self.nodes, inputs, |part, inputs| self.parts[part].output_shape(inputs))
    }

    /// The shapes of the values that wait for a node or for later ones. Inputs are the caller's.
    fn held(&self, node: usize, shapes: &[Vec<usize>]) -> Vec<Vec<usize>> {
        let before = self.nodes.iter().zip(shapes).take(node);
        let waits = |info: &NodeInfo| matches!(info.source, Source::Part { .. }) && info.last_use >= node;
        before.filter(|(info, _)| waits(info)).map(|(_, shape)| shape.clone()).collect()
    }

    /// Lets go of the values that no later node and no backward pass reads.
    fn release(&self, node: usize, values: &mut [Option<Tensor<A>>], ctx: &mut Context<A>) {
        let Source::Part { inputs, .. } = &self.nodes[node].source else { return };
        for &input in inputs.iter().chain([&node]) {
            let info = &self.nodes[input];
            if info.last_use <= node && !(ctx.is_recording() && info.kept) {
                values[input].take().into_iter().for_each(|value| ctx.recycle(value));
            }
        }
    }

    /// For each node, 1 where its gradient is wanted: something at or before it learns, or the inputs' are asked for.
    fn wanted(&self, want_dxs: bool, wanted: &mut Vec<usize>, ctx: &Context<A>) {
        for info in &self.nodes {
            let want = match &info.source {
                Source::Input => want_dxs,
                Source::Part { part, inputs } => {
                    inputs.iter().any(|&input| wanted[input] == 1) || self.parts[*part].learns(ctx)
                }
            };
            wanted.push(usize::from(want));
        }
    }
}

/// The shape of every node, with `of_part` telling that of a part for the shapes of its inputs.
fn node_shapes(
    nodes: &[NodeInfo],
    inputs: &[Vec<usize>],
    mut of_part: impl FnMut(usize, &[Vec<usize>]) -> Result<Vec<usize>>,
) -> Result<Vec<Vec<usize>>> {
    let mut given = inputs.iter();
    let mut shapes: Vec<Vec<usize>> = Vec::with_capacity(nodes.len());
    for info in nodes {
        let shape = match &info.source {
            Source::Input => given.next().cloned().unwrap_or_default(),
            Source::Part { part, inputs } => {
                let inputs: Vec<_> = inputs.iter().map(|&input| shapes[input].clone()).collect();
                of_part(*part, &inputs)?
            }
        };
        shapes.push(shape);
    }
    Ok(shapes)
}

fn one(mut shapes: Vec<Vec<usize>>) -> Result<Vec<usize>> {
    let count = shapes.len();
    shapes.pop().filter(|_| count == 1).ok_or_else(|| several(count))
}

fn several(outputs: usize) -> Error {
    Error::Graph(format!("it has {outputs} outputs and is used as if it had one: `predict_all` gives them all"))
}
