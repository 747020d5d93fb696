//! The data module against scikit-learn (`reference/data_sklearn.py` made the numbers), and the laws of splits.

use layerwise::data::{
    HandleUnknown, Impute, KFold, LabelEncoder, MinMaxScaler, OneHotEncoder, SimpleImputer, Split, StandardScaler,
    StratifiedKFold, Table, ValidationSplit, datasets, one_hot, stratified_train_test_split, train_test_split,
};
use ndarray::{Array1, Array2};
use serde_json::Value;

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn reference() -> Result<Value, serde_json::Error> {
    serde_json::from_str(include_str!("reference/data_sklearn.json"))
}

fn cases(reference: &Value) -> impl Iterator<Item = &Value> {
    reference.as_array().into_iter().flatten()
}

/// A list of numbers, with NaN for null.
fn floats(list: &Value) -> Vec<f64> {
    cases(list).map(|value| value.as_f64().unwrap_or(f64::NAN)).collect()
}

fn indices(list: &Value) -> Vec<usize> {
    cases(list).map(|value| usize::try_from(value.as_u64().unwrap()).unwrap()).collect()
}

fn strings(list: &Value) -> Vec<String> {
    cases(list).map(|value| value.as_str().unwrap().to_owned()).collect()
}

fn matrix(rows: &Value) -> Array2<f64> {
    let rows: Vec<Vec<f64>> = cases(rows).map(floats).collect();
    Array2::from_shape_fn((rows.len(), rows[0].len()), |(row, column)| rows[row][column])
}

/// Equal to 1e-12 of the larger of 1 and the expected value, NaN to NaN.
#[track_caller]
fn assert_close<'a>(got: impl IntoIterator<Item = &'a f64>, expected: impl IntoIterator<Item = &'a f64>, what: &str) {
    let (got, expected): (Vec<f64>, Vec<f64>) =
        (got.into_iter().copied().collect(), expected.into_iter().copied().collect());
    assert_eq!(got.len(), expected.len(), "{what}");
    for (place, (got, expected)) in got.iter().zip(&expected).enumerate() {
        let close = (got - expected).abs() <= 1e-12 * expected.abs().max(1.0) || got.is_nan() && expected.is_nan();
        assert!(close, "{what}, value {place}: {got} is not {expected}");
    }
}

fn counts(labels: &[usize], rows: &[usize]) -> Vec<usize> {
    let mut counts = vec![0; labels.iter().max().map_or(0, |max| max + 1)];
    rows.iter().for_each(|&row| counts[labels[row]] += 1);
    counts
}

/// The two sides are disjoint and make up all the rows.
#[track_caller]
fn assert_partition(samples: usize, one: &[usize], other: &[usize]) {
    let mut rows: Vec<usize> = one.iter().chain(other).copied().collect();
    rows.sort_unstable();
    assert!(rows.into_iter().eq(0..samples));
    assert!(!one.is_empty() && !other.is_empty());
}

#[test]
fn the_standard_scaler_agrees_with_scikit_learn() -> Outcome {
    let reference = reference()?;
    let (x, new) = (matrix(&reference["x"]), matrix(&reference["new"]));
    for case in cases(&reference["standard"]) {
        let [mean, std] = ["with_mean", "with_std"].map(|name| case[name].as_bool().unwrap());
        let what = format!("with_mean {mean}, with_std {std}");
        let mut scaler = StandardScaler::<f64>::of().with_mean(mean).with_std(std);
        assert_close(&scaler.fit_transform(&x)?, &matrix(&case["fitted"]), &what);
        let z = scaler.transform(&new)?;
        assert_close(&z, &matrix(&case["new"]), &what);
        assert_close(&scaler.inverse_transform(&z)?, &matrix(&case["inverse"]), &what);
        if mean && std {
            assert_close(scaler.mean().unwrap(), &floats(&case["mean"]), "mean");
            assert_close(scaler.var().unwrap(), &floats(&case["var"]), "var");
            assert_close(scaler.scale().unwrap(), &floats(&case["scale"]), "scale");
        }
    }
    Ok(())
}

