//! The gradients of the layers that move or normalise values held against finite differences.

#[path = "common/gradients.rs"]
mod gradients;

use gradients::{check, check_in, input};
use layerwise::layers::*;
use layerwise::prelude::*;

#[test]
fn padding_and_cropping() -> Result<()> {
    let images = [input(&[2, 3, 4, 2])];
    for sides in [[(1, 1), (1, 1)], [(0, 2), (3, 0)], [(1, 0), (0, 0)]] {
        check(ZeroPadding2d::new(sides), &images)?;
        check(ReflectionPadding2d::new(sides), &images)?;
        check(ReplicationPadding2d::new(sides), &images)?;
        check(Cropping2d::new(sides), &images)?;
    }
    let steps = [input(&[2, 4, 3])];
    for (before, after) in [(0, 0), (1, 2), (3, 0)] {
        check(ZeroPadding1d::new(before, after), &steps)?;
        check(ReflectionPadding1d::new(before, after), &steps)?;
        check(ReplicationPadding1d::new(before, after), &steps)?;
        check(Cropping1d::new(before, after), &steps)?;
    }
    // Wider than the input itself, which only a reflection may not be.
    check(ZeroPadding2d::new(5), &images)?;
    check(ReplicationPadding2d::new((6, 7)), &images)?;
    Ok(())
}

#[test]
fn upsampling_in_every_way() -> Result<()> {
    for shape in [[2, 2, 3, 2], [1, 1, 4, 1]] {
        let x = [input(&shape)];
        for layer in [UpSampling2d::new((2, 3)), UpSampling2d::to_size((3, 2)), UpSampling2d::to_size([1, 1])] {
            check(layer, &x)?;
            for interpolation in [Interpolation::Bilinear, Interpolation::Bicubic] {
                check(layer.interpolation(interpolation), &x)?;
                check(layer.interpolation(interpolation).align_corners(), &x)?;
            }
        }
    }
    check(UpSampling1d::new(3), &[input(&[2, 4, 3])])?;
    Ok(())
}

#[test]
fn values_that_change_their_places() -> Result<()> {
    check(PixelShuffle::new(2), &[input(&[2, 2, 3, 8])])?;
    check(PixelUnshuffle::new(3), &[input(&[2, 3, 6, 2])])?;
    for dims in [[1, 2, 3], [3, 1, 2], [2, 3, 1], [2, 1, 3]] {
        check(Permute::new(dims), &[input(&[2, 3, 4, 2])])?;
    }
    for shape in [&[2, 3, 4][..], &[2, 3, 4, 2]] {
        check(ChannelsLast::new(), &[input(shape)])?;
        check(ChannelsFirst::new(), &[input(shape)])?;
    }
    Ok(())
}

#[test]
fn normalisation_of_each_sample() -> Result<()> {
    for shape in [&[3, 6][..], &[2, 3, 6], &[2, 2, 3, 6]] {
        let x = [input(shape)];
        for groups in [1, 2, 3] {
            let [training, inference] = check(GroupNormalization::of(groups), &x)?;
            assert_eq!(training.compared, x[0].len() + 12);
            assert_eq!(training.compared, inference.compared);
            check(GroupNormalization::of(groups).without_center().epsilon(1e-5), &x)?;
            check(GroupNormalization::of(groups).without_scale(), &x)?;
            check(GroupNormalization::of(groups).without_center().without_scale(), &x)?;
        }
        check(LayerNormalization::of(), &x)?;
        check(LayerNormalization::of().without_scale(), &x)?;
        if shape.len() > 2 {
            check(InstanceNormalization::of(), &x)?;
            check(InstanceNormalization::of().without_center().without_scale(), &x)?;
        }
    }
    Ok(())
}

#[test]
fn channels_that_are_dropped() -> Result<()> {
    for rate in [0.0, 0.3, 0.9] {
        check(SpatialDropout1d::new(rate), &[input(&[4, 3, 5])])?;
        check(SpatialDropout2d::new(rate), &[input(&[3, 2, 2, 5])])?;
    }
    Ok(())
}

#[test]
fn a_network_of_them_with_its_data_channels_first() -> Result<()> {
    let mut model = Sequential::of()
        .add(ChannelsLast::new())
        .add(ReflectionPadding2d::new(1))
        .add(Dense::of(4))
        .add(Residual::new(Sequential::of().add(GroupNormalization::of(2)).add(Activation::Tanh)))
        .add(SpatialDropout2d::new(0.3))
        .add(UpSampling2d::new((2, 1)).interpolation(Interpolation::Bilinear))
        .add(Cropping2d::new([(1, 0), (1, 0)]))
        .add(InstanceNormalization::of())
        .add(PixelShuffle::new(2))
        .add(ChannelsFirst::new());
    for mode in [Mode::Training, Mode::Inference] {
        let report = check_in(mode, &mut model, &[input(&[2, 3, 3, 4])])?;
        // x, the dense layer, and two normalisations of four channels.
        assert_eq!(report.compared, 72 + 16 + 8 + 8);
    }
    Ok(())
}
