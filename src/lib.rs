//! Neural networks on the CPU over ndarray.

pub mod data;
mod error;
mod kernels;
mod tensor;

pub use error::{Error, Result};
pub use tensor::{Element, Scalar, Tensor, to_tensor, values};
