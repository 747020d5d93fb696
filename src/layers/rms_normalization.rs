use super::groups::{Grouping, Groups};
use super::thin::thin_layer;
use crate::scalar::Scalar;

/// y = gamma x / sqrt(mean of x^2 + epsilon), the mean being over the last axis (Zhang and Sennrich 2019), or over
/// several of them: layer normalisation that leaves the mean where it is.
///
/// Input `(batch, ..., features)`, output the same; gamma is `(features)`, and starts at 1. With
/// x^ = x / sqrt(mean of x^2 + epsilon) and g = gamma dy: dgamma = sum dy x^, and
/// dx = (g - x^ mean of g x^) / sqrt(mean of x^2 + epsilon).
///
/// Default, which is Keras's: epsilon 1e-6. PyTorch's is the smallest step of the number type at 1: 1.2e-7 in `f32`.
///
/// ```
/// use layerwise::layers::RmsNormalization;
/// use layerwise::prelude::*;
/// use ndarray::array;
///
/// let mut layer = RmsNormalization::new();
/// layer.initialize(&[2], 0)?;
/// let y = layer.predict(&array![[1.0_f32, 7.0]])?; // the mean square is 25
/// assert!((y[[0, 0]] - 0.2).abs() < 1e-6 && (y[[0, 1]] - 1.4).abs() < 1e-6);
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug)]
pub struct RmsNormalization<A: Scalar = f32>(Groups<A>);

impl RmsNormalization {
    /// With gamma, for `f32` models.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Self::of()
    }
}

impl<A: Scalar> RmsNormalization<A> {
    /// With gamma, for models of any number type.
    pub fn of() -> Self {
        RmsNormalization(Groups { epsilon: 1e-6, ..Groups::of(Grouping::MeanSquare(1)) })
    }

    /// Normalises over so many of the last axes, of all but the batch at most; gamma has these axes.
    #[must_use]
    pub fn axes(mut self, count: usize) -> Self {
        self.0.grouping = Grouping::MeanSquare(count);
        self
    }

    /// What is added to the mean square.
    #[must_use]
    pub fn epsilon(mut self, epsilon: f64) -> Self {
        self.0.epsilon = epsilon;
        self
    }

    /// Leaves gamma away.
    #[must_use]
    pub fn without_scale(mut self) -> Self {
        self.0.gamma = None;
        self
    }
}

thin_layer!(RmsNormalization<A>, settings => {
    Groups::from_config(Grouping::MeanSquare(settings.get("axes")?), settings)
});
