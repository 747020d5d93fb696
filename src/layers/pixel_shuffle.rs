use serde_json::{Value, json};

use super::image::{Axes, Image};
use super::thin::thin_layer;
use crate::context::Context;
use crate::cost::Cost;
use crate::error::{Error, Result};
use crate::io::Settings;
use crate::kernels::permute::permute;
use crate::layer::{Layer, Needs};
use crate::scalar::Scalar;
use crate::tensor::{Tensor, values, values_mut};

/// Channels turned into pixels (Shi et al. 2016): `(batch, height, width, channels r^2)` becomes
/// `(batch, height r, width r, channels)`.
///
/// The order is PyTorch's: what stands at pixel (h, w) in channel c r^2 + i r + j goes to pixel (h r + i, w r + j) in
/// channel c. dx is dy with every value back in its place.
///
/// ```
/// use layerwise::layers::PixelShuffle;
/// use layerwise::prelude::*;
/// use ndarray::array;
///
/// let y = PixelShuffle::new(2).predict(&array![[[[1.0_f32, 2.0, 3.0, 4.0]]]])?;
/// assert_eq!(y, array![[[[1.0], [2.0]], [[3.0], [4.0]]]].into_dyn());
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct PixelShuffle(Shuffle);

impl PixelShuffle {
    /// With r times the pixels in each direction.
    pub fn new(factor: usize) -> Self {
        PixelShuffle(Shuffle { factor, to_pixels: true })
    }
}

thin_layer!(PixelShuffle, settings => Shuffle::from_config(true, settings));

/// Pixels turned into channels, which undoes [`PixelShuffle`]: `(batch, height r, width r, channels)` becomes
/// `(batch, height, width, channels r^2)`. No value is lost, as it would be with a stride.
///
/// ```
/// use layerwise::layers::PixelUnshuffle;
/// use layerwise::prelude::*;
///
/// assert_eq!(Layer::<f32>::output_shape(&PixelUnshuffle::new(2), &[28, 28, 3])?, [14, 14, 12]);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct PixelUnshuffle(Shuffle);

impl PixelUnshuffle {
    /// With 1/r of the pixels in each direction.
    pub fn new(factor: usize) -> Self {
        PixelUnshuffle(Shuffle { factor, to_pixels: false })
    }
}

thin_layer!(PixelUnshuffle, settings => Shuffle::from_config(false, settings));

/// The layer under both.
#[derive(Clone, Copy, Debug)]
struct Shuffle {
    factor: usize,
    to_pixels: bool,
}

impl Shuffle {
    /// The extents with the pixels in channels, whichever way the input of these has them.
    fn deep(self, to_pixels: bool, image: Image, shape: &[usize]) -> Result<Image> {
        let r = self.factor;
        let square = r.saturating_mul(r);
        if r == 0 {
            return Err(Error::setting("factor of the pixel shuffle", "at least 1", r));
        }
        let fits = |extents: &[usize], r: usize| extents.iter().all(|extent| extent.is_multiple_of(r));
        if to_pixels && !fits(&[image.channels], square) {
            return Err(Error::shape("input", format!("a multiple of {square} channels"), shape));
        }
        if !to_pixels && !fits(&[image.height, image.width], r) {
            return Err(Error::shape("input", format!("a height and a width that are multiples of {r}"), shape));
        }
        Ok(match to_pixels {
            true => image,
            false => {
                Image { height: image.height / r, width: image.width / r, channels: image.channels * square, ..image }
            }
        })
    }

    /// The shape of a batch with the channels in pixels.
    fn wide(self, deep: Image) -> [usize; 4] {
        let r = self.factor;
        [deep.batch, deep.height * r, deep.width * r, deep.channels / (r * r)]
    }

    fn run<A: Scalar>(self, to_pixels: bool, x: &Tensor<A>, ctx: &mut Context<A>) -> Result<Tensor<A>> {
        let deep = self.deep(to_pixels, Axes::Image.of_batch(x.shape())?, x.shape())?;
        let Image { batch, height, width, channels } = deep;
        let (r, c) = (self.factor, channels / (self.factor * self.factor));
        if to_pixels {
            let mut y = ctx.tensor(&self.wide(deep));
            permute(values(x)?, &[batch, height, width, c, r, r], &[0, 1, 4, 2, 5, 3], values_mut(&mut y));
            return Ok(y);
        }
        let mut y = ctx.tensor(&[batch, height, width, channels]);
        permute(values(x)?, &[batch, height, r, width, r, c], &[0, 1, 3, 5, 2, 4], values_mut(&mut y));
        Ok(y)
    }

    fn from_config<A: Scalar>(to_pixels: bool, settings: &Settings<'_, A>) -> Result<Self> {
        Ok(Shuffle { factor: settings.get("factor")?, to_pixels })
    }
}

impl<A: Scalar> Layer<A> for Shuffle {
    fn kind(&self) -> &str {
        "Shuffle"
    }

    fn config(&self) -> Value {
        json!({ "factor": self.factor })
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        let deep = self.deep(self.to_pixels, Axes::Image.of_sample(input)?, input)?;
        Ok(match self.to_pixels {
            true => self.wide(deep)[1..].to_vec(),
            false => vec![deep.height, deep.width, deep.channels],
        })
    }

    fn cost(&self, _: &[usize], _: &[usize]) -> Result<Cost> {
        Ok(Cost::of(0))
    }

    fn forward(&self, x: &Tensor<A>, ctx: &mut Context<A>) -> Result<Tensor<A>> {
        self.run(self.to_pixels, x, ctx)
    }

    fn backward(
        &self,
        _: &Tensor<A>,
        _: &Tensor<A>,
        dy: &Tensor<A>,
        want_dx: bool,
        ctx: &mut Context<A>,
    ) -> Result<Option<Tensor<A>>> {
        want_dx.then(|| self.run(!self.to_pixels, dy, ctx)).transpose()
    }

    fn needs(&self) -> Needs {
        Needs::NEITHER
    }
}
