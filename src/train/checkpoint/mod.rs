//! Checkpoints: everything that a training is, in one file.

mod position;
mod restore;
mod snapshot;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

pub(super) use position::{Kept, Position};
use serde_json::{Value, json};
pub(super) use snapshot::Snapshot;

use super::json::number;
use super::trainer::Trainer;
use crate::error::{Error, Result};
use crate::io::description::Description;
use crate::io::model::MODEL;
use crate::io::weights::{add_params, describe_file};
use crate::io::{TensorFile, Tensors};
use crate::layer::Layer;
use crate::model::Model;
use crate::scalar::Scalar;

/// The key of the metadata under which a checkpoint has what is no tensor.
const TRAINING: &str = "layerwise.training";

/// What begins the names of the optimizer's slots.
const SLOTS: &str = "training/slot/";

/// What begins the names of what was gathered of weights' gradients since the last update.
const GATHERED: &str = "training/gathered/";

/// What is asked of the samples with which a run goes on.
pub(super) struct Samples {
    pub(super) settings: Value,
    /// In an epoch.
    pub(super) batches: usize,
}

/// A run that was loaded and goes on with the next `fit`.
pub(super) struct Loaded<A: Scalar> {
    pub(super) position: Position<A>,
    path: PathBuf,
    settings: Value,
}

