use std::collections::HashMap;
use std::fmt;
use std::path::Path;

use super::plan::{Plan, wanted};
use super::torch::TorchNames;
use super::torch_modules::plan_by_modules;
use super::{TRAINING, TensorFile};
use crate::error::{Error, Result};
use crate::layer::Layer;
use crate::scalar::Scalar;

/// Loads weights from a file whose names, layout or extent differ from the model's.
///
/// As it stands it is as strict as [`load_weights`](super::load_weights): every name of the model and no other, in the
/// same shapes. Names of the file become names of the model in this order: those that do not begin with the
/// [`prefix`](Self::prefix) are passed over and the others lose it; a [`rename`](Self::rename) that fits is final; what
/// is left goes through [`map`](Self::map). With [`partial`](Self::partial) names may be missing or unexpected; a shape
/// never may be wrong. On any error the model is as it was.
///
/// ```no_run
/// use layerwise::io::LoadWeights;
/// use layerwise::prelude::*;
///
/// let mut model = Sequential::new()
///     .add(Conv2d::new(16, 3).without_bias())
///     .add(BatchNormalization::new().epsilon(1e-5))
///     .add(Activation::Relu)
///     .add(Flatten::new())
///     .add(Dense::new(10));
/// model.initialize(&[28, 28, 1], 0)?;
/// // `torch.save` is not read: `safetensors.torch.save_file(module.state_dict(), "net.safetensors")` is.
/// let report = LoadWeights::new("net.safetensors")?
///     .pytorch()
///     .channels_first("fc.weight", [16, 26, 26]) // what PyTorch flattens: channels, height, width
///     .into_model(&mut model)?;
/// println!("{report}");
/// # Ok::<(), Error>(())
/// ```
///
/// # PyTorch
///
/// [`pytorch`](Self::pytorch) turns names and layouts as follows:
///
/// | PyTorch | shape there | here | shape here |
/// |---|---|---|---|
/// | `Linear` `weight` | `(out, in)` | `Dense` `weight` | `(in, out)` |
/// | `Conv2d` `weight` | `(out, in / groups, height, width)` | `Conv2d` `weight` | `(height, width, in / groups, out)` |
/// | `Conv2d` of as many groups as channels | `(channels * multiplier, 1, height, width)` | `DepthwiseConv2d` `weight` | `(height, width, channels, multiplier)` |
/// | `ConvTranspose2d` `weight` | `(in, out / groups, height, width)` | `ConvTranspose2d` `weight` | `(height, width, out / groups, in)` |
/// | `BatchNorm` `weight`, `bias` | `(channels)` | `BatchNormalization` `gamma`, `beta` | the same |
/// | `BatchNorm` `running_mean`, `running_var` | `(channels)` | `running_mean`, `running_variance` | the same |
/// | `BatchNorm` `num_batches_tracked` | | not used | |
/// | `LayerNorm`, `GroupNorm`, `InstanceNorm` `weight`, `bias` | `(channels)` | `gamma`, `beta` | the same |
/// | `Embedding` `weight` | `(vocabulary, dimension)` | `Embedding` `weight` | the same |
/// | `RNN` `weight_ih_l0`, `weight_hh_l0` | `(units, in)`, `(units, units)` | `SimpleRnn` `weight`, `recurrent_weight` | `(in, units)`, `(units, units)`, transposed |
/// | `RNN` `bias_ih_l0` and `bias_hh_l0` | `(units)` | `SimpleRnn` `bias` | their sum |
/// | any `bias` | | `bias` | the same |
///
/// The 1d layers go as the 2d ones without the height, and each layer of an `RNN` as a `SimpleRnn`. `epsilon` is no
/// weight: PyTorch's is 1e-5. A layer of one's own tells its names with
/// [`Layer::torch_names`](crate::Layer::torch_names).
///
/// **Which module is which layer.** Where the modules' names are those of the model's layers, they tell. PyTorch counts
/// activations and `Flatten` as modules of a `Sequential`, so that mostly they are not; then modules that were renamed go
/// by their new names, and the others go to the layers of the same shapes, in order: modules with the same shapes must
/// be told apart by numbers (`0` and `2`, `fc1` and `fc2`, `blocks.0.fc` and `blocks.1.fc`) and be as many as the layers.
/// Where they are not, the error asks for a `rename`. The report tells what went where.
///
/// **Flatten.** PyTorch flattens `(channels, height, width)`, we flatten `(height, width, channels)`. For the `Linear`
/// behind a `Flatten` give [`channels_first`](Self::channels_first), or let the model have
/// [`ChannelsFirst`](crate::layers::ChannelsFirst) in front of its `Flatten`. After global pooling there is nothing to do.
pub struct LoadWeights {
    file: TensorFile,
    prefix: String,
    renames: Vec<(String, String)>,
    maps: Vec<Box<Rename>>,
    partial: bool,
    pytorch: bool,
    images: Vec<(String, [usize; 3])>,
}

/// A user's function from names to names.
type Rename = dyn Fn(&str) -> Option<String>;

/// A tensor of the file that is to be loaded.
pub(super) struct Given<'f> {
    /// Its name in the file, and for the model.
    pub(super) in_file: &'f str,
    pub(super) name: String,
    /// Whether the user named it.
    pub(super) renamed: bool,
}

impl LoadWeights {
    /// From a file of this library or any other in the safetensors format.
    ///
    /// # Errors
    /// As for [`TensorFile::open`].
    pub fn new(path: impl AsRef<Path>) -> Result<Self> {
        Ok(Self::from_file(TensorFile::open(path)?))
    }

