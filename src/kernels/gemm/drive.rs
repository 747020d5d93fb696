//! A product cut into tiles, in an order that reads far memory once and near memory often.
//!
//! The result is cut into strips of a few registers of columns. For each strip the right factor's columns are packed,
//! row behind row (or used as they stand, where that is as good), and tiles go down the rows of the left factor, which
//! is read as it stands. Meanwhile the next strip's part of the right factor is fetched from far memory.

use num_traits::Zero;

use super::super::math::Real;
use super::super::scratch::{LINE, Scratch};
use super::super::simd::by_level;
use super::super::transpose::transpose;
use super::super::vector::Vector;
use super::tile::{Ahead, Factor, Finish, Target, WAIT, tile};
use super::{Ending, Matrix, NEAR};

/// The bytes of a strip of the right factor: it stays in the first cache while the tiles go down the rows.
const STRIP: usize = 24 << 10;

/// The most depth of narrow tiles, which go through their strip soon.
const NARROW_DEPTH: usize = 320;

/// The most elements of the left factor that the tiles of a strip go through: they stay in the second cache.
const BLOCK: usize = 1 << 17;

/// The rows of a block where the right factor stays in the cache, a line of a left factor that is read by columns.
const ROWS: usize = 16;

/// From how many columns of the right factor on the left one is packed: each register of them is one more use of it.
const MANY: usize = 192;

/// So many bytes from its first column to its last, a left factor that lies in columns is read as it stands: what its columns
/// push out of the first cache is still in the second.
const NEAR_COLUMNS: usize = 1 << 18;

/// From how many tiles' height on wide tiles leave few rows over. Long sums of few rows are faster in others all the same.
const TALL: usize = 8;

/// How the loops go round a product.
struct Plan {
    /// The rows and the most registers of a row of a tile.
    tile: (usize, usize),
    /// The depth of a chunk.
    depth: usize,
    /// The rows of a block.
    rows: usize,
    /// The columns that are packed at once.
    width: usize,
    /// Whether the right factor is copied into strips.
    packs: bool,
    /// Whether the left factor is copied into panels.
    packs_left: bool,
}

impl Plan {
    fn of<V: Vector>(a: &Matrix<'_, V::Item>, b: &Matrix<'_, V::Item>) -> Self {
        let size = size_of::<V::Item>();
        let as_it_stands = b.column_stride == 1
            && b.columns.is_multiple_of(V::LANES)
            && (b.rows * b.columns <= NEAR || a.rows <= V::TILE.0);
        let most = if V::TILE.1 < 3 { NARROW_DEPTH } else { STRIP / (V::TILE.1 * V::LANES * size) };
        // Small products are over before a division is.
        let depth = if a.columns <= most { a.columns } else { a.columns.div_ceil(a.columns.div_ceil(most)) };
        let exact = b.columns.div_ceil(V::LANES) == V::WIDE.1;
        let tall = a.rows >= TALL * V::WIDE.0 && a.rows >= a.columns;
        let tile = if exact && tall { V::WIDE } else { V::TILE };
        let far = a.column_stride * depth * size >= NEAR_COLUMNS;
        let packs_left = depth >= WAIT && a.rows >= V::TILE.0 && b.columns >= MANY && (a.column_stride == 1 || far);
        // A right factor that stays in the second cache: then the result is written row after row.
        let strip = tile.1 * V::LANES;
        if b.columns > strip && (a.rows > 256 || depth <= WAIT) {
            let times = (b.columns * depth).div_ceil(BLOCK).max(1);
            let width = b.columns.div_ceil(times).next_multiple_of(strip);
            let rows = if packs_left { ROWS.next_multiple_of(2 * tile.0) } else { ROWS };
            return Plan { tile, depth, rows, width, packs: !as_it_stands, packs_left };
        }
        let rows = if a.rows * depth > BLOCK { (BLOCK / depth).next_multiple_of(tile.0) } else { a.rows };
        Plan { tile, depth, rows, width: b.columns, packs: !as_it_stands, packs_left }
    }

