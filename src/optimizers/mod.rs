//! Rules that change weights.

mod adadelta;
mod adafactor;
mod adagrad;
mod adam;
mod adamax;
mod lamb;
mod lion;
mod muon;
mod nadam;
mod radam;
mod rms_prop;
mod rule;
mod sgd;

pub use adadelta::Adadelta;
pub use adafactor::Adafactor;
pub use adagrad::Adagrad;
pub use adam::{Adam, AdamW};
pub use adamax::Adamax;
pub use lamb::Lamb;
pub use lion::Lion;
pub use muon::Muon;
pub use nadam::Nadam;
pub use radam::RAdam;
pub use rms_prop::RmsProp;
pub use sgd::Sgd;

use serde_json::Value;

use crate::error::{Error, Result};
use crate::kernels::reduce;
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
    /// The factor of [`Decay::Inside`] for this weight; 0 without.
    pub decay: f64,
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
    /// The rule itself adds `factor * w` to its step, before it measures it ([`Lamb`]).
    Inside(f64),
}

impl Decay {
    /// So many times as much.
    pub(crate) fn times(self, factor: f64) -> Self {
        match self {
            _ if factor == 0.0 => Decay::None,
            Decay::None => Decay::None,
            Decay::Coupled(decay) => Decay::Coupled(factor * decay),
            Decay::Decoupled(decay) => Decay::Decoupled(factor * decay),
            Decay::Inside(decay) => Decay::Inside(factor * decay),
        }
    }
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

    /// The names of the slots: numbers beside each weight that go from step to step (momentum, moments).
    fn slots(&self) -> &'static [&'static str] {
        &[]
    }

    /// What the numbers of a slot begin with.
    fn slot_start(&self, slot: usize) -> f64 {
        let _ = slot;
        0.0
    }

    /// How many numbers a slot has for a weight of a shape: one for each weight, unless the rule
    /// [takes whole tensors](Self::takes_tensors).
    fn slot_len(&self, slot: usize, shape: &[usize]) -> usize {
        let _ = slot;
        shape.iter().product()
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

    /// Whether the rule needs each tensor whole, for norms, rows and columns, or products. It is then asked for
    /// [`update_tensor`](Self::update_tensor) instead of [`update`](Self::update).
    fn takes_tensors(&self) -> bool {
        false
    }

    /// Changes a whole weight tensor of a shape. `room` is memory for whatever the rule needs within the step; its
    /// length and values are those that some step left.
    fn update_tensor(
        &self,
        step: Step,
        shape: &[usize],
        w: &mut [A],
        g: &[A],
        slots: &mut [&mut [A]],
        room: &mut Vec<A>,
    ) {
        let _ = (shape, room);
        self.update(step, w, g, slots);
    }

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
    Err(refused(name, "at least 0 and below 1", value))
}

/// Refuses what is not a finite number of at least 0.
fn check_not_negative(name: &str, value: f64) -> Result<()> {
    if value.is_finite() && value >= 0.0 {
        return Ok(());
    }
    Err(refused(name, "a finite number of at least 0", value))
}

/// Refuses what is not a finite number above 0.
fn check_positive(name: &str, value: f64) -> Result<()> {
    if value.is_finite() && value > 0.0 {
        return Ok(());
    }
    Err(refused(name, "a finite number above 0", value))
}

/// The error for a number, named as people write it.
fn refused(name: &str, requirement: &str, value: f64) -> Error {
    Error::setting(name.replace('_', " "), requirement, value)
}

/// The root of the sum of the squares.
fn norm<A: Scalar>(values: &[A]) -> f64 {
    reduce::sum_of_squares(values).as_f64().sqrt()
}

/// The first `length` numbers of a room, whatever they are.
fn take<A: Scalar>(room: &mut Vec<A>, length: usize) -> &mut [A] {
    if room.len() < length {
        room.resize(length, A::zero());
    }
    &mut room[..length]
}

/// Refuses what is not a finite number of at most 0.
fn check_not_positive(name: &str, value: f64) -> Result<()> {
    if value.is_finite() && value <= 0.0 {
        return Ok(());
    }
    Err(refused(name, "a finite number of at most 0", value))
}
