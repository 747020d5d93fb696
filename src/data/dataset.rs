use std::borrow::Cow;

use ndarray::{ArrayBase, Axis, Data, Dimension};

use crate::error::{Error, Result};
use crate::scalar::{Element, Scalar};
use crate::tensor::{Tensor, to_tensor, unravel};

/// Samples and what a network should make of them: inputs, targets, and a weight for each sample if there are weights.
///
/// `(&x, &y)` is taken wherever a data set is: axis 0 of both is the sample, and whole numbers (class labels) become
/// numbers of the network's type. A `Dataset` of one's own is for sample weights and for networks with several inputs
/// or outputs. Cloning one shares the arrays.
///
/// ```
/// use layerwise::prelude::*;
/// use ndarray::array;
///
/// let data = Dataset::new(&array![[0.1_f32, 0.2], [0.3, 0.4]], &array![0usize, 1])?.weights(&array![1.0_f32, 2.0])?;
/// assert_eq!(data.len(), 2);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Dataset<A: Scalar = f32> {
    inputs: Vec<Tensor<A>>,
    targets: Vec<Tensor<A>>,
    weights: Option<Tensor<A>>,
}

impl<A: Scalar> Dataset<A> {
    /// One input and one target for each sample.
    ///
    /// # Errors
    /// [`Error::Length`] where there are not as many targets as inputs, [`Error::Empty`] where there are none, and
    /// [`Error::Value`] for a whole number that `A` cannot hold.
    pub fn new<E1, S1, D1, E2, S2, D2>(x: &ArrayBase<S1, D1>, y: &ArrayBase<S2, D2>) -> Result<Self>
    where
        E1: Element<A>,
        S1: Data<Elem = E1>,
        D1: Dimension,
        E2: Element<A>,
        S2: Data<Elem = E2>,
        D2: Dimension,
    {
        Self::of_tensors(vec![named("input", to_tensor(x))?], vec![named("target", to_tensor(y))?])
    }

    /// Several inputs and several targets for each sample; [`to_tensor`] makes tensors of any arrays.
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    pub fn of_tensors(inputs: Vec<Tensor<A>>, targets: Vec<Tensor<A>>) -> Result<Self> {
        let Some(first) = inputs.first() else {
            return Err(Error::Empty("the list of inputs of a data set".into()));
        };
        let samples = first.shape().first().copied().unwrap_or(0);
        for (what, tensors) in [("input", &inputs), ("target", &targets)] {
            for (number, tensor) in tensors.iter().enumerate() {
                let Some(&got) = tensor.shape().first() else {
                    return Err(Error::shape(format!("{what} {number}"), "an axis of samples", &[]));
                };
                if got != samples {
                    return Err(Error::length(format!("samples of {what} {number} against input 0"), samples, got));
                }
            }
        }
        if samples == 0 || inputs.iter().any(|x| x.is_empty()) {
            return Err(Error::Empty("the data set".into()));
        }
        let standard = |tensors: Vec<Tensor<A>>| tensors.into_iter().map(standard).collect();
        Ok(Dataset { inputs: standard(inputs), targets: standard(targets), weights: None })
    }

    /// With a weight for each sample (or for each step of each sample), at least 0.
    ///
    /// # Errors
    /// [`Error::Length`] for another number of weights, [`Error::Value`] for one that is below 0 or not finite.
    pub fn weights<E, S, D>(self, weights: &ArrayBase<S, D>) -> Result<Self>
    where
        E: Element<A>,
        S: Data<Elem = E>,
        D: Dimension,
    {
        let weights = named("sample weight", to_tensor(weights))?;
        self.weighted(weights)
    }

    /// The same with a tensor.
    pub(crate) fn weighted(mut self, weights: Tensor<A>) -> Result<Self> {
        let got = weights.shape().first().copied().unwrap_or(0);
        if got != self.len() {
            return Err(Error::length("sample weights against samples", self.len(), got));
        }
        let wrong = weights.iter().position(|w| !(w.is_finite() && *w >= A::zero()));
        if let Some(position) = wrong {
            let got = weights.iter().nth(position).map_or_else(String::new, ToString::to_string);
            let index = unravel(position, weights.shape());
            return Err(Error::value("sample weight", &index, "a finite number of at least 0", got));
        }
        self.weights = Some(weights);
        Ok(self)
    }

    /// The number of samples.
    pub fn len(&self) -> usize {
        self.inputs[0].shape()[0]
    }

    /// Never: a data set has samples.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The inputs.
    pub fn inputs(&self) -> &[Tensor<A>] {
        &self.inputs
    }

    /// The targets.
    pub fn targets(&self) -> &[Tensor<A>] {
        &self.targets
    }

    /// The weights.
    pub fn sample_weights(&self) -> Option<&Tensor<A>> {
        self.weights.as_ref()
    }

    /// The shape of one sample of each input.
    pub fn sample_shapes(&self) -> Vec<Vec<usize>> {
        self.inputs.iter().map(|x| x.shape()[1..].to_vec()).collect()
    }

