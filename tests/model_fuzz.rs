//! Damaged and hostile model files: an error or a model each time, no panic, and no memory beyond the file's size.
//!
//! Files of several architectures are changed in their description (numbers, types, keys, kinds, nesting), in their
//! bytes, and in their length, from one seeded stream, and loaded.

#[path = "common/memory.rs"]
mod memory;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use layerwise::io::{self, Registry, TensorFile};
use layerwise::layers::*;
use layerwise::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Map, Value, json};

/// How many files are loaded.
const FILES: usize = 400_000;
/// The memory that loading may take beyond the file's size: some for what every call needs, and some for each byte of
/// the description, whose parsed form is a tree. In long descriptions, which these are not, the tree is limited.
const CONSTANT: usize = 64 << 10;
const OF_DESCRIPTION: usize = 40;

fn models() -> Result<Vec<Box<dyn Layer>>> {
    let conv = || Conv2d::new(2, 3).padding(Padding::Same);
    let images = Sequential::new()
        .add(conv().activation(Activation::LeakyRelu(0.1)))
        .add(BatchNormalization::new())
        .add(Residual::new(Sequential::new().add(conv()).add(Dropout::new(0.2))))
        .add(MaxPool2d::new(2))
        .add(Flatten::new())
        .add(Dense::new(3));
    let words =
        Sequential::new().add(Embedding::new(6, 4)).add(SimpleRnn::new(3).return_sequences()).add(Flatten::new());
    let moving = Sequential::new()
        .add(ZeroPadding2d::new(1))
        .add(ConvTranspose2d::new(2, 2).stride(2).groups(1))
        .add(DepthwiseConv2d::new(3).multiplier(2))
        .add(UpSampling2d::new((2, 1)).interpolation(Interpolation::Bilinear))
        .add(PixelUnshuffle::new(2))
        .add(GroupNormalization::new(2))
        .add(Permute::new([3, 1, 2]))
        .add(Reshape::new([-1, 4]))
        .add(Cropping1d::new(1, 1))
        .add(AdaptiveAveragePool1d::new(2));
    let mut graph = Graph::new();
    let (left, right) = (graph.input(), graph.input());
    let tower = graph.share(Sequential::new().add(Dense::new(3).activation(Activation::Tanh)));
    let (a, b) = (graph.apply(tower, left), graph.apply(tower, right));
    let sum = graph.merge(Add::new(), &[a, b]);
    let both = graph.merge(Concatenate::new(-1), &[sum, a]);
    let score = graph.add(Dense::new(2), both);
    graph.name("score");
    let mut models: Vec<Box<dyn Layer>> =
        vec![Box::new(images), Box::new(words), Box::new(moving), Box::new(graph.outputs(&[score, sum]))];
    let inputs: [&[&[usize]]; 4] = [&[&[4, 4, 1]], &[&[5]], &[&[4, 4, 2]], &[&[4], &[4]]];
    for (model, inputs) in models.iter_mut().zip(inputs) {
        model.initialize_all(&inputs.iter().map(|shape| shape.to_vec()).collect::<Vec<_>>(), 0)?;
    }
    models[0].params_mut().iter_mut().take(2).for_each(|(_, param)| param.set_frozen(true));
    Ok(models)
}

/// A file in its parts.
struct Parts {
    metadata: Map<String, Value>,
    description: Value,
    /// The tensors of the header.
    tensors: Map<String, Value>,
    numbers: Vec<u8>,
}

impl Parts {
    fn of(model: &dyn Layer) -> Result<Self> {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fuzzed.safetensors");
        io::save_model(model, &path)?;
        let bytes = std::fs::read(&path).unwrap();
        let (length, rest) = bytes.split_at(8);
        let (header, numbers) = rest.split_at(u64::from_le_bytes(length.try_into().unwrap()) as usize);
        let mut tensors: Map<String, Value> = serde_json::from_slice(header).unwrap();
        let Some(Value::Object(metadata)) = tensors.remove("__metadata__") else { panic!("no metadata") };
        let description = serde_json::from_str(metadata["layerwise.model"].as_str().unwrap()).unwrap();
        Ok(Parts { metadata, description, tensors, numbers: numbers.to_vec() })
    }

