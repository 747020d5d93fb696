//! Models in files: what is saved is loaded, predicts the same bits and trains on in the same way.

#[path = "common/every_layer.rs"]
#[allow(dead_code)]
mod every_layer;

use std::path::{Path, PathBuf};

use every_layer::{disturb, inputs, same_bits, wave};
use layerwise::io::{self, Registry, TensorFile, Tensors};
use layerwise::layers::*;
use layerwise::prelude::*;
use layerwise::{to_tensor, visit_params};
use ndarray::{Array1, Array2, Axis, Ix2, array};
use serde_json::{Value, json};

/// A file of the name in a folder of this build's own.
fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.safetensors"))
}

fn built(mut model: Sequential, input: &[usize]) -> Result<Sequential> {
    model.initialize(input, 5)?;
    Ok(model)
}

fn message<T>(outcome: Result<T>) -> String {
    outcome.err().map_or_else(|| "no error".into(), |error| error.to_string())
}

/// Every parameter with its name, its bits, and whether it is frozen.
fn everything(model: &dyn Layer) -> Vec<(String, Vec<usize>, Vec<u32>, bool)> {
    let one = |(name, param): (String, &Param)| {
        let bits = param.values().unwrap().iter().map(|value| value.to_bits()).collect();
        (name, param.get().unwrap().shape().to_vec(), bits, param.is_frozen())
    };
    model.params().into_iter().map(one).collect()
}

#[test]
fn every_layer_comes_back_from_a_file_and_predicts_the_same_bits() -> Result<()> {
    let path = path("every-layer");
    for (layer, input) in every_layer::cases() {
        let (kind, config, x) = (layer.kind().to_owned(), layer.config(), inputs(&*layer, &input));
        let mut model = Sequential::new();
        model.push(layer);
        model.initialize(&input, 1)?;
        disturb(&mut model)?;
        io::save_model(&model, &path)?;
        let loaded = io::load_model(&path)?;
        assert_eq!(loaded.config(), model.config());
        assert_eq!(loaded.built_for(), Some(vec![input]));
        assert_eq!(everything(&*loaded), everything(&model), "{kind} {config}");
        assert!(same_bits(&loaded.predict(&x)?, &model.predict(&x)?), "{kind} {config}");
    }
    Ok(())
}

/// A network with what images need.
fn images() -> Sequential {
    Sequential::new()
        .add(Conv2d::new(4, 3).padding(Padding::Same).without_bias())
        .add(BatchNormalization::new())
        .add(Activation::Relu)
        .add(Residual::new(Sequential::new().add(Conv2d::new(4, 3).padding(Padding::Same)).add(Dropout::new(0.2))))
        .add(MaxPool2d::new(2))
        .add(Flatten::new())
        .add(Dense::new(3))
}

fn trainer() -> Trainer {
    Trainer::new(SoftmaxCrossEntropy::new(), Sgd::new(0.05)).shards(2).seed(3)
}

fn samples() -> Result<Dataset> {
    Dataset::new(&wave(&[12, 6, 6, 2]), &Array1::from_shape_fn(12, |i| i % 3))
}

#[test]
fn a_loaded_model_trains_on_as_the_saved_one_does() -> Result<()> {
    let (path, data) = (path("trains-on"), samples()?);
    let mut model = built(images(), &[6, 6, 2])?;
    trainer().step(&mut model, &data)?;
    // Some of it is frozen, a state too.
    model.layers_mut()[0].freeze();
    for (name, param) in model.params_mut() {
        param.set_frozen(param.is_frozen() || name.ends_with("running_variance"));
    }
    io::save_model(&model, &path)?;
    let mut loaded = io::load_model(&path)?;
    assert_eq!(everything(&*loaded), everything(&model));
    let before = everything(&model);
    for model in [&mut model as &mut dyn Layer, &mut *loaded] {
        let mut trainer = trainer();
        (0..3).try_for_each(|_| trainer.step(model, &data).map(drop))?;
    }
    let after = everything(&model);
    assert_eq!(everything(&*loaded), after);
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(before == after, before.3, "{} is frozen: {}", before.0, before.3);
    }
    Ok(())
}

