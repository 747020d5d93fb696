//! Sums over the shards of one pass, for layers whose samples influence each other.

use std::sync::{Condvar, Mutex, PoisonError};

use crate::context::AllReduce;
use crate::error::{Error, Result};
use crate::scalar::Scalar;

/// The meeting place of the shards of one process.
///
/// Each brings its numbers and waits; the last to come adds them up in the order of the shards, so that the sum has the
/// same bits whoever is last. A shard that fails poisons the place, and nobody waits for it, nor for one that ends
/// its pass without having come.
pub(crate) struct SharedSum<A> {
    state: Mutex<State<A>>,
    changed: Condvar,
}

struct State<A> {
    parts: Vec<Vec<A>>,
    total: Vec<A>,
    arrived: usize,
    round: u64,
    poisoned: bool,
    /// Shards that have ended their pass.
    gone: usize,
    /// Whether every shard has a thread of its own, so that they can meet.
    side_by_side: bool,
}

impl<A: Scalar> SharedSum<A> {
    pub(crate) fn new(shards: usize) -> Self {
        let state = State {
            parts: vec![Vec::new(); shards],
            total: Vec::new(),
            arrived: 0,
            round: 0,
            poisoned: false,
            gone: 0,
            side_by_side: true,
        };
        SharedSum { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// How many shards meet here.
    pub(crate) fn shards(&self) -> usize {
        self.lock().parts.len()
    }

    /// A new pass begins, with everybody well.
    pub(crate) fn begin(&self, side_by_side: bool) {
        let mut state = self.lock();
        (state.arrived, state.gone) = (0, 0);
        state.poisoned = false;
        state.side_by_side = side_by_side;
    }

    /// A shard has ended its pass.
    pub(crate) fn leave(&self) {
        let mut state = self.lock();
        state.gone += 1;
        if state.arrived > 0 {
            self.changed.notify_all();
        }
    }

    /// A shard has failed: whoever waits or comes to wait gets an error.
    pub(crate) fn poison(&self) {
        self.lock().poisoned = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State<A>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<A: Scalar> State<A> {
    /// Adds the parts up, in order.
    fn finish_round(&mut self) -> Result<()> {
        self.total.clear();
        self.total.resize(self.parts[0].len(), A::zero());
        for part in &self.parts {
            if part.len() != self.total.len() {
                self.poisoned = true;
                let what = "numbers that the shards bring to one sum";
                return Err(Error::length(what, self.total.len(), part.len()));
            }
            for (total, &value) in self.total.iter_mut().zip(part) {
                *total += value;
            }
        }
        self.arrived = 0;
        self.round += 1;
        Ok(())
    }
}

impl<A: Scalar> AllReduce<A> for SharedSum<A> {
    fn all_reduce(&self, shard: usize, values: &mut [A]) -> Result<()> {
        let mut state = self.lock();
        if state.poisoned {
            return Err(Error::Poisoned);
        }
        if !state.side_by_side {
            let message = "a layer that calls `all_reduce` must say so in `couples_samples`";
            return Err(Error::custom(message));
        }
        let round = state.round;
        state.parts[shard].clear();
        state.parts[shard].extend_from_slice(values);
        state.arrived += 1;
        if state.arrived == state.parts.len() {
            let finished = state.finish_round();
            self.changed.notify_all();
            finished?;
        }
        while state.round == round && !state.poisoned && state.gone == 0 {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        // A round that was finished counts even if a shard failed right after it, or ended its pass.
        if state.round == round {
            if state.poisoned {
                return Err(Error::Poisoned);
            }
            return Err(Error::custom("a shard ended its pass with fewer calls of `all_reduce` than another"));
        }
        // Nobody can finish the next round before this shard has come to it, so the total is still this round's.
        values.copy_from_slice(&state.total);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shard_gets_the_sum_in_shard_order_round_after_round() {
        let place = SharedSum::<f32>::new(3);
        std::thread::scope(|scope| {
            for shard in 0..3 {
                let place = &place;
                scope.spawn(move || {
                    for round in 0..100 {
                        // In another order than 0, 1, 2 these three do not add up to 1.
                        let mut values = [[1e8, -1e8, 1.0][shard], round as f32];
                        place.all_reduce(shard, &mut values).unwrap();
                        assert_eq!(values, [1.0, 3.0 * round as f32]);
                    }
                });
            }
        });
    }

    #[test]
    fn a_shard_that_fails_leaves_nobody_waiting() {
        let place = SharedSum::<f64>::new(2);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| place.all_reduce(0, &mut [1.0]));
            place.poison();
            assert!(matches!(waiting.join().unwrap(), Err(Error::Poisoned)));
        });
        place.begin(true);
        std::thread::scope(|scope| {
            let other = scope.spawn(|| place.all_reduce(1, &mut [1.0, 2.0]));
            let mine = place.all_reduce(0, &mut [1.0]);
            assert!(mine.is_err() && other.join().unwrap().is_err());
        });
    }
}
