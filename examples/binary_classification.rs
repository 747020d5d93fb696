//! Malignant or benign: 100 patients of the breast cancer set, 10 measurements each, a two-layer network.
//!
//! ```text
//! cargo run --release --example binary_classification
//! ```

use layerwise::data::{LabelEncoder, MinMaxScaler, datasets, stratified_train_test_split, take};
use layerwise::metrics::{Precision, Recall};
use layerwise::prelude::*;

const PATIENTS: usize = 100;
const FEATURES: usize = 10;
const SEED: u64 = 1;

fn main() -> Result<()> {
    let table = datasets::breast_cancer_table();
    let mut encoder = LabelEncoder::new();
    let diagnosis = encoder.fit_transform(table.text("diagnosis")?)?;
    // A hundred patients with both diagnoses in their proportions: the "test" part of a split of the whole set.
    let hundred = stratified_train_test_split(&diagnosis, PATIENTS as f64 / table.rows() as f64, SEED)?.test;
    let names = &table.names()[..FEATURES];
    let (x, y) = (take(&table.numbers::<f32>(names)?, &hundred)?, take(&diagnosis, &hundred)?);
    println!("{} patients, {} measurements: {}", x.nrows(), x.ncols(), names.join(", "));

    let split = stratified_train_test_split(&y, 0.3, SEED)?;
    let mut scaler = MinMaxScaler::new(); // to [0, 1]
    let train_x = scaler.fit_transform(&take(&x, &split.train)?)?;
    let validation_x = scaler.transform(&take(&x, &split.test)?)?;
    let validation_y = take(&y, &split.test)?;

    let mut model = Sequential::new().add(Dense::new(16).activation(Activation::Relu)).add(Dense::new(1)); // one logit: the sigmoid is in the loss
    let mut trainer = Trainer::new(BinaryCrossEntropy::new(), Adam::new(0.01))
        .metric(Accuracy::new())
        .metric(Precision::new())
        .metric(Recall::new())
        .validation_data((&validation_x, &validation_y))?
        .epochs(100)
        .batch_size(16)
        .seed(SEED)
        .progress(Progress::Silent);
    let history = trainer.fit(&mut model, (&train_x, &take(&y, &split.train)?))?;
    println!("\n{}\n", model.summary(&[FEATURES])?);
    for epoch in history.epochs().iter().skip(9).step_by(10) {
        println!("epoch {:>3}  {epoch}", epoch.number);
    }

    let mut matrix = ConfusionMatrix::new().class_names(encoder.classes());
    let probabilities = trainer.predict_proba(&model, &validation_x)?;
    matrix.update(&probabilities, &layerwise::to_tensor(&validation_y)?, None)?;
    println!("\n{matrix}\n{}", matrix.report());
    println!("Validation accuracy: {:.3} of {} patients", matrix.result(), validation_y.len());
    Ok(())
}
