//! What the preprocessors of arrays share: checks of `(rows, features)` and a map over features.

use ndarray::{Array2, ArrayBase, Data, Ix2};

use crate::error::{Error, Result};
use crate::scalar::Scalar;

/// Refuses an array without rows or features, and infinite values. NaN stands for a missing value and may stay.
pub(super) fn check<A: Scalar, S: Data<Elem = A>>(kind: &str, x: &ArrayBase<S, Ix2>) -> Result<()> {
    if x.is_empty() {
        return Err(Error::Empty(format!("{kind} input of shape {:?}", x.shape())));
    }
    match x.indexed_iter().find(|(_, value)| value.is_infinite()) {
        Some(((row, feature), value)) => {
            Err(Error::value(format!("{kind} input"), &[row, feature], "a finite number or NaN", value))
        }
        None => Ok(()),
    }
}

/// As [`check`], and with as many features as at the fit.
pub(super) fn check_as_fitted<A: Scalar, S: Data<Elem = A>>(
    kind: &str,
    fitted: usize,
    x: &ArrayBase<S, Ix2>,
) -> Result<()> {
    if x.ncols() != fitted {
        return Err(Error::shape(format!("{kind} input"), format!("(rows, {fitted}) as in `fit`"), x.shape()));
    }
    check(kind, x)
}

/// Refuses another number of weights than of rows, one that is below 0 or not finite, and zeros alone.
pub(super) fn check_weights<A: Scalar>(rows: usize, weights: &[A]) -> Result<()> {
    if weights.len() != rows {
        return Err(Error::length("sample weights against rows", rows, weights.len()));
    }
    match weights.iter().position(|w| !(w.is_finite() && *w >= A::zero())) {
        Some(row) => Err(Error::value("sample weight", &[row], "a finite number from 0", weights[row])),
        None if weights.iter().all(|weight| weight.is_zero()) => {
            Err(Error::setting("sample weights", "above 0 in at least one row", "0 in every row"))
        }
        None => Ok(()),
    }
}

/// The error of a preprocessor that is used before it was fitted.
pub(super) fn not_fitted(kind: &str) -> Error {
    Error::setting(kind, "fitted before it is used: call `fit` on the training data", "one that is not")
}

/// A feature without a single number.
pub(super) fn all_missing(kind: &str, feature: usize) -> Error {
    Error::value(format!("{kind} input, feature"), &[feature], "a number in at least one row", "NaN in every row")
}

/// `f(feature, value)` for every value, worked out in `f64`; an error where `A` cannot hold the result.
pub(super) fn map<A: Scalar, S: Data<Elem = A>>(
    kind: &str,
    x: &ArrayBase<S, Ix2>,
    f: impl Fn(usize, f64) -> f64,
) -> Result<Array2<A>> {
    let mut out = Vec::with_capacity(x.len());
    for (row, values) in x.rows().into_iter().enumerate() {
        for (feature, value) in values.iter().enumerate() {
            let exact = f(feature, value.as_f64());
            let result = A::of(exact);
            if result.is_infinite() {
                let expected = format!("a result that {} holds", A::NAME);
                return Err(Error::value(format!("{kind} input"), &[row, feature], expected, format!("{exact:.3e}")));
            }
            out.push(result);
        }
    }
    Ok(Array2::from_shape_vec(x.raw_dim(), out).expect("one result a value"))
}
