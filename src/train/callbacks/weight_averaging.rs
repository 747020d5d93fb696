use std::collections::HashSet;

use serde_json::json;

use super::every::{Every, every_methods};
use super::saved::Saved;
use super::{Callback, CallbackState, Event};
use crate::error::{Error, Result};
use crate::kernels::elementwise;
use crate::layer::Layer;
use crate::model::Model;
use crate::param::{Param, ParamId, Visitor};
use crate::scalar::Scalar;
use crate::tensor::{Tensor, values_mut};

/// Averages the weights over the course of a run, and leaves the averages in the model at its end.
///
/// Averages begin as the weights themselves. With t updates so far, an update is
/// `average += share * (weight - average)`, where the share is
///
/// - [`ema`](Self::ema), the exponential moving average after each step (Polyak and Juditsky 1992): `1 - decay`, as in
///   Keras's `use_ema` and PyTorch's `get_ema_multi_avg_fn`. [`bias_correction`](Self::bias_correction) makes it
///   `(1 - decay) / (1 - decay^(t + 1))`, by which the first weights count no more than any others (Adam's correction);
///   [`warm_up`](Self::warm_up) makes it `1 - min(decay, (1 + t) / (10 + t))` (TensorFlow's `num_updates`).
/// - [`swa`](Self::swa), stochastic weight averaging (Izmailov et al. 2018): `1 / (t + 1)`, the mean of the weights after
///   each epoch from [`from_epoch`](Self::from_epoch) on, as in PyTorch's `AveragedModel`.
///
/// Tied weights are averaged once. State such as running statistics stays what training made of it, as in PyTorch's
/// default; [`average_state`](Self::average_state) averages it too, and is what fits averaged weights better. Best is to
/// work it out anew after the run: [`Trainer::refresh_statistics`](crate::Trainer::refresh_statistics), PyTorch's
/// `update_bn`.
///
/// With [`in_validation`](Self::in_validation) the averages are validated, and then are in the model for callbacks that
/// come after this one until the next epoch begins: what [`ModelCheckpoint`](super::ModelCheckpoint) saves and
/// [`EarlyStopping`](super::EarlyStopping) keeps is what was validated.
///
/// ```
/// use layerwise::prelude::*;
///
/// let trainer = Trainer::new(MeanSquaredError::new(), Adam::new(1e-3))
///     .validation_split(ValidationSplit::Shuffled(0.2))
///     .callback(WeightAveraging::ema(0.999).in_validation())
///     .callback(ModelCheckpoint::new("best.safetensors").best_only());
/// ```
pub struct WeightAveraging<A: Scalar = f32> {
    rule: Rule,
    every: Every,
    from_epoch: usize,
    average_state: bool,
    in_validation: bool,
    /// The averages, or, while they are in the model, what it is trained with. In the order of the model's visitor.
    kept: Vec<Kept<A>>,
    updates: u64,
    /// Whether the averages are in the model.
    swapped: bool,
}

#[derive(Clone, Copy, Debug)]
enum Rule {
    Equal,
    Exponential { decay: f64, start: Start },
}

/// How an exponential average treats its first values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Start {
    Plain,
    Corrected,
    WarmUp,
}

struct Kept<A: Scalar> {
    name: String,
    /// Unknown for values from a checkpoint, until the model is seen.
    id: Option<ParamId>,
    value: Tensor<A>,
}

const KIND: &str = "WeightAveraging";

impl<A: Scalar> WeightAveraging<A> {
    /// An exponential moving average after each step, from 0 (the weights themselves) to below 1.
    pub fn ema(decay: f64) -> Self {
        Self::with(Rule::Exponential { decay, start: Start::Plain }, Every::Steps(1))
    }

    /// The mean of the weights after each epoch.
    pub fn swa() -> Self {
        Self::with(Rule::Equal, Every::Epochs(1))
    }

