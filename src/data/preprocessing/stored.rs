//! Reading preprocessors out of a file that is not to be trusted.

use serde_json::Value;

use super::transform::Transform;
use super::{
    KBinsDiscretizer, MaxAbsScaler, OutlierClipper, Pipeline, PolynomialFeatures, PowerTransformer,
    QuantileTransformer, RobustScaler, per_feature,
};
use crate::data::{MinMaxScaler, SimpleImputer, StandardScaler};
use crate::error::{Error, Result};
use crate::io::{Fields, Place};
use crate::scalar::Scalar;

/// A preprocessor from what [`Transform::to_json`] says of it.
///
/// # Errors
/// [`Error::Setting`] with the place of what is wrong.
pub(super) fn read_transform<A: Scalar>(value: &Value, place: Place<'_>) -> Result<Box<dyn Transform<A>>> {
    let fields = Fields::of(value, place)?;
    let kind: String = fields.get("kind")?;
    let read: Box<dyn Transform<A>> = match &*kind {
        "StandardScaler" => Box::new(StandardScaler::read(&fields)?),
        "MinMaxScaler" => Box::new(MinMaxScaler::read(&fields)?),
        "SimpleImputer" => Box::new(SimpleImputer::read(&fields)?),
        "MaxAbsScaler" => Box::new(per_feature::read::<MaxAbsScaler<A>>(&fields)?),
        "RobustScaler" => Box::new(per_feature::read::<RobustScaler<A>>(&fields)?),
        "QuantileTransformer" => Box::new(per_feature::read::<QuantileTransformer<A>>(&fields)?),
        "PowerTransformer" => Box::new(per_feature::read::<PowerTransformer<A>>(&fields)?),
        "KBinsDiscretizer" => Box::new(per_feature::read::<KBinsDiscretizer<A>>(&fields)?),
        "OutlierClipper" => Box::new(per_feature::read::<OutlierClipper<A>>(&fields)?),
        "PolynomialFeatures" => Box::new(PolynomialFeatures::read(&fields)?),
        "Pipeline" => Box::new(Pipeline::read(&fields)?),
        _ => return Err(fields.place().key("kind").refuse("a preprocessor of this library", &kind.into())),
    };
    fields.finish()?;
    Ok(read)
}

/// A list, each of whose items `read` makes something of.
pub(in crate::data) fn each<T>(
    fields: &Fields<'_>,
    name: &str,
    read: impl Fn(&Value, Place<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let place = fields.place().key(name);
    let value = fields.value(name).unwrap_or(&Value::Null);
    let items = value.as_array().ok_or_else(|| place.refuse("a list", value))?;
    items.iter().enumerate().map(|(number, item)| read(item, place.item(number))).collect()
}

/// A list of finite numbers; of so many, where that is known.
pub(in crate::data) fn finite(fields: &Fields<'_>, name: &str, length: Option<usize>) -> Result<Vec<f64>> {
    let numbers: Vec<f64> = fields.get(name)?;
    let place = fields.place().key(name);
    if let Some(at) = numbers.iter().position(|number| !number.is_finite()) {
        return Err(Error::setting(place.item(at).to_string(), "a finite number", numbers[at]));
    }
    match length {
        Some(length) if length != numbers.len() => Err(Error::length(place.to_string(), length, numbers.len())),
        _ if numbers.is_empty() => Err(Error::Empty(place.to_string())),
        _ => Ok(numbers),
    }
}

/// The same of numbers above 0: what is divided by.
pub(in crate::data) fn positive(fields: &Fields<'_>, name: &str, length: usize) -> Result<Vec<f64>> {
    let numbers = finite(fields, name, Some(length))?;
    match numbers.iter().position(|&number| number <= 0.0) {
        Some(at) => {
            let place = fields.place().key(name);
            Err(Error::setting(place.item(at).to_string(), "above 0", numbers[at]))
        }
        None => Ok(numbers),
    }
}

/// How files call the cases of an enum.
macro_rules! named {
    ($name:ident { $($case:ident: $text:literal),* }) => {
        impl From<$name> for serde_json::Value {
            fn from(case: $name) -> Self {
                match case {
                    $($name::$case => $text.into(),)*
                }
            }
        }

        impl $crate::io::Setting for $name {
            fn read(value: &serde_json::Value, place: $crate::io::Place<'_>) -> $crate::error::Result<Self> {
                match value.as_str() {
                    $(Some($text) => Ok($name::$case),)*
                    _ => Err(place.refuse(concat!("one of", $(" ", $text),*), value)),
                }
            }
        }
    };
}
pub(super) use named;
