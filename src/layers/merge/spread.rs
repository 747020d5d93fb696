//! Arrays of one rank in which an extent of 1 stands for any other.

use crate::context::Context;
use crate::error::{Error, Result};
use crate::kernels::elementwise::add_assign;
use crate::scalar::Scalar;
use crate::tensor::{Tensor, values, values_mut};

/// Widens the extents of the inputs before by those of input `number`, but for the first `same` axes.
pub(super) fn widen(extents: &mut [usize], shape: &[usize], same: usize, number: usize) -> Result<()> {
    let fit = |(axis, (&a, &b)): (usize, (&usize, &usize))| a == b || (axis >= same && (a == 1 || b == 1));
    if shape.len() != extents.len() || !shape.iter().zip(&*extents).enumerate().all(fit) {
        let expected = format!("shape {extents:?} of the inputs before (an extent may be 1 in one of them)");
        return Err(Error::shape(format!("input {number}"), expected, shape));
    }
    for (extent, &other) in extents.iter_mut().zip(shape) {
        *extent = if *extent == 1 { other } else { *extent };
    }
    Ok(())
}

/// Calls `each` with every row of the wide array and of the narrow one: where they begin.
fn walk(wide: &[usize], narrow: &[usize], at: (usize, usize), each: &mut impl FnMut(usize, usize)) {
    match (wide, narrow) {
        ([extent, wide @ ..], [narrow_extent, narrow @ ..]) if !wide.is_empty() => {
            let step = |shape: &[usize]| shape.iter().product::<usize>();
            let (far, near) = (step(wide), if *narrow_extent == 1 { 0 } else { step(narrow) });
            (0..*extent).for_each(|i| walk(wide, narrow, (at.0 + i * far, at.1 + i * near), each));
        }
        _ => each(at.0, at.1),
    }
}

/// The lengths of the rows.
fn rows(wide: &[usize], narrow: &[usize]) -> (usize, usize) {
    (wide.last().copied().unwrap_or(1), narrow.last().copied().unwrap_or(1))
}

/// The values in the wider shape: each repeated along the axes whose extent is 1.
pub(super) fn spread<A: Scalar>(x: &Tensor<A>, shape: &[usize], ctx: &mut Context<A>) -> Result<Tensor<A>> {
    if x.shape() == shape {
        return Ok(x.clone());
    }
    let mut wide = ctx.tensor(shape);
    let (to, from, (width, narrow)) = (values_mut(&mut wide), values(x)?, rows(shape, x.shape()));
    walk(shape, x.shape(), (0, 0), &mut |place, source| match narrow == width {
        true => to[place..place + width].copy_from_slice(&from[source..source + width]),
        false => to[place..place + width].fill(from[source]),
    });
    Ok(wide)
}

/// The other way: the sums along the axes whose extent is 1. Takes the wide tensor, which is given back to the pool.
pub(super) fn gather<A: Scalar>(wide: Tensor<A>, shape: &[usize], ctx: &mut Context<A>) -> Result<Tensor<A>> {
    if wide.shape() == shape {
        return Ok(wide);
    }
    let mut narrow = ctx.zeros(shape);
    let (to, from, (width, length)) = (values_mut(&mut narrow), values(&wide)?, rows(wide.shape(), shape));
    walk(wide.shape(), shape, (0, 0), &mut |source, place| {
        let from = &from[source..source + width];
        match length == width {
            true => add_assign(&mut to[place..place + width], from),
            false => to[place] += from.iter().copied().sum(),
        }
    });
    ctx.recycle(wide);
    Ok(narrow)
}
