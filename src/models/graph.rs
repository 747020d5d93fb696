use serde_json::{Value, json};

use super::{child_backward, child_forward, learns};
use crate::context::{Context, Frame};
use crate::error::{Error, Result};
use crate::initializers::Init;
use crate::layer::{Layer, Merge, Needs};
use crate::param::{Param, Visitor};
use crate::scalar::Scalar;
use crate::summary::Summary;
use crate::tensor::Tensor;

/// A value in a [`Graph`]: an input, or what a layer or merge gives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Node(usize);

/// A layer in a [`Graph`] that may be applied more than once, always with the same weights.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SharedLayer(usize);

enum Part<A: Scalar> {
    Layer(Box<dyn Layer<A>>),
    Merge(Box<dyn Merge<A>>),
}

impl<A: Scalar> Part<A> {
    fn kind(&self) -> &str {
        match self {
            Part::Layer(layer) => layer.kind(),
            Part::Merge(merge) => merge.kind(),
        }
    }

    fn config(&self) -> Value {
        match self {
            Part::Layer(layer) => layer.config(),
            Part::Merge(merge) => merge.config(),
        }
    }

    fn build(&mut self, inputs: &[Vec<usize>], init: &mut Init<A>) -> Result<Vec<usize>> {
        match self {
            Part::Layer(layer) => layer.build(&inputs[0], init),
            Part::Merge(merge) => merge.build(inputs, init),
        }
    }

    fn output_shape(&self, inputs: &[Vec<usize>]) -> Result<Vec<usize>> {
        match self {
            Part::Layer(layer) => layer.output_shape(&inputs[0]),
            Part::Merge(merge) => merge.output_shape(inputs),
        }
    }
}

/// Where a node's value comes from.
enum Source {
    /// The input of this number.
    Input,
    /// A part, applied to other nodes.
    Part { part: usize, inputs: Vec<usize> },
}

struct NodeInfo {
    source: Source,
    /// The last node that reads the value.
    last_use: usize,
    /// Whether a backward pass reads the value.
    kept: bool,
}

/// Layers and merges wired as the user likes: several inputs and outputs, a layer used twice, branches.
///
/// Parts are named by number, in the order in which they were added, or as [`name`](Self::name) says. A graph with one
/// input and one output can stand wherever a layer can.
///
/// ```
/// use layerwise::prelude::*;
///
/// let mut graph = Graph::new();
/// let (left, right) = (graph.input(), graph.input());
/// let tower = graph.share(Dense::new(8).activation(Activation::Tanh)); // one set of weights for both
/// let (a, b) = (graph.apply(tower, left), graph.apply(tower, right));
/// let both = graph.merge(Concatenate::new(-1), &[a, b]);
/// let score = graph.add(Dense::new(1), both);
/// let mut model = graph.outputs(&[score]);
/// model.initialize_all(&[vec![4], vec![4]], 0)?;
/// assert_eq!(model.output_shapes(&[vec![4], vec![4]])?, [[1]]);
/// # Ok::<(), Error>(())
/// ```
pub struct Graph<A: Scalar = f32> {
    nodes: Vec<NodeInfo>,
    parts: Vec<(String, Part<A>)>,
    inputs: Vec<usize>,
    outputs: Vec<usize>,
}

impl Graph {
    /// An empty one, for `f32` layers.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Self::of()
    }
}

impl<A: Scalar> Graph<A> {
    /// An empty one, for layers of any number type.
    pub fn of() -> Self {
        Graph { nodes: Vec::new(), parts: Vec::new(), inputs: Vec::new(), outputs: Vec::new() }
    }

    /// One more input.
    pub fn input(&mut self) -> Node {
        self.inputs.push(self.nodes.len());
        self.node(Source::Input, false)
    }

    /// A layer applied to a node.
    pub fn add(&mut self, layer: impl Layer<A> + 'static, input: Node) -> Node {
        let layer = self.share(layer);
        self.apply(layer, input)
    }

