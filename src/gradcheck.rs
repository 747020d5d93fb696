//! Gradients held against finite differences.

use ndarray::IxDyn;
use rand::Rng;

use crate::context::{Context, Mode};
use crate::error::{Error, Result};
use crate::layer::{Layer, Merge};
use crate::losses::Loss;
use crate::model::Model;
use crate::models::Graph;
use crate::param::{Param, ParamId, Visitor};
use crate::seed::{Stream, stream};
use crate::tensor::{Tensor, from_vec, unravel, values, values_mut};

/// How [`gradcheck`](crate::gradcheck()) works.
#[derive(Clone, Copy, Debug)]
pub struct GradCheck {
    /// Whether the layer trains or serves. Default: training.
    pub mode: Mode,
    /// How far a value x is moved to either side: this times max(1, |x|). Default: 1e-6.
    pub epsilon: f64,
    /// How far two gradients a and b may be apart: this times max(1, |a|, |b|). Default: 1e-6.
    pub tolerance: f64,
    /// Of the random stream that the layer sees in each pass, and of the random factors of the outputs. Default: 0.
    pub seed: u64,
}

impl Default for GradCheck {
    fn default() -> Self {
        GradCheck { mode: Mode::Training, epsilon: 1e-6, tolerance: 1e-6, seed: 0 }
    }
}

impl GradCheck {
    /// The same in inference.
    pub fn inference() -> Self {
        GradCheck { mode: Mode::Inference, ..Self::default() }
    }
}

/// What [`gradcheck`](crate::gradcheck()) has compared.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GradReport {
    /// The number of values whose gradient was compared.
    pub compared: usize,
    /// The largest distance between two gradients a and b, over max(1, |a|, |b|).
    pub worst: f64,
    /// Where that was: `weight[2, 0]`, `input 0[1, 3]`.
    pub place: String,
}

impl GradReport {
    /// Takes one comparison in, or refuses it.
    fn compare(&mut self, place: impl Fn() -> String, analytic: f64, numeric: f64, tolerance: f64) -> Result<()> {
        let apart = (analytic - numeric).abs() / analytic.abs().max(numeric.abs()).max(1.0);
        if apart > tolerance || apart.is_nan() {
            let place = place();
            let message = format!("gradient of {place}: backward gives {analytic}, finite differences give {numeric}");
            return Err(Error::custom(message));
        }
        self.compared += 1;
        if apart > self.worst || self.place.is_empty() {
            (self.worst, self.place) = (apart, place());
        }
        Ok(())
    }
}

/// Compares the gradients of a built layer or network, of each input and of each trainable parameter, with central
/// finite differences in `f64`: what every new layer's first test should be.
///
/// The outputs are contracted with fixed random factors into one number, to which comes what layers add to the loss
/// ([`Context::penalty`]); its gradient is taken. Every pass sees the same random stream, so that dropout drops the same elements. Tensors that [`Layer::needs`] says are not read are
/// passed empty, as a container does. Inputs for which backward gives no gradient (token ids) are left out:
/// [`GradReport::compared`] tells how many values were not. It also checks that gradients
/// of parameters add up when the layer is used twice in a step, and that they do not depend on whether the gradient of
/// the input is wanted.
///
/// Finite differences are wrong near a kink: keep inputs of ReLUs away from 0, by more than [`GradCheck::epsilon`].
///
/// # Errors
/// Where a gradient is off, with the place and both values; and whatever error a pass gives.
///
/// ```
/// use layerwise::prelude::*;
/// use layerwise::{GradCheck, gradcheck, to_tensor};
/// use ndarray::array;
///
/// let mut layer = Dense::<f64>::of(2).activation(Activation::Tanh);
/// layer.initialize(&[3], 0)?;
/// let x = to_tensor(&array![[0.1, -0.4, 0.7], [1.2, 0.3, -0.5]])?;
/// let report = gradcheck(&mut layer, &[x.clone()], &GradCheck::default())?;
/// assert_eq!(report.compared, 6 + 6 + 2); // x, weight, bias
///
/// // A layer of one's own, with a mistake in backward: y = x^2, but dx = dy x.
/// let mut square = Lambda::<f64>::elementwise("square", |x| x * x, |x| x);
/// let error = gradcheck(&mut square, &[x], &GradCheck::default()).unwrap_err();
/// assert!(error.to_string().starts_with("gradient of input 0[0, 0]: backward gives "));
/// # Ok::<(), Error>(())
/// ```
pub fn gradcheck(layer: &mut dyn Layer<f64>, inputs: &[Tensor<f64>], options: &GradCheck) -> Result<GradReport> {
    let mut inputs: Vec<_> = inputs.iter().map(|x| x.as_standard_layout().into_owned().into_shared()).collect();
    let mut ctx = Context::training(layer, options.seed);
    let ys = outputs(layer, &inputs, &mut ctx, options)?;
    let (_, values_of_layer) = ys.split_last().expect("the penalty is there");
    let mut factors = random_factors(values_of_layer, options.seed);
    let (dxs, params) = gradients(layer, &inputs, &factors, &mut ctx, options)?;
    factors.push(Tensor::ones(IxDyn(&[1])));
    let mut report = GradReport::default();

    for (number, dx) in dxs.iter().enumerate() {
        let Some(dx) = dx else { continue };
        for (position, &gradient) in dx.iter().enumerate() {
            let value = values(&inputs[number])?[position];
            let numeric = difference(value, &factors, options, |value| {
                values_mut(&mut inputs[number])[position] = value;
                outputs(layer, &inputs, &mut ctx, options)
            })?;
            values_mut(&mut inputs[number])[position] = value;
            let place = || format!("input {number}{:?}", unravel(position, dx.shape()));
            report.compare(place, gradient, numeric, options.tolerance)?;
        }
    }
    for Parameter { id, name, value, gradient } in &params {
        let shape = value.shape();
        for (position, (&value, &gradient)) in value.iter().zip(gradient).enumerate() {
            let numeric = difference(value, &factors, options, |value| {
                put(layer, *id, position, value);
                outputs(layer, &inputs, &mut ctx, options)
            });
            put(layer, *id, position, value); // before an error can leave, too
            let numeric = numeric?;
            let place = || format!("{name}{:?}", unravel(position, shape));
            report.compare(place, gradient, numeric, options.tolerance)?;
        }
    }
    Ok(report)
}

