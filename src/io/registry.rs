//! From the kind and the settings of a layer to the layer.

use std::cell::Cell;
use std::collections::HashMap;

use serde_json::Value;

use super::settings::{Fields, Place, Setting};
use crate::error::{Error, Result};
use crate::layer::{Layer, Merge};
use crate::scalar::Scalar;
use crate::{layers, models};

/// How deep layers may be nested.
const MOST_NESTED: usize = 32;

/// The levels of JSON for that: a list, the layer in it, and its settings.
const MOST_LEVELS: usize = 3 * MOST_NESTED;

/// How many layers a network may apply. A graph in a graph that applies each layer twice doubles with every level: a
/// short file could keep a machine busy for years.
const MOST_LAYERS: usize = 1 << 16;

type Make<A, L> = Box<dyn Fn(&Settings<'_, A>) -> Result<Box<L>> + Send + Sync>;

/// Makes layers from their [`kind`](Layer::kind) and [`config`](Layer::config): so models come out of files.
///
/// It knows every layer and merge of this crate but [`Lambda`](layers::Lambda), whose closures no file can hold. One's
/// own takes one line:
///
/// ```
/// use layerwise::io::{self, Registry};
/// use layerwise::prelude::*;
///
/// /// y = x^power
/// struct Power {
///     power: f64,
/// }
///
/// impl<A: Scalar> Layer<A> for Power {
///     fn kind(&self) -> &str {
///         "Power"
///     }
///
///     fn config(&self) -> serde_json::Value {
///         serde_json::json!({ "power": self.power })
///     }
/// #   fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> { Ok(input.to_vec()) }
/// #   fn forward(&self, x: &Tensor<A>, _: &mut Context<A>) -> Result<Tensor<A>> {
/// #       Ok(x.mapv(|x| x.powf(A::of(self.power))).into_shared())
/// #   }
/// #   fn backward(
/// #       &self, x: &Tensor<A>, _: &Tensor<A>, dy: &Tensor<A>, _: bool, _: &mut Context<A>,
/// #   ) -> Result<Option<Tensor<A>>> {
/// #       let slope = x.mapv(|x| A::of(self.power) * x.powf(A::of(self.power - 1.0)));
/// #       Ok(Some((dy * &slope).into_shared()))
/// #   }
///     // ...
/// }
///
/// let mut registry = Registry::new();
/// registry.layer("Power", |settings| Ok(Power { power: settings.get("power")? }));
///
/// let mut model = Sequential::new().add(Dense::new(3)).add(Power { power: 2.0 });
/// model.initialize(&[4], 0)?;
/// # let path = std::env::temp_dir().join(format!("layerwise-registry-{}.safetensors", std::process::id()));
/// io::save_model(&model, &path)?;
/// let loaded = registry.load_model(&path)?;
/// let x = ndarray::array![[1.0_f32, 2.0, 3.0, 4.0]];
/// assert_eq!(loaded.predict(&x)?, model.predict(&x)?);
/// # std::fs::remove_file(path).ok();
/// # Ok::<(), Error>(())
/// ```
pub struct Registry<A: Scalar = f32> {
    layers: HashMap<String, Make<A, dyn Layer<A>>>,
    merges: HashMap<String, Make<A, dyn Merge<A>>>,
}

impl Registry {
    /// With every layer of this crate, for `f32` models.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Self::of()
    }
}

impl<A: Scalar> Registry<A> {
    /// With every layer of this crate, for models of any number type.
    pub fn of() -> Self {
        let mut registry = Registry { layers: HashMap::new(), merges: HashMap::new() };
        layers::register(&mut registry);
        models::register(&mut registry);
        registry
    }

    /// Tells how layers of a kind are made from their settings, all of which must be read. A kind that is there already
    /// is made in the new way from now on.
    pub fn layer<L: Layer<A> + 'static>(
        &mut self,
        kind: impl Into<String>,
        make: impl Fn(&Settings<'_, A>) -> Result<L> + Send + Sync + 'static,
    ) -> &mut Self {
        self.layers.insert(kind.into(), Box::new(move |settings| Ok(Box::new(make(settings)?) as Box<dyn Layer<A>>)));
        self
    }

