//! The losses of Keras and PyTorch beside them, against finite differences, and against what users get wrong.

use layerwise::losses::*;
use layerwise::{Context, GradCheck, Loss, Result, Scalar, Tensor, gradcheck_loss, values};
use ndarray::{ArcArray, Axis, IxDyn, Slice};
use serde_json::Value;

fn tensor<A: Scalar>(value: &Value) -> Option<Tensor<A>> {
    let numbers = |key: &str| value.get(key)?.as_array().map(|list| list.iter().map(|x| x.as_f64().unwrap()));
    let shape: Vec<usize> = numbers("shape")?.map(|x| x as usize).collect();
    let data = numbers("data")?.map(A::of).collect();
    Some(ArcArray::from_shape_vec(IxDyn(&shape), data).unwrap())
}

fn of<A: Scalar>(shape: &[usize], data: &[f64]) -> Tensor<A> {
    ArcArray::from_shape_vec(IxDyn(shape), data.iter().map(|&x| A::of(x)).collect()).unwrap()
}

const REDUCTIONS: [(Reduction, &str); 3] =
    [(Reduction::Mean, "mean"), (Reduction::WeightedMean, "weighted_mean"), (Reduction::Sum, "sum")];

/// A loss with the settings that the configuration has; the others keep their defaults.
fn loss<A: Scalar>(kind: &str, config: &Value, reduction: Reduction) -> Box<dyn Loss<A>> {
    let number = |key: &str| config.get(key).and_then(Value::as_f64);
    let list = |key: &str| {
        config.get(key).and_then(Value::as_array).map(|list| list.iter().map(|x| x.as_f64().unwrap()).collect())
    };
    macro_rules! build {
        ($loss:expr $(, $get:ident $name:literal => $method:ident)*) => {{
            let loss = $loss.reduction(reduction);
            $(let loss = match $get($name) {
                Some(value) => loss.$method(value),
                None => loss,
            };)*
            Box::new(loss)
        }};
    }
    let flag = |key: &str| config.get(key).and_then(Value::as_bool);
    let label = |key: &str| config.get(key).and_then(Value::as_i64);
    match kind {
        "MeanAbsoluteError" => build!(MeanAbsoluteError::new()),
        "MeanAbsolutePercentageError" => build!(MeanAbsolutePercentageError::new()),
        "MeanSquaredLogarithmicError" => build!(MeanSquaredLogarithmicError::new()),
        "Huber" => build!(Huber::new(), number "delta" => delta),
        "LogCosh" => build!(LogCosh::new()),
        "Poisson" => build!(Poisson::new(), flag "log_input" => log_input, flag "full" => full,
            number "epsilon" => epsilon),
        "Hinge" => build!(Hinge::new()),
        "SquaredHinge" => build!(SquaredHinge::new()),
        "BinaryCrossEntropy" => build!(BinaryCrossEntropy::new(), number "label_smoothing" => label_smoothing,
            flag "probabilities" => probabilities, number "pos_weight" => pos_weight),
        "BinaryFocal" => build!(BinaryFocal::new(), number "gamma" => gamma, number "alpha" => alpha,
            number "label_smoothing" => label_smoothing, flag "probabilities" => probabilities),
        "CategoricalCrossEntropy" => build!(CategoricalCrossEntropy::new(),
            number "label_smoothing" => label_smoothing, label "ignore_class" => ignore_class),
        "SoftmaxCrossEntropy" => build!(SoftmaxCrossEntropy::new(), number "label_smoothing" => label_smoothing,
            label "ignore_class" => ignore_class, list "class_weights" => class_weights),
        "CategoricalFocal" => build!(CategoricalFocal::new(), number "gamma" => gamma, number "alpha" => alpha,
            number "label_smoothing" => label_smoothing, flag "probabilities" => probabilities,
            list "class_weights" => class_weights),
        "CategoricalHinge" => build!(CategoricalHinge::new()),
        "KLDivergence" => build!(KLDivergence::new(), flag "log_input" => log_input,
            flag "log_target" => log_target),
        "CosineSimilarity" => build!(CosineSimilarity::new()),
        "Quantile" => build!(Quantile::several(list("quantiles").unwrap())),
        "GaussianNegativeLogLikelihood" => build!(GaussianNegativeLogLikelihood::new(), flag "full" => full,
            flag "log_variance" => log_variance, number "epsilon" => epsilon),
        "Contrastive" => build!(Contrastive::new(), number "margin" => margin, flag "embeddings" => embeddings),
        "TripletMargin" => build!(TripletMargin::new(), number "margin" => margin, number "norm" => norm,
            number "epsilon" => epsilon, flag "swap" => swap),
        other => panic!("{other}"),
    }
}

