use std::path::Path;

use super::plan::{Plan, wanted};
use super::{FORMAT, TRAINING, TensorFile, Tensors};
use crate::error::Result;
use crate::layer::Layer;
use crate::model::Model;
use crate::scalar::Scalar;

/// Writes every weight and state of a model under its dotted name.
///
/// # Errors
/// [`Error::NotBuilt`](crate::Error::NotBuilt) before the model was built; [`Error::Io`](crate::Error::Io) if the file
/// cannot be written, in which case the old one is as it was.
pub fn save_weights<A: Scalar>(model: &dyn Layer<A>, path: impl AsRef<Path>) -> Result<()> {
    let mut tensors = Tensors::new();
    describe_file(&mut tensors, "weights");
    add_params(model, &mut tensors)?;
    tensors.write(path)
}

/// Fills a built model from a file of any kind: its names, and no others, must be there, in the same shapes. For files
/// that differ see [`LoadWeights`](super::LoadWeights).
///
/// # Errors
/// [`Error::Io`](crate::Error::Io) or [`Error::File`](crate::Error::File) if the file cannot be read or does not fit the
/// model; the message lists what is missing, unexpected or of another shape. Nothing has changed then.
/// [`Error::NotBuilt`](crate::Error::NotBuilt) before the model was built.
pub fn load_weights<A: Scalar>(model: &mut dyn Layer<A>, path: impl AsRef<Path>) -> Result<()> {
    fill_params(model, &TensorFile::open(path)?)
}

/// The metadata that every file of this library has; `kind` is `weights`, `model` or `checkpoint`.
pub(crate) fn describe_file(tensors: &mut Tensors<'_>, kind: &str) {
    tensors.metadata("format", "layerwise");
    tensors.metadata("layerwise.file", kind);
    tensors.metadata("layerwise.format", FORMAT.to_string());
    tensors.metadata("layerwise.version", env!("CARGO_PKG_VERSION"));
}

/// Adds every weight and state under its dotted name.
pub(crate) fn add_params<'a, A: Scalar>(model: &'a dyn Layer<A>, tensors: &mut Tensors<'a>) -> Result<()> {
    for (name, param) in model.params() {
        tensors.add::<A>(name, param.get()?.shape(), param.values()?)?;
    }
    Ok(())
}

/// Fills every weight and state by its dotted name. What belongs to a training is passed over.
pub(crate) fn fill_params<A: Scalar>(model: &mut dyn Layer<A>, file: &TensorFile) -> Result<()> {
    let wanted = wanted(model)?;
    let names = file.names().filter(|name| !name.starts_with(TRAINING));
    Plan::by_name(&wanted, names.map(|name| (name, name))).fill(model, &wanted, file, false)?;
    Ok(())
}
