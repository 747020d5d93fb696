//! Who gets credit? 1000 applicants at a German bank, and what each wrong answer costs.
//!
//! ```text
//! cargo run --release --example credit_risk
//! ```
//!
//! Columns of numbers and of text go through a `ColumnTransformer`, which is saved with the network. By the set's own
//! costs a bad applicant taken for a good one is as dear as five good ones turned away, and seven in ten are good:
//! whoever asks only which is likelier loses more than by refusing everybody. Four ways to decide are tried over five
//! folds, with a network of ours and with scikit-learn's `MLPClassifier` of the same size, folds and training
//! (`tests/reference/credit_sklearn.py`), whose log loss within training folds chose size and epochs for both.

#[path = "common/out_of_fold.rs"]
mod out_of_fold;

use layerwise::data::{
    ColumnTransformer, HandleUnknown, OneHotEncoder, OrdinalEncoder, Power, PowerTransformer, Split, StandardScaler,
    StratifiedKFold, Table, datasets, sample_weights, take,
};
use layerwise::io;
use layerwise::metrics::Thresholds;
use layerwise::prelude::*;
use ndarray::{Array1, Array2, ArrayView1};
use out_of_fold::out_of_fold;
use serde_json::Value;

const FOLDS: usize = 5;
const INNER_FOLDS: usize = 4;
const SEEDS: u64 = 10;
/// The cost of a good applicant who is refused, and of a bad one who gets the credit.
const REFUSED: f64 = 1.0;
const LOST: f64 = 5.0;
/// With p the probability of bad, credit costs 5 p and refusal 1 - p: they are even at 1/6.
const EVEN: f64 = REFUSED / (REFUSED + LOST);

const SKEWED: [&str; 3] = ["months", "amount", "age"];
const COUNTS: [&str; 4] = ["installment_rate", "residence_since", "existing_credits", "dependants"];
const EMPLOYED: [&str; 5] = ["unemployed", "below 1 year", "1 to 4 years", "4 to 7 years", "7 years or more"];

const WAYS: [(&str, &str); 4] = [
    ("plain", "refuse if bad is likelier than not"),
    ("bayes", "refuse above 1/6, as the costs say"),
    ("chosen", "refuse above the cheapest threshold"),
    ("weighted", "learn with costs as weights, then 1/2"),
];

/// What scikit-learn's network comes to, fold by fold.
const REFERENCE: &str = include_str!("../tests/reference/credit_sklearn.json");

/// Columns of each sort go their own way.
fn transformer(table: &Table) -> ColumnTransformer {
    let numbers = [&SKEWED[..], &COUNTS, &["employed_since", "credit"]].concat();
    let categories: Vec<_> = table.names().iter().filter(|name| !numbers.contains(&name.as_str())).collect();
    ColumnTransformer::new()
        .numbers(&SKEWED, PowerTransformer::new(Power::BoxCox)) // a few amounts are large: nearly their logarithm
        .numbers(&COUNTS, StandardScaler::new())
        // These have an order that one column can keep.
        .encoded_then(
            &["employed_since"],
            OrdinalEncoder::new().categories("employed_since", &EMPLOYED),
            StandardScaler::new(),
        )
        // Nine of the thousand want to be retrained: a purpose that a fold has not seen is no purpose at all.
        .encoded(&categories, OneHotEncoder::new().handle_unknown(HandleUnknown::Ignore))
}

/// Applicants, and which of them are bad: 1, the class to be found.
struct Applicants {
    table: Table,
    bad: Array1<usize>,
}

impl Applicants {
    fn rows(&self, rows: &[usize]) -> Result<Self> {
        Ok(Applicants { table: self.table.take_rows(rows)?, bad: take(&self.bad, rows)? })
    }
}

/// A transformer and a network that have learned from the same applicants.
struct Scorer {
    transformer: ColumnTransformer,
    model: Sequential,
    trainer: Trainer,
}