#[test]
fn graphs_keep_names_shared_layers_and_several_inputs_and_outputs() -> Result<()> {
    let mut graph = Graph::new();
    let (left, right) = (graph.input(), graph.input());
    let tower = graph.share(Sequential::new().add(Dense::new(3).activation(Activation::Tanh)).add(Dense::new(3)));
    graph.name("tower");
    let (a, b) = (graph.apply(tower, left), graph.apply(tower, right));
    let both = graph.merge(Concatenate::new(-1), &[a, b]);
    let sum = graph.merge(Add::new(), &[a, b, a]);
    let score = graph.add(Dense::new(1), both);
    graph.name("score");
    let mut model = graph.outputs(&[score, sum, left]);
    model.initialize_all(&[vec![4], vec![4]], 7)?;
    let path = path("graph");
    io::save_model(&model, &path)?;
    let loaded = io::load_model(&path)?;
    let names: Vec<_> = loaded.params().into_iter().map(|(name, _)| name).collect();
    let expected = ["tower.0.weight", "tower.0.bias", "tower.1.weight", "tower.1.bias", "score.weight", "score.bias"];
    assert_eq!(names, expected);
    let xs = [to_tensor(&wave(&[5, 4]))?, to_tensor(&wave(&[5, 4]).mapv(|x| 1.0 - x))?];
    let (ours, theirs) = (model.predict_all(&xs)?, loaded.predict_all(&xs)?);
    assert_eq!(ours.len(), 3);
    assert!(ours.iter().zip(&theirs).all(|(a, b)| same_bits(a, b)));
    Ok(())
}

/// y = x E^T: the scores of all words, from the table that an embedding reads.
struct Scores {
    vocabulary: usize,
    table: Param,
}

impl Layer for Scores {
    fn kind(&self) -> &str {
        "Scores"
    }

    fn config(&self) -> Value {
        json!({ "vocabulary": self.vocabulary })
    }

    fn build(&mut self, input: &[usize], init: &mut Init<f32>) -> Result<Vec<usize>> {
        let dimension = *input.last().ok_or_else(|| Error::Empty("the shape".into()))?;
        init.param(&mut self.table, &[self.vocabulary, dimension], &Initializer::GlorotUniform)?;
        self.output_shape(input)
    }

    fn output_shape(&self, _: &[usize]) -> Result<Vec<usize>> {
        Ok(vec![self.vocabulary])
    }

    fn forward(&self, x: &Tensor, _: &mut Context) -> Result<Tensor> {
        Ok(matrix(x).dot(&matrix(self.table.get()?).t()).into_dyn().into_shared())
    }

    fn backward(&self, x: &Tensor, _: &Tensor, dy: &Tensor, _: bool, ctx: &mut Context) -> Result<Option<Tensor>> {
        if let Some(grad) = ctx.grad(&self.table) {
            grad.add_tensor(&matrix(dy).t().dot(&matrix(x)).as_standard_layout().to_owned().into_dyn().into_shared())?;
        }
        Ok(Some(matrix(dy).dot(&matrix(self.table.get()?)).into_dyn().into_shared()))
    }

    visit_params!(f32; table);
}

fn matrix(x: &Tensor) -> Array2<f32> {
    x.to_owned().into_dimensionality::<Ix2>().expect("rows of features")
}

