//! Pooling: windows over an image or a sequence, each of which becomes one pixel or one time step.
//!
//! The members say which windows and what becomes of them; how is said once, here. A sequence is an image of height 1.

mod adaptive;
mod average;
mod global;
mod lp;
mod max;

pub use adaptive::{AdaptiveAveragePool1d, AdaptiveAveragePool2d, AdaptiveMaxPool1d, AdaptiveMaxPool2d};
pub use average::{AveragePool1d, AveragePool2d};
pub use global::{GlobalAveragePool1d, GlobalAveragePool2d, GlobalMaxPool1d, GlobalMaxPool2d};
pub use lp::{LpPool1d, LpPool2d};
pub use max::{MaxPool1d, MaxPool2d};

use serde_json::{Value, json};

use super::Padding;
use super::image::Axes;
use super::window::{AXIS_NAMES, Window};
use crate::context::Context;
use crate::cost::{Cost, product};
use crate::error::{Error, Result};
use crate::io::{Registry, Settings};
use crate::kernels::pooling as kernels;
use crate::kernels::pooling::{Grid, Line, Spacing};
use crate::layer::Needs;
use crate::scalar::Scalar;
use crate::tensor::{Tensor, values, values_mut};

/// Tells the registry how the members of the family are made.
pub(super) fn register<A: Scalar>(registry: &mut Registry<A>) {
    registry.layer("AdaptiveAveragePool1d", AdaptiveAveragePool1d::from_config);
    registry.layer("AdaptiveAveragePool2d", AdaptiveAveragePool2d::from_config);
    registry.layer("AdaptiveMaxPool1d", AdaptiveMaxPool1d::from_config);
    registry.layer("AdaptiveMaxPool2d", AdaptiveMaxPool2d::from_config);
    registry.layer("AveragePool1d", AveragePool1d::from_config);
    registry.layer("AveragePool2d", AveragePool2d::from_config);
    registry.layer("GlobalAveragePool1d", GlobalAveragePool1d::from_config);
    registry.layer("GlobalAveragePool2d", GlobalAveragePool2d::from_config);
    registry.layer("GlobalMaxPool1d", GlobalMaxPool1d::from_config);
    registry.layer("GlobalMaxPool2d", GlobalMaxPool2d::from_config);
    registry.layer("LpPool1d", LpPool1d::from_config);
    registry.layer("LpPool2d", LpPool2d::from_config);
    registry.layer("MaxPool1d", MaxPool1d::from_config);
    registry.layer("MaxPool2d", MaxPool2d::from_config);
}

/// What becomes of the numbers of a channel in a window.
#[derive(Clone, Copy, Debug)]
enum Operation {
    Max,
    /// The mean, over the zeros in the padding, too, if it is `padded`.
    Average {
        padded: bool,
    },
    /// The p-norm.
    Lp {
        p: f64,
    },
}

/// The settings of windows that slide over `AXES` axes: over the width alone, or over height and width.
#[derive(Clone, Copy, Debug)]
struct Sliding<const AXES: usize> {
    size: [usize; AXES],
    stride: [usize; AXES],
    padding: Padding,
    ceil: bool,
}

impl<const AXES: usize> Sliding<AXES> {
    /// Windows side by side, inside the image.
    fn new(size: [usize; AXES]) -> Self {
        Sliding { size, stride: size, padding: Padding::Valid, ceil: false }
    }

    fn from_config<A: Scalar>(settings: &Settings<'_, A>) -> Result<Self> {
        Ok(Sliding {
            size: settings.get("size")?,
            stride: settings.get("stride")?,
            padding: settings.get("padding")?,
            ceil: settings.get("ceil_mode")?,
        })
    }

    /// The windows along an axis of height and width, which is the window's own axis number `own`.
    fn line(&self, input: usize, axis: usize, own: usize) -> Result<Line> {
        let (size, stride) = (self.size[own], self.stride[own]);
        let window = Window { size, stride, dilation: 1, ceil: self.ceil };
        window.check("window")?;
        match self.padding {
            Padding::Causal => return Err(Error::setting("padding of pooling", "Valid, Same or Sides", "Causal")),
            Padding::Sides(sides) if sides[axis].0.max(sides[axis].1) >= size => {
                let requirement = format!("below the window's size of {size}, so that no window holds padding alone");
                let got = format!("{:?}", sides[axis]);
                return Err(Error::setting(format!("padding along the {}", AXIS_NAMES[axis]), requirement, got));
            }
            _ => {}
        }
        let axis = window.over(input, self.padding, axis)?;
        let spacing = Spacing::Sliding { size, stride, before: axis.before, after: axis.after };
        Ok(Line { input, output: axis.output, spacing })
    }
}

