//! Weights and models in files: the [safetensors](https://github.com/huggingface/safetensors) format, which Python and
//! every tool of that ecosystem read and write.
//!
//! ```no_run
//! use layerwise::{io, prelude::*};
//!
//! let mut model = Sequential::new().add(Dense::new(8).activation(Activation::Relu)).add(Dense::new(1));
//! model.initialize(&[4], 0)?;
//! io::save_model(&model, "model.safetensors")?;
//! let model = io::load_model("model.safetensors")?;
//! # Ok::<(), Error>(())
//! ```
//!
//! Parameters and state stand under their dotted names (`0.weight`), whatever kind of file it is, so that weights can be
//! loaded from any; what belongs to a training is under `training/`. Metadata tell the kind of file
//! (`layerwise.file`: `weights`, `model` or `checkpoint`), the version of this layout (`layerwise.format`) and that of the
//! library (`layerwise.version`). [`TensorFile`] and [`Tensors`] read and write such files of any content.
//!
//! **A crash leaves the old file or the new one.** What is saved goes to a temporary file in the same folder, which is
//! flushed to the disk and then renamed. On any error (a full disk, a folder that cannot be written to) the old file is
//! as it was.
//!
//! **A file is not to be trusted.** Everything that a header says is checked against the bytes that are there before
//! memory is taken for it; a damaged or hostile file is an error.
//!
//! Arrays come from NumPy and go there in `.npy` files ([`read_npy`], [`write_npy`]) and `.npz` archives ([`Npz`],
//! [`NpzWriter`]). [`EventWriter`] writes what TensorBoard shows.

mod bytes;
pub(crate) mod description;
mod events;
mod file;
mod header;
pub(crate) mod json;
mod load_weights;
pub(crate) mod model;
mod npy;
mod npz;
mod number;
mod plan;
mod registry;
mod settings;
mod tensor_file;
mod tensors;
mod torch;
mod torch_modules;
pub(crate) mod weights;
mod wiring;
mod zip;

pub(crate) use description::CLOSURES;
pub use description::describe_layer;
pub use events::EventWriter;
#[cfg(feature = "plot")]
pub(crate) use events::{Spread, encode_png};
#[cfg(feature = "plot")]
pub(crate) use file::write_atomically;
pub(crate) use json::real;
pub use load_weights::{LoadReport, LoadWeights};
pub(crate) use model::model_tensors;
pub use model::{load_model, save_model};
pub use npy::{NpyElement, npy_from_bytes, read_npy, write_npy};
pub use npz::{Npz, NpzWriter};
pub use registry::{Registry, Settings};
pub use settings::{Fields, Place, Setting};
pub use tensor_file::TensorFile;
pub use tensors::Tensors;
pub use torch::{TorchLayout, TorchNames};
pub use weights::{load_weights, save_weights};
#[cfg(feature = "plot")]
pub(crate) use wiring::{Operation, operations};

/// The version of the layout of files. A file with a higher one is refused.
pub(crate) const FORMAT: u64 = 1;
/// What begins the names of the tensors that belong to a training and not to the model.
pub(crate) const TRAINING: &str = "training/";
