//! Images as PNG: one deflated strip of rows without prediction.

use std::io::{self, Write};

use flate2::write::ZlibEncoder;
use flate2::{Compression, Crc};

/// The bytes of a PNG file, from samples of 8 bits, `(height, width, channels)` with 1 channel (grey), 2 (and alpha),
/// 3 (red, green, blue) or 4 (and alpha).
pub(crate) fn encode(samples: &[u8], [height, width, channels]: [usize; 3]) -> io::Result<Vec<u8>> {
    let colours = [0, 0, 4, 2, 6][channels];
    let mut header = Vec::with_capacity(13);
    header.extend((width as u32).to_be_bytes());
    header.extend((height as u32).to_be_bytes());
    header.extend([8, colours, 0, 0, 0]);
    let mut pixels = ZlibEncoder::new(Vec::new(), Compression::default());
    for row in samples.chunks_exact(width * channels) {
        pixels.write_all(&[0])?; // the row as it is, without prediction
        pixels.write_all(row)?;
    }
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    chunk(&mut png, b"IHDR", &header);
    chunk(&mut png, b"IDAT", &pixels.finish()?);
    chunk(&mut png, b"IEND", &[]);
    Ok(png)
}

fn chunk(png: &mut Vec<u8>, kind: &[u8; 4], content: &[u8]) {
    png.extend((content.len() as u32).to_be_bytes());
    let begin = png.len();
    png.extend(kind);
    png.extend(content);
    let mut crc = Crc::new();
    crc.update(&png[begin..]);
    png.extend(crc.sum().to_be_bytes());
}
