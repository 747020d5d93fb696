//! Files of tensors: every bit comes back, other readers read them, and a write that fails leaves the old file.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use layerwise::io::{TensorFile, Tensors, load_weights, save_weights};
use layerwise::prelude::*;
use layerwise::values;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use safetensors::SafeTensors;
use serde_json::{Value, json};

/// Numbers of both types and whole numbers, as bits, so that NaN can be compared.
#[derive(Clone, Debug)]
enum Bits {
    F32(Vec<u32>),
    F64(Vec<u64>),
    U64(Vec<u64>),
}

/// A tensor with a name and a shape.
type Named = (String, Vec<usize>, Bits);

/// Names, shapes and values drawn at random: quotes, dots and letters beyond ASCII among the names, any bits among the
/// values, and those that are easily lost: NaN with a payload, negative zero, subnormal numbers.
fn draw(rng: &mut ChaCha8Rng) -> Vec<Named> {
    let letters = ["a", "b", ".", "0", "\"", "\\", "/", "ü", "重", "\n", "\u{0}", " "];
    let mut tensors = Vec::new();
    for number in 0..rng.random_range(0..6) {
        let name: String = (0..rng.random_range(0..5)).map(|_| letters[rng.random_range(0..letters.len())]).collect();
        let shape: Vec<usize> = (0..rng.random_range(0..4)).map(|_| rng.random_range(0..5)).collect();
        let count = shape.iter().product();
        let narrow = [0x7FC1_2345, 0xFF80_0001, 0x8000_0000, 1, 0x807F_FFFF, 0x7F80_0000];
        let wide = [0x7FF8_0000_1234_5678, 0xFFF0_0000_0000_0001, 1 << 63, 1, 0x7FF0_0000_0000_0000, u64::MAX];
        let bits = match rng.random_range(0..3) {
            0 => Bits::F32((0..count).map(|_| pick(&narrow, rng.random(), rng)).collect()),
            1 => Bits::F64((0..count).map(|_| pick(&wide, rng.random(), rng)).collect()),
            _ => Bits::U64((0..count).map(|_| pick(&wide, rng.random(), rng)).collect()),
        };
        let shape = if let Bits::U64(_) = bits { vec![count] } else { shape };
        tensors.push((format!("{name}{number}"), shape, bits));
    }
    tensors
}

fn pick<T: Copy>(special: &[T], any: T, rng: &mut ChaCha8Rng) -> T {
    if rng.random_bool(0.5) { any } else { special[rng.random_range(0..special.len())] }
}

fn write(path: &Path, tensors: &[Named], texts: &[(&str, &str)]) -> Result<()> {
    let mut file = Tensors::new();
    for (name, shape, bits) in tensors {
        match bits {
            Bits::F32(bits) => {
                file.add::<f32>(name, shape, bits.iter().map(|&bits| f32::from_bits(bits)).collect::<Vec<_>>())?;
            }
            Bits::F64(bits) => {
                file.add::<f64>(name, shape, bits.iter().map(|&bits| f64::from_bits(bits)).collect::<Vec<_>>())?;
            }
            Bits::U64(numbers) => file.add_u64s(name, &numbers[..])?,
        }
    }
    texts.iter().for_each(|&(key, text)| file.metadata(key, text));
    file.write(path)
}

fn bits_of(file: &TensorFile, name: &str) -> Result<Bits> {
    Ok(match file.dtype(name) {
        Some("F32") => Bits::F32(values(&file.get::<f32>(name)?)?.iter().map(|value| value.to_bits()).collect()),
        Some("F64") => Bits::F64(values(&file.get::<f64>(name)?)?.iter().map(|value| value.to_bits()).collect()),
        _ => Bits::U64(file.u64s(name)?),
    })
}

fn bytes_of(bits: &Bits) -> Vec<u8> {
    match bits {
        Bits::F32(bits) => bits.iter().flat_map(|bits| bits.to_le_bytes()).collect(),
        Bits::F64(bits) | Bits::U64(bits) => bits.iter().flat_map(|bits| bits.to_le_bytes()).collect(),
    }
}