#[test]
fn an_embedding_tied_to_the_output_stays_tied_also_where_the_layer_is_a_users() -> Result<()> {
    let embedding = Embedding::new(10, 4);
    let table = embedding.weight().tied();
    let model = Sequential::new().add(embedding).add(SimpleRnn::new(4)).add(Scores { vocabulary: 10, table });
    let mut model = built(model, &[3])?;
    let path = path("tied");
    io::save_model(&model, &path)?;
    let mut registry = Registry::new();
    registry.layer("Scores", |settings| Ok(Scores { vocabulary: settings.get("vocabulary")?, table: Param::new() }));
    let mut loaded = registry.load_model(&path)?;
    let ids = |model: &dyn Layer| -> Vec<_> { model.params().iter().map(|(_, param)| param.id()).collect() };
    let (first, last) = (ids(&*loaded)[0], *ids(&*loaded).last().unwrap());
    assert_eq!(first, last);
    assert_ne!(first, ids(&model)[0]);
    let data = Dataset::new(&array![[1, 2, 3], [4, 5, 6], [7, 8, 9]], &array![2usize, 4, 0])?;
    for model in [&mut model as &mut dyn Layer, &mut *loaded] {
        let mut trainer = trainer().shards(1);
        (0..4).try_for_each(|_| trainer.step(model, &data).map(drop))?;
    }
    let after = everything(&*loaded);
    assert_eq!(after, everything(&model));
    assert_eq!(after[0].2, after.last().unwrap().2);

    let unknown = io::load_model(&path).err().unwrap().to_string();
    let expected = "the model in it: config.layers[2].kind must be a kind that is known (for one of yours: \
                    `registry.layer(\"Scores\", |settings| Ok(...))`; for a merge, `merge`), got \"Scores\"";
    assert_eq!(unknown, format!("{}: {expected}", path.display()));
    Ok(())
}

#[test]
fn models_of_f64_need_a_registry_of_f64_and_f32_fits_into_it() -> Result<()> {
    let (wide, narrow) = (path("f64"), path("f32"));
    let mut model = Sequential::<f64>::of().add(Dense::of(3)).add(BatchNormalization::of());
    model.initialize(&[4], 0)?;
    io::save_model(&model, &wide)?;
    let x = wave(&[5, 4]).mapv(f64::from);
    assert_eq!(Registry::<f64>::of().load_model(&wide)?.predict(&x)?, model.predict(&x)?);
    let expected =
        "the model in it: a model of f64 numbers, which f32 would round: load it with `Registry::<f64>::of()`";
    assert_eq!(message(io::load_model(&wide)), format!("{}: {expected}", wide.display()));

    let model = built(Sequential::new().add(Dense::new(3)), &[4])?;
    io::save_model(&model, &narrow)?;
    let loaded = Registry::<f64>::of().load_model(&narrow)?;
    let weights: Vec<f64> = model.params()[0].1.values()?.iter().copied().map(f64::from).collect();
    assert_eq!(loaded.params()[0].1.values()?, weights);
    Ok(())
}

#[test]
fn what_cannot_be_saved_as_a_model_is_said_and_the_old_file_stays() -> Result<()> {
    let path = path("refused");
    io::save_model(&built(Sequential::new().add(Dense::new(2)), &[3])?, &path)?;
    let old = std::fs::read(&path).unwrap();
    let square = || Lambda::elementwise("square", |x: f32| x * x, |x| 2.0 * x);
    let inner = Sequential::new().add(Dense::new(2)).add(square());
    let closures = built(Sequential::new().add(Flatten::new()).add(Residual::new(inner)), &[2])?;
    assert_eq!(
        message(io::save_model(&closures, &path)),
        "Lambda \"square\" (config.layers[1].config.body.config.layers[1].config) is made of closures, which no file can \
         hold: `save_weights` saves the weights, and a `Layer` of its own could be registered"
    );
    let unbuilt = Sequential::new().add(Dense::new(2));
    assert_eq!(message(io::save_model(&unbuilt, &path)), Error::NotBuilt.to_string());
    let mut alone = Dense::new(2);
    alone.initialize(&[3], 0)?;
    let expected = "does not say which inputs it was built for: call `initialize`, which keeps the values that are there; \
                    a single layer goes into a Sequential";
    assert_eq!(message(io::save_model(&alone, &path)), format!("Dense {expected}"));
    let mut together = Sequential::new();
    together.push(Box::new(alone));
    assert_eq!(message(io::save_model(&together, &path)), format!("Sequential {expected}"));
    together.initialize(&[3], 0)?;
    let mut graph = Graph::new();
    let x = graph.input();
    let y = graph.add(Dense::new(2), x);
    graph.name("same");
    let z = graph.add(Dense::new(2), y);
    graph.name("same");
    let mut graph = graph.outputs(&[z]);
    graph.initialize(&[2], 0)?;
    let expected = "two parameters have the name same.weight, under which a file has only one";
    assert_eq!(message(io::save_model(&graph, &path)), expected);
    assert_eq!(std::fs::read(&path).unwrap(), old);
    io::save_model(&together, &path)
}

