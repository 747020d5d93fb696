use super::rule::{betas, rule, rule_methods};
use super::{Optimizer, Step};
use crate::kernels::update;
use crate::scalar::Scalar;

/// Adam and AdamW are one rule; they differ in their name and in what their decay is at the start.
macro_rules! adam {
    ($(#[$meta:meta])* $rule:ident, $name:literal, decay: $decoupled:literal, $factor:literal) => {
        rule! {
            $(#[$meta])*
            $rule, decay: $decoupled, $factor,
            numbers {
                /// How slowly the mean of the gradients forgets, in [0, 1).
                beta1 = 0.9: check_fraction,
                /// How slowly their mean square forgets, in [0, 1).
                beta2 = 0.999: check_fraction,
                /// What is added to the denominator; above 0.
                epsilon = 1e-8: check_positive,
            }
            switches {
                /// Whether to divide by the largest mean square so far (AMSGrad; Reddi, Kale and Kumar 2018), so that
                /// steps never grow again. As in PyTorch the largest is taken before the correction.
                amsgrad,
            }
        }
        betas!($rule);

        impl<A: Scalar> Optimizer<A> for $rule {
            rule_methods!($name);

            fn slots(&self) -> &'static [&'static str] {
                if self.amsgrad { &["mean", "mean_square", "largest_mean_square"] } else { &["mean", "mean_square"] }
            }

            fn update(&self, step: Step, w: &mut [A], g: &[A], slots: &mut [&mut [A]]) {
                let t = step.number as f64;
                let rate = A::of(step.rate / (1.0 - self.beta1.powf(t)));
                let root_scale = A::of(1.0 / (1.0 - self.beta2.powf(t)).sqrt());
                let [beta1, beta2, epsilon] = [self.beta1, self.beta2, self.epsilon].map(A::of);
                match slots {
                    [m, v] => update::adam(w, g, m, v, rate, beta1, beta2, root_scale, epsilon),
                    [m, v, largest] => {
                        update::mean(m, g, beta1, A::one() - beta1);
                        update::mean_square(v, g, beta2, A::one() - beta2);
                        update::largest(largest, v);
                        update::step_by_root(w, m, largest, rate, root_scale, epsilon);
                    }
                    _ => unreachable!("the engine gives the slots that were asked for"),
                }
            }
        }
    };
}

adam! {
    /// Adam (Kingma and Ba 2015): a step in the direction of the mean gradient, measured in its own deviations.
    ///
    /// m = beta1 m + (1 - beta1) g, v = beta2 v + (1 - beta2) g², and at step t
    ///
    /// w -= rate * m̂ / (sqrt(v̂) + epsilon) with m̂ = m / (1 - beta1^t) and v̂ = v / (1 - beta2^t).
    ///
    /// Defaults: beta1 0.9, beta2 0.999 (both libraries) and epsilon 1e-8, which is PyTorch's and the paper's; Keras
    /// has 1e-7 and adds it before the correction. The usual rate is 0.001. Decay is coupled; [`AdamW`] has it
    /// decoupled.
    ///
    /// ```
    /// use layerwise::optimizers::Adam;
    /// use layerwise::schedules::Cosine;
    /// let rule = Adam::new(1e-3);
    /// let with_schedule = Adam::new(Cosine::new(1e-3, 10_000)).betas(0.9, 0.98).amsgrad(true);
    /// ```
    Adam, "Adam", decay: false, 0.0
}

adam! {
    /// Adam with decoupled weight decay (Loshchilov and Hutter 2019): w -= rate * factor * w beside [`Adam`]'s step,
    /// so that the decay is not divided by the moments.
    ///
    /// Defaults as for [`Adam`], and a decay of 0.01, which is PyTorch's (Keras: 0.004).
    ///
    /// ```
    /// use layerwise::optimizers::AdamW;
    /// let rule = AdamW::new(1e-3).weight_decay(0.05);
    /// ```
    AdamW, "AdamW", decay: true, 0.01
}
