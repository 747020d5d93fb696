//! Starting values for parameters.

mod init;
mod orthogonal;
mod scaling;
mod setting;

use std::fmt;
use std::sync::Arc;

use ndarray_rand::rand_distr::{Distribution, Normal, StandardNormal, Uniform};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::error::{Error, Result};
use crate::scalar::Scalar;
use crate::tensor::count;

pub use init::Init;
pub use scaling::{FanMode, Spread};
use scaling::{Scaling, fans};

/// How a parameter starts. The fans of a matrix (in, out) are its two sides; of a convolution kernel
/// (..., in, out) they are those times the size of the window.
///
/// The normal ones of Glorot, He and LeCun are plain normal distributions, as in PyTorch; Keras cuts them off at two
/// deviations, which is [`VarianceScaling`](Self::VarianceScaling) with [`Spread::TruncatedNormal`].
///
/// ```
/// use layerwise::prelude::*;
/// use layerwise::{FanMode, Spread};
///
/// // Keras's `he_normal`.
/// let start = Initializer::VarianceScaling { scale: 2.0, mode: FanMode::In, spread: Spread::TruncatedNormal };
/// let mut layer = Dense::new(64).weight_initializer(start);
/// layer.initialize(&[200], 7)?;
/// let model = SimpleRnn::new(32).recurrent_initializer(Initializer::Orthogonal { gain: 1.0 });
/// # Ok::<(), Error>(())
/// ```
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
    /// Uniform within ±sqrt(3 / fan_in) (LeCun et al. 1998).
    LecunUniform,
    /// Normal with standard deviation sqrt(1 / fan_in) (LeCun et al. 1998), for SELU.
    LecunNormal,
    /// With the variance scale / n around 0, n being a fan or the mean of both: what the six above are cases of.
    VarianceScaling {
        /// The factor: 1 for Glorot and LeCun, 2 for He.
        scale: f64,
        /// What n is.
        mode: FanMode,
        /// Which distribution has this variance.
        spread: Spread,
    },
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
    /// Normal, drawn again where it is more than two deviations from the mean; its own deviation is 0.88 of the given
    /// one. Keras's `TruncatedNormal`.
    TruncatedNormal {
        /// The mean.
        mean: f64,
        /// The standard deviation of the normal distribution that is cut off.
        deviation: f64,
    },
    /// A random matrix with orthonormal rows or columns, whichever are fewer, times `gain` (Saxe et al. 2014). A kernel
    /// of more axes counts as one whose columns are the last axis, as in Keras. Keras's default for recurrent weights,
    /// with gain 1. A vector is an error.
    Orthogonal {
        /// The factor.
        gain: f64,
    },
    /// `gain` where row and column are the same, 0 elsewhere. Anything but a matrix is an error.
    Identity {
        /// The value on the diagonal.
        gain: f64,
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
            Initializer::TruncatedNormal { mean, deviation } => write!(f, "TruncatedNormal({mean}, {deviation})"),
            Initializer::VarianceScaling { scale, mode, spread } => {
                write!(f, "VarianceScaling({scale}, {mode:?}, {spread:?})")
            }
            Initializer::Orthogonal { gain } | Initializer::Identity { gain } => write!(f, "{}({gain})", self.name()),
            Initializer::Constant(value) => write!(f, "Constant({value})"),
            other => f.write_str(other.name()),
        }
    }
}

