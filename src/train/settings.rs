//! The settings of a training as JSON, and whether those of a checkpoint agree with them.

use serde_json::{Map, Value, json};

use super::json::shown;
use super::trainer::{Trainer, Validation};
use crate::data::{Dataset, ValidationSplit};
use crate::error::{Error, Result};
use crate::scalar::Scalar;

impl<A: Scalar> Trainer<A> {
    /// Everything that must be the same for a run to go on with the same bits. Not in it: the number of epochs, which
    /// may grow, the number of threads, which changes no bit, and callbacks, which have a state instead.
    pub(super) fn settings(&self) -> Value {
        let losses = self
            .losses
            .iter()
            .map(|(loss, weight)| json!({ "kind": loss.kind(), "config": loss.config(), "weight": weight }));
        let metrics = self.metrics.iter().map(|(output, metric)| json!({ "name": metric.name(), "output": output }));
        let clipping = self.engine.clipping();
        json!({
            "number_type": A::NAME,
            "losses": losses.collect::<Vec<_>>(),
            "metrics": metrics.collect::<Vec<_>>(),
            "optimizer": self.engine.settings(),
            "clip_norm": clipping.norm,
            "clip_norm_each": clipping.norm_each,
            "clip_value": clipping.value,
            "accumulate": Some(self.engine.accumulates()).filter(|&batches| batches > 1),
            "groups": self.engine.group_settings(),
            "augmentations": self.augmentations.settings(),
            "validation": validation(&self.validation),
            "batch_size": self.batch_size,
            "shuffle": self.shuffle,
            "seed": self.seed,
            "shards": self.shards,
            "micro_batch": self.micro_batch,
        })
    }
}

fn validation<A: Scalar>(validation: &Validation<A>) -> Value {
    let split = |kind: &str, fraction: f64| json!({ "split": kind, "fraction": fraction });
    match validation {
        Validation::None => Value::Null,
        Validation::Data(_) => json!("data of its own"),
        Validation::Split(ValidationSplit::Last(fraction)) => split("last", *fraction),
        Validation::Split(ValidationSplit::Shuffled(fraction)) => split("shuffled", *fraction),
        Validation::Split(ValidationSplit::Stratified(fraction)) => split("stratified", *fraction),
    }
}

/// What of the samples must be the same. Their values are not looked at.
pub(super) fn data_settings<A: Scalar>(training: &Dataset<A>, held_back: Option<&Dataset<A>>) -> Value {
    let shapes =
        |tensors: &[crate::Tensor<A>]| tensors.iter().map(|tensor| json!(&tensor.shape()[1..])).collect::<Vec<_>>();
    json!({
        "samples": training.len(),
        "inputs": shapes(training.inputs()),
        "targets": shapes(training.targets()),
        "sample_weights": training.sample_weights().is_some(),
        "validation_samples": held_back.map(Dataset::len),
    })
}

/// Compares settings with those of a checkpoint.
///
/// # Errors
/// [`Error::Setting`] for the first that differs, with its place and both values.
pub(super) fn check_agree(place: &str, saved: &Value, now: &Value) -> Result<()> {
    match (saved, now) {
        (Value::Object(saved), Value::Object(now)) => check_entries(place, saved, now),
        (Value::Array(saved), Value::Array(now)) if saved.len() == now.len() => {
            let mut pairs = saved.iter().zip(now).enumerate();
            pairs.try_for_each(|(at, (saved, now))| check_agree(&format!("{place}[{at}]"), saved, now))
        }
        _ if saved == now => Ok(()),
        _ => Err(Error::setting(place, format!("{}, as in the checkpoint", shown(saved)), shown(now))),
    }
}

fn check_entries(place: &str, saved: &Map<String, Value>, now: &Map<String, Value>) -> Result<()> {
    let dot = if place.is_empty() { "" } else { "." };
    let only_now = now.keys().filter(|key| !saved.contains_key(*key));
    for key in saved.keys().chain(only_now) {
        let [saved, now] = [saved, now].map(|settings| settings.get(key).unwrap_or(&Value::Null));
        check_agree(&format!("{place}{dot}{key}"), saved, now)?;
    }
    Ok(())
}
