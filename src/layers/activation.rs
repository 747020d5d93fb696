mod settings;

use serde_json::Value;

use crate::context::Context;
use crate::cost::{Cost, product};
use crate::error::Result;
use crate::kernels::activation::{self as function, Function};
use crate::kernels::reduce;
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
///     .add(Dense::new(16).activation(Activation::Elu(1.0)))
///     .add(Dense::new(16))
///     .add(Activation::Tanh); // a layer of its own
/// ```
///
/// exp, exp - 1, tanh, erf and ln(1 + x) are within 2 units in the last place. Derivatives at kinks are PyTorch's. NaN
/// flows through every one.
///
/// A slope that is learned is a layer: [`PRelu`](crate::layers::PRelu); so is softmax over another axis than the last:
/// [`Softmax`](crate::layers::Softmax) and [`LogSoftmax`](crate::layers::LogSoftmax).
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
    /// min(max(x, 0), 6), with derivative 0 at 0 and 6 (Howard et al. 2017).
    Relu6,
    /// x for x > 0, alpha (exp(x) - 1) elsewhere, with alpha from 0 (Clevert et al. 2015). 1 in both libraries.
    Elu(f64),
    /// 1.0507 times [`Elu`](Self::Elu) with alpha 1.6733, to all digits (Klambauer et al. 2017).
    Selu,
    /// x for x > 0, alpha (exp(x / alpha) - 1) elsewhere, with alpha above 0 (Barron 2017). 1 in both libraries.
    Celu(f64),
    /// 1 / (1 + exp(-x))
    Sigmoid,
    /// ln(1 / (1 + exp(-x))), which is -ln(1 + exp(-x)).
    LogSigmoid,
    /// min(max(x + 3, 0), 6) / 6, as in PyTorch and Keras 3; Keras 2 had another slope. Derivative 0 at -3 and 3.
    HardSigmoid,
    /// tanh(x)
    Tanh,
    /// min(max(x, a), b) for `HardTanh(a, b)`, with derivative 0 at both. PyTorch's default is -1 and 1.
    HardTanh(f64, f64),
    /// x - tanh(x)
    TanhShrink,
    /// exp(x_i) / sum_j exp(x_j) over the last axis. To train a classifier leave it away and use
    /// [`SoftmaxCrossEntropy`](crate::losses::SoftmaxCrossEntropy) on the logits, which is faster and stable.
    Softmax,
    /// x_i - ln(sum_j exp(x_j)) over the last axis: the logarithm of [`Softmax`](Self::Softmax), without its
    /// underflow.
    LogSoftmax,
    /// x Phi(x) with the normal distribution function Phi (Hendrycks and Gimpel 2016). The default in both libraries.
    Gelu,
    /// The tanh approximation of [`Gelu`](Self::Gelu), as GPT-2 has it.
    GeluTanh,
    /// x / (1 + exp(-x)), also known as swish (Elfwing et al. 2017, Ramachandran et al. 2017).
    Silu,
    /// x min(max(x + 3, 0), 6) / 6 (Howard et al. 2019), with derivative 0 at -3 and 1 at 3.
    HardSwish,
    /// x tanh(ln(1 + exp(x))) (Misra 2019).
    Mish,
    /// ln(1 + exp(beta x)) / beta; beta is 1 in Keras and by default in PyTorch. It is exact everywhere: PyTorch's
    /// `threshold`, beyond which it takes x itself, is not needed.
    Softplus(f64),
    /// x / (1 + |x|)
    Softsign,
    /// exp(x)
    Exponential,
    /// x for |x| > lambda, 0 elsewhere, with lambda from 0. The default in both libraries is 0.5.
    HardShrink(f64),
    /// x moved towards 0 by lambda for |x| > lambda, 0 elsewhere, with lambda from 0. The default in both libraries is
    /// 0.5.
    SoftShrink(f64),
    /// x for x > a, b elsewhere, for `Threshold(a, b)`.
    Threshold(f64, f64),
}

/// From what the derivative is computed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kept {
    Nothing,
    Input,
    Output,
}

/// alpha and the factor of [`Activation::Selu`], for which mean 0 and variance 1 are a fixed point.
const SELU: (f64, f64) = (1.673_263_242_354_377_2, 1.050_700_987_355_480_5);

impl Activation {
    /// From what the derivative is computed: the output where that suffices, since a fused layer keeps it anyway.
    pub(crate) fn kept(self) -> Kept {
        use Activation::*;
        match self {
            Linear => Kept::Nothing,
            // A falling branch gives positive outputs on both sides: only the input tells them apart.
            LeakyRelu(slope) if slope < 0.0 => Kept::Input,
            Gelu | GeluTanh | Silu | HardSwish | Mish | TanhShrink | Threshold(..) => Kept::Input,
            // From the output it would lose its digits where that is near 1.
            Softsign => Kept::Input,
            _ => Kept::Output,
        }
    }

