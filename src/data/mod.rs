//! From files to arrays that a network can learn from.
//!
//! A [`Table`] is a CSV file with named columns, of numbers or of text, that knows which cells are missing. What comes
//! out of it goes through preprocessors, which are fitted on the training rows and then applied to any others, as in
//! scikit-learn: [`ColumnTransformer`] puts together different ones for different columns and is saved with the model.
//!
//! - Missing values: [`SimpleImputer`], [`TableImputer`]. Outliers: [`OutlierClipper`].
//! - Scales: [`StandardScaler`], [`MinMaxScaler`], [`MaxAbsScaler`], [`RobustScaler`]; distributions:
//!   [`QuantileTransformer`], [`PowerTransformer`].
//! - Categories: [`LabelEncoder`], [`OneHotEncoder`], [`OrdinalEncoder`], [`FeatureHasher`], and [`KBinsDiscretizer`]
//!   for categories of numbers. More features: [`PolynomialFeatures`].
//! - Classes of different sizes: [`class_weights`], [`over_sample`], [`under_sample`], [`smote`].
//!
//! [`train_test_split`], [`KFold`] and [`ValidationSplit`] choose the rows, [`take`] takes them. [`datasets`] has real
//! sets to start with. [`Idx`] reads files of MNIST's format, and [`augmentation`] changes images at random while a
//! network learns from them.

pub mod augmentation;
mod class_weights;
mod column;
mod csv;
mod dataset;
pub mod datasets;
mod features;
mod idx;
#[cfg(feature = "image")]
mod image_folder;
mod images;
mod impute;
mod kfold;
mod label_encoder;
mod lines;
mod min_max_scaler;
mod names;
mod one_hot;
mod preprocessing;
mod sampling;
mod split;
mod standard_scaler;
mod table;
mod table_display;
mod table_imputer;
mod validation;

pub use class_weights::{class_weights, sample_weights};
pub use csv::CsvReader;
pub use dataset::{Dataset, IntoDataset};
pub use idx::{Idx, IdxElement};
#[cfg(feature = "image")]
pub use image_folder::ImageFolder;
pub use images::{Images, TrainTest};
pub use impute::{Impute, SimpleImputer};
pub use kfold::{Folds, KFold, StratifiedKFold};
pub use label_encoder::LabelEncoder;
pub use min_max_scaler::MinMaxScaler;
pub use one_hot::{HandleUnknown, OneHotEncoder, one_hot};
pub use preprocessing::{
    BinCode, BinStrategy, ColumnTransformer, Encode, FeatureHasher, KBinsDiscretizer, MaxAbsScaler, OrdinalEncoder,
    OutlierClipper, OutlierRule, OutputDistribution, Pipeline, PolynomialFeatures, Power, PowerTransformer,
    QuantileTransformer, RobustScaler, Transform,
};
pub use sampling::{over_sample, smote, under_sample};
pub use split::{Split, stratified_train_test_split, take, train_test_split};
pub use standard_scaler::StandardScaler;
pub use table::Table;
pub use table_imputer::TableImputer;
pub use validation::{Validation, ValidationSplit};
