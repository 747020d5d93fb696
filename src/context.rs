//! Everything that one pass over a network needs, so that layers themselves never change.

use std::sync::Arc;

use rand_chacha::ChaCha8Rng;

use crate::error::{Error, Result};
use crate::gradients::{Binding, Grad, Gradients, RowGrad};
use crate::kernels::elementwise;
use crate::param::Param;
use crate::pool::Pool;
use crate::scalar::Scalar;
use crate::seed::{Stream, stream};
use crate::tensor::{Tensor, values, values_mut};

/// Whether layers behave as in training (dropout, batch statistics) or as in use.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Mode {
    /// Dropout drops, batch normalisation uses the batch.
    Training,
    /// What a served model does.
    #[default]
    Inference,
}

/// Sums numbers over the shards of one pass: threads of this process, or ranks of a cluster.
pub trait AllReduce<A: Scalar>: Send + Sync {
    /// Replaces `values` by their sum over all shards, added up in the order of the shards. Every shard must call it
    /// the same number of times.
    ///
    /// # Errors
    /// [`Error::Poisoned`] where another shard failed, so that nobody waits for it for ever.
    fn all_reduce(&self, shard: usize, values: &mut [A]) -> Result<()>;
}

/// What a container keeps of its forward pass for its backward pass: the values between its children, and where each
/// child's own kept values begin.
#[derive(Debug, Default)]
pub struct Frame<A: Scalar> {
    /// The values, in an order that is the container's own; `None` where one is not needed any more.
    pub values: Vec<Option<Tensor<A>>>,
    /// For each child, [`Context::mark`] before its forward.
    pub marks: Vec<usize>,
}

#[derive(Debug)]
enum Saved<A: Scalar> {
    Tensor(Tensor<A>),
    Frame(Frame<A>),
}

/// The state of one pass: mode, random stream, kept values, buffers, gradients, and pending state.
///
/// A layer asks it for the buffer of its output ([`tensor`](Self::tensor)), keeps what cannot be had from input and
/// output ([`save`](Self::save)), and adds the gradients of its parameters ([`grad`](Self::grad)).
pub struct Context<A: Scalar = f32> {
    mode: Mode,
    recording: bool,
    wants_gradients: bool,
    stack: Vec<Saved<A>>,
    pool: Pool<A>,
    frames: Vec<Frame<A>>,
    lists: Vec<Vec<Tensor<A>>>,
    lent: Vec<Tensor<A>>,
    gradients: Option<Gradients<A>>,
    pending: Vec<(crate::ParamId, Tensor<A>)>,
    rng: ChaCha8Rng,
    shard: usize,
    reducer: Option<Arc<dyn AllReduce<A>>>,
    nothing: Tensor<A>,
}

impl<A: Scalar> Default for Context<A> {
    fn default() -> Self {
        Self::inference()
    }
}

impl<A: Scalar> Context<A> {
    /// For using a model: no dropout, nothing kept.
    pub fn inference() -> Self {
        Context {
            mode: Mode::Inference,
            recording: false,
            wants_gradients: false,
            stack: Vec::new(),
            pool: Pool::new(),
            frames: Vec::new(),
            lists: Vec::new(),
            lent: Vec::new(),
            gradients: None,
            pending: Vec::new(),
            rng: stream(0, Stream::Pass { step: 0, shard: 0 }),
            shard: 0,
            reducer: None,
            nothing: Tensor::zeros(ndarray::IxDyn(&[0])),
        }
    }

    /// For a training pass of a model of one's own loop: a backward pass follows, and gradients are wanted for every
    /// parameter that `model` trains.
    pub fn training(model: &dyn crate::Layer<A>, seed: u64) -> Self {
        let mut ctx = Self::inference();
        ctx.bind(Arc::new(Binding::of(model)));
        ctx.begin(Mode::Training, true);
        ctx.seed(seed, 0, 0);
        ctx
    }

    /// For a pass in the given mode after which [`Layer::backward`](crate::Layer::backward) will be called, without
    /// gradients of parameters: those of the input are what is wanted.
    pub fn recording(mode: Mode) -> Self {
        let mut ctx = Self::inference();
        ctx.begin(mode, true);
        ctx.wants_gradients = false;
        ctx
    }

