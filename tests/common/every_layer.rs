//! Every layer of the crate, with and without settings of its own, and what it may be built for.

use layerwise::layers::*;
use layerwise::prelude::*;
use layerwise::{FanMode, Spread};
use ndarray::{ArrayD, IxDyn};

/// A layer and the shape of a sample for it.
pub type Case = (Box<dyn Layer>, Vec<usize>);

fn case(layer: impl Layer + 'static, input: &[usize]) -> Case {
    (Box::new(layer), input.to_vec())
}

/// All of them: each kind at least once, each setting at least once with another value than its default.
pub fn cases() -> Vec<Case> {
    [activations(), plain(), convolutions(), pooling(), moving(), containers()].into_iter().flatten().collect()
}

fn activations() -> Vec<Case> {
    let all = [
        Activation::Linear,
        Activation::Relu,
        Activation::LeakyRelu(0.125),
        Activation::LeakyRelu(f64::INFINITY),
        Activation::Sigmoid,
        Activation::Tanh,
        Activation::Softmax,
        Activation::Gelu,
        Activation::GeluTanh,
        Activation::Relu6,
        Activation::Elu(0.5),
        Activation::Selu,
        Activation::Celu(0.5),
        Activation::LogSigmoid,
        Activation::HardSigmoid,
        Activation::HardTanh(-0.5, f64::INFINITY),
        Activation::TanhShrink,
        Activation::LogSoftmax,
        Activation::Silu,
        Activation::HardSwish,
        Activation::Mish,
        Activation::Softplus(2.0),
        Activation::Softsign,
        Activation::Exponential,
        Activation::HardShrink(0.25),
        Activation::SoftShrink(0.25),
        Activation::Threshold(0.1, -0.5),
    ];
    let alone = all.map(|activation| case(activation, &[2, 5]));
    let fused = all.map(|activation| case(Dense::new(3).activation(activation), &[4]));
    let others = vec![
        case(Softmax::new().axis(1), &[2, 5]),
        case(LogSoftmax::new().axis(-2), &[2, 5]),
        case(PRelu::new(), &[2, 5]),
        case(PRelu::new().per_channel().slope_initializer(Initializer::Zeros), &[2, 5]),
        case(PRelu::new().per_element(), &[2, 5]),
    ];
    alone.into_iter().chain(fused).chain(others).collect()
}

fn plain() -> Vec<Case> {
    let normal = Initializer::Normal { mean: 0.1, deviation: 0.2 };
    let uniform = Initializer::Uniform { low: -0.1, high: 0.3 };
    let custom = Initializer::Custom(std::sync::Arc::new(|shape, _| vec![0.5; shape.iter().product()]));
    vec![
        case(Dense::new(3).without_bias().weight_initializer(normal.clone()), &[2, 4]),
        case(Dense::new(3).weight_initializer(Initializer::HeNormal).bias_initializer(uniform.clone()), &[4]),
        case(Dense::new(3).weight_initializer(custom).bias_initializer(Initializer::Constant(0.1)), &[4]),
        case(
            Dense::new(3)
                .weight_regularizer(Regularizer::L1L2 { l1: 0.1, l2: 0.2 })
                .weight_constraint(NormConstraint::max(2.0).axes([0, 1]))
                .bias_constraint(Constraint::NonNegative),
            &[4],
        ),
        case(BatchNormalization::new(), &[3]),
        case(BatchNormalization::new().momentum(0.9).epsilon(1e-5).unbiased(true), &[4, 4, 3]),
        case(BatchNormalization::new().without_center().without_scale(), &[3]),
        case(GroupNormalization::new(2), &[3, 4]),
        case(GroupNormalization::new(2).epsilon(0.1).without_center(), &[3, 4]),
        case(InstanceNormalization::new().without_scale(), &[3, 4]),
        case(LayerNormalization::new().epsilon(1e-5), &[3, 4]),
        case(LayerNormalization::new().axes(2).without_center(), &[3, 4]),
        case(RmsNormalization::new(), &[3, 4]),
        case(RmsNormalization::new().axes(2).epsilon(1e-5).without_scale(), &[3, 4]),
        case(UnitNormalization::new(), &[4]),
        case(UnitNormalization::new().axis(1), &[3, 4]),
        case(AlphaDropout::new(0.2), &[4]),
        case(GaussianDropout::new(0.3), &[4]),
        case(GaussianNoise::new(0.5), &[3, 4]),
        case(ActivityRegularization::new(0.01, 0.02), &[3, 4]),
        case(Identity::new(), &[3, 4]),
        case(Rescaling::new(0.5).offset(-1.0), &[3, 4]),
        case(Rescaling::channels([0.5, 2.0], [0.0, 1.0]), &[3, 2]),
        case(RepeatVector::new(3), &[4]),
        case(Masking::new(-1.0), &[4, 2]),
        case(Dropout::new(0.3), &[4]),
        case(SpatialDropout1d::new(0.25), &[3, 4]),
        case(SpatialDropout2d::new(0.5), &[3, 4, 2]),
        case(Embedding::new(10, 4), &[5]),
        case(Embedding::new(10, 4).weight_initializer(Initializer::GlorotNormal), &[5]),
        case(SimpleRnn::new(3), &[4, 2]),
        case(
            SimpleRnn::new(3)
                .activation(Activation::Relu)
                .return_sequences()
                .without_bias()
                .weight_initializer(Initializer::HeUniform)
                .recurrent_initializer(Initializer::TorchUniform)
                .bias_initializer(Initializer::GlorotUniform),
            &[4, 2],
        ),
        case(
            SimpleRnn::new(3)
                .weight_initializer(Initializer::LecunUniform)
                .recurrent_initializer(Initializer::Orthogonal { gain: 1.5 })
                .bias_initializer(Initializer::LecunNormal),
            &[4, 2],
        ),
        case(
            Dense::new(3)
                .weight_initializer(Initializer::VarianceScaling {
                    scale: 2.0,
                    mode: FanMode::Out,
                    spread: Spread::TruncatedNormal,
                })
                .bias_initializer(Initializer::TruncatedNormal { mean: 0.5, deviation: 0.1 }),
            &[4],
        ),
        case(Dense::new(3).weight_initializer(Initializer::Identity { gain: 2.0 }), &[4]),
    ]
}

