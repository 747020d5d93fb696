//! Convolutions of each channel by itself: `multiplier` filters a channel, filter j of channel c at c * multiplier + j.
//!
//! The weight is `(kernel height, kernel width, channels, multiplier)`, that is `(taps, filters)`. With one filter a
//! channel everything runs along the channels, a register at a time, and reads the image where it stands: what hangs
//! over an edge is left out and not padded.

use std::ops::Range;

use super::super::math::Real;
use super::super::scratch::Scratch;
use super::super::simd::{by_level, level};
use super::super::vector::Vector;
use super::ahead::Ahead;
use super::meeting::{Meeting, Run};
use super::{Geometry, copy_from_frames, copy_into_frames, read, save};

/// Elements of a kernel whose gradients are summed up side by side.
const TAPS: usize = 9;

/// Elements of a kernel that are worked through before sums go back to memory.
const TOGETHER: usize = 25;

/// y = x * w + b.
pub(crate) fn depthwise<A: Real>(geometry: &Geometry, x: &[A], w: &[A], bias: Option<&[A]>, y: &mut [A]) {
    check(geometry, x, y, w);
    assert!(bias.is_none_or(|bias| bias.len() == geometry.filters));
    match multiplier(geometry) {
        1 => {
            let [rows, columns] = [geometry.height, geometry.width].map(Meeting::of_windows);
            gather(level(), &rows, &columns, geometry.channels, x, w, bias, y);
        }
        several => each_frame(geometry, x, |image, frame| {
            let y = &mut y[image * geometry.output()..][..geometry.output()];
            gather_several(geometry, several, frame, w, bias, y);
        }),
    }
}

/// dx from dz.
pub(crate) fn depthwise_input_gradient<A: Real>(geometry: &Geometry, dz: &[A], w: &[A], dx: &mut [A]) {
    check(geometry, dx, dz, w);
    let several = multiplier(geometry);
    if several == 1 {
        let [rows, columns] = [geometry.height, geometry.width].map(Meeting::of_places);
        return gather(level(), &rows, &columns, geometry.channels, dz, w, None, dx);
    }
    let padded = geometry.is_padded();
    let mut room = Scratch::of(if padded { geometry.frame() } else { 0 });
    for (dx, dz) in dx.chunks_exact_mut(geometry.image()).zip(dz.chunks_exact(geometry.output())) {
        let frame = if padded { &mut *room } else { &mut *dx };
        frame.fill(A::zero());
        scatter_several(geometry, several, dz, w, frame);
        if padded {
            copy_from_frames(geometry, &room, dx);
        }
    }
}

/// dw from x and dz, added to what stands there.
pub(crate) fn depthwise_weight_gradient<A: Real>(geometry: &Geometry, x: &[A], dz: &[A], dw: &mut [A]) {
    check(geometry, x, dz, dw);
    match multiplier(geometry) {
        1 => correlate(level(), geometry, x, dz, dw),
        several => each_frame(geometry, x, |image, frame| {
            let dz = &dz[image * geometry.output()..][..geometry.output()];
            correlate_several(geometry, several, frame, dz, dw);
        }),
    }
}

fn multiplier(geometry: &Geometry) -> usize {
    geometry.filters / geometry.channels
}

fn taps(geometry: &Geometry) -> usize {
    geometry.height.kernel * geometry.width.kernel
}

fn check<A>(geometry: &Geometry, x: &[A], y: &[A], w: &[A]) {
    assert!(x.len() / geometry.image() * geometry.output() == y.len() && x.len().is_multiple_of(geometry.image()));
    assert!(w.len() == taps(geometry) * geometry.filters && geometry.filters.is_multiple_of(geometry.channels));
}

/// Calls `work` for each image as windows see it.
fn each_frame<A: Real>(geometry: &Geometry, x: &[A], mut work: impl FnMut(usize, &[A])) {
    let padded = geometry.is_padded();
    let mut room = Scratch::of(if padded { geometry.frame() } else { 0 });
    room.fill(A::zero());
    for (number, image) in x.chunks_exact(geometry.image()).enumerate() {
        if padded {
            copy_into_frames(geometry, image, &mut room);
            work(number, &room);
        } else {
            work(number, image);
        }
    }
}

/// Which of the register's channels there are, where not all are.
///
/// # Safety
/// The instruction set of `V`.
#[inline(always)]
unsafe fn mask<V: Vector>(channels: usize, channel: usize) -> Option<V::Mask> {
    let left = channels - channel;
    // SAFETY: the caller's promise.
    (left < V::LANES).then(|| unsafe { V::mask(left) })
}

