//! Trains a network on Iris, saves it as one file, and loads it without a line that says how it was built.
//!
//! ```text
//! cargo run --release --example save_and_load
//! ```

use layerwise::data::{StandardScaler, datasets};
use layerwise::io::{self, Registry, TensorFile};
use layerwise::prelude::*;

/// y = x^2: a layer of one's own.
struct Square;

impl<A: Scalar> Layer<A> for Square {
    fn kind(&self) -> &str {
        "Square"
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        Ok(input.to_vec())
    }

    fn forward(&self, x: &Tensor<A>, _: &mut Context<A>) -> Result<Tensor<A>> {
        Ok((x * x).into_shared())
    }

    fn backward(
        &self,
        x: &Tensor<A>,
        _: &Tensor<A>,
        dy: &Tensor<A>,
        _: bool,
        _: &mut Context<A>,
    ) -> Result<Option<Tensor<A>>> {
        Ok(Some((dy * &(x * A::of(2.0))).into_shared()))
    }
}

fn main() -> Result<()> {
    let iris = datasets::iris();
    let x = StandardScaler::new().fit_transform(&iris.features)?;
    let mut model = Sequential::new()
        .add(Dense::new(16).activation(Activation::Tanh))
        .add(BatchNormalization::new())
        .add(Square)
        .add(Dense::new(3));
    let mut trainer = Trainer::new(SoftmaxCrossEntropy::new(), Adam::new(0.01))
        .metric(Accuracy::new())
        .epochs(30)
        .progress(Progress::Silent);
    let history = trainer.fit(&mut model, (&x, &iris.labels))?;
    println!("trained:  {}", history.last().map(ToString::to_string).unwrap_or_default());

    let path = std::env::temp_dir().join(format!("layerwise-iris-{}.safetensors", std::process::id()));
    io::save_model(&model, &path)?;
    println!("saved:    {}", path.display());
    let file = TensorFile::open(&path)?;
    for name in file.names() {
        println!("          {name} {:?}", file.shape(name).unwrap_or_default());
    }

    // Layers of this crate are known. One of one's own takes one line.
    let mut registry = Registry::new();
    registry.layer("Square", |_| Ok(Square));
    let loaded = registry.load_model(&path)?;
    println!("loaded:\n{}", loaded.summary(&[4])?);
    let same = loaded.predict(&x)? == model.predict(&x)?;
    println!("predicts the same bits for all 150 flowers: {same}");

    // What is not known is said, and what to do about it.
    if let Err(error) = io::load_model(&path) {
        println!("without the line: {error}");
    }
    std::fs::remove_file(&path).map_err(|source| Error::Io { path, source })
}
