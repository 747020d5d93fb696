//! Starting values for parameters.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use ndarray_rand::rand_distr::{Distribution, Normal, Uniform};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::io::{Fields, Place, Setting, real};
use crate::param::{Param, ParamId};
use crate::scalar::Scalar;
use crate::seed::{Stream, stream};
use crate::tensor::{count, from_vec};

/// How a parameter starts. The fans of a matrix (in, out) are its two sides; of a convolution kernel
/// (..., in, out) they are those times the size of the window.
#[derive(Clone)]
#[non_exhaustive]
pub enum Initializer {
    /// Uniform within ±sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio 2010). Keras's default for weights.
    GlorotUniform,
    /// Normal with standard deviation sqrt(2 / (fan_in + fan_out)) (Glorot and Bengio 2010).
    GlorotNormal,
    /// Uniform within ±sqrt(6 / fan_in) (He et al. 2015), for ReLU.
    HeUniform,
    /// Normal with standard deviation sqrt(2 / fan_in) (He et al. 2015), for ReLU.
    HeNormal,
    /// Uniform within ±1 / sqrt(fan_in): what PyTorch's `nn.Linear` starts from, weight and bias (whose fan is the
    /// weight's).
    TorchUniform,
    /// Uniform from `low` to `high`. Keras's `Embedding` uses ±0.05.
    Uniform {
        /// The smallest value.
        low: f64,
        /// The value that is never quite reached.
        high: f64,
    },
    /// Normal.
    Normal {
        /// The mean.
        mean: f64,
        /// The standard deviation.
        deviation: f64,
    },
    /// All 0: Keras's default for biases.
    Zeros,
    /// All the same.
    Constant(f64),
    /// A function from the shape and the random stream to the values in row-major order.
    Custom(Arc<CustomInitializer>),
    /// A [`Custom`](Self::Custom) one of a model that was loaded: files hold no functions. The values are those of the
    /// file; to draw new ones is an error.
    Lost,
}

/// A user's own way to start: from the shape and the random stream to the values in row-major order.
pub type CustomInitializer = dyn Fn(&[usize], &mut ChaCha8Rng) -> Vec<f64> + Send + Sync;

impl fmt::Debug for Initializer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Initializer::Uniform { low, high } => write!(f, "Uniform({low}..{high})"),
            Initializer::Normal { mean, deviation } => write!(f, "Normal({mean}, {deviation})"),
            Initializer::Constant(value) => write!(f, "Constant({value})"),
            other => f.write_str(other.name()),
        }
    }
}

/// How many values feed one output, and how many outputs one input feeds.
fn fans(shape: &[usize]) -> (f64, f64) {
    match *shape {
        [] => (1.0, 1.0),
        [n] => (n as f64, n as f64),
        [ref window @ .., fan_in, fan_out] => {
            let window: f64 = window.iter().map(|&extent| extent as f64).product();
            (window * fan_in as f64, window * fan_out as f64)
        }
    }
}

impl Initializer {
    /// Values in row-major order for an array of `shape`. A vector that belongs to a weight (a bias) takes the
    /// weight's shape for its fans.
    ///
    /// # Errors
    /// [`Error::Setting`] for bounds or a deviation that no distribution has, or a custom one of another length.
    pub(crate) fn draw<A: Scalar>(&self, shape: &[usize], fan_shape: &[usize], rng: &mut ChaCha8Rng) -> Result<Vec<A>> {
        let count = count("parameter", shape)?;
        let (fan_in, fan_out) = fans(fan_shape);
        match self {
            Initializer::GlorotUniform => symmetric((6.0 / (fan_in + fan_out)).sqrt(), count, rng),
            Initializer::GlorotNormal => normal(0.0, (2.0 / (fan_in + fan_out)).sqrt(), count, rng),
            Initializer::HeUniform => symmetric((6.0 / fan_in).sqrt(), count, rng),
            Initializer::HeNormal => normal(0.0, (2.0 / fan_in).sqrt(), count, rng),
            Initializer::TorchUniform => symmetric(1.0 / fan_in.sqrt(), count, rng),
            Initializer::Uniform { low, high } => uniform(*low, *high, count, rng),
            Initializer::Normal { mean, deviation } => normal(*mean, *deviation, count, rng),
            Initializer::Zeros => Ok(vec![A::zero(); count]),
            Initializer::Constant(value) => Ok(vec![A::of(*value); count]),
            Initializer::Custom(draw) => {
                let drawn = draw(shape, rng);
                if drawn.len() != count {
                    return Err(Error::length(
                        format!("values of a custom initializer for shape {shape:?}"),
                        count,
                        drawn.len(),
                    ));
                }
                Ok(drawn.into_iter().map(A::of).collect())
            }
            Initializer::Lost => {
                let requirement = "one of the library's, or the custom one again, to draw values from";
                Err(Error::setting("initializer of a loaded layer", requirement, "a custom one, which no file holds"))
            }
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Initializer::GlorotUniform => "GlorotUniform",
            Initializer::GlorotNormal => "GlorotNormal",
            Initializer::HeUniform => "HeUniform",
            Initializer::HeNormal => "HeNormal",
            Initializer::TorchUniform => "TorchUniform",
            Initializer::Uniform { .. } => "Uniform",
            Initializer::Normal { .. } => "Normal",
            Initializer::Zeros => "Zeros",
            Initializer::Constant(_) => "Constant",
            Initializer::Custom(_) | Initializer::Lost => "Custom",
        }
    }

