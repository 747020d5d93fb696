//! NumPy's `.npy` files: one array each.

mod element;
mod header;

use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read, Write};
use std::path::Path;

use ndarray::{ArcArray, ArrayBase, Data, Dimension, IxDyn, ShapeBuilder};

use self::element::{Stopped, Stored};
use self::header::{Header, MOST_AXES};
use crate::error::{Error, Result};
use crate::io::file::write_atomically;
use crate::tensor::{Tensor, unravel};

pub use element::NpyElement;

/// Reads the array of an `.npy` file, which NumPy's `save` writes, in row-major layout.
///
/// The file may hold floats of 16, 32 or 64 bits, whole numbers of 8 to 64 bits or booleans, with either byte first and
/// in either order of axes (versions 1 to 3 of the format). [`NpyElement`] says what is read as what. Memory is taken
/// for the array alone, and only once the file is known to be as long as its header says: at most eight times the file
/// (bytes read as `f64`), and that twice where the first axis runs fastest.
///
/// # Errors
/// [`Error::Io`] if the file cannot be read, [`Error::File`] if it is not an `.npy` file of plain numbers,
/// [`Error::Within`] with an [`Error::Value`] for an element that `T` cannot take.
///
/// ```
/// use layerwise::io;
/// use ndarray::array;
///
/// let path = std::env::temp_dir().join(format!("layerwise-{}.npy", std::process::id()));
/// io::write_npy(&path, &array![[1.0_f32, 2.0], [3.0, 4.0]])?;
/// let x = io::read_npy::<f64>(&path)?;
/// assert_eq!(x, array![[1.0, 2.0], [3.0, 4.0]].into_dyn());
/// # std::fs::remove_file(path).unwrap();
/// # Ok::<(), layerwise::Error>(())
/// ```
pub fn read_npy<T: NpyElement>(path: impl AsRef<Path>) -> Result<Tensor<T>> {
    let path = path.as_ref();
    let in_file = |source| Error::Io { path: path.to_owned(), source };
    let file = File::open(path).map_err(in_file)?;
    let len = file.metadata().map_err(in_file)?.len();
    let place = Place { path, array: None };
    read(&mut BufReader::new(file), len, true, &place)
}

/// The array of an `.npy` file that is in memory; `name` stands for it in errors.
///
/// # Errors
/// As for [`read_npy`].
pub fn npy_from_bytes<T: NpyElement>(bytes: &[u8], name: &str) -> Result<Tensor<T>> {
    let mut reader = bytes;
    read(&mut reader, bytes.len() as u64, true, &Place { path: Path::new(name), array: None })
}

/// Writes an array of any strides as an `.npy` file, which NumPy's `load` reads: row-major, lowest byte first, the very
/// bytes that NumPy writes. The file is written under another name, flushed to disk and renamed, so that a crash leaves
/// the old one or the new one.
///
/// # Errors
/// [`Error::Io`] if it cannot be written, [`Error::Setting`] for more axes than the 64 of NumPy.
pub fn write_npy<T, S, D>(path: impl AsRef<Path>, array: &ArrayBase<S, D>) -> Result<()>
where
    T: NpyElement,
    S: Data<Elem = T>,
    D: Dimension,
{
    check_axes(array.ndim())?;
    write_atomically(path.as_ref(), |file| write(array, file))
}

/// Refuses an array that NumPy could not read.
pub(super) fn check_axes(axes: usize) -> Result<()> {
    match axes {
        0..=MOST_AXES => Ok(()),
        _ => Err(Error::setting("the number of axes of an npy array", format!("at most {MOST_AXES}"), axes)),
    }
}

/// Where an array is read from.
pub(super) struct Place<'p> {
    pub(super) path: &'p Path,
    /// Its name, in an archive of several.
    pub(super) array: Option<&'p str>,
}

