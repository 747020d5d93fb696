//! The axes of an array in another order.

use super::math::Real;
use super::transpose::transpose;

/// The most axes that [`permute`] takes.
pub(crate) const MOST_AXES: usize = 8;

/// One axis of the output: how many elements it has, and how far the next one is in input and output.
#[derive(Clone, Copy, Default)]
struct Axis {
    extent: usize,
    from: usize,
    to: usize,
}

/// Writes `x`, row-major of the given shape, to `y` with the axes in the order `axes`: axis i of `y` is axis `axes[i]`
/// of `x`.
///
/// Axes that stay side by side are taken as one. The last axis of `x` and that of `y` then span a matrix that is
/// transposed in registers, or they are one, and its rows are copied; the other axes are walked over.
pub(crate) fn permute<A: Real>(x: &[A], shape: &[usize], axes: &[usize], y: &mut [A]) {
    if x.is_empty() {
        return;
    }
    let (mut joined, mut count) = ([Axis::default(); MOST_AXES], 0);
    for &axis in axes.iter().filter(|&&axis| shape[axis] > 1) {
        let next = Axis { extent: shape[axis], from: shape[axis + 1..].iter().product(), to: 1 };
        match joined[..count].last_mut() {
            Some(last) if last.from == next.extent * next.from => {
                *last = Axis { extent: last.extent * next.extent, ..next };
            }
            _ => {
                joined[count] = next;
                count += 1;
            }
        }
    }
    let joined = &mut joined[..count];
    for at in (1..count).rev() {
        joined[at - 1].to = joined[at].to * joined[at].extent;
    }
    let Some((&mut rows, outer)) = joined.split_last_mut() else {
        return y.copy_from_slice(x);
    };
    let Some(at) = outer.iter().position(|axis| axis.from == 1) else {
        return walk(outer, 0, 0, &mut |from, to| {
            y[to..to + rows.extent].copy_from_slice(&x[from..from + rows.extent]);
        });
    };
    let columns = outer[at];
    outer[at..].rotate_left(1);
    walk(&outer[..count - 2], 0, 0, &mut |from, to| matrix(&x[from..], rows, columns, &mut y[to..]));
}

/// Calls `each` with the places of every element of these axes in input and output.
fn walk(axes: &[Axis], from: usize, to: usize, each: &mut impl FnMut(usize, usize)) {
    match axes {
        [] => each(from, to),
        [axis, rest @ ..] => (0..axis.extent).for_each(|i| walk(rest, from + i * axis.from, to + i * axis.to, each)),
    }
}

/// Transposes a matrix that lies within larger arrays, where what is beside it must stay: rows of the source that do
/// not fill a register are woven by themselves.
fn matrix<A: Real>(x: &[A], rows: Axis, columns: Axis, y: &mut [A]) {
    let rest = rows.extent % (32 / size_of::<A>());
    let whole = rows.extent - rest;
    transpose(x, rows.from, whole, columns.extent, y, columns.to);
    if rest == 0 {
        return;
    }
    let (x, y) = (&x[whole * rows.from..], &mut y[whole..]);
    match rest {
        1 => weave::<A, 1>(x, rows.from, columns, y),
        2 => weave::<A, 2>(x, rows.from, columns, y),
        3 => weave::<A, 3>(x, rows.from, columns, y),
        4 => weave::<A, 4>(x, rows.from, columns, y),
        5 => weave::<A, 5>(x, rows.from, columns, y),
        6 => weave::<A, 6>(x, rows.from, columns, y),
        7 => weave::<A, 7>(x, rows.from, columns, y),
        _ => {}
    }
}

/// Transposes N rows, a number that the compiler knows.
fn weave<A: Real, const N: usize>(x: &[A], stride: usize, columns: Axis, y: &mut [A]) {
    let rows: [&[A]; N] = std::array::from_fn(|i| &x[i * stride..][..columns.extent]);
    for (j, y) in y.chunks_mut(columns.to).enumerate().take(columns.extent) {
        for (y, row) in y[..N].iter_mut().zip(rows) {
            *y = row[j];
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array, Dimension, IxDyn};

    use super::*;

    /// Every order of so many axes.
    fn orders(count: usize) -> Vec<Vec<usize>> {
        if count == 0 {
            return vec![Vec::new()];
        }
        let shorter = orders(count - 1);
        let longer = |order: &Vec<usize>| {
            (0..count).map(|at| [&order[..at], &[count - 1], &order[at..]].concat()).collect::<Vec<_>>()
        };
        shorter.iter().flat_map(longer).collect()
    }

    fn check<A: Real + std::fmt::Debug>() {
        let shapes: [&[usize]; 12] = [
            &[5],
            &[3, 4],
            &[1, 1],
            &[17, 33],
            &[2, 3, 70],
            &[9, 1, 16],
            &[0, 3, 2],
            &[2, 3, 16, 9],
            &[2, 8, 5, 5],
            &[1, 9, 2, 11],
            &[2, 3, 4, 5, 9],
            &[2, 1, 3, 2, 8, 3],
        ];
        for shape in shapes {
            let count: usize = shape.iter().product();
            let x: Vec<A> = (0..count).map(|i| A::of(i as f64)).collect();
            let array = Array::from_shape_vec(IxDyn(shape), x.clone()).unwrap();
            for axes in orders(shape.len()) {
                let mut y = vec![A::of(-1.0); count];
                permute(&x, shape, &axes, &mut y);
                let expected = array.view().permuted_axes(IxDyn(&axes));
                assert!(expected.iter().eq(&y), "{shape:?} in the order {:?}", IxDyn(&axes).slice());
            }
        }
    }

    #[test]
    fn every_order_of_axes_is_that_of_ndarray() {
        check::<f32>();
        check::<f64>();
    }
}
