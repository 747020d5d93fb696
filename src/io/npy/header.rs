//! The header of a `.npy` file: a magic number, a version, and a Python dictionary of three entries.

use std::io::Read;

use super::Place;
use crate::error::Result;

const MAGIC: &[u8; 6] = b"\x93NUMPY";

/// The longest header that is read: NumPy's own limit, far beyond what arrays of numbers need.
const LONGEST: usize = 10_000;

/// The most characters of a header that an error shows.
const SHOWN: usize = 120;

/// The elements begin at a multiple of this.
const ALIGN: usize = 64;

/// NumPy leaves room for the first axis to grow to so many digits.
const GROWTH_DIGITS: usize = 21;

/// No array of NumPy has more axes.
pub(super) const MOST_AXES: usize = 64;

/// What a header says.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Header {
    /// NumPy's name of the element type, `<f4` for one.
    pub(super) descr: String,
    /// Whether the first axis runs fastest.
    pub(super) fortran: bool,
    pub(super) shape: Vec<usize>,
}

impl Header {
    /// Reads a header of a file that has `len` bytes, and how long it is.
    pub(super) fn read(reader: &mut dyn Read, len: u64, place: &Place<'_>) -> Result<(Self, u64)> {
        let short = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => place.fault("it ends within the header of an npy file"),
            _ => place.read_error(error),
        };
        let mut start = [0; 8];
        reader.read_exact(&mut start).map_err(short)?;
        if &start[..6] != MAGIC {
            return Err(place.fault(format!("not an npy file: it begins with {:02x?}", &start[..6])));
        }
        let (length, begin) = match (start[6], start[7]) {
            (1, 0) => {
                let mut length = [0; 2];
                reader.read_exact(&mut length).map_err(short)?;
                (usize::from(u16::from_le_bytes(length)), 10)
            }
            (2 | 3, 0) => {
                let mut length = [0; 4];
                reader.read_exact(&mut length).map_err(short)?;
                (u32::from_le_bytes(length) as usize, 12)
            }
            (major, minor) => {
                return Err(place.fault(format!("version {major}.{minor} of npy files is none of 1.0, 2.0 and 3.0")));
            }
        };
        let end = begin + length as u64;
        if end > len {
            return Err(
                place.fault(format!("its header claims {length} bytes, but {} follow", len.saturating_sub(begin)))
            );
        }
        if length > LONGEST {
            return Err(place.fault(format!("its header claims {length} bytes, and at most {LONGEST} are read")));
        }
        let mut text = vec![0; length];
        reader.read_exact(&mut text).map_err(short)?;
        let text = std::str::from_utf8(&text).map_err(|_| place.fault("its header is not UTF-8"))?;
        let header = parse(text).map_err(|fault| {
            let shown: String = text.trim_end().chars().take(SHOWN).collect();
            place.fault(format!("its header, {shown:?}, {fault}"))
        })?;
        Ok((header, end))
    }

    /// The bytes in front of the elements, the very ones that NumPy writes: version 1, padded with spaces.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let fortran = if self.fortran { "True" } else { "False" };
        let shape = tuple(&self.shape);
        let mut text = format!("{{'descr': '{}', 'fortran_order': {fortran}, 'shape': {shape}, }}", self.descr);
        if let Some(first) = self.shape.first() {
            text.extend(std::iter::repeat_n(' ', GROWTH_DIGITS - first.to_string().len()));
        }
        let begun = MAGIC.len() + 4 + text.len() + 1;
        text.extend(std::iter::repeat_n(' ', ALIGN - begun % ALIGN));
        text.push('\n');
        // With no more than `MOST_AXES` axes the length fits version 1.
        let length = (text.len() as u16).to_le_bytes();
        [&MAGIC[..], &[1, 0], &length, text.as_bytes()].concat()
    }
}

/// `()`, `(3,)`, `(3, 4)`: a tuple as Python writes it.
fn tuple(shape: &[usize]) -> String {
    match shape {
        [only] => format!("({only},)"),
        _ => format!("({})", shape.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")),
    }
}

/// The dictionary: three known keys, each once, in any order. The fault ends the sentence `its header, ..., `.
fn parse(text: &str) -> Result<Header, String> {
    let mut rest = Rest(text);
    let (mut descr, mut fortran, mut shape) = (None, None, None);
    rest.expect('{')?;
    while !rest.take('}') {
        let key = rest.quoted()?;
        rest.expect(':')?;
        let twice = match key {
            "descr" => descr.replace(rest.descr()?).is_some(),
            "fortran_order" => fortran.replace(rest.boolean()?).is_some(),
            "shape" => shape.replace(rest.tuple()?).is_some(),
            _ => return Err(format!("has the key '{key}', which is none of descr, fortran_order and shape")),
        };
        if twice {
            return Err(format!("has the key '{key}' twice"));
        }
        if !rest.take(',') {
            rest.expect('}')?;
            break;
        }
    }
    if !rest.0.trim_start().is_empty() {
        return Err(format!("goes on after its dictionary with {:?}", rest.ahead()));
    }
    let missing = |key: &str| format!("has no key '{key}'");
    Ok(Header {
        descr: descr.ok_or_else(|| missing("descr"))?.to_owned(),
        fortran: fortran.ok_or_else(|| missing("fortran_order"))?,
        shape: shape.ok_or_else(|| missing("shape"))?,
    })
}

/// What is left to read of a Python literal.
struct Rest<'t>(&'t str);

