//! What is done to each part of each weight in one step.

use super::super::slices::Chunk;
use super::CHUNK;
use super::groups::Share;
use crate::gradients::Gradients;
use crate::kernels::{elementwise, update};
use crate::optimizers::{Decay, Optimizer, Step};
use crate::scalar::Scalar;

/// What every chunk of one step has in common.
pub(super) struct Sweep<'s, A: Scalar> {
    pub(super) rule: &'s dyn Optimizer<A>,
    pub(super) rate: f64,
    pub(super) ages: &'s [u64],
    pub(super) shares: &'s [Share],
    /// By what each weight's gradient is multiplied.
    pub(super) factors: &'s [f64],
    pub(super) clip_value: Option<f64>,
    pub(super) shards: &'s [Gradients<A>],
}

/// What is done to one chunk.
pub(super) struct Turn {
    pub(super) step: Step,
    /// The factor of coupled decay.
    coupled: f64,
    /// By what the gradient is multiplied.
    factor: f64,
}

impl<A: Scalar> Sweep<'_, A> {
    pub(super) fn chunk(&self, chunk: &Chunk, w: &mut [A], slots: &mut [&mut [A]]) {
        let Some(turn) = self.begin(chunk, w) else { return };
        if let Some(gradient) = self.as_it_stands(chunk, &turn) {
            return self.rule.update(turn.step, w, gradient, slots);
        }
        let mut buffer = [A::zero(); CHUNK];
        let gradient = &mut buffer[..w.len()];
        self.gather(chunk, &turn, w, gradient);
        self.rule.update(turn.step, w, gradient, slots);
    }

    /// What the rule is to know, with decoupled decay done; `None` where nothing is to be done, or no shard wrote any
    /// gradient.
    pub(super) fn begin(&self, chunk: &Chunk, w: &mut [A]) -> Option<Turn> {
        let share = self.shares[chunk.span];
        let decay = self.rule.decay().times(share.decay);
        let idle = decay == Decay::None && self.rule.ignores_zero_gradients() && self.is_zero(chunk);
        if idle || !self.shards.iter().any(|shard| shard.is_touched(chunk.span)) {
            return None;
        }
        let rate = self.rate * share.rate;
        let (coupled, inside) = match decay {
            Decay::Coupled(factor) => (factor, 0.0),
            Decay::Inside(factor) => (0.0, factor),
            Decay::Decoupled(factor) => {
                elementwise::scale(w, A::of(1.0 - rate * factor));
                (0.0, 0.0)
            }
            Decay::None => (0.0, 0.0),
        };
        let step = Step { number: self.ages[chunk.span], rate, decay: inside };
        Some(Turn { step, coupled, factor: self.factors[chunk.span] })
    }

    /// The gradient where it stands, if one shard wrote all of it and nothing is to be done to it.
    pub(super) fn as_it_stands(&self, chunk: &Chunk, turn: &Turn) -> Option<&[A]> {
        let [only] = self.shards else { return None };
        let plain = turn.factor == 1.0 && turn.coupled == 0.0 && self.clip_value.is_none();
        if plain { only.slice(chunk.span, chunk.part.clone()) } else { None }
    }

    /// The sum of the shards' gradients, scaled, clipped and decayed.
    pub(super) fn gather(&self, chunk: &Chunk, turn: &Turn, w: &[A], gradient: &mut [A]) {
        gradient.fill(A::zero());
        for shard in self.shards {
            shard.add_to(chunk.span, chunk.part.clone(), gradient);
        }
        if turn.factor != 1.0 || turn.coupled != 0.0 || self.clip_value.is_some() {
            self.prepare(gradient, w, turn.factor, turn.coupled);
        }
    }

    /// Scales, clips, and adds coupled decay.
    fn prepare(&self, gradient: &mut [A], w: &[A], factor: f64, coupled: f64) {
        let Some(limit) = self.clip_value else {
            return update::prepare_gradient(gradient, w, A::of(factor), A::of(coupled));
        };
        elementwise::scale(gradient, A::of(factor));
        update::clip(gradient, A::of(limit));
        if coupled != 0.0 {
            update::prepare_gradient(gradient, w, A::one(), A::of(coupled));
        }
    }

    fn is_zero(&self, chunk: &Chunk) -> bool {
        !self.shards.iter().any(|shard| shard.touches(chunk.span, &chunk.part))
    }
}

/// The sum of the shards' gradients for a chunk; `None` where no shard wrote any for this weight.
pub(super) fn total<'b, A: Scalar>(shards: &'b [Gradients<A>], chunk: &Chunk, buffer: &'b mut [A]) -> Option<&'b [A]> {
    // One shard that wrote all of it: read it where it stands.
    if let [only] = shards
        && let Some(gradient) = only.slice(chunk.span, chunk.part.clone())
    {
        return Some(gradient);
    }
    if !shards.iter().any(|shard| shard.is_touched(chunk.span)) {
        return None;
    }
    let buffer = &mut buffer[..chunk.part.len()];
    buffer.fill(A::zero());
    for shard in shards {
        shard.add_to(chunk.span, chunk.part.clone(), buffer);
    }
    Some(buffer)
}
