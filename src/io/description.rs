//! What a model is beside its weights, as a file says it.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};

use super::json::parse;
use super::registry::Registry;
use super::settings::{Fields, Place, Setting};
use crate::constraints::Constraint;
use crate::error::{Error, Result};
use crate::initializers::Init;
use crate::layer::Layer;
use crate::param::{Param, Visitor};
use crate::regularizers::Regularizer;
use crate::scalar::Scalar;
use crate::tensor::count;

/// The key under which a layer of closures says that it is one.
pub(crate) const CLOSURES: &str = "closures of";

/// A layer as a setting of the one around it: its kind and its config, from which
/// [`Settings::layer`](super::Settings::layer) makes it again.
pub fn describe_layer<A: Scalar>(layer: &dyn Layer<A>) -> Value {
    json!({ "kind": layer.kind(), "config": layer.config() })
}

/// From what a model can be made again, but for the values of its parameters.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Description {
    pub(crate) kind: String,
    pub(crate) config: Value,
    /// `f32` or `f64`.
    pub(crate) numbers: String,
    /// The shape of one sample of each input, where the model knows what it was built for.
    pub(crate) inputs: Option<Vec<Vec<usize>>>,
    /// The names of the parameters that training leaves alone.
    pub(crate) frozen: Vec<String>,
    /// The names of parameters that are one: the first, and one further.
    pub(crate) ties: Vec<(String, String)>,
    pub(crate) rules: Vec<Rules>,
}

/// The regularizer and the constraint of a parameter that has one of them at least.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rules {
    parameter: String,
    regularizer: Option<Regularizer>,
    constraint: Option<Constraint>,
}

impl Rules {
    fn of<A: Scalar>(name: &str, param: &Param<A>) -> Option<Self> {
        let (regularizer, constraint) = (param.regularizer().copied(), param.constraint().cloned());
        let any = regularizer.is_some() || constraint.is_some();
        any.then(|| Rules { parameter: name.to_owned(), regularizer, constraint })
    }

    fn describe(&self) -> Value {
        json!({
            "parameter": self.parameter, "regularizer": self.regularizer.as_ref().map(Regularizer::describe),
            "constraint": self.constraint.as_ref().map(Constraint::describe),
        })
    }
}

impl Setting for Rules {
    fn read(value: &Value, place: Place<'_>) -> Result<Self> {
        let fields = Fields::of(value, place)?;
        let rules = Rules {
            parameter: fields.get("parameter")?,
            regularizer: fields.get("regularizer")?,
            constraint: fields.get("constraint")?,
        };
        fields.finish()?;
        Ok(rules)
    }
}

impl Description {
    /// What there is to say of a built model.
    ///
    /// # Errors
    /// [`Error::NotBuilt`], and [`Error::Custom`] where two parameters have one name.
    pub(crate) fn of<A: Scalar>(model: &dyn Layer<A>) -> Result<Self> {
        let (mut names, mut first) = (HashSet::new(), HashMap::new());
        let (mut frozen, mut ties, mut rules) = (Vec::new(), Vec::new(), Vec::new());
        let (mut built, mut twice) = (true, None);
        let mut each = |name: &str, param: &Param<A>| {
            built &= param.is_built();
            if !names.insert(name.to_owned()) {
                twice.get_or_insert_with(|| name.to_owned());
            }
            if param.is_frozen() {
                frozen.push(name.to_owned());
            }
            rules.extend(Rules::of(name, param));
            match first.get(&param.id()) {
                Some(first) => ties.push((String::clone(first), name.to_owned())),
                None => drop(first.insert(param.id(), name.to_owned())),
            }
        };
        model.visit(&mut Visitor::new(&mut each));
        if !built {
            return Err(Error::NotBuilt);
        }
        if let Some(name) = twice {
            return Err(Error::custom(format!("two parameters have the name {name}, under which a file has only one")));
        }
        let (kind, numbers) = (model.kind().to_owned(), A::NAME.to_owned());
        Ok(Description { kind, config: model.config(), numbers, inputs: model.built_for(), frozen, ties, rules })
    }

    pub(crate) fn to_json(&self) -> Value {
        let mut description = json!({
            "kind": self.kind, "config": self.config, "numbers": self.numbers, "inputs": self.inputs,
            "frozen": self.frozen, "ties": self.ties,
        });
        if !self.rules.is_empty() {
            description["rules"] = self.rules();
        }
        description
    }

    /// The regularizers and constraints as JSON.
    pub(crate) fn rules(&self) -> Value {
        self.rules.iter().map(Rules::describe).collect()
    }

    pub(crate) fn from_json(text: &str) -> Result<Self> {
        let mut value = parse(text).map_err(|error| Error::custom(format!("no JSON that can be read: {error}")))?;
        // Taken out, and not copied.
        let config = value.get_mut("config").map(Value::take).unwrap_or_default();
        let fields = Fields::of(&value, Place::root("model"))?;
        fields.value("config");
        let description = Description {
            kind: fields.get("kind")?,
            config,
            numbers: fields.get("numbers")?,
            inputs: fields.get("inputs")?,
            frozen: fields.get("frozen")?,
            ties: fields.get("ties")?,
            rules: fields.get::<Option<_>>("rules")?.unwrap_or_default(),
        };
        fields.finish()?;
        Ok(description)
    }

