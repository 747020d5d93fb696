use rand::Rng;
use serde_json::{Value, json};

use crate::context::{Context, Mode};
use crate::cost::{Cost, OutputMemory, product};
use crate::error::{Error, Result};
use crate::io::Settings;
use crate::kernels::elementwise;
use crate::layer::{Layer, Needs};
use crate::scalar::Scalar;
use crate::tensor::{Tensor, values, values_mut};

/// How many random numbers are drawn at once.
const DRAWN: usize = 256;

/// y = x m / (1 - rate) in training, y = x in inference (Srivastava et al. 2014, in the inverted form that Keras and
/// PyTorch have).
///
/// Any shape; each element has its own m, which is 0 with probability `rate` and else 1, so that y has the mean of x.
/// The masks come from the seed of the pass: the same seed drops the same elements.
///
/// dx = dy m / (1 - rate).
///
/// ```
/// use layerwise::prelude::*;
///
/// let model = Sequential::new()
///     .add(Dense::new(64).activation(Activation::Relu))
///     .add(Dropout::new(0.5))
///     .add(Dense::new(10));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Dropout {
    pub(super) rate: f64,
}

impl Dropout {
    /// With the share of elements that are dropped, from 0 to below 1.
    pub fn new(rate: f64) -> Self {
        Dropout { rate }
    }

    pub(super) fn check(self) -> Result<()> {
        if (0.0..1.0).contains(&self.rate) {
            return Ok(());
        }
        Err(Error::setting("dropout rate", "at least 0 and below 1", self.rate))
    }

    pub(super) fn drops<A: Scalar>(self, ctx: &Context<A>) -> bool {
        ctx.mode() == Mode::Training && self.rate > 0.0
    }

    /// Fills a mask from the stream of the pass: m / (1 - rate).
    pub(super) fn draw<A: Scalar>(self, mask: &mut [A], ctx: &mut Context<A>) {
        self.draw_with(1.0 / (1.0 - self.rate), mask, ctx);
    }

    /// The same with `kept` in the place of 1 / (1 - rate).
    pub(super) fn draw_with<A: Scalar>(self, kept: f64, mask: &mut [A], ctx: &mut Context<A>) {
        // Of 2^32 equally likely numbers those below the threshold drop.
        let threshold = (self.rate * 2f64.powi(32)).round() as u32;
        let kept = A::of(kept);
        let mut drawn = [0u32; DRAWN];
        for mask in mask.chunks_mut(DRAWN) {
            let drawn = &mut drawn[..mask.len()];
            ctx.rng().fill(drawn);
            elementwise::drop_mask(drawn, threshold, kept, mask);
        }
    }

    /// What dropping costs with a mask of so many numbers: memory in training alone.
    pub(super) fn cost_of_mask(self, mask: u64) -> Cost {
        if self.rate == 0.0 {
            return Cost::view();
        }
        Cost { memory: OutputMemory::OwnInTraining, ..Cost::default() }.saving(mask)
    }

    pub(super) fn from_config<A: Scalar>(settings: &Settings<'_, A>) -> Result<Self> {
        Ok(Dropout { rate: settings.get("rate")? })
    }
}

impl<A: Scalar> Layer<A> for Dropout {
    fn kind(&self) -> &str {
        "Dropout"
    }

    fn config(&self) -> Value {
        json!({ "rate": self.rate })
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        self.check()?;
        Ok(input.to_vec())
    }

    fn cost(&self, input: &[usize], _: &[usize]) -> Result<Cost> {
        Ok(self.cost_of_mask(product(input)))
    }

    fn forward(&self, x: &Tensor<A>, ctx: &mut Context<A>) -> Result<Tensor<A>> {
        self.check()?;
        if !self.drops(ctx) {
            return Ok(x.clone());
        }
        let (mut mask, mut y) = (ctx.tensor(x.shape()), ctx.tensor(x.shape()));
        let masks = values_mut(&mut mask).chunks_mut(DRAWN);
        for ((mask, y), x) in masks.zip(values_mut(&mut y).chunks_mut(DRAWN)).zip(values(x)?.chunks(DRAWN)) {
            self.draw(mask, ctx);
            elementwise::multiply(x, mask, y);
        }
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
        if !self.drops(ctx) {
            return Ok(want_dx.then(|| dy.clone()));
        }
        let mask = ctx.restore();
        let mut dx = None;
        if want_dx {
            let mut gradient = ctx.tensor(dy.shape());
            elementwise::multiply(values(&mask)?, values(dy)?, values_mut(&mut gradient));
            dx = Some(gradient);
        }
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
    use super::*;

    fn dropped(rate: f64, seed: u64) -> Result<Tensor<f32>> {
        let layer = Dropout::new(rate);
        let mut ctx = Context::training(&layer, seed);
        layer.forward(&Tensor::ones(ndarray::IxDyn(&[300, 101])), &mut ctx)
    }

    #[test]
    fn drops_its_share_and_keeps_the_mean() -> Result<()> {
        for rate in [0.1, 0.5, 0.9] {
            let y = dropped(rate, 3)?;
            let count = y.len() as f64;
            let zeros = y.iter().filter(|&&y| y == 0.0).count() as f64;
            // Four standard deviations of a binomial share.
            let margin = 4.0 * (rate * (1.0 - rate) / count).sqrt();
            assert!((zeros / count - rate).abs() < margin, "{zeros} of {count} at rate {rate}");
            let kept = (1.0 / (1.0 - rate)) as f32;
            assert!(y.iter().all(|&y| y == 0.0 || y == kept));
        }
        Ok(())
    }

    #[test]
    fn one_seed_is_one_mask_and_neighbours_do_not_fall_together() -> Result<()> {
        let y = dropped(0.5, 3)?;
        assert_eq!(y, dropped(0.5, 3)?);
        assert_ne!(y, dropped(0.5, 4)?);
        let y: Vec<bool> = y.iter().map(|&y| y == 0.0).collect();
        for lag in [1, 2, 101, DRAWN] {
            let same = y.iter().zip(&y[lag..]).filter(|(a, b)| a == b).count() as f64;
            let pairs = (y.len() - lag) as f64;
            assert!((same / pairs - 0.5).abs() < 2.0 / pairs.sqrt(), "lag {lag}: {same} of {pairs}");
        }
        Ok(())
    }

    #[test]
    fn without_dropping_the_values_are_shared() -> Result<()> {
        let x = Tensor::<f32>::ones(ndarray::IxDyn(&[2, 3]));
        let y = Dropout::new(0.5).forward(&x, &mut Context::inference())?;
        assert_eq!(y.as_ptr(), x.as_ptr());
        let y = Dropout::new(0.0).forward(&x, &mut Context::recording(Mode::Training))?;
        assert_eq!(y.as_ptr(), x.as_ptr());
        Ok(())
    }
}
