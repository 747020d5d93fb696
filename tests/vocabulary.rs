//! Merges, norms, noise, masks and penalties held against Keras and PyTorch, against finite differences, and against
//! what must be so: in both number types.

#[path = "common/cases.rs"]
mod common;
#[path = "common/gradients.rs"]
mod gradients;

use common::{array, cases, counts, flag, numbers, size, tensor};
use gradients::{check, input};
use layerwise::layers::*;
use layerwise::prelude::*;
use layerwise::{GradCheck, gradcheck_merge};
use ndarray::{Array2, Axis, Ix2, IxDyn, concatenate};
use serde_json::Value;

const LAYERS: &str = include_str!("reference/vocabulary_keras.json");
const MERGES: &str = include_str!("reference/merges_keras.json");

fn real(config: &Value, name: &str) -> f64 {
    config[name].as_f64().unwrap_or_else(|| panic!("{config} has no {name}"))
}

fn reals(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

fn whole(value: &Value) -> isize {
    value.as_i64().unwrap() as isize
}

fn rnn<A: Scalar>(config: &Value) -> SimpleRnn<A> {
    let relu = config["activation"] == "relu";
    let layer = SimpleRnn::of(size(config, "units")).activation(if relu { Activation::Relu } else { Activation::Tanh });
    let layer = if flag(config, "sequences") { layer.return_sequences() } else { layer };
    if flag(config, "bias") { layer } else { layer.without_bias() }
}

/// Masking, a recurrent layer, and perhaps what stands between that and a second one.
fn masked_network<A: Scalar>(config: &Value) -> Sequential<A> {
    let layers = config["rnn"].as_array().unwrap();
    let mut model = Sequential::of().add(Masking::new(real(config, "value"))).add(rnn(&layers[0]));
    if let Some(second) = layers.get(1) {
        model = model.add(Dense::of(size(config, "dense")).activation(Activation::Tanh)).add(rnn(second));
    }
    model
}

/// Two inputs, one or both behind `Masking`, a merge, and a recurrent layer.
fn meeting<A: Scalar>(config: &Value) -> Graph<A> {
    let mut graph = Graph::of();
    let (a, b) = (graph.input(), graph.input());
    let a = graph.add(Masking::new(0.0), a);
    let b = if flag(config, "both") { graph.add(Masking::new(0.0), b) } else { graph.add(Identity::new(), b) };
    let joined = match config["merge"].as_str() {
        Some("Add") => graph.merge(Add::new(), &[a, b]),
        _ => graph.merge(Concatenate::new(whole(&config["axis"])), &[a, b]),
    };
    let y = graph.add(SimpleRnn::of(3), joined);
    graph.name("rnn");
    graph.outputs(&[y])
}

fn layer<A: Scalar>(kind: &str, config: &Value) -> Box<dyn Layer<A>> {
    match kind {
        "RmsNormalization" => {
            let layer = RmsNormalization::of().axes(size(config, "axes")).epsilon(real(config, "epsilon"));
            Box::new(if flag(config, "scale") { layer } else { layer.without_scale() })
        }
        "LayerNormalization" => {
            Box::new(LayerNormalization::of().axes(size(config, "axes")).epsilon(real(config, "epsilon")))
        }
        "UnitNormalization" => Box::new(UnitNormalization::new().axis(whole(&config["axis"]))),
        "Rescaling" => Box::new(Rescaling::channels(reals(&config["scale"]), reals(&config["offset"]))),
        "RepeatVector" => Box::new(RepeatVector::new(size(config, "times"))),
        "Identity" => Box::new(Identity::new()),
        "Permute" => Box::new(Permute::new(numbers(&config["dims"]))),
        "ActivityRegularization" => Box::new(ActivityRegularization::new(real(config, "l1"), real(config, "l2"))),
        "Masking" => Box::new(masked_network(config)),
        "Graph" => Box::new(meeting(config)),
        other => panic!("unknown kind {other}"),
    }
}

fn merge<A: Scalar>(kind: &str, config: &Value, inputs: usize) -> Box<dyn Layer<A>> {
    fn wired<A: Scalar>(merge: impl Merge<A> + 'static, inputs: usize) -> Box<dyn Layer<A>> {
        let mut graph = Graph::of();
        let nodes: Vec<Node> = (0..inputs).map(|_| graph.input()).collect();
        let joined = graph.merge(merge, &nodes);
        Box::new(graph.outputs(&[joined]))
    }
    match kind {
        "Add" => wired(Add::new(), inputs),
        "Average" => wired(Average::new(), inputs),
        "Maximum" => wired(Maximum::new(), inputs),
        "Minimum" => wired(Minimum::new(), inputs),
        "Multiply" => wired(Multiply::new(), inputs),
        "Subtract" => wired(Subtract::new(), inputs),
        "Dot" => {
            let dot = Dot::along(whole(&config["axes"][0]), whole(&config["axes"][1]));
            wired(if flag(config, "normalize") { dot.normalize() } else { dot }, inputs)
        }
        other => panic!("unknown merge {other}"),
    }
}

/// Whether `f32` can hold all numbers of a case. Its squares are nearly all that `UnitNormalization` has of 1e-13.
fn in_range_of_f32(case: &Value) -> bool {
    let name = case["name"].as_str().unwrap();
    !name.ends_with("awkward points") && name != "unit awkward"
}

fn run_all<A: Scalar>(tolerance: f64, runs: impl Fn(&Value) -> bool) -> Result<()> {
    for case in cases(LAYERS).iter().chain(&cases(MERGES)).filter(|case| runs(case)) {
        let (kind, config) = (case["kind"].as_str().unwrap(), &case["config"]);
        let inputs = case["inputs"].as_array().map_or(0, Vec::len);
        match kind {
            "AlphaDropout" | "Training" => continue,
            "Add" | "Average" | "Dot" | "Maximum" | "Minimum" | "Multiply" | "Subtract" => {
                common::run::<A>(case, merge(kind, config, inputs), tolerance)?;
            }
            _ => common::run::<A>(case, layer(kind, config), tolerance)?,
        }
        if let Some(penalty) = case["penalty"].as_f64() {
            let mut ctx = Context::<A>::inference();
            layer(kind, config).forward(&tensor(&case["inputs"][0]), &mut ctx)?;
            assert!((ctx.penalty().as_f64() - penalty).abs() <= tolerance * penalty.max(1.0), "{config}");
        }
    }
    Ok(())
}

#[test]
fn every_case_in_f64() -> Result<()> {
    run_all::<f64>(1e-12, |_| true)?;
    let expected = [
        ("ActivityRegularization", 8),
        ("AlphaDropout", 3),
        ("Graph", 6),
        ("Identity", 1),
        ("LayerNormalization", 3),
        ("Masking", 9),
        ("Permute", 2),
        ("RepeatVector", 3),
        ("Rescaling", 7),
        ("RmsNormalization", 16),
        ("Training", 1),
        ("UnitNormalization", 8),
    ];
    assert_eq!(counts(&cases(LAYERS)), expected.into());
    let expected =
        [("Add", 7), ("Average", 7), ("Dot", 16), ("Maximum", 7), ("Minimum", 7), ("Multiply", 7), ("Subtract", 7)];
    assert_eq!(counts(&cases(MERGES)), expected.into());
    Ok(())
}

#[test]
fn every_case_in_f32() -> Result<()> {
    run_all::<f32>(3e-5, in_range_of_f32)
}

#[test]
fn gradients_of_layers() -> Result<()> {
    for shape in [&[3, 4][..], &[2, 3, 4], &[2, 2, 3, 4]] {
        let x = [input(shape)];
        for axes in 1..shape.len() {
            check(RmsNormalization::of().axes(axes), &x)?;
            check(LayerNormalization::of().axes(axes), &x)?;
            check(UnitNormalization::new().axis(axes as isize), &x)?;
        }
        check(RmsNormalization::of().without_scale().epsilon(0.5), &x)?;
        for rate in [0.0, 0.3, 0.7] {
            check(AlphaDropout::new(rate), &x)?;
            check(GaussianDropout::new(rate), &x)?;
            check(GaussianNoise::new(rate), &x)?;
        }
        check(Identity::new(), &x)?;
        check(Rescaling::new(-0.5).offset(2.0), &x)?;
        check(Rescaling::channels([1.0, 2.0, 3.0, -4.0], [0.0, 1.0, 2.0, 3.0]), &x)?;
        check(ActivityRegularization::new(0.3, 0.7), &x)?;
        check(Sequential::of().add(Dense::of(3)).add(ActivityRegularization::new(0.3, 0.7)).add(Dense::of(2)), &x)?;
    }
    check(RepeatVector::new(3), &[input(&[2, 4])])?;
    Ok(())
}

#[test]
fn gradients_of_merges() -> Result<()> {
    let options = GradCheck::default();
    let shifted = |shape: &[usize], by: f64| input(shape).mapv(|x| (x * 1.7 + by).sin() * 2.0).into_shared();
    for shapes in
        [[&[3, 4][..], &[3, 4], &[3, 1]], [&[2, 3, 2], &[2, 1, 2], &[2, 3, 2]], [&[2, 1, 3], &[2, 2, 1], &[2, 2, 3]]]
    {
        let xs = [input(shapes[0]), shifted(shapes[1], 0.3), shifted(shapes[2], 1.1)];
        for inputs in 2..=3 {
            gradcheck_merge(Add::new(), &xs[..inputs], &options)?;
            gradcheck_merge(Average::new(), &xs[..inputs], &options)?;
            gradcheck_merge(Multiply::new(), &xs[..inputs], &options)?;
            gradcheck_merge(Maximum::new(), &xs[..inputs], &options)?;
            gradcheck_merge(Minimum::new(), &xs[..inputs], &options)?;
        }
        gradcheck_merge(Subtract::new(), &xs[..2], &options)?;
    }
    for dot in [Dot::new(1), Dot::new(1).normalize()] {
        gradcheck_merge(dot, &[input(&[3, 4]), shifted(&[3, 4], 0.5)], &options)?;
        gradcheck_merge(dot, &[input(&[2, 4, 3]), shifted(&[2, 4, 2], 0.5)], &options)?;
    }
    gradcheck_merge(Dot::along(3, 1).normalize(), &[input(&[2, 2, 3, 4]), shifted(&[2, 4], 0.5)], &options)?;
    Ok(())
}

/// The steps of these samples and steps are 0.
fn padded(shape: &[usize], masked: &[(usize, usize)]) -> Tensor<f64> {
    let mut x = input(shape).into_owned();
    for &(sample, step) in masked {
        x.index_axis_mut(Axis(0), sample).index_axis_mut(Axis(0), step).fill(0.0);
    }
    x.into_shared()
}

#[test]
fn gradients_behind_masks() -> Result<()> {
    // The gradient of a step that is masked is 0, and moving it unmasks it: so its value stays out of the comparison.
    struct Steps(Tensor<f64>);
    impl Layer<f64> for Steps {
        fn kind(&self) -> &str {
            "Steps"
        }
        fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
            Ok(input.to_vec())
        }
        fn forward(&self, x: &Tensor<f64>, ctx: &mut Context<f64>) -> Result<Tensor<f64>> {
            ctx.set_mask(Some(self.0.clone()));
            Ok(x.clone())
        }
        fn backward(
            &self,
            _: &Tensor<f64>,
            _: &Tensor<f64>,
            dy: &Tensor<f64>,
            _: bool,
            _: &mut Context<f64>,
        ) -> Result<Option<Tensor<f64>>> {
            Ok(Some(dy.clone()))
        }
        fn keeps_mask(&self) -> bool {
            true
        }
    }
    let mask =
        ndarray::array![[1.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0], [0.0, 1.0, 1.0, 1.0]].into_dyn().into_shared();
    let x = [input(&[3, 4, 2])];
    for layer in
        [SimpleRnn::of(3), SimpleRnn::of(3).return_sequences(), SimpleRnn::of(3).activation(Activation::Softmax)]
    {
        check(Sequential::of().add(Steps(mask.clone())).add(layer), &x)?;
    }
    let deep = Sequential::of()
        .add(Steps(mask.clone()))
        .add(Residual::new(Sequential::of().add(SimpleRnn::of(2).return_sequences()).add(Activation::Tanh)))
        .add(LayerNormalization::of())
        .add(Residual::new(Dense::of(3)).projection(Dense::of(3)))
        .add(SimpleRnn::of(2));
    check(deep, &x)?;
    Ok(())
}

