//! Rows and columns added at the edges of images and sequences, or taken away.

mod cropping;
mod reflection;
mod replication;
mod zero;

pub use cropping::{Cropping1d, Cropping2d};
pub use reflection::{ReflectionPadding1d, ReflectionPadding2d};
pub use replication::{ReplicationPadding1d, ReplicationPadding2d};
pub use zero::{ZeroPadding1d, ZeroPadding2d};

use ndarray::Dimension;
use serde_json::{Value, json};

use super::Padding;
use super::image::{Axes, Image};
use crate::context::Context;
use crate::cost::Cost;
use crate::error::{Error, Result};
use crate::io::{Registry, Settings};
use crate::kernels::elementwise::add_assign;
use crate::layer::{Layer, Needs};
use crate::scalar::Scalar;
use crate::tensor::{Tensor, values, values_mut};

/// Tells the registry how the members of the family are made.
pub(super) fn register<A: Scalar>(registry: &mut Registry<A>) {
    registry.layer("Cropping1d", Cropping1d::from_config);
    registry.layer("Cropping2d", Cropping2d::from_config);
    registry.layer("ReflectionPadding1d", ReflectionPadding1d::from_config);
    registry.layer("ReflectionPadding2d", ReflectionPadding2d::from_config);
    registry.layer("ReplicationPadding1d", ReplicationPadding1d::from_config);
    registry.layer("ReplicationPadding2d", ReplicationPadding2d::from_config);
    registry.layer("ZeroPadding1d", ZeroPadding1d::from_config);
    registry.layer("ZeroPadding2d", ZeroPadding2d::from_config);
}

/// What becomes of the edges.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Border {
    Zero,
    Reflection,
    Replication,
    Cropping,
}

/// The layer under all of this family: every row and every column of the output reads one of the input, or none, which
/// is 0. Backwards, what was read gets the gradients of all that read it.
#[derive(Clone, Copy, Debug)]
struct Edges {
    border: Border,
    axes: Axes,
    padding: Padding,
}

/// One axis: the output's element at `before` reads the input's at `skipped`, and so on for `shared` elements.
#[derive(Clone, Copy, Debug)]
struct Edge {
    border: Border,
    before: usize,
    skipped: usize,
    shared: usize,
    output: usize,
}

impl Edge {
    /// The element that one of the output reads. There is an input, and a reflection is shorter than it.
    fn source(self, position: usize) -> Option<usize> {
        let last = self.shared - 1;
        match (self.border, position.checked_sub(self.before)) {
            (_, Some(inside)) if inside <= last => Some(self.skipped + inside),
            (Border::Reflection, None) => Some(self.before - position),
            (Border::Reflection, Some(beyond)) => Some(2 * last - beyond),
            (Border::Replication, None) => Some(0),
            (Border::Replication, Some(_)) => Some(last),
            _ => None,
        }
    }

    /// Calls `each(position, source, count)` for runs of the output that read as many neighbours, or none.
    fn runs(self, mut each: impl FnMut(usize, Option<usize>, usize)) {
        let inside = self.before..self.before + self.shared;
        (0..inside.start).for_each(|position| each(position, self.source(position), 1));
        each(inside.start, Some(self.skipped), self.shared);
        (inside.end..self.output).for_each(|position| each(position, self.source(position), 1));
    }
}

impl Edges {
    fn of_image(border: Border, padding: impl Into<Padding>) -> Self {
        Edges { border, axes: Axes::Image, padding: padding.into() }
    }

    fn of_sequence(border: Border, before: usize, after: usize) -> Self {
        Edges { border, axes: Axes::Sequence, padding: Padding::Sides([(0, 0), (before, after)]) }
    }

