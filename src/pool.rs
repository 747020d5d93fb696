//! Buffers that come back, so that a steady-state step allocates nothing.

use ndarray::IxDyn;

use crate::scalar::Scalar;
use crate::tensor::Tensor;

/// The fewest buffers that a pool keeps.
const LEAST: usize = 64;

/// Tensors that nobody holds any more, found again by their exact number of values.
///
/// The newest of a length is taken first, as it is most likely in the cache. When there are too many the oldest is
/// freed: a pool that refuses when full would clog as soon as two models share it. How many are too many follows from
/// how many the last pass asked for.
#[derive(Debug)]
pub(crate) struct Pool<A> {
    /// Lengths beside the tensors, so that the search reads little memory.
    lengths: Vec<usize>,
    tensors: Vec<Tensor<A>>,
    taken: usize,
    keep: usize,
}

impl<A: Scalar> Pool<A> {
    pub(crate) fn new() -> Self {
        Pool { lengths: Vec::new(), tensors: Vec::new(), taken: 0, keep: LEAST }
    }

    /// A new pass begins: what the last one took is what this one will need, and as much again for another model's.
    pub(crate) fn begin_pass(&mut self) {
        self.keep = self.keep.max(2 * self.taken);
        self.taken = 0;
    }

    /// A tensor whose values are whatever they were.
    pub(crate) fn take(&mut self, shape: &[usize]) -> Tensor<A> {
        self.taken += 1;
        let length: usize = shape.iter().product();
        let Some(found) = self.lengths.iter().rposition(|&has| has == length) else {
            return Tensor::zeros(IxDyn(shape));
        };
        self.lengths.remove(found);
        let tensor = self.tensors.remove(found);
        if tensor.shape() == shape {
            return tensor;
        }
        tensor.into_shape_with_order(IxDyn(shape)).expect("pooled tensors are row-major and of this length")
    }

    /// Takes a tensor back if nobody else holds it.
    pub(crate) fn give(&mut self, tensor: Tensor<A>) {
        if tensor.is_empty() || !tensor.is_unique() || !tensor.is_standard_layout() {
            return;
        }
        if self.tensors.len() >= self.keep {
            self.lengths.remove(0);
            self.tensors.remove(0);
        }
        self.lengths.push(tensor.len());
        self.tensors.push(tensor);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_in_another_shape_and_a_shared_one_does_not() {
        let mut pool = Pool::<f32>::new();
        let tensor = pool.take(&[4, 6]);
        let place = tensor.as_ptr();
        pool.give(tensor);
        let again = pool.take(&[2, 3, 4]);
        assert_eq!((again.as_ptr(), again.shape()), (place, &[2, 3, 4][..]));
        let held = again.clone();
        pool.give(again);
        assert_ne!(pool.take(&[24]).as_ptr(), held.as_ptr());
    }

    #[test]
    fn the_oldest_makes_room() {
        let mut pool = Pool::<f32>::new();
        for length in 1..=LEAST + 1 {
            let tensor = Tensor::zeros(IxDyn(&[length]));
            pool.give(tensor);
        }
        assert_eq!(pool.lengths.len(), LEAST);
        assert!(!pool.lengths.contains(&1));
        assert!(pool.lengths.contains(&(LEAST + 1)));
    }
}
