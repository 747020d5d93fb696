//! Reading IDX files, the format of MNIST and its kin.

use std::fmt;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;
use ndarray::{Array, Array1, Array4, ArrayD, IxDyn};

use crate::error::{Error, Result};
use crate::scalar::Scalar;
use crate::tensor::unravel;

/// Deflate makes no more than this many bytes of one.
const MOST_PER_BYTE: usize = 1032;

/// The type of the elements of an IDX file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum IdxElement {
    U8,
    I8,
    I16,
    I32,
    F32,
    F64,
}

impl IdxElement {
    fn of(code: u8) -> Option<Self> {
        Some(match code {
            0x08 => Self::U8,
            0x09 => Self::I8,
            0x0B => Self::I16,
            0x0C => Self::I32,
            0x0D => Self::F32,
            0x0E => Self::F64,
            _ => return None,
        })
    }

    fn bytes(self) -> usize {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::I16 => 2,
            Self::I32 | Self::F32 => 4,
            Self::F64 => 8,
        }
    }
}

impl fmt::Display for IdxElement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format!("{self:?}").to_lowercase())
    }
}

/// The content of an IDX file: an array of any rank, of whole numbers or floats.
///
/// Two zero bytes, a byte for the element type and one for the number of axes, the length of each axis in four bytes,
/// and the elements in row-major order; all numbers have their highest byte first (LeCun, Cortes and Burges, the
/// MNIST database). A file that is compressed with gzip is seen by its first bytes, whatever its name. Memory is taken
/// for bytes that are there, never for those that a header promises.
///
/// ```
/// use layerwise::data::Idx;
/// use ndarray::array;
///
/// let file = [0, 0, 0x08, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6];
/// let idx = Idx::from_reader(&file[..], "small")?;
/// assert_eq!(idx.shape(), [2, 3]);
/// assert_eq!(idx.to_array::<f32>()?, array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]].into_dyn());
/// # Ok::<(), layerwise::Error>(())
/// ```
#[derive(Clone, PartialEq, Debug)]
pub struct Idx {
    path: PathBuf,
    element: IdxElement,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Idx {
    /// Reads a file.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be opened or read; otherwise as [`from_reader`](Self::from_reader).
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let file = File::open(path).map_err(|source| Error::Io { path: path.to_owned(), source })?;
        Self::from_reader(file, path)
    }

    /// Reads from anything; `name` is what errors call the file.
    ///
    /// # Errors
    /// [`Error::File`] if it is no IDX file, is damaged, ends early or goes on after the last element.
    pub fn from_reader(mut reader: impl Read, name: impl AsRef<Path>) -> Result<Self> {
        let path = name.as_ref();
        let mut file = Vec::new();
        reader.read_to_end(&mut file).map_err(|source| Error::Io { path: path.to_owned(), source })?;
        if file.starts_with(&[0x1F, 0x8B]) {
            let most = file.len().saturating_mul(MOST_PER_BYTE);
            return Self::parse(MultiGzDecoder::new(&file[..]), most, path);
        }
        Self::parse(&file[..], file.len(), path)
    }

    /// The shape of the array.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The type of the elements in the file.
    pub fn element(&self) -> IdxElement {
        self.element
    }

    /// The array in a network's number type.
    ///
    /// # Errors
    /// [`Error::Within`] with the file and an [`Error::Value`] for a whole number that `A` cannot hold exactly, and
    /// for a float that would become infinite. Other floats are rounded.
    pub fn to_array<A: Scalar>(&self) -> Result<ArrayD<A>> {
        let floats = matches!(self.element, IdxElement::F32 | IdxElement::F64);
        let fits = |value: f64, taken: A| match floats {
            true => taken.is_finite() || !value.is_finite(),
            false => taken.as_f64() == value,
        };
        let expected = || format!("a number that {} holds", A::NAME);
        let values = self.convert(|value| Some(A::of(value)).filter(|&taken| fits(value, taken)), expected)?;
        Ok(Array::from_shape_vec(IxDyn(&self.shape), values).expect("the elements fill the shape"))
    }

    /// `(images, height, width)` or `(images, height, width, channels)` of bytes as images
    /// `(images, height, width, channels)` from 0 to 1: each byte is divided by 255.
    ///
    /// # Errors
    /// [`Error::File`] for another rank or element type.
    pub fn to_images<A: Scalar>(&self) -> Result<Array4<A>> {
        let shape = match (self.element, &self.shape[..]) {
            (IdxElement::U8, &[images, height, width]) => (images, height, width, 1),
            (IdxElement::U8, &[images, height, width, channels]) => (images, height, width, channels),
            _ => return Err(self.error(format!("expected images, u8 with 3 or 4 axes, got {}", self.describe()))),
        };
        let levels: [A; 256] = std::array::from_fn(|level| A::of(level as f64 / 255.0));
        let values = self.bytes.iter().map(|&byte| levels[usize::from(byte)]).collect();
        Ok(Array::from_shape_vec(shape, values).expect("the elements fill the shape"))
    }