struct Case<A: Scalar> {
    name: String,
    kind: String,
    config: Value,
    output: Tensor<A>,
    target: Tensor<A>,
    weights: Option<Tensor<A>>,
    terms: Tensor<f64>,
    gradient: Tensor<f64>,
    denominators: Value,
    smooth: bool,
    single: bool,
}

fn cases<A: Scalar>() -> Vec<Case<A>> {
    let file: Value = serde_json::from_str(include_str!("reference/losses_keras.json")).unwrap();
    let cases = file["cases"].as_array().unwrap().iter().map(|case| Case {
        name: case["name"].as_str().unwrap().to_owned(),
        kind: case["kind"].as_str().unwrap().to_owned(),
        config: case["config"].clone(),
        output: tensor(&case["output"]).unwrap(),
        target: tensor(&case["target"]).unwrap(),
        weights: tensor(&case["sample_weights"]),
        terms: tensor(&case["terms"]).unwrap(),
        gradient: tensor(&case["grad"]).unwrap(),
        denominators: case["denominators"].clone(),
        smooth: case["smooth"].as_bool().unwrap(),
        single: case["single"].as_bool().unwrap(),
    });
    cases.collect()
}

impl<A: Scalar> Case<A> {
    fn loss(&self, reduction: Reduction) -> Box<dyn Loss<A>> {
        loss(&self.kind, &self.config, reduction)
    }

    fn weights(&self) -> Option<&[A]> {
        self.weights.as_ref().map(|weights| weights.as_slice().unwrap())
    }
}

#[track_caller]
fn close(name: &str, got: f64, expected: f64, tolerance: f64) {
    let near = (got - expected).abs() <= tolerance * expected.abs().max(1.0);
    assert!(near || got == expected, "{name}: {got:e} against {expected:e}");
}

/// Terms without a reduction, and value and gradient with each.
fn agrees<A: Scalar>(cases: &[Case<A>], tolerance: f64) {
    for case in cases {
        let terms = case.loss(Reduction::Mean).unreduced(&case.output, &case.target, case.weights()).unwrap();
        assert_eq!(terms.shape(), case.terms.shape(), "{}", case.name);
        for (got, &expected) in terms.iter().zip(&case.terms) {
            close(&case.name, got.as_f64(), expected, tolerance);
        }
        for (reduction, name) in REDUCTIONS {
            let loss = case.loss(reduction);
            assert_eq!(loss.kind(), case.kind);
            let (value, gradient) = loss.evaluate(&case.output, &case.target, case.weights()).unwrap();
            let denominator = case.denominators[name].as_f64().unwrap();
            close(&case.name, value.as_f64(), case.terms.sum() / denominator, tolerance);
            assert_eq!(gradient.shape(), case.gradient.shape(), "{}", case.name);
            for (got, &expected) in gradient.iter().zip(&case.gradient) {
                close(&case.name, got.as_f64(), expected / denominator, tolerance);
            }
        }
    }
}

#[test]
fn terms_values_and_gradients_agree_with_keras_and_torch() {
    let cases = cases::<f64>();
    agrees(&cases, 1e-11);
    assert!(cases.len() > 250, "{}", cases.len());
}

#[test]
fn single_precision_agrees_to_its_digits() {
    let cases: Vec<_> = cases::<f32>().into_iter().filter(|case| case.single).collect();
    agrees(&cases, 2e-5);
    assert!(cases.len() > 230, "{}", cases.len());
}

#[test]
fn finite_differences_give_the_gradients() -> Result<()> {
    let mut count = 0;
    for case in cases::<f64>().iter().filter(|case| case.smooth) {
        let loss = case.loss(Reduction::Mean);
        let report = gradcheck_loss(&*loss, &case.output, &case.target, case.weights(), &GradCheck::default());
        count += report.map_err(|error| error.within(case.name.clone()))?.compared;
    }
    assert!(count > 1000, "{count}");
    Ok(())
}

