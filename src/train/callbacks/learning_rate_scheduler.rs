use super::{Callback, Event};
use crate::error::Result;
use crate::scalar::Scalar;

/// Sets the learning rate before each epoch: `rate = schedule(epoch, rate)`, for the epoch counted from 1 and the rate
/// that its first step would have had.
///
/// Whatever schedule the optimizer has no longer counts. A schedule that moves within an epoch, too, is a
/// [`Schedule`](crate::Schedule) of the optimizer.
///
/// The same as Keras's `LearningRateScheduler`, which counts epochs from 0.
///
/// ```
/// use layerwise::prelude::*;
///
/// let trainer = Trainer::new(MeanSquaredError::new(), Sgd::new(0.1))
///     .epochs(30)
///     .callback(LearningRateScheduler::new(|epoch, rate| if epoch <= 10 { rate } else { 0.95 * rate }));
/// ```
pub struct LearningRateScheduler<F> {
    schedule: F,
}

impl<F: Fn(usize, f64) -> f64 + Send> LearningRateScheduler<F> {
    /// From the function of epoch and present rate. It should depend on these alone: what else it knows is not in
    /// checkpoints.
    pub fn new(schedule: F) -> Self {
        LearningRateScheduler { schedule }
    }
}

impl<A: Scalar, F: Fn(usize, f64) -> f64 + Send> Callback<A> for LearningRateScheduler<F> {
    fn on_epoch_begin(&mut self, event: &mut Event<'_, A>) -> Result<()> {
        let rate = (self.schedule)(event.epoch, event.rate());
        event.set_rate(rate).map_err(|error| error.within("LearningRateScheduler"))
    }
}
