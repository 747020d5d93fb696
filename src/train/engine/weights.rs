//! The model's weights, on their way into a sweep and out of it.

use crate::gradients::Binding;
use crate::layer::Layer;
use crate::param::{Param, Visitor};
use crate::scalar::Scalar;
use crate::tensor::Tensor;
use crate::train::slices::Slices;

/// The model's weights, each in the place of its span.
pub(super) fn collect<'a, A: Scalar>(model: &'a mut dyn Layer<A>, binding: &Binding, slices: &mut Slices<'a, A>) {
    let mut each = |_: &str, param: &'a mut Param<A>| {
        let position = binding.position(param.id()).filter(|_| param.is_trainable());
        if let (Some(at), Some(weights)) = (position, param.values_mut()) {
            slices.set_span(at, weights);
        }
    };
    model.visit_mut(&mut Visitor::unnamed(&mut each));
}

/// Makes weights what their constraints say. Of tied ones only one has values now.
pub(super) fn constrain<A: Scalar>(model: &mut dyn Layer<A>, binding: &Binding, scratch: &mut Vec<A>) {
    let mut each = |_: &str, param: &mut Param<A>| {
        if param.is_trainable() && binding.position(param.id()).is_some() {
            param.constrain(scratch);
        }
    };
    model.visit_mut(&mut Visitor::unnamed(&mut each));
}

/// Parameters of one identity share one array. While it is written to, only the first of them that is not frozen holds
/// it: to the others a copy would be made.
#[derive(Default)]
pub(super) struct Ties<A: Scalar> {
    first: Vec<Option<Tensor<A>>>,
    seen: Vec<bool>,
}

impl<A: Scalar> Ties<A> {
    pub(super) fn release(&mut self, model: &mut dyn Layer<A>, binding: &Binding) {
        if !binding.has_ties() {
            return;
        }
        self.seen.clear();
        self.seen.resize(binding.spans.len(), false);
        let mut each = |_: &str, param: &mut Param<A>| {
            let Some(at) = binding.position(param.id()) else { return };
            if !param.is_trainable() || std::mem::replace(&mut self.seen[at], true) {
                param.replace(None);
            }
        };
        model.visit_mut(&mut Visitor::unnamed(&mut each));
    }

    pub(super) fn restore(&mut self, model: &mut dyn Layer<A>, binding: &Binding) {
        if !binding.has_ties() {
            return;
        }
        self.first.clear();
        self.first.resize(binding.spans.len(), None);
        let mut find = |_: &str, param: &mut Param<A>| {
            if let (Some(at), Ok(value)) = (binding.position(param.id()), param.get()) {
                self.first[at] = Some(value.clone());
            }
        };
        model.visit_mut(&mut Visitor::unnamed(&mut find));
        let mut share = |_: &str, param: &mut Param<A>| {
            if let Some(at) = binding.position(param.id()) {
                param.replace(self.first[at].clone());
            }
        };
        model.visit_mut(&mut Visitor::unnamed(&mut share));
        self.first.clear();
    }
}
