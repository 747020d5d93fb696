use std::path::{Path, PathBuf};

use super::FORMAT;
use super::bytes::Bytes;
use super::header::{Entry, Header};
use super::number::{Unfit, decode};
use crate::error::{Error, Result};
use crate::scalar::Scalar;
use crate::tensor::{Tensor, from_vec, unravel};

/// A file of named tensors in the safetensors format.
///
/// The file is mapped into memory: opening reads the header, and [`get`](Self::get) copies the one tensor that is asked
/// for. Any tool's files can be read; of this library's, those of a newer version are refused.
///
/// ```no_run
/// use layerwise::io::TensorFile;
///
/// let file = TensorFile::open("model.safetensors")?;
/// for name in file.names() {
///     println!("{name}: {:?}", file.shape(name));
/// }
/// let weight = file.get::<f32>("0.weight")?;
/// # Ok::<(), layerwise::Error>(())
/// ```
pub struct TensorFile {
    path: PathBuf,
    bytes: Bytes,
    header: Header,
}

impl TensorFile {
    /// Opens a file.
    ///
    /// While it is open no other program may change it in place. Values that it changes would be read as they are then,
    /// and if it shortens the file the system ends this process (SIGBUS). To replace the file by a new one of the same
    /// name, as this library does, is safe: the old one is read to its end.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be opened or mapped; otherwise as [`from_bytes`](Self::from_bytes).
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        Self::new(path, Bytes::map(path)?)
    }

    /// A file that is in memory already; `name` is what errors call it.
    ///
    /// # Errors
    /// [`Error::File`] if it is no safetensors file or a damaged one: a header beyond the file, no JSON or no UTF-8, a
    /// name twice, bytes that do not fit the shape, overlap, leave gaps or are not there; or if a newer version of this
    /// library has written it.
    pub fn from_bytes(bytes: Vec<u8>, name: impl AsRef<Path>) -> Result<Self> {
        Self::new(name.as_ref(), Bytes::Owned(bytes))
    }

    fn new(path: &Path, bytes: Bytes) -> Result<Self> {
        let header = Header::parse(&bytes).map_err(|message| Error::file(path, message))?;
        let file = TensorFile { path: path.to_owned(), bytes, header };
        file.check_format()?;
        Ok(file)
    }

    /// Refuses what a newer version of this library has written, which may mean something else by the same names.
    fn check_format(&self) -> Result<()> {
        let Some(format) = self.metadata("layerwise.format") else { return Ok(()) };
        if format.parse().is_ok_and(|format: u64| format <= FORMAT) {
            return Ok(());
        }
        let version = self.metadata("layerwise.version").unwrap_or("unknown");
        let known = format!("this one reads formats up to {FORMAT}");
        Err(self.error(format!("format {format}, written by layerwise {version}: {known}")))
    }

    /// Where it came from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The names of the tensors, in the order of their bytes in the file.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.header.entries.iter().map(|entry| &*entry.name)
    }

    /// The shape of a tensor.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.header.find(name).map(|entry| &*entry.shape)
    }

    /// The number type of a tensor, as the format calls it: `F32`, `I64`.
    pub fn dtype(&self, name: &str) -> Option<&str> {
        self.header.find(name).map(|entry| entry.kind.name)
    }

    /// A text of the metadata.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.header.metadata.get(key).map(|text| &**text)
    }

    /// A tensor in the number type `A`. Numbers of the same type keep every bit; other floats are rounded to the
    /// nearest.
    ///
    /// # Errors
    /// [`Error::File`] for a name that is not there or a type that is not read (all but F16, BF16, F32, F64 and the
    /// whole numbers), and for a whole number that `A` does not hold exactly or a finite float that would become
    /// infinite, with its place.
    pub fn get<A: Scalar>(&self, name: &str) -> Result<Tensor<A>> {
        let entry = self.entry(name)?;
        match decode(entry.kind, self.bytes_of(entry)) {
            Some(Ok(values)) => Ok(from_vec(&entry.shape, values)),
            Some(Err(Unfit { at, value })) => {
                let index = unravel(at, &entry.shape);
                Err(self
                    .error(format!("\"{name}\" at {index:?}: expected a number that {} holds, got {value}", A::NAME)))
            }
            None => Err(self.error(format!("\"{name}\" is of type {}, which is not read as numbers", entry.kind.name))),
        }
    }

    /// The values of a tensor of 64-bit whole numbers without sign (`U64`), in row-major order.
    ///
    /// # Errors
    /// [`Error::File`] for a name that is not there, or another type.
    pub fn u64s(&self, name: &str) -> Result<Vec<u64>> {
        let entry = self.entry(name)?;
        if entry.kind.name != "U64" {
            return Err(self.error(format!("\"{name}\": expected type U64, got {}", entry.kind.name)));
        }
        let (numbers, _) = self.bytes_of(entry).as_chunks();
        Ok(numbers.iter().map(|&bytes| u64::from_le_bytes(bytes)).collect())
    }

    /// An error that names the file.
    pub(crate) fn error(&self, message: impl Into<String>) -> Error {
        Error::file(&self.path, message)
    }

    fn entry(&self, name: &str) -> Result<&Entry> {
        self.header.find(name).ok_or_else(|| self.error(format!("no tensor is called \"{name}\"")))
    }

    fn bytes_of(&self, entry: &Entry) -> &[u8] {
        &self.bytes[self.header.end..][entry.bytes.clone()]
    }
}