#[test]
fn custom_initializers_are_lost_but_not_the_values_that_they_made() -> Result<()> {
    let path = path("custom");
    let start = Initializer::Custom(std::sync::Arc::new(|shape, _| vec![0.25; shape.iter().product()]));
    io::save_model(&built(Sequential::new().add(Dense::new(2).weight_initializer(start)), &[3])?, &path)?;
    let mut loaded = io::load_model(&path)?;
    assert_eq!(loaded.params()[0].1.values()?, [0.25; 6]);
    // The values are there: nothing is drawn.
    loaded.initialize(&[3], 0)?;
    let mut again = Registry::new().make("Sequential", &loaded.config())?;
    let expected = "layer 0 (Dense): initializer of a loaded layer must be one of the library's, or the custom one again, \
                    to draw values from, got a custom one, which no file holds";
    assert_eq!(message(again.initialize(&[3], 0)), expected);
    Ok(())
}

/// A file of one dense layer with this description, and a weight of this shape.
fn file_of(description: Value, weight: &[usize]) -> Result<TensorFile> {
    let path = path("by-hand");
    let mut tensors = Tensors::new();
    tensors.metadata("layerwise.model", description.to_string());
    let values = vec![0.5_f32; weight.iter().product()];
    tensors.add::<f32>("0.weight", weight, values.clone())?;
    tensors.add::<f32>("1.weight", weight, values)?;
    tensors.write(&path)?;
    TensorFile::from_bytes(std::fs::read(&path).unwrap(), "by hand")
}

