//! The metrics against scikit-learn, against themselves in other chunks, and against what users get wrong.

use layerwise::metrics::{
    Accuracy, Average, AveragePrecision, BalancedAccuracy, BinaryAccuracy, BrierScore, CalibrationError, CohenKappa,
    ConfusionMatrix, Disagreement, ExplainedVariance, F1, FBeta, LogLoss, MatthewsCorrelation, MaxError,
    MeanAbsoluteError, MeanAbsolutePercentageError, MeanSquaredError, Metric, Precision, R2, Recall, ReliabilityBin,
    RocAuc, RootMeanSquaredError, TopKAccuracy,
};
use layerwise::{Result, Scalar, Tensor, to_tensor};
use ndarray::{ArcArray, Axis, IxDyn, Slice, array};
use serde_json::Value;

/// A metric whose values scikit-learn gives as a list too: one for each class or output, a matrix, a curve.
trait Listed: Metric<f64> {
    fn list(&self) -> Vec<f64>;
}

macro_rules! listed {
    ($($metric:ident: |$this:ident| $list:expr),* $(,)?) => {
        $(impl Listed for $metric {
            fn list(&self) -> Vec<f64> {
                let $this = self;
                $list
            }
        })*
    };
}
/// Those whose result is one number.
macro_rules! single {
    ($($metric:ident),* $(,)?) => {
        listed! { $($metric: |_metric| unreachable!("it is one number")),* }
    };
}
single!(Accuracy, BinaryAccuracy, TopKAccuracy, BalancedAccuracy, MatthewsCorrelation, CohenKappa, LogLoss, BrierScore);
listed! {
    Precision: |metric| metric.per_class(),
    Recall: |metric| metric.per_class(),
    F1: |metric| metric.per_class(),
    FBeta: |metric| metric.per_class(),
    ConfusionMatrix: |metric| metric.matrix().iter().copied().collect(),
    CalibrationError: |metric| {
        let bins = metric.reliability();
        let numbers: [fn(&ReliabilityBin) -> f64; 3] = [|bin| bin.probability, |bin| bin.frequency, |bin| bin.weight];
        numbers.iter().flat_map(|number| bins.iter().map(number)).collect()
    },
    // Of two classes the curve is wanted, not the one score.
    RocAuc: |metric| match metric.thresholds(1) {
        Ok(thresholds) if metric.per_class().len() == 1 => {
            let curve = thresholds.roc_curve();
            assert_eq!(curve.thresholds[0], f64::INFINITY);
            let thresholds = curve.thresholds.iter().skip(1);
            curve.false_positive_rate.iter().chain(&curve.true_positive_rate).chain(thresholds).copied().collect()
        }
        _ => metric.per_class(),
    },
    AveragePrecision: |metric| match metric.thresholds(1) {
        Ok(thresholds) if metric.per_class().len() == 1 => {
            let curve = thresholds.precision_recall_curve();
            curve.precision.iter().chain(&curve.recall).chain(&curve.thresholds).copied().collect()
        }
        _ => metric.per_class(),
    },
    MeanSquaredError: |metric| metric.per_output(),
    MeanAbsoluteError: |metric| metric.per_output(),
    RootMeanSquaredError: |metric| metric.per_output(),
    MeanAbsolutePercentageError: |metric| metric.per_output(),
    MaxError: |metric| metric.per_output(),
    R2: |metric| metric.per_output(),
    ExplainedVariance: |metric| metric.per_output(),
}

fn tensor<A: Scalar>(value: &Value) -> Option<Tensor<A>> {
    let numbers = |key: &str| value.get(key)?.as_array().map(|list| list.iter().map(|x| x.as_f64().unwrap()));
    let shape: Vec<usize> = numbers("shape")?.map(|x| x as usize).collect();
    let data = numbers("data")?.map(A::of).collect();
    Some(ArcArray::from_shape_vec(IxDyn(&shape), data).unwrap())
}

fn of(shape: &[usize], data: &[f64]) -> Tensor<f64> {
    ArcArray::from_shape_vec(IxDyn(shape), data.to_vec()).unwrap()
}