/// What a network makes of the steps that count must be what it makes of them alone.
#[test]
fn skipped_steps_are_as_if_they_were_not_there() -> Result<()> {
    let body = |model: Sequential<f64>| {
        model
            .add(Dense::of(3).activation(Activation::Tanh))
            .add(Residual::new(Sequential::of().add(SimpleRnn::of(3).return_sequences()).add(GaussianNoise::new(0.1))))
            .add(LayerNormalization::of())
            .add(RmsNormalization::of())
            .add(Rescaling::new(0.5))
            .add(ActivityRegularization::new(0.0, 0.1))
            .add(SimpleRnn::of(2))
    };
    let (mut masked, mut plain) =
        (body(Sequential::of().add(Masking::new(0.0))), body(Sequential::of().add(Identity::new())));
    masked.initialize(&[6, 2], 1)?;
    plain.initialize(&[4, 2], 1)?;
    let whole = padded(&[5, 6, 2], &(0..5).flat_map(|sample| [(sample, 1), (sample, 4)]).collect::<Vec<_>>());
    let part = |steps: std::ops::Range<usize>| whole.slice_axis(Axis(1), steps.into());
    let short = concatenate(Axis(1), &[part(0..1), part(2..4), part(5..6)]).expect("the samples are the same");
    let (got, expected) = (masked.predict(&whole)?, plain.predict(&short)?);
    assert!((&got - &expected).iter().all(|apart| apart.abs() < 1e-14), "{got} instead of {expected}");
    // Also where the samples come in pieces: the mask is that of the rows.
    let many = |x: &Tensor<f64>| concatenate(Axis(0), &vec![x.view(); 120]).expect("the steps are the same");
    let (got, expected) = (masked.predict(&many(&whole))?, plain.predict(&many(&short.into_shared()))?);
    assert!((&got - &expected).iter().all(|apart| apart.abs() < 1e-14));
    Ok(())
}