#[test]
fn a_description_that_does_not_fit_its_weights_is_refused() -> Result<()> {
    let model = built(Sequential::new().add(Dense::new(3).without_bias()).add(Dense::new(3).without_bias()), &[3])?;
    let good = |change: &dyn Fn(&mut Value)| {
        let mut description = json!({
            "kind": "Sequential", "config": model.config(), "numbers": "f32", "inputs": [[3]], "frozen": ["1.weight"],
            "ties": [["0.weight", "1.weight"]],
        });
        change(&mut description);
        description
    };
    let refused = |description: Value, weight: &[usize]| -> Result<String> {
        Ok(message(Registry::new().read_model(&file_of(description, weight)?)))
    };
    assert_eq!(refused(good(&|_| ()), &[3, 3])?, "no error");
    let huge = usize::MAX / 2;
    let cases: Vec<(Value, &[usize], String)> = vec![
        (
            good(&|_| ()),
            &[3, 2],
            "it does not fit the model: 0.weight: expected shape [3, 3], got [3, 2]; 1.weight: expected shape [3, 3], got \
             [3, 2]"
                .into(),
        ),
        (
            good(&|it| it["config"]["layers"][0]["config"]["units"] = json!(huge)),
            &[3, 3],
            format!(
                "the model in it: layer 0 (Dense): output of one sample: expected at most 32 axes and {} values, got shape \
                 [{huge}]",
                isize::MAX as usize / 8
            ),
        ),
        (
            good(&|it| it["config"]["layers"][0]["config"]["units"] = json!(1_u64 << 50)),
            &[3, 3],
            "the model in it: 1.weight is tied to 0.weight, which has another shape or purpose".into(),
        ),
        (
            good(&|it| it["config"]["layers"][1]["config"]["units"] = json!(1_u64 << 50)),
            &[3, 3],
            "the model in it: 1.weight is tied to 0.weight, which has another shape or purpose".into(),
        ),
        (
            good(&|it| it["inputs"] = json!([[huge, huge]])),
            &[3, 3],
            format!(
                "the model in it: input of one sample: expected at most 32 axes and {} values, got shape [{huge}, {huge}]",
                isize::MAX as usize / 8
            ),
        ),
        (
            good(&|it| it["inputs"] = json!([])),
            &[3, 3],
            "the model in it: input shapes of a layer with one input and one output: expected length 1, got 0".into(),
        ),
        (
            good(&|it| it["frozen"] = json!(["2.weight"])),
            &[3, 3],
            "the model in it: there is no parameter 2.weight to freeze or tie".into(),
        ),
        (
            good(&|it| it["rules"] = json!([{ "parameter": "2.weight", "regularizer": { "name": "L1", "factor": 0.1 } }])),
            &[3, 3],
            "the model in it: there is no parameter 2.weight for a regularizer or a constraint".into(),
        ),
        (
            good(&|it| {
                let constraint = json!({ "name": "Norm", "least": 0.0, "most": "NaN", "rate": 1.0, "axes": [0] });
                it["rules"] = json!([{ "parameter": "0.weight", "constraint": constraint }]);
            }),
            &[3, 3],
            "the model in it: 0.weight: largest norm must be a finite number of at least 0, got NaN".into(),
        ),
        (
            good(&|it| it["rules"] = json!([{ "parameter": "0.weight", "regularizer": { "name": "L3" } }])),
            &[3, 3],
            "the model in it: model.rules[0].regularizer must be an object with the name of a regularizer, got \
             {\"name\":\"L3\"}"
                .into(),
        ),
        (
            good(&|it| it["ties"] = json!([["1.weight", "0.weight"]])),
            &[3, 3],
            "the model in it: 0.weight is tied to 1.weight, which does not come before it".into(),
        ),
        (
            good(&|it| it["later"] = json!(true)),
            &[3, 3],
            "the model in it: model must be made of config, kind, numbers, inputs, frozen, ties and no more, got later too"
                .into(),
        ),
        (json!([]), &[3, 3], "the model in it: model must be an object of settings, got []".into()),
    ];
    for (description, weight, expected) in cases {
        assert_eq!(refused(description, weight)?, format!("by hand: {expected}"));
    }
    Ok(())
}

