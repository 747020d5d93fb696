//! Pooling allocates nothing in a steady state. One test alone in this file, as in `no_alloc.rs`.

#[path = "common/counting.rs"]
mod counting;

use counting::{BATCH, check_all, piece, wave};
use layerwise::layers::*;
use layerwise::prelude::*;

#[test]
fn nothing_is_allocated_in_a_steady_state() -> Result<()> {
    let (image, sequence) = (wave(&[BATCH, 5, 6, 3]), wave(&[BATCH, 7, 3]));
    let mut pieces = vec![
        piece("MaxPool2d, two by two", MaxPool2d::new(2), &image)?,
        piece("MaxPool2d", MaxPool2d::new(3).stride(2).padding(1).ceil_mode(), &image)?,
        piece("MaxPool1d", MaxPool1d::new(2).padding(Padding::Same), &sequence)?,
        piece("AveragePool2d", AveragePool2d::new((2, 3)).stride(1).padding([(0, 1), (1, 0)]), &image)?,
        piece("AveragePool1d", AveragePool1d::new(2).padding(1).count_include_pad(), &sequence)?,
        piece("LpPool2d", LpPool2d::new(2.0, 2).stride(1), &image)?,
        piece("LpPool1d", LpPool1d::new(4.0, 3), &sequence)?,
        piece("GlobalMaxPool2d", GlobalMaxPool2d::new(), &image)?,
        piece("GlobalMaxPool1d", GlobalMaxPool1d::new().keep_dims(), &sequence)?,
        piece("GlobalAveragePool2d", GlobalAveragePool2d::new().keep_dims(), &image)?,
        piece("GlobalAveragePool1d", GlobalAveragePool1d::new(), &sequence)?,
        piece("AdaptiveMaxPool2d", AdaptiveMaxPool2d::new((2, 4)), &image)?,
        piece("AdaptiveMaxPool1d", AdaptiveMaxPool1d::new(9), &sequence)?,
        piece("AdaptiveAveragePool2d", AdaptiveAveragePool2d::new(3), &image)?,
        piece("AdaptiveAveragePool1d", AdaptiveAveragePool1d::new(2), &sequence)?,
        piece("between others", network(), &image)?,
    ];
    check_all(&mut pieces)
}

fn network() -> Sequential {
    Sequential::new()
        .add(Dense::new(4).activation(Activation::Relu))
        .add(MaxPool2d::new(2))
        .add(Dense::new(4))
        .add(LpPool2d::new(2.0, 2))
        .add(GlobalAveragePool2d::new())
        .add(Dense::new(2))
}
