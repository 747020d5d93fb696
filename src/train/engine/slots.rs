//! What an optimizer keeps beside each weight.

use std::ops::Range;

use crate::gradients::Binding;
use crate::layer::Layer;
use crate::optimizers::Optimizer;
use crate::param::{Param, Visitor};
use crate::scalar::Scalar;

/// The slots of a rule, each one flat buffer.
pub(super) struct Slots<A> {
    pub(super) values: Vec<Vec<A>>,
    /// For each slot the part of each weight.
    places: Vec<Vec<Range<usize>>>,
}

impl<A> Default for Slots<A> {
    fn default() -> Self {
        Slots { values: Vec::new(), places: Vec::new() }
    }
}

impl<A: Scalar> Slots<A> {
    /// As a rule begins with them, for weights of these shapes.
    pub(super) fn new(rule: &dyn Optimizer<A>, shapes: &[Vec<usize>]) -> Self {
        let places: Vec<Vec<Range<usize>>> = (0..rule.slots().len())
            .map(|slot| laid_out(shapes.iter().map(|shape| rule.slot_len(slot, shape))))
            .collect();
        let begun = |(slot, places): (usize, &Vec<Range<usize>>)| {
            vec![A::of(rule.slot_start(slot)); places.last().map_or(0, |place| place.end)]
        };
        Slots { values: places.iter().enumerate().map(begun).collect(), places }
    }

    /// The slots of a weight.
    pub(super) fn of(&self, at: usize) -> Vec<&[A]> {
        self.values.iter().zip(&self.places).map(|(slot, places)| &slot[places[at].clone()]).collect()
    }

    /// Sets the slots of a weight, unless they are of another form.
    pub(super) fn set(&mut self, at: usize, slots: &[Vec<A>]) -> bool {
        let fits = |(places, slot): (&Vec<Range<usize>>, &Vec<A>)| places[at].len() == slot.len();
        if slots.len() != self.values.len() || !self.places.iter().zip(slots).all(fits) {
            return false;
        }
        for ((values, places), slot) in self.values.iter_mut().zip(&self.places).zip(slots) {
            values[places[at].clone()].copy_from_slice(slot);
        }
        true
    }

    /// For each slot the part of each weight.
    pub(super) fn places(&self) -> &[Vec<Range<usize>>] {
        &self.places
    }
}

/// Lengths one behind the other.
fn laid_out(lengths: impl Iterator<Item = usize>) -> Vec<Range<usize>> {
    let next = |end: &mut usize, length| {
        let start = *end;
        *end += length;
        Some(start..*end)
    };
    lengths.scan(0, next).collect()
}

/// The shapes of the weights of a binding.
pub(super) fn shapes<A: Scalar>(model: &dyn Layer<A>, binding: &Binding) -> Vec<Vec<usize>> {
    let mut shapes = vec![Vec::new(); binding.spans.len()];
    let mut look = |_: &str, param: &Param<A>| {
        if let (Some(at), Ok(value)) = (binding.position(param.id()), param.get()) {
            shapes[at] = value.shape().to_vec();
        }
    };
    model.visit(&mut Visitor::unnamed(&mut look));
    shapes
}
