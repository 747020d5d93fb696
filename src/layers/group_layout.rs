//! How the values of a batch fall into groups that are normalised together.

use super::check_features;
use crate::error::{Error, Result};
use crate::scalar::Scalar;
use crate::tensor::{Tensor, values_mut};

/// Which values share mean and variance.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Grouping {
    /// The channels of a sample in so many groups, over all its pixels.
    Groups(usize),
    /// Each channel of a sample, over all its pixels.
    Channels,
    /// All features of one place: so many of the last axes.
    Features(usize),
    /// The same, without a mean: x^ = x / sqrt(mean of x^2 + epsilon).
    MeanSquare(usize),
}

impl Grouping {
    /// How many of the last axes gamma and beta have.
    pub(super) fn axes(self) -> usize {
        match self {
            Grouping::Features(axes) | Grouping::MeanSquare(axes) => axes,
            Grouping::Groups(_) | Grouping::Channels => 1,
        }
    }

    pub(super) fn centers(self) -> bool {
        !matches!(self, Grouping::MeanSquare(_))
    }
}

/// How the values of a batch fall into groups.
#[derive(Clone, Copy)]
pub(super) struct Layout {
    pub(super) channels: usize,
    /// The values of one sample (or of one place), whose groups are independent of all others.
    pub(super) sample: usize,
    pub(super) groups: usize,
}

impl Layout {
    pub(super) fn samples(self, x: usize) -> usize {
        x / self.sample
    }

    /// The sum of each group of channels. In `f64`: there may be a million of them, all of one size.
    pub(super) fn totals<A: Scalar>(self, channels: &[A]) -> impl Iterator<Item = A> {
        let groups = channels.chunks_exact(self.channels / self.groups);
        groups.map(|group| A::of(group.iter().map(|value| value.as_f64()).sum()))
    }

    /// The number of values in a group.
    pub(super) fn count<A: Scalar>(self) -> A {
        A::of((self.sample / self.groups) as f64)
    }

    /// Writes a value for each group to all its channels.
    pub(super) fn spread<A: Scalar>(self, values: &[A], channels: &mut [A]) {
        let groups = channels.chunks_exact_mut(self.channels / self.groups);
        groups.zip(values).for_each(|(channels, &value)| channels.fill(value));
    }
}

/// A tensor of N rows as its rows.
pub(super) fn rows<A: Scalar, const N: usize>(tensor: &mut Tensor<A>) -> [&mut [A]; N] {
    let length = tensor.len() / N;
    let mut rows = values_mut(tensor).chunks_exact_mut(length);
    std::array::from_fn(|_| rows.next().expect("the tensor has N rows"))
}

/// Refuses an input whose last axes are others than those that the layer was built for.
pub(super) fn check_axes(built: Option<&[usize]>, shape: &[usize]) -> Result<()> {
    let Some(built) = built else { return Ok(()) };
    if let [features] = *built {
        return check_features(shape.last().copied().unwrap_or_default(), Some(features), shape);
    }
    if shape.ends_with(built) {
        return Ok(());
    }
    Err(Error::shape("input", format!("{built:?} as the last axes"), shape))
}
