//! The sweep of a rule that takes each tensor whole.

use std::sync::Mutex;

use super::super::slices::{Chunks, Slices};
use super::Sweep;
use super::slots::Slots;
use crate::optimizers::Optimizer;
use crate::scalar::Scalar;
use crate::workers::Workers;

/// What such a rule needs besides weights and slots; empty for other rules.
pub(super) struct Tensors<A> {
    shapes: Vec<Vec<usize>>,
    /// Every weight in one piece.
    whole: Chunks,
    /// Memory for each thread that was there at once.
    rooms: Vec<Mutex<Room<A>>>,
}

/// Memory for one tensor at a time.
struct Room<A> {
    gradient: Vec<A>,
    /// The rule's own.
    rule: Vec<A>,
}

impl<A> Default for Tensors<A> {
    fn default() -> Self {
        Tensors { shapes: Vec::new(), whole: Chunks::default(), rooms: Vec::new() }
    }
}

impl<A> Default for Room<A> {
    fn default() -> Self {
        Room { gradient: Vec::new(), rule: Vec::new() }
    }
}

impl<A: Scalar> Tensors<A> {
    pub(super) fn of(rule: &dyn Optimizer<A>, shapes: Vec<Vec<usize>>, slots: &Slots<A>) -> Self {
        if !rule.takes_tensors() {
            return Self::default();
        }
        let lengths = shapes.iter().map(|shape| shape.iter().product());
        let whole = Chunks::whole(lengths, slots.places().to_vec());
        Tensors { shapes, whole, rooms: Vec::new() }
    }

    /// Visits every tensor, the tensors shared out over threads.
    pub(super) fn sweep(&mut self, slices: Slices<'_, A>, sweep: &Sweep<'_, A>, workers: &mut Workers, threads: usize) {
        let most = self.whole.iter().map(|chunk| chunk.part.len()).max().unwrap_or(0);
        while self.rooms.len() < threads {
            self.rooms.push(Mutex::default());
        }
        for room in &mut self.rooms {
            let room = room.get_mut().unwrap_or_else(|broken| broken.into_inner());
            room.gradient.resize(most, A::zero());
        }
        let (rooms, shapes) = (&self.rooms, &self.shapes);
        slices.sweep(workers, threads, &self.whole, &|chunk, w, slots| {
            // There are as many rooms as threads, so one is free.
            let free = rooms.iter().find_map(|room| room.try_lock().ok());
            let mut room = free.unwrap_or_else(|| unreachable!("a room for each thread"));
            let Room { gradient, rule } = &mut *room;
            let Some(turn) = sweep.begin(chunk, w) else { return };
            let shape = &shapes[chunk.span];
            if let Some(gradient) = sweep.as_it_stands(chunk, &turn) {
                return sweep.rule.update_tensor(turn.step, shape, w, gradient, slots, rule);
            }
            let gradient = &mut gradient[..w.len()];
            sweep.gather(chunk, &turn, w, gradient);
            sweep.rule.update_tensor(turn.step, shape, w, gradient, slots, rule);
        });
    }
}