#[test]
fn shards_add_up_to_the_batch() -> Result<()> {
    for case in cases::<f64>() {
        let loss = case.loss(Reduction::WeightedMean);
        let (value, gradient) = loss.evaluate(&case.output, &case.target, case.weights())?;
        let scale = 1.0 / loss.denominator(case.output.shape(), &case.target, case.weights())?;
        let batch = case.output.shape()[0];
        let ctx = &mut Context::inference();
        let (mut sum, mut parts) = (0.0, Vec::new());
        for (from, to) in [(0, 1), (1, batch)] {
            let part = |x: &Tensor<f64>| {
                x.slice_axis(Axis(0), Slice::from(from..to)).as_standard_layout().into_owned().into_shared()
            };
            let weights = case.weights.as_ref().map(part);
            let samples = Samples { weights: weights.as_ref().map(|w| w.as_slice().unwrap()), scale };
            let (output, target) = (part(&case.output), part(&case.target));
            let (alone, nothing) = loss.compute(&output, &target, samples, false, ctx)?;
            let (value, gradient) = loss.compute(&output, &target, samples, true, ctx)?;
            assert!(nothing.is_none() && alone == value, "{}", case.name);
            sum += value;
            parts.extend(gradient.unwrap().iter().copied());
        }
        close(&case.name, sum, value, 1e-12);
        assert_eq!(parts, gradient.iter().copied().collect::<Vec<_>>(), "{}", case.name);
    }
    Ok(())
}

/// A loss, an output and a target.
type Sample<A> = (Box<dyn Loss<A>>, Tensor<A>, Tensor<A>);

/// One of each kind with its defaults, with an output, and a target that fits.
fn one_of_each<A: Scalar>() -> Vec<Sample<A>> {
    let mut kinds: Vec<String> = Vec::new();
    let mut each = Vec::new();
    for case in cases::<A>() {
        if !kinds.contains(&case.kind) {
            kinds.push(case.kind.clone());
            each.push((case.loss(Reduction::Mean), case.output, case.target));
        }
    }
    assert_eq!(each.len(), 20);
    each
}

#[test]
fn nan_flows_through() -> Result<()> {
    for (loss, mut output, target) in one_of_each::<f32>() {
        output.as_slice_mut().unwrap()[1] = f32::NAN;
        let (value, _) = loss.evaluate(&output, &target, None)?;
        assert!(value.is_nan(), "{}: {value}", loss.kind());
        assert!(loss.unreduced(&output, &target, None)?.iter().any(|term| term.is_nan()), "{}", loss.kind());
    }
    Ok(())
}

#[test]
fn buffers_come_back_from_the_context() -> Result<()> {
    for (loss, output, target) in one_of_each::<f32>() {
        let ctx = &mut Context::inference();
        let samples = Samples { weights: None, scale: 0.5 };
        let mut places = Vec::new();
        for _ in 0..8 {
            let gradient = loss.compute(&output, &target, samples, true, ctx)?.1.unwrap();
            places.push(gradient.as_ptr());
            ctx.recycle(gradient);
        }
        places.sort();
        places.dedup();
        assert!(places.len() <= 3, "{} takes new buffers: {places:?}", loss.kind());
    }
    Ok(())
}

#[test]
fn settings_and_the_reduction_are_in_the_configuration() {
    let Value::Object(config) = Loss::<f32>::config(&Huber::new().delta(0.5).reduction(Reduction::Sum)) else {
        panic!("an object")
    };
    assert_eq!(Value::Object(config), serde_json::json!({ "delta": 0.5, "reduction": "sum" }));
    // A setting that a case has is in the configuration with the case's value.
    for case in cases::<f64>() {
        let now = case.loss(Reduction::Mean).config();
        assert_eq!(now["reduction"], "mean");
        for (key, value) in case.config.as_object().unwrap() {
            // What is not asked for may be absent.
            let asked = !matches!(value, Value::Null | Value::Bool(false)) && value.as_f64() != Some(0.0);
            assert!(key == "zeros" || !asked || now[key] == *value, "{}: {key} {}", case.name, now[key]);
        }
    }
}