#[test]
fn a_mask_ends_where_the_steps_do_and_with_the_pass() -> Result<()> {
    let x = padded(&[2, 4, 2], &[(0, 1), (1, 3)]);
    let mask_behind = |model: &dyn Layer<f64>| -> Result<Option<Tensor<f64>>> {
        let mut ctx = Context::inference();
        model.forward(&x, &mut ctx)?;
        Ok(ctx.mask().cloned())
    };
    let masked = || Sequential::of().add(Masking::new(0.0));
    let kept = ndarray::array![[1.0, 0.0, 1.0, 1.0], [1.0, 1.0, 1.0, 0.0]].into_dyn().into_shared();
    let mut keeping = masked().add(Dropout::new(0.5)).add(Activation::Tanh).add(UnitNormalization::new());
    keeping.initialize(&[4, 2], 0)?;
    assert_eq!(mask_behind(&keeping)?, Some(kept));
    let ends: [Box<dyn Layer<f64>>; 5] = [
        Box::new(Flatten::new()),
        Box::new(Permute::new([2, 1])),
        Box::new(SimpleRnn::of(2)),
        Box::new(ZeroPadding1d::new(1, 0)),
        Box::new(Lambda::elementwise("same", |x| x, |_| 1.0)),
    ];
    for layer in ends {
        let kind = layer.kind().to_owned();
        let mut model = masked();
        model.push(layer);
        model.initialize(&[4, 2], 0)?;
        assert_eq!(mask_behind(&model)?, None, "{kind}");
    }
    // A mask of other values than those that came is an error, not a guess.
    let mut layer = SimpleRnn::<f64>::of(2);
    layer.initialize(&[4, 2], 0)?;
    let mut ctx = Context::inference();
    ctx.set_mask(Some(Tensor::ones(IxDyn(&[2, 3]))));
    let error = layer.forward(&x, &mut ctx).unwrap_err().to_string();
    assert_eq!(error, "mask: expected shape [2, 4] of the input's samples and steps, got shape [2, 3]");
    // Statistics of a batch must not count what is masked.
    let mut model = masked().add(BatchNormalization::of());
    model.initialize(&[4, 2], 0)?;
    let error = model.forward(&x, &mut Context::training(&model, 0)).unwrap_err().to_string();
    let expected = "layer 1 (BatchNormalization): mask of the input of BatchNormalization must be none in training: its \
                    statistics would count steps that are masked, got one";
    assert_eq!(error, expected);
    assert!(model.predict(&x).is_ok());
    Ok(())
}

