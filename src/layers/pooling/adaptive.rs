use super::{Operation, Pooling, Windows, pooling_layers};
use crate::error::Result;
use crate::io::Settings;
use crate::layers::Size2d;
use crate::scalar::Scalar;

/// Writes a member: its documentation, its name, its number of axes, how its output size is given, and its operation.
macro_rules! adaptive {
    ($(#[$meta:meta])* $name:ident over $axes:literal, $output:ident: $given:ty => $array:expr, $operation:expr) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name {
            output: [usize; $axes],
        }

        impl $name {
            /// With an output of this size, whatever the input's is.
            pub fn new($output: $given) -> Self {
                $name { output: $array }
            }

            fn pooling(self) -> Pooling<$axes> {
                Pooling { operation: $operation, windows: Windows::Adaptive(self.output) }
            }

            pub(super) fn from_config<A: Scalar>(settings: &Settings<'_, A>) -> Result<Self> {
                Ok($name { output: settings.get("output")? })
            }
        }
    };
}

adaptive! {
    /// y = the mean of each of as many windows as the output is to have.
    ///
    /// Input `(batch, height, width, channels)`, output `(batch, rows, columns, channels)` for the given rows and
    /// columns. Of n windows over m elements window o has those from floor(o m / n) to below ceil((o + 1) m / n), as in
    /// PyTorch: where n does not divide m some lie in two windows. dx = the sum over a pixel's windows of dy / (pixels
    /// of the window).
    ///
    /// ```
    /// use layerwise::layers::AdaptiveAveragePool2d;
    /// use layerwise::prelude::*;
    ///
    /// let layer = AdaptiveAveragePool2d::new(7);
    /// for size in [28, 30] {
    ///     assert_eq!(Layer::<f32>::output_shape(&layer, &[size, size, 16])?, [7, 7, 16]);
    /// }
    /// # Ok::<(), Error>(())
    /// ```
    AdaptiveAveragePool2d over 2, output: impl Into<Size2d> => output.into().0, Operation::Average { padded: false }
}
adaptive! {
    /// y = the maximum of each of as many windows as the output is to have.
    ///
    /// Input, output and windows are those of [`AdaptiveAveragePool2d`]. dx is dy at the first maximum of a window, row
    /// by row, or at its last NaN, and 0 elsewhere; where windows overlap it adds up.
    ///
    /// ```
    /// use layerwise::layers::AdaptiveMaxPool2d;
    /// use layerwise::prelude::*;
    ///
    /// assert_eq!(Layer::<f32>::output_shape(&AdaptiveMaxPool2d::new((1, 4)), &[9, 9, 16])?, [1, 4, 16]);
    /// # Ok::<(), Error>(())
    /// ```
    AdaptiveMaxPool2d over 2, output: impl Into<Size2d> => output.into().0, Operation::Max
}
adaptive! {
    /// [`AdaptiveAveragePool2d`] over a sequence: input `(batch, time, features)`, output `(batch, windows, features)`.
    ///
    /// ```
    /// use layerwise::layers::AdaptiveAveragePool1d;
    /// use layerwise::prelude::*;
    ///
    /// assert_eq!(Layer::<f32>::output_shape(&AdaptiveAveragePool1d::new(5), &[32, 8])?, [5, 8]);
    /// # Ok::<(), Error>(())
    /// ```
    AdaptiveAveragePool1d over 1, output: usize => [output], Operation::Average { padded: false }
}
adaptive! {
    /// [`AdaptiveMaxPool2d`] over a sequence: input `(batch, time, features)`, output `(batch, windows, features)`.
    ///
    /// ```
    /// use layerwise::layers::AdaptiveMaxPool1d;
    /// use layerwise::prelude::*;
    ///
    /// assert_eq!(Layer::<f32>::output_shape(&AdaptiveMaxPool1d::new(5), &[32, 8])?, [5, 8]);
    /// # Ok::<(), Error>(())
    /// ```
    AdaptiveMaxPool1d over 1, output: usize => [output], Operation::Max
}

pooling_layers!(AdaptiveAveragePool1d, AdaptiveAveragePool2d, AdaptiveMaxPool1d, AdaptiveMaxPool2d);
