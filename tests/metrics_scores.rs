//! What metrics of scores and probabilities are for beside a number, and what users get wrong about them.

use layerwise::metrics::{
    Accuracy, Average, AveragePrecision, BinaryAccuracy, BrierScore, CalibrationError, CohenKappa, ConfusionMatrix,
    Disagreement, FBeta, LogLoss, Metric, OperatingPoint, RocAuc, Thresholds, TopKAccuracy,
};
use layerwise::{Result, Scalar, Tensor};
use ndarray::{ArcArray, IxDyn};
use serde_json::Value;

/// Makes a metric with nothing taken in.
type Fresh = fn() -> Box<dyn Metric<f64>>;

fn of<A: Scalar>(shape: &[usize], data: &[f64]) -> Tensor<A> {
    ArcArray::from_shape_vec(IxDyn(shape), data.iter().map(|&x| A::of(x)).collect()).unwrap()
}

fn message<T>(outcome: Result<T>) -> String {
    outcome.err().map_or_else(|| "no error".into(), |error| error.to_string())
}

/// Numbers that look drawn: the same every time.
fn drawn(count: usize, seed: u64) -> Vec<f64> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / f64::from(1_u32 << 31)
    };
    (0..count).map(|_| next()).collect()
}

/// Scores in twentieths, so that there are ties; labels that follow them loosely; weights.
fn sample(count: usize) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
    let scores: Vec<f64> = drawn(count, 1).iter().map(|x| (x * 20.0).floor() / 20.0).collect();
    let labels = drawn(count, 2).iter().zip(&scores).map(|(x, score)| f64::from(u8::from(x < score))).collect();
    (scores, labels, drawn(count, 3))
}

#[test]
fn every_operating_point_is_what_its_threshold_does() -> Result<()> {
    fn check<A: Scalar>() -> Result<()> {
        let (scores, labels, weights) = sample(60);
        let (scores, labels): (Tensor<A>, Tensor<A>) = (of(&[60], &scores), of(&[60], &labels));
        let weights: Vec<A> = weights.iter().map(|&weight| A::of(weight)).collect();
        let thresholds = Thresholds::of(&scores, &labels, Some(&weights))?;
        let points: Vec<OperatingPoint> = thresholds.points().collect();
        let mut different: Vec<f64> = scores.iter().map(|score| score.as_f64()).collect();
        different.sort_by(f64::total_cmp);
        different.dedup();
        assert!(different.len() > 10);
        assert_eq!(points.len(), different.len() + 1, "at each score, and below all");
        for point in points {
            let mut confusion = ConfusionMatrix::new().threshold(point.threshold);
            confusion.update(&scores, &labels, Some(&weights))?;
            let matrix = confusion.matrix();
            let OperatingPoint { true_positives, false_positives, false_negatives, true_negatives, .. } = point;
            let counts = [[true_negatives, false_positives], [false_negatives, true_positives]];
            for (counted, said) in matrix.iter().zip(counts.iter().flatten()) {
                assert!((counted - said).abs() < 1e-12, "{point:?} against {matrix}");
            }
            assert_eq!(thresholds.at(point.threshold), point);
        }
        Ok(())
    }
    check::<f32>()?;
    check::<f64>()?;
    // Between the ends of bins, too.
    let (scores, labels) = (of::<f64>(&[60], &drawn(60, 4)), of(&[60], &sample(60).1));
    let mut area = RocAuc::new().bins(7);
    area.update(&scores, &labels, None)?;
    let points: Vec<OperatingPoint> = area.thresholds(1)?.points().collect();
    assert_eq!(points.len(), 8);
    for point in points {
        let mut confusion = ConfusionMatrix::new().threshold(point.threshold);
        confusion.update(&scores, &labels, None)?;
        assert_eq!(confusion.matrix()[[1, 1]], point.true_positives);
        assert_eq!(confusion.matrix()[[0, 1]], point.false_positives);
    }
    Ok(())
}

