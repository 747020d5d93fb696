//! What a layer costs for one sample: operations and memory.

/// What a layer costs for one sample, as [`Layer::cost`](crate::Layer::cost) tells it and a
/// [`Summary`](crate::Summary) adds it up.
///
/// **Operations** are those of a forward pass in inference. A multiplication whose product is added to a sum counts 2
/// (PyTorch's `FlopCounterMode`; papers that count "MACs" have half as many), adding a bias 1, a function of one number
/// 1, be it a maximum or an exponential. Windows over the edge of an image count as if the padding were there, also
/// where it is left out. Values that are only moved or shared cost nothing. What is done once for a batch, and what a
/// fast algorithm spares, does not count.
///
/// ```
/// use layerwise::prelude::*;
///
/// // 4 * 3 products that are summed up, 3 biases, 3 values of tanh.
/// let cost = Layer::<f32>::cost(&Dense::new(3).activation(Activation::Tanh), &[4], &[3])?;
/// assert_eq!(cost.flops, 2 * 4 * 3 + 3 + 3);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Cost {
    /// The floating-point operations of a forward pass.
    pub flops: u64,
    /// The numbers that forward [saves](crate::Context::save) for backward in training, beside input and output.
    pub saved: u64,
    /// Where the output lies.
    pub memory: OutputMemory,
}

/// Where the output of a layer lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum OutputMemory {
    /// In memory of its own.
    #[default]
    Own,
    /// In memory of its own in training, and in that of the input in inference: dropout.
    OwnInTraining,
    /// In that of the input, whose numbers it shares: a reshape.
    Input,
}

impl Cost {
    /// So many operations for an output in memory of its own, and nothing saved.
    pub fn of(flops: u64) -> Self {
        Cost { flops, ..Cost::default() }
    }

    /// One operation for each number of the output: what a layer costs that says nothing else.
    pub fn elementwise(output: &[usize]) -> Self {
        Self::of(product(output))
    }

    /// The input's own numbers in another shape.
    pub fn view() -> Self {
        Cost { memory: OutputMemory::Input, ..Cost::default() }
    }

    /// So many numbers more are saved for backward.
    #[must_use]
    pub fn saving(self, numbers: u64) -> Self {
        Cost { saved: self.saved.saturating_add(numbers), ..self }
    }

    /// Together with another layer inside the same one.
    #[must_use]
    pub fn plus(self, other: Cost) -> Self {
        Cost { flops: self.flops.saturating_add(other.flops), ..self.saving(other.saved) }
    }
}

/// The product of sizes, which may be those of a hostile file: what no number holds is the largest one.
pub(crate) fn product(sizes: &[usize]) -> u64 {
    sizes.iter().fold(1, |product: u64, &size| product.saturating_mul(size as u64))
}
