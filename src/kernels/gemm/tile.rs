//! A tile of a product: as many sums as the registers hold, over the whole depth.

use num_traits::Zero;

use super::super::scratch::LINE;
use super::super::vector::Vector;
use super::Matrix;

/// One factor of a tile: element (i, p), or (p, j) of the right one, at `i * across + p * along`.
///
/// The right factor's columns lie side by side, so that `across` counts only for the left one.
#[derive(Clone, Copy)]
pub(super) struct Factor<A> {
    pub(super) data: *const A,
    pub(super) across: usize,
    pub(super) along: usize,
}

/// Where a tile goes: rows that start `stride` apart.
#[derive(Clone, Copy)]
pub(super) struct Target<A> {
    pub(super) data: *mut A,
    pub(super) stride: usize,
}

/// What becomes of the sums.
#[derive(Clone, Copy)]
pub(in crate::kernels) struct Finish<A> {
    /// By what that which stands in the target is multiplied before it is added; at 0 it is not read.
    pub(in crate::kernels) beta: A,
    /// Added to each row; null for none.
    pub(in crate::kernels) bias: *const A,
    /// Whether negative sums become 0.
    pub(in crate::kernels) relu: bool,
}

/// The fewest and the most steps of a tile from one line that is asked for ahead to the next.
const FASTEST: usize = 2;
const SLOWEST: usize = 32;

/// Lines of memory that are wanted soon: rows of `bytes` bytes, `stride` bytes apart.
#[derive(Clone, Copy)]
pub(super) struct Ahead {
    line: *const u8,
    at: usize,
    bytes: usize,
    stride: usize,
    rows: usize,
    /// Steps of a tile from one line to the next.
    pace: usize,
}

impl Ahead {
    pub(super) const NOTHING: Ahead =
        Ahead { line: std::ptr::null(), at: 0, bytes: 0, stride: 0, rows: 0, pace: SLOWEST };

    /// The lines of a matrix.
    pub(super) fn of<A>(matrix: Matrix<'_, A>) -> Self {
        let (length, stride, rows) = match matrix.column_stride {
            1 => (matrix.columns, matrix.row_stride, matrix.rows),
            stride => (matrix.rows, stride, matrix.columns),
        };
        let size = size_of::<A>();
        let line = matrix.data.as_ptr().cast();
        Ahead { line, at: 0, bytes: length * size, stride: stride * size, rows, pace: FASTEST }
    }

    /// Spreads the lines over so many steps: memory that is asked for more than it can give keeps near loads waiting.
    pub(super) fn over(self, steps: usize) -> Self {
        let lines = self.rows * self.bytes.div_ceil(LINE);
        Ahead { pace: (steps / lines.max(1)).clamp(FASTEST, SLOWEST), ..self }
    }

    /// Whether all lines were asked for.
    #[inline(always)]
    pub(super) fn is_over(&self) -> bool {
        self.rows == 0
    }

    /// Asks for the next line, which nobody waits for.
    #[inline(always)]
    fn step(&mut self) {
        if self.rows == 0 {
            return;
        }
        fetch(self.line.wrapping_add(self.at));
        self.at += LINE;
        if self.at >= self.bytes {
            self.at = 0;
            self.line = self.line.wrapping_add(self.stride);
            self.rows -= 1;
        }
    }
}

/// From how much depth on the target is fetched while the sums are made.
pub(super) const WAIT: usize = 32;

