use ndarray::Dimension;
use serde_json::{Value, json};

use super::image::{Axes, Image};
use super::thin::thin_layer;
use crate::context::Context;
use crate::cost::{Cost, product};
use crate::error::{Error, Result};
use crate::io::{Place, Setting, Settings};
use crate::kernels::resample::{Stretch, resample, resample_back};
use crate::layer::{Layer, Needs};
use crate::scalar::Scalar;
use crate::tensor::{Tensor, values, values_mut};

/// How a larger image is made from the pixels of a smaller one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Interpolation {
    /// The pixel in whose place it lies.
    #[default]
    Nearest,
    /// Straight lines between the two neighbours in each direction.
    Bilinear,
    /// Cubics through the four neighbours in each direction, with the coefficient -0.75 (Keys 1981), as in PyTorch.
    Bicubic,
}

impl Interpolation {
    /// As a setting in a file.
    fn name(self) -> &'static str {
        match self {
            Interpolation::Nearest => "nearest",
            Interpolation::Bilinear => "bilinear",
            Interpolation::Bicubic => "bicubic",
        }
    }
}

impl Setting for Interpolation {
    fn read(value: &Value, place: Place<'_>) -> Result<Self> {
        let all = [Interpolation::Nearest, Interpolation::Bilinear, Interpolation::Bicubic];
        let named = all.into_iter().find(|interpolation| value == interpolation.name());
        named.ok_or_else(|| place.refuse("\"nearest\", \"bilinear\" or \"bicubic\"", value))
    }
}

/// The steps of a sequence, each several times: `(batch, time, features)` becomes `(batch, factor time, features)`.
///
/// y_t = x_(t / factor), rounded down; each step of dx is the sum of dy where it was read.
///
/// ```
/// use layerwise::layers::UpSampling1d;
/// use layerwise::prelude::*;
/// use ndarray::array;
///
/// let y = UpSampling1d::new(2).predict(&array![[[1.0_f32], [2.0]]])?;
/// assert_eq!(y, array![[[1.0], [1.0], [2.0], [2.0]]].into_dyn());
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct UpSampling1d(Resampling);

impl UpSampling1d {
    /// With each step `factor` times.
    pub fn new(factor: usize) -> Self {
        UpSampling1d(Resampling::new(Axes::Sequence, Target::Factors([1, factor])))
    }
}

thin_layer!(UpSampling1d, settings => {
    settings.get("factor").map(|factor| Resampling::new(Axes::Sequence, Target::Factors([1, factor])))
});

/// A larger image: `(batch, height, width, channels)` becomes `(batch, a height, b width, channels)` for the factors
/// (a, b), or has the size that was asked for.
///
/// Along each axis an output i of n reads the input, of m elements, at (i + 1/2) m / n - 1/2, so that the outer edges
/// of the images lie upon each other; with [`align_corners`](Self::align_corners) at i (m - 1) / (n - 1), so that the
/// centres of the corner pixels do. y is a weighted sum of the pixels around, those at the edges being taken for what
/// lies beyond; dx is the sum of dy with the same weights.
///
/// Default, as in Keras and PyTorch: the nearest pixel, i m / n rounded down. The values are those of PyTorch's
/// `Upsample`, whose corners are not aligned either unless it is told; only where i m / n is a whole number may its
/// floats fall below, for some sizes that are no multiples (26 to 22).
///
/// ```
/// use layerwise::layers::{Interpolation, UpSampling2d};
/// use layerwise::prelude::*;
///
/// let layer = UpSampling2d::new((2, 3)).interpolation(Interpolation::Bilinear);
/// assert_eq!(Layer::<f32>::output_shape(&layer, &[8, 8, 16])?, [16, 24, 16]);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct UpSampling2d(Resampling);

impl UpSampling2d {
    /// By whole factors `(height, width)`.
    pub fn new(factors: impl Into<[usize; 2]>) -> Self {
        UpSampling2d(Resampling::new(Axes::Image, Target::Factors(factors.into())))
    }

    /// To a size `(height, width)`, which may be smaller too; pixels are then left out, not averaged.
    pub fn to_size(size: impl Into<[usize; 2]>) -> Self {
        UpSampling2d(Resampling::new(Axes::Image, Target::Size(size.into())))
    }

    /// How pixels are made.
    #[must_use]
    pub fn interpolation(mut self, interpolation: Interpolation) -> Self {
        self.0.interpolation = interpolation;
        self
    }

    /// Lays the centres of the corner pixels upon each other. Not for the nearest pixel.
    #[must_use]
    pub fn align_corners(mut self) -> Self {
        self.0.aligned = true;
        self
    }
}

thin_layer!(UpSampling2d, settings => Resampling::from_config(settings));

/// How large the output is, `[height, width]`.
#[derive(Clone, Copy, Debug)]
enum Target {
    Factors([usize; 2]),
    Size([usize; 2]),
}

