//! What every layer can do when it is the whole network.

use std::any::Any;
use std::cell::RefCell;

use ndarray::{ArrayBase, Axis, Data, Dimension};

use crate::context::{Context, Mode};
use crate::error::{Error, Result};
use crate::initializers::Init;
use crate::layer::Layer;
use crate::param::{Param, Visitor};
use crate::scalar::{Element, Scalar};
use crate::summary::Summary;
use crate::tensor::{Tensor, take_in, values, values_mut};

/// The samples that [`Model::predict`] sends through the network at once.
const PREDICT_ROWS: usize = 256;

/// Making, using and looking at a network. Every [`Layer`] has these methods.
pub trait Model<A: Scalar = f32>: Layer<A> {
    /// Builds the network for samples of the shape `input` with weights drawn from `seed`, and gives the shape of one
    /// output. [`Trainer::fit`](crate::train::Trainer::fit) does this itself for a network that is not built yet.
    ///
    /// # Errors
    /// Where a layer cannot work on the shape that it gets.
    fn initialize(&mut self, input: &[usize], seed: u64) -> Result<Vec<usize>> {
        self.build(input, &mut Init::new(seed))
    }

    /// The same for several inputs.
    ///
    /// # Errors
    /// As there.
    fn initialize_all(&mut self, inputs: &[Vec<usize>], seed: u64) -> Result<Vec<Vec<usize>>> {
        self.build_all(inputs, &mut Init::new(seed))
    }

    /// The outputs for the samples `x`, axis 0 the batch, any strides. Works on the calling thread; as many threads as
    /// wish may call it at once.
    ///
    /// # Errors
    /// Where `x` has a shape or holds a value that the network cannot take, or no samples.
    fn predict<E, S, D>(&self, x: &ArrayBase<S, D>) -> Result<Tensor<A>>
    where
        E: Element<A>,
        S: Data<Elem = E>,
        D: Dimension,
    {
        check_samples(x.shape())?;
        with_context(|ctx| {
            ctx.begin(Mode::Inference, false);
            let input = input(x, ctx)?;
            let output = predict_rows(self, &input, ctx)?;
            ctx.recycle(input);
            Ok(ctx.lend(output))
        })
    }

    /// The outputs of a network with several inputs or outputs.
    ///
    /// # Errors
    /// As for [`predict`](Self::predict), and where the inputs differ in their number of samples.
    fn predict_all(&self, xs: &[Tensor<A>]) -> Result<Vec<Tensor<A>>> {
        for (number, x) in xs.iter().enumerate() {
            check_samples(x.shape())?;
            if x.len_of(Axis(0)) != xs[0].len_of(Axis(0)) {
                let what = format!("samples of input {number} against input 0");
                return Err(Error::length(what, xs[0].len_of(Axis(0)), x.len_of(Axis(0))));
            }
        }
        with_context(|ctx| {
            ctx.begin(Mode::Inference, false);
            let xs: Vec<_> = xs.iter().map(|x| ctx.standard(x.clone())).collect();
            let mut ys = Vec::new();
            self.forward_all(&xs, &mut ys, ctx)?;
            Ok(ys.into_iter().map(|y| ctx.lend(y)).collect())
        })
    }

    /// The outputs for `x`, and the gradient with respect to `x` of whatever has the gradient `dy(&y)` with respect to
    /// the outputs: for saliency maps, `dy` is 1 at the class that is asked about. In inference mode; no weight's
    /// gradient is computed. [`Through`](crate::losses::Through) does the same for a loss.
    ///
    /// # Errors
    /// Where `x` does not fit the network, `dy` not its outputs, or the network has no gradient for its inputs.
    fn input_gradient(
        &self,
        x: &Tensor<A>,
        dy: impl FnOnce(&Tensor<A>) -> Tensor<A>,
    ) -> Result<(Tensor<A>, Tensor<A>)> {
        let mut ctx = Context::recording(Mode::Inference);
        let x = ctx.standard(x.clone());
        let y = self.forward(&x, &mut ctx)?;
        let y = ctx.standard(y);
        let dy = dy(&y);
        if dy.shape() != y.shape() {
            return Err(Error::shape(
                "gradient of the output",
                format!("shape {:?} of the output", y.shape()),
                dy.shape(),
            ));
        }
        let dy = ctx.standard(dy);
        match self.backward(&x, &y, &dy, true, &mut ctx)? {
            Some(dx) => Ok((y, dx)),
            None => Err(Error::custom(format!("{}: its input has no gradient (token ids?)", self.kind()))),
        }
    }

    /// The table of layers for samples of the shape `input`: output shapes, parameters, and what a sample costs in
    /// memory and operations.
    ///
    /// # Errors
    /// Where a layer cannot work on the shape that it gets.
    fn summary(&self, input: &[usize]) -> Result<Summary> {
        self.summary_all(&[input.to_vec()])
    }

    /// The same for several inputs.
    ///
    /// # Errors
    /// As there.
    fn summary_all(&self, inputs: &[Vec<usize>]) -> Result<Summary> {
        let mut summary = Summary::of::<A>(inputs);
        self.summarize(inputs, &mut summary)?;
        Ok(summary)
    }

    /// Every weight and state with its dotted name.
    fn params(&self) -> Vec<(String, &Param<A>)> {
        let mut params = Vec::new();
        let mut each = |name: &str, param| params.push((name.to_owned(), param));
        self.visit(&mut Visitor::new(&mut each));
        params
    }

