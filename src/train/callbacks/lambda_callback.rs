use super::{Callback, Event};
use crate::error::Result;
use crate::scalar::Scalar;

type Call<A> = Box<dyn FnMut(&mut Event<'_, A>) -> Result<()> + Send>;

/// Closures as a callback, each for one of the events; [`OnEpochEnd`](super::OnEpochEnd) is a shorter way to the most
/// common one. What closures remember is not in checkpoints.
///
/// ```
/// use layerwise::prelude::*;
/// use layerwise::train::callbacks::LambdaCallback;
///
/// let watch = LambdaCallback::new()
///     .on_epoch_begin(|event| {
///         println!("epoch {} at a rate of {}", event.epoch, event.rate());
///         Ok(())
///     })
///     .on_batch_end(|event| {
///         if event.loss < 1e-6 {
///             event.stop();
///         }
///         Ok(())
///     });
/// let trainer = Trainer::new(MeanSquaredError::new(), Adam::new(1e-3)).callback(watch);
/// ```
pub struct LambdaCallback<A: Scalar = f32> {
    train_begin: Option<Call<A>>,
    epoch_begin: Option<Call<A>>,
    batch_end: Option<Call<A>>,
    validation_begin: Option<Call<A>>,
    validation_end: Option<Call<A>>,
    epoch_end: Option<Call<A>>,
    train_end: Option<Call<A>>,
}

impl LambdaCallback {
    /// For `f32` models.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Self::of()
    }
}

/// A builder method and its field, and the callback's method that calls it.
macro_rules! events {
    ($($field:ident $method:ident $when:literal;)*) => {
        impl<A: Scalar> LambdaCallback<A> {
            /// For models of any number type.
            pub fn of() -> Self {
                LambdaCallback { $($field: None,)* }
            }

            $(
                #[doc = concat!("Is called ", $when, ".")]
                #[must_use]
                pub fn $method(mut self, call: impl FnMut(&mut Event<'_, A>) -> Result<()> + Send + 'static) -> Self {
                    self.$field = Some(Box::new(call));
                    self
                }
            )*
        }

        impl<A: Scalar> Callback<A> for LambdaCallback<A> {
            $(
                fn $method(&mut self, event: &mut Event<'_, A>) -> Result<()> {
                    self.$field.as_mut().map_or(Ok(()), |call| call(event))
                }
            )*
        }
    };
}
events! {
    train_begin on_train_begin "before the first epoch";
    epoch_begin on_epoch_begin "before each epoch";
    batch_end on_batch_end "after each step";
    validation_begin on_validation_begin "before the validation of an epoch";
    validation_end on_validation_end "after the validation of an epoch";
    epoch_end on_epoch_end "after each epoch and its validation";
    train_end on_train_end "after the last epoch";
}
