use ndarray::{Dimension, IxDyn};
use serde_json::{Value, json};

use super::rules::weight_rules;
use crate::context::Context;
use crate::cost::Cost;
use crate::error::{Error, Result};
use crate::initializers::{Init, Initializer};
use crate::io::Settings;
use crate::layer::{Layer, Needs};
use crate::param::Param;
use crate::scalar::Scalar;
use crate::tensor::{Tensor, unravel, values, values_mut};

/// A learned vector for each token id: y[..., :] = weight[x[...], :].
///
/// Input `(batch, ...)` of whole numbers from 0 to vocabulary - 1, output `(batch, ..., dimension)`; the weight is
/// `(vocabulary, dimension)`. An id that is none is an error, never another row.
///
/// Each row of dy is added to the row of dweight that its id names; the other rows are not touched. Ids have no
/// gradient.
///
/// Default: uniform within ±0.05, as Keras's. PyTorch's `nn.Embedding` starts normal, with mean 0 and deviation 1.
///
/// ```
/// use layerwise::prelude::*;
///
/// let mut layer = Embedding::new(1000, 8);
/// layer.initialize(&[5], 0)?; // sentences of 5 words
/// let y = layer.predict(&ndarray::array![[3, 1, 4, 1, 5]])?;
/// assert_eq!(y.shape(), &[1, 5, 8]);
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug)]
pub struct Embedding<A: Scalar = f32> {
    vocabulary: usize,
    dimension: usize,
    start: Initializer,
    weight: Param<A>,
}

impl Embedding {
    /// With vectors of `dimension` for ids below `vocabulary`, for `f32` models.
    pub fn new(vocabulary: usize, dimension: usize) -> Self {
        Self::of(vocabulary, dimension)
    }
}

impl<A: Scalar> Embedding<A> {
    /// With vectors of `dimension` for ids below `vocabulary`, for models of any number type.
    pub fn of(vocabulary: usize, dimension: usize) -> Self {
        let start = Initializer::Uniform { low: -0.05, high: 0.05 };
        Embedding { vocabulary, dimension, start, weight: Param::new() }
    }

    /// How the vectors start.
    #[must_use]
    pub fn weight_initializer(mut self, start: Initializer) -> Self {
        self.start = start;
        self
    }

    weight_rules! {
        weight_regularizer, weight_constraint: "the table of all vectors" in weight;
    }

    /// The vectors, `(vocabulary, dimension)`.
    pub fn weight(&self) -> &Param<A> {
        &self.weight
    }

    /// The row that an id names; `position` is the id's place in `x`.
    fn row(&self, id: A, position: usize, x: &Tensor<A>) -> Result<usize> {
        match id.to_usize() {
            Some(row) if row < self.vocabulary && A::from_usize(row) == Some(id) => Ok(row),
            _ => {
                let expected = format!("a whole number from 0 to {}", self.vocabulary - 1);
                Err(Error::value("token id", &unravel(position, x.shape()), expected, id))
            }
        }
    }

    pub(super) fn from_config(settings: &Settings<'_, A>) -> Result<Self> {
        let (vocabulary, dimension) = (settings.get("vocabulary")?, settings.get("dimension")?);
        Ok(Embedding { vocabulary, dimension, start: settings.get("weight_initializer")?, weight: Param::new() })
    }
}

impl<A: Scalar> Layer<A> for Embedding<A> {
    crate::visit_params!(A; weight);

    fn kind(&self) -> &str {
        "Embedding"
    }

    fn config(&self) -> Value {
        let start = self.start.describe();
        json!({ "vocabulary": self.vocabulary, "dimension": self.dimension, "weight_initializer": start })
    }

    fn build(&mut self, input: &[usize], init: &mut Init<A>) -> Result<Vec<usize>> {
        let output = Layer::<A>::output_shape(self, input)?;
        init.param(&mut self.weight, &[self.vocabulary, self.dimension], &self.start)?;
        Ok(output)
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        for (name, setting) in [("vocabulary", self.vocabulary), ("dimension", self.dimension)] {
            if setting == 0 {
                return Err(Error::setting(name, "at least 1", setting));
            }
        }
        // Beyond 2 / epsilon (2^24 in f32, 2^53 in f64) neighbouring ids fall together.
        let most = 2.0 / A::epsilon().as_f64();
        if self.vocabulary as f64 > most {
            let requirement = format!("at most {most}, up to which {} holds whole numbers exactly", A::NAME);
            return Err(Error::setting("vocabulary", requirement, self.vocabulary));
        }
        Ok([input, &[self.dimension]].concat())
    }

    fn cost(&self, _: &[usize], _: &[usize]) -> Result<Cost> {
        Ok(Cost::of(0))
    }

    fn forward(&self, x: &Tensor<A>, ctx: &mut Context<A>) -> Result<Tensor<A>> {
        let weight = self.weight.values()?;
        if x.ndim() == 0 {
            return Err(Error::shape("input", "a batch axis", x.shape()));
        }
        let mut shape = IxDyn::zeros(x.ndim() + 1);
        shape.slice_mut()[..x.ndim()].copy_from_slice(x.shape());
        shape[x.ndim()] = self.dimension;
        let mut y = ctx.tensor(shape.slice());
        let rows = values_mut(&mut y).chunks_exact_mut(self.dimension);
        for (position, (&id, y)) in values(x)?.iter().zip(rows).enumerate() {
            let row = self.row(id, position, x)?;
            y.copy_from_slice(&weight[row * self.dimension..(row + 1) * self.dimension]);
        }
        Ok(y)
    }

    fn backward(
        &self,
        x: &Tensor<A>,
        _: &Tensor<A>,
        dy: &Tensor<A>,
        _: bool,
        ctx: &mut Context<A>,
    ) -> Result<Option<Tensor<A>>> {
        if let Some(mut grad) = ctx.grad_rows(&self.weight) {
            let rows = values(dy)?.chunks_exact(self.dimension);
            for (position, (&id, dy)) in values(x)?.iter().zip(rows).enumerate() {
                grad.add(self.row(id, position, x)?, dy);
            }
        }
        Ok(None)
    }

    fn needs(&self) -> Needs {
        Needs::INPUT
    }
}
