use super::check_not_negative;
use super::errors::SampleError;
use super::rows::Rows;
use super::savepoint::Savepoint;
use crate::data::{Dataset, IntoDataset};
use crate::error::{Error, Result};
use crate::layer::Layer;
use crate::scalar::Scalar;
use crate::train::trainer::Trainer;

/// Judges what a [`FeedbackLoop`](super::FeedbackLoop) has learned from a batch, which is taken back if the model has
/// become worse by more than a [`tolerance`](Self::tolerance): mistaken or malicious feedback, or a step too far.
///
/// Judged is the mean error ([`SampleError`]) over
///
/// - [`held_out`](Self::held_out): samples that are never trained on, against the least error on them so far. What it has
///   once learned it may then not lose, and a slow decline is one too.
/// - [`recent`](Self::recent): feedback of which every so-manieth sample is kept aside, the last ones, before the batch
///   and after it. It goes with a world that changes. What has been kept aside is learned from when newer samples have
///   pushed it out, through the replay buffer.
///
/// ```
/// use layerwise::train::online::Guard;
///
/// let guard: Guard = Guard::recent(5, 200).tolerance(0.05);
/// ```
#[derive(Clone)]
pub struct Guard<A: Scalar = f32> {
    judges: Judges<A>,
    tolerance: f64,
}

#[derive(Clone)]
enum Judges<A: Scalar> {
    HeldOut { data: Dataset<A>, least: Option<f64> },
    Recent { every: usize, window: usize, aside: Rows<A>, next: usize, seen: u64 },
}

/// What a guard found: the error that was to be kept, and that after a batch.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Judgement {
    pub(super) before: f64,
    pub(super) after: f64,
    pub(super) is_worse: bool,
}

impl<A: Scalar> Guard<A> {
    /// Judges on these samples.
    ///
    /// # Errors
    /// As for [`Dataset::new`].
    pub fn held_out<'d>(data: impl IntoDataset<'d, A>) -> Result<Self> {
        let data = data.into_dataset()?.into_owned();
        Ok(Guard { judges: Judges::HeldOut { data, least: None }, tolerance: 0.02 })
    }

    /// Keeps one of every so many samples of the feedback aside, and judges on the last `window` of those.
    pub fn recent(every: usize, window: usize) -> Self {
        Guard { judges: Judges::Recent { every, window, aside: Rows::new(), next: 0, seen: 0 }, tolerance: 0.02 }
    }

    /// By how much the mean error may be larger; 0.02 by default: of mistakes, two of a hundred samples.
    #[must_use]
    pub fn tolerance(mut self, tolerance: f64) -> Self {
        self.tolerance = tolerance;
        self
    }

    pub(super) fn check(&self) -> Result<()> {
        check_not_negative("tolerance of Guard", self.tolerance)?;
        match self.judges {
            Judges::Recent { every: every @ (0 | 1), .. } => {
                let requirement = "at least 2, so that some are left to learn from";
                Err(Error::setting("every of Guard::recent", requirement, every))
            }
            Judges::Recent { window: 0, .. } => Err(Error::setting("window of Guard::recent", "at least 1", 0)),
            _ => Ok(()),
        }
    }

    /// Refuses samples that could not be kept aside.
    pub(super) fn check_samples(&self, data: &Dataset<A>) -> Result<()> {
        match &self.judges {
            Judges::HeldOut { .. } => Ok(()),
            Judges::Recent { aside, .. } => aside.check(data),
        }
    }

    /// Parts the rows of the next samples: those to learn from, and those to keep aside.
    pub(super) fn part(&self, samples: usize) -> (Vec<usize>, Vec<usize>) {
        match self.judges {
            Judges::HeldOut { .. } => ((0..samples).collect(), Vec::new()),
            Judges::Recent { every, seen, .. } => {
                (0..samples).partition(|&row| !(seen + row as u64 + 1).is_multiple_of(every as u64))
            }
        }
    }

    /// The error before the first batch, so that it is there to be kept.
    pub(super) fn begin(&mut self, error: SampleError, trainer: &Trainer<A>, model: &dyn Layer<A>) -> Result<()> {
        if let Judges::HeldOut { data, least: least @ None } = &mut self.judges {
            *least = Some(mean(&error.of(trainer, model, data).map_err(|error| error.within("Guard"))?));
        }
        Ok(())
    }

    /// Keeps rows of samples that were checked aside, and gives the samples that they push out.
    pub(super) fn keep_aside(&mut self, data: &Dataset<A>, rows: &[usize]) -> Result<Vec<Dataset<A>>> {
        let mut pushed_out = Vec::new();
        if let Judges::Recent { window, aside, next, seen, .. } = &mut self.judges {
            for &row in rows {
                if aside.len() == *window {
                    pushed_out.push(aside.take(&[*next])?);
                }
                aside.put(*next, data, row)?;
                *next = (*next + 1) % *window;
            }
            *seen += data.len() as u64;
        }
        Ok(pushed_out)
    }

    /// Judges the model as it is now. `None` while there is nothing to judge on.
    pub(super) fn judge(
        &mut self,
        error: SampleError,
        trainer: &Trainer<A>,
        model: &mut dyn Layer<A>,
        before: &Savepoint<A>,
    ) -> Result<Option<Judgement>> {
        let of = |model: &dyn Layer<A>, data: &Dataset<A>| error.of(trainer, model, data).map(|errors| mean(&errors));
        let (before, after) = match &self.judges {
            Judges::HeldOut { data, least } => {
                let after = of(model, data)?;
                (least.unwrap_or(after), after)
            }
            Judges::Recent { aside, .. } if aside.len() == 0 => return Ok(None),
            Judges::Recent { aside, .. } => {
                let data = aside.take(&(0..aside.len()).collect::<Vec<_>>())?;
                let after = of(model, &data)?;
                (before.while_back(model, |model| of(model, &data))?, after)
            }
        };
        // A NaN is worse than anything, except where it was one before.
        let is_worse = !(after <= before + self.tolerance || before.is_nan());
        if let (Judges::HeldOut { least, .. }, false) = (&mut self.judges, is_worse) {
            *least = Some(before.min(after));
        }
        Ok(Some(Judgement { before, after, is_worse }))
    }
}

/// NaN of nothing.
pub(super) fn mean(errors: &[f64]) -> f64 {
    errors.iter().sum::<f64>() / errors.len() as f64
}
