//! Augmented batches, prepared by a thread of their own while the trainer works on the batch before.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::Builder;

use super::fit::AUGMENTATION;
use super::shard::message;
use crate::data::Dataset;
use crate::data::augmentation::{Augmentations, Draw, Preparer};
use crate::error::{Error, Result};
use crate::scalar::Scalar;

/// Below so many values a batch is prepared on the calling thread: that takes no longer than to wake another.
const AHEAD_FROM: usize = 16_384;

/// How many batches there are at once: the one that is trained on and the one that is prepared.
const BATCHES: usize = 2;

/// The batches of one epoch.
#[derive(Clone, Copy)]
pub(super) struct Plan<'p, A: Scalar> {
    pub(super) data: &'p Dataset<A>,
    /// The rows, in the order in which they are trained on.
    pub(super) order: &'p [usize],
    pub(super) batch_size: usize,
    pub(super) draw: Draw,
}

impl<'p, A: Scalar> Plan<'p, A> {
    fn batches(&self) -> std::slice::Chunks<'p, usize> {
        self.order.chunks(self.batch_size)
    }

    /// Whether there is a next batch to prepare that is worth another thread.
    fn is_worth_a_thread(&self) -> bool {
        let image: usize = self.data.inputs()[0].shape()[1..].iter().product();
        self.order.len() > self.batch_size && self.batch_size.saturating_mul(image) >= AHEAD_FROM
    }
}

/// What prepares batches, with its buffers.
pub(super) struct Feed<A: Scalar> {
    augmentations: Augmentations<A>,
    preparer: Preparer<A>,
    /// Batches that nobody uses.
    spare: Vec<Dataset<A>>,
}

impl<A: Scalar> Feed<A> {
    pub(super) fn new(augmentations: Augmentations<A>) -> Self {
        let spare = (0..BATCHES).map(|_| Dataset::unfilled()).collect();
        Feed { augmentations, preparer: Preparer::new(), spare }
    }

    /// Calls `train` with every batch and the numbers of its rows, until it says that it is enough.
    pub(super) fn run(
        &mut self,
        plan: Plan<'_, A>,
        threads: usize,
        mut train: impl FnMut(&Dataset<A>, &[usize]) -> Result<bool>,
    ) -> Result<()> {
        if threads > 1 && plan.is_worth_a_thread() && self.run_ahead(plan, &mut train)? {
            return Ok(());
        }
        for rows in plan.batches() {
            let spare = self.spare.pop().unwrap_or_else(Dataset::unfilled);
            let batch = self.prepare(plan, rows, spare)?;
            let stop = train(&batch, rows)?;
            self.spare.push(batch);
            if stop {
                break;
            }
        }
        Ok(())
    }

    /// Prepares on another thread; tells whether the system gave one.
    ///
    /// Both sides wait for nothing but each other's batches, and each sees it when the other is gone. So neither an
    /// error nor a panic on either side leaves one waiting, and a machine whose cores are taken is only slow.
    fn run_ahead(
        &mut self,
        plan: Plan<'_, A>,
        train: &mut impl FnMut(&Dataset<A>, &[usize]) -> Result<bool>,
    ) -> Result<bool> {
        std::thread::scope(|scope| {
            // Made in here, so that they are gone before the scope waits for its thread.
            let (give_ready, ready) = sync_channel(BATCHES);
            let (give_used, used) = sync_channel(BATCHES);
            let thread = Builder::new().name("layerwise-data".into());
            if thread.spawn_scoped(scope, move || self.prepare_all(plan, &give_ready, &used)).is_err() {
                return Ok(false);
            }
            for rows in plan.batches() {
                let batch =
                    ready.recv().unwrap_or_else(|_| Err(Error::custom("no batch came").within(AUGMENTATION)))?;
                let stop = train(&batch, rows)?;
                // There is room for all batches; a thread that has ended needs none.
                let _ = give_used.send(batch);
                if stop {
                    break;
                }
            }
            Ok(true)
        })
    }

    /// The work of the other thread.
    fn prepare_all(&mut self, plan: Plan<'_, A>, ready: &SyncSender<Result<Dataset<A>>>, used: &Receiver<Dataset<A>>) {
        for rows in plan.batches() {
            let Some(spare) = self.spare.pop().or_else(|| used.recv().ok()) else { return };
            let prepared = self.prepare(plan, rows, spare);
            let failed = prepared.is_err();
            if let Err(unwanted) = ready.send(prepared) {
                self.spare.extend(unwanted.0);
                break;
            }
            if failed {
                return;
            }
        }
        // The next epoch has the same buffers.
        self.spare.extend(used.iter());
    }

    fn prepare(&mut self, plan: Plan<'_, A>, rows: &[usize], mut batch: Dataset<A>) -> Result<Dataset<A>> {
        let Plan { data, draw, .. } = plan;
        let prepared =
            catch_unwind(AssertUnwindSafe(|| self.preparer.prepare(&self.augmentations, draw, data, rows, &mut batch)));
        let prepared = prepared.unwrap_or_else(|panic| Err(Error::custom(format!("panicked: {}", message(&*panic)))));
        prepared.map(|()| batch).map_err(|error| error.within(AUGMENTATION))
    }
}
