//! Random numbers that values are added to or multiplied by in training.

use ndarray_rand::rand_distr::StandardNormal;
use rand::Rng;
use serde_json::{Value, json};

use super::Dropout;
use crate::context::{Context, Mode};
use crate::cost::{Cost, OutputMemory, product};
use crate::error::{Error, Result};
use crate::kernels::elementwise::{add_assign, multiply};
use crate::layer::{Layer, Needs};
use crate::scalar::Scalar;
use crate::tensor::{Tensor, values, values_mut};

/// The layer under Gaussian noise, Gaussian dropout and alpha dropout: y = x factor + term in training, with a factor
/// and a term of its own for each element, and y = x in inference. dx = factor dy.
#[derive(Clone, Copy, Debug)]
pub(super) enum Noise {
    /// The term is normal with this deviation, the factor 1.
    Added(f64),
    /// The factor is normal with mean 1 and the variance rate / (1 - rate), the term 0.
    Multiplied(Dropout),
    /// Factor 0 and one term where an element is dropped, another factor and term elsewhere.
    Alpha(Dropout),
}

/// What SELU tends to far below 0: -scale alpha (Klambauer et al. 2017).
const SATURATION: f64 = -1.050_700_987_355_480_5 * 1.673_263_242_354_377_2;

impl Noise {
    fn check(self) -> Result<()> {
        match self {
            Noise::Multiplied(dropout) | Noise::Alpha(dropout) => dropout.check(),
            Noise::Added(deviation) if deviation >= 0.0 && deviation.is_finite() => Ok(()),
            Noise::Added(deviation) => {
                Err(Error::setting("deviation of GaussianNoise", "a finite number of at least 0", deviation))
            }
        }
    }

    fn is_active<A: Scalar>(self, ctx: &Context<A>) -> bool {
        match self {
            Noise::Added(deviation) => ctx.mode() == Mode::Training && deviation > 0.0,
            Noise::Multiplied(dropout) | Noise::Alpha(dropout) => dropout.drops(ctx),
        }
    }

    /// The outputs, and the factors where they are not 1.
    fn apply<A: Scalar>(self, x: &Tensor<A>, ctx: &mut Context<A>) -> Result<(Tensor<A>, Option<Tensor<A>>)> {
        let mut y = ctx.tensor(x.shape());
        if let Noise::Added(deviation) = self {
            draw_normal(0.0, deviation, values_mut(&mut y), ctx);
            add_assign(values_mut(&mut y), values(x)?);
            return Ok((y, None));
        }
        let mut factors = ctx.tensor(x.shape());
        if let Noise::Multiplied(Dropout { rate }) = self {
            draw_normal(1.0, (rate / (1.0 - rate)).sqrt(), values_mut(&mut factors), ctx);
            multiply(values(x)?, values(&factors)?, values_mut(&mut y));
        }
        if let Noise::Alpha(dropout) = self {
            let rate = dropout.rate;
            let slope = ((1.0 - rate) * (1.0 + rate * SATURATION * SATURATION)).powf(-0.5);
            dropout.draw_with(slope, values_mut(&mut factors), ctx);
            let kept = A::of(-slope * SATURATION * rate);
            let dropped = A::of(slope * SATURATION - slope * SATURATION * rate);
            let given = values(x)?.iter().zip(values(&factors)?);
            for (y, (&x, &factor)) in values_mut(&mut y).iter_mut().zip(given) {
                *y = x * factor + if factor == A::zero() { dropped } else { kept };
            }
        }
        Ok((y, Some(factors)))
    }
}

/// Fills a slice with normal numbers from the stream of the pass.
fn draw_normal<A: Scalar>(mean: f64, deviation: f64, values: &mut [A], ctx: &mut Context<A>) {
    let rng = ctx.rng();
    for value in values {
        let drawn: f64 = rng.sample(StandardNormal);
        *value = A::of(mean + deviation * drawn);
    }
}

impl<A: Scalar> Layer<A> for Noise {
    fn kind(&self) -> &str {
        "Noise"
    }

