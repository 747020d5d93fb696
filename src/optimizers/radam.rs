use super::rule::{betas, rule, rule_methods};
use super::{Optimizer, Step};
use crate::kernels::update;
use crate::scalar::Scalar;

rule! {
    /// RAdam (Liu et al. 2020): Adam that holds back its division by the mean square as long as that rests on too few
    /// gradients, in place of a warm-up.
    ///
    /// With m and v as in [`Adam`](super::Adam), rho = 2 / (1 - beta2) - 1 and rho_t = rho - 2 t beta2^t / (1 -
    /// beta2^t): where rho_t > 5
    ///
    /// w -= rate r m̂ sqrt(1 - beta2^t) / (sqrt(v) + epsilon) with
    /// r² = (rho_t - 4)(rho_t - 2) rho / ((rho - 4)(rho - 2) rho_t),
    ///
    /// and w -= rate m̂ before. Defaults: beta1 0.9, beta2 0.999, epsilon 1e-8 and a usual rate of 0.001 (PyTorch's).
    ///
    /// ```
    /// use layerwise::optimizers::RAdam;
    /// let rule = RAdam::new(1e-3);
    /// ```
    RAdam, decay: false, 0.0,
    numbers {
        /// How slowly the mean of the gradients forgets, in [0, 1).
        beta1 = 0.9: check_fraction,
        /// How slowly their mean square forgets, in [0, 1).
        beta2 = 0.999: check_fraction,
        /// What is added to the denominator; above 0.
        epsilon = 1e-8: check_positive,
    }
    switches {}
}
betas!(RAdam);

impl RAdam {
    /// r sqrt(1 - beta2^t), or `None` while there are too few gradients.
    fn rectification(&self, t: f64) -> Option<f64> {
        let rho = 2.0 / (1.0 - self.beta2) - 1.0;
        let power = self.beta2.powf(t);
        let rho_t = rho - 2.0 * t * power / (1.0 - power);
        let squared = (rho_t - 4.0) * (rho_t - 2.0) * rho / ((rho - 4.0) * (rho - 2.0) * rho_t);
        (rho_t > 5.0).then(|| squared.sqrt() * (1.0 - power).sqrt())
    }
}

impl<A: Scalar> Optimizer<A> for RAdam {
    rule_methods!("RAdam");

    fn slots(&self) -> &'static [&'static str] {
        &["mean", "mean_square"]
    }

    fn update(&self, step: Step, w: &mut [A], g: &[A], slots: &mut [&mut [A]]) {
        let [m, v] = slots else { unreachable!("the engine gives the slots that were asked for") };
        let t = step.number as f64;
        let rate = step.rate / (1.0 - self.beta1.powf(t));
        let [beta1, beta2] = [self.beta1, self.beta2].map(A::of);
        update::mean(m, g, beta1, A::one() - beta1);
        update::mean_square(v, g, beta2, A::one() - beta2);
        match self.rectification(t) {
            Some(factor) => update::step_by_root(w, m, v, A::of(rate * factor), A::one(), A::of(self.epsilon)),
            None => update::descend(w, m, A::of(rate)),
        }
    }
}
