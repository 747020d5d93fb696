//! Preprocessors that treat each feature by itself: a member says what it learns of one and how it maps a value.

use ndarray::{Array2, ArrayView1, ArrayView2};
use serde_json::{Map, Value};

use crate::data::features::{all_missing, check, check_as_fitted, map, not_fitted};
use crate::error::{Error, Result};
use crate::io::Fields;
use crate::scalar::Scalar;

/// What a member says of itself. What it learns of a feature is a list of finite numbers.
pub(super) trait PerFeature: Sized {
    /// The type's name.
    const KIND: &'static str;

    /// What it learns of the values of one feature, of which there is at least one: sorted, in `f64`, without the NaN
    /// that may have been in some of the `rows`.
    fn learn(&self, sorted: &[f64], rows: usize) -> Vec<f64>;

    /// Whether it could have learned this; a file may claim anything.
    fn could_learn(&self, learned: &[f64]) -> bool;

    /// The new value, given what was learned of its feature. NaN stays NaN.
    fn map(&self, learned: &[f64], value: f64) -> f64;

    /// The value that was mapped to this one.
    fn invert(&self, learned: &[f64], value: f64) -> f64;

    /// Refuses settings that cannot work.
    fn check_settings(&self) -> Result<()> {
        Ok(())
    }

    /// Which values it can take, where that is not all.
    fn refuse(&self, value: f64) -> Option<&'static str> {
        let _ = value;
        None
    }

    /// Where a mapped value is the number of a class that becomes columns, one for each class: how many there are.
    fn classes(&self, learned: &[f64]) -> Option<usize> {
        let _ = learned;
        None
    }
}

