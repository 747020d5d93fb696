use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::Path;

use super::file::write_atomically;
use super::header::{LONGEST, METADATA};
use crate::error::{Error, Result};
use crate::scalar::Scalar;

/// Named tensors on their way into a file in the safetensors format.
///
/// Values are borrowed where the caller has them, and turned into bytes piece by piece when they are written.
///
/// ```no_run
/// use layerwise::io::Tensors;
///
/// let values = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
/// let mut tensors = Tensors::new();
/// tensors.add::<f32>("table", &[2, 3], &values[..])?;
/// tensors.metadata("made by", "hand");
/// tensors.write("table.safetensors")?;
/// # Ok::<(), layerwise::Error>(())
/// ```
#[derive(Default)]
pub struct Tensors<'a> {
    entries: Vec<Entry<'a>>,
    names: HashSet<String>,
    metadata: BTreeMap<String, String>,
}

struct Entry<'a> {
    name: String,
    kind: &'static str,
    shape: Vec<usize>,
    /// The bytes of a number, and of all.
    width: usize,
    length: usize,
    values: Box<dyn Values + 'a>,
}

/// Numbers that can be written.
trait Values {
    fn write(&self, out: &mut dyn Write) -> io::Result<()>;
}

impl<A: Scalar> Values for Cow<'_, [A]> {
    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        write_numbers(self, |value| value.to_file(), out)
    }
}

impl Values for Cow<'_, [u64]> {
    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        write_numbers(self, u64::to_le_bytes, out)
    }
}

/// Writes the bytes of numbers, some thousands at once.
fn write_numbers<N: Copy, B: AsRef<[u8]>>(
    numbers: &[N],
    bytes: impl Fn(N) -> B,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut piece = Vec::new();
    for numbers in numbers.chunks(4096) {
        piece.clear();
        numbers.iter().for_each(|&number| piece.extend_from_slice(bytes(number).as_ref()));
        out.write_all(&piece)?;
    }
    Ok(())
}

impl<'a> Tensors<'a> {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a tensor with its values in row-major order.
    ///
    /// # Errors
    /// [`Error::Setting`] for a name that is taken, [`Error::Length`] where the values do not fill the shape.
    pub fn add<A: Scalar>(
        &mut self,
        name: impl Into<String>,
        shape: &[usize],
        values: impl Into<Cow<'a, [A]>>,
    ) -> Result<()> {
        let values: Cow<'a, [A]> = values.into();
        let count = values.len();
        self.push(name.into(), A::FILE_TYPE, shape, size_of::<A>(), count, Box::new(values))
    }

    /// Adds a vector of whole numbers, which are kept exactly.
    ///
    /// # Errors
    /// As for [`add`](Self::add).
    pub fn add_u64s(&mut self, name: impl Into<String>, values: impl Into<Cow<'a, [u64]>>) -> Result<()> {
        let values: Cow<'a, [u64]> = values.into();
        let count = values.len();
        self.push(name.into(), "U64", &[count], size_of::<u64>(), count, Box::new(values))
    }

    /// Adds a text, or replaces the one of this key.
    pub fn metadata(&mut self, key: impl Into<String>, text: impl Into<String>) {
        self.metadata.insert(key.into(), text.into());
    }

    /// Writes the file. What was there before stays until the new one is on the disk.
    ///
    /// # Errors
    /// [`Error::Io`] with `path` if it cannot be written, [`Error::File`] if the header would be longer than the format
    /// allows (100 MB).
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        // Wide numbers first, so that all lie at multiples of their width.
        let mut entries: Vec<&Entry<'a>> = self.entries.iter().collect();
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.width));
        let header = self.header(&entries);
        if header.len() > LONGEST {
            let length = header.len();
            return Err(Error::file(
                path,
                format!("the header would have {length} bytes, the format allows {LONGEST}"),
            ));
        }
        write_atomically(path, |file| {
            file.write_all(&(header.len() as u64).to_le_bytes())?;
            file.write_all(header.as_bytes())?;
            entries.iter().try_for_each(|entry| entry.values.write(file))
        })
    }

    fn push(
        &mut self,
        name: String,
        kind: &'static str,
        shape: &[usize],
        width: usize,
        count: usize,
        values: Box<dyn Values + 'a>,
    ) -> Result<()> {
        let filled = shape.iter().try_fold(1_usize, |count, &extent| count.checked_mul(extent));
        if filled != Some(count) {
            let what = format!("values of \"{name}\" of shape {shape:?}");
            return Err(Error::length(what, filled.unwrap_or(usize::MAX), count));
        }
        if name == METADATA || !self.names.insert(name.clone()) {
            return Err(Error::setting("the name of a tensor", "one that is not taken", format!("\"{name}\"")));
        }
        self.entries.push(Entry { name, kind, shape: shape.to_vec(), width, length: count * width, values });
        Ok(())
    }

    /// The header's JSON, filled up with spaces so that the numbers begin at a multiple of 8.
    fn header(&self, entries: &[&Entry<'a>]) -> String {
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let texts: Vec<_> =
            self.metadata.iter().map(|(key, text)| format!("{}:{}", quoted(key), quoted(text))).collect();
        let mut header = format!("{{\"{METADATA}\":{{{}}}", texts.join(","));
        let mut start = 0;
        for Entry { name, kind, shape, length, .. } in entries {
            let end = start + length;
            write!(
                header,
                ",{}:{{\"dtype\":\"{kind}\",\"shape\":{},\"data_offsets\":[{start},{end}]}}",
                quoted(name),
                serde_json::Value::from(shape.as_slice())
            )
            .expect("writing to a string cannot fail");
            start = end;
        }
        header.push('}');
        header.extend(std::iter::repeat_n(' ', header.len().next_multiple_of(8) - header.len()));
        header
    }
}
