//! A model as operations that read each other's values: a layer each, out of containers of any depth.

use std::collections::HashMap;

use serde_json::Value;

use crate::error::Result;
use crate::layer::Layer;
use crate::model::Model;
use crate::scalar::Scalar;
use crate::summary::{Summary, SummaryRow};

/// A layer, a merge or an input, and what it reads.
pub(crate) struct Operation {
    /// Another one for each operation, in scopes that follow the containers: `2_Residual/body/0_Dense`.
    pub(crate) name: String,
    /// Where the layer stands in the summary: `2.body.0`; empty for what is no layer.
    #[cfg_attr(not(feature = "plot"), allow(dead_code))]
    pub(crate) path: String,
    pub(crate) kind: String,
    /// The operations before it whose values it reads.
    pub(crate) inputs: Vec<usize>,
    /// The shapes of its outputs for one sample; none where they are not known.
    pub(crate) shapes: Vec<Vec<usize>>,
    /// How many values its parameters have; those of an earlier operation are not counted again.
    pub(crate) params: usize,
    pub(crate) config: Value,
}

/// The operations of a model, each behind those that it reads. With the shapes of the model's inputs, operations tell
/// those of their outputs and their number of parameters.
pub(crate) fn operations<A: Scalar>(model: &dyn Layer<A>, inputs: &[Vec<usize>]) -> Result<Vec<Operation>> {
    let summary = if inputs.is_empty() { Summary::of::<A>(&[]) } else { model.summary_all(inputs)? };
    let mut wiring = Wiring { rows: summary.rows().to_vec(), operations: Vec::new(), names: HashMap::new() };
    let root = Place { scope: String::new(), path: String::new() };
    let inputs: Vec<_> = (0..model.ports().0)
        .map(|number| {
            let shapes = Vec::from_iter(inputs.get(number).cloned());
            wiring.add(Operation { shapes, ..Operation::new("input".into(), "Input", &[]) })
        })
        .collect();
    wiring.layer(model.kind(), &model.config(), &root, &inputs);
    Ok(wiring.operations)
}

impl Operation {
    fn new(name: String, kind: &str, inputs: &[usize]) -> Self {
        let (kind, inputs) = (kind.to_owned(), inputs.to_vec());
        Operation { name, path: String::new(), kind, inputs, shapes: Vec::new(), params: 0, config: Value::Null }
    }
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

struct Wiring {
    /// The lines of the model's summary that no operation has taken yet.
    rows: Vec<SummaryRow>,
    operations: Vec<Operation>,
    /// How often each name was asked for.
    names: HashMap<String, usize>,
}

impl Wiring {
    /// Adds a layer that reads these operations, and gives those that hold its outputs. What a container is made of is
    /// in its settings; a container of another crate is one operation.
    fn layer(&mut self, kind: &str, config: &Value, place: &Place, inputs: &[usize]) -> Vec<usize> {
        let children = match kind {
            "Sequential" => self.sequential(config, place, inputs),
            "Residual" => self.residual(config, place, inputs),
            "Graph" => self.parts(config, place, inputs),
            _ => None,
        };
        children.unwrap_or_else(|| vec![self.operation(kind, config, place, inputs)])
    }

    fn operation(&mut self, kind: &str, config: &Value, place: &Place, inputs: &[usize]) -> usize {
        let row = self.rows.iter().position(|row| row.path == place.path).map(|at| self.rows.remove(at));
        let (shapes, params) = row.map_or((Vec::new(), 0), |row| (row.outputs, row.params));
        let name = if place.scope.is_empty() { kind } else { &place.scope };
        let (path, config) = (place.path.clone(), config.clone());
        self.add(Operation { path, shapes, params, config, ..Operation::new(name.to_owned(), kind, inputs) })
    }

    /// One layer after the other.
    fn sequential(&mut self, config: &Value, place: &Place, inputs: &[usize]) -> Option<Vec<usize>> {
        let mut values = inputs.to_vec();
        for (number, layer) in config["layers"].as_array()?.iter().enumerate() {
            let kind = layer["kind"].as_str()?;
            values = self.layer(kind, &layer["config"], &place.child(&number.to_string(), kind), &values);
        }
        Some(values)
    }

    /// The body, the shortcut, and their sum.
    fn residual(&mut self, config: &Value, place: &Place, inputs: &[usize]) -> Option<Vec<usize>> {
        let mut child = |name: &str| {
            let layer = &config[name];
            let kind = layer["kind"].as_str()?;
            Some(self.layer(kind, &layer["config"], &place.child(name, kind), inputs))
        };
        let mut terms = child("body")?;
        terms.extend(child("projection").unwrap_or_else(|| inputs.to_vec()));
        let name = join(&place.scope, "sum", "/");
        Some(vec![self.add(Operation::new(name, "Add", &terms))])
    }

    /// Nodes, each an input or a part that reads earlier ones.
    fn parts(&mut self, config: &Value, place: &Place, inputs: &[usize]) -> Option<Vec<usize>> {
        let (parts, nodes) = (config["parts"].as_array()?, config["nodes"].as_array()?);
        let mut given = inputs.iter();
        let mut values: Vec<usize> = Vec::new();
        let pick = |values: &[usize], numbers: &Value| -> Option<Vec<usize>> {
            numbers.as_array()?.iter().map(|number| values.get(number.as_u64()? as usize).copied()).collect()
        };
        for node in nodes {
            if node.is_string() {
                values.push(*given.next()?);
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

    /// Adds an operation, whose name is numbered where it would come twice, and gives its number.
    fn add(&mut self, mut operation: Operation) -> usize {
        let times = self.names.entry(operation.name.clone()).and_modify(|times| *times += 1).or_default();
        if *times > 0 {
            operation.name = format!("{}_{times}", operation.name);
        }
        self.operations.push(operation);
        self.operations.len() - 1
    }
}
