use serde_json::{Value, json};

use super::{Decay, Optimizer, Step, check_fraction, check_not_negative};
use crate::error::{Error, Result};
use crate::kernels::update;
use crate::scalar::Scalar;
use crate::schedules::{IntoSchedule, Schedule};

/// Adam (Kingma and Ba 2015): a step in the direction of the mean gradient, measured in its own deviations.
///
/// m = beta1 m + (1 - beta1) g, v = beta2 v + (1 - beta2) g², and at step t
///
/// w -= rate * m̂ / (sqrt(v̂) + epsilon) with m̂ = m / (1 - beta1^t) and v̂ = v / (1 - beta2^t).
///
/// Defaults: beta1 0.9, beta2 0.999 (both libraries) and epsilon 1e-8, which is PyTorch's and the paper's; Keras has
/// 1e-7 and adds it before the correction. [`weight_decay`](Self::weight_decay) is coupled; [`AdamW`] has it decoupled.
///
/// ```
/// use layerwise::optimizers::Adam;
/// use layerwise::schedules::Cosine;
/// let rule = Adam::new(1e-3);
/// let with_schedule = Adam::new(Cosine::new(1e-3, 10_000)).betas(0.9, 0.98);
/// ```
pub struct Adam {
    schedule: Box<dyn Schedule>,
    beta1: f64,
    beta2: f64,
    epsilon: f64,
    weight_decay: f64,
}

impl Adam {
    /// With a rate or a schedule of rates; 0.001 is what both libraries default to.
    pub fn new(rate: impl IntoSchedule) -> Self {
        Adam { schedule: rate.into_schedule(), beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.0 }
    }

    /// How slowly the mean and the mean square of the gradients forget, each in [0, 1).
    #[must_use]
    pub fn betas(mut self, beta1: f64, beta2: f64) -> Self {
        self.beta1 = beta1;
        self.beta2 = beta2;
        self
    }

    /// What is added to the denominator; above 0.
    #[must_use]
    pub fn epsilon(mut self, epsilon: f64) -> Self {
        self.epsilon = epsilon;
        self
    }

    /// Coupled decay: `factor * w` is added to the gradient, and so to the moments.
    #[must_use]
    pub fn weight_decay(mut self, factor: f64) -> Self {
        self.weight_decay = factor;
        self
    }

    fn settings(&self) -> Value {
        json!({
            "schedule": { "kind": self.schedule.kind(), "config": self.schedule.config() },
            "beta1": self.beta1, "beta2": self.beta2, "epsilon": self.epsilon, "weight_decay": self.weight_decay,
        })
    }

    fn step<A: Scalar>(&self, step: Step, w: &mut [A], g: &[A], slots: &mut [&mut [A]]) {
        let [m, v] = slots else { unreachable!("the engine gives the slots that were asked for") };
        let t = step.number as f64;
        let rate = step.rate / (1.0 - self.beta1.powf(t));
        let root_scale = 1.0 / (1.0 - self.beta2.powf(t)).sqrt();
        let [rate, beta1, beta2] = [rate, self.beta1, self.beta2].map(A::of);
        update::adam(w, g, m, v, rate, beta1, beta2, A::of(root_scale), A::of(self.epsilon));
    }

    fn verify(&self) -> Result<()> {
        self.schedule.check()?;
        check_fraction("beta1", self.beta1)?;
        check_fraction("beta2", self.beta2)?;
        check_not_negative("weight decay", self.weight_decay)?;
        if !(self.epsilon.is_finite() && self.epsilon > 0.0) {
            return Err(Error::setting("epsilon", "a finite number above 0", self.epsilon));
        }
        Ok(())
    }
}

/// Adam with decoupled weight decay (Loshchilov and Hutter 2019): w -= rate * factor * w beside Adam's step, so that
/// the decay is not divided by the moments.
///
/// Defaults as for [`Adam`], and a decay of 0.01, which is PyTorch's (Keras: 0.004).
///
/// ```
/// use layerwise::optimizers::AdamW;
/// let rule = AdamW::new(1e-3).weight_decay(0.05);
/// ```
pub struct AdamW(Adam);

impl AdamW {
    /// With a rate or a schedule of rates.
    pub fn new(rate: impl IntoSchedule) -> Self {
        AdamW(Adam::new(rate).weight_decay(0.01))
    }

    /// How slowly the mean and the mean square of the gradients forget, each in [0, 1).
    #[must_use]
    pub fn betas(self, beta1: f64, beta2: f64) -> Self {
        AdamW(self.0.betas(beta1, beta2))
    }

    /// What is added to the denominator; above 0.
    #[must_use]
    pub fn epsilon(self, epsilon: f64) -> Self {
        AdamW(self.0.epsilon(epsilon))
    }

    /// The share of a weight that a step of rate 1 takes away.
    #[must_use]
    pub fn weight_decay(self, factor: f64) -> Self {
        AdamW(self.0.weight_decay(factor))
    }
}

/// The two rules differ in their name and in where the decay goes.
macro_rules! adam_rule {
    ($rule:ident, $name:literal, $decay:ident, |$this:ident| $adam:expr) => {
        impl<A: Scalar> Optimizer<A> for $rule {
            fn kind(&self) -> &str {
                $name
            }

            fn config(&self) -> Value {
                let $this = self;
                $adam.settings()
            }

            fn slots(&self) -> &'static [&'static str] {
                &["mean", "mean_square"]
            }

            fn schedule(&self) -> &dyn Schedule {
                let $this = self;
                &*$adam.schedule
            }

            fn decay(&self) -> Decay {
                let $this = self;
                if $adam.weight_decay == 0.0 { Decay::None } else { Decay::$decay($adam.weight_decay) }
            }

            fn update(&self, step: Step, w: &mut [A], g: &[A], slots: &mut [&mut [A]]) {
                let $this = self;
                $adam.step(step, w, g, slots);
            }

            fn check(&self) -> Result<()> {
                let $this = self;
                $adam.verify()
            }
        }
    };
}
adam_rule!(Adam, "Adam", Coupled, |rule| rule);
adam_rule!(AdamW, "AdamW", Decoupled, |rule| rule.0);
