//! Real sets. Four small ones with classes and one with a number to predict, as scikit-learn bundles them; cars,
//! credits and hours of bicycle hire, with columns of numbers and of text; and two of 70,000 images that a script
//! fetches. Sources and licences are in `data/README.md`.
//!
//! All but the images are part of the crate, so that they are there wherever it is installed, and those that a program
//! does not use are not part of the program. Rows are in the order of scikit-learn: **sorted by class in iris and
//! wine**, so shuffle or stratify before you keep the last ones for validation.

mod downloads;
mod mixed;
mod regression;

use ndarray::{Array1, Array2, Array4};

use super::images::Images;
use super::label_encoder::LabelEncoder;
use super::table::Table;
pub use downloads::{fashion_mnist, fashion_mnist_from, mnist, mnist_from};
pub use mixed::{BIKE_HIRE_CSV, GERMAN_CREDIT_CSV, bike_hire, german_credit};
pub use regression::{AUTO_MPG_CSV, DIABETES_CSV, RegressionBunch, auto_mpg, auto_mpg_table, diabetes, diabetes_table};

use crate::error::{Error, Result};

/// The text of `data/iris.csv`.
pub const IRIS_CSV: &str = include_str!("../../../data/iris.csv");
/// The text of `data/wine.csv`.
pub const WINE_CSV: &str = include_str!("../../../data/wine.csv");
/// The text of `data/breast_cancer.csv`.
pub const BREAST_CANCER_CSV: &str = include_str!("../../../data/breast_cancer.csv");
/// The text of `data/digits.csv`.
pub const DIGITS_CSV: &str = include_str!("../../../data/digits.csv");

/// A set of samples with features and a class each, under scikit-learn's name for such a thing.
#[derive(Clone, Debug, PartialEq)]
pub struct Bunch {
    /// `(samples, features)`.
    pub features: Array2<f32>,
    /// The names of the features.
    pub feature_names: Vec<String>,
    /// `(samples)`: the number of each sample's class.
    pub labels: Array1<usize>,
    /// The names of the classes, in the order of their numbers.
    pub classes: Vec<String>,
}

impl Bunch {
    /// Takes a table apart into the features, every column but one, and the labels, that one.
    ///
    /// Classes are numbered as by [`LabelEncoder`].
    ///
    /// # Errors
    /// [`Error::Table`] for a missing cell, a feature that is not a number, or a label column that does not exist;
    /// [`Error::Empty`] if there is no other column.
    pub fn from_table(table: &Table, label: &str) -> Result<Bunch> {
        let mut encoder = LabelEncoder::new();
        let labels = encoder.fit_transform(table.text(label)?)?;
        let rest = table.drop_columns(&[label])?;
        Ok(Bunch {
            features: rest.numbers(rest.names())?,
            feature_names: rest.names().to_vec(),
            labels,
            classes: encoder.classes().to_vec(),
        })
    }

    /// The features as images of shape `(samples, height, width, channels)`.
    ///
    /// # Errors
    /// [`Error::Shape`] if the images need another number of features.
    pub fn images(&self, height: usize, width: usize, channels: usize) -> Result<Array4<f32>> {
        let shape = (self.features.nrows(), height, width, channels);
        self.features.to_shape(shape).map(|images| images.to_owned()).map_err(|_| {
            let expected = format!("(samples, {height} * {width} * {channels})");
            Error::shape("features of images", expected, self.features.shape())
        })
    }
}

/// Fisher's irises (1936): 150 flowers, 4 measures in centimetres, the species setosa, versicolor and virginica.
///
/// Classes are numbered as in scikit-learn, and the rows are sorted by them.
///
/// ```
/// let iris = layerwise::data::datasets::iris();
/// assert_eq!(iris.features.dim(), (150, 4));
/// assert_eq!(iris.classes, ["setosa", "versicolor", "virginica"]);
/// ```
pub fn iris() -> Bunch {
    bunch(&iris_table(), "species")
}

/// [`iris`] as a table, with the label column `species`.
pub fn iris_table() -> Table {
    table(IRIS_CSV, "iris.csv")
}

/// Wines of one region in Italy: 178 samples, 13 chemical measures, three cultivars called `class_0` to `class_2`.
///
/// Classes are numbered as in scikit-learn, and the rows are sorted by them. The measures differ in size by a factor of
/// a thousand: scale them.
///
/// ```
/// let wine = layerwise::data::datasets::wine();
/// assert_eq!(wine.features.dim(), (178, 13));
/// ```
pub fn wine() -> Bunch {
    bunch(&wine_table(), "class")
}

