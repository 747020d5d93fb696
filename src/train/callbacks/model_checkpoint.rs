use std::path::Path;

use serde_json::json;

use super::every::{Every, every_methods};
use super::monitor::{Monitor, check_finite, monitor_methods};
use super::saved::{Saved, named_numbers, number};
use super::template::Template;
use super::{Callback, CallbackState, Event};
use crate::error::{Error, Result};
use crate::scalar::Scalar;

/// What is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Content {
    Weights,
    Model,
    Checkpoint,
}

/// Saves the model in the course of a run.
///
/// By default after every epoch. [`best_only`](Self::best_only) saves after those epochs alone in which the
/// [monitored](Self::monitor) number was better than ever before; [`keep`](Self::keep) removes old files once the new one
/// is safe. An epoch that was cut short is not saved.
///
/// The path may hold numbers: `{epoch}`, `{batch}`, `{step}`, `{rate}`, and, after epochs, everything that is logged:
/// `{loss}`, `{val_accuracy}`. Formats are `{epoch:03}` (three digits with zeros before), `{val_loss:.4}` (four decimals)
/// and both together; `{{` and `}}` stand for the signs themselves. Folders are made as needed.
///
/// After Keras's `ModelCheckpoint`; that several best ones are kept is after PyTorch Lightning's.
///
/// ```
/// use layerwise::prelude::*;
///
/// let trainer = Trainer::new(SoftmaxCrossEntropy::new(), Adam::new(1e-3))
///     .metric(Accuracy::new())
///     .validation_split(ValidationSplit::Stratified(0.2))
///     .callback(ModelCheckpoint::new("out/best.safetensors").monitor("val_accuracy").best_only())
///     .callback(ModelCheckpoint::new("out/{epoch:03}.checkpoint").checkpoint().every_epochs(5).keep(2));
/// ```
#[derive(Clone, Debug)]
pub struct ModelCheckpoint {
    path: String,
    content: Content,
    every: Every,
    monitor: Monitor,
    best_only: bool,
    threshold: Option<f64>,
    keep: Option<usize>,
    /// The best value so far.
    best: Option<f64>,
    /// The files that may have to go, oldest first, with their values.
    kept: Vec<(String, f64)>,
}

const KIND: &str = "ModelCheckpoint";

impl ModelCheckpoint {
    /// Saves architecture and weights under this path, which may hold fields.
    pub fn new(path: impl Into<String>) -> Self {
        ModelCheckpoint {
            path: path.into(),
            content: Content::Model,
            every: Every::Epochs(1),
            monitor: Monitor::new(KIND, 0.0),
            best_only: false,
            threshold: None,
            keep: None,
            best: None,
            kept: Vec::new(),
        }
    }

    monitor_methods!();

    /// Saves the weights alone.
    #[must_use]
    pub fn weights(mut self) -> Self {
        self.content = Content::Weights;
        self
    }

    /// Saves everything from which the run can go on, which is a model file as well.
    #[must_use]
    pub fn checkpoint(mut self) -> Self {
        self.content = Content::Checkpoint;
        self
    }

    every_methods!("Saves");

    /// Saves only where the monitored number is the best so far; together with [`keep`](Self::keep), where it is among
    /// that many best. NaN never is.
    #[must_use]
    pub fn best_only(mut self) -> Self {
        self.best_only = true;
        self
    }

    /// With [`best_only`](Self::best_only), a value that must be improved on in any case.
    #[must_use]
    pub fn threshold(mut self, value: f64) -> Self {
        self.threshold = Some(value);
        self
    }

    /// Keeps this many files, the newest or the best, and removes the others. The path must tell them apart by
    /// `{epoch}` or `{step}`.
    #[must_use]
    pub fn keep(mut self, files: usize) -> Self {
        self.keep = Some(files);
        self
    }

    fn template(&self) -> Result<Template> {
        Template::parse(&self.path).map_err(|error| error.within(KIND))
    }

    fn check(&self) -> Result<()> {
        let template = self.template()?;
        self.every.check(KIND)?;
        if let Some(threshold) = self.threshold {
            check_finite(KIND, "threshold", threshold)?;
        }
        let steps = matches!(self.every, Every::Steps(_));
        if self.best_only && steps {
            return Err(Error::setting(format!("best_only of {KIND}"), "used after epochs", "every_steps"));
        }
        let Some(keep) = self.keep else { return Ok(()) };
        if keep == 0 {
            return Err(Error::setting(format!("keep of {KIND}"), "at least 1", 0));
        }
        if !template.has_field("step") && (steps || !template.has_field("epoch")) {
            let fields = if steps { "{step}" } else { "{epoch} or {step}" };
            let requirement = format!("one with {fields} in it, so that there are several files to keep");
            return Err(Error::setting(format!("path of {KIND}"), requirement, &self.path));
        }
        Ok(())
    }

