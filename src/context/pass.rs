//! How a pass begins and ends: what the trainer and `Model::predict` ask of a context.

use std::sync::Arc;

use super::{AllReduce, Context, Mode};
use crate::gradients::{Binding, Gradients};
use crate::param::ParamId;
use crate::scalar::Scalar;
use crate::seed::{Stream, stream};
use crate::tensor::Tensor;

impl<A: Scalar> Context<A> {
    /// Begins a pass: forgets what an earlier one left, keeps the buffers.
    pub(crate) fn begin(&mut self, mode: Mode, recording: bool) {
        self.truncate(0);
        self.drop_pending();
        self.set_mask(None);
        (self.penalty, self.batch) = (A::zero(), None);
        self.pool.begin_pass();
        self.reclaim();
        self.mode = mode;
        self.recording = recording;
        self.wants_gradients = recording;
        self.moves = None;
        if let (true, Some(gradients)) = (recording, &mut self.gradients) {
            gradients.begin_step();
        }
    }

    /// Begins a pass in which running statistics are worked out anew, from the `first` batch on.
    pub(crate) fn begin_refresh(&mut self, first: bool) {
        let moves = self.moves.take().filter(|_| !first);
        self.begin(Mode::Training, false);
        self.moves = Some(moves.unwrap_or_default());
    }

    pub(crate) fn seed(&mut self, seed: u64, step: u64, shard: usize) {
        self.rng = stream(seed, Stream::Pass { step, shard: shard as u64 });
    }

    pub(crate) fn set_shard(&mut self, shard: usize, reducer: Option<Arc<dyn AllReduce<A>>>) {
        self.shard = shard;
        self.reducer = reducer;
    }

    /// Says how many samples the batch has of which this pass sees a part.
    pub(crate) fn set_batch_size(&mut self, samples: usize) {
        self.batch = Some(samples);
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

    pub(crate) fn pending(&self) -> &[(ParamId, Tensor<A>)] {
        &self.pending
    }

    pub(crate) fn pending_of(&self, id: ParamId) -> Option<Tensor<A>> {
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
}
