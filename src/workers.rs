//! Threads of a trainer's own.
//!
//! They live as long as the trainer. Between two jobs they spin for a moment, because the next job of a training loop
//! comes within microseconds, and then sleep, because nobody likes a library that burns a core. Nothing in a job waits
//! for another job, so a machine whose cores are all taken is slow but never stuck.

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
    /// When work that they might have shared was last finished.
    last: Option<Instant>,
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
        Workers { shared: Arc::new(shared), threads: Vec::new(), last: None }
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
        self.publish(threads);
        let finish = Finish(shared);
        job(0);
        drop(finish);
        if shared.panicked.swap(false, Ordering::Relaxed) {
            panic!("a worker thread panicked");
        }
    }

    /// Whether so many threads, the calling one included, would begin a job at once. Those that sleep take longer to wake
    /// than short work takes one thread.
    pub(crate) fn are_awake(&self, threads: usize) -> bool {
        self.threads.len() + 1 >= threads && self.shared.sleepers.load(Ordering::SeqCst) == 0
    }

    /// Whether the last work was finished so lately that threads would still be awake.
    pub(crate) fn are_in_demand(&self) -> bool {
        self.last.is_some_and(|last| last.elapsed() < SPIN)
    }

    /// Remembers when work was finished, by however many threads.
    pub(crate) fn finished(&mut self) {
        self.last = Some(Instant::now());
    }

    /// Wakes so many threads for the next job, and waits for none.
    pub(crate) fn wake(&mut self, threads: usize) {
        self.ensure(threads.saturating_sub(1));
        // A job in which nobody takes part.
        self.publish(0);
    }

    fn publish(&self, threads: usize) {
        let shared = &*self.shared;
        let number = (shared.ticket.load(Ordering::Relaxed) >> 16) + 1;
        shared.ticket.store(number << 16 | threads as u64, Ordering::SeqCst);
        if shared.sleepers.load(Ordering::SeqCst) > 0 {
            drop(lock(&shared.start.0));
            shared.start.1.notify_all();
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

impl Default for Workers {
    fn default() -> Self {
        Self::new()
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
    fn threads_are_woken_without_a_job_and_tell_that_they_are() {
        let mut workers = Workers::new();
        assert!(workers.are_awake(1) && !workers.are_awake(2) && !workers.are_in_demand());
        workers.run(2, &|_| {});
        let patience = Instant::now() + Duration::from_secs(60);
        while workers.are_awake(2) {
            assert!(Instant::now() < patience, "a thread that has nothing to do sleeps");
            std::thread::sleep(SPIN);
        }
        while !workers.are_awake(2) {
            assert!(Instant::now() < patience, "a thread that is called comes");
            workers.wake(2);
            std::thread::yield_now();
        }
        workers.run(2, &|_| {});
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
}
