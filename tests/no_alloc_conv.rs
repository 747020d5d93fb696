//! Convolutions allocate nothing in a steady state.
//!
//! One test alone in this file, because the count is that of the whole process, worker threads included.

#[path = "common/counting.rs"]
mod counting;

use counting::{BATCH, Piece, check_all, piece, wave};
use layerwise::layers::*;
use layerwise::prelude::*;

fn pieces() -> Result<Vec<Piece>> {
    let (image, sequence) = (wave(&[BATCH, 7, 6, 4]), wave(&[BATCH, 9, 4]));
    let same = Padding::Same;
    Ok(vec![
        piece("Conv2d", Conv2d::new(5, 3), &image)?,
        piece("Conv2d pointwise", Conv2d::new(20, 1), &image)?,
        piece("Conv2d padded", Conv2d::new(5, (3, 2)).padding(same).activation(Activation::Relu), &image)?,
        piece("Conv2d strided", Conv2d::new(5, 3).stride(2).padding(1).without_bias(), &image)?,
        piece("Conv2d dilated", Conv2d::new(5, 2).dilation((3, 2)).padding([(0, 1), (2, 0)]), &image)?,
        piece("Conv2d grouped", Conv2d::new(6, 3).groups(2).padding(same), &image)?,
        piece("Conv2d Gelu", Conv2d::new(5, 3).activation(Activation::Gelu), &image)?,
        piece("Conv2d padded Gelu", Conv2d::new(5, 3).padding(same).activation(Activation::Gelu), &image)?,
        piece("Conv2d Softmax", Conv2d::new(5, 1).activation(Activation::Softmax), &image)?,
        piece("Conv2d of many channels", Conv2d::new(40, 3).padding(same), &wave(&[BATCH, 8, 8, 33]))?,
        piece("Conv1d", Conv1d::new(5, 3), &sequence)?,
        piece("Conv1d causal", Conv1d::new(5, 3).dilation(2).padding(Padding::Causal), &sequence)?,
        piece("Conv1d grouped", Conv1d::new(4, 3).stride(2).groups(4).activation(Activation::Gelu), &sequence)?,
        piece("ConvTranspose2d", ConvTranspose2d::new(5, 3), &image)?,
        piece("ConvTranspose2d pointwise", ConvTranspose2d::new(5, 1), &image)?,
        piece("ConvTranspose2d same", ConvTranspose2d::new(5, 4).stride(2).padding(same), &image)?,
        piece("ConvTranspose2d longer", ConvTranspose2d::new(5, 3).stride(3).output_padding((2, 1)), &image)?,
        piece("ConvTranspose2d grouped", ConvTranspose2d::new(6, 3).groups(2).padding(1), &image)?,
        piece("ConvTranspose2d Gelu", ConvTranspose2d::new(5, 3).stride(2).activation(Activation::Gelu), &image)?,
        piece("ConvTranspose1d", ConvTranspose1d::new(5, 3).stride(2), &sequence)?,
        piece("ConvTranspose1d dilated", ConvTranspose1d::new(4, 3).dilation(2).groups(2).padding(1), &sequence)?,
        piece("DepthwiseConv2d", DepthwiseConv2d::new(3), &image)?,
        piece("DepthwiseConv2d padded", DepthwiseConv2d::new(3).padding(same).stride(2), &image)?,
        piece("DepthwiseConv2d several", DepthwiseConv2d::new(3).multiplier(3).padding(same), &image)?,
        piece("DepthwiseConv2d Gelu", DepthwiseConv2d::new(3).activation(Activation::Gelu), &image)?,
        piece("DepthwiseConv1d", DepthwiseConv1d::new(3).padding(Padding::Causal), &sequence)?,
        piece("SeparableConv2d", SeparableConv2d::new(5, 3), &image)?,
        piece("SeparableConv2d padded", SeparableConv2d::new(5, 3).multiplier(2).padding(same), &image)?,
        piece("SeparableConv2d Gelu", SeparableConv2d::new(5, 3).stride(2).activation(Activation::Gelu), &image)?,
        piece("SeparableConv1d", SeparableConv1d::new(5, 3).activation(Activation::Relu), &sequence)?,
        piece("between others", network(), &image)?,
    ])
}

fn network() -> Sequential {
    let block = Sequential::new()
        .add(Conv2d::new(6, 3).padding(Padding::Same).without_bias())
        .add(BatchNormalization::new())
        .add(Activation::Relu)
        .add(SeparableConv2d::new(8, 3).padding(Padding::Same));
    Sequential::new()
        .add(Conv2d::new(8, 3).activation(Activation::Gelu))
        .add(Residual::new(block))
        .add(ConvTranspose2d::new(3, 2).stride(2))
        .add(Flatten::new())
        .add(Dense::new(3))
}

#[test]
fn nothing_is_allocated_in_a_steady_state() -> Result<()> {
    check_all(&mut pieces()?)
}