/// Brings a line of memory near.
#[inline(always)]
fn fetch(line: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a hint, which no address makes fail.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T1>(line.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = line;
}

/// target = finish(a b) for `ROWS` rows and `VECTORS` registers of columns, of the last of which `mask` tells how many
/// count.
///
/// `PARTLY` says that the right factor, too, has only those columns: else it is filled up to whole registers.
///
/// # Safety
/// The instruction set of `V`; factors, target and bias of the sizes that the constants and `depth` say.
#[inline(always)]
pub(super) unsafe fn tile<V: Vector, const ROWS: usize, const VECTORS: usize, const PARTLY: bool>(
    depth: usize,
    a: Factor<V::Item>,
    b: Factor<V::Item>,
    target: Target<V::Item>,
    mask: Option<V::Mask>,
    finish: Finish<V::Item>,
    ahead: &mut Ahead,
) {
    // SAFETY: the caller's promises, handed on; `step` stays below `depth`.
    unsafe {
        if depth >= WAIT {
            for row in 0..ROWS {
                fetch(target.data.add(row * target.stride).cast());
                fetch(target.data.wrapping_add(row * target.stride + VECTORS * V::LANES - 1).cast());
            }
        }
        let mut sums = [[V::splat(V::Item::zero()); VECTORS]; ROWS];
        let mut wait = ahead.pace;
        for step in 0..depth {
            wait -= 1;
            if wait == 0 {
                ahead.step();
                wait = ahead.pace;
            }
            multiply::<V, ROWS, VECTORS, PARTLY>(&mut sums, step, a, b, mask);
        }
        write(&mut sums, ROWS, |row| target.data.add(row * target.stride), mask, finish);
    }
}

/// sums += a column of a times a row of b.
///
/// # Safety
/// As for [`tile`].
#[inline(always)]
unsafe fn multiply<V: Vector, const ROWS: usize, const VECTORS: usize, const PARTLY: bool>(
    sums: &mut [[V; VECTORS]; ROWS],
    step: usize,
    a: Factor<V::Item>,
    b: Factor<V::Item>,
    mask: Option<V::Mask>,
) {
    // SAFETY: as for `tile`.
    unsafe {
        let from = b.data.add(step * b.along);
        let mut right = [V::splat(V::Item::zero()); VECTORS];
        let mut vector = 0;
        while vector < VECTORS {
            let from = from.add(vector * V::LANES);
            right[vector] = match mask {
                Some(mask) if PARTLY && vector + 1 == VECTORS => V::load_some(from, mask),
                _ => V::load(from),
            };
            vector += 1;
        }
        let from = a.data.add(step * a.along);
        let mut row = 0;
        while row < ROWS {
            let left = V::splat(from.add(row * a.across).read());
            let mut vector = 0;
            while vector < VECTORS {
                sums[row][vector] = left.fma(right[vector], sums[row][vector]);
                vector += 1;
            }
            row += 1;
        }
    }
}

/// Brings the sums to their end, one thing after the other over all of them, and writes the first `count` rows to
/// where `target` says.
///
/// # Safety
/// The instruction set of `V`; targets and bias good for the registers of a row, of the last of which `mask` tells how
/// many numbers count.
#[inline(always)]
pub(in crate::kernels) unsafe fn write<V: Vector, const VECTORS: usize>(
    sums: &mut [[V; VECTORS]],
    count: usize,
    target: impl Fn(usize) -> *mut V::Item,
    mask: Option<V::Mask>,
    finish: Finish<V::Item>,
) {
    // SAFETY: the caller's promises.
    unsafe {
        if finish.beta != V::Item::zero() {
            let beta = V::splat(finish.beta);
            for (row, sums) in sums.iter_mut().enumerate().take(count) {
                for (vector, sum) in sums.iter_mut().enumerate() {
                    let from = target(row).add(vector * V::LANES);
                    *sum = beta.fma(read::<V>(from, mask.filter(|_| vector + 1 == VECTORS)), *sum);
                }
            }
        }
        if !finish.bias.is_null() {
            for vector in 0..VECTORS {
                let from = finish.bias.add(vector * V::LANES);
                let bias = read::<V>(from, mask.filter(|_| vector + 1 == VECTORS));
                for sums in sums.iter_mut() {
                    sums[vector] = sums[vector].add(bias);
                }
            }
        }
        if finish.relu {
            for sum in sums.as_flattened_mut() {
                *sum = sum.relu();
            }
        }
        for (row, sums) in sums.iter().enumerate().take(count) {
            let to = target(row);
            for (vector, sum) in sums[..VECTORS - 1].iter().enumerate() {
                sum.store(to.add(vector * V::LANES));
            }
            let to = to.add((VECTORS - 1) * V::LANES);
            match mask {
                Some(mask) => sums[VECTORS - 1].store_some(to, mask),
                None => sums[VECTORS - 1].store(to),
            }
        }
    }
}

/// # Safety
/// As for [`tile`].
#[inline(always)]
unsafe fn read<V: Vector>(from: *const V::Item, mask: Option<V::Mask>) -> V {
    // SAFETY: as for `tile`.
    unsafe {
        match mask {
            Some(mask) => V::load_some(from, mask),
            None => V::load(from),
        }
    }
}
