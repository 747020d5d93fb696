//! What the losses of one class out of several have in common: class labels and probabilities as targets.

use serde_json::{Value, json};

use super::numbers::check_share;
use super::terms::Rows;
use super::{Reduction, first_outside, reduce};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::kernels::reduce::softmax_rows;
use crate::scalar::Scalar;
use crate::tensor::{Tensor, unravel, values, values_mut};

/// How targets are read.
#[derive(Clone, Debug, Default)]
pub(super) struct Classes {
    pub weights: Option<Vec<f64>>,
    pub smoothing: f64,
    pub ignored: Option<i64>,
}

/// The builder methods of a loss with a field `classes`.
macro_rules! class_methods {
    () => {
        /// One weight for each class, finite and at least 0: for classes that are rare.
        #[must_use]
        pub fn class_weights(mut self, weights: Vec<f64>) -> Self {
            self.classes.weights = Some(weights);
            self
        }

        /// With the smoothing s, from 0 to 1, a target t counts as (1 - s) t + s / classes, so that no answer can be
        /// sure enough. Default: 0.
        #[must_use]
        pub fn label_smoothing(mut self, smoothing: f64) -> Self {
            self.classes.smoothing = smoothing;
            self
        }

        /// A class label whose samples or steps cost nothing and are in no mean (padding, unlabelled pixels). It need
        /// not be a class: -1, or 255, will do.
        #[must_use]
        pub fn ignore_class(mut self, label: i64) -> Self {
            self.classes.ignored = Some(label);
            self
        }
    };
}
pub(super) use class_methods;

/// The part of a [`Formula`](super::terms::Formula) that the losses with a field `classes` share: one term for each
/// row. `$check` looks at further settings.
macro_rules! class_formula {
    ($kind:literal $(, $check:ident)?) => {
        fn rows(&self, output: &[usize], target: &[usize]) -> $crate::Result<$crate::losses::Rows> {
            $(self.$check()?;)?
            self.classes.rows($kind, output, target)
        }

        fn terms(&self, _: &$crate::losses::Rows) -> usize {
            1
        }

        fn term_shape(&self, output: &[usize]) -> Vec<usize> {
            $crate::losses::terms::without_last(output)
        }

        fn denominator(
            &self,
            reduction: Reduction,
            rows: &$crate::losses::Rows,
            target: &$crate::Tensor<A>,
            weights: Option<&[A]>,
        ) -> $crate::Result<A> {
            self.classes.denominator(reduction, rows, target, weights)
        }

        fn check(&self, target: &$crate::Tensor<A>, rows: &$crate::losses::Rows) -> $crate::Result<()> {
            self.classes.check(target, rows)
        }
    };
}
pub(super) use class_formula;

/// The class that a label names, if it names one.
#[inline]
pub(crate) fn class_of<A: Scalar>(label: A, classes: usize) -> Option<usize> {
    let label = label.as_f64();
    let class = label as usize;
    (class as f64 == label && class < classes).then_some(class)
}

/// The number of classes and the axes before theirs. `kind` is the loss.
fn classes<'s>(kind: &str, output: &'s [usize]) -> Result<(usize, &'s [usize])> {
    match output.split_last() {
        Some((&classes, before)) if classes >= 2 && !before.is_empty() => Ok((classes, before)),
        _ => {
            let expected = "(batch, ..., classes) with 2 classes or more; for one logit use BinaryCrossEntropy";
            Err(Error::shape(format!("output of {kind}"), expected, output))
        }
    }
}

/// softmax(x) over the last axis.
pub(super) fn softmax<A: Scalar>(kind: &str, output: &Tensor<A>, ctx: &mut Context<A>) -> Result<Tensor<A>> {
    let (classes, _) = classes(kind, output.shape())?;
    let x = values(output)?;
    let mut probabilities = ctx.tensor(output.shape());
    values_mut(&mut probabilities).copy_from_slice(x);
    softmax_rows(values_mut(&mut probabilities), classes);
    Ok(probabilities)
}

/// Whether a target of these rows is class labels and not probabilities.
pub(super) fn are_labels<A>(t: &[A], rows: &Rows) -> bool {
    t.len() == rows.rows
}

impl Classes {
    pub fn settings(&self) -> Value {
        // Nothing where there is none: checkpoints from before there was smoothing go on.
        let smoothing = (self.smoothing != 0.0).then_some(self.smoothing);
        json!({ "class_weights": self.weights, "label_smoothing": smoothing, "ignore_class": self.ignored })
    }

