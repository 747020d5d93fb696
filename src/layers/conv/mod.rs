//! Convolutions. Those of sequences are those of images of height 1.

mod convolution;
mod depthwise;
mod separable;
mod transposed;

pub use convolution::{Conv1d, Conv2d, Convolution};
pub use depthwise::{DepthwiseConv1d, DepthwiseConv2d, DepthwiseConvolution};
pub use separable::{SeparableConv1d, SeparableConv2d, SeparableConvolution};
pub use transposed::{ConvTranspose1d, ConvTranspose2d, TransposedConvolution};

use ndarray::IxDyn;
use serde_json::{Map, Value, json};

use super::image::{Axes, Image};
use super::window::{Axis, Padding, Window};
use crate::error::{Error, Result};
use crate::io::{Registry, Settings};
use crate::kernels::conv::{Extent, Geometry};
use crate::scalar::Scalar;
use crate::tensor::count;

/// Tells the registry how the members of the family are made.
pub(super) fn register<A: Scalar>(registry: &mut Registry<A>) {
    registry.layer("Conv1d", Conv1d::from_config);
    registry.layer("Conv2d", Conv2d::from_config);
    registry.layer("ConvTranspose1d", ConvTranspose1d::from_config);
    registry.layer("ConvTranspose2d", ConvTranspose2d::from_config);
    registry.layer("DepthwiseConv1d", DepthwiseConv1d::from_config);
    registry.layer("DepthwiseConv2d", DepthwiseConv2d::from_config);
    registry.layer("SeparableConv1d", SeparableConv1d::from_config);
    registry.layer("SeparableConv2d", SeparableConv2d::from_config);
}

/// One number for each axis of a window: `usize` for the same along all of them, `(height, width)` for images.
pub trait Extents<const AXES: usize> {
    /// Height and width.
    fn extents(self) -> [usize; 2];
}

impl Extents<1> for usize {
    fn extents(self) -> [usize; 2] {
        [1, self]
    }
}

impl Extents<2> for usize {
    fn extents(self) -> [usize; 2] {
        [self; 2]
    }
}

impl Extents<2> for (usize, usize) {
    fn extents(self) -> [usize; 2] {
        [self.0, self.1]
    }
}

/// What all convolutions can be told about their windows.
#[derive(Clone, Copy, Debug)]
struct Windows {
    kernel: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
    padding: Padding,
}

impl Windows {
    fn of(kernel: [usize; 2]) -> Self {
        Windows { kernel, stride: [1; 2], dilation: [1; 2], padding: Padding::Valid }
    }

    /// The window along the height (0) or the width (1).
    fn window(&self, axis: usize) -> Window {
        Window { size: self.kernel[axis], stride: self.stride[axis], dilation: self.dilation[axis], ceil: false }
    }

    /// Refuses settings that no input makes good. A sequence has only a width.
    fn check(&self, axes: usize) -> Result<()> {
        for (name, values) in [("kernel size", self.kernel), ("stride", self.stride), ("dilation", self.dilation)] {
            if values.contains(&0) {
                return Err(Error::setting(name, "at least 1", format!("{:?}", &values[2 - axes..])));
            }
        }
        for axis in 2 - axes..2 {
            self.window(axis).check("kernel")?;
        }
        match self.padding {
            Padding::Causal if axes == 2 => {
                Err(Error::setting("padding of images", "valid, same or so much at each side", "causal"))
            }
            Padding::Causal if self.stride[1] != 1 && self.dilation[1] != 1 => {
                Err(Error::setting("stride of a dilated causal convolution", "1", self.stride[1]))
            }
            _ => Ok(()),
        }
    }

    /// Padding for one axis; a sequence is not padded along the height that it does not have.
    fn padding(&self, axes: usize) -> Padding {
        match self.padding {
            Padding::Sides([_, width]) if axes == 1 => Padding::Sides([(0, 0), width]),
            padding => padding,
        }
    }

    /// The windows over images of this height and width, which are those of the sample.
    fn over(&self, sides: [usize; 2], sample: &[usize]) -> Result<[Axis; 2]> {
        let axes = sample.len() - 1;
        self.check(axes)?;
        let padding = self.padding(axes);
        // Causal padding is for time alone.
        let height = if axes == 1 { Padding::Valid } else { padding };
        let over = |axis: usize, padding| {
            // Settings are checked, so that all that can be wrong is the length.
            self.window(axis).over(sides[axis], padding, axis).map_err(|_| self.too_short(axis, sample))
        };
        Ok([over(0, height)?, over(1, padding)?])
    }

    /// What to say where no window fits into an axis.
    fn too_short(&self, axis: usize, sample: &[usize]) -> Error {
        let name = axis_name(axis, sample.len() - 1);
        let Window { size, dilation, .. } = self.window(axis);
        let expected = match self.padding {
            Padding::Same | Padding::Causal => format!("at least 1 along the {name}"),
            padding => {
                let (before, after) = if let Padding::Sides(sides) = padding { sides[axis] } else { (0, 0) };
                let least = self.window(axis).extent().saturating_sub(before.saturating_add(after)).max(1);
                format!(
                    "at least {least} along the {name} for a kernel of {size} with dilation {dilation} and padding \
                     {before} + {after}"
                )
            }
        };
        Error::shape("input of one sample", expected, sample)
    }

