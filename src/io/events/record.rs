//! The frame around each event of a file (TensorFlow's TFRecord): length, its checksum, the bytes, their checksum.

use std::io::{self, Write};

use crc::{CRC_32_ISCSI, Crc};

/// CRC-32C, with the polynomial of Castagnoli.
static CRC_32C: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// A checksum turned and shifted, so that the checksum of bytes that hold one is none of a special kind.
fn masked(bytes: &[u8]) -> u32 {
    CRC_32C.checksum(bytes).rotate_right(15).wrapping_add(0xA282_EAD8)
}

/// Writes one record.
pub(super) fn write(to: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    let length = (bytes.len() as u64).to_le_bytes();
    to.write_all(&length)?;
    to.write_all(&masked(&length).to_le_bytes())?;
    to.write_all(bytes)?;
    to.write_all(&masked(bytes).to_le_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 3720, B.4, and the check value of CRC-32/ISCSI.
    #[test]
    fn checksums_are_those_of_the_standard() {
        let ascending: Vec<u8> = (0..32).collect();
        assert_eq!(CRC_32C.checksum(b"123456789"), 0xE306_9283);
        assert_eq!(CRC_32C.checksum(&[0; 32]), 0x8A91_36AA);
        assert_eq!(CRC_32C.checksum(&[0xFF; 32]), 0x62A8_AB43);
        assert_eq!(CRC_32C.checksum(&ascending), 0x46DD_794E);
    }
}
