use serde_json::{Value, json};

use super::{child_backward, child_forward, child_shape, learns};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::initializers::Init;
use crate::io::{Settings, TorchNames, describe_layer};
use crate::layer::{Layer, Needs};
use crate::param::{Param, Visitor};
use crate::scalar::Scalar;
use crate::summary::Summary;
use crate::tensor::Tensor;

/// Layers one after the other: y = f_n(... f_2(f_1(x))).
///
/// Itself a layer, so that it nests. Parameters are named by position: `0.weight`, `2.1.bias`.
///
/// ```
/// use layerwise::prelude::*;
///
/// let mut model = Sequential::new()
///     .add(Dense::new(64).activation(Activation::Relu))
///     .add(Dense::new(3));
/// model.initialize(&[4], 42)?; // samples of 4 features, weights from seed 42
/// let logits = model.predict(&ndarray::array![[5.1_f32, 3.5, 1.4, 0.2]])?;
/// assert_eq!(logits.shape(), &[1, 3]);
/// # Ok::<(), Error>(())
/// ```
pub struct Sequential<A: Scalar = f32> {
    layers: Vec<Box<dyn Layer<A>>>,
    built_for: Option<Vec<usize>>,
}

impl Sequential {
    /// An empty one, for `f32` layers.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Self::of()
    }
}

impl<A: Scalar> Sequential<A> {
    /// An empty one, for layers of any number type.
    pub fn of() -> Self {
        Sequential { layers: Vec::new(), built_for: None }
    }

    /// Adds a layer at the end.
    #[must_use]
    #[allow(clippy::should_implement_trait)]
    pub fn add(mut self, layer: impl Layer<A> + 'static) -> Self {
        self.push(Box::new(layer));
        self
    }

    /// Adds a boxed layer at the end, for models made in a loop.
    pub fn push(&mut self, layer: Box<dyn Layer<A>>) {
        self.layers.push(layer);
    }

    /// The layers.
    pub fn layers(&self) -> &[Box<dyn Layer<A>>] {
        &self.layers
    }

    /// The layers, to change, freeze or exchange.
    pub fn layers_mut(&mut self) -> &mut [Box<dyn Layer<A>>] {
        &mut self.layers
    }

    /// Whether backward reads the value between layer `at` and the next.
    fn keeps(&self, at: usize) -> bool {
        self.layers[at].needs().output || self.layers[at + 1].needs().input
    }

    pub(super) fn from_config(settings: &Settings<'_, A>) -> Result<Self> {
        Ok(Sequential { layers: settings.layers("layers")?, built_for: None })
    }
}

impl<A: Scalar> Layer<A> for Sequential<A> {
    fn kind(&self) -> &str {
        "Sequential"
    }

    fn config(&self) -> Value {
        json!({ "layers": self.layers.iter().map(|layer| describe_layer(&**layer)).collect::<Vec<_>>() })
    }

    fn build(&mut self, input: &[usize], init: &mut Init<A>) -> Result<Vec<usize>> {
        let mut shape = input.to_vec();
        for (number, layer) in self.layers.iter_mut().enumerate() {
            shape = child_shape(layer.build(&shape, init), number, layer.kind())?;
        }
        self.built_for = Some(input.to_vec());
        Ok(shape)
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        let mut shape = input.to_vec();
        for (number, layer) in self.layers.iter().enumerate() {
            shape = child_shape(layer.output_shape(&shape), number, layer.kind())?;
        }
        Ok(shape)
    }

    fn forward(&self, x: &Tensor<A>, ctx: &mut Context<A>) -> Result<Tensor<A>> {
        let mut frame = ctx.frame(self.layers.len());
        let mut current = None;
        for (number, layer) in self.layers.iter().enumerate() {
            frame.marks.push(ctx.mark());
            let y = child_forward(&**layer, number, current.as_ref().unwrap_or(x), ctx)?;
            if let Some(value) = current.replace(y) {
                if ctx.is_recording() && self.keeps(number - 1) {
                    frame.values.push(Some(value));
                } else {
                    frame.values.push(None);
                    ctx.recycle(value);
                }
            }
        }
        ctx.save_frame(frame);
        Ok(current.unwrap_or_else(|| x.clone()))
    }

