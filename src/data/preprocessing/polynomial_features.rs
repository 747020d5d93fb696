//! Products of features as further features.

use std::marker::PhantomData;

use ndarray::{Array2, ArrayView2};
use serde_json::{Value, json};

use super::transform::{MOST_FEATURES, Transform, array_methods};
use crate::data::features::{check, check_as_fitted, not_fitted};
use crate::error::{Error, Result};
use crate::io::Fields;
use crate::scalar::Scalar;

const KIND: &str = "PolynomialFeatures";

/// All products of up to `degree` features: of a and b with degree 2, `1, a, b, a^2, a b, b^2`.
///
/// The order is scikit-learn's. With [`interaction_only`](Self::interaction_only) no feature stands twice in a product,
/// and without [`include_bias`](Self::include_bias) the 1 is left away. NaN stays NaN.
///
/// ```
/// use layerwise::data::PolynomialFeatures;
/// use ndarray::array;
/// let x = PolynomialFeatures::new(2).fit_transform(&array![[2.0, 3.0]])?;
/// assert_eq!(x, array![[1.0, 2.0, 3.0, 4.0, 6.0, 9.0]]);
/// # Ok::<(), layerwise::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct PolynomialFeatures<A = f32> {
    degree: usize,
    interaction_only: bool,
    include_bias: bool,
    features: Option<usize>,
    number: PhantomData<A>,
}

array_methods!(PolynomialFeatures);

impl PolynomialFeatures<f32> {
    /// One for `f32` arrays, with the 1 and with powers.
    pub fn new(degree: usize) -> Self {
        Self::of(degree)
    }
}

impl<A: Scalar> PolynomialFeatures<A> {
    /// One for arrays of either number type, with the 1 and with powers.
    pub fn of(degree: usize) -> Self {
        Self { degree, interaction_only: false, include_bias: true, features: None, number: PhantomData }
    }

    /// Whether products of different features alone are made. Undoes an earlier `fit`.
    #[must_use]
    pub fn interaction_only(mut self, interaction_only: bool) -> Self {
        self.interaction_only = interaction_only;
        self.features = None;
        self
    }

    /// Whether the product of no feature, 1, comes first. Undoes an earlier `fit`.
    #[must_use]
    pub fn include_bias(mut self, include_bias: bool) -> Self {
        self.include_bias = include_bias;
        self.features = None;
        self
    }

    pub(super) fn read(fields: &Fields<'_>) -> Result<Self> {
        let mut read = Self::of(fields.get("degree")?)
            .interaction_only(fields.get("interaction_only")?)
            .include_bias(fields.get("include_bias")?);
        let features = fields.get("features")?;
        read.check_count(features)?;
        read.features = Some(features);
        Ok(read)
    }

    /// Refuses a degree that makes no feature, or more than there may be.
    fn check_count(&self, features: usize) -> Result<()> {
        if self.degree == 0 {
            return Err(Error::setting("degree", "at least 1", 0));
        }
        let most = || {
            let requirement = format!("one that makes at most {MOST_FEATURES} of {features} features");
            Error::setting("degree", requirement, self.degree)
        };
        // Of n features, with powers, there are C(n + d - 1, d) products of d; without them C(n, d).
        let (mut products, mut all) = (1u128, 1u128);
        for d in 1..=self.degree as u128 {
            let n = features as u128;
            let choices = if self.interaction_only { (n + 1).saturating_sub(d) } else { n.saturating_add(d - 1) };
            products = products.saturating_mul(choices) / d;
            all += products;
            if all > MOST_FEATURES as u128 || d > MOST_FEATURES as u128 {
                return Err(most());
            }
            if products == 0 {
                break;
            }
        }
        Ok(())
    }

    /// The features of each product, in order.
    fn products(&self, features: usize) -> Vec<Vec<usize>> {
        let mut all = vec![Vec::new()];
        let mut before = 0..1;
        for _ in 0..self.degree {
            for product in before.clone() {
                // Each product of one degree more, from the features at or after its last one.
                let next = all[product].last().map_or(0, |&last| last + usize::from(self.interaction_only));
                for feature in next..features {
                    let longer = [&all[product][..], &[feature]].concat();
                    all.push(longer);
                }
            }
            if before.end == all.len() {
                break;
            }
            before = before.end..all.len();
        }
        all.split_off(usize::from(!self.include_bias))
    }
}

impl<A: Scalar> Transform<A> for PolynomialFeatures<A> {
    fn kind(&self) -> &str {
        KIND
    }

    fn fit(&mut self, x: ArrayView2<'_, A>) -> Result<()> {
        check(KIND, &x)?;
        self.check_count(x.ncols())?;
        self.features = Some(x.ncols());
        Ok(())
    }

    fn transform(&self, x: ArrayView2<'_, A>) -> Result<Array2<A>> {
        let features = self.features.ok_or_else(|| not_fitted(KIND))?;
        check_as_fitted(KIND, features, &x)?;
        let products = self.products(features);
        let mut out = Array2::zeros((x.nrows(), products.len()));
        for ((row, mut out), x) in out.rows_mut().into_iter().enumerate().zip(x.rows()) {
            for (value, product) in out.iter_mut().zip(&products) {
                let exact = product.iter().map(|&feature| x[feature].as_f64()).product();
                *value = A::of(exact);
                if value.is_infinite() {
                    let expected = format!("products that {} holds", A::NAME);
                    let feature = product.last().copied().unwrap_or(0);
                    return Err(Error::value(
                        format!("{KIND} input"),
                        &[row, feature],
                        expected,
                        format!("{exact:.3e}"),
                    ));
                }
            }
        }
        Ok(out)
    }

    /// `1`, `a`, `a^2`, `a b`: as in scikit-learn. Names of other features than those of `fit` stay as they are.
    fn feature_names_out(&self, names: &[String]) -> Vec<String> {
        if self.features != Some(names.len()) {
            return names.to_vec();
        }
        let factor = |run: &[usize]| match run.len() {
            1 => names[run[0]].clone(),
            power => format!("{}^{power}", names[run[0]]),
        };
        let name = |product: Vec<usize>| match product.is_empty() {
            true => "1".to_owned(),
            false => product.chunk_by(|a, b| a == b).map(factor).collect::<Vec<_>>().join(" "),
        };
        self.products(names.len()).into_iter().map(name).collect()
    }

    fn to_json(&self) -> Result<Value> {
        let features = self.features.ok_or_else(|| not_fitted(KIND))?;
        Ok(json!({
            "kind": KIND, "degree": self.degree, "interaction_only": self.interaction_only,
            "include_bias": self.include_bias, "features": features,
        }))
    }
}
