//! What a summary says that a sample costs: operations against PyTorch's, memory against what a pass really keeps.

#[path = "common/cases.rs"]
mod cases;
#[allow(dead_code)] // batches of another size are needed here
#[path = "common/every_layer.rs"]
mod every_layer;

use every_layer::wave;
use layerwise::layers::*;
use layerwise::prelude::*;
use layerwise::{Cost, OutputMemory, Summary};

const FLOPS: &str = include_str!("reference/flops_torch.json");

/// The networks of the script, by their names.
fn network(name: &str) -> (Box<dyn Layer>, Vec<usize>) {
    let dense = |units| Dense::new(units).without_bias();
    let conv = |filters| Conv2d::new(filters, 3).without_bias();
    let depthwise = || DepthwiseConv2d::new(3).multiplier(2).without_bias();
    let (model, input): (Box<dyn Layer>, &[usize]) = match name {
        "dense" => (Box::new(dense(5)), &[7]),
        "dense over time" => (Box::new(dense(5)), &[4, 7]),
        "conv2d" => {
            let layer = Conv2d::new(8, (3, 5)).stride((2, 1)).dilation((1, 2)).padding((1, 3)).without_bias();
            (Box::new(layer), &[13, 17, 3])
        }
        "conv2d in groups" => (Box::new(conv(9).groups(3)), &[10, 9, 6]),
        "conv1d" => (Box::new(Conv1d::new(6, 5).stride(2).dilation(2).without_bias()), &[31, 4]),
        "depthwise" => (Box::new(depthwise().padding(1)), &[8, 9, 5]),
        "separable" => (Box::new(SeparableConv2d::new(7, 3).multiplier(2).without_bias()), &[8, 9, 5]),
        "transposed" => {
            let layer = ConvTranspose2d::new(6, 3).stride((2, 3)).padding(1).output_padding((1, 2)).groups(2);
            (Box::new(layer.without_bias()), &[5, 6, 4])
        }
        "transposed 1d" => (Box::new(ConvTranspose1d::new(6, 3).stride(2).dilation(2).without_bias()), &[5, 4]),
        "rnn" => (Box::new(SimpleRnn::new(7).activation(Activation::Linear).without_bias()), &[6, 5]),
        "perceptron" => (Box::new(Sequential::new().add(dense(512)).add(dense(512)).add(dense(10))), &[784]),
        "convolutional" => {
            let model = Sequential::new().add(conv(32)).add(MaxPool2d::new(2)).add(conv(64)).add(MaxPool2d::new(2));
            (Box::new(model.add(Flatten::new()).add(dense(10))), &[28, 28, 1])
        }
        "residual" => {
            let body = Sequential::new().add(conv(6).padding(1)).add(conv(8).padding(1).stride(2));
            let projection = Conv2d::new(8, 1).stride(2).without_bias();
            (Box::new(Residual::new(body).projection(projection)), &[12, 10, 4])
        }
        _ => panic!("no network {name}"),
    };
    (model, input.to_vec())
}

#[test]
fn products_and_convolutions_have_the_operations_of_pytorch() -> Result<()> {
    let cases = cases::cases(FLOPS);
    assert_eq!(cases.len(), 13);
    for case in cases {
        let name = case["name"].as_str().expect("a case has a name");
        let (mut model, input) = network(name);
        let before = model.summary(&input)?.flops();
        model.initialize(&input, 0)?;
        let summary = model.summary(&input)?;
        // PyTorch counts neither maxima nor the sum of a residual network: one for each number in a window, and one for
        // each output.
        let beside = match name {
            "convolutional" => 4 * (13 * 13 * 32 + 5 * 5 * 64),
            "residual" => 6 * 5 * 8,
            _ => 0,
        };
        assert_eq!(summary.flops() - beside, case["flops"].as_u64().expect("a number"), "{name}");
        assert_eq!(before, summary.flops(), "{name}, before it was built");
    }
    Ok(())
}

#[test]
fn biases_and_activations_count_one_for_each_output() -> Result<()> {
    let plain = |layer: &dyn Layer, input: &[usize]| layer.summary(input).map(|summary| summary.flops());
    let conv = || Conv2d::new(4, 3).padding(1);
    let bare = plain(&conv().without_bias(), &[5, 6, 2])?;
    assert_eq!(plain(&conv(), &[5, 6, 2])?, bare + 5 * 6 * 4);
    assert_eq!(plain(&conv().activation(Activation::Gelu), &[5, 6, 2])?, bare + 2 * 5 * 6 * 4);
    assert_eq!(plain(&SimpleRnn::new(3), &[4, 2])?, 4 * (2 * (2 + 3) * 3 + 3 + 3));
    assert_eq!(plain(&Dense::new(3).activation(Activation::Softmax), &[4])?, 2 * 4 * 3 + 3 + 5 * 3);
    Ok(())
}

