//! What layers add to the loss of the batch: a price on what flows through them.

use super::Context;
use crate::scalar::Scalar;

impl<A: Scalar> Context<A> {
    /// Adds to the loss of the batch, in training and in evaluation. The trainer sums the penalties of all parts of the
    /// batch, so a mean over its samples is divided by [`batch_size`](Self::batch_size); the layer adds the gradient to
    /// dx in backward.
    pub fn add_penalty(&mut self, penalty: A) {
        self.penalty += penalty;
    }

    /// What layers have added to the loss in this pass so far. A training loop of one's own adds it to its loss.
    pub fn penalty(&self) -> A {
        self.penalty
    }

    /// The samples of the whole batch of which a layer sees `rows`: a shard, or a micro-batch of one.
    pub fn batch_size(&self, rows: usize) -> usize {
        self.batch.unwrap_or(rows)
    }
}
