use super::rule::{rule, rule_methods};
use super::{Optimizer, Step};
use crate::kernels::update;
use crate::scalar::Scalar;

rule! {
    /// Adagrad (Duchi, Hazan and Singer 2011): each gradient measured in the root of the sum of all squares so far,
    /// so that rare features keep a high rate.
    ///
    /// s += g², w -= rate / (1 + (t - 1) rate_decay) * g / (sqrt(s) + epsilon).
    ///
    /// Defaults: s begins at 0, no decay of the rate, epsilon 1e-10 and a usual rate of 0.01, all PyTorch's (Keras: 0.1,
    /// epsilon 1e-7 within the root, 0.001). A gradient of 0 changes nothing: rows of an embedding that no sample
    /// touched are passed over.
    ///
    /// ```
    /// use layerwise::optimizers::Adagrad;
    /// let rule = Adagrad::new(0.01).initial_accumulator(0.1);
    /// ```
    Adagrad, decay: false, 0.0,
    numbers {
        /// What the sum of squares begins with; at least 0.
        initial_accumulator = 0.0: check_not_negative,
        /// By what the rate falls beside its schedule; at least 0.
        rate_decay = 0.0: check_not_negative,
        /// What is added to the denominator; above 0.
        epsilon = 1e-10: check_positive,
    }
    switches {}
}

impl<A: Scalar> Optimizer<A> for Adagrad {
    rule_methods!("Adagrad");

    fn slots(&self) -> &'static [&'static str] {
        &["sum_of_squares"]
    }

    fn slot_start(&self, _: usize) -> f64 {
        self.initial_accumulator
    }

    fn update(&self, step: Step, w: &mut [A], g: &[A], slots: &mut [&mut [A]]) {
        let [sum] = slots else { unreachable!("the engine gives the slots that were asked for") };
        let rate = step.rate / (1.0 + (step.number as f64 - 1.0) * self.rate_decay);
        update::mean_square(sum, g, A::one(), A::one());
        update::step_by_root(w, g, sum, A::of(rate), A::one(), A::of(self.epsilon));
    }

    fn ignores_zero_gradients(&self) -> bool {
        true
    }
}
