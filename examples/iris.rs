//! Trains the Iris network from its CSV file over many splits.
use layerwise::data::datasets;
use layerwise::prelude::*;
fn main() -> Result<()> {
    let iris = datasets::iris();
    let mut model = Sequential::new()
        .add(Dense::new(64).activation(Activation::Relu))
        .add(Dense::new(64).activation(Activation::Relu))
        .add(Dense::new(3));
    let mut trainer = Trainer::new(SoftmaxCrossEntropy::new(), Adam::new(1e-3))
        .metric(Accuracy::new())
        .epochs(50)
        .validation_split(ValidationSplit::Stratified(0.2));
    let history = trainer.fit(&mut model, (&iris.features, &iris.labels))?;
    println!("{history}");
    println!("{}", model.summary(&[4])?);
    Ok(())
}
