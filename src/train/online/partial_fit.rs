use crate::data::augmentation::Draw;
use crate::data::{Dataset, IntoDataset};
use crate::error::{Error, Result};
use crate::layer::Layer;
use crate::scalar::Scalar;
use crate::train::evaluate::Mean;
use crate::train::feed::{Feed, Plan};
use crate::train::fit::AUGMENTATION;
use crate::train::history::Report;
use crate::train::task::{Batch, Rows};
use crate::train::trainer::Trainer;

/// What a trainer keeps from one call of [`partial_fit`](Trainer::partial_fit) to the next.
pub(in crate::train) struct Online<A: Scalar> {
    /// The numbers 0, 1, 2... of a call's samples.
    rows: Vec<usize>,
    /// The losses of the last call, what regularizers added to them, and the results of the metrics.
    means: Vec<Mean>,
    penalty: Mean,
    results: Vec<f64>,
    /// The samples since the epoch began.
    seen: u64,
    /// Where batches come from, if they are augmented.
    feed: Option<Feed<A>>,
}

impl<A: Scalar> Default for Online<A> {
    fn default() -> Self {
        Online {
            rows: Vec::new(),
            means: Vec::new(),
            penalty: Mean::default(),
            results: Vec::new(),
            seen: 0,
            feed: None,
        }
    }
}

impl<A: Scalar> Online<A> {
    /// The next sample is the first of an epoch.
    pub(in crate::train) fn begin_epoch(&mut self) {
        self.seen = 0;
    }

    /// The next sample comes after so many of the epoch.
    pub(in crate::train) fn go_on_from(&mut self, seen: u64) {
        self.seen = seen;
    }

    pub(in crate::train) fn seen(&self) -> u64 {
        self.seen
    }

    /// The augmentations have changed.
    pub(in crate::train) fn forget_feed(&mut self) {
        self.feed = None;
    }

    fn begin(&mut self, samples: usize, losses: usize) {
        self.rows.extend(self.rows.len()..samples);
        self.means.clear();
        self.means.resize(losses, Mean::default());
        self.penalty = Mean::default();
        self.results.clear();
    }
}