/// [`gradcheck`](crate::gradcheck()) for a merge, which is built for these inputs.
///
/// # Errors
/// As there, and where the inputs cannot be joined.
pub fn gradcheck_merge(
    merge: impl Merge<f64> + 'static,
    inputs: &[Tensor<f64>],
    options: &GradCheck,
) -> Result<GradReport> {
    let mut graph = Graph::of();
    let nodes: Vec<_> = inputs.iter().map(|_| graph.input()).collect();
    let joined = graph.merge(merge, &nodes);
    let mut graph = graph.outputs(&[joined]);
    let shapes: Vec<_> = inputs.iter().map(|x| x.shape().get(1..).unwrap_or_default().to_vec()).collect();
    graph.initialize_all(&shapes, options.seed)?;
    gradcheck(&mut graph, inputs, options)
}

/// Compares the gradient of a loss with respect to the output with finite differences, for these targets and weights.
///
/// # Errors
/// Where the gradient is off, with the place and both values; and whatever error the loss gives.
pub fn gradcheck_loss(
    loss: &dyn Loss<f64>,
    output: &Tensor<f64>,
    target: &Tensor<f64>,
    weights: Option<&[f64]>,
    options: &GradCheck,
) -> Result<GradReport> {
    let mut output = output.as_standard_layout().into_owned().into_shared();
    let (_, gradient) = loss.evaluate(&output, target, weights)?;
    check_shape("gradient of the loss", &gradient, &output)?;
    let one = Tensor::ones(IxDyn(&[1]));
    let mut report = GradReport::default();
    for (position, &gradient) in gradient.iter().enumerate() {
        let value = values(&output)?[position];
        let numeric = difference(value, std::slice::from_ref(&one), options, |value| {
            values_mut(&mut output)[position] = value;
            Ok(vec![from_vec(&[1], vec![loss.evaluate(&output, target, weights)?.0])])
        })?;
        values_mut(&mut output)[position] = value;
        let place = || format!("output{:?}", unravel(position, output.shape()));
        report.compare(place, gradient, numeric, options.tolerance)?;
    }
    Ok(report)
}

/// The outputs of a pass, always with the same random stream, and behind them what layers add to the loss.
fn outputs(
    layer: &dyn Layer<f64>,
    inputs: &[Tensor<f64>],
    ctx: &mut Context<f64>,
    options: &GradCheck,
) -> Result<Vec<Tensor<f64>>> {
    ctx.begin(options.mode, false);
    ctx.seed(options.seed, 0, 0);
    let mut ys = Vec::new();
    layer.forward_all(inputs, &mut ys, ctx)?;
    ys.push(from_vec(&[1], vec![ctx.penalty()]));
    Ok(ys)
}

/// One number from -1 to 1 for each value of each output: the gradients of the outputs.
fn random_factors(ys: &[Tensor<f64>], seed: u64) -> Vec<Tensor<f64>> {
    let mut rng = stream(seed, Stream::Weights);
    let mut factors = |y: &Tensor<f64>| from_vec(y.shape(), y.iter().map(|_| rng.random_range(-1.0..1.0)).collect());
    ys.iter().map(&mut factors).collect()
}

