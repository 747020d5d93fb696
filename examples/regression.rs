//! Miles per gallon of 392 cars of 1970 to 1982: a network against a linear model, on the same folds.
//!
//! ```text
//! cargo run --release --example regression
//! ```
//!
//! One split of 392 cars says little, so both models go over ten: five folds, dealt out twice. Each car is tested on by
//! models that have not seen it. Neither has settings that were chosen on these folds: the network is that of
//! TensorFlow's tutorial on this set (two hidden layers of 64 with ReLU, Adam at 0.001).

#[path = "common/errors_of_numbers.rs"]
mod errors_of_numbers;
#[path = "common/spread.rs"]
mod spread;

use errors_of_numbers::Errors;
use layerwise::data::{ColumnTransformer, KFold, OneHotEncoder, Split, StandardScaler, Table, datasets, take};
use layerwise::prelude::*;
use layerwise::schedules::Cosine;
use ndarray::{Array1, Array2, Ix2};
use spread::Spread;

const FOLDS: usize = 5;
const REPEATS: u64 = 2;
const BATCH: usize = 32;
const MEASURES: [&str; 6] = ["cylinders", "displacement", "horsepower", "weight", "acceleration", "year"];

/// What the two models say of the cars of one test fold, in miles per gallon, `(cars, 1)`.
struct Predictions {
    cars: Vec<usize>,
    linear: Array2<f32>,
    network: Array2<f32>,
}

/// y = x w + b: all that a linear model is. Its mean squared error has one minimum, and a rate that falls to 0 comes to
/// it: on each fold the RMSE is that of least squares solved exactly, within 0.01 miles per gallon.
fn fit_linear(x: &Array2<f32>, y: &Array2<f32>, seed: u64) -> Result<Sequential> {
    let epochs = 200;
    let mut model = Sequential::new().add(Dense::new(1));
    let rate = Cosine::new(0.02, (epochs * x.nrows().div_ceil(BATCH)) as u64);
    let mut trainer = Trainer::new(MeanSquaredError::new(), Adam::new(rate))
        .epochs(epochs)
        .batch_size(BATCH)
        .seed(seed)
        .progress(Progress::Silent);
    trainer.fit(&mut model, (x, y))?;
    Ok(model)
}

/// 4,865 weights could learn 314 cars by heart, so a fifth of these is kept back and tells when to stop. The test fold
/// must not: an error that has chosen the epoch is no longer an honest one. The linear model, which needs no such help,
/// has all of them to learn from.
fn fit_network(x: &Array2<f32>, y: &Array2<f32>, seed: u64) -> Result<Sequential> {
    let mut model = Sequential::new()
        .add(Dense::new(64).activation(Activation::Relu))
        .add(Dense::new(64).activation(Activation::Relu))
        .add(Dense::new(1));
    let mut trainer = Trainer::new(MeanSquaredError::new(), Adam::new(1e-3))
        .validation_split(ValidationSplit::Shuffled(0.2))
        .callback(EarlyStopping::new().patience(50).restore_best())
        .epochs(400)
        .batch_size(BATCH)
        .seed(seed)
        .progress(Progress::Silent);
    trainer.fit(&mut model, (x, y))?;
    Ok(model)
}

/// Fits both models to one part of the cars and lets them predict the other.
fn run(table: &Table, split: &Split, seed: u64) -> Result<Predictions> {
    let (train, test) = (table.take_rows(&split.train)?, table.take_rows(&split.test)?);
    // A gradient treats all weights alike, so measures from 3 (cylinders) to 5,140 (pounds) are brought to one scale;
    // origins have no order, so each gets a column. Both are learned from the training cars alone.
    let mut features =
        ColumnTransformer::new().numbers(&MEASURES, StandardScaler::new()).encoded(&["origin"], OneHotEncoder::new());
    let (train_x, test_x) = (features.fit_transform(&train)?, features.transform(&test)?);
    // So is the target, for the same reason; predictions go back to miles.
    let mut miles = StandardScaler::new();
    let train_y = miles.fit_transform(&train.numbers(&["mpg"])?)?;
    let predict = |model: &Sequential| -> Result<Array2<f32>> {
        let scaled = model.predict(&test_x)?.into_dimensionality::<Ix2>().expect("one number for each car");
        miles.inverse_transform(&scaled)
    };
    Ok(Predictions {
        cars: split.test.clone(),
        linear: predict(&fit_linear(&train_x, &train_y, seed)?)?,
        network: predict(&fit_network(&train_x, &train_y, seed)?)?,
    })
}

