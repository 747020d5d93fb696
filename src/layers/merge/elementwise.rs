//! The merge under those that join values place by place.

use ndarray::Dimension;

use super::spread::{gather, spread, widen};
use super::{check_inputs, check_two};
use crate::context::Context;
use crate::cost::{Cost, product};
use crate::error::Result;
use crate::kernels::elementwise::{add_assign, scale};
use crate::scalar::Scalar;
use crate::tensor::{Tensor, values, values_mut};

/// What two values become, from the first input to the last: y = f(... f(f(x_0, x_1), x_2) ...).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Operation {
    Add,
    Subtract,
    Multiply,
    /// The sum, divided by the number of inputs at the end.
    Average,
    Maximum,
    Minimum,
}

/// How much of the gradient of the larger of two values is that of `a`: all, none, and half where they are equal.
fn share<A: Scalar>(a: A, b: A) -> A {
    if a == b {
        A::of(0.5)
    } else if a < b {
        A::zero()
    } else {
        A::one()
    }
}

/// y = f(y, x).
fn combine<A: Scalar>(y: &mut [A], x: &[A], f: impl Fn(A, A) -> A) {
    y.iter_mut().zip(x).for_each(|(y, &x)| *y = f(*y, x));
}

/// dy = dy f(y, x).
fn pass_back<A: Scalar>(y: &[A], x: &[A], dy: &mut [A], f: impl Fn(A, A) -> A) {
    dy.iter_mut().zip(y.iter().zip(x)).for_each(|(dy, (&y, &x))| *dy *= f(y, x));
}

impl Operation {
    /// An operation for each number of each input after the first; a mean is divided at the end.
    pub(super) fn cost(self, inputs: usize, output: &[usize]) -> Cost {
        let operations = if self == Operation::Average { inputs } else { inputs.saturating_sub(1) };
        Cost::of(product(output).saturating_mul(operations as u64))
    }

    /// y = f(y, x).
    fn apply<A: Scalar>(self, y: &mut [A], x: &[A]) {
        match self {
            Operation::Add | Operation::Average => add_assign(y, x),
            Operation::Subtract => combine(y, x, |y, x| y - x),
            Operation::Multiply => combine(y, x, |y, x| y * x),
            // NaN is the larger one and the smaller one, whichever of the two it is.
            Operation::Maximum => combine(y, x, |y, x| if y > x || y.is_nan() { y } else { x }),
            Operation::Minimum => combine(y, x, |y, x| if y < x || y.is_nan() { y } else { x }),
        }
    }

    /// Turns dy of f(y, x) into the gradient of y.
    fn backward<A: Scalar>(self, y: &[A], x: &[A], dy: &mut [A]) {
        match self {
            Operation::Multiply => pass_back(y, x, dy, |_, x| x),
            Operation::Maximum => pass_back(y, x, dy, share),
            Operation::Minimum => pass_back(y, x, dy, |y, x| share(x, y)),
            // Their gradients follow from dy alone.
            Operation::Add | Operation::Average | Operation::Subtract => {}
        }
    }

