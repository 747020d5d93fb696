//! Out of a checkpoint: everything or nothing.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};

use super::snapshot::Snapshot;
use super::{GATHERED, Loaded, Position, SLOTS, Samples, TRAINING, gathered_name, slot_name, slot_shape};
use crate::error::{Error, Result};
use crate::initializers::Init;
use crate::io::TensorFile;
use crate::io::description::Description;
use crate::io::json::parse;
use crate::io::model::MODEL;
use crate::io::weights::fill_params;
use crate::layer::Layer;
use crate::model::Model;
use crate::param::{ParamId, Visitor};
use crate::scalar::Scalar;
use crate::tensor::count;
use crate::train::engine::{History, Memory};
use crate::train::json::Json;
use crate::train::rate::RateControl;
use crate::train::settings::check_agree;
use crate::train::trainer::{MOST_THREADS, Trainer};

/// So many steps and epochs have streams of their own; nobody comes this far.
const MOST_STEPS: u64 = 1 << 48;

impl<A: Scalar> Trainer<A> {
    /// Takes on what a checkpoint has, or nothing of it. `samples` are those of the run that goes on, where it has begun.
    pub(in crate::train) fn restore(
        &mut self,
        model: &mut dyn Layer<A>,
        file: &TensorFile,
        samples: Option<&Samples>,
    ) -> Result<()> {
        self.check_settings()?;
        self.engine.check()?;
        let training = training_of(file)?;
        let json = Json::new(file.path(), "training", &training);
        let within = |error: Error| error.within(file.path().display().to_string());
        let settings = self.settings();
        check_agree("", json.get("settings")?.value(), &settings).map_err(within)?;
        let begun_with = json.get("shards_of_work")?;
        let shards = begun_with.usize()?;
        if !(1..=MOST_THREADS).contains(&shards) {
            return Err(begun_with.error(format_args!("must be from 1 to {MOST_THREADS}, got {shards}")));
        }
        let inputs = json.get("inputs")?.items()?.map(|shape| shape.usizes()).collect::<Result<Vec<_>>>()?;
        let rates = read_rates(&json.get("rates")?)?;
        let epochs_done = few(&json.get("epochs_done")?)?;
        let streamed = json.added("streamed")?.map_or(Ok(0), |samples| few(&samples))?;
        let run = json.optional("run")?;
        let mut position = run.map(|run| Position::read(&run, file, epochs_done, rates)).transpose()?;
        if let Some(position) = &position {
            self.check_run(position, samples).map_err(within)?;
        }

        let before = Snapshot::of(model);
        let memory = match self.take_on(model, file, &json, &inputs, position.as_mut()) {
            Ok(memory) => memory,
            Err(error) => {
                before.put_back(model);
                return Err(error);
            }
        };
        // From here on nothing can fail.
        let binding = self.engine.restore(model, Memory { rates, ..memory });
        self.pass.bind(binding);
        (self.epochs_done, self.begun_with, self.sample_shapes) = (epochs_done, Some(shards), inputs);
        self.loaded = position.map(|position| Loaded { position, path: file.path().to_owned(), settings });
        self.ended = None;
        self.online.go_on_from(streamed);
        Ok(())
    }

    /// Changes the model and the callbacks, and reads what the optimizer remembers. The model is left in between where
    /// this fails.
    fn take_on(
        &mut self,
        model: &mut dyn Layer<A>,
        file: &TensorFile,
        json: &Json<'_>,
        inputs: &[Vec<usize>],
        position: Option<&mut Position<A>>,
    ) -> Result<Memory<A>> {
        restore_model(model, file, inputs)?;
        let memory = self.read_memory(model, file, json)?;
        if let Some(position) = position {
            let restored = self.restore_metrics(position).and_then(|()| position.restore(&mut self.callbacks));
            let warnings = restored.map_err(|error| error.within(file.path().display().to_string()))?;
            position.place.history.warnings.extend(warnings);
        }
        Ok(memory)
    }

