//! Event files: byte for byte those of TensorBoard's own classes, and complete for a run.

#[path = "common/files.rs"]
mod files;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use files::{Folder, bytes};
use layerwise::data::datasets;
use layerwise::io::EventWriter;
use layerwise::prelude::*;
use layerwise::train::callbacks::TensorBoard;
use ndarray::{Array2, Array3, Array4, array};
use serde_json::{Value, json};

/// y = 2 x, with a setting and without weights.
struct Twice;

impl Layer for Twice {
    fn kind(&self) -> &str {
        "Twice"
    }

    fn config(&self) -> Value {
        json!({ "factor": 2 })
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>> {
        Ok(input.to_vec())
    }

    fn forward(&self, x: &Tensor, _: &mut Context) -> Result<Tensor> {
        Ok((x * 2.0).into_shared())
    }

    fn backward(&self, _: &Tensor, _: &Tensor, dy: &Tensor, _: bool, _: &mut Context) -> Result<Option<Tensor>> {
        Ok(Some((dy * 2.0).into_shared()))
    }
}

/// x_0 + x_1 + ...
struct Sum;

impl Merge for Sum {
    fn kind(&self) -> &str {
        "Sum"
    }

    fn output_shape(&self, inputs: &[Vec<usize>]) -> Result<Vec<usize>> {
        Ok(inputs[0].clone())
    }

    fn forward(&self, xs: &[Tensor], _: &mut Context) -> Result<Tensor> {
        Ok(xs.iter().skip(1).fold(xs[0].clone(), |sum, x| (sum + x).into_shared()))
    }

    fn backward(
        &self,
        _: &[Tensor],
        _: &Tensor,
        dy: &Tensor,
        _: &dyn Fn(usize) -> bool,
        dxs: &mut [Option<Tensor>],
        _: &mut Context,
    ) -> Result<()> {
        dxs.fill(Some(dy.clone()));
        Ok(())
    }
}

#[test]
fn the_bytes_are_those_that_tensorboard_writes() -> Result<()> {
    let folder = Folder::new("events-bytes");
    let path = folder.file("tfevents");
    let mut writer = EventWriter::create_file(&path, 1_700_000_000.25)?;
    writer.scalar("train/loss", 1, 0.7)?;
    writer.scalar("zero", 2, 0.0)?;
    writer.scalar("not a number", 1 << 40, f64::NAN)?;
    let weights: Vec<f64> = (0..1000).map(|i| f64::from((i * i) % 101) / 8.0 - 5.0).collect();
    writer.histogram("weights", 3, &weights)?;
    writer.histogram("all alike", 4, &[2.0_f32; 3])?;
    writer.histogram("around nothing", 5, &[0.0, -0.5, 0.5])?;
    writer.text("notes/text_summary", 6, "Some **bold** text, with an ä.")?;

    let body = Sequential::new().add(Twice).add(Twice);
    let chain = Sequential::new().add(Twice).add(Residual::new(body).projection(Twice));
    writer.graph(&chain, &[vec![4]])?;
    let mut graph = Graph::new();
    let (left, right) = (graph.input(), graph.input());
    let tower = graph.share(Twice);
    graph.name("tower");
    let (a, b) = (graph.apply(tower, left), graph.apply(tower, right));
    let sum = graph.merge(Sum, &[a, b]);
    writer.graph(&graph.outputs(&[sum]), &[])?;
    writer.flush()?;

    let reference: Value = serde_json::from_str(include_str!("reference/tensorboard_events.json")).unwrap();
    let expected = records(&bytes(reference["file"].as_str().unwrap()));
    let got = records(&std::fs::read(&path).unwrap());
    for (number, (got, expected)) in got.iter().zip(&expected).enumerate() {
        assert_eq!(got, expected, "event {number}");
    }
    assert_eq!((got.len(), expected.len()), (10, 10));
    assert_eq!(std::fs::read(&path).unwrap(), bytes(reference["file"].as_str().unwrap()));
    Ok(())
}

/// The events of a file, each with the eight bytes of its checksums.
fn records(mut file: &[u8]) -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    while !file.is_empty() {
        let length = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
        let (record, rest) = file.split_at(8 + 4 + length + 4);
        records.push(record[8..].to_vec());
        file = rest;
    }
    records
}

/// A field of a message: what an event is made of, read by the format's rules.
#[derive(Debug)]
enum Field<'a> {
    Int(u64),
    Double(f64),
    Float(f32),
    Bytes(&'a [u8]),
}

