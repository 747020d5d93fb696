use std::ops::Range;

use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// A rectangle in an image, cut off at its edges.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Patch {
    pub(super) rows: Range<usize>,
    pub(super) columns: Range<usize>,
}

impl Patch {
    /// Of a size, around a pixel of the image that chance has chosen.
    pub(super) fn draw(
        [image_height, image_width]: [usize; 2],
        [height, width]: [usize; 2],
        rng: &mut ChaCha8Rng,
    ) -> Self {
        let mut span = |extent: usize, length: usize| {
            let start = rng.random_range(0..extent) as i64 - length as i64 / 2;
            start.max(0) as usize..(start + length as i64).clamp(0, extent as i64) as usize
        };
        Patch { rows: span(image_height, height), columns: span(image_width, width) }
    }

    pub(super) fn area(&self) -> usize {
        self.rows.len() * self.columns.len()
    }

    /// Where the values of each of its rows stand in an image of this width and as many channels.
    pub(super) fn lines(&self, width: usize, channels: usize) -> impl Iterator<Item = Range<usize>> + use<> {
        let Patch { rows, columns } = self.clone();
        rows.map(move |row| (row * width + columns.start) * channels..(row * width + columns.end) * channels)
    }
}
