//! Damaged and hostile files: an error or a file that is one each time, and no memory beyond what the file holds.

#[path = "common/memory.rs"]
mod memory;

use layerwise::io::{LoadWeights, TensorFile, Tensors, save_weights};
use layerwise::prelude::*;
use memory::most_taken;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use safetensors::SafeTensors;
use serde_json::{Map, Value, json};

/// The inputs that are tried.
const INPUTS: usize = 1_200_000;
/// What may be taken beyond the bytes of the file: names and texts of errors, for files of a few kilobytes.
const ROOM: usize = 64 * 1024;

fn model() -> Result<Sequential> {
    let mut model = Sequential::new()
        .add(Dense::new(4).activation(Activation::Relu))
        .add(BatchNormalization::new())
        .add(Dense::new(2));
    model.initialize(&[3], 1)?;
    Ok(model)
}

/// A file as bytes from its header and its data.
fn assemble(header: &[u8], data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes()[..], header, data].concat()
}

/// The header and the data of a file that is one.
fn take_apart(file: &[u8]) -> (&[u8], &[u8]) {
    let length = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    file[8..].split_at(length)
}

/// The files that are changed: a model's weights, tensors of every number type, and none.
fn seeds() -> Result<Vec<Vec<u8>>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.safetensors");
    let read = || std::fs::read(&path).unwrap();
    save_weights(&model()?, &path)?;
    let weights = read();
    let mut tensors = Tensors::new();
    tensors.add::<f64>("training/slot", &[2, 3], vec![0.5; 6])?;
    tensors.add_u64s("steps", vec![1, u64::MAX, 3])?;
    tensors.add::<f32>("nothing", &[0, 7], vec![])?;
    tensors.write(&path)?;
    let mixed = read();
    Tensors::new().write(&path)?;
    let none = read();
    let (mut entries, mut data) = (Map::new(), Vec::new());
    let types = ["BOOL", "U8", "I8", "I16", "U16", "F16", "BF16", "I32", "U32", "F32", "C64", "F64", "I64", "U64"];
    for (number, kind) in types.into_iter().enumerate() {
        let width = [1, 1, 1, 2, 2, 2, 2, 4, 4, 4, 8, 8, 8, 8][number];
        let start = data.len();
        data.extend((0..2 * width).map(|i| (i * 37 + number * 11) as u8));
        let entry = json!({ "dtype": kind, "shape": [2], "data_offsets": [start, data.len()] });
        entries.insert(format!("{number}.weight"), entry);
    }
    let every = assemble(Value::Object(entries).to_string().as_bytes(), &data);
    Ok(vec![weights.clone(), weights, mixed, none, every])
}

/// Changes bytes anywhere in the file.
fn change_bytes(mut file: Vec<u8>, rng: &mut ChaCha8Rng) -> Vec<u8> {
    let length = file.len();
    match rng.random_range(0..6) {
        0 => file.truncate(rng.random_range(0..length)),
        1 => {
            for _ in 0..rng.random_range(1..8) {
                file[rng.random_range(0..length)] ^= 1 << rng.random_range(0..8);
            }
        }
        2 => {
            for _ in 0..rng.random_range(1..4) {
                file[rng.random_range(0..length)] = rng.random();
            }
        }
        3 => {
            let (at, byte) = (rng.random_range(0..=length), rng.random());
            (0..rng.random_range(1..9)).for_each(|_| file.insert(at, byte));
        }
        4 => {
            let start = rng.random_range(0..length);
            file.drain(start..rng.random_range(start..length.min(start + 20)));
        }
        _ => {
            let lengths = [0, 1, length as u64 - 8, length as u64 - 7, 100_000_001, 1 << 63, u64::MAX, rng.random()];
            file[..8].copy_from_slice(&lengths.choose(rng).unwrap().to_le_bytes());
        }
    }
    file
}

/// A value that does not belong where it is put.
fn strange(rng: &mut ChaCha8Rng) -> Value {
    let values = [
        json!(null),
        json!(0),
        json!(1),
        json!(-1),
        json!(1.5),
        json!(1e308),
        json!(u64::MAX),
        json!(1_u64 << 63),
        json!(1_u64 << 32),
        json!("F32"),
        json!("NaN"),
        json!(""),
        json!({}),
        json!([]),
        json!([u64::MAX, 2]),
        json!([0, 0]),
        json!([1, 2, 3]),
        json!(vec![1; 65]),
        json!({ "dtype": "F32", "shape": [], "data_offsets": [0, 4] }),
    ];
    values.choose(rng).unwrap().clone()
}

