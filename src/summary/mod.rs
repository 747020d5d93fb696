//! A model's layers and what they cost.

mod table;
#[cfg(feature = "plot")]
pub(crate) use table::{grouped, shapes};

use std::collections::HashSet;
use std::fmt;

use crate::cost::{Cost, OutputMemory, product};
use crate::error::Result;
use crate::param::ParamId;
use crate::scalar::Scalar;

/// One line of a [`Summary`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SummaryRow {
    /// Dotted position in the model.
    pub path: String,
    /// The layer's type.
    pub kind: String,
    /// The shape of each output, without the batch.
    pub outputs: Vec<Vec<usize>>,
    /// How many values its parameters and its state have; those that an earlier line has counted are not counted
    /// again.
    pub params: usize,
    /// The floating-point operations of a forward pass of one sample, as [`Cost`] counts them. What a container adds by
    /// itself (the sum of a [`Residual`](crate::models::Residual)) counts with its last layer.
    pub flops: u64,
    /// The bytes for each sample that training keeps of this layer until its backward pass: what the layer saves, and
    /// its output where a backward pass reads it. Memory that several values share counts once.
    pub kept: u64,
}

/// The layers of a model with their output shapes and what they cost. Printing it gives a table.
///
/// A container of one's own adds its children in [`Layer::summarize`](crate::Layer::summarize), each in its
/// [`scope`](Self::scope); so that memory is right it tells which values it [holds](Self::holding) meanwhile and which
/// it [keeps](Self::keep) for backward.
#[derive(Clone, Debug)]
pub struct Summary {
    rows: Vec<SummaryRow>,
    path: Vec<String>,
    seen: HashSet<ParamId>,
    trainable: usize,
    fixed: usize,
    unbuilt: bool,
    /// The bytes of a number.
    number: u64,
    buffers: Vec<Buffer>,
    /// What the next layer reads.
    value: SummaryValue,
    /// The numbers that are in memory now, in inference, and the most that ever were.
    held: u64,
    most: u64,
}

/// A value between layers: where its numbers lie.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct SummaryValue(Option<usize>);

/// The memory that the output of a layer has.
#[derive(Clone, Copy, Debug)]
struct Buffer {
    row: usize,
    numbers: u64,
    kept: bool,
}

impl Summary {
    /// Without layers yet, for samples of these shapes.
    pub fn of<A: Scalar>(inputs: &[Vec<usize>]) -> Self {
        let held = numbers(inputs);
        Summary {
            rows: Vec::new(),
            path: Vec::new(),
            seen: HashSet::new(),
            trainable: 0,
            fixed: 0,
            unbuilt: false,
            number: size_of::<A>() as u64,
            buffers: Vec::new(),
            value: SummaryValue(None),
            held,
            most: held,
        }
    }

    /// The lines.
    pub fn rows(&self) -> &[SummaryRow] {
        &self.rows
    }

    /// The number of values that training changes.
    pub fn trainable(&self) -> usize {
        self.trainable
    }

    /// The number of values that it leaves alone: frozen weights and state.
    pub fn non_trainable(&self) -> usize {
        self.fixed
    }

    /// The floating-point operations of a forward pass of one sample; see [`Cost`]. A backward pass takes about twice
    /// as many.
    pub fn flops(&self) -> u64 {
        self.rows.iter().fold(0, |sum, row| sum.saturating_add(row.flops))
    }

    /// The bytes for each sample that training keeps between forward and backward. Inputs and outputs of the whole
    /// model, which the caller has, do not count unless the model keeps them itself, as a graph does its outputs.
    pub fn kept(&self) -> u64 {
        self.rows.iter().fold(0, |sum, row| sum.saturating_add(row.kept))
    }

    /// The most bytes for each sample that are in memory at once in inference: inputs, and values between layers until
    /// the last layer has read them. What a layer needs besides while it works does not count.
    pub fn inference_memory(&self) -> u64 {
        self.most.saturating_mul(self.number)
    }

