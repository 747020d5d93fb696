//! The builder methods for regularizers and constraints, the same for every weight of every layer.

use crate::param::Param;
use crate::scalar::Scalar;

/// A weight that a layer has, or may have.
pub(super) trait Weight<A: Scalar> {
    /// Changes it, if it is there.
    fn change(&mut self, change: impl FnOnce(&mut Param<A>));
}

impl<A: Scalar> Weight<A> for Param<A> {
    fn change(&mut self, change: impl FnOnce(&mut Param<A>)) {
        change(self);
    }
}

impl<A: Scalar> Weight<A> for Option<Param<A>> {
    fn change(&mut self, change: impl FnOnce(&mut Param<A>)) {
        if let Some(param) = self {
            change(param);
        }
    }
}

/// Writes two methods for each weight: `weight_rules!(weight_regularizer, weight_constraint: "W" in weight;)`.
macro_rules! weight_rules {
    ($($regularizer:ident, $constraint:ident: $symbol:literal in $field:ident;)+) => {$(
        #[doc = concat!("What ", $symbol, " adds to the loss; nothing by default.")]
        #[must_use]
        pub fn $regularizer(mut self, regularizer: crate::regularizers::Regularizer) -> Self {
            crate::layers::rules::Weight::change(&mut self.$field, |param| param.set_regularizer(regularizer));
            self
        }

        #[doc = concat!("What ", $symbol, " is made to be after each update; nothing special by default.")]
        #[must_use]
        pub fn $constraint(mut self, constraint: impl Into<crate::constraints::Constraint>) -> Self {
            let constraint: crate::constraints::Constraint = constraint.into();
            crate::layers::rules::Weight::change(&mut self.$field, |param| param.set_constraint(constraint));
            self
        }
    )+};
}
pub(super) use weight_rules;