#[test]
fn the_cheapest_threshold_is_the_cheapest_of_all() -> Result<()> {
    let (scores, labels, _) = sample(60);
    let (scores, labels): (Tensor<f64>, Tensor<f64>) = (of(&[60], &scores), of(&[60], &labels));
    let thresholds = Thresholds::of(&scores, &labels, None)?;
    for (false_positive, false_negative) in [(1.0, 1.0), (1.0, 5.0), (5.0, 1.0), (0.0, 1.0), (1.0, 0.0)] {
        let chosen = thresholds.cheapest(false_positive, false_negative)?;
        let cost = |threshold: f64| {
            let errors = scores.iter().zip(&labels).map(|(&score, &label)| match (score > threshold, label == 1.0) {
                (true, false) => false_positive,
                (false, true) => false_negative,
                _ => 0.0,
            });
            errors.sum::<f64>()
        };
        let least = (-1..=20).map(|at| cost(f64::from(at) / 20.0 + 0.01)).fold(f64::INFINITY, f64::min);
        assert_eq!((cost(chosen.threshold), chosen.cost(false_positive, false_negative)), (least, least));
    }
    // Where a miss costs nothing, nothing is an alarm; where an alarm costs nothing, every class 1 is found.
    assert_eq!(thresholds.cheapest(1.0, 0.0)?.recall(), 0.0);
    assert_eq!(thresholds.cheapest(0.0, 1.0)?.recall(), 1.0);
    Ok(())
}

#[test]
fn a_wanted_recall_is_reached_at_the_highest_threshold() -> Result<()> {
    let scores: Tensor<f64> = of(&[6], &[0.9, 0.8, 0.7, 0.6, 0.5, 0.4]);
    let thresholds = Thresholds::of(&scores, &of(&[6], &[1.0, 0.0, 1.0, 1.0, 0.0, 1.0]), None)?;
    for (recall, threshold, precision) in
        [(0.0, 0.9, 0.0), (0.25, 0.8, 1.0), (0.3, 0.6, 2.0 / 3.0), (0.75, 0.5, 0.75), (1.0, -0.6, 4.0 / 6.0)]
    {
        let point = thresholds.for_recall(recall)?;
        assert_eq!((point.threshold, point.precision()), (threshold, precision), "recall {recall}");
        assert!(point.recall() >= recall);
    }
    Ok(())
}

#[test]
fn thresholds_that_cannot_be_chosen_are_refused() -> Result<()> {
    let scores: Tensor<f64> = of(&[2], &[0.1, 0.2]);
    let thresholds = Thresholds::of(&scores, &of(&[2], &[0.0, 0.0]), None)?;
    let table = [
        (message(thresholds.cheapest(-1.0, 1.0)), "false_positive must be a finite cost of at least 0, got -1"),
        (message(thresholds.cheapest(1.0, f64::NAN)), "false_negative must be a finite cost of at least 0, got NaN"),
        (message(thresholds.for_recall(1.5)), "recall must be from 0 to 1, got 1.5"),
        (message(thresholds.for_recall(0.5)), "class 1 is empty"),
        (
            message(Thresholds::of(&of::<f64>(&[0], &[]), &of(&[0], &[]), None)?.cheapest(1.0, 1.0)),
            "the set of samples is empty",
        ),
        (
            message(Thresholds::of(&of::<f64>(&[1, 3], &[0.0; 3]), &of(&[1], &[0.0]), None)),
            "prediction: expected the scores of two classes, got shape [1, 3]",
        ),
        (
            message(Thresholds::of(&scores, &of(&[2], &[0.0, 2.0]), None)),
            "class label at [1]: expected a whole number from 0 to 1, got 2",
        ),
        (message(RocAuc::new().thresholds(1)), "what was taken in is empty"),
    ];
    for (got, expected) in table {
        assert_eq!(got, expected);
    }
    let mut area = RocAuc::new();
    area.update(&scores, &of(&[2], &[0.0, 1.0]), None)?;
    assert_eq!(message(area.thresholds(0)), "class must be 1, where there are two, got 0");
    let mut precision = AveragePrecision::new();
    precision.update(&of::<f64>(&[1, 3], &[0.0; 3]), &of(&[1], &[0.0]), None)?;
    assert_eq!(message(precision.thresholds(3)), "class must be below 3, got 3");
    Ok(())
}

#[test]
fn an_area_is_the_share_of_pairs_in_order() -> Result<()> {
    let (scores, labels, weights) = sample(60);
    let mut area = RocAuc::new();
    area.update(&of::<f64>(&[60], &scores), &of(&[60], &labels), Some(&weights))?;
    let (mut right, mut all) = (0.0, 0.0);
    for one in (0..60).filter(|&at| labels[at] == 1.0) {
        for other in (0..60).filter(|&at| labels[at] == 0.0) {
            let order = scores[one].partial_cmp(&scores[other]).unwrap() as i32;
            right += weights[one] * weights[other] * f64::from(order + 1) / 2.0;
            all += weights[one] * weights[other];
        }
    }
    assert!((area.result() - right / all).abs() < 1e-12);
    // An order is all that counts: logits have the same area as their probabilities.
    let mut logits = RocAuc::new();
    let stretched: Vec<f64> = scores.iter().map(|score| 100.0 * score - 3.0).collect();
    logits.update(&of::<f64>(&[60], &stretched), &of(&[60], &labels), Some(&weights))?;
    assert_eq!(logits.result(), area.result());
    Ok(())
}

