//! A model as TensorFlow's `GraphDef`: an operation for each layer, in scopes that follow the containers.

use super::proto::Message;
use crate::error::Result;
use crate::io::wiring::{Operation, operations};
use crate::layer::Layer;
use crate::scalar::Scalar;

/// The version of TensorFlow's graphs that has the attributes written here.
const PRODUCER: i64 = 22;

/// The graph of a model. With the shapes of its inputs, operations tell those of their outputs and their number of
/// parameters.
pub(super) fn graph<A: Scalar>(model: &dyn Layer<A>, inputs: &[Vec<usize>]) -> Result<Message> {
    let operations = operations(model, inputs)?;
    let nodes =
        operations.iter().fold(Message::new(), |nodes, operation| nodes.message(1, &node(operation, &operations)));
    Ok(nodes.message(4, &Message::new().int(1, PRODUCER)))
}

/// TensorFlow's `NodeDef`.
fn node(operation: &Operation, operations: &[Operation]) -> Message {
    let mut node = Message::new().text(1, &operation.name).text(2, &operation.kind);
    for &input in &operation.inputs {
        node = node.chosen_bytes(3, &operations[input].name);
    }
    let mut attribute = |key: &str, value: Message| {
        let entry = Message::new().text(1, key).message(2, &value);
        node = std::mem::take(&mut node).message(5, &entry);
    };
    if !operation.shapes.is_empty() {
        let list = operation.shapes.iter().fold(Message::new(), |list, shape| list.message(7, &shape_message(shape)));
        attribute("_output_shapes", Message::new().message(1, &list));
    }
    if !operation.config.is_null() {
        attribute("config", Message::new().chosen_bytes(2, operation.config.to_string()));
    }
    if operation.params > 0 {
        attribute("parameters", Message::new().int(3, operation.params as i64));
    }
    node
}

/// `TensorShapeProto` of any number of samples.
fn shape_message(shape: &[usize]) -> Message {
    let dim = |message: Message, size: i64| message.message(2, &Message::new().int(1, size));
    shape.iter().fold(dim(Message::new(), -1), |message, &size| dim(message, size as i64))
}
