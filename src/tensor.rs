//! The values that flow through a network: plain ndarrays, reference-counted.

use ndarray::{ArcArray, ArrayBase, Data, Dimension, IxDyn};

use crate::error::{Error, Result};
use crate::scalar::{Element, Scalar};

/// An n-dimensional array that is cheap to clone: a reference-counted ndarray.
///
/// Every ndarray method works on it. Cloning shares the values; writing to a shared one copies it first. Any owned
/// ndarray becomes one with `array.into_dyn().into_shared()`, and [`to_tensor`] makes one from any ndarray.
/// Axis 0 is the batch.
pub type Tensor<A = f32> = ArcArray<A, IxDyn>;

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
    let mut values = vec![A::zero(); array.len()];
    take_in(array, &mut values, "value")?;
    Ok(from_vec(array.shape(), values))
}

/// Copies an array of any strides into as many values in row-major order. `what` the array is stands in errors.
pub(crate) fn take_in<A, E, S, D>(array: &ArrayBase<S, D>, values: &mut [A], what: &str) -> Result<()>
where
    A: Scalar,
    E: Element<A>,
    S: Data<Elem = E>,
    D: Dimension,
{
    if array.as_slice().is_some_and(|array| E::copy_all(array, values)) {
        return Ok(());
    }
    for (position, (place, value)) in values.iter_mut().zip(array).enumerate() {
        *place = value.element().ok_or_else(|| {
            let expected = format!("a number that {} holds exactly", A::NAME);
            Error::value(what, &unravel(position, array.shape()), expected, value)
        })?;
    }
    Ok(())
}

/// A tensor from its shape and its values in row-major order. The caller answers for the lengths.
pub(crate) fn from_vec<A: Scalar>(shape: &[usize], values: Vec<A>) -> Tensor<A> {
    ArcArray::from_shape_vec(IxDyn(shape), values).expect("the values fill the shape")
}

/// The most axes of a sample.
const MOST_AXES: usize = 32;

/// The most values of a sample: their bytes are counted by an `isize`, also in `f64`.
const MOST_VALUES: usize = isize::MAX as usize / size_of::<f64>();

/// The number of values of an array of this shape. `what` it is stands in the error.
///
/// # Errors
/// [`Error::Shape`] where no array can have so many values, or it has more axes than anybody needs: shapes are reckoned
/// with before memory is asked for, and settings may come from a damaged file.
pub(crate) fn count(what: &str, shape: &[usize]) -> Result<usize> {
    let spanned = shape.iter().try_fold(1_usize, |count, &extent| count.checked_mul(extent.max(1)));
    match spanned {
        Some(spanned) if spanned <= MOST_VALUES && shape.len() <= MOST_AXES => Ok(shape.iter().product()),
        _ => {
            let expected = format!("at most {MOST_AXES} axes and {MOST_VALUES} values");
            Err(Error::shape(what, expected, shape))
        }
    }
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

/// Copies the rows of these numbers, one behind the other.
pub(crate) fn gather_rows<A: Scalar>(from: &Tensor<A>, rows: &[usize], to: &mut Tensor<A>) -> Result<()> {
    let source = values(from)?;
    let width = source.len() / from.shape()[0];
    for (place, &row) in values_mut(to).chunks_exact_mut(width.max(1)).zip(rows) {
        place.copy_from_slice(&source[row * width..(row + 1) * width]);
    }
    Ok(())
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
