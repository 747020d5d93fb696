use super::rule::{betas, rule, rule_methods};
use super::{Optimizer, Step};
use crate::kernels::update;
use crate::scalar::Scalar;

rule! {
    /// Lion (Chen et al. 2023): steps of one size, in the direction of the sign of a mean gradient.
    ///
    /// w -= rate * sign(beta1 m + (1 - beta1) g), then m = beta2 m + (1 - beta2) g; sign(0) is 0.
    ///
    /// Defaults: beta1 0.9, beta2 0.99 (the paper's and Keras's), decay decoupled and 0. The paper asks for a rate 3
    /// to 10 times lower, and a decay as much higher, than AdamW's.
    ///
    /// ```
    /// use layerwise::optimizers::Lion;
    /// let rule = Lion::new(1e-4).weight_decay(0.1);
    /// ```
    Lion, decay: true, 0.0,
    numbers {
        /// How much of the direction is the mean, in [0, 1).
        beta1 = 0.9: check_fraction,
        /// How slowly the mean of the gradients forgets, in [0, 1).
        beta2 = 0.99: check_fraction,
    }
    switches {}
}
betas!(Lion);

impl<A: Scalar> Optimizer<A> for Lion {
    rule_methods!("Lion");

    fn slots(&self) -> &'static [&'static str] {
        &["mean"]
    }

    fn update(&self, step: Step, w: &mut [A], g: &[A], slots: &mut [&mut [A]]) {
        let [m] = slots else { unreachable!("the engine gives the slots that were asked for") };
        let [rate, beta1, beta2] = [step.rate, self.beta1, self.beta2].map(A::of);
        update::lion(w, g, m, rate, beta1);
        update::mean(m, g, beta2, A::one() - beta2);
    }
}
