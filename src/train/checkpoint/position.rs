//! A point of a run from which it can be taken up again, on its way into a file and out of it.

use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::io::{TensorFile, Tensors};
use crate::scalar::Scalar;
use crate::tensor::values;
use crate::train::callbacks::{Callback, CallbackState};
use crate::train::evaluate::Mean;
use crate::train::fit::Place;
use crate::train::history::{Epoch, History};
use crate::train::json::{Json, number};
use crate::train::rate::RateControl;

/// A point of a run.
pub(in crate::train) struct Position<A: Scalar> {
    pub(in crate::train) place: Place,
    /// The epochs that the trainer has done before, over all runs.
    pub(in crate::train) epochs_done: u64,
    pub(in crate::train) rates: RateControl,
    /// What the samples were like.
    pub(in crate::train) data: Value,
    /// What each metric has gathered in the epoch so far.
    pub(in crate::train) metrics: Vec<Vec<f64>>,
    pub(in crate::train) callbacks: Vec<Kept<A>>,
}

/// The state of a callback.
pub(in crate::train) struct Kept<A: Scalar> {
    kind: String,
    state: CallbackState<A>,
}

const MEANS: &str = "training/means";

impl<A: Scalar> Kept<A> {
    /// The states of all callbacks that keep one.
    pub(in crate::train) fn all(callbacks: &[Box<dyn Callback<A>>]) -> Vec<Self> {
        let named = callbacks.iter().filter(|callback| !callback.kind().is_empty());
        named.map(|callback| Kept { kind: callback.kind().to_owned(), state: callback.state() }).collect()
    }

    fn tensor(at: usize, name: &str) -> String {
        format!("training/callback/{at}/{name}")
    }

    fn write<'a>(&'a self, at: usize, tensors: &mut Tensors<'a>) -> Result<Value> {
        for (name, tensor) in &self.state.tensors {
            let place = |error: Error| error.within(format!("callback {}", self.kind));
            tensors.add::<A>(Self::tensor(at, name), tensor.shape(), values(tensor).map_err(place)?).map_err(place)?;
        }
        let names: Vec<_> = self.state.tensors.iter().map(|(name, _)| name).collect();
        Ok(json!({ "kind": self.kind, "settings": self.state.settings, "tensors": names }))
    }

    fn read(at: usize, json: &Json<'_>, file: &TensorFile) -> Result<Self> {
        let mut tensors = Vec::new();
        for name in json.get("tensors")?.texts()? {
            let tensor = file.get(&Self::tensor(at, &name))?;
            tensors.push((name, tensor));
        }
        let state = CallbackState { settings: json.get("settings")?.value().clone(), tensors };
        Ok(Kept { kind: json.get("kind")?.text()?.to_owned(), state })
    }
}

