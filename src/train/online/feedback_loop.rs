use std::path::PathBuf;

use super::drift::{Change, DriftDetector};
use super::errors::SampleError;
use super::guard::Guard;
use super::replay_buffer::ReplayBuffer;
use crate::scalar::Scalar;
use crate::train::trainer::Trainer;

/// A deployed model that learns from its users.
///
/// Feedback is samples with the targets that users have given or let stand, as they come. For each batch of it
/// [`learn`](Self::learn)
///
/// 1. looks how wrong the model is about it ([`SampleError`]), and shows that to the [`detector`](Self::detector);
/// 2. weighs it: what corrects the model counts [`correction_weight`](Self::correction_weight) times, what confirms it
///    [`confirmation_weight`](Self::confirmation_weight) times, beside weights of the samples' own (how far a user is
///    trusted);
/// 3. takes [`passes`](Self::passes) over it, each mixed anew with old samples out of the [`replay`](Self::replay)
///    buffer ([`Trainer::partial_fit`]);
/// 4. asks the [`guard`](Self::guard), and if the model has become worse takes back what it has learned;
/// 5. if not, writes the [`checkpoint`](Self::checkpoint) and adds the batch to the buffer.
///
/// Only the trainer is needed. For networks with one input and one output.
///
/// ```
/// use layerwise::data::datasets;
/// use layerwise::prelude::*;
/// use layerwise::train::online::{Adwin, FeedbackLoop, Guard, ReplayBuffer};
///
/// let iris = datasets::iris();
/// let data = Dataset::new(&iris.features, &iris.labels)?;
/// let mut model = Sequential::new().add(Dense::new(16).activation(Activation::Relu)).add(Dense::new(3));
/// let mut trainer = Trainer::new(SoftmaxCrossEntropy::new(), Adam::new(0.01)).epochs(20).progress(Progress::Silent);
/// trainer.fit(&mut model, &data)?;
///
/// let mut buffer = ReplayBuffer::new(100).class_balanced();
/// buffer.add(&data)?;
/// let mut feedback = FeedbackLoop::new(trainer)
///     .detector(Adwin::new())
///     .replay(buffer, 2.0)
///     .guard(Guard::held_out(&data)?)
///     .correction_weight(3.0);
/// let learned = feedback.learn(&mut model, &data.rows(&[0, 60, 120])?)?;
/// assert!(learned.error <= 1.0 && learned.drift.is_none());
/// # Ok::<(), Error>(())
/// ```
pub struct FeedbackLoop<A: Scalar = f32> {
    pub(super) trainer: Trainer<A>,
    pub(super) error: SampleError,
    pub(super) detector: Option<Box<dyn DriftDetector>>,
    pub(super) buffer: Option<ReplayBuffer<A>>,
    pub(super) replayed: f64,
    pub(super) replay_weight: f64,
    pub(super) correction_weight: f64,
    pub(super) confirmation_weight: f64,
    pub(super) passes: usize,
    pub(super) guard: Option<Guard<A>>,
    pub(super) forget_on_drift: bool,
    pub(super) checkpoint: Option<PathBuf>,
    pub(super) seen: u64,
}

/// What came of one batch of feedback.
#[derive(Clone, Debug, PartialEq)]
pub struct Learned {
    /// The mean error of the model over the batch before it learned from it.
    pub error: f64,
    /// The mean loss in the first pass, old samples and weights included; `None` where all samples were kept aside.
    pub loss: Option<f64>,
    /// The first change that the detector has told of, and the sample with which it did, counted from 0 over the whole
    /// stream.
    pub drift: Option<(u64, Change)>,
    /// The error that the guard judged by and that after learning, if it had samples to judge on.
    pub judged: Option<(f64, f64)>,
    /// Whether what was learned was taken back.
    pub rolled_back: bool,
}

impl<A: Scalar> FeedbackLoop<A> {
    /// Learns with this trainer, whose optimizer goes on from where it is: losses, batch size, seed and the rest are its.
    pub fn new(trainer: Trainer<A>) -> Self {
        FeedbackLoop {
            trainer,
            error: SampleError::Mistake,
            detector: None,
            buffer: None,
            replayed: 1.0,
            replay_weight: 1.0,
            correction_weight: 1.0,
            confirmation_weight: 1.0,
            passes: 1,
            guard: None,
            forget_on_drift: false,
            checkpoint: None,
            seen: 0,
        }
    }

    /// What counts as an error; [`SampleError::Mistake`] by default.
    #[must_use]
    pub fn error(mut self, error: SampleError) -> Self {
        self.error = error;
        self
    }

    /// Watches the errors of what comes, sample by sample.
    #[must_use]
    pub fn detector(mut self, detector: impl DriftDetector + 'static) -> Self {
        self.detector = Some(Box::new(detector));
        self
    }

    /// Learns old samples again, so many for each new one. The buffer may hold what the model was trained on.
    #[must_use]
    pub fn replay(mut self, buffer: ReplayBuffer<A>, for_each: f64) -> Self {
        (self.buffer, self.replayed) = (Some(buffer), for_each);
        self
    }

    /// A factor for the weights of what is replayed; 1 by default.
    #[must_use]
    pub fn replay_weight(mut self, weight: f64) -> Self {
        self.replay_weight = weight;
        self
    }

    /// The weight of samples whose class the model had wrong; 1 by default. It is kept in the buffer.
    #[must_use]
    pub fn correction_weight(mut self, weight: f64) -> Self {
        self.correction_weight = weight;
        self
    }

    /// The weight of samples whose class the model had right; 1 by default.
    #[must_use]
    pub fn confirmation_weight(mut self, weight: f64) -> Self {
        self.confirmation_weight = weight;
        self
    }

    /// How often each batch is gone over; 1 by default.
    #[must_use]
    pub fn passes(mut self, passes: usize) -> Self {
        self.passes = passes;
        self
    }

    /// Takes back what makes the model worse.
    #[must_use]
    pub fn guard(mut self, guard: Guard<A>) -> Self {
        self.guard = Some(guard);
        self
    }

    /// Clears the buffer when errors rise: for changes after which the old targets are wrong. Not by default.
    #[must_use]
    pub fn forget_on_drift(mut self, forget: bool) -> Self {
        self.forget_on_drift = forget;
        self
    }

    /// Writes a [checkpoint](Trainer::save_checkpoint) to this file after each batch that was not taken back: the last
    /// good state, with which another process goes on ([`Trainer::load_checkpoint`]).
    #[must_use]
    pub fn checkpoint(mut self, path: impl Into<PathBuf>) -> Self {
        self.checkpoint = Some(path.into());
        self
    }

    /// The trainer.
    pub fn trainer(&self) -> &Trainer<A> {
        &self.trainer
    }

    /// The trainer, to evaluate, load and save with.
    pub fn trainer_mut(&mut self) -> &mut Trainer<A> {
        &mut self.trainer
    }

    /// The replay buffer, if there is one.
    pub fn buffer(&self) -> Option<&ReplayBuffer<A>> {
        self.buffer.as_ref()
    }

    /// The samples of all feedback that was not refused.
    pub fn seen(&self) -> u64 {
        self.seen
    }
}
