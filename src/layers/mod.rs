//! The layers, one file each.

mod activation;
mod activity_regularization;
mod alpha_dropout;
mod batch_normalization;
mod conv;
mod dense;
mod dropout;
mod embedding;
mod flatten;
mod gaussian_dropout;
mod gaussian_noise;
mod group_layout;
mod group_normalization;
mod groups;
mod identity;
mod image;
mod instance_normalization;
mod lambda;
mod layer_normalization;
mod masking;
mod merge;
mod noise;
mod padding;
mod permute;
mod pixel_shuffle;
mod pooling;
mod prelu;
mod repeat_vector;
mod rescaling;
mod reshape;
mod rms_normalization;
mod rules;
mod simple_rnn;
mod softmax;
mod spatial_dropout;
mod thin;
mod unit_normalization;
mod upsampling;
mod window;

pub use activation::Activation;
pub use activity_regularization::ActivityRegularization;
pub use alpha_dropout::AlphaDropout;
pub use batch_normalization::BatchNormalization;
pub use conv::{
    Conv1d, Conv2d, ConvTranspose1d, ConvTranspose2d, Convolution, DepthwiseConv1d, DepthwiseConv2d,
    DepthwiseConvolution, Extents, SeparableConv1d, SeparableConv2d, SeparableConvolution, TransposedConvolution,
};
pub use dense::Dense;
pub use dropout::Dropout;
pub use embedding::Embedding;
pub use flatten::Flatten;
pub use gaussian_dropout::GaussianDropout;
pub use gaussian_noise::GaussianNoise;
pub use group_normalization::GroupNormalization;
pub use identity::Identity;
pub use instance_normalization::InstanceNormalization;
pub use lambda::Lambda;
pub use layer_normalization::LayerNormalization;
pub use masking::Masking;
pub use merge::{Add, Average, Concatenate, Dot, Maximum, Minimum, Multiply, Subtract};
pub use padding::{
    Cropping1d, Cropping2d, ReflectionPadding1d, ReflectionPadding2d, ReplicationPadding1d, ReplicationPadding2d,
    ZeroPadding1d, ZeroPadding2d,
};
pub use permute::{ChannelsFirst, ChannelsLast, Permute};
pub use pixel_shuffle::{PixelShuffle, PixelUnshuffle};
pub use pooling::{
    AdaptiveAveragePool1d, AdaptiveAveragePool2d, AdaptiveMaxPool1d, AdaptiveMaxPool2d, AveragePool1d, AveragePool2d,
    GlobalAveragePool1d, GlobalAveragePool2d, GlobalMaxPool1d, GlobalMaxPool2d, LpPool1d, LpPool2d, MaxPool1d,
    MaxPool2d,
};
pub use prelu::PRelu;
pub use repeat_vector::RepeatVector;
pub use rescaling::Rescaling;
pub use reshape::Reshape;
pub use rms_normalization::RmsNormalization;
pub use simple_rnn::SimpleRnn;
pub use softmax::{LogSoftmax, Softmax, SoftmaxOver};
pub use spatial_dropout::{SpatialDropout1d, SpatialDropout2d};
pub use unit_normalization::UnitNormalization;
pub use upsampling::{Interpolation, UpSampling1d, UpSampling2d};
pub use window::{Padding, Size2d};

use std::fmt::Display;

use ndarray::IxDyn;

use crate::error::{Error, Result};
use crate::io::Registry;
use crate::scalar::Scalar;
use crate::tensor::Tensor;

