//! Fetching memory ahead of its use, where loops go through it in leaps that no processor sees coming.

use std::ops::Range;

use super::super::vector::prefetch;

/// So many numbers stay in the last cache, from where processors fetch well enough by themselves.
const NEAR: usize = 3 << 20;

/// Bytes of a line of the cache.
const LINE: usize = 64;

/// The rows that the next row of targets will be the first to touch. Each piece of work on a row fetches its share of
/// them, so that they come in the order of memory.
#[derive(Clone, Copy)]
pub(super) struct Ahead<A> {
    source: *const A,
    /// Rows of the source, and numbers of each.
    rows: usize,
    row: usize,
    target: *const A,
}

impl<A> Ahead<A> {
    /// Those of images with so many numbers in all: `rows` of the source from `source` on, `row` numbers long, and the
    /// row at `target`. `None` where everything is near anyway.
    pub(super) fn of(numbers: usize, source: *const A, rows: usize, row: usize, target: *const A) -> Option<Self> {
        (numbers > NEAR).then_some(Ahead { source, rows, row, target })
    }

    /// The same from other places in the rows on.
    pub(super) fn from(self, source: usize, target: usize) -> Self {
        Ahead { source: self.source.wrapping_add(source), target: self.target.wrapping_add(target), ..self }
    }

    /// Fetches these numbers of the rows.
    #[inline(always)]
    pub(super) fn fetch(&self, source: Range<usize>, target: Range<usize>) {
        let line = LINE / size_of::<A>();
        for row in 0..self.rows {
            let row = self.source.wrapping_add(row * self.row);
            source.clone().step_by(line).for_each(|number| prefetch(row.wrapping_add(number)));
        }
        target.step_by(line).for_each(|number| prefetch(self.target.wrapping_add(number)));
    }
}
