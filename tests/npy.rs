//! `.npy` and `.npz` files against those of NumPy, in both directions.

#[path = "common/cases.rs"]
mod cases;
#[path = "common/files.rs"]
mod files;

use std::fmt::Debug;
use std::str::FromStr;

use cases::{cases, counts, numbers};
use files::{Folder, bytes};
use layerwise::io::{self, NpyElement, Npz, NpzWriter};
use layerwise::{Error, Result};
use ndarray::{Array0, Array1, Array2, Array3, ArrayD, Axis, IxDyn, array, s};
use serde_json::{Value, json};

const CASES: &str = include_str!("reference/npy_numpy.json");

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("{value} has no {name}"))
}

/// What an array should be, in its own type. NaN is as good as NaN, and -0 is not 0: the texts are compared.
fn elements<T: FromStr<Err: Debug> + Debug>(described: &Value) -> Vec<String> {
    let texts = described["elements"].as_array().expect("there are elements");
    texts.iter().map(|text| format!("{:?}", text.as_str().unwrap().parse::<T>().unwrap())).collect()
}

#[track_caller]
fn assert_holds<T: FromStr<Err: Debug> + Debug + Clone>(name: &str, array: &ArrayD<T>, described: &Value) {
    assert_eq!(array.shape(), numbers(&described["shape"]), "{name}");
    assert!(array.is_standard_layout(), "{name}");
    let got: Vec<_> = array.iter().map(|value| format!("{value:?}")).collect();
    assert_eq!(got, elements::<T>(described), "{name}");
}

/// Calls a generic function with the type of an array.
macro_rules! in_its_type {
    ($described:expr, $call:ident ( $($argument:expr),* )) => {
        match text($described, "type") {
            "f2" | "f4" => $call::<f32>($($argument),*),
            "f8" => $call::<f64>($($argument),*),
            "i1" => $call::<i8>($($argument),*),
            "i2" => $call::<i16>($($argument),*),
            "i4" => $call::<i32>($($argument),*),
            "i8" => $call::<i64>($($argument),*),
            "u1" => $call::<u8>($($argument),*),
            "u2" => $call::<u16>($($argument),*),
            "u4" => $call::<u32>($($argument),*),
            "u8" => $call::<u64>($($argument),*),
            "b1" => $call::<bool>($($argument),*),
            other => panic!("no type {other}"),
        }
    };
}

/// Reads a file of NumPy, and writes it again.
fn check_npy<T: NpyElement + FromStr<Err: Debug> + Debug>(case: &Value, folder: &Folder) -> Result<()> {
    let name = text(case, "name");
    let file = bytes(text(case, "file"));
    let path = folder.file("array.npy");
    std::fs::write(&path, &file).unwrap();
    let array = io::read_npy::<T>(&path)?.into_owned();
    assert_holds(name, &array, case);
    assert_holds(name, &io::npy_from_bytes::<T>(&file, name)?.into_owned(), case);
    if case["ours"] == true {
        io::write_npy(&path, &array)?;
        assert_eq!(std::fs::read(&path).unwrap(), file, "{name}: bytes");
    }
    Ok(())
}

#[test]
fn arrays_of_numpy_are_read_and_written_byte_for_byte() -> Result<()> {
    let cases = cases(CASES);
    let counted = counts(&cases);
    assert_eq!((counted["npy"], counted["npz"], counted["refused"]), (66, 3, 6));
    let folder = Folder::new("npy-read");
    let (mut ours, mut wide) = (0, 0);
    for case in cases.iter().filter(|case| case["kind"] == "npy") {
        in_its_type!(case, check_npy(case, &folder))?;
        ours += usize::from(case["ours"] == true);
        // The same in f64, which holds the elements of most types.
        let (name, file) = (text(case, "name"), bytes(text(case, "file")));
        match io::npy_from_bytes::<f64>(&file, name) {
            Ok(array) => {
                assert_eq!(case["exact"], true, "{name}");
                let got: Vec<_> = array.iter().map(|value| format!("{value:?}")).collect();
                let number = |text: &str| text.replace("true", "1").replace("false", "0");
                let expected = case["elements"].as_array().unwrap().iter();
                let expected =
                    expected.map(|text| format!("{:?}", number(text.as_str().unwrap()).parse::<f64>().unwrap()));
                if text(case, "type") == "f8" || !name.contains("specials") {
                    assert_eq!(got, expected.collect::<Vec<_>>(), "{name}");
                }
                wide += 1;
            }
            Err(error) => {
                assert_eq!(case["exact"], false, "{name}: {error}");
                assert!(matches!(error.root(), Error::Value { .. }), "{name}: {error}");
            }
        }
    }
    assert!(ours > 15 && wide > 50, "{ours} written, {wide} read in f64");
    Ok(())
}