#[test]
fn alpha_dropout_drops_to_what_pytorch_has() -> Result<()> {
    let cases: Vec<Value> = cases(LAYERS).into_iter().filter(|case| case["kind"] == "AlphaDropout").collect();
    for case in cases {
        let layer = AlphaDropout::new(real(&case["config"], "rate"));
        for row in array(&case["values"]).into_dimensionality::<Ix2>().unwrap().rows() {
            let x = Tensor::from_elem(IxDyn(&[1000]), row[0]);
            let y = layer.forward(&x, &mut Context::<f64>::training(&layer, 0))?;
            let near = |one: f64, other: f64| (one - other).abs() < 1e-12;
            assert!(y.iter().all(|&y| near(y, row[1]) || near(y, row[2])), "{row}");
            assert!([row[1], row[2]].iter().all(|&value| y.iter().any(|&y| near(y, value))), "{row}");
        }
    }
    Ok(())
}

/// The arrays of the case: x, y, weight, bias.
fn training_case() -> (Value, Vec<Tensor<f64>>) {
    let case = cases(LAYERS).into_iter().find(|case| case["kind"] == "Training").expect("there is one");
    let values = case["values"].as_array().unwrap().iter().map(tensor).collect();
    (case, values)
}

fn penalized(values: &[Tensor<f64>], config: &Value) -> Result<Sequential<f64>> {
    let activity = ActivityRegularization::new(real(config, "l1"), real(config, "l2"));
    let mut model = Sequential::of().add(Dense::of(2)).add(activity);
    model.initialize(&[3], 0)?;
    for ((_, param), values) in model.params_mut().into_iter().zip(&values[2..]) {
        param.set(values)?;
    }
    Ok(model)
}