/// All numbers of a nested list, in order; `null` is NaN.
fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(list) => list.iter().flat_map(numbers).collect(),
        Value::Null => vec![f64::NAN],
        number => vec![number.as_f64().unwrap()],
    }
}

struct Case {
    name: String,
    kind: String,
    config: Value,
    prediction: Tensor<f64>,
    target: Tensor<f64>,
    weights: Option<Tensor<f64>>,
    expected: Vec<f64>,
}

fn cases() -> Vec<Case> {
    let files = [include_str!("reference/metrics_sklearn.json"), include_str!("reference/metrics_scores.json")];
    let files = files.map(|file| serde_json::from_str::<Value>(file).unwrap());
    let cases = files.iter().flat_map(|file| file["cases"].as_array().unwrap()).map(|case| Case {
        name: case["name"].as_str().unwrap().to_owned(),
        kind: case["kind"].as_str().unwrap().to_owned(),
        config: case["config"].clone(),
        prediction: tensor(&case["prediction"]).unwrap(),
        target: tensor(&case["target"]).unwrap(),
        weights: tensor(&case["sample_weights"]),
        expected: numbers(&case["value"]),
    });
    cases.collect()
}

/// Prediction, target, weights, and the message that they deserve.
type Bad<'a> = (Tensor<f64>, Tensor<f64>, Option<&'a [f64]>, String);

impl Case {
    fn metric(&self) -> Box<dyn Listed> {
        let average = match self.config["average"].as_str() {
            Some("binary") => Some(Average::Binary),
            Some("micro") => Some(Average::Micro),
            Some("macro") => Some(Average::Macro),
            Some("weighted") => Some(Average::Weighted),
            None => None,
            Some(other) => panic!("{other}"),
        };
        let config = &self.config;
        let every_class = config["labels"] == "all";
        let whole = |key: &str| config[key].as_u64().map(|number| number as usize);
        // A metric with the settings that the case has.
        macro_rules! metric {
            ($metric:expr $(, $method:ident: $setting:expr)*) => {{
                let metric = $metric;
                $(let metric = match $setting {
                    Some(setting) => metric.$method(setting),
                    None => metric,
                };)*
                Box::new(metric)
            }};
            ($metric:expr; $method:ident if $condition:expr) => {
                if $condition { $metric.$method() } else { $metric }
            };
        }
        macro_rules! score {
            ($metric:expr) => {
                metric!(metric!($metric; every_class if every_class), average: average)
            };
        }
        match self.kind.as_str() {
            "Accuracy" => Box::new(Accuracy::new()),
            "BinaryAccuracy" => Box::new(BinaryAccuracy::new()),
            "TopKAccuracy" => Box::new(TopKAccuracy::new(whole("k").unwrap())),
            "Precision" => score!(Precision::new()),
            "Recall" => score!(Recall::new()),
            "F1" => score!(F1::new()),
            "FBeta" => score!(FBeta::new(config["beta"].as_f64().unwrap())),
            "ConfusionMatrix" => Box::new(ConfusionMatrix::new()),
            "BalancedAccuracy" => Box::new(metric!(BalancedAccuracy::new(); adjusted if config["adjusted"] == true)),
            "MatthewsCorrelation" => Box::new(MatthewsCorrelation::new()),
            "CohenKappa" => Box::new(CohenKappa::new().disagreement(match config["disagreement"].as_str() {
                Some("linear") => Disagreement::Linear,
                Some("quadratic") => Disagreement::Quadratic,
                _ => Disagreement::Equal,
            })),
            "LogLoss" => Box::new(LogLoss::new()),
            "BrierScore" => Box::new(BrierScore::new()),
            "CalibrationError" => {
                let metric = metric!(CalibrationError::new(); maximum if config["maximum"] == true);
                metric!(metric, bins: whole("bins"))
            }
            "RocAuc" => {
                let metric = metric!(RocAuc::new(); one_vs_one if config["one_vs_one"] == true);
                metric!(metric, average: average, bins: whole("bins"))
            }
            "AveragePrecision" => metric!(AveragePrecision::new(), average: average, bins: whole("bins")),
            "MeanSquaredError" => Box::new(MeanSquaredError::new()),
            "MeanAbsoluteError" => Box::new(MeanAbsoluteError::new()),
            "RootMeanSquaredError" => Box::new(RootMeanSquaredError::new()),
            "MeanAbsolutePercentageError" => Box::new(MeanAbsolutePercentageError::new()),
            "MaxError" => Box::new(MaxError::new()),
            "R2" => Box::new(R2::new()),
            "ExplainedVariance" => Box::new(ExplainedVariance::new()),
            other => panic!("{other}"),
        }
    }