    /// The same, to change them.
    fn params_mut(&mut self) -> Vec<(String, &mut Param<A>)> {
        let mut params = Vec::new();
        let mut each = |name: &str, param| params.push((name.to_owned(), param));
        self.visit_mut(&mut Visitor::new(&mut each));
        params
    }

    /// Freezes every weight and state: training leaves them alone. A frozen batch normalisation works as in inference,
    /// as in Keras.
    fn freeze(&mut self) {
        self.visit_mut(&mut Visitor::unnamed(&mut |_, param| param.set_frozen(true)));
    }

    /// Sets every weight and state free.
    fn unfreeze(&mut self) {
        self.visit_mut(&mut Visitor::unnamed(&mut |_, param| param.set_frozen(false)));
    }

    /// Whether every parameter has its values.
    fn is_built(&self) -> bool {
        let mut built = true;
        self.visit(&mut Visitor::unnamed(&mut |_, param: &Param<A>| built &= param.is_built()));
        built
    }
}

impl<A: Scalar, L: Layer<A> + ?Sized> Model<A> for L {}

/// An array of any strides and number type as a tensor from the pool.
fn input<A, E, S, D>(x: &ArrayBase<S, D>, ctx: &mut Context<A>) -> Result<Tensor<A>>
where
    A: Scalar,
    E: Element<A>,
    S: Data<Elem = E>,
    D: Dimension,
{
    let mut input = ctx.tensor(x.shape());
    take_in(x, values_mut(&mut input), "input")?;
    Ok(input)
}

/// Calls `inside` with an array as a tensor of this thread's pool.
pub(crate) fn with_input<A, E, S, D, R>(x: &ArrayBase<S, D>, inside: impl FnOnce(&Tensor<A>) -> Result<R>) -> Result<R>
where
    A: Scalar,
    E: Element<A>,
    S: Data<Elem = E>,
    D: Dimension,
{
    // Not while `inside` runs: it may need this thread's context for itself.
    let input = with_context(|ctx| {
        ctx.begin(Mode::Inference, false);
        input(x, ctx)
    })?;
    let result = inside(&input);
    with_context(|ctx| ctx.recycle(input));
    result
}

/// The shape of one sample of an array of them.
pub(crate) fn check_samples(shape: &[usize]) -> Result<&[usize]> {
    let Some((&samples, sample)) = shape.split_first() else {
        return Err(Error::shape("samples to predict", "at least one axis, that of the samples", shape));
    };
    if samples == 0 || sample.contains(&0) {
        return Err(Error::Empty(format!("the array of samples to predict, of shape {shape:?},")));
    }
    Ok(sample)
}

/// The outputs for samples of a pass that has begun, so many at once as fit the caches.
pub(crate) fn predict_rows<A: Scalar, L: Layer<A> + ?Sized>(
    model: &L,
    x: &Tensor<A>,
    ctx: &mut Context<A>,
) -> Result<Tensor<A>> {
    let rows = x.shape()[0];
    if rows <= PREDICT_ROWS {
        let y = model.forward(x, ctx)?;
        return Ok(ctx.standard(y));
    }
    let mut whole: Option<Tensor<A>> = None;
    for start in (0..rows).step_by(PREDICT_ROWS) {
        ctx.set_mask(None);
        let end = rows.min(start + PREDICT_ROWS);
        let y = model.forward(&rows_of(x, start, end), ctx).map_err(|error| error.map_sample(|row| start + row))?;
        let y = ctx.standard(y);
        let all = whole.get_or_insert_with(|| {
            let mut shape = y.raw_dim();
            shape[0] = rows;
            ctx.tensor(Dimension::slice(&shape))
        });
        let row = y.len() / (end - start);
        values_mut(all)[start * row..end * row].copy_from_slice(values(&y)?);
        ctx.recycle(y);
    }
    whole.ok_or_else(|| Error::Empty("the array of samples to predict".into()))
}

/// Some rows of a row-major tensor, without a copy.
pub(crate) fn rows_of<A: Scalar>(x: &Tensor<A>, start: usize, end: usize) -> Tensor<A> {
    let mut rows = x.clone();
    if start != 0 || end != x.shape()[0] {
        rows.slice_axis_inplace(ndarray::Axis(0), ndarray::Slice::from(start..end));
    }
    rows
}

thread_local! {
    /// Contexts of this thread for predictions, one for each number type and depth of nesting.
    static CONTEXTS: RefCell<Vec<Box<dyn Any>>> = const { RefCell::new(Vec::new()) };
}

/// Runs `inside` with this thread's own context, whose buffers are still warm from the last time.
pub(crate) fn with_context<A: Scalar, R>(inside: impl FnOnce(&mut Context<A>) -> R) -> R {
    let found = CONTEXTS.with_borrow_mut(|contexts| {
        let at = contexts.iter().position(|context| context.is::<Context<A>>())?;
        Some(contexts.swap_remove(at))
    });
    let mut boxed = found.unwrap_or_else(|| Box::new(Context::<A>::inference()));
    let context = boxed.downcast_mut::<Context<A>>().expect("looked for by its type");
    let result = inside(context);
    CONTEXTS.with_borrow_mut(|contexts| contexts.push(boxed));
    result
}
