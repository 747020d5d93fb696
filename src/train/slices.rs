//! Weights and what optimizers keep for them, cut into parts that threads go over at once.

use std::marker::PhantomData;
use std::ops::Range;

use crate::workers::Workers;

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
