use serde_json::Value;

use super::Dropout;
use super::image::{Axes, Image};
use super::thin::thin_layer;
use crate::context::Context;
use crate::cost::Cost;
use crate::error::Result;
use crate::io::Settings;
use crate::kernels::elementwise::scale_channels;
use crate::layer::{Layer, Needs};
use crate::scalar::Scalar;
use crate::tensor::{Tensor, values, values_mut};

/// [`Dropout`] of whole features of a sample (Tompson et al. 2015): all steps of a feature fall together, where
/// neighbours tell so much of each other that dropping one alone changes little.
///
/// Input and output `(batch, time, features)`; y = x m / (1 - rate) in training with one m for each sample and feature,
/// and dx = dy m / (1 - rate); y = x in inference. PyTorch's `Dropout1d`.
///
/// ```
/// use layerwise::layers::SpatialDropout1d;
/// use layerwise::prelude::*;
///
/// let model = Sequential::new().add(Embedding::new(1000, 16)).add(SpatialDropout1d::new(0.2)).add(SimpleRnn::new(32));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct SpatialDropout1d(Spatial);

impl SpatialDropout1d {
    /// With the share of features that are dropped, from 0 to below 1.
    pub fn new(rate: f64) -> Self {
        SpatialDropout1d(Spatial { dropout: Dropout::new(rate), axes: Axes::Sequence })
    }
}

thin_layer!(SpatialDropout1d, settings => Spatial::from_config(Axes::Sequence, settings));

/// [`Dropout`] of whole channels of an image (Tompson et al. 2015): all pixels of a channel fall together.
///
/// Input and output `(batch, height, width, channels)`; as [`SpatialDropout1d`] in every other respect. PyTorch's
/// `Dropout2d`.
#[derive(Clone, Copy, Debug)]
pub struct SpatialDropout2d(Spatial);

impl SpatialDropout2d {
    /// With the share of channels that are dropped, from 0 to below 1.
    pub fn new(rate: f64) -> Self {
        SpatialDropout2d(Spatial { dropout: Dropout::new(rate), axes: Axes::Image })
    }
}

thin_layer!(SpatialDropout2d, settings => Spatial::from_config(Axes::Image, settings));

/// The layer under both.
#[derive(Clone, Copy, Debug)]
struct Spatial {
    dropout: Dropout,
    axes: Axes,
}

impl Spatial {
    /// The values of each sample times its mask, `(batch, channels)`.
    fn masked<A: Scalar>(image: Image, mask: &Tensor<A>, x: &Tensor<A>, ctx: &mut Context<A>) -> Result<Tensor<A>> {
        let mut y = ctx.tensor(x.shape());
        let sample = image.height * image.width * image.channels;
        let samples = values(x)?.chunks_exact(sample).zip(values_mut(&mut y).chunks_exact_mut(sample));
        for ((x, y), mask) in samples.zip(values(mask)?.chunks_exact(image.channels)) {
            scale_channels(x, y, mask);
        }
        Ok(y)
    }

    fn from_config<A: Scalar>(axes: Axes, settings: &Settings<'_, A>) -> Result<Self> {
        Ok(Spatial { dropout: Dropout::from_config(settings)?, axes })
    }
}

impl<A: Scalar> Layer<A> for Spatial {
    fn kind(&self) -> &str {
        "Spatial"
    }

    fn config(&self) -> Value {
        Layer::<A>::config(&self.dropout)
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        self.axes.of_sample(input)?;
        Layer::<A>::output_shape(&self.dropout, input)
    }

    fn cost(&self, input: &[usize], _: &[usize]) -> Result<Cost> {
        Ok(self.dropout.cost_of_mask(self.axes.of_sample(input)?.channels as u64))
    }

    fn forward(&self, x: &Tensor<A>, ctx: &mut Context<A>) -> Result<Tensor<A>> {
        self.dropout.check()?;
        let image = self.axes.of_batch(x.shape())?;
        if !self.dropout.drops(ctx) {
            return Ok(x.clone());
        }
        let mut mask = ctx.tensor(&[image.batch, image.channels]);
        self.dropout.draw(values_mut(&mut mask), ctx);
        let y = Self::masked(image, &mask, x, ctx)?;
        ctx.save(mask);
        Ok(y)
    }

    fn backward(
        &self,
        _: &Tensor<A>,
        _: &Tensor<A>,
        dy: &Tensor<A>,
        want_dx: bool,
        ctx: &mut Context<A>,
    ) -> Result<Option<Tensor<A>>> {
        if !self.dropout.drops(ctx) {
            return Ok(want_dx.then(|| dy.clone()));
        }
        let mask = ctx.restore();
        let image = self.axes.of_batch(dy.shape())?;
        let dx = want_dx.then(|| Self::masked(image, &mask, dy, ctx)).transpose()?;
        ctx.recycle(mask);
        Ok(dx)
    }

    fn keeps_mask(&self) -> bool {
        true
    }

    fn needs(&self) -> Needs {
        Needs::NEITHER
    }
}

#[cfg(test)]
mod tests {
    use ndarray::IxDyn;

    use super::*;

    fn dropped(layer: &dyn Layer, shape: &[usize], seed: u64) -> Result<(Tensor, Tensor)> {
        let (x, mut ctx) = (Tensor::ones(IxDyn(shape)), Context::training(layer, seed));
        let y = layer.forward(&x, &mut ctx)?;
        let dx = layer.backward(&x, &y, &Tensor::ones(IxDyn(shape)), true, &mut ctx)?;
        Ok((y, dx.expect("it was asked for")))
    }

    #[test]
    fn a_channel_falls_or_stays_as_one_and_so_does_its_gradient() -> Result<()> {
        let rate = 0.3;
        let kept = (1.0 / (1.0 - rate)) as f32;
        let layers: [(&dyn Layer, &[usize]); 2] =
            [(&SpatialDropout1d::new(rate), &[40, 6, 33]), (&SpatialDropout2d::new(rate), &[40, 2, 3, 33])];
        for (layer, shape) in layers {
            let (y, dx) = dropped(layer, shape, 1)?;
            assert_eq!(y, dx);
            let values = values(&y)?;
            let pixels = |sample: usize, c: usize| (0..6).map(move |pixel| values[(sample * 6 + pixel) * 33 + c]);
            let mut zeros = 0.0;
            for (sample, c) in (0..40).flat_map(|sample| (0..33).map(move |c| (sample, c))) {
                let first = pixels(sample, c).next().unwrap();
                assert!(first == 0.0 || first == kept);
                assert!(pixels(sample, c).all(|pixel| pixel == first), "sample {sample}, channel {c}");
                zeros += f64::from(u8::from(first == 0.0));
            }
            // Four standard deviations of a binomial share.
            let count = 40.0 * 33.0;
            assert!((zeros / count - rate).abs() < 4.0 * (rate * (1.0 - rate) / count).sqrt(), "{zeros} of {count}");
            assert_eq!(y, dropped(layer, shape, 1)?.0);
            assert_ne!(y, dropped(layer, shape, 2)?.0);
        }
        Ok(())
    }

    #[test]
    fn the_mask_of_one_pixel_is_that_of_dropout() -> Result<()> {
        let (y, _) = dropped(&SpatialDropout1d::new(0.4), &[9, 1, 50], 5)?;
        assert_eq!(y, dropped(&Dropout::new(0.4), &[9, 1, 50], 5)?.0);
        Ok(())
    }
}