    /// As a setting in a file.
    pub(crate) fn describe(&self) -> Value {
        let name = self.name();
        match *self {
            Initializer::Uniform { low, high } => json!({ "name": name, "low": real(low), "high": real(high) }),
            Initializer::Normal { mean, deviation } => {
                json!({ "name": name, "mean": real(mean), "deviation": real(deviation) })
            }
            Initializer::Constant(value) => json!({ "name": name, "value": real(value) }),
            _ => json!({ "name": name }),
        }
    }
}

impl Setting for Initializer {
    fn read(value: &Value, place: Place<'_>) -> Result<Self> {
        let fields = Fields::of(value, place)?;
        let name: String = fields.get("name")?;
        let start = match &name[..] {
            "GlorotUniform" => Initializer::GlorotUniform,
            "GlorotNormal" => Initializer::GlorotNormal,
            "HeUniform" => Initializer::HeUniform,
            "HeNormal" => Initializer::HeNormal,
            "TorchUniform" => Initializer::TorchUniform,
            "Uniform" => Initializer::Uniform { low: fields.get("low")?, high: fields.get("high")? },
            "Normal" => Initializer::Normal { mean: fields.get("mean")?, deviation: fields.get("deviation")? },
            "Zeros" => Initializer::Zeros,
            "Constant" => Initializer::Constant(fields.get("value")?),
            "Custom" => Initializer::Lost,
            _ => return Err(place.refuse("an object with the name of an initializer", value)),
        };
        fields.finish()?;
        Ok(start)
    }
}

fn symmetric<A: Scalar>(limit: f64, count: usize, rng: &mut ChaCha8Rng) -> Result<Vec<A>> {
    uniform(-limit, limit, count, rng)
}

fn uniform<A: Scalar>(low: f64, high: f64, count: usize, rng: &mut ChaCha8Rng) -> Result<Vec<A>> {
    let bounds = Uniform::new(low, high)
        .map_err(|_| Error::setting("uniform initializer", "low < high, both finite", format!("{low}..{high}")))?;
    Ok((0..count).map(|_| A::of(bounds.sample(rng))).collect())
}

fn normal<A: Scalar>(mean: f64, deviation: f64, count: usize, rng: &mut ChaCha8Rng) -> Result<Vec<A>> {
    let valid = mean.is_finite() && deviation.is_finite() && deviation >= 0.0;
    let bell = Normal::new(mean, deviation).ok().filter(|_| valid).ok_or_else(|| {
        let got = format!("mean {mean}, deviation {deviation}");
        Error::setting("normal initializer", "a finite mean and a finite deviation of at least 0", got)
    })?;
    Ok((0..count).map(|_| A::of(bell.sample(rng))).collect())
}

/// Fills the parameters of the layers that are being built, from one random stream.
pub struct Init<A: Scalar = f32> {
    rng: ChaCha8Rng,
    /// Whether values come later, from a file, and only their shapes are asked for.
    given: bool,
    /// The values made so far, so that tied parameters share them.
    made: HashMap<ParamId, crate::Tensor<A>>,
}

impl<A: Scalar> Init<A> {
    /// A stream of its own for the weights: the same seed gives the same weights, whatever else is drawn elsewhere.
    pub fn new(seed: u64) -> Self {
        Init { rng: stream(seed, Stream::Weights), given: false, made: HashMap::new() }
    }

    /// For values that come from a file: a parameter is told the shape that they must have and gets none. So sizes in
    /// a damaged file ask for no memory.
    pub(crate) fn given() -> Self {
        Init { given: true, ..Self::new(0) }
    }

