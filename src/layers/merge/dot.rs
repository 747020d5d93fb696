use ndarray::Dimension;
use serde_json::{Value, json};

use super::super::resolve_axis;
use super::super::unit_normalization::Vectors;
use super::check_two;
use crate::context::Context;
use crate::cost::{Cost, product};
use crate::error::{Error, Result};
use crate::io::Settings;
use crate::kernels::gemm::{Ending, Matrix, gemm};
use crate::kernels::permute::{MOST_AXES, permute};
use crate::layer::Merge;
use crate::scalar::Scalar;
use crate::tensor::{Tensor, values, values_mut};

/// The dot products of the vectors of two inputs along an axis of each, sample by sample.
///
/// With the axes last, inputs `(batch, m, k)` and `(batch, n, k)` give `(batch, m, n)`: y_ij = sum_k a_ik b_jk. In general
/// the output has the other axes of the first input, then those of the second one; two vectors give `(batch, 1)`. The
/// axes count the batch as axis 0, as in Keras, or from the end if negative; the batch itself is an error.
///
/// da_ik = sum_j dy_ij b_jk, db_jk = sum_i dy_ij a_ik. With [`normalize`](Self::normalize) the vectors are divided by
/// their norms before, as by [`UnitNormalization`](crate::layers::UnitNormalization) but with 1e-7 as the least norm
/// (Keras's): y is the cosine of the angle between them.
///
/// ```
/// use layerwise::layers::Dot;
/// use layerwise::prelude::*;
///
/// // Which of 10 queries is like which of 20 keys.
/// let scores = Dot::new(-1).normalize();
/// assert_eq!(Merge::<f32>::output_shape(&scores, &[vec![10, 64], vec![20, 64]])?, [10, 20]);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Dot {
    axes: (isize, isize),
    normalize: bool,
}

/// Keras's `epsilon()`.
const LEAST_NORM: f64 = 1e-7;

impl Dot {
    /// Along this axis of both.
    pub fn new(axis: isize) -> Self {
        Self::along(axis, axis)
    }

    /// Along an axis of each.
    pub fn along(first: isize, second: isize) -> Self {
        Dot { axes: (first, second), normalize: false }
    }

    /// Divides the vectors by their norms first.
    #[must_use]
    pub fn normalize(mut self) -> Self {
        self.normalize = true;
        self
    }

    pub(super) fn from_config<A: Scalar>(settings: &Settings<'_, A>) -> Result<Self> {
        Ok(Dot { axes: settings.get("axes")?, normalize: settings.get("normalize")? })
    }

    /// How both inputs, with their batch, are to be read.
    fn sides(self, first: &[usize], second: &[usize]) -> Result<[Side; 2]> {
        let sides = [Side::of(self.axes.0, first, 0)?, Side::of(self.axes.1, second, 1)?];
        let [one, other] = [first[sides[0].axis], second[sides[1].axis]];
        if one != other {
            let expected = format!("{one} values along axis {}, as input 0 has them", sides[1].axis);
            return Err(Error::shape("input 1", expected, second));
        }
        Ok(sides)
    }

    /// The vectors of an input one after the other: `(batch, count, length)`; normalised where that is asked for, with one
    /// over the norms.
    fn vectors<A: Scalar>(self, x: &Tensor<A>, side: Side, ctx: &mut Context<A>) -> Result<(Tensor<A>, Tensor<A>)> {
        let (order, length) = (side.order(), x.shape()[side.axis]);
        let mut vectors = ctx.tensor(&[x.shape()[0], side.count, length]);
        permute(values(x)?, x.shape(), &order[..x.ndim()], values_mut(&mut vectors));
        if !self.normalize || vectors.is_empty() {
            return Ok((vectors, ctx.nothing()));
        }
        let (mut inverse, zero) = (ctx.tensor(&[x.shape()[0] * side.count]), ctx.zeros(&[1]));
        let mut unit = ctx.tensor(vectors.shape());
        let along = Vectors { length, stride: 1, least: LEAST_NORM };
        along.normalize(values(&vectors)?, values_mut(&mut unit), values_mut(&mut inverse), values(&zero)?);
        ctx.recycle(zero);
        ctx.recycle(vectors);
        Ok((unit, inverse))
    }

    /// The gradient of an input from that of its vectors.
    fn back<A: Scalar>(
        self,
        x: &Tensor<A>,
        side: Side,
        (vectors, inverse): (&Tensor<A>, &Tensor<A>),
        mut gradient: Tensor<A>,
        ctx: &mut Context<A>,
    ) -> Result<Tensor<A>> {
        if !inverse.is_empty() {
            let (mut raw, mut work) = (ctx.tensor(gradient.shape()), ctx.tensor(&[2]));
            let along = Vectors { length: x.shape()[side.axis], stride: 1, least: LEAST_NORM };
            let (dy, inverse) = (values(&gradient)?, values(inverse)?);
            along.gradient(values(vectors)?, dy, inverse, values_mut(&mut raw), values_mut(&mut work));
            ctx.recycle(work);
            ctx.recycle(std::mem::replace(&mut gradient, raw));
        }
        let (order, mut moved, mut back) = (side.order(), [0; MOST_AXES], [0; MOST_AXES]);
        for (at, &axis) in order[..x.ndim()].iter().enumerate() {
            (moved[at], back[axis]) = (x.shape()[axis], at);
        }
        let mut dx = ctx.tensor(x.shape());
        permute(values(&gradient)?, &moved[..x.ndim()], &back[..x.ndim()], values_mut(&mut dx));
        ctx.recycle(gradient);
        Ok(dx)
    }
}

