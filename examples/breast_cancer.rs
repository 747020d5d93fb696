//! Benign or malignant, and where to draw the line: a missed tumour and a needless biopsy are not equally bad.
//!
//! ```text
//! cargo run --release --example breast_cancer
//! ```
//!
//! The network gives a probability. Above which one a tumour is called malignant is a decision of its own: by how many
//! tumours must be found, or by what each error costs. It is made on folds of the training patients and judged on the
//! others, ten times, so that every patient is tested once. At the end: can the probabilities be taken at their word?

#[path = "common/out_of_fold.rs"]
mod out_of_fold;

use layerwise::data::{Split, StandardScaler, StratifiedKFold, datasets, take};
use layerwise::metrics::{BrierScore, CalibrationError, LogLoss, OperatingPoint, Thresholds};
use layerwise::prelude::*;
use layerwise::to_tensor;
use ndarray::{Array1, Array2};
use out_of_fold::out_of_fold;

const FOLDS: usize = 10;
const INNER_FOLDS: usize = 4;
const SEED: u64 = 1;
/// This and the number of epochs were chosen by the log loss over the same folds, of twelve pairs.
const WEIGHT_DECAY: f64 = 0.003;
/// The share of the tumours that has to be found.
const WANTED_RECALL: f64 = 0.98;
/// A needless biopsy costs 1. A missed tumour costs this: a number of this example's, and not of medicine's.
const MISSED: f64 = 20.0;

/// Ways to draw the line. Each makes a threshold of what the inner folds show.
enum Rule {
    Half,
    Recall(f64),
    /// The price of a missed tumour in needless biopsies.
    Cheapest(f64),
}

const RULES: [Rule; 6] = [
    Rule::Half,
    Rule::Recall(WANTED_RECALL),
    Rule::Cheapest(1.0),
    Rule::Cheapest(5.0),
    Rule::Cheapest(MISSED),
    Rule::Cheapest(100.0),
];

impl Rule {
    fn threshold(&self, inner: &Thresholds) -> Result<f64> {
        Ok(match *self {
            Rule::Half => 0.5,
            Rule::Recall(recall) => inner.for_recall(recall)?.threshold,
            Rule::Cheapest(missed) => inner.cheapest(1.0, missed)?.threshold,
        })
    }
}

impl std::fmt::Display for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&match self {
            Rule::Half => "likelier than not".to_owned(),
            Rule::Recall(recall) => format!("find {:.0} % of the tumours", 100.0 * recall),
            Rule::Cheapest(1.0) => "cheapest, if a miss costs 1 biopsy".to_owned(),
            Rule::Cheapest(missed) => format!("cheapest, if a miss costs {missed} biopsies"),
        })
    }
}

/// How likely the tumours of the test rows are malignant, by a network that has learned from the training rows.
fn probabilities(x: &Array2<f32>, malignant: &Array1<usize>, split: &Split) -> Result<Tensor> {
    let mut scaler = StandardScaler::new();
    let train_x = scaler.fit_transform(&take(x, &split.train)?)?;
    let mut model = Sequential::new().add(Dense::new(16).activation(Activation::Relu)).add(Dense::new(1));
    // The decay keeps the network from being surer than it may be: see the table of promises at the end.
    let mut trainer = Trainer::new(BinaryCrossEntropy::new(), Adam::new(3e-3).weight_decay(WEIGHT_DECAY))
        .epochs(30)
        .batch_size(32)
        .seed(SEED)
        .progress(Progress::Silent);
    trainer.fit(&mut model, (&train_x, &take(malignant, &split.train)?))?;
    trainer.predict_proba(&model, &scaler.transform(&take(x, &split.test)?)?)
}

/// One line for each rule: the thresholds of the folds, and what came of them.
fn report(points: &[Vec<OperatingPoint>]) {
    println!("{:<38} {:>13}   {:^13} {:>7} {:>9} {:>9}", "", "threshold", "recall", "missed", "needless", "precision");
    for (rule, points) in RULES.iter().zip(points) {
        let over_folds = |number: fn(&OperatingPoint) -> f64| {
            let numbers: Array1<f64> = points.iter().map(number).collect();
            format!("{:.3} ± {:.3}", numbers.mean().unwrap_or(f64::NAN), numbers.std(1.0))
        };
        let all = total(points);
        println!(
            "{rule:<38} {:>13}   {:>13} {:>7} {:>9} {:>9.3}",
            over_folds(|point| point.threshold),
            over_folds(OperatingPoint::recall),
            all.false_negatives,
            all.false_positives,
            all.precision()
        );
    }
}

