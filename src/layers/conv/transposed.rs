use ndarray::Dimension;
use serde_json::{Value, json};

use super::{
    Padding, Window, Windows, along, axis_name, batch_shape, check_channels, common_settings, sample_of, sample_shape,
    sides, weight_shape,
};
use crate::context::Context;
use crate::cost::{Cost, product};
use crate::error::{Error, Result};
use crate::initializers::{Init, Initializer};
use crate::io::{Settings, TorchLayout, TorchNames};
use crate::kernels::conv::{Extent, Geometry, forward, input_gradient, weight_gradient};
use crate::kernels::elementwise::add_to_rows;
use crate::kernels::gemm::Ending;
use crate::kernels::reduce::add_columns;
use crate::layer::{Layer, Needs};
use crate::layers::Activation;
use crate::param::Param;
use crate::scalar::Scalar;
use crate::tensor::{Tensor, values, values_mut};
use crate::visit_params;

/// A transposed convolution of images: [`TransposedConvolution`] along height and width.
pub type ConvTranspose2d<A = f32> = TransposedConvolution<A, 2>;

/// A transposed convolution of sequences: [`TransposedConvolution`] along the time.
pub type ConvTranspose1d<A = f32> = TransposedConvolution<A, 1>;

/// y = f(x *ᵀ w + b): what is the gradient of a [`Convolution`] with respect to its input, as a layer. Every element of
/// the input adds its multiple of the kernel to the output, windows `stride` apart: so images grow.
///
/// `ConvTranspose2d`: input `(batch, height, width, channels)`, output `(batch, height', width', filters)`,
/// w `(kernel height, kernel width, filters / groups, channels)` as in Keras, b `(filters)`. `ConvTranspose1d` the same
/// without height. An output has
///
/// (input - 1) stride - padding before and after + dilation (kernel - 1) + 1 + output padding
///
/// rows (PyTorch's rule). [`Padding::Same`] gives input times stride, as Keras does. Keras's `valid` is ours with an
/// output padding of `stride - kernel` where the stride is larger than the kernel, and ours as it is otherwise.
///
/// With dz = dy f'(z): dx = dz * w, dw = the sums over windows of dz times x, db = the sums of dz. Defaults as for
/// [`Convolution`]. PyTorch's weight `(channels, filters, height, width)` becomes ours by reversing its axes pairwise:
/// `(height, width, filters, channels)`.
///
/// ```
/// use layerwise::layers::{ConvTranspose2d, Padding};
/// use layerwise::prelude::*;
///
/// let layer = ConvTranspose2d::new(3, 4).stride(2).padding(Padding::Same);
/// assert_eq!(Layer::<f32>::output_shape(&layer, &[7, 7, 16])?, [14, 14, 3]);
/// # Ok::<(), Error>(())
/// ```
///
/// [`Convolution`]: super::Convolution
#[derive(Debug)]
pub struct TransposedConvolution<A: Scalar, const AXES: usize> {
    filters: usize,
    windows: Windows,
    output_padding: [usize; 2],
    groups: usize,
    activation: Activation,
    weight_start: Initializer,
    bias_start: Initializer,
    weight: Param<A>,
    bias: Option<Param<A>>,
}

impl<const AXES: usize> TransposedConvolution<f32, AXES> {
    /// With so many filters and windows of this size, for `f32` models.
    pub fn new(filters: usize, kernel: impl super::Extents<AXES>) -> Self {
        Self::of(filters, kernel)
    }
}

impl<A: Scalar, const AXES: usize> TransposedConvolution<A, AXES> {
    /// With so many filters and windows of this size, for models of any number type.
    pub fn of(filters: usize, kernel: impl super::Extents<AXES>) -> Self {
        TransposedConvolution {
            filters,
            windows: Windows::of(kernel.extents()),
            output_padding: [0; 2],
            groups: 1,
            activation: Activation::Linear,
            weight_start: Initializer::GlorotUniform,
            bias_start: Initializer::Zeros,
            weight: Param::new(),
            bias: Some(Param::new()),
        }
    }

    common_settings!();

    /// In how many parts channels and filters are cut; both must be multiples of it.
    #[must_use]
    pub fn groups(mut self, groups: usize) -> Self {
        self.groups = groups;
        self
    }

