//! A replay buffer in a file, and out of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Value, json};

use super::keep::{Keep, Rule};
use super::replay_buffer::{ReplayBuffer, streams};
use super::rows::{Column, Rows};
use crate::error::Result;
use crate::io::json::parse;
use crate::io::weights::describe_file;
use crate::io::{TensorFile, Tensors};
use crate::scalar::Scalar;
use crate::tensor::values;
use crate::train::json::{Json, number};

/// The key of the metadata under which a file has what is no tensor.
const BUFFER: &str = "layerwise.replay";

impl<A: Scalar> ReplayBuffer<A> {
    /// Writes samples, rule and random streams, so that [`load`](Self::load) goes on exactly. A crash leaves the old file
    /// or the new one.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io) if the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let Keep { rule, capacity, seen, labels, came, full, keys } = &self.keep;
        let mut tensors = Tensors::new();
        describe_file(&mut tensors, "replay");
        for (at, column) in self.rows.columns.iter().enumerate() {
            let shape: Vec<usize> = std::iter::once(self.len()).chain(column.shape.iter().copied()).collect();
            tensors.add::<A>(column_name(at), &shape, &column.values[..])?;
        }
        tensors.add::<A>("weights", &[self.len()], &self.rows.weights[..])?;
        tensors.add::<f64>("keys", &[keys.len()], &keys[..])?;
        let (rule, half_life) = match rule {
            Rule::Uniform => ("uniform", None),
            Rule::Balanced => ("class_balanced", None),
            Rule::Recent { half_life } => ("recent", Some(number(*half_life))),
        };
        // Positions are in words of four bytes: nobody comes near 2^64 of them.
        let [keeping, drawing] = [&self.keeping, &self.drawing].map(|rng| rng.get_word_pos() as u64);
        let description = json!({
            "number_type": A::NAME, "rule": rule, "half_life": half_life, "capacity": capacity, "seen": seen,
            "seed": self.seed, "keeping": keeping, "drawing": drawing,
            "inputs": self.rows.inputs, "columns": self.rows.columns.len(),
            "labels": labels, "came": came.iter().collect::<Vec<_>>(), "full": full,
        });
        tensors.metadata(BUFFER, description.to_string());
        tensors.write(path)
    }

    /// The buffer that [`save`](Self::save) has written.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io) if the file cannot be read, [`Error::File`](crate::Error::File) if it is damaged,
    /// or none of a buffer of this number type.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let file = TensorFile::open(path)?;
        let Some(text) = file.metadata(BUFFER) else {
            return Err(file.error(format!("it is no replay buffer: \"{BUFFER}\" is not in its metadata")));
        };
        let value: Value = parse(text).map_err(|error| file.error(format!("{BUFFER}: {error}")))?;
        let json = Json::new(file.path(), "replay", &value);
        let kind = json.get("number_type")?;
        if kind.text()? != A::NAME {
            return Err(kind.error(format_args!("must be {}, got {}", A::NAME, kind.text()?)));
        }
        let rows = read_rows(&file, &json)?;
        let keep = read_keep(&file, &json, rows.len())?;
        let seed = json.get("seed")?.u64()?;
        let [mut keeping, mut drawing] = streams(seed);
        keeping.set_word_pos(u128::from(json.get("keeping")?.u64()?));
        drawing.set_word_pos(u128::from(json.get("drawing")?.u64()?));
        let buffer = ReplayBuffer { keep, rows, seed, keeping, drawing };
        let path = || file.path().display().to_string();
        buffer.check().map_err(|error| error.within(path()))?;
        if let Some(samples) = buffer.samples()? {
            buffer.check_samples(&samples).map_err(|error| error.within(path()))?;
        }
        Ok(buffer)
    }
}

fn column_name(at: usize) -> String {
    format!("column/{at}")
}

fn read_rows<A: Scalar>(file: &TensorFile, json: &Json<'_>) -> Result<Rows<A>> {
    let weights = values(&file.get::<A>("weights")?)?.to_vec();
    if let Some(at) = weights.iter().position(|w| !(w.is_finite() && *w >= A::zero())) {
        return Err(file.error(format!("weights[{at}] must be a finite number of at least 0, got {}", weights[at])));
    }
    // Each has a tensor in the file, so that a false number ends at the first that is not there.
    let mut columns = Vec::new();
    for at in 0..json.get("columns")?.usize()? {
        let tensor = file.get::<A>(&column_name(at))?;
        if tensor.shape().first() != Some(&weights.len()) {
            let expected = format!("{} samples, as there are weights", weights.len());
            return Err(file.error(format!("{}: expected {expected}, got {:?}", column_name(at), tensor.shape())));
        }
        columns.push(Column { shape: tensor.shape()[1..].to_vec(), values: values(&tensor)?.to_vec() });
    }
    let inputs = json.get("inputs")?;
    let needs = usize::from(!weights.is_empty());
    if !(needs..=columns.len()).contains(&inputs.usize()?) || (columns.is_empty() && needs == 1) {
        return Err(inputs.error(format_args!("must be from {needs} to {}, got {}", columns.len(), inputs.value())));
    }
    Ok(Rows { columns, inputs: inputs.usize()?, weights })
}

fn read_keep(file: &TensorFile, json: &Json<'_>, len: usize) -> Result<Keep> {
    let rule = json.get("rule")?;
    let rule = match rule.text()? {
        "uniform" => Rule::Uniform,
        "class_balanced" => Rule::Balanced,
        "recent" => Rule::Recent { half_life: json.get("half_life")?.f64()? },
        _ => return Err(rule.error(format_args!("is none of this library: {}", rule.value()))),
    };
    let (capacity, seen) = (json.get("capacity")?, json.get("seen")?);
    if capacity.usize()? < len || seen.u64()? < len as u64 {
        return Err(capacity.error(format_args!("and seen must be at least {len}, the number of samples")));
    }
    let came = json.get("came")?;
    let came = came.items()?.map(|pair| {
        let [label, count] = pair.pair()?;
        Ok((label.usize()?, count.u64()?))
    });
    let came: BTreeMap<usize, u64> = came.collect::<Result<_>>()?;
    let labels = json.get("labels")?;
    let full: BTreeSet<usize> = json.get("full")?.usizes()?.into_iter().collect();
    let keep = Keep {
        capacity: capacity.usize()?,
        seen: seen.u64()?,
        labels: labels.usizes()?,
        keys: values(&file.get::<f64>("keys")?)?.to_vec(),
        rule,
        came,
        full,
    };
    let expected = |has: bool| if has { len } else { 0 };
    let wants = [expected(keep.rule == Rule::Balanced), expected(matches!(keep.rule, Rule::Recent { .. }))];
    if [keep.labels.len(), keep.keys.len()] != wants {
        let got = [keep.labels.len(), keep.keys.len()];
        return Err(labels.error(format_args!("and keys must be {wants:?} in number, got {got:?}")));
    }
    let counted = |label: &usize| keep.came.get(label).is_some_and(|&came| came as usize >= keep.count(*label));
    match keep.labels.iter().find(|label| !counted(label)) {
        Some(label) => Err(labels.error(format_args!("have class {label} more often than it came"))),
        None => Ok(keep),
    }
}