    /// The model, whose parameters wait for values of the right shapes. Nothing of their size is allocated.
    ///
    /// # Errors
    /// What is wrong with a kind, a setting, a shape or a name.
    pub(crate) fn make<A: Scalar>(&self, registry: &Registry<A>) -> Result<Box<dyn Layer<A>>> {
        if self.numbers == "f64" && A::NAME == "f32" {
            let message = "a model of f64 numbers, which f32 would round: load it with `Registry::<f64>::of()`";
            return Err(Error::custom(message));
        }
        let mut model = registry.make(&self.kind, &self.config)?;
        let inputs = self.inputs()?;
        for shape in inputs {
            count("input of one sample", shape)?;
        }
        for shape in model.build_all(inputs, &mut Init::given())? {
            count("output of one sample", &shape)?;
        }
        self.mark(&mut *model)?;
        Ok(model)
    }

    /// Freezes and ties parameters, gives them their rules, and sees that each has a name of its own.
    fn mark<A: Scalar>(&self, model: &mut dyn Layer<A>) -> Result<()> {
        let mut frozen: HashSet<&str> = self.frozen.iter().map(String::as_str).collect();
        let mut ties: HashMap<&str, &str> =
            self.ties.iter().map(|(first, further)| (&further[..], &first[..])).collect();
        let mut rules: HashMap<&str, &Rules> = self.rules.iter().map(|rules| (&rules.parameter[..], rules)).collect();
        let twice = frozen.len() < self.frozen.len() || ties.len() < self.ties.len() || rules.len() < self.rules.len();
        let mut fault = twice.then(|| "a parameter is frozen or tied or has rules twice".to_owned());
        let mut seen = HashMap::new();
        let mut each = |name: &str, param: &mut Param<A>| {
            param.set_frozen(frozen.remove(name));
            let looks = (param.shape().map(<[usize]>::to_vec), param.is_state());
            let mut refuse = |message: String| {
                fault.get_or_insert(message);
            };
            if let Some(rules) = rules.remove(name) {
                param.set_regularizer(rules.regularizer);
                param.set_constraint(rules.constraint.clone());
                if let Err(error) = param.check_rules(param.shape().unwrap_or_default()) {
                    refuse(format!("{name}: {error}"));
                }
            }
            if let Some(first) = ties.remove(name) {
                match seen.get(first) {
                    Some((id, other)) if *other == looks => param.tie_to(*id),
                    Some(_) => refuse(format!("{name} is tied to {first}, which has another shape or purpose")),
                    None => refuse(format!("{name} is tied to {first}, which does not come before it")),
                }
            }
            if seen.insert(name.to_owned(), (param.id(), looks)).is_some() {
                refuse(format!("two parameters have the name {name}"));
            }
        };
        model.visit_mut(&mut Visitor::new(&mut each));
        let unknown = frozen.into_iter().chain(ties.into_keys()).map(|name| (name, "to freeze or tie"));
        let unknown = unknown.chain(rules.into_keys().map(|name| (name, "for a regularizer or a constraint"))).next();
        match fault.or(unknown.map(|(name, purpose)| format!("there is no parameter {name} {purpose}"))) {
            Some(fault) => Err(Error::custom(fault)),
            None => Ok(()),
        }
    }

    /// Refuses a model that could not be made again: with a layer of closures, or one that does not know what it was
    /// built for.
    ///
    /// # Errors
    /// [`Error::Custom`] with the place of the layer, or the kind of the model.
    pub(crate) fn check(&self) -> Result<()> {
        self.inputs()?;
        closures(&self.config, Place::root("config"))
    }

    fn inputs(&self) -> Result<&[Vec<usize>]> {
        self.inputs.as_deref().ok_or_else(|| {
            Error::custom(format!(
                "{} does not say which inputs it was built for: call `initialize`, which keeps the values that are there; \
                 a single layer goes into a Sequential",
                self.kind
            ))
        })
    }
}

/// Looks for the settings of a layer of closures.
fn closures(value: &Value, place: Place<'_>) -> Result<()> {
    match value {
        Value::Object(values) => {
            if let (Some(Value::String(name)), 1) = (values.get(CLOSURES), values.len()) {
                return Err(Error::custom(format!(
                    "Lambda \"{name}\" ({place}) is made of closures, which no file can hold: `save_weights` saves the \
                     weights, and a `Layer` of its own could be registered"
                )));
            }
            values.iter().try_for_each(|(name, value)| closures(value, place.key(name)))
        }
        Value::Array(items) => {
            items.iter().enumerate().try_for_each(|(number, item)| closures(item, place.item(number)))
        }
        _ => Ok(()),
    }
}
