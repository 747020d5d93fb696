use super::groups::{Grouping, Groups, group_settings};
use super::thin::thin_layer;
use crate::scalar::Scalar;

/// y = gamma (x - mean) / sqrt(variance + epsilon) + beta with mean and variance of a group of channels of one sample
/// (Wu and He 2018): the same in training and inference, and whatever the batch.
///
/// Input `(batch, ..., channels)`, output the same; gamma and beta are `(channels)`. Group k of G holds the channels
/// from k channels / G on; mean and variance (sum of squares / n) are over its channels and all pixels of the sample.
///
/// With x^ = (x - mean) / sqrt(variance + epsilon) and g = gamma dy: dbeta = sum dy, dgamma = sum dy x^, and
/// dx = (g - mean of g - x^ mean of g x^) / sqrt(variance + epsilon), the means being over the group.
///
/// Default, which is Keras's: epsilon 1e-3. PyTorch's is `.epsilon(1e-5)`.
///
/// ```
/// use layerwise::layers::GroupNormalization;
/// use layerwise::prelude::*;
///
/// let layer = GroupNormalization::new(4);
/// assert_eq!(layer.output_shape(&[8, 8, 32])?, [8, 8, 32]);
/// assert!(layer.output_shape(&[8, 8, 30]).is_err());
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug)]
pub struct GroupNormalization<A: Scalar = f32>(Groups<A>);

impl GroupNormalization {
    /// In so many groups, for `f32` models.
    pub fn new(groups: usize) -> Self {
        Self::of(groups)
    }
}

impl<A: Scalar> GroupNormalization<A> {
    /// In so many groups, for models of any number type.
    pub fn of(groups: usize) -> Self {
        GroupNormalization(Groups::of(Grouping::Groups(groups)))
    }
}

group_settings!(GroupNormalization);
thin_layer!(GroupNormalization<A>, settings => {
    Groups::from_config(Grouping::Groups(settings.get("groups")?), settings)
});