/// Changes what the header says, and writes it as JSON again, so that the change gets past the parser.
fn change_header(file: &[u8], rng: &mut ChaCha8Rng) -> Vec<u8> {
    let (header, data) = take_apart(file);
    let mut entries: Map<String, Value> = serde_json::from_slice(header).unwrap();
    let names: Vec<String> = entries.keys().cloned().collect();
    let mut data = data.to_vec();
    for _ in 0..rng.random_range(1..3) {
        let Some(name) = names.choose(rng) else { break };
        let Some(entry) = entries.get_mut(name) else { continue };
        match rng.random_range(0..9) {
            0 => *entry = strange(rng),
            1 => drop(entries.remove(name)),
            2 => {
                let value = strange(rng);
                entries.insert(["a", "0.weight", "2.bias", "__metadata__"].choose(rng).unwrap().to_string(), value);
            }
            3 => {
                let kind = ["F64", "F16", "BF16", "I32", "U32", "U8", "BOOL", "F4", "C64", "Q7"].choose(rng).unwrap();
                if let Some(entry) = entry.as_object_mut() {
                    entry.insert("dtype".into(), json!(kind));
                }
            }
            4 => {
                let renamed = entries.remove(name).unwrap();
                entries.insert(format!("{name}x"), renamed);
            }
            5 => {
                // The same number of values in another shape: a file that is one, but not the model's.
                if let Some(shape) = entry["shape"].as_array() {
                    let shapes = [shape.iter().rev().cloned().collect::<Vec<_>>(), [&shape[..], &[json!(1)]].concat()];
                    entry["shape"] = json!(shapes.choose(rng).unwrap());
                }
            }
            6 => {
                for key in ["shape", "data_offsets", "dtype", "layerwise.format"] {
                    if let Some(value) = entry.get_mut(key).filter(|_| rng.random_bool(0.4)) {
                        *value = strange(rng);
                    }
                }
            }
            7 => {
                for key in ["shape", "data_offsets"] {
                    let list = entry.get_mut(key).and_then(Value::as_array_mut);
                    if let Some(extent) = list.and_then(|list| list.iter_mut().next_back()) {
                        *extent =
                            [json!(u64::MAX), json!(1_u64 << 62), json!(extent.as_u64().unwrap_or(0).wrapping_add(1))]
                                .choose(rng)
                                .unwrap()
                                .clone();
                    }
                }
            }
            _ => data.extend((0..rng.random_range(1..9)).map(|_| 0)),
        }
    }
    assemble(Value::Object(entries).to_string().as_bytes(), &data)
}

/// Changes the header's text: names twice, deep nesting, bytes that are no UTF-8, comments and commas.
fn change_text(file: &[u8], rng: &mut ChaCha8Rng) -> Vec<u8> {
    let (header, data) = take_apart(file);
    let mut text = header.to_vec();
    while text.last().is_some_and(|&byte| byte != b'}') {
        text.pop();
    }
    text.pop();
    let comma = if text.len() > 1 { "," } else { "" };
    let deep = rng.random_range(1..3000);
    let added = match rng.random_range(0..7) {
        0 => format!("{comma}{}", std::str::from_utf8(&text[1..]).unwrap()),
        1 => format!("{comma}\"deep\":{}1{}", "[".repeat(deep), "]".repeat(deep)),
        2 => format!("{comma}\"deep\":{}", "{\"shape\":".repeat(deep)),
        3 => {
            let nested = "[".repeat(deep) + &"]".repeat(deep);
            format!("{comma}\"a\":{{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0],\"more\":{nested}}}")
        }
        4 => format!("{comma}\"a\":{{\"dtype\":\"U8\",\"shape\":[{}0],\"data_offsets\":[0,0]}}", "0,".repeat(deep)),
        5 => format!("{comma}\"\\ud800\":1"),
        _ => format!("{comma}\"{}\":1e999", "long".repeat(deep)),
    };
    text.extend(added.as_bytes());
    text.push(b'}');
    if rng.random_bool(0.2) {
        let at = rng.random_range(0..text.len());
        text[at] = rng.random_range(128..=255);
    }
    assemble(&text, data)
}

/// The reasons for which we refuse what the format's own library takes.
const STRICTER: [&str; 6] = [
    "twice",
    "invalid type: sequence, expected an object with dtype",
    "more than 64 axes",
    "is too large",
    "this one reads formats up to",
    "has the unknown key",
];

/// What became of the inputs.
#[derive(Default, Debug)]
struct Counts {
    refused: usize,
    files: usize,
    loaded: usize,
}

