//! What goes wrong with the layers that move or normalise values is said with what was expected and what came; what is
//! odd but no mistake goes through.

use layerwise::layers::*;
use layerwise::prelude::*;
use ndarray::{ArrayD, IxDyn};

fn zeros(shape: &[usize]) -> Tensor {
    ArrayD::zeros(IxDyn(shape)).into_shared()
}

fn boxed(layer: impl Layer + 'static) -> Box<dyn Layer> {
    Box::new(layer)
}

#[test]
fn settings_and_shapes_are_checked_when_a_model_is_built() {
    let sides = "padding must be a number of elements for each side, got ";
    let no_image = "input of one sample: expected shape (height, width, channels) without a 0, got shape ";
    let no_sequence = "input of one sample: expected shape (time, features) without a 0, got shape ";
    let cases: Vec<(Box<dyn Layer>, &[usize], String)> = vec![
        (boxed(ZeroPadding2d::new(Padding::Same)), &[4, 4, 1], format!("{sides}\"same\"")),
        (boxed(Cropping2d::new(Padding::Causal)), &[4, 4, 1], format!("{sides}\"causal\"")),
        (boxed(ReplicationPadding2d::new(Padding::Valid)), &[4, 4, 1], format!("{sides}\"valid\"")),
        (boxed(ZeroPadding2d::new(1)), &[4, 4], format!("{no_image}[4, 4]")),
        (boxed(ReflectionPadding2d::new(0)), &[4, 0, 2], format!("{no_image}[4, 0, 2]")),
        (boxed(ZeroPadding1d::new(1, 1)), &[4], format!("{no_sequence}[4]")),
        (boxed(Cropping1d::new(1, 1)), &[4, 4, 1], format!("{no_sequence}[4, 4, 1]")),
        (
            boxed(ReflectionPadding2d::new([(1, 3), (1, 1)])),
            &[3, 5, 2],
            "input: expected more than the 3 elements along the height that the layer reflects, got shape [3, 5, 2]"
                .into(),
        ),
        (
            boxed(ReflectionPadding1d::new(4, 0)),
            &[4, 2],
            "input: expected more than the 4 elements along the time that the layer reflects, got shape [4, 2]".into(),
        ),
        (
            boxed(Cropping2d::new([(0, 0), (2, 3)])),
            &[3, 5, 2],
            "input: expected more than the 5 elements along the width that the layer crops, got shape [3, 5, 2]".into(),
        ),
        (
            boxed(Cropping1d::new(usize::MAX, 1)),
            &[4, 2],
            format!(
                "input: expected more than the {} elements along the time that the layer crops, got shape [4, 2]",
                usize::MAX
            ),
        ),
        (
            boxed(UpSampling2d::new((2, 0))),
            &[4, 4, 1],
            "factors of the upsampling must be at least 1, got [2, 0]".into(),
        ),
        (boxed(UpSampling1d::new(0)), &[4, 4], "factors of the upsampling must be at least 1, got [1, 0]".into()),
        (
            boxed(UpSampling2d::to_size((0, 3))),
            &[4, 4, 1],
            "size of the upsampled image must be at least 1, got [0, 3]".into(),
        ),
        (
            boxed(UpSampling2d::new((2, 2)).align_corners()),
            &[4, 4, 1],
            "interpolation must be Bilinear or Bicubic where corners are aligned, got Nearest".into(),
        ),
        (boxed(UpSampling2d::new((2, 2))), &[4, 4], format!("{no_image}[4, 4]")),
        (boxed(PixelShuffle::new(0)), &[4, 4, 4], "factor of the pixel shuffle must be at least 1, got 0".into()),
        (
            boxed(PixelShuffle::new(3)),
            &[4, 4, 12],
            "input: expected a multiple of 9 channels, got shape [4, 4, 12]".into(),
        ),
        (
            boxed(PixelUnshuffle::new(2)),
            &[4, 5, 1],
            "input: expected a height and a width that are multiples of 2, got shape [4, 5, 1]".into(),
        ),
        (
            boxed(Permute::new([1, 1])),
            &[4, 5],
            "dims of Permute must be the numbers from 1 to that of the axes, at most 7, once each, got [1, 1]".into(),
        ),
        (
            boxed(Permute::new([0, 1])),
            &[4, 5],
            "dims of Permute must be the numbers from 1 to that of the axes, at most 7, once each, got [0, 1]".into(),
        ),
        (
            boxed(Permute::new([8, 1, 2, 3, 4, 5, 6, 7])),
            &[1; 8],
            "dims of Permute must be the numbers from 1 to that of the axes, at most 7, once each, got [8, 1, 2, 3, \
             4, 5, 6, 7]"
                .into(),
        ),
        (boxed(Permute::new([2, 1])), &[4, 5, 6], "input of one sample: expected 2 axes, got shape [4, 5, 6]".into()),
        (
            boxed(ChannelsLast::new()),
            &[4],
            "input of one sample: expected from 2 to 7 axes, one of them for the channels, got shape [4]".into(),
        ),
        (
            boxed(ChannelsFirst::new()),
            &[1; 8],
            "input of one sample: expected from 2 to 7 axes, one of them for the channels, got shape [1, 1, 1, 1, 1, \
             1, 1, 1]"
                .into(),
        ),
        (boxed(GroupNormalization::new(0)), &[4, 6], "groups must be a divisor of the 6 channels, got 0".into()),
        (boxed(GroupNormalization::new(4)), &[4, 6], "groups must be a divisor of the 6 channels, got 4".into()),
        (
            boxed(GroupNormalization::new(2).epsilon(0.0)),
            &[4, 6],
            "epsilon must be a finite number above 0, got 0".into(),
        ),
        (
            boxed(LayerNormalization::new().epsilon(f64::NAN)),
            &[4],
            "epsilon must be a finite number above 0, got NaN".into(),
        ),
        (
            boxed(InstanceNormalization::new()),
            &[4],
            "input of one sample: expected at least 2 values in each group, got shape [4]".into(),
        ),
        (
            boxed(LayerNormalization::new()),
            &[4, 1],
            "input of one sample: expected at least 2 values in each group, got shape [4, 1]".into(),
        ),
        (
            boxed(GroupNormalization::new(1)),
            &[],
            "input of one sample: expected a last axis of features, got shape []".into(),
        ),
        (boxed(SpatialDropout2d::new(1.0)), &[4, 4, 1], "dropout rate must be at least 0 and below 1, got 1".into()),
        (boxed(SpatialDropout2d::new(0.5)), &[4, 4], format!("{no_image}[4, 4]")),
        (boxed(SpatialDropout1d::new(0.5)), &[4], format!("{no_sequence}[4]")),
    ];
    for (mut layer, input, message) in cases {
        let error = layer.initialize(input, 0).expect_err(&message);
        assert_eq!(error.to_string(), message);
        // A layer without parameters can be used without having been built: it says the same, with the batch's shape.
        let batch = zeros(&[&[2], input].concat());
        assert!(layer.predict(&batch).is_err(), "{message}");
    }
}

