//! As much of Protocol Buffers as events are made of: messages are written, never read.
//!
//! A field is a key (its number and how it is written) and a value. As the format's third version has it, numbers that
//! are 0 and texts that are empty are left out, but for members of a `oneof`, where being there is a message of its own.

/// A message under construction: its fields, in the order of their numbers.
#[derive(Default, Clone, Debug)]
pub(super) struct Message(Vec<u8>);

/// How a value is written.
const VARINT: u64 = 0;
const EIGHT_BYTES: u64 = 1;
const LENGTH: u64 = 2;
const FOUR_BYTES: u64 = 5;

impl Message {
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Seven bits a byte, the lowest first; the highest bit of a byte says that more follow.
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn key(&mut self, field: u64, written: u64) {
        self.varint(field << 3 | written);
    }

    /// A whole number; -1 is written as 2^64 - 1.
    #[must_use]
    pub(super) fn int(mut self, field: u64, value: i64) -> Self {
        if value != 0 {
            self.key(field, VARINT);
            self.varint(value as u64);
        }
        self
    }

    /// A float of 64 bits; -0 is not 0.
    #[must_use]
    pub(super) fn double(mut self, field: u64, value: f64) -> Self {
        if value.to_bits() != 0 {
            self.key(field, EIGHT_BYTES);
            self.0.extend(value.to_le_bytes());
        }
        self
    }

    /// A float of 32 bits in a `oneof`.
    #[must_use]
    pub(super) fn chosen_float(mut self, field: u64, value: f32) -> Self {
        self.key(field, FOUR_BYTES);
        self.0.extend(value.to_le_bytes());
        self
    }

    /// A text or bytes.
    #[must_use]
    pub(super) fn text(self, field: u64, value: impl AsRef<[u8]>) -> Self {
        if value.as_ref().is_empty() { self } else { self.chosen_bytes(field, value) }
    }

    /// Bytes in a `oneof`, or one of several.
    #[must_use]
    pub(super) fn chosen_bytes(mut self, field: u64, value: impl AsRef<[u8]>) -> Self {
        self.key(field, LENGTH);
        self.varint(value.as_ref().len() as u64);
        self.0.extend(value.as_ref());
        self
    }

    /// A message within this one.
    #[must_use]
    pub(super) fn message(self, field: u64, value: &Message) -> Self {
        self.chosen_bytes(field, &value.0)
    }

    /// Floats of 64 bits, one behind the other.
    #[must_use]
    pub(super) fn doubles(mut self, field: u64, values: &[f64]) -> Self {
        if !values.is_empty() {
            self.key(field, LENGTH);
            self.varint(8 * values.len() as u64);
            values.iter().for_each(|value| self.0.extend(value.to_le_bytes()));
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of <https://protobuf.dev/programming-guides/encoding>.
    #[test]
    fn the_examples_of_the_format_come_out() {
        assert_eq!(Message::new().int(1, 150).bytes(), [0x08, 0x96, 0x01]);
        let testing = [&[0x12, 0x07][..], b"testing"].concat();
        assert_eq!(Message::new().text(2, "testing").bytes(), testing);
        let inner = Message::new().int(1, 150);
        assert_eq!(Message::new().message(3, &inner).bytes(), [0x1a, 0x03, 0x08, 0x96, 0x01]);
        let minus_two = Message::new().int(1, -2);
        assert_eq!(minus_two.bytes(), [0x08, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]);
        assert!(Message::new().int(1, 0).text(2, "").double(3, 0.0).doubles(4, &[]).bytes().is_empty());
    }
}
