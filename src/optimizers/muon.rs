use super::rule::{rule, rule_methods};
use super::{Optimizer, Step, norm, take};
use crate::kernels::gemm::{Ending, Matrix, gemm};
use crate::kernels::{elementwise, update};
use crate::scalar::Scalar;

rule! {
    /// Muon (Jordan et al. 2024): momentum whose step for a matrix is made nearly orthogonal, so that every direction
    /// moves alike.
    ///
    /// b = momentum b + (1 - momentum) g, d = (1 - momentum) g + momentum b (Nesterov's look-ahead), and
    /// w -= rate * sqrt(max(1, n / m)) * NS(d) for a matrix of n outputs and m inputs, where NS takes d / |d| through 5
    /// rounds of X = a X + (b X Xᵀ + c (X Xᵀ)²) X with (3.4445, -4.775, 2.0315).
    ///
    /// A kernel of a convolution is one matrix, its outputs against all the rest. Vectors (biases, scales) have no
    /// directions: they take [`AdamW`](super::AdamW)'s step with its usual betas and epsilon and the rate times
    /// [`vector_rate`](Self::vector_rate). Defaults, PyTorch's: momentum 0.95, decay 0.1, decoupled, and a usual rate of
    /// 0.001 (0.02 in the author's own). PyTorch computes NS in bfloat16, this in the model's own type. Its makers
    /// advise against it for embeddings and the last layer.
    ///
    /// ```
    /// use layerwise::optimizers::Muon;
    /// let rule = Muon::new(0.02).vector_rate(0.05);
    /// ```
    Muon, decay: true, 0.1,
    numbers {
        /// How slowly the mean of the gradients forgets, in [0, 1).
        momentum = 0.95: check_fraction,
        /// The least norm that d is divided by; above 0.
        epsilon = 1e-7: check_positive,
        /// What vectors have of the rate; at least 0.
        vector_rate = 1.0: check_not_negative,
    }
    switches {
        /// Whether d is b alone, without the look-ahead.
        plain_momentum,
        /// Whether the rate is scaled by 0.2 sqrt(max(n, m)) instead, so that steps are as large as AdamW's and rates
        /// that suit it can stay (Liu et al. 2025; PyTorch's `match_rms_adamw`).
        match_rms_adamw,
    }
}

/// The polynomial of a round, and how many rounds there are.
const ROUND: (f64, f64, f64) = (3.4445, -4.775, 2.0315);
const ROUNDS: usize = 5;

/// What vectors go by.
const BETAS: (f64, f64) = (0.9, 0.999);
const VECTOR_EPSILON: f64 = 1e-8;

/// Rows and columns of a weight, inputs by outputs, if it is a matrix.
fn matrix(shape: &[usize]) -> Option<(usize, usize)> {
    match shape {
        [before @ .., outputs] if !before.is_empty() => Some((before.iter().product(), *outputs)),
        _ => None,
    }
}

impl Muon {
    fn vector<A: Scalar>(&self, step: Step, w: &mut [A], g: &[A], m: &mut [A], v: &mut [A]) {
        let t = step.number as f64;
        let rate = A::of(step.rate * self.vector_rate / (1.0 - BETAS.0.powf(t)));
        let root_scale = A::of(1.0 / (1.0 - BETAS.1.powf(t)).sqrt());
        update::adam(w, g, m, v, rate, A::of(BETAS.0), A::of(BETAS.1), root_scale, A::of(VECTOR_EPSILON));
    }

    /// By what the rate is scaled.
    fn scale(&self, inputs: usize, outputs: usize) -> f64 {
        let (inputs, outputs) = (inputs as f64, outputs as f64);
        if self.match_rms_adamw { 0.2 * inputs.max(outputs).sqrt() } else { (outputs / inputs).max(1.0).sqrt() }
    }
}

/// Makes a matrix nearly orthogonal. `room` holds the product with its transpose, of the shorter side, a square of
/// that, and the next round.
fn orthogonalize<A: Scalar>(x: &mut [A], rows: usize, columns: usize, room: &mut [A]) {
    let short = rows.min(columns);
    let (gram, room) = room.split_at_mut(short * short);
    let (square, next) = room.split_at_mut(short * short);
    for _ in 0..ROUNDS {
        let whole = Matrix::row_major(x, rows, columns);
        let (left, right) = if rows <= columns { (whole, whole.t()) } else { (whole.t(), whole) };
        gemm(left, right, gram, short, Ending::sum(A::zero()));
        let factor = Matrix::row_major(gram, short, short);
        gemm(factor, factor, square, short, Ending::sum(A::zero()));
        for (square, &gram) in square.iter_mut().zip(&*gram) {
            *square = A::of(ROUND.1) * gram + A::of(ROUND.2) * *square;
        }
        // The sum has its own diagonal: a X + P X = (a + P) X.
        square.iter_mut().step_by(short + 1).for_each(|entry| *entry += A::of(ROUND.0));
        let factor = Matrix::row_major(square, short, short);
        let (left, right) = if rows <= columns { (factor, whole) } else { (whole, factor) };
        gemm(left, right, next, columns, Ending::sum(A::zero()));
        x.copy_from_slice(next);
    }
}

impl<A: Scalar> Optimizer<A> for Muon {
    rule_methods!("Muon");

    fn slots(&self) -> &'static [&'static str] {
        &["mean", "mean_square"]
    }

    fn slot_len(&self, slot: usize, shape: &[usize]) -> usize {
        if slot == 1 && matrix(shape).is_some() { 0 } else { shape.iter().product() }
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
        let [mean, square] = slots else { unreachable!("the engine gives the slots that were asked for") };
        let Some((rows, columns)) = matrix(shape) else { return self.vector(step, w, g, mean, square) };
        let (momentum, short) = (A::of(self.momentum), rows.min(columns));
        update::mean(mean, g, momentum, A::one() - momentum);
        let (d, room) = take(room, 2 * w.len() + 2 * short * short).split_at_mut(w.len());
        d.copy_from_slice(mean);
        if !self.plain_momentum {
            update::mean(d, g, momentum, A::one() - momentum);
        }
        elementwise::scale(d, A::of(1.0 / norm(d).max(self.epsilon)));
        orthogonalize(d, rows, columns, room);
        update::descend(w, d, A::of(step.rate * self.scale(rows, columns)));
    }
}