#[test]
fn two_columns_are_judged_by_the_second() -> Result<()> {
    let (scores, labels, weights) = sample(60);
    let columns: Vec<f64> = scores.iter().flat_map(|score| [1.0 - score, *score]).collect();
    fn both(metric: impl Metric<f64> + Clone) -> [impl Metric<f64>; 2] {
        [metric.clone(), metric]
    }
    macro_rules! check {
        ($($metric:expr),*) => {$(
            let [mut narrow, mut wide] = both($metric);
            narrow.update(&of(&[60], &scores), &of(&[60], &labels), Some(&weights))?;
            wide.update(&of(&[60, 2], &columns), &of(&[60], &labels), Some(&weights))?;
            assert!((narrow.result() - wide.result()).abs() < 1e-12, "{}", narrow.name());
        )*};
    }
    check!(RocAuc::new(), AveragePrecision::new(), LogLoss::new(), BrierScore::new(), CalibrationError::new());
    check!(RocAuc::new().average(Average::Weighted), RocAuc::new().bins(7), RocAuc::new().one_vs_one());
    Ok(())
}

#[test]
fn one_of_one_is_the_accuracy_ties_included() -> Result<()> {
    let scores: Vec<f64> = drawn(200, 5).iter().map(|x| (x * 3.0).floor()).collect();
    let labels: Vec<f64> = drawn(50, 6).iter().map(|x| (x * 4.0).floor()).collect();
    let (scores, labels): (Tensor<f64>, Tensor<f64>) = (of(&[50, 4], &scores), of(&[50], &labels));
    let (mut accuracy, mut top) = (Accuracy::new(), TopKAccuracy::new(1));
    accuracy.update(&scores, &labels, None)?;
    top.update(&scores, &labels, None)?;
    assert_eq!(top.result(), accuracy.result());
    let mut all = TopKAccuracy::new(4);
    all.update(&scores, &labels, None)?;
    assert_eq!(all.result(), 1.0);
    Ok(())
}

#[test]
fn steps_and_labels_of_their_own_have_weights_of_their_own() -> Result<()> {
    let (scores, answers): (Tensor<f64>, Tensor<f64>) = (of(&[2, 2], &[0.9, 0.1, 0.9, 0.1]), of(&[2, 2], &[1.0; 4]));
    for (weights, expected) in
        [(None, 0.5), (Some(&[1.0, 3.0][..]), 0.5), (Some(&[4.0, 1.0, 2.0, 3.0][..]), 0.6), (Some(&[0.0; 2]), f64::NAN)]
    {
        let mut accuracy = BinaryAccuracy::new();
        accuracy.update(&scores, &answers, weights)?;
        assert!(accuracy.result() == expected || (accuracy.result().is_nan() && expected.is_nan()), "{weights:?}");
    }
    let mut steps = RocAuc::new();
    steps.update(&of::<f64>(&[2, 2, 1], &[0.9, 0.1, 0.8, 0.2]), &of(&[2, 2], &[1.0, 0.0, 0.0, 1.0]), None)?;
    assert_eq!(steps.result(), 0.75);
    Ok(())
}

#[test]
fn probabilities_at_the_ends_cost_what_the_number_type_allows() -> Result<()> {
    fn worst<A: Scalar>() -> Result<f64> {
        let mut loss = LogLoss::new();
        loss.update(&of::<A>(&[1], &[0.0]), &of(&[1], &[1.0]), None)?;
        Ok(loss.result())
    }
    assert!((worst::<f32>()? - 15.942_385).abs() < 1e-5);
    assert!((worst::<f64>()? - 36.043_653_389_117_15).abs() < 1e-12);
    Ok(())
}