impl<'a> Field<'a> {
    fn bytes(&self) -> &'a [u8] {
        match self {
            Field::Bytes(bytes) => bytes,
            other => panic!("{other:?} is no message"),
        }
    }
}

fn fields(mut bytes: &[u8]) -> Vec<(u64, Field<'_>)> {
    fn varint(bytes: &mut &[u8]) -> u64 {
        let mut value = 0;
        for shift in (0..).step_by(7) {
            let byte = bytes[0];
            *bytes = &bytes[1..];
            value |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                break;
            }
        }
        value
    }
    fn take<'a>(bytes: &mut &'a [u8], length: usize) -> &'a [u8] {
        let (taken, rest) = bytes.split_at(length);
        *bytes = rest;
        taken
    }
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let field = match key & 7 {
            0 => Field::Int(varint(&mut bytes)),
            1 => Field::Double(f64::from_le_bytes(take(&mut bytes, 8).try_into().unwrap())),
            2 => {
                let length = varint(&mut bytes) as usize;
                Field::Bytes(take(&mut bytes, length))
            }
            5 => Field::Float(f32::from_le_bytes(take(&mut bytes, 4).try_into().unwrap())),
            other => panic!("fields are not written as {other}"),
        };
        fields.push((key >> 3, field));
    }
    fields
}

/// The field of this number.
fn field<'f, 'a>(fields: &'f [(u64, Field<'a>)], number: u64) -> Option<&'f Field<'a>> {
    fields.iter().find(|(has, _)| *has == number).map(|(_, field)| field)
}

/// Of a folder: the numbers of each tag with their steps, and how often each other tag comes with which steps.
#[derive(Default, Debug)]
struct Found {
    scalars: BTreeMap<String, Vec<(u64, f32)>>,
    others: BTreeMap<String, Vec<u64>>,
    graphs: usize,
    files: usize,
}

fn event_files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn read(folder: &Path) -> Found {
    let mut found = Found::default();
    for path in event_files(folder) {
        found.files += 1;
        for (number, record) in records(&std::fs::read(path).unwrap()).iter().enumerate() {
            let event = fields(&record[4..record.len() - 4]);
            let Some(Field::Double(time)) = field(&event, 1) else { panic!("an event has a time") };
            assert!(*time > 1.7e9, "{time}");
            let step = field(&event, 2).map_or(0, |step| match step {
                Field::Int(step) => *step,
                other => panic!("{other:?} is no step"),
            });
            if number == 0 {
                assert_eq!(field(&event, 3).unwrap().bytes(), b"brain.Event:2");
            }
            found.graphs += usize::from(field(&event, 4).is_some());
            let Some(summary) = field(&event, 5) else { continue };
            for (_, value) in fields(summary.bytes()) {
                let value = fields(value.bytes());
                let tag = String::from_utf8(field(&value, 1).unwrap().bytes().to_vec()).unwrap();
                match field(&value, 2) {
                    Some(Field::Float(number)) => found.scalars.entry(tag).or_default().push((step, *number)),
                    _ => found.others.entry(tag).or_default().push(step),
                }
            }
        }
    }
    found
}

fn network() -> Sequential {
    Sequential::new().add(Dense::new(8).activation(Activation::Relu)).add(Dense::new(3))
}

fn trainer(board: TensorBoard) -> Trainer {
    Trainer::new(SoftmaxCrossEntropy::new(), Adam::new(0.01))
        .metric(Accuracy::new())
        .epochs(4)
        .batch_size(30)
        .seed(1)
        .progress(Progress::Silent)
        .callback(board)
}

/// One number of each epoch, as an event file holds it.
fn curve(history: &History, name: &str) -> Vec<(u64, f32)> {
    let epochs = history.epochs().iter();
    epochs.map(|epoch| (epoch.number as u64, epoch.get(name).unwrap() as f32)).collect()
}

