//! The trait of layers, and that of merges.

use serde_json::Value;

use crate::context::Context;
use crate::cost::{Cost, product};
use crate::error::{Error, Result};
use crate::initializers::Init;
use crate::io::TorchNames;
use crate::param::{Param, Visitor};
use crate::scalar::Scalar;
use crate::summary::Summary;
use crate::tensor::Tensor;

/// What a layer's backward reads, so that a container can drop the rest early.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Needs {
    /// The input of forward.
    pub input: bool,
    /// The output of forward.
    pub output: bool,
}

impl Needs {
    /// Both: always right.
    pub const BOTH: Needs = Needs { input: true, output: true };
    /// The input alone.
    pub const INPUT: Needs = Needs { input: true, output: false };
    /// The output alone.
    pub const OUTPUT: Needs = Needs { input: false, output: true };
    /// Neither; the layer saves what it needs, if anything.
    pub const NEITHER: Needs = Needs { input: false, output: false };
}

/// A function with parameters, and its derivative beside it.
///
/// A layer holds its configuration and its parameters and nothing else: neither [`forward`](Self::forward) nor
/// [`backward`](Self::backward) changes it, so that one model serves many threads at once and may stand twice in a
/// network. All that a pass needs is in the [`Context`]. Axis 0 of every tensor is the batch; the shapes of
/// [`build`](Self::build) and [`output_shape`](Self::output_shape) are those of one sample, without it.
///
/// A layer of one's own takes five methods, in plain ndarray code:
///
/// ```
/// use layerwise::prelude::*;
///
/// /// y = x^2
/// struct Square;
///
/// impl<A: Scalar> Layer<A> for Square {
///     fn kind(&self) -> &str {
///         "Square"
///     }
///
///     fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
///         Ok(input.to_vec())
///     }
///
///     fn forward(&self, x: &Tensor<A>, _: &mut Context<A>) -> Result<Tensor<A>> {
///         Ok((x * x).into_shared())
///     }
///
///     fn backward(
///         &self, x: &Tensor<A>, _: &Tensor<A>, dy: &Tensor<A>, _: bool, _: &mut Context<A>,
///     ) -> Result<Option<Tensor<A>>> {
///         Ok(Some((dy * &(x * A::of(2.0))).into_shared()))
///     }
/// }
/// ```
pub trait Layer<A: Scalar = f32>: Send + Sync {
    /// The layer's type, as errors, summaries and files name it.
    fn kind(&self) -> &str;

    /// The settings, as JSON, from which a [`Registry`](crate::io::Registry) makes the layer again: all of them. A layer
    /// without settings leaves this alone.
    fn config(&self) -> Value {
        Value::Null
    }

    /// Makes the parameters for samples of the shape `input` and gives the shape of one output. A layer without
    /// parameters leaves this alone. Values are not to be read here: those of a file come after it.
    ///
    /// # Errors
    /// Where the layer cannot work on this shape, or its settings are none.
    fn build(&mut self, input: &[usize], init: &mut Init<A>) -> Result<Vec<usize>> {
        let _ = init;
        self.output_shape(input)
    }

    /// The shape of one output for samples of the shape `input`. A layer that is used twice may meet two shapes.
    ///
    /// # Errors
    /// Where the layer cannot work on this shape.
    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>>;

    /// y = f(x).
    ///
    /// # Errors
    /// Where the input has a shape or holds a value that the layer cannot take.
    fn forward(&self, x: &Tensor<A>, ctx: &mut Context<A>) -> Result<Tensor<A>>;

    /// Adds the gradients of the parameters through [`Context::grad`], and gives the gradient of the input if
    /// `want_dx` (and if there is one: token ids have none). `x` and `y` are those of the forward pass, empty where
    /// [`needs`](Self::needs) says that they are not read; `dy` is the gradient of the output.
    ///
    /// # Errors
    /// As for [`forward`](Self::forward).
    fn backward(
        &self,
        x: &Tensor<A>,
        y: &Tensor<A>,
        dy: &Tensor<A>,
        want_dx: bool,
        ctx: &mut Context<A>,
    ) -> Result<Option<Tensor<A>>>;

    /// What backward reads of forward's values.
    fn needs(&self) -> Needs {
        Needs::BOTH
    }