    /// A layer that is going to be applied more than once.
    pub fn share(&mut self, layer: impl Layer<A> + 'static) -> SharedLayer {
        SharedLayer(self.part(Part::Layer(Box::new(layer))))
    }

    /// A shared layer applied to a node.
    pub fn apply(&mut self, layer: SharedLayer, input: Node) -> Node {
        let needs = match self.parts.get(layer.0) {
            Some((_, Part::Layer(layer))) => layer.needs(),
            _ => Needs::BOTH,
        };
        self.read(input, needs.input);
        self.node(Source::Part { part: layer.0, inputs: vec![input.0] }, needs.output)
    }

    /// Several nodes joined into one.
    pub fn merge(&mut self, merge: impl Merge<A> + 'static, inputs: &[Node]) -> Node {
        let part = self.part(Part::Merge(Box::new(merge)));
        for &input in inputs {
            self.read(input, true);
        }
        self.node(Source::Part { part, inputs: inputs.iter().map(|node| node.0).collect() }, true)
    }

    /// Names the part that was added last; its parameters are called `name.weight` and so on.
    pub fn name(&mut self, name: impl Into<String>) {
        if let Some((last, _)) = self.parts.last_mut() {
            *last = name.into();
        }
    }

    /// The finished graph, with these outputs in this order.
    #[must_use]
    pub fn outputs(mut self, outputs: &[Node]) -> Self {
        self.outputs = outputs.iter().map(|node| node.0).collect();
        for &Node(output) in outputs {
            if let Some(info) = self.nodes.get_mut(output) {
                info.last_use = usize::MAX;
            }
        }
        self
    }

    fn part(&mut self, part: Part<A>) -> usize {
        self.parts.push((self.parts.len().to_string(), part));
        self.parts.len() - 1
    }

    fn node(&mut self, source: Source, kept: bool) -> Node {
        self.nodes.push(NodeInfo { source, last_use: 0, kept });
        Node(self.nodes.len() - 1)
    }

    fn read(&mut self, input: Node, kept: bool) {
        let reader = self.nodes.len();
        if let Some(info) = self.nodes.get_mut(input.0) {
            info.last_use = info.last_use.max(reader);
            info.kept |= kept;
        }
    }

    /// Refuses handles of another graph, a graph without outputs, and another number of inputs.
    fn check(&self, inputs: usize) -> Result<()> {
        if self.inputs.len() != inputs {
            return Err(Error::length("inputs of the graph", self.inputs.len(), inputs));
        }
        if self.outputs.is_empty() {
            return Err(Error::Graph("no outputs: finish it with `outputs(&[...])`".into()));
        }
        for (number, info) in self.nodes.iter().enumerate() {
            if let Source::Part { part, inputs } = &info.source {
                let foreign = *part >= self.parts.len() || inputs.iter().any(|&input| input >= number);
                if foreign {
                    return Err(Error::Graph(format!("node {number} uses a node or layer of another graph")));
                }
            }
        }
        if let Some(output) = self.outputs.iter().find(|&&output| output >= self.nodes.len()) {
            return Err(Error::Graph(format!("output {output} is a node of another graph")));
        }
        Ok(())
    }