/// Reads one file in every way.
fn try_one(file: Vec<u8>, model: &mut Sequential, counts: &mut Counts) -> Result<()> {
    let (length, copy) = (file.len(), file.clone());
    let theirs = SafeTensors::deserialize(&copy);
    let (opened, most) = most_taken(|| TensorFile::from_bytes(file, "x"));
    // Every entry of a header is held in a few times the memory of its text.
    assert!(most <= 8 * length + ROOM, "opening {length} bytes takes {most}");
    let opened = match opened {
        Ok(opened) => opened,
        Err(error) => {
            counts.refused += 1;
            let text = error.to_string();
            assert!(theirs.is_err() || STRICTER.iter().any(|reason| text.contains(reason)), "{text}");
            assert!(text.starts_with("x: "), "{text}");
            return Ok(());
        }
    };
    counts.files += 1;
    let theirs = theirs.expect("the format's own library takes what we take");
    assert_eq!(opened.names().count(), theirs.len());
    for name in opened.names() {
        let view = theirs.tensor(name).unwrap();
        assert_eq!(opened.shape(name), Some(view.shape()));
        for (read, width) in
            [(opened.get::<f32>(name).map(|t| t.len()), 4), (opened.get::<f64>(name).map(|t| t.len()), 8)]
        {
            if let Ok(count) = read {
                assert_eq!(count, view.shape().iter().product::<usize>(), "{name} in numbers of {width} bytes");
            }
        }
        if let Ok(numbers) = opened.u64s(name) {
            assert_eq!(numbers.len() * 8, view.data().len());
        }
    }
    let before: Vec<_> = model.params().iter().map(|(_, param)| param.get().cloned()).collect::<Result<_>>()?;
    let (loaded, most) = most_taken(|| LoadWeights::from_file(opened).into_model(model));
    assert!(most <= length + ROOM, "loading {length} bytes takes {most}");
    match loaded {
        Ok(_) => counts.loaded += 1,
        Err(_) => {
            for ((name, param), before) in model.params().iter().zip(before) {
                assert_eq!(param.get()?.as_ptr(), before.as_ptr(), "{name} has changed");
            }
        }
    }
    Ok(())
}

/// Long headers of every sort that a hostile file could have: the memory stays within a few times their length.
fn try_long_headers() {
    let entry = |name: usize| format!("\"{name}\":{{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}");
    let axes = |name: usize| {
        let shape = "0,".repeat(63);
        format!("\"{name}\":{{\"dtype\":\"U8\",\"shape\":[{shape}0],\"data_offsets\":[0,0]}}")
    };
    let list = |count: usize, of: &dyn Fn(usize) -> String| (0..count).map(of).collect::<Vec<_>>().join(",");
    let texts = list(50_000, &|key| format!("\"{key}\":\"\""));
    for header in [
        format!("{{{}}}", list(20_000, &entry)),
        format!("{{{}}}", list(8_000, &axes)),
        format!("{{\"__metadata__\":{{{texts}}}}}"),
        format!("{{\"a\":{}", "[".repeat(1_000_000)),
        format!("{{\"{}\":1}}", "\\n".repeat(500_000)),
        format!("{{\"a\":{{\"dtype\":\"U8\",\"shape\":[{}0]}}}}", "0,".repeat(500_000)),
    ] {
        let file = assemble(header.as_bytes(), &[]);
        let (_, most) = most_taken(|| TensorFile::from_bytes(file, "x").map(drop));
        println!("a header of {} bytes takes {most}", header.len());
        assert!(most <= 8 * header.len() + ROOM, "a header of {} bytes takes {most}", header.len());
    }
}

#[test]
fn damaged_files_are_errors_and_take_no_memory() -> Result<()> {
    let ((), most) = most_taken(|| drop(vec![0_u8; 10_000]));
    assert!(most >= 10_000, "the allocator does not count");
    let (seeds, mut model, mut counts) = (seeds()?, model()?, Counts::default());
    let mut rng = ChaCha8Rng::seed_from_u64(50);
    for number in 0..INPUTS {
        let seed = &seeds[number / 5 % seeds.len()];
        let file = match number % 5 {
            0 | 1 => change_bytes(seed.clone(), &mut rng),
            2 => change_text(seed, &mut rng),
            _ => change_header(seed, &mut rng),
        };
        try_one(file, &mut model, &mut counts)?;
    }
    try_long_headers();
    println!("{INPUTS} inputs: {counts:?}");
    // Of each sort so many that the rest of the reader was reached.
    assert!(counts.refused > INPUTS / 2 && counts.files > INPUTS / 10 && counts.loaded > INPUTS / 100, "{counts:?}");
    Ok(())
}
