//! Which line of a file a record is on.

/// Counts lines up to byte positions that rise.
///
/// The csv crate counts too, but starts a record where the one before ended: before the `\n` of a `\r\n`, and before
/// any blank lines.
pub(super) struct Lines<'a> {
    text: &'a [u8],
    byte: usize,
    line: u64,
}

impl<'a> Lines<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self { text, byte: 0, line: 1 }
    }

    /// The line, counted from 1, of the first byte at or after this one that is not part of a line end.
    pub(super) fn at(&mut self, byte: u64) -> u64 {
        let byte = usize::try_from(byte).unwrap_or(usize::MAX);
        while let Some(&here) = self.text.get(self.byte) {
            let end = matches!(here, b'\n' | b'\r');
            if self.byte >= byte && !end {
                break;
            }
            // Of `\r\n`, the `\n` counts.
            self.line += u64::from(end && !(here == b'\r' && self.text.get(self.byte + 1) == Some(&b'\n')));
            self.byte += 1;
        }
        self.line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_of_all_systems_count_once() {
        for text in ["ab\n\ncd\nef", "ab\r\n\r\ncd\r\nef", "ab\r\rcd\ref"] {
            let mut lines = Lines::new(text.as_bytes());
            let after = text.find("cd").map_or(0, |byte| byte + 2);
            assert_eq!([lines.at(0), lines.at(2), lines.at(after as u64)], [1, 3, 4], "{text:?}");
        }
    }
}