#[test]
fn layers_that_compute_otherwise_count_what_they_compute() -> Result<()> {
    // The numbers in the windows of PyTorch's adaptive pooling, one by one.
    let adaptive = |input: usize, output: usize| -> usize {
        (0..output).map(|o| ((o + 1) * input).div_ceil(output) - o * input / output).sum()
    };
    for input in 1..12 {
        for output in 1..12 {
            let cost = Layer::<f32>::cost(&AdaptiveMaxPool1d::new(output), &[input, 3], &[output, 3])?;
            assert_eq!(cost, Cost::of(3 * adaptive(input, output) as u64), "{input} to {output}");
        }
    }
    let cases: Vec<(Box<dyn Layer>, &[usize], u64)> = vec![
        (Box::new(MaxPool2d::new((3, 2))), &[9, 8, 5], 3 * 4 * 5 * 6),
        (Box::new(AveragePool1d::new(3).stride(1).padding(1)), &[9, 2], 9 * 2 * 3),
        (Box::new(GlobalAveragePool2d::new()), &[5, 4, 3], 5 * 4 * 3),
        (Box::new(LpPool1d::new(2.0, 3)), &[9, 2], 3 * 2 * (2 * 3 + 1)),
        (Box::new(BatchNormalization::new()), &[4, 3], 12 * 3),
        (Box::new(BatchNormalization::new().without_center()), &[4, 3], 12 * 2),
        (Box::new(LayerNormalization::new()), &[4, 3], 12 * 8),
        (Box::new(GroupNormalization::new(3).without_scale()), &[4, 3], 12 * 7),
        (Box::new(UpSampling2d::new((2, 2)).interpolation(Interpolation::Bicubic)), &[3, 4, 2], 96 * 32),
        (Box::new(Embedding::new(10, 4)), &[5], 0),
        (Box::new(Dropout::new(0.5)), &[5], 0),
        (Box::new(Flatten::new()), &[5, 2], 0),
        (Box::new(ZeroPadding1d::new(1, 2)), &[5, 2], 0),
        (Box::new(PRelu::new()), &[5, 2], 10),
        (Box::new(RmsNormalization::new()), &[4, 3], 12 * 4),
        (Box::new(UnitNormalization::new()), &[4, 3], 12 * 3),
        (Box::new(Rescaling::new(2.0)), &[4, 3], 12 * 2),
        (Box::new(RepeatVector::new(3)), &[4], 0),
        (Box::new(GaussianNoise::new(0.1)), &[4], 0),
        (Box::new(Identity::new()), &[4], 0),
    ];
    for (layer, input, flops) in cases {
        assert_eq!(layer.summary(input)?.flops(), flops, "{}", layer.kind());
    }
    let merged = |merge: &dyn Merge| merge.cost(&[vec![4], vec![4], vec![4]], &[4]);
    assert_eq!((merged(&Add::new())?.flops, merged(&Concatenate::new(-1))?.flops), (2 * 4, 0));
    assert_eq!((merged(&Multiply::new())?.flops, merged(&Average::new())?.flops), (2 * 4, 3 * 4));
    let dot = |dot: Dot| Merge::<f32>::cost(&dot, &[vec![3, 5], vec![3, 7]], &[5, 7]);
    assert_eq!((dot(Dot::new(1))?.flops, dot(Dot::new(1).normalize())?.flops), (2 * 105, 2 * 105 + 3 * (15 + 21)));
    Ok(())
}

/// What a pass over so many samples keeps for backward, in numbers.
fn kept(model: &dyn Layer, sample: &[usize], batch: usize) -> Result<usize> {
    let x = wave(&[&[batch], sample].concat());
    let is_of_ids = model.summary(sample)?.rows().first().is_some_and(|row| row.kind == "Embedding");
    let x = if is_of_ids { x.mapv(|x| (x * 4.0 + 5.0).round()) } else { x }.into_shared();
    let mut ctx = Context::training(model, 0);
    let mut ys = Vec::new();
    model.forward_all(std::slice::from_ref(&x), &mut ys, &mut ctx)?;
    Ok(ctx.kept(&[&x]))
}

