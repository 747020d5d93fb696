use super::elementwise::elementwise_merge;

/// y = (x_0 + x_1 + ...) / n, n inputs, two or more.
///
/// The inputs have one rank and one shape, but for extents of 1, which stand for any other: there a value is used again,
/// and its gradient is the sum. (Keras also adds axes to inputs of a lower rank: see [`Reshape`](crate::layers::Reshape).)
///
/// Every dx_i is dy / n.
///
/// ```
/// use layerwise::layers::Average;
/// use layerwise::prelude::*;
/// use ndarray::array;
///
/// let mut graph = Graph::new();
/// let (a, b) = (graph.input(), graph.input());
/// let joined = graph.merge(Average::new(), &[a, b]);
/// let model = graph.outputs(&[joined]);
/// let (a, b) = (array![[5.0_f32, 1.0]], array![[2.0_f32, 3.0]]);
/// let y = model.predict_all(&[a.into_dyn().into_shared(), b.into_dyn().into_shared()])?;
/// assert_eq!(y[0], array![[3.5, 2.0]].into_dyn());
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Average;

elementwise_merge!(Average);
