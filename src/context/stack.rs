//! What forward keeps for backward, last in first out, and the values that flow between a container's children.

use std::collections::HashSet;

use super::Context;
use crate::error::{Error, Result};
use crate::kernels::elementwise;
use crate::scalar::Scalar;
use crate::tensor::{Tensor, values, values_mut};

/// What a container keeps of its forward pass for its backward pass: the values between its children, and where each
/// child's own kept values begin.
#[derive(Debug, Default)]
pub struct Frame<A: Scalar> {
    /// The values, in an order that is the container's own; `None` where one is not needed any more.
    pub values: Vec<Option<Tensor<A>>>,
    /// For each child, [`Context::mark`] before its forward.
    pub marks: Vec<usize>,
}

#[derive(Debug)]
pub(super) enum Saved<A: Scalar> {
    Tensor(Tensor<A>),
    Frame(Frame<A>),
}

impl<A: Scalar> Context<A> {
    /// Keeps a tensor for the backward pass. What was saved last comes back first.
    pub fn save(&mut self, tensor: Tensor<A>) {
        if self.recording {
            self.stack.push(Saved::Tensor(tensor));
        } else {
            self.pool.give(tensor);
        }
    }

    /// The tensor that this layer saved last in forward.
    ///
    /// # Panics
    /// Where the layer saved none: a broken invariant of the layer.
    pub fn restore(&mut self) -> Tensor<A> {
        match self.stack.pop() {
            Some(Saved::Tensor(tensor)) => tensor,
            _ => panic!("backward restores more tensors than forward saved"),
        }
    }

    /// How much is kept now. A child's own values lie above the mark that was taken before its forward.
    pub fn mark(&self) -> usize {
        self.stack.len()
    }

    /// How many numbers are kept now in memory other than that of the tensors `besides`: what
    /// [`Summary::kept`](crate::Summary::kept) reckons for a sample, in bytes there.
    pub fn kept(&self, besides: &[&Tensor<A>]) -> usize {
        let mut tensors = Vec::new();
        for saved in &self.stack {
            match saved {
                Saved::Tensor(tensor) => tensors.push(tensor),
                Saved::Frame(frame) => tensors.extend(frame.values.iter().flatten()),
            }
        }
        let mut seen: HashSet<_> = besides.iter().map(|tensor| tensor.as_ptr()).collect();
        let fresh = tensors.into_iter().filter(|tensor| !tensor.is_empty() && seen.insert(tensor.as_ptr()));
        fresh.map(|tensor| tensor.len()).sum()
    }

    /// Drops all that was kept since `mark`.
    pub fn truncate(&mut self, mark: usize) {
        while self.stack.len() > mark {
            match self.stack.pop() {
                Some(Saved::Tensor(tensor)) => self.pool.give(tensor),
                Some(Saved::Frame(frame)) => self.recycle_frame(frame),
                None => {}
            }
        }
    }

    /// An empty frame for a container of so many children.
    pub fn frame(&mut self, children: usize) -> Frame<A> {
        let room = |frame: &Frame<A>| frame.values.capacity().min(frame.marks.capacity());
        match tightest(&self.frames, children, room) {
            Some(at) => self.frames.swap_remove(at),
            None => Frame { values: Vec::with_capacity(children), marks: Vec::with_capacity(children) },
        }
    }

    /// Keeps a container's frame for its backward pass; to be called after the last child's forward.
    pub fn save_frame(&mut self, frame: Frame<A>) {
        if self.recording {
            self.stack.push(Saved::Frame(frame));
        } else {
            self.recycle_frame(frame);
        }
    }

    /// The frame of the container whose backward begins.
    ///
    /// # Panics
    /// Where the container saved none: a broken invariant of the container.
    pub fn restore_frame(&mut self) -> Frame<A> {
        match self.stack.pop() {
            Some(Saved::Frame(frame)) => frame,
            _ => panic!("backward restores a frame that forward did not save"),
        }
    }

    /// Gives a frame and the values in it back.
    pub fn recycle_frame(&mut self, mut frame: Frame<A>) {
        for tensor in frame.values.drain(..).flatten() {
            self.pool.give(tensor);
        }
        frame.marks.clear();
        self.frames.push(frame);
    }

    /// An empty list for so many tensors, to be given back with [`recycle_list`](Self::recycle_list).
    pub fn list(&mut self, tensors: usize) -> Vec<Tensor<A>> {
        match tightest(&self.lists, tensors, Vec::capacity) {
            Some(at) => self.lists.swap_remove(at),
            None => Vec::with_capacity(tensors),
        }
    }

    /// Gives a list and the tensors in it back.
    pub fn recycle_list(&mut self, mut list: Vec<Tensor<A>>) {
        for tensor in list.drain(..) {
            self.pool.give(tensor);
        }
        self.lists.push(list);
    }

    /// The tensor in row-major layout: itself if it is, a copy if a layer gave one that is not (a transposed view).
    pub fn standard(&mut self, tensor: Tensor<A>) -> Tensor<A> {
        if tensor.is_standard_layout() {
            return tensor;
        }
        let mut copy = self.pool.take(tensor.shape());
        copy.assign(&tensor);
        copy
    }

    /// Gives a tensor back to the pool if nobody else holds it. For containers, which own the values between layers.
    pub fn recycle(&mut self, tensor: Tensor<A>) {
        self.pool.give(tensor);
    }

    /// An empty tensor to stand for an input or output that a layer said it does not need.
    pub fn nothing(&self) -> Tensor<A> {
        self.nothing.clone()
    }

    /// Adds a gradient to the sum in `total`, in place where nobody else holds it.
    pub fn accumulate(&mut self, total: &mut Option<Tensor<A>>, gradient: Tensor<A>) -> Result<()> {
        let Some(so_far) = total.take() else {
            *total = Some(gradient);
            return Ok(());
        };
        if so_far.shape() != gradient.shape() {
            let expected = format!("shape {:?}, as the gradient from another branch", so_far.shape());
            return Err(Error::shape("gradient", expected, gradient.shape()));
        }
        *total = Some(self.sum(so_far, gradient)?);
        Ok(())
    }

    fn sum(&mut self, mut a: Tensor<A>, mut b: Tensor<A>) -> Result<Tensor<A>> {
        if b.is_unique() && !a.is_unique() {
            std::mem::swap(&mut a, &mut b);
        }
        if a.is_unique() {
            elementwise::add_assign(values_mut(&mut a), values(&b)?);
            self.pool.give(b);
            return Ok(a);
        }
        let mut sum = self.pool.take(a.shape());
        elementwise::add(values(&a)?, values(&b)?, values_mut(&mut sum));
        Ok(sum)
    }
}

/// The item with the least room that is enough. Always the tightest, so that whoever comes later and needs more finds
/// what he found in the last pass.
fn tightest<T>(items: &[T], needed: usize, room: impl Fn(&T) -> usize) -> Option<usize> {
    let enough = items.iter().enumerate().filter(|(_, item)| room(item) >= needed);
    enough.min_by_key(|(_, item)| room(item)).map(|(at, _)| at)
}