#[test]
fn a_penalty_is_in_the_loss_as_in_keras_however_the_batch_is_cut() -> Result<()> {
    let (case, values) = training_case();
    let config = &case["config"];
    let near = |got: f64, expected: f64| (got - expected).abs() < 2e-6 * expected.abs().max(1.0);
    let data = Dataset::new(&values[0], &values[1])?;
    for (shards, rows) in [(1, 64), (1, 2), (3, 64), (3, 1)] {
        let trainer = || {
            let trainer = Trainer::of(MeanSquaredError::new(), Sgd::new(real(config, "rate")));
            trainer.shards(shards).micro_batch(rows).shuffle(false).progress(Progress::Silent)
        };
        let mut model = penalized(&values, config)?;
        let mut of_three = trainer().batch_size(3);
        let evaluated = of_three.evaluate(&model, (&values[0], &values[1]))?.loss();
        assert!(near(evaluated, reals(&case["losses"])[0]), "{evaluated}");
        let trained = trainer().step(&mut model, &data)?;
        assert!(near(trained, reals(&case["losses"])[1]), "{trained}");
        for ((name, param), after) in model.params().into_iter().zip(case["after"].as_array().unwrap()) {
            common::compare(&name, param.get()?, after, 2e-6);
        }
        let mut model = penalized(&values, config)?;
        let history = of_three.epochs(2).fit(&mut model, (&values[0], &values[1]))?;
        for (epoch, expected) in history.epochs().iter().zip(reals(&case["fitted"])) {
            let got = epoch.get("loss").expect("it is there");
            assert!(near(got, expected), "{got} instead of {expected}");
        }
        assert_eq!(history.epochs().len(), 2);
    }
    Ok(())
}

