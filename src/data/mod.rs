//! From files to arrays that a network can learn from.

mod column;
mod csv;
mod features;
mod impute;
mod kfold;
mod label_encoder;
mod lines;
mod min_max_scaler;
mod names;
mod one_hot;
mod split;
mod standard_scaler;
mod table;
mod table_display;
mod table_imputer;
mod validation;

pub use csv::CsvReader;
pub use impute::{Impute, SimpleImputer};
pub use kfold::{Folds, KFold, StratifiedKFold};
pub use label_encoder::LabelEncoder;
pub use min_max_scaler::MinMaxScaler;
pub use one_hot::{HandleUnknown, OneHotEncoder, one_hot};
pub use split::{Split, stratified_train_test_split, take, train_test_split};
pub use standard_scaler::StandardScaler;
pub use table::Table;
pub use table_imputer::TableImputer;
pub use validation::{Validation, ValidationSplit};
