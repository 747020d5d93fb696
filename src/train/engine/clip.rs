//! By what gradients are multiplied before the rule sees them: the mean over batches, and clipping by norms.

use std::sync::atomic::{AtomicU64, Ordering};

use super::CHUNK;
use super::sweep::total;
use crate::error::{Error, Result};
use crate::gradients::Gradients;
use crate::kernels::reduce;
use crate::scalar::Scalar;
use crate::train::slices::Chunks;
use crate::workers::Workers;

/// What `clip_norm` adds to the norm before it divides, as PyTorch's `clip_grad_norm_` does.
const CLIP_EPSILON: f64 = 1e-6;

/// How gradients are kept from growing too large; one way at most.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::train) struct Clipping {
    /// The largest norm over all weights together.
    pub(in crate::train) norm: Option<f64>,
    /// The largest norm of each weight's gradient.
    pub(in crate::train) norm_each: Option<f64>,
    /// The largest number, whatever its sign.
    pub(in crate::train) value: Option<f64>,
}

impl Clipping {
    pub(super) fn needs_norms(self) -> bool {
        self.norm.is_some() || self.norm_each.is_some()
    }

    pub(super) fn check(&self) -> Result<()> {
        let limits = [("clip_norm", self.norm), ("clip_norm_each", self.norm_each), ("clip_value", self.value)];
        let mut set = limits.iter().filter_map(|&(name, limit)| Some((name, limit?)));
        let Some((name, limit)) = set.next() else { return Ok(()) };
        if let Some((other, limit)) = set.next() {
            return Err(Error::setting(other, format!("the only way of clipping, without {name}"), limit));
        }
        if !(limit.is_finite() && limit > 0.0) {
            return Err(Error::setting(name, "a finite number above 0", limit));
        }
        Ok(())
    }
}

/// The factors of one step, and the memory to find them.
#[derive(Default)]
pub(super) struct Factors {
    /// For each span.
    pub(super) of: Vec<f64>,
    /// The bits of each chunk's sum of squares, for norms.
    squares: Vec<AtomicU64>,
}

impl Factors {
    pub(super) fn new(spans: usize, chunks: usize) -> Self {
        Factors { of: vec![1.0; spans], squares: (0..chunks).map(|_| AtomicU64::new(0)).collect() }
    }

    /// Adds up the squares of each chunk.
    pub(super) fn measure<A: Scalar>(
        &self,
        shards: &[Gradients<A>],
        chunks: &Chunks,
        workers: &mut Workers,
        threads: usize,
    ) {
        workers.run(threads, &|thread| {
            for (chunk, place) in chunks.iter().zip(&self.squares).skip(thread).step_by(threads) {
                let mut buffer = [A::zero(); CHUNK];
                let gradient = total(shards, chunk, &mut buffer);
                let square = gradient.map_or(0.0, |gradient| reduce::sum_of_squares(gradient).as_f64());
                place.store(square.to_bits(), Ordering::Relaxed);
            }
        });
    }

    /// Finds the factors: `share` for the mean over batches, less where a norm that was measured is too large.
    ///
    /// # Errors
    /// [`Error::NonFinite`] for a norm that is none, at step number `step`.
    pub(super) fn find(&mut self, clipping: Clipping, share: f64, chunks: &Chunks, step: u64) -> Result<()> {
        self.of.fill(share);
        // In the order of the chunks, whoever has measured them.
        let squares = chunks.iter().zip(&self.squares).map(|(chunk, square)| (chunk.span, read(square)));
        if let Some(most) = clipping.norm {
            let norm = share * squares.map(|(_, square)| square).sum::<f64>().sqrt();
            check_norm(norm, step)?;
            self.of.fill(share * (most / (norm + CLIP_EPSILON)).min(1.0));
        } else if let Some(most) = clipping.norm_each {
            let mut squares = squares.peekable();
            for (at, factor) in self.of.iter_mut().enumerate() {
                let mut sum = 0.0;
                while let Some((_, square)) = squares.next_if(|(span, _)| *span == at) {
                    sum += square;
                }
                let norm = share * sum.sqrt();
                check_norm(norm, step)?;
                *factor = share * most / norm.max(most);
            }
        }
        Ok(())
    }
}

fn read(square: &AtomicU64) -> f64 {
    f64::from_bits(square.load(Ordering::Relaxed))
}

fn check_norm(norm: f64, step: u64) -> Result<()> {
    if norm.is_finite() {
        return Ok(());
    }
    Err(Error::NonFinite { what: "gradient norm".into(), step, value: norm })
}