impl Scorer {
    /// With a weight for a good applicant and one for a bad one.
    fn fit(applicants: &Applicants, weights: [f64; 2], seed: u64) -> Result<Self> {
        let mut transformer = transformer(&applicants.table);
        let x = transformer.fit_transform(&applicants.table)?;
        let weights = sample_weights::<f32>(&applicants.bad, &weights)?;
        let mut model = Sequential::new().add(Dense::new(16).activation(Activation::Relu)).add(Dense::new(1));
        let mut trainer = Trainer::new(BinaryCrossEntropy::new(), Adam::new(1e-3))
            .epochs(30)
            .batch_size(32)
            .seed(seed)
            .progress(Progress::Silent);
        trainer.fit(&mut model, (&x, &applicants.bad, &weights))?;
        Ok(Scorer { transformer, model, trainer })
    }

    /// How likely each applicant is bad.
    fn probabilities(&self, table: &Table) -> Result<Tensor> {
        self.trainer.predict_proba(&self.model, &self.transformer.transform(table)?)
    }

    fn thresholds(&self, applicants: &Applicants) -> Result<Thresholds> {
        let bad = layerwise::to_tensor(&applicants.bad)?;
        Thresholds::of(&self.probabilities(&applicants.table)?, &bad, None)
    }
}

/// On the test rows of a fold: area under the ROC curve; for each way, cost of an applicant and share of right answers.
fn run(all: &Applicants, fold: &Split, seed: u64) -> Result<Array1<f64>> {
    let (learn, test) = (all.rows(&fold.train)?, all.rows(&fold.test)?);
    let equal = [1.0, 1.0];
    // The threshold is chosen on folds of the training rows: the test rows have no say in it.
    let inner = out_of_fold(&learn.bad, StratifiedKFold::new(INNER_FOLDS), |inner| {
        Scorer::fit(&learn.rows(&inner.train)?, equal, seed)?.probabilities(&learn.table.take_rows(&inner.test)?)
    })?;
    let chosen = Thresholds::of(&inner, &layerwise::to_tensor(&learn.bad)?, None)?.cheapest(REFUSED, LOST)?;

    let plain = Scorer::fit(&learn, equal, seed)?.thresholds(&test)?;
    // `class_weights` would make up for there being fewer bad ones (1 to 2.3); the costs ask for more (1 to 5).
    let weighted = Scorer::fit(&learn, [REFUSED, LOST], seed)?.thresholds(&test)?;
    let mut numbers = vec![plain.roc_auc()];
    for (thresholds, threshold) in [(&plain, 0.5), (&plain, EVEN), (&plain, chosen.threshold), (&weighted, 0.5)] {
        let point = thresholds.at(threshold);
        let right = point.true_positives + point.true_negatives;
        numbers.extend([point.cost(REFUSED, LOST), right].map(|sum| sum / test.bad.len() as f64));
    }
    Ok(numbers.into())
}

/// The numbers of [`run`] for each fold, the means over the seeds: ours and scikit-learn's, `(folds, numbers)`.
fn compare(all: &Applicants) -> Result<(Array2<f64>, Array2<f64>)> {
    let reference: Value = serde_json::from_str(REFERENCE).map_err(|error| Error::custom(error.to_string()))?;
    let mut keys = vec!["/auc".to_owned()];
    keys.extend(WAYS.iter().flat_map(|(way, _)| [format!("/{way}/cost"), format!("/{way}/accuracy")]));
    let (mut ours, mut theirs) = (Array2::zeros((FOLDS, keys.len())), Array2::zeros((FOLDS, keys.len())));
    for (fold, split) in StratifiedKFold::new(FOLDS).split(&all.bad)?.splits.iter().enumerate() {
        let case = &reference["cases"][fold];
        if case["rows"] != split.test.iter().sum::<usize>() {
            return Err(Error::custom(format!("fold {fold} has other rows than scikit-learn's")));
        }
        for (number, key) in theirs.row_mut(fold).iter_mut().zip(&keys) {
            let missing = || Error::custom(format!("scikit-learn's fold {fold} has no number {key}"));
            *number = case.pointer(key).and_then(Value::as_f64).ok_or_else(missing)?;
        }
        for seed in 0..SEEDS {
            ours.row_mut(fold).scaled_add(1.0 / SEEDS as f64, &run(all, split, seed)?);
        }
    }
    Ok((ours, theirs))
}