    /// Back from [`describe`](Self::describe).
    fn from_config<A: Scalar, const AXES: usize>(settings: &Settings<'_, A>) -> Result<Self> {
        let of = |name| settings.get(name).map(|values| along::<AXES>(values, 1));
        let (kernel, stride, dilation) = (of("kernel_size")?, of("stride")?, of("dilation")?);
        Ok(Windows { kernel, stride, dilation, padding: settings.get("padding")? })
    }

    /// The settings as JSON, each axis by itself.
    fn describe(&self, axes: usize) -> Map<String, Value> {
        let of = |values: [usize; 2]| json!(values[2 - axes..]);
        let mut settings = Map::new();
        settings.insert("kernel_size".into(), of(self.kernel));
        settings.insert("stride".into(), of(self.stride));
        settings.insert("dilation".into(), of(self.dilation));
        settings.insert("padding".into(), self.padding(axes).describe());
        settings
    }
}

/// Height and width of what is given for each axis; a sequence has the height `flat`.
fn along<const AXES: usize>(values: [usize; AXES], flat: usize) -> [usize; 2] {
    let mut both = [flat; 2];
    both[2 - AXES..].copy_from_slice(&values);
    both
}

/// What the kernels are told of an axis.
fn extent(axis: Axis) -> Extent {
    let Window { size, stride, dilation, .. } = axis.window;
    Extent { input: axis.input, output: axis.output, kernel: size, stride, dilation, before: axis.before }
}

/// Height, width and channels of a sample: `(height, width, channels)`, or `(time, features)` of a sequence.
fn sides<const AXES: usize>(sample: &[usize]) -> Result<([usize; 2], usize)> {
    let axes = Axes::along(AXES);
    count("input of one sample", sample)?;
    let refused = |expected: &str| Error::shape("input of one sample", expected, sample);
    match axes.read(1, sample) {
        None => Err(refused(&format!("shape ({})", axes.names()))),
        Some(Image { channels: 0, .. }) => Err(refused("at least one channel")),
        Some(Image { height, width, channels, .. }) => Ok(([height, width], channels)),
    }
}

/// What a user calls the height (0) or the width (1).
fn axis_name(axis: usize, axes: usize) -> &'static str {
    match (axis, axes) {
        (_, 1) => "time",
        (0, _) => "height",
        _ => "width",
    }
}

/// The sample's part of the shape of a batch.
fn sample_of(batch: &[usize]) -> &[usize] {
    batch.get(1..).unwrap_or_default()
}

/// Refuses an input of other channels than the layer was built for.
fn check_channels(built: Option<usize>, channels: usize, sample: &[usize]) -> Result<()> {
    match built {
        Some(built) if built != channels => {
            Err(Error::shape("input of one sample", format!("{built} channels on the last axis"), sample))
        }
        _ => Ok(()),
    }
}

/// The shape of a sample of these sides and channels.
fn sample_shape<const AXES: usize>([height, width]: [usize; 2], channels: usize) -> Vec<usize> {
    if AXES == 1 { vec![width, channels] } else { vec![height, width, channels] }
}

/// The same of a batch.
fn batch_shape<const AXES: usize>(batch: usize, [height, width]: [usize; 2], channels: usize) -> IxDyn {
    Axes::along(AXES).shape(Image { batch, height, width, channels })
}

/// The shape of a weight, whose last two sizes are given: sequences have no kernel height.
fn weight_shape<const AXES: usize>(kernel: [usize; 2], last: [usize; 2]) -> Vec<usize> {
    [&kernel[2 - AXES..], &last[..]].concat()
}

/// The builder methods and the name that every convolution has.
macro_rules! common_settings {
    () => {
        /// How far the next window is, from 1.
        #[must_use]
        pub fn stride(mut self, stride: impl super::Extents<AXES>) -> Self {
            self.windows.stride = stride.extents();
            self
        }

        /// How far the next element of a window is, from 1.
        #[must_use]
        pub fn dilation(mut self, dilation: impl super::Extents<AXES>) -> Self {
            self.windows.dilation = dilation.extents();
            self
        }

        /// How far windows reach over the edges.
        #[must_use]
        pub fn padding(mut self, padding: impl Into<super::Padding>) -> Self {
            self.windows.padding = padding.into();
            self
        }

        /// What is applied to the sums, in the same pass.
        #[must_use]
        pub fn activation(mut self, activation: crate::layers::Activation) -> Self {
            self.activation = activation;
            self
        }

        /// Leaves the bias away.
        #[must_use]
        pub fn without_bias(mut self) -> Self {
            self.bias = None;
            self
        }

        /// How the bias starts.
        #[must_use]
        pub fn bias_initializer(mut self, start: crate::initializers::Initializer) -> Self {
            self.bias_start = start;
            self
        }

        crate::layers::rules::weight_rules! {
            weight_regularizer, weight_constraint: "w" in weight;
            bias_regularizer, bias_constraint: "b" in bias;
        }

        /// The bias, `(filters)`.
        pub fn bias(&self) -> Option<&crate::param::Param<A>> {
            self.bias.as_ref()
        }
    };
}
use common_settings;

/// The geometry of windows over images with these channels and filters.
fn geometry([height, width]: [Axis; 2], channels: usize, filters: usize, groups: usize) -> Geometry {
    Geometry { height: extent(height), width: extent(width), channels, filters, groups }
}
