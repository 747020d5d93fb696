use super::rule::{betas, rule, rule_methods};
use super::{Optimizer, Step};
use crate::kernels::update;
use crate::scalar::Scalar;

rule! {
    /// Adamax (Kingma and Ba 2015): Adam measured in the largest gradient, which is forgotten slowly.
    ///
    /// m = beta1 m + (1 - beta1) g, u = max(beta2 u, |g| + epsilon), w -= rate / (1 - beta1^t) * m / u.
    ///
    /// Defaults: beta1 0.9, beta2 0.999, epsilon 1e-8 and a usual rate of 0.002, all PyTorch's, as is the place of
    /// epsilon (Keras: 0.001, and epsilon 1e-7 added to u).
    ///
    /// ```
    /// use layerwise::optimizers::Adamax;
    /// let rule = Adamax::new(2e-3);
    /// ```
    Adamax, decay: false, 0.0,
    numbers {
        /// How slowly the mean of the gradients forgets, in [0, 1).
        beta1 = 0.9: check_fraction,
        /// How slowly the largest gradient is forgotten, in [0, 1).
        beta2 = 0.999: check_fraction,
        /// What is added to each gradient's size; above 0.
        epsilon = 1e-8: check_positive,
    }
    switches {}
}
betas!(Adamax);

impl<A: Scalar> Optimizer<A> for Adamax {
    rule_methods!("Adamax");

    fn slots(&self) -> &'static [&'static str] {
        &["mean", "largest"]
    }

    fn update(&self, step: Step, w: &mut [A], g: &[A], slots: &mut [&mut [A]]) {
        let [m, u] = slots else { unreachable!("the engine gives the slots that were asked for") };
        let rate = step.rate / (1.0 - self.beta1.powf(step.number as f64));
        let [rate, beta1, beta2, epsilon] = [rate, self.beta1, self.beta2, self.epsilon].map(A::of);
        update::mean(m, g, beta1, A::one() - beta1);
        update::adamax(w, g, m, u, rate, beta2, epsilon);
    }
}
