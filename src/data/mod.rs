//! From files to arrays that a network can learn from.

mod column;
mod csv;
mod features;
mod impute;
mod label_encoder;
mod lines;
mod names;
mod table;
mod table_display;
mod table_imputer;

pub use csv::CsvReader;
pub use impute::{Impute, SimpleImputer};
pub use label_encoder::LabelEncoder;
pub use table::Table;
pub use table_imputer::TableImputer;