#[test]
fn the_min_max_scaler_agrees_with_scikit_learn() -> Outcome {
    let reference = reference()?;
    let (x, new) = (matrix(&reference["x"]), matrix(&reference["new"]));
    for case in cases(&reference["min_max"]) {
        let range = floats(&case["feature_range"]);
        let clip = case["clip"].as_bool().unwrap();
        let what = format!("{range:?}, clip {clip}");
        let mut scaler = MinMaxScaler::<f64>::of().feature_range(range[0], range[1]).clip(clip);
        assert_close(&scaler.fit_transform(&x)?, &matrix(&case["fitted"]), &what);
        let z = scaler.transform(&new)?;
        assert_close(&z, &matrix(&case["new"]), &what);
        assert_close(&scaler.inverse_transform(&z)?, &matrix(&case["inverse"]), &what);
        assert_close(scaler.data_min().unwrap(), &floats(&case["data_min"]), "data_min");
        assert_close(scaler.data_max().unwrap(), &floats(&case["data_max"]), "data_max");
    }
    Ok(())
}

#[test]
fn the_imputer_agrees_with_scikit_learn() -> Outcome {
    let reference = reference()?;
    let (x, new) = (matrix(&reference["x"]), matrix(&reference["new"]));
    for case in cases(&reference["imputers"]) {
        let strategy = match case["strategy"].as_str() {
            Some("mean") => Impute::Mean,
            Some("median") => Impute::Median,
            Some("most_frequent") => Impute::MostFrequent,
            _ => Impute::Constant(-1.5),
        };
        let what = format!("{strategy:?}");
        let mut imputer = SimpleImputer::<f64>::of(strategy);
        assert_close(&imputer.fit_transform(&x)?, &matrix(&case["fitted"]), &what);
        assert_close(&imputer.transform(&new)?, &matrix(&case["new"]), &what);
        assert_close(imputer.statistics().unwrap(), &floats(&case["statistics"]), &what);
    }
    Ok(())
}

#[test]
fn the_label_encoder_agrees_with_scikit_learn() -> Outcome {
    let case = &reference()?["labels"];
    let labels = strings(&case["labels"]);
    let mut encoder = LabelEncoder::new();
    let numbers = encoder.fit_transform(&labels)?;
    assert_eq!(encoder.classes(), strings(&case["classes"]));
    assert_eq!(numbers.to_vec(), indices(&case["numbers"]));
    assert_eq!(encoder.inverse_transform(&numbers)?, labels);
    Ok(())
}

#[test]
fn the_one_hot_encoder_agrees_with_scikit_learn() -> Outcome {
    let case = &reference()?["one_hot"];
    let table = |rows: &Value| {
        let lines: Vec<String> = cases(rows).map(|row| strings(row).join(",")).collect();
        Table::from_reader(format!("sex,port\n{}\n", lines.join("\n")).as_bytes(), "table")
    };
    let train = table(&case["rows"])?;
    let mut encoder = OneHotEncoder::<f64>::of().handle_unknown(HandleUnknown::Ignore);
    encoder.fit(&train, &["sex", "port"])?;
    assert_eq!(encoder.transform(&train)?, matrix(&case["fitted"]));
    assert_eq!(encoder.transform(&table(&case["new"])?)?, matrix(&case["transformed"]));
    assert_eq!(encoder.feature_names_out(), strings(&case["names"]));
    Ok(())
}

#[test]
fn one_hot_of_labels_is_the_one_hot_encoding_of_their_text() -> Outcome {
    let digits = datasets::digits();
    let table = datasets::digits_table();
    let encoded = OneHotEncoder::new().fit(&table, &["digit"])?.transform(&table)?;
    assert_eq!(one_hot::<f32>(&digits.labels, 10)?, encoded);
    Ok(())
}