/// The part of a member that is the same for all and comes from `per_feature!`: its settings and what it has learned.
pub(super) trait Member: PerFeature {
    fn settings(&self) -> Map<String, Value>;
    fn with_settings(fields: &Fields<'_>) -> Result<Self>;
    fn fitted(&self) -> Option<&[Vec<f64>]>;
    fn set_fitted(&mut self, learned: Vec<Vec<f64>>);
}

fn check_domain<A: Scalar, P: PerFeature>(member: &P, x: ArrayView2<'_, A>) -> Result<()> {
    for ((row, feature), value) in x.indexed_iter() {
        if let Some(requirement) = member.refuse(value.as_f64()) {
            return Err(Error::value(format!("{} input", P::KIND), &[row, feature], requirement, value));
        }
    }
    Ok(())
}

pub(super) fn fit<A: Scalar, P: Member>(member: &mut P, x: ArrayView2<'_, A>) -> Result<()> {
    fit_by(member, x, |member, column| {
        let mut values: Vec<f64> = column.iter().map(|value| value.as_f64()).filter(|value| !value.is_nan()).collect();
        values.sort_unstable_by(f64::total_cmp);
        (!values.is_empty()).then(|| member.learn(&values, column.len()))
    })
}

/// Learns each feature by `learn`, which says nothing of one without a number to learn from.
pub(super) fn fit_by<A: Scalar, P: Member>(
    member: &mut P,
    x: ArrayView2<'_, A>,
    learn: impl Fn(&P, ArrayView1<'_, A>) -> Option<Vec<f64>>,
) -> Result<()> {
    member.check_settings()?;
    check(P::KIND, &x)?;
    check_domain(member, x)?;
    let learn = |(feature, column): (usize, ArrayView1<'_, A>)| {
        let learned = learn(member, column).ok_or_else(|| all_missing(P::KIND, feature))?;
        match learned.iter().all(|number| number.is_finite()) {
            true => Ok(learned),
            false => {
                let what = format!("{} input, feature", P::KIND);
                Err(Error::value(what, &[feature], "a spread that f64 holds", "a larger one"))
            }
        }
    };
    let learned = x.columns().into_iter().enumerate().map(learn).collect::<Result<_>>()?;
    member.set_fitted(learned);
    Ok(())
}

fn fitted<P: Member>(member: &P) -> Result<&[Vec<f64>]> {
    member.fitted().ok_or_else(|| not_fitted(P::KIND))
}

pub(super) fn transform<A: Scalar, P: Member>(member: &P, x: ArrayView2<'_, A>) -> Result<Array2<A>> {
    let learned = fitted(member)?;
    check_as_fitted(P::KIND, learned.len(), &x)?;
    check_domain(member, x)?;
    let mapped = map(P::KIND, &x, |feature, value| member.map(&learned[feature], value))?;
    match widths(member, learned) {
        Some(widths) => Ok(spread(&mapped, &widths)),
        None => Ok(mapped),
    }
}

pub(super) fn inverse_transform<A: Scalar, P: Member>(member: &P, z: ArrayView2<'_, A>) -> Result<Array2<A>> {
    let learned = fitted(member)?;
    let gathered;
    let z = match widths(member, learned) {
        Some(widths) => {
            check_as_fitted(P::KIND, widths.iter().sum(), &z)?;
            gathered = gather(z, &widths);
            gathered.view()
        }
        None => z,
    };
    check_as_fitted(P::KIND, learned.len(), &z)?;
    map(P::KIND, &z, |feature, value| member.invert(&learned[feature], value))
}

/// `feature_class` for each class where a feature becomes several, otherwise the name that it has.
pub(super) fn names<P: Member>(member: &P, names: &[String]) -> Vec<String> {
    let Some(widths) = member.fitted().and_then(|learned| widths(member, learned)) else { return names.to_vec() };
    let of_one =
        |(name, width): (&String, usize)| (0..width).map(|class| format!("{name}_{class}")).collect::<Vec<_>>();
    names.iter().zip(widths).flat_map(of_one).collect()
}

fn widths<P: PerFeature>(member: &P, learned: &[Vec<f64>]) -> Option<Vec<usize>> {
    learned.iter().map(|learned| member.classes(learned)).collect()
}

/// One column for each class: 1 in that of the value and 0 in the others, NaN in all of them for NaN.
fn spread<A: Scalar>(classes: &Array2<A>, widths: &[usize]) -> Array2<A> {
    let mut out = Array2::zeros((classes.nrows(), widths.iter().sum()));
    for (classes, mut out) in classes.rows().into_iter().zip(out.rows_mut()) {
        let mut columns = out.iter_mut();
        for (class, &width) in classes.iter().zip(widths) {
            for (number, column) in columns.by_ref().take(width).enumerate() {
                *column = match class.is_nan() {
                    true => A::of(f64::NAN),
                    false => A::of(f64::from(u8::from(class.as_f64() == number as f64))),
                };
            }
        }
    }
    out
}

/// The class whose column is the largest, NaN where none is larger than another.
fn gather<A: Scalar>(z: ArrayView2<'_, A>, widths: &[usize]) -> Array2<A> {
    let mut classes = Vec::with_capacity(z.nrows() * widths.len());
    for row in z.rows() {
        let mut columns = row.iter();
        for &width in widths {
            let (mut best, mut class) = (f64::NEG_INFINITY, f64::NAN);
            for (number, column) in columns.by_ref().take(width).enumerate() {
                if column.as_f64() > best {
                    (best, class) = (column.as_f64(), number as f64);
                }
            }
            classes.push(A::of(class));
        }
    }
    Array2::from_shape_vec((z.nrows(), widths.len()), classes).expect("a class for each row and feature")
}

pub(super) fn to_json<P: Member>(member: &P) -> Result<Value> {
    let learned = fitted(member)?;
    let mut json = member.settings();
    json.insert("kind".to_owned(), P::KIND.into());
    json.insert("learned".to_owned(), learned.to_vec().into());
    Ok(json.into())
}

pub(super) fn read<P: Member>(fields: &Fields<'_>) -> Result<P> {
    let mut member = P::with_settings(fields)?;
    member.check_settings()?;
    let learned: Vec<Vec<f64>> = fields.get("learned")?;
    let place = fields.place().key("learned");
    if learned.is_empty() {
        return Err(Error::Empty(place.to_string()));
    }
    let sound = |of: &Vec<f64>| of.iter().all(|number| number.is_finite()) && member.could_learn(of);
    if let Some(at) = learned.iter().position(|learned| !sound(learned)) {
        let requirement = format!("what a {} can learn of a feature", P::KIND);
        return Err(place.item(at).refuse(requirement, &learned[at].clone().into()));
    }
    member.set_fitted(learned);
    Ok(member)
}

/// The common part of a member, whose struct has these settings, and `fitted` and `number` beside them.
macro_rules! per_feature {
    ($name:ident: $($setting:ident),*) => {
        impl<A: $crate::scalar::Scalar> $crate::data::preprocessing::per_feature::Member for $name<A> {
            fn settings(&self) -> serde_json::Map<String, serde_json::Value> {
                #[allow(unused_mut)]
                let mut settings = serde_json::Map::new();
                $(settings.insert(stringify!($setting).to_owned(), self.$setting.into());)*
                settings
            }

            fn with_settings(fields: &$crate::io::Fields<'_>) -> $crate::error::Result<Self> {
                let _ = fields;
                Ok($name {
                    $($setting: fields.get(stringify!($setting))?,)*
                    fitted: None,
                    number: std::marker::PhantomData,
                })
            }

            fn fitted(&self) -> Option<&[Vec<f64>]> {
                self.fitted.as_deref()
            }

            fn set_fitted(&mut self, learned: Vec<Vec<f64>>) {
                self.fitted = Some(learned);
            }
        }

        impl<A: $crate::scalar::Scalar> $crate::data::preprocessing::Transform<A> for $name<A> {
            fn kind(&self) -> &str {
                <Self as $crate::data::preprocessing::per_feature::PerFeature>::KIND
            }

            fn fit(&mut self, x: ndarray::ArrayView2<'_, A>) -> $crate::error::Result<()> {
                $crate::data::preprocessing::per_feature::fit(self, x)
            }

            fn transform(&self, x: ndarray::ArrayView2<'_, A>) -> $crate::error::Result<ndarray::Array2<A>> {
                $crate::data::preprocessing::per_feature::transform(self, x)
            }

            fn inverse_transform(&self, z: ndarray::ArrayView2<'_, A>) -> $crate::error::Result<ndarray::Array2<A>> {
                $crate::data::preprocessing::per_feature::inverse_transform(self, z)
            }

            fn feature_names_out(&self, names: &[String]) -> Vec<String> {
                $crate::data::preprocessing::per_feature::names(self, names)
            }

            fn to_json(&self) -> $crate::error::Result<serde_json::Value> {
                $crate::data::preprocessing::per_feature::to_json(self)
            }
        }

        $crate::data::preprocessing::transform::array_methods!($name);

        impl<A: $crate::scalar::Scalar> $name<A> {
            /// Mapped `(rows, features)` back to what they were.
            ///
            /// # Errors
            /// Those of [`transform`](Self::transform).
            pub fn inverse_transform<S: ndarray::Data<Elem = A>>(
                &self,
                z: &ndarray::ArrayBase<S, ndarray::Ix2>,
            ) -> $crate::error::Result<ndarray::Array2<A>> {
                $crate::data::preprocessing::Transform::inverse_transform(self, z.view())
            }
        }
    };
}
pub(super) use per_feature;

/// What a value is divided by: the spread, or 1 for a feature that is constant but for rounding (a spread below ten
/// machine epsilons of `A`, as in scikit-learn).
pub(super) fn divisor<A: Scalar>(spread: f64) -> f64 {
    if spread < 10.0 * A::epsilon().as_f64() { 1.0 } else { spread }
}