#[test]
fn archives_of_numpy_are_read_by_name() -> Result<()> {
    fn check<T: NpyElement + FromStr<Err: Debug> + Debug>(npz: &Npz, name: &str, described: &Value) -> Result<()> {
        assert_holds(name, &npz.get::<T>(name)?.into_owned(), described);
        Ok(())
    }
    let folder = Folder::new("npz-read");
    for case in cases(CASES).iter().filter(|case| case["kind"] == "npz") {
        let path = folder.file("arrays.npz");
        std::fs::write(&path, bytes(text(case, "file"))).unwrap();
        let npz = Npz::open(&path)?;
        let arrays = case["arrays"].as_object().unwrap();
        assert_eq!(arrays.len(), 5);
        let names = npz.names().collect::<Vec<_>>();
        assert_eq!(names, ["x", "labels", "folder/größe", "none", "long"], "{}", text(case, "name"));
        // In another order than that of the file, and twice.
        for (name, described) in arrays.iter().rev().chain(arrays) {
            in_its_type!(described, check(&npz, name, described))?;
        }
        let error = npz.get::<f32>("y").unwrap_err().to_string();
        let names = "\"x\", \"labels\", \"folder/größe\", \"none\", \"long\"";
        assert_eq!(error, format!("{}: no array \"y\"; there are {names}", path.display()));
    }
    Ok(())
}

#[test]
fn what_is_no_plain_number_is_refused() {
    for case in cases(CASES).iter().filter(|case| case["kind"] == "refused") {
        let error = io::npy_from_bytes::<f64>(&bytes(text(case, "file")), "x.npy").unwrap_err().to_string();
        let expected = match text(case, "name") {
            "fields" => "has fields of several types: only arrays of plain numbers are read",
            _ => {
                "is none that is read, which are f2, f4, f8, i1, i2, i4, i8, u1, u2, u4, u8 and b1 with < or > before it"
            }
        };
        assert!(error.starts_with("x.npy: ") && error.ends_with(expected), "{error}");
    }
}

/// Files for `tests/reference/read_npy.py`, read back here as well.
#[test]
fn arrays_of_any_layout_are_written_row_major() -> Result<()> {
    let folder = Folder::new("npy");
    let x = Array3::from_shape_fn((4, 3, 5), |(i, j, k)| (100 * i + 10 * j + k) as f32 / 8.0);
    let labels: Array1<i64> = array![3, -1, 1 << 60];
    let scalar = Array0::from_elem((), 2.5_f64);
    let nothing = Array2::<u16>::zeros((0, 4));
    let flags = array![[true, false], [false, true]];
    let mut expected = serde_json::Map::new();

    fn describe<T: NpyElement + ToString>(array: &ArrayD<T>, kind: &str) -> Value {
        json!({ "type": kind, "shape": array.shape(), "elements": array.iter().map(T::to_string).collect::<Vec<_>>() })
    }
    let turned = x.clone().permuted_axes([2, 0, 1]);
    let part = x.slice(s![..;2, 1.., ..;-1]);
    let column = x.index_axis(Axis(2), 3);
    macro_rules! npy {
        ($($file:literal $kind:literal $type:ty: $array:expr;)*) => {
            $(
                io::write_npy(folder.file($file), &$array)?;
                let owned = $array.to_owned().into_dyn();
                assert_eq!(io::read_npy::<$type>(folder.file($file))?.into_owned(), owned);
                expected.insert($file.into(), describe(&owned, $kind));
            )*
        };
    }
    npy! {
        "x.npy" "<f4" f32: x;
        "turned.npy" "<f4" f32: turned;
        "part.npy" "<f4" f32: part;
        "column.npy" "<f4" f32: column;
        "labels.npy" "<i8" i64: labels;
        "scalar.npy" "<f8" f64: scalar;
        "nothing.npy" "<u2" u16: nothing;
    }
    io::write_npy(folder.file("flags.npy"), &flags)?;
    let truths = json!({ "type": "|b1", "shape": [2, 2], "elements": [1, 0, 0, 1] });
    expected.insert("flags.npy".into(), truths.clone());

    let writer =
        NpzWriter::new().add("turned", &turned).add("größe", &scalar).add("a/b", &nothing).add("flags", &flags);
    writer.write(folder.file("stored.npz"))?;
    writer.compressed().write(folder.file("deflated.npz"))?;
    NpzWriter::new().write(folder.file("empty.npz"))?;
    for file in ["stored.npz", "deflated.npz"] {
        let npz = Npz::open(folder.file(file))?;
        assert_eq!(npz.names().collect::<Vec<_>>(), ["turned", "größe", "a/b", "flags"]);
        assert_eq!(npz.get::<f32>("turned")?.into_owned(), turned.to_owned().into_dyn());
        assert_eq!(npz.get::<f64>("größe")?.into_owned(), scalar.to_owned().into_dyn());
        assert_eq!(npz.get::<u16>("a/b")?.shape(), [0, 4]);
        assert_eq!(npz.get::<bool>("flags")?.into_owned(), flags.to_owned().into_dyn());
        expected.insert(
            file.into(),
            json!({
                "turned": describe(&turned.to_owned().into_dyn(), "<f4"),
                "größe": describe(&scalar.to_owned().into_dyn(), "<f8"),
                "a/b": describe(&nothing.to_owned().into_dyn(), "<u2"),
                "flags": truths,
            }),
        );
    }
    assert_eq!(Npz::open(folder.file("empty.npz"))?.names().count(), 0);
    // NumPy knows an archive of nothing by its first bytes.
    assert!(std::fs::read(folder.file("empty.npz")).unwrap().starts_with(b"PK\x05\x06"));
    expected.insert("empty.npz".into(), json!({}));
    std::fs::write(folder.file("expected.json"), Value::Object(expected).to_string()).unwrap();
    Ok(())
}

