//! Event files, which TensorBoard shows.

mod graph;
mod histogram;
mod png;
mod proto;
mod record;

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use ndarray::{ArrayBase, Data, Dimension};

#[cfg(feature = "plot")]
pub(crate) use self::histogram::Histogram as Spread;
use self::histogram::Histogram;
#[cfg(feature = "plot")]
pub(crate) use self::png::encode as encode_png;
use self::proto::Message;
use crate::error::{Error, Result};
use crate::layer::Layer;
use crate::scalar::Scalar;
use crate::tensor::unravel;

/// No event may have more bytes, and a PNG of random pixels is as large as they.
const MOST_LEVELS: usize = 1 << 30;

/// Writes an event file, which [TensorBoard](https://www.tensorflow.org/tensorboard) shows while it grows: numbers over
/// steps, histograms, images, texts, and the graph of a model.
///
/// Each file is a folder's next one; TensorBoard shows a folder as one run, under the folder's name, and a slash in a
/// tag as a group. Events go through a buffer: [`flush`](Self::flush) hands them to the system, and so does dropping
/// the writer. What was flushed outlives a process that is killed.
///
/// ```
/// use layerwise::io::EventWriter;
///
/// let folder = std::env::temp_dir().join(format!("layerwise-events-{}", std::process::id()));
/// let mut writer = EventWriter::create(folder.join("first"))?;
/// for step in 0..10 {
///     writer.scalar("loss", step, 1.0 / (step + 1) as f64)?;
/// }
/// writer.text("notes", 0, "The **first** run.")?;
/// writer.flush()?;
/// # std::fs::remove_dir_all(folder).unwrap();
/// # Ok::<(), layerwise::Error>(())
/// ```
///
/// `tensorboard --logdir runs` shows every run in the folder `runs`. [`TensorBoard`](crate::train::callbacks::TensorBoard)
/// writes a training run by itself.
#[derive(Debug)]
pub struct EventWriter {
    path: PathBuf,
    file: BufWriter<File>,
    wall_time: Option<f64>,
}

impl EventWriter {
    /// A new file in a folder, which is made if it is not there. Its name has the time, the machine, the process and a
    /// number in it, as TensorBoard expects.
    ///
    /// # Errors
    /// [`Error::Io`] if the folder or the file cannot be made or written.
    pub fn create(folder: impl AsRef<Path>) -> Result<Self> {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let (folder, number) = (folder.as_ref(), NEXT.fetch_add(1, Ordering::Relaxed));
        fs::create_dir_all(folder).map_err(|source| Error::Io { path: folder.to_owned(), source })?;
        let (seconds, process) = (seconds() as u64, process::id());
        let name = format!("events.out.tfevents.{seconds:010}.{}.{process}.{number}", machine());
        Self::open(folder.join(name), None)
    }

    /// A new file of this path whose events are all of one time, in seconds since 1970: the same events give the same
    /// bytes. TensorBoard knows event files by `tfevents` in their names.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be written, or is there already.
    pub fn create_file(path: impl Into<PathBuf>, wall_time: f64) -> Result<Self> {
        Self::open(path.into(), Some(wall_time))
    }

