//! Starting values whose variance follows from how many others they meet.

use rand_chacha::ChaCha8Rng;
use serde_json::Value;

use super::{normal, symmetric, truncated_normal};
use crate::error::{Error, Result};
use crate::io::{Place, Setting};
use crate::scalar::Scalar;

/// By which number of neighbours a variance is divided.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FanMode {
    /// The number of values that feed one output: the variance of outputs is that of inputs.
    In,
    /// The number of outputs that one input feeds: the same for gradients.
    Out,
    /// The mean of both.
    Average,
}

/// Which distribution has the variance.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Spread {
    /// Uniform around 0.
    Uniform,
    /// Normal: Keras's `untruncated_normal`.
    Normal,
    /// Normal, drawn again where it is more than two deviations out, and widened so that the variance is that which was
    /// asked for: Keras's `truncated_normal`.
    TruncatedNormal,
}

/// The name of a setting in files, and back.
macro_rules! named {
    ($kind:ident, $requirement:literal, $($name:ident),*) => {
        impl $kind {
            pub(super) fn name(self) -> &'static str {
                match self {
                    $($kind::$name => stringify!($name),)*
                }
            }
        }

        impl Setting for $kind {
            fn read(value: &Value, place: Place<'_>) -> Result<Self> {
                match value.as_str() {
                    $(Some(stringify!($name)) => Ok($kind::$name),)*
                    _ => Err(place.refuse($requirement, value)),
                }
            }
        }
    };
}
named!(FanMode, "\"In\", \"Out\" or \"Average\"", In, Out, Average);
named!(Spread, "\"Uniform\", \"Normal\" or \"TruncatedNormal\"", Uniform, Normal, TruncatedNormal);

/// The deviation of a standard normal distribution that is cut off at ±2.
const TRUNCATED: f64 = 0.879_625_661_034_239_8;

/// Variance scale / n.
pub(super) struct Scaling {
    pub(super) scale: f64,
    pub(super) mode: FanMode,
    pub(super) spread: Spread,
}

impl Scaling {
    pub(super) fn draw<A: Scalar>(&self, count: usize, shape: &[usize], rng: &mut ChaCha8Rng) -> Result<Vec<A>> {
        if !(self.scale > 0.0 && self.scale.is_finite()) {
            return Err(Error::setting("scale of an initializer", "a finite number above 0", self.scale));
        }
        let (fan_in, fan_out) = fans(shape);
        let n = match self.mode {
            FanMode::In => fan_in,
            FanMode::Out => fan_out,
            FanMode::Average => (fan_in + fan_out) / 2.0,
        };
        match self.spread {
            // A uniform distribution within ±a has the variance a^2 / 3.
            Spread::Uniform => symmetric((3.0 * self.scale / n).sqrt(), count, rng),
            Spread::Normal => normal(0.0, (self.scale / n).sqrt(), count, rng),
            Spread::TruncatedNormal => truncated_normal(0.0, (self.scale / n).sqrt() / TRUNCATED, count, rng),
        }
    }
}

/// How many values feed one output, and how many outputs one input feeds.
pub(super) fn fans(shape: &[usize]) -> (f64, f64) {
    match *shape {
        [] => (1.0, 1.0),
        [n] => (n as f64, n as f64),
        [ref window @ .., fan_in, fan_out] => {
            let window: f64 = window.iter().map(|&extent| extent as f64).product();
            (window * fan_in as f64, window * fan_out as f64)
        }
    }
}