    fn check<'a, T>(self, kind: &str, inputs: &'a [T]) -> Result<&'a T> {
        if self == Operation::Subtract {
            return check_two(kind, inputs).map(|[first, _]| first);
        }
        check_inputs(kind, inputs).map(|(first, _)| first)
    }

    /// The shape of one output.
    pub(super) fn output_shape(self, kind: &str, inputs: &[Vec<usize>]) -> Result<Vec<usize>> {
        let mut shape = self.check(kind, inputs)?.clone();
        for (number, input) in inputs.iter().enumerate().skip(1) {
            widen(&mut shape, input, 0, number)?;
        }
        Ok(shape)
    }

    pub(super) fn forward<A: Scalar>(self, kind: &str, xs: &[Tensor<A>], ctx: &mut Context<A>) -> Result<Tensor<A>> {
        let mut shape = self.check(kind, xs)?.raw_dim();
        for (number, x) in xs.iter().enumerate().skip(1) {
            widen(shape.slice_mut(), x.shape(), 1, number)?;
        }
        let mut y = self.fold(xs, shape.slice(), ctx)?;
        if self == Operation::Average {
            let count = A::of(xs.len() as f64);
            values_mut(&mut y).iter_mut().for_each(|y| *y /= count);
        }
        Ok(y)
    }

    /// f of these inputs in a shape that fits them all.
    fn fold<A: Scalar>(self, xs: &[Tensor<A>], shape: &[usize], ctx: &mut Context<A>) -> Result<Tensor<A>> {
        let mut y = ctx.tensor(shape);
        for (number, x) in xs.iter().enumerate() {
            let x = spread(x, shape, ctx)?;
            match number {
                0 => values_mut(&mut y).copy_from_slice(values(&x)?),
                _ => self.apply(values_mut(&mut y), values(&x)?),
            }
            ctx.recycle(x);
        }
        Ok(y)
    }

    /// Writes the gradients of the inputs that want one.
    pub(super) fn gradients<A: Scalar>(
        self,
        xs: &[Tensor<A>],
        dy: &Tensor<A>,
        want: &dyn Fn(usize) -> bool,
        dxs: &mut [Option<Tensor<A>>],
        ctx: &mut Context<A>,
    ) -> Result<()> {
        let factor = |number| match self {
            Operation::Add => Some(1.0),
            Operation::Subtract => Some(if number == 0 { 1.0 } else { -1.0 }),
            Operation::Average => Some(1.0 / xs.len() as f64),
            _ => None,
        };
        let mut rest = dy.clone();
        for number in (0..xs.len()).rev() {
            let dx = match factor(number) {
                Some(factor) => want(number).then(|| scaled(dy, A::of(factor), ctx)).transpose()?,
                None => {
                    let before = std::mem::replace(&mut rest, ctx.nothing());
                    let (of_x, of_rest) = self.part(xs, number, before, want(number), ctx)?;
                    rest = of_rest;
                    of_x
                }
            };
            dxs[number] = dx.map(|dx| gather(dx, xs[number].shape(), ctx)).transpose()?;
        }
        ctx.recycle(rest);
        Ok(())
    }

    /// The gradient of f(y, x_i) with respect to x_i, if it is wanted, and with respect to y, what the inputs before it
    /// have become.
    fn part<A: Scalar>(
        self,
        xs: &[Tensor<A>],
        number: usize,
        dy: Tensor<A>,
        wanted: bool,
        ctx: &mut Context<A>,
    ) -> Result<(Option<Tensor<A>>, Tensor<A>)> {
        if number == 0 {
            if !wanted {
                ctx.recycle(dy);
                return Ok((None, ctx.nothing()));
            }
            return Ok((Some(dy), ctx.nothing()));
        }
        let (y, x) = (self.fold(&xs[..number], dy.shape(), ctx)?, spread(&xs[number], dy.shape(), ctx)?);
        let mut of_x = None;
        if wanted {
            let mut dx = scaled(&dy, A::one(), ctx)?;
            self.backward(values(&x)?, values(&y)?, own(&mut dx, ctx)?);
            of_x = Some(dx);
        }
        let mut of_y = dy;
        self.backward(values(&y)?, values(&x)?, own(&mut of_y, ctx)?);
        ctx.recycle(y);
        ctx.recycle(x);
        Ok((of_x, of_y))
    }
}

/// The values to write to, in a buffer of the pool where somebody else holds them too.
fn own<'t, A: Scalar>(tensor: &'t mut Tensor<A>, ctx: &mut Context<A>) -> Result<&'t mut [A]> {
    if !tensor.is_unique() {
        let mut copy = ctx.tensor(tensor.shape());
        values_mut(&mut copy).copy_from_slice(values(tensor)?);
        *tensor = copy;
    }
    Ok(values_mut(tensor))
}

/// The values times a factor: themselves where it is 1.
fn scaled<A: Scalar>(x: &Tensor<A>, factor: A, ctx: &mut Context<A>) -> Result<Tensor<A>> {
    let mut scaled = x.clone();
    if factor != A::one() {
        scale(own(&mut scaled, ctx)?, factor);
    }
    Ok(scaled)
}

/// Makes `$name` a merge without settings that does this operation, under its own name.
macro_rules! elementwise_merge {
    ($name:ident) => {
        impl $name {
            /// The merge; it has no settings.
            pub fn new() -> Self {
                $name
            }
        }

        impl<A: $crate::Scalar> $crate::Merge<A> for $name {
            fn kind(&self) -> &str {
                stringify!($name)
            }

            fn output_shape(&self, inputs: &[Vec<usize>]) -> $crate::Result<Vec<usize>> {
                $crate::layers::merge::elementwise::Operation::$name.output_shape(stringify!($name), inputs)
            }

            fn cost(&self, inputs: &[Vec<usize>], output: &[usize]) -> $crate::Result<$crate::Cost> {
                Ok($crate::layers::merge::elementwise::Operation::$name.cost(inputs.len(), output))
            }

            fn forward(
                &self,
                xs: &[$crate::Tensor<A>],
                ctx: &mut $crate::Context<A>,
            ) -> $crate::Result<$crate::Tensor<A>> {
                $crate::layers::merge::elementwise::Operation::$name.forward(stringify!($name), xs, ctx)
            }

            fn backward(
                &self,
                xs: &[$crate::Tensor<A>],
                _: &$crate::Tensor<A>,
                dy: &$crate::Tensor<A>,
                want: &dyn Fn(usize) -> bool,
                dxs: &mut [Option<$crate::Tensor<A>>],
                ctx: &mut $crate::Context<A>,
            ) -> $crate::Result<()> {
                $crate::layers::merge::elementwise::Operation::$name.gradients(xs, dy, want, dxs, ctx)
            }

            fn join_masks(
                &self,
                _: &[$crate::Tensor<A>],
                masks: &[Option<$crate::Tensor<A>>],
                ctx: &mut $crate::Context<A>,
            ) -> $crate::Result<Option<$crate::Tensor<A>>> {
                ctx.join_masks(masks)
            }
        }
    };
}
pub(super) use elementwise_merge;
