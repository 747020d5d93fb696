//! Initializers as settings in files.

use serde_json::{Value, json};

use super::Initializer;
use crate::error::Result;
use crate::io::{Fields, Place, Setting, real};

impl Initializer {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Initializer::GlorotUniform => "GlorotUniform",
            Initializer::GlorotNormal => "GlorotNormal",
            Initializer::HeUniform => "HeUniform",
            Initializer::HeNormal => "HeNormal",
            Initializer::LecunUniform => "LecunUniform",
            Initializer::LecunNormal => "LecunNormal",
            Initializer::VarianceScaling { .. } => "VarianceScaling",
            Initializer::TorchUniform => "TorchUniform",
            Initializer::Uniform { .. } => "Uniform",
            Initializer::Normal { .. } => "Normal",
            Initializer::TruncatedNormal { .. } => "TruncatedNormal",
            Initializer::Orthogonal { .. } => "Orthogonal",
            Initializer::Identity { .. } => "Identity",
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
            Initializer::Normal { mean, deviation } | Initializer::TruncatedNormal { mean, deviation } => {
                json!({ "name": name, "mean": real(mean), "deviation": real(deviation) })
            }
            Initializer::VarianceScaling { scale, mode, spread } => {
                json!({ "name": name, "scale": real(scale), "mode": mode.name(), "spread": spread.name() })
            }
            Initializer::Orthogonal { gain } | Initializer::Identity { gain } => {
                json!({ "name": name, "gain": real(gain) })
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
            "LecunUniform" => Initializer::LecunUniform,
            "LecunNormal" => Initializer::LecunNormal,
            "VarianceScaling" => Initializer::VarianceScaling {
                scale: fields.get("scale")?,
                mode: fields.get("mode")?,
                spread: fields.get("spread")?,
            },
            "TorchUniform" => Initializer::TorchUniform,
            "Uniform" => Initializer::Uniform { low: fields.get("low")?, high: fields.get("high")? },
            "Normal" => Initializer::Normal { mean: fields.get("mean")?, deviation: fields.get("deviation")? },
            "TruncatedNormal" => {
                Initializer::TruncatedNormal { mean: fields.get("mean")?, deviation: fields.get("deviation")? }
            }
            "Orthogonal" => Initializer::Orthogonal { gain: fields.get("gain")? },
            "Identity" => Initializer::Identity { gain: fields.get("gain")? },
            "Zeros" => Initializer::Zeros,
            "Constant" => Initializer::Constant(fields.get("value")?),
            "Custom" => Initializer::Lost,
            _ => return Err(place.refuse("an object with the name of an initializer", value)),
        };
        fields.finish()?;
        Ok(start)
    }
}
