//! Writing an archive.

use std::io::{self, Seek, SeekFrom, Write};

use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};

use super::{DEFLATED, END, END_64, STORED};

/// Writes an archive. Sizes are in 64 bits throughout, so that large files go the way that small ones have proved.
pub(in crate::io) struct ZipWriter<W> {
    to: W,
    /// The directory so far.
    directory: Vec<u8>,
    count: u64,
}

/// Counts and sums up what goes through.
struct Tally<'t, W> {
    to: &'t mut W,
    crc: Crc,
    count: u64,
}

impl<W: Write> Write for Tally<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.crc.update(&bytes[..written]);
        self.count += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

impl<W: Write + Seek> ZipWriter<W> {
    pub(in crate::io) fn new(to: W) -> Self {
        ZipWriter { to, directory: Vec::new(), count: 0 }
    }

    /// Adds a file with the content that `write` writes.
    pub(in crate::io) fn add(
        &mut self,
        name: &str,
        deflate: bool,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<()> {
        let at = self.to.stream_position()?;
        let method = if deflate { DEFLATED } else { STORED };
        // The sums are known afterwards: room for them now.
        self.to.write_all(&local_header(name, method, 0, 0, 0))?;
        let mut packed = Tally { to: &mut self.to, crc: Crc::new(), count: 0 };
        let (crc, size) = if deflate {
            let mut encoder = DeflateEncoder::new(&mut packed, Compression::default());
            let mut content = Tally { to: &mut encoder, crc: Crc::new(), count: 0 };
            write(&mut content)?;
            let sums = (content.crc.sum(), content.count);
            encoder.finish()?;
            sums
        } else {
            write(&mut packed)?;
            (packed.crc.sum(), packed.count)
        };
        let packed = packed.count;
        let end = self.to.stream_position()?;
        self.to.seek(SeekFrom::Start(at))?;
        self.to.write_all(&local_header(name, method, crc, size, packed))?;
        self.to.seek(SeekFrom::Start(end))?;
        self.directory.extend(directory_entry(name, method, crc, size, packed, at));
        self.count += 1;
        Ok(())
    }

    /// Writes the directory.
    pub(in crate::io) fn finish(mut self) -> io::Result<()> {
        if self.count == 0 {
            // NumPy knows an empty archive by this record, which must be its first.
            return self.to.write_all(&[&b"PK\x05\x06"[..], &[0; END - 4]].concat());
        }
        let at = self.to.stream_position()?;
        let end = at + self.directory.len() as u64;
        self.to.write_all(&self.directory)?;
        let mut record = b"PK\x06\x06".to_vec();
        record.extend((END_64 as u64 - 12).to_le_bytes());
        record.extend([45, 0, 45, 0]);
        record.extend([0; 8]); // numbers of disks
        for number in [self.count, self.count, self.directory.len() as u64, at] {
            record.extend(number.to_le_bytes());
        }
        record.extend(b"PK\x06\x07\0\0\0\0");
        record.extend(end.to_le_bytes());
        record.extend(1_u32.to_le_bytes());
        record.extend(b"PK\x05\x06\0\0\0\0");
        record.extend([0xFF; 12]); // all of it is above
        record.extend([0, 0]);
        self.to.write_all(&record)
    }
}

/// Version 4.5, names in UTF-8, the first moment that the format knows: files depend on their content alone.
fn common(name: &str, method: u16, crc: u32, extra: u16) -> Vec<u8> {
    let mut bytes = vec![45, 0];
    bytes.extend(0x0800_u16.to_le_bytes());
    bytes.extend(method.to_le_bytes());
    bytes.extend([0, 0, 0x21, 0]);
    bytes.extend(crc.to_le_bytes());
    bytes.extend([0xFF; 8]);
    bytes.extend((name.len() as u16).to_le_bytes());
    bytes.extend(extra.to_le_bytes());
    bytes
}

fn local_header(name: &str, method: u16, crc: u32, size: u64, packed: u64) -> Vec<u8> {
    let mut bytes = b"PK\x03\x04".to_vec();
    bytes.extend(common(name, method, crc, 20));
    bytes.extend(name.as_bytes());
    bytes.extend([1, 0, 16, 0]);
    bytes.extend(size.to_le_bytes());
    bytes.extend(packed.to_le_bytes());
    bytes
}

fn directory_entry(name: &str, method: u16, crc: u32, size: u64, packed: u64, at: u64) -> Vec<u8> {
    let mut bytes = b"PK\x01\x02\x2d\x03".to_vec(); // made by version 4.5 on Unix
    bytes.extend(common(name, method, crc, 28));
    bytes.extend([0; 6]); // no comment, disk 0, binary
    bytes.extend((0o100_644_u32 << 16).to_le_bytes());
    bytes.extend([0xFF; 4]);
    bytes.extend(name.as_bytes());
    bytes.extend([1, 0, 24, 0]);
    for number in [size, packed, at] {
        bytes.extend(number.to_le_bytes());
    }
    bytes
}