    /// Gives `param` values of `shape`. One that has values of this shape already keeps them: a layer that was
    /// trained elsewhere and put into a new model stays as it is.
    ///
    /// # Errors
    /// [`Error::Shape`] where it has values of another shape.
    pub fn param(&mut self, param: &mut Param<A>, shape: &[usize], start: &Initializer) -> Result<()> {
        self.param_with_fans(param, shape, shape, start)
    }

    /// The same for an array whose fans are another's: a bias takes those of its weight.
    ///
    /// # Errors
    /// As for [`param`](Self::param).
    pub fn param_with_fans(
        &mut self,
        param: &mut Param<A>,
        shape: &[usize],
        fan_shape: &[usize],
        start: &Initializer,
    ) -> Result<()> {
        if self.given && !param.is_built() {
            return param.expect(shape);
        }
        if !param.is_built() {
            if !self.made.contains_key(&param.id()) {
                let values = start.draw(shape, fan_shape, &mut self.rng)?;
                self.made.insert(param.id(), from_vec(shape, values));
            }
            param.replace(self.made.get(&param.id()).cloned());
        }
        let has = param.get()?;
        if has.shape() != shape {
            return Err(Error::shape("parameter that has values already", format!("shape {shape:?}"), has.shape()));
        }
        self.made.insert(param.id(), has.clone());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean_and_deviation(start: &Initializer) -> Result<(f64, f64, f64)> {
        let values: Vec<f64> = start.draw(&[300, 200], &[300, 200], &mut stream(7, Stream::Weights))?;
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len() as f64;
        Ok((mean, variance.sqrt(), values.iter().fold(0.0, |max, v| v.abs().max(max))))
    }

    #[test]
    fn each_has_the_deviation_and_the_bounds_of_its_paper() -> Result<()> {
        // A uniform draw within ±a has the deviation a / sqrt(3).
        let root3 = 3f64.sqrt();
        for (start, deviation, bound) in [
            (Initializer::GlorotUniform, (6.0 / 500f64).sqrt() / root3, (6.0 / 500f64).sqrt()),
            (Initializer::GlorotNormal, (2.0 / 500f64).sqrt(), f64::INFINITY),
            (Initializer::HeUniform, (6.0 / 300f64).sqrt() / root3, (6.0 / 300f64).sqrt()),
            (Initializer::HeNormal, (2.0 / 300f64).sqrt(), f64::INFINITY),
            (Initializer::TorchUniform, (1.0 / 300f64).sqrt() / root3, (1.0 / 300f64).sqrt()),
            (Initializer::Uniform { low: -0.05, high: 0.05 }, 0.05 / root3, 0.05),
            (Initializer::Normal { mean: 0.0, deviation: 0.3 }, 0.3, f64::INFINITY),
        ] {
            let (mean, got, largest) = mean_and_deviation(&start)?;
            assert!(mean.abs() < 0.02 * deviation, "{start:?}: mean {mean}");
            assert!((got / deviation - 1.0).abs() < 0.02, "{start:?}: deviation {got}, expected {deviation}");
            assert!(largest <= bound, "{start:?}: {largest} is beyond {bound}");
        }
        Ok(())
    }

    #[test]
    fn bounds_that_are_none_are_refused() {
        let mut rng = stream(0, Stream::Weights);
        for start in [
            Initializer::Uniform { low: 1.0, high: -1.0 },
            Initializer::Uniform { low: 0.0, high: f64::NAN },
            Initializer::Normal { mean: 0.0, deviation: -1.0 },
            Initializer::Normal { mean: f64::INFINITY, deviation: 1.0 },
        ] {
            assert!(start.draw::<f32>(&[2], &[2], &mut rng).is_err(), "{start:?}");
        }
    }

    #[test]
    fn tied_parameters_start_as_one_and_built_ones_keep_their_values() -> Result<()> {
        let mut init = Init::<f32>::new(3);
        let (mut first, mut other) = (Param::new(), Param::new());
        let mut tied = first.tied();
        init.param(&mut first, &[2, 3], &Initializer::GlorotUniform)?;
        init.param(&mut tied, &[2, 3], &Initializer::Zeros)?;
        init.param(&mut other, &[2, 3], &Initializer::GlorotUniform)?;
        assert_eq!(first.get()?, tied.get()?);
        assert_ne!(first.get()?, other.get()?);
        let before = other.get()?.clone();
        Init::new(9).param(&mut other, &[2, 3], &Initializer::Zeros)?;
        assert_eq!(other.get()?, &before);
        assert!(init.param(&mut other, &[3, 2], &Initializer::Zeros).is_err());
        Ok(())
    }
}
