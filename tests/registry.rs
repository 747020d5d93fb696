//! Layers out of their settings: all kinds, those of a user, and what is refused.

#[path = "common/every_layer.rs"]
#[allow(dead_code)]
mod every_layer;

use std::collections::BTreeSet;

use layerwise::io::{Fields, Place, Registry, Setting, Settings, describe_layer};
use layerwise::layers::*;
use layerwise::prelude::*;
use layerwise::{to_tensor, visit_params};
use ndarray::array;
use serde_json::{Value, json};

fn refusal(kind: &str, config: Value) -> String {
    Registry::new().make(kind, &config).err().map_or_else(|| "no error".into(), |error| error.to_string())
}

#[test]
fn every_layer_is_made_again_from_its_settings_and_their_text() -> Result<()> {
    let registry = Registry::new();
    let mut seen = BTreeSet::new();
    for (layer, input) in every_layer::cases() {
        let config = layer.config();
        let again = registry.make(layer.kind(), &config)?;
        assert_eq!((again.kind(), again.config()), (layer.kind(), config.clone()));
        assert_eq!(again.output_shape(&input)?, layer.output_shape(&input)?, "{}", layer.kind());
        let text = serde_json::from_str(&config.to_string()).unwrap();
        assert_eq!(registry.make(layer.kind(), &text)?.config(), config);
        seen.insert(layer.kind().to_owned());
    }
    assert_eq!(seen.iter().map(String::as_str).collect::<Vec<_>>(), registry.kinds().0, "a kind without a case");
    let merges = ["Add", "Average", "Concatenate", "Dot", "Maximum", "Minimum", "Multiply", "Subtract"];
    assert_eq!(registry.kinds().1, merges);
    Ok(())
}

#[test]
fn every_setting_is_needed_and_no_other_is_taken() -> Result<()> {
    let registry = Registry::new();
    for (layer, _) in every_layer::cases() {
        let (kind, config) = (layer.kind(), layer.config());
        let mut more = if config.is_null() { json!({}) } else { config.clone() };
        more["colour"] = json!("red");
        let message = refusal(kind, more);
        assert!(message.contains("config must be ") && message.contains("colour"), "{kind}: {message}");
        for name in config.as_object().into_iter().flat_map(|config| config.keys()) {
            let mut less = config.clone();
            less.as_object_mut().unwrap().remove(name);
            // No projection is none, files of before there were axes mean one; and factors may stand for a size.
            let optional = [("Residual", "projection"), ("LayerNormalization", "axes")];
            if !optional.contains(&(kind, name.as_str())) {
                let message = refusal(kind, less);
                let place = if name == "size" && kind == "UpSampling2d" { "factors" } else { name };
                assert_eq!(message, format!("config.{place} must be given, got nothing"), "{kind}");
            }
            let mut other = config.clone();
            other[name] = json!({ "surely": ["nothing", "of", "this"] });
            let message = refusal(kind, other);
            assert!(message.contains(&format!("config.{name}")), "{kind}: {message}");
        }
        assert!(registry.make(kind, &json!(3)).is_err());
    }
    Ok(())
}

