use std::path::Path;

use super::description::Description;
use super::registry::Registry;
use super::weights::{add_params, describe_file, fill_params};
use super::{TensorFile, Tensors};
use crate::error::{Error, Result};
use crate::layer::Layer;
use crate::scalar::Scalar;

/// The key of the metadata under which a file describes its model.
pub(crate) const MODEL: &str = "layerwise.model";

/// Writes a model: every weight and state, and from what kinds of layers with which settings it is made, so that
/// [`load_model`] gives it back without a line of code that builds it.
///
/// # Errors
/// [`Error::NotBuilt`] before the model was built; [`Error::Custom`] for a [`Lambda`](crate::layers::Lambda), whose
/// closures no file can hold, for a model that does not know what it was built for (a layer that is no container: put
/// it into a [`Sequential`](crate::models::Sequential)), and where two parameters have one name; [`Error::Io`] if the
/// file cannot be written. The old file is as it was then.
pub fn save_model<A: Scalar>(model: &dyn Layer<A>, path: impl AsRef<Path>) -> Result<()> {
    model_tensors(model)?.write(path)
}

/// What [`save_model`] writes, for a caller who writes more beside it.
///
/// # Errors
/// Those of [`save_model`], but for the file's.
pub(crate) fn model_tensors<A: Scalar>(model: &dyn Layer<A>) -> Result<Tensors<'_>> {
    let description = Description::of(model)?;
    description.check()?;
    let mut tensors = Tensors::new();
    describe_file(&mut tensors, "model");
    tensors.metadata(MODEL, description.to_json().to_string());
    add_params(model, &mut tensors)?;
    Ok(tensors)
}

/// Loads a model of layers of this crate from a file that [`save_model`] has written, or a checkpoint. For models with
/// layers of one's own, or of `f64`, see [`Registry::load_model`].
///
/// It predicts the same, and trains on: what was frozen is, and tied weights are one.
///
/// ```
/// use layerwise::{io, prelude::*};
///
/// let mut model = Sequential::new().add(Dense::new(8).activation(Activation::Relu)).add(Dense::new(1));
/// model.initialize(&[4], 0)?;
/// # let path = std::env::temp_dir().join(format!("layerwise-model-{}.safetensors", std::process::id()));
/// io::save_model(&model, &path)?;
///
/// let loaded = io::load_model(&path)?;
/// let x = ndarray::array![[5.1_f32, 3.5, 1.4, 0.2]];
/// assert_eq!(loaded.predict(&x)?, model.predict(&x)?);
/// # std::fs::remove_file(path).ok();
/// # Ok::<(), Error>(())
/// ```
///
/// # Errors
/// As for [`Registry::load_model`].
pub fn load_model(path: impl AsRef<Path>) -> Result<Box<dyn Layer>> {
    Registry::new().load_model(path)
}

impl<A: Scalar> Registry<A> {
    /// Loads a model from a file that [`save_model`] has written, or a checkpoint.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be opened, [`Error::File`] if it is damaged, holds no model, or one with layers
    /// or settings that are not known here, of numbers that `A` would round, or with weights that do not fit it. Sizes in
    /// the file are checked before memory is taken for them.
    pub fn load_model(&self, path: impl AsRef<Path>) -> Result<Box<dyn Layer<A>>> {
        self.read_model(&TensorFile::open(path)?)
    }

    /// The same from a file that is open, or in memory: [`TensorFile::from_bytes`].
    ///
    /// # Errors
    /// As for [`load_model`](Self::load_model).
    pub fn read_model(&self, file: &TensorFile) -> Result<Box<dyn Layer<A>>> {
        let Some(text) = file.metadata(MODEL) else {
            let message = "it describes no model: load the weights into one with `load_weights` or `LoadWeights`";
            return Err(file.error(message));
        };
        let model = Description::from_json(text).and_then(|description| {
            let mut model = description.make(self)?;
            fill_params(&mut *model, file)?;
            Ok(model)
        });
        model.map_err(|error| match error {
            Error::File { .. } => error,
            other => file.error(format!("the model in it: {other}")),
        })
    }
}
