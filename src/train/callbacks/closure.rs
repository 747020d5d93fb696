use super::{Callback, Event};
use crate::error::Result;
use crate::scalar::Scalar;

/// A closure as a callback, called after each epoch.
///
/// ```
/// use layerwise::prelude::*;
/// use layerwise::train::callbacks::OnEpochEnd;
///
/// let watch = OnEpochEnd::new(|event| {
///     if event.epoch == 10 {
///         event.stop();
///     }
///     Ok(())
/// });
/// let trainer = Trainer::new(MeanSquaredError::new(), Adam::new(1e-3)).callback(watch);
/// ```
pub struct OnEpochEnd<F> {
    call: F,
}

impl<F: FnMut(&mut Event<'_>) -> Result<()> + Send> OnEpochEnd<F> {
    /// For `f32` models.
    pub fn new(call: F) -> Self {
        OnEpochEnd { call }
    }
}

impl<F> OnEpochEnd<F> {
    /// For models of any number type.
    pub fn of<A: Scalar>(call: F) -> Self
    where
        F: FnMut(&mut Event<'_, A>) -> Result<()> + Send,
    {
        OnEpochEnd { call }
    }
}

impl<A: Scalar, F> Callback<A> for OnEpochEnd<F>
where
    F: FnMut(&mut Event<'_, A>) -> Result<()> + Send,
{
    fn on_epoch_end(&mut self, event: &mut Event<'_, A>) -> Result<()> {
        (self.call)(event)
    }
}