impl<A: Scalar> Trainer<A> {
    /// Writes everything from which the training can go on in another process with the same bits: weights and state,
    /// architecture, what the optimizer remembers, steps and epochs, rates, and of the last run the place where it ended
    /// (also in the middle of an epoch), its history, and the states of callbacks.
    ///
    /// The file is in the safetensors format ([`io`](crate::io)): weights and model can be loaded from it as from any
    /// other. It is written so that a crash leaves the old file or the new one.
    ///
    /// After [`fit`](Self::fit) the model may not be as it was in its last step: a callback may have put averages or the
    /// best weights into it. A run that is to go on exactly is saved by a callback
    /// ([`Event::save_checkpoint`](super::Event::save_checkpoint)). A [`step`](Self::step) of one's own, or a run that
    /// failed, leaves no run to go on with: then the next `fit` is a new one, with the optimizer as it is here.
    ///
    /// ```
    /// use layerwise::data::datasets;
    /// use layerwise::prelude::*;
    ///
    /// let iris = datasets::iris();
    /// let data = (&iris.features, &iris.labels);
    /// # let path = std::env::temp_dir().join(format!("layerwise-doc-{}.ckpt", std::process::id()));
    /// let model = || Sequential::new().add(Dense::new(16).activation(Activation::Relu)).add(Dense::new(3));
    /// let trainer = |epochs| {
    ///     Trainer::new(SoftmaxCrossEntropy::new(), Adam::new(0.01)).epochs(epochs).progress(Progress::Silent)
    /// };
    ///
    /// let (mut first, mut half) = (model(), trainer(5));
    /// half.fit(&mut first, data)?;
    /// half.save_checkpoint(&first, &path)?;
    ///
    /// // In another process: the same code, and ten epochs in all.
    /// let (mut second, mut whole) = (model(), trainer(10));
    /// whole.load_checkpoint(&mut second, &path)?;
    /// assert_eq!(whole.fit(&mut second, data)?.epochs().len(), 10);
    /// # std::fs::remove_file(path).ok();
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NotBuilt`] before the model was built, [`Error::Custom`] where this trainer has trained another model,
    /// and [`Error::Io`] if the file cannot be written; the old one is as it was then.
    pub fn save_checkpoint(&self, model: &dyn Layer<A>, path: impl AsRef<Path>) -> Result<()> {
        let position = self.loaded.as_ref().map(|loaded| &loaded.position).or(self.ended.as_ref());
        self.write_checkpoint(model, position, path.as_ref())
    }

    /// Goes on from a checkpoint: trainer and model are then as they were when it was saved, and the next
    /// [`fit`](Self::fit), on the same data, goes on in the middle of the run. It gives the whole history, and
    /// [`epochs`](Self::epochs) is the number of epochs in all. (A second `fit` after that is a new run, as always.)
    ///
    /// Model and trainer are made by the same code as those that were saved; a model that is not built yet is built.
    /// Losses, optimizer, metrics, augmentations, batch size, seed and the rest must agree, and so must the number of
    /// samples. What may differ: the number of epochs; threads, since a batch is cut into shards as on the machine on
    /// which the training began; progress; and callbacks: one that is new begins anew, and of one that is gone a warning
    /// in the history tells. What is frozen is what was frozen; it may be changed after loading.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::File`] if the file cannot be read, is damaged, or does not fit the model;
    /// [`Error::Setting`] with both values for a setting that differs. Neither model nor trainer has changed then.
    pub fn load_checkpoint(&mut self, model: &mut dyn Layer<A>, path: impl AsRef<Path>) -> Result<()> {
        self.read_checkpoint(model, &TensorFile::open(path)?)
    }

    /// The same from a file that is open, or in memory: [`TensorFile::from_bytes`].
    ///
    /// # Errors
    /// As for [`load_checkpoint`](Self::load_checkpoint).
    pub fn read_checkpoint(&mut self, model: &mut dyn Layer<A>, file: &TensorFile) -> Result<()> {
        self.restore(model, file, None)
    }

    pub(super) fn write_checkpoint(
        &self,
        model: &dyn Layer<A>,
        position: Option<&Position<A>>,
        path: &Path,
    ) -> Result<()> {
        if self.engine.step() > 0 && self.engine.is_strange_to(model) {
            return Err(Error::custom("save_checkpoint: this trainer has trained another model"));
        }
        let mut tensors = Tensors::new();
        describe_file(&mut tensors, "checkpoint");
        add_params(model, &mut tensors)?;
        let ages = self.add_slots(model, &mut tensors)?;
        let run = position.map(|position| position.write(&mut tensors)).transpose()?;
        let (epochs_done, rates) = match position {
            Some(position) => (position.epochs_done, position.rates),
            None => (self.epochs_done, self.engine.rates()),
        };
        let training = json!({
            "settings": self.settings(), "step": self.engine.step(), "epochs_done": epochs_done,
            "rates": { "fixed": rates.fixed, "factor": rates.factor, "last": self.engine.last_rate().map(number) },
            "shards_of_work": self.shards_of_work(), "inputs": self.sample_shapes, "ages": ages, "run": run,
            "gathered": self.engine.gathered(), "streamed": self.online.seen(),
        });
        tensors.metadata(MODEL, Description::of(model)?.to_json().to_string());
        tensors.metadata(TRAINING, training.to_string());
        tensors.write(path)
    }

    /// Adds what the optimizer remembers of each weight, and what was gathered of its gradients; gives their ages.
    fn add_slots<'a>(&'a self, model: &dyn Layer<A>, tensors: &mut Tensors<'a>) -> Result<Value> {
        let (mut ages, mut seen) = (serde_json::Map::new(), HashSet::new());
        for (name, param) in model.params() {
            let Some((age, slots)) = self.engine.remembered(param.id()) else { continue };
            // A tied one goes by its first name.
            if !seen.insert(param.id()) {
                continue;
            }
            for (slot, values) in self.engine.rule().slots().iter().zip(slots) {
                let shape = slot_shape(param.get()?.shape(), values.len());
                tensors.add::<A>(slot_name(slot, &name), &shape, values)?;
            }
            if let Some(gathered) = self.engine.gathered_of(param.id()) {
                tensors.add::<A>(gathered_name(&name), param.get()?.shape(), gathered)?;
            }
            ages.insert(name, age.into());
        }
        Ok(Value::Object(ages))
    }
}

fn gathered_name(param: &str) -> String {
    format!("{GATHERED}{param}")
}

fn slot_name(slot: &str, param: &str) -> String {
    format!("{SLOTS}{slot}/{param}")
}

/// A slot has the shape of its weight, or is a list where it has another length.
fn slot_shape(weight: &[usize], length: usize) -> Vec<usize> {
    if weight.iter().product::<usize>() == length { weight.to_vec() } else { vec![length] }
}
