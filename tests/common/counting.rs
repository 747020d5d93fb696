//! An allocator that counts, and steps and predictions that must not move its count.
//!
//! The count is that of the whole process, worker threads included: one test alone in a file that uses this. Left out is
//! the thread on which the process began, where it only waits for the test: the harness still allocates there when the
//! test has begun long since, if the system gives that thread no time before.

// A run that counts for itself has no pieces.
#![allow(dead_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use layerwise::Model;
use layerwise::metrics::{MeanAbsoluteError, R2};
use layerwise::prelude::*;
use layerwise::schedules::Cosine;
use ndarray::{Array, ArrayD, IxDyn};

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

/// The thread that allocated first, which is the one on which the process began.
static FIRST: AtomicUsize = AtomicUsize::new(0);

/// Whether the test runs on that thread: so it is where tests run one at a time.
static FIRST_COUNTS: AtomicBool = AtomicBool::new(false);

/// A number for the calling thread, which no other one that lives has.
fn thread() -> usize {
    thread_local! {
        static PLACE: u8 = const { 0 };
    }
    PLACE.with(|place| std::ptr::from_ref(place).addr())
}

fn count() {
    let here = thread();
    let first = match FIRST.compare_exchange(0, here, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => here,
        Err(first) => first,
    };
    if here != first || FIRST_COUNTS.load(Ordering::Relaxed) {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
    }
}

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How often the process has allocated so far. For the test's own thread, which from now on counts whichever it is.
pub fn so_far() -> usize {
    if thread() == FIRST.load(Ordering::Relaxed) {
        FIRST_COUNTS.store(true, Ordering::Relaxed);
    }
    ALLOCATIONS.load(Ordering::Relaxed)
}

/// How often `work` allocates.
pub fn allocations(mut work: impl FnMut() -> Result<()>) -> Result<usize> {
    let before = so_far();
    work()?;
    Ok(so_far() - before)
}

/// A model, a batch for it, and the loss that fits.
pub struct Piece {
    pub name: String,
    pub model: Box<dyn Layer>,
    pub data: Dataset,
    pub trainer: Box<dyn Fn() -> Trainer>,
}

/// The samples of a batch.
pub const BATCH: usize = 12;

/// Numbers from -1 to 1.
pub fn wave(shape: &[usize]) -> ArrayD<f32> {
    let count: usize = shape.iter().product();
    let values = (0..count).map(|i| ((i * 37 % 101) as f32 / 50.0) - 1.0).collect();
    Array::from_shape_vec(IxDyn(shape), values).expect("as many values as the shape has")
}

/// A layer on inputs of a shape, trained towards numbers of the shape that it gives.
pub fn piece(name: &str, layer: impl Layer + 'static, x: &ArrayD<f32>) -> Result<Piece> {
    let mut shape = vec![BATCH];
    shape.extend(layer.output_shape(&x.shape()[1..])?);
    let data = Dataset::new(x, &wave(&shape))?;
    let trainer = || {
        Trainer::new(MeanSquaredError::new(), Adam::new(Cosine::new(1e-3, 1000)))
            .clip_norm(1.0)
            .metric(MeanAbsoluteError::new())
            .metric(R2::new())
    };
    Ok(Piece { name: name.into(), model: Box::new(layer), data, trainer: Box::new(trainer) })
}

/// Steps and predictions of one piece in `shards` shards, after enough of them to have every buffer.
pub fn check(piece: &mut Piece, shards: usize, threads: usize) -> Result<()> {
    let mut trainer = (piece.trainer)().shards(shards).threads(threads).seed(3);
    let (model, data) = (&mut *piece.model, &piece.data);
    for _ in 0..4 {
        trainer.step(model, data)?;
        model.predict(&data.inputs()[0])?;
    }
    let training = allocations(|| (0..10).try_for_each(|_| trainer.step(model, data).map(drop)))?;
    assert_eq!(training, 0, "{}: training steps in {shards} shards allocate", piece.name);
    let predicting = allocations(|| (0..10).try_for_each(|_| model.predict(&data.inputs()[0]).map(drop)))?;
    assert_eq!(predicting, 0, "{}: predictions allocate", piece.name);
    Ok(())
}

/// All of them in one shard and in three, after it is seen that the count moves.
pub fn check_all(pieces: &mut [Piece]) -> Result<()> {
    let one = allocations(|| {
        drop(vec![0_u8; 8]);
        Ok(())
    })?;
    assert!(one > 0, "the count does not move");
    for (shards, threads) in [(1, 1), (3, 2)] {
        pieces.iter_mut().try_for_each(|piece| check(piece, shards, threads))?;
    }
    Ok(())
}