/// The mean difference of folds, how far it may be off by chance, and whose the day is.
fn verdict(differences: ArrayView1<f64>) -> String {
    // Student's t for 5 folds, at 95 %. Folds share training rows, so that even this is on the short side.
    let margin = 2.776 * differences.std(1.0) / (FOLDS as f64).sqrt();
    let mean = differences.mean().unwrap_or(f64::NAN);
    let name = match mean {
        mean if mean.abs() <= margin => "a tie",
        mean if mean < 0.0 => "layerwise",
        _ => "scikit-learn",
    };
    format!("{mean:+.3} ± {margin:.3}  {name}")
}

fn report(ours: &Array2<f64>, theirs: &Array2<f64>) {
    let mean = |numbers: &Array2<f64>, at: usize| numbers.column(at).mean().unwrap_or(f64::NAN);
    println!("Mean cost of an applicant over {FOLDS} folds and {SEEDS} seeds, and share of right answers:\n");
    println!("{:<38} {:>15} {:>15}   difference in cost", "", "layerwise", "scikit-learn");
    for (number, (_, way)) in WAYS.iter().enumerate() {
        let (cost, right) = (1 + 2 * number, 2 + 2 * number);
        let both = |numbers| format!("{:.3} ({:.1} %)", mean(numbers, cost), 100.0 * mean(numbers, right));
        let differences = &ours.column(cost) - &theirs.column(cost);
        println!("{way:<38} {:>15} {:>15}   {}", both(ours), both(theirs), verdict(differences.view()));
    }
    println!("\nArea under the ROC curve: {:.3}, scikit-learn {:.3}", mean(ours, 0), mean(theirs, 0));
}

/// What a bank's service does: one file, from the answers on a form to a decision.
fn serve(all: &Applicants) -> Result<()> {
    let path = std::env::temp_dir().join(format!("layerwise-credit-{}.safetensors", std::process::id()));
    let (known, new): (Vec<usize>, Vec<usize>) = (0..all.bad.len()).partition(|&row| row < all.bad.len() - 4);
    let scorer = Scorer::fit(&all.rows(&known)?, [1.0, 1.0], 0)?;
    scorer.transformer.save_with_model(&scorer.model, &path)?;

    let (model, transformer) = (io::load_model(&path)?, ColumnTransformer::<f32>::load(&path)?);
    let new = all.table.take_rows(&new)?;
    let logits = model.predict(&transformer.transform(&new)?)?;
    let same = logits == scorer.model.predict(&scorer.transformer.transform(&new)?)?;
    println!(
        "\nSaved, loaded again, and asked about four that nobody has learned from (the same bits as before: {same}):"
    );
    for ((logit, purpose), amount) in logits.iter().zip(new.text("purpose")?).zip(new.text("amount")?) {
        let bad = 1.0 / (1.0 + f64::from(-logit).exp());
        let answer = if bad > EVEN { "refuse" } else { "give credit" };
        println!("  {amount:>5} DM for {purpose}: bad with {bad:.2}, {answer}");
    }
    std::fs::remove_file(&path).map_err(|source| Error::Io { path, source })
}

fn main() -> Result<()> {
    let table = datasets::german_credit();
    let bad: Array1<usize> = table.text("credit")?.iter().map(|credit| usize::from(credit == "bad")).collect();
    let features = transformer(&table).fit(&table)?.feature_names_out().len();
    let (people, bads) = (bad.len() as f64, bad.sum() as f64);
    println!("{people} applicants, {bads} of them bad; {} columns become {features} features", table.names().len() - 1);
    println!(
        "Cost of an applicant without any network: {:.3} if all are refused, {:.3} if all get credit\n",
        REFUSED * (people - bads) / people,
        LOST * bads / people
    );
    let all = Applicants { table, bad };
    let (ours, theirs) = compare(&all)?;
    report(&ours, &theirs);
    serve(&all)
}
