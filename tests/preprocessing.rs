//! Preprocessors against scikit-learn (`reference/preprocessing_sklearn.py` made the numbers), and on their way through
//! files.

use layerwise::data::{
    BinCode, BinStrategy, ColumnTransformer, FeatureHasher, Impute, KBinsDiscretizer, MaxAbsScaler, MinMaxScaler,
    OneHotEncoder, OrdinalEncoder, OutlierClipper, OutlierRule, OutputDistribution, Pipeline, PolynomialFeatures,
    Power, PowerTransformer, QuantileTransformer, RobustScaler, SimpleImputer, StandardScaler, Table, Transform,
    class_weights, datasets, sample_weights,
};
use layerwise::io::{self, TensorFile};
use layerwise::prelude::*;
use ndarray::{Array2, Axis};
use serde_json::{Value, json};

type Outcome = std::result::Result<(), Box<dyn std::error::Error>>;

fn reference() -> std::result::Result<Value, serde_json::Error> {
    serde_json::from_str(include_str!("reference/preprocessing_sklearn.json"))
}

fn cases(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

/// A list of numbers, with NaN for null.
fn floats(list: &Value) -> Vec<f64> {
    cases(list).map(|value| value.as_f64().unwrap_or(f64::NAN)).collect()
}

fn matrix(rows: &Value) -> Array2<f64> {
    let rows: Vec<Vec<f64>> = cases(rows).map(floats).collect();
    Array2::from_shape_fn((rows.len(), rows[0].len()), |(row, column)| rows[row][column])
}

fn size(value: &Value) -> usize {
    value.as_u64().unwrap() as usize
}

fn flag(value: &Value) -> bool {
    value.as_bool().unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// Equal within `tolerance` of the larger of 1 and the expected value, NaN to NaN.
#[track_caller]
fn assert_close<'a>(
    got: impl IntoIterator<Item = &'a f64>,
    expected: impl IntoIterator<Item = &'a f64>,
    tolerance: f64,
    what: &str,
) {
    let (got, expected): (Vec<f64>, Vec<f64>) =
        (got.into_iter().copied().collect(), expected.into_iter().copied().collect());
    assert_eq!(got.len(), expected.len(), "{what}");
    for (place, (got, expected)) in got.iter().zip(&expected).enumerate() {
        let close = (got - expected).abs() <= tolerance * expected.abs().max(1.0) || got.is_nan() && expected.is_nan();
        assert!(close, "{what}, value {place}: {got} is not {expected}");
    }
}

fn made(case: &Value) -> Box<dyn Transform<f64>> {
    let output = |name| if name == "normal" { OutputDistribution::Normal } else { OutputDistribution::Uniform };
    match text(&case["kind"]) {
        "MaxAbsScaler" => Box::new(MaxAbsScaler::of()),
        "RobustScaler" => Box::new(
            RobustScaler::of()
                .with_centering(flag(&case["with_centering"]))
                .with_scaling(flag(&case["with_scaling"]))
                .quantile_range(case["low"].as_f64().unwrap(), case["high"].as_f64().unwrap())
                .unit_variance(flag(&case["unit_variance"])),
        ),
        "QuantileTransformer" => Box::new(
            QuantileTransformer::of().quantiles(size(&case["quantiles"])).output(output(text(&case["output"]))),
        ),
        "PowerTransformer" => {
            let power = if case["method"] == "box-cox" { Power::BoxCox } else { Power::YeoJohnson };
            Box::new(PowerTransformer::of(power).standardize(flag(&case["standardize"])))
        }
        "KBinsDiscretizer" => {
            let uniform = case["strategy"] == "uniform";
            let strategy = if uniform { BinStrategy::Uniform } else { BinStrategy::Quantile };
            let code = if case["encode"] == "ordinal" { BinCode::Ordinal } else { BinCode::OneHot };
            Box::new(KBinsDiscretizer::of(size(&case["bins"])).strategy(strategy).code(code))
        }
        other => panic!("no {other}"),
    }
}

#[test]
fn arrays_are_mapped_as_by_scikit_learn() -> Outcome {
    let reference = reference()?;
    let mut count = 0;
    for case in cases(&reference["cases"]).filter(|case| case["kind"] != "weighted") {
        let what = format!("{}", json!({ "kind": case["kind"], "settings": without_arrays(case) }));
        let data = text(&case["data"]);
        let new = if data == "x" { "new".to_owned() } else { format!("{data}_new") };
        let (x, new) = (matrix(&reference[data]), matrix(&reference[&new]));
        // The likelihood of a power is flat where it is highest: rounding hides all but the first half of the digits.
        let tolerance = if case["kind"] == "PowerTransformer" { 1e-6 } else { 1e-12 };
        let mut transform = made(case);
        transform.fit(x.view())?;
        let z = transform.transform(new.view())?;
        assert_close(&transform.transform(x.view())?, &matrix(&case["fitted"]), tolerance, &what);
        assert_close(&z, &matrix(&case["new"]), tolerance, &what);
        let mut inverse = matrix(&case["inverse"]);
        if case["kind"] == "KBinsDiscretizer" {
            // scikit-learn has the middle of an infinite bin for a constant feature, which is none.
            assert!(inverse.column(1).iter().all(|value| value.is_nan()));
            inverse.column_mut(1).fill(7.0);
        }
        assert_close(&transform.inverse_transform(z.view())?, &inverse, tolerance, &format!("inverse of {what}"));
        count += 1;
    }
    assert_eq!(count, 31);
    Ok(())
}

fn without_arrays(case: &Value) -> Value {
    let settings = case.as_object().unwrap().iter().filter(|(_, value)| !value.is_array());
    settings.map(|(name, value)| (name.clone(), value.clone())).collect()
}

#[test]
fn powers_are_those_of_scikit_learn() -> Outcome {
    let reference = reference()?;
    for case in cases(&reference["cases"]).filter(|case| case["kind"] == "PowerTransformer") {
        let power = if case["method"] == "box-cox" { Power::BoxCox } else { Power::YeoJohnson };
        let mut transformer = PowerTransformer::<f64>::of(power);
        transformer.fit(&matrix(&reference[text(&case["data"])]))?;
        assert_close(&transformer.lambdas().unwrap(), &floats(&case["lambdas"]), 2e-6, text(&case["method"]));
    }
    Ok(())
}

#[test]
fn weighted_moments_are_those_of_scikit_learn() -> Outcome {
    let reference = reference()?;
    let (x, new, weights) = (matrix(&reference["x"]), matrix(&reference["new"]), floats(&reference["weights"]));
    for case in cases(&reference["cases"]).filter(|case| case["kind"] == "weighted") {
        let mut scaler =
            StandardScaler::<f64>::of().with_mean(flag(&case["with_mean"])).with_std(flag(&case["with_std"]));
        scaler.fit_weighted(&x, &weights)?;
        let what = without_arrays(case).to_string();
        for (x, expected) in [(&x, &case["fitted"]), (&new, &case["new"])] {
            // A difference of large numbers is known as well as they are.
            for ((got, x), expected) in scaler.transform(x)?.iter().zip(x).zip(&matrix(expected)) {
                assert_close([got], [expected], 1e-14 * x.abs().max(100.0), &what);
            }
        }
        if case["mean"].is_array() {
            assert_close(scaler.mean().unwrap(), &floats(&case["mean"]), 1e-14, "mean");
            assert_close(scaler.var().unwrap(), &floats(&case["var"]), 1e-12, "var");
        }
    }
    // A weight of 2 is a row that comes twice, and one of 0 a row that is not there.
    let (mut twice, mut weighted) = (StandardScaler::<f64>::of(), StandardScaler::<f64>::of());
    twice.fit(&layerwise::data::take(&x, &[0, 1, 1, 4])?)?;
    weighted.fit_weighted(&layerwise::data::take(&x, &[0, 1, 2, 4])?, &[1.0, 2.0, 0.0, 1.0])?;
    assert_close(twice.mean().unwrap(), weighted.mean().unwrap(), 1e-14, "mean");
    assert_close(twice.scale().unwrap(), weighted.scale().unwrap(), 1e-14, "scale");
    Ok(())
}

#[test]
fn weighted_bins_are_those_of_scikit_learn() -> Outcome {
    let reference = reference()?;
    let (x, new, weights) =
        (matrix(&reference["whole"]), matrix(&reference["whole_new"]), floats(&reference["weights"]));
    for case in cases(&reference["weighted_bins"]) {
        let uniform = case["strategy"] == "uniform";
        let strategy = if uniform { BinStrategy::Uniform } else { BinStrategy::Quantile };
        let mut bins = KBinsDiscretizer::<f64>::of(size(&case["bins"])).strategy(strategy).code(BinCode::Ordinal);
        let what = without_arrays(case).to_string();
        bins.fit_weighted(&x, &weights)?;
        assert_close(&bins.transform(&x)?, &matrix(&case["fitted"]), 0.0, &what);
        assert_close(&bins.transform(&new)?, &matrix(&case["new"]), 0.0, &what);
        let edges: Vec<_> =
            bins.bin_edges().unwrap().iter().filter(|edges| edges[0] < edges[edges.len() - 1]).collect();
        for (got, expected) in edges.iter().zip(cases(&case["edges"])) {
            assert_close(*got, &floats(expected), 1e-12, &what);
        }
        assert_eq!(edges.len(), cases(&case["edges"]).count());
    }
    Ok(())
}

#[test]
fn polynomials_are_those_of_scikit_learn() -> Outcome {
    for case in cases(&reference()?["polynomials"]) {
        let mut polynomial = PolynomialFeatures::<f64>::of(size(&case["degree"]))
            .interaction_only(flag(&case["interaction_only"]))
            .include_bias(flag(&case["include_bias"]));
        let what = without_arrays(case).to_string();
        assert_close(&polynomial.fit_transform(&matrix(&case["x"]))?, &matrix(&case["out"]), 1e-12, &what);
        let names = polynomial.feature_names_out(&["a", "b", "c"].map(str::to_owned));
        assert_eq!(json!(names), case["names"], "{what}");
    }
    Ok(())
}

#[test]
fn outliers_are_those_of_numpy_and_scipy() -> Outcome {
    for case in cases(&reference()?["outliers"]) {
        let z_score = case["rule"] == "z_score";
        let rule = if z_score { OutlierRule::ZScore } else { OutlierRule::InterquartileRange };
        let mut clipper = OutlierClipper::<f64>::of(rule, case["factor"].as_f64().unwrap());
        let x = matrix(&case["x"]);
        let what = without_arrays(case).to_string();
        assert_close(&clipper.fit_transform(&x)?, &matrix(&case["clipped"]), 1e-12, &what);
        assert_eq!(json!(clipper.rows_within(&x)?), case["rows"], "{what}");
    }
    Ok(())
}

#[test]
fn ordinals_are_those_of_scikit_learn() -> Outcome {
    let case = &reference()?["ordinals"];
    let table = |rows: &Value| {
        let line = |row: &Value| format!("{},{}\n", text(&row[0]), row[1].as_str().unwrap_or(""));
        let lines: String = cases(rows).map(line).collect();
        Table::from_reader(format!("size,port\n{lines}").as_bytes(), "table")
    };
    let (rows, new) = (table(&case["rows"])?, table(&case["new"])?);
    let mut encoder = OrdinalEncoder::<f64>::of().categories("size", &["s", "m", "l"]).unknown_value(-1.0);
    encoder.fit(&rows, &["size", "port"])?;
    let fitted = encoder.transform(&rows)?;
    assert_close(&fitted, &matrix(&case["fitted"]), 0.0, "fitted");
    assert_close(&encoder.transform(&new)?, &matrix(&case["transformed"]), 0.0, "transformed");
    let back = encoder.inverse_transform(&fitted)?;
    assert_eq!(json!(back), case["rows"]);
    Ok(())
}

#[test]
fn hashed_features_are_those_of_scikit_learn() -> Outcome {
    let hashes = &reference()?["hashes"];
    let quoted = |(city, room): (&Value, &Value)| format!("\"{}\",{room}\n", text(city));
    let lines: String = cases(&hashes["cities"]).zip(cases(&hashes["rooms"])).map(quoted).collect();
    let table = Table::from_reader(format!("city,rooms\n{lines}").as_bytes(), "table")?;
    for case in cases(&hashes["cases"]) {
        let features = size(&case["features"]);
        let mut hasher = FeatureHasher::<f64>::of(features).alternate_sign(flag(&case["alternate_sign"]));
        let mut expected = Array2::<f64>::zeros((table.rows(), features));
        for place in cases(&case["nonzero"]) {
            // Where two fall together, scikit-learn lists both.
            expected[[size(&place[0]), size(&place[1])]] += place[2].as_f64().unwrap();
        }
        assert_eq!(hasher.fit(&table, &["city", "rooms"])?.transform(&table)?, expected);
    }
    Ok(())
}

#[test]
fn class_weights_are_those_of_scikit_learn() -> Outcome {
    for case in cases(&reference()?["class_weights"]) {
        let labels: Vec<usize> = cases(&case["labels"]).map(size).collect();
        let expected = floats(&case["classes"]);
        let weights = class_weights(&labels, expected.len())?;
        assert_close(&weights, &expected, 1e-15, "classes");
        assert_close(&sample_weights::<f64>(&labels, &weights)?, &floats(&case["samples"]), 1e-15, "samples");
    }
    Ok(())
}

/// German credit with missing cells.
fn credit() -> layerwise::Result<Table> {
    let mut lines: Vec<String> = datasets::GERMAN_CREDIT_CSV.lines().map(str::to_owned).collect();
    let names: Vec<String> = lines[0].split(',').map(str::to_owned).collect();
    let mut blank = |rows: std::ops::Range<usize>, step: usize, name: &str| {
        let column = names.iter().position(|known| known == name).unwrap();
        for row in rows.step_by(step) {
            let mut cells: Vec<&str> = lines[row + 1].split(',').collect();
            cells[column] = "";
            lines[row + 1] = cells.join(",");
        }
    };
    blank(0..1000, 7, "months");
    blank(3..1000, 11, "housing");
    Table::from_reader(lines.join("\n").as_bytes(), "credit")
}

fn credit_transformer<A: Scalar>() -> ColumnTransformer<A> {
    let employed = ["unemployed", "below 1 year", "1 to 4 years", "4 to 7 years", "7 years or more"];
    ColumnTransformer::of()
        .fill(&["housing"], Impute::MostFrequent)
        .numbers(&["months", "age"], Pipeline::of().then(SimpleImputer::of(Impute::Median)).then(StandardScaler::of()))
        .numbers(&["amount"], Pipeline::of().then(PowerTransformer::of(Power::BoxCox)).then(MinMaxScaler::of()))
        .passthrough(&["installment_rate"])
        .encoded(&["housing", "purpose"], OneHotEncoder::of())
        .encoded_then(
            &["employed_since"],
            OrdinalEncoder::of().categories("employed_since", &employed),
            MaxAbsScaler::of(),
        )
}

#[test]
fn a_column_transformer_does_what_that_of_scikit_learn_does() -> Outcome {
    let case = &reference()?["columns"];
    let table = credit()?;
    let mut transformer = credit_transformer::<f64>();
    let x = transformer.fit_transform(&table)?;
    assert_close(x.row(0), &floats(&case["first"]), 1e-7, "first");
    assert_close(x.row(999), &floats(&case["last"]), 1e-7, "last");
    assert_close(&x.sum_axis(Axis(0)), &floats(&case["sums"]), 1e-6, "sums");
    let names = transformer.feature_names_out();
    assert_eq!(names.len(), x.ncols());
    assert_eq!((&*names[0], &*names[4], &*names[17]), ("months", "housing_for free", "employed_since"));
    // Columns are matched by name.
    let turned: Vec<&String> = table.names().iter().rev().collect();
    assert_eq!(transformer.transform(&table.select(&turned)?)?, x);
    Ok(())
}

#[test]
fn a_transformer_comes_back_from_the_file_of_its_model() -> Outcome {
    let table = credit()?;
    let mut transformer = credit_transformer::<f32>();
    let x = transformer.fit_transform(&table)?;
    let mut model = Sequential::new().add(Dense::new(2));
    model.initialize(&[x.ncols()], 1)?;
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("credit.safetensors");
    transformer.save_with_model(&model, &path)?;
    let (loaded, read) = (io::load_model(&path)?, ColumnTransformer::<f32>::load(&path)?);
    assert_eq!(read.transform(&table)?, x);
    assert_eq!(read.feature_names_out(), transformer.feature_names_out());
    assert_eq!(loaded.predict(&x)?, model.predict(&x)?);

    let message = ColumnTransformer::<f64>::load(&path).unwrap_err().to_string();
    assert!(message.ends_with("the transformer in it: transformer.numbers must be \"f64\", got \"f32\""), "{message}");
    io::save_model(&model, &path)?;
    let message = ColumnTransformer::<f32>::load(&path).unwrap_err().to_string();
    assert!(message.contains("it holds no transformer"), "{message}");
    let mut tensors = io::Tensors::new();
    tensors.metadata("layerwise.data", "{\"numbers\": \"f32\", \"numbers\": \"f32\"}");
    tensors.write(&path)?;
    let message = ColumnTransformer::<f32>::read(&TensorFile::open(&path)?).unwrap_err().to_string();
    assert!(message.contains("the key \"numbers\" stands twice"), "{message}");
    Ok(())
}

/// One part of each kind, over these columns.
fn everything(table: &Table) -> layerwise::Result<ColumnTransformer<f64>> {
    let columns = ["a", "b"];
    let mut all = ColumnTransformer::of()
        .fill(&["t"], Impute::ConstantText("none".into()))
        .fill(&["c"], Impute::Median)
        .numbers(&columns, StandardScaler::of())
        .numbers(&columns, MinMaxScaler::of().feature_range(-1.0, 2.0).clip(true))
        .numbers(&columns, MaxAbsScaler::of())
        .numbers(&columns, RobustScaler::of().unit_variance(true))
        .numbers(&columns, QuantileTransformer::of().quantiles(4).output(OutputDistribution::Normal))
        .numbers(&columns, PowerTransformer::of(Power::YeoJohnson))
        .numbers(&columns, KBinsDiscretizer::of(3))
        .numbers(&columns, KBinsDiscretizer::of(2).strategy(BinStrategy::Quantile).code(BinCode::Ordinal))
        .numbers(&columns, OutlierClipper::of(OutlierRule::InterquartileRange, 1.0))
        .numbers(&columns, PolynomialFeatures::of(2))
        .numbers(&["c"], Pipeline::of().then(SimpleImputer::of(Impute::Constant(-1.5))).then(MaxAbsScaler::of()))
        .encoded(&["t"], OneHotEncoder::of().handle_unknown(layerwise::data::HandleUnknown::Ignore))
        .encoded_then(&["t"], OrdinalEncoder::of().unknown_value(f64::NAN), StandardScaler::of())
        .encoded(&["t", "a"], FeatureHasher::of(3));
    all.fit(table)?;
    Ok(all)
}

fn small() -> layerwise::Result<Table> {
    let text = "a,b,c,t\n1,0.1,,x\n-2.5,0.30000000000000004,4,y\n7,1e-3,5,\n0,12,6,x\n3,-4,7,z\n";
    Table::from_reader(text.as_bytes(), "small")
}

#[test]
fn every_preprocessor_keeps_every_bit_in_json() -> Outcome {
    let table = small()?;
    let all = everything(&table)?;
    let json = all.to_json()?;
    let back = ColumnTransformer::<f64>::from_json(&serde_json::from_str(&json.to_string())?)?;
    let (before, after) = (all.transform(&table)?, back.transform(&table)?);
    assert!(before.iter().zip(&after).all(|(a, b)| a.to_bits() == b.to_bits()));
    assert_eq!(back.feature_names_out(), all.feature_names_out());
    assert_eq!(back.feature_names_out().len(), before.ncols());
    assert_eq!(back.to_json()?, json);
    Ok(())
}

/// Calls `f` with every tree that differs from this one in one place.
fn damaged(value: &Value, f: &mut dyn FnMut(Value)) {
    let odd = [
        json!(null),
        json!(-1),
        json!(0),
        json!(1e308),
        json!(u64::MAX),
        json!("NaN"),
        json!("x"),
        json!([]),
        json!({}),
        json!([1e308, -1e308, "inf"]),
        json!([[0.0]]),
        json!([[]]),
    ];
    odd.into_iter().for_each(&mut *f);
    match value {
        Value::Array(items) => {
            for at in 0..items.len() {
                let replaced = |item: Value| {
                    let mut items = items.clone();
                    items[at] = item;
                    f(Value::Array(items));
                };
                let mut replaced = replaced;
                damaged(&items[at], &mut replaced);
                let mut fewer = items.clone();
                fewer.remove(at);
                f(Value::Array(fewer));
                let mut more = items.clone();
                more.push(items[at].clone());
                f(Value::Array(more));
            }
        }
        Value::Object(entries) => {
            for key in entries.keys() {
                let mut replaced = |item: Value| {
                    let mut entries = entries.clone();
                    entries.insert(key.clone(), item);
                    f(Value::Object(entries));
                };
                damaged(&entries[key], &mut replaced);
                let mut fewer = entries.clone();
                fewer.remove(key);
                f(Value::Object(fewer));
                let mut more = entries.clone();
                more.insert(format!("{key} too"), entries[key].clone());
                f(Value::Object(more));
            }
        }
        _ => {}
    }
}

#[test]
fn damaged_json_is_refused_or_works() -> Outcome {
    let table = small()?;
    let json = everything(&table)?.to_json()?;
    let (mut refused, mut read, mut transformed) = (0, 0, 0);
    damaged(&json, &mut |value| match ColumnTransformer::<f64>::from_json(&value) {
        Ok(transformer) => {
            read += 1;
            transformer.feature_names_out();
            transformed += u32::from(transformer.transform(&table).is_ok());
        }
        Err(_) => refused += 1,
    });
    assert!(refused > 1000 && read > 100 && transformed > 50, "{refused} {read} {transformed}");
    Ok(())
}

#[test]
fn an_f32_pipeline_computes_what_an_f64_one_does() -> Outcome {
    let x = datasets::diabetes().features;
    let steps = |power| (RobustScaler::of(), PowerTransformer::of(power), QuantileTransformer::of());
    let (robust, power, quantile) = steps(Power::YeoJohnson);
    let narrow = Pipeline::new().then(robust).then(power).then(quantile).fit_transform(&x)?;
    let (robust, power, quantile) =
        (RobustScaler::of(), PowerTransformer::of(Power::YeoJohnson), QuantileTransformer::of());
    let wide = Pipeline::<f64>::of().then(robust).then(power).then(quantile).fit_transform(&x.mapv(f64::from))?;
    for (narrow, wide) in narrow.iter().zip(&wide) {
        assert!((f64::from(*narrow) - wide).abs() < 1e-4, "{narrow} {wide}");
    }
    Ok(())
}

#[test]
fn a_pipeline_is_undone_in_the_reverse_order() -> Outcome {
    let x = datasets::diabetes().features.mapv(f64::from);
    let mut pipeline = Pipeline::<f64>::of()
        .then(SimpleImputer::of(Impute::Mean))
        .then(PowerTransformer::of(Power::YeoJohnson))
        .then(MinMaxScaler::of());
    let z = pipeline.fit_transform(&x)?;
    let back = Transform::inverse_transform(&pipeline, z.view())?;
    assert_close(&back, &x, 1e-9, "pipeline");
    let polynomial = PolynomialFeatures::<f64>::of(2);
    let message = Transform::inverse_transform(&polynomial, z.view()).unwrap_err().to_string();
    assert_eq!(message, "PolynomialFeatures cannot be undone");
    Ok(())
}

#[test]
fn preprocessors_cross_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<ColumnTransformer>();
    shared::<Pipeline<f64>>();
    shared::<QuantileTransformer>();
    shared::<FeatureHasher>();
}