#[test]
fn every_bit_comes_back_here_and_by_another_reader() -> Result<()> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("random.safetensors");
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    for round in 0..300 {
        let tensors = draw(&mut rng);
        let texts = [("plain", "text"), ("quoted", "\"ü\"\n"), ("", "")];
        write(&path, &tensors, &texts)?;
        let (ours, bytes) = (TensorFile::open(&path)?, fs::read(&path).unwrap());
        let theirs = SafeTensors::deserialize(&bytes).unwrap();
        let (length, header) = SafeTensors::read_metadata(&bytes).unwrap();
        assert_eq!(length % 8, 0, "the values are not aligned");
        assert_eq!((ours.names().count(), theirs.len()), (tensors.len(), tensors.len()), "round {round}");
        for (name, shape, bits) in &tensors {
            assert_eq!(ours.shape(name), Some(&shape[..]), "round {round}: {name}");
            assert_eq!(bytes_of(&bits_of(&ours, name)?), bytes_of(bits), "round {round}: {name}");
            let view = theirs.tensor(name).unwrap();
            assert_eq!((view.shape(), view.data()), (&shape[..], &bytes_of(bits)[..]), "round {round}: {name}");
        }
        for (key, text) in texts {
            assert_eq!(ours.metadata(key), Some(text));
            assert_eq!(header.metadata().as_ref().unwrap()[key], text);
        }
    }
    Ok(())
}

/// Files for Python's reader, and beside them what it should find. `LAYERWISE_FILES` is the folder;
/// `tests/reference/read_safetensors.py` reads it.
#[test]
fn files_for_python_are_written() -> Result<()> {
    let kept = tempfile::tempdir().unwrap();
    let folder = std::env::var_os("LAYERWISE_FILES").map_or(kept.path().to_owned(), PathBuf::from);
    fs::create_dir_all(&folder).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    for number in 0..40 {
        let tensors = draw(&mut rng);
        let path = folder.join(format!("{number}.safetensors"));
        write(&path, &tensors, &[("number", &number.to_string())])?;
        let expected = |(name, shape, bits): &Named| {
            let hex: String = bytes_of(bits).iter().map(|byte| format!("{byte:02x}")).collect();
            let kind = match bits {
                Bits::F32(_) => "float32",
                Bits::F64(_) => "float64",
                Bits::U64(_) => "uint64",
            };
            json!({ "name": name, "dtype": kind, "shape": shape, "bytes": hex })
        };
        let tensors: Vec<Value> = tensors.iter().map(expected).collect();
        let expected = json!({ "metadata": { "number": number.to_string() }, "tensors": tensors });
        fs::write(path.with_extension("json"), expected.to_string()).unwrap();
    }
    let mut model = model();
    model.initialize(&[4], 7)?;
    save_weights(&model, folder.join("model.safetensors"))?;
    let of = |(name, param): (String, &Param)| {
        let bytes: String =
            param.values()?.iter().map(|value| format!("{:08x}", value.to_bits().swap_bytes())).collect();
        Ok(json!({ "name": name, "dtype": "float32", "shape": param.get()?.shape(), "bytes": bytes }))
    };
    let tensors = model.params().into_iter().map(of).collect::<Result<Vec<_>>>()?;
    let metadata = json!({
        "format": "layerwise", "layerwise.file": "weights", "layerwise.format": "1",
        "layerwise.version": env!("CARGO_PKG_VERSION"),
    });
    let expected = json!({ "metadata": metadata, "tensors": tensors });
    fs::write(folder.join("model.json"), expected.to_string()).unwrap();
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 82);
    Ok(())
}

