//! Which tensors of a file fill which parameters, and the filling, all or nothing.

use std::collections::{HashMap, HashSet};

use super::torch::{TorchLayout, rows_channels_last};
use super::{LoadReport, TensorFile};
use crate::error::{Error, Result};
use crate::layer::Layer;
use crate::model::Model;
use crate::param::ParamId;
use crate::scalar::Scalar;
use crate::tensor::{Tensor, values};

/// The most faults that one error tells.
const MOST_TOLD: usize = 10;

/// A parameter that waits for values.
pub(super) struct Wanted {
    pub(super) name: String,
    pub(super) id: ParamId,
    pub(super) shape: Vec<usize>,
}

/// Every parameter of a model that is built, or waits for values, in the order of its visitor.
pub(super) fn wanted<A: Scalar>(model: &dyn Layer<A>) -> Result<Vec<Wanted>> {
    let each = |(name, param): (String, &crate::Param<A>)| {
        Ok(Wanted { name, id: param.id(), shape: param.shape().ok_or(Error::NotBuilt)?.to_vec() })
    };
    model.params().into_iter().map(each).collect()
}

/// Where the values of a parameter come from: tensors of the file that are added up, their layout, and the image
/// `(channels, height, width)` whose flattening with the channels first the weight's rows follow.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) from: Vec<String>,
    pub(super) layout: TorchLayout,
    pub(super) channels_first: Option<[usize; 3]>,
}

impl Source {
    /// One tensor as it is.
    pub(super) fn of(name: &str) -> Self {
        Source { from: vec![name.to_owned()], layout: TorchLayout::Same, channels_first: None }
    }

    /// What is wrong with the shapes.
    fn faults(&self, wanted: &Wanted, file: &TensorFile) -> Vec<String> {
        let Wanted { name, shape, .. } = wanted;
        let expected = self.layout.theirs(shape).unwrap_or_default();
        let differs = |from: &&String| file.shape(from) != Some(&expected[..]);
        let mut faults: Vec<_> =
            self.from.iter().filter(differs).map(|from| self.wrong(from, wanted, &expected, file)).collect();
        if let Some(image) = self.channels_first
            && (shape.len() != 2 || product(&image) != Some(shape[0]))
        {
            faults.push(format!(
                "{name}: an image of channels, height and width {image:?} has no weight of shape {shape:?}"
            ));
        }
        faults
    }

    /// What to say of a tensor of another shape.
    fn wrong(&self, from: &str, wanted: &Wanted, expected: &[usize], file: &TensorFile) -> String {
        let Wanted { name, shape, .. } = wanted;
        let got = file.shape(from).unwrap_or_default();
        let called = if from == name { String::new() } else { format!(" of {from}") };
        match self.layout {
            TorchLayout::Same => format!("{name}: expected shape {shape:?}, got {got:?}{called}"),
            _ => format!("{name}: expected shape {expected:?} for ours of {shape:?}, got {got:?}{called}"),
        }
    }

    /// The values.
    fn read<A: Scalar>(&self, shape: &[usize], file: &TensorFile) -> Result<Tensor<A>> {
        let mut total: Option<Tensor<A>> = None;
        for name in &self.from {
            let next = file.get(name)?;
            total = Some(match total {
                None => next,
                Some(total) => (total + next).into_shared(),
            });
        }
        let total = total.ok_or_else(|| file.error("a parameter without a source"))?;
        let ours = self.layout.convert(&total, shape)?;
        match self.channels_first {
            Some(image) => rows_channels_last(&ours, image),
            None => Ok(ours),
        }
    }
}

fn product(extents: &[usize]) -> Option<usize> {
    extents.iter().try_fold(1_usize, |product, &extent| product.checked_mul(extent))
}

/// A source, or none, for each parameter.
#[derive(Default)]
pub(super) struct Plan {
    pub(super) sources: Vec<Option<Source>>,
    /// Tensors of the file that fill nothing.
    pub(super) unexpected: Vec<String>,
    /// What makes the plan impossible.
    pub(super) faults: Vec<String>,
}