#[test]
fn folds_are_those_of_scikit_learn() -> Outcome {
    let reference = reference()?;
    let tests = |case: &Value| cases(&case["tests"]).map(indices).collect::<Vec<_>>();
    for case in cases(&reference["k_folds"]) {
        let [samples, n_splits] = ["samples", "n_splits"].map(|name| case[name].as_u64().unwrap() as usize);
        let folds = KFold::new(n_splits).split(samples)?;
        assert_eq!(folds.into_iter().map(|split| split.test).collect::<Vec<_>>(), tests(case));
    }
    for case in cases(&reference["stratified_k_folds"]) {
        let labels = indices(&case["labels"]);
        let n_splits = case["n_splits"].as_u64().unwrap() as usize;
        let what = format!("{} in {n_splits}", case["name"]);
        let folds = StratifiedKFold::new(n_splits).split(&labels)?;
        assert_eq!(!folds.warnings.is_empty(), case["warned"].as_bool().unwrap(), "{what}");
        assert_eq!(folds.splits.iter().map(|split| split.test.clone()).collect::<Vec<_>>(), tests(case), "{what}");
        let shuffled = StratifiedKFold::new(n_splits).shuffle(5).split(&labels)?;
        for (split, expected) in shuffled.splits.iter().zip(cases(&case["counts"])) {
            assert_eq!(counts(&labels, &split.test), indices(expected), "{what}");
        }
    }
    Ok(())
}

#[test]
fn sizes_of_splits_are_those_of_scikit_learn() -> Outcome {
    for case in cases(&reference()?["sizes"]) {
        let samples = case["samples"].as_u64().unwrap() as usize;
        let fraction = case["fraction"].as_f64().unwrap();
        let sizes = train_test_split(samples, fraction, 1).map(|split| (split.train.len(), split.test.len()));
        let [train, test] = ["train", "test"].map(|name| case[name].as_u64().unwrap() as usize);
        // Where scikit-learn refuses, so does this crate.
        assert_eq!(sizes.unwrap_or((0, 0)), (train, test), "{samples} {fraction}");
    }
    Ok(())
}

#[test]
fn class_counts_of_stratified_splits_are_those_of_scikit_learn() -> Outcome {
    for case in cases(&reference()?["stratified_splits"]) {
        let labels = indices(&case["labels"]);
        let fraction = case["fraction"].as_f64().unwrap();
        for seed in 0..10 {
            let split = stratified_train_test_split(&labels, fraction, seed)?;
            assert_eq!(counts(&labels, &split.train), indices(&case["train"]), "{} {fraction}", case["name"]);
            assert_eq!(counts(&labels, &split.test), indices(&case["test"]), "{} {fraction}", case["name"]);
        }
    }
    Ok(())
}

#[test]
fn splits_are_disjoint_whole_and_the_same_for_the_same_seed() -> Outcome {
    for samples in [2, 3, 7, 24, 25, 100, 501] {
        let labels: Vec<usize> = (0..samples).map(|row| row * row % 5 % 3).collect();
        for fraction in [0.01, 0.1, 0.25, 1.0 / 3.0, 0.5, 0.75] {
            for seed in 0..5 {
                let split = || train_test_split(samples, fraction, seed);
                let stratified = || stratified_train_test_split(&labels, fraction, seed);
                for (split, again) in [(split(), split()), (stratified(), stratified())] {
                    // Too few samples for the fraction or for the classes: the bad-input test has those.
                    let Ok(split) = split else { continue };
                    assert_partition(samples, &split.train, &split.test);
                    assert_eq!(split, again?);
                }
            }
        }
    }
    assert_ne!(train_test_split(100, 0.5, 1)?, train_test_split(100, 0.5, 2)?);
    Ok(())
}