/// Files for `tests/reference/read_events.py`, read back here as well.
#[test]
fn a_run_is_written_under_the_names_of_keras() -> Result<()> {
    let folder = Folder::new("events");
    let iris = datasets::iris();
    let mut model = network();
    let board = TensorBoard::new(folder.file("run")).histograms(2).update_every(3);
    let mut trainer = trainer(board).validation_split(ValidationSplit::Stratified(0.2));
    let history = trainer.fit(&mut model, (&iris.features, &iris.labels))?;

    let train = read(&folder.file("run/train"));
    let tags = ["batch_learning_rate", "batch_loss", "epoch_accuracy", "epoch_learning_rate", "epoch_loss"];
    assert_eq!(train.scalars.keys().collect::<Vec<_>>(), tags);
    assert_eq!(train.scalars["epoch_loss"], curve(&history, "loss"));
    assert_eq!(train.scalars["epoch_accuracy"], curve(&history, "accuracy"));
    assert_eq!(train.scalars["epoch_learning_rate"], (1..=4).map(|epoch| (epoch, 0.01)).collect::<Vec<_>>());
    // 120 samples in batches of 30: 16 steps.
    let steps: Vec<_> = train.scalars["batch_loss"].iter().map(|&(step, _)| step).collect();
    assert_eq!(steps, [3, 6, 9, 12, 15]);
    assert_eq!((train.graphs, train.files), (1, 1));
    for weight in ["0/weight", "0/bias", "1/weight", "1/bias"] {
        assert_eq!(train.others[weight], [2, 4], "{weight}");
    }
    let validation = read(&folder.file("run/validation"));
    assert_eq!(validation.scalars.keys().collect::<Vec<_>>(), ["epoch_accuracy", "epoch_loss"]);
    assert_eq!(validation.scalars["epoch_loss"], curve(&history, "val_loss"));

    let written = write_one_of_each(&folder)?;
    let scalars = |found: &Found| -> Value {
        let numbers = |(step, value): &(u64, f32)| json!([step, f64::from(*value)]);
        let of = |(tag, events): (&String, &Vec<_>)| (tag.clone(), events.iter().map(numbers).collect());
        Value::Object(found.scalars.iter().map(of).collect())
    };
    let histogram = |steps: &[u64], values: f64| -> Value {
        steps.iter().map(|step| json!([step, { "values": values, "least": null, "most": null }])).collect()
    };
    assert_eq!(train.others["model"], [0]);
    let in_train = json!({
        "scalars": scalars(&train),
        "histograms": {
            "0/weight": histogram(&[2, 4], 32.0),
            "0/bias": histogram(&[2, 4], 8.0),
            "1/weight": histogram(&[2, 4], 24.0),
            "1/bias": histogram(&[2, 4], 3.0),
        },
        "graphs": { "__run_graph__": [[0, [
            ["input", "Input", []],
            ["0_Dense", "Dense", ["input"]],
            ["1_Dense", "Dense", ["0_Dense"]],
        ]]] },
        "text": { "model": [[0, null]] },
    });
    let expected = json!({
        "run/train": in_train,
        "run/validation": { "scalars": scalars(&validation) },
        "one_of_each": written,
    });
    std::fs::write(folder.file("expected.json"), expected.to_string()).unwrap();
    Ok(())
}

/// What the writer can do beside a run, and what a reader should find.
fn write_one_of_each(folder: &Folder) -> Result<Value> {
    let mut writer = EventWriter::create(folder.file("one_of_each"))?;
    let name = writer.path().file_name().unwrap().to_str().unwrap().to_owned();
    assert!(name.starts_with("events.out.tfevents.1") && name.split('.').count() == 7, "{name}");
    writer.scalar("a/b", 7, -2.5)?;
    let grey = array![[0.0_f32, 1.0, 0.5], [-3.0, 7.0, 0.2]];
    writer.image("grey", 1, &grey)?;
    let colours = Array3::from_shape_fn((2, 2, 3), |(i, j, k)| if (i + j) % 3 == k { 1.0_f64 } else { 0.0 });
    writer.image("colours", 2, &colours)?;
    let images = Array4::<f32>::from_elem((2, 5, 4, 4), 0.25);
    writer.image("with alpha", 3, &images.index_axis(ndarray::Axis(0), 1))?;
    writer.text("notes", 4, "# A heading")?;
    writer.histogram("spread", 5, &[-1.0_f32, 0.0, 0.25, 3.0])?;
    writer.flush()?;
    let image = |step, [width, height]: [usize; 2], mode: &str, pixels: Vec<u8>| json!([[step, { "width": width, "height": height, "pixels": [mode, pixels] }]]);
    Ok(json!({
        "scalars": { "a/b": [[7, -2.5]] },
        "images": {
            "grey": image(1, [3, 2], "L", vec![0, 255, 128, 0, 255, 51]),
            "colours": image(2, [2, 2], "RGB", vec![255, 0, 0, 0, 255, 0, 0, 255, 0, 0, 0, 255]),
            "with alpha": image(3, [4, 5], "RGBA", vec![64; 80]),
        },
        "text": { "notes": [[4, "# A heading"]] },
        "histograms": { "spread": [[5, { "values": 4.0, "least": -1.0, "most": 3.0 }]] },
    }))
}

