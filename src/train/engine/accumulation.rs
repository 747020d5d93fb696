//! Gradients of several batches, gathered for one update.

use std::sync::Arc;

use crate::gradients::{Binding, Grad, Gradients};
use crate::param::ParamId;
use crate::scalar::Scalar;

/// The sum of the gradients of the batches since the last update.
pub(super) struct Accumulation<A: Scalar> {
    /// After how many batches weights change.
    pub(super) every: usize,
    /// The batches so far, below `every`.
    pub(super) batches: u64,
    /// Their sum; `None` where weights change after every batch.
    sum: Option<Gradients<A>>,
}

impl<A: Scalar> Accumulation<A> {
    pub(super) fn new(every: usize) -> Self {
        Accumulation { every, batches: 0, sum: None }
    }

    /// Takes on the weights of another binding. What was gathered for those that are still there is kept, unless nobody
    /// wants it.
    pub(super) fn bind(&mut self, binding: &Arc<Binding>, keep: bool) {
        let old = self.sum.take().filter(|_| keep);
        if !keep {
            self.batches = 0;
        }
        if self.every == 1 {
            return;
        }
        let mut sum = Gradients::new(Arc::clone(binding));
        for span in old.iter().flat_map(|old| &old.binding().spans) {
            if let Some(values) = old.as_ref().and_then(|old| gathered(old, span.id)) {
                put(&mut sum, span.id, values);
            }
        }
        self.sum = Some(sum);
    }

    /// Adds a batch, and gives the sum and the number of its batches if weights are to change now.
    pub(super) fn add(&mut self, shards: &[Gradients<A>], last: bool) -> Option<(Gradients<A>, u64)> {
        let sum = self.sum.as_mut()?;
        sum.add(shards);
        self.batches += 1;
        if !last && self.batches < self.every as u64 {
            return None;
        }
        self.take()
    }

    /// The sum so far and the number of its batches, if there are any.
    pub(super) fn take(&mut self) -> Option<(Gradients<A>, u64)> {
        if self.batches == 0 {
            return None;
        }
        Some((self.sum.take()?, std::mem::take(&mut self.batches)))
    }

    /// Takes the memory of the sum back, and begins the next one.
    pub(super) fn give_back(&mut self, mut sum: Gradients<A>) {
        sum.begin_step();
        self.sum = Some(sum);
    }

    /// Forgets what was gathered.
    pub(super) fn clear(&mut self) {
        self.batches = 0;
        if let Some(sum) = &mut self.sum {
            sum.begin_step();
        }
    }

    /// What was gathered for a weight.
    pub(super) fn of(&self, id: ParamId) -> Option<&[A]> {
        gathered(self.sum.as_ref()?, id)
    }

    /// Goes on from what a checkpoint has.
    pub(super) fn restore<'v>(&mut self, batches: u64, gathered: impl IntoIterator<Item = (&'v ParamId, &'v Vec<A>)>) {
        self.clear();
        self.batches = batches;
        for (&id, values) in gathered {
            if let Some(sum) = &mut self.sum {
                put(sum, id, values);
            }
        }
    }
}

/// All of a sum is written or nothing of it: `add` and `put` are dense.
fn gathered<A: Scalar>(sum: &Gradients<A>, id: ParamId) -> Option<&[A]> {
    let at = sum.binding().position(id)?;
    sum.slice(at, 0..sum.binding().spans[at].range.len())
}

fn put<A: Scalar>(sum: &mut Gradients<A>, id: ParamId, values: &[A]) {
    let Some(place) = sum.dense(id).map(Grad::accumulate) else { return };
    if place.len() == values.len() {
        place.copy_from_slice(values);
    }
}