    /// The same for merges.
    pub fn merge<M: Merge<A> + 'static>(
        &mut self,
        kind: impl Into<String>,
        make: impl Fn(&Settings<'_, A>) -> Result<M> + Send + Sync + 'static,
    ) -> &mut Self {
        self.merges.insert(kind.into(), Box::new(move |settings| Ok(Box::new(make(settings)?) as Box<dyn Merge<A>>)));
        self
    }

    /// A layer, not built yet, from what [`Layer::kind`] and [`Layer::config`] have given.
    ///
    /// # Errors
    /// [`Error::Setting`] with the place in `config` for a kind that is not known, a setting that is missing, has
    /// another type or is one that the layer does not have, and for layers nested or applied more often than a network
    /// needs.
    pub fn make(&self, kind: &str, config: &Value) -> Result<Box<dyn Layer<A>>> {
        let left = Cell::new(MOST_LAYERS);
        let fields = Fields::of(config, Place::root("config"))?;
        let settings = Settings { registry: self, fields, uses: 1, left: &left };
        settings.make(kind, &self.layers, Place::root("kind"))
    }

    /// The kinds of all layers, and those of all merges, in the order of the alphabet.
    pub fn kinds(&self) -> (Vec<&str>, Vec<&str>) {
        let mut kinds = (Vec::new(), Vec::new());
        kinds.0.extend(self.layers.keys().map(String::as_str));
        kinds.1.extend(self.merges.keys().map(String::as_str));
        kinds.0.sort_unstable();
        kinds.1.sort_unstable();
        kinds
    }
}

/// The settings of a layer as a file has them, to make it again: its [`config`](Layer::config).
///
/// ```
/// use layerwise::io::{Registry, Settings, describe_layer};
/// use layerwise::prelude::*;
///
/// /// f(f(x)) with a layer f.
/// struct Twice {
///     inner: Box<dyn Layer>,
/// }
///
/// impl Twice {
///     fn from_config(settings: &Settings) -> Result<Self> {
///         Ok(Twice { inner: settings.layer("inner")? })
///     }
/// }
///
/// impl Layer for Twice {
///     fn config(&self) -> serde_json::Value {
///         serde_json::json!({ "inner": describe_layer(&*self.inner) })
///     }
/// #   fn kind(&self) -> &str { "Twice" }
/// #   fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> { Ok(input.to_vec()) }
/// #   fn forward(&self, x: &Tensor, _: &mut Context) -> Result<Tensor> { Ok(x.clone()) }
/// #   fn backward(&self, _: &Tensor, _: &Tensor, dy: &Tensor, _: bool, _: &mut Context) -> Result<Option<Tensor>> {
/// #       Ok(Some(dy.clone()))
/// #   }
///     // ...
/// }
///
/// let mut registry = Registry::new();
/// registry.layer("Twice", Twice::from_config);
/// let layer = registry.make("Twice", &Twice { inner: Box::new(Dense::new(3)) }.config())?;
/// assert_eq!(layer.kind(), "Twice");
/// # Ok::<(), Error>(())
/// ```
pub struct Settings<'s, A: Scalar = f32> {
    registry: &'s Registry<A>,
    fields: Fields<'s>,
    /// How often a pass applies the layer.
    uses: usize,
    /// How often layers may still be applied in the whole network.
    left: &'s Cell<usize>,
}