    fn config(&self) -> Value {
        match self {
            Noise::Added(deviation) => json!({ "deviation": deviation }),
            Noise::Multiplied(dropout) | Noise::Alpha(dropout) => Layer::<A>::config(dropout),
        }
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        self.check()?;
        Ok(input.to_vec())
    }

    fn cost(&self, input: &[usize], _: &[usize]) -> Result<Cost> {
        Ok(match self {
            Noise::Added(0.0) => Cost::view(),
            Noise::Added(_) => Cost { memory: OutputMemory::OwnInTraining, ..Cost::default() },
            Noise::Multiplied(dropout) | Noise::Alpha(dropout) => dropout.cost_of_mask(product(input)),
        })
    }

    fn forward(&self, x: &Tensor<A>, ctx: &mut Context<A>) -> Result<Tensor<A>> {
        self.check()?;
        if !self.is_active(ctx) {
            return Ok(x.clone());
        }
        let (y, factors) = self.apply(x, ctx)?;
        factors.into_iter().for_each(|factors| ctx.save(factors));
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
        if !self.is_active(ctx) || matches!(self, Noise::Added(_)) {
            return Ok(want_dx.then(|| dy.clone()));
        }
        let mut factors = ctx.restore();
        if !want_dx {
            ctx.recycle(factors);
            return Ok(None);
        }
        let factor = values_mut(&mut factors);
        factor.iter_mut().zip(values(dy)?).for_each(|(factor, &dy)| *factor *= dy);
        Ok(Some(factors))
    }

    fn needs(&self) -> Needs {
        Needs::NEITHER
    }

    fn keeps_mask(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::{AlphaDropout, GaussianDropout, GaussianNoise};

    /// Mean and deviation.
    fn moments(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
        let count = values.clone().count() as f64;
        let mean = values.clone().sum::<f64>() / count;
        (mean, (values.map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt())
    }

    fn noisy(layer: &dyn Layer<f64>, x: f64, seed: u64) -> Result<Tensor<f64>> {
        let x = Tensor::from_elem(ndarray::IxDyn(&[300, 101]), x);
        layer.forward(&x, &mut Context::training(layer, seed))
    }

    #[test]
    fn noise_has_its_moments_and_its_seed() -> Result<()> {
        // Four standard deviations of the mean and of the deviation of so many numbers.
        let margin = |deviation: f64| 4.0 * deviation / 30_300_f64.sqrt();
        for (x, deviation) in [(0.0, 0.1), (3.0, 2.0)] {
            let y = noisy(&GaussianNoise::new(deviation), x, 1)?;
            let (mean, got) = moments(y.iter().copied());
            assert!(
                (mean - x).abs() < margin(deviation) && (got - deviation).abs() < margin(deviation),
                "{mean} {got}"
            );
            assert_eq!(y, noisy(&GaussianNoise::new(deviation), x, 1)?);
            assert_ne!(y, noisy(&GaussianNoise::new(deviation), x, 2)?);
        }
        for rate in [0.1, 0.5, 0.8] {
            let deviation = 2.0 * (rate / (1.0_f64 - rate)).sqrt();
            let (mean, got) = moments(noisy(&GaussianDropout::new(rate), 2.0, 1)?.iter().copied());
            assert!((mean - 2.0).abs() < margin(deviation) && (got - deviation).abs() < margin(deviation), "{rate}");
        }
        Ok(())
    }

    #[test]
    fn alpha_dropout_keeps_mean_0_and_deviation_1() -> Result<()> {
        let mut draw = Context::<f64>::training(&GaussianNoise::new(1.0), 9);
        let x = Tensor::zeros(ndarray::IxDyn(&[300, 101]));
        let x = GaussianNoise::new(1.0).forward(&x, &mut draw)?;
        for rate in [0.05, 0.3, 0.7] {
            let layer = AlphaDropout::new(rate);
            let y = layer.forward(&x, &mut Context::training(&layer, 3))?;
            let (mean, deviation) = moments(y.iter().copied());
            assert!(mean.abs() < 0.03 && (deviation - 1.0).abs() < 0.03, "{rate}: {mean} {deviation}");
        }
        Ok(())
    }
}
