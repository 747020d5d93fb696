//! The gradient of every parameter in one flat buffer.
//!
//! When a trainer takes a model it binds each trainable parameter to a span. Clipping, norms and sums over shards are
//! then one pass over memory, and a step builds no names.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use crate::constraints::Constraint;
use crate::error::{Error, Result};
use crate::kernels::elementwise;
use crate::layer::Layer;
use crate::param::{Param, ParamId, Visitor};
use crate::regularizers::Regularizer;
use crate::scalar::Scalar;
use crate::tensor::Tensor;

/// Where one parameter's gradient lies.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Span {
    pub(crate) id: ParamId,
    pub(crate) range: Range<usize>,
    /// The length of a row, for gradients that touch some rows only.
    pub(crate) row: usize,
    pub(crate) regularizer: Option<Regularizer>,
    pub(crate) constraint: Option<Constraint>,
}

impl Span {
    fn of<A: Scalar>(param: &Param<A>, start: usize) -> Self {
        Span {
            id: param.id(),
            range: start..start + param.len(),
            row: param.shape().unwrap_or_default().iter().skip(1).product(),
            regularizer: param.regularizer().copied(),
            constraint: param.constraint().cloned(),
        }
    }

    /// Whether it is still what the parameter needs.
    fn fits<A: Scalar>(&self, param: &Param<A>) -> bool {
        self.range.len() == param.len()
            && self.regularizer.as_ref() == param.regularizer()
            && self.constraint.as_ref() == param.constraint()
    }
}

/// Which parameter has which span. A parameter that is used twice has one.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Binding {
    pub(crate) spans: Vec<Span>,
    /// The places of these parameters in the model, frozen ones included: more than spans if any stands there twice.
    places: usize,
    /// Whether any parameter adds to the loss.
    penalties: bool,
    /// Whether any parameter is changed after an update.
    constraints: bool,
    index: HashMap<ParamId, usize, BuildIdHasher>,
}

impl Binding {
    /// Binds the trainable parameters of a built model.
    pub(crate) fn of<A: Scalar>(model: &dyn Layer<A>) -> Self {
        let mut binding = Binding::default();
        let mut bind = |_: &str, param: &Param<A>| binding.add(param);
        model.visit(&mut Visitor::unnamed(&mut bind));
        let mut places = 0;
        let mut count = |_: &str, param: &Param<A>| places += usize::from(binding.position(param.id()).is_some());
        model.visit(&mut Visitor::unnamed(&mut count));
        binding.places = places;
        binding
    }

    /// Whether any parameter stands in the model more than once.
    pub(crate) fn has_ties(&self) -> bool {
        self.places > self.spans.len()
    }

    fn add<A: Scalar>(&mut self, param: &Param<A>) {
        if !param.is_trainable() || !param.is_built() || self.index.contains_key(&param.id()) {
            return;
        }
        let span = Span::of(param, self.len());
        self.penalties |= span.regularizer.is_some();
        self.constraints |= span.constraint.is_some();
        self.index.insert(param.id(), self.spans.len());
        self.spans.push(span);
    }

    /// Whether any parameter adds to the loss.
    pub(crate) fn has_penalties(&self) -> bool {
        self.penalties
    }

    /// Whether any parameter is changed after an update.
    pub(crate) fn has_constraints(&self) -> bool {
        self.constraints
    }

    /// Whether the model is built, and its trainable parameters are just those that were bound.
    pub(crate) fn fits<A: Scalar>(&self, model: &dyn Layer<A>) -> bool {
        let (mut fits, mut next, mut places) = (true, 0, 0);
        let mut check = |_: &str, param: &Param<A>| {
            let position = self.position(param.id());
            places += usize::from(position.is_some());
            fits &= param.is_built();
            match position {
                _ if !param.is_trainable() => {}
                Some(at) if at == next && self.spans[at].fits(param) => next += 1,
                Some(at) => fits &= at < next,
                None => fits = false,
            }
        };
        model.visit(&mut Visitor::unnamed(&mut check));
        fits && next == self.spans.len() && places == self.places
    }