    /// Whether samples of a batch influence each other ([`Context::all_reduce`]), so that the shards of a batch must
    /// run side by side.
    fn couples_samples(&self) -> bool {
        false
    }

    /// Whether the output has the steps of the input, so that a mask of them ([`Context::mask`]) is the output's too; or
    /// the layer sets the mask itself. Otherwise the mask ends here. Default: no.
    fn keeps_mask(&self) -> bool {
        false
    }

    /// Hands every parameter to the visitor; [`visit_params!`](crate::visit_params) writes both methods.
    fn visit<'a>(&'a self, visitor: &mut Visitor<'_, &'a Param<A>>) {
        let _ = visitor;
    }

    /// The same, to change them. In the same order.
    fn visit_mut<'a>(&'a mut self, visitor: &mut Visitor<'_, &'a mut Param<A>>) {
        let _ = visitor;
    }

    /// Tells how PyTorch names and lays out the parameters, for files that come from there
    /// ([`LoadWeights::pytorch`](crate::io::LoadWeights::pytorch)). What is not told has the same name and layout;
    /// containers open a scope for each child, of the same names as in [`visit`](Self::visit).
    fn torch_names(&self, names: &mut TorchNames) {
        let _ = names;
    }

    /// Adds the layer's lines to a summary; containers add their children.
    ///
    /// # Errors
    /// As for [`output_shape`](Self::output_shape).
    fn summarize(&self, inputs: &[Vec<usize>], summary: &mut Summary) -> Result<()> {
        let mut params = Vec::new();
        let mut each = |_: &str, param: &Param<A>| params.push((param.id(), param.len(), param.is_trainable()));
        self.visit(&mut Visitor::unnamed(&mut each));
        let outputs = self.output_shapes(inputs)?;
        let cost = match (inputs, &outputs[..]) {
            ([input], [output]) => self.cost(input, output)?,
            _ => outputs.iter().fold(Cost::default(), |sum, output| sum.plus(Cost::elementwise(output))),
        };
        summary.add(self.kind(), &outputs, &params, cost);
        Ok(())
    }

    /// What one sample costs, from its shape and that of its output: operations and memory, as [`Cost`] counts them.
    /// Without this it is taken for one operation for each number of the output and nothing saved, an estimate that
    /// fits layers which work element by element.
    ///
    /// # Errors
    /// As for [`output_shape`](Self::output_shape).
    fn cost(&self, input: &[usize], output: &[usize]) -> Result<Cost> {
        let _ = input;
        Ok(Cost::elementwise(output))
    }

    /// The shapes of one sample of each input that it was built for, where it keeps them: containers do, so that a file
    /// can say what to build a model for.
    fn built_for(&self) -> Option<Vec<Vec<usize>>> {
        None
    }

    // For networks with several inputs or outputs. Layers with one of each leave the rest alone.

    /// The number of inputs and of outputs.
    fn ports(&self) -> (usize, usize) {
        (1, 1)
    }

    /// [`build`](Self::build) for several inputs.
    ///
    /// # Errors
    /// As there, and where the number of inputs is another.
    fn build_all(&mut self, inputs: &[Vec<usize>], init: &mut Init<A>) -> Result<Vec<Vec<usize>>> {
        Ok(vec![self.build(single(inputs, "input shapes")?, init)?])
    }

    /// [`output_shape`](Self::output_shape) for several inputs.
    ///
    /// # Errors
    /// As there, and where the number of inputs is another.
    fn output_shapes(&self, inputs: &[Vec<usize>]) -> Result<Vec<Vec<usize>>> {
        Ok(vec![self.output_shape(single(inputs, "input shapes")?)?])
    }

    /// [`forward`](Self::forward) for several inputs; the outputs are pushed to `ys`.
    ///
    /// # Errors
    /// As there, and where the number of inputs is another.
    fn forward_all(&self, xs: &[Tensor<A>], ys: &mut Vec<Tensor<A>>, ctx: &mut Context<A>) -> Result<()> {
        let y = self.forward(single(xs, "inputs")?, ctx)?;
        ys.push(y);
        Ok(())
    }

    /// [`backward`](Self::backward) for several outputs. An output that no loss reaches has no gradient; the gradient
    /// of each input is pushed to `dxs`, `None` where there is none.
    ///
    /// # Errors
    /// As there, and where the number of inputs is another.
    fn backward_all(
        &self,
        xs: &[Tensor<A>],
        ys: &[Tensor<A>],
        dys: &[Option<Tensor<A>>],
        want_dxs: bool,
        dxs: &mut Vec<Option<Tensor<A>>>,
        ctx: &mut Context<A>,
    ) -> Result<()> {
        let dx = match single(dys, "gradients")? {
            Some(dy) => self.backward(single(xs, "inputs")?, single(ys, "outputs")?, dy, want_dxs, ctx)?,
            None => None,
        };
        dxs.push(dx);
        Ok(())
    }
}