/// Tells the registry how each layer and merge is made.
pub(crate) fn register<A: Scalar>(registry: &mut Registry<A>) {
    for &kind in Activation::KINDS {
        registry.layer(kind, move |settings| Activation::from_config(kind, settings));
    }
    registry.layer("ActivityRegularization", ActivityRegularization::from_config);
    registry.layer("AlphaDropout", AlphaDropout::from_config);
    registry.layer("BatchNormalization", BatchNormalization::from_config);
    registry.layer("ChannelsFirst", ChannelsFirst::from_config);
    registry.layer("ChannelsLast", ChannelsLast::from_config);
    registry.layer("Dense", Dense::from_config);
    registry.layer("Dropout", Dropout::from_config);
    registry.layer("Embedding", Embedding::from_config);
    registry.layer("Flatten", |_| Ok(Flatten));
    registry.layer("GaussianDropout", GaussianDropout::from_config);
    registry.layer("GaussianNoise", GaussianNoise::from_config);
    registry.layer("GroupNormalization", GroupNormalization::from_config);
    registry.layer("Identity", |_| Ok(Identity));
    registry.layer("InstanceNormalization", InstanceNormalization::from_config);
    registry.layer("LayerNormalization", LayerNormalization::from_config);
    registry.layer(LogSoftmax::KIND, LogSoftmax::from_config);
    registry.layer("Masking", Masking::from_config);
    registry.layer("Permute", Permute::from_config);
    registry.layer("PixelShuffle", PixelShuffle::from_config);
    registry.layer("PixelUnshuffle", PixelUnshuffle::from_config);
    registry.layer("PRelu", PRelu::from_config);
    registry.layer("RepeatVector", RepeatVector::from_config);
    registry.layer("Rescaling", Rescaling::from_config);
    registry.layer("Reshape", Reshape::from_config);
    registry.layer("RmsNormalization", RmsNormalization::from_config);
    registry.layer("SimpleRNN", SimpleRnn::from_config);
    registry.layer(Softmax::KIND, Softmax::from_config);
    registry.layer("SpatialDropout1d", SpatialDropout1d::from_config);
    registry.layer("SpatialDropout2d", SpatialDropout2d::from_config);
    registry.layer("UnitNormalization", UnitNormalization::from_config);
    registry.layer("UpSampling1d", UpSampling1d::from_config);
    registry.layer("UpSampling2d", UpSampling2d::from_config);
    conv::register(registry);
    merge::register(registry);
    padding::register(registry);
    pooling::register(registry);
}

/// The length of the last axis of a sample of the shape `input`.
fn features(input: &[usize]) -> Result<usize> {
    match input.last() {
        Some(&features) if features > 0 => Ok(features),
        _ => Err(Error::shape("input of one sample", "a last axis of features", input)),
    }
}

/// Refuses an input whose last axis is another than the one that the layer was built for.
fn check_features(features: usize, built: Option<usize>, shape: &[usize]) -> Result<()> {
    match built {
        Some(built) if built != features => {
            Err(Error::shape("input", format!("{built} features on the last axis"), shape))
        }
        _ => Ok(()),
    }
}

/// The same for a batch, which has an axis of samples too.
fn check_batch<A>(x: &Tensor<A>, features: usize) -> Result<()> {
    match x.shape() {
        [_, .., last] => check_features(*last, Some(features), x.shape()),
        _ => Err(Error::shape("input", format!("shape (batch, ..., {features})"), x.shape())),
    }
}

/// The axis of a layer in tensors of `rank` axes, the batch among them, from the end if it is negative.
fn resolve_axis(kind: impl Display, axis: isize, rank: usize) -> Result<usize> {
    let resolved = if axis < 0 { axis.saturating_add_unsigned(rank) } else { axis };
    match usize::try_from(resolved) {
        Ok(resolved) if resolved > 0 && resolved < rank => Ok(resolved),
        _ => Err(Error::setting(format!("axis of {kind}"), format!("an axis of {rank} other than 0, the batch"), axis)),
    }
}

/// The same values in another shape, without a copy.
fn reshaped<A: Scalar>(x: &Tensor<A>, shape: &[usize]) -> Result<Tensor<A>> {
    let refused = |_| Error::shape("tensor", format!("row-major values for shape {shape:?}"), x.shape());
    x.clone().into_shape_with_order(IxDyn(shape)).map_err(refused)
}
