use super::groups::{Grouping, Groups, group_settings};
use super::thin::thin_layer;
use crate::scalar::Scalar;

/// y = gamma (x - mean) / sqrt(variance + epsilon) + beta with mean and variance of the last axis (Ba et al. 2016).
///
/// Input `(batch, ..., features)`, output the same; gamma and beta are `(features)`. Every time step or pixel has
/// statistics of its own. The gradients are those of [`GroupNormalization`](super::GroupNormalization) with one group.
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
        LayerNormalization(Groups::of(Grouping::Features))
    }
}

group_settings!(LayerNormalization);
thin_layer!(LayerNormalization<A>, settings => Groups::from_config(Grouping::Features, settings));