    fn with(rule: Rule, every: Every) -> Self {
        WeightAveraging {
            rule,
            every,
            from_epoch: 1,
            average_state: false,
            in_validation: false,
            kept: Vec::new(),
            updates: 0,
            swapped: false,
        }
    }

    /// The first weights of an exponential average count no more than any others. Equal weights do so anyway.
    #[must_use]
    pub fn bias_correction(self) -> Self {
        self.starting(Start::Corrected)
    }

    /// An exponential average moves faster in the beginning. Equal weights do so anyway.
    #[must_use]
    pub fn warm_up(self) -> Self {
        self.starting(Start::WarmUp)
    }

    fn starting(mut self, with: Start) -> Self {
        if let Rule::Exponential { start, .. } = &mut self.rule {
            *start = with;
        }
        self
    }

    every_methods!("Averages");

    /// The first epoch, counted from 1, whose weights are averaged; 1 by default.
    #[must_use]
    pub fn from_epoch(mut self, epoch: usize) -> Self {
        self.from_epoch = epoch;
        self
    }

    /// Averages state, such as the running statistics of batch normalisation, like weights.
    #[must_use]
    pub fn average_state(mut self) -> Self {
        self.average_state = true;
        self
    }

    /// Validates the averages, and leaves them in the model until the next epoch.
    #[must_use]
    pub fn in_validation(mut self) -> Self {
        self.in_validation = true;
        self
    }

    fn is_due(&self, event: &Event<'_, A>) -> bool {
        event.epoch >= self.from_epoch
            && match self.every {
                Every::Steps(_) => self.every.is_due_at_step(event),
                Every::Epochs(epochs) => {
                    event.batch == event.batches && (event.epoch - self.from_epoch).is_multiple_of(epochs)
                }
            }
    }

    /// How much of the way to the weights the averages go in the next update.
    fn share(&self) -> f64 {
        let updates = self.updates as f64;
        match self.rule {
            Rule::Equal => 1.0 / (updates + 1.0),
            Rule::Exponential { decay, start: Start::Plain } => 1.0 - decay,
            Rule::Exponential { decay, start: Start::Corrected } => (1.0 - decay) / (1.0 - decay.powf(updates + 1.0)),
            Rule::Exponential { decay, start: Start::WarmUp } => 1.0 - decay.min((1.0 + updates) / (10.0 + updates)),
        }
    }

    fn update(&mut self, model: &dyn Layer<A>) -> Result<()> {
        // The first time this takes the weights as they are.
        self.find(model)?;
        if self.updates > 0 {
            let share = A::of(self.share());
            let mut kept = self.kept.iter_mut().peekable();
            let mut each = |_: &str, param: &Param<A>| {
                if let (Some(kept), Ok(values)) = (kept.next_if(|kept| kept.is(param)), param.values()) {
                    elementwise::move_towards(values_mut(&mut kept.value), values, share);
                }
            };
            model.visit(&mut Visitor::unnamed(&mut each));
        }
        self.updates += 1;
        Ok(())
    }

    /// Makes sure that what is kept belongs to the model, parameter by parameter.
    fn find(&mut self, model: &dyn Layer<A>) -> Result<()> {
        let mut kept = self.kept.iter().peekable();
        model.visit(&mut Visitor::unnamed(&mut |_, param: &Param<A>| _ = kept.next_if(|kept| kept.is(param))));
        if !self.kept.is_empty() && kept.next().is_none() {
            return Ok(());
        }
        let mut seen = HashSet::new();
        let mut found = Vec::new();
        for (name, param) in model.params() {
            if (self.average_state || !param.is_state()) && seen.insert(param.id()) {
                found.push(Kept { name, id: Some(param.id()), value: param.get()?.clone() });
            }
        }
        if self.kept.is_empty() {
            self.kept = found;
            return Ok(());
        }
        let same =
            |kept: &Kept<A>, found: &Kept<A>| kept.name == found.name && kept.value.shape() == found.value.shape();
        if self.kept.len() != found.len() || !self.kept.iter().zip(&found).all(|(kept, found)| same(kept, found)) {
            return Err(Error::custom(format!("{KIND}: the model has other parameters than those that were averaged")));
        }
        self.kept.iter_mut().zip(found).for_each(|(kept, found)| kept.id = found.id);
        Ok(())
    }