    /// The number of values in the flat buffer.
    pub(crate) fn len(&self) -> usize {
        self.spans.last().map_or(0, |span| span.range.end)
    }

    pub(crate) fn position(&self, id: ParamId) -> Option<usize> {
        self.index.get(&id).copied()
    }
}

/// Ids are counted: they need no hashing.
type BuildIdHasher = std::hash::BuildHasherDefault<IdHasher>;

#[derive(Default)]
struct IdHasher(u64);

impl std::hash::Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u64(&mut self, id: u64) {
        // Fibonacci hashing spreads neighbours over the high bits, which the table looks at.
        self.0 = id.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}

/// What a step has written into a span so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Touch {
    /// Nothing: what stands there is from an older step.
    Nothing,
    /// All of it.
    All,
    /// The rows that carry the stamp of this step.
    Rows,
}

/// One shard's gradients of one step.
#[derive(Debug)]
pub(crate) struct Gradients<A: Scalar> {
    binding: Arc<Binding>,
    flat: Vec<A>,
    touch: Vec<Touch>,
    /// For each span that was ever touched by rows: the step in which each row was touched last.
    row_stamps: Vec<Vec<u32>>,
    stamp: u32,
}

impl<A: Scalar> Gradients<A> {
    pub(crate) fn new(binding: Arc<Binding>) -> Self {
        let spans = binding.spans.len();
        Gradients {
            flat: vec![A::zero(); binding.len()],
            touch: vec![Touch::Nothing; spans],
            row_stamps: vec![Vec::new(); spans],
            stamp: 0,
            binding,
        }
    }

    pub(crate) fn binding(&self) -> &Binding {
        &self.binding
    }

    /// Forgets the last step. Nothing is cleared: the first to write a span overwrites it.
    pub(crate) fn begin_step(&mut self) {
        self.touch.fill(Touch::Nothing);
        self.stamp = self.stamp.wrapping_add(1);
        if self.stamp == 0 {
            self.row_stamps.iter_mut().for_each(|stamps| stamps.fill(0));
            self.stamp = 1;
        }
    }

    /// The span's memory to write all of, and whether to add to what is there (or to overwrite it).
    pub(crate) fn dense(&mut self, id: ParamId) -> Option<Grad<'_, A>> {
        let at = self.binding.position(id)?;
        if self.touch[at] == Touch::Rows {
            self.fill_untouched_rows(at);
        }
        Some(Grad { values: &mut self.flat[self.binding.spans[at].range.clone()], touch: &mut self.touch[at] })
    }

    /// The span's memory to add single rows to.
    pub(crate) fn rows(&mut self, id: ParamId) -> Option<RowGrad<'_, A>> {
        let at = self.binding.position(id)?;
        let span = &self.binding.spans[at];
        if self.touch[at] == Touch::Nothing {
            self.touch[at] = Touch::Rows;
            let rows = span.range.len().checked_div(span.row).unwrap_or(0);
            self.row_stamps[at].resize(rows, 0);
        }
        let stamps = (self.touch[at] == Touch::Rows).then_some(&mut self.row_stamps[at][..]);
        Some(RowGrad { values: &mut self.flat[span.range.clone()], row: span.row, stamps, stamp: self.stamp })
    }

    fn fill_untouched_rows(&mut self, at: usize) {
        let span = &self.binding.spans[at];
        let rows = self.flat[span.range.clone()].chunks_exact_mut(span.row);
        for (row, &stamp) in rows.zip(&self.row_stamps[at]) {
            if stamp != self.stamp {
                row.fill(A::zero());
            }
        }
    }

    /// Adds all that shards of the same binding hold.
    pub(crate) fn add(&mut self, shards: &[Gradients<A>]) {
        for at in 0..self.touch.len() {
            if !shards.iter().any(|shard| shard.is_touched(at)) {
                continue;
            }
            let Span { id, ref range, .. } = self.binding.spans[at];
            let part = 0..range.len();
            let Some(total) = self.dense(id).map(Grad::accumulate) else { continue };
            shards.iter().for_each(|shard| shard.add_to(at, part.clone(), total));
        }
    }

    /// Whether any layer wrote a gradient for the span in this step.
    pub(crate) fn is_touched(&self, at: usize) -> bool {
        self.touch[at] != Touch::Nothing
    }

    /// Whether any layer wrote a gradient into a part of a span.
    pub(crate) fn touches(&self, at: usize, part: &Range<usize>) -> bool {
        match self.touch[at] {
            Touch::Nothing => false,
            Touch::All => true,
            Touch::Rows => {
                let row = self.binding.spans[at].row;
                self.row_stamps[at][part.start / row..part.end.div_ceil(row)].contains(&self.stamp)
            }
        }
    }

    /// The values of a part of a span (positions within the span), if all of the span was written.
    pub(crate) fn slice(&self, at: usize, part: Range<usize>) -> Option<&[A]> {
        let start = self.binding.spans[at].range.start;
        (self.touch[at] == Touch::All).then(|| &self.flat[start + part.start..start + part.end])
    }

    /// Adds a part of a span to `total`, whatever was written of it.
    pub(crate) fn add_to(&self, at: usize, part: Range<usize>, total: &mut [A]) {
        if let Some(values) = self.slice(at, part.clone()) {
            return elementwise::add_assign(total, values);
        }
        if self.touch[at] == Touch::Nothing {
            return;
        }
        let Span { range, row, .. } = &self.binding.spans[at];
        for number in part.start / row..part.end.div_ceil(*row) {
            if self.row_stamps[at][number] == self.stamp {
                let from = part.start.max(number * row);
                let to = part.end.min((number + 1) * row);
                let values = &self.flat[range.start + from..range.start + to];
                elementwise::add_assign(&mut total[from - part.start..to - part.start], values);
            }
        }
    }
}