    /// What the metric says, in the form in which scikit-learn says it.
    fn values(&self, metric: &dyn Listed) -> Vec<f64> {
        let per_class = self.config.get("average").is_some_and(Value::is_null);
        let curve = self.config.get("list").is_some();
        if self.kind == "ConfusionMatrix" || self.config["multioutput"] == "raw_values" || per_class || curve {
            metric.list()
        } else {
            vec![metric.result()]
        }
    }

    fn update(&self, metric: &mut dyn Listed, from: usize, to: usize) -> Result<()> {
        let part = |x: &Tensor<f64>| x.slice_axis(Axis(0), Slice::from(from..to)).to_owned().into_shared();
        let weights = self.weights.as_ref().map(part);
        metric.update(&part(&self.prediction), &part(&self.target), weights.as_ref().map(|w| w.as_slice().unwrap()))
    }

    fn check(&self, metric: &dyn Listed, tolerance: f64) {
        let got = self.values(metric);
        assert_eq!(got.len(), self.expected.len(), "{}", self.name);
        // Keras counts in `f32`.
        let tolerance = self.config["tolerance"].as_f64().unwrap_or(tolerance);
        for (got, expected) in got.iter().zip(&self.expected) {
            let close = (got - expected).abs() <= tolerance * expected.abs().max(1.0);
            assert!(close || (got.is_nan() && expected.is_nan()), "{}: {got} against {expected}", self.name);
        }
    }
}

const KINDS: [&str; 23] = [
    "Accuracy",
    "BinaryAccuracy",
    "TopKAccuracy",
    "Precision",
    "Recall",
    "F1",
    "FBeta",
    "ConfusionMatrix",
    "BalancedAccuracy",
    "MatthewsCorrelation",
    "CohenKappa",
    "LogLoss",
    "BrierScore",
    "CalibrationError",
    "RocAuc",
    "AveragePrecision",
    "MeanSquaredError",
    "MeanAbsoluteError",
    "RootMeanSquaredError",
    "MeanAbsolutePercentageError",
    "MaxError",
    "R2",
    "ExplainedVariance",
];

#[test]
fn every_value_agrees_with_scikit_learn() -> Result<()> {
    let cases = cases();
    for kind in KINDS {
        let mut count = 0;
        for case in cases.iter().filter(|case| case.kind == kind) {
            let mut metric = case.metric();
            case.update(&mut *metric, 0, case.target.shape()[0])?;
            case.check(&*metric, 1e-12);
            count += 1;
        }
        println!("{kind}: {count} cases");
        assert!(count > 0, "no case of {kind}");
    }
    assert!(cases.iter().all(|case| KINDS.contains(&case.kind.as_str())));
    Ok(())
}

#[test]
fn chunks_streamed_or_merged_give_the_same_as_all_at_once() -> Result<()> {
    for case in cases() {
        let rows = case.target.shape()[0];
        for chunks in [1, 2, 3, 7] {
            let (mut streamed, mut merged) = (case.metric(), case.metric());
            for chunk in 0..chunks {
                let (from, to) = (rows * chunk / chunks, rows * (chunk + 1) / chunks);
                case.update(&mut *streamed, from, to)?;
                let mut part = case.metric();
                if to > from {
                    case.update(&mut *part, from, to)?;
                }
                merged.merge(&part.state())?;
            }
            case.check(&*streamed, 1e-12);
            case.check(&*merged, 1e-12);
            merged.reset();
            assert!(merged.result().is_nan());
            case.update(&mut *merged, 0, rows)?;
            case.check(&*merged, 1e-12);
        }
    }
    Ok(())
}

