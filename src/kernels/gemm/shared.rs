//! One row times a large matrix on several threads: the one product that a kernel shares out by itself.
//!
//! All of its time goes into reading the matrix, and several cores read faster than one, each a part that its own cache
//! may keep until the next row comes. Everywhere else whole samples are shared out, and a kernel has one thread.

use std::array;
use std::cell::Cell;
use std::sync::{Arc, Mutex, PoisonError};

use super::super::math::Real;
use super::super::reduce::add_columns;
use super::super::scratch::{LINE, Scratch};
use super::super::simd::Level;
use super::{Matrix, line};
use crate::workers::Workers;

/// The elements of a matrix that are worth a second thread: half a megabyte of `f32`, ten microseconds of one core.
const SHARED_FROM: usize = 1 << 17;

/// The fewest elements of a segment.
const SEGMENT: usize = 1 << 15;

/// The most threads, and the most segments.
const MOST: usize = 32;

/// Threads that a caller lends to the products of its thread.
struct Help {
    workers: Arc<Mutex<Workers>>,
    threads: usize,
    /// Whether rows come in quick succession, once a product has asked.
    in_demand: Option<bool>,
}

thread_local! {
    static HELP: Cell<Option<Help>> = const { Cell::new(None) };
}

/// Does `work`, whose large products of one row may be made by up to so many threads.
pub(crate) fn with_help<R>(workers: &Arc<Mutex<Workers>>, threads: usize, work: impl FnOnce() -> R) -> R {
    /// Takes back what was lent, also where the work panics.
    struct Lent(Option<Help>);

    impl Drop for Lent {
        fn drop(&mut self) {
            HELP.set(self.0.take());
        }
    }

    if threads < 2 {
        return work();
    }
    let help = Help { workers: Arc::clone(workers), threads: threads.min(MOST), in_demand: None };
    let _lent = Lent(HELP.replace(Some(help)));
    work()
}

/// y = x b + beta y, as [`line::row`]; large matrices in segments of their rows, whose sums are then added up in order.
///
/// Segments lie in one piece each. Parts of every row would use a part of each core's cache where rows are a power of
/// two long.
pub(super) fn row<A: Real>(level: Level, x: &[A], b: Matrix<'_, A>, beta: A, y: &mut [A]) {
    let elements = b.rows * b.columns;
    if elements < SHARED_FROM || b.rows < 2 * MOST {
        return line::row(level, x, b, beta, y);
    }
    // Of the size alone, so that the sums are the same on any number of threads.
    let segments = (elements / SEGMENT).min(MOST);
    let first = |segment: usize| segment * b.rows / segments;
    let mut sums = Scratch::of(segments * b.columns);
    share(&mut sums, b.columns, &|from, sums| {
        for (segment, sums) in (from..).zip(sums.chunks_exact_mut(b.columns)) {
            let (start, end) = (first(segment), first(segment + 1));
            line::row(level, &x[start..end], b.part(start, end - start, 0, b.columns), A::zero(), sums);
        }
    });
    if beta == A::zero() {
        y.fill(beta);
    } else {
        y.iter_mut().for_each(|y| *y *= beta);
    }
    add_columns(&sums, y);
}

/// y = b x + beta y, as [`line::column`].
pub(super) fn column<A: Real>(level: Level, b: Matrix<'_, A>, x: &[A], beta: A, y: &mut [A]) {
    let make = |first: usize, y: &mut [A]| line::column(level, b.part(first, y.len(), 0, b.columns), x, beta, y);
    if b.rows * b.columns < SHARED_FROM {
        return make(0, y);
    }
    // Whole lines of y, so that no two threads write to one.
    let line = LINE / size_of::<A>();
    share(y, line, &|first, y| make(first * line, y));
}

/// Calls `make` for all of `out`, or for parts of it on several threads where somebody lends them. Parts are of whole
/// units, save for the last; `make` is told with which unit its part begins.
///
/// Threads that sleep are not waited for: to wake them takes longer than the product. They are called for the next time
/// where one row follows another.
fn share<A: Real>(out: &mut [A], unit: usize, make: &(dyn Fn(usize, &mut [A]) + Sync)) {
    let Some(mut help) = HELP.take() else { return make(0, out) };
    let threads = help.threads.min(out.len().div_ceil(unit));
    match help.workers.try_lock() {
        Ok(mut workers) if threads > 1 => {
            let in_demand = *help.in_demand.get_or_insert_with(|| workers.are_in_demand());
            if workers.are_awake(threads) {
                make_parts(&mut workers, threads, out, unit, make);
            } else {
                if in_demand {
                    workers.wake(threads);
                }
                make(0, out);
            }
            workers.finished();
        }
        // Another thread predicts with the same trainer meanwhile: there is work for all.
        _ => make(0, out),
    }
    HELP.set(Some(help));
}

