mod config;
mod layer;
mod part;

use std::sync::atomic::{AtomicU64, Ordering};

use self::part::{Does, Part};
use crate::error::{Error, Result};
use crate::layer::{Layer, Merge, Needs};
use crate::scalar::Scalar;

/// A value in a [`Graph`]: an input, or what a layer or merge gives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Node {
    graph: u64,
    number: usize,
}

/// A layer in a [`Graph`] that may be applied more than once, always with the same weights.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SharedLayer {
    graph: u64,
    part: usize,
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
    /// Another one in every graph, so that handles of another graph are known as such.
    id: u64,
    nodes: Vec<NodeInfo>,
    parts: Vec<Part<A>>,
    inputs: Vec<usize>,
    outputs: Vec<usize>,
    /// The first use of a handle of another graph.
    foreign: Option<String>,
    built_for: Option<Vec<Vec<usize>>>,
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
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Graph {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            nodes: Vec::new(),
            parts: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            foreign: None,
            built_for: None,
        }
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
        SharedLayer { graph: self.id, part: self.part(Does::Layer(Box::new(layer))) }
    }

    /// A shared layer applied to a node.
    pub fn apply(&mut self, layer: SharedLayer, input: Node) -> Node {
        let SharedLayer { graph, part } = layer;
        if graph != self.id {
            self.refuse(format!("node {} applies layer {part} of another graph", self.nodes.len()));
        }
        let needs = match self.parts.get(part) {
            Some(Part { does: Does::Layer(layer), .. }) => layer.needs(),
            _ => Needs::BOTH,
        };
        self.read(input, needs.input);
        self.node(Source::Part { part, inputs: vec![input.number] }, needs.output)
    }

    /// Several nodes joined into one.
    pub fn merge(&mut self, merge: impl Merge<A> + 'static, inputs: &[Node]) -> Node {
        let part = self.part(Does::Merge(Box::new(merge)));
        self.join(part, inputs)
    }

    /// A merge that is a part already, applied to nodes.
    fn join(&mut self, part: usize, inputs: &[Node]) -> Node {
        for &input in inputs {
            self.read(input, true);
        }
        self.node(Source::Part { part, inputs: inputs.iter().map(|node| node.number).collect() }, true)
    }

    /// Names the part that was added last; its parameters are called `name.weight` and so on.
    pub fn name(&mut self, name: impl Into<String>) {
        if let Some(last) = self.parts.last_mut() {
            last.name = name.into();
        }
    }

    /// The finished graph, with these outputs in this order.
    #[must_use]
    pub fn outputs(mut self, outputs: &[Node]) -> Self {
        self.outputs = outputs.iter().map(|node| node.number).collect();
        for (number, output) in outputs.iter().enumerate() {
            if output.graph != self.id {
                self.refuse(format!("output {number} is node {} of another graph", output.number));
            } else {
                self.nodes[output.number].last_use = usize::MAX;
            }
        }
        self
    }

    fn part(&mut self, does: Does<A>) -> usize {
        self.parts.push(Part { name: self.parts.len().to_string(), does });
        self.parts.len() - 1
    }

    fn node(&mut self, source: Source, kept: bool) -> Node {
        self.nodes.push(NodeInfo { source, last_use: 0, kept });
        Node { graph: self.id, number: self.nodes.len() - 1 }
    }

    /// The next node reads this one.
    fn read(&mut self, input: Node, kept: bool) {
        let reader = self.nodes.len();
        if input.graph != self.id {
            return self.refuse(format!("node {reader} reads node {} of another graph", input.number));
        }
        let info = &mut self.nodes[input.number];
        info.last_use = info.last_use.max(reader);
        info.kept |= kept;
    }

    /// Keeps a fault of the wiring until the graph is checked: the methods that wire give nodes, not results.
    fn refuse(&mut self, fault: String) {
        self.foreign.get_or_insert(fault);
    }

    /// Refuses handles of another graph, a graph without outputs, and another number of inputs.
    fn check(&self, inputs: usize) -> Result<()> {
        if self.inputs.len() != inputs {
            return Err(Error::length("inputs of the graph", self.inputs.len(), inputs));
        }
        if self.outputs.is_empty() {
            return Err(Error::Graph("no outputs: finish it with `outputs(&[...])`".into()));
        }
        self.foreign.as_ref().map_or(Ok(()), |fault| Err(Error::Graph(fault.clone())))
    }
}
