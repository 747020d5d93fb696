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

/// Sums that add up whatever the split: over batches, over shards, out of files. How many belong to so many classes
/// is the affair of who keeps them.
#[derive(Clone, Debug, Default)]
pub(super) struct Totals {
    /// 0 as long as nothing was taken in.
    pub classes: usize,
    pub cells: Vec<f64>,
}

impl Totals {
    /// Has room for `size` sums of so many classes.
    pub fn grow(&mut self, classes: usize, size: usize) {
        self.classes = classes;
        self.cells.resize(size, 0.0);
    }

    pub fn reset(&mut self) {
        self.classes = 0;
        self.cells.clear();
    }

    /// `setting` is the number that says what the sums mean.
    pub fn write(&self, setting: f64, state: &mut Vec<f64>) {
        state.extend([setting, self.classes as f64]);
        state.extend(&self.cells);
    }

    /// The classes and the sums of a state. Its setting must be the same; `fits` tells whether so many classes have
    /// so many sums.
    pub fn parse<'s>(
        &self,
        (name, setting): (&str, f64),
        state: &'s [f64],
        fits: impl FnOnce(usize, usize) -> bool,
    ) -> Result<(usize, &'s [f64])> {
        let [theirs, number, cells @ ..] = state else {
            return Err(Error::length("the state to merge", 3 + self.cells.len(), 1 + state.len()));
        };
        if *theirs != setting {
            return Err(Error::setting(format!("the {name} of the state to merge"), setting.to_string(), theirs));
        }
        let classes = *number as usize;
        // One class alone is none: a single output decides between two.
        if classes as f64 != *number || classes == 1 {
            return Err(Error::setting("the number of classes in the state to merge", "a number of classes", number));
        }
        check_same("classes", self.classes, classes)?;
        if !fits(classes, cells.len()) {
            let name = "the numbers of the state to merge, for its classes";
            return Err(Error::setting(name, "as many as this metric has", cells.len()));
        }
        Ok((classes, cells))
    }

    /// Adds the sums of a state, place by place.
    pub fn add(&mut self, classes: usize, cells: &[f64]) {
        self.grow(classes, cells.len());
        self.cells.iter_mut().zip(cells).for_each(|(mine, theirs)| *mine += theirs);
    }
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

/// [`streaming_metric`] for a type that gathers labelled scores. `$name` is a function from the metric to its name;
/// `$accepts`, if there is one, tells whether its settings fit a number of classes.
macro_rules! class_metric {
    ($metric:ident, $code:literal, $name:expr) => {
        class_metric!($metric, $code, $name, |_, _| Ok(()));
    };
    ($metric:ident, $code:literal, $name:expr, $accepts:expr) => {
        impl $metric {
            fn full_name(&self) -> &str {
                let name: fn(&Self) -> &str = $name;
                name(self)
            }

            fn accepts(&self, classes: usize) -> $crate::Result<()> {
                let accepts: fn(&Self, usize) -> $crate::Result<()> = $accepts;
                accepts(self, classes)
            }

            fn take<A: $crate::Scalar>(
                &mut self,
                prediction: &$crate::Tensor<A>,
                target: &$crate::Tensor<A>,
                weights: Option<&[A]>,
            ) -> $crate::Result<()> {
                let batch = self.gathered.batch(prediction, target, weights)?;
                self.accepts(batch.classes())?;
                self.gathered.take(&batch)
            }

            fn take_state(&mut self, state: &[f64]) -> $crate::Result<()> {
                let (classes, cells) = self.gathered.parse(state)?;
                if classes > 0 {
                    self.accepts(classes)?;
                    self.gathered.merge(classes, cells);
                }
                Ok(())
            }
        }
        $crate::metrics::streaming::streaming_metric!($metric, $code);
    };
}
pub(super) use class_metric;

/// `Default` for metrics whose `new` asks for nothing.
macro_rules! default_is_new {
    ($($metric:ident),*) => {
        $(impl Default for $metric {
            fn default() -> Self {
                Self::new()
            }
        })*
    };
}
pub(super) use default_is_new;

/// The threshold of metrics that gather a [`Tally`](super::tally::Tally).
macro_rules! threshold_setting {
    ($($metric:ident),*) => {
        $(impl $metric {
            /// Above which a single output means class 1: 0.5 for probabilities (the default, as in Keras), 0 for
            /// logits.
            #[must_use]
            pub fn threshold(mut self, threshold: f64) -> Self {
                self.gathered.threshold = threshold;
                self
            }
        })*
    };
}
pub(super) use threshold_setting;
