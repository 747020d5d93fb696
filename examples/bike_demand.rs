//! Bicycles hired in each hour of a year, forecast week by week from calendar, weather and the same hour of the week
//! before, against forecasts that only repeat the past.
//!
//! ```text
//! cargo run --release --example bike_demand
//! ```
//!
//! Time runs one way: the hours to test on must come after all that was learned from. A random split would put the hour
//! before and the hour after each of them among those to learn from, and look far better than any forecast can be. So
//! five blocks of four weeks are tested on, one after the other, each by models of all the days before it; the four
//! weeks before the first block choose the network. All forecasts are for the same hours. Of the hires in a block a
//! network is told only those of one week before the hour in question; the weather is taken as it came, which in real
//! use would be a forecast itself.

#[path = "common/errors_of_numbers.rs"]
mod errors_of_numbers;
#[path = "common/spread.rs"]
mod spread;

use std::collections::HashMap;

use errors_of_numbers::Errors;
use layerwise::data::{ColumnTransformer, HandleUnknown, OneHotEncoder, StandardScaler, Table, datasets, take};
use layerwise::losses::Poisson;
use layerwise::prelude::*;
use layerwise::schedules::Cosine;
use layerwise::{to_tensor, values};
use ndarray::{Array2, Axis, concatenate};
use spread::Spread;

const WEATHER: [&str; 4] = ["temperature", "felt_temperature", "humidity", "windspeed"];
/// The first days of the blocks: one to choose by, then those to test on.
const CHOICE: usize = 198;
const TESTS: [usize; 5] = [226, 254, 282, 310, 338];
const BLOCK: usize = 28;
/// Hidden layers to choose from. Without any it is a log-linear model, the Poisson regression of statistics; wider ones
/// than the last take longer than an example should.
const NETWORKS: [&[usize]; 4] = [&[], &[32], &[64, 64], &[128, 128]];
const SEEDS: u64 = 3;
const EPOCHS: usize = 15;
const BATCH: usize = 64;

/// The hours of which the same hour is known a day and a week earlier: 115 of the year were not recorded.
struct Hours {
    table: Table,
    day: Vec<usize>,
    /// `(hours, 1)`, as the two that follow.
    bikers: Array2<f32>,
    day_earlier: Array2<f32>,
    week_earlier: Array2<f32>,
}

fn load() -> Result<Hours> {
    let table = datasets::bike_hire();
    let bikers: Array2<f32> = table.numbers(&["bikers"])?;
    let times = table.numbers::<f32>(&["day", "hour"])?;
    let times: Vec<usize> = times.rows().into_iter().map(|time| (24.0 * time[0] + time[1]) as usize).collect();
    let row_at: HashMap<usize, usize> = times.iter().enumerate().map(|(row, &time)| (time, row)).collect();
    let earlier = |row: usize, hours: usize| row_at.get(&times[row].checked_sub(hours)?).copied();
    // By the time and not by the distance in the table: where hours are missing, 168 rows are more than a week.
    let known = |row| Some([row, earlier(row, 24)?, earlier(row, 7 * 24)?]);
    let known: Vec<[usize; 3]> = (0..table.rows()).filter_map(known).collect();
    let [now, yesterday, last_week] = [0, 1, 2].map(|which| known.iter().map(|rows| rows[which]).collect::<Vec<_>>());
    Ok(Hours {
        table: table.take_rows(&now)?,
        day: now.iter().map(|&row| times[row] / 24).collect(),
        bikers: take(&bikers, &now)?,
        day_earlier: take(&bikers, &yesterday)?,
        week_earlier: take(&bikers, &last_week)?,
    })
}

impl Hours {
    fn rows(&self, days: std::ops::Range<usize>) -> Vec<usize> {
        (0..self.day.len()).filter(|&row| days.contains(&self.day[row])).collect()
    }

    /// What a network sees of the hours to learn from and of those to forecast.
    fn features(&self, train: &[usize], test: &[usize]) -> Result<[Array2<f32>; 2]> {
        // The hour is a category: demand has a peak at 8 and one at 17, which no line through 0 to 23 can follow.
        // Weather that came up for the first time in a test block has 0 in all columns.
        let mut calendar = ColumnTransformer::new()
            .numbers(&WEATHER, StandardScaler::new())
            .passthrough(&["holiday", "workingday"])
            .encoded(&["hour", "weekday", "weather"], OneHotEncoder::new().handle_unknown(HandleUnknown::Ignore));
        // The network's output is a logarithm, so what it may build on comes as one. No count is 0.
        let (mut past, logarithms) = (StandardScaler::new(), self.week_earlier.ln());
        calendar.fit(&self.table.take_rows(train)?)?;
        past.fit(&take(&logarithms, train)?)?;
        let array = |rows: &[usize]| -> Result<Array2<f32>> {
            let parts = [calendar.transform(&self.table.take_rows(rows)?)?, past.transform(&take(&logarithms, rows)?)?];
            Ok(concatenate(Axis(1), &[parts[0].view(), parts[1].view()]).expect("both have the same rows"))
        };
        Ok([array(train)?, array(test)?])
    }