#[test]
fn every_number_type_of_python_is_read() -> Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference/safetensors/dtypes.safetensors");
    let file = TensorFile::open(&path)?;
    let reference: Value = serde_json::from_str(include_str!("reference/safetensors_torch.json")).unwrap();
    let cases = reference["cases"].as_array().unwrap().iter().filter(|case| case["kind"] == "dtype");
    let mut count = 0;
    for case in cases {
        let (name, expected) = (case["name"].as_str().unwrap(), &case["values"]);
        let shape: Vec<usize> =
            expected["shape"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap() as usize).collect();
        let bits: Vec<i64> = expected["bits"].as_array().unwrap().iter().map(|n| n.as_i64().unwrap()).collect();
        let (wide, narrow) = (file.get::<f64>(name)?, file.get::<f32>(name)?);
        assert_eq!((wide.shape(), narrow.shape()), (&shape[..], &shape[..]), "{name}");
        for ((wide, narrow), bits) in wide.iter().zip(&narrow).zip(bits) {
            assert_eq!(wide.to_bits() as i64, bits, "{name}: {wide}");
            assert_eq!(narrow.to_bits(), (*wide as f32).to_bits(), "{name}: {narrow}");
        }
        count += 1;
    }
    assert_eq!((count, file.names().count(), file.metadata("made by")), (14, 14, Some("PyTorch")));
    Ok(())
}

fn model() -> Sequential {
    Sequential::new()
        .add(Dense::new(8).activation(Activation::Tanh))
        .add(BatchNormalization::new())
        .add(Residual::new(Dense::new(8)))
        .add(Dense::new(3))
}

#[test]
fn a_model_of_the_same_layers_predicts_the_same_bits_after_loading() -> Result<()> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    let x = ndarray::Array2::from_shape_fn((20, 4), |(i, j)| ((i * 7 + j * 3) % 11) as f32 / 5.0 - 1.0);
    let y = ndarray::Array2::from_shape_fn((20, 3), |(i, j)| ((i + j) % 3) as f32);
    let (mut saved, mut loaded) = (model(), model());
    Trainer::new(MeanSquaredError::new(), Adam::new(1e-2))
        .epochs(2)
        .progress(Progress::Silent)
        .fit(&mut saved, (&x, &y))?;
    loaded.initialize(&[4], 9)?;
    assert_ne!(saved.predict(&x)?, loaded.predict(&x)?);
    save_weights(&saved, &path)?;
    load_weights(&mut loaded, &path)?;
    assert_eq!(saved.predict(&x)?, loaded.predict(&x)?);
    let names: Vec<String> = saved.params().into_iter().map(|(name, _)| name).collect();
    assert_eq!(TensorFile::open(&path)?.names().collect::<Vec<_>>(), names);
    assert_eq!(names[2..4], ["1.gamma", "1.beta"]);
    Ok(())
}

#[test]
fn an_open_file_is_read_to_its_end_although_another_takes_its_place() -> Result<()> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.safetensors");
    let of = |value: f32| -> Result<()> {
        let mut tensors = Tensors::new();
        tensors.add::<f32>("a", &[50_000], vec![value; 50_000])?;
        tensors.write(&path)
    };
    of(1.0)?;
    let first = TensorFile::open(&path)?;
    of(2.0)?;
    let all = |file: &TensorFile| Ok::<_, Error>(file.get::<f32>("a")?.sum());
    assert_eq!((all(&first)?, all(&TensorFile::open(&path)?)?), (50_000.0, 100_000.0));
    Ok(())
}