impl<'t> Rest<'t> {
    /// The next few characters, for messages.
    fn ahead(&self) -> String {
        self.0.trim_start().chars().take(12).collect()
    }

    fn take(&mut self, character: char) -> bool {
        let rest = self.0.trim_start().strip_prefix(character);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn expect(&mut self, character: char) -> Result<(), String> {
        match self.take(character) {
            true => Ok(()),
            false => Err(format!("needs '{character}' before {:?}", self.ahead())),
        }
    }

    /// A string without escapes: none of NumPy's names has one.
    fn quoted(&mut self) -> Result<&'t str, String> {
        let text = self.0.trim_start();
        let quote = text.chars().next().filter(|quote| matches!(*quote, '\'' | '"'));
        let parts = quote.and_then(|quote| text[1..].split_once(quote));
        let (inside, rest) = parts.ok_or_else(|| format!("needs a string before {:?}", self.ahead()))?;
        self.0 = rest;
        Ok(inside)
    }

    fn descr(&mut self) -> Result<&'t str, String> {
        if self.0.trim_start().starts_with('[') {
            return Err("has fields of several types: only arrays of plain numbers are read".into());
        }
        self.quoted()
    }

    fn boolean(&mut self) -> Result<bool, String> {
        let text = self.0.trim_start();
        for (word, value) in [("True", true), ("False", false)] {
            if let Some(rest) = text.strip_prefix(word) {
                self.0 = rest;
                return Ok(value);
            }
        }
        Err(format!("needs True or False before {:?}", self.ahead()))
    }

    fn tuple(&mut self) -> Result<Vec<usize>, String> {
        let mut lengths = Vec::new();
        self.expect('(')?;
        while !self.take(')') {
            lengths.push(self.length()?);
            if !self.take(',') {
                self.expect(')')?;
                break;
            }
        }
        Ok(lengths)
    }

    fn length(&mut self) -> Result<usize, String> {
        let text = self.0.trim_start();
        let end = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
        let (digits, rest) = text.split_at(end);
        let length = digits.parse().map_err(|_| format!("needs the length of an axis before {:?}", self.ahead()))?;
        // Python 2 wrote `3L`.
        self.0 = rest.strip_prefix('L').unwrap_or(rest);
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dictionaries_are_read_however_they_are_spaced() {
        let expected = Header { descr: "<f4".into(), fortran: false, shape: vec![2, 30] };
        for text in [
            "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 30), }          \n",
            "{\"shape\":(2,30,),\"descr\":\"<f4\",\"fortran_order\":False}",
            "  { 'fortran_order' : False , 'shape' : ( 2L , 30L ) , 'descr' : '<f4' } ",
        ] {
            assert_eq!(parse(text).as_ref(), Ok(&expected), "{text}");
        }
        assert_eq!(
            parse("{'descr': '|b1', 'fortran_order': True, 'shape': ()}").map(|header| header.shape),
            Ok(vec![])
        );
    }

    #[test]
    fn what_is_wrong_with_a_dictionary_is_said() {
        for (text, fault) in [
            ("", "needs '{' before \"\""),
            ("{'descr': '<f4', 'shape': (2,)}", "has no key 'fortran_order'"),
            ("{'descr': '<f4', 'descr': '<f4'}", "has the key 'descr' twice"),
            ("{'name': 1}", "has the key 'name', which is none of descr, fortran_order and shape"),
            ("{'descr': [('a', '<f4')]}", "has fields of several types: only arrays of plain numbers are read"),
            ("{'descr': <f4}", "needs a string before \"<f4}\""),
            ("{'fortran_order': 1}", "needs True or False before \"1}\""),
            ("{'shape': (-1,)}", "needs the length of an axis before \"-1,)}\""),
            ("{'shape': (99999999999999999999,)}", "needs the length of an axis before \"999999999999\""),
            ("{'shape': 3}", "needs '(' before \"3}\""),
            ("{'shape': (3 4)}", "needs ')' before \"4)}\""),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': ()} x", "goes on after its dictionary with \"x\""),
            ("{'descr': '<f4' 'shape'", "needs '}' before \"'shape'\""),
        ] {
            assert_eq!(parse(text), Err(fault.to_owned()), "{text}");
        }
    }
}