    /// What the setting is called.
    fn name(border: Border) -> &'static str {
        if border == Border::Cropping { "cropping" } else { "padding" }
    }

    fn image_from_config<A: Scalar>(border: Border, settings: &Settings<'_, A>) -> Result<Self> {
        Ok(Edges::of_image(border, settings.get::<Padding>(Self::name(border))?))
    }

    fn sequence_from_config<A: Scalar>(border: Border, settings: &Settings<'_, A>) -> Result<Self> {
        let (before, after) = settings.get(Self::name(border))?;
        Ok(Edges::of_sequence(border, before, after))
    }

    fn sides(self) -> Result<[(usize, usize); 2]> {
        match self.padding {
            Padding::Sides(sides) => Ok(sides),
            other => Err(Error::setting("padding", "a number of elements for each side", other.describe())),
        }
    }

    /// Rows and columns of an input of these extents. `shape` it has stands in the error.
    fn edges(self, image: Image, shape: &[usize]) -> Result<[Edge; 2]> {
        let [rows, columns] = self.sides()?;
        let width = if self.axes == Axes::Image { "width" } else { "time" };
        Ok([self.edge(image.height, rows, "height", shape)?, self.edge(image.width, columns, width, shape)?])
    }

    fn edge(self, input: usize, (before, after): (usize, usize), axis: &str, shape: &[usize]) -> Result<Edge> {
        let border = self.border;
        let (taken, does) = match border {
            Border::Cropping => (before.saturating_add(after), "crops"),
            Border::Reflection => (before.max(after), "reflects"),
            Border::Zero | Border::Replication => (0, ""),
        };
        if taken >= input {
            let expected = format!("more than the {taken} elements along the {axis} that the layer {does}");
            return Err(Error::shape("input", expected, shape));
        }
        Ok(match border {
            Border::Cropping => {
                let shared = input - taken;
                Edge { border, before: 0, skipped: before, shared, output: shared }
            }
            _ => {
                let output = before.saturating_add(input).saturating_add(after);
                Edge { border, before, skipped: 0, shared: input, output }
            }
        })
    }

    /// The extents of the input that gives an output of these.
    fn before(self, output: Image) -> Result<Image> {
        let [rows, columns] = self.sides()?.map(|(before, after)| before.saturating_add(after));
        Ok(match self.border {
            Border::Cropping => Image {
                height: output.height.saturating_add(rows),
                width: output.width.saturating_add(columns),
                ..output
            },
            _ => Image {
                height: output.height.saturating_sub(rows),
                width: output.width.saturating_sub(columns),
                ..output
            },
        })
    }
}

impl<A: Scalar> Layer<A> for Edges {
    fn kind(&self) -> &str {
        "Edges"
    }

    fn config(&self) -> Value {
        let name = Self::name(self.border);
        match (self.axes, self.padding) {
            (Axes::Sequence, Padding::Sides([_, ends])) => json!({ name: ends }),
            _ => json!({ name: self.padding.describe() }),
        }
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        let image = self.axes.of_sample(input)?;
        let [rows, columns] = self.edges(image, input)?;
        let output = Image { height: rows.output, width: columns.output, ..image };
        Ok(self.axes.shape(output).slice()[1..].to_vec())
    }

    fn cost(&self, _: &[usize], _: &[usize]) -> Result<Cost> {
        Ok(Cost::of(0))
    }

    fn forward(&self, x: &Tensor<A>, ctx: &mut Context<A>) -> Result<Tensor<A>> {
        let image = self.axes.of_batch(x.shape())?;
        let [rows, columns] = self.edges(image, x.shape())?;
        let c = image.channels;
        let mut y = ctx.tensor(self.axes.shape(Image { height: rows.output, width: columns.output, ..image }).slice());
        let samples = values(x)?.chunks_exact(image.height * image.width * c);
        for (x, y) in samples.zip(values_mut(&mut y).chunks_exact_mut(rows.output * columns.output * c)) {
            for (position, y) in y.chunks_exact_mut(columns.output * c).enumerate() {
                let Some(row) = rows.source(position) else {
                    y.fill(A::zero());
                    continue;
                };
                let x = &x[row * image.width * c..][..image.width * c];
                columns.runs(|position, source, count| {
                    let y = &mut y[position * c..][..count * c];
                    match source {
                        Some(source) => y.copy_from_slice(&x[source * c..][..count * c]),
                        None => y.fill(A::zero()),
                    }
                });
            }
        }
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
        let image = self.before(self.axes.of_batch(dy.shape())?)?;
        let [rows, columns] = self.edges(image, dy.shape())?;
        let c = image.channels;
        let mut dx = ctx.zeros(self.axes.shape(image).slice());
        let samples = values_mut(&mut dx).chunks_exact_mut(image.height * image.width * c);
        for (dx, dy) in samples.zip(values(dy)?.chunks_exact(rows.output * columns.output * c)) {
            for (position, dy) in dy.chunks_exact(columns.output * c).enumerate() {
                let Some(row) = rows.source(position) else { continue };
                let dx = &mut dx[row * image.width * c..][..image.width * c];
                columns.runs(|position, source, count| {
                    if let Some(source) = source {
                        add_assign(&mut dx[source * c..][..count * c], &dy[position * c..][..count * c]);
                    }
                });
            }
        }
        Ok(Some(dx))
    }

    fn needs(&self) -> Needs {
        Needs::NEITHER
    }
}
