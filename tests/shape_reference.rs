//! The layers that move or normalise values held against PyTorch, in both number types.

#[path = "common/cases.rs"]
mod common;

use common::{array, cases, counts, flag, numbers, pair, run, size};
use layerwise::layers::*;
use layerwise::prelude::*;
use serde_json::Value;

const FILE: &str = include_str!("reference/shape_torch.json");

/// How far a padding or cropping of images goes on each side.
fn sides(value: &Value) -> Padding {
    Padding::from([pair(&value[0]), pair(&value[1])])
}

fn upsampling(config: &Value) -> UpSampling2d {
    let layer = match &config["size"] {
        Value::Null => UpSampling2d::new(pair(&config["factors"])),
        size => UpSampling2d::to_size(pair(size)),
    };
    let layer = layer.interpolation(match config["interpolation"].as_str().unwrap() {
        "nearest" => Interpolation::Nearest,
        "bilinear" => Interpolation::Bilinear,
        "bicubic" => Interpolation::Bicubic,
        other => panic!("unknown interpolation {other}"),
    });
    if flag(config, "align_corners") { layer.align_corners() } else { layer }
}

/// The settings that the three normalisations have in common.
macro_rules! normalization {
    ($layer:expr, $config:ident) => {{
        let mut layer = $layer.epsilon($config["epsilon"].as_f64().unwrap());
        if !flag($config, "center") {
            layer = layer.without_center();
        }
        if !flag($config, "scale") {
            layer = layer.without_scale();
        }
        Box::new(layer)
    }};
}

fn layer<A: Scalar>(kind: &str, config: &Value) -> Box<dyn Layer<A>> {
    let ends = || pair(&config["padding"]);
    let rate = || config["rate"].as_f64().unwrap();
    match kind {
        "ZeroPadding1d" => Box::new(ZeroPadding1d::new(ends().0, ends().1)),
        "ZeroPadding2d" => Box::new(ZeroPadding2d::new(sides(&config["padding"]))),
        "ReflectionPadding1d" => Box::new(ReflectionPadding1d::new(ends().0, ends().1)),
        "ReflectionPadding2d" => Box::new(ReflectionPadding2d::new(sides(&config["padding"]))),
        "ReplicationPadding1d" => Box::new(ReplicationPadding1d::new(ends().0, ends().1)),
        "ReplicationPadding2d" => Box::new(ReplicationPadding2d::new(sides(&config["padding"]))),
        "Cropping1d" => {
            let (before, after) = pair(&config["cropping"]);
            Box::new(Cropping1d::new(before, after))
        }
        "Cropping2d" => Box::new(Cropping2d::new(sides(&config["cropping"]))),
        "UpSampling1d" => Box::new(UpSampling1d::new(size(config, "factor"))),
        "UpSampling2d" => Box::new(upsampling(config)),
        "PixelShuffle" => Box::new(PixelShuffle::new(size(config, "factor"))),
        "PixelUnshuffle" => Box::new(PixelUnshuffle::new(size(config, "factor"))),
        "Permute" => Box::new(Permute::new(numbers(&config["dims"]))),
        "ChannelsFirst" => Box::new(ChannelsFirst::new()),
        "ChannelsLast" => Box::new(ChannelsLast::new()),
        "GroupNormalization" => normalization!(GroupNormalization::of(size(config, "groups")), config),
        "InstanceNormalization" => normalization!(InstanceNormalization::of(), config),
        "LayerNormalization" => normalization!(LayerNormalization::of(), config),
        "BatchNormalization" => Box::new(
            BatchNormalization::of()
                .momentum(config["momentum"].as_f64().unwrap())
                .epsilon(config["epsilon"].as_f64().unwrap())
                .unbiased(flag(config, "unbiased")),
        ),
        "SpatialDropout1d" => Box::new(SpatialDropout1d::new(rate())),
        "SpatialDropout2d" => Box::new(SpatialDropout2d::new(rate())),
        other => panic!("unknown kind {other}"),
    }
}

/// Runs all cases; the layer's settings are those of the file, name by name.
fn run_all<A: Scalar>(tolerance: f64) -> Result<()> {
    for case in &cases(FILE) {
        let (kind, config) = (case["kind"].as_str().unwrap(), &case["config"]);
        let layer = layer::<A>(kind, config);
        assert_eq!(layer.kind(), kind);
        for (name, setting) in config.as_object().unwrap() {
            assert_eq!(&layer.config()[name], setting, "{kind}: {name}");
        }
        run::<A>(case, layer, tolerance)?;
    }
    Ok(())
}

#[test]
fn every_case_in_f64() -> Result<()> {
    run_all::<f64>(1e-12)
}

#[test]
fn every_case_in_f32() -> Result<()> {
    run_all::<f32>(2e-5)
}

#[test]
fn there_are_cases_of_every_kind_with_values_in_them() {
    let cases = cases(FILE);
    assert!(cases.iter().all(|case| !array(&case["outputs"][0]).is_empty()));
    let expected = [
        ("BatchNormalization", 10),
        ("ChannelsFirst", 5),
        ("ChannelsLast", 5),
        ("Cropping1d", 9),
        ("Cropping2d", 12),
        ("GroupNormalization", 25),
        ("InstanceNormalization", 10),
        ("LayerNormalization", 8),
        ("Permute", 9),
        ("PixelShuffle", 6),
        ("PixelUnshuffle", 6),
        ("ReflectionPadding1d", 9),
        ("ReflectionPadding2d", 12),
        ("ReplicationPadding1d", 9),
        ("ReplicationPadding2d", 12),
        ("SpatialDropout1d", 4),
        ("SpatialDropout2d", 3),
        ("UpSampling1d", 6),
        ("UpSampling2d", 75),
        ("ZeroPadding1d", 9),
        ("ZeroPadding2d", 12),
    ];
    assert_eq!(counts(&cases), expected.into());
}