/// (L(x + h) - L(x - h)) / 2h for the contracted outputs L. The outputs are subtracted before they are added up, which
/// keeps the digits.
fn difference(
    x: f64,
    factors: &[Tensor<f64>],
    options: &GradCheck,
    mut outputs_at: impl FnMut(f64) -> Result<Vec<Tensor<f64>>>,
) -> Result<f64> {
    let step = options.epsilon * x.abs().max(1.0);
    let (above, below) = (x + step, x - step);
    let (high, low) = (outputs_at(above)?, outputs_at(below)?);
    let mut total = 0.0;
    for ((high, low), factors) in high.iter().zip(&low).zip(factors) {
        total += high.iter().zip(low).zip(factors).map(|((high, low), factor)| (high - low) * factor).sum::<f64>();
    }
    Ok(total / (above - below))
}

/// A trainable parameter and what backward says of it.
struct Parameter {
    id: ParamId,
    name: String,
    value: Tensor<f64>,
    gradient: Tensor<f64>,
}

/// One for each input that has one.
type InputGradients = Vec<Option<Tensor<f64>>>;

/// The gradients that backward gives: of the inputs and of the trainable parameters.
fn gradients(
    layer: &dyn Layer<f64>,
    inputs: &[Tensor<f64>],
    factors: &[Tensor<f64>],
    ctx: &mut Context<f64>,
    options: &GradCheck,
) -> Result<(InputGradients, Vec<Parameter>)> {
    ctx.begin(options.mode, true);
    let dxs = backward(layer, inputs, factors, true, ctx, options)?;
    let params = parameters(layer, ctx)?;
    // Once more in the same step, without the gradients of the inputs.
    backward(layer, inputs, factors, false, ctx, options)?;
    for (param, again) in params.iter().zip(parameters(layer, ctx)?) {
        for (position, (once, twice)) in param.gradient.iter().zip(&again.gradient).enumerate() {
            if (twice - 2.0 * once).abs() > 1e-9 * twice.abs().max(1.0) {
                let place = format!("{}{:?}", param.name, unravel(position, param.value.shape()));
                return Err(Error::custom(format!(
                    "gradient of {place}: backward gives {once}, but where it runs twice in a step, the second time \
                     without the gradient of the input, {twice} instead of the sum"
                )));
            }
        }
    }
    Ok((dxs, params))
}

/// Forward and backward, with the values that [`Layer::needs`] leaves out taken away.
fn backward(
    layer: &dyn Layer<f64>,
    inputs: &[Tensor<f64>],
    factors: &[Tensor<f64>],
    want_dxs: bool,
    ctx: &mut Context<f64>,
    options: &GradCheck,
) -> Result<InputGradients> {
    ctx.seed(options.seed, 0, 0);
    ctx.set_mask(None);
    let mut ys = Vec::new();
    layer.forward_all(inputs, &mut ys, ctx)?;
    let given = |wanted: bool, tensors: &[Tensor<f64>], ctx: &Context<f64>| -> Vec<_> {
        tensors.iter().map(|tensor| if wanted { tensor.clone() } else { ctx.nothing() }).collect()
    };
    let (xs, ys) = (given(layer.needs().input, inputs, ctx), given(layer.needs().output, &ys, ctx));
    let dys: Vec<_> = factors.iter().cloned().map(Some).collect();
    let mut dxs = Vec::new();
    layer.backward_all(&xs, &ys, &dys, want_dxs, &mut dxs, ctx)?;
    if dxs.len() != inputs.len() {
        return Err(Error::length("gradients of the inputs", inputs.len(), dxs.len()));
    }
    for (dx, x) in dxs.iter().zip(inputs) {
        dx.as_ref().map_or(Ok(()), |dx| check_shape("gradient of the input", dx, x))?;
    }
    Ok(dxs)
}

fn check_shape(what: &str, gradient: &Tensor<f64>, value: &Tensor<f64>) -> Result<()> {
    if gradient.shape() == value.shape() {
        return Ok(());
    }
    Err(Error::shape(what, format!("shape {:?}", value.shape()), gradient.shape()))
}

/// Each trainable parameter once, with zeros where no layer added a gradient.
fn parameters(layer: &dyn Layer<f64>, ctx: &Context<f64>) -> Result<Vec<Parameter>> {
    let mut found: Vec<Parameter> = Vec::new();
    for (name, param) in layer.params() {
        if !param.is_trainable() || found.iter().any(|known| known.id == param.id()) {
            continue;
        }
        let value = param.get()?.clone();
        let gradient = ctx.gradient_of(param)?.unwrap_or_else(|| Tensor::zeros(value.raw_dim()));
        found.push(Parameter { id: param.id(), name, value, gradient });
    }
    Ok(found)
}

/// Sets one value of a parameter, in every handle to it.
fn put(layer: &mut dyn Layer<f64>, id: ParamId, position: usize, value: f64) {
    let mut set = |_: &str, param: &mut Param<f64>| {
        if param.id() == id
            && let Some(values) = param.values_mut()
        {
            values[position] = value;
        }
    };
    layer.visit_mut(&mut Visitor::unnamed(&mut set));
}