fn convolutions() -> Vec<Case> {
    vec![
        case(Conv1d::new(4, 3), &[8, 2]),
        case(Conv1d::new(4, 3).dilation(2).padding(Padding::Causal).groups(2), &[8, 2]),
        case(
            Conv2d::new(4, (3, 2))
                .stride((2, 1))
                .dilation((1, 2))
                .padding([(1, 0), (2, 1)])
                .groups(2)
                .activation(Activation::Gelu)
                .without_bias()
                .weight_initializer(Initializer::HeNormal),
            &[8, 9, 4],
        ),
        case(Conv2d::new(4, 3).padding(Padding::Same).bias_initializer(Initializer::Constant(1.0)), &[5, 5, 1]),
        case(ConvTranspose1d::new(4, 3).stride(2).output_padding(1).groups(2), &[5, 4]),
        case(
            ConvTranspose2d::new(4, 3)
                .stride((2, 3))
                .output_padding((1, 2))
                .padding(1)
                .weight_initializer(Initializer::HeUniform),
            &[4, 5, 2],
        ),
        case(DepthwiseConv1d::new(3).multiplier(2).padding(1), &[6, 3]),
        case(DepthwiseConv2d::new((2, 3)).stride(2).padding(Padding::Same).activation(Activation::Relu), &[6, 5, 3]),
        case(SeparableConv1d::new(4, 3).multiplier(2).stride(2), &[9, 3]),
        case(
            SeparableConv2d::new(4, 3)
                .padding(Padding::Same)
                .dilation(2)
                .without_bias()
                .activation(Activation::Tanh)
                .depthwise_initializer(Initializer::HeNormal)
                .pointwise_initializer(Initializer::GlorotNormal),
            &[6, 6, 2],
        ),
    ]
}

fn pooling() -> Vec<Case> {
    vec![
        case(MaxPool1d::new(3).stride(2).padding(1), &[9, 2]),
        case(MaxPool2d::new((3, 2)).stride((2, 1)).padding((1, 0)).ceil_mode(), &[9, 8, 2]),
        case(AveragePool1d::new(2).padding(1).count_include_pad(), &[9, 2]),
        case(AveragePool2d::new(3).padding(Padding::Same), &[7, 7, 2]),
        case(LpPool1d::new(2.0, 3).ceil_mode(), &[8, 2]),
        case(LpPool2d::new(4.0, 2), &[8, 8, 2]),
        case(GlobalMaxPool1d::new(), &[5, 3]),
        case(GlobalMaxPool2d::new().keep_dims(), &[5, 4, 3]),
        case(GlobalAveragePool1d::new().keep_dims(), &[5, 3]),
        case(GlobalAveragePool2d::new(), &[5, 4, 3]),
        case(AdaptiveAveragePool1d::new(3), &[8, 2]),
        case(AdaptiveAveragePool2d::new((3, 2)), &[8, 8, 2]),
        case(AdaptiveMaxPool1d::new(3), &[8, 2]),
        case(AdaptiveMaxPool2d::new(3), &[8, 8, 2]),
    ]
}