#[test]
fn a_layer_normalization_of_before_there_were_axes_has_one() -> Result<()> {
    let before = json!({ "epsilon": 1e-3, "center": true, "scale": true });
    assert_eq!(Registry::<f32>::new().make("LayerNormalization", &before)?.config()["axes"], 1);
    Ok(())
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let dense = |units: Value| {
        let start = json!({ "name": "Zeros" });
        json!({
            "units": units, "bias": true, "activation": { "name": "Relu" }, "weight_initializer": start,
            "bias_initializer": start,
        })
    };
    let child = |config: Value| json!({ "layers": [{ "kind": "Flatten" }, { "kind": "Dense", "config": config }] });
    let units = "must be a whole number from 0, got";
    let mut misspelt = dense(json!(3));
    misspelt["activation"] = json!({ "name": "Rely" });
    let mut sloped = dense(json!(3));
    sloped["activation"]["slope"] = json!(0.1);
    let mut long = dense(json!(3));
    long["units"] = json!(vec![7; 1000]);
    let cases = [
        ("Dense", dense(json!(-1)), format!("config.units {units} -1")),
        ("Dense", dense(json!(2.5)), format!("config.units {units} 2.5")),
        ("Dense", dense(json!("many")), format!("config.units {units} \"many\"")),
        ("Sequential", child(dense(json!(1e300))), format!("config.layers[1].config.units {units} 1e+300")),
        (
            "Sequential",
            child(misspelt),
            "config.layers[1].config.activation must be an object with the name of an activation, got \
             {\"name\":\"Rely\"}"
                .into(),
        ),
        ("Dense", sloped, "config.activation must be made of name and no more, got slope too".into()),
        ("Dense", long, format!("config.units {units} [{}...", ["7"; 30].join(","))),
        ("Flatten", json!({ "axis": 1 }), "config must be without settings, got axis".into()),
        (
            "Sequential",
            json!({ "layers": [{ "kind": "Sqare", "config": null }] }),
            "config.layers[0].kind must be a kind that is known (for one of yours: `registry.layer(\"Sqare\", \
             |settings| Ok(...))`; for a merge, `merge`), got \"Sqare\""
                .into(),
        ),
        (
            "Sequential",
            json!({ "layers": [{ "kind": "Flatten", "name": "flat" }] }),
            "config.layers[0] must be made of kind and no more, got name too".into(),
        ),
        ("Sequential", json!({ "layers": {} }), "config.layers must be a list, got {}".into()),
        ("Conv2d", json!({ "kernel_size": [3] }), "config.filters must be given, got nothing".into()),
        (
            "Lambda",
            json!(null),
            "kind must be a kind that is known (for one of yours: `registry.layer(\"Lambda\", \
             |settings| Ok(...))`; for a merge, `merge`), got \"Lambda\""
                .into(),
        ),
    ];
    for (kind, config, expected) in cases {
        assert_eq!(refusal(kind, config), expected);
    }
}

#[test]
fn a_graph_that_is_none_is_refused() {
    let graph = |nodes: Value, outputs: Value| {
        let parts = json!([
            { "name": "0", "family": "layer", "kind": "Flatten", "config": null },
            { "name": "1", "family": "merge", "kind": "Add", "config": null },
        ]);
        refusal("Graph", json!({ "parts": parts, "nodes": nodes, "outputs": outputs }))
    };
    let node = |part: usize, inputs: &[usize]| json!({ "part": part, "inputs": inputs });
    assert_eq!(graph(json!(["input", node(0, &[0]), node(1, &[0, 1])]), json!([2])), "no error");
    for (nodes, outputs, expected) in [
        (json!(["input"]), json!([1]), "output of a graph must be a node before it, of which there are 1, got 1"),
        (
            json!(["input", node(0, &[1])]),
            json!([0]),
            "node 1: input of a node of a graph must be a node before it, of which there are 1, got 1",
        ),
        (
            json!(["input", node(2, &[0])]),
            json!([0]),
            "node 1: part of a graph must be below the number of parts, 2, got 2",
        ),
        (json!(["input", node(0, &[])]), json!([0]), "node 1: inputs of a layer in a graph: expected length 1, got 0"),
        (json!(["output"]), json!([0]), "config.nodes[0] must be an object of settings, got \"output\""),
    ] {
        assert_eq!(graph(nodes, outputs), expected);
    }
    let part = json!([{ "name": "0", "family": "loss", "kind": "Add", "config": null }]);
    let message = refusal("Graph", json!({ "parts": part, "nodes": [], "outputs": [] }));
    assert_eq!(message, "config.parts[0].family must be \"layer\" or \"merge\", got \"loss\"");
}

