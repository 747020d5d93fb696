//! What every metric of this module does alike: gather, forget, be sent and merged.

use crate::error::{Error, Result};

/// The part of a state behind its first number, which tells the kind of metric.
///
/// # Errors
/// [`Error::Setting`] where it is another kind's.
pub(super) fn body<'s>(metric: &str, code: f64, state: &'s [f64]) -> Result<&'s [f64]> {
    match state.split_first() {
        Some((&kind, body)) if kind == code => Ok(body),
        _ => Err(Error::setting("the state to merge", format!("one of {metric}"), "another")),
    }
}

/// Refuses a state whose `what` (classes, outputs) differ in number; 0 stands for nothing taken in yet.
pub(super) fn check_same(what: &str, mine: usize, theirs: usize) -> Result<()> {
    if mine == 0 || theirs == 0 || mine == theirs {
        return Ok(());
    }
    Err(Error::setting(format!("the number of {what} in the state to merge"), mine.to_string(), theirs))
}

/// Implements [`Metric`](super::Metric) for a type that gathers in its field `gathered` and has the inherent methods
/// `full_name`, `take`, `take_state` and `result`. The code, the first number of a state, tells one kind from another.
macro_rules! streaming_metric {
    ($metric:ident, $code:literal) => {
        impl $metric {
            /// Forgets everything that was taken in; the settings stay.
            pub fn reset(&mut self) {
                self.gathered.reset();
            }
        }

        impl<A: $crate::Scalar> $crate::metrics::Metric<A> for $metric {
            fn name(&self) -> &str {
                self.full_name()
            }

            fn update(
                &mut self,
                prediction: &$crate::Tensor<A>,
                target: &$crate::Tensor<A>,
                weights: Option<&[A]>,
            ) -> $crate::Result<()> {
                self.take(prediction, target, weights)
            }

            fn result(&self) -> f64 {
                $metric::result(self)
            }

            fn reset(&mut self) {
                $metric::reset(self);
            }

            fn state(&self) -> Vec<f64> {
                let mut state = vec![$code];
                self.gathered.write(&mut state);
                state
            }

            fn merge(&mut self, state: &[f64]) -> $crate::Result<()> {
                let state = $crate::metrics::streaming::body(stringify!($metric), $code, state)?;
                self.take_state(state)
            }
        }
    };
}
pub(super) use streaming_metric;