fn make_parts<A: Real>(
    workers: &mut Workers,
    threads: usize,
    out: &mut [A],
    unit: usize,
    make: &(dyn Fn(usize, &mut [A]) + Sync),
) {
    let units = out.len().div_ceil(unit);
    let first = |thread: usize| thread * units / threads;
    let mut left = out;
    let parts: [_; MOST] = array::from_fn(|thread| {
        let end = if thread < threads { (first(thread + 1) - first(thread)) * unit } else { 0 };
        Mutex::new(left.split_off_mut(..end.min(left.len())).unwrap_or_default())
    });
    workers.run(threads, &|thread| {
        let mut part = parts[thread].lock().unwrap_or_else(PoisonError::into_inner);
        make(first(thread), &mut part);
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::gemm::{Ending, gemm};

    /// x b and b x of a matrix that is large enough, or its transpose.
    fn products<A: Real>(rows: usize, columns: usize) -> Vec<A> {
        let numbers = |count: usize| -> Vec<A> { (0..count).map(|i| A::of((i as f64 * 0.37).sin())).collect() };
        let (b, x) = (numbers(rows * columns), numbers(rows.max(columns)));
        let b = Matrix::row_major(&b, rows, columns);
        let (mut y, mut z) = (vec![A::one(); columns], vec![A::one(); rows]);
        let bias = numbers(columns);
        let ending = Ending { beta: A::of(0.5), bias: Some(&bias), relu: true };
        gemm(Matrix::row_major(&x[..rows], 1, rows), b, &mut y, columns, ending);
        gemm(Matrix::row_major(&x[..columns], 1, columns), b.t(), &mut z, rows, Ending::sum(A::one()));
        [y, z].concat()
    }

    fn check<A: Real + std::fmt::Debug>() {
        let workers = Arc::new(Mutex::new(Workers::new()));
        for (rows, columns) in [(784, 512), (300, 1001), (2000, 70), (7, 40_000), (140_000, 1), (400, 500)] {
            let alone = products::<A>(rows, columns);
            for threads in [1, 2, 3, 5, 40] {
                // Threads that have just had a job are awake.
                workers.lock().unwrap().run(threads.min(MOST), &|_| {});
                let shared = with_help(&workers, threads, || products::<A>(rows, columns));
                assert_eq!(alone, shared, "{rows}x{columns} on {threads} threads");
            }
        }
        assert!(HELP.take().is_none(), "what was lent is given back");
    }

    #[test]
    fn any_number_of_threads_makes_the_same_bits() {
        check::<f32>();
        check::<f64>();
    }

    #[test]
    fn parts_are_of_whole_units_and_leave_nothing_out() {
        let mut workers = Workers::new();
        for (length, unit) in [(100, 7), (64, 16), (5, 5), (33, 1)] {
            for threads in [1, 2, 3, 5] {
                let threads = threads.min(usize::div_ceil(length, unit));
                let mut out = vec![0.0_f64; length];
                make_parts(&mut workers, threads, &mut out, unit, &|first, part| {
                    part.iter_mut().zip(first * unit..).for_each(|(x, at)| *x += at as f64);
                });
                let all: Vec<f64> = (0..length).map(|at| at as f64).collect();
                assert_eq!(out, all, "{length} in units of {unit} on {threads} threads");
            }
        }
    }

    #[test]
    fn threads_that_are_busy_or_lent_by_nobody_are_not_waited_for() {
        let workers = Arc::new(Mutex::new(Workers::new()));
        let alone = products::<f32>(784, 512);
        let busy = workers.lock().unwrap();
        assert_eq!(with_help(&workers, 2, || products::<f32>(784, 512)), alone);
        drop(busy);
        let panicked = std::panic::catch_unwind(|| with_help(&workers, 2, || panic!("on purpose")));
        assert!(panicked.is_err() && HELP.take().is_none());
    }
}
