//! The layers that move or normalise values allocate nothing in a steady state.
//!
//! One test alone in this file, because the count is that of the whole process, worker threads included.

#[path = "common/counting.rs"]
mod counting;

use counting::{BATCH, Piece, check_all, piece, wave};
use layerwise::layers::*;
use layerwise::prelude::*;

/// Every merge, with inputs that are spread and vectors along either axis. Sequences of 6 steps and 3 features.
fn merges() -> Graph {
    let mut graph = Graph::new();
    let x = graph.input();
    let y = graph.add(Dense::new(3), x);
    let narrow = graph.add(Dense::new(1), x);
    let product = graph.merge(Multiply::new(), &[x, y, narrow]);
    let difference = graph.merge(Subtract::new(), &[x, narrow]);
    let mean = graph.merge(Average::new(), &[narrow, y, product]);
    let largest = graph.merge(Maximum::new(), &[x, y, narrow]);
    let smallest = graph.merge(Minimum::new(), &[mean, largest]);
    let sum = graph.merge(Add::new(), &[smallest, difference, narrow]);
    let cosines = graph.merge(Dot::new(1).normalize(), &[sum, y]); // (3, 3)
    let back = graph.merge(Dot::along(2, 1), &[sum, cosines]); // (6, 3)
    graph.outputs(&[back])
}

/// Masks that go through every container and meet in merges.
fn masks() -> Sequential {
    let mut graph = Graph::new();
    let x = graph.input();
    let y = graph.add(Dense::new(3).activation(Activation::Tanh), x);
    let sum = graph.merge(Add::new(), &[x, y]);
    let long = graph.merge(Concatenate::new(1), &[sum, y]);
    let wide = graph.merge(Concatenate::new(-1), &[long, long]);
    let graph = graph.outputs(&[wide]);
    Sequential::new()
        .add(Masking::new(0.0))
        .add(Residual::new(SimpleRnn::new(3).return_sequences()))
        .add(graph)
        .add(Dropout::new(0.1))
        .add(SimpleRnn::new(4))
}

fn pieces() -> Result<Vec<Piece>> {
    let images = wave(&[BATCH, 4, 5, 8]);
    let steps = wave(&[BATCH, 6, 3]);
    let mut padded = steps.clone();
    padded.slice_axis_mut(ndarray::Axis(1), (4..).into()).fill(0.0);
    let linear = UpSampling2d::new((2, 2)).interpolation(Interpolation::Bilinear);
    let model = Sequential::new()
        .add(ChannelsLast::new())
        .add(ZeroPadding2d::new(1))
        .add(Dense::new(8))
        .add(Residual::new(Sequential::new().add(GroupNormalization::new(4)).add(Activation::Relu)))
        .add(SpatialDropout2d::new(0.2))
        .add(BatchNormalization::new())
        .add(PixelShuffle::new(2))
        .add(Flatten::new())
        .add(Dense::new(2));
    Ok(vec![
        piece("ZeroPadding1d", ZeroPadding1d::new(1, 2), &steps)?,
        piece("ZeroPadding2d", ZeroPadding2d::new((1, 2)), &images)?,
        piece("ReflectionPadding1d", ReflectionPadding1d::new(1, 2), &steps)?,
        piece("ReflectionPadding2d", ReflectionPadding2d::new(1), &images)?,
        piece("ReplicationPadding1d", ReplicationPadding1d::new(1, 2), &steps)?,
        piece("ReplicationPadding2d", ReplicationPadding2d::new(1), &images)?,
        piece("Cropping1d", Cropping1d::new(1, 2), &steps)?,
        piece("Cropping2d", Cropping2d::new(1), &images)?,
        piece("UpSampling1d", UpSampling1d::new(2), &steps)?,
        piece("UpSampling2d nearest", UpSampling2d::new((2, 3)), &images)?,
        piece("UpSampling2d bilinear", linear, &images)?,
        piece("UpSampling2d bicubic", linear.interpolation(Interpolation::Bicubic).align_corners(), &images)?,
        piece("UpSampling2d to a size", UpSampling2d::to_size((7, 3)), &images)?,
        piece("PixelShuffle", PixelShuffle::new(2), &images)?,
        piece("PixelUnshuffle", PixelUnshuffle::new(2), &wave(&[BATCH, 4, 6, 3]))?,
        piece("Permute, rank 3", Permute::new([2, 1]), &steps)?,
        piece("Permute, rank 4", Permute::new([3, 1, 2]), &images)?,
        piece("ChannelsLast", ChannelsLast::new(), &images)?,
        piece("ChannelsFirst", ChannelsFirst::new(), &images)?,
        piece("GroupNormalization", GroupNormalization::new(4), &images)?,
        piece("GroupNormalization without gamma", GroupNormalization::new(1).without_scale(), &images)?,
        piece("InstanceNormalization", InstanceNormalization::new(), &images)?,
        piece("InstanceNormalization of sequences", InstanceNormalization::new(), &steps)?,
        piece("LayerNormalization", LayerNormalization::new(), &images)?,
        piece("LayerNormalization over all axes", LayerNormalization::new().axes(3), &images)?,
        piece("RmsNormalization", RmsNormalization::new(), &images)?,
        piece("UnitNormalization", UnitNormalization::new(), &steps)?,
        piece("UnitNormalization of an inner axis", UnitNormalization::new().axis(1), &images)?,
        piece("AlphaDropout", AlphaDropout::new(0.2), &steps)?,
        piece("GaussianDropout", GaussianDropout::new(0.2), &steps)?,
        piece("GaussianNoise", GaussianNoise::new(0.2), &images)?,
        piece("ActivityRegularization", ActivityRegularization::new(0.1, 0.2), &images)?,
        piece("Identity", Identity::new(), &steps)?,
        piece("Rescaling", Rescaling::new(2.0).offset(1.0), &images)?,
        piece("Rescaling of channels", Rescaling::channels([2.0, 1.0, 0.5], [0.0, 1.0, 2.0]), &steps)?,
        piece("RepeatVector", RepeatVector::new(3), &wave(&[BATCH, 4]))?,
        piece("merges", merges(), &steps)?,
        piece("masks", masks(), &padded)?,
        piece("SpatialDropout1d", SpatialDropout1d::new(0.4), &steps)?,
        piece("SpatialDropout2d", SpatialDropout2d::new(0.4), &images)?,
        piece("a model of them", model, &wave(&[BATCH, 3, 4, 6]))?,
    ])
}

#[test]
fn nothing_is_allocated_in_a_steady_state() -> Result<()> {
    check_all(&mut pieces()?)
}
