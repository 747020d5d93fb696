//! Learning rate and hidden units chosen by cross-validation, once on a grid and once at random, on the 8x8 digits.
//!
//! ```text
//! cargo run --release --example tuning
//! ```
//!
//! A quarter of the digits is set aside before anything else, and seen once, at the very end, by the one network that
//! was chosen. The rest is cut into five folds, each with all ten digits in proportion: every candidate learns from
//! four and is judged by the fifth, five times over. Both searches may try the same number of candidates.

#[path = "common/spread.rs"]
mod spread;

use layerwise::data::{Split, StratifiedKFold, datasets, stratified_train_test_split};
use layerwise::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use spread::Spread;

const RATES: (f64, f64) = (1e-4, 1e-1);
const UNITS: (f64, f64) = (4.0, 256.0);
/// The grid has so many of either; the search at random has as many candidates as the grid.
const STEPS: usize = 4;
const FOLDS: usize = 5;
const EPOCHS: usize = 20;
const SEED: u64 = 1;

/// What is to be chosen.
#[derive(Clone, Copy)]
struct Candidate {
    rate: f64,
    hidden: usize,
}

/// A candidate and what it came to on the folds.
struct Trial {
    search: &'static str,
    candidate: Candidate,
    loss: Spread,
    accuracy: Spread,
}

impl Candidate {
    /// Both from 0 to 1, from the smallest to the largest, on a logarithmic scale: between 0.0001 and 0.001 a rate
    /// changes as much as between 0.01 and 0.1.
    fn at(rate: f64, hidden: f64) -> Self {
        let between = |(low, high): (f64, f64), place: f64| low * (high / low).powf(place);
        Candidate { rate: between(RATES, rate), hidden: between(UNITS, hidden).round() as usize }
    }

    fn network(&self) -> Sequential {
        Sequential::new().add(Dense::new(self.hidden).activation(Activation::Relu)).add(Dense::new(10))
    }

    /// One thread and one shard: the candidates share out the cores, and the numbers are the same on any machine.
    fn trainer(&self, seed: u64) -> Trainer {
        Trainer::new(SoftmaxCrossEntropy::new(), Adam::new(self.rate))
            .metric(Accuracy::new())
            .epochs(EPOCHS)
            .seed(seed)
            .shards(1)
            .threads(1)
            .progress(Progress::Silent)
    }

    /// Learns from some rows; loss and accuracy on others.
    fn run(&self, digits: &Dataset, train: &[usize], test: &[usize], seed: u64) -> Result<(f64, f64)> {
        let (mut model, mut trainer) = (self.network(), self.trainer(seed));
        trainer.fit(&mut model, &digits.rows(train)?)?;
        let report = trainer.evaluate(&model, &digits.rows(test)?)?;
        Ok((report.loss(), report.get("accuracy").unwrap_or(f64::NAN)))
    }

    /// The same folds and the same seeds for all candidates, so that these are no part of the differences.
    fn cross_validate(self, search: &'static str, digits: &Dataset, folds: &[Split]) -> Result<Trial> {
        let run = |(seed, fold): (usize, &Split)| self.run(digits, &fold.train, &fold.test, seed as u64);
        let (losses, accuracies): (Vec<_>, Vec<_>) =
            folds.iter().enumerate().map(run).collect::<Result<Vec<_>>>()?.into_iter().unzip();
        Ok(Trial { search, candidate: self, loss: Spread::of(&losses), accuracy: Spread::of(&accuracies) })
    }
}

/// Every rate with every number of hidden units: easy to read, but 16 trials tell of only 4 rates.
fn grid() -> Vec<Candidate> {
    let place = |step: usize| step as f64 / (STEPS - 1) as f64;
    (0..STEPS * STEPS).map(|trial| Candidate::at(place(trial / STEPS), place(trial % STEPS))).collect()
}

/// 16 trials tell of 16 rates, which helps where one setting matters more than the other (Bergstra and Bengio 2012); but
/// where they fall is luck, and another seed may find better ones or worse.
fn random() -> Vec<Candidate> {
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    (0..STEPS * STEPS).map(|_| Candidate::at(rng.random(), rng.random())).collect()
}

fn main() -> Result<()> {
    // Ink from 0 to 16, by the format of the set: a divisor that nobody learned cannot carry anything from test rows.
    // A scaler would be fitted in each fold anew.
    let bunch = datasets::digits();
    let digits = Dataset::new(&(&bunch.features / 16.0), &bunch.labels)?;
    let split = stratified_train_test_split(&bunch.labels, 0.25, SEED)?;
    let labels: Vec<usize> = split.train.iter().map(|&row| bunch.labels[row]).collect();
    // Folds count their rows from 0 within the part that is not set aside.
    let all = |rows: &[usize]| rows.iter().map(|&row| split.train[row]).collect();
    let folds = StratifiedKFold::new(FOLDS).shuffle(SEED).split(&labels)?.splits;
    let folds: Vec<Split> = folds.iter().map(|fold| Split { train: all(&fold.train), test: all(&fold.test) }).collect();
    println!("{} digits to choose by, {} set aside", split.train.len(), split.test.len());

    let begun = std::time::Instant::now();
    let candidates: Vec<_> =
        grid().into_iter().map(|it| ("grid", it)).chain(random().into_iter().map(|it| ("random", it))).collect();
    let mut trials = candidates
        .into_par_iter()
        .map(|(search, candidate)| candidate.cross_validate(search, &digits, &folds))
        .collect::<Result<Vec<_>>>()?;
    println!("{} networks trained in {:.1} s\n", trials.len() * FOLDS, begun.elapsed().as_secs_f64());

    // By the loss: most candidates have the same few digits wrong, but are not sure of the others to the same degree.
    trials.sort_by(|a, b| a.loss.mean.total_cmp(&b.loss.mean));
    println!("{:<8} {:>10} {:>7} {:>16} {:>18}", "search", "rate", "hidden", "loss", "accuracy");
    for Trial { search, candidate: Candidate { rate, hidden }, loss, accuracy } in &trials {
        println!("{search:<8} {rate:>10.5} {hidden:>7} {loss:>16.3} {accuracy:>18.4}");
    }
    // Candidates that are less apart than the folds are may well change places on other digits.
    for search in ["grid", "random"] {
        if let Some(best) = trials.iter().find(|trial| trial.search == search) {
            println!("best of {search}: loss {:.3}", best.loss);
        }
    }
    // The best of many is partly the luckiest of many, so its own loss flatters it. What it is worth is seen on digits
    // that had no part in the choice, after it has learned from all that had.
    let Candidate { rate, hidden } = trials[0].candidate;
    let (loss, accuracy) = trials[0].candidate.run(&digits, &split.train, &split.test, SEED)?;
    let error = (accuracy * (1.0 - accuracy) / split.test.len() as f64).sqrt();
    println!("\nChosen: rate {rate:.5}, {hidden} hidden units; on the digits set aside:");
    println!("loss {loss:.3}, accuracy {accuracy:.4} ± {error:.4} (the standard error of {} digits)", split.test.len());
    Ok(())
}
