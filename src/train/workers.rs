//! The trainer's own threads.
//!
//! They live as long as the trainer. Between two jobs they spin for a moment, because the next job of a training loop
//! comes within microseconds, and then sleep, because nobody likes a library that burns a core. Nothing in a job waits
//! for another job, so a machine whose cores are all taken is slow but never stuck.

use std::marker::PhantomData;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a thread spins before it sleeps.
const SPIN: Duration = Duration::from_micros(60);

/// A job of one run: called with the number of the thread.
type Job<'j> = dyn Fn(usize) + Sync + 'j;

struct Shared {
    /// The number of the job in the high bits and how many threads take part in it in the low 16.
    ticket: AtomicU64,
    job: JobCell,
    /// Threads that have not finished the job yet.
    remaining: AtomicUsize,
    panicked: AtomicBool,
    stop: AtomicBool,
    sleepers: AtomicUsize,
    start: (Mutex<()>, Condvar),
    done: (Mutex<()>, Condvar),
}

/// The job that is being run. Written by the owner while no thread works, read by the threads that take part.
struct JobCell(std::cell::UnsafeCell<Option<*const Job<'static>>>);

// SAFETY: `Workers::run` writes the cell only while `remaining` is 0, before it publishes a new ticket with release
// ordering; threads read it only after they have seen that ticket with acquire ordering and only if the ticket counts
// them in, and `run` waits for those. The job itself is `Sync`.
unsafe impl Sync for JobCell {}
// SAFETY: as above; the pointer is to a `Sync` closure that outlives its use.
unsafe impl Send for JobCell {}

/// Threads beside the calling one.
pub(crate) struct Workers {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Workers {
    /// No threads yet: they are started when a job first needs them.
    pub(crate) fn new() -> Self {
        let shared = Shared {
            ticket: AtomicU64::new(0),
            job: JobCell(std::cell::UnsafeCell::new(None)),
            remaining: AtomicUsize::new(0),
            panicked: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            sleepers: AtomicUsize::new(0),
            start: Default::default(),
            done: Default::default(),
        };
        Workers { shared: Arc::new(shared), threads: Vec::new() }
    }

    /// Calls `job(0)` here and `job(1)` to `job(threads - 1)` on other threads, and returns when all have returned.
    ///
    /// # Panics
    /// Where the job panicked on any thread, after all have finished.
    pub(crate) fn run(&mut self, threads: usize, job: &Job<'_>) {
        if threads <= 1 {
            return job(0);
        }
        self.ensure(threads - 1);
        let shared = &*self.shared;
        // SAFETY: this only forgets how long the closure lives. `Finish` waits, also when `job(0)` unwinds, until no
        // thread runs the job, so nobody uses the pointer after this call.
        let lasting = unsafe { std::mem::transmute::<*const Job<'_>, *const Job<'static>>(job) };
        // SAFETY: `&mut self` and the wait in `Finish` mean that no thread takes part in a job now, so none reads.
        unsafe { *shared.job.0.get() = Some(lasting) };
        shared.remaining.store(threads - 1, Ordering::Relaxed);
        let number = (shared.ticket.load(Ordering::Relaxed) >> 16) + 1;
        shared.ticket.store(number << 16 | threads as u64, Ordering::SeqCst);
        if shared.sleepers.load(Ordering::SeqCst) > 0 {
            drop(lock(&shared.start.0));
            shared.start.1.notify_all();
        }
        let finish = Finish(shared);
        job(0);
        drop(finish);
        if shared.panicked.swap(false, Ordering::Relaxed) {
            panic!("a worker thread panicked");
        }
    }

    fn ensure(&mut self, count: usize) {
        while self.threads.len() < count {
            let shared = Arc::clone(&self.shared);
            let number = self.threads.len() + 1;
            let seen = shared.ticket.load(Ordering::Relaxed);
            let thread = std::thread::Builder::new().name(format!("layerwise-{number}"));
            let handle = thread.spawn(move || shared.work(number, seen)).expect("the system starts a thread");
            self.threads.push(handle);
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.shared.ticket.fetch_add(1 << 16, Ordering::SeqCst);
        drop(lock(&self.shared.start.0));
        self.shared.start.1.notify_all();
        for thread in self.threads.drain(..) {
            // A worker catches the panics of its jobs, so there is none to pass on.
            let _ = thread.join();
        }
    }
}

/// Waits until every other thread is done with the job, even while this one unwinds.
struct Finish<'s>(&'s Shared);

impl Drop for Finish<'_> {
    fn drop(&mut self) {
        let shared = self.0;
        if spin_until(|| shared.remaining.load(Ordering::Acquire) == 0) {
            return;
        }
        let mut guard = lock(&shared.done.0);
        while shared.remaining.load(Ordering::Acquire) != 0 {
            guard = shared.done.1.wait(guard).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Shared {
    /// The life of thread `number`.
    fn work(&self, number: usize, mut seen: u64) {
        loop {
            seen = self.next_ticket(seen);
            if self.stop.load(Ordering::SeqCst) {
                return;
            }
            if number >= (seen & 0xFFFF) as usize {
                continue;
            }
            // SAFETY: the ticket counts this thread in, so the owner wrote the job before it and leaves it alone
            // until `remaining` is 0, which this thread brings about only below.
            let job = unsafe { (*self.job.0.get()).map(|job| &*job) };
            if let Some(job) = job
                && catch_unwind(AssertUnwindSafe(|| job(number))).is_err()
            {
                self.panicked.store(true, Ordering::Relaxed);
            }
            if self.remaining.fetch_sub(1, Ordering::AcqRel) == 1 {
                drop(lock(&self.done.0));
                self.done.1.notify_one();
            }
        }
    }

    /// Waits for a ticket other than `seen`.
    fn next_ticket(&self, seen: u64) -> u64 {
        if spin_until(|| self.ticket.load(Ordering::Acquire) != seen) {
            return self.ticket.load(Ordering::Acquire);
        }
        let mut guard = lock(&self.start.0);
        // Counted before the ticket is looked at again: the owner looks at the count after it has written the ticket,
        // so one of the two sees the other.
        self.sleepers.fetch_add(1, Ordering::SeqCst);
        while self.ticket.load(Ordering::SeqCst) == seen {
            guard = self.start.1.wait(guard).unwrap_or_else(PoisonError::into_inner);
        }
        self.sleepers.fetch_sub(1, Ordering::SeqCst);
        self.ticket.load(Ordering::Acquire)
    }
}

fn lock(mutex: &Mutex<()>) -> std::sync::MutexGuard<'_, ()> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Spins until the condition holds or it has taken too long; tells which.
fn spin_until(condition: impl Fn() -> bool) -> bool {
    let mut begun = None;
    loop {
        for _ in 0..64 {
            if condition() {
                return true;
            }
            std::hint::spin_loop();
        }
        if begun.get_or_insert_with(Instant::now).elapsed() > SPIN {
            return false;
        }
    }
}

/// A part of a span of the flat gradient buffer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Chunk {
    /// The number of the span.
    pub(crate) span: usize,
    /// The part, counted within the span.
    pub(crate) part: Range<usize>,
    /// The same part, counted from the start of the flat buffer.
    pub(crate) flat: Range<usize>,
}

/// All spans, cut into parts that do not overlap.
#[derive(Debug, Default)]
pub(crate) struct Chunks {
    chunks: Vec<Chunk>,
    /// For each slot the part that belongs to each span; empty where slots are laid out as the flat buffer is.
    slots: Vec<Vec<Range<usize>>>,
}

impl Chunks {
    /// Cuts spans of these lengths, laid one behind the other, into parts of at most `size`.
    pub(crate) fn cut(lengths: impl Iterator<Item = usize>, size: usize) -> Self {
        let (mut chunks, mut start) = (Vec::new(), 0);
        for (span, length) in lengths.enumerate() {
            for from in (0..length).step_by(size) {
                let part = from..length.min(from.saturating_add(size));
                let flat = start + part.start..start + part.end;
                chunks.push(Chunk { span, part, flat });
            }
            start += length;
        }
        Chunks { chunks, slots: Vec::new() }
    }

    /// Leaves every span in one piece, with slots of their own lengths: for each slot its part for each span, one behind
    /// the other.
    pub(crate) fn whole(lengths: impl Iterator<Item = usize>, slots: Vec<Vec<Range<usize>>>) -> Self {
        let behind = |parts: &Vec<Range<usize>>| parts.windows(2).all(|pair| pair[0].end <= pair[1].start);
        assert!(slots.iter().all(behind), "parts of a slot that overlap");
        Chunks { slots, ..Self::cut(lengths, usize::MAX) }
    }

    pub(crate) fn iter(&self) -> std::slice::Iter<'_, Chunk> {
        self.chunks.iter()
    }

    /// A chunk's part of a slot.
    fn part_of(&self, slot: usize, chunk: &Chunk) -> Range<usize> {
        self.slots.get(slot).map_or_else(|| chunk.flat.clone(), |parts| parts[chunk.span].clone())
    }
}

/// What a sweep does with a chunk, its part of the weight, and its part of each slot.
type Visit<'v, A> = dyn Fn(&Chunk, &mut [A], &mut [&mut [A]]) + Sync + 'v;

/// The most slots that a rule may ask for.
pub(crate) const MOST_SLOTS: usize = 7;

/// Room to remember the weights and slots of one sweep, kept so that a sweep allocates nothing.
pub(crate) struct SliceTable<A> {
    spans: Vec<(*mut A, usize)>,
    slots: Vec<(*mut A, usize)>,
}

// SAFETY: the pointers are used only through `Slices`, which has them from exclusive borrows that live as long as it.
unsafe impl<A: Send> Send for SliceTable<A> {}
// SAFETY: a shared table gives no access to what it points to.
unsafe impl<A: Send> Sync for SliceTable<A> {}

impl<A> SliceTable<A> {
    pub(crate) fn new() -> Self {
        SliceTable { spans: Vec::new(), slots: Vec::new() }
    }

    /// An empty table for `spans` weights, borrowed until the sweep is over.
    pub(crate) fn borrow<'a>(&'a mut self, spans: usize) -> Slices<'a, A> {
        self.spans.clear();
        self.slots.clear();
        self.spans.resize(spans, (std::ptr::dangling_mut(), 0));
        Slices { table: self, borrowed: PhantomData }
    }
}

