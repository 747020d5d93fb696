//! Means over samples of what a probability says about the true class.

use std::marker::PhantomData;

use super::labelled::Labelled;
use super::streaming::{Totals, class_metric, default_is_new};
use crate::error::Result;
use crate::scalar::Scalar;
use crate::tensor::Tensor;

/// What the probabilities of a sample cost: one of class 1, or one for each class.
trait Cost {
    fn of<A: Scalar>(probabilities: &[A], truth: usize) -> f64;
}

/// The weighted sum of the costs, and the sum of the weights.
#[derive(Clone, Debug)]
struct Mean<C> {
    totals: Totals,
    cost: PhantomData<C>,
}

impl<C: Cost> Mean<C> {
    const SETTING: (&'static str, f64) = ("kind", 0.0);

    fn batch<'a, A: Scalar>(
        &self,
        prediction: &'a Tensor<A>,
        target: &'a Tensor<A>,
        weights: Option<&'a [A]>,
    ) -> Result<Labelled<'a, A>> {
        Labelled::new(self.totals.classes, prediction, target, weights)
    }

    fn take<A: Scalar>(&mut self, batch: &Labelled<'_, A>) -> Result<()> {
        batch.check_probabilities()?;
        self.totals.grow(batch.classes(), 2);
        for row in 0..batch.rows() {
            let weight = batch.weight(row);
            self.totals.cells[0] += weight;
            self.totals.cells[1] += weight * C::of(batch.scores(row), batch.truth(row)?);
        }
        Ok(())
    }

    fn reset(&mut self) {
        self.totals.reset();
    }

    fn write(&self, state: &mut Vec<f64>) {
        self.totals.write(Self::SETTING.1, state);
    }

    fn parse<'s>(&self, state: &'s [f64]) -> Result<(usize, &'s [f64])> {
        self.totals.parse(Self::SETTING, state, |classes, cells| cells == if classes == 0 { 0 } else { 2 })
    }

    fn merge(&mut self, classes: usize, cells: &[f64]) {
        self.totals.add(classes, cells);
    }

    fn result(&self) -> f64 {
        match self.totals.cells[..] {
            [weight, sum] => sum / weight,
            _ => f64::NAN,
        }
    }
}

macro_rules! probability_mean {
    ($(#[$meta:meta])* $metric:ident, $name:literal, $code:literal, $cost:ident) => {
        $(#[$meta])*
        ///
        /// Predictions are probabilities in the shapes of [`Accuracy`](super::Accuracy), and so are targets and
        /// weights. One outside of 0 to 1 is an error. They should sum to 1 in each row; that is not checked.
        #[derive(Clone, Debug)]
        pub struct $metric {
            gathered: Mean<$cost>,
        }

        impl $metric {
            /// With nothing taken in.
            pub fn new() -> Self {
                $metric { gathered: Mean { totals: Totals::default(), cost: PhantomData } }
            }

            /// The mean over everything taken in; NaN where there was nothing.
            pub fn result(&self) -> f64 {
                self.gathered.result()
            }
        }
        class_metric!($metric, $code, |_| $name);
        default_is_new!($metric);
    };
}

#[derive(Clone, Debug)]
struct Surprise;

impl Cost for Surprise {
    fn of<A: Scalar>(probabilities: &[A], truth: usize) -> f64 {
        let probability = match *probabilities {
            [one] if truth == 0 => A::one() - one,
            [one] => one,
            _ => probabilities[truth],
        };
        -probability.max(A::epsilon()).min(A::one() - A::epsilon()).as_f64().ln()
    }
}

#[derive(Clone, Debug)]
struct Distance;

impl Cost for Distance {
    fn of<A: Scalar>(probabilities: &[A], truth: usize) -> f64 {
        let squared = |class: usize, probability: A| {
            let difference = probability.as_f64() - f64::from(u8::from(class == truth));
            difference * difference
        };
        match *probabilities {
            [one] => squared(1, one),
            [zero, one] => 0.5 * (squared(0, zero) + squared(1, one)),
            _ => probabilities.iter().enumerate().map(|(class, &probability)| squared(class, probability)).sum(),
        }
    }
}

probability_mean! {
    /// The mean of -ln(probability of the true class): the cross-entropy, from probabilities.
    ///
    /// As in scikit-learn, a probability counts as at least ε and at most 1 - ε, the machine precision of the number
    /// type, so that one sample costs at most 15.9 in `f32` and 36.0 in `f64`.
    ///
    /// ```
    /// use layerwise::metrics::{LogLoss, Metric};
    /// use layerwise::to_tensor;
    /// use ndarray::array;
    /// let mut loss = LogLoss::new();
    /// loss.update(&to_tensor::<f64, _, _, _>(&array![0.5, 0.25])?, &to_tensor(&array![0, 1])?, None)?;
    /// assert!((loss.result() - 1.5 * 2_f64.ln()).abs() < 1e-15);
    /// # Ok::<(), layerwise::Error>(())
    /// ```
    #[doc(alias = "cross_entropy")]
    LogLoss, "log_loss", 15.0, Surprise
}
probability_mean! {
    /// The mean squared distance of the probabilities from what happened (Brier 1950).
    ///
    /// Of two classes it is the mean of (p - t)² with the probability p of class 1, from 0 to 1; of more the mean of
    /// the sum over the classes, from 0 to 2 (scikit-learn's `scale_by_half="auto"`).
    ///
    /// ```
    /// use layerwise::metrics::{BrierScore, Metric};
    /// use layerwise::to_tensor;
    /// use ndarray::array;
    /// let mut score = BrierScore::new();
    /// score.update(&to_tensor::<f32, _, _, _>(&array![0.5, 0.25])?, &to_tensor(&array![0, 1])?, None)?;
    /// assert_eq!(score.result(), (0.25 + 0.5625) / 2.0);
    /// # Ok::<(), layerwise::Error>(())
    /// ```
    BrierScore, "brier_score", 16.0, Distance
}