/// Which windows there are.
#[derive(Clone, Copy, Debug)]
enum Windows<const AXES: usize> {
    /// Those of a size, at a distance.
    Sliding(Sliding<AXES>),
    /// So many, as even as can be.
    Adaptive([usize; AXES]),
    /// One over everything. Its axes stay in the output, of length 1, or go.
    Global { keep_dims: bool },
}

/// A pooling layer over `AXES` axes, as the body that all of them share sees it.
#[derive(Clone, Copy, Debug)]
struct Pooling<const AXES: usize> {
    operation: Operation,
    windows: Windows<AXES>,
}

impl<const AXES: usize> Pooling<AXES> {
    fn config(&self) -> Value {
        let mut config = match self.windows {
            Windows::Sliding(Sliding { size, stride, padding, ceil }) => json!({
                "size": &size[..], "stride": &stride[..], "padding": padding.describe(), "ceil_mode": ceil,
            }),
            Windows::Adaptive(output) => json!({ "output": &output[..] }),
            Windows::Global { keep_dims } => json!({ "keep_dims": keep_dims }),
        };
        match (self.operation, self.windows) {
            (Operation::Average { padded }, Windows::Sliding(_)) => config["count_include_pad"] = json!(padded),
            (Operation::Lp { p }, _) => config["p"] = json!(p),
            _ => {}
        }
        config
    }

    fn line(&self, input: usize, axis: usize) -> Result<Line> {
        let even = |output| Line { input, output, spacing: Spacing::Even };
        let Some(own) = (axis + AXES).checked_sub(2) else { return Ok(even(1)) };
        match self.windows {
            Windows::Sliding(sliding) => sliding.line(input, axis, own),
            Windows::Adaptive(output) if output[own] == 0 => Err(Error::setting("output size", "at least 1", 0)),
            Windows::Adaptive(output) => Ok(even(output[own])),
            Windows::Global { .. } => Ok(even(1)),
        }
    }

    /// The windows over an input of the given shape, which has the axes `leading` before its own.
    fn grid(&self, what: &str, leading: &str, shape: &[usize], sample: &[usize]) -> Result<Grid> {
        if let Operation::Lp { p } = self.operation
            && !(p > 0.0 && p.is_finite())
        {
            return Err(Error::setting("p", "a finite number above 0", p));
        }
        let axes = Axes::along(AXES);
        let image = axes.read(1, sample).filter(|image| !image.is_empty()).ok_or_else(|| {
            Error::shape(what, format!("shape ({leading}{}) with at least one of each", axes.names()), shape)
        })?;
        let (height, width) = (self.line(image.height, 0)?, self.line(image.width, 1)?);
        Ok(Grid { height, width, channels: image.channels })
    }

    /// The windows over a batch.
    fn grid_of_batch(&self, shape: &[usize]) -> Result<Grid> {
        self.grid("input", "batch, ", shape, shape.get(1..).unwrap_or_default())
    }

    /// Hands over the shape of a batch of outputs.
    fn with_shape<R>(&self, batch: usize, grid: &Grid, then: impl FnOnce(&[usize]) -> R) -> R {
        let (height, width, channels) = (grid.height.output, grid.width.output, grid.channels);
        match self.windows {
            Windows::Global { keep_dims: false } => then(&[batch, channels]),
            _ if AXES == 1 => then(&[batch, width, channels]),
            _ => then(&[batch, height, width, channels]),
        }
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        let grid = self.grid("input of one sample", "", input, input)?;
        Ok(self.with_shape(1, &grid, |shape| shape[1..].to_vec()))
    }

    /// One operation for each number in each window; a power and an addition, and a root at the end, for the p-norm.
    fn cost(&self, input: &[usize], output: &[usize]) -> Result<Cost> {
        let read = self.grid("input of one sample", "", input, input)?.read();
        Ok(Cost::of(match self.operation {
            Operation::Max | Operation::Average { .. } => read,
            Operation::Lp { .. } => read.saturating_mul(2).saturating_add(product(output)),
        }))
    }