#[test]
fn nesting_and_uses_have_an_end() {
    let mut deep = json!({ "kind": "Flatten" });
    for _ in 0..30 {
        deep = json!({ "kind": "Sequential", "config": { "layers": [deep] } });
    }
    assert_eq!(refusal("Sequential", json!({ "layers": [deep] })), "no error");
    for _ in 0..3 {
        deep = json!({ "kind": "Sequential", "config": { "layers": [deep] } });
    }
    let message = refusal("Sequential", json!({ "layers": [deep] }));
    assert!(message.ends_with("must be part of layers nested at most 32 deep, got deeper ones"), "{message}");

    // Each graph applies the one in it three times: 3^20 layers in a few thousand letters.
    let mut graph = json!({ "kind": "Flatten", "config": null });
    for level in 0..20 {
        let family = json!({ "name": "0", "family": "layer", "kind": graph["kind"], "config": graph["config"] });
        let nodes: Vec<_> = (0..3).map(|input| json!({ "part": 0, "inputs": [input] })).collect();
        let nodes: Vec<_> = [json!("input")].into_iter().chain(nodes).collect();
        graph = json!({ "kind": "Graph", "config": { "parts": [family], "nodes": nodes, "outputs": [3] } });
        let message = refusal("Graph", graph["config"].clone());
        // A graph counts as a layer, and its three inputs of nodes and its output count: 5 (1 + 3 + 9 + ...) of 2^16.
        let expected = if level < 8 { "no error" } else { "must be part of a network of at most 65536 layers" };
        assert!(message.contains(expected), "level {level}: {message}");
    }
}

/// Which value of each window of two features is taken: a setting of one's own.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Side {
    Left,
    Right,
}

impl Setting for Side {
    fn read(value: &Value, place: Place<'_>) -> Result<Self> {
        match value.as_str() {
            Some("left") => Ok(Side::Left),
            Some("right") => Ok(Side::Right),
            _ => Err(place.refuse("\"left\" or \"right\"", value)),
        }
    }
}

/// y = s x with a learned s, around another layer: everything that a user's layer may want from a registry.
struct Scaled {
    side: Side,
    limits: Option<(f64, f64)>,
    inner: Box<dyn Layer>,
    scale: Param,
}

impl Scaled {
    fn new(side: Side, limits: Option<(f64, f64)>, inner: impl Layer + 'static) -> Self {
        Scaled { side, limits, inner: Box::new(inner), scale: Param::new() }
    }

    fn from_config(settings: &Settings) -> Result<Self> {
        let inner = settings.layer("inner")?;
        Ok(Scaled { side: settings.get("side")?, limits: settings.get("limits")?, inner, scale: Param::new() })
    }
}

impl Layer for Scaled {
    fn kind(&self) -> &str {
        "Scaled"
    }

    fn config(&self) -> Value {
        let side = if self.side == Side::Left { "left" } else { "right" };
        json!({ "side": side, "limits": self.limits, "inner": describe_layer(&*self.inner) })
    }

    fn build(&mut self, input: &[usize], init: &mut Init<f32>) -> Result<Vec<usize>> {
        init.param(&mut self.scale, &[1], &Initializer::Constant(2.0))?;
        self.inner.build(input, init)
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        self.inner.output_shape(input)
    }

    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Result<Tensor> {
        Ok((self.inner.forward(x, ctx)? * self.scale.get()?).into_shared())
    }

    fn backward(&self, _: &Tensor, _: &Tensor, _: &Tensor, _: bool, _: &mut Context) -> Result<Option<Tensor>> {
        Err(Error::custom("it is not trained here"))
    }

    visit_params!(f32; scale);
}

/// The larger of two inputs.
struct Larger;

impl Merge for Larger {
    fn kind(&self) -> &str {
        "Larger"
    }

    fn output_shape(&self, inputs: &[Vec<usize>]) -> Result<Vec<usize>> {
        Ok(inputs[0].clone())
    }