    /// One axis of whole numbers of at least 0, as class labels.
    ///
    /// # Errors
    /// [`Error::File`] for another rank or element type, [`Error::Within`] with an [`Error::Value`] for a number below
    /// 0.
    pub fn to_labels(&self) -> Result<Array1<usize>> {
        let whole = !matches!(self.element, IdxElement::F32 | IdxElement::F64);
        if !whole || self.shape.len() != 1 {
            return Err(self.error(format!("expected labels, whole numbers with 1 axis, got {}", self.describe())));
        }
        let label = |value: f64| (value >= 0.0).then_some(value as usize);
        Ok(self.convert(label, || "a number of at least 0".to_owned())?.into())
    }

    /// The file behind `reader`, which yields no more than `most` bytes.
    fn parse(mut reader: impl Read, most: usize, path: &Path) -> Result<Self> {
        let mut header = |bytes: &mut [u8]| reader.read_exact(bytes).map_err(|error| header_error(&error, path));
        let mut magic = [0; 4];
        header(&mut magic)?;
        let [0, 0, code, rank] = magic else {
            let message = format!("not an IDX file: it begins with {magic:02x?}, not with two zero bytes");
            return Err(Error::file(path, message));
        };
        let Some(element) = IdxElement::of(code) else {
            let message = format!("element type {code:#04x} is none of IDX, which are 0x08, 0x09 and 0x0b to 0x0e");
            return Err(Error::file(path, message));
        };
        let mut shape = Vec::new();
        for _ in 0..rank {
            let mut length = [0; 4];
            header(&mut length)?;
            shape.push(u32::from_be_bytes(length) as usize);
        }
        let promised = || format!("its header promises {element} of shape {shape:?}");
        let expected = size(&shape, element).filter(|&size| size <= most);
        let Some(expected) = expected else {
            return Err(Error::file(path, format!("{}, more than the file can hold", promised())));
        };
        let mut bytes = Vec::new();
        // One byte more than there should be shows whether the file goes on; a bomb is not blown up any further.
        let read = reader.take(expected as u64 + 1).read_to_end(&mut bytes);
        read.map_err(|error| Error::file(path, format!("its gzip stream is damaged: {error}")))?;
        if bytes.len() < expected {
            let message = format!("{}, which takes {expected} bytes, but {} follow", promised(), bytes.len());
            return Err(Error::file(path, message));
        }
        if bytes.len() > expected {
            let message = format!("{}, which takes {expected} bytes, but more follow", promised());
            return Err(Error::file(path, message));
        }
        Ok(Idx { path: path.to_owned(), element, shape, bytes })
    }

    /// Every element, by way of `f64`, which holds all of them exactly.
    fn convert<T>(&self, take: impl Fn(f64) -> Option<T>, expected: impl Fn() -> String) -> Result<Vec<T>> {
        let bytes = &self.bytes;
        let taken = match self.element {
            IdxElement::U8 => each(bytes, |[byte]: [u8; 1]| take(byte.into())),
            IdxElement::I8 => each(bytes, |bytes| take(i8::from_be_bytes(bytes).into())),
            IdxElement::I16 => each(bytes, |bytes| take(i16::from_be_bytes(bytes).into())),
            IdxElement::I32 => each(bytes, |bytes| take(i32::from_be_bytes(bytes).into())),
            IdxElement::F32 => each(bytes, |bytes| take(f32::from_be_bytes(bytes).into())),
            IdxElement::F64 => each(bytes, |bytes| take(f64::from_be_bytes(bytes))),
        };
        taken.map_err(|(position, bytes)| {
            let got = match (self.element, bytes) {
                (IdxElement::I8, &[byte]) => i8::from_be_bytes([byte]).to_string(),
                (IdxElement::I16, &[a, b]) => i16::from_be_bytes([a, b]).to_string(),
                (IdxElement::I32, &[a, b, c, d]) => i32::from_be_bytes([a, b, c, d]).to_string(),
                (_, bytes) => format!("a float of the bytes {bytes:02x?}"),
            };
            let index = unravel(position, &self.shape);
            Error::value("element", &index, expected(), got).within(self.path.display().to_string())
        })
    }

    fn describe(&self) -> String {
        format!("{} of shape {:?}", self.element, self.shape)
    }

    fn error(&self, message: String) -> Error {
        Error::file(&self.path, message)
    }
}

fn header_error(error: &std::io::Error, path: &Path) -> Error {
    match error.kind() {
        ErrorKind::UnexpectedEof => Error::file(path, "it ends within the header of an IDX file"),
        _ => Error::file(path, format!("its gzip stream is damaged: {error}")),
    }
}

