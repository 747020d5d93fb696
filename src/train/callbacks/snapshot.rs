//! The values of all parameters of a model at one moment.

use super::CallbackState;
use crate::error::{Error, Result};
use crate::layer::Layer;
use crate::model::Model;
use crate::scalar::Scalar;
use crate::tensor::Tensor;

/// Weights and state by their dotted names. Nothing is copied before training changes the model's.
#[derive(Clone)]
pub(super) struct Snapshot<A: Scalar> {
    values: Vec<(String, Tensor<A>)>,
}

impl<A: Scalar> Snapshot<A> {
    pub(super) fn of(model: &dyn Layer<A>) -> Result<Self> {
        let values = model.params().into_iter().map(|(name, param)| Ok((name, param.get()?.clone())));
        Ok(Snapshot { values: values.collect::<Result<_>>()? })
    }

    /// Puts the values back.
    ///
    /// # Errors
    /// Where the model has other parameters than it had, or other shapes; nothing has changed then.
    pub(super) fn put_into(&self, model: &mut dyn Layer<A>) -> Result<()> {
        let params = model.params_mut();
        if params.len() != self.values.len() {
            let what = "parameters of the model against those that were kept";
            return Err(Error::length(what, self.values.len(), params.len()));
        }
        for ((name, param), (kept, value)) in params.iter().zip(&self.values) {
            if name != kept {
                return Err(Error::setting("name of a parameter of the model", format!("{kept}, as was kept"), name));
            }
            if param.get()?.shape() != value.shape() {
                let expected = format!("shape {:?}, as was kept", value.shape());
                return Err(Error::shape(format!("parameter {name}"), expected, param.get()?.shape()));
            }
        }
        // Handles of one tied weight were kept with one array: they share it again.
        for ((_, param), (_, value)) in params.into_iter().zip(&self.values) {
            param.replace(Some(value.clone()));
        }
        Ok(())
    }

    /// What a callback's state holds of it: nothing where there is none.
    pub(super) fn to_tensors(snapshot: Option<&Self>) -> Vec<(String, Tensor<A>)> {
        snapshot.map_or_else(Vec::new, |snapshot| snapshot.values.clone())
    }

    /// The reverse.
    pub(super) fn from_state(state: CallbackState<A>) -> Option<Self> {
        (!state.tensors.is_empty()).then_some(Snapshot { values: state.tensors })
    }
}
