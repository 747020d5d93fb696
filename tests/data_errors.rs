//! What is said of input that cannot be used, word for word.

use layerwise::data::{
    ColumnTransformer, CsvReader, FeatureHasher, Impute, KBinsDiscretizer, KFold, LabelEncoder, MaxAbsScaler,
    MinMaxScaler, OneHotEncoder, OrdinalEncoder, OutlierClipper, Pipeline, PolynomialFeatures, Power, PowerTransformer,
    QuantileTransformer, RobustScaler, SimpleImputer, StandardScaler, StratifiedKFold, Table, TableImputer,
    ValidationSplit, class_weights, datasets, one_hot, over_sample, sample_weights, smote, stratified_train_test_split,
    take, train_test_split, under_sample,
};
use layerwise::{Error, Result};
use ndarray::{Array2, array};

/// Each message beside what was asked for.
#[track_caller]
fn assert_messages(cases: Vec<(Result<()>, &str)>) {
    for (index, (outcome, expected)) in cases.into_iter().enumerate() {
        match outcome {
            Ok(()) => panic!("case {index} passed, expected: {expected}"),
            Err(error) => assert_eq!(error.to_string(), expected, "case {index}"),
        }
    }
}

fn nothing<T>(_: T) {}

fn read(text: &[u8]) -> Result<()> {
    Table::from_reader(text, "t.csv").map(nothing)
}

fn table() -> Result<Table> {
    Table::from_reader("age,sex,port\n22,f,S\n,m,C\n30,,Q\n".as_bytes(), "t.csv")
}