/// How one input is read.
#[derive(Clone, Copy)]
struct Side {
    /// The axis of the vectors.
    axis: usize,
    /// The axes of the input.
    rank: usize,
    /// The vectors of a sample.
    count: usize,
}

impl Side {
    fn of(axis: isize, shape: &[usize], number: usize) -> Result<Self> {
        let rank = shape.len();
        if rank > MOST_AXES {
            let expected = format!("at most {} axes", MOST_AXES - 1);
            return Err(Error::shape(format!("input {number}"), expected, &shape[1..]));
        }
        let axis = resolve_axis(format_args!("Dot in input {number}"), axis, rank)?;
        let others = shape.iter().enumerate().skip(1).filter(|&(at, _)| at != axis);
        let count = others.fold(1_usize, |count, (_, &extent)| count.saturating_mul(extent));
        Ok(Side { axis, rank, count })
    }

    /// The axes of the input with that of the vectors last.
    fn order(self) -> [usize; MOST_AXES] {
        let mut order = std::array::from_fn(|axis| axis);
        order[self.axis..self.rank].rotate_left(1);
        order
    }
}

/// The shape that is left: the batch, and all axes but those of the vectors.
fn joined(first: &[usize], second: &[usize], sides: [Side; 2], mut push: impl FnMut(usize)) {
    push(first[0]);
    for (shape, side) in [(first, sides[0]), (second, sides[1])] {
        shape.iter().enumerate().skip(1).filter(|&(at, _)| at != side.axis).for_each(|(_, &extent)| push(extent));
    }
    if first.len() == 2 && second.len() == 2 {
        push(1);
    }
}

impl<A: Scalar> Merge<A> for Dot {
    fn kind(&self) -> &str {
        "Dot"
    }

    fn config(&self) -> Value {
        json!({ "axes": [self.axes.0, self.axes.1], "normalize": self.normalize })
    }

    fn output_shape(&self, inputs: &[Vec<usize>]) -> Result<Vec<usize>> {
        let [first, second] = check_two("Dot", inputs)?.map(|shape| [&[1], &shape[..]].concat());
        let sides = self.sides(&first, &second)?;
        let mut shape = Vec::new();
        joined(&first, &second, sides, |extent| shape.push(extent));
        shape.remove(0);
        Ok(shape)
    }

    /// The products, and for each number that is normalised before a square, a sum and a product.
    fn cost(&self, inputs: &[Vec<usize>], output: &[usize]) -> Result<Cost> {
        let [first, second] = check_two("Dot", inputs)?.map(|shape| [&[1], &shape[..]].concat());
        let length = first[self.sides(&first, &second)?[0].axis];
        let products = product(output).saturating_mul(length as u64).saturating_mul(2);
        let normalized = product(&first).saturating_add(product(&second)).saturating_mul(3);
        Ok(Cost::of(if self.normalize { products.saturating_add(normalized) } else { products }))
    }

    fn forward(&self, xs: &[Tensor<A>], ctx: &mut Context<A>) -> Result<Tensor<A>> {
        let [first, second] = check_two("Dot", xs)?;
        let sides = self.sides(first.shape(), second.shape())?;
        let mut shape = ndarray::IxDyn::zeros((first.ndim() + second.ndim() - 3).max(2));
        let mut at = 0;
        joined(first.shape(), second.shape(), sides, |extent| {
            shape[at] = extent;
            at += 1;
        });
        let (a, one) = self.vectors(first, sides[0], ctx)?;
        let (b, other) = self.vectors(second, sides[1], ctx)?;
        let mut y = ctx.tensor(shape.slice());
        let (rows, columns, length) = (sides[0].count, sides[1].count, a.shape()[2]);
        for (sample, y) in values_mut(&mut y).chunks_exact_mut((rows * columns).max(1)).enumerate() {
            let a = Matrix::row_major(&values(&a)?[sample * rows * length..], rows, length);
            let b = Matrix::row_major(&values(&b)?[sample * columns * length..], columns, length);
            gemm(a, b.t(), y, columns, Ending::sum(A::zero()));
        }
        [a, one, b, other].into_iter().for_each(|tensor| ctx.recycle(tensor));
        Ok(y)
    }

    fn backward(
        &self,
        xs: &[Tensor<A>],
        _: &Tensor<A>,
        dy: &Tensor<A>,
        want: &dyn Fn(usize) -> bool,
        dxs: &mut [Option<Tensor<A>>],
        ctx: &mut Context<A>,
    ) -> Result<()> {
        let sides = self.sides(xs[0].shape(), xs[1].shape())?;
        let given = [self.vectors(&xs[0], sides[0], ctx)?, self.vectors(&xs[1], sides[1], ctx)?];
        let [rows, columns] = sides.map(|side| side.count);
        for number in (0..2).filter(|&number| want(number)) {
            let (other, side) = (&given[1 - number].0, sides[number]);
            let (of_other, length) = (sides[1 - number].count, other.shape()[2]);
            let mut gradient = ctx.tensor(given[number].0.shape());
            let samples = values_mut(&mut gradient).chunks_exact_mut((side.count * length).max(1));
            for (sample, gradient) in samples.enumerate() {
                let dy = Matrix::row_major(&values(dy)?[sample * rows * columns..], rows, columns);
                let other = Matrix::row_major(&values(other)?[sample * of_other * length..], of_other, length);
                let dy = if number == 0 { dy } else { dy.t() };
                gemm(dy, other, gradient, length, Ending::sum(A::zero()));
            }
            let (vectors, inverse) = &given[number];
            dxs[number] = Some(self.back(&xs[number], side, (vectors, inverse), gradient, ctx)?);
        }
        given.into_iter().flat_map(|(vectors, inverse)| [vectors, inverse]).for_each(|tensor| ctx.recycle(tensor));
        Ok(())
    }
}