#[test]
fn a_training_with_a_penalty_goes_on_from_a_checkpoint_to_the_bit() -> Result<()> {
    let (case, values) = training_case();
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("penalty.safetensors");
    let trainer = || {
        let trainer = Trainer::of(MeanSquaredError::new(), Sgd::new(0.1)).batch_size(2).epochs(2);
        trainer.progress(Progress::Silent)
    };
    let data = || Dataset::new(&values[0], &values[1]);
    let mut whole = trainer();
    let mut model = penalized(&values, &case["config"])?;
    let expected = whole.fit(&mut model, data()?)?;
    let mut model = penalized(&values, &case["config"])?;
    let saved = path.clone();
    let stop = layerwise::train::callbacks::LambdaCallback::of().on_batch_end(move |event| {
        if event.step == 2 {
            event.save_checkpoint(&saved);
            event.stop();
        }
        Ok(())
    });
    trainer().callback(stop).fit(&mut model, data()?)?;
    let (mut model, mut again) = (penalized(&values, &case["config"])?, trainer());
    again.load_checkpoint(&mut model, &path)?;
    let got = again.fit(&mut model, data()?)?;
    let losses = |history: &History| history.epochs().iter().map(|epoch| epoch.get("loss")).collect::<Vec<_>>();
    assert_eq!(losses(&got), losses(&expected));
    Ok(())
}

#[test]
fn a_million_equal_numbers_and_noise_have_the_variance_of_the_noise() -> Result<()> {
    const COUNT: usize = 1 << 20;
    // Steps of an eighth, which f32 has there: -1.5, -0.5, 0.5, 1.5 by turns, with the variance 1.25.
    let noise = |i: usize| [-1.5_f32, -0.5, 0.5, 1.5][i % 4];
    let all: Vec<f32> = (0..COUNT).map(|i| 100_000.0 + noise(i)).collect();
    let check = |what: &str, layer: &mut dyn Layer, shape: &[usize], mode: Mode| -> Result<()> {
        let x = Tensor::from_shape_vec(IxDyn(shape), all.clone()).expect("the numbers fill it");
        layer.initialize(&shape[1..], 0)?;
        let mut ctx = Context::training(layer, 0);
        let y = ctx.in_mode(mode, |ctx| layer.forward(&x, ctx))?;
        for (i, y) in y.iter().enumerate() {
            let expected = noise(i) / 1.25_f32.sqrt();
            assert!((y - expected).abs() < 1e-4, "{what}: {y} instead of {expected} at {i}");
        }
        Ok(())
    };
    let mode = Mode::Training;
    check("layer", &mut LayerNormalization::new().epsilon(1e-9), &[1, COUNT], mode)?;
    check("layer, several axes", &mut LayerNormalization::new().axes(2).epsilon(1e-9), &[1, 1024, 1024], mode)?;
    check("group of pixels", &mut GroupNormalization::new(1).epsilon(1e-9), &[1, COUNT / 4, 4], mode)?;
    check("group of channels", &mut GroupNormalization::new(1).epsilon(1e-9), &[1, 4, COUNT / 4], mode)?;
    check("batch", &mut BatchNormalization::new().epsilon(1e-9), &[COUNT, 1], mode)
}

