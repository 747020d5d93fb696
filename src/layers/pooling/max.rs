use super::{Operation, Pooling, Sliding, Windows, pooling_layers, sliding_methods};
use crate::error::Result;
use crate::io::Settings;
use crate::layers::Size2d;
use crate::scalar::Scalar;

/// y = the maximum of each window of an image, channel by channel.
///
/// Input `(batch, height, width, channels)`, output `(batch, rows, columns, channels)` with the windows' rows and
/// columns. Padding never is the maximum; NaN is, wherever there is one.
///
/// dx is dy at the first maximum of a window, row by row, or at its last NaN, and 0 elsewhere, as in PyTorch; where
/// windows overlap it adds up.
///
/// Defaults, which are those of Keras and PyTorch: the stride is the size, and no padding.
///
/// ```
/// use layerwise::prelude::*;
///
/// let x = Tensor::from_shape_vec(ndarray::IxDyn(&[1, 2, 4, 1]), vec![1.0, 5.0, 2.0, 2.0, 3.0, 4.0, 0.0, 1.0])?;
/// let y = MaxPool2d::new(2).predict(&x)?;
/// assert_eq!(y.as_slice(), Some(&[5.0, 2.0][..]));
///
/// let layer = MaxPool2d::new((3, 2)).stride(1).padding((1, 0));
/// assert_eq!(Layer::<f32>::output_shape(&layer, &[28, 28, 16])?, [28, 27, 16]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct MaxPool2d {
    windows: Sliding<2>,
}

impl MaxPool2d {
    /// Over windows of this size: one number for both axes, or `(height, width)`.
    pub fn new(size: impl Into<Size2d>) -> Self {
        MaxPool2d { windows: Sliding::new(size.into().0) }
    }

    sliding_methods!(stride: impl Into<Size2d> => stride.into().0);

    fn pooling(self) -> Pooling<2> {
        Pooling { operation: Operation::Max, windows: Windows::Sliding(self.windows) }
    }

    pub(super) fn from_config<A: Scalar>(settings: &Settings<'_, A>) -> Result<Self> {
        Ok(MaxPool2d { windows: Sliding::from_config(settings)? })
    }
}

/// [`MaxPool2d`] over a sequence: input `(batch, time, features)`, output `(batch, windows, features)`.
///
/// ```
/// use layerwise::layers::MaxPool1d;
/// use layerwise::prelude::*;
///
/// assert_eq!(Layer::<f32>::output_shape(&MaxPool1d::new(3).stride(2), &[20, 8])?, [9, 8]);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct MaxPool1d {
    windows: Sliding<1>,
}

impl MaxPool1d {
    /// Over so many time steps.
    pub fn new(size: usize) -> Self {
        MaxPool1d { windows: Sliding::new([size]) }
    }

    sliding_methods!(stride: usize => [stride]);

    fn pooling(self) -> Pooling<1> {
        Pooling { operation: Operation::Max, windows: Windows::Sliding(self.windows) }
    }

    pub(super) fn from_config<A: Scalar>(settings: &Settings<'_, A>) -> Result<Self> {
        Ok(MaxPool1d { windows: Sliding::from_config(settings)? })
    }
}

pooling_layers!(MaxPool1d, MaxPool2d);

#[cfg(test)]
mod tests {
    use ndarray::{IxDyn, s};

    use super::*;
    use crate::layers::AdaptiveMaxPool2d;
    use crate::{Context, Layer, Mode, Result, Tensor};

    /// Whole numbers from 0 to 4, so that most windows hold their maximum more than once, and some NaN.
    fn image(shape: &[usize]) -> Tensor<f32> {
        let mut number = 17_u32;
        let next = || {
            number = number.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
            if number >> 27 == 0 { f32::NAN } else { (number >> 20) as f32 % 5.0 }
        };
        ndarray::ArrayD::from_shape_simple_fn(IxDyn(shape), next).into_shared()
    }

    /// The bits of the first `rows` by `columns` windows' maxima, and of the gradient that comes from them alone.
    fn pass(layer: impl Layer, x: &Tensor, [rows, columns]: [usize; 2]) -> Result<[Vec<u32>; 2]> {
        let mut ctx = Context::recording(Mode::Training);
        let y = layer.forward(x, &mut ctx)?;
        let dy = y.shape().to_vec();
        let dy = ndarray::ArrayD::from_shape_fn(IxDyn(&dy), |at| match at[1] < rows && at[2] < columns {
            true => (at[0] * 700 + at[1] * 100 + at[2] * 10 + at[3] + 1) as f32,
            false => 0.0,
        });
        ctx.recycle(Tensor::from_elem(x.raw_dim(), f32::NAN));
        let dx = layer.backward(x, &y, &dy.into_shared(), true, &mut ctx)?.expect("it was wanted");
        let y = y.slice(s![.., ..rows, ..columns, ..]);
        Ok([y.iter().map(|y| y.to_bits()).collect(), dx.iter().map(|dx| dx.to_bits()).collect()])
    }

    /// Two by two pixels side by side have loops of their own. Windows that reach over an edge take the general ones.
    #[test]
    fn two_by_two_has_the_bits_of_the_general_way() -> Result<()> {
        for channels in [1, 3, 5, 16, 17, 32, 33, 64, 70, 130] {
            for [height, width] in [[2, 2], [4, 6], [6, 2]] {
                let windows = [height / 2, width / 2];
                let x = image(&[3, height, width, channels]);
                let general = AdaptiveMaxPool2d::new((height / 2, width / 2));
                assert_eq!(pass(MaxPool2d::new(2), &x, windows)?, pass(general, &x, windows)?);
                // An odd row or column is left over.
                for odd in [[1, 0], [0, 1], [1, 1]] {
                    let x = image(&[3, height + odd[0], width + odd[1], channels]);
                    let general = MaxPool2d::new(2).padding([(0, odd[0]), (0, odd[1])]);
                    assert_eq!(pass(MaxPool2d::new(2), &x, windows)?, pass(general, &x, windows)?);
                }
            }
        }
        Ok(())
    }
}
