//! Running statistics, worked out anew.

use super::checkpoint::Snapshot;
use super::task::{Batch, Purpose, Rows, Targets, Task};
use super::trainer::Trainer;
use crate::data::{Dataset, IntoDataset};
use crate::error::Result;
use crate::layer::Layer;
use crate::scalar::Scalar;

impl<A: Scalar> Trainer<A> {
    /// Works out the running statistics of batch normalisation anew, as the means of those of the batches of `data`, each
    /// with the same weight (PyTorch's `update_bn`): for weights that no training step has made, such as
    /// [averages](super::callbacks::WeightAveraging).
    ///
    /// The samples go through the network in their order, [`batch_size`](Self::batch_size) at once, as in training:
    /// dropout drops. No weight changes; statistics that are frozen stay.
    ///
    /// ```
    /// use layerwise::data::datasets;
    /// use layerwise::prelude::*;
    ///
    /// let iris = datasets::iris();
    /// let data = (&iris.features, &iris.labels);
    /// let mut model = Sequential::new().add(Dense::new(8)).add(BatchNormalization::new()).add(Dense::new(3));
    /// let mut trainer = Trainer::new(SoftmaxCrossEntropy::new(), Sgd::new(0.1))
    ///     .callback(WeightAveraging::swa())
    ///     .epochs(4)
    ///     .progress(Progress::Silent);
    /// trainer.fit(&mut model, data)?;
    /// trainer.refresh_statistics(&mut model, data)?;
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// Where a setting cannot work, or the data do not fit the network, which must be built. All statistics are as they
    /// were then.
    pub fn refresh_statistics<'d>(&mut self, model: &mut dyn Layer<A>, data: impl IntoDataset<'d, A>) -> Result<()> {
        self.check_settings()?;
        let data = data.into_dataset()?;
        self.check_outputs(model, &data)?;
        let before = Snapshot::of(model);
        // As in `evaluate`: this need not be the model that was trained.
        self.pass.forget_shapes();
        let refreshed = self.refresh_over(model, &data);
        self.pass.forget_shapes();
        if refreshed.is_err() {
            before.put_back(model);
        }
        refreshed
    }

    fn refresh_over(&mut self, model: &mut dyn Layer<A>, data: &Dataset<A>) -> Result<()> {
        let rows: Vec<usize> = (0..data.len()).collect();
        for (number, rows) in rows.chunks(self.batch_size).enumerate() {
            let targets = Targets { losses: &self.losses, instead: None };
            let batch = Batch { data, rows: Rows::Of(rows) };
            let purpose = Purpose::Refresh { seed: self.seed, batch: number as u64 };
            let task = Task { model, targets, batch, purpose, predictions: false, micro_batch: self.micro_batch };
            let plan = task.plan(self.shards, self.shards_of_work(), self.threads);
            self.pass.run(task, plan, &mut self.workers)?;
            self.pass.commit_state(model);
        }
        Ok(())
    }
}
