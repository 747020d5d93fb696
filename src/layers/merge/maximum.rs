use super::elementwise::elementwise_merge;

/// y = max(x_0, x_1, ...), value by value, two or more inputs. NaN in any of them is NaN.
///
/// The inputs have one rank and one shape, but for extents of 1, which stand for any other: there a value is used again,
/// and its gradient is the sum. (Keras also adds axes to inputs of a lower rank: see [`Reshape`](crate::layers::Reshape).)
///
/// dy goes to the input that is the largest; where two are equal, one half to each, and of more than two, joined from the
/// first to the last, one half to the last and the other half to those before. As in PyTorch and Keras.
///
/// ```
/// use layerwise::layers::Maximum;
/// use layerwise::prelude::*;
/// use ndarray::array;
///
/// let mut graph = Graph::new();
/// let (a, b) = (graph.input(), graph.input());
/// let joined = graph.merge(Maximum::new(), &[a, b]);
/// let model = graph.outputs(&[joined]);
/// let (a, b) = (array![[5.0_f32, 1.0]], array![[2.0_f32, 3.0]]);
/// let y = model.predict_all(&[a.into_dyn().into_shared(), b.into_dyn().into_shared()])?;
/// assert_eq!(y[0], array![[5.0, 3.0]].into_dyn());
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Maximum;

elementwise_merge!(Maximum);