    /// The value of one node from those before it.
    fn node_forward(
        &self,
        part: usize,
        inputs: &[usize],
        values: &[Option<Tensor<A>>],
        ctx: &mut Context<A>,
    ) -> Result<Tensor<A>> {
        let value = |input: usize| values[input].as_ref().expect("a value lives until its last use");
        let (name, part) = &self.parts[part];
        match part {
            Part::Layer(layer) => child_forward(&**layer, name, value(inputs[0]), ctx),
            Part::Merge(merge) => {
                let mut xs = ctx.list(inputs.len());
                xs.extend(inputs.iter().map(|&input| value(input).clone()));
                let y = merge.forward(&xs, ctx).map_err(|error| error.in_layer(name, merge.kind()))?;
                ctx.recycle_list(xs);
                Ok(ctx.standard(y))
            }
        }
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
                    let below = inputs.iter().any(|&input| wanted[input] == 1);
                    below
                        || match &self.parts[*part].1 {
                            Part::Layer(layer) => learns(&**layer, ctx),
                            Part::Merge(merge) => merge_learns(&**merge, ctx),
                        }
                }
            };
            wanted.push(usize::from(want));
        }
    }

    /// One node's backward: adds to the gradients of its inputs.
    fn node_backward(
        &self,
        node: usize,
        dy: &Tensor<A>,
        frame: &Frame<A>,
        gradients: &mut Frame<A>,
        ctx: &mut Context<A>,
    ) -> Result<()> {
        let Source::Part { part, inputs } = &self.nodes[node].source else { return Ok(()) };
        let nothing = ctx.nothing();
        let value = |node: usize| frame.values[node].as_ref().unwrap_or(&nothing);
        let (name, part) = &self.parts[*part];
        match part {
            Part::Layer(layer) => {
                let want = gradients.marks[inputs[0]] == 1;
                let dx = child_backward(&**layer, name, value(inputs[0]), value(node), dy, want, ctx)?;
                if let Some(dx) = dx {
                    ctx.accumulate(&mut gradients.values[inputs[0]], dx)?;
                }
            }
            Part::Merge(merge) => {
                let mut xs = ctx.list(inputs.len());
                xs.extend(inputs.iter().map(|&input| value(input).clone()));
                let mut dxs = ctx.frame(inputs.len());
                dxs.values.resize(inputs.len(), None);
                let want = |input: usize| gradients.marks[inputs[input]] == 1;
                merge
                    .backward(&xs, value(node), dy, &want, &mut dxs.values, ctx)
                    .map_err(|error| error.in_layer(name, merge.kind()))?;
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

/// Whether the pass wants the gradient of any weight of the merge.
fn merge_learns<A: Scalar>(merge: &dyn Merge<A>, ctx: &Context<A>) -> bool {
    let mut found = false;
    let mut look = |_: &str, param: &Param<A>| found = found || ctx.wants_grad(param);
    merge.visit(&mut Visitor::unnamed(&mut look));
    found
}

impl<A: Scalar> Layer<A> for Graph<A> {
    fn kind(&self) -> &str {
        "Graph"
    }

    fn config(&self) -> Value {
        let part = |(name, part): &(String, Part<A>)| {
            let family = if matches!(part, Part::Layer(_)) { "layer" } else { "merge" };
            json!({ "name": name, "family": family, "kind": part.kind(), "config": part.config() })
        };
        let node = |info: &NodeInfo| match &info.source {
            Source::Input => json!("input"),
            Source::Part { part, inputs } => json!({ "part": part, "inputs": inputs }),
        };
        json!({
            "parts": self.parts.iter().map(part).collect::<Vec<_>>(),
            "nodes": self.nodes.iter().map(node).collect::<Vec<_>>(),
            "outputs": self.outputs,
        })
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
        y.filter(|_| count == 1).ok_or_else(|| Error::length("outputs of a graph used as one layer", 1, count))
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

    fn couples_samples(&self) -> bool {
        self.parts.iter().any(|(_, part)| match part {
            Part::Layer(layer) => layer.couples_samples(),
            Part::Merge(merge) => merge.couples_samples(),
        })
    }

    fn visit<'a>(&'a self, visitor: &mut Visitor<'_, &'a Param<A>>) {
        for (name, part) in &self.parts {
            visitor.scope(name, |visitor| match part {
                Part::Layer(layer) => layer.visit(visitor),
                Part::Merge(merge) => merge.visit(visitor),
            });
        }
    }

    fn visit_mut<'a>(&'a mut self, visitor: &mut Visitor<'_, &'a mut Param<A>>) {
        for (name, part) in &mut self.parts {
            visitor.scope(&*name, |visitor| match part {
                Part::Layer(layer) => layer.visit_mut(visitor),
                Part::Merge(merge) => merge.visit_mut(visitor),
            });
        }
    }

    fn summarize(&self, inputs: &[Vec<usize>], summary: &mut Summary) -> Result<()> {
        self.check(inputs.len())?;
        let shapes = node_shapes(&self.nodes, inputs, |part, inputs| {
            let (name, part) = &self.parts[part];
            part.output_shape(inputs).map_err(|error| error.in_layer(name, part.kind()))
        })?;
        for (number, info) in self.nodes.iter().enumerate() {
            let output = std::slice::from_ref(&shapes[number]);
            match &info.source {
                Source::Input => summary.add("Input", output, &[]),
                Source::Part { part, inputs } => {
                    let inputs: Vec<_> = inputs.iter().map(|&input| shapes[input].clone()).collect();
                    let (name, part) = &self.parts[*part];
                    summary.scope(name, |summary| match part {
                        Part::Layer(layer) => layer.summarize(&inputs, summary),
                        Part::Merge(merge) => {
                            let mut params = Vec::new();
                            let mut each = |_: &str, p: &Param<A>| params.push((p.id(), p.len(), p.is_trainable()));
                            merge.visit(&mut Visitor::unnamed(&mut each));
                            summary.add(merge.kind(), output, &params);
                            Ok(())
                        }
                    })?;
                }
            }
        }
        Ok(())
    }

    fn ports(&self) -> (usize, usize) {
        (self.inputs.len(), self.outputs.len())
    }

    fn build_all(&mut self, inputs: &[Vec<usize>], init: &mut Init<A>) -> Result<Vec<Vec<usize>>> {
        self.check(inputs.len())?;
        let Graph { nodes, parts, .. } = self;
        let shapes = node_shapes(nodes, inputs, |part, inputs| {
            let (name, part) = &mut parts[part];
            part.build(inputs, init).map_err(|error| error.in_layer(name, part.kind()))
        })?;
        Ok(self.outputs.iter().map(|&output| shapes[output].clone()).collect())
    }

    fn output_shapes(&self, inputs: &[Vec<usize>]) -> Result<Vec<Vec<usize>>> {
        self.check(inputs.len())?;
        let shapes = node_shapes(&self.nodes, inputs, |part, inputs| {
            let (name, part) = &self.parts[part];
            part.output_shape(inputs).map_err(|error| error.in_layer(name, part.kind()))
        })?;
        Ok(self.outputs.iter().map(|&output| shapes[output].clone()).collect())
    }

    fn forward_all(&self, xs: &[Tensor<A>], ys: &mut Vec<Tensor<A>>, ctx: &mut Context<A>) -> Result<()> {
        self.check(xs.len())?;
        let mut given = xs.iter();
        let mut frame = ctx.frame(self.nodes.len());
        for (number, info) in self.nodes.iter().enumerate() {
            frame.marks.push(ctx.mark());
            let value = match &info.source {
                Source::Input => given.next().cloned(),
                Source::Part { part, inputs } => Some(self.node_forward(*part, inputs, &frame.values, ctx)?),
            };
            frame.values.push(value);
            self.release(number, &mut frame.values, ctx);
        }
        ys.extend(self.outputs.iter().filter_map(|&output| frame.values[output].clone()));
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
            if let (Source::Part { .. }, 1) = (&info.source, gradients.marks[number])
                && let Some(dy) = gradients.values[number].take()
            {
                self.node_backward(number, &dy, &frame, &mut gradients, ctx)?;
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

fn one(mut shapes: Vec<Vec<usize>>) -> Result<Vec<usize>> {
    let count = shapes.len();
    shapes.pop().filter(|_| count == 1).ok_or_else(|| Error::length("outputs of a graph used as one layer", 1, count))
}