/// Exclusive slices of weights, one for each span, and of slots, each as long as the flat buffer.
pub(crate) struct Slices<'a, A> {
    table: &'a mut SliceTable<A>,
    borrowed: PhantomData<&'a mut A>,
}

impl<'a, A: Send + Sync> Slices<'a, A> {
    /// The weight of a span.
    pub(crate) fn set_span(&mut self, span: usize, weights: &'a mut [A]) {
        self.table.spans[span] = (weights.as_mut_ptr(), weights.len());
    }

    /// One more slot.
    pub(crate) fn push_slot(&mut self, slot: &'a mut [A]) {
        assert!(self.table.slots.len() < MOST_SLOTS, "at most {MOST_SLOTS} slots");
        self.table.slots.push((slot.as_mut_ptr(), slot.len()));
    }

    /// Calls `visit` for each chunk with its part of the weight and of every slot, the chunks shared out over threads.
    pub(crate) fn sweep(self, workers: &mut Workers, threads: usize, chunks: &Chunks, visit: &Visit<'_, A>) {
        let table = &*self.table;
        workers.run(threads, &|thread| {
            let count = chunks.chunks.len();
            for chunk in &chunks.chunks[thread * count / threads..(thread + 1) * count / threads] {
                // SAFETY: every pointer came from a `&'a mut` slice of the length beside it, which nobody else can use
                // while `self` lives; `part` checks the bounds. Chunks do not overlap and each is given to one thread,
                // once, so these slices are the only ones to this memory.
                let weights = unsafe { part(table.spans[chunk.span], &chunk.part) };
                let mut slots: [&mut [A]; MOST_SLOTS] = Default::default();
                for (at, (slice, &slot)) in slots.iter_mut().zip(&table.slots).enumerate() {
                    // SAFETY: as above. Parts of a slot do not overlap either: they are the chunks' own, or the spans'
                    // and every chunk is a span.
                    *slice = unsafe { part(slot, &chunks.part_of(at, chunk)) };
                }
                visit(chunk, weights, &mut slots[..table.slots.len()]);
            }
        });
    }
}

