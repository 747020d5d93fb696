//! Everything that one pass over a network needs, so that layers themselves never change.
//!
//! Here stands what layers ask for; in `mask` which steps count, in `penalty` what layers add to the loss; in `stack`
//! what forward keeps for backward, mostly for containers; in `pass` what the trainer needs to begin and end a pass.

mod mask;
mod pass;
mod penalty;
mod stack;

use std::sync::Arc;

use rand_chacha::ChaCha8Rng;

use crate::error::Result;
use crate::gradients::{Binding, Grad, Gradients, RowGrad};
use crate::param::Param;
use crate::pool::Pool;
use crate::scalar::Scalar;
use crate::seed::{Stream, stream};
use crate::tensor::{Tensor, values_mut};

pub use stack::Frame;
use stack::Saved;

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
    /// [`Error::Poisoned`](crate::Error::Poisoned) where another shard failed, so that nobody waits for it for ever.
    fn all_reduce(&self, shard: usize, values: &mut [A]) -> Result<()>;
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
    /// Where running statistics are worked out anew: how often each was moved so far.
    moves: Option<Vec<(crate::ParamId, u64)>>,
    mask: Option<Tensor<A>>,
    penalty: A,
    /// The samples of the batch of which a pass sees a part, where the trainer has said so.
    batch: Option<usize>,
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
            moves: None,
            mask: None,
            penalty: A::zero(),
            batch: None,
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

    /// The gradient that this pass has gathered for a weight, in its shape; `None` where no layer added one.
    ///
    /// # Errors
    /// [`Error::NotBuilt`](crate::Error::NotBuilt) before the layer was built.
    pub fn gradient_of(&self, param: &Param<A>) -> Result<Option<Tensor<A>>> {
        let mut total = Tensor::zeros(param.get()?.raw_dim());
        let Some(gradients) = &self.gradients else { return Ok(None) };
        let Some(at) = gradients.binding().position(param.id()) else { return Ok(None) };
        gradients.add_to(at, 0..param.len(), values_mut(&mut total));
        Ok(gradients.is_touched(at).then_some(total))
    }

    /// The value that a state has now: the pending one if this pass has set it already.
    ///
    /// # Errors
    /// [`Error::NotBuilt`](crate::Error::NotBuilt) before the layer was built.
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

    /// How much of a running statistic stays when it moves to that of the batch: the layer's `momentum`. Where a trainer
    /// [works statistics out anew](crate::Trainer::refresh_statistics) it is `1 - 1 / n` for the n-th move, which makes
    /// the statistic the mean over the batches. To be asked once for each move.
    pub fn momentum(&mut self, state: &Param<A>, momentum: f64) -> f64 {
        let Some(moves) = &mut self.moves else { return momentum };
        let known = moves.iter().position(|(id, _)| *id == state.id());
        let at = known.unwrap_or_else(|| {
            moves.push((state.id(), 0));
            moves.len() - 1
        });
        moves[at].1 += 1;
        1.0 - 1.0 / moves[at].1 as f64
    }

    /// Replaces `values` by their sum over all shards of the batch; with one shard they stay as they are. A layer that
    /// calls this says so in [`Layer::couples_samples`](crate::Layer::couples_samples).
    ///
    /// # Errors
    /// [`Error::Poisoned`](crate::Error::Poisoned) where another shard failed.
    pub fn all_reduce(&self, values: &mut [A]) -> Result<()> {
        match &self.reducer {
            Some(reducer) => reducer.all_reduce(self.shard, values),
            None => Ok(()),
        }
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
}
