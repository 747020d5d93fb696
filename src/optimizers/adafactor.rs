use super::rule::{rule, rule_methods};
use super::{Decay, Optimizer, Step, norm, take};
use crate::kernels::{elementwise, reduce, update};
use crate::scalar::Scalar;

rule! {
    /// Adafactor (Shazeer and Stern 2018): the mean square of a matrix of gradients as a product of its rows' and its
    /// columns', so that the slots of an (n, m) weight are n + m numbers and not n m or twice that.
    ///
    /// At step t with k = t^beta2_decay: R = (1 - k) R + k rows' mean of g², C likewise of the columns,
    /// V = R C / mean(R), u = g / sqrt(V), and
    ///
    /// w -= max(scale_epsilon, rms(w)) min(rate, 1 / sqrt(t)) u / max(1, rms(u) / clip).
    ///
    /// A vector has a mean square for each element. A weight of more axes is many matrices, of its last two axes.
    /// Defaults, PyTorch's: beta2 decay -0.8, scale epsilon 1e-3, clip 1 and a usual rate of 0.01; V is at least the
    /// square of the number type's epsilon, and so is mean(R) at least that epsilon (PyTorch's `eps[0] = None`). Decay
    /// is decoupled. Keras's has other bounds.
    ///
    /// ```
    /// use layerwise::optimizers::Adafactor;
    /// let rule = Adafactor::new(0.01);
    /// ```
    Adafactor, decay: true, 0.0,
    numbers {
        /// The power of the step number that new squares count with; at most 0.
        beta2_decay = -0.8: check_not_positive,
        /// The least size that a weight is taken to have, so that zeros can leave 0; above 0.
        scale_epsilon = 1e-3: check_positive,
        /// The largest root mean square of u; above 0.
        clip = 1.0: check_positive,
    }
    switches {}
}

/// Rows and columns of the matrices that a weight is, if it is any.
fn matrices(shape: &[usize]) -> Option<(usize, usize)> {
    match shape {
        [.., rows, columns] => Some((*rows, *columns)),
        _ => None,
    }
}

impl Adafactor {
    /// u = g / sqrt(V) for one matrix, with new means of rows and columns.
    fn direct<A: Scalar>(fresh: A, g: &[A], u: &mut [A], rows: &mut [A], columns: &mut [A]) {
        let [keep, epsilon] = [A::one() - fresh, A::epsilon()];
        let width = columns.len();
        for (mean, g) in rows.iter_mut().zip(g.chunks_exact(width)) {
            *mean = keep * *mean + fresh * reduce::sum_of_squares(g) / A::of(width as f64);
        }
        columns.iter_mut().for_each(|mean| *mean *= keep);
        let share = fresh / A::of(rows.len() as f64);
        g.chunks_exact(width).for_each(|g| update::mean_square(columns, g, A::one(), share));
        let mean = at_least(rows.iter().fold(A::zero(), |sum, &mean| sum + mean) / A::of(rows.len() as f64), epsilon);
        for ((u, g), &row) in u.chunks_exact_mut(width).zip(g.chunks_exact(width)).zip(rows.iter()) {
            Self::divide(u, g, columns, row / mean);
        }
    }

    /// u = g / sqrt(factor * v).
    fn divide<A: Scalar>(u: &mut [A], g: &[A], v: &[A], factor: A) {
        let least = A::epsilon() * A::epsilon();
        for ((u, &g), &v) in u.iter_mut().zip(g).zip(v) {
            *u = g / at_least(factor * v, least).sqrt();
        }
    }
}

/// The larger of both; NaN stays.
fn at_least<A: Scalar>(value: A, least: A) -> A {
    if value < least { least } else { value }
}

impl<A: Scalar> Optimizer<A> for Adafactor {
    // The rule takes the size of a weight as it was before its decay.
    rule_methods!("Adafactor", decay: |decay| match decay {
        Decay::Decoupled(factor) => Decay::Inside(factor),
        other => other,
    });

    fn slots(&self) -> &'static [&'static str] {
        &["rows", "columns", "mean_square"]
    }

    fn slot_len(&self, slot: usize, shape: &[usize]) -> usize {
        let count: usize = shape.iter().product();
        match (slot, matrices(shape)) {
            (0, Some((_, columns))) => count.checked_div(columns).unwrap_or(0),
            (1, Some((rows, _))) => count.checked_div(rows).unwrap_or(0),
            (2, None) => count,
            _ => 0,
        }
    }

    fn update(&self, step: Step, w: &mut [A], g: &[A], slots: &mut [&mut [A]]) {
        self.update_tensor(step, &[w.len()], w, g, slots, &mut Vec::new());
    }

    fn takes_tensors(&self) -> bool {
        true
    }

    fn update_tensor(
        &self,
        step: Step,
        shape: &[usize],
        w: &mut [A],
        g: &[A],
        slots: &mut [&mut [A]],
        room: &mut Vec<A>,
    ) {
        let [rows, columns, v] = slots else { unreachable!("the engine gives the slots that were asked for") };
        if w.is_empty() {
            return;
        }
        let (t, root) = (step.number as f64, (w.len() as f64).sqrt());
        let fresh = A::of(t.powf(self.beta2_decay));
        let u = take(room, w.len());
        if let Some((height, width)) = matrices(shape) {
            let parts = g.chunks_exact(height * width).zip(u.chunks_exact_mut(height * width));
            let means = rows.chunks_exact_mut(height).zip(columns.chunks_exact_mut(width));
            for ((g, u), (rows, columns)) in parts.zip(means) {
                Self::direct(fresh, g, u, rows, columns);
            }
        } else {
            update::mean_square(v, g, A::one() - fresh, fresh);
            Self::divide(u, g, v, A::one());
        }
        let rate = (norm(w) / root).max(self.scale_epsilon) * step.rate.min(1.0 / t.sqrt());
        if step.decay != 0.0 {
            elementwise::scale(w, A::of(1.0 - step.rate * step.decay));
        }
        let shrink = (norm(u) / (root * self.clip)).max(1.0);
        update::descend(w, u, A::of(rate / shrink));
    }
}