#[test]
fn files_that_cannot_be_read() -> Result<()> {
    let wanted = |reader: CsvReader| reader.from_reader("a,b\n1,2\nx,3\n".as_bytes(), "t.csv").map(nothing);
    assert_messages(vec![
        (read(b""), "t.csv is empty"),
        (read(b"\n\n"), "t.csv is empty"),
        (read(b"a,b\n"), "t.csv below its header is empty"),
        (read(b"a,b\n1,2\n3\n"), "t.csv, line 3: expected 2 cells, got 1"),
        (read(b"a,b\r\n\r\n1,2,3\r\n"), "t.csv, line 3: expected 2 cells, got 3"),
        (read(b"a,b,a\n1,2,3\n"), r#"t.csv, line 1, column "a": columns 1 and 3 both have this name"#),
        (read(b"a,b\n1,\xff\n"), "t.csv, line 2: cell 2 is not UTF-8; save the file in that encoding"),
        (read(b"\xe9,b\n1,2\n"), "t.csv, line 1: cell 1 is not UTF-8; save the file in that encoding"),
        (read(b"a,b\n1,2\n3,\"x\n4,5\n"), "t.csv, line 3: a quote that opens here is never closed"),
        (wanted(CsvReader::new().number_columns(&["a"])), r#"t.csv, line 3, column "a": "x" is not a finite number"#),
        (wanted(CsvReader::new().text_columns(&["c"])), r#"t.csv, column "c": no such column; there are "a", "b""#),
        (
            wanted(CsvReader::new().text_columns(&["b"]).number_columns(&["a", "b"])),
            r#"text_columns must be other columns than number_columns, got "b" in both"#,
        ),
        (
            wanted(CsvReader::new().delimiter(b'"')),
            "delimiter must be an ASCII character other than a quote or a line end, got '\"'",
        ),
    ]);
    Ok(())
}

#[test]
fn a_file_that_is_not_there_is_an_io_error_with_its_path() {
    let error = Table::read("no/such/file.csv").unwrap_err();
    assert!(error.to_string().starts_with("no/such/file.csv: "), "{error}");
    assert!(matches!(error, Error::Io { .. }));
}

#[test]
fn cells_and_columns_that_cannot_be_had() -> Result<()> {
    let table = table()?;
    let hollow = Table::from_reader("a,b\n1,\n2,\n".as_bytes(), "t.csv")?;
    let missing = "the cell is missing; `drop_missing` leaves such rows out, `impute` fills them in";
    let message = |line: u64, column: &str| format!("t.csv, line {line}, column \"{column}\": {missing}");
    assert_messages(vec![
        (table.numbers::<f32>(&["age"]).map(nothing), &message(3, "age")),
        (table.text("sex").map(nothing), &message(4, "sex")),
        (table.numbers::<f32>(&["port"]).map(nothing), r#"t.csv, line 2, column "port": "S" is not a finite number"#),
        (
            table.numbers_or_nan::<f32>(&["Age"]).map(nothing),
            r#"t.csv, column "Age": no such column; there are "age", "sex", "port""#,
        ),
        (table.numbers::<f32>(&[""; 0]).map(nothing), "the choice of columns of t.csv is empty"),
        (table.select(&["age", "age"]).map(nothing), r#"t.csv, column "age": selected twice"#),
        (table.drop_columns(table.names()).map(nothing), "the choice of columns of t.csv is empty"),
        (table.take_rows(&[0, 3]).map(nothing), "row at [1]: expected a row of t.csv below 3, got 3"),
        (table.take_rows(&[]).map(nothing), "the choice of rows of t.csv is empty"),
        (hollow.drop_missing().map(nothing), "t.csv without its rows that miss a cell is empty"),
        (
            table.impute(&["sex"], Impute::Mean).map(nothing),
            r#"t.csv, column "sex": the column holds text, which Mean cannot fill"#,
        ),
        (
            hollow.impute(&["b"], Impute::Median).map(nothing),
            r#"t.csv, column "b": every cell is missing: nothing to fill in from"#,
        ),
        (
            hollow.impute(&["b"], Impute::Constant(f64::NAN)).map(nothing),
            "Impute::Constant must be a finite number, got NaN",
        ),
        (
            TableImputer::new(Impute::Mean).transform(&table).map(nothing),
            "TableImputer must be fitted before it is used: call `fit` on the training data, got one that is not",
        ),
    ]);
    Ok(())
}

#[test]
fn arrays_that_cannot_be_scaled() -> Result<()> {
    let x = array![[1.0f32, 2.0], [3.0, 4.0]];
    let wide = array![[1.0f32, 2.0, 3.0]];
    let none = Array2::<f32>::zeros((0, 2));
    let infinite = array![[1.0, 2.0], [f32::INFINITY, 4.0]];
    let hollow = array![[1.0, f32::NAN], [2.0, f32::NAN]];
    let huge = array![[1e308], [-1e308]];
    let mut scaler = StandardScaler::new();
    scaler.fit(&x)?;
    let mut narrow = StandardScaler::new();
    narrow.fit(&array![[0.0, -0.0078125], [0.0, 0.0078125]])?;
    let mut imputer = SimpleImputer::new(Impute::Mean);
    imputer.fit(&x)?;
    let range = |low, high| MinMaxScaler::new().feature_range(low, high).fit(&x).map(nothing);
    let unfitted = "fitted before it is used: call `fit` on the training data, got one that is not";
    assert_messages(vec![
        (StandardScaler::new().transform(&x).map(nothing), &format!("StandardScaler must be {unfitted}")),
        (MinMaxScaler::new().inverse_transform(&x).map(nothing), &format!("MinMaxScaler must be {unfitted}")),
        (SimpleImputer::new(Impute::Mean).transform(&x).map(nothing), &format!("SimpleImputer must be {unfitted}")),
        (
            scaler.transform(&wide).map(nothing),
            "StandardScaler input: expected (rows, 2) as in `fit`, got shape [1, 3]",
        ),
        (
            imputer.transform(&wide).map(nothing),
            "SimpleImputer input: expected (rows, 2) as in `fit`, got shape [1, 3]",
        ),
        (StandardScaler::new().fit(&none).map(nothing), "StandardScaler input of shape [0, 2] is empty"),
        (scaler.transform(&none).map(nothing), "StandardScaler input of shape [0, 2] is empty"),
        (
            scaler.transform(&infinite).map(nothing),
            "StandardScaler input at [1, 0]: expected a finite number or NaN, got inf",
        ),
        (
            MinMaxScaler::new().fit(&hollow).map(nothing),
            "MinMaxScaler input, feature at [1]: expected a number in at least one row, got NaN in every row",
        ),
        (
            SimpleImputer::new(Impute::Median).fit(&hollow).map(nothing),
            "SimpleImputer input, feature at [1]: expected a number in at least one row, got NaN in every row",
        ),
        (
            StandardScaler::of().fit(&huge).map(nothing),
            "StandardScaler input, feature at [0]: expected a variance that f64 holds, got a larger one",
        ),
        (
            MinMaxScaler::of().fit(&huge).map(nothing),
            "MinMaxScaler input, feature at [0]: expected a range that f64 holds, got a larger one",
        ),
        (
            narrow.transform(&array![[0.0, 3e38]]).map(nothing),
            "StandardScaler input at [0, 1]: expected a result that f32 holds, got 3.840e40",
        ),
        (range(1.0, 1.0), "feature_range must be two finite numbers, the smaller one first, got (1, 1)"),
        (range(0.0, f64::NAN), "feature_range must be two finite numbers, the smaller one first, got (0, NaN)"),
        (
            SimpleImputer::new(Impute::ConstantText("x".into())).fit(&x).map(nothing),
            "the strategy for numbers must be one for numbers, got Impute::ConstantText",
        ),
    ]);
    Ok(())
}

#[test]
fn labels_and_categories_that_are_not_known() -> Result<()> {
    let mut encoder = LabelEncoder::new();
    encoder.fit(["cat", "dog"])?;
    let unfitted = "fitted before it is used: call `fit` on the training data, got one that is not";
    assert_messages(vec![
        (encoder.transform(["dog", "cow"]).map(nothing), r#"label at [1]: expected one of "cat", "dog", got "cow""#),
        (encoder.inverse_transform(&[0, 1, 2]).map(nothing), "class number at [2]: expected one below 2, got 2"),
        (LabelEncoder::new().fit([""; 0]).map(nothing), "LabelEncoder input is empty"),
        (LabelEncoder::new().transform(["x"]).map(nothing), &format!("LabelEncoder must be {unfitted}")),
        (one_hot::<f32>(&array![0, 1, 5], 3).map(nothing), "class label at [2]: expected a class below 3, got 5"),
        (one_hot::<f32>(&array![0], 0).map(nothing), "the set of classes for one_hot is empty"),
        (OneHotEncoder::new().transform(&table()?).map(nothing), &format!("OneHotEncoder must be {unfitted}")),
        (OneHotEncoder::new().fit(&table()?, &[""; 0]).map(nothing), "the choice of columns of OneHotEncoder is empty"),
        (
            OneHotEncoder::new().fit(&table()?, &["sex"]).map(nothing),
            "t.csv, line 4, column \"sex\": the cell is missing; `drop_missing` leaves such rows out, `impute` fills \
             them in",
        ),
    ]);
    Ok(())
}

#[test]
fn arrays_that_other_preprocessors_cannot_take() -> Result<()> {
    let x = array![[1.0f32, 2.0], [3.0, 4.0]];
    let huge = array![[1e308], [-1e308]];
    let mut max_abs = MaxAbsScaler::new();
    max_abs.fit(&x)?;
    let mut box_cox = PowerTransformer::new(Power::BoxCox);
    box_cox.fit(&x)?;
    let mut polynomial = PolynomialFeatures::new(3);
    polynomial.fit(&x)?;
    let unfitted = "fitted before it is used: call `fit` on the training data, got one that is not";
    assert_messages(vec![
        (RobustScaler::new().transform(&x).map(nothing), &format!("RobustScaler must be {unfitted}")),
        (PolynomialFeatures::new(2).transform(&x).map(nothing), &format!("PolynomialFeatures must be {unfitted}")),
        (OutlierClipper::z_score(3.0).rows_within(&x).map(nothing), &format!("OutlierClipper must be {unfitted}")),
        (
            max_abs.transform(&array![[1.0f32]]).map(nothing),
            "MaxAbsScaler input: expected (rows, 2) as in `fit`, got shape [1, 1]",
        ),
        (
            max_abs.transform(&array![[1.0, f32::INFINITY]]).map(nothing),
            "MaxAbsScaler input at [0, 1]: expected a finite number or NaN, got inf",
        ),
        (
            KBinsDiscretizer::new(3).fit(&array![[1.0, f32::NAN]]).map(nothing),
            "KBinsDiscretizer input, feature at [1]: expected a number in at least one row, got NaN in every row",
        ),
        (
            RobustScaler::of().quantile_range(0.0, 100.0).fit(&huge).map(nothing),
            "RobustScaler input, feature at [0]: expected a spread that f64 holds, got a larger one",
        ),
        (
            RobustScaler::new().quantile_range(75.0, 25.0).fit(&x).map(nothing),
            "quantile_range must be two percentages from 0 to 100, the smaller one first, got (75, 25)",
        ),
        (
            RobustScaler::new().quantile_range(0.0, 75.0).unit_variance(true).fit(&x).map(nothing),
            "quantile_range must be two percentages between 0 and 100, the smaller one first, got (0, 75)",
        ),
        (QuantileTransformer::new().quantiles(1).fit(&x).map(nothing), "quantiles must be at least 2, got 1"),
        (KBinsDiscretizer::new(1).fit(&x).map(nothing), "bins must be at least 2, got 1"),
        (KBinsDiscretizer::new(65537).fit(&x).map(nothing), "bins must be at most 65536, got 65537"),
        (OutlierClipper::z_score(-1.0).fit(&x).map(nothing), "factor must be a finite number from 0, got -1"),
        (
            box_cox.transform(&array![[1.0f32, 0.0]]).map(nothing),
            "PowerTransformer input at [0, 1]: expected a number above 0 for Box-Cox, got 0",
        ),
        (
            PowerTransformer::new(Power::BoxCox).fit(&array![[1.0f32], [-2.0]]).map(nothing),
            "PowerTransformer input at [1, 0]: expected a number above 0 for Box-Cox, got -2",
        ),
        (PolynomialFeatures::new(0).fit(&x).map(nothing), "degree must be at least 1, got 0"),
        (
            PolynomialFeatures::new(9).fit(&Array2::<f32>::zeros((1, 30))).map(nothing),
            "degree must be one that makes at most 65536 of 30 features, got 9",
        ),
        (
            polynomial.transform(&array![[1.0f32, 1e13]]).map(nothing),
            "PolynomialFeatures input at [0, 1]: expected products that f32 holds, got 1.000e39",
        ),
        (
            Pipeline::new().then(MaxAbsScaler::new()).then(StandardScaler::new()).transform(&x).map(nothing),
            &format!("MaxAbsScaler must be {unfitted}"),
        ),
        (
            StandardScaler::new().fit_weighted(&x, &[1.0]).map(nothing),
            "sample weights against rows: expected length 2, got 1",
        ),
        (
            KBinsDiscretizer::new(3).fit_weighted(&x, &[0.0, 0.0]).map(nothing),
            "sample weights must be above 0 in at least one row, got 0 in every row",
        ),
        (
            StandardScaler::new().fit_weighted(&x, &[1.0, -1.0]).map(nothing),
            "sample weight at [1]: expected a finite number from 0, got -1",
        ),
    ]);
    Ok(())
}

#[test]
fn columns_that_cannot_be_encoded() -> Result<()> {
    let table = table()?;
    let new = Table::from_reader("age,sex,port\n1,x,S\n2,f,T\n".as_bytes(), "new.csv")?;
    let unfitted = "fitted before it is used: call `fit` on the training data, got one that is not";
    let mut ordinal = OrdinalEncoder::new();
    ordinal.fit(&table, &["sex"])?;
    let given = |column: &str, categories: &[&str]| {
        OrdinalEncoder::new().categories(column, categories).fit(&table, &["sex"]).map(nothing)
    };
    let numbers = |columns: &[&str]| ColumnTransformer::new().numbers(columns, MaxAbsScaler::new());
    let mut encoded = ColumnTransformer::new().encoded(&["port"], OneHotEncoder::new());
    encoded.fit(&table)?;
    assert_messages(vec![
        (
            ordinal.transform(&new).map(nothing),
            r#"new.csv, line 2, column "sex": "x" was not there in `fit`; known are "f", "m""#,
        ),
        (OrdinalEncoder::new().transform(&table).map(nothing), &format!("OrdinalEncoder must be {unfitted}")),
        (OrdinalEncoder::new().fit(&table, &[""; 0]).map(nothing), "the choice of columns of OrdinalEncoder is empty"),
        (given("port", &["S"]), r#"categories must be of columns that are encoded, each once, got "port""#),
        (given("sex", &["f", "m", "f"]), r#"categories of "sex" must be different, got "f" twice"#),
        (given("sex", &["f"]), r#"t.csv, line 3, column "sex": "m" was not there in `fit`; known are "f""#),
        (given("sex", &[]), r#"t.csv, column "sex": there is no category to learn"#),
        (
            ordinal.inverse_transform(&array![[0.0], [2.0]]).map(nothing),
            "OrdinalEncoder input at [1, 0]: expected a category number below 2, got 2",
        ),
        (
            ordinal.inverse_transform(&array![[0.0, 1.0]]).map(nothing),
            "OrdinalEncoder input: expected (rows, 1) as in `fit`, got shape [1, 2]",
        ),
        (FeatureHasher::new(0).fit(&table, &["sex"]).map(nothing), "features must be from 1 to 65536, got 0"),
        (FeatureHasher::new(8).transform(&table).map(nothing), &format!("FeatureHasher must be {unfitted}")),
        (
            FeatureHasher::new(8).fit(&table, &["sex"])?.transform(&table).map(nothing),
            "t.csv, line 4, column \"sex\": the cell is missing; `drop_missing` leaves such rows out, `impute` fills \
             them in",
        ),
        (ColumnTransformer::<f32>::of().fit(&table).map(nothing), "ColumnTransformer, which has no part yet, is empty"),
        (numbers(&["age"]).transform(&table).map(nothing), &format!("ColumnTransformer must be {unfitted}")),
        (numbers(&["port"]).fit(&table).map(nothing), r#"t.csv, line 2, column "port": "S" is not a finite number"#),
        (numbers(&[]).fit(&table).map(nothing), "the choice of columns of ColumnTransformer is empty"),
        (
            ColumnTransformer::new()
                .numbers(&["age"], QuantileTransformer::new().quantiles(0))
                .fit(&table)
                .map(nothing),
            r#"columns "age": quantiles must be at least 2, got 0"#,
        ),
        (
            encoded.transform(&new).map(nothing),
            r#"new.csv, line 3, column "port": "T" was not there in `fit`; known are "C", "Q", "S""#,
        ),
        (
            datasets::RegressionBunch::from_table(&table, "fare").map(nothing),
            r#"t.csv, column "fare": no such column; there are "age", "sex", "port""#,
        ),
    ]);
    Ok(())
}

#[test]
fn classes_that_cannot_be_balanced() {
    let x = array![[0.0], [1.0], [2.0]];
    assert_messages(vec![
        (class_weights(&[0, 2], 3).map(nothing), "class at [1]: expected at least one sample, got none"),
        (class_weights(&[0, 3], 3).map(nothing), "class label at [1]: expected a class below 3, got 3"),
        (class_weights(&[], 3).map(nothing), "the set of labels for class_weights is empty"),
        (
            sample_weights::<f32>(&[0, 2], &[1.0, 1.0]).map(nothing),
            "class label at [1]: expected a class below 2, got 2",
        ),
        (over_sample(&[], 0).map(nothing), "the set of labels for over_sample is empty"),
        (under_sample(&[], 0).map(nothing), "the set of labels for under_sample is empty"),
        (smote(&x, &array![0, 1], 1, 0).map(nothing), "labels against rows: expected length 3, got 2"),
        (
            smote(&x, &array![0, 0, 1], 1, 0).map(nothing),
            "neighbours must be at least 1 and below 1, the rows of class 1, got 1",
        ),
        (
            smote(&array![[f32::NAN]], &array![0], 1, 0).map(nothing),
            "smote input at [0, 0]: expected a finite number, got NaN",
        ),
    ]);
}

#[test]
fn splits_that_cannot_be_made() {
    let split = |samples, fraction| train_test_split(samples, fraction, 0).map(nothing);
    let stratified = |labels: &[usize], fraction| stratified_train_test_split(labels, fraction, 0).map(nothing);
    let valid = |split: ValidationSplit, labels| split.indices(4, labels, 0).map(nothing);
    assert_messages(vec![
        (split(10, 0.0), "test_fraction must be above 0 and below 1, got 0"),
        (split(10, 1.0), "test_fraction must be above 0 and below 1, got 1"),
        (split(10, f64::NAN), "test_fraction must be above 0 and below 1, got NaN"),
        (split(0, 0.5), "the set of samples to split is empty"),
        (split(3, 0.9), "test_fraction must be a fraction that leaves some of 3 samples to learn from, got 0.9"),
        (
            stratified(&[0, 0, 1], 0.4),
            "a stratified split must be given at least two rows of every class, one for either side, got one row of \
             class 1",
        ),
        (
            stratified(&[0, 0, 0, 1, 1, 1], 0.1),
            "test_fraction must be a fraction that leaves at least 2 rows (one a class) on either side, got 5 and 1 \
             of 6",
        ),
        (KFold::new(1).split(9).map(nothing), "n_splits must be at least 2, got 1"),
        (KFold::new(5).split(4).map(nothing), "n_splits must be at most 4, the number of samples, got 5"),
        (
            StratifiedKFold::new(4).split(&[0, 0, 0, 1, 1]).map(nothing),
            "n_splits must be at most 3, the number of rows of the largest class, got 4",
        ),
        (valid(ValidationSplit::Last(1.5), None), "validation fraction must be above 0 and below 1, got 1.5"),
        (
            valid(ValidationSplit::Last(0.9), None),
            "validation fraction must be a fraction that leaves some of 4 samples in either part, got 0.9",
        ),
        (
            valid(ValidationSplit::Shuffled(0.9), None),
            "validation fraction must be a fraction that leaves some of 4 samples to learn from, got 0.9",
        ),
        (
            valid(ValidationSplit::Stratified(0.5), None),
            "ValidationSplit::Stratified must be given class labels, got none",
        ),
        (valid(ValidationSplit::Last(0.5), Some(&[0, 1, 2])), "labels against samples: expected length 4, got 3"),
        (take(&array![1, 2, 3], &[2, 3]).map(nothing), "row at [1]: expected one below 3, got 3"),
    ]);
}