#[test]
fn what_cannot_be_is_said_when_a_model_is_built() {
    fn boxed(layer: impl Layer + 'static) -> Box<dyn Layer> {
        Box::new(layer)
    }
    let rate = "dropout rate must be at least 0 and below 1, got";
    let cases: Vec<(Box<dyn Layer>, &[usize], String)> = vec![
        (boxed(AlphaDropout::new(1.0)), &[4], format!("{rate} 1")),
        (boxed(GaussianDropout::new(f64::NAN)), &[4], format!("{rate} NaN")),
        (
            boxed(GaussianNoise::new(-0.5)),
            &[4],
            "deviation of GaussianNoise must be a finite number of at least 0, got -0.5".into(),
        ),
        (boxed(RmsNormalization::new().epsilon(0.0)), &[4], "epsilon must be a finite number above 0, got 0".into()),
        (boxed(RmsNormalization::new().axes(0)), &[4, 3], "axes must be from 1 to 2, those of a sample, got 0".into()),
        (
            boxed(LayerNormalization::new().axes(3)),
            &[4, 3],
            "axes must be from 1 to 2, those of a sample, got 3".into(),
        ),
        (
            boxed(LayerNormalization::new().axes(2)),
            &[1, 1],
            "input of one sample: expected at least 2 values in each group, got shape [1, 1]".into(),
        ),
        (
            boxed(UnitNormalization::new().axis(0)),
            &[4],
            "axis of UnitNormalization must be an axis of 2 other than 0, the batch, got 0".into(),
        ),
        (
            boxed(UnitNormalization::new().axis(-2)),
            &[4],
            "axis of UnitNormalization must be an axis of 2 other than 0, the batch, got -2".into(),
        ),
        (boxed(Rescaling::new(f64::NAN)), &[4], "scale of Rescaling must be finite, got NaN".into()),
        (
            boxed(Rescaling::channels([1.0, 2.0], [0.0])),
            &[2],
            "offsets of Rescaling against its scales, at least one: expected length 2, got 1".into(),
        ),
        (
            boxed(Rescaling::channels([1.0, 2.0], [0.0, 0.0])),
            &[4, 3],
            "input: expected 2 channels on the last axis, got shape [4, 3]".into(),
        ),
        (boxed(RepeatVector::new(0)), &[4], "times of RepeatVector must be at least 1, got 0".into()),
        (
            boxed(RepeatVector::new(2)),
            &[4, 3],
            "input: expected shape (features) of one sample, got shape [4, 3]".into(),
        ),
        (
            boxed(Masking::new(0.0)),
            &[4],
            "input of one sample: expected shape (time, features), both at least 1, got shape [4]".into(),
        ),
        (
            boxed(Masking::new(f64::NAN)),
            &[4, 2],
            "value of Masking must be a number, as NaN equals nothing, got NaN".into(),
        ),
        (
            boxed(ActivityRegularization::new(-1.0, 0.0)),
            &[4],
            "l1 of ActivityRegularization must be a finite number of at least 0, got -1".into(),
        ),
        (
            boxed(ActivityRegularization::new(0.0, f64::INFINITY)),
            &[4],
            "l2 of ActivityRegularization must be a finite number of at least 0, got inf".into(),
        ),
        (
            boxed(Dense::new(3).bias_initializer(Initializer::Orthogonal { gain: 1.0 })),
            &[4],
            "parameter that starts orthogonal: expected at least 2 axes, got shape [3]".into(),
        ),
        (
            boxed(Conv1d::new(3, 2).weight_initializer(Initializer::Identity { gain: 1.0 })),
            &[4, 2],
            "parameter that starts as identity: expected 2 axes, got shape [2, 2, 3]".into(),
        ),
    ];
    for (mut layer, input, message) in cases {
        assert_eq!(layer.initialize(input, 0).expect_err(&message).to_string(), message);
    }
}

/// A merge, the shapes of one sample of each input, and the message.
type Join = (Box<dyn Merge>, Vec<Vec<usize>>, String);