    /// Opens the place of a child for what `inside` adds.
    ///
    /// # Errors
    /// What `inside` returns.
    pub fn scope(&mut self, name: impl fmt::Display, inside: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        self.path.push(name.to_string());
        let result = inside(self);
        self.path.pop();
        result
    }

    /// Has values of these shapes in memory while `inside` adds layers. Those that the container was given count
    /// already.
    ///
    /// # Errors
    /// What `inside` returns.
    pub fn holding(&mut self, shapes: &[Vec<usize>], inside: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        let before = self.held;
        self.held = before.saturating_add(numbers(shapes));
        self.most = self.most.max(self.held);
        let result = inside(self);
        self.held = before;
        result
    }

    /// Adds a layer: its type, output shapes, for each parameter its identity, its number of values (0 before it was
    /// built), and whether it is trained, and what it costs. It reads the [value](Self::value) that was added last, and
    /// its output is the next.
    pub fn add(&mut self, kind: &str, outputs: &[Vec<usize>], params: &[(ParamId, usize, bool)], cost: Cost) {
        let mut own = 0;
        for &(id, count, trainable) in params {
            self.unbuilt |= count == 0;
            if self.seen.insert(id) {
                own += count;
                *(if trainable { &mut self.trainable } else { &mut self.fixed }) += count;
            }
        }
        let (path, kind) = (self.path.join("."), kind.to_owned());
        let kept = cost.saved.saturating_mul(self.number);
        self.rows.push(SummaryRow { path, kind, outputs: outputs.to_vec(), params: own, flops: cost.flops, kept });
        if cost.memory == OutputMemory::Own {
            self.most = self.most.max(self.held.saturating_add(numbers(outputs)));
        }
        if cost.memory != OutputMemory::Input {
            self.value = self.allocate(numbers(outputs));
        }
    }

    /// The output of the layer that was added last; in the beginning the input of the model.
    pub fn value(&self) -> SummaryValue {
        self.value
    }

    /// Has the next layer read this value.
    pub fn read(&mut self, value: SummaryValue) {
        self.value = value;
    }

    /// Keeps a value until the backward pass. The input of the model is its caller's.
    pub fn keep(&mut self, value: SummaryValue) {
        let Some(at) = value.0.filter(|&at| self.buffers.get(at).is_some_and(|buffer| !buffer.kept)) else { return };
        let buffer = &mut self.buffers[at];
        buffer.kept = true;
        let kept = &mut self.rows[buffer.row].kept;
        *kept = kept.saturating_add(buffer.numbers.saturating_mul(self.number));
    }

    /// Adds up two values of this shape: in place, in one that came after `before` and that nobody keeps, if there is
    /// one.
    pub(crate) fn sum(&mut self, terms: [SummaryValue; 2], shape: &[usize], before: SummaryValue) {
        let Some(row) = self.rows.last_mut() else { return };
        row.flops = row.flops.saturating_add(product(shape));
        let is_free = |term: &SummaryValue| *term > before && term.0.is_some_and(|at| !self.buffers[at].kept);
        let in_place = terms.into_iter().find(is_free);
        self.value = in_place.unwrap_or_else(|| self.allocate(product(shape)));
    }

    /// The memory that was given out last, to compare with.
    pub(crate) fn newest(&self) -> SummaryValue {
        SummaryValue(self.buffers.len().checked_sub(1))
    }

    /// Memory for an output of the layer that was added last.
    fn allocate(&mut self, numbers: u64) -> SummaryValue {
        self.buffers.push(Buffer { row: self.rows.len() - 1, numbers, kept: false });
        self.newest()
    }
}

/// The numbers of values of these shapes.
fn numbers(shapes: &[Vec<usize>]) -> u64 {
    shapes.iter().fold(0, |sum: u64, shape| sum.saturating_add(product(shape)))
}
