//! Layers made of layers.

mod graph;
mod residual;
mod sequential;

pub use graph::{Graph, Node, SharedLayer};
pub use residual::Residual;
pub use sequential::Sequential;

use std::fmt::Display;

use crate::context::Context;
use crate::error::{Error, Result};
use crate::io::Registry;
use crate::layer::Layer;
use crate::param::{Param, Visitor};
use crate::scalar::Scalar;
use crate::tensor::{Tensor, count};

/// Tells the registry how the containers are made.
pub(crate) fn register<A: Scalar>(registry: &mut Registry<A>) {
    registry.layer("Graph", Graph::from_config);
    registry.layer("Residual", Residual::from_config);
    registry.layer("Sequential", Sequential::from_config);
}

/// A child's output shape, which some array must be able to have, with its place added to an error.
fn child_shape(shape: Result<Vec<usize>>, name: impl Display, kind: &str) -> Result<Vec<usize>> {
    let checked = shape.and_then(|shape| count("output of one sample", &shape).map(|_| shape));
    checked.map_err(|error| error.in_layer(name, kind))
}

/// A child's forward, with its place added to an error. The mask of its input ends here unless it keeps it.
fn child_forward<A: Scalar>(
    layer: &dyn Layer<A>,
    name: impl Display,
    x: &Tensor<A>,
    ctx: &mut Context<A>,
) -> Result<Tensor<A>> {
    let y = layer.forward(x, ctx).map_err(|error| error.in_layer(name, layer.kind()))?;
    if !layer.keeps_mask() {
        ctx.set_mask(None);
    }
    Ok(ctx.standard(y))
}

/// A child's backward, with its place added to an error.
fn child_backward<A: Scalar>(
    layer: &dyn Layer<A>,
    name: impl Display,
    x: &Tensor<A>,
    y: &Tensor<A>,
    dy: &Tensor<A>,
    want_dx: bool,
    ctx: &mut Context<A>,
) -> Result<Option<Tensor<A>>> {
    let dx = layer.backward(x, y, dy, want_dx, ctx);
    let checked = dx.and_then(|dx| match dx {
        Some(dx) if !x.is_empty() && dx.shape() != x.shape() => {
            Err(Error::shape("gradient of the input", format!("the input's shape {:?}", x.shape()), dx.shape()))
        }
        Some(dx) => Ok(Some(ctx.standard(dx))),
        None => Ok(None),
    });
    checked.map_err(|error| error.in_layer(name, layer.kind()))
}

/// Whether the pass wants the gradient of any weight of the layer.
fn learns<A: Scalar>(layer: &dyn Layer<A>, ctx: &Context<A>) -> bool {
    let mut found = false;
    let mut look = |_: &str, param: &Param<A>| found = found || ctx.wants_grad(param);
    layer.visit(&mut Visitor::unnamed(&mut look));
    found
}