    // What a layer asks.

    /// Training or inference.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Whether a backward pass will follow, so that values must be kept.
    pub fn is_recording(&self) -> bool {
        self.recording
    }

    /// The random stream of this pass: one seed, step and shard always give the same.
    pub fn rng(&mut self) -> &mut ChaCha8Rng {
        &mut self.rng
    }

    /// A tensor of the given shape from the pool. Its values are whatever they were: write all of them.
    pub fn tensor(&mut self, shape: &[usize]) -> Tensor<A> {
        self.pool.take(shape)
    }

    /// A tensor of zeros.
    pub fn zeros(&mut self, shape: &[usize]) -> Tensor<A> {
        let mut tensor = self.pool.take(shape);
        values_mut(&mut tensor).fill(A::zero());
        tensor
    }

    /// Keeps a tensor for the backward pass. What was saved last comes back first.
    pub fn save(&mut self, tensor: Tensor<A>) {
        if self.recording {
            self.stack.push(Saved::Tensor(tensor));
        } else {
            self.pool.give(tensor);
        }
    }

    /// The tensor that this layer saved last in forward.
    ///
    /// # Panics
    /// Where the layer saved none: a broken invariant of the layer.
    pub fn restore(&mut self) -> Tensor<A> {
        match self.stack.pop() {
            Some(Saved::Tensor(tensor)) => tensor,
            _ => panic!("backward restores more tensors than forward saved"),
        }
    }

