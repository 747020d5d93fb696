//! One batch of feedback, learned from or refused.

use super::check_not_negative;
use super::drift::Change;
use super::errors::SampleError;
use super::feedback_loop::{FeedbackLoop, Learned};
use super::guard::{Judgement, mean};
use super::rows::Rows;
use super::savepoint::Savepoint;
use crate::data::{Dataset, IntoDataset};
use crate::error::{Error, Result};
use crate::layer::Layer;
use crate::scalar::Scalar;
use crate::tensor::{from_vec, values};

/// What came of learning from a batch, before it is known to stay.
struct Taken<A: Scalar> {
    loss: Option<f64>,
    judgement: Option<Judgement>,
    /// What was learned from.
    learned: Option<Dataset<A>>,
    /// What need no longer be kept aside.
    pushed_out: Vec<Dataset<A>>,
}

impl<A: Scalar> FeedbackLoop<A> {
    /// Learns from the next batch of feedback.
    ///
    /// # Errors
    /// [`Error::Setting`] for a setting that cannot work, [`Error::Value`] for a number that is not finite, and whatever
    /// [`partial_fit`](crate::Trainer::partial_fit), the [buffer](super::ReplayBuffer::add) or the checkpoint's file
    /// refuse. Model, trainer, buffer, guard and detector are as they were then, so that nothing is lost and the next
    /// batch can come.
    pub fn learn<'d>(&mut self, model: &mut dyn Layer<A>, feedback: impl IntoDataset<'d, A>) -> Result<Learned> {
        let feedback = feedback.into_dataset()?;
        self.check(&feedback)?;
        self.trainer.prepare(model, &feedback)?;
        let errors = self.error.of(&self.trainer, model, &feedback)?;
        if let Some(at) = errors.iter().position(|error| !error.is_finite()) {
            return Err(Error::value("error of the model about feedback", &[at], "a finite number", errors[at]));
        }
        if let Some(guard) = &mut self.guard {
            guard.begin(self.error, &self.trainer, model)?;
        }
        let good = self.trainer.savepoint(model)?;
        let guard = self.guard.clone();
        let drawing = self.buffer.as_ref().map(|buffer| buffer.drawing.clone());
        let taken = self.take(model, &feedback, &errors, &good);
        match &taken {
            Ok(Taken { judgement: Some(judgement), .. }) if judgement.is_worse => {
                self.trainer.roll_back(model, &good)?;
            }
            Ok(_) => {}
            Err(_) => {
                self.trainer.roll_back(model, &good)?;
                self.guard = guard;
                if let (Some(buffer), Some(drawing)) = (&mut self.buffer, drawing) {
                    buffer.drawing = drawing;
                }
            }
        }
        self.finish(taken?, &errors)
    }

    /// Refuses settings that cannot work, and samples that cannot be learned from, kept aside or replayed.
    fn check(&self, feedback: &Dataset<A>) -> Result<()> {
        for (name, value) in [
            ("samples to replay for each new one", self.replayed),
            ("replay_weight", self.replay_weight),
            ("correction_weight", self.correction_weight),
            ("confirmation_weight", self.confirmation_weight),
        ] {
            check_not_negative(name, value)?;
        }
        if self.passes == 0 {
            return Err(Error::setting("passes", "at least 1", 0));
        }
        self.detector.as_ref().map_or(Ok(()), |detector| detector.check())?;
        self.guard.as_ref().map_or(Ok(()), |guard| guard.check().and_then(|()| guard.check_samples(feedback)))?;
        match &self.buffer {
            Some(buffer) => buffer.check_samples(feedback).map(drop),
            None => Rows::new().check(feedback),
        }
    }

    /// Steps 2 to 4, and the checkpoint: everything that can fail.
    fn take(
        &mut self,
        model: &mut dyn Layer<A>,
        feedback: &Dataset<A>,
        errors: &[f64],
        good: &Savepoint<A>,
    ) -> Result<Taken<A>> {
        let weighed = self.weighed(feedback, errors)?;
        let samples = feedback.len();
        let (rows, aside) =
            self.guard.as_ref().map_or_else(|| ((0..samples).collect(), Vec::new()), |guard| guard.part(samples));
        let learned = if rows.is_empty() { None } else { Some(weighed.rows(&rows)?) };
        let loss = match &learned {
            Some(samples) => Some(self.go_over(model, samples)?),
            None => None,
        };
        let (mut pushed_out, mut judgement) = (Vec::new(), None);
        if let Some(guard) = &mut self.guard {
            pushed_out = guard.keep_aside(&weighed, &aside)?;
            judgement = guard.judge(self.error, &self.trainer, model, good)?;
        }
        let is_worse = judgement.is_some_and(|judgement| judgement.is_worse);
        if let (Some(path), false) = (&self.checkpoint, is_worse) {
            self.trainer.save_checkpoint(model, path)?;
        }
        Ok(Taken { loss, judgement, learned, pushed_out })
    }

    /// The samples with the weights that they have by what the model made of them.
    fn weighed(&self, feedback: &Dataset<A>, errors: &[f64]) -> Result<Dataset<A>> {
        let (right, wrong) = (A::of(self.confirmation_weight), A::of(self.correction_weight));
        if self.error == SampleError::Loss || (right == A::one() && wrong == A::one()) {
            return Ok(feedback.clone());
        }
        let own = feedback.sample_weights().map(values).transpose()?;
        let weight = |(row, &error): (usize, &f64)| {
            let factor = if error == 0.0 { right } else { wrong };
            own.map_or(factor, |own| own[row] * factor)
        };
        let weights: Vec<A> = errors.iter().enumerate().map(weight).collect();
        feedback.clone().weighted(from_vec(&[weights.len()], weights))
    }

    /// The passes over new samples, each with others out of the buffer; gives the loss of the first.
    fn go_over(&mut self, model: &mut dyn Layer<A>, samples: &Dataset<A>) -> Result<f64> {
        let replayed = (self.replayed * samples.len() as f64).round() as usize;
        let mut loss = None;
        for _ in 0..self.passes {
            let of_pass = match &mut self.buffer {
                Some(buffer) => {
                    let mixed = buffer.mix_weighted(samples, replayed, A::of(self.replay_weight))?;
                    self.trainer.partial_fit(model, &mixed)?
                }
                None => self.trainer.partial_fit(model, samples)?,
            };
            loss = loss.or(Some(of_pass));
        }
        Ok(loss.unwrap_or(f64::NAN))
    }

    /// What is left to do once nothing of it can fail: samples were checked, and errors are finite.
    fn finish(&mut self, taken: Taken<A>, errors: &[f64]) -> Result<Learned> {
        let mut drift = None;
        if let Some(detector) = &mut self.detector {
            for (at, &error) in errors.iter().enumerate() {
                let change = detector.update(error)?;
                drift = drift.or(change.map(|change| (self.seen + at as u64, change)));
            }
        }
        self.seen += errors.len() as u64;
        let rolled_back = taken.judgement.is_some_and(|judgement| judgement.is_worse);
        if let Some(buffer) = &mut self.buffer {
            if self.forget_on_drift && matches!(drift, Some((_, Change::Rise))) {
                buffer.clear();
            }
            let learned = taken.learned.iter().filter(|_| !rolled_back);
            learned.chain(&taken.pushed_out).try_for_each(|samples| buffer.add(samples))?;
        }
        let judged = taken.judgement.map(|Judgement { before, after, .. }| (before, after));
        Ok(Learned { error: mean(errors), loss: taken.loss, drift, judged, rolled_back })
    }
}
