//! A training that can be interrupted at any time and goes on where it was.
//!
//! ```text
//! cargo run --release --example resume -- 40    # ends by itself in the middle of epoch 3, as a crash would
//! cargo run --release --example resume          # goes on from there to the end
//! ```
//!
//! Ctrl-C interrupts it as well. `target/resume/training.csv` has a line for each epoch, however often that was, and the
//! weights at the end are the same to the last bit.

use layerwise::data::datasets;
use layerwise::prelude::*;
use layerwise::train::callbacks::{Interrupt, LambdaCallback};

const FOLDER: &str = "target/resume";

fn main() -> Result<()> {
    let stop_at: Option<u64> = match std::env::args().nth(1).map(|step| step.parse()) {
        Some(Ok(step)) => Some(step),
        Some(Err(_)) => return Err(Error::custom("usage: resume [step to stop at]")),
        None => None,
    };
    let digits = datasets::digits();
    let mut model = Sequential::new()
        .add(Dense::new(64).activation(Activation::Relu))
        .add(BatchNormalization::new())
        .add(Dropout::new(0.2))
        .add(Dense::new(10));
    std::fs::create_dir_all(FOLDER).map_err(|source| Error::Io { path: FOLDER.into(), source })?;
    let mut trainer = Trainer::new(SoftmaxCrossEntropy::new(), Adam::new(2e-3))
        .metric(Accuracy::new())
        .validation_split(ValidationSplit::Stratified(0.2))
        .epochs(60)
        .batch_size(64)
        .callback(BackupAndRestore::new(format!("{FOLDER}/backup")))
        .callback(Interrupt::new())
        .callback(ReduceLROnPlateau::new().factor(0.5).patience(3))
        .callback(EarlyStopping::new().patience(8).restore_best())
        .callback(CsvLog::new(format!("{FOLDER}/training.csv")))
        .callback(LambdaCallback::new().on_batch_end(move |event| {
            if Some(event.step) == stop_at {
                event.interrupt();
            }
            Ok(())
        }));
    let history = trainer.fit(&mut model, (&digits.features, &digits.labels))?;

    println!("{history}");
    // A fingerprint of every bit of the network.
    let weights = model.params().into_iter().flat_map(|(_, param)| param.values().unwrap_or_default());
    let print = weights.fold(0u64, |print, weight| print.rotate_left(5) ^ u64::from(weight.to_bits()));
    println!("{} steps, fingerprint of the weights {print:016x}", trainer.steps());
    Ok(())
}