#[test]
fn every_row_is_tested_in_one_fold() -> Outcome {
    for samples in [7, 24, 100] {
        let labels: Vec<usize> = (0..samples).map(|row| row * row % 5 % 3).collect();
        for n_splits in 2..=3 {
            for seed in 0..5 {
                let plain = KFold::new(n_splits).shuffle(seed);
                let stratified = StratifiedKFold::new(n_splits).shuffle(seed);
                assert_eq!(plain.split(samples)?, plain.split(samples)?);
                assert_eq!(stratified.split(&labels)?, stratified.split(&labels)?);
                for folds in [plain.split(samples)?, stratified.split(&labels)?.splits] {
                    folds.iter().for_each(|Split { train, test }| assert_partition(samples, train, test));
                    let mut tested: Vec<usize> = folds.into_iter().flat_map(|split| split.test).collect();
                    tested.sort_unstable();
                    assert!(tested.into_iter().eq(0..samples));
                }
            }
        }
    }
    Ok(())
}

#[test]
fn validation_parts_are_disjoint_and_whole() -> Outcome {
    let labels: Vec<usize> = (0..150).map(|row| row / 50).collect();
    for fraction in [0.1, 0.2, 0.34, 0.5] {
        for split in [
            ValidationSplit::Last(fraction),
            ValidationSplit::Shuffled(fraction),
            ValidationSplit::Stratified(fraction),
        ] {
            let parts = split.indices(150, Some(&labels), 3)?;
            assert_partition(150, &parts.train, &parts.validation);
            assert_eq!(parts, split.indices(150, Some(&labels), 3)?);
            assert_eq!(parts.warnings.is_empty(), !matches!(split, ValidationSplit::Last(_)), "{split:?}");
        }
    }
    Ok(())
}

#[test]
fn the_bundled_sets_are_those_of_scikit_learn() -> Outcome {
    let reference = reference()?;
    let sets = [
        (datasets::iris_table(), datasets::iris()),
        (datasets::wine_table(), datasets::wine()),
        (datasets::breast_cancer_table(), datasets::breast_cancer()),
        (datasets::digits_table(), datasets::digits()),
    ];
    for ((table, bunch), case) in sets.iter().zip(cases(&reference["bundled"])) {
        assert_eq!(table.name(), case["name"]);
        let sums = table.numbers::<f64>(&bunch.feature_names)?.sum_axis(ndarray::Axis(0));
        assert_close(&sums, &floats(&case["sums"]), table.name());
        let classes: Vec<&str> = bunch.labels.iter().map(|&label| bunch.classes[label].as_str()).collect();
        assert_eq!(classes.join(" "), case["classes"]);
    }
    Ok(())
}

#[test]
fn preprocessors_cross_threads() {
    fn shared<T: Send + Sync + Clone>() {}
    shared::<Table>();
    shared::<StandardScaler>();
    shared::<MinMaxScaler<f64>>();
    shared::<SimpleImputer>();
    shared::<OneHotEncoder>();
    shared::<LabelEncoder>();
}

#[test]
fn a_file_goes_all_the_way_to_arrays() -> Outcome {
    let table = Table::read(concat!(env!("CARGO_MANIFEST_DIR"), "/data/iris.csv"))?;
    let bunch = datasets::Bunch::from_table(&table, "species")?;
    assert_eq!(bunch, datasets::iris());
    let split = stratified_train_test_split(&bunch.labels, 0.2, 7)?;
    let mut scaler = StandardScaler::new();
    let train = scaler.fit_transform(&layerwise::data::take(&bunch.features, &split.train)?)?;
    let test = scaler.transform(&layerwise::data::take(&bunch.features, &split.test)?)?;
    let labels: Array1<usize> = layerwise::data::take(&bunch.labels, &split.test)?;
    assert_eq!((train.dim(), test.dim(), labels.len()), ((120, 4), (30, 4), 30));
    assert!(train.mean().unwrap().abs() < 1e-6);
    Ok(())
}
