//! As much of the zip format as `.npz` files are made of: entries that are stored or deflated, none encrypted, sizes in
//! 64 bits (PKWARE's APPNOTE 6.3). A directory is read with less trust than general readers have: a name that comes
//! twice is refused, and no memory is taken on a promise.

mod writer;

use std::collections::HashSet;
use std::io::{self, Read, Seek, SeekFrom};

use flate2::CrcReader;
use flate2::read::DeflateDecoder;

pub(super) use writer::ZipWriter;

/// Deflate makes no more than this many bytes of one.
const MOST_PER_BYTE: u64 = 1032;

/// The fixed part of the record at the end, of the one in 64 bits and of the pointer to that.
const END: usize = 22;
const END_64: usize = 56;
const LOCATOR: usize = 20;

/// The longest comment behind the end.
const COMMENT: usize = u16::MAX as usize;

const STORED: u16 = 0;
const DEFLATED: u16 = 8;

/// Stands where a number is in the extra field in 64 bits.
const ELSEWHERE: u32 = u32::MAX;

/// What went wrong.
pub(super) enum Fault {
    /// The source cannot be read.
    Io(io::Error),
    /// Its content is not what it should be.
    Content(String),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Fault::Io(error)
    }
}

fn fault<T>(message: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::Content(message.into()))
}

/// A file in an archive.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    /// Its bytes, unpacked.
    pub(super) size: u64,
    packed: u64,
    method: u16,
    encrypted: bool,
    crc: u32,
    /// Where its local header begins.
    at: u64,
}

/// Little-endian numbers of a record, whose length is known.
fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

/// Where the directory lies, and how many entries it has.
struct Directory {
    at: u64,
    size: u64,
    count: u64,
}

/// The entries of an archive, in the order of its directory.
pub(super) fn entries(source: &mut (impl Read + Seek + ?Sized)) -> Result<Vec<Entry>, Fault> {
    let Directory { at, size, count } = directory(source)?;
    source.seek(SeekFrom::Start(at))?;
    let mut bytes = vec![0; size as usize];
    source.read_exact(&mut bytes)?;
    let mut rest = &bytes[..];
    let mut entries: Vec<Entry> = Vec::new();
    let mut names = HashSet::new();
    while !rest.is_empty() {
        let (entry, name, after) = entry(rest, at)?;
        if !names.insert(name) {
            return fault(format!("two entries are called {name:?}"));
        }
        entries.push(entry);
        rest = after;
    }
    match entries.len() as u64 == count {
        true => Ok(entries),
        false => fault(format!("its directory promises {count} entries and has {}", entries.len())),
    }
}

/// Finds the record at the end, behind which there may be a comment.
fn directory(source: &mut (impl Read + Seek + ?Sized)) -> Result<Directory, Fault> {
    let len = source.seek(SeekFrom::End(0))?;
    let mut tail = vec![0; len.min((LOCATOR + END + COMMENT) as u64) as usize];
    let begin = len - tail.len() as u64;
    source.seek(SeekFrom::Start(begin))?;
    source.read_exact(&mut tail)?;
    let is_end = |&at: &usize| {
        let bytes = &tail[at..];
        bytes.starts_with(b"PK\x05\x06") && END + usize::from(u16_at(bytes, 20)) == bytes.len()
    };
    let Some(at) = (0..(tail.len() + 1).saturating_sub(END)).rev().find(is_end) else {
        return fault("not an npz file: no directory of a zip archive at its end");
    };
    let end = &tail[at..];
    if (u16_at(end, 4), u16_at(end, 6)) != (0, 0) || u16_at(end, 8) != u16_at(end, 10) {
        return fault("it is a part of an archive in several parts");
    }
    let mut ends = begin + at as u64;
    let mut found =
        Directory { at: u32_at(end, 16).into(), size: u32_at(end, 12).into(), count: u16_at(end, 10).into() };
    if let Some(locator) = at.checked_sub(LOCATOR).map(|at| &tail[at..]).filter(|tail| tail.starts_with(b"PK\x06\x07"))
    {
        ends = u64_at(locator, 8);
        found = directory_64(source, ends, len)?;
    }
    let Directory { at, size, .. } = found;
    if at.checked_add(size) != Some(ends) {
        return fault(format!("its directory should end at byte {ends}, and {size} bytes from byte {at} do not"));
    }
    Ok(found)
}

/// The record at the end in 64 bits.
fn directory_64(source: &mut (impl Read + Seek + ?Sized), at: u64, len: u64) -> Result<Directory, Fault> {
    let mut end = [0; END_64];
    if at.checked_add(END_64 as u64).is_none_or(|after| after > len) {
        return fault(format!("the end of its directory lies at byte {at} of {len}"));
    }
    source.seek(SeekFrom::Start(at))?;
    source.read_exact(&mut end)?;
    if !end.starts_with(b"PK\x06\x06") {
        return fault(format!("no end of a directory at byte {at}"));
    }
    Ok(Directory { at: u64_at(&end, 48), size: u64_at(&end, 40), count: u64_at(&end, 32) })
}