#[test]
fn exact_at_points_where_others_have_no_gradient() -> Result<()> {
    let evaluate =
        |loss: &dyn Loss<f64>, output: Tensor<f64>, target: Tensor<f64>| loss.evaluate(&output, &target, None);
    // Quantile: the output is the target.
    let (value, gradient) = evaluate(&Quantile::new(0.9), of(&[2], &[1.0, 2.0]), of(&[2], &[1.0, 2.0]))?;
    assert_eq!((value, values(&gradient)?), (0.0, &[0.0, 0.0][..]));
    // In the kink of a hinge, and of a triplet.
    let (value, gradient) = evaluate(&Hinge::new(), of(&[2], &[1.0, -1.0]), of(&[2], &[1.0, 0.0]))?;
    assert_eq!((value, values(&gradient)?), (0.0, &[0.0, 0.0][..]));
    let kink = of(&[1, 3], &[0.0, 1.0, 2.0]);
    let (value, gradient) = evaluate(&TripletMargin::new().epsilon(0.0), kink, of(&[1], &[0.0]))?;
    assert_eq!((value, values(&gradient)?), (0.0, &[0.0; 3][..]));
    // A vector of zeros has no direction.
    let zeros = of(&[1, 2], &[0.0, 0.0]);
    let (value, gradient) = evaluate(&CosineSimilarity::new(), zeros, of(&[1, 2], &[3.0, 4.0]))?;
    close("cosine", value, 0.0, 0.0);
    close("cosine", gradient[[0, 0]], -0.6e7, 1e-9);
    // Logits so large that the power of a focal loss with gamma < 1 has an infinite slope.
    let sure = BinaryFocal::new().gamma(0.5);
    let (value, gradient) = evaluate(&sure, of(&[3], &[1e4, -1e4, 800.0]), of(&[3], &[1.0, 0.0, 1.0]))?;
    assert_eq!((value, values(&gradient)?), (0.0, &[0.0; 3][..]));
    let sure = CategoricalFocal::new().gamma(0.5);
    let (value, gradient) = evaluate(&sure, of(&[1, 2], &[1e4, -1e4]), of(&[1], &[0.0]))?;
    assert_eq!((value, values(&gradient)?), (0.0, &[0.0; 2][..]));
    // What is tiny keeps its digits.
    let terms = LogCosh::new().unreduced(&of::<f64>(&[1], &[1e-9]), &of(&[1], &[0.0]), None)?;
    assert!((terms[[0]] / 0.5e-18 - 1.0).abs() < 1e-15);
    Ok(())
}

#[test]
fn focal_with_gamma_zero_is_the_cross_entropy() -> Result<()> {
    let logits = of::<f64>(&[3, 3], &[1.0, -2.0, 0.5, 1e4, 0.0, -1e4, 0.0, f64::NEG_INFINITY, 1.0]);
    let labels = of(&[3], &[1.0, 2.0, 0.0]);
    let (value, gradient) = SoftmaxCrossEntropy::new().evaluate(&logits, &labels, None)?;
    let (focal, of_focal) = CategoricalFocal::new().gamma(0.0).alpha(1.0).evaluate(&logits, &labels, None)?;
    close("value", focal, value, 1e-15);
    for (&got, &expected) in of_focal.iter().zip(&gradient) {
        close("gradient", got, expected, 1e-15);
    }
    let logits = of::<f64>(&[6], &[100.0, -100.0, 1e4, -1e4, 0.5, -0.0]);
    let answers = of(&[6], &[0.0, 1.0, 1.0, 1.0, 0.3, 1.0]);
    let (value, gradient) = BinaryCrossEntropy::new().evaluate(&logits, &answers, None)?;
    let (focal, of_focal) = BinaryFocal::new().gamma(0.0).evaluate(&logits, &answers, None)?;
    close("value", focal, value, 1e-15);
    for (&got, &expected) in of_focal.iter().zip(&gradient) {
        close("gradient", got, expected, 1e-15);
    }
    Ok(())
}

#[test]
fn predictions_are_what_the_output_means() -> Result<()> {
    let ctx = &mut Context::inference();
    let output = of::<f64>(&[1, 2], &[0.0, 3.0_f64.ln()]);
    let predict = |loss: &dyn Loss<f64>, ctx: &mut Context<f64>| loss.prediction(&output, ctx);
    for (loss, expected) in [
        (Box::new(Poisson::new().log_input(true)) as Box<dyn Loss<f64>>, [1.0, 3.0]),
        (Box::new(BinaryFocal::new()), [0.5, 0.75]),
        (Box::new(CategoricalFocal::new()), [0.25, 0.75]),
        (Box::new(BinaryCrossEntropy::new()), [0.5, 0.75]),
        (Box::new(BinaryCrossEntropy::new().probabilities(true)), [0.0, 3.0_f64.ln()]),
        (Box::new(BinaryFocal::new().probabilities(true)), [0.0, 3.0_f64.ln()]),
        (Box::new(CategoricalCrossEntropy::new()), [0.0, 3.0_f64.ln()]),
        (Box::new(Poisson::new()), [0.0, 3.0_f64.ln()]),
    ] {
        for (&got, expected) in predict(&*loss, ctx)?.iter().zip(expected) {
            close(loss.kind(), got, expected, 1e-15);
        }
    }
    Ok(())
}