    fn backward(
        &self,
        x: &Tensor<A>,
        y: &Tensor<A>,
        dy: &Tensor<A>,
        want_dx: bool,
        ctx: &mut Context<A>,
    ) -> Result<Option<Tensor<A>>> {
        ctx.set_mask(None);
        let mut frame = ctx.restore_frame();
        let nothing = ctx.nothing();
        let learning = self.layers.iter().position(|layer| learns(&**layer, ctx)).unwrap_or(self.layers.len());
        let mut gradient = Some(dy.clone());
        let mut output = None;
        for (number, layer) in self.layers.iter().enumerate().rev() {
            let input = if number == 0 { None } else { frame.values.pop().flatten() };
            // Where nothing below learns and nobody asks about the input, the gradient ends here.
            let want = want_dx || number > learning;
            let dx = match &gradient {
                Some(dy) => {
                    let last = number + 1 == self.layers.len();
                    let x = if number == 0 { x } else { input.as_ref().unwrap_or(&nothing) };
                    let y = if last { y } else { output.as_ref().unwrap_or(&nothing) };
                    child_backward(&**layer, number, x, y, dy, want, ctx)?
                }
                None => None,
            };
            ctx.truncate(frame.marks[number]);
            for done in [std::mem::replace(&mut output, input), std::mem::replace(&mut gradient, dx)] {
                done.into_iter().for_each(|tensor| ctx.recycle(tensor));
            }
        }
        ctx.recycle_frame(frame);
        Ok(gradient)
    }

    fn needs(&self) -> Needs {
        match (self.layers.first(), self.layers.last()) {
            (Some(first), Some(last)) => Needs { input: first.needs().input, output: last.needs().output },
            _ => Needs::NEITHER,
        }
    }

    /// Its children see to it.
    fn keeps_mask(&self) -> bool {
        true
    }

    fn couples_samples(&self) -> bool {
        self.layers.iter().any(|layer| layer.couples_samples())
    }

    fn torch_names(&self, names: &mut TorchNames) {
        for (number, layer) in self.layers.iter().enumerate() {
            names.scope(number, |names| layer.torch_names(names));
        }
    }

    fn visit<'a>(&'a self, visitor: &mut Visitor<'_, &'a Param<A>>) {
        for (number, layer) in self.layers.iter().enumerate() {
            visitor.scope(number, |visitor| layer.visit(visitor));
        }
    }

    fn visit_mut<'a>(&'a mut self, visitor: &mut Visitor<'_, &'a mut Param<A>>) {
        for (number, layer) in self.layers.iter_mut().enumerate() {
            visitor.scope(number, |visitor| layer.visit_mut(visitor));
        }
    }

    fn built_for(&self) -> Option<Vec<Vec<usize>>> {
        self.built_for.clone().map(|input| vec![input])
    }

    fn summarize(&self, inputs: &[Vec<usize>], summary: &mut Summary) -> Result<()> {
        let mut shapes = inputs.to_vec();
        for (number, layer) in self.layers.iter().enumerate() {
            let place = |error: Error| error.in_layer(number, layer.kind());
            // What the first layer reads is the caller's.
            let held: &[Vec<usize>] = if number == 0 { &[] } else { &shapes };
            let inside = |summary: &mut Summary| summary.holding(held, |summary| layer.summarize(&shapes, summary));
            summary.scope(number, inside).map_err(place)?;
            if number + 1 < self.layers.len() && self.keeps(number) {
                summary.keep(summary.value());
            }
            shapes = layer.output_shapes(&shapes).map_err(place)?;
        }
        Ok(())
    }
}
