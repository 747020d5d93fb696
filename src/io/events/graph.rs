//! A model as TensorFlow's `GraphDef`: an operation for each layer, in scopes that follow the containers.

use std::collections::HashMap;

use serde_json::Value;

use super::proto::Message;
use crate::error::Result;
use crate::layer::Layer;
use crate::model::Model;
use crate::scalar::Scalar;
use crate::summary::{Summary, SummaryRow};

/// The version of TensorFlow's graphs that has the attributes written here.
const PRODUCER: i64 = 22;

/// The graph of a model. With the shapes of its inputs, operations tell those of their outputs and their number of
/// parameters.
pub(super) fn graph<A: Scalar>(model: &dyn Layer<A>, inputs: &[Vec<usize>]) -> Result<Message> {
    let summary = if inputs.is_empty() { Summary::default() } else { model.summary_all(inputs)? };
    let mut graph = Graph { rows: summary.rows().to_vec(), nodes: Message::new(), names: HashMap::new() };
    let root = Place { scope: String::new(), path: String::new() };
    let inputs: Vec<_> = (0..model.ports().0)
        .map(|number| {
            let shape = inputs.get(number).cloned();
            graph.node("input".into(), "Input", &[], shape.as_slice(), None, 0)
        })
        .collect();
    graph.layer(model.kind(), &model.config(), &root, &inputs);
    Ok(graph.nodes.message(4, &Message::new().int(1, PRODUCER)))
}

/// Where a layer stands.
struct Place {
    /// In the graph: `2_Residual/body/0_Dense`.
    scope: String,
    /// In the summary: `2.body.0`.
    path: String,
}

impl Place {
    /// A child's. Layers that are known by number alone are called by their kind as well.
    fn child(&self, name: &str, kind: &str) -> Place {
        let numbered = name.bytes().all(|byte| byte.is_ascii_digit());
        let label = if numbered { format!("{name}_{kind}") } else { name.to_owned() };
        Place { scope: join(&self.scope, &label, "/"), path: join(&self.path, name, ".") }
    }
}

fn join(outer: &str, inner: &str, between: &str) -> String {
    if outer.is_empty() { inner.to_owned() } else { format!("{outer}{between}{inner}") }
}

struct Graph {
    /// The lines of the model's summary that no operation has taken yet.
    rows: Vec<SummaryRow>,
    nodes: Message,
    /// How often each name was asked for.
    names: HashMap<String, usize>,
}

impl Graph {
    /// Adds a layer that reads these nodes, and gives those that hold its outputs. What a container is made of is in
    /// its settings; a container of another crate is one operation.
    fn layer(&mut self, kind: &str, config: &Value, place: &Place, inputs: &[String]) -> Vec<String> {
        let children = match kind {
            "Sequential" => self.sequential(config, place, inputs),
            "Residual" => self.residual(config, place, inputs),
            "Graph" => self.parts(config, place, inputs),
            _ => None,
        };
        children.unwrap_or_else(|| vec![self.operation(kind, config, place, inputs)])
    }

    fn operation(&mut self, kind: &str, config: &Value, place: &Place, inputs: &[String]) -> String {
        let row = self.rows.iter().position(|row| row.path == place.path).map(|at| self.rows.remove(at));
        let (shapes, params) = row.map_or((Vec::new(), 0), |row| (row.outputs, row.params));
        let name = if place.scope.is_empty() { kind } else { &place.scope };
        self.node(name.to_owned(), kind, inputs, &shapes, Some(config), params)
    }

    /// One layer after the other.
    fn sequential(&mut self, config: &Value, place: &Place, inputs: &[String]) -> Option<Vec<String>> {
        let mut values = inputs.to_vec();
        for (number, layer) in config["layers"].as_array()?.iter().enumerate() {
            let kind = layer["kind"].as_str()?;
            values = self.layer(kind, &layer["config"], &place.child(&number.to_string(), kind), &values);
        }
        Some(values)
    }

    /// The body, the shortcut, and their sum.
    fn residual(&mut self, config: &Value, place: &Place, inputs: &[String]) -> Option<Vec<String>> {
        let mut child = |name: &str| {
            let layer = &config[name];
            let kind = layer["kind"].as_str()?;
            Some(self.layer(kind, &layer["config"], &place.child(name, kind), inputs))
        };
        let mut terms = child("body")?;
        terms.extend(child("projection").unwrap_or_else(|| inputs.to_vec()));
        let name = join(&place.scope, "sum", "/");
        Some(vec![self.node(name, "Add", &terms, &[], None, 0)])
    }

    /// Nodes, each an input or a part that reads earlier ones.
    fn parts(&mut self, config: &Value, place: &Place, inputs: &[String]) -> Option<Vec<String>> {
        let (parts, nodes) = (config["parts"].as_array()?, config["nodes"].as_array()?);
        let mut given = inputs.iter();
        let mut values: Vec<String> = Vec::new();
        let pick = |values: &[String], numbers: &Value| -> Option<Vec<String>> {
            numbers.as_array()?.iter().map(|number| values.get(number.as_u64()? as usize).cloned()).collect()
        };
        for node in nodes {
            if node.is_string() {
                values.push(given.next()?.clone());
                continue;
            }
            let part = parts.get(node["part"].as_u64()? as usize)?;
            let (name, kind) = (part["name"].as_str()?, part["kind"].as_str()?);
            let reads = pick(&values, &node["inputs"])?;
            // A node has one value.
            values.push(self.layer(kind, &part["config"], &place.child(name, kind), &reads).into_iter().next()?);
        }
        pick(&values, &config["outputs"])
    }

    /// Adds an operation and gives its name, which is numbered where it would come twice.
    fn node(
        &mut self,
        name: String,
        kind: &str,
        inputs: &[String],
        shapes: &[Vec<usize>],
        config: Option<&Value>,
        params: usize,
    ) -> String {
        let times = self.names.entry(name.clone()).and_modify(|times| *times += 1).or_default();
        let name = if *times == 0 { name } else { format!("{name}_{times}") };
        let mut node = Message::new().text(1, &name).text(2, kind);
        for input in inputs {
            node = node.chosen_bytes(3, input);
        }
        let mut attribute = |key: &str, value: Message| {
            let entry = Message::new().text(1, key).message(2, &value);
            node = std::mem::take(&mut node).message(5, &entry);
        };
        if !shapes.is_empty() {
            let list = shapes.iter().fold(Message::new(), |list, shape| list.message(7, &shape_message(shape)));
            attribute("_output_shapes", Message::new().message(1, &list));
        }
        if let Some(config) = config.filter(|config| !config.is_null()) {
            attribute("config", Message::new().chosen_bytes(2, config.to_string()));
        }
        if params > 0 {
            attribute("parameters", Message::new().int(3, params as i64));
        }
        self.nodes = std::mem::take(&mut self.nodes).message(1, &node);
        name
    }
}

/// `TensorShapeProto` of any number of samples.
fn shape_message(shape: &[usize]) -> Message {
    let dim = |message: Message, size: i64| message.message(2, &Message::new().int(1, size));
    shape.iter().fold(dim(Message::new(), -1), |message, &size| dim(message, size as i64))
}
