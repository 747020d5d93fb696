//! Rules that change weights.

mod adam;
mod sgd;

pub use adam::{Adam, AdamW};
pub use sgd::Sgd;

use serde_json::Value;

use crate::error::{Error, Result};
use crate::scalar::Scalar;
use crate::schedules::Schedule;

/// What a rule knows of the step that it takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// The update of this weight, counted from 1, as bias corrections count it. Steps in which no layer gave the
    /// weight a gradient, or in which it was frozen, do not count (PyTorch's `state["step"]`).
    pub number: u64,
    /// The learning rate of this step.
    pub rate: f64,
}

/// How weights are pulled towards 0.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub enum Decay {
    /// Not at all.
    #[default]
    None,
    /// The gradient grows by `factor * w` before the rule sees it (L2 regularisation; PyTorch's `weight_decay` of SGD
    /// and Adam).
    Coupled(f64),
    /// The weight shrinks by `rate * factor * w`, past the rule (Loshchilov and Hutter 2019; AdamW).
    Decoupled(f64),
}

/// A rule for one weight tensor and its slots.
///
/// The engine around the rule owns everything else: the sum over shards, the mean over the batch, clipping, decay,
/// schedules, frozen weights. So a rule is the formula and little more:
///
/// ```
/// use layerwise::prelude::*;
/// use layerwise::optimizers::Step;
/// use layerwise::schedules::{Constant, Schedule};
///
/// /// w -= rate * sign(g)
/// struct SignDescent(Constant);
///
/// impl<A: Scalar> Optimizer<A> for SignDescent {
///     fn kind(&self) -> &str {
///         "SignDescent"
///     }
///
///     fn schedule(&self) -> &dyn Schedule {
///         &self.0
///     }
///
///     fn update(&self, step: Step, w: &mut [A], g: &[A], _: &mut [&mut [A]]) {
///         for (w, &g) in w.iter_mut().zip(g) {
///             *w -= A::of(step.rate) * g.signum();
///         }
///     }
/// }
/// ```
pub trait Optimizer<A: Scalar = f32>: Send + Sync {
    /// The rule's name, as files name it.
    fn kind(&self) -> &str;

    /// The settings, as JSON.
    fn config(&self) -> Value {
        Value::Null
    }

    /// The names of the slots: one number beside each weight, 0 at the start (momentum, moments).
    fn slots(&self) -> &'static [&'static str] {
        &[]
    }

    /// The learning rate.
    fn schedule(&self) -> &dyn Schedule;

    /// How weights are pulled towards 0.
    fn decay(&self) -> Decay {
        Decay::None
    }

    /// Changes weights by their gradients. The slices are a part of one weight tensor, of its gradient and of each of
    /// its slots, in the order of [`slots`](Self::slots): a rule must treat each element alone.
    fn update(&self, step: Step, w: &mut [A], g: &[A], slots: &mut [&mut [A]]);

    /// Whether a gradient of 0 leaves weight and slots as they are, so that rows of an embedding that no sample
    /// touched can be passed over.
    fn ignores_zero_gradients(&self) -> bool {
        false
    }

    /// Refuses settings that cannot work. A trainer asks before it begins.
    ///
    /// # Errors
    /// [`Error::Setting`], naming the setting.
    fn check(&self) -> Result<()> {
        self.schedule().check()
    }
}

/// Refuses a factor outside [0, 1): momentum and the betas of Adam.
fn check_fraction(name: &str, value: f64) -> Result<()> {
    if (0.0..1.0).contains(&value) {
        return Ok(());
    }
    Err(Error::setting(name, "at least 0 and below 1", value))
}

/// Refuses what is not a finite number of at least 0.
fn check_not_negative(name: &str, value: f64) -> Result<()> {
    if value.is_finite() && value >= 0.0 {
        return Ok(());
    }
    Err(Error::setting(name, "a finite number of at least 0", value))
}
