//! Plain functions over slices: matrix products and vector loops, chosen at run time for the machine.
//!
//! Nothing in here knows of layers.

pub(crate) mod activation;
pub(crate) mod conv;
pub(crate) mod elementwise;
pub(crate) mod gemm;
pub(crate) mod loss;
mod math;
mod peak;
pub(crate) mod permute;
pub(crate) mod pooling;
pub(crate) mod reduce;
pub(crate) mod resample;
mod scratch;
pub(crate) mod simd;
mod transpose;
pub(crate) mod update;
mod vector;

pub use gemm::matmul;
pub use math::Real;
pub use peak::fma_peak;
