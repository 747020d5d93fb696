//! Parameters, state, and the visitor that names them.

use std::fmt::{Display, Write};
use std::sync::atomic::{AtomicU64, Ordering};

use ndarray::{ArrayBase, Data, Dimension, IxDyn};

use crate::constraints::Constraint;
use crate::error::{Error, Result};
use crate::regularizers::Regularizer;
use crate::scalar::Scalar;
use crate::tensor::{Tensor, values, values_mut};

/// What makes a parameter the same one wherever it is used: gradients, optimizer slots and pending state go by it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct ParamId(pub(crate) u64);

/// One array that a layer owns: a weight that training changes, or state that a layer keeps (a running mean).
///
/// It is empty until [`Init::param`](crate::Init::param) fills it when the layer is built.
#[derive(Debug)]
pub struct Param<A: Scalar = f32> {
    id: ParamId,
    value: Option<Tensor<A>>,
    /// The shape that values from a file must have, until they are there.
    expected: Option<Vec<usize>>,
    state: bool,
    frozen: bool,
    regularizer: Option<Regularizer>,
    constraint: Option<Constraint>,
}

impl<A: Scalar> Param<A> {
    /// A weight, to be learned.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let id = ParamId(NEXT.fetch_add(1, Ordering::Relaxed));
        Param { id, value: None, expected: None, state: false, frozen: false, regularizer: None, constraint: None }
    }

    /// State, which no optimizer touches; a layer changes it with [`Context::set_state`](crate::Context::set_state).
    pub fn state() -> Self {
        Param { state: true, ..Self::new() }
    }

    /// A second handle to the same weight, for another layer: one gradient, one update (tied weights).
    ///
    /// Both layers may be built or not yet; whichever is built first makes the values for both, so both must be part
    /// of one model. It has the regularizer and the constraint that this one has now; of those that are set later, the
    /// ones of the first handle in the model count.
    pub fn tied(&self) -> Self {
        Param {
            id: self.id,
            value: self.value.clone(),
            expected: self.expected.clone(),
            state: self.state,
            frozen: self.frozen,
            regularizer: self.regularizer,
            constraint: self.constraint.clone(),
        }
    }

    /// Becomes a handle to the weight of this identity.
    pub(crate) fn tie_to(&mut self, id: ParamId) {
        self.id = id;
    }

    /// What identifies it.
    pub fn id(&self) -> ParamId {
        self.id
    }

    /// Whether it is state rather than a weight.
    pub fn is_state(&self) -> bool {
        self.state
    }

    /// Whether training leaves it alone.
    pub fn is_frozen(&self) -> bool {
        self.frozen
    }

    /// Freezes it or sets it free. A frozen weight gets no gradient, and a frozen state no updates.
    pub fn set_frozen(&mut self, frozen: bool) {
        self.frozen = frozen;
    }

    /// What it adds to the loss while it is trained.
    pub fn regularizer(&self) -> Option<&Regularizer> {
        self.regularizer.as_ref()
    }

    /// Gives it a regularizer, or none. One that it cannot have is refused when its layer is built, or before the next
    /// training.
    pub fn set_regularizer(&mut self, regularizer: impl Into<Option<Regularizer>>) {
        self.regularizer = regularizer.into();
    }

    /// What it is made to be after each update.
    pub fn constraint(&self) -> Option<&Constraint> {
        self.constraint.as_ref()
    }

    /// Gives it a constraint, or none. One that it cannot have is refused when its layer is built, or before the next
    /// training.
    pub fn set_constraint(&mut self, constraint: impl Into<Option<Constraint>>) {
        self.constraint = constraint.into();
    }

    /// Refuses a regularizer or a constraint that values of this shape cannot have.
    ///
    /// # Errors
    /// [`Error::Setting`] for a number of theirs, [`Error::Shape`] for the shape.
    pub(crate) fn check_rules(&self, shape: &[usize]) -> Result<()> {
        self.regularizer.as_ref().map_or(Ok(()), |regularizer| regularizer.check(shape))?;
        self.constraint.as_ref().map_or(Ok(()), |constraint| constraint.check(shape))
    }

    /// Changes the values as the constraint has it, which fits them; `scratch` is memory to use again.
    pub(crate) fn constrain(&mut self, scratch: &mut Vec<A>) {
        let (Some(constraint), Some(value)) = (&self.constraint, &mut self.value) else { return };
        let shape = value.raw_dim();
        constraint.apply(values_mut(value), shape.slice(), scratch);
    }

    /// Whether training changes it.
    pub fn is_trainable(&self) -> bool {
        !self.state && !self.frozen
    }

    /// Whether it has values yet.
    pub fn is_built(&self) -> bool {
        self.value.is_some()
    }

    /// The values.
    ///
    /// # Errors
    /// [`Error::NotBuilt`] before the layer was built.
    pub fn get(&self) -> Result<&Tensor<A>> {
        self.value.as_ref().ok_or(Error::NotBuilt)
    }

    /// The values in row-major order.
    ///
    /// # Errors
    /// [`Error::NotBuilt`] before the layer was built.
    pub fn values(&self) -> Result<&[A]> {
        values(self.get()?)
    }

    /// The number of values; 0 before the layer was built.
    pub fn len(&self) -> usize {
        self.value.as_ref().map_or(0, |value| value.len())
    }

    /// Whether it has no values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Replaces the values by others of the same shape.
    ///
    /// # Errors
    /// [`Error::NotBuilt`] before the layer was built, [`Error::Shape`] for another shape.
    pub fn set<S, D>(&mut self, array: &ArrayBase<S, D>) -> Result<()>
    where
        S: Data<Elem = A>,
        D: Dimension,
    {
        let shape = self.get()?.shape();
        if array.shape() != shape {
            return Err(Error::shape("parameter", format!("shape {shape:?}"), array.shape()));
        }
        self.value = Some(standard(array));
        Ok(())
    }

    /// The shape of the values that it has, or that it waits for.
    pub(crate) fn shape(&self) -> Option<&[usize]> {
        self.value.as_ref().map(|value| value.shape()).or(self.expected.as_deref())
    }

    /// Waits for values of this shape, which a file brings.
    ///
    /// # Errors
    /// [`Error::Shape`] where it waits for values of another shape.
    pub(crate) fn expect(&mut self, shape: &[usize]) -> Result<()> {
        if let Some(known) = self.shape().filter(|&known| known != shape) {
            return Err(Error::shape("parameter of two layers", format!("shape {known:?}"), shape));
        }
        self.expected = Some(shape.to_vec());
        Ok(())
    }

    /// The values, to change in place. They are copied first if somebody else holds them.
    pub(crate) fn values_mut(&mut self) -> Option<&mut [A]> {
        self.value.as_mut().and_then(|value| value.as_slice_mut())
    }

    pub(crate) fn replace(&mut self, value: Option<Tensor<A>>) -> Option<Tensor<A>> {
        self.expected = None;
        std::mem::replace(&mut self.value, value)
    }
}

