//! Which steps of a sequence count.
//!
//! A mask goes from layer to layer beside the values: [`Masking`](crate::layers::Masking) sets it, layers that treat each
//! step alone leave it ([`Layer::keeps_mask`](crate::Layer::keeps_mask)), recurrent ones read it, and behind all others
//! the container clears it. Backward needs it no more: who read it has saved it.

use super::Context;
use crate::error::{Error, Result};
use crate::scalar::Scalar;
use crate::tensor::{Tensor, values, values_mut};

impl<A: Scalar> Context<A> {
    /// The mask of the values that go into the layer that runs: `(batch, steps)`, 1 where a step counts and 0 where it
    /// is to be skipped; `None` where all of them count. Whoever calls `forward` of several networks by himself with one
    /// context clears it between them.
    pub fn mask(&self) -> Option<&Tensor<A>> {
        self.mask.as_ref()
    }

    /// Sets the mask of the values that the layer that runs gives, or clears it.
    pub fn set_mask(&mut self, mask: Option<Tensor<A>>) {
        if let Some(before) = std::mem::replace(&mut self.mask, mask) {
            self.pool.give(before);
        }
    }

    /// The mask, which is then cleared.
    pub fn take_mask(&mut self) -> Option<Tensor<A>> {
        self.mask.take()
    }

    /// The mask for an input of so many samples and steps.
    ///
    /// # Errors
    /// [`Error::Shape`] where the mask is that of other values.
    pub fn mask_of(&self, batch: usize, steps: usize) -> Result<Option<Tensor<A>>> {
        match &self.mask {
            Some(mask) if mask.shape() != [batch, steps] => {
                let expected = format!("shape {:?} of the input's samples and steps", [batch, steps]);
                Err(Error::shape("mask", expected, mask.shape()))
            }
            mask => Ok(mask.clone()),
        }
    }

    /// The mask of values made step by step from several inputs: a step counts if it does in any of them, and all do
    /// where an input has no mask. As in Keras.
    ///
    /// # Errors
    /// [`Error::Shape`] where the masks are of different steps.
    pub fn join_masks(&mut self, masks: &[Option<Tensor<A>>]) -> Result<Option<Tensor<A>>> {
        let mut all = masks.iter().map(Option::as_ref);
        let Some(Some(first)) = all.next() else { return Ok(None) };
        let mut joined = self.pool.take(first.shape());
        values_mut(&mut joined).copy_from_slice(values(first)?);
        for mask in all {
            let Some(mask) = mask else {
                self.pool.give(joined);
                return Ok(None);
            };
            if mask.shape() != first.shape() {
                let expected = format!("shape {:?}, as the first input's", first.shape());
                return Err(Error::shape("mask of a merge's input", expected, mask.shape()));
            }
            values_mut(&mut joined)
                .iter_mut()
                .zip(values(mask)?)
                .for_each(|(joined, &mask)| *joined = joined.max(mask));
        }
        Ok(Some(joined))
    }
}
