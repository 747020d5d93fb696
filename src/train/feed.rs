//! Augmented batches, prepared by a thread of their own while the trainer works on the batch before.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
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
    /// Each side waits for nothing but the other's batches, and both queues are closed by whichever side ends first. So
    /// neither an error nor a panic leaves the other waiting, and a machine whose cores are taken is only slow.
    fn run_ahead(
        &mut self,
        plan: Plan<'_, A>,
        train: &mut impl FnMut(&Dataset<A>, &[usize]) -> Result<bool>,
    ) -> Result<bool> {
        let (ready, used) = (Queue::new(), Queue::new());
        // Fewer than two, and each side would wait for the other's. Those that an error took along are made anew.
        while self.spare.len() < BATCHES {
            self.spare.push(Dataset::unfilled());
        }
        let feed = &mut *self;
        let outcome = std::thread::scope(|scope| {
            let _end = CloseAll(&ready, &used);
            let thread = Builder::new().name("layerwise-data".into());
            if thread.spawn_scoped(scope, || feed.prepare_all(plan, &ready, &used)).is_err() {
                return Ok(false);
            }
            for rows in plan.batches() {
                let batch = ready.pop().unwrap_or_else(|| Err(Error::custom("no batch came").within(AUGMENTATION)))?;
                let stop = train(&batch, rows)?;
                used.push(batch);
                if stop {
                    break;
                }
            }
            Ok(true)
        });
        // Buffers serve again: those that were prepared and not trained on, and those that the thread, seeing the end,
        // did not wait for.
        while let Some(batch) = ready.pop() {
            self.spare.extend(batch);
        }
        while let Some(batch) = used.pop() {
            self.spare.push(batch);
        }
        outcome
    }

    /// The work of the other thread.
    fn prepare_all(&mut self, plan: Plan<'_, A>, ready: &Queue<Result<Dataset<A>>>, used: &Queue<Dataset<A>>) {
        let _end = CloseAll(ready, used);
        for rows in plan.batches() {
            let Some(spare) = self.spare.pop().or_else(|| used.pop()) else { return };
            let prepared = self.prepare(plan, rows, spare);
            let failed = prepared.is_err();
            ready.push(prepared);
            if failed || used.is_closed() {
                return;
            }
        }
        while let Some(batch) = used.pop() {
            self.spare.push(batch);
        }
    }

    fn prepare(&mut self, plan: Plan<'_, A>, rows: &[usize], mut batch: Dataset<A>) -> Result<Dataset<A>> {
        let Plan { data, draw, .. } = plan;
        let prepared =
            catch_unwind(AssertUnwindSafe(|| self.preparer.prepare(&self.augmentations, draw, data, rows, &mut batch)));
        let prepared = prepared.unwrap_or_else(|panic| Err(Error::custom(format!("panicked: {}", message(&*panic)))));
        prepared.map(|()| batch).map_err(|error| error.within(AUGMENTATION))
    }
}

/// What one side hands to the other. It has room for all batches from the start: the channels of the standard library
/// allocate whenever a thread first has to wait.
struct Queue<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

struct State<T> {
    items: VecDeque<T>,
    closed: bool,
}

impl<T> Queue<T> {
    fn new() -> Self {
        let state = State { items: VecDeque::with_capacity(BATCHES), closed: false };
        Queue { state: Mutex::new(state), changed: Condvar::new() }
    }

    fn push(&self, item: T) {
        self.lock().items.push_back(item);
        self.changed.notify_all();
    }

    /// Waits for the next; `None` once the queue is closed and empty.
    fn pop(&self) -> Option<T> {
        let mut state = self.lock();
        loop {
            if state.closed || !state.items.is_empty() {
                return state.items.pop_front();
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn is_closed(&self) -> bool {
        self.lock().closed
    }

    fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes both queues when a side ends, however it ends.
struct CloseAll<'q, T, U>(&'q Queue<T>, &'q Queue<U>);

impl<T, U> Drop for CloseAll<'_, T, U> {
    fn drop(&mut self) {
        self.0.close();
        self.1.close();
    }
}
