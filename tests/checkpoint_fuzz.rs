//! Damaged and hostile checkpoints: an error or a trainer that can go on each time, and no memory beyond what the file
//! holds.

#[path = "common/memory.rs"]
mod memory;

use layerwise::io::TensorFile;
use layerwise::metrics::R2;
use layerwise::prelude::*;
use layerwise::train::CallbackState;
use memory::most_taken;
use ndarray::Array2;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Map, Value, json};

/// The checkpoints that are tried.
const INPUTS: usize = 220_000;

/// What may be taken at once beyond so many bytes for each of the file (JSON that is read takes more than its text).
const ROOM: usize = 64 * 1024;
const FOR_A_BYTE: usize = 4;

/// Remembers a number and a tensor.
#[derive(Clone)]
struct Memorable {
    epochs: u64,
    weights: Tensor,
}

impl Callback for Memorable {
    fn kind(&self) -> &str {
        "Memorable"
    }

    fn state(&self) -> CallbackState {
        CallbackState { settings: json!({ "epochs": self.epochs }), tensors: vec![("a".into(), self.weights.clone())] }
    }

    fn restore(&mut self, state: CallbackState) -> Result<()> {
        let epochs = state.settings["epochs"].as_u64().ok_or_else(|| Error::custom("no number of epochs"))?;
        let weights = state.tensors.into_iter().next().ok_or_else(|| Error::custom("no tensor"))?.1;
        (self.epochs, self.weights) = (epochs, weights);
        Ok(())
    }

    fn on_epoch_end(&mut self, event: &mut Event<'_>) -> Result<()> {
        self.epochs = event.epoch as u64;
        Ok(())
    }
}

fn data() -> Result<Dataset> {
    let x = Array2::from_shape_fn((12, 3), |(row, column)| ((row + 5 * column) as f32).cos());
    let y = x.map_axis(ndarray::Axis(1), |row| row.sum());
    Dataset::new(&x, &y)
}

fn model() -> Sequential {
    Sequential::new().add(Dense::new(2)).add(BatchNormalization::new()).add(Dense::new(1))
}

fn trainer(epochs: usize) -> Trainer {
    Trainer::new(MeanSquaredError::new(), Adam::new(0.01))
        .metric(R2::new())
        .callback(Memorable { epochs: 0, weights: Tensor::zeros(ndarray::IxDyn(&[2])) })
        .epochs(epochs)
        .batch_size(5)
        .shards(1)
        .threads(1)
        .progress(Progress::Silent)
}

/// Stops in the middle of the second epoch.
struct Stop;

impl Callback for Stop {
    fn on_batch_end(&mut self, event: &mut Event<'_>) -> Result<()> {
        if event.step == 5 {
            event.stop();
        }
        Ok(())
    }
}

/// A checkpoint in the middle of an epoch, one at the end of a run, and one without a run.
fn seeds() -> Result<Vec<Vec<u8>>> {
    let folder = tempfile::tempdir().expect("there is room for temporary files");
    let path = folder.path().join("a");
    let mut files = Vec::new();
    for (number, mut trainer) in [trainer(3).callback(Stop), trainer(2), trainer(1)].into_iter().enumerate() {
        let mut model = model();
        trainer.fit(&mut model, &data()?)?;
        if number == 2 {
            trainer.step(&mut model, &data()?)?;
        }
        trainer.save_checkpoint(&model, &path)?;
        files.push(std::fs::read(&path).expect("it was written"));
    }
    Ok(files)
}

/// A value that does not belong where it is put.
fn strange(rng: &mut ChaCha8Rng) -> Value {
    let values = [
        json!(null),
        json!(true),
        json!(0),
        json!(1),
        json!(2),
        json!(-1),
        json!(1.5),
        json!(1e308),
        json!(u64::MAX),
        json!(1_u64 << 47),
        json!(4097),
        json!("NaN"),
        json!("inf"),
        json!(""),
        json!("0.weight"),
        json!("Memorable"),
        json!({}),
        json!([]),
        json!([[u64::MAX]]),
        json!([[1_u64 << 40]]),
        json!([[3, 3]]),
        json!(vec![0; 70]),
        json!({ "kind": "Memorable", "settings": { "epochs": 3 }, "tensors": [] }),
        json!([{ "kind": "Memorable", "settings": null, "tensors": ["a", "a"] }]),
    ];
    values.choose(rng).expect("there are some").clone()
}

/// Goes down into JSON at random and changes what it finds.
fn change(value: &mut Value, rng: &mut ChaCha8Rng) {
    let stay = rng.random_bool(0.15);
    match value {
        Value::Object(entries) if !entries.is_empty() && !stay => {
            let keys: Vec<String> = entries.keys().cloned().collect();
            let key = keys.choose(rng).expect("there are some");
            match rng.random_range(0..20) {
                0 => drop(entries.remove(key)),
                1 => drop(entries.insert("more".into(), strange(rng))),
                2 => {
                    let taken = entries.remove(key).expect("it is there");
                    entries.insert(keys.choose(rng).expect("there are some").clone(), taken);
                }
                _ => change(entries.get_mut(key).expect("it is there"), rng),
            }
        }
        Value::Array(items) if !items.is_empty() && !stay => {
            let at = rng.random_range(0..items.len());
            match rng.random_range(0..8) {
                0 => drop(items.remove(at)),
                1 => items.push(items[at].clone()),
                _ => change(&mut items[at], rng),
            }
        }
        other => *other = strange(rng),
    }
}