    /// So many rows and columns more at the bottom and right: of the sizes that a stride brings down to the same one, which
    /// is meant. Less than the stride or the dilation.
    #[must_use]
    pub fn output_padding(mut self, output_padding: impl super::Extents<AXES>) -> Self {
        self.output_padding = output_padding.extents();
        self.output_padding[0] *= AXES - 1;
        self
    }

    /// How w starts.
    #[must_use]
    pub fn weight_initializer(mut self, start: Initializer) -> Self {
        self.weight_start = start;
        self
    }

    /// w, `(kernel height, kernel width, filters / groups, channels)`, or without the height for sequences.
    pub fn weight(&self) -> &Param<A> {
        &self.weight
    }

    /// One axis of the output and the windows over it, which are the elements of the input.
    fn extent(&self, axis: usize, input: usize) -> Result<Extent> {
        let Window { size: kernel, stride, dilation, .. } = self.windows.window(axis);
        // Sizes, strides and dilations have at most 31 bits: the sum alone can be too large for a number.
        let reach = (input - 1).saturating_mul(stride).saturating_add((kernel - 1) * dilation + 1);
        let (more, name) = (self.output_padding[axis], axis_name(axis, AXES));
        if more > 0 && more >= stride.max(dilation) {
            let requirement = format!("less than the stride {stride} or the dilation {dilation}");
            return Err(Error::setting(format!("output_padding along the {name}"), requirement, more));
        }
        let (before, after, more) = match self.windows.padding(AXES) {
            Padding::Valid => (0, 0, more),
            Padding::Sides(sides) => (sides[axis].0, sides[axis].1, more),
            Padding::Same if more == 0 => {
                let wanted = input.saturating_mul(stride);
                let over = reach.saturating_sub(wanted);
                (over / 2, over - over / 2, wanted.saturating_sub(reach))
            }
            Padding::Same => return Err(Error::setting("output_padding with padding `same`", "0", more)),
            Padding::Causal => {
                let requirement = "valid, same or so much at each side";
                return Err(Error::setting("padding of a transposed convolution", requirement, "causal"));
            }
        };
        let whole = reach.saturating_add(more);
        let output = whole.checked_sub(before.saturating_add(after)).filter(|&output| output > 0);
        let Some(output) = output else {
            let requirement = format!("less in all than the {whole} that the output has without it");
            return Err(Error::setting(
                format!("padding along the {name}"),
                requirement,
                format!("{before} + {after}"),
            ));
        };
        Ok(Extent { input: output, output: input, kernel, stride, dilation, before })
    }

    /// The convolution whose gradient this is: it makes samples of this shape out of outputs.
    fn geometry(&self, sample: &[usize]) -> Result<Geometry> {
        let (sides, channels) = sides::<AXES>(sample)?;
        if self.groups == 0 || !channels.is_multiple_of(self.groups) || !self.filters.is_multiple_of(self.groups) {
            let requirement = format!("a divisor of {channels} channels and of {} filters", self.filters);
            return Err(Error::setting("groups", requirement, self.groups));
        }
        self.windows.check(AXES)?;
        check_channels(self.weight.get().ok().map(|weight| weight.shape()[AXES + 1]), channels, sample)?;
        if let Some(axis) = sides.iter().position(|&side| side == 0) {
            let expected = format!("at least 1 along the {}", axis_name(axis, AXES));
            return Err(Error::shape("input of one sample", expected, sample));
        }
        let (height, width) = (self.extent(0, sides[0])?, self.extent(1, sides[1])?);
        Ok(Geometry { height, width, channels: self.filters, filters: channels, groups: self.groups })
    }

    pub(super) fn from_config(settings: &Settings<'_, A>) -> Result<Self> {
        Ok(TransposedConvolution {
            filters: settings.get("filters")?,
            windows: Windows::from_config::<A, AXES>(settings)?,
            output_padding: along::<AXES>(settings.get("output_padding")?, 0),
            groups: settings.get("groups")?,
            activation: settings.get("activation")?,
            weight_start: settings.get("weight_initializer")?,
            bias_start: settings.get("bias_initializer")?,
            weight: Param::new(),
            bias: settings.get::<bool>("bias")?.then(Param::new),
        })
    }
}