impl Initializer {
    /// Values in row-major order for an array of `shape`. A vector that belongs to a weight (a bias) takes the
    /// weight's shape for its fans.
    ///
    /// # Errors
    /// [`Error::Setting`] for bounds, a deviation or a scale that no distribution has; [`Error::Shape`] for a shape that
    /// has no such values; [`Error::Length`] for a custom one of another length.
    pub(crate) fn draw<A: Scalar>(&self, shape: &[usize], fan_shape: &[usize], rng: &mut ChaCha8Rng) -> Result<Vec<A>> {
        let count = count("parameter", shape)?;
        let mut scaled = |scale, mode, spread| Scaling { scale, mode, spread }.draw(count, fan_shape, rng);
        match self {
            Initializer::GlorotUniform => scaled(1.0, FanMode::Average, Spread::Uniform),
            Initializer::GlorotNormal => scaled(1.0, FanMode::Average, Spread::Normal),
            Initializer::HeUniform => scaled(2.0, FanMode::In, Spread::Uniform),
            Initializer::HeNormal => scaled(2.0, FanMode::In, Spread::Normal),
            Initializer::LecunUniform => scaled(1.0, FanMode::In, Spread::Uniform),
            Initializer::LecunNormal => scaled(1.0, FanMode::In, Spread::Normal),
            Initializer::VarianceScaling { scale, mode, spread } => scaled(*scale, *mode, *spread),
            Initializer::TorchUniform => symmetric(1.0 / fans(fan_shape).0.sqrt(), count, rng),
            Initializer::Uniform { low, high } => uniform(*low, *high, count, rng),
            Initializer::Normal { mean, deviation } => normal(*mean, *deviation, count, rng),
            Initializer::TruncatedNormal { mean, deviation } => truncated_normal(*mean, *deviation, count, rng),
            Initializer::Orthogonal { gain } => orthogonal::draw(*gain, shape, rng),
            Initializer::Identity { gain } => orthogonal::identity(*gain, shape),
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
}

fn symmetric<A: Scalar>(limit: f64, count: usize, rng: &mut ChaCha8Rng) -> Result<Vec<A>> {
    uniform(-limit, limit, count, rng)
}

fn uniform<A: Scalar>(low: f64, high: f64, count: usize, rng: &mut ChaCha8Rng) -> Result<Vec<A>> {
    let bounds = Uniform::new(low, high)
        .map_err(|_| Error::setting("uniform initializer", "low < high, both finite", format!("{low}..{high}")))?;
    Ok((0..count).map(|_| A::of(bounds.sample(rng))).collect())
}

/// Refuses what no normal distribution has.
fn bell(mean: f64, deviation: f64) -> Result<Normal<f64>> {
    let valid = mean.is_finite() && deviation.is_finite() && deviation >= 0.0;
    Normal::new(mean, deviation).ok().filter(|_| valid).ok_or_else(|| {
        let got = format!("mean {mean}, deviation {deviation}");
        Error::setting("normal initializer", "a finite mean and a finite deviation of at least 0", got)
    })
}

fn normal<A: Scalar>(mean: f64, deviation: f64, count: usize, rng: &mut ChaCha8Rng) -> Result<Vec<A>> {
    let bell = bell(mean, deviation)?;
    Ok((0..count).map(|_| A::of(bell.sample(rng))).collect())
}

/// Draws again what is more than two deviations out: one number in 22.
fn truncated_normal<A: Scalar>(mean: f64, deviation: f64, count: usize, rng: &mut ChaCha8Rng) -> Result<Vec<A>> {
    bell(mean, deviation)?;
    let mut within = || loop {
        let drawn: f64 = rng.sample(StandardNormal);
        if drawn.abs() <= 2.0 {
            return drawn;
        }
    };
    Ok((0..count).map(|_| A::of(mean + deviation * within())).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::io::{Place, Setting};
    use crate::seed::{Stream, stream};

    fn mean_and_deviation(start: &Initializer) -> Result<(f64, f64, f64)> {
        let values: Vec<f64> = start.draw(&[300, 200], &[300, 200], &mut stream(7, Stream::Weights))?;
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len() as f64;
        Ok((mean, variance.sqrt(), values.iter().fold(0.0, |max, v| v.abs().max(max))))
    }

    fn scaled(scale: f64, mode: FanMode, spread: Spread) -> Initializer {
        Initializer::VarianceScaling { scale, mode, spread }
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
            (Initializer::LecunUniform, (1.0 / 300f64).sqrt(), (3.0 / 300f64).sqrt()),
            (Initializer::LecunNormal, (1.0 / 300f64).sqrt(), f64::INFINITY),
            (Initializer::TorchUniform, (1.0 / 300f64).sqrt() / root3, (1.0 / 300f64).sqrt()),
            // The variance of a normal distribution within two deviations is 1 - 4 phi(2) / (2 Phi(2) - 1).
            (Initializer::TruncatedNormal { mean: 0.0, deviation: 0.3 }, 0.3 * 0.773_741_3_f64.sqrt(), 0.6),
            (scaled(3.0, FanMode::Out, Spread::Uniform), (3.0 / 200f64).sqrt(), 3.0 / 200f64.sqrt()),
            (scaled(0.5, FanMode::In, Spread::Normal), (0.5 / 300f64).sqrt(), f64::INFINITY),
            (scaled(1.0, FanMode::Average, Spread::TruncatedNormal), 250f64.sqrt().recip(), 2.28 / 250f64.sqrt()),
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
            Initializer::TruncatedNormal { mean: 0.0, deviation: f64::NAN },
            scaled(0.0, FanMode::In, Spread::Uniform),
            scaled(f64::INFINITY, FanMode::Out, Spread::Normal),
            Initializer::Orthogonal { gain: f64::NAN },
            Initializer::Identity { gain: f64::INFINITY },
        ] {
            assert!(start.draw::<f32>(&[2, 2], &[2, 2], &mut rng).is_err(), "{start:?}");
        }
    }

    #[test]
    fn shapes_that_are_no_matrices_are_refused() {
        let mut rng = stream(0, Stream::Weights);
        let mut refusal = |start: Initializer, shape: &[usize]| {
            start.draw::<f32>(shape, shape, &mut rng).err().map_or_else(String::new, |error| error.to_string())
        };
        let (orthogonal, identity) = (Initializer::Orthogonal { gain: 1.0 }, Initializer::Identity { gain: 1.0 });
        let expected = "parameter that starts orthogonal: expected at least 2 axes, got shape [3]";
        assert_eq!(refusal(orthogonal, &[3]), expected);
        let expected = "parameter that starts as identity: expected 2 axes, got shape [3, 3, 3]";
        assert_eq!(refusal(identity, &[3, 3, 3]), expected);
    }

    #[test]
    fn each_is_read_as_it_is_described() -> Result<()> {
        let all = [
            Initializer::LecunUniform,
            Initializer::LecunNormal,
            scaled(1.5, FanMode::In, Spread::Uniform),
            scaled(1.5, FanMode::Out, Spread::Normal),
            scaled(1.5, FanMode::Average, Spread::TruncatedNormal),
            Initializer::TruncatedNormal { mean: 0.5, deviation: 0.25 },
            Initializer::Orthogonal { gain: 1.25 },
            Initializer::Identity { gain: 0.5 },
        ];
        for start in all {
            let described = start.describe();
            let again = Initializer::read(&described, Place::root("start"))?;
            assert_eq!((again.describe(), format!("{again:?}")), (described, format!("{start:?}")));
        }
        let wrong = json!({ "name": "VarianceScaling", "scale": 1.0, "mode": "fan", "spread": "Uniform" });
        let error = Initializer::read(&wrong, Place::root("start")).unwrap_err().to_string();
        assert_eq!(error, "start.mode must be \"In\", \"Out\" or \"Average\", got \"fan\"");
        Ok(())
    }
}