#[test]
fn one_hot_targets_and_columns_of_labels_count_like_labels() -> Result<()> {
    for case in cases().iter().filter(|case| case.config["task"] == "multiclass") {
        let classes = case.prediction.shape()[1];
        let rows = case.target.len();
        let one_hot = Tensor::from_shape_fn(IxDyn(&[rows, classes]), |at| {
            f64::from(u8::from(case.target[[at[0]]] == at[1] as f64))
        });
        let soft = one_hot.mapv(|t| 0.05 + 0.7 * t).into_shared();
        let column = case.target.clone().insert_axis(Axis(1));
        for target in [one_hot, soft, column] {
            let mut metric = case.metric();
            metric.update(&case.prediction, &target, case.weights.as_ref().map(|w| w.as_slice().unwrap()))?;
            case.check(&*metric, 1e-12);
        }
    }
    Ok(())
}

#[test]
fn steps_of_sequences_count_like_samples() -> Result<()> {
    let prediction = of(&[2, 2, 2], &[0.9, 0.1, 0.2, 0.8, 0.6, 0.4, 0.3, 0.7]);
    let target = of(&[2, 2], &[0.0, 1.0, 1.0, 1.0]);
    for (weights, expected) in
        [(None, 0.75), (Some(&[1.0, 3.0][..]), 5.0 / 8.0), (Some(&[1.0, 1.0, 2.0, 0.0][..]), 0.5)]
    {
        let mut accuracy = Accuracy::new();
        accuracy.update(&prediction, &target, weights)?;
        assert_eq!(accuracy.result(), expected);
        let mut error = MeanSquaredError::new();
        error.update(&target, &of(&[2, 2], &[0.0; 4]), None)?;
        assert_eq!(error.result(), 0.75);
    }
    Ok(())
}

#[test]
fn averages_follow_the_number_of_classes() -> Result<()> {
    let columns = of(&[3, 2], &[0.2, 0.8, 0.3, 0.7, 0.9, 0.1]);
    let single = of(&[3, 1], &[0.8, 0.7, 0.1]);
    let target = of(&[3], &[1.0, 0.0, 0.0]);
    for prediction in [columns, single] {
        let (mut usual, mut mean) = (Precision::new(), Precision::new().average(Average::Macro));
        usual.update(&prediction, &target, None)?;
        mean.update(&prediction, &target, None)?;
        assert_eq!((usual.result(), mean.result()), (0.5, 0.75));
    }
    let names = [
        Metric::<f32>::name(&F1::new()).to_owned(),
        Metric::<f32>::name(&F1::new().average(Average::Weighted)).to_owned(),
    ];
    assert_eq!(names, ["f1", "f1_weighted"]);
    Ok(())
}

#[test]
fn a_threshold_of_zero_reads_logits() -> Result<()> {
    let (logits, target) = (of(&[3], &[0.2, -0.1, 0.0]), of(&[3], &[1.0, 0.0, 0.0]));
    let mut accuracy = Accuracy::new().threshold(0.0);
    accuracy.update(&logits, &target, None)?;
    assert_eq!(accuracy.result(), 1.0);
    // In `f32`, 0.3 is not above a threshold of 0.3, whatever their digits in `f64`.
    let mut recall = Recall::new().threshold(0.3);
    recall.update(&to_tensor::<f32, _, _, _>(&array![0.3_f32])?, &to_tensor(&array![1])?, None)?;
    assert_eq!(recall.result(), 0.0);
    Ok(())
}

#[test]
fn nothing_has_no_value() -> Result<()> {
    for case in cases() {
        let mut metric = case.metric();
        assert!(metric.result().is_nan(), "{}", case.name);
        let state = metric.state();
        metric.merge(&state)?;
        case.update(&mut *metric, 0, 0)?;
        assert!(metric.result().is_nan(), "{}", case.name);
        metric.merge(&state)?;
        case.update(&mut *metric, 0, case.target.shape()[0])?;
        metric.merge(&state)?;
        case.check(&*metric, 1e-12);
    }
    let mut weightless = F1::new();
    weightless.update(&of(&[1], &[0.9]), &of(&[1], &[1.0]), Some(&[0.0]))?;
    assert!(weightless.result().is_nan());
    let mut single = R2::new();
    single.update(&of(&[1], &[0.9]), &of(&[1], &[1.0]), None)?;
    assert!(single.result().is_nan());
    Ok(())
}

