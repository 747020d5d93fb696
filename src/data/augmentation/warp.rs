//! An image drawn anew through an affine map of its places: what shift, rotation and zoom have in common.

use serde_json::{Value, json};

use super::Image;
use crate::error::{Error, Result};
use crate::scalar::Scalar;

/// What is beyond the edge of an image.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Fill {
    /// One value: `k k k | a b c d | k k k`.
    Constant(f64),
    /// The last pixel: `a a a | a b c d | d d d`.
    Nearest,
    /// The image in a mirror at the edge: `c b a | a b c d | d c b`.
    Reflect,
}

impl Fill {
    pub(super) fn config(self) -> Value {
        match self {
            Fill::Constant(value) => json!({ "constant": value }),
            Fill::Nearest => json!("nearest"),
            Fill::Reflect => json!("reflect"),
        }
    }

    pub(super) fn check(self) -> Result<()> {
        match self {
            Fill::Constant(value) if !value.is_finite() => Err(Error::setting("fill", "a finite number", value)),
            _ => Ok(()),
        }
    }

    /// The place within `extent` that stands for `place`, if one does.
    pub(super) fn place(self, place: i64, extent: usize) -> Option<usize> {
        let count = extent as i64;
        if (0..count).contains(&place) {
            return Some(place as usize);
        }
        match self {
            Fill::Constant(_) => None,
            Fill::Nearest => Some(place.clamp(0, count - 1) as usize),
            Fill::Reflect => {
                let place = place.rem_euclid(2 * count);
                Some(place.min(2 * count - 1 - place) as usize)
            }
        }
    }

    /// The value that stands where no pixel does.
    pub(super) fn value<A: Scalar>(self) -> A {
        A::of(if let Fill::Constant(value) = self { value } else { 0.0 })
    }
}

/// Where in the old image a pixel of the new one comes from, around the centre c of the image:
/// `(y, x) = c + m ((row, column) - c) - shift`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Affine {
    /// By rows: y from row and column, x from row and column.
    pub(super) m: [[f64; 2]; 2],
    pub(super) shift: [f64; 2],
}

/// A place between pixels: the one before it, and how far from there to the next.
fn between(place: f64) -> (i64, f64) {
    let before = place.floor();
    (before as i64, place - before)
}

/// Draws an image anew, with bilinear interpolation between the four pixels around each place.
pub(super) fn warp<A: Scalar>(image: &mut Image<'_, A>, map: &Affine, fill: Fill) {
    let [height, width, channels] = image.shape();
    let centre = [(height as f64 - 1.0) / 2.0, (width as f64 - 1.0) / 2.0];
    let Affine { m: [[a, b], [c, d]], shift } = *map;
    // What of the map is the same for all pixels: a whole shift keeps whole numbers whole.
    let start_y = centre[0] - a * centre[0] - b * centre[1] - shift[0];
    let start_x = centre[1] - c * centre[0] - d * centre[1] - shift[1];
    let (from, to) = image.redraw();
    let beyond = fill.value::<A>();
    for (row, line) in to.chunks_exact_mut((width * channels).max(1)).enumerate() {
        for (column, pixel) in line.chunks_exact_mut(channels.max(1)).enumerate() {
            let (row, column) = (row as f64, column as f64);
            let (top, below) = between(a * row + b * column + start_y);
            let (left, right) = between(c * row + d * column + start_x);
            let weights = [(1.0 - below) * (1.0 - right), (1.0 - below) * right, below * (1.0 - right), below * right];
            let corner = |y: i64, x: i64| {
                let (y, x) = (fill.place(y, height)?, fill.place(x, width)?);
                Some(&from[(y * width + x) * channels..][..channels])
            };
            let corners = [(top, left), (top, left + 1), (top + 1, left), (top + 1, left + 1)];
            pixel.fill(A::zero());
            for ((y, x), weight) in corners.into_iter().zip(weights) {
                // So that a place on a pixel has its value alone, and NaN stays where it is.
                if weight == 0.0 {
                    continue;
                }
                let weight = A::of(weight);
                match corner(y, x) {
                    Some(corner) => pixel.iter_mut().zip(corner).for_each(|(new, &old)| *new += weight * old),
                    None => pixel.iter_mut().for_each(|new| *new += weight * beyond),
                }
            }
        }
    }
}