impl<A: Scalar> Trainer<A> {
    /// Goes once over samples as they came, in steps of at most [`batch_size`](Self::batch_size), and gives their mean
    /// loss, that of each sample before the step on it: for data that keep coming. The name is scikit-learn's. Builds the
    /// network if it is not built yet.
    ///
    /// The batches of an epoch in their order, one call each or several together, lead to the same bits as
    /// [`fit`](Self::fit) for that epoch with [`shuffle(false)`](Self::shuffle): schedules, dropout, augmentation and
    /// shards go by the steps and samples so far. A call is the end of nothing: what [`accumulate`](Self::accumulate)
    /// gathers goes on into the next, and [`update_gathered`](Self::update_gathered) does what `fit` does at the end of
    /// an epoch. There is no validation, and callbacks are not called.
    ///
    /// [`streamed`](Self::streamed) has the metrics of the call. In a steady state nothing is allocated. A
    /// [checkpoint](Self::save_checkpoint) goes on exactly; a run of `fit` that was loaded from one does not.
    ///
    /// ```
    /// use layerwise::data::datasets;
    /// use layerwise::prelude::*;
    ///
    /// let iris = datasets::iris();
    /// let data = Dataset::new(&iris.features, &iris.labels)?;
    /// let model = || Sequential::new().add(Dense::new(8).activation(Activation::Tanh)).add(Dense::new(3));
    /// let trainer = || {
    ///     Trainer::new(SoftmaxCrossEntropy::new(), Adam::new(0.01)).batch_size(10).shuffle(false).progress(Progress::Silent)
    /// };
    ///
    /// let (mut whole, mut streamed) = (model(), model());
    /// trainer().fit(&mut whole, &data)?;
    /// let mut online = trainer();
    /// for start in (0..150).step_by(10) {
    ///     let rows: Vec<usize> = (start..start + 10).collect();
    ///     online.partial_fit(&mut streamed, &data.rows(&rows)?)?;
    /// }
    /// assert_eq!(whole.predict(&iris.features)?, streamed.predict(&iris.features)?);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`fit`](Self::fit). The steps before the failing one are taken, and that one has changed nothing;
    /// [`savepoint`](Self::savepoint) and [`roll_back`](Self::roll_back) take those back too.
    pub fn partial_fit<'d>(&mut self, model: &mut dyn Layer<A>, data: impl IntoDataset<'d, A>) -> Result<f64> {
        let data = data.into_dataset()?;
        (self.loaded, self.ended) = (None, None);
        self.prepare(model, &data)?;
        self.augmentations.check_data(&data).map_err(|error| error.within(AUGMENTATION))?;
        let mut online = std::mem::take(&mut self.online);
        online.begin(data.len(), self.losses.len());
        self.metrics.iter_mut().for_each(|(_, metric)| metric.reset());
        let taken = self.take_stream(model, &data, &mut online);
        online.results.extend(self.metrics.iter().map(|(_, metric)| metric.result()));
        self.online = online;
        taken?;
        Ok(self.mean_loss(&self.online.means, self.online.penalty.value()))
    }

    /// Loss and metrics over the samples of the last [`partial_fit`](Self::partial_fit), each as it was before the step
    /// on it: how well the network does on what it has not seen yet. Nothing before the first.
    pub fn streamed(&self) -> Report {
        let Online { means, penalty, results, .. } = &self.online;
        if means.is_empty() {
            return Report::default();
        }
        Report { logs: self.named(means, penalty.value(), results.iter().copied()) }
    }

    /// Changes the weights by the mean of the gradients that were gathered since the last update
    /// ([`accumulate`](Self::accumulate)), as `fit` does at the end of an epoch, and tells whether there were any.
    ///
    /// # Errors
    /// [`Error::Custom`] where they are of another model, [`Error::NonFinite`] for a gradient norm that is none; what
    /// was gathered is forgotten then.
    pub fn update_gathered(&mut self, model: &mut dyn Layer<A>) -> Result<bool> {
        if self.engine.gathered() == 0 {
            return Ok(false);
        }
        if !self.engine.fits(model) {
            return Err(Error::custom("update_gathered: what this trainer has gathered is of another model"));
        }
        self.engine.check_rate()?;
        self.engine.flush(model, &mut self.workers, self.threads)
    }

    fn take_stream(&mut self, model: &mut dyn Layer<A>, data: &Dataset<A>, online: &mut Online<A>) -> Result<()> {
        let rows = std::mem::take(&mut online.rows);
        let order = &rows[..data.len()];
        let taken = match self.augmentations.is_empty() {
            true => order.chunks(self.batch_size).try_for_each(|chunk| {
                // All of them are taken as they are, without a copy.
                let rows = if chunk.len() == order.len() { Rows::All } else { Rows::Of(chunk) };
                self.take_batch(model, Batch { data, rows }, online)
            }),
            false => self.take_augmented(model, data, order, online),
        };
        online.rows = rows;
        taken
    }

    fn take_augmented(
        &mut self,
        model: &mut dyn Layer<A>,
        data: &Dataset<A>,
        order: &[usize],
        online: &mut Online<A>,
    ) -> Result<()> {
        let mut feed = online.feed.take().unwrap_or_else(|| Feed::new(self.augmentations.clone()));
        let draw = Draw { seed: self.seed, epoch: self.epochs_done, before: online.seen };
        let plan = Plan { data, order, batch_size: self.batch_size, draw };
        let fed = feed.run(plan, self.threads, |batch, rows| {
            self.take_batch(model, Batch { data: batch, rows: Rows::Taken(rows) }, online)?;
            self.pass.release();
            Ok(false)
        });
        online.feed = Some(feed);
        fed
    }

    fn take_batch(&mut self, model: &mut dyn Layer<A>, batch: Batch<'_, A>, online: &mut Online<A>) -> Result<()> {
        let stepped = self.train_on(model, batch, None, !self.metrics.is_empty(), false)?;
        self.gather(stepped.shards, batch.len(), &mut online.means)?;
        online.penalty.add(stepped.penalty, batch.len() as f64);
        online.seen += batch.len() as u64;
        Ok(())
    }
}