impl<A: Scalar> Settings<'_, A> {
    /// One setting: a number, a flag, a string, a list, an `Option` of one, an [`Activation`](layers::Activation), an
    /// [`Initializer`](crate::Initializer), a [`Padding`](layers::Padding), and what else is a [`Setting`].
    ///
    /// # Errors
    /// [`Error::Setting`] with the place where it is missing, or has another type or value than it may have.
    pub fn get<T: Setting>(&self, name: &str) -> Result<T> {
        self.fields.get(name)
    }

    /// A layer in this one, which [`describe_layer`](super::describe_layer) has put into the settings.
    ///
    /// # Errors
    /// As for [`Registry::make`].
    pub fn layer(&self, name: &str) -> Result<Box<dyn Layer<A>>> {
        self.inside(name, |child| child.described_layer(1))
    }

    /// The same where there may be none.
    ///
    /// # Errors
    /// As for [`Registry::make`].
    pub fn optional_layer(&self, name: &str) -> Result<Option<Box<dyn Layer<A>>>> {
        match self.fields.value(name) {
            None | Some(Value::Null) => Ok(None),
            Some(_) => self.layer(name).map(Some),
        }
    }

    /// A list of layers in this one.
    ///
    /// # Errors
    /// As for [`Registry::make`].
    pub fn layers(&self, name: &str) -> Result<Vec<Box<dyn Layer<A>>>> {
        self.each(name, |child, _| child.described_layer(1))
    }

    /// Runs `inside` with the settings that stand in this one, and sees that it reads them all.
    ///
    /// # Errors
    /// Those of `inside`, and where the setting is none, or has values that were not read.
    pub fn inside<R>(&self, name: &str, inside: impl FnOnce(&Settings<'_, A>) -> Result<R>) -> Result<R> {
        let place = self.fields.place().key(name);
        let value = self.fields.value(name).ok_or_else(|| Error::setting(place.to_string(), "given", "nothing"))?;
        self.enter(value, place, self.uses, inside)
    }

    /// The same for each of a list of settings, with its number.
    ///
    /// # Errors
    /// As there.
    pub fn each<R>(&self, name: &str, mut inside: impl FnMut(&Settings<'_, A>, usize) -> Result<R>) -> Result<Vec<R>> {
        let place = self.fields.place().key(name);
        let Some(value) = self.fields.value(name) else {
            return Err(Error::setting(place.to_string(), "given", "nothing"));
        };
        let items = value.as_array().ok_or_else(|| place.refuse("a list", value))?.iter().enumerate();
        let made = items
            .map(|(number, item)| self.enter(item, place.item(number), self.uses, |settings| inside(settings, number)));
        made.collect()
    }

    /// The layer whose `kind` and `config` are among these settings, applied so many times by the layer around it.
    pub(crate) fn described_layer(&self, times: usize) -> Result<Box<dyn Layer<A>>> {
        self.described(times, &self.registry.layers)
    }

    /// The same for a merge.
    pub(crate) fn described_merge(&self, times: usize) -> Result<Box<dyn Merge<A>>> {
        self.described(times, &self.registry.merges)
    }

    fn described<L: ?Sized>(&self, times: usize, known: &HashMap<String, Make<A, L>>) -> Result<Box<L>> {
        let kind: String = self.get("kind")?;
        let here = self.fields.place();
        // The config of a layer without settings is null, and may be left away.
        let config = self.fields.value("config").unwrap_or(&Value::Null);
        let uses = self.uses.saturating_mul(times);
        self.enter(config, here.key("config"), uses, |settings| settings.make(&kind, known, here.key("kind")))
    }

    /// Makes what these are the settings of.
    fn make<L: ?Sized>(&self, kind: &str, known: &HashMap<String, Make<A, L>>, place: Place<'_>) -> Result<Box<L>> {
        let make = known.get(kind).ok_or_else(|| {
            // A kind from a damaged file may be as long as the file.
            let kind: String = kind.chars().take(60).collect();
            let register = format!("`registry.layer(\"{kind}\", |settings| Ok(...))`");
            let requirement = format!("a kind that is known (for one of yours: {register}; for a merge, `merge`)");
            Error::setting(place.to_string(), requirement, format!("\"{kind}\""))
        })?;
        self.charge(1)?;
        let made = make(self)?;
        self.fields.finish()?;
        Ok(made)
    }

    /// Counts uses of layers, or values that flow between them, which must not be too many.
    pub(crate) fn charge(&self, count: usize) -> Result<()> {
        let Some(left) = self.left.get().checked_sub(self.uses.saturating_mul(count)) else {
            let requirement = format!("part of a network of at most {MOST_LAYERS} layers, all uses counted");
            return Err(Error::setting(self.fields.place().to_string(), requirement, "more"));
        };
        self.left.set(left);
        Ok(())
    }

    fn enter<R>(
        &self,
        value: &Value,
        place: Place<'_>,
        uses: usize,
        inside: impl FnOnce(&Settings<'_, A>) -> Result<R>,
    ) -> Result<R> {
        if place.depth() > MOST_LEVELS {
            let requirement = format!("part of layers nested at most {MOST_NESTED} deep");
            return Err(Error::setting(place.to_string(), requirement, "deeper ones"));
        }
        let fields = Fields::of(value, place)?;
        let settings = Settings { registry: self.registry, fields, uses, left: self.left };
        let result = inside(&settings)?;
        settings.fields.finish()?;
        Ok(result)
    }
}