    /// Ages and slots of the weights that the checkpoint knows.
    fn read_memory(&self, model: &dyn Layer<A>, file: &TensorFile, json: &Json<'_>) -> Result<Memory<A>> {
        let step = few(&json.get("step")?)?;
        let params: HashMap<String, (ParamId, &[usize])> = model
            .params()
            .into_iter()
            .map(|(name, param)| Ok((name, (param.id(), param.get()?.shape()))))
            .collect::<Result<_>>()?;
        let gathered = self.read_gathered(&params, file, json)?;
        let (mut histories, mut known) = (HashMap::new(), 0);
        for (name, age) in json.get("ages")?.entries()? {
            let &(id, shape) = params.get(name).ok_or_else(|| age.error("is of a weight that the model has not"))?;
            let rule = self.engine.rule();
            let slots = rule.slots().iter().enumerate().map(|(at, slot)| {
                read_slot(file, &slot_name(slot, name), &slot_shape(shape, rule.slot_len(at, shape)))
            });
            let slots = slots.collect::<Result<_>>()?;
            if age.u64()? > step {
                return Err(age.error(format_args!("must be at most {step}, the number of steps, got {}", age.value())));
            }
            known += self.engine.rule().slots().len();
            histories.insert(id, History { age: age.u64()?, slots });
        }
        let slots = file.names().filter(|name| name.starts_with(SLOTS)).count();
        if slots != known {
            return Err(file.error(format!("it has {slots} tensors under \"{SLOTS}\", and the weights have {known}")));
        }
        let last_rate = json.get("rates")?.optional("last")?.map(|rate| rate.f64()).transpose()?;
        Ok(Memory { histories, step, rates: RateControl::default(), last_rate, gathered })
    }

    /// What was gathered of gradients since the last update.
    fn read_gathered(
        &self,
        params: &HashMap<String, (ParamId, &[usize])>,
        file: &TensorFile,
        json: &Json<'_>,
    ) -> Result<(u64, HashMap<ParamId, Vec<A>>)> {
        let Some(number) = json.added("gathered")? else { return Ok((0, HashMap::new())) };
        let (batches, every) = (number.u64()?, self.engine.accumulates() as u64);
        if batches >= every {
            return Err(number.error(format_args!("must be below {every}, the batches of an update, got {batches}")));
        }
        let mut all = HashMap::new();
        for name in file.names().filter_map(|name| name.strip_prefix(GATHERED)) {
            let tensor = gathered_name(name);
            let unknown = || file.error(format!("{tensor}: there is no such weight with a batch to be gathered"));
            let &(id, shape) = params.get(name).filter(|_| batches > 0).ok_or_else(unknown)?;
            all.insert(id, read_slot(file, &tensor, shape)?);
        }
        Ok((batches, all))
    }

    /// What the metrics had gathered of the epoch.
    pub(in crate::train) fn restore_metrics(&mut self, position: &Position<A>) -> Result<()> {
        for ((_, metric), state) in self.metrics.iter_mut().zip(&position.metrics) {
            metric.reset();
            metric.merge(state).map_err(|error| error.within(format!("metric {}", metric.name())))?;
        }
        Ok(())
    }

    /// Refuses a run that cannot go on with the trainer as it is now.
    fn check_run(&self, position: &Position<A>, samples: Option<&Samples>) -> Result<()> {
        let place = &position.place;
        let has =
            [("losses", self.losses.len(), place.means.len()), ("metrics", self.metrics.len(), position.metrics.len())];
        if let Some((what, has, got)) = has.into_iter().find(|(_, has, got)| !place.over && has != got) {
            return Err(Error::length(format!("{what} of the epoch in the checkpoint"), has, got));
        }
        // Before a run begins both may yet be set otherwise.
        let Some(samples) = samples else { return Ok(()) };
        check_agree("data", &position.data, &samples.settings)?;
        if place.epoch > self.epochs {
            let requirement = format!("at least {}, the epoch of the checkpoint", place.epoch);
            return Err(Error::setting("epochs", requirement, self.epochs));
        }
        if place.batch > samples.batches {
            return Err(Error::length("batches of an epoch in the checkpoint", samples.batches, place.batch));
        }
        Ok(())
    }

