//! The normal distribution.

use std::f64::consts::{PI, SQRT_2};

/// P(X <= x) of the standard normal distribution.
pub(super) fn cdf(x: f64) -> f64 {
    0.5 * libm::erfc(-x / SQRT_2)
}

/// The x with P(X <= x) = p, for p between 0 and 1.
///
/// A rational guess (Abramowitz and Stegun 1964, 26.2.23, off by up to 4.5e-4), and two of Halley's steps, each of
/// which cubes the error. The work is done in the lower half, where `cdf` keeps its digits.
pub(super) fn quantile(p: f64) -> f64 {
    if p > 0.5 {
        return -quantile(1.0 - p);
    }
    let t = (-2.0 * p.ln()).sqrt();
    let mut x = (2.515517 + t * (0.802853 + t * 0.010328)) / (1.0 + t * (1.432788 + t * (0.189269 + t * 0.001308))) - t;
    for _ in 0..2 {
        let step = (cdf(x) - p) * (2.0 * PI).sqrt() * (0.5 * x * x).exp();
        x -= step / (1.0 + 0.5 * x * step);
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    #[test]
    fn quantiles_are_those_of_scipy() {
        // scipy.stats.norm.ppf
        assert_relative_eq!(quantile(1e-7), -5.199337582192816, max_relative = 1e-14);
        assert_relative_eq!(quantile(0.025), -1.9599639845400545, max_relative = 1e-14);
        assert_relative_eq!(quantile(0.9), 1.2815515655446004, max_relative = 1e-14);
        assert!(quantile(0.5).abs() < 1e-15);
    }

    #[test]
    fn the_two_functions_undo_each_other() {
        for p in [1e-9, 1e-4, 0.3, 0.5, 0.77, 0.999] {
            assert_relative_eq!(cdf(quantile(p)), p, max_relative = 1e-12);
        }
    }
}
