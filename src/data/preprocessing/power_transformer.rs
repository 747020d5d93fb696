//! Features made more like a normal distribution by a power.

use std::marker::PhantomData;

use super::per_feature::{Member, PerFeature, per_feature};
use super::stored::named;
use crate::data::standard_scaler::{constant, moments};
use crate::scalar::Scalar;

/// Which power a [`PowerTransformer`] takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Power {
    /// Yeo and Johnson (2000), for any number: `((x + 1)^l - 1) / l` for x from 0, and below
    /// `-((1 - x)^(2 - l) - 1) / (2 - l)`, with logarithms where a divisor is 0.
    YeoJohnson,
    /// Box and Cox (1964), for numbers above 0: `(x^l - 1) / l`, or `log x` for l = 0.
    BoxCox,
}

named!(Power { YeoJohnson: "yeo-johnson", BoxCox: "box-cox" });

/// Brings each feature near to a normal distribution by a power, whose exponent `lambda` makes the values of
/// [`fit`](Self::fit) the most likely ones, and then to mean 0 and variance 1.
///
/// As in scikit-learn, a constant feature keeps its values (lambda 1), lambda is not so large that a square would
/// overflow (there for Yeo and Johnson alone), and NaN is ignored by `fit` and kept by `transform`. The inverse is NaN
/// where no value is mapped to the one given.
///
/// ```
/// use layerwise::data::{Power, PowerTransformer};
/// use ndarray::array;
/// let mut power = PowerTransformer::new(Power::BoxCox).standardize(false);
/// let z = power.fit_transform(&array![[1.0], [10.0], [100.0], [1000.0]])?;
/// assert!((z[[3, 0]] - 3.0 * z[[1, 0]]).abs() < 1e-3); // as the logarithm
/// # Ok::<(), layerwise::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct PowerTransformer<A = f32> {
    power: Power,
    standardize: bool,
    fitted: Option<Vec<Vec<f64>>>,
    number: PhantomData<A>,
}

per_feature!(PowerTransformer: power, standardize);

impl PowerTransformer<f32> {
    /// One for `f32` arrays that standardizes.
    pub fn new(power: Power) -> Self {
        Self::of(power)
    }
}

impl<A: Scalar> PowerTransformer<A> {
    /// One for arrays of either number type that standardizes.
    pub fn of(power: Power) -> Self {
        Self { power, standardize: true, fitted: None, number: PhantomData }
    }

    /// Whether the result is brought to mean 0 and variance 1.
    #[must_use]
    pub fn standardize(mut self, standardize: bool) -> Self {
        self.standardize = standardize;
        self
    }

    /// The exponent of each feature, after `fit`.
    pub fn lambdas(&self) -> Option<Vec<f64>> {
        self.fitted().map(|fitted| fitted.iter().map(|learned| learned[0]).collect())
    }
}

/// It learns lambda, the mean and the divisor.
impl<A: Scalar> PerFeature for PowerTransformer<A> {
    const KIND: &'static str = "PowerTransformer";

    fn refuse(&self, value: f64) -> Option<&'static str> {
        (self.power == Power::BoxCox && value <= 0.0).then_some("a number above 0 for Box-Cox")
    }

    fn learn(&self, sorted: &[f64], _: usize) -> Vec<f64> {
        let (mean, variance) = moments(sorted);
        let lambda = match constant(sorted.len() as f64, mean, variance) {
            true => 1.0,
            false => maximize(self.power.range(sorted), |lambda| self.power.log_likelihood(sorted, lambda)),
        };
        let mapped: Vec<f64> = sorted.iter().map(|&x| self.power.map(x, lambda)).collect();
        let (mean, variance) = moments(&mapped);
        let scale = if constant(sorted.len() as f64, mean, variance) { 1.0 } else { variance.sqrt() };
        vec![lambda, mean, scale]
    }

    fn could_learn(&self, learned: &[f64]) -> bool {
        matches!(learned, [_, _, scale] if *scale > 0.0)
    }

    fn map(&self, learned: &[f64], value: f64) -> f64 {
        let mapped = self.power.map(value, learned[0]);
        if self.standardize { (mapped - learned[1]) / learned[2] } else { mapped }
    }

    fn invert(&self, learned: &[f64], value: f64) -> f64 {
        let mapped = if self.standardize { value * learned[2] + learned[1] } else { value };
        self.power.invert(mapped, learned[0])
    }
}

/// `(e^(l u) - 1) / l`, or `u` for l = 0: the power l of `e^u`.
fn power(u: f64, l: f64) -> f64 {
    if l.abs() < f64::EPSILON { u } else { (l * u).exp_m1() / l }
}

/// The `u` of which [`power`] makes z.
fn logarithm(z: f64, l: f64) -> f64 {
    if l.abs() < f64::EPSILON { z } else { (l * z).ln_1p() / l }
}