#[test]
fn what_is_said_of_files_that_cannot_be_used() -> Result<()> {
    let bytes = |header: &str, data: usize| {
        let mut file = (header.len() as u64).to_le_bytes().to_vec();
        file.extend(header.as_bytes());
        file.extend(std::iter::repeat_n(0, data));
        file
    };
    let refusal = |bytes: Vec<u8>| match TensorFile::from_bytes(bytes, "x") {
        Ok(_) => "none".to_owned(),
        Err(error) => error.to_string(),
    };
    let one = |entry: &str| bytes(&format!("{{\"a\":{entry}}}"), 4);
    let a = r#""a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}"#;
    for (file, expected) in [
        (b"abc".to_vec(), "x: no safetensors file: 3 bytes are less than the 8 it begins with"),
        (9_u64.to_le_bytes().to_vec(), "x: no safetensors file, or cut short: a header of 9 bytes in 8 bytes"),
        (
            bytes("[]", 0),
            "x: the header is wrong: invalid type: sequence, expected an object with the tensors at line 1 column 0",
        ),
        (bytes("{", 0), "x: the header is wrong: EOF while parsing an object at line 1 column 1"),
        (bytes("{} x", 0), "x: the header is wrong: trailing characters at line 1 column 4"),
        (bytes("{}", 3), "x: the tensors have 0 bytes, the file has 3 behind its header"),
        (bytes(&format!("{{{a},{a}}}"), 4), "x: the header names \"a\" twice"),
        (
            one(r#"{"dtype":"F33","shape":[],"data_offsets":[0,4]}"#),
            "x: the header is wrong: \"a\" has the unknown dtype \"F33\" at line 1 column 19",
        ),
        (
            one(r#"{"dtype":"F32","shape":[]}"#),
            "x: the header is wrong: \"a\" has no \"data_offsets\" at line 1 column 31",
        ),
        (
            one(r#"{"dtype":"F32","shape":[2],"data_offsets":[0,4]}"#),
            "x: \"a\": F32 of shape [2] does not fill the bytes from 0 to 4",
        ),
        (
            one(r#"{"dtype":"F32","shape":[0,9223372036854775807,9223372036854775807],"data_offsets":[0,0]}"#),
            "x: \"a\": the shape [0, 9223372036854775807, 9223372036854775807] is too large",
        ),
        (
            one(r#"{"dtype":"U8","shape":[2],"data_offsets":[2,4]}"#),
            "x: \"a\": its bytes begin at 2, those before end at 0",
        ),
        (
            one(r#"{"dtype":"F32","shape":[4],"data_offsets":[4,0]}"#),
            "x: \"a\": F32 of shape [4] does not fill the bytes from 4 to 0",
        ),
        (
            bytes(r#"{"__metadata__":{"layerwise.format":"2","layerwise.version":"9.1.0"}}"#, 0),
            "x: format 2, written by layerwise 9.1.0: this one reads formats up to 1",
        ),
        (bytes(&format!("{{{a}}}"), 4), "none"),
    ] {
        assert_eq!(refusal(file), expected);
    }
    let file = TensorFile::from_bytes(one(r#"{"dtype":"U32","shape":[1,1],"data_offsets":[0,4]}"#), "x")?;
    for (outcome, expected) in [
        (file.get::<f32>("b").map(drop), "x: no tensor is called \"b\""),
        (file.u64s("a").map(drop), "x: \"a\": expected type U64, got U32"),
    ] {
        assert_eq!(outcome.unwrap_err().to_string(), expected);
    }
    let mut large = bytes(r#"{"a":{"dtype":"U32","shape":[1,1],"data_offsets":[0,4]}}"#, 4);
    let end = large.len();
    large[end - 4..].copy_from_slice(&((1 << 24) + 1_u32).to_le_bytes());
    let file = TensorFile::from_bytes(large, "x")?;
    assert_eq!(file.get::<f64>("a")?[[0, 0]], 16_777_217.0);
    let refused = file.get::<f32>("a").unwrap_err().to_string();
    assert_eq!(refused, "x: \"a\" at [0, 0]: expected a number that f32 holds, got 16777217");
    Ok(())
}

#[test]
fn what_is_said_of_tensors_that_cannot_be_written() -> Result<()> {
    let mut tensors = Tensors::new();
    tensors.add::<f32>("a", &[1], vec![1.0])?;
    for (outcome, expected) in [
        (tensors.add::<f32>("a", &[1], vec![1.0]), "the name of a tensor must be one that is not taken, got \"a\""),
        (tensors.add::<f64>("b", &[2, 2], vec![1.0]), "values of \"b\" of shape [2, 2]: expected length 4, got 1"),
        (
            tensors.add_u64s("__metadata__", vec![1]),
            "the name of a tensor must be one that is not taken, got \"__metadata__\"",
        ),
        (
            save_weights(&model(), "never"),
            "used before it was built: call `initialize` on the model, or `fit`, which builds it from the data",
        ),
    ] {
        assert_eq!(outcome.unwrap_err().to_string(), expected);
    }
    assert!(!Path::new("never").exists());
    Ok(())
}

/// Weights that take more room than a disk has left.
fn large() -> Result<Sequential> {
    let mut model = Sequential::new().add(Dense::new(300));
    model.initialize(&[300], 1)?;
    Ok(model)
}

/// A small file, and what it holds.
fn old_file(path: &Path) -> Result<Vec<u8>> {
    let mut tensors = Tensors::new();
    tensors.add::<f32>("a", &[2], vec![1.0, 2.0])?;
    tensors.write(path)?;
    Ok(fs::read(path).unwrap())
}

/// Runs a test of this file by itself in another process, started by a program with these arguments in front.
#[cfg(unix)]
fn run_alone(test: &str, target: &Path, before: &[&str]) -> std::io::Result<Output> {
    let this = std::env::current_exe()?;
    let mut command = Command::new(before[0]);
    command.args(&before[1..]).arg(this).args(["--exact", test, "--nocapture"]).env("LAYERWISE_TARGET", target).output()
}

/// In the other process: the write fails, and the error names the file.
fn fails_to_write(target: &Path) -> Result<()> {
    match save_weights(&large()?, target) {
        Err(Error::Io { path, source }) if path == target => {
            println!("refused: {source}");
            Ok(())
        }
        other => panic!("{other:?}"),
    }
}

#[cfg(unix)]
#[test]
fn a_full_disk_leaves_the_old_file() -> Result<()> {
    if let Some(target) = std::env::var_os("LAYERWISE_TARGET") {
        return fails_to_write(Path::new(&target));
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    let old = old_file(&path)?;
    // No file may grow beyond 8 blocks, and the signal that says so is ignored: as a full disk, the write fails.
    let limited = ["sh", "-c", "trap '' XFSZ; ulimit -f 8; exec \"$0\" \"$@\""];
    let output = run_alone("a_full_disk_leaves_the_old_file", &path, &limited).unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && told.contains("refused: "), "{told}");
    assert_eq!(fs::read(&path).unwrap(), old);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "a temporary file is left");
    // Without the limit the same write succeeds.
    save_weights(&large()?, &path)?;
    Ok(())
}

#[cfg(unix)]
#[test]
fn a_folder_that_is_read_only_leaves_the_old_file() -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    if let Some(target) = std::env::var_os("LAYERWISE_TARGET") {
        return fails_to_write(Path::new(&target));
    }
    let folder = tempfile::tempdir().unwrap();
    let allow = |mode: u32| fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
    let path = folder.path().join("weights.safetensors");
    let old = old_file(&path)?;
    allow(0o555);
    let test = "a_folder_that_is_read_only_leaves_the_old_file";
    if fs::write(folder.path().join("probe"), "").is_err() {
        fails_to_write(&path)?;
    } else {
        // The superuser may write anywhere: somebody else tries, where the system lets us start a program as such.
        let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
        match run_alone(test, &path, &nobody) {
            Ok(output) if output.status.success() => {
                assert!(String::from_utf8_lossy(&output.stdout).contains("refused: "), "{output:?}");
            }
            other => println!("not tried as another user: {other:?}"),
        }
    }
    allow(0o755);
    assert_eq!(fs::read(&path).unwrap(), old);
    Ok(())
}

#[test]
fn a_path_that_takes_no_file_is_an_error_that_names_it() -> Result<()> {
    let folder = tempfile::tempdir().unwrap();
    let model = large()?;
    old_file(&folder.path().join("file"))?;
    for target in ["none/weights", "file/weights", "..", "."] {
        let target = folder.path().join(target);
        let error = save_weights(&model, &target).unwrap_err();
        assert!(matches!(&error, Error::Io { path, .. } if *path == target), "{}: {error}", target.display());
    }
    fs::create_dir(folder.path().join("folder")).unwrap();
    for path in [folder.path().join("none"), folder.path().join("folder")] {
        let error = TensorFile::open(&path).map(drop).unwrap_err();
        assert!(error.to_string().starts_with(&path.display().to_string()), "{error}");
        assert!(path.ends_with("none") == matches!(error, Error::Io { .. }), "{error}");
    }
    let error = save_weights(&model, folder.path().join("folder")).unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error}");
    let mut left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["file", "folder"]);
    Ok(())
}