#[test]
fn a_file_of_weights_describes_no_model_and_one_with_a_key_twice_is_none() -> Result<()> {
    let path = path("weights-alone");
    io::save_weights(&built(Sequential::new().add(Dense::new(2)), &[3])?, &path)?;
    let expected = "it describes no model: load the weights into one with `load_weights` or `LoadWeights`";
    assert_eq!(message(io::load_model(&path)), format!("{}: {expected}", path.display()));
    let mut tensors = Tensors::new();
    tensors.metadata("layerwise.model", r#"{"kind": "Sequential", "kind": "Graph"}"#);
    tensors.write(&path)?;
    let message = message(io::load_model(&path));
    assert!(message.contains("no JSON that can be read: the key \"kind\" stands twice"), "{message}");
    Ok(())
}

/// The network in `files/model-1.safetensors`: convolutions with batch normalisation, dropout, a residual block and a
/// graph with a layer applied twice.
fn kept() -> Result<Graph> {
    let block =
        Sequential::new().add(Conv2d::new(4, 3).padding(Padding::Same).without_bias()).add(BatchNormalization::new());
    let mut graph = Graph::new();
    let x = graph.input();
    let stem = graph.add(
        Sequential::new()
            .add(Conv2d::new(4, 3).stride(2).padding(1).weight_initializer(Initializer::HeNormal))
            .add(BatchNormalization::new().momentum(0.9).epsilon(1e-5))
            .add(Activation::LeakyRelu(0.1))
            .add(Dropout::new(0.25))
            .add(Residual::new(block)),
        x,
    );
    graph.name("stem");
    let shared = graph.share(Dense::new(4).activation(Activation::Tanh));
    graph.name("shared");
    let once = graph.apply(shared, stem);
    let twice = graph.apply(shared, once);
    let sum = graph.merge(Add::new(), &[once, twice]);
    let joined = graph.merge(Concatenate::new(-1), &[sum, stem]);
    let pooled = graph.add(GlobalAveragePool2d::new(), joined);
    let head = graph.add(Dense::new(3).activation(Activation::Softmax), pooled);
    graph.name("head");
    let mut model = graph.outputs(&[head]);
    model.initialize(&[8, 8, 2], 11)?;
    disturb(&mut model)?;
    Ok(model)
}

fn files() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/files")
}

/// A file of version 1 loads in every later version, and the model in it predicts what it predicted then.
#[test]
fn the_model_file_of_version_1_loads() -> Result<()> {
    let loaded = io::load_model(files().join("model-1.safetensors"))?;
    let expected = TensorFile::open(files().join("model-1-predictions.safetensors"))?;
    let y = loaded.predict(&expected.get::<f32>("x")?)?;
    let then = expected.get::<f32>("y")?;
    assert_eq!(y.shape(), then.shape());
    for (now, then) in y.iter().zip(&then) {
        assert!((now - then).abs() < 1e-5, "{now} instead of {then}");
    }
    assert!(then.axis_iter(Axis(0)).all(|row| (row.sum() - 1.0).abs() < 1e-5));
    assert_eq!(loaded.params().len(), 15);
    assert!(loaded.params().iter().all(|(name, param)| param.is_frozen() == name.starts_with("head")));
    Ok(())
}

/// Wrote the file of version 1, which is never to be written again; a new version of the format gets a file of its own:
/// `cargo test --test model_files -- --ignored`.
#[test]
#[ignore = "writes the file that the test above keeps"]
fn writes_the_model_file_of_this_version() -> Result<()> {
    let mut model = kept()?;
    for (name, param) in model.params_mut() {
        param.set_frozen(name.starts_with("head"));
    }
    let x = to_tensor(&wave(&[4, 8, 8, 2]))?;
    let y = model.predict(&x)?;
    io::save_model(&model, files().join("model-1.safetensors"))?;
    let mut tensors = Tensors::new();
    tensors.add::<f32>("x", x.shape(), layerwise::values(&x)?)?;
    tensors.add::<f32>("y", y.shape(), layerwise::values(&y)?)?;
    tensors.write(files().join("model-1-predictions.safetensors"))
}

#[test]
fn a_loaded_model_is_a_layer_of_a_new_one() -> Result<()> {
    let path = path("body");
    io::save_model(&built(Sequential::new().add(Dense::new(4)).add(Activation::Tanh), &[3])?, &path)?;
    let body = io::load_model(&path)?;
    let x = wave(&[2, 3]);
    let features = body.predict(&x)?;
    let mut model = Sequential::new();
    model.push(body);
    let mut model = model.add(Dense::new(2));
    model.initialize(&[3], 0)?;
    assert!(same_bits(&model.layers()[0].predict(&x)?, &features));
    io::save_model(&model, &path)?;
    let (again, y) = (io::load_model(&path)?, model.predict(&x)?);
    assert!(same_bits(&again.predict(&x)?, &y));
    assert_eq!(again.params()[0].0, "0.0.weight");
    Ok(())
}