impl<A: Scalar> Position<A> {
    /// Adds what is made of tensors, and gives the rest.
    pub(in crate::train) fn write<'a>(&'a self, tensors: &mut Tensors<'a>) -> Result<Value> {
        let Place { epoch, batch, over, loss, seconds, means, penalty, history } = &self.place;
        let sums: Vec<f64> = means.iter().flat_map(|mean| [mean.sum, mean.terms]).collect();
        tensors.add::<f64>(MEANS, &[means.len(), 2], sums)?;
        for (at, metric) in self.metrics.iter().enumerate() {
            tensors.add::<f64>(metric_name(at), &[metric.len()], &metric[..])?;
        }
        let callbacks = self.callbacks.iter().enumerate().map(|(at, kept)| kept.write(at, tensors));
        Ok(json!({
            "epoch": epoch, "batch": batch, "over": over, "loss": number(*loss), "seconds": number(*seconds),
            "penalty": [number(penalty.sum), number(penalty.terms)], "data": self.data, "metrics": self.metrics.len(),
            "callbacks": callbacks.collect::<Result<Vec<_>>>()?,
            "history": write_history(history),
        }))
    }

    /// Reads what [`write`](Self::write) has written. Epochs and rates stand elsewhere: they are not of a run alone.
    pub(in crate::train) fn read(
        json: &Json<'_>,
        file: &TensorFile,
        epochs_done: u64,
        rates: RateControl,
    ) -> Result<Self> {
        let means = file.get::<f64>(MEANS)?;
        let sums = values(&means)?.chunks_exact(2).map(|sums| Mean { sum: sums[0], terms: sums[1] });
        let place = Place {
            epoch: json.get("epoch")?.usize()?,
            batch: json.get("batch")?.usize()?,
            over: json.get("over")?.bool()?,
            loss: json.get("loss")?.f64()?,
            seconds: json.get("seconds")?.f64()?,
            means: sums.collect(),
            penalty: json.added("penalty")?.map(|penalty| read_mean(&penalty)).transpose()?.unwrap_or_default(),
            history: read_history(&json.get("history")?)?,
        };
        // Each has a tensor in the file, so that a false number ends at the first that is not there.
        let metric = |at| Ok(values(&file.get::<f64>(&metric_name(at))?)?.to_vec());
        let callbacks = json.get("callbacks")?;
        let kept = callbacks.items()?.enumerate().map(|(at, kept)| Kept::read(at, &kept, file));
        let position = Position {
            epochs_done,
            rates,
            data: json.get("data")?.value().clone(),
            metrics: (0..json.get("metrics")?.usize()?).map(metric).collect::<Result<_>>()?,
            callbacks: kept.collect::<Result<_>>()?,
            place,
        };
        position.check(json)?;
        Ok(position)
    }

    /// Refuses what no run can have come to.
    fn check(&self, json: &Json<'_>) -> Result<()> {
        let Place { epoch, over, ref history, .. } = self.place;
        let ended = if over { epoch } else { epoch.saturating_sub(1) };
        if history.epochs.len() != ended || (epoch == 0 && !over) {
            let state = if over { "over" } else { "running" };
            return Err(
                json.error(format_args!("has a history of {} with epoch {epoch} {state}", history.epochs.len()))
            );
        }
        Ok(())
    }

    /// Has the trainer's callbacks go on from their states, and gives a warning for each kind of which the trainer has
    /// none any more. Callbacks that are new begin anew.
    ///
    /// # Errors
    /// [`Error::Setting`] where the trainer has another number of callbacks of a kind, which could then not be told
    /// apart, and whatever a callback says against its state. No callback has changed then.
    pub(in crate::train) fn restore(&self, callbacks: &mut [Box<dyn Callback<A>>]) -> Result<Vec<String>> {
        let (pairs, warnings) = self.assign(callbacks)?;
        let mut before = Vec::new();
        for (kept, at) in pairs {
            before.push((at, callbacks[at].state()));
            if let Err(error) = callbacks[at].restore(kept.state.clone()) {
                for (at, state) in before {
                    // A state of its own, which it has just given.
                    let _ = callbacks[at].restore(state);
                }
                return Err(error.within(format!("callback {}", kept.kind)));
            }
        }
        Ok(warnings)
    }

    /// Which callback has which state: those of one kind by their order.
    #[allow(clippy::type_complexity)] // pairs and warnings, taken apart where they are used
    fn assign(&self, callbacks: &[Box<dyn Callback<A>>]) -> Result<(Vec<(&Kept<A>, usize)>, Vec<String>)> {
        let (mut pairs, mut warnings) = (Vec::new(), Vec::new());
        let mut kinds: Vec<&str> = self.callbacks.iter().map(|kept| &*kept.kind).collect();
        kinds.sort_unstable();
        kinds.dedup();
        for kind in kinds {
            let kept: Vec<_> = self.callbacks.iter().filter(|kept| kept.kind == kind).collect();
            let places: Vec<_> = (0..callbacks.len()).filter(|&at| callbacks[at].kind() == kind).collect();
            match places.len() {
                0 => {
                    warnings.push(format!("the checkpoint has the state of a callback {kind}, of which there is none"))
                }
                has if has != kept.len() => {
                    let requirement = format!("{}, as in the checkpoint", kept.len());
                    return Err(Error::setting(format!("the number of callbacks {kind}"), requirement, has));
                }
                _ => pairs.extend(kept.into_iter().zip(places)),
            }
        }
        Ok((pairs, warnings))
    }
}

fn read_mean(json: &Json<'_>) -> Result<Mean> {
    let [sum, terms] = json.pair()?;
    Ok(Mean { sum: sum.f64()?, terms: terms.f64()? })
}

fn metric_name(at: usize) -> String {
    format!("training/metric/{at}")
}

fn write_history(history: &History) -> Value {
    let logs = |epoch: &Epoch| epoch.logs.iter().map(|(name, value)| json!([name, number(*value)])).collect::<Value>();
    let epochs = history.epochs.iter().map(|epoch| {
        let (seconds, rate) = (number(epoch.seconds), number(epoch.rate));
        json!({ "number": epoch.number, "seconds": seconds, "rate": rate, "logs": logs(epoch) })
    });
    json!({ "epochs": epochs.collect::<Value>(), "warnings": history.warnings, "shards": history.shards })
}

fn read_history(json: &Json<'_>) -> Result<History> {
    let log = |pair: Json<'_>| {
        let [name, value] = pair.pair()?;
        Ok((name.text()?.to_owned(), value.f64()?))
    };
    let epoch = |epoch: Json<'_>| {
        Ok(Epoch {
            number: epoch.get("number")?.usize()?,
            seconds: epoch.get("seconds")?.f64()?,
            rate: epoch.get("rate")?.f64()?,
            logs: epoch.get("logs")?.items()?.map(log).collect::<Result<_>>()?,
        })
    };
    Ok(History {
        epochs: json.get("epochs")?.items()?.map(epoch).collect::<Result<_>>()?,
        warnings: json.get("warnings")?.texts()?,
        shards: json.get("shards")?.usize()?,
    })
}