/// The first entry of what is left of a directory that lies at `directory`, its name, and what follows.
fn entry(bytes: &[u8], directory: u64) -> Result<(Entry, &str, &[u8]), Fault> {
    const FIXED: usize = 46;
    let ends_early = || Fault::Content("its directory ends within an entry".into());
    let (fixed, rest) = bytes.split_at_checked(FIXED).ok_or_else(ends_early)?;
    if !fixed.starts_with(b"PK\x01\x02") {
        return fault(format!("an entry of its directory begins with {:02x?}", &fixed[..4]));
    }
    let (name, rest) = rest.split_at_checked(u16_at(fixed, 28).into()).ok_or_else(ends_early)?;
    let (extra, rest) = rest.split_at_checked(u16_at(fixed, 30).into()).ok_or_else(ends_early)?;
    let (_comment, rest) = rest.split_at_checked(u16_at(fixed, 32).into()).ok_or_else(ends_early)?;
    let name =
        std::str::from_utf8(name).or_else(|_| fault(format!("the name {name:02x?} of an entry is not UTF-8")))?;
    let mut wide = wide_numbers(extra);
    let mut number = |at: usize| match u32_at(fixed, at) {
        ELSEWHERE => wide.next().ok_or_else(|| Fault::Content(format!("entry {name:?} lacks its sizes in 64 bits"))),
        number => Ok(u64::from(number)),
    };
    let (size, packed, at) = (number(24)?, number(20)?, number(42)?);
    let entry = Entry {
        name: name.to_owned(),
        size,
        packed,
        method: u16_at(fixed, 10),
        encrypted: u16_at(fixed, 8) & 1 != 0,
        crc: u32_at(fixed, 16),
        at,
    };
    if at.checked_add(packed).is_none_or(|end| end > directory) {
        return fault(format!(
            "entry {name:?} claims {packed} bytes from byte {at} on, and {directory} are before the directory"
        ));
    }
    Ok((entry, name, rest))
}

/// The numbers of the extra field with those in 64 bits: size, packed size, place; of them those that are needed.
fn wide_numbers(mut extra: &[u8]) -> impl Iterator<Item = u64> {
    let mut found: &[u8] = &[];
    while let Some((head, rest)) = extra.split_at_checked(4) {
        let Some((content, rest)) = rest.split_at_checked(u16_at(head, 2).into()) else { break };
        if u16_at(head, 0) == 1 {
            found = content;
            break;
        }
        extra = rest;
    }
    found.as_chunks::<8>().0.iter().map(|bytes| u64::from_le_bytes(*bytes))
}

/// What an entry holds, unpacked.
pub(super) struct Content<R> {
    reader: CrcReader<Unpack<R>>,
}

enum Unpack<R> {
    Stored(io::Take<R>),
    Deflated(DeflateDecoder<io::Take<R>>),
}

impl<R: Read> Read for Unpack<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Unpack::Stored(reader) => reader.read(buffer),
            Unpack::Deflated(reader) => reader.read(buffer),
        }
    }
}

impl<R: Read> Read for Content<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buffer)
    }
}

impl Entry {
    /// Whether all of its bytes are in the archive as they are.
    pub(super) fn is_stored(&self) -> bool {
        self.method == STORED
    }

    /// The content, from its beginning.
    pub(super) fn open<R: Read + Seek>(&self, mut source: R) -> Result<Content<R>, Fault> {
        const FIXED: usize = 30;
        let Entry { name, size, packed, .. } = self;
        if self.encrypted {
            return fault("it is encrypted");
        }
        match self.method {
            STORED if packed == size => {}
            STORED => return fault(format!("it is stored as it is in {packed} bytes, and should have {size}")),
            DEFLATED if *size <= packed.saturating_mul(MOST_PER_BYTE) => {}
            DEFLATED => return fault(format!("it should have {size} bytes, more than deflate makes of {packed}")),
            method => {
                return fault(format!("it is compressed by method {method}; 0 (stored) and 8 (deflated) are read"));
            }
        }
        source.seek(SeekFrom::Start(self.at))?;
        let mut fixed = [0; FIXED];
        source.read_exact(&mut fixed)?;
        let mut has = vec![0; name.len()];
        source.read_exact(&mut has)?;
        let alike = fixed.starts_with(b"PK\x03\x04") && u16_at(&fixed, 8) == self.method;
        if !alike || usize::from(u16_at(&fixed, 26)) != name.len() || has != name.as_bytes() {
            return fault(format!("its header at byte {} is not what the directory says", self.at));
        }
        source.seek(SeekFrom::Current(u16_at(&fixed, 28).into()))?;
        let reader = source.take(*packed);
        let reader =
            if self.is_stored() { Unpack::Stored(reader) } else { Unpack::Deflated(DeflateDecoder::new(reader)) };
        Ok(Content { reader: CrcReader::new(reader) })
    }

    /// Refuses a content that goes on, or was damaged. All that was promised has been read.
    pub(super) fn close<R: Read>(&self, mut content: Content<R>) -> Result<(), Fault> {
        let sum = content.reader.crc().sum();
        if content.read(&mut [0])? != 0 {
            return fault(format!("it goes on after the {} bytes that it should have", self.size));
        }
        match sum == self.crc {
            true => Ok(()),
            false => fault(format!("damaged: its CRC-32 is {sum:08x} and should be {:08x}", self.crc)),
        }
    }
}
