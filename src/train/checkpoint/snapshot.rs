use std::collections::HashMap;

use crate::layer::Layer;
use crate::param::{Param, ParamId, Visitor};
use crate::scalar::Scalar;
use crate::tensor::Tensor;

/// The parameters of a model as they were: nothing is copied, and what has changed since can be taken back.
pub(in crate::train) struct Snapshot<A: Scalar> {
    values: HashMap<ParamId, Tensor<A>>,
    /// For each place of a parameter, in the order of the visitor.
    frozen: Vec<bool>,
}

impl<A: Scalar> Snapshot<A> {
    pub(in crate::train) fn of(model: &dyn Layer<A>) -> Self {
        let mut before = Snapshot { values: HashMap::new(), frozen: Vec::new() };
        let mut each = |_: &str, param: &Param<A>| {
            before.frozen.push(param.is_frozen());
            if let Ok(value) = param.get() {
                before.values.insert(param.id(), value.clone());
            }
        };
        model.visit(&mut Visitor::unnamed(&mut each));
        before
    }

    /// Whether the model has just these parameters, all of them with values.
    pub(in crate::train) fn is_of(&self, model: &dyn Layer<A>) -> bool {
        let (mut places, mut known) = (0, true);
        let mut each = |_: &str, param: &Param<A>| {
            places += 1;
            known &= self.values.contains_key(&param.id());
        };
        model.visit(&mut Visitor::unnamed(&mut each));
        known && places == self.frozen.len()
    }

    /// Gives the model what it had. Parameters that were not built are not built again.
    pub(in crate::train) fn put_back(&self, model: &mut dyn Layer<A>) {
        let mut frozen = self.frozen.iter().copied();
        let mut each = |_: &str, param: &mut Param<A>| {
            param.replace(self.values.get(&param.id()).cloned());
            param.set_frozen(frozen.next().unwrap_or(false));
        };
        model.visit_mut(&mut Visitor::unnamed(&mut each));
    }
}