/// The place for a parameter's gradient in this pass. One that is dropped without being written to is no gradient.
#[derive(Debug)]
pub struct Grad<'a, A> {
    values: &'a mut [A],
    touch: &'a mut Touch,
}

impl<'a, A: Scalar> Grad<'a, A> {
    /// The memory, and the factor for what stands in it: 0 when this is the first gradient of the pass (the old
    /// values mean nothing, and may not be read), 1 when the layer was used before. As in `c = a b + beta c`.
    pub fn into_parts(self) -> (&'a mut [A], A) {
        let before = std::mem::replace(self.touch, Touch::All);
        (self.values, if before == Touch::Nothing { A::zero() } else { A::one() })
    }

    /// The memory to add to, with zeros in it where nothing was written yet.
    pub fn accumulate(self) -> &'a mut [A] {
        if std::mem::replace(self.touch, Touch::All) == Touch::Nothing {
            self.values.fill(A::zero());
        }
        self.values
    }

    /// Adds a gradient, in the shape of the parameter.
    ///
    /// # Errors
    /// [`Error::Length`] where the gradient has another number of values than the parameter.
    pub fn add_tensor(self, gradient: &Tensor<A>) -> Result<()> {
        if gradient.len() != self.values.len() {
            return Err(Error::length("gradient of a parameter", self.values.len(), gradient.len()));
        }
        for (total, &value) in self.accumulate().iter_mut().zip(gradient) {
            *total += value;
        }
        Ok(())
    }
}

/// The place for a gradient that touches some rows of a parameter only.
#[derive(Debug)]
pub struct RowGrad<'a, A> {
    values: &'a mut [A],
    row: usize,
    stamps: Option<&'a mut [u32]>,
    stamp: u32,
}

impl<A: Scalar> RowGrad<'_, A> {
    /// Adds to one row.
    ///
    /// # Panics
    /// Where the parameter has no such row.
    pub fn add(&mut self, row: usize, gradient: &[A]) {
        let values = &mut self.values[row * self.row..(row + 1) * self.row];
        match &mut self.stamps {
            Some(stamps) if stamps[row] != self.stamp => {
                stamps[row] = self.stamp;
                values.copy_from_slice(gradient);
            }
            _ => elementwise::add_assign(values, gradient),
        }
    }
}