#[test]
fn r2_keeps_its_digits_far_from_zero() -> Result<()> {
    // Targets are whole, so that adding the offset loses nothing: the value must not change but for the last digits.
    let target: Vec<f64> = (0..100).map(|i| f64::from(i * 37 % 101)).collect();
    let prediction: Vec<f64> = target.iter().enumerate().map(|(i, t)| t + f64::from(i as u32 % 5) - 2.0).collect();
    let at = |offset: f64, chunk: usize| -> Result<f64> {
        let mut r2 = R2::new();
        let shifted = |x: &[f64]| of(&[x.len()], &x.iter().map(|x| x + offset).collect::<Vec<_>>());
        for (y, t) in prediction.chunks(chunk).zip(target.chunks(chunk)) {
            let mut part = R2::new();
            part.update(&shifted(y), &shifted(t), None)?;
            Metric::<f64>::merge(&mut r2, &Metric::<f64>::state(&part))?;
        }
        Ok(r2.result())
    };
    let near = at(0.0, 100)?;
    for chunk in [1, 7, 100] {
        assert!((at(1e9, chunk)? - near).abs() < 1e-8, "{} against {near}", at(1e9, chunk)?);
    }
    Ok(())
}

#[test]
fn a_bad_batch_leaves_everything_as_it_was() -> Result<()> {
    let (good, target) = (of(&[2, 3], &[0.7, 0.2, 0.1, 0.1, 0.8, 0.1]), of(&[2], &[0.0, 2.0]));
    let labels = "target: expected class labels of shape [2] or [2, 1], or one-hot rows of shape [2, 3], for a \
                  prediction of shape [2, 3], got shape";
    let weight = "sample weight at [1]: expected a finite number of at least 0, got";
    let table: Vec<Bad> = vec![
        (good.clone(), of(&[3], &[0.0; 3]), None, format!("{labels} [3]")),
        (good.clone(), of(&[2, 2], &[0.0; 4]), None, format!("{labels} [2, 2]")),
        (
            good.clone(),
            of(&[2], &[0.0, 3.0]),
            None,
            "class label at [1]: expected a whole number from 0 to 2, got 3".into(),
        ),
        (
            good.clone(),
            of(&[2, 1], &[0.0, 0.5]),
            None,
            "class label at [1, 0]: expected a whole number from 0 to 2, got 0.5".into(),
        ),
        (
            good.clone(),
            of(&[2, 3], &[1.0, 0.0, 0.0, 1.0, 1.0, 0.0]),
            None,
            "target at [1]: expected one class above all others, got several".into(),
        ),
        (
            good.clone(),
            of(&[2, 3], &[1.0, 0.0, 0.0, 1.0, f64::NAN, 0.0]),
            None,
            "target at [1, 1]: expected a number, as NaN has no class, got NaN".into(),
        ),
        (
            of(&[2, 3], &[1.0, 0.0, 0.0, 0.0, 0.0, f64::NAN]),
            target.clone(),
            None,
            "prediction at [1, 2]: expected a number, as NaN has no class, got NaN".into(),
        ),
        (good.clone(), target.clone(), Some(&[1.0, -1.0]), format!("{weight} -1")),
        (good.clone(), target.clone(), Some(&[1.0, f64::NAN]), format!("{weight} NaN")),
        (
            good.clone(),
            target.clone(),
            Some(&[1.0; 3]),
            "sample weights, one for each sample of the batch: expected length 2, got 3".into(),
        ),
        (
            of(&[1, 2], &[0.0; 2]),
            of(&[1], &[0.0]),
            None,
            "prediction: expected 3 classes, as in the batches before, got shape [1, 2]".into(),
        ),
        (
            of(&[2], &[0.9, 0.1]),
            of(&[2], &[1.0, 2.0]),
            None,
            "prediction: expected 3 classes, as in the batches before, got shape [2]".into(),
        ),
        (
            of(&[], &[0.9]),
            of(&[], &[1.0]),
            None,
            "prediction: expected (batch,) or (batch, ..., classes), got shape []".into(),
        ),
        (
            of(&[2, 0], &[]),
            of(&[2], &[1.0, 1.0]),
            None,
            "prediction: expected (batch,) or (batch, ..., classes), got shape [2, 0]".into(),
        ),
    ];
    let metrics: [Box<dyn Metric<f64>>; 5] = [
        Box::new(Accuracy::new()),
        Box::new(Precision::new()),
        Box::new(Recall::new()),
        Box::new(F1::new()),
        Box::new(ConfusionMatrix::new()),
    ];
    for mut metric in metrics {
        metric.update(&good, &target, None)?;
        let before = metric.state();
        for (prediction, target, weights, message) in &table {
            let error = metric.update(prediction, target, *weights).unwrap_err();
            assert_eq!(&error.to_string(), message, "{}", metric.name());
            assert_eq!(metric.state(), before);
        }
    }
    Ok(())
}

