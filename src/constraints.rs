//! What weights must be after every update.

use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::io::{Fields, Place, Setting, real};
use crate::kernels::{elementwise, reduce};
use crate::scalar::Scalar;

/// What is added to a norm before a weight is divided by it (Keras's `epsilon`).
const EPSILON: f64 = 1e-7;

/// What a weight is made to be after each update (Keras's constraints). Frozen weights are left alone.
///
/// Layers have a builder method for each of their large weights; [`Param::set_constraint`](crate::Param::set_constraint)
/// is for any weight.
///
/// ```
/// use layerwise::prelude::*;
///
/// let model = Sequential::new()
///     .add(Dense::new(64).weight_constraint(NormConstraint::max(3.0)))
///     .add(Dense::new(1).weight_constraint(Constraint::NonNegative));
/// ```
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum Constraint {
    /// max(w, 0).
    NonNegative,
    /// Norms within limits.
    Norm(NormConstraint),
}

/// Limits for the norms of a weight's parts: w = w * desired / (norm + 1e-7) with
/// desired = rate * (norm, brought between the limits) + (1 - rate) * norm.
///
/// The norm is taken over [`axes`](Self::axes) of the weight, and each place along the other axes has its own. The
/// default is axis 0, Keras's: in `(features, units)` every unit has a norm of its own. For a convolution,
/// `(kernel height, kernel width, channels, filters)`, axes 0, 1 and 2 are those of a filter.
///
/// ```
/// use layerwise::prelude::*;
///
/// let layer = Conv2d::new(8, 3).weight_constraint(NormConstraint::max(2.0).axes([0, 1, 2]));
/// let slowly = Dense::new(8).weight_constraint(NormConstraint::between(0.5, 1.5).rate(0.1));
/// ```
#[derive(Clone, PartialEq, Debug)]
pub struct NormConstraint {
    least: f64,
    most: f64,
    rate: f64,
    axes: Vec<usize>,
}

impl NormConstraint {
    /// Norms of at most this (Keras's `MaxNorm`, whose default is 2).
    pub fn max(most: f64) -> Self {
        Self::between(0.0, most)
    }

    /// Norms of 1 (Keras's `UnitNorm`).
    pub fn unit() -> Self {
        Self::between(1.0, 1.0)
    }

    /// Norms from `least` to `most` (Keras's `MinMaxNorm`, whose defaults are 0 and 1).
    pub fn between(least: f64, most: f64) -> Self {
        NormConstraint { least, most, rate: 1.0, axes: vec![0] }
    }

    /// How much of the way to the limits one update goes, from 0 to 1; all of it by default.
    #[must_use]
    pub fn rate(mut self, rate: f64) -> Self {
        self.rate = rate;
        self
    }

    /// The axes over which a norm is taken; axis 0 by default.
    #[must_use]
    pub fn axes(mut self, axes: impl IntoIterator<Item = usize>) -> Self {
        self.axes = axes.into_iter().collect();
        self
    }

    fn check(&self, shape: &[usize]) -> Result<()> {
        let Self { least, most, rate, axes } = self;
        if !(least.is_finite() && *least >= 0.0) {
            return Err(Error::setting("least norm", "a finite number of at least 0", least));
        }
        if !(most.is_finite() && most >= least) {
            return Err(Error::setting("largest norm", format!("a finite number of at least {least}"), most));
        }
        if !(0.0..=1.0).contains(rate) {
            return Err(Error::setting("rate of the norm constraint", "from 0 to 1", rate));
        }
        match axes.iter().find(|&&axis| axis >= shape.len()) {
            Some(axis) => Err(Error::shape("weight", format!("an axis {axis}, over which to take norms"), shape)),
            None => Ok(()),
        }
    }

