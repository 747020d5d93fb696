//! What preprocessors of arrays have in common.

use std::fmt::Debug;

use ndarray::{Array2, ArrayView2};
use serde_json::Value;

use crate::error::{Error, Result};
use crate::scalar::Scalar;

/// How many features of one a preprocessor may make: an array of more would not fit into memory, and a file may claim
/// anything.
pub(super) const MOST_FEATURES: usize = 1 << 16;

/// A preprocessor that learns from an array `(rows, features)` and then maps such arrays.
///
/// The preprocessors of this crate have methods of the same names, which take arrays of any kind; the trait is for
/// [`Pipeline`](super::Pipeline), [`ColumnTransformer`](super::ColumnTransformer) and functions over any of them. One's
/// own can be used in both, but not saved with a model.
///
/// ```
/// use layerwise::data::{Pipeline, Transform};
/// use ndarray::{Array2, ArrayView2, array};
///
/// #[derive(Debug)]
/// struct Log;
///
/// impl Transform for Log {
///     fn kind(&self) -> &str {
///         "Log"
///     }
///     fn fit(&mut self, _: ArrayView2<'_, f32>) -> layerwise::Result<()> {
///         Ok(())
///     }
///     fn transform(&self, x: ArrayView2<'_, f32>) -> layerwise::Result<Array2<f32>> {
///         Ok(x.mapv(f32::ln))
///     }
/// }
/// let mut pipeline = Pipeline::new().then(Log);
/// assert_eq!(pipeline.fit_transform(&array![[1.0], [1.0]])?, array![[0.0], [0.0]]);
/// # Ok::<(), layerwise::Error>(())
/// ```
pub trait Transform<A: Scalar = f32>: Debug + Send + Sync {
    /// The type's name, for errors and files.
    fn kind(&self) -> &str;

    /// Learns from `(rows, features)`, and forgets what it knew.
    ///
    /// # Errors
    /// What the preprocessor cannot learn from.
    fn fit(&mut self, x: ArrayView2<'_, A>) -> Result<()>;

    /// Maps `(rows, features)`; the result may have another number of features.
    ///
    /// # Errors
    /// [`Error::Setting`] before `fit`, [`Error::Shape`] for another number of features than in `fit`.
    fn transform(&self, x: ArrayView2<'_, A>) -> Result<Array2<A>>;

    /// Maps back.
    ///
    /// # Errors
    /// Those of [`transform`](Self::transform), and [`Error::Custom`] where there is no way back.
    fn inverse_transform(&self, z: ArrayView2<'_, A>) -> Result<Array2<A>> {
        let _ = z;
        Err(Error::custom(format!("{} cannot be undone", self.kind())))
    }

    /// The names of the result's features, given those of the input's: the same, unless there are more.
    fn feature_names_out(&self, names: &[String]) -> Vec<String> {
        names.to_vec()
    }

    /// Its settings and what it has learned, from which a file's reader makes it again.
    ///
    /// # Errors
    /// [`Error::Setting`] before `fit`, [`Error::Custom`] for one that no file can hold.
    fn to_json(&self) -> Result<Value> {
        Err(Error::custom(format!("{} is not one of this library's: no file can hold it", self.kind())))
    }
}

/// The methods of a preprocessor that take arrays of any kind, from its [`Transform`].
macro_rules! array_methods {
    ($name:ident) => {
        impl<A: $crate::scalar::Scalar> $name<A> {
            /// Learns from `(rows, features)`.
            ///
            /// # Errors
            /// [`Error::Setting`](crate::Error::Setting) for settings that cannot work,
            /// [`Error::Empty`](crate::Error::Empty) without rows or features,
            /// [`Error::Value`](crate::Error::Value) for values that cannot be learned from.
            pub fn fit<S: ndarray::Data<Elem = A>>(
                &mut self,
                x: &ndarray::ArrayBase<S, ndarray::Ix2>,
            ) -> $crate::error::Result<&mut Self> {
                $crate::data::preprocessing::Transform::fit(self, x.view())?;
                Ok(self)
            }

            /// Maps `(rows, features)`.
            ///
            /// # Errors
            /// [`Error::Setting`](crate::Error::Setting) before `fit`, [`Error::Shape`](crate::Error::Shape) for
            /// another number of features than in `fit`, [`Error::Empty`](crate::Error::Empty) without rows,
            /// [`Error::Value`](crate::Error::Value) for an infinite value or a result too large for `A`.
            pub fn transform<S: ndarray::Data<Elem = A>>(
                &self,
                x: &ndarray::ArrayBase<S, ndarray::Ix2>,
            ) -> $crate::error::Result<ndarray::Array2<A>> {
                $crate::data::preprocessing::Transform::transform(self, x.view())
            }

            /// [`fit`](Self::fit), then [`transform`](Self::transform).
            ///
            /// # Errors
            /// Those of both.
            pub fn fit_transform<S: ndarray::Data<Elem = A>>(
                &mut self,
                x: &ndarray::ArrayBase<S, ndarray::Ix2>,
            ) -> $crate::error::Result<ndarray::Array2<A>> {
                self.fit(x)?.transform(x)
            }
        }
    };
}
pub(super) use array_methods;

/// [`Transform`] from the methods of the same names that a preprocessor has.
macro_rules! transform {
    ($name:ident) => {
        impl<A: $crate::scalar::Scalar> $crate::data::Transform<A> for $name<A> {
            fn kind(&self) -> &str {
                stringify!($name)
            }

            fn fit(&mut self, x: ndarray::ArrayView2<'_, A>) -> $crate::error::Result<()> {
                $name::fit(self, &x).map(|_| ())
            }

            fn transform(&self, x: ndarray::ArrayView2<'_, A>) -> $crate::error::Result<ndarray::Array2<A>> {
                $name::transform(self, &x)
            }

            fn inverse_transform(&self, z: ndarray::ArrayView2<'_, A>) -> $crate::error::Result<ndarray::Array2<A>> {
                $name::inverse_transform(self, &z)
            }

            fn to_json(&self) -> $crate::error::Result<serde_json::Value> {
                $name::json(self)
            }
        }
    };
}
pub(in crate::data) use transform;
