use super::elementwise::elementwise_merge;

/// y = x_0 x_1 ..., value by value, two or more inputs.
///
/// The inputs have one rank and one shape, but for extents of 1, which stand for any other: there a value is used again,
/// and its gradient is the sum. (Keras also adds axes to inputs of a lower rank: see [`Reshape`](crate::layers::Reshape).)
///
/// dx_i is dy times the product of the others.
///
/// ```
/// use layerwise::layers::Multiply;
/// use layerwise::prelude::*;
/// use ndarray::array;
///
/// let mut graph = Graph::new();
/// let (a, b) = (graph.input(), graph.input());
/// let joined = graph.merge(Multiply::new(), &[a, b]);
/// let model = graph.outputs(&[joined]);
/// let (a, b) = (array![[5.0_f32, 1.0]], array![[2.0_f32]]);
/// let y = model.predict_all(&[a.into_dyn().into_shared(), b.into_dyn().into_shared()])?;
/// assert_eq!(y[0], array![[10.0, 2.0]].into_dyn());
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Multiply;

elementwise_merge!(Multiply);