/// Changes what a text of the metadata says, and writes it as JSON again, so that the change gets past the parser.
fn change_json(file: &[u8], rng: &mut ChaCha8Rng) -> Vec<u8> {
    let length = u64::from_le_bytes(file[..8].try_into().expect("8 bytes")) as usize;
    let (header, numbers) = file[8..].split_at(length);
    let mut header: Map<String, Value> = serde_json::from_slice(header).expect("it is JSON");
    let key = if rng.random_bool(0.8) { "layerwise.training" } else { "layerwise.model" };
    let place = &mut header["__metadata__"][key];
    let mut inner: Value = serde_json::from_str(place.as_str().expect("a text")).expect("it is JSON");
    for _ in 0..rng.random_range(1..4) {
        change(&mut inner, rng);
    }
    *place = inner.to_string().into();
    if rng.random_bool(0.1) {
        let names: Vec<String> = header.keys().filter(|name| *name != "__metadata__").cloned().collect();
        let (from, to) = (names.choose(rng).expect("some"), names.choose(rng).expect("some"));
        let shape = header[from]["shape"].clone();
        header[to]["shape"] = shape;
    }
    let header = Value::Object(header).to_string();
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), numbers].concat()
}

/// Changes bytes anywhere.
fn change_bytes(mut file: Vec<u8>, rng: &mut ChaCha8Rng) -> Vec<u8> {
    let length = file.len();
    match rng.random_range(0..4) {
        0 => file.truncate(rng.random_range(0..length)),
        1 => (0..rng.random_range(1..8)).for_each(|_| file[rng.random_range(0..length)] ^= 1 << rng.random_range(0..8)),
        2 => (0..rng.random_range(1..4)).for_each(|_| file[rng.random_range(0..length)] = rng.random()),
        // A digit becomes another: most of a header are numbers.
        _ => {
            let digits: Vec<usize> = (0..length).filter(|&at| file[at].is_ascii_digit()).collect();
            for _ in 0..rng.random_range(1..4) {
                let at = *digits.choose(rng).expect("there are some");
                file[at] = b'0' + rng.random_range(0..10);
            }
        }
    }
    file
}

fn bits(model: &dyn Layer) -> Vec<u32> {
    let params = model.params();
    params.iter().flat_map(|(_, param)| param.values().into_iter().flatten().map(|x| x.to_bits())).collect()
}

#[test]
fn a_hostile_checkpoint_is_an_error_or_one_from_which_a_run_goes_on() -> Result<()> {
    let seeds = seeds()?;
    for file in &seeds {
        trainer(3).read_checkpoint(&mut model(), &TensorFile::from_bytes(file.clone(), "seed")?)?;
    }
    let (data, mut rng) = (data()?, ChaCha8Rng::seed_from_u64(12));
    let mut built = model();
    built.initialize(&[3], 1)?;
    let before = bits(&built);
    let mut used = trainer(3);
    let (mut taken, mut ran, mut largest) = (0, 0, 0.0_f64);
    for number in 0..INPUTS {
        let seed = seeds.choose(&mut rng).expect("there are some");
        let file = if number % 3 == 0 { change_bytes(seed.clone(), &mut rng) } else { change_json(seed, &mut rng) };
        let bytes = file.len();
        let mut empty = model();
        let model = if number % 2 == 0 { &mut built } else { &mut empty };
        let (outcome, most) = most_taken(|| {
            let file = TensorFile::from_bytes(file, "hostile")?;
            used.read_checkpoint(model, &file)
        });
        assert!(most <= ROOM + FOR_A_BYTE * bytes, "input {number}: {most} bytes for a file of {bytes}");
        largest = largest.max(most.saturating_sub(ROOM) as f64 / bytes.max(1) as f64);
        if outcome.is_err() {
            assert_eq!(used.steps(), 0, "input {number}");
            assert_eq!(bits(model), if number % 2 == 0 { &before[..] } else { &[] }, "input {number}");
            continue;
        }
        taken += 1;
        // What was taken can be trained on, or is refused for a reason.
        if taken % 4 == 0 {
            ran += usize::from(used.fit(model, &data).is_ok());
        }
        built = self::model();
        built.initialize(&[3], 1)?;
        used = trainer(3);
    }
    println!(
        "{INPUTS} checkpoints: {taken} taken, {ran} runs went on; {ROOM} bytes and {largest:.1} for each of a file"
    );
    assert!(taken > INPUTS / 100 && ran > 0, "most changes must not be refused at once: {taken} taken, {ran} went on");
    Ok(())
}