/// The layer under both.
#[derive(Clone, Copy, Debug)]
struct Resampling {
    axes: Axes,
    target: Target,
    interpolation: Interpolation,
    aligned: bool,
}

impl Resampling {
    fn new(axes: Axes, target: Target) -> Self {
        Resampling { axes, target, interpolation: Interpolation::Nearest, aligned: false }
    }

    fn check(self) -> Result<()> {
        let (what, numbers) = match self.target {
            Target::Factors(factors) => ("factors of the upsampling", factors),
            Target::Size(size) => ("size of the upsampled image", size),
        };
        if numbers.contains(&0) {
            return Err(Error::setting(what, "at least 1", format!("{numbers:?}")));
        }
        if self.aligned && self.interpolation == Interpolation::Nearest {
            return Err(Error::setting("interpolation", "Bilinear or Bicubic where corners are aligned", "Nearest"));
        }
        Ok(())
    }

    fn stretches(self, image: Image) -> [Stretch; 2] {
        let [height, width] = match self.target {
            Target::Factors([height, width]) => {
                [image.height.saturating_mul(height), image.width.saturating_mul(width)]
            }
            Target::Size(size) => size,
        };
        [(image.height, height), (image.width, width)].map(|(input, output)| Stretch {
            input,
            output,
            aligned: self.aligned,
        })
    }

    /// Those of images, which have a size or factors.
    fn from_config<A: Scalar>(settings: &Settings<'_, A>) -> Result<Self> {
        let target = match settings.get("size")? {
            Some(size) => Target::Size(size),
            None => Target::Factors(settings.get("factors")?),
        };
        let (interpolation, aligned) = (settings.get("interpolation")?, settings.get("align_corners")?);
        Ok(Resampling { axes: Axes::Image, target, interpolation, aligned })
    }
}

impl<A: Scalar> Layer<A> for Resampling {
    fn kind(&self) -> &str {
        "Resampling"
    }

    fn config(&self) -> Value {
        let (name, numbers) = match (self.target, self.axes) {
            (Target::Factors([_, factor]), Axes::Sequence) => return json!({ "factor": factor }),
            (Target::Factors(factors), Axes::Image) => ("factors", factors),
            (Target::Size(size), _) => ("size", size),
        };
        json!({ name: numbers, "interpolation": self.interpolation.name(), "align_corners": self.aligned })
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        self.check()?;
        let image = self.axes.of_sample(input)?;
        let [rows, columns] = self.stretches(image);
        let output = Image { height: rows.output, width: columns.output, ..image };
        Ok(self.axes.shape(output).slice()[1..].to_vec())
    }

    /// A weighted sum of the pixels around.
    fn cost(&self, _: &[usize], output: &[usize]) -> Result<Cost> {
        let taps: u64 = match self.interpolation {
            Interpolation::Nearest => 0,
            Interpolation::Bilinear => 2,
            Interpolation::Bicubic => 4,
        };
        Ok(Cost::of(product(output).saturating_mul(2 * taps * taps)))
    }

    fn forward(&self, x: &Tensor<A>, ctx: &mut Context<A>) -> Result<Tensor<A>> {
        self.check()?;
        let image = self.axes.of_batch(x.shape())?;
        let [rows, columns] = self.stretches(image);
        let mut y = ctx.tensor(self.axes.shape(Image { height: rows.output, width: columns.output, ..image }).slice());
        let (x, to) = (values(x)?, values_mut(&mut y));
        match self.interpolation {
            Interpolation::Nearest => resample::<A, 1>(x, to, rows, columns, image.channels),
            Interpolation::Bilinear => resample::<A, 2>(x, to, rows, columns, image.channels),
            Interpolation::Bicubic => resample::<A, 4>(x, to, rows, columns, image.channels),
        }
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
        if !want_dx {
            return Ok(None);
        }
        self.check()?;
        let output = self.axes.of_batch(dy.shape())?;
        let image = match self.target {
            Target::Factors([height, width]) => {
                Image { height: output.height / height, width: output.width / width, ..output }
            }
            Target::Size(_) => self.axes.of_batch(x.shape())?,
        };
        let [rows, columns] = self.stretches(image);
        let mut dx = ctx.zeros(self.axes.shape(image).slice());
        let (dy, to) = (values(dy)?, values_mut(&mut dx));
        match self.interpolation {
            Interpolation::Nearest => resample_back::<A, 1>(dy, to, rows, columns, image.channels),
            Interpolation::Bilinear => resample_back::<A, 2>(dy, to, rows, columns, image.channels),
            Interpolation::Bicubic => resample_back::<A, 4>(dy, to, rows, columns, image.channels),
        }
        Ok(Some(dx))
    }

    /// The input for its shape, where that does not follow from the output's.
    fn needs(&self) -> Needs {
        match self.target {
            Target::Factors(_) => Needs::NEITHER,
            Target::Size(_) => Needs::INPUT,
        }
    }
}
