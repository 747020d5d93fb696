//! Samples kept by themselves, each in a place that others can take.

use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::scalar::Scalar;
use crate::tensor::{Tensor, from_vec, unravel, values};

/// Samples of one form: inputs, targets, a weight each.
#[derive(Clone)]
pub(super) struct Rows<A> {
    /// Inputs first, then targets. None before the first sample.
    pub(super) columns: Vec<Column<A>>,
    pub(super) inputs: usize,
    pub(super) weights: Vec<A>,
}

/// One input or target of all samples.
#[derive(Clone)]
pub(super) struct Column<A> {
    /// Of one sample.
    pub(super) shape: Vec<usize>,
    pub(super) values: Vec<A>,
}

impl<A> Column<A> {
    pub(super) fn width(&self) -> usize {
        self.shape.iter().product()
    }
}

impl<A: Scalar> Rows<A> {
    pub(super) fn new() -> Self {
        Rows { columns: Vec::new(), inputs: 0, weights: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.weights.len()
    }

    /// Refuses samples of another form, or with a number that is none.
    ///
    /// # Errors
    /// [`Error::Length`], [`Error::Shape`], [`Error::Value`].
    pub(super) fn check(&self, data: &Dataset<A>) -> Result<()> {
        check_finite(data)?;
        weights_of(data)?;
        if self.columns.is_empty() {
            return Ok(());
        }
        let (inputs, targets) = (data.inputs().len(), data.targets().len());
        for (what, kept, got) in
            [("inputs", self.inputs, inputs), ("targets", self.columns.len() - self.inputs, targets)]
        {
            if kept != got {
                return Err(Error::length(format!("{what} of feedback against those of what was kept"), kept, got));
            }
        }
        for ((name, tensor), column) in named(data).zip(&self.columns) {
            if tensor.shape()[1..] != column.shape {
                let expected = format!("samples of shape {:?}, as were kept", column.shape);
                return Err(Error::shape(name, expected, tensor.shape()));
            }
        }
        Ok(())
    }

    /// Keeps a row of samples that were checked in a place: one that is taken, or the next.
    pub(super) fn put(&mut self, place: usize, data: &Dataset<A>, row: usize) -> Result<()> {
        if self.columns.is_empty() {
            self.inputs = data.inputs().len();
            let column =
                |(_, tensor): (String, &Tensor<A>)| Column { shape: tensor.shape()[1..].to_vec(), values: vec![] };
            self.columns = named(data).map(column).collect();
        }
        let weight = weights_of(data)?.map_or(A::one(), |weights| weights[row]);
        let is_new = place == self.len();
        for ((_, tensor), column) in named(data).zip(&mut self.columns) {
            let width = column.width();
            let sample = &values(tensor)?[row * width..(row + 1) * width];
            match is_new {
                true => column.values.extend_from_slice(sample),
                false => column.values[place * width..(place + 1) * width].copy_from_slice(sample),
            }
        }
        match is_new {
            true => self.weights.push(weight),
            false => self.weights[place] = weight,
        }
        Ok(())
    }

    /// The samples of these places, which there are.
    pub(super) fn take(&self, places: &[usize]) -> Result<Dataset<A>> {
        self.after(None, places, A::one())
    }

    /// Samples, and behind them those of these places, whose weights are multiplied with `factor`. They are checked.
    pub(super) fn after(&self, data: Option<&Dataset<A>>, places: &[usize], factor: A) -> Result<Dataset<A>> {
        let samples = data.map_or(0, Dataset::len) + places.len();
        let mut tensors = Vec::with_capacity(self.columns.len());
        for (number, column) in self.columns.iter().enumerate() {
            let mut all = Vec::with_capacity(samples * column.width());
            if let Some((_, tensor)) = data.and_then(|data| named(data).nth(number)) {
                all.extend_from_slice(values(tensor)?);
            }
            let rows = places.iter().map(|place| place * column.width()..(place + 1) * column.width());
            rows.for_each(|row| all.extend_from_slice(&column.values[row]));
            let shape: Vec<usize> = std::iter::once(samples).chain(column.shape.iter().copied()).collect();
            tensors.push(from_vec(&shape, all));
        }
        let mut weights = Vec::with_capacity(samples);
        if let Some(data) = data {
            weights.resize(data.len(), A::one());
            weights_of(data)?.into_iter().for_each(|own| weights.copy_from_slice(own));
        }
        weights.extend(places.iter().map(|&place| factor * self.weights[place]));
        let targets = tensors.split_off(self.inputs);
        let mixed = Dataset::of_tensors(tensors, targets)?;
        // A weight of 1 for everybody is none.
        match weights.iter().all(|&weight| weight == A::one()) {
            true => Ok(mixed),
            false => mixed.weighted(from_vec(&[samples], weights)),
        }
    }
}

/// Inputs and targets with their names in errors.
fn named<A: Scalar>(data: &Dataset<A>) -> impl Iterator<Item = (String, &Tensor<A>)> {
    let inputs = data.inputs().iter().enumerate().map(|(number, x)| (format!("input {number}"), x));
    inputs.chain(data.targets().iter().enumerate().map(|(number, y)| (format!("target {number}"), y)))
}

/// The weights of samples, one for each.
fn weights_of<A: Scalar>(data: &Dataset<A>) -> Result<Option<&[A]>> {
    let Some(weights) = data.sample_weights() else { return Ok(None) };
    if weights.len() != data.len() {
        return Err(Error::shape("sample weights of feedback", "one for each sample", weights.shape()));
    }
    values(weights).map(Some)
}

/// Refuses a number that no network can learn from.
fn check_finite<A: Scalar>(data: &Dataset<A>) -> Result<()> {
    for (name, tensor) in named(data) {
        if let Some(at) = values(tensor)?.iter().position(|value| !value.is_finite()) {
            let index = unravel(at, tensor.shape());
            return Err(Error::value(format!("{name} of feedback"), &index, "a finite number", values(tensor)?[at]));
        }
    }
    Ok(())
}