/// The bytes of an array, if a machine can address them. An axis of length 0 must not hide others that are too long.
fn size(shape: &[usize], element: IdxElement) -> Option<usize> {
    let most = shape.iter().filter(|&&length| length > 0);
    let most = most.copied().try_fold(element.bytes(), usize::checked_mul)?;
    let size = if shape.contains(&0) { 0 } else { most };
    isize::try_from(most).is_ok().then_some(size)
}

/// Every element taken; the error is the position and the bytes of the first that is refused.
fn each<const N: usize, T>(bytes: &[u8], take: impl Fn([u8; N]) -> Option<T>) -> Result<Vec<T>, (usize, &[u8])> {
    let (elements, _) = bytes.as_chunks::<N>();
    let taken = elements.iter().enumerate().map(|(at, element)| take(*element).ok_or((at, &element[..])));
    taken.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    fn header(code: u8, shape: &[u32]) -> Vec<u8> {
        let mut file = vec![0, 0, code, shape.len() as u8];
        shape.iter().for_each(|length| file.extend(length.to_be_bytes()));
        file
    }

    fn file(code: u8, shape: &[u32], data: &[u8]) -> Vec<u8> {
        [&header(code, shape), data].concat()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn read(file: &[u8]) -> Result<Idx> {
        Idx::from_reader(file, "x.idx")
    }

    fn message<T: fmt::Debug>(result: Result<T>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn every_element_type_is_read_raw_and_compressed() -> Result<()> {
        let cases: [(u8, Vec<u8>, [f64; 2]); 6] = [
            (0x08, vec![0, 255], [0.0, 255.0]),
            (0x09, vec![0x80, 127], [-128.0, 127.0]),
            (0x0B, [(-300_i16).to_be_bytes(), 7_i16.to_be_bytes()].concat(), [-300.0, 7.0]),
            (0x0C, [(-70_000_i32).to_be_bytes(), 1_i32.to_be_bytes()].concat(), [-70_000.0, 1.0]),
            (0x0D, [1.5_f32.to_be_bytes(), (-2.25_f32).to_be_bytes()].concat(), [1.5, -2.25]),
            (0x0E, [1e-7_f64.to_be_bytes(), f64::INFINITY.to_be_bytes()].concat(), [1e-7, f64::INFINITY]),
        ];
        for (code, data, expected) in cases {
            for shape in [&[2][..], &[1, 2], &[2, 1, 1], &[1, 1, 1, 2, 1, 1]] {
                let raw = file(code, shape, &data);
                let idx = read(&raw)?;
                assert_eq!(idx.to_array::<f64>()?.iter().copied().collect::<Vec<_>>(), expected);
                assert_eq!(idx.shape(), shape.iter().map(|&n| n as usize).collect::<Vec<_>>());
                assert_eq!(read(&gzip(&raw))?, idx);
            }
        }
        assert_eq!(read(&file(0x08, &[], &[7]))?.to_array::<f32>()?.sum(), 7.0);
        assert_eq!(read(&file(0x08, &[0, 28], &[]))?.to_array::<f32>()?.shape(), [0, 28]);
        Ok(())
    }

    #[test]
    fn images_are_scaled_and_labels_are_counted() -> Result<()> {
        let images = read(&file(0x08, &[2, 1, 2], &[0, 51, 102, 255]))?;
        let expected = Array4::from_shape_vec((2, 1, 2, 1), vec![0.0, 0.2, 0.4, 1.0_f32]).unwrap();
        assert_eq!(images.to_images::<f32>()?, expected);
        assert_eq!(read(&file(0x08, &[1, 1, 1, 3], &[0, 51, 255]))?.to_images::<f64>()?.dim(), (1, 1, 1, 3));
        assert_eq!(read(&file(0x08, &[3], &[9, 0, 255]))?.to_labels()?, ndarray::array![9, 0, 255]);
        let refused = message(images.to_labels());
        assert_eq!(refused, "x.idx: expected labels, whole numbers with 1 axis, got u8 of shape [2, 1, 2]");
        let refused = message(read(&file(0x09, &[1, 1, 1], &[1]))?.to_images::<f32>());
        assert_eq!(refused, "x.idx: expected images, u8 with 3 or 4 axes, got i8 of shape [1, 1, 1]");
        let refused = message(read(&file(0x09, &[2], &[1, 255]))?.to_labels());
        assert_eq!(refused, "x.idx: element at [1]: expected a number of at least 0, got -1");
        Ok(())
    }

    #[test]
    fn a_number_that_the_type_cannot_hold_is_refused_with_its_place() -> Result<()> {
        let data = [1_i32.to_be_bytes(), ((1 << 24) + 1_i32).to_be_bytes()].concat();
        let idx = read(&file(0x0C, &[2, 1], &data))?;
        assert_eq!(
            message(idx.to_array::<f32>()),
            "x.idx: element at [1, 0]: expected a number that f32 holds, got 16777217"
        );
        assert!(idx.to_array::<f64>().is_ok());
        let large = read(&file(0x0E, &[1], &1e300_f64.to_be_bytes()))?;
        assert!(
            message(large.to_array::<f32>()).starts_with("x.idx: element at [0]: expected a number that f32 holds")
        );
        let rounded = read(&file(0x0E, &[1], &0.1_f64.to_be_bytes()))?;
        assert_eq!(rounded.to_array::<f32>()?.sum(), 0.1);
        Ok(())
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said() {
        let whole = file(0x08, &[2, 3], &[1, 2, 3, 4, 5, 6]);
        let most = u32::MAX;
        let cases: Vec<(Vec<u8>, &str)> = vec![
            (vec![], "it ends within the header of an IDX file"),
            (whole[..9].to_vec(), "it ends within the header of an IDX file"),
            (gzip(&whole[..9]), "it ends within the header of an IDX file"),
            (b"\x89PNG....".to_vec(), "not an IDX file: it begins with [89, 50, 4e, 47], not with two zero bytes"),
            (file(0x0A, &[1], &[0]), "element type 0x0a is none of IDX, which are 0x08, 0x09 and 0x0b to 0x0e"),
            (whole[..17].to_vec(), "its header promises u8 of shape [2, 3], which takes 6 bytes, but 5 follow"),
            (gzip(&whole[..17]), "its header promises u8 of shape [2, 3], which takes 6 bytes, but 5 follow"),
            (
                [&whole[..], &[0, 0]].concat(),
                "its header promises u8 of shape [2, 3], which takes 6 bytes, but more follow",
            ),
            (
                gzip(&[&whole[..], &[0; 1 << 20]].concat()),
                "its header promises u8 of shape [2, 3], which takes 6 bytes, but more follow",
            ),
            (
                file(0x0E, &[most, most, most], &[0; 64]),
                "its header promises f64 of shape [4294967295, 4294967295, 4294967295], more than the file can hold",
            ),
            (
                file(0x08, &[0, most, most, most], &[]),
                "its header promises u8 of shape [0, 4294967295, 4294967295, 4294967295], more than the file can hold",
            ),
            (
                gzip(&file(0x08, &[60_000, 60_000], &[0; 100])),
                "its header promises u8 of shape [60000, 60000], more than the file can hold",
            ),
        ];
        for (bytes, expected) in cases {
            assert_eq!(message(read(&bytes)), format!("x.idx: {expected}"));
        }
        let mut damaged = gzip(&whole);
        let last = damaged.len() - 5;
        damaged[last] ^= 1; // in the checksum
        assert!(message(read(&damaged)).starts_with("x.idx: its gzip stream is damaged: "));
        let mut trailing = gzip(&whole);
        trailing.extend([1, 2, 3]);
        assert!(read(&trailing).is_err());
    }

    #[test]
    fn no_input_makes_it_panic_or_take_more_memory_than_the_input_fills() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let shapes: [&[u32]; 4] = [&[5], &[2, 3], &[2, 2, 2], &[1, 0, 3]];
        let (mut whole, mut refused) = (0, 0);
        for round in 0..20_000 {
            let code = [0x08, 0x09, 0x0B, 0x0C, 0x0D, 0x0E][round % 6];
            let shape = shapes[round % shapes.len()];
            let count = shape.iter().product::<u32>() as usize * IdxElement::of(code).unwrap().bytes();
            let data: Vec<u8> = (0..count).map(|_| rng.random()).collect();
            let mut bytes = file(code, shape, &data);
            if round % 2 == 0 {
                bytes = gzip(&bytes);
            }
            match rng.random_range(0..3) {
                0 => bytes.truncate(rng.random_range(0..bytes.len())),
                1 => {
                    for _ in 0..rng.random_range(1..4) {
                        let at = rng.random_range(0..bytes.len());
                        bytes[at] ^= 1 << rng.random_range(0..8);
                    }
                }
                _ => bytes.extend((0..rng.random_range(0..3)).map(|_| rng.random::<u8>())),
            }
            match read(&bytes) {
                Ok(idx) => {
                    assert!(idx.bytes.capacity() <= 64 + 2 * MOST_PER_BYTE * bytes.len());
                    let _ = (idx.to_array::<f32>(), idx.to_array::<f64>(), idx.to_images::<f32>(), idx.to_labels());
                    whole += 1;
                }
                Err(error) => {
                    assert!(error.to_string().starts_with("x.idx: "), "{error}");
                    refused += 1;
                }
            }
        }
        assert!(whole > 1000 && refused > 10_000, "{whole} read, {refused} refused");
    }
}