/// A user's loss, which only knows how to sum: the square of the sum of each sample.
struct Squares {
    coupled: bool,
}

impl Loss<f64> for Squares {
    fn kind(&self) -> &str {
        "Squares"
    }

    fn denominator(&self, output: &[usize], _: &Tensor<f64>, _: Option<&[f64]>) -> Result<f64> {
        Ok(output[0] as f64)
    }

    fn compute(
        &self,
        output: &Tensor<f64>,
        _: &Tensor<f64>,
        samples: Samples<'_, f64>,
        _: bool,
        _: &mut Context<f64>,
    ) -> Result<(f64, Option<Tensor<f64>>)> {
        let of_sample = |(at, x): (usize, ndarray::ArrayViewD<'_, f64>)| {
            samples.weights.map_or(1.0, |weights| weights[at]) * x.sum() * x.sum()
        };
        Ok((samples.scale * output.outer_iter().enumerate().map(of_sample).sum::<f64>(), None))
    }

    fn couples_samples(&self) -> bool {
        self.coupled
    }
}

#[test]
fn a_loss_of_ones_own_has_a_value_for_each_sample() -> Result<()> {
    let (output, target) = (of::<f64>(&[3, 2], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), of(&[3], &[0.0; 3]));
    let terms = Squares { coupled: false }.unreduced(&output, &target, Some(&[1.0, 0.0, 2.0]))?;
    assert_eq!(terms, of::<f64>(&[3], &[9.0, 0.0, 242.0]));
    let refused = Squares { coupled: true }.unreduced(&output, &target, None).unwrap_err().to_string();
    assert_eq!(refused, "Squares has no loss of a sample by itself: samples of a batch influence each other");
    Ok(())
}