    /// What comes after the block of the rows from `row` and the depth from `from` on: the next block of the left factor, and the
    /// right factor's first strip where that begins another depth.
    fn next<V: Vector>(&self, a: Matrix<'_, V::Item>, b: Matrix<'_, V::Item>, row: usize, from: usize) -> [Ahead; 2] {
        let depth_of = |from: usize| self.depth.min(a.columns - from);
        let rows = self.rows.min(a.rows - row);
        if row + rows == a.rows && from + depth_of(from) == a.columns {
            return [Ahead::NOTHING; 2];
        }
        // The steps of this block's tiles; the strips' own lines come first.
        let strip = self.tile.1 * V::LANES;
        let steps = rows.div_ceil(self.tile.0) * b.columns.div_ceil(strip) * depth_of(from);
        let over = |ahead: Ahead| ahead.over(steps / 2);
        let next = row + rows;
        if next < a.rows {
            let rows = self.rows.min(a.rows - next);
            return [over(Ahead::of(a.part(next, rows, from, depth_of(from)))), Ahead::NOTHING];
        }
        let from = from + depth_of(from);
        let (left, right) = (
            a.part(0, self.rows.min(a.rows), from, depth_of(from)),
            b.part(from, depth_of(from), 0, strip.min(b.columns)),
        );
        [over(Ahead::of(left)), Ahead::of(right)]
    }

    /// The scratch memory that the packed strips need.
    fn room<V: Vector>(&self, rows: usize, columns: usize) -> usize {
        let strip = self.tile.1 * V::LANES;
        let columns = if self.rows < rows { columns.min(self.width) + strip } else { strip };
        if self.packs { self.depth * columns } else { 0 }
    }

    /// The scratch memory that the panels of a block need.
    fn room_left(&self, rows: usize) -> usize {
        if self.packs_left { (self.depth * self.rows.min(rows)).next_multiple_of(LINE) } else { 0 }
    }
}

by_level! {
    /// c = ending(a b), with c in rows that start `row_stride` apart.
    pub(super) fn product<A>(
        a: &Matrix<'_, A>, b: &Matrix<'_, A>, c: &mut [A], row_stride: usize, ending: &Ending<'_, A>,
    ) = blocks
}

/// # Safety
/// The instruction set of `V`.
#[inline(always)]
unsafe fn blocks<V: Vector>(
    a: &Matrix<'_, V::Item>,
    b: &Matrix<'_, V::Item>,
    c: &mut [V::Item],
    row_stride: usize,
    ending: &Ending<'_, V::Item>,
) {
    let (a, b) = (*a, *b);
    let plan = Plan::of::<V>(&a, &b);
    let room_left = plan.room_left(a.rows);
    let mut room = Scratch::of(room_left + plan.room::<V>(a.rows, b.columns));
    let (panels, room) = room.split_at_mut(room_left);
    let mut column = 0;
    while column < b.columns {
        let width = plan.width.min(b.columns - column);
        let mut from = 0;
        loop {
            let depth = plan.depth.min(a.columns - from);
            let last = from + depth == a.columns;
            let mut row = 0;
            while row < a.rows {
                let rows = plan.rows.min(a.rows - row);
                let block = a.part(row, rows, from, depth);
                if plan.packs_left {
                    pack_left(block, plan.tile.0, panels);
                }
                let strips = Strips {
                    tile: plan.tile,
                    a: block,
                    panels: plan.packs_left.then_some(&*panels),
                    b: b.part(from, depth, column, width),
                    c: &mut c[row * row_stride + column..],
                    row_stride,
                    ending: ending.part(column, width, from == 0, last),
                    all_packed: plan.rows < a.rows,
                    packs: plan.packs && row == 0,
                    packed: plan.packs,
                    near: Ahead::NOTHING,
                    far: plan.next::<V>(a, b.part(0, b.rows, column, width), row, from),
                };
                // SAFETY: the instruction set is there, as the caller promises.
                unsafe { strips.run::<V>(room) };
                row += rows;
            }
            from += depth;
            if last {
                break;
            }
        }
        column += width;
    }
}

/// A block of the left factor times a chunk of the right one.
struct Strips<'s, A> {
    tile: (usize, usize),
    a: Matrix<'s, A>,
    /// The same in panels, where it was packed.
    panels: Option<&'s [A]>,
    b: Matrix<'s, A>,
    c: &'s mut [A],
    row_stride: usize,
    ending: Ending<'s, A>,
    /// Whether the strips are kept one behind the other, for the blocks that follow.
    all_packed: bool,
    /// Whether they are still to be packed.
    packs: bool,
    /// Whether they are packed at all.
    packed: bool,
    /// What is wanted for the next strip, and after all of them.
    near: Ahead,
    far: [Ahead; 2],
}

