use super::groups::{Grouping, Groups, group_settings};
use super::thin::thin_layer;
use crate::scalar::Scalar;

/// y = gamma (x - mean) / sqrt(variance + epsilon) + beta with mean and variance of the last axis (Ba et al. 2016), or of
/// several of them.
///
/// Input `(batch, ..., features)`, output the same; gamma and beta are `(features)`. Every time step or pixel has
/// statistics of its own. With [`axes`](Self::axes) gamma and beta have several of the last axes, which share mean and
/// variance. The gradients are those of [`GroupNormalization`](super::GroupNormalization) with one group.
///
/// Default, which is Keras's: epsilon 1e-3. PyTorch's is `.epsilon(1e-5)`.
///
/// ```
/// use layerwise::layers::LayerNormalization;
/// use layerwise::prelude::*;
///
/// let model = Sequential::new().add(Dense::new(64)).add(LayerNormalization::new()).add(Activation::Relu);
/// ```
#[derive(Debug)]
pub struct LayerNormalization<A: Scalar = f32>(Groups<A>);

impl LayerNormalization {
    /// With gamma and beta, for `f32` models.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Self::of()
    }
}

impl<A: Scalar> LayerNormalization<A> {
    /// With gamma and beta, for models of any number type.
    pub fn of() -> Self {
        LayerNormalization(Groups::of(Grouping::Features(1)))
    }

    /// Normalises over so many of the last axes, of all but the batch at most: PyTorch's `normalized_shape` with so many
    /// numbers. For axes that are not the last ones see [`Permute`](super::Permute).
    #[must_use]
    pub fn axes(mut self, count: usize) -> Self {
        self.0.grouping = Grouping::Features(count);
        self
    }
}

group_settings!(LayerNormalization);
thin_layer!(LayerNormalization<A>, settings => {
    // The first files of models do not say it.
    let axes: Option<usize> = settings.get("axes")?;
    Groups::from_config(Grouping::Features(axes.unwrap_or(1)), settings)
});
