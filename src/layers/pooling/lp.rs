use super::{Operation, Pooling, Sliding, Windows, pooling_layers, sliding_methods};
use crate::error::Result;
use crate::io::Settings;
use crate::layers::Size2d;
use crate::scalar::Scalar;

/// y = (sum x^p)^(1 / p) over each window of an image, channel by channel: the sum for p = 1, the Euclidean norm for
/// p = 2, and towards the maximum as p grows.
///
/// Input `(batch, height, width, channels)`, output `(batch, rows, columns, channels)` with the windows' rows and
/// columns. dx = the sum over a pixel's windows of dy (x / y)^(p - 1), and 0 from a window whose sum is 0. p is any
/// finite number above 0.
///
/// As in PyTorch it is x^p, not |x|^p: negative values are fine where p is 1 or an even whole number. For other whole
/// p, y is NaN where the sum is below 0, and for p with a fraction wherever an x is. For p below 1 the gradient at
/// x = 0 is infinite beside others.
///
/// Defaults, which are PyTorch's: the stride is the size, and no padding, which would count as zeros. In
/// [`ceil_mode`](Self::ceil_mode) the sum of a window that reaches over the end is scaled to the size of a whole one,
/// also as in PyTorch.
///
/// ```
/// use layerwise::layers::LpPool2d;
/// use layerwise::prelude::*;
///
/// let x = Tensor::from_shape_vec(ndarray::IxDyn(&[1, 1, 2, 1]), vec![3.0, -4.0])?;
/// assert_eq!(LpPool2d::new(2.0, (1, 2)).predict(&x)?.as_slice(), Some(&[5.0][..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct LpPool2d {
    p: f64,
    windows: Sliding<2>,
}

impl LpPool2d {
    /// The p-norm over windows of this size: one number for both axes, or `(height, width)`.
    pub fn new(p: f64, size: impl Into<Size2d>) -> Self {
        LpPool2d { p, windows: Sliding::new(size.into().0) }
    }

    sliding_methods!(stride: impl Into<Size2d> => stride.into().0);

    fn pooling(self) -> Pooling<2> {
        Pooling { operation: Operation::Lp { p: self.p }, windows: Windows::Sliding(self.windows) }
    }

    pub(super) fn from_config<A: Scalar>(settings: &Settings<'_, A>) -> Result<Self> {
        Ok(LpPool2d { p: settings.get("p")?, windows: Sliding::from_config(settings)? })
    }
}

/// [`LpPool2d`] over a sequence: input `(batch, time, features)`, output `(batch, windows, features)`.
///
/// ```
/// use layerwise::layers::LpPool1d;
/// use layerwise::prelude::*;
///
/// assert_eq!(Layer::<f32>::output_shape(&LpPool1d::new(2.0, 3).ceil_mode(), &[20, 8])?, [7, 8]);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct LpPool1d {
    p: f64,
    windows: Sliding<1>,
}

impl LpPool1d {
    /// The p-norm over so many time steps.
    pub fn new(p: f64, size: usize) -> Self {
        LpPool1d { p, windows: Sliding::new([size]) }
    }

    sliding_methods!(stride: usize => [stride]);

    fn pooling(self) -> Pooling<1> {
        Pooling { operation: Operation::Lp { p: self.p }, windows: Windows::Sliding(self.windows) }
    }

    pub(super) fn from_config<A: Scalar>(settings: &Settings<'_, A>) -> Result<Self> {
        Ok(LpPool1d { p: settings.get("p")?, windows: Sliding::from_config(settings)? })
    }
}

pooling_layers!(LpPool1d, LpPool2d);