    fn forward<A: Scalar>(&self, x: &Tensor<A>, ctx: &mut Context<A>) -> Result<Tensor<A>> {
        let grid = self.grid_of_batch(x.shape())?;
        let mut y = self.with_shape(x.shape()[0], &grid, |shape| ctx.tensor(shape));
        let (x, to) = (values(x)?, values_mut(&mut y));
        match self.operation {
            Operation::Max => kernels::max(x, to, &grid),
            Operation::Average { padded } => kernels::average(x, to, &grid, padded),
            Operation::Lp { p } => kernels::lp(x, to, &grid, A::of(p)),
        }
        Ok(y)
    }

    fn backward<A: Scalar>(
        &self,
        x: &Tensor<A>,
        y: &Tensor<A>,
        dy: &Tensor<A>,
        want_dx: bool,
        ctx: &mut Context<A>,
    ) -> Result<Option<Tensor<A>>> {
        if !want_dx {
            return Ok(None);
        }
        let grid = self.grid_of_batch(x.shape())?;
        self.with_shape(x.shape()[0], &grid, |shape| match dy.shape() == shape {
            true => Ok(()),
            false => Err(Error::shape("gradient", format!("shape {shape:?} of the output"), dy.shape())),
        })?;
        let mut dx = ctx.tensor(x.shape());
        let (x, dy, to) = (values(x)?, values(dy)?, values_mut(&mut dx));
        match self.operation {
            Operation::Max => kernels::max_gradient(x, dy, to, &grid),
            Operation::Average { padded } => kernels::average_gradient(x, dy, to, &grid, padded),
            Operation::Lp { p } => {
                let mut slope = ctx.tensor(y.shape());
                kernels::lp_slope(values(y)?, dy, values_mut(&mut slope), A::of(p));
                kernels::lp_gradient(x, values(&slope)?, to, &grid, A::of(p));
                ctx.recycle(slope);
            }
        }
        Ok(Some(dx))
    }

    /// Of the input, averages read the shape alone.
    fn needs(&self) -> Needs {
        match self.operation {
            Operation::Max | Operation::Average { .. } => Needs::INPUT,
            Operation::Lp { .. } => Needs::BOTH,
        }
    }
}

/// Writes `Layer` for members of the family, whose method `pooling` says what they are.
macro_rules! pooling_layers {
    ($($name:ident),+) => {$(
        impl<A: $crate::Scalar> $crate::Layer<A> for $name {
            fn kind(&self) -> &str {
                stringify!($name)
            }

            fn config(&self) -> serde_json::Value {
                self.pooling().config()
            }

            fn output_shape(&self, input: &[usize]) -> $crate::Result<Vec<usize>> {
                self.pooling().output_shape(input)
            }

            fn cost(&self, input: &[usize], output: &[usize]) -> $crate::Result<$crate::Cost> {
                self.pooling().cost(input, output)
            }

            fn forward(
                &self,
                x: &$crate::Tensor<A>,
                ctx: &mut $crate::Context<A>,
            ) -> $crate::Result<$crate::Tensor<A>> {
                self.pooling().forward(x, ctx)
            }

            fn backward(
                &self,
                x: &$crate::Tensor<A>,
                y: &$crate::Tensor<A>,
                dy: &$crate::Tensor<A>,
                want_dx: bool,
                ctx: &mut $crate::Context<A>,
            ) -> $crate::Result<Option<$crate::Tensor<A>>> {
                self.pooling().backward(x, y, dy, want_dx, ctx)
            }

            fn needs(&self) -> $crate::Needs {
                self.pooling().needs()
            }
        }
    )+};
}
use pooling_layers;

/// Writes the methods of a layer with `windows: Sliding` that say how they slide.
macro_rules! sliding_methods {
    ($stride:ident: $given:ty => $array:expr) => {
        /// How far the next window is: by default as far as a window is long.
        #[must_use]
        pub fn stride(mut self, $stride: $given) -> Self {
            self.windows.stride = $array;
            self
        }

        /// How far windows reach over the edges, on no side by a whole window; not
        /// [`Causal`](crate::layers::Padding::Causal).
        #[must_use]
        pub fn padding(mut self, padding: impl Into<crate::layers::Padding>) -> Self {
            self.windows.padding = padding.into();
            self
        }

        /// Counts a last window that reaches over the end, if it begins before it.
        #[must_use]
        pub fn ceil_mode(mut self) -> Self {
            self.windows.ceil = true;
            self
        }
    };
}
use sliding_methods;