impl<A: Scalar, const AXES: usize> Layer<A> for TransposedConvolution<A, AXES> {
    fn kind(&self) -> &str {
        if AXES == 1 { "ConvTranspose1d" } else { "ConvTranspose2d" }
    }

    fn config(&self) -> Value {
        let mut config = self.windows.describe(AXES);
        config.insert("filters".into(), json!(self.filters));
        config.insert("output_padding".into(), json!(self.output_padding[2 - AXES..]));
        config.insert("groups".into(), json!(self.groups));
        config.insert("bias".into(), json!(self.bias.is_some()));
        config.insert("activation".into(), self.activation.describe());
        config.insert("weight_initializer".into(), self.weight_start.describe());
        config.insert("bias_initializer".into(), self.bias_start.describe());
        Value::Object(config)
    }

    fn build(&mut self, input: &[usize], init: &mut Init<A>) -> Result<Vec<usize>> {
        let output = self.output_shape(input)?;
        let shape = weight_shape::<AXES>(self.windows.kernel, [self.filters / self.groups, input[AXES]]);
        init.param(&mut self.weight, &shape, &self.weight_start)?;
        if let Some(bias) = &mut self.bias {
            init.param_with_fans(bias, &[self.filters], &shape, &self.bias_start)?;
        }
        Ok(output)
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        self.activation.check()?;
        if self.filters == 0 {
            return Err(Error::setting("filters", "at least 1", 0));
        }
        let geometry = self.geometry(input)?;
        Ok(sample_shape::<AXES>([geometry.height.input, geometry.width.input], self.filters))
    }

    /// Every number of the input goes to a window of the output.
    fn cost(&self, input: &[usize], output: &[usize]) -> Result<Cost> {
        let Geometry { channels: filters, groups, .. } = self.geometry(input)?;
        let window = product(&self.windows.kernel).saturating_mul((filters / groups) as u64);
        let sums = product(input).saturating_mul(window);
        Ok(self.activation.fused_cost(sums, product(output), self.bias.is_some()))
    }

    fn forward(&self, x: &Tensor<A>, ctx: &mut Context<A>) -> Result<Tensor<A>> {
        let weight = self.weight.values()?;
        let geometry = self.geometry(sample_of(x.shape()))?;
        let output = [geometry.height.input, geometry.width.input];
        let mut y = ctx.tensor(batch_shape::<AXES>(x.shape()[0], output, self.filters).slice());
        input_gradient(&geometry, values(x)?, weight, values_mut(&mut y));
        if let Some(bias) = &self.bias {
            add_to_rows(values_mut(&mut y), bias.values()?);
        }
        self.activation.finish(y, ctx)
    }

    fn backward(
        &self,
        x: &Tensor<A>,
        y: &Tensor<A>,
        dy: &Tensor<A>,
        want_dx: bool,
        ctx: &mut Context<A>,
    ) -> Result<Option<Tensor<A>>> {
        let geometry = self.geometry(sample_of(x.shape()))?;
        let dz = self.activation.undo(y, dy, ctx)?;
        if let Some(grad) = ctx.grad(&self.weight) {
            let (grad, beta) = grad.into_parts();
            weight_gradient(&geometry, values(&dz)?, values(x)?, grad, beta);
        }
        if let Some(grad) = self.bias.as_ref().and_then(|bias| ctx.grad(bias)) {
            add_columns(values(&dz)?, grad.accumulate());
        }
        let mut dx = None;
        if want_dx {
            let mut gradient = ctx.tensor(x.shape());
            let ending = Ending::sum(A::zero());
            forward(&geometry, values(&dz)?, self.weight.values()?, values_mut(&mut gradient), ending);
            dx = Some(gradient);
        }
        ctx.recycle(dz);
        Ok(dx)
    }

    fn needs(&self) -> Needs {
        self.activation.fused_needs()
    }

    fn torch_names(&self, names: &mut TorchNames) {
        names.param("weight", "weight", TorchLayout::FirstTwoLast);
    }

    visit_params!(A; weight; bias);
}
