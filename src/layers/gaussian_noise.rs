use super::noise::Noise;
use super::thin::thin_layer;

/// y = x + n in training with normal n of mean 0, a number of its own for each element; y = x in inference. Any shape.
///
/// The numbers come from the seed of the pass: the same seed draws the same. dx = dy.
///
/// ```
/// use layerwise::layers::GaussianNoise;
/// use layerwise::prelude::*;
///
/// let model = Sequential::new().add(GaussianNoise::new(0.1)).add(Dense::new(8).activation(Activation::Relu));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct GaussianNoise(Noise);

impl GaussianNoise {
    /// With the standard deviation of n, at least 0. (Keras takes none above 1.)
    pub fn new(deviation: f64) -> Self {
        GaussianNoise(Noise::Added(deviation))
    }
}

thin_layer!(GaussianNoise, settings => settings.get("deviation").map(Noise::Added));