#[test]
fn another_run_of_the_trainer_goes_on_in_a_file_of_its_own() -> Result<()> {
    let folder = Folder::new("events-again");
    let iris = datasets::iris();
    let mut model = network();
    let mut trainer = trainer(TensorBoard::new(folder.path()).update_every(1)).epochs(1);
    trainer.fit(&mut model, (&iris.features, &iris.labels))?;
    trainer.fit(&mut model, (&iris.features, &iris.labels))?;
    let train = read(&folder.file("train"));
    let steps: Vec<_> = train.scalars["batch_loss"].iter().map(|&(step, _)| step).collect();
    assert_eq!((train.files, steps), (2, (1..=10).collect()));
    assert!(!folder.file("validation").exists());
    Ok(())
}

/// Looks at the files in the middle of a run, as they would be if it were killed there.
struct Look {
    folder: PathBuf,
    seen: std::sync::mpsc::Sender<usize>,
}

impl Callback for Look {
    fn on_epoch_end(&mut self, _: &mut Event<'_>) -> Result<()> {
        let epochs = read(&self.folder).scalars["epoch_loss"].len();
        self.seen.send(epochs).map_err(|error| Error::custom(error.to_string()))
    }
}

#[test]
fn what_an_epoch_gave_is_in_the_file_when_the_epoch_ends() -> Result<()> {
    let folder = Folder::new("events-flushed");
    let iris = datasets::iris();
    let (seen, epochs) = std::sync::mpsc::channel();
    let look = Look { folder: folder.file("train"), seen };
    let mut trainer = trainer(TensorBoard::new(folder.path())).callback(look);
    trainer.fit(&mut network(), (&iris.features, &iris.labels))?;
    assert_eq!(epochs.try_iter().collect::<Vec<_>>(), [1, 2, 3, 4]);
    Ok(())
}

#[test]
fn what_cannot_be_written_is_said() -> Result<()> {
    let folder = Folder::new("events-errors");
    let path = folder.file("tfevents");
    let mut writer = EventWriter::create_file(&path, 1.0)?;
    let message = |result: Result<()>| result.unwrap_err().to_string();
    assert!(message(EventWriter::create_file(&path, 1.0).map(drop)).starts_with(&format!("{}: ", path.display())));
    let under_a_file = path.join("runs");
    let error = message(EventWriter::create(&under_a_file).map(drop));
    assert!(error.starts_with(&format!("{}: ", under_a_file.display())), "{error}");

    assert_eq!(message(writer.histogram::<f32>("w", 1, &[])), "histogram \"w\" is empty");
    let infinite = message(writer.histogram("w", 1, &[0.0, f32::INFINITY]));
    assert_eq!(infinite, "value of histogram \"w\" at [1]: expected a finite number, got inf");
    let wide = message(writer.histogram("w", 1, &[-f64::MAX, f64::MAX]));
    assert!(wide.starts_with("spread of histogram \"w\" must be finite, got values from -1.79"), "{wide}");
    let flat = message(writer.image("x", 1, &array![0.5_f32]));
    assert!(flat.starts_with("image \"x\": expected (height, width) or (height, width, channels)"), "{flat}");
    assert!(writer.image("x", 1, &Array3::<f32>::zeros((2, 2, 5))).is_err());
    assert!(writer.image("x", 1, &Array2::<f32>::zeros((0, 2))).is_err());
    let nan = message(writer.image("x", 1, &array![[0.5, f32::NAN]]));
    assert_eq!(nan, "value of image \"x\" at [0, 1]: expected a number from 0 to 1, got NaN");

    let iris = datasets::iris();
    let data = (&iris.features, &iris.labels);
    let error = trainer(TensorBoard::new(&under_a_file)).fit(&mut network(), data).unwrap_err().to_string();
    assert!(error.starts_with(&format!("{}: ", under_a_file.join("train").display())), "{error}");
    let error = trainer(TensorBoard::new(folder.path()).histograms(0)).fit(&mut network(), data).unwrap_err();
    assert_eq!(error.to_string(), "histograms of TensorBoard must be at least 1, got 0");
    Ok(())
}
