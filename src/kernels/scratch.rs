//! Memory of a thread's own that kernels borrow for a while.

use std::ops::{Deref, DerefMut};

use super::math::Real;

/// The bytes that a cache fetches at once.
pub(super) const LINE: usize = 64;

/// Some numbers of this thread's, from the start of a line on, whatever is in them. They go back when it is dropped.
pub(super) struct Scratch<A: Real> {
    memory: Vec<A>,
    start: usize,
    length: usize,
}

impl<A: Real> Scratch<A> {
    pub(super) fn of(length: usize) -> Self {
        if length == 0 {
            return Scratch { memory: Vec::new(), start: 0, length };
        }
        // Taken out while it is in use, so that a use within a use has memory of its own: the last piece that came back
        // is the outermost one's.
        let mut memory = A::spare().with_borrow_mut(Vec::pop).unwrap_or_default();
        let align = LINE / size_of::<A>();
        if memory.len() < length + align {
            memory.resize(length + align, A::zero());
        }
        let start = memory.as_ptr().align_offset(LINE).min(align);
        Scratch { memory, start, length }
    }
}

impl<A: Real> Drop for Scratch<A> {
    fn drop(&mut self) {
        if self.length > 0 {
            let memory = std::mem::take(&mut self.memory);
            A::spare().with_borrow_mut(|spare| spare.push(memory));
        }
    }
}

impl<A: Real> Deref for Scratch<A> {
    type Target = [A];

    #[inline(always)]
    fn deref(&self) -> &[A] {
        &self.memory[self.start..self.start + self.length]
    }
}

impl<A: Real> DerefMut for Scratch<A> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [A] {
        &mut self.memory[self.start..self.start + self.length]
    }
}