by_level! {
    fn gather<A>(
        rows: &Meeting, columns: &Meeting, channels: usize, from: &[A], w: &[A], bias: Option<&[A]>, to: &mut [A],
    ) = gather_images
}
by_level! {
    fn correlate<A>(geometry: &Geometry, x: &[A], dz: &[A], dw: &mut [A]) = correlate_images
}

/// Sums up at every target what the taps meet there, in each image.
///
/// # Safety
/// The instruction set of `V`.
#[inline(always)]
unsafe fn gather_images<V: Vector>(
    rows: &Meeting,
    columns: &Meeting,
    channels: usize,
    from: &[V::Item],
    w: &[V::Item],
    bias: Option<&[V::Item]>,
    to: &mut [V::Item],
) {
    let (source_row, target_row) = (columns.sources() * channels, columns.targets() * channels);
    let (source, target) = (rows.sources() * source_row, rows.targets() * target_row);
    let numbers = from.len() + to.len();
    let gather = Gather { channels, advance: columns.advance(), period: columns.period(), w, bias };
    for (from, to) in from.chunks_exact(source).zip(to.chunks_exact_mut(target)) {
        for (row, to) in to.chunks_exact_mut(target_row).enumerate() {
            let row = rows.run(row);
            let fresh = from.as_ptr().wrapping_add(row.end() * source_row);
            let below = to.as_ptr().wrapping_add(target_row);
            let ahead = Ahead::of(numbers, fresh, rows.advance(), source_row, below);
            for phase in 0..columns.period() {
                let column = |at: usize| phase + at * columns.period();
                let inner = columns.inner(phase);
                // SAFETY: the instruction set is there; taps lie within the image, and targets within the row.
                unsafe {
                    for at in (0..inner.start).chain(inner.end..columns.count(phase)) {
                        let taps = |first| Taps::of(row, columns.run(column(at)), columns, channels, first);
                        gather.targets::<V>(taps, 1, from, &mut to[column(at) * channels..], None);
                    }
                    if !inner.is_empty() {
                        let taps = |first| Taps::of(row, columns.run(column(inner.start)), columns, channels, first);
                        let first = column(inner.start);
                        let place = columns.run(first).place(0);
                        let ahead = ahead.map(|ahead| ahead.from(place * channels, first * channels));
                        gather.targets::<V>(taps, inner.len(), from, &mut to[first * channels..], ahead);
                    }
                }
            }
        }
    }
}

/// Where taps stand in the weight and what they meet in the source: as many as are worked through in one go.
struct Taps {
    places: [(usize, usize); TOGETHER],
    count: usize,
    /// How many more there are behind these.
    left: usize,
}

impl Taps {
    /// Those that meet a target, from number `first` on.
    #[inline(always)]
    fn of(rows: Run, columns: Run, axis: &Meeting, channels: usize, first: usize) -> Self {
        let all = rows.count * columns.count;
        let mut taps = Taps { places: [(0, 0); TOGETHER], count: TOGETHER.min(all - first), left: 0 };
        taps.left = all - first - taps.count;
        let (mut row, mut column) = (first / columns.count.max(1), first % columns.count.max(1));
        for place in &mut taps.places[..taps.count] {
            let tap = rows.tap(row) * axis.kernel() + columns.tap(column);
            let source = rows.place(row) * axis.sources() + columns.place(column);
            *place = (tap * channels, source * channels);
            column += 1;
            if column == columns.count {
                (row, column) = (row + 1, 0);
            }
        }
        taps
    }

    fn places(&self) -> &[(usize, usize)] {
        &self.places[..self.count]
    }
}

/// What the targets of all rows have in common.
struct Gather<'g, A> {
    channels: usize,
    /// Places of the source from what one target meets to what the next one does.
    advance: usize,
    /// Places from one target to the next.
    period: usize,
    w: &'g [A],
    bias: Option<&'g [A]>,
}

