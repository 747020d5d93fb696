//! Sets with columns of numbers and of text: tables, for a column transformer to
//! make arrays of.

use super::table;
use crate::data::table::Table;

/// The text of `data/german_credit.csv`.
pub const GERMAN_CREDIT_CSV: &str = include_str!("../../../data/german_credit.csv");
/// The text of `data/bike_hire.csv`.
pub const BIKE_HIRE_CSV: &str = include_str!("../../../data/bike_hire.csv");

/// German credit (Hofmann 1994): 1000 applicants, 19 columns of numbers and of text, and whether the credit went well,
/// the column `credit`: `good` 700 times, `bad` 300 times.
///
/// By the set's own costs it is five times as bad to take a bad applicant for a good one as the reverse. The attribute
/// of sex and marital status is not there: the copy that this one is made of has it in another order than the rows.
///
/// ```
/// let credit = layerwise::data::datasets::german_credit();
/// assert_eq!((credit.rows(), credit.names().len()), (1000, 20));
/// assert_eq!(credit.text("credit")?.iter().filter(|credit| *credit == "bad").count(), 300);
/// # Ok::<(), layerwise::Error>(())
/// ```
pub fn german_credit() -> Table {
    table(GERMAN_CREDIT_CSV, "german_credit.csv")
}

/// Bicycles hired in Washington, D.C., in each hour of 2011 (Fanaee-T and Gama 2013): 8645 hours in their order, with
/// calendar and weather, and the column `bikers` to predict. 115 hours of the year are not there.
///
/// `season` is 1 (winter) to 4, `day` the day of the year from 1, `hour` 0 to 23, `weekday` 0 (Sunday) to 6;
/// `holiday` and `workingday` are 0 or 1; `weather` is text; `temperature` is (t + 8) / 47 for t in degrees Celsius,
/// `felt_temperature` (t + 16) / 66, `humidity` is in parts of 100 %, and `windspeed` in parts of 67, the largest.
///
/// ```
/// let hours = layerwise::data::datasets::bike_hire();
/// assert_eq!((hours.rows(), hours.names().len()), (8645, 13));
/// assert_eq!(hours.numbers::<f64>(&["bikers"])?.sum(), 1_243_103.0);
/// # Ok::<(), layerwise::Error>(())
/// ```
pub fn bike_hire() -> Table {
    table(BIKE_HIRE_CSV, "bike_hire.csv")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Result;

    #[test]
    fn the_means_are_those_of_the_sets_descriptions() -> Result<()> {
        let credit = german_credit();
        let means = credit.numbers::<f64>(&["months", "amount", "age"])?.mean_axis(ndarray::Axis(0));
        assert_eq!(means, Some(ndarray::array![20.903, 3271.258, 35.546]));
        assert_eq!(credit.number_columns().len(), 7);
        assert_eq!(credit.drop_missing()?.1, 0);
        Ok(())
    }

    #[test]
    fn hours_come_in_their_order() -> Result<()> {
        let hours = bike_hire();
        let times = hours.numbers::<f64>(&["day", "hour"])?;
        let times: Vec<f64> = times.rows().into_iter().map(|time| time[0] * 24.0 + time[1]).collect();
        assert!(times.is_sorted_by(|a, b| a < b));
        assert_eq!((times[0], times[8644]), (24.0, 365.0 * 24.0 + 23.0));
        let weather = hours.text("weather")?;
        assert_eq!(weather.iter().filter(|weather| *weather == "clear").count(), 5645);
        Ok(())
    }
}