fn single<'a, T>(items: &'a [T], what: &str) -> Result<&'a T> {
    match items {
        [item] => Ok(item),
        _ => Err(Error::length(format!("{what} of a layer with one input and one output"), 1, items.len())),
    }
}

/// A layer that joins several inputs into one output: addition, concatenation.
///
/// The same as [`Layer`] in every other respect. A [`Graph`](crate::models::Graph) takes them.
pub trait Merge<A: Scalar = f32>: Send + Sync {
    /// The merge's type, as errors, summaries and files name it.
    fn kind(&self) -> &str;

    /// The settings, as JSON, from which a [`Registry`](crate::io::Registry) makes the merge again.
    fn config(&self) -> Value {
        Value::Null
    }

    /// Makes the parameters, if there are any, and gives the shape of one output.
    ///
    /// # Errors
    /// Where these shapes cannot be joined.
    fn build(&mut self, inputs: &[Vec<usize>], init: &mut Init<A>) -> Result<Vec<usize>> {
        let _ = init;
        self.output_shape(inputs)
    }

    /// The shape of one output for samples of these shapes.
    ///
    /// # Errors
    /// Where these shapes cannot be joined.
    fn output_shape(&self, inputs: &[Vec<usize>]) -> Result<Vec<usize>>;

    /// y = f(x_0, x_1, ...).
    ///
    /// # Errors
    /// Where the inputs cannot be joined.
    fn forward(&self, xs: &[Tensor<A>], ctx: &mut Context<A>) -> Result<Tensor<A>>;

    /// Writes the gradient of each input i with `want(i)` to `dxs[i]`, which is `None` before.
    ///
    /// # Errors
    /// As for [`forward`](Self::forward).
    fn backward(
        &self,
        xs: &[Tensor<A>],
        y: &Tensor<A>,
        dy: &Tensor<A>,
        want: &dyn Fn(usize) -> bool,
        dxs: &mut [Option<Tensor<A>>],
        ctx: &mut Context<A>,
    ) -> Result<()>;

    /// What one sample costs, as [`Layer::cost`] does. Without this it is taken for one operation for each number of
    /// each input after the first.
    ///
    /// # Errors
    /// As for [`output_shape`](Self::output_shape).
    fn cost(&self, inputs: &[Vec<usize>], output: &[usize]) -> Result<Cost> {
        let operations = inputs.len().saturating_sub(1) as u64;
        Ok(Cost::of(operations.saturating_mul(product(output))))
    }

    /// The mask of the steps of y ([`Context::mask`]) from those of the inputs, of which one at least has one. Default:
    /// none, so that all steps count.
    ///
    /// # Errors
    /// Where the masks do not fit each other.
    fn join_masks(
        &self,
        xs: &[Tensor<A>],
        masks: &[Option<Tensor<A>>],
        ctx: &mut Context<A>,
    ) -> Result<Option<Tensor<A>>> {
        let _ = (xs, masks, ctx);
        Ok(None)
    }

    /// Whether samples of a batch influence each other.
    fn couples_samples(&self) -> bool {
        false
    }

    /// Hands every parameter to the visitor.
    fn visit<'a>(&'a self, visitor: &mut Visitor<'_, &'a Param<A>>) {
        let _ = visitor;
    }

    /// The same, to change them.
    fn visit_mut<'a>(&'a mut self, visitor: &mut Visitor<'_, &'a mut Param<A>>) {
        let _ = visitor;
    }
}
