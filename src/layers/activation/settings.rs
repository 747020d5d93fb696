//! Activations as settings: in files, and what is refused.

use std::cmp::Ordering;

use serde_json::{Map, Value, json};

use super::Activation;
use crate::error::{Error, Result};
use crate::io::{Fields, Place, Setting, Settings, real};
use crate::scalar::Scalar;

/// Names all activations with their settings, in the order in which they take them.
macro_rules! kinds {
    ($($kind:ident $(($($setting:ident),+))?),+ $(,)?) => {
        impl Activation {
            /// The kinds of all of them.
            pub(in crate::layers) const KINDS: &'static [&'static str] = &[$(stringify!($kind)),+];

            pub(super) fn name(self) -> &'static str {
                match self {
                    $(Activation::$kind { .. } => stringify!($kind),)+
                }
            }

            /// Its settings by their names.
            fn settings(self) -> Map<String, Value> {
                match self {
                    $(Activation::$kind $(($($setting),+))? => {
                        Map::from_iter([$($((stringify!($setting).to_owned(), real($setting))),+)?])
                    })+
                }
            }

            /// The activation of one of the [kinds](Self::KINDS), with the settings that it has.
            fn of_kind(kind: &str, setting: impl Fn(&str) -> Result<f64>) -> Result<Option<Self>> {
                $(if kind == stringify!($kind) {
                    return Ok(Some(Activation::$kind $(($(setting(stringify!($setting))?),+))?));
                })+
                let _ = setting;
                Ok(None)
            }
        }
    };
}
kinds! {
    Linear, Relu, LeakyRelu(slope), Relu6, Elu(alpha), Selu, Celu(alpha), Sigmoid, LogSigmoid, HardSigmoid, Tanh,
    HardTanh(min, max), TanhShrink, Softmax, LogSoftmax, Gelu, GeluTanh, Silu, HardSwish, Mish, Softplus(beta), Softsign,
    Exponential, HardShrink(lambda), SoftShrink(lambda), Threshold(threshold, value),
}

impl Activation {
    /// Refuses settings for which there is no such function.
    pub(crate) fn check(self) -> Result<()> {
        let refuse = |setting: &str, requirement: &str, got: String| {
            Err(Error::setting(format!("{setting} of {}", self.name()), requirement, got))
        };
        match self {
            Activation::Elu(alpha) if !(alpha >= 0.0 && alpha.is_finite()) => {
                refuse("alpha", "a finite number from 0", alpha.to_string())
            }
            Activation::Celu(alpha) if !(alpha > 0.0 && alpha.is_finite()) => {
                refuse("alpha", "a finite number above 0", alpha.to_string())
            }
            Activation::Softplus(beta) if !(beta.abs() > 0.0 && beta.is_finite()) => {
                refuse("beta", "a finite number other than 0", beta.to_string())
            }
            Activation::HardTanh(min, max) if min.partial_cmp(&max) != Some(Ordering::Less) => {
                refuse("bounds", "min < max", format!("min {min} and max {max}"))
            }
            Activation::HardShrink(lambda) | Activation::SoftShrink(lambda)
                if !(lambda >= 0.0 && lambda.is_finite()) =>
            {
                refuse("lambda", "a finite number from 0", lambda.to_string())
            }
            _ => Ok(()),
        }
    }

    /// The settings of a layer of its own.
    pub(super) fn layer_config(self) -> Value {
        let settings = self.settings();
        if settings.is_empty() { Value::Null } else { Value::Object(settings) }
    }

    /// The settings of a layer that has this activation fused.
    pub(crate) fn describe(self) -> Value {
        let mut settings = self.settings();
        settings.insert("name".into(), json!(self.name()));
        Value::Object(settings)
    }

    /// As a layer of its own.
    pub(in crate::layers) fn from_config<A: Scalar>(kind: &str, settings: &Settings<'_, A>) -> Result<Self> {
        let activation = Self::of_kind(kind, |name| settings.get(name))?;
        activation.ok_or_else(|| Error::setting("activation", "the kind of one", kind))
    }
}

impl Setting for Activation {
    fn read(value: &Value, place: Place<'_>) -> Result<Self> {
        let fields = Fields::of(value, place)?;
        let name: String = fields.get("name")?;
        let activation = Self::of_kind(&name, |name| fields.get(name))?
            .ok_or_else(|| place.refuse("an object with the name of an activation", value))?;
        fields.finish()?;
        Ok(activation)
    }
}