/// A file of one array, with a header of one's own.
fn npy(header: &str, data: &[u8]) -> Vec<u8> {
    let length = (header.len() as u16).to_le_bytes();
    [&b"\x93NUMPY\x01\x00"[..], &length[..], header.as_bytes(), data].concat()
}

fn header(descr: &str, shape: &str) -> String {
    format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n")
}

#[test]
fn what_is_wrong_with_a_file_is_said() {
    let whole = npy(&header("<f4", "(2,)"), &[0; 8]);
    let mut version = whole.clone();
    version[6] = 9;
    let mut long = b"\x93NUMPY\x02\x00".to_vec();
    long.extend(4_000_000_000_u32.to_le_bytes());
    let promise = "its header promises '<f4' of shape";
    let cases: Vec<(Vec<u8>, String)> = vec![
        (vec![], "it ends within the header of an npy file".into()),
        (whole[..9].to_vec(), "it ends within the header of an npy file".into()),
        (whole[..20].to_vec(), "its header claims 58 bytes, but 10 follow".into()),
        (b"PK\x03\x04....".to_vec(), "not an npy file: it begins with [50, 4b, 03, 04, 2e, 2e]".into()),
        (version, "version 9.0 of npy files is none of 1.0, 2.0 and 3.0".into()),
        (long, "its header claims 4000000000 bytes, but 0 follow".into()),
        (npy(&" ".repeat(20_000), &[]), "its header claims 20000 bytes, and at most 10000 are read".into()),
        (npy("{'descr': 3}", &[]), "its header, \"{'descr': 3}\", needs a string before \"3}\"".into()),
        (whole[..whole.len() - 1].to_vec(), format!("{promise} [2], which takes 8 bytes, but 7 follow")),
        ([&whole[..], &[0]].concat(), format!("{promise} [2], which takes 8 bytes, but 9 follow")),
        (
            npy(&header("<f4", "(1000000000, 1000000000)"), &[0; 8]),
            format!("{promise} [1000000000, 1000000000], which takes 4000000000000000000 bytes, but 8 follow"),
        ),
        (
            npy(&header("<f4", "(10000000000, 10000000000)"), &[0; 8]),
            format!("{promise} [10000000000, 10000000000], more than a machine can hold"),
        ),
        (
            npy(&header("<f4", "(0, 10000000000, 10000000000)"), &[]),
            format!("{promise} [0, 10000000000, 10000000000], more than a machine can hold"),
        ),
    ];
    for (file, expected) in cases {
        let error = io::npy_from_bytes::<f32>(&file, "x.npy").unwrap_err();
        assert_eq!(error.to_string(), format!("x.npy: {expected}"));
    }
}

#[test]
fn an_element_without_a_place_in_the_type_is_named() {
    let column_major = header("<i4", "(2, 2)").replace("False", "True");
    let numbers: Vec<u8> = [1_i32, -2, (1 << 24) + 1, 4].iter().flat_map(|n| n.to_le_bytes()).collect();
    let message = |result: Result<()>| result.unwrap_err().to_string();
    let f32s = |file: &[u8]| message(io::npy_from_bytes::<f32>(file, "x.npy").map(drop));
    let held = "expected a number that f32 holds, got 16777217";
    assert_eq!(f32s(&npy(&header("<i4", "(2, 2)"), &numbers)), format!("x.npy: element at [1, 0]: {held}"));
    assert_eq!(f32s(&npy(&column_major, &numbers)), format!("x.npy: element at [0, 1]: {held}"));
    let u8s = message(io::npy_from_bytes::<u8>(&npy(&column_major, &numbers), "x.npy").map(drop));
    assert_eq!(u8s, "x.npy: element at [1, 0]: expected a number that u8 holds, got -2");
    let large = f32s(&npy(&header(">f8", "(1,)"), &1e300_f64.to_be_bytes()));
    assert_eq!(large, "x.npy: element at [0]: expected a number that f32 holds, got 1e300");
    let truth = f32s(&npy(&header("|b1", "(2,)"), &[1, 2]));
    assert_eq!(truth, "x.npy: element at [1]: expected a number that f32 holds, got the byte 2 of a boolean");
}

