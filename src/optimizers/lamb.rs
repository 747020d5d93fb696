use super::rule::{betas, rule, rule_methods};
use super::{Decay, Optimizer, Step, norm, take};
use crate::kernels::{elementwise, update};
use crate::scalar::Scalar;

rule! {
    /// LAMB (You et al. 2020): Adam whose step for each tensor is as large as the tensor, for large batches.
    ///
    /// With m̂ and v̂ of [`Adam`](super::Adam), r = m̂ / (sqrt(v̂) + epsilon) + decay * w and
    /// w -= rate * |w| / |r| * r with the norms over the whole tensor; the quotient is 1 where either norm is 0.
    ///
    /// Defaults: beta1 0.9, beta2 0.999, epsilon 1e-6 (the paper's and optax's; Keras: 1e-7) and no decay. The decay is
    /// part of r; with [`decoupled_decay`](Self::decoupled_decay) it goes past the norms.
    ///
    /// ```
    /// use layerwise::optimizers::Lamb;
    /// let rule = Lamb::new(1e-3).weight_decay(0.01);
    /// ```
    Lamb, decay: false, 0.0,
    numbers {
        /// How slowly the mean of the gradients forgets, in [0, 1).
        beta1 = 0.9: check_fraction,
        /// How slowly their mean square forgets, in [0, 1).
        beta2 = 0.999: check_fraction,
        /// What is added to the denominator; above 0.
        epsilon = 1e-6: check_positive,
    }
    switches {}
}
betas!(Lamb);

impl<A: Scalar> Optimizer<A> for Lamb {
    rule_methods!("Lamb", decay: |decay| match decay {
        Decay::Coupled(factor) => Decay::Inside(factor),
        other => other,
    });

    fn slots(&self) -> &'static [&'static str] {
        &["mean", "mean_square"]
    }

    fn update(&self, step: Step, w: &mut [A], g: &[A], slots: &mut [&mut [A]]) {
        self.update_tensor(step, &[w.len()], w, g, slots, &mut Vec::new());
    }

    fn takes_tensors(&self) -> bool {
        true
    }

    fn update_tensor(&self, step: Step, _: &[usize], w: &mut [A], g: &[A], slots: &mut [&mut [A]], room: &mut Vec<A>) {
        let [m, v] = slots else { unreachable!("the engine gives the slots that were asked for") };
        let t = step.number as f64;
        let [beta1, beta2, epsilon] = [self.beta1, self.beta2, self.epsilon].map(A::of);
        update::mean(m, g, beta1, A::one() - beta1);
        update::mean_square(v, g, beta2, A::one() - beta2);
        // -r, which begins as the decay.
        let r = take(room, w.len());
        r.copy_from_slice(w);
        elementwise::scale(r, A::of(-step.decay));
        let rate = A::of(1.0 / (1.0 - self.beta1.powf(t)));
        update::step_by_root(r, m, v, rate, A::of(1.0 / (1.0 - self.beta2.powf(t)).sqrt()), epsilon);
        let (of_weights, of_step) = (norm(w), norm(r));
        let trust = if of_weights == 0.0 || of_step == 0.0 { 1.0 } else { of_weights / of_step };
        update::descend(w, r, A::of(-step.rate * trust));
    }
}