#[test]
fn a_bad_batch_of_numbers_leaves_everything_as_it_was() -> Result<()> {
    let good = of(&[2, 2], &[1.0, 2.0, 3.0, 5.0]);
    let table: [Bad; 4] = [
        (good.clone(), of(&[2], &[1.0; 2]), None, "target: expected shape [2, 2], as the output, got shape [2]".into()),
        (
            of(&[2], &[1.0; 2]),
            of(&[2], &[1.0; 2]),
            None,
            "prediction: expected outputs on the last axis, 2 as in the batches before, got shape [2]".into(),
        ),
        (
            good.clone(),
            good.clone(),
            Some(&[1.0]),
            "sample weights, one for each sample of the batch: expected length 2, got 1".into(),
        ),
        (
            good.clone(),
            good.clone(),
            Some(&[1.0, -2.0]),
            "sample weight at [1]: expected a finite number of at least 0, got -2".into(),
        ),
    ];
    let metrics: [Box<dyn Metric<f64>>; 7] = [
        Box::new(MeanSquaredError::new()),
        Box::new(MeanAbsoluteError::new()),
        Box::new(RootMeanSquaredError::new()),
        Box::new(MeanAbsolutePercentageError::new()),
        Box::new(MaxError::new()),
        Box::new(R2::new()),
        Box::new(ExplainedVariance::new()),
    ];
    for mut metric in metrics {
        metric.update(&good, &good, None)?;
        let before = metric.state();
        for (prediction, target, weights, message) in &table {
            assert_eq!(&metric.update(prediction, target, *weights).unwrap_err().to_string(), message);
            assert_eq!(metric.state(), before);
        }
        metric.update(&of(&[1, 2], &[f64::NAN, 0.0]), &of(&[1, 2], &[0.0, 0.0]), None)?;
        assert!(metric.result().is_nan(), "NaN flows through a {}", metric.name());
    }
    Ok(())
}

#[test]
fn settings_that_do_not_fit_the_classes_are_refused() {
    let (prediction, target) = (of(&[1, 3], &[0.7, 0.2, 0.1]), of(&[1], &[0.0]));
    let table: [(Box<dyn Metric<f64>>, &str); 3] = [
        (
            Box::new(Recall::new().average(Average::Binary)),
            "average must be Micro, Macro or Weighted for 3 classes, got Binary",
        ),
        (
            Box::new(ConfusionMatrix::new().class_names(["cat", "dog"])),
            "class names, one for each class: expected length 3, got 2",
        ),
        (Box::new(Accuracy::new().threshold(f64::NAN)), "threshold must be a finite number, got NaN"),
    ];
    for (mut metric, message) in table {
        assert_eq!(metric.update(&prediction, &target, None).unwrap_err().to_string(), message);
        assert!(metric.result().is_nan());
    }
}