    /// Exchanges what is in the model and what is kept.
    fn swap(&mut self, model: &mut dyn Layer<A>) -> Result<()> {
        self.find(model)?;
        let mut at = 0;
        let mut now: Vec<Tensor<A>> = Vec::with_capacity(self.kept.len());
        let kept = &mut self.kept;
        let mut each = |_: &str, param: &mut Param<A>| {
            // Another handle of a tied weight shares the array of the first.
            if let Some(first) = kept[..at].iter().position(|kept| kept.is(param)) {
                param.replace(Some(now[first].clone()));
            } else if let Some(kept) = kept.get_mut(at).filter(|kept| kept.is(param)) {
                now.push(kept.value.clone());
                if let Some(before) = param.replace(Some(kept.value.clone())) {
                    kept.value = before;
                }
                at += 1;
            }
        };
        model.visit_mut(&mut Visitor::unnamed(&mut each));
        self.swapped = !self.swapped;
        Ok(())
    }

    /// Puts the averages into the model, or takes them out, if there are any and they are not there already.
    fn show_averages(&mut self, show: bool, model: &mut dyn Layer<A>) -> Result<()> {
        if self.updates == 0 || self.swapped == show { Ok(()) } else { self.swap(model) }
    }
}

impl<A: Scalar> Kept<A> {
    fn is(&self, param: &Param<A>) -> bool {
        self.id == Some(param.id()) && self.value.len() == param.len()
    }
}

impl<A: Scalar> Callback<A> for WeightAveraging<A> {
    fn kind(&self) -> &str {
        KIND
    }

    fn state(&self) -> CallbackState<A> {
        let settings = json!({ "updates": self.updates, "swapped": self.swapped });
        let tensors = self.kept.iter().map(|kept| (kept.name.clone(), kept.value.clone())).collect();
        CallbackState { settings, tensors }
    }

    fn restore(&mut self, state: CallbackState<A>) -> Result<()> {
        let saved = Saved::new(KIND, &state.settings);
        (self.updates, self.swapped) = (saved.count("updates")?, saved.flag("swapped")?);
        self.kept = state.tensors.into_iter().map(|(name, value)| Kept { name, id: None, value }).collect();
        Ok(())
    }

    fn on_train_begin(&mut self, _: &mut Event<'_, A>) -> Result<()> {
        (self.kept, self.updates, self.swapped) = (Vec::new(), 0, false);
        self.every.check(KIND)?;
        match self.rule {
            Rule::Exponential { decay, .. } if !(0.0..1.0).contains(&decay) => {
                Err(Error::setting(format!("decay of {KIND}"), "from 0 to below 1", decay))
            }
            _ if self.from_epoch == 0 => Err(Error::setting(format!("from_epoch of {KIND}"), "at least 1", 0)),
            _ => Ok(()),
        }
    }

    fn on_epoch_begin(&mut self, event: &mut Event<'_, A>) -> Result<()> {
        self.show_averages(false, event.model)
    }

    fn on_batch_end(&mut self, event: &mut Event<'_, A>) -> Result<()> {
        if self.is_due(event) { self.update(event.model) } else { Ok(()) }
    }

    fn on_validation_begin(&mut self, event: &mut Event<'_, A>) -> Result<()> {
        self.show_averages(self.in_validation, event.model)
    }

    fn on_validation_end(&mut self, event: &mut Event<'_, A>) -> Result<()> {
        self.show_averages(false, event.model)
    }

    fn on_epoch_end(&mut self, event: &mut Event<'_, A>) -> Result<()> {
        self.show_averages(self.in_validation && event.batch == event.batches, event.model)
    }

    fn on_train_end(&mut self, event: &mut Event<'_, A>) -> Result<()> {
        self.show_averages(true, event.model)
    }
}
