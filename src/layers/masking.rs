use serde_json::{Value, json};

use crate::context::Context;
use crate::cost::Cost;
use crate::error::{Error, Result};
use crate::io::{Settings, real};
use crate::layer::{Layer, Needs};
use crate::scalar::Scalar;
use crate::tensor::{Tensor, values, values_mut};

/// Marks the steps all of whose features have one value, so that the layers behind it skip them: sequences of several
/// lengths in one array, padded with that value.
///
/// Input `(batch, time, features)`, output the same, with 0 in the steps that are masked. dx is dy, and 0 in the steps
/// that are masked. The mask goes with the values through all layers that treat each step alone (`Dense`, activations,
/// dropout, normalisation over features) and through merges, where a step counts if it does in any input. Recurrent
/// layers read it: at a step that is masked their state stays. A layer that changes or mixes the steps (`Flatten`,
/// convolutions, pooling) ends it. As in Keras, but for the loss: Keras leaves masked steps of an output out of it;
/// here give them the sample weight 0.
///
/// ```
/// use layerwise::layers::Masking;
/// use layerwise::prelude::*;
/// use ndarray::array;
///
/// let mut model = Sequential::new().add(Masking::new(0.0)).add(SimpleRnn::new(4));
/// model.initialize(&[3, 1], 0)?;
/// let short = model.predict(&array![[[0.5_f32], [-1.0], [0.0]]])?;
/// let with_a_gap = model.predict(&array![[[0.5_f32], [0.0], [-1.0]]])?;
/// assert_eq!(short, with_a_gap);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Masking {
    value: f64,
}

impl Masking {
    /// With the value of the features of steps to skip. Keras's default is 0.
    pub fn new(value: f64) -> Self {
        Masking { value }
    }

    fn check(self) -> Result<()> {
        if self.value.is_nan() {
            return Err(Error::setting("value of Masking", "a number, as NaN equals nothing", self.value));
        }
        Ok(())
    }

    pub(super) fn from_config<A: Scalar>(settings: &Settings<'_, A>) -> Result<Self> {
        Ok(Masking { value: settings.get("value")? })
    }
}

/// Copies the steps that count, and writes 0 in the place of the others.
fn copy_steps<A: Scalar>(from: &[A], mask: &[A], to: &mut [A]) {
    let features = from.len() / mask.len().max(1);
    let steps = from.chunks_exact(features.max(1)).zip(to.chunks_exact_mut(features.max(1)));
    for ((from, to), &counts) in steps.zip(mask) {
        match counts == A::zero() {
            true => to.fill(A::zero()),
            false => to.copy_from_slice(from),
        }
    }
}

impl<A: Scalar> Layer<A> for Masking {
    fn kind(&self) -> &str {
        "Masking"
    }

    fn config(&self) -> Value {
        json!({ "value": real(self.value) })
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        self.check()?;
        match input {
            [time, features] if *time > 0 && *features > 0 => Ok(input.to_vec()),
            _ => Err(Error::shape("input of one sample", "shape (time, features), both at least 1", input)),
        }
    }

    /// A comparison for each number, and the mask.
    fn cost(&self, input: &[usize], output: &[usize]) -> Result<Cost> {
        let time = input.first().map_or(0, |&time| time as u64);
        Ok(Cost::elementwise(output).saving(time))
    }

    fn forward(&self, x: &Tensor<A>, ctx: &mut Context<A>) -> Result<Tensor<A>> {
        self.check()?;
        let &[batch, time, features] = x.shape() else {
            return Err(Error::shape("input", "shape (batch, time, features)", x.shape()));
        };
        let (mut mask, mut y) = (ctx.tensor(&[batch, time]), ctx.tensor(x.shape()));
        let value = A::of(self.value);
        for (counts, step) in values_mut(&mut mask).iter_mut().zip(values(x)?.chunks_exact(features.max(1))) {
            *counts = if step.iter().all(|&x| x == value) { A::zero() } else { A::one() };
        }
        copy_steps(values(x)?, values(&mask)?, values_mut(&mut y));
        ctx.save(mask.clone());
        ctx.set_mask(Some(mask));
        Ok(y)
    }

    fn backward(
        &self,
        _: &Tensor<A>,
        _: &Tensor<A>,
        dy: &Tensor<A>,
        want_dx: bool,
        ctx: &mut Context<A>,
    ) -> Result<Option<Tensor<A>>> {
        let mask = ctx.restore();
        let mut dx = None;
        if want_dx {
            let mut gradient = ctx.tensor(dy.shape());
            copy_steps(values(dy)?, values(&mask)?, values_mut(&mut gradient));
            dx = Some(gradient);
        }
        ctx.recycle(mask);
        Ok(dx)
    }

    fn needs(&self) -> Needs {
        Needs::NEITHER
    }

    fn keeps_mask(&self) -> bool {
        true
    }
}