    /// The function of each element, where it is one.
    fn function<A: Scalar>(self) -> Option<Function<A>> {
        Some(match self {
            Activation::Linear | Activation::Softmax | Activation::LogSoftmax => return None,
            Activation::Relu => function::relu(),
            Activation::LeakyRelu(slope) => function::leaky_relu(slope),
            Activation::Relu6 => function::clamp(0.0, 6.0, 0.0, 1.0),
            Activation::Elu(alpha) => function::elu(alpha, 1.0, 1.0),
            Activation::Selu => function::elu(SELU.0 * SELU.1, 1.0, SELU.1),
            Activation::Celu(alpha) => function::elu(alpha, 1.0 / alpha, 1.0),
            Activation::Sigmoid => function::sigmoid(),
            Activation::LogSigmoid => function::softplus(-1.0, -1.0),
            Activation::HardSigmoid => function::clamp(0.0, 1.0, 3.0, 1.0 / 6.0),
            Activation::Tanh => function::tanh(),
            Activation::HardTanh(min, max) => function::clamp(min, max, 0.0, 1.0),
            Activation::TanhShrink => function::tanh_shrink(),
            Activation::Gelu => function::gelu(),
            Activation::GeluTanh => function::gelu_tanh(),
            Activation::Silu => function::silu(),
            Activation::HardSwish => function::hard_swish(),
            Activation::Mish => function::mish(),
            Activation::Softplus(beta) => function::softplus(beta, 1.0 / beta),
            Activation::Softsign => function::softsign(),
            Activation::Exponential => function::exponential(),
            Activation::HardShrink(lambda) => function::shrink(lambda, 0.0),
            Activation::SoftShrink(lambda) => function::shrink(lambda, lambda),
            Activation::Threshold(threshold, value) => function::threshold(threshold, value),
        })
    }

    /// y = f(x), in rows of `width`.
    pub(crate) fn apply<A: Scalar>(self, x: &[A], y: &mut [A], width: usize) {
        match self.function() {
            Some(function) => function.apply(x, y),
            None => {
                y.copy_from_slice(x);
                self.apply_in_place(y, width);
            }
        }
    }

    /// y = f(y), in rows of `width`.
    pub(crate) fn apply_in_place<A: Scalar>(self, y: &mut [A], width: usize) {
        match self {
            Activation::Softmax => reduce::softmax_rows(y, width),
            Activation::LogSoftmax => reduce::log_softmax_rows(y, width),
            _ => self.function().iter().for_each(|function| function.apply_in_place(y)),
        }
    }

    /// dx = dy f'(x), from what is [`kept`](Self::kept).
    pub(crate) fn gradient<A: Scalar>(self, kept: &[A], dy: &[A], dx: &mut [A], width: usize) {
        match (self, self.function()) {
            (_, Some(function)) => function.gradient(kept, dy, dx),
            (Activation::Softmax, None) => reduce::softmax_gradient(kept, dy, dx, width),
            (Activation::LogSoftmax, None) => reduce::log_softmax_gradient(kept, dy, dx, width),
            (_, None) => dx.copy_from_slice(dy),
        }
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

    /// What a layer costs that has this activation fused: multiplications with addition, a bias for each of the
    /// `values`, the activation.
    pub(crate) fn fused_cost(self, multiplications: u64, values: u64, bias: bool) -> Cost {
        let sums = multiplications.saturating_mul(2);
        let biases = if bias { values } else { 0 };
        let cost = Cost::of(sums.saturating_add(biases).saturating_add(self.operations(values)));
        if self.kept() == Kept::Input { cost.saving(values) } else { cost }
    }

    /// The operations for so many values. In softmax a value takes part in a maximum and a sum, is moved, goes through
    /// a function, and is divided or moved again.
    fn operations(self, values: u64) -> u64 {
        match self {
            Activation::Linear => 0,
            Activation::Softmax | Activation::LogSoftmax => values.saturating_mul(5),
            _ => values,
        }
    }

    /// What the backward pass of a layer that reads its input and has this activation fused reads.
    pub(crate) fn fused_needs(self) -> Needs {
        Needs { input: true, output: self.kept() == Kept::Output }
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
        self.layer_config()
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        self.check()?;
        Ok(input.to_vec())
    }

    fn cost(&self, _: &[usize], output: &[usize]) -> Result<Cost> {
        Ok(if *self == Activation::Linear { Cost::view() } else { Cost::of(self.operations(product(output))) })
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

    fn keeps_mask(&self) -> bool {
        true
    }

    fn needs(&self) -> Needs {
        match self.kept() {
            Kept::Nothing => Needs::NEITHER,
            Kept::Input => Needs::INPUT,
            Kept::Output => Needs::OUTPUT,
        }
    }
}
