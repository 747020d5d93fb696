//! Plain functions over slices: matrix products and vector loops, chosen at run time for the machine.
//!
//! Nothing in here knows of layers.

/// What the kernels need of a number type. Implemented for `f32` and `f64`; not for users.
#[doc(hidden)]
pub trait KernelScalar: Sized {}
impl KernelScalar for f32 {}
impl KernelScalar for f64 {}
