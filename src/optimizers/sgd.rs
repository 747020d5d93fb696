use serde_json::{Value, json};

use super::{Decay, Optimizer, Step, check_fraction, check_not_negative};
use crate::error::{Error, Result};
use crate::kernels::update;
use crate::scalar::Scalar;
use crate::schedules::{IntoSchedule, Schedule};

/// Stochastic gradient descent, with momentum m if asked for:
///
/// v = m v + g, then w -= rate * v, or with Nesterov's look-ahead w -= rate * (g + m v).
///
/// This is PyTorch's form, in which a new rate counts for the whole velocity. With
/// [`scaled_velocity`](Self::scaled_velocity) it is Keras's. Defaults: no momentum, no decay.
///
/// ```
/// use layerwise::optimizers::Sgd;
/// let rule = Sgd::new(0.1).momentum(0.9).nesterov(true);
/// ```
pub struct Sgd {
    schedule: Box<dyn Schedule>,
    momentum: f64,
    nesterov: bool,
    scaled_velocity: bool,
    weight_decay: f64,
}

impl Sgd {
    /// With a rate or a schedule of rates.
    pub fn new(rate: impl IntoSchedule) -> Self {
        Sgd {
            schedule: rate.into_schedule(),
            momentum: 0.0,
            nesterov: false,
            scaled_velocity: false,
            weight_decay: 0.0,
        }
    }

    /// How much of the last step goes into the next, in [0, 1).
    #[must_use]
    pub fn momentum(mut self, momentum: f64) -> Self {
        self.momentum = momentum;
        self
    }

    /// Whether to look ahead; needs a momentum.
    #[must_use]
    pub fn nesterov(mut self, nesterov: bool) -> Self {
        self.nesterov = nesterov;
        self
    }

    /// Whether the velocity holds each gradient times the rate of its own step, so that a new rate counts for new
    /// gradients alone: v = m v + rate * g, then w -= v, or with Nesterov's look-ahead w -= rate * g + m v. This is
    /// Keras's form (whose velocity is -v); the same as PyTorch's, the default, as long as the rate stays the same.
    #[must_use]
    pub fn scaled_velocity(mut self, scaled: bool) -> Self {
        self.scaled_velocity = scaled;
        self
    }

    /// Coupled decay: `factor * w` is added to the gradient.
    #[must_use]
    pub fn weight_decay(mut self, factor: f64) -> Self {
        self.weight_decay = factor;
        self
    }
}

impl<A: Scalar> Optimizer<A> for Sgd {
    fn kind(&self) -> &str {
        "Sgd"
    }

    fn config(&self) -> Value {
        json!({
            "schedule": { "kind": self.schedule.kind(), "config": self.schedule.config() },
            "momentum": self.momentum, "nesterov": self.nesterov, "scaled_velocity": self.scaled_velocity,
            "weight_decay": self.weight_decay,
        })
    }

    fn slots(&self) -> &'static [&'static str] {
        if self.momentum == 0.0 { &[] } else { &["momentum"] }
    }

    fn schedule(&self) -> &dyn Schedule {
        &*self.schedule
    }

    fn decay(&self) -> Decay {
        if self.weight_decay == 0.0 { Decay::None } else { Decay::Coupled(self.weight_decay) }
    }

    fn update(&self, step: Step, w: &mut [A], g: &[A], slots: &mut [&mut [A]]) {
        match slots {
            [velocity] => {
                let (scale, rate) = if self.scaled_velocity { (step.rate, 1.0) } else { (1.0, step.rate) };
                update::momentum(w, g, velocity, A::of(scale), A::of(rate), A::of(self.momentum), self.nesterov);
            }
            _ => update::descend(w, g, A::of(step.rate)),
        }
    }

    fn ignores_zero_gradients(&self) -> bool {
        self.momentum == 0.0
    }

    fn check(&self) -> Result<()> {
        self.schedule.check()?;
        check_fraction("momentum", self.momentum)?;
        check_not_negative("weight decay", self.weight_decay)?;
        if self.nesterov && self.momentum == 0.0 {
            return Err(Error::setting("momentum", "above 0 for Nesterov's look-ahead", self.momentum));
        }
        Ok(())
    }
}
