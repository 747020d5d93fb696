//! Windows that slide over an axis: what convolutions and pooling have in common.

use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::io::{Place, Setting};

/// How far windows reach over the edges of an image of `(height, width)`, or of a sequence, where the width is the time.
///
/// `usize` gives the same on every side, `(height, width)` the same on either side of an axis, and
/// `[(top, bottom), (left, right)]` each side by itself:
///
/// ```
/// use layerwise::layers::Padding;
///
/// assert_eq!(Padding::from(1), Padding::Sides([(1, 1), (1, 1)]));
/// assert_eq!(Padding::from((0, 2)), Padding::Sides([(0, 0), (2, 2)]));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Padding {
    /// Windows stay inside: Keras's `valid`, PyTorch's 0.
    #[default]
    Valid,
    /// The output is as long as the input, divided by the stride and rounded up. What has to be added goes half to
    /// either side, an odd one to the bottom and right, as in Keras.
    Same,
    /// Only before the first element of a sequence, so that no output sees what comes after it: Keras's `causal`.
    Causal,
    /// So much at `[(top, bottom), (left, right)]`; of a sequence, which has no height, `[(0, 0), (before, after)]`.
    Sides([(usize, usize); 2]),
}

impl From<usize> for Padding {
    fn from(all: usize) -> Self {
        Padding::Sides([(all, all); 2])
    }
}

impl From<(usize, usize)> for Padding {
    fn from((height, width): (usize, usize)) -> Self {
        Padding::Sides([(height, height), (width, width)])
    }
}

impl From<[(usize, usize); 2]> for Padding {
    fn from(sides: [(usize, usize); 2]) -> Self {
        Padding::Sides(sides)
    }
}

impl Padding {
    /// As a setting in a file.
    pub(crate) fn describe(self) -> Value {
        match self {
            Padding::Valid => json!("valid"),
            Padding::Same => json!("same"),
            Padding::Causal => json!("causal"),
            Padding::Sides(sides) => json!(sides),
        }
    }
}

impl Setting for Padding {
    fn read(value: &Value, place: Place<'_>) -> Result<Self> {
        match value.as_str() {
            None => Ok(Padding::Sides(Setting::read(value, place)?)),
            Some("valid") => Ok(Padding::Valid),
            Some("same") => Ok(Padding::Same),
            Some("causal") => Ok(Padding::Causal),
            Some(_) => Err(place.refuse("\"valid\", \"same\", \"causal\" or two pairs of numbers", value)),
        }
    }
}

/// A height and a width. `usize` gives the same for both, `(height, width)` each by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Size2d(pub(crate) [usize; 2]);

impl From<usize> for Size2d {
    fn from(both: usize) -> Self {
        Size2d([both; 2])
    }
}

impl From<(usize, usize)> for Size2d {
    fn from((height, width): (usize, usize)) -> Self {
        Size2d([height, width])
    }
}

/// The longest size, stride or dilation: what is reckoned with two of them stays a number.
const MOST: usize = i32::MAX as usize;

/// The settings of a window along one axis.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Window {
    /// The elements that a window takes.
    pub(crate) size: usize,
    /// How far the next window is.
    pub(crate) stride: usize,
    /// How far the next element of a window is.
    pub(crate) dilation: usize,
    /// Whether a last window that reaches over the end counts, if it begins before it (PyTorch's `ceil_mode`).
    pub(crate) ceil: bool,
}

/// The windows along one axis of a given length.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Axis {
    /// The elements of the axis.
    pub(crate) input: usize,
    /// The window.
    pub(crate) window: Window,
    /// The padding before the first element.
    pub(crate) before: usize,
    /// The padding after the last one.
    pub(crate) after: usize,
    /// The windows.
    pub(crate) output: usize,
}

impl Window {
    /// From the first to the last element of a window.
    pub(crate) fn extent(self) -> usize {
        (self.size - 1) * self.dilation + 1
    }

