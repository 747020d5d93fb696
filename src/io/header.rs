//! The header of a safetensors file: its length in eight bytes, the lowest first, and JSON,
//! `{"__metadata__": {"key": "text"}, "name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, ...}`.
//! Behind it are the numbers, to which the offsets count.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use super::number::Type;

/// The longest header that the format allows, in bytes.
pub(super) const LONGEST: usize = 100_000_000;
/// The key of the metadata, which is no tensor.
pub(super) const METADATA: &str = "__metadata__";
/// The most axes of a tensor: as many as PyTorch and NumPy take. So that a short text cannot stand for a large table.
const MOST_AXES: usize = 64;

/// What a file says of one tensor.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: Box<str>,
    pub(super) kind: Type,
    pub(super) shape: Box<[usize]>,
    /// Its bytes, counted from the first one behind the header.
    pub(super) bytes: Range<usize>,
}

/// A header that fits the bytes behind it.
#[derive(Debug)]
pub(super) struct Header {
    /// In the order of their bytes.
    pub(super) entries: Vec<Entry>,
    pub(super) metadata: HashMap<Box<str>, Box<str>>,
    /// Where the numbers begin in the file.
    pub(super) end: usize,
    /// The places of the entries in the order of their names.
    sorted: Vec<u32>,
}

impl Header {
    /// Reads and checks the header of a file; the error says what is wrong.
    ///
    /// The memory that it takes is at most eight times that of the header's text.
    pub(super) fn parse(file: &[u8]) -> Result<Self, String> {
        let Some((length, rest)) = file.split_first_chunk() else {
            return Err(format!("no safetensors file: {} bytes are less than the 8 it begins with", file.len()));
        };
        let length = u64::from_le_bytes(*length);
        let fits = usize::try_from(length).ok().filter(|&length| length <= rest.len());
        let Some(length) = fits else {
            return Err(format!(
                "no safetensors file, or cut short: a header of {length} bytes in {} bytes",
                file.len()
            ));
        };
        if length > LONGEST {
            return Err(format!("the header has {length} bytes, the format allows {LONGEST}"));
        }
        // A copy: what is checked here must stay so, whatever another program does to a mapped file.
        let text = rest[..length].to_vec();
        let text = std::str::from_utf8(&text).map_err(|error| format!("the header is not UTF-8: {error}"))?;
        let mut json = serde_json::Deserializer::from_str(text);
        let found = json.deserialize_map(Whole).and_then(|found| json.end().map(|()| found));
        let (mut entries, metadata) = found.map_err(|error| format!("the header is wrong: {error}"))?;

        entries.sort_by_key(|entry| (entry.bytes.start, entry.bytes.end));
        // More than u32 holds would not fit into the longest header.
        let mut sorted: Vec<u32> = (0..entries.len() as u32).collect();
        sorted.sort_unstable_by(|&a, &b| entries[a as usize].name.cmp(&entries[b as usize].name));
        if let Some(pair) = sorted.windows(2).find(|p| entries[p[0] as usize].name == entries[p[1] as usize].name) {
            return Err(format!("the header names \"{}\" twice", entries[pair[0] as usize].name));
        }
        check_bytes(&entries, rest.len() - length)?;
        Ok(Header { entries, metadata, end: 8 + length, sorted })
    }

    /// The entry of a name.
    pub(super) fn find(&self, name: &str) -> Option<&Entry> {
        let at = self.sorted.binary_search_by(|&at| (*self.entries[at as usize].name).cmp(name)).ok()?;
        Some(&self.entries[self.sorted[at] as usize])
    }
}

/// Refuses tensors whose bytes are not as many as they should be, overlap, leave gaps, or end before or behind the file.
fn check_bytes(entries: &[Entry], available: usize) -> Result<(), String> {
    let mut end = 0;
    for Entry { name, kind, shape, bytes } in entries {
        // Zeros are left out as array libraries do: their strides must not overflow.
        let most = shape.iter().filter(|&&extent| extent > 0).try_fold(8_usize, |n, &extent| n.checked_mul(extent));
        if most.is_none_or(|most| most > isize::MAX as usize) {
            return Err(format!("\"{name}\": the shape {shape:?} is too large"));
        }
        let bits = shape.iter().product::<usize>() as u128 * kind.bits as u128;
        let (start, stop) = (bytes.start, bytes.end);
        if stop.checked_sub(start).is_none_or(|length| length as u128 * 8 != bits) {
            let kind = kind.name;
            return Err(format!(
                "\"{name}\": {kind} of shape {shape:?} does not fill the bytes from {start} to {stop}"
            ));
        }
        if start != end {
            return Err(format!("\"{name}\": its bytes begin at {start}, those before end at {end}"));
        }
        end = stop;
    }
    if end != available {
        return Err(format!("the tensors have {end} bytes, the file has {available} behind its header"));
    }
    Ok(())
}