impl<A: Real> Gather<'_, A> {
    /// The sums of targets that meet the same taps, the first of them at the beginning of `to`.
    ///
    /// # Safety
    /// The instruction set of `V`; taps that lie within the source for each of the targets, and these in `to`.
    #[inline(always)]
    unsafe fn targets<V: Vector<Item = A>>(
        &self,
        taps: impl Fn(usize) -> Taps,
        targets: usize,
        from: &[A],
        to: &mut [A],
        ahead: Option<Ahead<A>>,
    ) {
        let mut first = 0;
        loop {
            let taps = taps(first);
            for (at, size) in pieces(targets) {
                let (source, target) = (at * self.advance * self.channels, at * self.period * self.channels);
                let piece = Piece {
                    taps: &taps,
                    is_first: first == 0,
                    from: from.as_ptr().wrapping_add(source),
                    to: to[target..].as_mut_ptr(),
                    ahead: ahead.map(|ahead| ahead.from(source, target)),
                };
                // SAFETY: the caller's promises.
                unsafe {
                    match size {
                        8 => self.piece::<V, 8, 1>(&piece),
                        4 => self.piece::<V, 4, 2>(&piece),
                        _ => self.piece::<V, 1, 4>(&piece),
                    }
                }
            }
            if taps.left == 0 {
                return;
            }
            first += taps.count;
        }
    }

    /// Targets side by side, all channels, some registers of them at a time.
    ///
    /// # Safety
    /// As for [`targets`](Self::targets).
    #[inline(always)]
    unsafe fn piece<V: Vector<Item = A>, const SIDE: usize, const WIDE: usize>(&self, piece: &Piece<A>) {
        let whole = self.channels - self.channels % (WIDE * V::LANES);
        // SAFETY: the caller's promises; channels that are none are masked.
        unsafe {
            for channel in (0..whole).step_by(WIDE * V::LANES) {
                if let (Some(ahead), 2..) = (&piece.ahead, SIDE) {
                    let share = |pace: usize| channel * SIDE * pace..(channel + WIDE * V::LANES) * SIDE * pace;
                    ahead.fetch(share(self.advance), share(self.period));
                }
                self.tile::<V, SIDE, WIDE>(piece, channel, None);
            }
            for channel in (whole..self.channels).step_by(V::LANES) {
                match mask::<V>(self.channels, channel) {
                    None => self.tile::<V, SIDE, 1>(piece, channel, None),
                    some => self.tile::<V, SIDE, 1>(piece, channel, some),
                }
            }
        }
    }

    /// # Safety
    /// As for [`targets`](Self::targets).
    #[inline(always)]
    unsafe fn tile<V: Vector<Item = A>, const SIDE: usize, const WIDE: usize>(
        &self,
        piece: &Piece<A>,
        channel: usize,
        mask: Option<V::Mask>,
    ) {
        let (next, step) = (self.advance * self.channels, self.period * self.channels);
        let (w, from) = (self.w.as_ptr().wrapping_add(channel), piece.from.wrapping_add(channel));
        let to = piece.to.wrapping_add(channel);
        // SAFETY: the caller's promises.
        unsafe {
            let mut sums = [[V::splat(A::zero()); WIDE]; SIDE];
            for (side, sums) in sums.iter_mut().enumerate() {
                for (register, sum) in sums.iter_mut().enumerate() {
                    match self.bias {
                        _ if !piece.is_first => *sum = read(to.add(side * step + register * V::LANES), mask),
                        Some(bias) => *sum = read(bias.as_ptr().add(channel + register * V::LANES), mask),
                        None => {}
                    }
                }
            }
            for &(weight, place) in piece.taps.places() {
                let factors: [V; WIDE] =
                    std::array::from_fn(|register| read(w.add(weight + register * V::LANES), mask));
                let from = from.add(place);
                for (side, sums) in sums.iter_mut().enumerate() {
                    for (register, sum) in sums.iter_mut().enumerate() {
                        let met = read(from.add(side * next + register * V::LANES), mask);
                        *sum = factors[register].fma(met, *sum);
                    }
                }
            }
            for (side, sums) in sums.iter().enumerate() {
                for (register, sum) in sums.iter().enumerate() {
                    save(*sum, to.add(side * step + register * V::LANES), mask);
                }
            }
        }
    }
}

/// Targets that are worked on together.
struct Piece<'p, A> {
    taps: &'p Taps,
    /// Whether these are the first of the kernel's elements.
    is_first: bool,
    from: *const A,
    to: *mut A,
    ahead: Option<Ahead<A>>,
}

/// So many targets in pieces of 8, 4 or 1, of which the last may overlap the one before.
fn pieces(count: usize) -> impl Iterator<Item = (usize, usize)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let size = match count - at {
            0 => return None,
            5.. if count >= 8 => 8,
            _ if count >= 4 => 4,
            _ => 1,
        };
        let begin = at.min(count - size);
        at = begin + size;
        Some((begin, size))
    })
}

