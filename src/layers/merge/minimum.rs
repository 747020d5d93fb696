use super::elementwise::elementwise_merge;

/// y = min(x_0, x_1, ...), value by value, two or more inputs. NaN in any of them is NaN.
///
/// The inputs have one rank and one shape, but for extents of 1, which stand for any other: there a value is used again,
/// and its gradient is the sum. (Keras also adds axes to inputs of a lower rank: see [`Reshape`](crate::layers::Reshape).)
///
/// The gradients are those of [`Maximum`](super::Maximum), with the smallest in the place of the largest.
///
/// ```
/// use layerwise::layers::Minimum;
/// use layerwise::prelude::*;
/// use ndarray::array;
///
/// let mut graph = Graph::new();
/// let (a, b) = (graph.input(), graph.input());
/// let joined = graph.merge(Minimum::new(), &[a, b]);
/// let model = graph.outputs(&[joined]);
/// let (a, b) = (array![[5.0_f32, 1.0]], array![[2.0_f32, 3.0]]);
/// let y = model.predict_all(&[a.into_dyn().into_shared(), b.into_dyn().into_shared()])?;
/// assert_eq!(y[0], array![[2.0, 1.0]].into_dyn());
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Minimum;

elementwise_merge!(Minimum);
