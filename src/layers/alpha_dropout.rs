use super::Dropout;
use super::noise::Noise;
use super::thin::thin_layer;
/// Dropout for networks of SELUs, which keeps mean 0 and variance 1 (Klambauer et al. 2017): y = a (x m + s (1 - m)) + b
/// in training, y = x in inference.
///
/// Any shape; each element has its own m, which is 0 with probability `rate` and else 1. s = -1.7581 is what SELU tends
/// to far below 0, a = 1 / sqrt((1 - rate) (1 + rate s^2)) and b = -a s rate. The masks come from the seed of the pass:
/// the same seed drops the same elements. dx = a m dy.
///
/// ```
/// use layerwise::layers::AlphaDropout;
/// use layerwise::prelude::*;
///
/// let model = Sequential::new().add(Dense::new(64)).add(AlphaDropout::new(0.1)).add(Dense::new(10));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct AlphaDropout(Noise);

impl AlphaDropout {
    /// With the share of elements that are dropped, from 0 to below 1.
    pub fn new(rate: f64) -> Self {
        AlphaDropout(Noise::Alpha(Dropout::new(rate)))
    }
}

thin_layer!(AlphaDropout, settings => Dropout::from_config(settings).map(Noise::Alpha));