impl<A: Real> Strips<'_, A> {
    /// # Safety
    /// The instruction set of `V`.
    #[inline(always)]
    unsafe fn run<V: Vector<Item = A>>(mut self, room: &mut [A]) {
        // Packed strips are filled up with zeros to whole registers; columns that stand as they are fill them.
        let columns = self.b.columns;
        let registers = columns.div_ceil(V::LANES);
        let strips = if registers <= self.tile.1 { registers.min(1) } else { registers.div_ceil(self.tile.1) };
        let (mut column, mut left) = (0, registers);
        for strip in 0..strips {
            let vectors = if strip + 1 == strips { left } else { left.div_ceil(strips - strip) };
            left -= vectors;
            let width = (vectors * V::LANES).min(columns - column);
            let packed = if self.packed && self.all_packed { column * self.b.rows } else { 0 };
            // SAFETY: the instruction set is there, as the caller promises.
            unsafe {
                match vectors {
                    1 => self.strip::<V, 1>(column, width, &mut room[packed..]),
                    2 => self.strip::<V, 2>(column, width, &mut room[packed..]),
                    3 if V::TILE.1 == 3 => self.strip::<V, 3>(column, width, &mut room[packed..]),
                    4 if V::WIDE.1 == 4 => self.strip::<V, 4>(column, width, &mut room[packed..]),
                    _ => unreachable!("a strip is no wider than a tile"),
                }
            }
            column += width;
        }
    }

    /// # Safety
    /// The instruction set of `V`.
    #[inline(always)]
    unsafe fn strip<V: Vector<Item = A>, const VECTORS: usize>(&mut self, column: usize, width: usize, room: &mut [A]) {
        let depth = self.b.rows;
        let here = self.b.part(0, depth, column, width);
        let full = VECTORS * V::LANES;
        // SAFETY: the instruction set is there, as the caller promises; the tiles' elements are those of the matrices.
        unsafe {
            let mask = (width < full).then(|| V::mask(width - (VECTORS - 1) * V::LANES));
            let b = if self.packed {
                let room = &mut room[..depth * full];
                if self.packs {
                    pack::<V, VECTORS>(here, mask, room);
                    let next = (self.b.columns - column - width).min(full);
                    let steps = self.a.rows.div_ceil(self.tile.0) * depth;
                    self.near = Ahead::of(self.b.part(0, depth, column + width, next)).over(steps / 2);
                }
                Factor { data: room.as_ptr(), across: 1, along: full }
            } else {
                Factor { data: here.data.as_ptr(), across: 1, along: self.b.row_stride }
            };
            self.down::<V, VECTORS>(b, column, mask);
        }
    }

    /// The tiles of a strip.
    ///
    /// # Safety
    /// The instruction set of `V`, and a right factor of the depth and width of the strip.
    #[inline(always)]
    unsafe fn down<V: Vector<Item = A>, const VECTORS: usize>(
        &mut self,
        b: Factor<A>,
        column: usize,
        mask: Option<V::Mask>,
    ) {
        let finish = Finish {
            beta: self.ending.beta,
            bias: self.ending.bias.map_or(std::ptr::null(), |bias| bias[column..].as_ptr()),
            relu: self.ending.relu,
        };
        // With one register a row there is room for more rows; panels have their heights.
        let most = if VECTORS == 1 && self.panels.is_none() { 8 } else { V::rows(VECTORS) };
        let mut row = 0;
        while row < self.a.rows {
            let rows = height(most, self.a.rows - row);
            // SAFETY: rows and columns are those of the matrices. Tiles that no register file holds are never asked
            // for, and not compiled.
            unsafe {
                match rows {
                    8 if V::rows(VECTORS) == 8 || VECTORS == 1 => {
                        self.tile::<V, 8, VECTORS>(row, column, b, mask, finish)
                    }
                    6 if V::rows(VECTORS) == 6 => self.tile::<V, 6, VECTORS>(row, column, b, mask, finish),
                    4 => self.tile::<V, 4, VECTORS>(row, column, b, mask, finish),
                    2 => self.tile::<V, 2, VECTORS>(row, column, b, mask, finish),
                    _ => self.tile::<V, 1, VECTORS>(row, column, b, mask, finish),
                }
            }
            row += rows;
        }
    }

    /// # Safety
    /// As for [`down`](Self::down).
    #[inline(always)]
    unsafe fn tile<V: Vector<Item = A>, const ROWS: usize, const VECTORS: usize>(
        &mut self,
        row: usize,
        column: usize,
        b: Factor<A>,
        mask: Option<V::Mask>,
        finish: Finish<A>,
    ) {
        let [first, second] = &mut self.far;
        let ahead = match self.near.is_over() {
            false => &mut self.near,
            true if first.is_over() => second,
            true => first,
        };
        let Matrix { row_stride: across, column_stride: along, .. } = self.a;
        let a = Factor { data: self.a.part(row, 1, 0, 0).data.as_ptr(), across, along };
        let target = Target { data: self.c[row * self.row_stride + column..].as_mut_ptr(), stride: self.row_stride };
        let depth = self.a.columns;
        // SAFETY: rows and columns are those of the matrices, and panels have `ROWS` rows here. The strides that are 1
        // are told apart, so that the compiler knows them.
        unsafe {
            if self.panels.is_none() && along == 1 {
                let a = Factor { along: 1, ..a };
                return tile::<V, ROWS, VECTORS, false>(depth, a, b, target, mask, finish, ahead);
            }
            let a = match self.panels {
                Some(panels) => Factor { data: panels[row * depth..].as_ptr(), across: 1, along: ROWS },
                None => Factor { across: 1, ..a },
            };
            tile::<V, ROWS, VECTORS, false>(depth, a, b, target, mask, finish, ahead);
        }
    }
}

