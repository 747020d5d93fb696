//! From batches to numbers over all samples: mean losses and metrics.

use super::history::{Logs, Report};
use super::penalty::{check_rules, penalty};
use super::task::{Batch, Purpose, Rows, Targets, Task, part};
use super::trainer::Trainer;
use crate::data::Dataset;
use crate::error::Result;
use crate::gradients::Binding;
use crate::layer::Layer;
use crate::model::rows_of;
use crate::scalar::Scalar;

/// A mean over batches that is the mean over their terms.
#[derive(Clone, Default)]
pub(super) struct Mean {
    pub(super) sum: f64,
    pub(super) terms: f64,
}

impl Mean {
    pub(super) fn add(&mut self, value: f64, terms: f64) {
        self.sum += value * terms;
        self.terms += terms;
    }

    /// Samples that all weigh nothing have the loss 0, as a batch of such has.
    pub(super) fn value(&self) -> f64 {
        if self.terms == 0.0 { 0.0 } else { self.sum / self.terms }
    }
}

impl<A: Scalar> Trainer<A> {
    pub(super) fn evaluate_batches(&mut self, model: &dyn Layer<A>, data: &Dataset<A>) -> Result<Report> {
        let (mut means, mut penalty) = (self.begin_means(), Mean::default());
        let rows: Vec<usize> = (0..data.len()).collect();
        for rows in rows.chunks(self.batch_size) {
            let targets = Targets { losses: &self.losses, instead: None };
            let batch = Batch { data, rows: Rows::Of(rows) };
            let predictions = !self.metrics.is_empty();
            let task =
                Task { model, targets, batch, purpose: Purpose::Evaluate, predictions, micro_batch: self.micro_batch };
            let plan = task.plan(self.shards, self.shards_of_work(), self.threads);
            self.pass.run(task, plan, &mut self.workers)?;
            self.gather(plan.shards, rows.len(), &mut means)?;
            penalty.add(self.pass.penalty(plan.shards).as_f64(), rows.len() as f64);
        }
        Ok(Report { logs: self.logs(&means, penalty.value() + self.penalty_of(model)?) })
    }

    /// What the regularizers of a model's weights add to its loss.
    fn penalty_of(&self, model: &dyn Layer<A>) -> Result<f64> {
        let binding = Binding::of(model);
        if !binding.has_penalties() {
            return Ok(0.0);
        }
        check_rules(model)?;
        Ok(penalty(model, &binding, None, &mut Vec::new()))
    }

    /// Means and metrics that have seen nothing yet.
    pub(super) fn begin_means(&mut self) -> Vec<Mean> {
        self.metrics.iter_mut().for_each(|(_, metric)| metric.reset());
        vec![Mean::default(); self.losses.len()]
    }

    /// Takes the losses and predictions of the last pass into means and metrics.
    pub(super) fn gather(&mut self, shards: usize, rows: usize, means: &mut [Mean]) -> Result<()> {
        for (output, mean) in means.iter_mut().enumerate() {
            let (loss, denominator) = self.pass.losses(shards, output);
            mean.add(loss.as_f64(), denominator.as_f64());
        }
        for (output, metric) in &mut self.metrics {
            for number in 0..shards {
                let rows = part(rows, shards, number);
                let target = rows_of(&self.pass.gathered()[*output], rows.start, rows.end);
                metric.update(self.pass.prediction(number, *output), &target, None)?;
            }
        }
        Ok(())
    }

    /// The numbers with their names: the loss with what regularizers add, the losses of several outputs, the metrics.
    pub(super) fn logs(&self, means: &[Mean], penalty: f64) -> Logs {
        self.named(means, penalty, self.metrics.iter().map(|(_, metric)| metric.result()))
    }

    /// The sum of the outputs' losses, with what regularizers add.
    pub(super) fn mean_loss(&self, means: &[Mean], penalty: f64) -> f64 {
        let weighted = |(mean, (_, weight)): (&Mean, &(_, f64))| weight * mean.value();
        means.iter().zip(&self.losses).map(weighted).sum::<f64>() + penalty
    }

    /// [`logs`](Self::logs) with results of the metrics that were kept.
    pub(super) fn named(&self, means: &[Mean], penalty: f64, results: impl Iterator<Item = f64>) -> Logs {
        let mut logs = vec![("loss".to_owned(), self.mean_loss(means, penalty))];
        if means.len() > 1 {
            logs.extend(means.iter().enumerate().map(|(output, mean)| (format!("loss_{output}"), mean.value())));
        }
        for ((output, metric), result) in self.metrics.iter().zip(results) {
            let suffix = if means.len() > 1 { format!("_{output}") } else { String::new() };
            let name = unused_name(&logs, format!("{}{suffix}", metric.name()));
            logs.push((name, result));
        }
        logs
    }
}

/// The name, or the name with the lowest number behind it that none has yet: two metrics may be of one kind.
fn unused_name(logs: &Logs, name: String) -> String {
    let taken = |name: &str| logs.iter().any(|(has, _)| has == name);
    if !taken(&name) {
        return name;
    }
    (2..).map(|number| format!("{name}_{number}")).find(|name| !taken(name)).unwrap_or(name)
}