#[test]
fn the_terms_of_a_loss_behind_a_network_are_those_of_its_output() -> Result<()> {
    use layerwise::Model;
    use layerwise::layers::Dense;
    let mut model = Dense::<f64>::of(2);
    model.initialize(&[3], 0)?;
    let (x, target) = (of::<f64>(&[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), of(&[2, 2], &[0.0; 4]));
    let loss = MeanSquaredError::new();
    let expected = loss.unreduced(&model.predict(&x)?.into_dyn().into_shared(), &target, Some(&[1.0, 2.0]))?;
    assert_eq!(Through::new(&model, &loss).unreduced(&x, &target, Some(&[1.0, 2.0]))?, expected);
    Ok(())
}

fn flat(shape: &[usize]) -> Tensor<f64> {
    of(shape, &vec![0.0; shape.iter().product()])
}

type Row = (Box<dyn Loss<f64>>, Tensor<f64>, Tensor<f64>, &'static str);

fn refuses(table: Vec<Row>) {
    for (loss, output, target, message) in table {
        assert_eq!(loss.evaluate(&output, &target, None).unwrap_err().to_string(), message);
        assert_eq!(loss.unreduced(&output, &target, None).unwrap_err().to_string(), message);
        let alone = Samples { weights: None, scale: 1.0 };
        let alone = loss.compute(&output, &target, alone, false, &mut Context::inference());
        assert_eq!(alone.unwrap_err().to_string(), message);
    }
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    let elementwise: [Box<dyn Loss<f64>>; 11] = [
        Box::new(MeanAbsoluteError::new()),
        Box::new(MeanAbsolutePercentageError::new()),
        Box::new(MeanSquaredLogarithmicError::new()),
        Box::new(Huber::new()),
        Box::new(LogCosh::new()),
        Box::new(Poisson::new()),
        Box::new(Hinge::new()),
        Box::new(SquaredHinge::new()),
        Box::new(BinaryFocal::new()),
        Box::new(Contrastive::new()),
        Box::new(Quantile::new(0.5)),
    ];
    let expected = "target: expected shape [4, 1] or [4], as the output, got shape [4, 4]";
    refuses(elementwise.into_iter().map(|loss| (loss, flat(&[4, 1]), flat(&[4, 4]), expected)).collect());
    let triplet = || Box::new(TripletMargin::new());
    let pairs = || Box::new(Contrastive::new().embeddings(true));
    let gaussian = || Box::new(GaussianNegativeLogLikelihood::new());
    let quantiles = || Box::new(Quantile::several(vec![0.1, 0.9]));
    refuses(vec![
        (
            Box::new(KLDivergence::new()),
            flat(&[2, 3]),
            flat(&[2]),
            "target: expected shape [2, 3], as the output, got shape [2]",
        ),
        (
            Box::new(CosineSimilarity::new()),
            flat(&[3]),
            flat(&[3]),
            "output of CosineSimilarity: expected (batch, ..., features), got shape [3]",
        ),
        (
            Box::new(CategoricalHinge::new()),
            flat(&[2, 1]),
            flat(&[2]),
            "output of CategoricalHinge: expected (batch, ..., classes) with 2 classes or more; for one logit use \
             BinaryCrossEntropy, got shape [2, 1]",
        ),
        (
            Box::new(CategoricalCrossEntropy::new()),
            flat(&[2, 3]),
            flat(&[3]),
            "target: expected class labels of shape [2] or [2, 1], or probabilities of shape [2, 3], for an output of \
             shape [2, 3], got shape [3]",
        ),
        (
            triplet(),
            flat(&[2, 4]),
            flat(&[2]),
            "output of TripletMargin: expected (batch, 3, features) or (batch, 3 features), got shape [2, 4]",
        ),
        (
            triplet(),
            flat(&[2, 2, 3]),
            flat(&[2]),
            "output of TripletMargin: expected (batch, 3, features) or (batch, 3 features), got shape [2, 2, 3]",
        ),
        (triplet(), flat(&[2, 3]), flat(&[3]), "target: expected (2, ...), whose values are not read, got shape [3]"),
        (
            pairs(),
            flat(&[2, 3]),
            flat(&[2]),
            "output of Contrastive: expected (batch, 2, features) or (batch, 2 features), got shape [2, 3]",
        ),
        (
            pairs(),
            flat(&[2, 4]),
            flat(&[2, 4]),
            "target: expected shape [2] or [2, 1], one number for each pair, got shape [2, 4]",
        ),
        (
            gaussian(),
            flat(&[2, 3]),
            flat(&[2]),
            "output of GaussianNegativeLogLikelihood: expected (batch, ..., 2 k), k means and k variances, got shape \
             [2, 3]",
        ),
        (
            gaussian(),
            flat(&[2, 4]),
            flat(&[2]),
            "target: expected shape [2, 2], for an output of shape [2, 4], got shape [2]",
        ),
        (
            gaussian(),
            of(&[2, 2], &[0.0, 1.0, 1.0, -0.5]),
            flat(&[2]),
            "variance in the output at [1, 1]: expected a number of at least 0, got -0.5",
        ),
        (quantiles(), flat(&[2, 3]), flat(&[2]), "output of Quantile: expected (batch, ..., 2), got shape [2, 3]"),
        (
            quantiles(),
            flat(&[3, 2]),
            flat(&[3, 2]),
            "target: expected shape [3], with or without an axis of 1 behind, one number for 2 quantiles, got shape \
             [3, 2]",
        ),
        (Box::new(Quantile::several(vec![])), flat(&[3, 2]), flat(&[3]), "the list of quantiles is empty"),
    ]);
}

#[test]
fn values_that_are_no_targets_are_refused() {
    let bad = |value: f64| of(&[2], &[0.0, value]);
    refuses(vec![
        (
            Box::new(MeanSquaredLogarithmicError::new()),
            flat(&[2]),
            bad(-1.0),
            "target at [1]: expected a finite number of at least 0, got -1",
        ),
        (
            Box::new(Poisson::new()),
            flat(&[2]),
            bad(f64::INFINITY),
            "target at [1]: expected a finite number of at least 0, got inf",
        ),
        (Box::new(Hinge::new()), flat(&[2]), bad(0.5), "target at [1]: expected -1, 0 or 1, got 0.5"),
        (Box::new(SquaredHinge::new()), flat(&[2]), bad(2.0), "target at [1]: expected -1, 0 or 1, got 2"),
        (Box::new(BinaryFocal::new()), flat(&[2]), bad(1.5), "target at [1]: expected a number from 0 to 1, got 1.5"),
        (Box::new(Contrastive::new()), flat(&[2]), bad(-0.5), "target at [1]: expected a number from 0 to 1, got -0.5"),
        (
            Box::new(KLDivergence::new()),
            flat(&[1, 2]),
            of(&[1, 2], &[0.0, f64::NAN]),
            "target at [0, 1]: expected a number from 0 to 1, got NaN",
        ),
        (
            Box::new(CategoricalCrossEntropy::new()),
            flat(&[2, 3]),
            bad(3.0),
            "class label at [1]: expected a whole number from 0 to 2, got 3",
        ),
        (
            Box::new(CategoricalFocal::new().ignore_class(255)),
            flat(&[2, 3]),
            bad(254.0),
            "class label at [1]: expected a whole number from 0 to 2, got 254",
        ),
        (
            Box::new(CategoricalHinge::new()),
            flat(&[1, 2]),
            of(&[1, 2], &[0.0, -1.0]),
            "class probability at [0, 1]: expected a finite number of at least 0, got -1",
        ),
    ]);
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let at = |loss: Box<dyn Loss<f64>>, message| (loss, flat(&[2, 6]), flat(&[2, 6]), message);
    refuses(vec![
        at(Box::new(Huber::new().delta(0.0)), "delta must be a finite number above 0, got 0"),
        at(Box::new(Poisson::new().epsilon(-1.0)), "epsilon must be a finite number of at least 0, got -1"),
        at(Box::new(BinaryFocal::new().gamma(-1.0)), "gamma must be a finite number of at least 0, got -1"),
        at(Box::new(BinaryFocal::new().alpha(1.5)), "alpha must be a number from 0 to 1, got 1.5"),
        at(Box::new(BinaryFocal::new().label_smoothing(2.0)), "label_smoothing must be a number from 0 to 1, got 2"),
        at(
            Box::new(BinaryCrossEntropy::new().label_smoothing(f64::NAN)),
            "label_smoothing must be a number from 0 to 1, got NaN",
        ),
        at(
            Box::new(SoftmaxCrossEntropy::new().label_smoothing(-0.1)),
            "label_smoothing must be a number from 0 to 1, got -0.1",
        ),
        at(
            Box::new(CategoricalCrossEntropy::new().class_weights(vec![1.0])),
            "class weights, one for each class: expected length 6, got 1",
        ),
        at(Box::new(CategoricalFocal::new().gamma(f64::NAN)), "gamma must be a finite number of at least 0, got NaN"),
        at(
            Box::new(CategoricalFocal::new().alpha(f64::INFINITY)),
            "alpha must be a finite number of at least 0, got inf",
        ),
        at(Box::new(KLDivergence::new().log_target(true)), "log_target must be false where log_input is, got true"),
        at(Box::new(Quantile::new(1.0)), "quantile must be a number above 0 and below 1, got 1"),
        at(
            Box::new(GaussianNegativeLogLikelihood::new().epsilon(0.0)),
            "epsilon must be a finite number above 0, got 0",
        ),
        at(Box::new(Contrastive::new().margin(-1.0)), "margin must be a finite number above 0, got -1"),
        at(Box::new(TripletMargin::new().margin(0.0)), "margin must be a finite number above 0, got 0"),
        at(Box::new(TripletMargin::new().norm(0.5)), "norm must be a finite number of at least 1, got 0.5"),
        at(Box::new(TripletMargin::new().epsilon(-1.0)), "epsilon must be a finite number of at least 0, got -1"),
    ]);
}

#[test]
fn weights_that_are_none_are_refused() {
    for (loss, output, target) in one_of_each::<f64>() {
        let batch = output.shape()[0];
        let mut weights = vec![1.0; batch];
        weights[1] = -1.0;
        let message = "sample weight at [1]: expected a finite number of at least 0, got -1";
        assert_eq!(loss.evaluate(&output, &target, Some(&weights)).unwrap_err().to_string(), message);
        assert_eq!(loss.unreduced(&output, &target, Some(&weights)).unwrap_err().to_string(), message);
        let weights = vec![1.0; 1000];
        let message = format!("sample weights, one for each sample of the batch: expected length {batch}, got 1000");
        assert_eq!(loss.evaluate(&output, &target, Some(&weights)).unwrap_err().to_string(), message);
        assert_eq!(loss.unreduced(&output, &target, Some(&weights)).unwrap_err().to_string(), message);
    }
}
