use super::elementwise::elementwise_merge;

/// y = x_0 + x_1 + ..., two or more inputs.
///
/// The inputs have one rank and one shape, but for extents of 1, which stand for any other: there a value is used again,
/// and its gradient is the sum. (Keras also adds axes to inputs of a lower rank: see [`Reshape`](crate::layers::Reshape).)
///
/// Every dx_i is dy.
///
/// ```
/// use layerwise::prelude::*;
///
/// let mut graph = Graph::new();
/// let x = graph.input();
/// let (a, b) = (graph.add(Dense::new(8), x), graph.add(Dense::new(8), x));
/// let sum = graph.merge(Add::new(), &[a, b]);
/// let model = graph.outputs(&[sum]);
/// assert_eq!(model.output_shape(&[4])?, [8]);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Add;

elementwise_merge!(Add);