/// Networks in which values are shared, kept for two reasons, or not kept at all.
fn networks() -> Vec<(Box<dyn Layer>, Vec<usize>)> {
    let relu = |units| Dense::new(units).activation(Activation::Relu);
    let flat = Sequential::new()
        .add(Conv2d::new(4, 3).activation(Activation::Relu))
        .add(Flatten::new())
        .add(Activation::Linear)
        .add(Dense::new(6).activation(Activation::Gelu))
        .add(Dropout::new(0.5))
        .add(Reshape::new([2, 3]))
        .add(LayerNormalization::new())
        .add(Dense::new(2));
    let block = || Sequential::new().add(BatchNormalization::new()).add(Activation::Relu).add(Dense::new(5));
    let residual = Sequential::new()
        .add(Dense::new(5))
        .add(Residual::new(block()))
        .add(Residual::new(block().add(Activation::Tanh)).projection(relu(5)))
        .add(Residual::new(Flatten::new()))
        .add(Dropout::new(0.0))
        .add(relu(3));
    let mut graph = Graph::new();
    let x = graph.input();
    let left = graph.add(relu(4), x);
    let unread = graph.add(Dense::new(9), left);
    let flat_left = graph.add(Reshape::new([2, 2]), left);
    let right = graph.add(Reshape::new([2, 2]), x);
    let both = graph.merge(Concatenate::new(1), &[flat_left, right]);
    let out = graph.add(Dense::new(3).activation(Activation::Silu), both);
    let _ = unread;
    let graph =
        Sequential::new().add(relu(4)).add(graph.outputs(&[out])).add(Residual::new(Sequential::new())).add(relu(2));
    vec![
        (Box::new(flat), vec![6, 6, 2]),
        (Box::new(residual), vec![4]),
        (Box::new(graph), vec![3]),
        (Box::new(Sequential::new().add(Embedding::new(10, 4)).add(SimpleRnn::new(3)).add(relu(2))), vec![5]),
    ]
}

#[test]
fn kept_memory_is_what_a_training_pass_keeps() -> Result<()> {
    let mut all = every_layer::cases();
    all.extend(networks());
    for (mut model, sample) in all {
        model.initialize(&sample, 0)?;
        // The difference between two batches leaves out what is once for a batch.
        let measured = kept(&*model, &sample, 5)? - kept(&*model, &sample, 3)?;
        let summary = model.summary(&sample)?;
        let place = format!("{} {}\n{summary}", model.kind(), model.config());
        assert_eq!(summary.kept(), 4 * (measured / 2) as u64, "{place}");
        assert_eq!(summary.kept(), summary.rows().iter().map(|row| row.kept).sum::<u64>(), "{place}");
    }
    Ok(())
}

#[test]
fn inference_has_in_memory_what_is_yet_to_be_read() -> Result<()> {
    let most = |model: &dyn Layer, input: &[usize]| model.summary(input).map(|summary| summary.inference_memory() / 4);
    let deep = || Sequential::new().add(Dense::new(10)).add(Dense::new(20)).add(Dense::new(5));
    // The input, then 10 + 20 while the second layer works.
    assert_eq!(most(&deep(), &[3])?, 3 + 10 + 20);
    // The same inside another: 7 that the outer one holds.
    assert_eq!(most(&Sequential::new().add(Dense::new(7)).add(deep()), &[3])?, 3 + 7 + 10 + 20);
    // The body's output waits for the projection's.
    let wide = Residual::new(Dense::new(50)).projection(Dense::new(50));
    assert_eq!(most(&wide, &[3])?, 3 + 50 + 50);
    // Nothing new comes of a reshape, nor of dropout in inference.
    let shared = Sequential::new().add(Dense::new(30)).add(Dropout::new(0.5)).add(Reshape::new([5, 6]));
    assert_eq!(most(&shared, &[3])?, 3 + 30);
    // The first branch waits for the second.
    let mut graph = Graph::new();
    let x = graph.input();
    let (a, b) = (graph.add(Dense::new(8), x), graph.add(Dense::new(40), x));
    let b = graph.add(Dense::new(8), b);
    let sum = graph.merge(Add::new(), &[a, b]);
    assert_eq!(most(&graph.outputs(&[sum]), &[3])?, 3 + 8 + 40 + 8);
    Ok(())
}

