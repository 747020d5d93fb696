//! Which weights have a rate or a decay of their own.

use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::gradients::Binding;
use crate::layer::Layer;
use crate::model::Model;
use crate::param::{Param, Visitor};
use crate::scalar::Scalar;

/// What a weight has of the optimizer's rate and of its decay.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Share {
    pub(super) rate: f64,
    pub(super) decay: f64,
}

/// What of some weights is scaled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::train) enum Scaled {
    Rate,
    Decay,
}

impl Scaled {
    /// The method of the trainer that sets it.
    fn method(self) -> &'static str {
        match self {
            Scaled::Rate => "rate_for",
            Scaled::Decay => "decay_for",
        }
    }
}

/// Factors by the names of weights.
#[derive(Clone, Default)]
pub(super) struct Groups {
    factors: Vec<(Scaled, String, f64)>,
    /// Whether vectors have no decay.
    matrices_only: bool,
}

impl Groups {
    pub(super) fn add(&mut self, what: Scaled, names: String, factor: f64) {
        self.factors.push((what, names, factor));
    }

    pub(super) fn decay_matrices_only(&mut self) {
        self.matrices_only = true;
    }

    /// Refuses factors and patterns that are none.
    pub(super) fn check(&self) -> Result<()> {
        for (what, names, factor) in &self.factors {
            let method = what.method();
            if !(factor.is_finite() && *factor >= 0.0) {
                let name = format!("factor of {method} \"{names}\"");
                return Err(Error::setting(name, "a finite number of at least 0", factor));
            }
            if names.matches('*').count() > 1 {
                return Err(Error::setting(format!("names of {method}"), "a pattern with one star at most", names));
            }
        }
        Ok(())
    }

    /// Refuses names that no parameter of the model has: they are misspelt.
    pub(super) fn check_names<A: Scalar>(&self, model: &dyn Layer<A>) -> Result<()> {
        if self.factors.is_empty() {
            return Ok(());
        }
        let params = model.params();
        for (what, names, _) in &self.factors {
            if !params.iter().any(|(name, _)| matches(names, name)) {
                let some: Vec<_> = params.iter().take(4).map(|(name, _)| &name[..]).collect();
                let requirement = format!("those of parameters of the model ({}...)", some.join(", "));
                return Err(Error::setting(format!("names of {}", what.method()), requirement, format!("\"{names}\"")));
            }
        }
        Ok(())
    }

    /// The share of each span.
    pub(super) fn shares<A: Scalar>(&self, model: &dyn Layer<A>, binding: &Binding) -> Vec<Share> {
        let mut shares = vec![Share { rate: 1.0, decay: 1.0 }; binding.spans.len()];
        if self.factors.is_empty() && !self.matrices_only {
            return shares;
        }
        // A tied weight has several names.
        let mut names: Vec<Vec<String>> = vec![Vec::new(); shares.len()];
        let mut each = |name: &str, param: &Param<A>| {
            let Some(at) = binding.position(param.id()) else { return };
            names[at].push(name.to_owned());
            if self.matrices_only && param.shape().is_some_and(|shape| shape.len() < 2) {
                shares[at].decay = 0.0;
            }
        };
        model.visit(&mut Visitor::new(&mut each));
        for (share, own) in shares.iter_mut().zip(&names) {
            for (what, names, factor) in &self.factors {
                match what {
                    _ if !own.iter().any(|name| matches(names, name)) => {}
                    Scaled::Rate => share.rate = *factor,
                    Scaled::Decay => share.decay = *factor,
                }
            }
        }
        shares
    }

    /// As checkpoints have them; `null` where there are none.
    pub(super) fn settings(&self) -> Value {
        if self.factors.is_empty() && !self.matrices_only {
            return Value::Null;
        }
        let factors = self.factors.iter().map(|(what, names, factor)| json!([what.method(), names, factor]));
        json!({ "factors": factors.collect::<Vec<_>>(), "decay_matrices_only": self.matrices_only })
    }
}

/// Whether a parameter is meant: by its whole name, by that of a layer that it is in, or by a pattern in which a star
/// stands for anything.
fn matches(names: &str, name: &str) -> bool {
    match names.split_once('*') {
        Some((begin, end)) => name.len() >= begin.len() + end.len() && name.starts_with(begin) && name.ends_with(end),
        None => name.strip_prefix(names).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')),
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn names_are_whole_or_end_at_a_dot_or_have_a_star() {
        for (names, name, meant) in [
            ("2", "2.weight", true),
            ("2", "20.weight", false),
            ("2.weight", "2.weight", true),
            ("2.weight", "2.weights", false),
            ("encoder", "encoder.0.bias", true),
            ("encoder.0", "encoder.0.bias", true),
            ("*.bias", "encoder.0.bias", true),
            ("*.bias", "encoder.0.bias.x", false),
            ("encoder.*.bias", "encoder.0.bias", true),
            ("encoder.*.bias", "encoder.bias", false),
            ("*", "weight", true),
            ("aba*aba", "aba", false),
            ("", "weight", false),
        ] {
            assert_eq!(matches(names, name), meant, "{names} for {name}");
        }
    }
}
