use super::rule::{betas, rule, rule_methods};
use super::{Optimizer, Step};
use crate::kernels::update;
use crate::scalar::Scalar;

rule! {
    /// Nadam (Dozat 2016): Adam with Nesterov's look-ahead, whose momentum grows during the first steps.
    ///
    /// With m and v as in [`Adam`](super::Adam), mu_t = beta1 (1 - 0.96^(t * momentum_decay) / 2) and their product
    /// M_t = mu_1 ... mu_t,
    ///
    /// w -= rate ((1 - mu_t) / (1 - M_t) g + mu_{t+1} / (1 - M_{t+1}) m) / (sqrt(v / (1 - beta2^t)) + epsilon).
    ///
    /// Defaults: beta1 0.9, beta2 0.999, epsilon 1e-8, momentum decay 0.004 and a usual rate of 0.002, all PyTorch's
    /// (Keras: 0.001 and 1e-7).
    ///
    /// ```
    /// use layerwise::optimizers::Nadam;
    /// let rule = Nadam::new(2e-3).decoupled_decay(true).weight_decay(0.01);
    /// ```
    Nadam, decay: false, 0.0,
    numbers {
        /// How slowly the mean of the gradients forgets, in [0, 1).
        beta1 = 0.9: check_fraction,
        /// How slowly their mean square forgets, in [0, 1).
        beta2 = 0.999: check_fraction,
        /// What is added to the denominator; above 0.
        epsilon = 1e-8: check_positive,
        /// How fast the momentum grows from half of beta1 to beta1; at least 0.
        momentum_decay = 4e-3: check_not_negative,
    }
    switches {}
}
betas!(Nadam);

/// Below this a product of momenta is as good as 0 beside 1.
const NOTHING: f64 = 1e-20;

impl Nadam {
    /// mu of step t.
    fn momentum(&self, t: u64) -> f64 {
        self.beta1 * (1.0 - 0.5 * 0.96f64.powf(t as f64 * self.momentum_decay))
    }

    /// The product of mu over the steps 1 to t.
    fn product(&self, t: u64) -> f64 {
        let mut product = 1.0;
        for step in 1..=t {
            product *= self.momentum(step);
            if product < NOTHING {
                return 0.0;
            }
        }
        product
    }
}

impl<A: Scalar> Optimizer<A> for Nadam {
    rule_methods!("Nadam");

    fn slots(&self) -> &'static [&'static str] {
        &["mean", "mean_square"]
    }

    fn update(&self, step: Step, w: &mut [A], g: &[A], slots: &mut [&mut [A]]) {
        let [m, v] = slots else { unreachable!("the engine gives the slots that were asked for") };
        let (now, next, product) =
            (self.momentum(step.number), self.momentum(step.number + 1), self.product(step.number));
        let root_scale = A::of(1.0 / (1.0 - self.beta2.powf(step.number as f64)).sqrt());
        let [beta1, beta2, epsilon] = [self.beta1, self.beta2, self.epsilon].map(A::of);
        update::mean(m, g, beta1, A::one() - beta1);
        update::mean_square(v, g, beta2, A::one() - beta2);
        let of_gradient = A::of(step.rate * (1.0 - now) / (1.0 - product));
        update::step_by_root(w, g, v, of_gradient, root_scale, epsilon);
        let of_mean = A::of(step.rate * next / (1.0 - product * next));
        update::step_by_root(w, m, v, of_mean, root_scale, epsilon);
    }
}