#[test]
fn a_summary_is_printed_with_its_costs() -> Result<()> {
    let mut model = Sequential::new()
        .add(Conv2d::new(32, 3).activation(Activation::Relu))
        .add(MaxPool2d::new(2))
        .add(Residual::new(Conv2d::new(32, 3).padding(1)))
        .add(Flatten::new())
        .add(Dropout::new(0.5))
        .add(Dense::new(10));
    model.initialize(&[28, 28, 1], 0)?;
    let expected = "\
layer   type       output shape         parameters     kept    FLOP
───────────────────────────────────────────────────────────────────
0       Conv2d     (batch, 26, 26, 32)         320  86.5 kB   433 k
1       MaxPool2d  (batch, 13, 13, 32)           0  21.6 kB  21.6 k
2.body  Conv2d     (batch, 13, 13, 32)       9,248  21.6 kB  3.13 M
3       Flatten    (batch, 5408)                 0      0 B       0
4       Dropout    (batch, 5408)                 0  43.3 kB       0
5       Dense      (batch, 10)              54,090      0 B   108 k
───────────────────────────────────────────────────────────────────
63,658 parameters, 63,658 of them trainable
a sample: 3.69 MFLOP forward; 173 kB kept for backward, 111 kB at once in inference";
    assert_eq!(model.summary(&[28, 28, 1])?.to_string(), expected);
    Ok(())
}

#[test]
fn numbers_of_eight_bytes_take_twice_the_memory() -> Result<()> {
    let model = Sequential::of().add(Dense::<f64>::of(4)).add(Activation::Gelu).add(Dense::of(3));
    let summary = Model::<f64>::summary(&model, &[2])?;
    // The inputs of both layers that read theirs.
    assert_eq!((summary.kept(), summary.inference_memory()), (8 * (4 + 4), 8 * (2 + 4 + 4)));
    assert_eq!(summary.flops(), 2 * 2 * 4 + 4 + 4 + 2 * 4 * 3 + 3);
    Ok(())
}

#[test]
fn shapes_that_are_none_are_errors_of_the_cost_and_never_panics() {
    for (layer, _) in every_layer::cases() {
        for input in [&[][..], &[0], &[3], &[0, 0], &[5, 3], &[2, 2, 1], &[usize::MAX; 3], &[1; 7]] {
            for output in [&[][..], &[usize::MAX; 4]] {
                let _ = layer.cost(input, output);
            }
        }
    }
    let message = |layer: &dyn Layer, input| layer.cost(input, &[1]).unwrap_err().to_string();
    assert_eq!(message(&Conv2d::new(4, 3).groups(0), &[5, 5, 2]), {
        let refused = Conv2d::new(4, 3).groups(0);
        refused.output_shape(&[5, 5, 2]).unwrap_err().to_string()
    });
}

/// A layer of a user's own that saves what backward needs, and shares nothing.
struct Doubled;

impl Layer for Doubled {
    fn kind(&self) -> &str {
        "Doubled"
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        Ok(input.to_vec())
    }

    fn cost(&self, _: &[usize], output: &[usize]) -> Result<Cost> {
        let numbers = output.iter().product::<usize>() as u64;
        Ok(Cost { flops: 3 * numbers, saved: 2 * numbers, memory: OutputMemory::Own })
    }

    fn forward(&self, x: &Tensor, _: &mut Context) -> Result<Tensor> {
        Ok(x.mapv(|x| 2.0 * x).into_shared())
    }

    fn backward(&self, _: &Tensor, _: &Tensor, dy: &Tensor, _: bool, _: &mut Context) -> Result<Option<Tensor>> {
        Ok(Some(dy.mapv(|dy| 2.0 * dy).into_shared()))
    }
}

#[test]
fn layers_and_containers_of_ones_own_tell_their_costs() -> Result<()> {
    let model = Sequential::new().add(Doubled).add(Doubled);
    let summary = model.summary(&[6])?;
    // What each saves, and the value between them, which the default of `needs` keeps.
    assert_eq!((summary.flops(), summary.kept()), (2 * 18, 4 * (12 + 12 + 6)));
    // By hand, as a container of one's own does it.
    let mut own = Summary::of::<f32>(&[vec![6]]);
    own.scope(0, |own| Doubled.summarize(&[vec![6]], own))?;
    let between = own.value();
    own.keep(between);
    own.keep(between);
    own.scope(1, |own| own.holding(&[vec![6]], |own| Doubled.summarize(&[vec![6]], own)))?;
    assert_eq!(own.rows(), summary.rows());
    assert_eq!((own.kept(), own.inference_memory()), (summary.kept(), summary.inference_memory()));
    Ok(())
}