    /// Whether a value is worth a file.
    fn is_good(&self, value: f64) -> Result<bool> {
        if !self.best_only {
            return Ok(true);
        }
        if !self.monitor.improves(value, self.threshold)? {
            return Ok(false);
        }
        match self.keep {
            Some(keep) if self.kept.len() < keep => self.monitor.improves(value, None),
            Some(_) => self.monitor.improves(value, self.worst()?.map(|at| self.kept[at].1)),
            None => self.monitor.improves(value, self.best),
        }
    }

    /// Which of the files to keep has the worst value; of equal ones the oldest.
    fn worst(&self) -> Result<Option<usize>> {
        let mut worst = None;
        for (at, &(_, value)) in self.kept.iter().enumerate() {
            if worst.is_none_or(|(_, than)| self.monitor.improves(than, Some(value)).unwrap_or(false)) {
                worst = Some((at, value));
            }
        }
        Ok(worst.map(|(at, _)| at))
    }

    fn save<A: Scalar>(&mut self, event: &mut Event<'_, A>, logs: &[(String, f64)], value: f64) -> Result<()> {
        let own = [
            ("epoch", event.epoch as f64),
            ("batch", event.batch as f64),
            ("step", event.step as f64),
            ("rate", event.rate()),
        ];
        let logs = logs.iter().map(|(name, value)| (name.as_str(), *value));
        let numbers: Vec<_> = own.into_iter().chain(logs).collect();
        let path = self.template()?.fill(&numbers).map_err(|error| error.within(KIND))?;
        make_folder_of(Path::new(&path))?;
        match self.content {
            Content::Weights => event.save_weights(&path),
            Content::Model => event.save_model(&path),
            Content::Checkpoint => event.save_checkpoint(&path),
        }
        self.best = self.best_only.then_some(value);
        let Some(keep) = self.keep else { return Ok(()) };
        self.kept.retain(|(kept, _)| *kept != path);
        self.kept.push((path, value));
        while self.kept.len() > keep {
            let at = if self.best_only { self.worst()?.unwrap_or(0) } else { 0 };
            event.remove_file(self.kept.remove(at).0);
        }
        Ok(())
    }
}

/// Makes the folders that a file is to stand in.
fn make_folder_of(path: &Path) -> Result<()> {
    match path.parent() {
        Some(folder) => std::fs::create_dir_all(folder).map_err(|source| Error::Io { path: folder.into(), source }),
        None => Ok(()),
    }
}

impl<A: Scalar> Callback<A> for ModelCheckpoint {
    fn kind(&self) -> &str {
        KIND
    }

    fn state(&self) -> CallbackState<A> {
        let settings = json!({ "best": self.best.map(number), "kept": named_numbers(&self.kept) });
        CallbackState { settings, ..CallbackState::default() }
    }

    fn restore(&mut self, state: CallbackState<A>) -> Result<()> {
        let saved = Saved::new(KIND, &state.settings);
        (self.best, self.kept) = (saved.maybe_number("best")?, saved.named_numbers("kept")?);
        Ok(())
    }

    fn on_train_begin(&mut self, _: &mut Event<'_, A>) -> Result<()> {
        (self.best, self.kept) = (None, Vec::new());
        self.check()
    }

    fn on_batch_end(&mut self, event: &mut Event<'_, A>) -> Result<()> {
        if self.every.is_due_at_step(event) {
            let loss = event.loss;
            self.save(event, &[("loss".to_owned(), loss)], loss)?;
        }
        Ok(())
    }

    fn on_epoch_end(&mut self, event: &mut Event<'_, A>) -> Result<()> {
        let value = if self.best_only { self.monitor.value(event)? } else { Some(0.0) };
        let (Some(value), Some(epoch)) = (value, event.last_epoch()) else { return Ok(()) };
        if self.every.is_due_at_epoch(event) && self.is_good(value)? {
            let logs = epoch.values().to_vec();
            self.save(event, &logs, value)?;
        }
        Ok(())
    }
}