/// # Safety
/// The instruction set of `V`.
#[inline(always)]
unsafe fn correlate_images<V: Vector>(geometry: &Geometry, x: &[V::Item], dz: &[V::Item], dw: &mut [V::Item]) {
    let Geometry { height, width, channels, .. } = *geometry;
    let [rows, columns] = [height, width].map(Meeting::of_windows);
    let (row_of_x, row_of_dz) = (width.input * channels, width.output * channels);
    let numbers = x.len() + dz.len();
    for (x, dz) in x.chunks_exact(geometry.image()).zip(dz.chunks_exact(geometry.output())) {
        for (row, dz) in dz.chunks_exact(row_of_dz).enumerate() {
            let row = rows.run(row);
            let (fresh, below) = (x.as_ptr().wrapping_add(row.end() * row_of_x), dz.as_ptr().wrapping_add(row_of_dz));
            let ahead = Ahead::of(numbers, fresh, height.stride, row_of_x, below);
            for first in (0..row.count * width.kernel).step_by(TAPS) {
                let mut edges = (0..columns.inner(0).start).chain(columns.inner(0).end..width.output);
                let mut correlation = Correlation::of(geometry, row, columns, first, x, dz);
                correlation.ahead = ahead.filter(|_| first == 0);
                loop {
                    if correlation.take_edges(&mut edges) {
                        break;
                    }
                    // SAFETY: the instruction set is there.
                    unsafe { correlation.add_to::<V>(dw) };
                    (correlation.inner, correlation.ahead) = (0..0, None);
                }
            }
        }
    }
}

/// Stands for a place that a tap does not meet.
const NOWHERE: usize = usize::MAX;

/// A row of windows, and some taps whose gradients are summed up over it.
struct Correlation<'c, A> {
    channels: usize,
    /// Numbers from what a tap meets to what it meets in the next window.
    next: usize,
    row: Run,
    columns: Meeting,
    row_of_x: usize,
    /// The first tap, and how many there are; the last stands for those that are none.
    first: usize,
    count: usize,
    /// The windows within the image, and what each tap meets in the first of them.
    inner: Range<usize>,
    places: [usize; TAPS],
    /// Some windows that hang over an edge, and what each tap meets there.
    edges: [(usize, [usize; TAPS]); 4],
    edge_count: usize,
    ahead: Option<Ahead<A>>,
    x: &'c [A],
    dz: &'c [A],
}

impl<'c, A: Real> Correlation<'c, A> {
    fn of(geometry: &Geometry, row: Run, columns: Meeting, first: usize, x: &'c [A], dz: &'c [A]) -> Self {
        let Geometry { width, channels, .. } = *geometry;
        let mut correlation = Correlation {
            channels,
            next: width.stride * channels,
            row,
            columns,
            row_of_x: width.input * channels,
            first,
            count: TAPS.min(row.count * width.kernel - first),
            inner: columns.inner(0),
            places: [0; TAPS],
            edges: [(0, [0; TAPS]); 4],
            edge_count: 0,
            ahead: None,
            x,
            dz,
        };
        if !correlation.inner.is_empty() {
            correlation.places = correlation.places_of(correlation.inner.start);
        }
        correlation
    }

    /// The row in the run and the column of the kernel of tap `at`.
    fn tap(&self, at: usize) -> (usize, usize) {
        let tap = self.first + at.min(self.count - 1);
        (tap / self.columns.kernel(), tap % self.columns.kernel())
    }

    /// What each tap meets in a window.
    fn places_of(&self, window: usize) -> [usize; TAPS] {
        let run = self.columns.run(window);
        std::array::from_fn(|at| {
            let (row, column) = self.tap(at);
            match (run.tap(0)..run.tap(run.count)).contains(&column) {
                true => self.row.place(row) * self.row_of_x + run.place(column - run.tap(0)) * self.channels,
                false => NOWHERE,
            }
        })
    }

    /// Takes up the next windows that hang over an edge; whether nothing is left to do.
    fn take_edges(&mut self, edges: &mut impl Iterator<Item = usize>) -> bool {
        self.edge_count = 0;
        for window in edges.take(self.edges.len()) {
            self.edges[self.edge_count] = (window, self.places_of(window));
            self.edge_count += 1;
        }
        self.edge_count == 0 && self.inner.is_empty()
    }