/// The errors of all folds together: every patient once.
fn total(points: &[OperatingPoint]) -> OperatingPoint {
    let sum = |count: fn(&OperatingPoint) -> f64| points.iter().map(count).sum();
    OperatingPoint {
        threshold: f64::NAN, // each fold had its own
        true_positives: sum(|point| point.true_positives),
        false_positives: sum(|point| point.false_positives),
        false_negatives: sum(|point| point.false_negatives),
        true_negatives: sum(|point| point.true_negatives),
    }
}

/// What the errors mean, in words.
fn discuss(points: &[Vec<OperatingPoint>]) {
    let sensitive = total(&points[1]); // in the order of RULES
    let [half, recall, cheapest] = [0, 1, 4].map(|rule| total(&points[rule]).cost(1.0, MISSED));
    println!(
        "\nA needless biopsy is a needle, a scar and a bad week. A missed tumour is treated later, and not all can be\n\
         cured then. If a miss is as bad as {MISSED} needless biopsies, the errors cost as much as\n\n\
         {half:>7} biopsies by \"likelier than not\",\n\
         {recall:>7} by the wanted recall,\n\
         {cheapest:>7} by the cheapest threshold.\n\n\
         What a miss costs is not for the network to say: it is for those who bear it."
    );
    // The same share of the healthy is taken for ill wherever they come from, but there are more of them.
    let ill = sensitive.true_positives + sensitive.false_negatives;
    let healthy = sensitive.true_negatives + sensitive.false_positives;
    let (found, alarms) = (sensitive.recall(), sensitive.false_positives / healthy);
    let precision = |share: f64| found * share / (found * share + alarms * (1.0 - share));
    println!(
        "\nOf these patients {:.0} % are ill. Among people of whom 1 % are, the line for that recall would be right in\n\
         {:.0} % of its alarms, and not in {:.0} %: recall goes with the network, precision with the patients.",
        100.0 * ill / (ill + healthy),
        100.0 * precision(0.01),
        100.0 * sensitive.precision(),
    );
}

/// Of the tumours that are called malignant with so much probability, how many are?
fn calibration(probabilities: &Tensor, malignant: &Tensor) -> Result<()> {
    let mut error = CalibrationError::new().bins(10);
    let (mut brier, mut log_loss) = (BrierScore::new(), LogLoss::new());
    error.update(probabilities, malignant, None)?;
    brier.update(probabilities, malignant, None)?;
    log_loss.update(probabilities, malignant, None)?;
    println!("\n{:>8} {:>9} {:>10}", "promised", "came true", "patients");
    for bin in error.reliability() {
        println!("{:>8.3} {:>9.3} {:>10}", bin.probability, bin.frequency, bin.weight);
    }
    // Always promising the mean is well calibrated too, and of no use: that is what the Brier score is for.
    let share = malignant.mean().map_or(f64::NAN, f64::from);
    println!(
        "\nCalibration error {:.4}; Brier score {:.4} (the same probability for all: {:.4}); log loss {:.4}",
        error.result(),
        brier.result(),
        share * (1.0 - share),
        log_loss.result()
    );
    println!(
        "Probabilities to be taken at their word need no search: with a miss at {MISSED}, the line is at 1/{} = {:.3}.",
        1.0 + MISSED,
        1.0 / (1.0 + MISSED)
    );
    Ok(())
}

fn main() -> Result<()> {
    let tumours = datasets::breast_cancer();
    let (x, malignant) = (&tumours.features, &tumours.labels); // class 1 is malignant
    println!("{} patients, {} of them ill; {FOLDS} folds\n", x.nrows(), malignant.sum());

    let mut points: Vec<Vec<OperatingPoint>> = RULES.iter().map(|_| Vec::new()).collect();
    let folds = StratifiedKFold::new(FOLDS).shuffle(SEED);
    let tested = out_of_fold(malignant, folds, |split| {
        let (learn_x, learn_y) = (take(x, &split.train)?, take(malignant, &split.train)?);
        // The line is drawn before anybody looks at the test patients.
        let inner_folds = StratifiedKFold::new(INNER_FOLDS).shuffle(SEED);
        let inner = out_of_fold(&learn_y, inner_folds, |inner| probabilities(&learn_x, &learn_y, inner))?;
        let inner = Thresholds::of(&inner, &to_tensor(&learn_y)?, None)?;

        let test = probabilities(x, malignant, split)?;
        let thresholds = Thresholds::of(&test, &to_tensor(&take(malignant, &split.test)?)?, None)?;
        for (rule, points) in RULES.iter().zip(&mut points) {
            points.push(thresholds.at(rule.threshold(&inner)?));
        }
        Ok(test)
    })?;
    report(&points);
    discuss(&points);
    calibration(&tested, &to_tensor(malignant)?)
}
