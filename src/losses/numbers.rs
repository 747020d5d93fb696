//! Small pieces of the formulas of losses, and checks of their settings.

use crate::error::{Error, Result};
use crate::scalar::Scalar;

/// The least probability that a logarithm is taken of, and the least divisor: Keras's epsilon.
pub(super) const EPSILON: f64 = 1e-7;

/// x, or the bound beyond which it lies; and whether it lies between them, so that a small change of it tells. NaN
/// passes.
pub(super) fn clip<A: Scalar>(x: A, low: A, high: A) -> (A, bool) {
    if x < low {
        (low, false)
    } else if x > high {
        (high, false)
    } else {
        (x, true)
    }
}

/// -1, 0 or 1; NaN passes.
pub(super) fn sign<A: Scalar>(x: A) -> A {
    if x > A::zero() {
        A::one()
    } else if x < A::zero() {
        -A::one()
    } else {
        x
    }
}

/// Whether a target of a hinge names one of the two sides.
pub(super) fn is_side<A: Scalar>(t: A) -> bool {
    t == A::one() || t == A::zero() || t == -A::one()
}

/// max(1 - t x, 0) and its derivative, with t = -1 for the target 0.
pub(super) fn gap<A: Scalar>(x: A, t: A) -> (A, A) {
    let side = if t > A::zero() { A::one() } else { -A::one() };
    let gap = A::one() - side * x;
    if gap <= A::zero() { (A::zero(), A::zero()) } else { (gap, -side) }
}

/// Refuses a setting that is not from 0 to 1.
pub(super) fn check_share(name: &str, value: f64) -> Result<()> {
    check_setting(name, value, (0.0..=1.0).contains(&value), "a number from 0 to 1")
}

/// Refuses a setting that is negative, infinite or NaN.
pub(super) fn check_not_negative(name: &str, value: f64) -> Result<()> {
    check_setting(name, value, value.is_finite() && value >= 0.0, "a finite number of at least 0")
}

/// Refuses a setting that is negative, 0, infinite or NaN.
pub(super) fn check_positive(name: &str, value: f64) -> Result<()> {
    check_setting(name, value, value.is_finite() && value > 0.0, "a finite number above 0")
}

fn check_setting(name: &str, value: f64, good: bool, requirement: &str) -> Result<()> {
    if good { Ok(()) } else { Err(Error::setting(name, requirement, value)) }
}