#[test]
fn a_bad_batch_of_scores_leaves_everything_as_it_was() -> Result<()> {
    let (good, target): (Tensor<f64>, Tensor<f64>) =
        (of(&[2, 3], &[0.7, 0.2, 0.1, 0.1, 0.8, 0.1]), of(&[2], &[0.0, 2.0]));
    let outside = of(&[2, 3], &[0.7, 0.2, 0.1, -0.1, 0.8, 0.3]);
    let nan = of(&[2, 3], &[0.7, 0.2, 0.1, f64::NAN, 0.8, 0.3]);
    let nan_class = "prediction at [1, 0]: expected a number, as NaN has no class, got NaN";
    let no_probability = "prediction at [1, 0]: expected a probability from 0 to 1, got";
    let label = "class label at [1]: expected a whole number from 0 to 2, got 3";
    let metrics: [(Box<dyn Metric<f64>>, bool); 6] = [
        (Box::new(RocAuc::new()), false),
        (Box::new(AveragePrecision::new()), false),
        (Box::new(RocAuc::new().bins(10)), true),
        (Box::new(LogLoss::new()), true),
        (Box::new(BrierScore::new()), true),
        (Box::new(CalibrationError::new()), true),
    ];
    for (mut metric, probabilities) in metrics {
        metric.update(&good, &target, None)?;
        let before = metric.state();
        let mut check = |prediction: &Tensor<f64>, target: &Tensor<f64>, weights: Option<&[f64]>, expected: &str| {
            assert_eq!(message(metric.update(prediction, target, weights)), expected, "{}", metric.name());
            assert_eq!(metric.state(), before);
        };
        check(&good, &of(&[2], &[0.0, 3.0]), None, label);
        check(
            &good,
            &target,
            Some(&[1.0, -1.0]),
            "sample weight at [1]: expected a finite number of at least 0, got -1",
        );
        let narrow = "prediction: expected 3 classes, as in the batches before, got shape [2]";
        check(&of(&[2], &[0.1, 0.2]), &of(&[2], &[0.0, 1.0]), None, narrow);
        if probabilities {
            check(&outside, &target, None, &format!("{no_probability} -0.1"));
            check(&nan, &target, None, &format!("{no_probability} NaN"));
        } else {
            check(&nan, &target, None, nan_class);
        }
    }
    let mut answers = BinaryAccuracy::new();
    let error = answers.update(&good, &of(&[2, 3], &[1.0, 0.0, 0.5, 0.0, 0.0, 0.0]), None);
    assert_eq!(message(error), "class label at [0, 2]: expected a whole number from 0 to 1, got 0.5");
    let error = answers.update(&good, &target, None);
    assert_eq!(message(error), "target: expected shape [2, 3], as the output, got shape [2]");
    Ok(())
}

#[test]
fn settings_that_cannot_be_are_refused() {
    let (good, target): (Tensor<f64>, Tensor<f64>) = (of(&[1, 3], &[0.7, 0.2, 0.1]), of(&[1], &[0.0]));
    let average = "average must be Micro, Macro or Weighted for 3 classes, got Binary";
    let pairs = "what goes with one_vs_one must be Macro or Weighted, and no bins, got";
    let table: [(Box<dyn Metric<f64>>, &str); 12] = [
        (Box::new(TopKAccuracy::new(0)), "k must be from 1 to 3, the scores of a prediction, got 0"),
        (Box::new(TopKAccuracy::new(4)), "k must be from 1 to 3, the scores of a prediction, got 4"),
        (Box::new(FBeta::new(-1.0)), "beta must be a finite number of at least 0, got -1"),
        (Box::new(FBeta::new(f64::NAN)), "beta must be a finite number of at least 0, got NaN"),
        (Box::new(CalibrationError::new().bins(0)), "bins must be from 1 to 1048576, got 0"),
        (Box::new(RocAuc::new().bins(0)), "bins must be from 1 to 1048576, got 0"),
        (
            Box::new(AveragePrecision::new().bins(usize::MAX)),
            "bins must be from 1 to 1048576, got 18446744073709551615",
        ),
        (Box::new(RocAuc::new().average(Average::Binary)), average),
        (Box::new(AveragePrecision::new().average(Average::Binary)), average),
        (Box::new(RocAuc::new().one_vs_one().average(Average::Micro)), &format!("{pairs} Micro")),
        (Box::new(RocAuc::new().one_vs_one().bins(10)), &format!("{pairs} bins")),
        (Box::new(CohenKappa::new().threshold(f64::INFINITY)), "threshold must be a finite number, got inf"),
    ];
    for (mut metric, expected) in table {
        assert_eq!(message(metric.update(&good, &target, None)), expected);
        assert!(metric.result().is_nan());
    }
}