    /// Refuses settings that are none. `what` they are of stands in the error.
    pub(crate) fn check(self, what: &str) -> Result<()> {
        for (name, value) in [("size", self.size), ("stride", self.stride), ("dilation", self.dilation)] {
            if value == 0 {
                return Err(Error::setting(format!("{what} {name}"), "at least 1", value));
            }
            if value > MOST {
                return Err(Error::setting(format!("{what} {name}"), format!("at most {MOST}"), value));
            }
        }
        Ok(())
    }

    /// The windows over `input` elements. `axis` is 0 for the height, 1 for the width or a sequence.
    ///
    /// # Errors
    /// Where the window has no size, stride or dilation, or is longer than the padded axis.
    pub(crate) fn over(self, input: usize, padding: Padding, axis: usize) -> Result<Axis> {
        self.check("window")?;
        let extent = self.extent();
        let (before, after) = match padding {
            Padding::Valid => (0, 0),
            Padding::Causal => (extent - 1, 0),
            Padding::Sides(sides) => sides[axis],
            Padding::Same => {
                let output = input.div_ceil(self.stride);
                let total = (output.saturating_sub(1) * self.stride).saturating_add(extent).saturating_sub(input);
                (total / 2, total - total / 2)
            }
        };
        let padded = before.saturating_add(input).saturating_add(after);
        if padded < extent || input == 0 {
            let expected = format!("at least {extent} elements along the {}, padding counted", AXIS_NAMES[axis]);
            return Err(Error::shape("input", expected, &[padded]));
        }
        let mut output = (padded - extent) / self.stride + 1;
        let reaches_over = self.ceil && !(padded - extent).is_multiple_of(self.stride);
        if reaches_over && output.saturating_mul(self.stride) < before.saturating_add(input) {
            output += 1;
        }
        Ok(Axis { input, window: self, before, after, output })
    }
}

/// The names of the axes.
pub(crate) const AXIS_NAMES: [&str; 2] = ["height", "width"];

#[cfg(test)]
mod tests {
    use super::*;

    fn output(input: usize, window: [usize; 3], padding: Padding) -> usize {
        let [size, stride, dilation] = window;
        Window { size, stride, dilation, ceil: false }.over(input, padding, 1).unwrap().output
    }

    #[test]
    fn same_is_the_length_over_the_stride_rounded_up() {
        for input in 1..20 {
            for stride in 1..4 {
                for (size, dilation) in [(1, 1), (2, 1), (3, 1), (3, 2), (5, 1)] {
                    assert_eq!(output(input, [size, stride, dilation], Padding::Same), input.div_ceil(stride));
                }
            }
        }
    }

    #[test]
    fn valid_causal_and_explicit_lengths_are_those_of_pytorch() {
        assert_eq!(output(10, [3, 2, 1], Padding::Valid), 4);
        assert_eq!(output(10, [3, 2, 2], Padding::Valid), 3);
        assert_eq!(output(10, [3, 1, 2], Padding::Causal), 10);
        assert_eq!(output(10, [3, 2, 1], Padding::from([(0, 0), (1, 2)])), 6);
        let ceil = Window { size: 3, stride: 2, dilation: 1, ceil: true };
        assert_eq!(ceil.over(10, Padding::Valid, 1).unwrap().output, 5);
        // The last window would begin in the padding.
        let wide = Window { size: 2, stride: 3, dilation: 1, ceil: true };
        assert_eq!(wide.over(5, Padding::from(1), 1).unwrap().output, 2);
    }

    #[test]
    fn a_window_that_does_not_fit_says_so() {
        let window = Window { size: 5, stride: 1, dilation: 1, ceil: false };
        let error = window.over(3, Padding::Valid, 0).unwrap_err().to_string();
        assert!(error.contains("at least 5 elements along the height"), "{error}");
        assert!(Window { size: 0, ..window }.over(3, Padding::Valid, 0).is_err());
    }
}