#[test]
fn states_of_another_kind_or_size_are_refused() -> Result<()> {
    let cases = cases();
    let case_of = |kind: &&str| {
        let of_kind = cases.iter().filter(|case| &case.kind == kind && case.config["average"].is_null());
        let mut large = of_kind.filter(|case| case.name.contains(" 3 classes") || case.name.contains(" 7x3 uniform"));
        large.next().unwrap()
    };
    let taken_in: Vec<(&Case, Box<dyn Listed>)> = KINDS
        .iter()
        .map(case_of)
        .map(|case| {
            let mut metric = case.metric();
            case.update(&mut *metric, 0, case.target.shape()[0]).map(|()| (case, metric))
        })
        .collect::<Result<_>>()?;
    for (mine, one) in &taken_in {
        for (theirs, other) in &taken_in {
            let mut fresh = mine.metric();
            let same = mine.kind == theirs.kind;
            assert_eq!(fresh.merge(&other.state()).is_ok(), same, "{} takes {}", mine.kind, theirs.kind);
            assert!(same || fresh.result().is_nan());
        }
        // Cut short, too long, empty: nothing is taken in.
        let state = one.state();
        let mut fresh = mine.metric();
        fresh.merge(&state)?;
        for broken in [&state[..state.len() - 1], &[&state[..], &[1.0]].concat(), &state[..1], &[]] {
            assert!(fresh.merge(broken).is_err(), "{} takes {broken:?}", mine.kind);
            assert_eq!(fresh.state(), state);
        }
    }

    let mut three = Accuracy::new();
    three.update(&of(&[1, 3], &[0.7, 0.2, 0.1]), &of(&[1], &[0.0]), None)?;
    let mut four = Accuracy::new();
    four.update(&of(&[1, 4], &[0.7, 0.1, 0.1, 0.1]), &of(&[1], &[0.0]), None)?;
    let message = |result: Result<()>| result.unwrap_err().to_string();
    let state = Metric::<f64>::state(&four);
    assert_eq!(
        message(Metric::<f64>::merge(&mut three, &state)),
        "the number of classes in the state to merge must be 3, got 4"
    );
    assert_eq!(
        message(Metric::<f64>::merge(&mut Accuracy::new().threshold(0.25), &state)),
        "the threshold of the state to merge must be 0.25, got 0.5"
    );
    assert_eq!(
        message(Metric::<f64>::merge(&mut Recall::new(), &state)),
        "the state to merge must be one of Recall, got another"
    );
    assert_eq!(three.result(), 1.0);
    Ok(())
}

#[test]
fn tables_are_aligned_and_read_like_scikit_learns() -> Result<()> {
    // The example of scikit-learn's `classification_report`.
    let mut confusion = ConfusionMatrix::new().class_names(["class 0", "class 1", "class 2"]);
    let prediction = [0, 0, 2, 2, 1].map(|k| (0..3).map(|c| f64::from(u8::from(c == k))).collect::<Vec<_>>());
    confusion.update(&of(&[5, 3], &prediction.concat()), &of(&[5], &[0.0, 1.0, 2.0, 2.0, 2.0]), None)?;
    let report = "
              precision    recall  f1-score   support

     class 0       0.50      1.00      0.67         1
     class 1       0.00      0.00      0.00         1
     class 2       1.00      0.67      0.80         3

    accuracy                           0.60         5
   macro avg       0.50      0.56      0.49         5
weighted avg       0.70      0.60      0.61         5
";
    assert_eq!(confusion.report().to_string(), report[1..]);
    let table = "\
true \\ predicted  class 0  class 1  class 2
         class 0        1        0        0
         class 1        1        0        0
         class 2        0        1        2
";
    assert_eq!(confusion.to_string(), table);

    // With weights the counts have a fraction; without names classes have their numbers.
    let mut weighted = ConfusionMatrix::new();
    weighted.update(&of(&[2], &[0.9, 0.1]), &of(&[2], &[1.0, 1.0]), Some(&[0.5, 100.25]))?;
    let table = "\
true \\ predicted       0       1
               0    0.00    0.00
               1  100.25    0.50
";
    assert_eq!(weighted.to_string(), table);
    assert_eq!(ConfusionMatrix::new().to_string(), "true \\ predicted\n");
    Ok(())
}

#[test]
fn many_classes_cost_three_numbers_each() -> Result<()> {
    let classes = 50_000;
    let mut accuracy = Accuracy::new();
    let prediction = Tensor::from_shape_fn(IxDyn(&[1, classes]), |at| if at[1] == 49_999 { 1.0 } else { 0.0 });
    accuracy.update(&prediction, &of(&[1], &[49_999.0]), None)?;
    assert_eq!(accuracy.result(), 1.0);
    assert_eq!(Metric::<f64>::state(&accuracy).len(), 3 + 3 * classes);
    Ok(())
}