/// A part of a slice that is given by pointer and length.
///
/// # Safety
/// The pointer must be to `length` values that nobody else reads or writes in this part for as long as the result
/// lives.
unsafe fn part<'s, A>((pointer, length): (*mut A, usize), part: &Range<usize>) -> &'s mut [A] {
    assert!(part.start <= part.end && part.end <= length, "part {part:?} of a slice of {length}");
    // SAFETY: the part lies within the slice, as was just checked; the rest is the caller's promise.
    unsafe { std::slice::from_raw_parts_mut(pointer.add(part.start), part.len()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_thread_runs_every_job_once_also_after_a_sleep() {
        let mut workers = Workers::new();
        for round in 0..200 {
            if round % 50 == 49 {
                std::thread::sleep(4 * SPIN);
            }
            let threads = 1 + round % 5;
            let counts: Vec<AtomicUsize> = (0..5).map(|_| AtomicUsize::new(0)).collect();
            workers.run(threads, &|thread| {
                counts[thread].fetch_add(1, Ordering::Relaxed);
            });
            for (thread, count) in counts.iter().enumerate() {
                assert_eq!(count.load(Ordering::Relaxed), usize::from(thread < threads), "round {round}");
            }
        }
    }

    #[test]
    fn a_panic_in_a_job_comes_out_here_and_the_threads_live_on() {
        let mut workers = Workers::new();
        for guilty in 0..3 {
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                workers.run(3, &|thread| assert_ne!(thread, guilty, "on purpose"));
            }));
            assert!(outcome.is_err());
            let count = AtomicUsize::new(0);
            workers.run(3, &|_| {
                count.fetch_add(1, Ordering::Relaxed);
            });
            assert_eq!(count.into_inner(), 3);
        }
    }

    #[test]
    fn a_sweep_meets_every_element_of_weights_and_slots_once() {
        let lengths = [10, 0, 7, 1];
        let mut weights: Vec<Vec<f64>> = lengths.iter().map(|&n| vec![0.0; n]).collect();
        let mut slot: Vec<f64> = (0..18).map(f64::from).collect();
        let chunks = Chunks::cut(lengths.iter().copied(), 3);
        let mut table = SliceTable::new();
        let mut slices = table.borrow(4);
        for (span, weights) in weights.iter_mut().enumerate() {
            slices.set_span(span, weights);
        }
        slices.push_slot(&mut slot);
        slices.sweep(&mut Workers::new(), 3, &chunks, &|_, weights, slots| {
            for (w, s) in weights.iter_mut().zip(slots[0].iter_mut()) {
                *w += *s + 1.0;
                *s = -*s;
            }
        });
        let all: Vec<f64> = weights.concat();
        assert_eq!(all, (1..=18).map(f64::from).collect::<Vec<_>>());
        assert_eq!(slot, (0..18).map(|i| -f64::from(i)).collect::<Vec<_>>());
    }
}