impl Plan {
    /// Every parameter from the tensor of its name. Each pair is such a name and that of the tensor in the file.
    pub(super) fn by_name<'n>(wanted: &[Wanted], given: impl IntoIterator<Item = (&'n str, &'n str)>) -> Self {
        let mut given: HashMap<&str, &str> = given.into_iter().collect();
        let sources = wanted.iter().map(|wanted| given.remove(&*wanted.name).map(Source::of)).collect();
        let mut unexpected: Vec<_> = given.into_values().map(str::to_owned).collect();
        unexpected.sort_unstable();
        Plan { sources, unexpected, faults: Vec::new() }
    }

    /// The parameters without values. A tied one goes by any of its names.
    fn missing<'w>(&self, wanted: &'w [Wanted]) -> Vec<&'w Wanted> {
        let pairs = || wanted.iter().zip(&self.sources);
        let filled: HashSet<ParamId> =
            pairs().filter(|(_, source)| source.is_some()).map(|(wanted, _)| wanted.id).collect();
        pairs().map(|(wanted, _)| wanted).filter(|wanted| !filled.contains(&wanted.id)).collect()
    }

    /// Fills the model. Unless it is partial, nothing may be missing or unexpected.
    pub(super) fn fill<A: Scalar>(
        self,
        model: &mut dyn Layer<A>,
        wanted: &[Wanted],
        file: &TensorFile,
        partial: bool,
    ) -> Result<LoadReport> {
        let pairs = || wanted.iter().zip(&self.sources).filter_map(|(wanted, source)| Some((wanted, source.as_ref()?)));
        let missing = self.missing(wanted);
        let mut faults = self.faults.clone();
        faults.extend(pairs().flat_map(|(wanted, source)| source.faults(wanted, file)));
        if !partial {
            faults.extend(missing.iter().map(|wanted| format!("missing: {} {:?}", wanted.name, wanted.shape)));
            let unexpected = |name: &String| format!("unexpected: {name} {:?}", file.shape(name).unwrap_or_default());
            faults.extend(self.unexpected.iter().map(unexpected));
        } else if pairs().next().is_none() && !wanted.is_empty() {
            faults.push("none of its names is one of the model's".into());
        }
        refuse(file, &faults)?;

        let read = |(wanted, source): (&Wanted, &Option<Source>)| {
            source.as_ref().map(|source| source.read(&wanted.shape, file)).transpose()
        };
        let values = wanted.iter().zip(&self.sources).map(read).collect::<Result<Vec<_>>>()?;
        let loaded = pairs().map(|(wanted, source)| (wanted.name.clone(), source.from.clone())).collect();
        let missing = missing.into_iter().map(|wanted| wanted.name.clone()).collect();
        set_all(model, wanted, values, file)?;
        Ok(LoadReport { loaded, missing, unexpected: self.unexpected })
    }
}

/// An error with the faults, if there are any.
fn refuse(file: &TensorFile, faults: &[String]) -> Result<()> {
    if faults.is_empty() {
        return Ok(());
    }
    let mut told = faults[..faults.len().min(MOST_TOLD)].join("; ");
    if faults.len() > MOST_TOLD {
        told += &format!("; and {} more", faults.len() - MOST_TOLD);
    }
    Err(file.error(format!("it does not fit the model: {told}")))
}

/// Gives the parameters, in the order of the model's visitor, these values, which have their shapes. All are set or
/// none: tied parameters that would come apart are refused.
fn set_all<A: Scalar>(
    model: &mut dyn Layer<A>,
    wanted: &[Wanted],
    loaded: Vec<Option<Tensor<A>>>,
    file: &TensorFile,
) -> Result<()> {
    let mut by_id: HashMap<ParamId, (&str, Tensor<A>)> = HashMap::new();
    for (Wanted { name, id, .. }, tensor) in wanted.iter().zip(loaded) {
        let Some(tensor) = tensor else { continue };
        let (first, values) = by_id.entry(*id).or_insert_with(|| (name.as_str(), tensor.clone()));
        if !same_bits(values, &tensor)? {
            return Err(file.error(format!("{first} and {name} are tied, but their values differ")));
        }
    }
    for (_, param) in model.params_mut() {
        if let Some((_, tensor)) = by_id.get(&param.id()) {
            param.replace(Some(tensor.clone()));
        }
    }
    Ok(())
}

fn same_bits<A: Scalar>(a: &Tensor<A>, b: &Tensor<A>) -> Result<bool> {
    let (a, b) = (values(a)?, values(b)?);
    Ok(a.as_ptr() == b.as_ptr() || a.iter().zip(b).all(|(a, b)| a.to_file().as_ref() == b.to_file().as_ref()))
}
