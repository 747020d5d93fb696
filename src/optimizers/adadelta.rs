use super::rule::{rule, rule_methods};
use super::{Optimizer, Step};
use crate::kernels::update;
use crate::scalar::Scalar;

rule! {
    /// Adadelta (Zeiler 2012): steps as large as the last ones were, in the gradient's deviations.
    ///
    /// v = rho v + (1 - rho) g², d = g sqrt(u + epsilon) / sqrt(v + epsilon), u = rho u + (1 - rho) d²,
    /// w -= rate * d.
    ///
    /// Defaults: rho 0.9, epsilon 1e-6 and a usual rate of 1, PyTorch's and the paper's (Keras: 0.95, 1e-7, 0.001).
    ///
    /// ```
    /// use layerwise::optimizers::Adadelta;
    /// let rule = Adadelta::new(1.0).rho(0.95);
    /// ```
    Adadelta, decay: false, 0.0,
    numbers {
        /// How slowly both mean squares forget, in [0, 1).
        rho = 0.9: check_fraction,
        /// What is added within both roots; above 0.
        epsilon = 1e-6: check_positive,
    }
    switches {}
}

impl<A: Scalar> Optimizer<A> for Adadelta {
    rule_methods!("Adadelta");

    fn slots(&self) -> &'static [&'static str] {
        &["mean_square", "mean_square_step"]
    }

    fn update(&self, step: Step, w: &mut [A], g: &[A], slots: &mut [&mut [A]]) {
        let [v, u] = slots else { unreachable!("the engine gives the slots that were asked for") };
        let [rate, rho, epsilon] = [step.rate, self.rho, self.epsilon].map(A::of);
        update::mean_square(v, g, rho, A::one() - rho);
        update::adadelta(w, g, v, u, rate, rho, epsilon);
    }
}