    fn forward(&self, xs: &[Tensor], _: &mut Context) -> Result<Tensor> {
        Ok(ndarray::Zip::from(&xs[0]).and(&xs[1]).map_collect(|&a, &b| f32::max(a, b)).into_shared())
    }

    fn backward(
        &self,
        _: &[Tensor],
        _: &Tensor,
        _: &Tensor,
        _: &dyn Fn(usize) -> bool,
        _: &mut [Option<Tensor>],
        _: &mut Context,
    ) -> Result<()> {
        Err(Error::custom("it is not trained here"))
    }
}

#[test]
fn layers_and_merges_of_a_user_take_a_line_each() -> Result<()> {
    let mut registry = Registry::new();
    registry.layer("Scaled", Scaled::from_config).merge("Larger", |_| Ok(Larger));
    let layer = Scaled::new(Side::Right, Some((0.0, 1.5)), Sequential::new().add(Dense::new(2)));
    let again = registry.make("Scaled", &layer.config())?;
    assert_eq!(again.config(), layer.config());
    let free = Scaled::new(Side::Left, None, Flatten::new());
    assert_eq!(registry.make("Scaled", &free.config())?.config(), free.config());
    let mut wrong = layer.config();
    wrong["side"] = json!("middle");
    let message = registry.make("Scaled", &wrong).err().unwrap().to_string();
    assert_eq!(message, "config.side must be \"left\" or \"right\", got \"middle\"");

    let mut graph = Graph::new();
    let (a, b) = (graph.input(), graph.input());
    let larger = graph.merge(Larger, &[a, b]);
    let graph = graph.outputs(&[larger]);
    let message = refusal("Graph", graph.config());
    assert!(message.starts_with("config.parts[0].kind must be a kind that is known"), "{message}");
    let again = registry.make("Graph", &graph.config())?;
    let [a, b] = [array![[1.0f32, 5.0]], array![[3.0, 2.0]]];
    let y = again.predict_all(&[to_tensor(&a)?, to_tensor(&b)?])?;
    assert_eq!(y[0], array![[3.0, 5.0]].into_dyn());
    Ok(())
}

#[test]
fn a_kind_registered_again_is_made_in_the_new_way() -> Result<()> {
    let mut registry = Registry::new();
    registry.layer("Flatten", |_| Ok(Reshape::new([-1])));
    assert_eq!(registry.make("Flatten", &Value::Null)?.kind(), "Reshape");
    Ok(())
}

#[test]
fn fields_of_a_value_of_ones_own() -> Result<()> {
    /// A setting that is an object.
    #[derive(Debug, PartialEq)]
    struct Range {
        low: isize,
        names: Vec<String>,
    }

    impl Setting for Range {
        fn read(value: &Value, place: Place<'_>) -> Result<Self> {
            let fields = Fields::of(value, place)?;
            let range = Range { low: fields.get("low")?, names: fields.get("names")? };
            fields.finish()?;
            Ok(range)
        }
    }
    let seen = std::sync::Arc::new(std::sync::Mutex::new(None));
    let mut registry = Registry::new();
    let keep = seen.clone();
    registry.layer("Ranged", move |settings| {
        *keep.lock().unwrap() = Some(settings.get::<Range>("range")?);
        Ok(Flatten::new())
    });
    registry.make("Ranged", &json!({ "range": { "low": -2, "names": ["a", "b"] } }))?;
    assert_eq!(*seen.lock().unwrap(), Some(Range { low: -2, names: vec!["a".into(), "b".into()] }));
    let refused = |config: Value| registry.make("Ranged", &config).err().unwrap().to_string();
    assert_eq!(
        refused(json!({ "range": { "low": 0, "names": ["a", 2] } })),
        "config.range.names[1] must be a string, got 2"
    );
    assert_eq!(
        refused(json!({ "range": { "low": 0, "names": [], "high": 1 } })),
        "config.range must be made of low, names and no more, got high too"
    );
    Ok(())
}
