use serde_json::{Value, json};

use crate::context::Context;
use crate::error::{Error, Result};
use crate::io::{Fields, Place, Setting, Settings, real};
use crate::kernels::{elementwise, reduce};
use crate::layer::{Layer, Needs};
use crate::scalar::Scalar;
use crate::tensor::{Tensor, values, values_mut};

/// A function of each element (softmax: of each row), as a layer of its own or fused into another.
///
/// ```
/// use layerwise::prelude::*;
///
/// let model = Sequential::new()
///     .add(Dense::new(16).activation(Activation::Relu)) // fused: one pass less over memory
///     .add(Dense::new(16))
///     .add(Activation::Tanh); // a layer of its own
/// ```
///
/// exp, tanh and erf are within 2 units in the last place. NaN flows through every one.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
#[non_exhaustive]
pub enum Activation {
    /// x
    #[default]
    Linear,
    /// max(x, 0), with derivative 0 at 0.
    Relu,
    /// x for x > 0, slope * x elsewhere (derivative there: slope). Keras's default slope is 0.3, PyTorch's 0.01.
    LeakyRelu(f64),
    /// 1 / (1 + exp(-x))
    Sigmoid,
    /// tanh(x)
    Tanh,
    /// exp(x_i) / sum_j exp(x_j) over the last axis. To train a classifier leave it away and use
    /// [`SoftmaxCrossEntropy`](crate::losses::SoftmaxCrossEntropy) on the logits, which is faster and stable.
    Softmax,
    /// x Phi(x) with the normal distribution function Phi (Hendrycks and Gimpel 2016). The default in both libraries.
    Gelu,
    /// The tanh approximation of [`Gelu`](Self::Gelu), as GPT-2 has it.
    GeluTanh,
}

/// From what the derivative is computed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kept {
    Nothing,
    Input,
    Output,
}

/// Calls the kernel of each activation with the arguments and, where it has one, its parameter.
macro_rules! kernel {
    ($activation:expr, $width:expr,
     [$relu:path, $leaky_relu:path, $sigmoid:path, $tanh:path, $gelu:path, $gelu_tanh:path, $softmax:path],
     ($($arg:expr),*), $linear:expr) => {
        match $activation {
            Activation::Linear => $linear,
            Activation::Relu => $relu($($arg),*),
            Activation::LeakyRelu(slope) => $leaky_relu($($arg),*, A::of(slope)),
            Activation::Sigmoid => $sigmoid($($arg),*),
            Activation::Tanh => $tanh($($arg),*),
            Activation::Gelu => $gelu($($arg),*),
            Activation::GeluTanh => $gelu_tanh($($arg),*),
            Activation::Softmax => $softmax($($arg),*, $width),
        }
    };
}

impl Activation {
    /// From what the derivative is computed: the output where that suffices, since a fused layer keeps it anyway.
    pub(crate) fn kept(self) -> Kept {
        match self {
            Activation::Linear => Kept::Nothing,
            // A falling branch gives positive outputs on both sides: only the input tells them apart.
            Activation::LeakyRelu(slope) if slope < 0.0 => Kept::Input,
            Activation::Gelu | Activation::GeluTanh => Kept::Input,
            _ => Kept::Output,
        }
    }

    /// y = f(x), in rows of `width`.
    pub(crate) fn apply<A: Scalar>(self, x: &[A], y: &mut [A], width: usize) {
        use elementwise::{gelu, gelu_tanh, leaky_relu, relu, sigmoid, tanh};
        fn softmax<A: Scalar>(x: &[A], y: &mut [A], width: usize) {
            y.copy_from_slice(x);
            reduce::softmax_rows(y, width);
        }
        kernel!(self, width, [relu, leaky_relu, sigmoid, tanh, gelu, gelu_tanh, softmax], (x, y), y.copy_from_slice(x));
    }

    /// y = f(y), in rows of `width`.
    pub(crate) fn apply_in_place<A: Scalar>(self, y: &mut [A], width: usize) {
        use elementwise::{
            gelu_in_place, gelu_tanh_in_place, leaky_relu_in_place, relu_in_place, sigmoid_in_place, tanh_in_place,
        };
        use reduce::softmax_rows;
        kernel!(
            self,
            width,
            [
                relu_in_place,
                leaky_relu_in_place,
                sigmoid_in_place,
                tanh_in_place,
                gelu_in_place,
                gelu_tanh_in_place,
                softmax_rows
            ],
            (y),
            {}
        );
    }

    /// dx = dy f'(x), from what is [`kept`](Self::kept).
    pub(crate) fn gradient<A: Scalar>(self, kept: &[A], dy: &[A], dx: &mut [A], width: usize) {
        use elementwise::{
            gelu_gradient, gelu_tanh_gradient, leaky_relu_gradient, relu_gradient, sigmoid_gradient, tanh_gradient,
        };
        use reduce::softmax_gradient;
        kernel!(
            self,
            width,
            [
                relu_gradient,
                leaky_relu_gradient,
                sigmoid_gradient,
                tanh_gradient,
                gelu_gradient,
                gelu_tanh_gradient,
                softmax_gradient
            ],
            (kept, dy, dx),
            dx.copy_from_slice(dy)
        );
    }

