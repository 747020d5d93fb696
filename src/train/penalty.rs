//! What the regularizers of a model's weights add to the loss and to the gradients.

use crate::error::Result;
use crate::gradients::{Binding, Grad, Gradients};
use crate::layer::Layer;
use crate::param::{Param, Visitor};
use crate::scalar::Scalar;

/// The sum of the penalties of all weights that are trained; their gradients are added to `gradients`, if there are any.
/// `scratch` is memory to use again.
pub(super) fn penalty<A: Scalar>(
    model: &dyn Layer<A>,
    binding: &Binding,
    mut gradients: Option<&mut Gradients<A>>,
    scratch: &mut Vec<A>,
) -> f64 {
    let (mut total, mut next) = (0.0, 0);
    let mut each = |_: &str, param: &Param<A>| {
        // Of several handles to a weight the first counts, as in the binding.
        if !param.is_trainable() || binding.position(param.id()) != Some(next) {
            return;
        }
        next += 1;
        let (Some(regularizer), Ok(value), Ok(w)) = (param.regularizer(), param.get(), param.values()) else { return };
        let gradient = gradients.as_deref_mut().and_then(|gradients| gradients.dense(param.id()));
        total += regularizer.apply(w, value.shape(), gradient.map(Grad::accumulate), scratch);
    };
    model.visit(&mut Visitor::unnamed(&mut each));
    total
}

/// Refuses a model with a regularizer or a constraint that its weight cannot have.
///
/// # Errors
/// What is wrong with it, with the name of the weight.
pub(super) fn check_rules<A: Scalar>(model: &dyn Layer<A>) -> Result<()> {
    let mut checked = Ok(());
    let mut each = |name: &str, param: &Param<A>| {
        if let (Ok(()), Some(shape)) = (&checked, param.shape()) {
            checked = param.check_rules(shape).map_err(|error| error.within(name));
        }
    };
    model.visit(&mut Visitor::new(&mut each));
    checked
}