    fn open(path: PathBuf, wall_time: Option<f64>) -> Result<Self> {
        let file = File::create_new(&path).map_err(|source| Error::Io { path: path.clone(), source })?;
        let mut writer = EventWriter { path, file: BufWriter::new(file), wall_time };
        writer.event(0, |event| event.chosen_bytes(3, "brain.Event:2"))?;
        writer.flush()?;
        Ok(writer)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A number at a step. TensorBoard keeps 32 bits of it; NaN and infinity are shown as such.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be written, here and in the other methods.
    pub fn scalar(&mut self, tag: &str, step: u64, value: f64) -> Result<()> {
        self.summary(step, Message::new().text(1, tag).chosen_float(2, value as f32))
    }

    /// How values are spread, in 30 buckets of equal width between the least and the greatest.
    ///
    /// # Errors
    /// [`Error::Value`] for one that is not finite, [`Error::Empty`] where there are none.
    pub fn histogram<A: Scalar>(&mut self, tag: &str, step: u64, values: &[A]) -> Result<()> {
        let histogram = Histogram::of(tag, values, histogram::BUCKETS)?.message();
        self.summary(step, Message::new().text(1, tag).message(5, &histogram))
    }

    /// An image `(height, width)` or `(height, width, channels)`, with 1 channel (grey), 2 (and alpha), 3 (red, green,
    /// blue) or 4 (and alpha), whose values go from 0 to 1; those below are shown as 0 and those above as 1.
    ///
    /// # Errors
    /// [`Error::Shape`] for another shape, [`Error::Value`] for a value that is NaN.
    pub fn image<A, S, D>(&mut self, tag: &str, step: u64, image: &ArrayBase<S, D>) -> Result<()>
    where
        A: Scalar,
        S: Data<Elem = A>,
        D: Dimension,
    {
        let (height, width, channels) = match *image.shape() {
            [height, width] => (height, width, 1),
            [height, width, channels] => (height, width, channels),
            _ => (0, 0, 0),
        };
        if !(1..=MOST_LEVELS).contains(&image.len()) || !(1..=4).contains(&channels) {
            let expected = "(height, width) or (height, width, channels) with 1 to 4 channels, not empty";
            return Err(Error::shape(format!("image \"{tag}\""), expected, image.shape()));
        }
        let level = |(position, &value): (usize, &A)| match value.is_nan() {
            true => Err(Error::value(
                format!("value of image \"{tag}\""),
                &unravel(position, image.shape()),
                "a number from 0 to 1",
                value,
            )),
            false => Ok((255.0 * value.as_f64()).round() as u8), // as `as` has it, values beyond the range go to its ends
        };
        let levels = image.iter().enumerate().map(level).collect::<Result<Vec<_>>>()?;
        let png = png::encode(&levels, [height, width, channels]).map_err(|source| self.error(source))?;
        let image = Message::new().int(1, height as i64).int(2, width as i64).int(3, channels as i64).text(4, png);
        self.summary(step, Message::new().text(1, tag).message(4, &image))
    }

    /// A text in Markdown.
    ///
    /// # Errors
    /// As for [`scalar`](Self::scalar).
    pub fn text(&mut self, tag: &str, step: u64, text: &str) -> Result<()> {
        const STRING: i64 = 7;
        let shape = Message::new().message(2, &Message::new().int(1, 1));
        let tensor = Message::new().int(1, STRING).message(2, &shape).chosen_bytes(8, text);
        let metadata = Message::new().message(1, &Message::new().text(1, "text"));
        self.summary(step, Message::new().text(1, tag).message(8, &tensor).message(9, &metadata))
    }

    /// The layers of a model and how they are wired. Given the shapes of its inputs for one sample, as for
    /// [`summary_all`](crate::Model::summary_all), it shows those of every layer's output; `inputs` may be empty. A
    /// container of another crate is shown as one layer.
    ///
    /// # Errors
    /// Where the model cannot work on these shapes.
    pub fn graph<A: Scalar>(&mut self, model: &dyn Layer<A>, inputs: &[Vec<usize>]) -> Result<()> {
        let graph = graph::graph(model, inputs)?;
        self.event(0, |event| event.chosen_bytes(4, graph.bytes()))
    }

    /// Hands what was written to the system, so that TensorBoard sees it.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be written.
    pub fn flush(&mut self) -> Result<()> {
        self.file.flush().map_err(|source| self.error(source))
    }

    fn summary(&mut self, step: u64, value: Message) -> Result<()> {
        self.event(step, |event| event.message(5, &Message::new().message(1, &value)))
    }

    /// An event: a time, a step, and what `what` adds.
    fn event(&mut self, step: u64, what: impl FnOnce(Message) -> Message) -> Result<()> {
        let wall_time = self.wall_time.unwrap_or_else(seconds);
        let event = what(Message::new().double(1, wall_time).int(2, step as i64));
        record::write(&mut self.file, event.bytes()).map_err(|source| self.error(source))
    }

    fn error(&self, source: std::io::Error) -> Error {
        Error::Io { path: self.path.clone(), source }
    }
}

/// Since 1970.
fn seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// The machine's name, as far as a file name takes it.
fn machine() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let name = name.or_else(|| std::env::var("HOSTNAME").ok()).or_else(|| std::env::var("COMPUTERNAME").ok());
    let plain = |character: &char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_');
    let name: String = name.unwrap_or_default().chars().filter(plain).collect();
    if name.is_empty() { "localhost".to_owned() } else { name }
}