    /// Learns from all days before a block and forecasts its hours: `(hours, 1)`, in bikers.
    fn forecast(&self, hidden: &[usize], block: usize, seed: u64) -> Result<Tensor> {
        let train = self.rows(0..block);
        let [train_x, test_x] = self.features(&train, &self.rows(block..block + BLOCK))?;
        let train_y = take(&self.bikers, &train)?;
        let mut model = Sequential::new();
        for &units in hidden {
            model = model.add(Dense::new(units).activation(Activation::Relu));
        }
        // It starts at the mean demand instead of exp(0) = 1.
        let start = Initializer::Constant(f64::from(train_y.mean().unwrap_or(1.0)).ln());
        let mut model = model.add(Dense::new(1).bias_initializer(start));
        // Counts of 1 to 651: an error of 20 is much at night and little at noon. Poisson's likelihood knows that, and an
        // output that is a logarithm makes good weather a factor and not a number of bikers to add. The log-linear model
        // needs larger steps to come to the best that it can be.
        let rate = if hidden.is_empty() { 1e-2 } else { 2e-3 };
        let rate = Cosine::new(rate, (EPOCHS * train.len().div_ceil(BATCH)) as u64);
        let mut trainer = Trainer::new(Poisson::new().log_input(true), Adam::new(rate))
            .epochs(EPOCHS)
            .batch_size(BATCH)
            .seed(seed)
            .shards(1) // a batch is too little to share out, and the numbers are the same on any machine
            .progress(Progress::Silent);
        trainer.fit(&mut model, (&train_x, &train_y))?;
        trainer.predict_proba(&model, &test_x) // bikers, not their logarithm
    }

    fn errors(&self, forecast: &Tensor, block: usize) -> Result<Errors> {
        Errors::of(forecast, &to_tensor(&take(&self.bikers, &self.rows(block..block + BLOCK))?)?)
    }

    fn errors_of_model(&self, hidden: &[usize], block: usize) -> Result<Vec<Errors>> {
        (0..SEEDS).map(|seed| self.errors(&self.forecast(hidden, block, seed)?, block)).collect()
    }

    fn errors_of_repeating(&self, past: &Array2<f32>, block: usize) -> Result<Vec<Errors>> {
        Ok(vec![self.errors(&to_tensor(&take(past, &self.rows(block..block + BLOCK))?)?, block)?])
    }
}

fn mean(errors: &[Errors], number: fn(&Errors) -> f64) -> f64 {
    errors.iter().map(number).sum::<f64>() / errors.len() as f64
}

fn main() -> Result<()> {
    let hours = load()?;
    println!("Choice on days {CHOICE} to {}, mean of {SEEDS} seeds:", CHOICE + BLOCK - 1);
    let mut best = (f64::INFINITY, NETWORKS[0]);
    for hidden in NETWORKS {
        let rmse = mean(&hours.errors_of_model(hidden, CHOICE)?, |errors| errors.rmse);
        println!("  hidden layers {:<12} RMSE {rmse:.1}", format!("{hidden:?}"));
        best = if rmse < best.0 { (rmse, hidden) } else { best };
    }
    let hidden = best.1;

    println!(
        "\n{:<22} {:>13} {:>13} {:>13} {:>16}",
        "RMSE, bikers an hour", "week earlier", "day earlier", "log-linear", "network"
    );
    let mut columns: [Vec<Errors>; 4] = Default::default();
    for block in TESTS {
        let of_block = [
            hours.errors_of_repeating(&hours.week_earlier, block)?,
            hours.errors_of_repeating(&hours.day_earlier, block)?,
            hours.errors_of_model(&[], block)?,
            hours.errors_of_model(hidden, block)?,
        ];
        let [week, day, linear] = [0, 1, 2].map(|which| mean(&of_block[which], |errors| errors.rmse));
        let network = Spread::of(&of_block[3].iter().map(|errors| errors.rmse).collect::<Vec<_>>());
        let name = format!("days {block} to {}", block + BLOCK - 1);
        println!("{name:<22} {week:>13.1} {day:>13.1} {linear:>13.1} {network:>16.1}");
        columns.iter_mut().zip(of_block).for_each(|(column, errors)| column.extend(errors));
    }
    println!();
    show_means("mean RMSE", &columns, |errors| errors.rmse, 1);
    show_means("mean MAE", &columns, |errors| errors.mae, 1);
    show_means("mean R²", &columns, |errors| errors.r2, 3);
    let skill = 1.0 - mean(&columns[3], |errors| errors.rmse) / mean(&columns[0], |errors| errors.rmse);
    println!("The network's RMSE is {:.0} % below that of last week's numbers.\n", 100.0 * skill);
    show_day(&hours, hidden, 302)
}

fn show_means(name: &str, columns: &[Vec<Errors>; 4], number: fn(&Errors) -> f64, digits: usize) {
    let [week, day, linear, network] = [0, 1, 2, 3].map(|which| mean(&columns[which], number));
    println!("{name:<22} {week:>13.digits$} {day:>13.digits$} {linear:>13.digits$} {network:>16.digits$}");
}

/// A day on which last week was no guide: Saturday 29 October 2011 was wet and cold.
fn show_day(hours: &Hours, hidden: &[usize], day: usize) -> Result<()> {
    let block = TESTS.into_iter().rev().find(|&block| block <= day).unwrap_or(TESTS[0]);
    let forecast = hours.forecast(hidden, block, 0)?;
    let (weather, hour) = (hours.table.text("weather")?, hours.table.text("hour")?);
    println!("Day {day}, a wet and cold Saturday:");
    println!("{:>5} {:<17} {:>7} {:>13} {:>8}", "hour", "weather", "bikers", "week earlier", "network");
    let forecasts = hours.rows(block..block + BLOCK).into_iter().zip(values(&forecast)?);
    for (row, forecast) in forecasts.filter(|&(row, _)| hours.day[row] == day).step_by(3) {
        let (bikers, week) = (hours.bikers[[row, 0]], hours.week_earlier[[row, 0]]);
        println!("{:>5} {:<17} {bikers:>7} {week:>13} {forecast:>8.0}", hour[row], weather[row]);
    }
    Ok(())
}