/// A row-major tensor of any array.
fn standard<A: Scalar, S: Data<Elem = A>, D: Dimension>(array: &ArrayBase<S, D>) -> Tensor<A> {
    let shape = IxDyn(array.shape());
    let values = array.iter().copied().collect();
    Tensor::from_shape_vec(shape, values).expect("as many values as the array has")
}

/// Walks over the parameters of a model, each with its dotted name: `2.weight`, `encoder.0.bias`.
///
/// A layer hands in its parameters with [`param`](Self::param); a container opens a [`scope`](Self::scope) for each
/// child. One visitor serves saving, loading, freezing, counting and training.
pub struct Visitor<'v, P> {
    path: String,
    named: bool,
    each: &'v mut dyn FnMut(&str, P),
}

impl<'v, P> Visitor<'v, P> {
    /// A visitor that calls `each` with the dotted name and the parameter.
    pub fn new(each: &'v mut dyn FnMut(&str, P)) -> Self {
        Visitor { path: String::new(), named: true, each }
    }

    /// A visitor that builds no names, for the places where only the order and the identities count.
    pub fn unnamed(each: &'v mut dyn FnMut(&str, P)) -> Self {
        Visitor { path: String::new(), named: false, each }
    }

    /// Visits one parameter under its name in the layer.
    pub fn param(&mut self, name: &str, param: P) {
        if !self.named {
            return (self.each)("", param);
        }
        let mark = self.enter(name);
        (self.each)(&self.path, param);
        self.path.truncate(mark);
    }

    /// Visits what lies under a child of the given name or number.
    pub fn scope(&mut self, name: impl Display, inside: impl FnOnce(&mut Self)) {
        if !self.named {
            return inside(self);
        }
        let mark = self.enter(name);
        inside(self);
        self.path.truncate(mark);
    }

    fn enter(&mut self, name: impl Display) -> usize {
        let mark = self.path.len();
        let dot = if mark == 0 { "" } else { "." };
        write!(self.path, "{dot}{name}").expect("writing to a string cannot fail");
        mark
    }
}

/// Writes the two visiting methods of a [`Layer`](crate::Layer) whose parameters are fields, named as the fields are.
/// Fields that are an `Option` of one stand behind a second semicolon: `visit_params!(A; weight; bias)`.
///
/// ```
/// use layerwise::prelude::*;
///
/// struct Scale { factor: Param }
///
/// impl Layer for Scale {
///     layerwise::visit_params!(f32; factor);
/// #   fn kind(&self) -> &str { "Scale" }
/// #   fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> { Ok(input.to_vec()) }
/// #   fn forward(&self, x: &Tensor, _: &mut Context) -> Result<Tensor> { Ok(x.clone()) }
/// #   fn backward(&self, _: &Tensor, _: &Tensor, dy: &Tensor, _: bool, _: &mut Context) -> Result<Option<Tensor>> {
/// #       Ok(Some(dy.clone()))
/// #   }
///     // ...
/// }
/// ```
#[macro_export]
macro_rules! visit_params {
    ($scalar:ty; $($field:ident),+ $(; $($optional:ident),+)? $(,)?) => {
        fn visit<'a>(&'a self, visitor: &mut $crate::Visitor<'_, &'a $crate::Param<$scalar>>) {
            $(visitor.param(stringify!($field), &self.$field);)+
            $($(
                if let Some(param) = &self.$optional {
                    visitor.param(stringify!($optional), param);
                }
            )+)?
        }

        fn visit_mut<'a>(&'a mut self, visitor: &mut $crate::Visitor<'_, &'a mut $crate::Param<$scalar>>) {
            $(visitor.param(stringify!($field), &mut self.$field);)+
            $($(
                if let Some(param) = &mut self.$optional {
                    visitor.param(stringify!($optional), param);
                }
            )+)?
        }
    };
}