#[test]
fn a_damaged_archive_is_refused() -> Result<()> {
    let folder = Folder::new("npz-damaged");
    let path = folder.file("a.npz");
    let message = |file: &[u8]| match Npz::from_bytes(file.to_vec(), "a.npz").and_then(|npz| npz.get::<f32>("x")) {
        Ok(_) => "no error".to_owned(),
        Err(error) => error.to_string(),
    };
    let x = Array1::from_elem(1000, 1.5_f32);
    NpzWriter::new().add("x", &x).write(&path)?;
    let stored = std::fs::read(&path).unwrap();
    assert_eq!(message(&stored), "no error");
    // In the middle of the elements.
    let mut damaged = stored.clone();
    damaged[2000] ^= 1;
    assert!(message(&damaged).starts_with("a.npz: array \"x\": damaged: its CRC-32 is "), "{}", message(&damaged));
    let cut = message(&stored[..stored.len() - 1]);
    assert_eq!(cut, "a.npz: not an npz file: no directory of a zip archive at its end");
    let longer = message(&[&stored[..2000], &[0], &stored[2000..]].concat());
    assert!(longer.starts_with("a.npz: no end of a directory at byte "), "{longer}");

    NpzWriter::new().add("x", &x).compressed().write(&path)?;
    let deflated = std::fs::read(&path).unwrap();
    let promised = (4128_u64).to_le_bytes();
    let places: Vec<_> = (0..deflated.len() - 8).filter(|&at| deflated[at..at + 8] == promised).collect();
    assert_eq!(places.len(), 2, "the size stands before the entry and in the directory");
    // What only the directory promises is held against what is there before memory is taken for it.
    let mut bomb = deflated.clone();
    bomb[places[1]..places[1] + 8].copy_from_slice(&(1_u64 << 60).to_le_bytes());
    let message_of_bomb = message(&bomb);
    assert!(message_of_bomb.contains("it should have 1152921504606846976 bytes, more than deflate makes of"));
    let mut longer = deflated.clone();
    longer[places[1]..places[1] + 8].copy_from_slice(&5000_u64.to_le_bytes());
    let message_of_longer = message(&longer);
    assert!(message_of_longer.ends_with("which takes 4000 bytes, but 4872 follow"), "{message_of_longer}");
    Ok(())
}

#[test]
fn two_arrays_of_one_name_are_neither_written_nor_read() -> Result<()> {
    let folder = Folder::new("npz-twice");
    let path = folder.file("a.npz");
    let (x, y) = (array![1.0_f32], array![2.0_f32]);
    let error = NpzWriter::new().add("x", &x).add("x", &y).write(&path).unwrap_err();
    assert_eq!(error.to_string(), "the name of an array must be another in each of a file, got \"x\" twice");
    assert!(NpzWriter::new().add("", &x).write(&path).is_err());
    assert!(!path.exists());
    NpzWriter::new().add("x", &x).add("y", &y).write(&path)?;
    let mut file = std::fs::read(&path).unwrap();
    for at in 0..file.len() - 5 {
        if &file[at..at + 5] == b"y.npy" {
            file[at] = b'x';
        }
    }
    let error = Npz::from_bytes(file, "a.npz").map(drop).unwrap_err();
    assert_eq!(error.to_string(), "a.npz: two entries are called \"x.npy\"");
    Ok(())
}

#[test]
fn a_file_that_cannot_be_written_is_named_and_the_old_one_stays() -> Result<()> {
    let folder = Folder::new("npy-failed");
    let path = folder.file("a.npy");
    io::write_npy(&path, &array![1.0_f32, 2.0])?;
    let axes = ArrayD::<f32>::zeros(IxDyn(&[1; 65]));
    let error = io::write_npy(&path, &axes).unwrap_err();
    assert_eq!(error.to_string(), "the number of axes of an npy array must be at most 64, got 65");
    assert_eq!(io::read_npy::<f32>(&path)?.len(), 2);
    let nowhere = path.join("b.npy");
    let error = io::write_npy(&nowhere, &array![1.0_f32]).unwrap_err();
    assert!(error.to_string().starts_with(&format!("{}: ", nowhere.display())), "{error}");
    assert!(matches!(io::read_npy::<f32>(&nowhere), Err(Error::Io { .. })));
    Ok(())
}