    /// The place for the gradient of a weight, or `None` where it is frozen or nobody asked for it.
    pub fn grad(&mut self, param: &Param<A>) -> Option<Grad<'_, A>> {
        if !self.wants_grad(param) {
            return None;
        }
        self.gradients.as_mut()?.dense(param.id())
    }

    /// The place for a gradient that touches some rows of a weight only.
    pub fn grad_rows(&mut self, param: &Param<A>) -> Option<RowGrad<'_, A>> {
        if !self.wants_grad(param) {
            return None;
        }
        self.gradients.as_mut()?.rows(param.id())
    }

    /// Whether the gradient of a weight is wanted, for layers that must compute something before they ask for it.
    pub fn wants_grad(&self, param: &Param<A>) -> bool {
        self.wants_gradients
            && param.is_trainable()
            && self.gradients.as_ref().is_some_and(|gradients| gradients.binding().position(param.id()).is_some())
    }

    /// The value that a state has now: the pending one if this pass has set it already.
    ///
    /// # Errors
    /// [`Error::NotBuilt`] before the layer was built.
    pub fn state<'s>(&'s self, state: &'s Param<A>) -> Result<&'s Tensor<A>> {
        match self.pending.iter().find(|(id, _)| *id == state.id()) {
            Some((_, value)) => Ok(value),
            None => state.get(),
        }
    }

    /// Sets a state to a new value, which takes effect when the step has succeeded. Of several shards the first
    /// one's counts: they must agree.
    pub fn set_state(&mut self, state: &Param<A>, value: Tensor<A>) {
        if state.is_frozen() {
            return self.pool.give(value);
        }
        match self.pending.iter_mut().find(|(id, _)| *id == state.id()) {
            Some((_, pending)) => {
                let old = std::mem::replace(pending, value);
                self.pool.give(old);
            }
            None => self.pending.push((state.id(), value)),
        }
    }

    /// Replaces `values` by their sum over all shards of the batch; with one shard they stay as they are. A layer that
    /// calls this says so in [`Layer::couples_samples`](crate::Layer::couples_samples).
    ///
    /// # Errors
    /// [`Error::Poisoned`] where another shard failed.
    pub fn all_reduce(&self, values: &mut [A]) -> Result<()> {
        match &self.reducer {
            Some(reducer) => reducer.all_reduce(self.shard, values),
            None => Ok(()),
        }
    }

    // What a container asks.

    /// How much is kept now. A child's own values lie above the mark that was taken before its forward.
    pub fn mark(&self) -> usize {
        self.stack.len()
    }

    /// Drops all that was kept since `mark`.
    pub fn truncate(&mut self, mark: usize) {
        while self.stack.len() > mark {
            match self.stack.pop() {
                Some(Saved::Tensor(tensor)) => self.pool.give(tensor),
                Some(Saved::Frame(frame)) => self.recycle_frame(frame),
                None => {}
            }
        }
    }

    /// An empty frame for a container of so many children.
    pub fn frame(&mut self, children: usize) -> Frame<A> {
        let room = |frame: &Frame<A>| frame.values.capacity().min(frame.marks.capacity());
        match tightest(&self.frames, children, room) {
            Some(at) => self.frames.swap_remove(at),
            None => Frame { values: Vec::with_capacity(children), marks: Vec::with_capacity(children) },
        }
    }

    /// Keeps a container's frame for its backward pass; to be called after the last child's forward.
    pub fn save_frame(&mut self, frame: Frame<A>) {
        if self.recording {
            self.stack.push(Saved::Frame(frame));
        } else {
            self.recycle_frame(frame);
        }
    }

    /// The frame of the container whose backward begins.
    ///
    /// # Panics
    /// Where the container saved none: a broken invariant of the container.
    pub fn restore_frame(&mut self) -> Frame<A> {
        match self.stack.pop() {
            Some(Saved::Frame(frame)) => frame,
            _ => panic!("backward restores a frame that forward did not save"),
        }
    }

    /// Gives a frame and the values in it back.
    pub fn recycle_frame(&mut self, mut frame: Frame<A>) {
        for tensor in frame.values.drain(..).flatten() {
            self.pool.give(tensor);
        }
        frame.marks.clear();
        self.frames.push(frame);
    }

    /// An empty list for so many tensors, to be given back with [`recycle_list`](Self::recycle_list).
    pub fn list(&mut self, tensors: usize) -> Vec<Tensor<A>> {
        match tightest(&self.lists, tensors, Vec::capacity) {
            Some(at) => self.lists.swap_remove(at),
            None => Vec::with_capacity(tensors),
        }
    }

    /// Gives a list and the tensors in it back.
    pub fn recycle_list(&mut self, mut list: Vec<Tensor<A>>) {
        for tensor in list.drain(..) {
            self.pool.give(tensor);
        }
        self.lists.push(list);
    }

    /// The tensor in row-major layout: itself if it is, a copy if a layer gave one that is not (a transposed view).
    pub fn standard(&mut self, tensor: Tensor<A>) -> Tensor<A> {
        if tensor.is_standard_layout() {
            return tensor;
        }
        let mut copy = self.pool.take(tensor.shape());
        copy.assign(&tensor);
        copy
    }

    /// Gives a tensor back to the pool if nobody else holds it. For containers, which own the values between layers.
    pub fn recycle(&mut self, tensor: Tensor<A>) {
        self.pool.give(tensor);
    }

    /// An empty tensor to stand for an input or output that a layer said it does not need.
    pub fn nothing(&self) -> Tensor<A> {
        self.nothing.clone()
    }

    /// Adds a gradient to the sum in `total`, in place where nobody else holds it.
    pub fn accumulate(&mut self, total: &mut Option<Tensor<A>>, gradient: Tensor<A>) -> Result<()> {
        let Some(so_far) = total.take() else {
            *total = Some(gradient);
            return Ok(());
        };
        if so_far.shape() != gradient.shape() {
            let expected = format!("shape {:?}, as the gradient from another branch", so_far.shape());
            return Err(Error::shape("gradient", expected, gradient.shape()));
        }
        *total = Some(self.sum(so_far, gradient)?);
        Ok(())
    }

    fn sum(&mut self, mut a: Tensor<A>, mut b: Tensor<A>) -> Result<Tensor<A>> {
        if b.is_unique() && !a.is_unique() {
            std::mem::swap(&mut a, &mut b);
        }
        if a.is_unique() {
            elementwise::add_assign(values_mut(&mut a), values(&b)?);
            self.pool.give(b);
            return Ok(a);
        }
        let mut sum = self.pool.take(a.shape());
        elementwise::add(values(&a)?, values(&b)?, values_mut(&mut sum));
        Ok(sum)
    }

    /// Runs `inside` with no parameter's gradient wanted: for going back through a model that is not to be trained.
    pub fn without_gradients<R>(&mut self, inside: impl FnOnce(&mut Self) -> R) -> R {
        let before = std::mem::replace(&mut self.wants_gradients, false);
        let result = inside(self);
        self.wants_gradients = before;
        result
    }

    /// Runs `inside` in another mode.
    pub fn in_mode<R>(&mut self, mode: Mode, inside: impl FnOnce(&mut Self) -> R) -> R {
        let before = std::mem::replace(&mut self.mode, mode);
        let result = inside(self);
        self.mode = before;
        result
    }

    // What a trainer asks.

    /// Begins a pass: forgets what an earlier one left, keeps the buffers.
    pub(crate) fn begin(&mut self, mode: Mode, recording: bool) {
        self.truncate(0);
        self.drop_pending();
        self.pool.begin_pass();
        self.reclaim();
        self.mode = mode;
        self.recording = recording;
        self.wants_gradients = recording;
        if let (true, Some(gradients)) = (recording, &mut self.gradients) {
            gradients.begin_step();
        }
    }

    pub(crate) fn seed(&mut self, seed: u64, step: u64, shard: usize) {
        self.rng = stream(seed, Stream::Pass { step, shard: shard as u64 });
    }

    pub(crate) fn set_shard(&mut self, shard: usize, reducer: Option<Arc<dyn AllReduce<A>>>) {
        self.shard = shard;
        self.reducer = reducer;
    }

    pub(crate) fn bind(&mut self, binding: Arc<Binding>) {
        self.gradients = Some(Gradients::new(binding));
    }

    pub(crate) fn take_gradients(&mut self) -> Option<Gradients<A>> {
        self.gradients.take()
    }

    pub(crate) fn give_gradients(&mut self, gradients: Gradients<A>) {
        self.gradients = Some(gradients);
    }

    pub(crate) fn pending(&self) -> &[(crate::ParamId, Tensor<A>)] {
        &self.pending
    }

    pub(crate) fn pending_of(&self, id: crate::ParamId) -> Option<Tensor<A>> {
        self.pending.iter().find(|(pending, _)| *pending == id).map(|(_, value)| value.clone())
    }

    pub(crate) fn drop_pending(&mut self) {
        while let Some((_, value)) = self.pending.pop() {
            self.pool.give(value);
        }
    }

    /// Hands a tensor out to the user and remembers it: once the user drops his, the buffer comes back.
    pub(crate) fn lend(&mut self, tensor: Tensor<A>) -> Tensor<A> {
        const MOST: usize = 8;
        if self.lent.len() == MOST {
            self.lent.remove(0);
        }
        self.lent.push(tensor.clone());
        tensor
    }

    fn reclaim(&mut self) {
        let mut at = 0;
        while at < self.lent.len() {
            if self.lent[at].is_unique() {
                let tensor = self.lent.remove(at);
                self.pool.give(tensor);
            } else {
                at += 1;
            }
        }
    }

    /// The gradient that this pass has gathered for a weight, in its shape; `None` where no layer added one.
    ///
    /// # Errors
    /// [`Error::NotBuilt`] before the layer was built.
    pub fn gradient_of(&self, param: &Param<A>) -> Result<Option<Tensor<A>>> {
        let mut total = Tensor::zeros(param.get()?.raw_dim());
        let Some(gradients) = &self.gradients else { return Ok(None) };
        let Some(at) = gradients.binding().position(param.id()) else { return Ok(None) };
        gradients.add_to(at, 0..param.len(), values_mut(&mut total));
        Ok(gradients.is_touched(at).then_some(total))
    }
}

/// The item with the least room that is enough. Always the tightest, so that whoever comes later and needs more finds
/// what he found in the last pass.
fn tightest<T>(items: &[T], needed: usize, room: impl Fn(&T) -> usize) -> Option<usize> {
    let enough = items.iter().enumerate().filter(|(_, item)| room(item) >= needed);
    enough.min_by_key(|(_, item)| room(item)).map(|(at, _)| at)
}