    /// Refuses to go on with a run that was loaded if something has changed since.
    pub(in crate::train) fn check_loaded(&self, model: &dyn Layer<A>, samples: &Samples) -> Result<()> {
        let Some(Loaded { position, path, settings }) = &self.loaded else { return Ok(()) };
        let strange = || match self.engine.is_strange_to(model) {
            true => Err(Error::custom("the model is not the one into which the checkpoint was loaded")),
            false => Ok(()),
        };
        let checked = check_agree("", settings, &self.settings());
        let checked = checked.and_then(|()| self.check_run(position, Some(samples))).and_then(|()| strange());
        checked.map_err(|error| error.within(path.display().to_string()))
    }
}

/// What a checkpoint has beside tensors.
fn training_of(file: &TensorFile) -> Result<Value> {
    let Some(text) = file.metadata(TRAINING) else {
        let kind = file.metadata("layerwise.file").map_or(String::new(), |kind| format!(" (layerwise.file: {kind})"));
        return Err(file.error(format!("it is no checkpoint{kind}: \"{TRAINING}\" is not in its metadata")));
    };
    parse(text).map_err(|error| file.error(format!("{TRAINING}: {error}")))
}

/// Builds the model if it is not built, fills it, and freezes what was frozen.
fn restore_model<A: Scalar>(model: &mut dyn Layer<A>, file: &TensorFile, inputs: &[Vec<usize>]) -> Result<()> {
    let text = file.metadata(MODEL).ok_or_else(|| file.error(format!("\"{MODEL}\" is not in its metadata")))?;
    let within = |error: Error| error.within(file.path().display().to_string());
    let saved = Description::from_json(text).map_err(within)?;
    if !model.is_built() {
        let inputs = saved.inputs.as_deref().unwrap_or(inputs);
        if inputs.is_empty() {
            return Err(within(Error::NotBuilt));
        }
        inputs.iter().try_for_each(|shape| count("input of one sample", shape).map(drop)).map_err(within)?;
        model.build_all(inputs, &mut Init::given()).map_err(within)?;
    }
    fill_params(model, file)?;
    let now = Description::of(model)?;
    check_agree("model.kind", &json!(saved.kind), &json!(now.kind)).map_err(within)?;
    check_agree("model.config", &saved.config, &now.config).map_err(within)?;
    check_agree("tied parameters", &json!(saved.ties), &json!(now.ties)).map_err(within)?;
    check_agree("regularizers and constraints", &saved.rules(), &now.rules()).map_err(within)?;
    freeze(model, &saved.frozen).map_err(|name| file.error(format!("{name}, which is frozen, is not in the model")))
}

/// Freezes the parameters of these names, and no others. Gives a name that there is not.
fn freeze<A: Scalar>(model: &mut dyn Layer<A>, names: &[String]) -> Result<(), String> {
    let mut names: HashSet<&str> = names.iter().map(String::as_str).collect();
    model.visit_mut(&mut Visitor::new(&mut |name, param| param.set_frozen(names.remove(name))));
    names.into_iter().next().map_or(Ok(()), |name| Err(name.to_owned()))
}

fn read_slot<A: Scalar>(file: &TensorFile, name: &str, shape: &[usize]) -> Result<Vec<A>> {
    match file.shape(name) {
        Some(got) if got != shape => Err(file.error(format!("{name}: expected shape {shape:?}, got {got:?}"))),
        _ => Ok(file.get::<A>(name)?.into_owned().into_raw_vec_and_offset().0),
    }
}

fn read_rates(json: &Json<'_>) -> Result<RateControl> {
    let fixed = json.optional("fixed")?.map(|rate| rate.f64()).transpose()?;
    let rates = RateControl { fixed, factor: json.get("factor")?.f64()? };
    rates.check().map_err(|error| json.error(format_args!("cannot be: {error}")))?;
    Ok(rates)
}

/// A number of steps or epochs.
fn few(json: &Json<'_>) -> Result<u64> {
    match json.u64()? {
        steps if steps <= MOST_STEPS => Ok(steps),
        steps => Err(json.error(format_args!("must be at most {MOST_STEPS}, got {steps}"))),
    }
}
