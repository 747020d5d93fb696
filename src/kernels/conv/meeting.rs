//! Which elements of a kernel meet which elements of an image along one axis, edges left out.

use std::ops::Range;

use super::Extent;

/// The taps that a target meets, and the sources that they meet it with, both evenly spaced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Run {
    first_tap: usize,
    tap_step: usize,
    first_place: usize,
    place_step: isize,
    /// How many there are.
    pub(super) count: usize,
}

impl Run {
    const NONE: Run = Run { first_tap: 0, tap_step: 1, first_place: 0, place_step: 1, count: 0 };

    /// The tap with this number in the run.
    #[inline(always)]
    pub(super) fn tap(&self, number: usize) -> usize {
        self.first_tap + number * self.tap_step
    }

    /// The source that it meets.
    #[inline(always)]
    pub(super) fn place(&self, number: usize) -> usize {
        self.first_place.wrapping_add_signed(self.place_step * number as isize)
    }

    /// The source behind all that it meets.
    pub(super) fn end(&self) -> usize {
        self.place(0).max(self.place(self.count.saturating_sub(1))) + 1
    }
}

/// An axis from the side of those that sum up. Target t meets source s by the tap k where, for windows over an image
/// (forward), s = t stride + k dilation - before, and for places of the image under windows (backward), the same with s
/// and t in each other's place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Meeting {
    axis: Extent,
    backward: bool,
}

impl Meeting {
    /// Windows sum up what they see of the image.
    pub(super) fn of_windows(axis: Extent) -> Self {
        Meeting { axis, backward: false }
    }

    /// Places of the image sum up over the windows that see them.
    pub(super) fn of_places(axis: Extent) -> Self {
        Meeting { axis, backward: true }
    }

    pub(super) fn kernel(&self) -> usize {
        self.axis.kernel
    }

    pub(super) fn targets(&self) -> usize {
        if self.backward { self.axis.input } else { self.axis.output }
    }

    pub(super) fn sources(&self) -> usize {
        if self.backward { self.axis.output } else { self.axis.input }
    }

    /// How far the next target is that meets the same taps. Targets from one to the next of them are the phases.
    pub(super) fn period(&self) -> usize {
        if self.backward { self.axis.stride } else { 1 }
    }

    /// How far the next of a phase's targets has moved on among the sources.
    pub(super) fn advance(&self) -> usize {
        if self.backward { 1 } else { self.axis.stride }
    }

    /// The targets of a phase.
    pub(super) fn count(&self, phase: usize) -> usize {
        self.targets().saturating_sub(phase).div_ceil(self.period())
    }

    /// What a target meets.
    pub(super) fn run(&self, target: usize) -> Run {
        if self.backward { self.run_of_place(target) } else { self.run_of_window(target) }
    }

    fn run_of_window(&self, window: usize) -> Run {
        let Extent { input, kernel, stride, dilation, before, .. } = self.axis;
        let start = window * stride;
        let first = before.saturating_sub(start).div_ceil(dilation);
        let end = (input + before).saturating_sub(start).div_ceil(dilation).min(kernel);
        if first >= end {
            return Run::NONE;
        }
        let first_place = start + first * dilation - before;
        Run { first_tap: first, tap_step: 1, first_place, place_step: dilation as isize, count: end - first }
    }

    fn run_of_place(&self, place: usize) -> Run {
        let Extent { output, kernel, stride, dilation, before, .. } = self.axis;
        let at = place + before;
        let Some((first, step)) = self.taps_of(at) else { return Run::NONE };
        // Of them, those whose window is one: tap * dilation from at - (output - 1) * stride to at.
        let least = at.saturating_sub((output - 1) * stride).div_ceil(dilation);
        let first = first + least.saturating_sub(first).div_ceil(step) * step;
        let end = kernel.min(at / dilation + 1);
        if first >= end {
            return Run::NONE;
        }
        let first_place = (at - first * dilation) / stride;
        let place_step = -((step * dilation / stride) as isize);
        Run { first_tap: first, tap_step: step, first_place, place_step, count: (end - first).div_ceil(step) }
    }

    /// The first tap that can meet the place, and how far the next one is.
    fn taps_of(&self, at: usize) -> Option<(usize, usize)> {
        let Extent { kernel, stride, dilation, .. } = self.axis;
        let rest = at % stride;
        let step = (1..=stride).find(|step| step * dilation % stride == 0)?;
        (0..step.min(kernel)).find(|tap| tap * dilation % stride == rest).map(|first| (first, step))
    }

    /// The numbers of those targets of a phase that meet all of its taps: what they meet moves on evenly.
    pub(super) fn inner(&self, phase: usize) -> Range<usize> {
        let Extent { input, output, kernel, stride, dilation, before } = self.axis;
        let count = self.count(phase);
        let (first, end) = if self.backward {
            let Some((first, step)) = self.taps_of(phase + before) else { return 0..count };
            let last = first + (kernel - 1 - first) / step * step;
            let least = (last * dilation).saturating_sub(phase + before).div_ceil(stride);
            let most = ((output - 1) * stride + first * dilation + stride).saturating_sub(phase + before) / stride;
            (least, most)
        } else {
            let room = (input + before + stride).saturating_sub((kernel - 1) * dilation + 1);
            (before.div_ceil(stride), room / stride)
        };
        first.min(count)..end.clamp(first.min(count), count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every pair of a tap and a source, by trying them all.
    fn expected(meeting: &Meeting, target: usize) -> Vec<(usize, usize)> {
        let Extent { stride, dilation, before, .. } = meeting.axis;
        let meets = |tap: usize, source: usize| {
            let (window, place) = if meeting.backward { (source, target) } else { (target, source) };
            window * stride + tap * dilation == place + before
        };
        let all = (0..meeting.kernel()).flat_map(|tap| (0..meeting.sources()).map(move |source| (tap, source)));
        all.filter(|&(tap, source)| meets(tap, source)).collect()
    }

    #[test]
    fn runs_are_all_that_meets_and_inner_targets_move_on_evenly() {
        for case in 0..5 * 3 * 3 * 5 * 12_usize {
            let (kernel, stride, dilation) = (1 + case % 5, 1 + case / 5 % 3, 1 + case / 15 % 3);
            let (before, input) = (case / 45 % 5, 1 + case / 225);
            let output = input.div_ceil(stride);
            let axis = Extent { input, output, kernel, stride, dilation, before };
            for meeting in [Meeting::of_windows(axis), Meeting::of_places(axis)] {
                let met = |target| {
                    let run = meeting.run(target);
                    (0..run.count).map(|number| (run.tap(number), run.place(number))).collect::<Vec<_>>()
                };
                for target in 0..meeting.targets() {
                    assert_eq!(met(target), expected(&meeting, target), "{meeting:?} at {target}");
                }
                for phase in 0..meeting.period() {
                    let inner = meeting.inner(phase);
                    assert!(inner.end <= meeting.count(phase));
                    let first = met(phase + inner.start * meeting.period());
                    for (number, at) in inner.enumerate() {
                        let moved: Vec<_> =
                            first.iter().map(|&(tap, place)| (tap, place + number * meeting.advance())).collect();
                        assert_eq!(met(phase + at * meeting.period()), moved, "{meeting:?}, phase {phase}");
                    }
                }
            }
        }
    }
}