    /// The rows of an output whose target is class labels or probabilities, after a look at the settings.
    pub fn rows(&self, kind: &str, output: &[usize], target: &[usize]) -> Result<Rows> {
        let (classes, before) = classes(kind, output)?;
        let labels = target == before || matches!(target.split_last(), Some((1, labels)) if labels == before);
        if target != output && !labels {
            let mut column = before.to_vec();
            column.push(1);
            let labels = format!("class labels of shape {before:?} or {column:?}");
            let expected = format!("{labels}, or probabilities of shape {output:?}, for an output of shape {output:?}");
            return Err(Error::shape("target", expected, target));
        }
        check_share("label_smoothing", self.smoothing)?;
        if let Some(weights) = &self.weights {
            if weights.len() != classes {
                return Err(Error::length("class weights, one for each class", classes, weights.len()));
            }
            if let Some((class, weight)) = weights.iter().enumerate().find(|(_, w)| !(w.is_finite() && **w >= 0.0)) {
                let name = format!("weight of class {class}");
                return Err(Error::setting(name, "a finite number of at least 0", weight));
            }
        }
        Ok(Rows::before(before, classes))
    }

    /// Refuses labels that name no class and probabilities that are none.
    pub fn check<A: Scalar>(&self, target: &Tensor<A>, rows: &Rows) -> Result<()> {
        let t = values(target)?;
        if are_labels(t, rows) {
            let bad = |&label: &A| class_of(label, rows.features).is_none() && !self.ignores(label);
            let Some(at) = t.iter().position(bad) else { return Ok(()) };
            let expected = format!("a whole number from 0 to {}", rows.features - 1);
            return Err(Error::value("class label", &unravel(at, target.shape()), expected, t[at]));
        }
        let Some(at) = first_outside(t, A::zero(), A::max_value()) else { return Ok(()) };
        let index = unravel(at, target.shape());
        Err(Error::value("class probability", &index, "a finite number of at least 0", t[at]))
    }

    pub fn weight(&self, class: usize) -> f64 {
        self.weights.as_ref().map_or(1.0, |weights| weights[class])
    }

    fn ignores<A: Scalar>(&self, label: A) -> bool {
        self.ignored.is_some_and(|ignored| ignored as f64 == label.as_f64())
    }

    /// Whether targets count as something else than they are.
    pub fn change_targets(&self) -> bool {
        self.smoothing > 0.0 || self.ignored.is_some()
    }

    /// By what the sum of one term a row is divided: rows that are ignored count in no mean, and in a weighted mean
    /// every row counts by the class weights of its target.
    pub fn denominator<A: Scalar>(
        &self,
        reduction: Reduction,
        rows: &Rows,
        target: &Tensor<A>,
        weights: Option<&[A]>,
    ) -> Result<A> {
        let each = weights.map_or(Ok(1), |weights| rows.per_weight(weights))?;
        let all_count = self.ignored.is_none();
        if reduction == Reduction::Sum || (reduction == Reduction::Mean && all_count) {
            return reduce(reduction, rows.batch, rows.rows, weights);
        }
        self.check(target, rows)?;
        let t = values(target)?;
        let labels = are_labels(t, rows);
        let of_target = |row: usize| {
            if labels {
                return self.weight(class_of(t[row], rows.features).unwrap_or(0));
            }
            let t = &t[row * rows.features..][..rows.features];
            t.iter().enumerate().map(|(class, t)| t.as_f64() * self.weight(class)).sum()
        };
        let of_row = |row: usize| {
            if labels && self.ignores(t[row]) {
                0.0
            } else if reduction == Reduction::Mean {
                1.0
            } else {
                weights.map_or(1.0, |weights| weights[row / each].as_f64()) * of_target(row)
            }
        };
        Ok(A::of((0..rows.rows).map(of_row).sum()))
    }

    /// The targets as probabilities, smoothed, and each times the weight of its class: (rows, classes). A row that is
    /// ignored is 0 throughout, so that its loss and gradient are.
    pub fn spread<A: Scalar>(&self, t: &[A], rows: &Rows, ctx: &mut Context<A>) -> Tensor<A> {
        let classes = rows.features;
        let mut spread = ctx.tensor(&[rows.rows, classes]);
        let places = values_mut(&mut spread);
        if are_labels(t, rows) {
            places.fill(A::zero());
            for (row, &label) in places.chunks_exact_mut(classes).zip(t) {
                if let Some(class) = class_of(label, classes).filter(|_| !self.ignores(label)) {
                    row[class] = A::one();
                }
            }
        } else {
            places.copy_from_slice(t);
        }
        let kept = A::of(1.0 - self.smoothing);
        let even = A::of(self.smoothing / classes as f64);
        for (number, row) in places.chunks_exact_mut(classes).enumerate() {
            if are_labels(t, rows) && self.ignores(t[number]) {
                continue;
            }
            for (class, place) in row.iter_mut().enumerate() {
                *place = A::of(self.weight(class)) * (*place * kept + even);
            }
        }
        spread
    }
}