/// The rows of the next tile, where so many are left.
#[inline(always)]
fn height(most: usize, left: usize) -> usize {
    match left {
        _ if left >= most => most,
        4.. => 4,
        2.. => 2,
        _ => 1,
    }
}

/// A left factor cut into panels of the height of a tile, column behind column: as the tiles read it, from one place
/// instead of one for each row. Columns that lie far apart would push each other out of the first cache.
#[inline(always)]
fn pack_left<A: Real>(a: Matrix<'_, A>, high: usize, panels: &mut [A]) {
    let mut row = 0;
    if a.column_stride != 1 {
        row = a.rows - a.rows % high;
        pack_columns(a.part(0, row, 0, a.columns), high, panels);
    }
    while row < a.rows {
        let rows = height(high, a.rows - row);
        let (from, to) = (a.part(row, rows, 0, a.columns), &mut panels[row * a.columns..][..rows * a.columns]);
        match a.column_stride {
            1 => transpose(from.data, from.row_stride, rows, a.columns, to, rows),
            _ => pack_columns(from, rows, to),
        }
        row += rows;
    }
}

/// The same for a left factor that lies in columns, of as many rows as fill its panels.
#[inline(always)]
fn pack_columns<A: Real>(a: Matrix<'_, A>, high: usize, panels: &mut [A]) {
    // A length that the compiler knows is a register, and not a call.
    match high {
        8 => pack_high::<A, 8>(a, panels),
        6 => pack_high::<A, 6>(a, panels),
        4 => pack_high::<A, 4>(a, panels),
        2 => pack_high::<A, 2>(a, panels),
        _ => pack_high::<A, 1>(a, panels),
    }
}

/// # Panics
/// Where the rows do not fill panels of `HIGH` rows.
#[inline(always)]
fn pack_high<A: Real, const HIGH: usize>(a: Matrix<'_, A>, panels: &mut [A]) {
    /// Columns that are copied side by side, so that neither reading nor writing jumps at each step.
    const SIDE: usize = 8;
    let depth = a.columns;
    assert!(a.rows.is_multiple_of(HIGH) && panels.len() >= a.rows * depth, "panels of another height");
    for first in (0..depth).step_by(SIDE) {
        let steps = first..depth.min(first + SIDE);
        for row in (0..a.rows).step_by(HIGH) {
            let (to, _) = panels[row * depth + first * HIGH..].as_chunks_mut::<HIGH>();
            for (step, to) in steps.clone().zip(to) {
                let (from, _) = a.data[step * a.column_stride + row..].as_chunks::<HIGH>();
                *to = from[0];
            }
        }
    }
}

/// The columns of b, row behind row, filled up with zeros to whole registers.
///
/// # Safety
/// The instruction set of `V`; `room` has `VECTORS` registers for each row of b.
#[inline(always)]
unsafe fn pack<V: Vector, const VECTORS: usize>(b: Matrix<'_, V::Item>, mask: Option<V::Mask>, room: &mut [V::Item]) {
    let full = VECTORS * V::LANES;
    if b.column_stride == 1 {
        for (row, room) in room.chunks_exact_mut(full).enumerate() {
            // SAFETY: the rows of b have `full` columns or, in the last register, those that the mask says.
            unsafe {
                let from = b.data.as_ptr().add(row * b.row_stride);
                for vector in 0..VECTORS {
                    let from = from.add(vector * V::LANES);
                    let values = match mask {
                        Some(mask) if vector + 1 == VECTORS => V::load_some(from, mask),
                        _ => V::load(from),
                    };
                    values.store(room[vector * V::LANES..].as_mut_ptr());
                }
            }
        }
        return;
    }
    for row in room.chunks_exact_mut(full) {
        row[b.columns..].fill(V::Item::zero());
    }
    transpose(b.data, b.column_stride, b.columns, b.rows, room, full);
}