fn moving() -> Vec<Case> {
    vec![
        case(Flatten::new(), &[2, 3, 4]),
        case(Reshape::new([-1, 4]), &[2, 6]),
        case(Permute::new([3, 1, 2]), &[2, 3, 4]),
        case(ChannelsFirst::new(), &[2, 3, 4]),
        case(ChannelsLast::new(), &[2, 3, 4]),
        case(PixelShuffle::new(2), &[2, 3, 8]),
        case(PixelUnshuffle::new(2), &[4, 2, 3]),
        case(ZeroPadding1d::new(1, 2), &[4, 2]),
        case(ZeroPadding2d::new([(0, 1), (2, 3)]), &[4, 5, 2]),
        case(ReflectionPadding1d::new(2, 1), &[4, 2]),
        case(ReflectionPadding2d::new((1, 2)), &[4, 5, 2]),
        case(ReplicationPadding1d::new(0, 3), &[4, 2]),
        case(ReplicationPadding2d::new(2), &[4, 5, 2]),
        case(Cropping1d::new(1, 2), &[5, 2]),
        case(Cropping2d::new([(1, 0), (0, 2)]), &[4, 5, 2]),
        case(UpSampling1d::new(3), &[4, 2]),
        case(UpSampling2d::new((2, 3)).interpolation(Interpolation::Bilinear).align_corners(), &[3, 4, 2]),
        case(UpSampling2d::to_size((5, 7)).interpolation(Interpolation::Bicubic), &[3, 4, 2]),
        case(UpSampling2d::new((2, 2)), &[3, 4, 2]),
    ]
}

fn containers() -> Vec<Case> {
    let dense = || Dense::new(4).activation(Activation::Tanh);
    let mut graph = Graph::new();
    let x = graph.input();
    let twice = graph.share(dense());
    graph.name("twice");
    let first = graph.apply(twice, x);
    let second = graph.apply(twice, first);
    let sum = graph.merge(Add::new(), &[x, first, second]);
    let both = graph.merge(Concatenate::new(1), &[sum, second]);
    graph.name("both");
    let both = joined(&mut graph, both);
    let out = graph.add(Sequential::new().add(Dense::new(3)).add(Dropout::new(0.5)), both);
    vec![
        case(Sequential::new(), &[4]),
        case(Sequential::new().add(dense()).add(Sequential::new().add(dense())), &[4]),
        case(Residual::new(Sequential::new().add(dense()).add(dense())), &[4]),
        case(Residual::new(Dense::new(6)).projection(Dense::new(6).without_bias()), &[4]),
        case(graph.outputs(&[out]), &[4]),
    ]
}

/// Every merge that is not in the graph yet.
fn joined(graph: &mut Graph, x: Node) -> Node {
    let y = graph.add(Activation::Tanh, x);
    let product = graph.merge(Multiply::new(), &[x, y]);
    let difference = graph.merge(Subtract::new(), &[x, y]);
    let mean = graph.merge(Average::new(), &[x, y, product]);
    let largest = graph.merge(Maximum::new(), &[x, y, difference]);
    let smallest = graph.merge(Minimum::new(), &[mean, largest]);
    let cosine = graph.merge(Dot::new(1).normalize(), &[smallest, product]);
    graph.merge(Add::new(), &[smallest, cosine])
}

/// Numbers from -1 to 1.
pub fn wave(shape: &[usize]) -> ArrayD<f32> {
    let count: usize = shape.iter().product();
    let values = (0..count).map(|i| ((i * 37 % 101) as f32 / 50.0) - 1.0).collect();
    ArrayD::from_shape_vec(IxDyn(shape), values).expect("as many values as the shape has")
}

/// A batch of inputs for a layer: token ids for an embedding.
pub fn inputs(layer: &dyn Layer, sample: &[usize]) -> ArrayD<f32> {
    let x = wave(&[&[3], sample].concat());
    if layer.kind() == "Embedding" { x.mapv(|x| (x * 4.0 + 5.0).round()) } else { x }
}

/// Gives every weight and state values unlike those that it begins with; variances stay above 0.
pub fn disturb(model: &mut dyn Layer) -> Result<()> {
    for (number, (name, param)) in model.params_mut().into_iter().enumerate() {
        let shift = number as f32 / 10.0;
        let values = wave(param.get()?.shape()).mapv(|x| x * 0.5 + shift);
        param.set(&if name.ends_with("variance") { values.mapv(|x| x.abs() + 0.5) } else { values })?;
    }
    Ok(())
}

/// Whether two arrays have the same bits.
pub fn same_bits(a: &Tensor, b: &Tensor) -> bool {
    a.shape() == b.shape() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
}
