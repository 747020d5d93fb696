use serde_json::{Value, json};

use crate::context::Context;
use crate::cost::{Cost, product};
use crate::error::{Error, Result};
use crate::io::Settings;
use crate::kernels::elementwise::{normalize, scale_channels};
use crate::layer::{Layer, Needs};
use crate::scalar::Scalar;
use crate::tensor::{Tensor, values, values_mut};

/// y = scale x + offset with fixed numbers: pixels from 0 to 255 become numbers from 0 to 1 within the model.
///
/// Any shape with one scale and offset for all, or with one for each channel, the last axis. dx = scale dy.
///
/// ```
/// use layerwise::layers::Rescaling;
/// use layerwise::prelude::*;
/// use ndarray::array;
///
/// let mut model = Sequential::new().add(Rescaling::new(1.0 / 127.5).offset(-1.0));
/// model.initialize(&[3], 0)?;
/// let y = model.predict(&array![[0u8, 255, 0]])?;
/// assert!(y[[0, 0]] == -1.0 && (y[[0, 1]] - 1.0).abs() < 1e-6);
/// // x is centered and divided channel by channel.
/// let per_channel = Rescaling::channels([1.0 / 58.4, 1.0 / 57.1], [-2.1, -2.0]);
/// assert!(Layer::<f32>::output_shape(&per_channel, &[28, 28, 3]).is_err());
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Rescaling {
    /// As many as there are channels, or one for all; so are the offsets.
    scale: Vec<f64>,
    offset: Vec<f64>,
}

impl Rescaling {
    /// With this scale for all values, and offset 0.
    pub fn new(scale: f64) -> Self {
        Self::channels([scale], [0.0])
    }

    /// What is added to all values.
    #[must_use]
    pub fn offset(mut self, offset: f64) -> Self {
        self.offset = vec![offset; self.scale.len()];
        self
    }

    /// With a scale and an offset for each channel.
    pub fn channels(scale: impl Into<Vec<f64>>, offset: impl Into<Vec<f64>>) -> Self {
        Rescaling { scale: scale.into(), offset: offset.into() }
    }

    /// Refuses numbers that are none, and an input of another number of channels. `shape` is that of a sample or batch.
    fn check(&self, shape: &[usize]) -> Result<()> {
        let (channels, offsets) = (self.scale.len(), self.offset.len());
        if channels == 0 || channels != offsets {
            return Err(Error::length(
                "offsets of Rescaling against its scales, at least one",
                channels.max(1),
                offsets,
            ));
        }
        for (name, numbers) in [("scale of Rescaling", &self.scale), ("offset of Rescaling", &self.offset)] {
            if let Some(number) = numbers.iter().find(|number| !number.is_finite()) {
                return Err(Error::setting(name, "finite", number));
            }
        }
        if channels > 1 && shape.last() != Some(&channels) {
            return Err(Error::shape("input", format!("{channels} channels on the last axis"), shape));
        }
        Ok(())
    }

    pub(super) fn from_config<A: Scalar>(settings: &Settings<'_, A>) -> Result<Self> {
        Ok(Rescaling { scale: settings.get("scale")?, offset: settings.get("offset")? })
    }
}

impl<A: Scalar> Layer<A> for Rescaling {
    fn kind(&self) -> &str {
        "Rescaling"
    }

    fn config(&self) -> Value {
        json!({ "scale": self.scale, "offset": self.offset })
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        self.check(input)?;
        Ok(input.to_vec())
    }

    fn cost(&self, _: &[usize], output: &[usize]) -> Result<Cost> {
        Ok(Cost::of(product(output).saturating_mul(2)))
    }

    fn forward(&self, x: &Tensor<A>, ctx: &mut Context<A>) -> Result<Tensor<A>> {
        self.check(x.shape())?;
        let channels = self.scale.len();
        let mut constants = ctx.zeros(&[3, channels]);
        let (center, rest) = values_mut(&mut constants).split_at_mut(channels);
        let (scale, offset) = rest.split_at_mut(channels);
        copy(&self.scale, scale);
        copy(&self.offset, offset);
        let mut y = ctx.tensor(x.shape());
        normalize(values(x)?, values_mut(&mut y), center, scale, offset);
        ctx.recycle(constants);
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
        if !want_dx {
            return Ok(None);
        }
        let mut scale = ctx.tensor(&[self.scale.len()]);
        copy(&self.scale, values_mut(&mut scale));
        let mut dx = ctx.tensor(dy.shape());
        scale_channels(values(dy)?, values_mut(&mut dx), values(&scale)?);
        ctx.recycle(scale);
        Ok(Some(dx))
    }

    fn needs(&self) -> Needs {
        Needs::NEITHER
    }

    fn keeps_mask(&self) -> bool {
        true
    }
}

/// The settings in the number type of the model.
fn copy<A: Scalar>(from: &[f64], to: &mut [A]) {
    to.iter_mut().zip(from).for_each(|(to, &from)| *to = A::of(from));
}
