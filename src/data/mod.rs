//! From files to arrays that a network can learn from.

mod column;
mod csv;
mod features;
mod impute;
mod label_encoder;
mod lines;
mod min_max_scaler;
mod names;
mod one_hot;
mod standard_scaler;
mod table;
mod table_display;
mod table_imputer;

pub use csv::CsvReader;
pub use impute::{Impute, SimpleImputer};
pub use label_encoder::LabelEncoder;
pub use min_max_scaler::MinMaxScaler;
pub use one_hot::{HandleUnknown, OneHotEncoder, one_hot};
pub use standard_scaler::StandardScaler;
pub use table::Table;
pub use table_imputer::TableImputer;