/// [`wine`] as a table, with the label column `class`.
pub fn wine_table() -> Table {
    table(WINE_CSV, "wine.csv")
}

/// Breast tumours (Wisconsin, diagnostic): 569 samples, 30 measures of cell nuclei, benign or malignant.
///
/// Classes are in the order of their names: 0 is benign and 1, the class to be found, is malignant. In scikit-learn it
/// is the other way round.
///
/// ```
/// let breast_cancer = layerwise::data::datasets::breast_cancer();
/// assert_eq!(breast_cancer.features.dim(), (569, 30));
/// assert_eq!(breast_cancer.classes, ["benign", "malignant"]);
/// ```
pub fn breast_cancer() -> Bunch {
    bunch(&breast_cancer_table(), "diagnosis")
}

/// [`breast_cancer`] as a table, with the label column `diagnosis`.
pub fn breast_cancer_table() -> Table {
    table(BREAST_CANCER_CSV, "breast_cancer.csv")
}

/// Handwritten digits: 1797 images of 8 by 8 pixels from 0 (paper) to 16 (ink), row by row, with the digits 0 to 9.
///
/// ```
/// let digits = layerwise::data::datasets::digits();
/// assert_eq!(digits.features.dim(), (1797, 64));
/// let images = digits.images(8, 8, 1)?;
/// assert_eq!(images[[0, 0, 2, 0]], 5.0);
/// # Ok::<(), layerwise::Error>(())
/// ```
pub fn digits() -> Bunch {
    bunch(&digits_table(), "digit")
}

/// [`digits`] as images of shape `(1797, 8, 8, 1)` from 0 (paper) to 1 (ink).
///
/// ```
/// let digits = layerwise::data::datasets::digits_images();
/// assert_eq!(digits.images.dim(), (1797, 8, 8, 1));
/// assert_eq!(digits.images[[0, 0, 2, 0]], 5.0 / 16.0);
/// ```
pub fn digits_images() -> Images {
    let digits = digits();
    let images = digits.images(8, 8, 1).expect("an image has 8 by 8 pixels") / 16.0;
    Images { images, labels: digits.labels, classes: digits.classes }
}

/// [`digits`] as a table, with the pixels `p0` to `p63` and the label column `digit`.
pub fn digits_table() -> Table {
    table(DIGITS_CSV, "digits.csv")
}

fn table(text: &str, name: &str) -> Table {
    Table::from_reader(text.as_bytes(), name).expect("the bundled sets are well formed, as their tests show")
}

fn bunch(table: &Table, label: &str) -> Bunch {
    Bunch::from_table(table, label).expect("the bundled sets are whole, as their tests show")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sets_have_their_samples_and_classes() {
        let counts = |bunch: &Bunch| {
            let mut counts = vec![0; bunch.classes.len()];
            bunch.labels.iter().for_each(|&label| counts[label] += 1);
            counts
        };
        assert_eq!(counts(&iris()), [50, 50, 50]);
        assert_eq!(counts(&wine()), [59, 71, 48]);
        assert_eq!(counts(&breast_cancer()), [357, 212]);
        assert_eq!(counts(&digits()), [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
    }

    #[test]
    fn the_means_are_those_of_the_sets_descriptions() {
        let mean = |bunch: &Bunch, feature: usize| bunch.features.column(feature).mean().unwrap_or(f32::NAN);
        assert!((mean(&iris(), 0) - 5.84).abs() < 0.005);
        assert!((mean(&iris(), 2) - 3.76).abs() < 0.005);
        assert!((mean(&wine(), 12) - 746.0).abs() < 1.0);
        assert_eq!(breast_cancer().features.iter().fold(0.0f32, |max, &value| max.max(value)), 4254.0);
        assert_eq!(digits().features.iter().fold(0.0f32, |max, &value| max.max(value)), 16.0);
    }

    #[test]
    fn images_of_a_wrong_size_are_refused() {
        let message = iris().images(8, 8, 1).unwrap_err().to_string();
        assert_eq!(message, "features of images: expected (samples, 8 * 8 * 1), got shape [150, 4]");
    }
}