/// The whole object. Names that stand twice are found later, when they are sorted.
struct Whole;

impl<'de> Visitor<'de> for Whole {
    type Value = (Vec<Entry>, HashMap<Box<str>, Box<str>>);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with the tensors")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let (mut entries, mut metadata) = (Vec::new(), None);
        while let Some(name) = map.next_key::<Box<str>>()? {
            if &*name != METADATA {
                entries.push(map.next_value_seed(One { name })?);
            } else if metadata.is_some() {
                return Err(M::Error::custom(format!("{METADATA} stands twice")));
            } else {
                metadata = Some(map.next_value_seed(Texts)?);
            }
        }
        entries.shrink_to_fit();
        Ok((entries, metadata.unwrap_or_default()))
    }
}

/// The metadata, of which each key stands once.
struct Texts;

impl<'de> DeserializeSeed<'de> for Texts {
    type Value = HashMap<Box<str>, Box<str>>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_option(self)
    }
}

impl<'de> Visitor<'de> for Texts {
    type Value = HashMap<Box<str>, Box<str>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("metadata, an object of texts")
    }

    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(HashMap::new())
    }

    fn visit_some<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_map(self)
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut texts = HashMap::new();
        while let Some((key, text)) = map.next_entry::<Box<str>, Box<str>>()? {
            if texts.contains_key(&key) {
                return Err(M::Error::custom(format!("the metadata have \"{key}\" twice")));
            }
            texts.insert(key, text);
        }
        Ok(texts)
    }
}

/// The object of one tensor: the keys of the format, each once.
struct One {
    name: Box<str>,
}

impl One {
    /// Puts a value to its place, which must be empty.
    fn fill<T, E: serde::de::Error>(&self, place: &mut Option<T>, key: &str, value: T) -> Result<(), E> {
        match place.replace(value) {
            None => Ok(()),
            Some(_) => Err(E::custom(format!("\"{}\" has \"{key}\" twice", self.name))),
        }
    }
}

impl<'de> DeserializeSeed<'de> for One {
    type Value = Entry;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Entry, D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for One {
    type Value = Entry;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object with dtype, shape and data_offsets of \"{}\"", self.name)
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Entry, M::Error> {
        let (mut kind, mut shape, mut bytes) = (None, None, None);
        while let Some(key) = map.next_key::<Box<str>>()? {
            match &*key {
                "dtype" => {
                    let name = map.next_value::<Box<str>>()?;
                    let known = Type::of(&name);
                    let known = known.ok_or_else(|| {
                        M::Error::custom(format!("\"{}\" has the unknown dtype \"{name}\"", self.name))
                    })?;
                    self.fill::<_, M::Error>(&mut kind, &key, known)?;
                }
                "shape" => self.fill::<_, M::Error>(&mut shape, &key, map.next_value_seed(Shape)?)?,
                "data_offsets" => self.fill::<_, M::Error>(&mut bytes, &key, map.next_value::<[usize; 2]>()?)?,
                _ => return Err(M::Error::custom(format!("\"{}\" has the unknown key \"{key}\"", self.name))),
            }
        }
        let missing = |key| M::Error::custom(format!("\"{}\" has no \"{key}\"", self.name));
        let [start, end] = bytes.ok_or_else(|| missing("data_offsets"))?;
        Ok(Entry {
            kind: kind.ok_or_else(|| missing("dtype"))?,
            shape: shape.ok_or_else(|| missing("shape"))?,
            bytes: start..end,
            name: self.name,
        })
    }
}

/// A list of extents.
struct Shape;

impl<'de> DeserializeSeed<'de> for Shape {
    type Value = Box<[usize]>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Shape {
    type Value = Box<[usize]>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of extents")
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut list: S) -> Result<Self::Value, S::Error> {
        let (mut extents, mut count) = ([0_usize; MOST_AXES], 0);
        while let Some(extent) = list.next_element()? {
            let place = extents.get_mut(count);
            *place.ok_or_else(|| S::Error::custom(format!("a shape has more than {MOST_AXES} axes")))? = extent;
            count += 1;
        }
        Ok(Box::from(&extents[..count]))
    }
}