    /// The file with this description.
    fn file(&self, description: String) -> Vec<u8> {
        let mut metadata = self.metadata.clone();
        metadata["layerwise.model"] = Value::String(description);
        let mut tensors = self.tensors.clone();
        tensors.insert("__metadata__".into(), Value::Object(metadata));
        let header = Value::Object(tensors).to_string();
        [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &self.numbers].concat()
    }
}

struct Mutator {
    rng: ChaCha8Rng,
    kinds: Vec<String>,
    /// Descriptions of all models, from which values are taken.
    others: Vec<Value>,
}

impl Mutator {
    fn below(&mut self, end: usize) -> usize {
        self.rng.random_range(0..end.max(1))
    }

    fn pick<T: Clone>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())].clone()
    }

    /// A number that may not be one for this place.
    fn number(&mut self) -> Value {
        let near = self.below(9) as i64 - 2;
        let power = 1_u64 << self.below(64);
        let hostile = [
            json!(near),
            json!(near),
            json!(near),
            json!(power),
            json!(power - 1),
            json!(u64::MAX),
            json!(i64::MIN),
            json!(-1),
            json!(0),
            json!(1e308),
            json!(-1e-308),
            json!(0.5),
            json!(-0.0),
            json!(u32::MAX),
            json!(1_u64 << 63),
            json!(usize::MAX / 2),
        ];
        self.pick(&hostile)
    }

    /// A value of any type.
    fn anything(&mut self) -> Value {
        let kinds = self.kinds.clone();
        let any = [
            Value::Null,
            json!(true),
            json!("NaN"),
            json!("-inf"),
            json!(""),
            json!("same"),
            json!("input"),
            json!("é\u{0}\u{1F600}"),
            json!([]),
            json!({}),
            json!([[]]),
            json!([1, 2]),
            json!([[1, 1], [1, 1]]),
            json!({ "name": "Zeros" }),
            json!({ "name": "LeakyRelu", "slope": "NaN" }),
            json!({ "kind": "Flatten", "config": null }),
            json!({ "part": 0, "inputs": [0] }),
            json!(self.pick(&kinds)),
        ];
        if self.below(2) == 0 { self.number() } else { self.pick(&any) }
    }

    /// Changes one value somewhere in the tree.
    fn mutate(&mut self, description: &mut Value) {
        let count = nodes(description);
        let target = self.below(count);
        let number = self.number();
        let other = self.below(self.others.len());
        let other = self.some_part(other);
        let place = node(description, target).expect("a node below their number");
        match self.below(12) {
            0..=3 if place.is_number() => *place = number,
            0..=4 => *place = self.anything(),
            5 => *place = other,
            6 | 7 => self.change_keys(place),
            8 => self.grow(place),
            9 => self.nest(place),
            _ => {
                let kind = json!(self.pick(&self.kinds.clone()));
                match place.as_object_mut().and_then(|place| place.get_mut("kind")) {
                    Some(place) => *place = kind,
                    None => *place = number,
                }
            }
        }
    }

    /// A change that may well leave a model: a number next to the one there, a flag the other way, another name.
    fn nudge(&mut self, description: &mut Value) {
        let target = self.below(nodes(description));
        let place = node(description, target).expect("a node below their number");
        match place {
            Value::Number(number) => match number.as_i64() {
                Some(whole) => *place = json!(whole + self.below(4) as i64 - 1),
                None => *place = json!(number.as_f64().unwrap_or_default() * 0.5),
            },
            Value::Bool(flag) => *flag = !*flag,
            Value::String(_) => {
                *place = json!(self.pick(&["Relu", "Tanh", "Sigmoid", "Zeros", "HeNormal", "same", "valid"]))
            }
            // Lists and objects are what most nodes are.
            _ => self.nudge(description),
        }
    }

    /// Some value of another description.
    fn some_part(&mut self, other: usize) -> Value {
        let target = self.below(nodes(&self.others[other]));
        node(&mut self.others[other], target).expect("a node below their number").clone()
    }

    /// A key left away, added or renamed.
    fn change_keys(&mut self, place: &mut Value) {
        let Some(values) = place.as_object_mut().filter(|values| !values.is_empty()) else {
            return *place = self.anything();
        };
        let key = values.keys().nth(self.below(values.len())).unwrap().clone();
        match self.below(3) {
            0 => drop(values.remove(&key)),
            1 => drop(values.insert("newer".into(), self.anything())),
            _ => {
                let value = values.remove(&key).unwrap();
                values.insert(format!("{key}s"), value);
            }
        }
    }

    /// A list with one of its items many times, or a string much longer.
    fn grow(&mut self, place: &mut Value) {
        let times = self.below(60);
        match place {
            Value::Array(items) if !items.is_empty() => {
                let item = items[self.below(items.len())].clone();
                items.extend(std::iter::repeat_n(item, times));
            }
            Value::String(text) => *text = text.repeat(times),
            _ => *place = Value::Array(vec![place.clone(); times]),
        }
    }

    /// A layer, or whatever it is, in many others.
    fn nest(&mut self, place: &mut Value) {
        for _ in 0..self.below(40) {
            let child = place.take();
            *place = match self.below(4) {
                0 | 1 => json!({ "kind": "Sequential", "config": { "layers": [child] } }),
                2 => json!({ "kind": "Residual", "config": { "body": child } }),
                _ => {
                    let [kind, config] = ["kind", "config"].map(|key| child.get(key).cloned().unwrap_or_default());
                    let part = json!({ "name": "0", "family": "layer", "kind": kind, "config": config });
                    let [once, twice] = [0, 1].map(|input| json!({ "part": 0, "inputs": [input] }));
                    let config = json!({ "parts": [part], "nodes": ["input", once, twice], "outputs": [2] });
                    json!({ "kind": "Graph", "config": config })
                }
            };
        }
    }

    /// A change of the text: a key twice, a bracket more or less, a letter.
    fn mutate_text(&mut self, text: &mut String) {
        let characters: Vec<char> = text.chars().collect();
        let at = self.below(characters.len());
        let (before, after) = characters.split_at(at);
        let insert = self.pick(&["\"kind\":1,", "[", "}", "{", "\"", "1e999", "null", ",", "\\", "0"]);
        let skip = self.below(3).min(after.len());
        *text = before.iter().copied().chain(insert.chars()).chain(after[skip..].iter().copied()).collect();
        if self.below(20) == 0 {
            let deep = 1 << self.below(12);
            text.insert_str(text.find(':').map_or(0, |at| at + 1), &"[".repeat(deep));
        }
    }

    /// A file that is damaged somewhere.
    fn mutate_bytes(&mut self, file: &mut Vec<u8>) {
        match self.below(4) {
            0 => file.truncate(self.below(file.len())),
            1 => {
                let more = self.below(100);
                file.extend(std::iter::repeat_n(0, more));
            }
            _ => {
                for _ in 0..1 + self.below(3) {
                    // Half of them in the header, where they matter.
                    let end = if self.below(2) == 0 { file.len() } else { file.len() / 2 };
                    let at = self.below(end);
                    file[at] ^= 1 << self.below(8);
                }
            }
        }
    }
}

