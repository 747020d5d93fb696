//! What a checkpoint holds, to be compared bit for bit.

#![allow(dead_code)]

use std::path::Path;

use layerwise::io::TensorFile;
use layerwise::prelude::*;
use serde_json::Value;

/// Everything in a checkpoint but times.
#[derive(PartialEq, Debug)]
pub struct Saved {
    /// Every tensor with its name, shape and bits. An f32 becomes an f64 without loss.
    pub tensors: Vec<(String, Vec<usize>, Vec<u64>)>,
    pub model: Value,
    pub training: Value,
}

/// What a file holds.
pub fn saved(path: &Path) -> Result<Saved> {
    let file = TensorFile::open(path)?;
    let mut tensors = Vec::new();
    for name in file.names() {
        let tensor = file.get::<f64>(name)?;
        tensors.push((name.to_owned(), tensor.shape().to_vec(), tensor.iter().map(|x| x.to_bits()).collect()));
    }
    let json = |key| file.metadata(key).map_or(Value::Null, |text| serde_json::from_str(text).expect("it is JSON"));
    let mut training = json("layerwise.training");
    forget_times(&mut training);
    Ok(Saved { tensors, model: json("layerwise.model"), training })
}

/// What a checkpoint of this trainer and this model would hold.
pub fn contents<A: Scalar>(trainer: &Trainer<A>, model: &dyn Layer<A>) -> Result<Saved> {
    let folder = tempfile::tempdir().expect("there is room for temporary files");
    let path = folder.path().join("contents");
    trainer.save_checkpoint(model, &path)?;
    saved(&path)
}

fn forget_times(value: &mut Value) {
    match value {
        Value::Object(entries) => {
            entries.remove("seconds");
            entries.values_mut().for_each(forget_times);
        }
        Value::Array(items) => items.iter_mut().for_each(forget_times),
        _ => {}
    }
}

/// Everything in a history but times, so that NaN is NaN.
pub fn course(history: &History) -> String {
    let epochs = history.epochs().iter().map(|epoch| format!("{} {:?} {:?}", epoch.number, epoch.rate, epoch.values()));
    format!("{:?} {:?} {}", epochs.collect::<Vec<_>>(), history.warnings(), history.shards())
}
