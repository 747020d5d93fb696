//! The two number types that networks are made of.

use std::fmt::{Debug, Display};
use std::iter::Sum;

use ndarray::{LinalgScalar, ScalarOperand};

use crate::kernels::Real;

/// The number types of networks: `f32`, which everybody trains in, and `f64`, so that gradients can be checked
/// properly.
///
/// Constructors called `new` make `f32` layers, as `HashMap::new` makes maps with one hasher; constructors called
/// `of` are generic. `A::of(0.5)` writes a constant, `x.as_f64()` reads a value.
pub trait Scalar: Real + LinalgScalar + ScalarOperand + Sum + Debug + Display {
    /// The type's name in files of tensors.
    #[doc(hidden)]
    const FILE_TYPE: &'static str;

    /// The number whose bytes these are, the lowest first. Every bit is kept, those of a NaN too.
    #[doc(hidden)]
    fn from_file(bytes: &[u8]) -> Self;

    /// Its bytes, the lowest first.
    #[doc(hidden)]
    fn to_file(self) -> impl AsRef<[u8]>;
}

macro_rules! scalar {
    ($float:ty, $name:literal) => {
        impl Scalar for $float {
            const FILE_TYPE: &'static str = $name;

            fn from_file(bytes: &[u8]) -> Self {
                Self::from_le_bytes(bytes.try_into().expect("as many bytes as the number has"))
            }

            fn to_file(self) -> impl AsRef<[u8]> {
                self.to_le_bytes()
            }
        }
    };
}
scalar!(f32, "F32");
scalar!(f64, "F64");

/// What an array from outside may hold to be taken in as numbers of type `A`: `A` itself, whole numbers (class
/// labels, token ids) and booleans.
///
/// An `f64` array is not taken for an `f32` model: convert it where you decide to lose the digits.
pub trait Element<A>: Copy + Display {
    /// The number, or `None` where `A` cannot hold it exactly.
    fn element(self) -> Option<A>;

    /// Copies all at once where the types are the same, and tells whether it did.
    #[doc(hidden)]
    fn copy_all(source: &[Self], target: &mut [A]) -> bool {
        let _ = (source, target);
        false
    }
}

macro_rules! element {
    ($float:ty, $digits:expr; $($int:ty),*) => {
        impl Element<$float> for $float {
            fn element(self) -> Option<$float> {
                Some(self)
            }

            fn copy_all(source: &[Self], target: &mut [$float]) -> bool {
                target.copy_from_slice(source);
                true
            }
        }

        impl Element<$float> for bool {
            fn element(self) -> Option<$float> {
                Some(if self { 1.0 } else { 0.0 })
            }
        }

        $(impl Element<$float> for $int {
            fn element(self) -> Option<$float> {
                // Every whole number up to 2^digits has a float of its own; beyond, neighbours fall together.
                let wide = self as i128;
                (wide.abs() <= 1i128 << $digits).then_some(self as $float)
            }
        })*
    };
}
element!(f32, 24; u8, u16, u32, u64, usize, i8, i16, i32, i64, isize);
element!(f64, 53; u8, u16, u32, u64, usize, i8, i16, i32, i64, isize);