    /// y = f(z) for a layer that has this activation fused and has just computed z: in place where backward does not
    /// ask for z.
    pub(crate) fn finish<A: Scalar>(self, mut z: Tensor<A>, ctx: &mut Context<A>) -> Result<Tensor<A>> {
        let width = row_width(&z);
        if ctx.is_recording() && self.kept() == Kept::Input {
            let mut y = ctx.tensor(z.shape());
            self.apply(values(&z)?, values_mut(&mut y), width);
            ctx.save(z);
            return Ok(y);
        }
        self.apply_in_place(values_mut(&mut z), width);
        Ok(z)
    }

    /// The way back: dz from dy, and y or what [`finish`](Self::finish) has saved.
    pub(crate) fn undo<A: Scalar>(self, y: &Tensor<A>, dy: &Tensor<A>, ctx: &mut Context<A>) -> Result<Tensor<A>> {
        let kept = match self.kept() {
            Kept::Nothing => return Ok(dy.clone()),
            Kept::Input => ctx.restore(),
            Kept::Output => y.clone(),
        };
        let mut dz = ctx.tensor(dy.shape());
        self.gradient(values(&kept)?, values(dy)?, values_mut(&mut dz), row_width(dy));
        ctx.recycle(kept);
        Ok(dz)
    }

    /// What the backward pass of a layer that reads its input and has this activation fused reads.
    pub(crate) fn fused_needs(self) -> Needs {
        Needs { input: true, output: self.kept() == Kept::Output }
    }

    /// The kinds of all of them.
    pub(super) const KINDS: [&str; 8] =
        ["Linear", "Relu", "LeakyRelu", "Sigmoid", "Tanh", "Softmax", "Gelu", "GeluTanh"];

    /// The settings of a layer that has this activation fused.
    pub(crate) fn describe(self) -> Value {
        match self {
            Activation::LeakyRelu(slope) => json!({ "name": self.name(), "slope": real(slope) }),
            _ => json!({ "name": self.name() }),
        }
    }

    /// The activation of one of the [kinds](Self::KINDS), with the slope where it has one.
    fn of_kind(kind: &str, slope: impl FnOnce() -> Result<f64>) -> Option<Result<Self>> {
        Some(match kind {
            "Linear" => Ok(Activation::Linear),
            "Relu" => Ok(Activation::Relu),
            "LeakyRelu" => slope().map(Activation::LeakyRelu),
            "Sigmoid" => Ok(Activation::Sigmoid),
            "Tanh" => Ok(Activation::Tanh),
            "Softmax" => Ok(Activation::Softmax),
            "Gelu" => Ok(Activation::Gelu),
            "GeluTanh" => Ok(Activation::GeluTanh),
            _ => return None,
        })
    }

    /// As a layer of its own.
    pub(super) fn from_config<A: Scalar>(kind: &str, settings: &Settings<'_, A>) -> Result<Self> {
        Self::of_kind(kind, || settings.get("slope"))
            .unwrap_or_else(|| Err(Error::setting("activation", "the kind of one", kind)))
    }

    fn name(self) -> &'static str {
        match self {
            Activation::Linear => "Linear",
            Activation::Relu => "Relu",
            Activation::LeakyRelu(_) => "LeakyRelu",
            Activation::Sigmoid => "Sigmoid",
            Activation::Tanh => "Tanh",
            Activation::Softmax => "Softmax",
            Activation::Gelu => "Gelu",
            Activation::GeluTanh => "GeluTanh",
        }
    }
}

impl Setting for Activation {
    fn read(value: &Value, place: Place<'_>) -> Result<Self> {
        let fields = Fields::of(value, place)?;
        let name: String = fields.get("name")?;
        let activation = Self::of_kind(&name, || fields.get("slope"))
            .unwrap_or_else(|| Err(place.refuse("an object with the name of an activation", value)))?;
        fields.finish()?;
        Ok(activation)
    }
}

/// The length of the last axis: the width of the rows that softmax works on.
fn row_width<A>(x: &Tensor<A>) -> usize {
    x.shape().last().copied().unwrap_or(1)
}

impl<A: Scalar> Layer<A> for Activation {
    fn kind(&self) -> &str {
        self.name()
    }

    fn config(&self) -> Value {
        match self {
            Activation::LeakyRelu(slope) => json!({ "slope": real(*slope) }),
            _ => Value::Null,
        }
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        Ok(input.to_vec())
    }

    fn forward(&self, x: &Tensor<A>, ctx: &mut Context<A>) -> Result<Tensor<A>> {
        if *self == Activation::Linear {
            return Ok(x.clone());
        }
        let mut y = ctx.tensor(x.shape());
        self.apply(values(x)?, values_mut(&mut y), row_width(x));
        Ok(y)
    }

    fn backward(
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
        let kept = match self.kept() {
            Kept::Nothing => return Ok(Some(dy.clone())),
            Kept::Input => x,
            Kept::Output => y,
        };
        let mut dx = ctx.tensor(dy.shape());
        self.gradient(values(kept)?, values(dy)?, values_mut(&mut dx), row_width(dy));
        Ok(Some(dx))
    }

    fn needs(&self) -> Needs {
        match self.kept() {
            Kept::Nothing => Needs::NEITHER,
            Kept::Input => Needs::INPUT,
            Kept::Output => Needs::OUTPUT,
        }
    }
}
