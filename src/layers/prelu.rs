use serde_json::{Value, json};

use super::features;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::initializers::{Init, Initializer};
use crate::io::{Place, Setting, Settings, TorchLayout, TorchNames};
use crate::kernels::elementwise::{prelu, prelu_gradient};
use crate::kernels::reduce::add_negative_products;
use crate::layer::{Layer, Needs};
use crate::param::Param;
use crate::scalar::Scalar;
use crate::tensor::{Tensor, values, values_mut};
use crate::visit_params;

/// y = x for x > 0, slope * x elsewhere, with slopes that are learned (He et al. 2015).
///
/// Input `(batch, ..., channels)`, output the same. There is one slope, unless [`per_channel`](Self::per_channel) or
/// [`per_element`](Self::per_element) asks for more; each belongs to all places that it meets. dx = dy for x > 0,
/// slope * dy elsewhere; dslope = sum of x dy over the places with x <= 0.
///
/// Defaults, which are PyTorch's: one slope, which starts at 0.25. Keras's layer has one for each element of a sample,
/// from 0: `.per_element()`, and with its `shared_axes` naming all axes but the last `.per_channel()`; both with
/// `.slope_initializer(Initializer::Zeros)`.
///
/// ```
/// use layerwise::layers::PRelu;
/// use layerwise::prelude::*;
///
/// let mut layer = PRelu::new();
/// layer.initialize(&[2], 0)?;
/// let y: Tensor = layer.predict(&ndarray::array![[-4.0_f32, 3.0]])?;
/// assert_eq!(y, ndarray::array![[-1.0, 3.0]].into_dyn());
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug)]
pub struct PRelu<A: Scalar = f32> {
    per: Per,
    start: Initializer,
    slope: Param<A>,
}

/// What has a slope of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Per {
    Layer,
    Channel,
    Element,
}

impl Per {
    const ALL: [(Per, &'static str); 3] = [(Per::Layer, "layer"), (Per::Channel, "channel"), (Per::Element, "element")];

    fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }
}

impl Setting for Per {
    fn read(value: &Value, place: Place<'_>) -> Result<Self> {
        let found = Per::ALL.iter().find(|(_, name)| value.as_str() == Some(name));
        found.map(|&(per, _)| per).ok_or_else(|| place.refuse("\"layer\", \"channel\" or \"element\"", value))
    }
}

impl PRelu {
    /// With one slope, for `f32` models.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Self::of()
    }
}

impl<A: Scalar> PRelu<A> {
    /// With one slope, for models of any number type.
    pub fn of() -> Self {
        PRelu { per: Per::Layer, start: Initializer::Constant(0.25), slope: Param::new() }
    }

    /// A slope for each channel (the last axis), as PyTorch's `num_parameters`.
    #[must_use]
    pub fn per_channel(mut self) -> Self {
        self.per = Per::Channel;
        self
    }

    /// A slope for each element of a sample.
    #[must_use]
    pub fn per_element(mut self) -> Self {
        self.per = Per::Element;
        self
    }

    /// How the slopes start.
    #[must_use]
    pub fn slope_initializer(mut self, start: Initializer) -> Self {
        self.start = start;
        self
    }

    /// The slopes: `(1)`, `(channels)` or the shape of a sample.
    pub fn slope(&self) -> &Param<A> {
        &self.slope
    }

    /// Their shape for a sample of the shape `input`.
    fn slopes(&self, input: &[usize]) -> Result<Vec<usize>> {
        Ok(match self.per {
            Per::Layer => vec![1],
            Per::Channel => vec![features(input)?],
            Per::Element => input.to_vec(),
        })
    }

    /// Refuses samples that the slopes are not for.
    fn check(&self, sample: &[usize]) -> Result<()> {
        let Ok(slopes) = self.slope.get() else { return Ok(()) };
        match self.per {
            Per::Channel => super::check_features(features(sample)?, Some(slopes.len()), sample),
            Per::Element if slopes.shape() != sample => {
                Err(Error::shape("input of one sample", format!("shape {:?} of the slopes", slopes.shape()), sample))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn from_config(settings: &Settings<'_, A>) -> Result<Self> {
        Ok(PRelu { per: settings.get("per")?, start: settings.get("slope_initializer")?, slope: Param::new() })
    }
}

impl<A: Scalar> Layer<A> for PRelu<A> {
    fn kind(&self) -> &str {
        "PRelu"
    }

    fn config(&self) -> Value {
        json!({ "per": self.per.name(), "slope_initializer": self.start.describe() })
    }

    fn build(&mut self, input: &[usize], init: &mut Init<A>) -> Result<Vec<usize>> {
        let output = self.output_shape(input)?;
        let shape = self.slopes(input)?;
        init.param(&mut self.slope, &shape, &self.start)?;
        Ok(output)
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        self.slopes(input)?;
        self.check(input)?;
        Ok(input.to_vec())
    }

    fn forward(&self, x: &Tensor<A>, ctx: &mut Context<A>) -> Result<Tensor<A>> {
        let slope = self.slope.values()?;
        let [_, sample @ ..] = x.shape() else {
            return Err(Error::shape("input", "a batch axis", x.shape()));
        };
        self.check(sample)?;
        let mut y = ctx.tensor(x.shape());
        prelu(values(x)?, values_mut(&mut y), slope);
        Ok(y)
    }

    fn backward(
        &self,
        x: &Tensor<A>,
        _: &Tensor<A>,
        dy: &Tensor<A>,
        want_dx: bool,
        ctx: &mut Context<A>,
    ) -> Result<Option<Tensor<A>>> {
        if let Some(grad) = ctx.grad(&self.slope) {
            add_negative_products(values(x)?, values(dy)?, grad.accumulate());
        }
        if !want_dx {
            return Ok(None);
        }
        let mut dx = ctx.tensor(dy.shape());
        prelu_gradient(values(x)?, values(dy)?, values_mut(&mut dx), self.slope.values()?);
        Ok(Some(dx))
    }

    fn keeps_mask(&self) -> bool {
        true
    }

    fn needs(&self) -> Needs {
        Needs::INPUT
    }

    fn torch_names(&self, names: &mut TorchNames) {
        names.param("slope", "weight", TorchLayout::Same);
    }

    visit_params!(A; slope);
}
