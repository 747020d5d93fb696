use super::Dropout;
use super::noise::Noise;
use super::thin::thin_layer;
/// y = x n in training with normal n of mean 1 and variance rate / (1 - rate), that of dropout's factors (Srivastava et
/// al. 2014); y = x in inference. Any shape, and a number of its own for each element.
///
/// The numbers come from the seed of the pass: the same seed draws the same. dx = dy n.
///
/// ```
/// use layerwise::layers::GaussianDropout;
/// use layerwise::prelude::*;
///
/// let model = Sequential::new().add(Dense::new(64)).add(GaussianDropout::new(0.5)).add(Dense::new(10));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct GaussianDropout(Noise);

impl GaussianDropout {
    /// With the rate, from 0 to below 1.
    pub fn new(rate: f64) -> Self {
        GaussianDropout(Noise::Multiplied(Dropout::new(rate)))
    }
}

thin_layer!(GaussianDropout, settings => Dropout::from_config(settings).map(Noise::Multiplied));
