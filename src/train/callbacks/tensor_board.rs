use std::path::{Path, PathBuf};

use super::{Callback, Event};
use crate::error::{Error, Result};
use crate::io::EventWriter;
use crate::model::Model;
use crate::scalar::Scalar;

/// Writes a run for [TensorBoard](https://www.tensorflow.org/tensorboard), under the names that Keras uses.
///
/// The folder gets two folders, which TensorBoard shows as two runs side by side:
///
/// - `train`: after each epoch `epoch_loss`, `epoch_learning_rate` (that of its last step) and `epoch_` before the name
///   of each metric; if asked for, `batch_loss` and `batch_learning_rate` every few steps, and a histogram of each
///   weight and state, such as `0/weight`, every few epochs. At the beginning the graph of the model, and its
///   summary as a text.
/// - `validation`: the same of the validation, if there is one, so that `epoch_loss` has two curves in one chart.
///
/// The step of what comes once an epoch is the epoch, counted from 1; that of what comes once a batch is the number of
/// steps that the optimizer has taken. A run that is resumed goes on from there in files of its own, which TensorBoard
/// shows as one run with the earlier ones; of steps that were taken twice, because a crash came after the checkpoint, its
/// usual loader shows the second. Give every run that begins anew a folder of its own.
///
/// After each epoch everything is handed to the system: a process that is killed leaves what TensorBoard can read.
///
/// ```no_run
/// use layerwise::prelude::*;
/// use layerwise::train::callbacks::TensorBoard;
///
/// let board = TensorBoard::new("runs/first").histograms(5).update_every(100);
/// let trainer = Trainer::new(MeanSquaredError::new(), Adam::new(1e-3)).callback(board);
/// ```
///
/// `tensorboard --logdir runs` then shows every run in `runs`. For images, texts and numbers of one's own there is
/// [`EventWriter`].
#[derive(Debug)]
pub struct TensorBoard {
    folder: PathBuf,
    histograms: Option<usize>,
    update_every: Option<usize>,
    train: Option<EventWriter>,
    validation: Option<EventWriter>,
}

/// What begins the names of the numbers of the validation.
const VALIDATION: &str = "val_";

impl TensorBoard {
    /// Into a folder, which is made when training begins.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        TensorBoard { folder: folder.into(), histograms: None, update_every: None, train: None, validation: None }
    }

    /// Histograms of all weights and states after every so many epochs.
    #[must_use]
    pub fn histograms(mut self, epochs: usize) -> Self {
        self.histograms = Some(epochs);
        self
    }

    /// The loss of a batch and the learning rate after every so many steps.
    #[must_use]
    pub fn update_every(mut self, steps: usize) -> Self {
        self.update_every = Some(steps);
        self
    }

    /// The file for one part of the run, made when it is first needed.
    fn writer<'w>(folder: &Path, part: &str, writer: &'w mut Option<EventWriter>) -> Result<&'w mut EventWriter> {
        Ok(match writer {
            Some(writer) => writer,
            None => writer.insert(EventWriter::create(folder.join(part))?),
        })
    }

    fn train(&mut self) -> Result<&mut EventWriter> {
        Self::writer(&self.folder, "train", &mut self.train)
    }

    fn validation(&mut self) -> Result<&mut EventWriter> {
        Self::writer(&self.folder, "validation", &mut self.validation)
    }
}

impl<A: Scalar> Callback<A> for TensorBoard {
    fn on_train_begin(&mut self, event: &mut Event<'_, A>) -> Result<()> {
        for (name, every) in [("histograms", self.histograms), ("update_every", self.update_every)] {
            if every == Some(0) {
                return Err(Error::setting(format!("{name} of TensorBoard"), "at least 1", 0));
            }
        }
        (self.train, self.validation) = (None, None);
        // A layer that remembers no shapes is shown without them.
        let inputs = event.model.built_for().unwrap_or_default();
        let writer = self.train()?;
        writer.graph(&*event.model, &inputs)?;
        if !inputs.is_empty() {
            writer.text("model", 0, &format!("```\n{}\n```", event.model.summary_all(&inputs)?))?;
        }
        writer.flush()
    }

    fn on_batch_end(&mut self, event: &mut Event<'_, A>) -> Result<()> {
        let (step, loss) = (event.step, event.loss);
        if !event.updated || self.update_every.is_none_or(|every| !step.is_multiple_of(every as u64)) {
            return Ok(());
        }
        let writer = self.train()?;
        writer.scalar("batch_loss", step, loss)?;
        writer.scalar("batch_learning_rate", step, event.rate())?;
        writer.flush()
    }

    fn on_epoch_end(&mut self, event: &mut Event<'_, A>) -> Result<()> {
        let number = event.epoch as u64;
        if let Some(epoch) = event.last_epoch() {
            for (name, value) in epoch.values() {
                match name.strip_prefix(VALIDATION) {
                    Some(name) => self.validation()?.scalar(&format!("epoch_{name}"), number, *value)?,
                    None => self.train()?.scalar(&format!("epoch_{name}"), number, *value)?,
                }
            }
            self.train()?.scalar("epoch_learning_rate", number, epoch.rate)?;
        }
        if self.histograms.is_some_and(|every| event.epoch.is_multiple_of(every)) {
            let writer = self.train()?;
            for (name, param) in event.model.params() {
                if !param.is_empty() {
                    writer.histogram(&name.replace('.', "/"), number, param.values()?)?;
                }
            }
        }
        [&mut self.train, &mut self.validation].into_iter().flatten().try_for_each(EventWriter::flush)
    }

    fn on_train_end(&mut self, _: &mut Event<'_, A>) -> Result<()> {
        (self.train, self.validation) = (None, None);
        Ok(())
    }
}
