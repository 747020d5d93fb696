//! A graph to JSON and back.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::part::{Does, Part};
use super::{Graph, Node, NodeInfo, SharedLayer, Source};
use crate::error::{Error, Result};
use crate::io::{Fields, Place, Setting, Settings};
use crate::scalar::Scalar;

/// A node as a file has it: `"input"`, or a part by its number and the numbers of the nodes that it reads.
enum Wire {
    Input,
    Part { part: usize, inputs: Vec<usize> },
}

impl Setting for Wire {
    fn read(value: &Value, place: Place<'_>) -> Result<Self> {
        if value == "input" {
            return Ok(Wire::Input);
        }
        let fields = Fields::of(value, place)?;
        let wire = Wire::Part { part: fields.get("part")?, inputs: fields.get("inputs")? };
        fields.finish()?;
        Ok(wire)
    }
}

impl<A: Scalar> Graph<A> {
    pub(super) fn describe(&self) -> Value {
        let node = |info: &NodeInfo| match &info.source {
            Source::Input => json!("input"),
            Source::Part { part, inputs } => json!({ "part": part, "inputs": inputs }),
        };
        json!({
            "parts": self.parts.iter().map(Part::config).collect::<Vec<_>>(),
            "nodes": self.nodes.iter().map(node).collect::<Vec<_>>(),
            "outputs": self.outputs,
        })
    }

    pub(in crate::models) fn from_config(settings: &Settings<'_, A>) -> Result<Self> {
        let (nodes, outputs): (Vec<Wire>, Vec<usize>) = (settings.get("nodes")?, settings.get("outputs")?);
        let mut times = HashMap::new();
        for wire in &nodes {
            if let Wire::Part { part, inputs } = wire {
                *times.entry(*part).or_insert(0) += 1;
                settings.charge(inputs.len())?;
            }
        }
        settings.charge(outputs.len())?;
        let mut graph = Graph::of();
        let times = |part| times.get(&part).copied().unwrap_or(1);
        graph.parts = settings.each("parts", |part, number| Part::from_config(part, times(number)))?;
        for (number, wire) in nodes.iter().enumerate() {
            graph.wire(wire).map_err(|error| error.within(format!("node {number}")))?;
        }
        let outputs = outputs.iter().map(|&output| graph.known("output", output)).collect::<Result<Vec<_>>>()?;
        Ok(graph.outputs(&outputs))
    }

    /// Adds a node; all that it reads must be there already.
    fn wire(&mut self, wire: &Wire) -> Result<()> {
        let Wire::Part { part, inputs } = wire else {
            self.input();
            return Ok(());
        };
        let inputs = inputs.iter().map(|&input| self.known("input of a node", input)).collect::<Result<Vec<_>>>()?;
        let graph = self.id;
        match (self.parts.get(*part).map(|part| &part.does), &inputs[..]) {
            (Some(Does::Layer(_)), &[input]) => self.apply(SharedLayer { graph, part: *part }, input),
            (Some(Does::Layer(_)), _) => return Err(Error::length("inputs of a layer in a graph", 1, inputs.len())),
            (Some(Does::Merge(_)), _) => self.join(*part, &inputs),
            (None, _) => {
                let requirement = format!("below the number of parts, {}", self.parts.len());
                return Err(Error::setting("part of a graph", requirement, part));
            }
        };
        Ok(())
    }

    /// The node of this number, if there is one so far.
    fn known(&self, what: &str, number: usize) -> Result<Node> {
        if number < self.nodes.len() {
            return Ok(Node { graph: self.id, number });
        }
        let requirement = format!("a node before it, of which there are {}", self.nodes.len());
        Err(Error::setting(format!("{what} of a graph"), requirement, number))
    }
}