impl Place<'_> {
    /// A content that is not what it should be.
    pub(super) fn fault(&self, message: impl Into<String>) -> Error {
        let message = message.into();
        match self.array {
            Some(array) => Error::file(self.path, format!("array \"{array}\": {message}")),
            None => Error::file(self.path, message),
        }
    }

    /// What reading failed with. A damaged deflate stream is a fault of the file, not of the system.
    pub(super) fn read_error(&self, source: io::Error) -> Error {
        match source.kind() {
            ErrorKind::UnexpectedEof => self.fault("it ends before its last element"),
            ErrorKind::InvalidInput | ErrorKind::InvalidData => self.fault(format!("damaged: {source}")),
            _ => Error::Io { path: self.path.to_owned(), source },
        }
    }

    fn value(&self, index: &[usize], expected: String, got: String) -> Error {
        let within = match self.array {
            Some(array) => format!("{}: array \"{array}\"", self.path.display()),
            None => self.path.display().to_string(),
        };
        Error::value("element", index, expected, got).within(within)
    }
}

/// Reads an array from a file of `len` bytes. Where these bytes are `sure` to be there, memory is taken at once, and
/// otherwise as they come.
pub(super) fn read<T: NpyElement>(reader: &mut dyn Read, len: u64, sure: bool, place: &Place<'_>) -> Result<Tensor<T>> {
    let (header, begin) = Header::read(reader, len, place)?;
    let Header { descr, fortran, shape } = header;
    let Some(stored) = Stored::of(&descr) else {
        let known = "f2, f4, f8, i1, i2, i4, i8, u1, u2, u4, u8 and b1 with < or > before it";
        return Err(place.fault(format!("element type '{descr}' is none that is read, which are {known}")));
    };
    let promised = || format!("its header promises '{descr}' of shape {shape:?}");
    let too_large = || place.fault(format!("{}, more than a machine can hold", promised()));
    let count = count(&shape, stored.size().max(size_of::<T>())).ok_or_else(too_large)?;
    let (expected, follow) = ((count * stored.size()) as u64, len - begin);
    if expected != follow {
        return Err(place.fault(format!("{}, which takes {expected} bytes, but {follow} follow", promised())));
    }
    let mut values = Vec::with_capacity(if sure { count } else { 0 });
    stored.read(reader, count, &mut values).map_err(|stopped| match stopped {
        Stopped::Read(source) => place.read_error(source),
        Stopped::Refused { position, got } => {
            let expected = format!("a number that {} holds", T::NAME);
            place.value(&index(position, &shape, fortran), expected, got)
        }
    })?;
    let shape = IxDyn(&shape).set_f(fortran);
    let array =
        ArcArray::from_shape_vec(shape, values).map_err(|error| place.fault(format!("{}: {error}", promised())))?;
    Ok(if array.is_standard_layout() { array } else { array.as_standard_layout().into_owned().into_shared() })
}

/// The number of elements, if a machine can address them at this size. An axis of length 0 must not hide others that
/// are too long.
fn count(shape: &[usize], size: usize) -> Option<usize> {
    let bytes = shape.iter().filter(|&&length| length > 0).copied().try_fold(size, usize::checked_mul)?;
    isize::try_from(bytes).ok()?;
    Some(shape.iter().product())
}

/// The index of an element by its position in the file.
fn index(position: usize, shape: &[usize], fortran: bool) -> Vec<usize> {
    if !fortran {
        return unravel(position, shape);
    }
    let backwards: Vec<_> = shape.iter().rev().copied().collect();
    unravel(position, &backwards).into_iter().rev().collect()
}

/// Writes header and elements.
pub(super) fn write<T, S, D>(array: &ArrayBase<S, D>, to: &mut dyn Write) -> io::Result<()>
where
    T: NpyElement,
    S: Data<Elem = T>,
    D: Dimension,
{
    let header = Header { descr: T::DESCR.to_owned(), fortran: false, shape: array.shape().to_vec() };
    to.write_all(&header.bytes())?;
    array.iter().try_for_each(|&value| value.write(to))
}
