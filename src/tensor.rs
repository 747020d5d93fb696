//! The values that flow through a network: plain ndarrays, and the two number types they may hold.

use std::fmt::{Debug, Display};
use std::iter::Sum;

use ndarray::{ArcArray, ArrayBase, Data, Dimension, IxDyn, LinalgScalar, ScalarOperand};
use num_traits::{Float, FromPrimitive, NumAssign};

use crate::error::{Error, Result};
use crate::kernels::KernelScalar;

/// An n-dimensional array that is cheap to clone: a reference-counted ndarray.
///
/// Every ndarray method works on it. Cloning shares the values; writing to a shared one copies it first. Any owned
/// ndarray becomes one with `array.into_dyn().into_shared()`, and [`to_tensor`] makes one from any ndarray.
/// Axis 0 is the batch.
pub type Tensor<A = f32> = ArcArray<A, IxDyn>;

/// The number types of networks: `f32`, which everybody trains in, and `f64`, so that gradients can be checked
/// properly.
///
/// Constructors called `new` make `f32` layers, as `HashMap::new` makes maps with one hasher; constructors called
/// `of` are generic.
pub trait Scalar:
    Float
    + FromPrimitive
    + NumAssign
    + LinalgScalar
    + ScalarOperand
    + Sum
    + Debug
    + Display
    + Default
    + Send
    + Sync
    + KernelScalar
    + 'static
{
    /// The type's name as users write it.
    const NAME: &'static str;

    /// From an `f64`, rounded to nearest.
    fn of(value: f64) -> Self;

    /// To an `f64`, exactly.
    fn as_f64(self) -> f64;
}

impl Scalar for f32 {
    const NAME: &'static str = "f32";

    #[inline(always)]
    fn of(value: f64) -> Self {
        value as f32
    }

    #[inline(always)]
    fn as_f64(self) -> f64 {
        f64::from(self)
    }
}

impl Scalar for f64 {
    const NAME: &'static str = "f64";

    #[inline(always)]
    fn of(value: f64) -> Self {
        value
    }

    #[inline(always)]
    fn as_f64(self) -> f64 {
        self
    }
}

/// What an array from outside may hold to be taken in as numbers of type `A`: `A` itself, whole numbers (class
/// labels, token ids) and booleans.
///
/// An `f64` array is not taken for an `f32` model: convert it where you decide to lose the digits.
pub trait Element<A>: Copy {
    /// The number, or `None` where `A` cannot hold it exactly.
    fn element(self) -> Option<A>;
}

macro_rules! float_element {
    ($($float:ty),*) => {$(
        impl Element<$float> for $float {
            fn element(self) -> Option<$float> {
                Some(self)
            }
        }
    )*};
}
float_element!(f32, f64);

macro_rules! integer_element {
    ($float:ty, $digits:expr; $($int:ty),*) => {$(
        impl Element<$float> for $int {
            fn element(self) -> Option<$float> {
                // Every whole number up to 2^digits has a float of its own; beyond, neighbours fall together.
                let wide = self as i128;
                (wide.abs() <= 1i128 << $digits).then_some(self as $float)
            }
        }
    )*};
}
integer_element!(f32, 24; u8, u16, u32, u64, usize, i8, i16, i32, i64, isize);
integer_element!(f64, 53; u8, u16, u32, u64, usize, i8, i16, i32, i64, isize);

macro_rules! bool_element {
    ($($float:ty),*) => {$(
        impl Element<$float> for bool {
            fn element(self) -> Option<$float> {
                Some(if self { 1.0 } else { 0.0 })
            }
        }
    )*};
}
bool_element!(f32, f64);

/// Any ndarray as a [`Tensor`] in standard (row-major) layout.
///
/// # Errors
/// [`Error::Value`] where a whole number is too large for `A` to hold exactly (2^24 for `f32`).
///
/// ```
/// use ndarray::array;
/// let labels = layerwise::to_tensor::<f32, _, _, _>(&array![0usize, 2, 1])?;
/// assert_eq!(labels.shape(), &[3]);
/// # Ok::<(), layerwise::Error>(())
/// ```
pub fn to_tensor<A, E, S, D>(array: &ArrayBase<S, D>) -> Result<Tensor<A>>
where
    A: Scalar,
    E: Element<A>,
    S: Data<Elem = E>,
    D: Dimension,
{
    let mut values = Vec::with_capacity(array.len());
    for (position, value) in array.iter().enumerate() {
        match value.element() {
            Some(value) => values.push(value),
            None => {
                let index = unravel(position, array.shape());
                let expected = format!("a number that {} holds exactly", A::NAME);
                return Err(Error::value("value", &index, expected, "a larger one"));
            }
        }
    }
    Ok(from_vec(array.shape(), values))
}

/// A tensor from its shape and its values in row-major order. The caller answers for the lengths.
pub(crate) fn from_vec<A: Scalar>(shape: &[usize], values: Vec<A>) -> Tensor<A> {
    ArcArray::from_shape_vec(IxDyn(shape), values).expect("the values fill the shape")
}

/// The index, axis by axis, of an element's position in row-major order.
pub(crate) fn unravel(mut position: usize, shape: &[usize]) -> Vec<usize> {
    let mut index = vec![0; shape.len()];
    for (place, &extent) in index.iter_mut().zip(shape).rev() {
        *place = position % extent.max(1);
        position /= extent.max(1);
    }
    index
}

/// The values in row-major order without a copy.
///
/// # Errors
/// [`Error::Shape`] where the layout is not row-major; everything that this crate hands to a layer is.
pub fn values<A>(tensor: &Tensor<A>) -> Result<&[A]> {
    tensor.as_slice().ok_or_else(|| Error::shape("tensor", "row-major layout", tensor.shape()))
}

/// The values in row-major order, to write to. A shared tensor is copied first, so ask for this on one that you own.
pub(crate) fn values_mut<A: Clone>(tensor: &mut Tensor<A>) -> &mut [A] {
    tensor.as_slice_mut().expect("tensors of the pool are row-major")
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, array};

    #[test]
    fn strides_of_the_source_do_not_matter() -> Result<()> {
        let base: Array2<f32> = array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
        let tensor = to_tensor::<f32, _, _, _>(&base.t())?;
        assert_eq!(values(&tensor)?, &[1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
        Ok(())
    }

    #[test]
    fn a_label_that_f32_would_round_is_refused_with_its_place() {
        let error = to_tensor::<f32, _, _, _>(&array![[1u32, 2], [3, (1 << 24) + 1]]).unwrap_err();
        assert!(error.to_string().contains("[1, 1]"), "{error}");
        assert!(to_tensor::<f64, _, _, _>(&array![(1u32 << 24) + 1]).is_ok());
    }
}
