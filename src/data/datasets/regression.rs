//! Sets with a number to predict.

use ndarray::{Array1, Array2};

use super::table;
use crate::data::table::Table;
use crate::error::Result;

/// The text of `data/diabetes.csv`.
pub const DIABETES_CSV: &str = include_str!("../../../data/diabetes.csv");
/// The text of `data/auto_mpg.csv`.
pub const AUTO_MPG_CSV: &str = include_str!("../../../data/auto_mpg.csv");

/// A set of samples with features and a number to predict each: what [`Bunch`](super::Bunch) is for classes.
#[derive(Clone, Debug, PartialEq)]
pub struct RegressionBunch {
    /// `(samples, features)`.
    pub features: Array2<f32>,
    /// The names of the features.
    pub feature_names: Vec<String>,
    /// `(samples)`: the number to predict.
    pub target: Array1<f32>,
    /// The target's name.
    pub target_name: String,
}

impl RegressionBunch {
    /// Takes a table of numbers apart into the features, every column but one, and the target, that one.
    ///
    /// # Errors
    /// [`Error::Table`](crate::Error::Table) for a missing cell, a cell that is not a number, or a target column that
    /// does not exist; [`Error::Empty`](crate::Error::Empty) if there is no other column.
    pub fn from_table(table: &Table, target: &str) -> Result<RegressionBunch> {
        let rest = table.drop_columns(&[target])?;
        Ok(RegressionBunch {
            features: rest.numbers(rest.names())?,
            feature_names: rest.names().to_vec(),
            target: table.numbers(&[target])?.column(0).to_owned(),
            target_name: target.to_owned(),
        })
    }
}

/// Diabetes (Efron, Hastie, Johnstone and Tibshirani 2004): 442 patients, ten measures each, and how far the disease
/// went in a year (25 to 346).
///
/// The measures are as they were taken, not scaled as scikit-learn does by default: age in years, sex (1 or 2), body
/// mass index, blood pressure, and six of the blood serum.
///
/// ```
/// let diabetes = layerwise::data::datasets::diabetes();
/// assert_eq!(diabetes.features.dim(), (442, 10));
/// assert_eq!(diabetes.target[0], 151.0);
/// ```
pub fn diabetes() -> RegressionBunch {
    bunch(&diabetes_table(), "progression")
}

/// [`diabetes`] as a table, with the target column `progression`.
pub fn diabetes_table() -> Table {
    table(DIABETES_CSV, "diabetes.csv")
}

/// Cars of 1970 to 1982: 392 of them, six measures each, and the miles that they go on a gallon of fuel.
///
/// Features are cylinders, displacement (cubic inches), horsepower, weight (pounds), acceleration (seconds to 60 miles
/// an hour) and the year of the model (70 to 82). The original's six cars without a horsepower are not there.
/// [`auto_mpg_table`] has the name and the origin of each car too.
///
/// ```
/// let cars = layerwise::data::datasets::auto_mpg();
/// assert_eq!(cars.features.dim(), (392, 6));
/// assert_eq!(cars.target_name, "mpg");
/// ```
pub fn auto_mpg() -> RegressionBunch {
    let numbers = auto_mpg_table().drop_columns(&["name", "origin"]).expect("the bundled table has both columns");
    bunch(&numbers, "mpg")
}

/// [`auto_mpg`] as a table, with the columns `name` and `origin` (America, Europe, Japan) and the target column `mpg`.
pub fn auto_mpg_table() -> Table {
    table(AUTO_MPG_CSV, "auto_mpg.csv")
}

fn bunch(table: &Table, target: &str) -> RegressionBunch {
    RegressionBunch::from_table(table, target).expect("the bundled sets are whole, as their tests show")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean(values: ndarray::ArrayView1<'_, f32>) -> f64 {
        values.iter().map(|&value| f64::from(value)).sum::<f64>() / values.len() as f64
    }

    #[test]
    fn the_means_are_those_of_the_sets_descriptions() {
        let diabetes = diabetes();
        assert!((mean(diabetes.target.view()) - 152.133).abs() < 1e-3);
        assert!((mean(diabetes.features.column(2)) - 26.376).abs() < 1e-3);
        let cars = auto_mpg();
        assert_eq!(cars.target.len(), 392);
        assert!((mean(cars.target.view()) - 23.446).abs() < 1e-3);
        assert!((mean(cars.features.column(2)) - 104.469).abs() < 1e-3);
    }

    #[test]
    fn cars_are_of_three_origins() -> Result<()> {
        let origins = auto_mpg_table().text("origin")?;
        let count = |name: &str| origins.iter().filter(|origin| *origin == name).count();
        assert_eq!([count("America"), count("Europe"), count("Japan")], [245, 68, 79]);
        Ok(())
    }
}
