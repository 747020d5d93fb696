//! Preprocessors of arrays `(rows, features)` and of tables, and what puts them together.
//!
//! [`Transform`] is what all of arrays have in common, [`Encode`] what those of a table's columns have. The many that
//! treat each feature by itself are a few lines each on `per_feature.rs`.

mod column_transformer;
mod encode;
mod feature_hasher;
mod k_bins_discretizer;
mod max_abs_scaler;
mod normal;
mod ordinal_encoder;
mod outlier_clipper;
mod part;
mod per_feature;
mod pipeline;
mod polynomial_features;
mod power_transformer;
mod quantile_transformer;
mod quantiles;
mod robust_scaler;
mod stored;
mod transform;

pub use column_transformer::ColumnTransformer;
pub use encode::Encode;
pub use feature_hasher::FeatureHasher;
pub use k_bins_discretizer::{BinCode, BinStrategy, KBinsDiscretizer};
pub use max_abs_scaler::MaxAbsScaler;
pub use ordinal_encoder::OrdinalEncoder;
pub use outlier_clipper::{OutlierClipper, OutlierRule};
pub use pipeline::Pipeline;
pub use polynomial_features::PolynomialFeatures;
pub use power_transformer::{Power, PowerTransformer};
pub use quantile_transformer::{OutputDistribution, QuantileTransformer};
pub use robust_scaler::RobustScaler;
pub use transform::Transform;

pub(super) use encode::{Code, categories_json, codes, encode, read_categories};
pub(super) use stored::{each, finite, positive};
pub(super) use transform::transform;