/// The number of values in a tree.
fn nodes(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(nodes).sum(),
        Value::Object(values) => values.values().map(nodes).sum(),
        _ => 0,
    }
}

/// The value of a number, counted from the root.
fn node(value: &mut Value, number: usize) -> Option<&mut Value> {
    if number == 0 {
        return Some(value);
    }
    let children: Vec<&mut Value> = match value {
        Value::Array(items) => items.iter_mut().collect(),
        Value::Object(values) => values.values_mut().collect(),
        _ => Vec::new(),
    };
    let mut left = number - 1;
    for child in children {
        let count = nodes(child);
        if left < count {
            return node(child, left);
        }
        left -= count;
    }
    None
}

/// A description of small values, whose tree is many times as long as its text, ends where its memory does; and so do
/// the outputs of a graph, each of which is a shape in the end.
fn check_dense_descriptions(parts: &Parts, registry: &Registry) -> Result<()> {
    for (dense, length) in [("0,", 4 << 20), ("0,", 200 << 10), ("{\"\":0},", 4 << 20), ("[[]],", 4 << 20)] {
        let list = dense.repeat(length / dense.len());
        let outputs = parts.description.to_string().replace("\"outputs\":[", &format!("\"outputs\":[{list}"));
        for text in [outputs, format!("{{\"kind\":[{list}0]}}")] {
            let bytes = parts.file(text);
            let size = bytes.len();
            let (outcome, taken) = memory::most_taken(|| registry.read_model(&TensorFile::from_bytes(bytes, "dense")?));
            assert_eq!(outcome.is_ok(), size < length, "only where nothing was put in");
            // The copies of the text that reading makes, and the tree.
            assert!(taken < 13 * size + (68 << 20), "{dense}: {taken} bytes taken for a file of {size}");
        }
    }
    Ok(())
}