    /// Adds the gradients of the taps.
    ///
    /// # Safety
    /// The instruction set of `V`.
    #[inline(always)]
    unsafe fn add_to<V: Vector<Item = A>>(&self, dw: &mut [A]) {
        let targets: [usize; TAPS] = std::array::from_fn(|at| {
            let (row, column) = self.tap(at);
            (self.row.tap(row) * self.columns.kernel() + column) * self.channels
        });
        for channel in (0..self.channels).step_by(V::LANES) {
            if let Some(ahead) = &self.ahead {
                let share = |width: usize| channel * width..(channel + V::LANES) * width;
                ahead.fetch(share(self.columns.sources()), share(self.columns.targets()));
            }
            // SAFETY: the instruction set is there; places lie within the image; channels that are none are masked.
            unsafe {
                let mask = mask::<V>(self.channels, channel);
                let sums = match mask {
                    None => self.sums::<V>(channel, None),
                    some => self.sums::<V>(channel, some),
                };
                for (sum, target) in sums.iter().zip(targets).take(self.count) {
                    let to = dw.as_mut_ptr().add(target + channel);
                    save(read::<V>(to, mask).add(*sum), to, mask);
                }
            }
        }
    }

    /// # Safety
    /// The instruction set of `V`.
    #[inline(always)]
    unsafe fn sums<V: Vector<Item = A>>(&self, channel: usize, mask: Option<V::Mask>) -> [V; TAPS] {
        let (mut x, dz) = (self.x.as_ptr().wrapping_add(channel), self.dz.as_ptr().wrapping_add(channel));
        // SAFETY: the caller's promise; places lie within the image.
        unsafe {
            let mut sums = [V::splat(A::zero()); TAPS];
            for (window, places) in &self.edges[..self.edge_count] {
                let gradient = read::<V>(dz.add(window * self.channels), mask);
                for (sum, &place) in sums.iter_mut().zip(places) {
                    if place != NOWHERE {
                        *sum = gradient.fma(read::<V>(x.add(place), mask), *sum);
                    }
                }
            }
            for window in self.inner.clone() {
                let gradient = read::<V>(dz.add(window * self.channels), mask);
                for (sum, &place) in sums.iter_mut().zip(&self.places) {
                    *sum = gradient.fma(read::<V>(x.add(place), mask), *sum);
                }
                x = x.wrapping_add(self.next);
            }
            sums
        }
    }
}

/// Where the first of a row's windows begins.
fn row_start(geometry: &Geometry, row: usize) -> usize {
    row * geometry.height.stride * geometry.row()
}

/// From where a window begins to one of its elements.
fn tap_shift(geometry: &Geometry, row: usize, column: usize) -> usize {
    row * geometry.height.dilation * geometry.row() + column * geometry.width.dilation * geometry.channels
}

/// Calls `work` with the numbers of a window, a place in the image, a tap and a channel for everything that meets.
#[inline(always)]
fn each_meeting(geometry: &Geometry, mut work: impl FnMut(usize, usize, usize, usize)) {
    let Geometry { height, width, channels, .. } = *geometry;
    for row in 0..height.output {
        for column in 0..width.output {
            let window = row * width.output + column;
            let start = row_start(geometry, row) + column * width.stride * channels;
            for tap in 0..taps(geometry) {
                let place = start + tap_shift(geometry, tap / width.kernel, tap % width.kernel);
                for channel in 0..channels {
                    work(window, place + channel, tap, channel);
                }
            }
        }
    }
}

fn gather_several<A: Real>(g: &Geometry, several: usize, frame: &[A], w: &[A], bias: Option<&[A]>, y: &mut [A]) {
    for y in y.chunks_exact_mut(g.filters) {
        match bias {
            Some(bias) => y.copy_from_slice(bias),
            None => y.fill(A::zero()),
        }
    }
    each_meeting(g, |window, place, tap, channel| {
        let w = &w[tap * g.filters + channel * several..][..several];
        let y = &mut y[window * g.filters + channel * several..][..several];
        y.iter_mut().zip(w).for_each(|(y, &w)| *y += frame[place] * w);
    });
}

fn scatter_several<A: Real>(g: &Geometry, several: usize, dz: &[A], w: &[A], frame: &mut [A]) {
    each_meeting(g, |window, place, tap, channel| {
        let w = &w[tap * g.filters + channel * several..][..several];
        let dz = &dz[window * g.filters + channel * several..][..several];
        frame[place] += w.iter().zip(dz).fold(A::zero(), |sum, (&w, &dz)| sum + w * dz);
    });
}

fn correlate_several<A: Real>(g: &Geometry, several: usize, frame: &[A], dz: &[A], dw: &mut [A]) {
    each_meeting(g, |window, place, tap, channel| {
        let dw = &mut dw[tap * g.filters + channel * several..][..several];
        let dz = &dz[window * g.filters + channel * several..][..several];
        dw.iter_mut().zip(dz).for_each(|(dw, &dz)| *dw += frame[place] * dz);
    });
}