#[test]
fn hostile_states_do_no_harm() -> Result<()> {
    let metrics: [Fresh; 8] = [
        || Box::new(Accuracy::new()),
        || Box::new(FBeta::new(2.0)),
        || Box::new(CohenKappa::new()),
        || Box::new(LogLoss::new()),
        || Box::new(CalibrationError::new()),
        || Box::new(RocAuc::new()),
        || Box::new(RocAuc::new().one_vs_one()),
        || Box::new(AveragePrecision::new().bins(3)),
    ];
    for fresh in metrics {
        let empty = fresh().state();
        for classes in [1.0, 2.0, 3.0, 1.5, -1.0, f64::NAN, f64::INFINITY, 1e18] {
            for cells in 0..20 {
                for value in [0.0, 1.0, -1.0, 1e300, f64::NAN] {
                    let mut state = empty.clone();
                    state[2] = classes;
                    state.resize(3 + cells, value);
                    let mut metric = fresh();
                    // Whatever is taken in has some result, or NaN.
                    let _ = metric.merge(&state);
                    let _ = metric.result();
                }
            }
        }
    }
    Ok(())
}

#[test]
fn any_split_in_any_order_gives_the_same() -> Result<()> {
    const COUNT: usize = 40;
    let scores = drawn(3 * COUNT, 7);
    let labels: Vec<f64> = drawn(COUNT, 8).iter().map(|x| (x * 3.0).floor()).collect();
    let weights = drawn(COUNT, 9);
    let metrics: [Fresh; 9] = [
        || Box::new(TopKAccuracy::new(2)),
        || Box::new(FBeta::new(2.0)),
        || Box::new(CohenKappa::new().disagreement(Disagreement::Quadratic)),
        || Box::new(LogLoss::new()),
        || Box::new(BrierScore::new()),
        || Box::new(CalibrationError::new()),
        || Box::new(RocAuc::new().one_vs_one()),
        || Box::new(RocAuc::new().bins(50).average(Average::Micro)),
        || Box::new(AveragePrecision::new().average(Average::Weighted)),
    ];
    for fresh in metrics {
        let part = |rows: &[usize]| -> Result<Box<dyn Metric<f64>>> {
            let mut metric = fresh();
            let x: Vec<f64> = rows.iter().flat_map(|row| &scores[3 * row..3 * row + 3]).copied().collect();
            let t: Vec<f64> = rows.iter().map(|&row| labels[row]).collect();
            let w: Vec<f64> = rows.iter().map(|&row| weights[row]).collect();
            metric.update(&of(&[rows.len(), 3], &x), &of(&[rows.len()], &t), Some(&w))?;
            Ok(metric)
        };
        let whole = part(&(0..COUNT).collect::<Vec<_>>())?.result();
        assert!(whole.is_finite());
        for parts in 1..8 {
            for seed in 0..5 {
                // Each sample goes to a part by lot; the parts merge as a tree, the later ones first.
                let lots = drawn(COUNT, 100 + seed);
                let mut states: Vec<Vec<f64>> = (0..parts)
                    .map(|number| {
                        let rows = (0..COUNT).filter(|&row| (lots[row] * parts as f64) as usize == number);
                        part(&rows.collect::<Vec<_>>()).map(|metric| metric.state())
                    })
                    .collect::<Result<_>>()?;
                while states.len() > 1 {
                    let mut merged = fresh();
                    for state in states.split_off(states.len() - 2).iter().rev() {
                        merged.merge(state)?;
                    }
                    states.insert(0, merged.state());
                }
                let mut end = fresh();
                end.merge(&states[0])?;
                assert!((end.result() - whole).abs() < 1e-12, "{} in {parts} parts", end.name());
            }
        }
    }
    Ok(())
}

#[test]
fn reports_read_like_scikit_learns() -> Result<()> {
    let file: Value = serde_json::from_str(include_str!("reference/metrics_scores.json")).unwrap();
    let reports = file["reports"].as_array().unwrap();
    assert_eq!(reports.len(), 3);
    let tensor = |value: &Value| -> Tensor<f64> {
        let numbers = |key: &str| value[key].as_array().unwrap().iter().map(|x| x.as_f64().unwrap());
        of(&numbers("shape").map(|x| x as usize).collect::<Vec<_>>(), &numbers("data").collect::<Vec<_>>())
    };
    for report in reports {
        let names = report["names"].as_array().unwrap().iter().map(|name| name.as_str().unwrap());
        let mut confusion = ConfusionMatrix::new().class_names(names);
        confusion.update(&tensor(&report["prediction"]), &tensor(&report["target"]), None)?;
        let printed = confusion.report().digits(report["digits"].as_u64().unwrap() as usize).to_string();
        assert_eq!(printed, report["text"].as_str().unwrap());
        assert_eq!(confusion.report().accuracy, confusion.result());
    }
    Ok(())
}