#[test]
fn inputs_that_cannot_be_joined_are_named() -> Result<()> {
    let extents = "of the inputs before (an extent may be 1 in one of them)";
    let cases: Vec<Join> = vec![
        (Box::new(Subtract::new()), vec![vec![3]; 3], "the number of inputs of Subtract must be 2, got 3".into()),
        (Box::new(Multiply::new()), vec![vec![3]], "the number of inputs of Multiply must be at least 2, got 1".into()),
        (
            Box::new(Maximum::new()),
            vec![vec![2, 1], vec![1, 3], vec![3, 3]],
            format!("input 2: expected shape [2, 3] {extents}, got shape [3, 3]"),
        ),
        (
            Box::new(Average::new()),
            vec![vec![2, 3], vec![3]],
            format!("input 1: expected shape [2, 3] {extents}, got shape [3]"),
        ),
        (Box::new(Minimum::new()), vec![], "the number of inputs of Minimum must be at least 2, got 0".into()),
        (Box::new(Dot::new(1)), vec![vec![3]; 3], "the number of inputs of Dot must be 2, got 3".into()),
        (
            Box::new(Dot::new(0)),
            vec![vec![3]; 2],
            "axis of Dot in input 0 must be an axis of 2 other than 0, the batch, got 0".into(),
        ),
        (
            Box::new(Dot::along(1, -3)),
            vec![vec![3]; 2],
            "axis of Dot in input 1 must be an axis of 2 other than 0, the batch, got -3".into(),
        ),
        (
            Box::new(Dot::along(2, 1)),
            vec![vec![4, 3], vec![4, 2]],
            "input 1: expected 3 values along axis 1, as input 0 has them, got shape [1, 4, 2]".into(),
        ),
    ];
    for (merge, inputs, message) in cases {
        assert_eq!(merge.output_shape(&inputs).expect_err(&message).to_string(), message);
    }
    // The samples of a batch are never spread.
    let ones = |samples: usize| Tensor::<f32>::ones(IxDyn(&[samples, 3]));
    let error = Add::new().forward(&[ones(1), ones(2)], &mut Context::inference()).unwrap_err().to_string();
    assert_eq!(error, format!("input 1: expected shape [1, 3] {extents}, got shape [2, 3]"));
    Ok(())
}

#[test]
fn nan_goes_through() -> Result<()> {
    let nan = Tensor::<f32>::from_elem(IxDyn(&[2, 3]), f32::NAN);
    let layers: [Box<dyn Layer>; 8] = [
        Box::new(RmsNormalization::new()),
        Box::new(UnitNormalization::new()),
        Box::new(AlphaDropout::new(0.5)),
        Box::new(GaussianDropout::new(0.5)),
        Box::new(GaussianNoise::new(0.5)),
        Box::new(Rescaling::new(0.5)),
        Box::new(ActivityRegularization::new(0.1, 0.1)),
        Box::new(RepeatVector::new(2)),
    ];
    for mut layer in layers {
        layer.initialize(&[3], 0)?;
        let y = layer.forward(&nan, &mut Context::training(&*layer, 0))?;
        assert!(y.iter().all(|y| y.is_nan()), "{}", layer.kind());
    }
    let one = Tensor::<f32>::ones(IxDyn(&[2, 3]));
    let merges: [&dyn Merge; 4] = [&Maximum, &Minimum, &Average, &Multiply];
    for merge in merges {
        for xs in [[nan.clone(), one.clone()], [one.clone(), nan.clone()]] {
            let y = merge.forward(&xs, &mut Context::inference())?;
            assert!(y.iter().all(|y| y.is_nan()), "{}", merge.kind());
        }
    }
    Ok(())
}

#[test]
fn a_penalty_counts_the_samples_of_the_whole_batch() -> Result<()> {
    // 24 samples in shards and micro-batches of all sizes: the loss of a step is one number.
    let x = Array2::from_shape_fn((24, 3), |(i, j)| ((i * 3 + j) as f64 * 0.7).sin());
    let y = Array2::<f64>::zeros((24, 3));
    let mut losses = Vec::new();
    for (shards, rows) in [(1, 24), (1, 5), (2, 24), (4, 3), (5, 2)] {
        let mut model = Sequential::of().add(Dense::of(3)).add(ActivityRegularization::new(0.5, 0.5));
        model.initialize(&[3], 4)?;
        let mut trainer = Trainer::of(MeanSquaredError::new(), Sgd::new(0.5)).shards(shards).micro_batch(rows);
        let data = Dataset::new(&x, &y)?;
        losses.push([trainer.step(&mut model, &data)?, trainer.step(&mut model, &data)?]);
    }
    let apart = |a: f64, b: f64| (a - b).abs() < 1e-12;
    assert!(losses.iter().all(|[a, b]| apart(*a, losses[0][0]) && apart(*b, losses[0][1])), "{losses:?}");
    Ok(())
}