    /// `scratch` holds a norm for each place along the other axes.
    fn apply<A: Scalar>(&self, w: &mut [A], shape: &[usize], scratch: &mut Vec<A>) {
        let shape = if shape.is_empty() { &[1] } else { shape };
        let rows = Rows { shape, axes: &self.axes };
        let (width, norms) = (shape[shape.len() - 1].max(1), rows.norms());
        scratch.clear();
        scratch.resize(rows.places(), A::zero());
        for (row, w) in w.chunks_exact(width).enumerate() {
            match &mut scratch[rows.place(row)..][..norms] {
                [norm] => *norm += reduce::sum_of_squares(w),
                norms => norms.iter_mut().zip(w).for_each(|(norm, &w)| *norm += w * w),
            }
        }
        let [least, most, rate, rest, epsilon] =
            [self.least, self.most, self.rate, 1.0 - self.rate, EPSILON].map(A::of);
        for norm in scratch.iter_mut() {
            let size = norm.sqrt();
            // NaN is neither less nor more, and stays what it is.
            let within = if size < least {
                least
            } else if size > most {
                most
            } else {
                size
            };
            *norm = (rate * within + rest * size) / (epsilon + size);
        }
        for (row, w) in w.chunks_exact_mut(width).enumerate() {
            match &scratch[rows.place(row)..][..norms] {
                [factor] => elementwise::scale(w, *factor),
                factors => w.iter_mut().zip(factors).for_each(|(w, &factor)| *w *= factor),
            }
        }
    }
}

/// The rows of a weight along its last axis, and the norms over some axes that belong to them.
struct Rows<'r> {
    shape: &'r [usize],
    axes: &'r [usize],
}

impl Rows<'_> {
    /// The norms of a row: one for all of it, or one for each number.
    fn norms(&self) -> usize {
        let last = self.shape.len() - 1;
        if self.axes.contains(&last) { 1 } else { self.shape[last] }
    }

    /// The norms of the whole weight.
    fn places(&self) -> usize {
        let kept = self.shape.iter().enumerate().filter(|(axis, _)| !self.axes.contains(axis));
        kept.map(|(_, &length)| length).product()
    }

    /// Where those of a row begin.
    fn place(&self, mut row: usize) -> usize {
        let (mut place, mut stride) = (0, self.norms());
        for (axis, &length) in self.shape.iter().enumerate().rev().skip(1) {
            if !self.axes.contains(&axis) {
                place += row % length * stride;
                stride *= length;
            }
            row /= length;
        }
        place
    }
}

impl From<NormConstraint> for Constraint {
    fn from(norm: NormConstraint) -> Self {
        Constraint::Norm(norm)
    }
}

impl Constraint {
    /// Refuses limits that are none, and axes that the weight does not have.
    ///
    /// # Errors
    /// [`Error::Setting`] for a limit, [`Error::Shape`] for a weight.
    pub(crate) fn check(&self, shape: &[usize]) -> Result<()> {
        match self {
            Constraint::NonNegative => Ok(()),
            Constraint::Norm(norm) => norm.check(shape),
        }
    }

    /// Changes a weight that was [checked](Self::check); `scratch` is memory to use again.
    pub(crate) fn apply<A: Scalar>(&self, w: &mut [A], shape: &[usize], scratch: &mut Vec<A>) {
        match self {
            Constraint::NonNegative => w.iter_mut().filter(|w| **w < A::zero()).for_each(|w| *w = A::zero()),
            Constraint::Norm(norm) => norm.apply(w, shape, scratch),
        }
    }

    /// As a setting in a file.
    pub(crate) fn describe(&self) -> Value {
        match self {
            Constraint::NonNegative => json!({ "name": "NonNegative" }),
            Constraint::Norm(NormConstraint { least, most, rate, axes }) => json!({
                "name": "Norm", "least": real(*least), "most": real(*most), "rate": real(*rate), "axes": axes,
            }),
        }
    }
}

impl Setting for Constraint {
    fn read(value: &Value, place: Place<'_>) -> Result<Self> {
        let fields = Fields::of(value, place)?;
        let name: String = fields.get("name")?;
        let constraint = match &name[..] {
            "NonNegative" => Constraint::NonNegative,
            "Norm" => Constraint::Norm(NormConstraint {
                least: fields.get("least")?,
                most: fields.get("most")?,
                rate: fields.get("rate")?,
                axes: fields.get("axes")?,
            }),
            _ => return Err(place.refuse("an object with the name of a constraint", value)),
        };
        fields.finish()?;
        Ok(constraint)
    }
}
