//! A tile of a product whose left factor lies in runs: as many sums as the registers hold.

use num_traits::Zero;

use super::super::gemm::{Finish, write};
use super::super::vector::Vector;

/// Where the numbers of a row of the left factor lie, seen from where the row begins: `outer` times `inner` runs of
/// `length` numbers that are `along` apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Runs {
    pub(super) outer: usize,
    /// From a group of runs to the next.
    pub(super) outer_jump: usize,
    pub(super) inner: usize,
    /// From a run to the next of its group.
    pub(super) inner_jump: usize,
    pub(super) length: usize,
    pub(super) along: usize,
}

/// Rows of a tile that are fewer than the registers hold repeat the last one and are not written.
pub(super) const MOST_ROWS: usize = 8;

/// target = finish(a b): rows of a begin at `a` and go on in runs; b is packed, `VECTORS` registers for each number of
/// a row; the first `count` rows go to `targets`.
///
/// # Safety
/// The instruction set of `V`; pointers good for what runs and constants say.
#[inline(always)]
pub(super) unsafe fn tile<V: Vector, const ROWS: usize, const VECTORS: usize>(
    a: &[*const V::Item; MOST_ROWS],
    runs: Runs,
    b: *const V::Item,
    targets: &[*mut V::Item; MOST_ROWS],
    count: usize,
    mask: Option<V::Mask>,
    finish: Finish<V::Item>,
) {
    // SAFETY: the caller's promises.
    unsafe {
        let mut sums = [[V::splat(V::Item::zero()); VECTORS]; ROWS];
        let mut b = b;
        for outer in 0..runs.outer {
            for inner in 0..runs.inner {
                let mut at = outer * runs.outer_jump + inner * runs.inner_jump;
                for _ in 0..runs.length {
                    let mut right = [V::splat(V::Item::zero()); VECTORS];
                    let mut vector = 0;
                    while vector < VECTORS {
                        right[vector] = V::load(b.add(vector * V::LANES));
                        vector += 1;
                    }
                    let mut row = 0;
                    while row < ROWS {
                        let left = V::splat(a[row].add(at).read());
                        let mut vector = 0;
                        while vector < VECTORS {
                            sums[row][vector] = left.fma(right[vector], sums[row][vector]);
                            vector += 1;
                        }
                        row += 1;
                    }
                    at += runs.along;
                    b = b.add(VECTORS * V::LANES);
                }
            }
        }
        write(&mut sums[..], count, |row| targets[row], mask, finish);
    }
}

/// Calls [`tile`] with the rows that the registers hold and the vectors that a strip has.
///
/// # Safety
/// As there.
#[inline(always)]
pub(super) unsafe fn tile_of<V: Vector>(
    vectors: usize,
    a: &[*const V::Item; MOST_ROWS],
    runs: Runs,
    b: *const V::Item,
    targets: &[*mut V::Item; MOST_ROWS],
    count: usize,
    mask: Option<V::Mask>,
    finish: Finish<V::Item>,
) {
    // SAFETY: the caller's promises.
    unsafe {
        macro_rules! with {
            ($rows:literal) => {
                match vectors {
                    1 => tile::<V, $rows, 1>(a, runs, b, targets, count, mask, finish),
                    2 => tile::<V, $rows, 2>(a, runs, b, targets, count, mask, finish),
                    3 if V::TILE.1 == 3 => tile::<V, $rows, 3>(a, runs, b, targets, count, mask, finish),
                    4 if V::WIDE == (6, 4) => tile::<V, 6, 4>(a, runs, b, targets, count, mask, finish),
                    _ => unreachable!("a strip is no wider than a tile"),
                }
            };
        }
        match V::TILE.0 {
            8 => with!(8),
            6 => with!(6),
            _ => with!(4),
        }
    }
}

/// Columns of a right factor that are worked on at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Strip {
    /// The first column.
    pub(super) column: usize,
    /// The columns.
    pub(super) width: usize,
    /// The registers that hold them.
    pub(super) vectors: usize,
}

/// The strips that so many columns are cut into, each as even as can be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Strips {
    columns: usize,
    column: usize,
    lanes: usize,
    registers: usize,
    strips: usize,
}

impl Strips {
    #[inline(always)]
    pub(super) fn of<V: Vector>(columns: usize) -> Self {
        let registers = columns.div_ceil(V::LANES);
        let strips = if registers == V::WIDE.1 { 1 } else { registers.div_ceil(V::TILE.1) };
        Strips { columns, column: 0, lanes: V::LANES, registers, strips }
    }
}

impl Iterator for Strips {
    type Item = Strip;

    #[inline(always)]
    fn next(&mut self) -> Option<Strip> {
        if self.strips == 0 {
            return None;
        }
        let vectors = self.registers.div_ceil(self.strips);
        let width = (vectors * self.lanes).min(self.columns - self.column);
        let strip = Strip { column: self.column, width, vectors };
        self.registers -= vectors;
        self.strips -= 1;
        self.column += width;
        Some(strip)
    }
}

/// The columns with those that fill up the last register.
#[inline(always)]
pub(super) fn full<V: Vector>(columns: usize) -> usize {
    columns.next_multiple_of(V::LANES)
}

/// Which numbers of a strip's last register count, where not all do.
///
/// # Safety
/// The instruction set of `V`.
#[inline(always)]
pub(super) unsafe fn mask<V: Vector>(width: usize, vectors: usize) -> Option<V::Mask> {
    // SAFETY: the caller's promise.
    (width < vectors * V::LANES).then(|| unsafe { V::mask(width - (vectors - 1) * V::LANES) })
}