impl Power {
    fn map(self, x: f64, lambda: f64) -> f64 {
        match self {
            Power::BoxCox => power(x.ln(), lambda),
            Power::YeoJohnson if x < 0.0 => -power((-x).ln_1p(), 2.0 - lambda),
            Power::YeoJohnson => power(x.ln_1p(), lambda),
        }
    }

    fn invert(self, z: f64, lambda: f64) -> f64 {
        match self {
            Power::BoxCox => logarithm(z, lambda).exp(),
            Power::YeoJohnson if z < 0.0 => -logarithm(-z, 2.0 - lambda).exp_m1(),
            Power::YeoJohnson => logarithm(z, lambda).exp_m1(),
        }
    }

    /// Between which exponents to look: those by which even twenty times the largest value is mapped without overflow
    /// or underflow of its square, as in SciPy.
    fn range(self, values: &[f64]) -> (f64, f64) {
        let largest = values.iter().fold(0.0f64, |largest, &x| match self {
            Power::BoxCox => largest.max(x.ln().abs() + 20f64.ln()),
            Power::YeoJohnson => largest.max((20.0 * x.abs()).ln_1p()),
        });
        let (tiny, huge) = (f64::MIN_POSITIVE.ln() - f64::EPSILON.ln(), f64::MAX.ln() + f64::EPSILON.ln());
        let (low, high) = (0.5 * tiny / largest, 0.5 * huge / largest);
        // Below zero, Yeo and Johnson take the power 2 - lambda.
        match (self, values[0] < 0.0, values[values.len() - 1] < 0.0) {
            (Power::YeoJohnson, true, true) => (2.0 - high, 2.0 - low),
            (Power::YeoJohnson, true, false) => (low.max(2.0 - high), high.min(2.0 - low)),
            _ => (low, high),
        }
    }

    /// The logarithm of the likelihood of the values, a number of each value's share: of the normal distribution that
    /// fits the mapped values best, times the slope of the map at each value.
    fn log_likelihood(self, values: &[f64], lambda: f64) -> f64 {
        let mapped: Vec<f64> = values.iter().map(|&x| self.map(x, lambda)).collect();
        let slope = |&x: &f64| match self {
            Power::BoxCox => x.ln(),
            Power::YeoJohnson => x.abs().ln_1p().copysign(x),
        };
        let slopes = values.iter().map(slope).sum::<f64>() / values.len() as f64;
        (lambda - 1.0) * slopes - 0.5 * moments(&mapped).1.ln()
    }
}

/// Where a function of one hill is highest between two ends: the best of a grid, and a golden section between its
/// neighbours, down to the precision that values of `f64` can tell.
fn maximize((low, high): (f64, f64), f: impl Fn(f64) -> f64) -> f64 {
    // Where a variance is 0 or too large there is no likelihood.
    let f = |x| Some(f(x)).filter(|y: &f64| y.is_finite()).unwrap_or(f64::NEG_INFINITY);
    const STEPS: u32 = 64;
    let point = |step: u32| low + (high - low) * f64::from(step) / f64::from(STEPS);
    let heights: Vec<f64> = (0..=STEPS).map(|step| f(point(step))).collect();
    let best = (0..=STEPS).max_by(|&a, &b| heights[a as usize].total_cmp(&heights[b as usize])).unwrap_or(0);
    let (mut low, mut high) = (point(best.saturating_sub(1)), point((best + 1).min(STEPS)));
    let golden = 0.5 * (5f64.sqrt() - 1.0);
    let (mut a, mut b) = (high - golden * (high - low), low + golden * (high - low));
    let (mut at_a, mut at_b) = (f(a), f(b));
    while high - low > 1e-9 * (1.0 + low.abs() + high.abs()) {
        if at_a >= at_b {
            (high, b, at_b) = (b, a, at_a);
            a = high - golden * (high - low);
            at_a = f(a);
        } else {
            (low, a, at_a) = (a, b, at_b);
            b = low + golden * (high - low);
            at_b = f(b);
        }
    }
    f64::midpoint(low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hill_is_climbed_wherever_it_stands() {
        for top in [-100.0, -11.0, -0.3, 0.0, 7.25, 95.0] {
            let found = maximize((-100.0, 120.0), |x| -(x - top) * (x - top));
            assert!((found - top).abs() < 1e-6 * (1.0 + top.abs()), "{found} {top}");
        }
    }

    #[test]
    fn powers_and_logarithms_undo_each_other() {
        for kind in [Power::YeoJohnson, Power::BoxCox] {
            for lambda in [-1.5, 0.0, 1e-12, 0.5, 1.0, 2.0, 3.0] {
                for x in [-2.5, -1e-9, 0.0, 1e-9, 0.5, 30.0] {
                    if x > 0.0 || kind == Power::YeoJohnson {
                        let back = kind.invert(kind.map(x, lambda), lambda);
                        assert!((back - x).abs() < 1e-9 * (1.0 + x.abs()), "{kind:?} {lambda} {x} {back}");
                    }
                }
            }
        }
    }
}
