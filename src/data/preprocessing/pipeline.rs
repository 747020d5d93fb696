//! Preprocessors one after the other.

use ndarray::{Array2, ArrayView2};
use serde_json::{Value, json};

use super::stored::{each, read_transform};
use super::transform::{Transform, array_methods};
use crate::error::Result;
use crate::io::Fields;
use crate::scalar::Scalar;

/// Preprocessors one after the other, each fitted on what the ones before it make. One without any gives back what it
/// gets.
///
/// ```
/// use layerwise::data::{Impute, Pipeline, SimpleImputer, StandardScaler};
/// use ndarray::array;
/// let mut pipeline = Pipeline::new().then(SimpleImputer::new(Impute::Mean)).then(StandardScaler::new());
/// let z = pipeline.fit_transform(&array![[1.0], [f32::NAN], [3.0]])?;
/// assert_eq!(z[[1, 0]], 0.0);
/// # Ok::<(), layerwise::Error>(())
/// ```
#[derive(Debug)]
pub struct Pipeline<A: Scalar = f32> {
    steps: Vec<Box<dyn Transform<A>>>,
}

array_methods!(Pipeline);

impl Pipeline<f32> {
    /// One for `f32` arrays, without steps yet.
    pub fn new() -> Self {
        Self::of()
    }
}

impl<A: Scalar> Default for Pipeline<A> {
    fn default() -> Self {
        Self::of()
    }
}

impl<A: Scalar> Pipeline<A> {
    /// One for arrays of either number type, without steps yet.
    pub fn of() -> Self {
        Self { steps: Vec::new() }
    }

    /// One more step, the last.
    #[must_use]
    pub fn then(mut self, step: impl Transform<A> + 'static) -> Self {
        self.steps.push(Box::new(step));
        self
    }

    pub(super) fn read(fields: &Fields<'_>) -> Result<Self> {
        Ok(Self { steps: each(fields, "steps", read_transform)? })
    }
}

impl<A: Scalar> Transform<A> for Pipeline<A> {
    fn kind(&self) -> &str {
        "Pipeline"
    }

    fn fit(&mut self, x: ArrayView2<'_, A>) -> Result<()> {
        let mut made: Option<Array2<A>> = None;
        let last = self.steps.len().saturating_sub(1);
        for (number, step) in self.steps.iter_mut().enumerate() {
            let x = made.as_ref().map_or(x, |made| made.view());
            step.fit(x)?;
            if number < last {
                made = Some(step.transform(x)?);
            }
        }
        Ok(())
    }

    fn transform(&self, x: ArrayView2<'_, A>) -> Result<Array2<A>> {
        let Some((first, rest)) = self.steps.split_first() else { return Ok(x.to_owned()) };
        rest.iter().try_fold(first.transform(x)?, |x, step| step.transform(x.view()))
    }

    fn inverse_transform(&self, z: ArrayView2<'_, A>) -> Result<Array2<A>> {
        let Some((last, rest)) = self.steps.split_last() else { return Ok(z.to_owned()) };
        rest.iter().rev().try_fold(last.inverse_transform(z)?, |z, step| step.inverse_transform(z.view()))
    }

    fn feature_names_out(&self, names: &[String]) -> Vec<String> {
        self.steps.iter().fold(names.to_vec(), |names, step| step.feature_names_out(&names))
    }

    fn to_json(&self) -> Result<Value> {
        let steps = self.steps.iter().map(|step| step.to_json()).collect::<Result<Vec<_>>>()?;
        Ok(json!({ "kind": "Pipeline", "steps": steps }))
    }
}
