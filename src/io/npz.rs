//! NumPy's `.npz` files: several arrays with names, each an `.npy` file in a zip archive.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ndarray::{ArrayBase, Data, Dimension};

use super::file::write_atomically;
use super::npy::{self, NpyElement, Place};
use super::zip::{self, Entry, Fault, ZipWriter};
use crate::error::{Error, Result};
use crate::tensor::Tensor;

/// What ends the names of an archive's arrays.
const ENDING: &str = ".npy";

/// The longest name that the format has room for.
const LONGEST: usize = u16::MAX as usize;

/// An open `.npz` file, which NumPy's `savez` and `savez_compressed` write: arrays by name, each read when it is asked
/// for.
///
/// Other files in the archive are not looked at. Memory is taken for what is there, never for what a header or the
/// archive's directory promises: of a compressed array at most for the 1032 bytes that deflate can make of each of its
/// bytes. Arrays are as [`read_npy`](super::read_npy) says, and each must have the CRC-32 that the archive gives.
///
/// ```
/// use layerwise::io::{Npz, NpzWriter};
/// use ndarray::array;
///
/// let path = std::env::temp_dir().join(format!("layerwise-{}.npz", std::process::id()));
/// NpzWriter::new()
///     .add("x", &array![[1.0_f32, 2.0], [3.0, 4.0]])
///     .add("labels", &array![0_i64, 1])
///     .compressed()
///     .write(&path)?;
/// let file = Npz::open(&path)?;
/// assert_eq!(file.names().collect::<Vec<_>>(), ["x", "labels"]);
/// assert_eq!(file.get::<f32>("labels")?, array![0.0, 1.0].into_dyn());
/// # std::fs::remove_file(path).unwrap();
/// # Ok::<(), layerwise::Error>(())
/// ```
pub struct Npz {
    path: PathBuf,
    entries: Vec<Entry>,
    source: Mutex<Box<dyn Source>>,
}

trait Source: Read + Seek + Send {}
impl<S: Read + Seek + Send> Source for S {}

impl Npz {
    /// Opens a file and reads its directory.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be read, [`Error::File`] if it is not an archive, or has two arrays of one name.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let file = File::open(path).map_err(|source| Error::Io { path: path.to_owned(), source })?;
        Self::of(Box::new(BufReader::new(file)), path)
    }

    /// A file that is in memory; `name` stands for it in errors.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub fn from_bytes(bytes: Vec<u8>, name: &str) -> Result<Self> {
        Self::of(Box::new(Cursor::new(bytes)), Path::new(name))
    }

    fn of(mut source: Box<dyn Source>, path: &Path) -> Result<Self> {
        let entries = zip::entries(&mut *source).map_err(|fault| error(fault, &Place { path, array: None }))?;
        Ok(Npz { path: path.to_owned(), entries, source: Mutex::new(source) })
    }

    /// The names of the arrays, in the order of the file.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().filter_map(|entry| entry.name.strip_suffix(ENDING))
    }

    /// Reads an array.
    ///
    /// # Errors
    /// As for [`read_npy`](super::read_npy), and [`Error::File`] if there is no array of this name or it is packed in
    /// another way than stored or deflated.
    pub fn get<T: NpyElement>(&self, name: &str) -> Result<Tensor<T>> {
        let named = |entry: &&Entry| entry.name.strip_suffix(ENDING) == Some(name);
        let entry = self.entries.iter().find(named).ok_or_else(|| {
            let names: Vec<_> = self.names().map(|name| format!("\"{name}\"")).collect();
            Error::file(&self.path, format!("no array \"{name}\"; there are {}", names.join(", ")))
        })?;
        let place = Place { path: &self.path, array: Some(name) };
        // Every read seeks first: a reader that panicked left nothing behind.
        let mut source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        let mut content = entry.open(&mut **source).map_err(|fault| error(fault, &place))?;
        let array = npy::read(&mut content, entry.size, entry.is_stored(), &place)?;
        entry.close(content).map_err(|fault| error(fault, &place))?;
        Ok(array)
    }
}

fn error(fault: Fault, place: &Place<'_>) -> Error {
    match fault {
        Fault::Io(source) => place.read_error(source),
        Fault::Content(message) => place.fault(message),
    }
}

/// Arrays to be written to an `.npz` file, which NumPy's `load` reads. They are borrowed, not copied.
///
/// An example stands at [`Npz`].
#[derive(Default)]
pub struct NpzWriter<'a> {
    arrays: Vec<Array<'a>>,
    compressed: bool,
}

struct Array<'a> {
    name: String,
    axes: usize,
    write: Box<WriteArray<'a>>,
}

/// Writes an array as an `.npy` file.
type WriteArray<'a> = dyn Fn(&mut dyn Write) -> io::Result<()> + 'a;

impl<'a> NpzWriter<'a> {
    /// With no arrays yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an array of any strides.
    #[must_use]
    #[allow(clippy::should_implement_trait)]
    pub fn add<T, S, D>(mut self, name: impl Into<String>, array: &'a ArrayBase<S, D>) -> Self
    where
        T: NpyElement,
        S: Data<Elem = T>,
        D: Dimension,
    {
        let write = Box::new(move |to: &mut dyn Write| npy::write(array, to));
        self.arrays.push(Array { name: name.into(), axes: array.ndim(), write });
        self
    }

    /// Deflates the arrays, as NumPy's `savez_compressed` does.
    #[must_use]
    pub fn compressed(mut self) -> Self {
        self.compressed = true;
        self
    }

    /// Writes the file: under another name, flushed to disk and renamed, so that a crash leaves the old one or the new
    /// one.
    ///
    /// # Errors
    /// [`Error::Setting`] for a name that comes twice, is empty or longer than 65531 bytes, and for more axes than the
    /// 64 of NumPy; [`Error::Io`] if the file cannot be written.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        for (number, Array { name, axes, .. }) in self.arrays.iter().enumerate() {
            npy::check_axes(*axes).map_err(|error| error.within(format!("array \"{name}\"")))?;
            if name.is_empty() || name.len() > LONGEST - ENDING.len() {
                let requirement = format!("1 to {} bytes long", LONGEST - ENDING.len());
                return Err(Error::setting("the name of an array", requirement, name.len()));
            }
            if self.arrays[..number].iter().any(|other| other.name == *name) {
                return Err(Error::setting(
                    "the name of an array",
                    "another in each of a file",
                    format!("{name:?} twice"),
                ));
            }
        }
        write_atomically(path.as_ref(), |file| {
            let mut zip = ZipWriter::new(file);
            for Array { name, write, .. } in &self.arrays {
                zip.add(&format!("{name}{ENDING}"), self.compressed, write)?;
            }
            zip.finish()
        })
    }
}
