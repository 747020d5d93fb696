use super::groups::{Grouping, Groups, group_settings};
use super::thin::thin_layer;
use crate::scalar::Scalar;

/// y = gamma (x - mean) / sqrt(variance + epsilon) + beta with mean and variance of one channel of one sample (Ulyanov
/// et al. 2016), which takes the contrast out of an image: [`GroupNormalization`](super::GroupNormalization) with a
/// group for each channel.
///
/// Input `(batch, ..., channels)`, output the same; gamma and beta are `(channels)`.
///
/// Default, as for group normalisation in Keras: epsilon 1e-3, with gamma and beta. PyTorch's are `.epsilon(1e-5)`,
/// `.without_scale()` and `.without_center()`; with its `affine=True` it has both.
///
/// ```
/// use layerwise::layers::InstanceNormalization;
/// use layerwise::prelude::*;
/// use ndarray::array;
///
/// let mut layer = InstanceNormalization::new().without_scale().without_center().epsilon(1e-12);
/// layer.initialize(&[2, 2], 0)?;
/// let y = layer.predict(&array![[[1.0_f32, 300.0], [3.0, 100.0]]])?;
/// assert_eq!(y, array![[[-1.0, 1.0], [1.0, -1.0]]].into_dyn());
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug)]
pub struct InstanceNormalization<A: Scalar = f32>(Groups<A>);

impl InstanceNormalization {
    /// With gamma and beta, for `f32` models.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Self::of()
    }
}

impl<A: Scalar> InstanceNormalization<A> {
    /// With gamma and beta, for models of any number type.
    pub fn of() -> Self {
        InstanceNormalization(Groups::of(Grouping::Channels))
    }
}

group_settings!(InstanceNormalization);
thin_layer!(InstanceNormalization<A>, settings => Groups::from_config(Grouping::Channels, settings));