/// A layer, the samples that it is built for, a batch that it cannot take, and what it says.
type Batch = (Box<dyn Layer>, &'static [usize], Tensor, String);

#[test]
fn a_batch_of_another_shape_is_refused() -> Result<()> {
    let no_image = "input: expected shape (batch, height, width, channels) without a 0 after the batch, got shape ";
    let no_sequence = "input: expected shape (batch, time, features) without a 0 after the batch, got shape ";
    let cases: Vec<Batch> = vec![
        (boxed(ZeroPadding2d::new(1)), &[4, 4, 1], zeros(&[2, 4, 4]), format!("{no_image}[2, 4, 4]")),
        (boxed(ZeroPadding1d::new(1, 1)), &[4, 1], zeros(&[2, 0, 4]), format!("{no_sequence}[2, 0, 4]")),
        (boxed(UpSampling2d::new((2, 2))), &[4, 4, 1], zeros(&[]), format!("{no_image}[]")),
        (boxed(PixelShuffle::new(2)), &[4, 4, 4], zeros(&[2, 4]), format!("{no_image}[2, 4]")),
        (boxed(SpatialDropout1d::new(0.5)), &[4, 1], zeros(&[4]), format!("{no_sequence}[4]")),
        (
            boxed(Cropping2d::new(1)),
            &[4, 4, 1],
            zeros(&[2, 4, 2, 1]),
            "input: expected more than the 2 elements along the width that the layer crops, got shape [2, 4, 2, 1]"
                .into(),
        ),
        (
            boxed(PixelUnshuffle::new(2)),
            &[4, 4, 1],
            zeros(&[2, 4, 3, 1]),
            "input: expected a height and a width that are multiples of 2, got shape [2, 4, 3, 1]".into(),
        ),
        (
            boxed(Permute::new([2, 1])),
            &[4, 5],
            zeros(&[4, 5]),
            "input of one sample: expected 2 axes, got shape [5]".into(),
        ),
        (boxed(ChannelsLast::new()), &[4, 5], zeros(&[]), "input: expected a batch axis, got shape []".into()),
        (
            boxed(GroupNormalization::new(2)),
            &[4, 6],
            zeros(&[3, 4, 4]),
            "input: expected 6 features on the last axis, got shape [3, 4, 4]".into(),
        ),
        (
            boxed(InstanceNormalization::new()),
            &[4, 6],
            zeros(&[6]),
            "input: expected shape (batch, ..., 6), got shape [6]".into(),
        ),
        (
            boxed(GroupNormalization::new(2).without_center().without_scale()),
            &[4, 6],
            zeros(&[3, 5]),
            "groups must be a divisor of the 5 channels, got 2".into(),
        ),
    ];
    for (mut layer, sample, x, message) in cases {
        layer.initialize(sample, 0)?;
        let error = layer.forward(&x, &mut Context::training(&*layer, 0)).expect_err(&message);
        assert_eq!(error.to_string(), message);
    }
    let unbuilt = GroupNormalization::new(2).predict(&zeros(&[2, 4])).unwrap_err();
    assert!(matches!(unbuilt, Error::NotBuilt));
    let mut built = LayerNormalization::new();
    built.initialize(&[3, 6], 0)?;
    let error = built.initialize(&[5], 0).unwrap_err().to_string();
    assert_eq!(error, "input: expected 6 features on the last axis, got shape [5]");
    Ok(())
}

/// One of each, for samples of (4, 4, 8).
fn layers() -> Vec<Box<dyn Layer>> {
    vec![
        boxed(ZeroPadding2d::new(0)),
        boxed(ReflectionPadding2d::new(1)),
        boxed(ReplicationPadding2d::new((1, 0))),
        boxed(Cropping2d::new(1)),
        boxed(UpSampling2d::new((2, 1))),
        boxed(UpSampling2d::to_size((3, 5)).interpolation(Interpolation::Bilinear)),
        boxed(UpSampling2d::new((2, 2)).interpolation(Interpolation::Bicubic).align_corners()),
        boxed(PixelShuffle::new(2)),
        boxed(PixelUnshuffle::new(2)),
        boxed(Permute::new([2, 3, 1])),
        boxed(ChannelsLast::new()),
        boxed(ChannelsFirst::new()),
        boxed(GroupNormalization::new(2)),
        boxed(InstanceNormalization::new()),
        boxed(LayerNormalization::new()),
        boxed(SpatialDropout2d::new(0.5)),
    ]
}

#[test]
fn a_batch_of_no_samples_gives_none() -> Result<()> {
    for mut layer in layers() {
        let built = layer.initialize(&[4, 4, 8], 0)?;
        let (x, mut ctx) = (zeros(&[0, 4, 4, 8]), Context::training(&*layer, 0));
        let y = layer.forward(&x, &mut ctx)?;
        assert_eq!(y.shape(), [&[0], &built[..]].concat(), "{}", layer.kind());
        let dx = layer.backward(&x, &y, &y, true, &mut ctx)?;
        assert_eq!(dx.expect("it was asked for").shape(), x.shape(), "{}", layer.kind());
    }
    Ok(())
}

#[test]
fn nan_flows_through_every_layer() -> Result<()> {
    let x = Tensor::from_elem(IxDyn(&[2, 4, 4, 8]), f32::NAN);
    for mut layer in layers() {
        layer.initialize(&[4, 4, 8], 0)?;
        let trained = layer.forward(&x, &mut Context::training(&*layer, 0))?;
        let used = layer.predict(&x)?;
        assert!(trained.iter().chain(&used).all(|y| y.is_nan()), "{}", layer.kind());
    }
    Ok(())
}

#[test]
fn nobody_computes_a_gradient_that_nobody_wants() -> Result<()> {
    for mut layer in layers() {
        layer.initialize(&[4, 4, 8], 0)?;
        let (x, mut ctx) = (zeros(&[2, 4, 4, 8]), Context::training(&*layer, 0));
        let y = layer.forward(&x, &mut ctx)?;
        assert!(layer.backward(&x, &y, &y, false, &mut ctx)?.is_none(), "{}", layer.kind());
        assert_eq!(ctx.mark(), 0, "{} leaves something behind", layer.kind());
    }
    Ok(())
}

#[test]
fn large_means_cost_no_digits() -> Result<()> {
    // Steps of 1 around 2^20, where the square of a value has lost them in f32.
    let values = |i: usize| 1_048_576.0 + [-1.5_f32, -0.5, 0.5, 1.5][i / 8 % 4];
    let x = Tensor::from_shape_vec(IxDyn(&[1, 4, 4, 8]), (0..128).map(values).collect()).expect("128 values");
    for mut layer in
        [boxed(GroupNormalization::new(2).epsilon(1e-9)), boxed(InstanceNormalization::new().epsilon(1e-9))]
    {
        layer.initialize(&[4, 4, 8], 0)?;
        for (x, y) in x.iter().zip(&layer.predict(&x)?) {
            let expected = (x - 1_048_576.0) / 1.25_f32.sqrt();
            assert!((y - expected).abs() < 1e-6, "{}: {y} instead of {expected}", layer.kind());
        }
    }
    Ok(())
}

#[test]
fn a_shuffle_is_undone_by_its_opposite() -> Result<()> {
    let x = Tensor::from_shape_vec(IxDyn(&[2, 6, 4, 12]), (0..576).map(|i| i as f32).collect()).expect("576 values");
    let there_and_back: [Sequential; 3] = [
        Sequential::new().add(PixelShuffle::new(2)).add(PixelUnshuffle::new(2)),
        Sequential::new().add(ChannelsFirst::new()).add(ChannelsLast::new()),
        Sequential::new().add(ZeroPadding2d::new([(1, 2), (3, 0)])).add(Cropping2d::new([(1, 2), (3, 0)])),
    ];
    for model in there_and_back {
        assert_eq!(model.predict(&x)?, x);
    }
    Ok(())
}