    /// The samples of these numbers, in this order.
    ///
    /// # Errors
    /// [`Error::Value`] for a number that is none of a sample, [`Error::Empty`] for no numbers.
    pub fn rows(&self, rows: &[usize]) -> Result<Self> {
        if let Some(at) = rows.iter().position(|&row| row >= self.len()) {
            let expected = format!("below {}, the number of samples", self.len());
            return Err(Error::value("row number", &[at], expected, rows[at]));
        }
        if rows.is_empty() {
            return Err(Error::Empty("the list of rows".into()));
        }
        let select = |x: &Tensor<A>| standard(x.select(Axis(0), rows).into_shared());
        Ok(Dataset {
            inputs: self.inputs.iter().map(select).collect(),
            targets: self.targets.iter().map(select).collect(),
            weights: self.weights.as_ref().map(select),
        })
    }

    /// Nothing yet: a place for batches, to be [filled](Self::fill) before anything else.
    pub(crate) fn unfilled() -> Self {
        Dataset { inputs: Vec::new(), targets: Vec::new(), weights: None }
    }

    /// All arrays that it has, so that it has none any more.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Tensor<A>> {
        self.inputs.drain(..).chain(self.targets.drain(..)).chain(self.weights.take())
    }

    /// Gives one that has nothing `rows` rows of each array of another: `take` makes them, in a given shape.
    pub(crate) fn fill(
        &mut self,
        from: &Dataset<A>,
        rows: usize,
        mut take: impl FnMut(&Tensor<A>, &[usize]) -> Result<Tensor<A>>,
    ) -> Result<()> {
        let mut taken = |tensor: &Tensor<A>| {
            let mut shape = tensor.raw_dim();
            shape[0] = rows;
            take(tensor, shape.slice())
        };
        for tensor in &from.inputs {
            self.inputs.push(taken(tensor)?);
        }
        for tensor in &from.targets {
            self.targets.push(taken(tensor)?);
        }
        self.weights = from.weights.as_ref().map(taken).transpose()?;
        Ok(())
    }

    /// The first input and the first target, to write to.
    pub(crate) fn first_mut(&mut self) -> (&mut Tensor<A>, Option<&mut Tensor<A>>) {
        (&mut self.inputs[0], self.targets.first_mut())
    }

    /// The first target as class numbers, if that is what it looks like: one whole number of at least 0 for each
    /// sample, or one row with a single 1.
    pub fn labels(&self) -> Option<Vec<usize>> {
        let target = self.targets.first()?;
        let width = target.len() / self.len();
        let whole = |v: A| (v >= A::zero() && v.fract() == A::zero()).then(|| v.to_usize()).flatten();
        let rows = target.as_slice()?.chunks_exact(width.max(1));
        if width == 1 {
            return rows.map(|row| whole(row[0])).collect();
        }
        let hot = |row: &[A]| {
            let zeros = row.iter().filter(|v| **v == A::zero()).count();
            row.iter().position(|v| *v == A::one()).filter(|_| zeros + 1 == width)
        };
        rows.map(hot).collect()
    }
}

/// Says in which array a value stands that cannot be taken in.
fn named<T>(name: &str, taken: Result<T>) -> Result<T> {
    taken.map_err(|error| match error {
        Error::Value { index, expected, got, .. } => Error::Value { what: name.into(), index, expected, got },
        other => other,
    })
}

/// Row-major, so that samples lie one behind the other.
fn standard<A: Scalar>(tensor: Tensor<A>) -> Tensor<A> {
    if tensor.is_standard_layout() { tensor } else { tensor.as_standard_layout().into_owned().into_shared() }
}

/// What can be used as a data set: a [`Dataset`], `(&x, &y)`, or `(&x, &y, &weights)`.
pub trait IntoDataset<'d, A: Scalar> {
    /// The data set.
    ///
    /// # Errors
    /// As for [`Dataset::new`].
    fn into_dataset(self) -> Result<Cow<'d, Dataset<A>>>;
}

impl<'d, A: Scalar> IntoDataset<'d, A> for &'d Dataset<A> {
    fn into_dataset(self) -> Result<Cow<'d, Dataset<A>>> {
        Ok(Cow::Borrowed(self))
    }
}

impl<'d, A: Scalar> IntoDataset<'d, A> for Dataset<A> {
    fn into_dataset(self) -> Result<Cow<'d, Dataset<A>>> {
        Ok(Cow::Owned(self))
    }
}

impl<'d, A, E1, S1, D1, E2, S2, D2> IntoDataset<'d, A> for (&ArrayBase<S1, D1>, &ArrayBase<S2, D2>)
where
    A: Scalar,
    E1: Element<A>,
    S1: Data<Elem = E1>,
    D1: Dimension,
    E2: Element<A>,
    S2: Data<Elem = E2>,
    D2: Dimension,
{
    fn into_dataset(self) -> Result<Cow<'d, Dataset<A>>> {
        Ok(Cow::Owned(Dataset::new(self.0, self.1)?))
    }
}

impl<'d, A, E1, S1, D1, E2, S2, D2, E3, S3, D3> IntoDataset<'d, A>
    for (&ArrayBase<S1, D1>, &ArrayBase<S2, D2>, &ArrayBase<S3, D3>)
where
    A: Scalar,
    E1: Element<A>,
    S1: Data<Elem = E1>,
    D1: Dimension,
    E2: Element<A>,
    S2: Data<Elem = E2>,
    D2: Dimension,
    E3: Element<A>,
    S3: Data<Elem = E3>,
    D3: Dimension,
{
    fn into_dataset(self) -> Result<Cow<'d, Dataset<A>>> {
        Ok(Cow::Owned(Dataset::new(self.0, self.1)?.weights(self.2)?))
    }
}
