use super::{Operation, Pooling, Windows, pooling_layers};
use crate::error::Result;
use crate::io::Settings;
use crate::scalar::Scalar;

/// Writes a member: its documentation, its name, its number of axes, and its operation.
macro_rules! global {
    ($(#[$meta:meta])* $name:ident over $axes:literal: $operation:expr) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default)]
        pub struct $name {
            keep_dims: bool,
        }

        impl $name {
            /// With one number for each channel.
            pub fn new() -> Self {
                Self::default()
            }

            /// Keeps the axes that are pooled over, with length 1.
            #[must_use]
            pub fn keep_dims(mut self) -> Self {
                self.keep_dims = true;
                self
            }

            fn pooling(self) -> Pooling<$axes> {
                Pooling { operation: $operation, windows: Windows::Global { keep_dims: self.keep_dims } }
            }

            pub(super) fn from_config<A: Scalar>(settings: &Settings<'_, A>) -> Result<Self> {
                Ok($name { keep_dims: settings.get("keep_dims")? })
            }
        }
    };
}

global! {
    /// y = the maximum of each channel of an image.
    ///
    /// Input `(batch, height, width, channels)`, output `(batch, channels)`, or `(batch, 1, 1, channels)` with
    /// [`keep_dims`](Self::keep_dims). dx is dy at the first maximum, row by row, or at the last NaN, and 0 elsewhere.
    ///
    /// ```
    /// use layerwise::layers::GlobalMaxPool2d;
    /// use layerwise::prelude::*;
    ///
    /// assert_eq!(Layer::<f32>::output_shape(&GlobalMaxPool2d::new(), &[7, 7, 64])?, [64]);
    /// assert_eq!(Layer::<f32>::output_shape(&GlobalMaxPool2d::new().keep_dims(), &[7, 7, 64])?, [1, 1, 64]);
    /// # Ok::<(), Error>(())
    /// ```
    GlobalMaxPool2d over 2: Operation::Max
}
global! {
    /// y = the mean of each channel of an image.
    ///
    /// Input `(batch, height, width, channels)`, output `(batch, channels)`, or `(batch, 1, 1, channels)` with
    /// [`keep_dims`](Self::keep_dims). dx = dy / (height width).
    ///
    /// ```
    /// use layerwise::prelude::*;
    ///
    /// let x = Tensor::from_shape_vec(ndarray::IxDyn(&[1, 2, 1, 2]), vec![1.0, 10.0, 3.0, 20.0])?;
    /// assert_eq!(GlobalAveragePool2d::new().predict(&x)?.as_slice(), Some(&[2.0, 15.0][..]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    GlobalAveragePool2d over 2: Operation::Average { padded: false }
}
global! {
    /// [`GlobalMaxPool2d`] over a sequence: input `(batch, time, features)`, output `(batch, features)`, or
    /// `(batch, 1, features)` with [`keep_dims`](Self::keep_dims).
    ///
    /// ```
    /// use layerwise::layers::GlobalMaxPool1d;
    /// use layerwise::prelude::*;
    ///
    /// assert_eq!(Layer::<f32>::output_shape(&GlobalMaxPool1d::new(), &[20, 8])?, [8]);
    /// # Ok::<(), Error>(())
    /// ```
    GlobalMaxPool1d over 1: Operation::Max
}
global! {
    /// [`GlobalAveragePool2d`] over a sequence: input `(batch, time, features)`, output `(batch, features)`, or
    /// `(batch, 1, features)` with [`keep_dims`](Self::keep_dims).
    ///
    /// ```
    /// use layerwise::layers::GlobalAveragePool1d;
    /// use layerwise::prelude::*;
    ///
    /// assert_eq!(Layer::<f32>::output_shape(&GlobalAveragePool1d::new(), &[20, 8])?, [8]);
    /// # Ok::<(), Error>(())
    /// ```
    GlobalAveragePool1d over 1: Operation::Average { padded: false }
}

pooling_layers!(GlobalMaxPool1d, GlobalMaxPool2d, GlobalAveragePool1d, GlobalAveragePool2d);