    /// From a file that is open.
    pub fn from_file(file: TensorFile) -> Self {
        LoadWeights {
            file,
            prefix: String::new(),
            renames: Vec::new(),
            maps: Vec::new(),
            partial: false,
            pytorch: false,
            images: Vec::new(),
        }
    }

    /// Takes the names that begin with this, without it, and passes over the others: `encoder.` for a part of a larger
    /// model.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// A tensor of the file, or a module with all that is in it, by its name in the model: `rename("fc.weight",
    /// "3.weight")`, or `rename("fc", "3")`. Where several fit a name, the longest does.
    #[must_use]
    pub fn rename(mut self, from: impl Into<String>, to: impl Into<String>) -> Self {
        self.renames.push((from.into(), to.into()));
        self
    }

    /// Names that no [`rename`](Self::rename) fits by a function, which gives `None` for a tensor to pass over.
    #[must_use]
    pub fn map(mut self, map: impl Fn(&str) -> Option<String> + 'static) -> Self {
        self.maps.push(Box::new(map));
        self
    }

    /// Loads what there is: names may be missing or unexpected and are told in the report. One name must fit.
    #[must_use]
    pub fn partial(mut self) -> Self {
        self.partial = true;
        self
    }

    /// Converts PyTorch's names and layouts.
    #[must_use]
    pub fn pytorch(mut self) -> Self {
        self.pytorch = true;
        self
    }

    /// The weight of this name in the file reads a flattened image of so many channels, rows and columns, channels
    /// first: its rows are brought in our order, channels last.
    #[must_use]
    pub fn channels_first(mut self, name: impl Into<String>, image: [usize; 3]) -> Self {
        self.images.push((name.into(), image));
        self
    }

    /// Fills the model, which must be built.
    ///
    /// # Errors
    /// [`Error::NotBuilt`]; [`Error::File`] with everything that does not fit, or for a value that the model's number
    /// type cannot hold; [`Error::Setting`] for a `rename` or `channels_first` of a name that the file does not have, and
    /// for names of the file that come to the same.
    pub fn into_model<A: Scalar>(self, model: &mut dyn Layer<A>) -> Result<LoadReport> {
        let wanted = wanted(model)?;
        let given = self.given()?;
        let mut plan = if self.pytorch {
            let mut names = TorchNames::default();
            model.torch_names(&mut names);
            plan_by_modules(&wanted, &names, &given, &self.file)
        } else {
            Plan::by_name(&wanted, given.iter().map(|given| (&*given.name, given.in_file)))
        };
        for (name, image) in &self.images {
            if self.file.shape(name).is_none() {
                let requirement = format!("a tensor of {}", self.file.path().display());
                return Err(Error::setting("channels_first", requirement, format!("\"{name}\"")));
            }
            let sources = plan.sources.iter_mut().flatten().filter(|source| source.from.contains(name));
            sources.for_each(|source| source.channels_first = Some(*image));
        }
        plan.fill(model, &wanted, &self.file, self.partial)
    }

    /// The tensors that are to be loaded, with their names for the model.
    fn given(&self) -> Result<Vec<Given<'_>>> {
        let mut used = vec![false; self.renames.len()];
        let mut taken: HashMap<String, &str> = HashMap::new();
        let mut given = Vec::new();
        for in_file in self.file.names().filter(|name| !name.starts_with(TRAINING)) {
            let Some(unprefixed) = in_file.strip_prefix(&*self.prefix) else { continue };
            let renamed = self.renamed(unprefixed, &mut used);
            let mapped = || self.maps.iter().try_fold(unprefixed.to_owned(), |name, map| map(&name));
            let is_renamed = renamed.is_some();
            let Some(name) = renamed.or_else(mapped) else { continue };
            if let Some(other) = taken.insert(name.clone(), in_file) {
                let got = format!("\"{name}\" for \"{other}\" and \"{in_file}\"");
                return Err(Error::setting("a name for the model", "that of one tensor of the file", got));
            }
            given.push(Given { in_file, renamed: is_renamed || name != unprefixed, name });
        }
        match self.renames.iter().zip(used).find(|(_, used)| !used) {
            Some(((from, _), _)) => {
                let requirement = format!("a tensor or module of {}", self.file.path().display());
                Err(Error::setting("rename", requirement, format!("\"{from}\"")))
            }
            None => Ok(given),
        }
    }

    /// The name that the longest fitting `rename` gives.
    fn renamed(&self, name: &str, used: &mut [bool]) -> Option<String> {
        let fits = |(at, (from, to)): (usize, &(String, String))| {
            let rest = name.strip_prefix(&**from)?;
            (rest.is_empty() || rest.starts_with('.')).then(|| (from.len(), at, format!("{to}{rest}")))
        };
        let (_, at, name) = self.renames.iter().enumerate().filter_map(fits).max_by_key(|(length, ..)| *length)?;
        used[at] = true;
        Some(name)
    }
}

/// What was loaded, and what was not.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct LoadReport {
    /// Each parameter that was filled, with the tensor of the file (or several, which were added up).
    pub loaded: Vec<(String, Vec<String>)>,
    /// Parameters that were left as they were.
    pub missing: Vec<String>,
    /// Tensors of the file that fill nothing.
    pub unexpected: Vec<String>,
}

/// One line for each parameter, and then what is missing or unexpected.
impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} parameters loaded", self.loaded.len())?;
        for (name, from) in &self.loaded {
            write!(f, "\n  {name} from {}", from.join(" + "))?;
        }
        for (what, names) in [("missing", &self.missing), ("unexpected", &self.unexpected)] {
            if !names.is_empty() {
                write!(f, "\n{what}: {}", names.join(", "))?;
            }
        }
        Ok(())
    }
}
