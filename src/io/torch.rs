use std::collections::{HashMap, HashSet};
use std::fmt::{Display, Write};

use crate::error::Result;
use crate::kernels::permute::permute;
use crate::scalar::Scalar;
use crate::tensor::{Tensor, from_vec, values};

/// How an array in PyTorch's layout becomes one in ours.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum TorchLayout {
    /// It is the same.
    #[default]
    Same,
    /// The first two axes come last, in reverse: `(out, in, window...)` becomes `(window..., in, out)`.
    FirstTwoLast,
    /// `(channels * multiplier, 1, window...)` becomes `(window..., channels, multiplier)`.
    Depthwise,
}

impl TorchLayout {
    /// The shape that an array has in PyTorch if ours is `ours`; `None` if none becomes that.
    pub(super) fn theirs(self, ours: &[usize]) -> Option<Vec<usize>> {
        match (self, ours) {
            (TorchLayout::Same, _) => Some(ours.to_vec()),
            (TorchLayout::FirstTwoLast, [window @ .., second, first]) => {
                Some([&[*first, *second][..], window].concat())
            }
            (TorchLayout::Depthwise, [window @ .., channels, multiplier]) => {
                let filters = channels.checked_mul(*multiplier)?;
                Some([&[filters, 1][..], window].concat())
            }
            _ => None,
        }
    }

    /// The values of an array of the shape [`theirs`](Self::theirs) in the shape `ours`.
    pub(super) fn convert<A: Scalar>(self, array: &Tensor<A>, ours: &[usize]) -> Result<Tensor<A>> {
        // The axes of a window stay side by side, so that they count as one.
        let [.., second, first] = *ours else { return Ok(array.clone()) };
        let window = ours[..ours.len() - 2].iter().product();
        match self {
            TorchLayout::Same => Ok(array.clone()),
            TorchLayout::FirstTwoLast => reordered(array, [first, second, window], [2, 1, 0], ours),
            TorchLayout::Depthwise => reordered(array, [second, first, window], [2, 0, 1], ours),
        }
    }
}

/// The values, seen as an array of the shape `from`, with the axes in this order and then in the shape `to`.
fn reordered<A: Scalar>(array: &Tensor<A>, from: [usize; 3], order: [usize; 3], to: &[usize]) -> Result<Tensor<A>> {
    let mut reordered = vec![A::zero(); array.len()];
    permute(values(array)?, &from, &order, &mut reordered);
    Ok(from_vec(to, reordered))
}

/// The rows of a weight `(channels height width, units)`, which come in the order of an image with its channels first,
/// in the order of one with its channels last.
pub(super) fn rows_channels_last<A: Scalar>(weight: &Tensor<A>, image: [usize; 3]) -> Result<Tensor<A>> {
    let ([channels, height, width], units) = (image, weight.shape()[1]);
    reordered(weight, [channels, height * width, units], [1, 0, 2], weight.shape())
}

/// What layers tell of PyTorch's names and layouts for their parameters: see
/// [`Layer::torch_names`](crate::Layer::torch_names).
///
/// A parameter that nothing is told of has the same name and layout there.
#[derive(Default)]
pub struct TorchNames {
    path: String,
    /// By the dotted name of our parameter.
    told: HashMap<String, Theirs>,
    /// What PyTorch has and we do not, under our dotted name of the layer.
    unused: HashSet<String>,
}

/// PyTorch's side of a parameter of ours: the names within the module, whose values are added up, and the layout.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Theirs {
    pub(super) names: Vec<String>,
    pub(super) layout: TorchLayout,
}

impl TorchNames {
    /// Our parameter `ours` is called `theirs` there, and laid out so.
    pub fn param(&mut self, ours: &str, theirs: &str, layout: TorchLayout) {
        self.tell(ours, Theirs { names: vec![theirs.to_owned()], layout });
    }

    /// Our parameter `ours` is the sum of several there, such as the two biases of a recurrent layer.
    pub fn sum(&mut self, ours: &str, theirs: &[&str]) {
        let names = theirs.iter().map(|&name| name.to_owned()).collect();
        self.tell(ours, Theirs { names, layout: TorchLayout::Same });
    }

    /// What is called `theirs` there has no counterpart here and is not missed.
    pub fn unused(&mut self, theirs: &str) {
        let name = self.name_of(theirs);
        self.unused.insert(name);
    }

    /// What lies under a child of the given name or number; containers call it as in [`visit`](crate::Layer::visit).
    pub fn scope(&mut self, name: impl Display, inside: impl FnOnce(&mut Self)) {
        let mark = self.path.len();
        let dot = if mark == 0 { "" } else { "." };
        write!(self.path, "{dot}{name}").expect("writing to a string cannot fail");
        inside(self);
        self.path.truncate(mark);
    }

    fn tell(&mut self, ours: &str, theirs: Theirs) {
        let name = self.name_of(ours);
        self.told.insert(name, theirs);
    }

    fn name_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// PyTorch's side of the parameter of this dotted name.
    pub(super) fn theirs(&self, ours: &str) -> Theirs {
        let (_, leaf) = split(ours);
        self.told.get(ours).cloned().unwrap_or(Theirs { names: vec![leaf.to_owned()], layout: TorchLayout::Same })
    }

    /// Whether the layer of this dotted name has no counterpart for what is called so there.
    pub(super) fn is_unused(&self, layer: &str, theirs: &str) -> bool {
        let name = if layer.is_empty() { theirs.to_owned() } else { format!("{layer}.{theirs}") };
        self.unused.contains(&name)
    }
}

/// A dotted name as that of the layer or module and that of the parameter in it.
pub(super) fn split(name: &str) -> (&str, &str) {
    name.rsplit_once('.').unwrap_or(("", name))
}

#[cfg(test)]
mod tests {
    use ndarray::{Array, Axis, IxDyn};

    use super::*;

    fn counted(shape: &[usize]) -> Tensor<f64> {
        let count: usize = shape.iter().product();
        Array::from_shape_vec(IxDyn(shape), (0..count).map(|i| i as f64).collect()).unwrap().into_shared()
    }

    #[test]
    fn every_element_goes_to_the_place_that_the_layout_says() -> Result<()> {
        let (theirs, ours) = ([5, 3, 2, 4], [2, 4, 3, 5]);
        assert_eq!(TorchLayout::FirstTwoLast.theirs(&ours).as_deref(), Some(&theirs[..]));
        let (from, to) = (counted(&theirs), TorchLayout::FirstTwoLast.convert(&counted(&theirs), &ours)?);
        for (index, &value) in to.indexed_iter() {
            assert_eq!(value, from[[index[3], index[2], index[0], index[1]]]);
        }

        let (theirs, ours) = ([6, 1, 2, 4], [2, 4, 3, 2]);
        assert_eq!(TorchLayout::Depthwise.theirs(&ours).as_deref(), Some(&theirs[..]));
        let (from, to) = (counted(&theirs), TorchLayout::Depthwise.convert(&counted(&theirs), &ours)?);
        for (index, &value) in to.indexed_iter() {
            assert_eq!(value, from[[index[2] * 2 + index[3], 0, index[0], index[1]]]);
        }

        let (from, to) = (counted(&[24, 5]), rows_channels_last(&counted(&[24, 5]), [2, 3, 4])?);
        for channel in 0..2 {
            for pixel in 0..12 {
                let (ours, theirs) = (pixel * 2 + channel, channel * 12 + pixel);
                assert_eq!(to.index_axis(Axis(0), ours), from.index_axis(Axis(0), theirs));
            }
        }
        Ok(())
    }
}
