use super::{Operation, Pooling, Sliding, Windows, pooling_layers, sliding_methods};
use crate::error::Result;
use crate::io::Settings;
use crate::layers::Size2d;
use crate::scalar::Scalar;

/// y = the mean of each window of an image, channel by channel.
///
/// Input `(batch, height, width, channels)`, output `(batch, rows, columns, channels)` with the windows' rows and
/// columns. dx = the sum over a pixel's windows of dy / n, where n are the pixels of the window.
///
/// Defaults: the stride is the size, and no padding, as in Keras and PyTorch. Padding does not count in n, as in Keras;
/// in PyTorch its zeros count unless it is told otherwise, and here with
/// [`count_include_pad`](Self::count_include_pad).
///
/// ```
/// use layerwise::prelude::*;
///
/// let x = Tensor::from_shape_vec(ndarray::IxDyn(&[1, 2, 2, 1]), vec![1.0, 5.0, 2.0, 4.0])?;
/// assert_eq!(AveragePool2d::new(2).predict(&x)?.as_slice(), Some(&[3.0][..]));
///
/// // The first window holds 1 and three pixels of the padding.
/// let layer = AveragePool2d::new(2).stride(3).padding(1);
/// assert_eq!(layer.predict(&x)?.as_slice(), Some(&[1.0][..]));
/// assert_eq!(layer.count_include_pad().predict(&x)?.as_slice(), Some(&[0.25][..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct AveragePool2d {
    windows: Sliding<2>,
    padded: bool,
}

impl AveragePool2d {
    /// Over windows of this size: one number for both axes, or `(height, width)`.
    pub fn new(size: impl Into<Size2d>) -> Self {
        AveragePool2d { windows: Sliding::new(size.into().0), padded: false }
    }

    sliding_methods!(stride: impl Into<Size2d> => stride.into().0);

    /// Counts the padding in a window as so many zeros. What reaches over the padding, too, still does not count.
    #[must_use]
    pub fn count_include_pad(mut self) -> Self {
        self.padded = true;
        self
    }

    fn pooling(self) -> Pooling<2> {
        Pooling { operation: Operation::Average { padded: self.padded }, windows: Windows::Sliding(self.windows) }
    }

    pub(super) fn from_config<A: Scalar>(settings: &Settings<'_, A>) -> Result<Self> {
        Ok(AveragePool2d { windows: Sliding::from_config(settings)?, padded: settings.get("count_include_pad")? })
    }
}

/// [`AveragePool2d`] over a sequence: input `(batch, time, features)`, output `(batch, windows, features)`.
///
/// ```
/// use layerwise::layers::AveragePool1d;
/// use layerwise::prelude::*;
///
/// assert_eq!(Layer::<f32>::output_shape(&AveragePool1d::new(2).padding(1), &[20, 8])?, [11, 8]);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct AveragePool1d {
    windows: Sliding<1>,
    padded: bool,
}

impl AveragePool1d {
    /// Over so many time steps.
    pub fn new(size: usize) -> Self {
        AveragePool1d { windows: Sliding::new([size]), padded: false }
    }

    sliding_methods!(stride: usize => [stride]);

    /// Counts the padding in a window as so many zeros. What reaches over the padding, too, still does not count.
    #[must_use]
    pub fn count_include_pad(mut self) -> Self {
        self.padded = true;
        self
    }

    fn pooling(self) -> Pooling<1> {
        Pooling { operation: Operation::Average { padded: self.padded }, windows: Windows::Sliding(self.windows) }
    }

    pub(super) fn from_config<A: Scalar>(settings: &Settings<'_, A>) -> Result<Self> {
        Ok(AveragePool1d { windows: Sliding::from_config(settings)?, padded: settings.get("count_include_pad")? })
    }
}

pooling_layers!(AveragePool1d, AveragePool2d);