#[test]
fn damaged_model_files_are_errors_or_models() -> Result<()> {
    let parts: Vec<Parts> = models()?.iter().map(|model| Parts::of(&**model)).collect::<Result<_>>()?;
    let registry = Registry::new();
    let kinds = registry.kinds();
    let mut mutator = Mutator {
        rng: ChaCha8Rng::seed_from_u64(1),
        kinds: kinds.0.into_iter().chain(kinds.1).map(str::to_owned).collect(),
        others: parts.iter().map(|parts| parts.description.clone()).collect(),
    };
    for parts in &parts {
        let file = TensorFile::from_bytes(parts.file(parts.description.to_string()), "unchanged")?;
        registry.read_model(&file)?;
        check_dense_descriptions(parts, &registry)?;
    }
    let (mut loaded, mut refused, mut unread, mut most) = (0, 0, 0, 0);
    for number in 0..FILES {
        let parts = &parts[number % parts.len()];
        let mut description = parts.description.clone();
        let text_alone = mutator.below(8) == 0;
        let changes = if text_alone { 0 } else { 1 + mutator.below(3) };
        let gentle = mutator.below(4) == 0;
        for _ in 0..changes {
            if gentle {
                mutator.nudge(&mut description);
                continue;
            }
            mutator.mutate(&mut description);
            if nodes(&description) > 2000 {
                break;
            }
        }
        let mut text = description.to_string();
        if text_alone {
            mutator.mutate_text(&mut text);
        }
        let described = text.len();
        let mut bytes = parts.file(text);
        if mutator.below(8) == 0 {
            mutator.mutate_bytes(&mut bytes);
        }
        let size = bytes.len();
        let attempt = AssertUnwindSafe(|| {
            memory::most_taken(|| {
                let file = TensorFile::from_bytes(bytes, "damaged").map_err(|error| (true, error))?;
                registry.read_model(&file).map_err(|error| (false, error))
            })
        });
        let Ok((outcome, taken)) = catch_unwind(attempt) else {
            panic!("file {number} made the library panic: {description}");
        };
        let allowed = size + CONSTANT + OF_DESCRIPTION * described;
        assert!(taken <= allowed, "file {number}: {taken} bytes taken, {allowed} allowed: {description}");
        most = most.max(taken.saturating_sub(size));
        match outcome {
            Ok(model) => {
                loaded += 1;
                // What was loaded is what it says it is.
                let again = registry.make(model.kind(), &model.config())?;
                assert_eq!(again.config(), model.config(), "file {number}");
                assert!(model.is_built(), "file {number}");
            }
            Err((true, Error::File { .. })) => unread += 1,
            Err((false, Error::File { .. })) => refused += 1,
            Err((_, other)) => panic!("file {number}: an error that names no file: {other}"),
        }
    }
    println!(
        "{FILES} damaged model files: {unread} are no files of tensors, {refused} are no models, {loaded} load; at most \
         {most} bytes beyond the file's size were taken"
    );
    // A fuzzer that reaches nothing finds nothing.
    assert!(loaded > FILES / 25 && refused > FILES / 4 && unread > FILES / 50, "{loaded}, {refused}, {unread}");
    Ok(())
}
