use super::rule::{rule, rule_methods};
use super::{Optimizer, Step};
use crate::kernels::update;
use crate::scalar::Scalar;

rule! {
    /// RMSprop (Tieleman and Hinton 2012): each gradient measured in the root of its mean square.
    ///
    /// v = alpha v + (1 - alpha) g², w -= rate * g / (sqrt(v) + epsilon). [`centered`](Self::centered) takes the
    /// variance, v - a² with the mean a of the gradients, for v (Graves 2013); with a [`momentum`](Self::momentum) the
    /// quotients are gathered in a velocity b = momentum b + quotient, and w -= rate * b.
    ///
    /// Defaults: alpha 0.99, epsilon 1e-8, no momentum and a usual rate of 0.01, all PyTorch's. Keras has 0.9, 1e-7
    /// within the root, 0.001, and its velocity holds the rate.
    ///
    /// ```
    /// use layerwise::optimizers::RmsProp;
    /// let rule = RmsProp::new(1e-3).alpha(0.9).momentum(0.9).centered(true);
    /// ```
    RmsProp, decay: false, 0.0,
    numbers {
        /// How slowly the mean square of the gradients forgets, in [0, 1).
        alpha = 0.99: check_fraction,
        /// What is added to the denominator; above 0.
        epsilon = 1e-8: check_positive,
        /// How much of the last step goes into the next, in [0, 1).
        momentum = 0.0: check_fraction,
    }
    switches {
        /// Whether to divide by the deviation from the mean gradient.
        centered,
    }
}

impl<A: Scalar> Optimizer<A> for RmsProp {
    rule_methods!("RmsProp");

    fn slots(&self) -> &'static [&'static str] {
        match (self.momentum > 0.0, self.centered) {
            (false, false) => &["mean_square"],
            (true, false) => &["mean_square", "velocity"],
            (_, true) => &["mean_square", "velocity", "mean"],
        }
    }

    fn update(&self, step: Step, w: &mut [A], g: &[A], slots: &mut [&mut [A]]) {
        let [rate, alpha, momentum, epsilon] = [step.rate, self.alpha, self.momentum, self.epsilon].map(A::of);
        let [v, rest @ ..] = slots else { unreachable!("the engine gives the slots that were asked for") };
        update::mean_square(v, g, alpha, A::one() - alpha);
        match rest {
            [] => return update::step_by_root(w, g, v, rate, A::one(), epsilon),
            [velocity] => update::velocity_by_root(velocity, g, v, momentum, epsilon),
            [velocity, mean, ..] => {
                update::mean(mean, g, alpha, A::one() - alpha);
                update::velocity_by_deviation(velocity, g, v, mean, momentum, epsilon);
            }
        }
        update::descend(w, rest[0], rate);
    }
}
