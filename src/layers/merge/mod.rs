//! Several inputs joined into one.
//!
//! Here stands what all members share: checks, and inputs whose extents of 1 are spread. `elementwise` is the merge under
//! the six that join values place by place.

mod add;
mod average;
mod concatenate;
mod dot;
mod elementwise;
mod maximum;
mod minimum;
mod multiply;
mod spread;
mod subtract;

pub use add::Add;
pub use average::Average;
pub use concatenate::Concatenate;
pub use dot::Dot;
pub use maximum::Maximum;
pub use minimum::Minimum;
pub use multiply::Multiply;
pub use subtract::Subtract;

use crate::error::{Error, Result};
use crate::io::Registry;
use crate::scalar::Scalar;

/// Tells the registry how each merge is made.
pub(super) fn register<A: Scalar>(registry: &mut Registry<A>) {
    registry.merge("Add", |_| Ok(Add));
    registry.merge("Average", |_| Ok(Average));
    registry.merge("Concatenate", Concatenate::from_config);
    registry.merge("Dot", Dot::from_config);
    registry.merge("Maximum", |_| Ok(Maximum));
    registry.merge("Minimum", |_| Ok(Minimum));
    registry.merge("Multiply", |_| Ok(Multiply));
    registry.merge("Subtract", |_| Ok(Subtract));
}

/// The first of a merge's inputs and the others, of which there must be one at least.
fn check_inputs<'a, T>(kind: &str, inputs: &'a [T]) -> Result<(&'a T, &'a [T])> {
    match inputs {
        [first, rest @ ..] if !rest.is_empty() => Ok((first, rest)),
        _ => Err(Error::setting(format!("the number of inputs of {kind}"), "at least 2", inputs.len())),
    }
}

/// The two inputs of a merge that has no more.
fn check_two<'a, T>(kind: &str, inputs: &'a [T]) -> Result<[&'a T; 2]> {
    match inputs {
        [first, second] => Ok([first, second]),
        _ => Err(Error::setting(format!("the number of inputs of {kind}"), "2", inputs.len())),
    }
}