fn main() -> Result<()> {
    let table = datasets::auto_mpg_table();
    let mpg = table.numbers::<f32>(&["mpg"])?;
    println!("{} cars, {} measures and the origin\n", table.rows(), MEASURES.len());

    let mut folds = Vec::new();
    for repeat in 0..REPEATS {
        for (fold, split) in KFold::new(FOLDS).shuffle(repeat).split(table.rows())?.iter().enumerate() {
            folds.push(run(&table, split, repeat * FOLDS as u64 + fold as u64)?);
        }
    }
    show_errors(&folds, &mpg)?;
    // The folds of the first repeat have each car once.
    let once = &folds[..FOLDS];
    show_curvature(once, &table, &mpg)?;
    show_cars(&once[0], &table, &mpg)
}

/// RMSE, MAE and R² over the folds, and how the two compare fold by fold: what makes a fold hard is hard for both.
fn show_errors(folds: &[Predictions], mpg: &Array2<f32>) -> Result<()> {
    let errors = |model: fn(&Predictions) -> &Array2<f32>| -> Result<Vec<Errors>> {
        let of_fold = |fold: &Predictions| {
            Errors::of(&layerwise::to_tensor(model(fold))?, &layerwise::to_tensor(&take(mpg, &fold.cars)?)?)
        };
        folds.iter().map(of_fold).collect()
    };
    let (linear, network) = (errors(|fold| &fold.linear)?, errors(|fold| &fold.network)?);
    println!("{:<10} {:>14} {:>14} {:>16}", "test folds", "RMSE, mpg", "MAE, mpg", "R²");
    for (name, errors) in [("linear", &linear), ("network", &network)] {
        let over = |number: fn(&Errors) -> f64| Spread::of(&errors.iter().map(number).collect::<Vec<_>>());
        let (rmse, mae, r2) = (over(|fold| fold.rmse), over(|fold| fold.mae), over(|fold| fold.r2));
        println!("{name:<10} {rmse:>14.2} {mae:>14.2} {r2:>16.3}");
    }
    let gains: Vec<f64> = linear.iter().zip(&network).map(|(linear, network)| linear.rmse - network.rmse).collect();
    let better = gains.iter().filter(|&&gain| gain > 0.0).count();
    println!("The network's RMSE is lower by {:.2}, in {better} of {} folds.\n", Spread::of(&gains), gains.len());
    Ok(())
}

/// Where the linear model is wrong: fuel is burnt by the mile, so that miles per gallon go with one over the weight,
/// and a plane through such a curve is too low at both ends and too high between them.
fn show_curvature(folds: &[Predictions], table: &Table, mpg: &Array2<f32>) -> Result<()> {
    let pounds: Array1<f32> = table.numbers(&["weight"])?.column(0).to_owned();
    println!("{:<24} {:>5} {:>8} {:>8}", "mean error by weight", "cars", "linear", "network");
    for (name, range) in [
        ("to 2,200 lb", 0.0..2200.0),
        ("2,200 to 2,800 lb", 2200.0..2800.0),
        ("2,800 to 3,600 lb", 2800.0..3600.0),
        ("from 3,600 lb", 3600.0..f32::MAX),
    ] {
        let (mut cars, mut linear, mut network) = (0.0, 0.0, 0.0);
        for fold in folds {
            for (place, &car) in fold.cars.iter().enumerate().filter(|&(_, &car)| range.contains(&pounds[car])) {
                cars += 1.0;
                linear += fold.linear[[place, 0]] - mpg[[car, 0]];
                network += fold.network[[place, 0]] - mpg[[car, 0]];
            }
        }
        println!("{name:<24} {cars:>5} {:>+8.2} {:>+8.2}", linear / cars, network / cars);
    }
    println!();
    Ok(())
}

/// Some cars by name.
fn show_cars(fold: &Predictions, table: &Table, mpg: &Array2<f32>) -> Result<()> {
    let names = table.text("name")?;
    println!("{:<28} {:>6} {:>8} {:>8}", "miles per gallon", "true", "linear", "network");
    for (place, &car) in fold.cars.iter().enumerate().step_by(10) {
        let (linear, network) = (fold.linear[[place, 0]], fold.network[[place, 0]]);
        println!("{:<28} {:>6.1} {linear:>8.1} {network:>8.1}", names[car], mpg[[car, 0]]);
    }
    Ok(())
}
