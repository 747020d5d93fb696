//! The number types of files, from and to bytes with the lowest first.

use crate::scalar::Scalar;

/// The types that the safetensors format has: name, and bits of a number.
const TYPES: [(&str, usize); 22] = [
    ("BOOL", 8),
    ("F4", 4),
    ("F6_E2M3", 6),
    ("F6_E3M2", 6),
    ("U8", 8),
    ("I8", 8),
    ("F8_E5M2", 8),
    ("F8_E4M3", 8),
    ("F8_E8M0", 8),
    ("F8_E4M3FNUZ", 8),
    ("F8_E5M2FNUZ", 8),
    ("I16", 16),
    ("U16", 16),
    ("F16", 16),
    ("BF16", 16),
    ("I32", 32),
    ("U32", 32),
    ("F32", 32),
    ("C64", 64),
    ("F64", 64),
    ("I64", 64),
    ("U64", 64),
];

/// A number type of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Type {
    pub(super) name: &'static str,
    pub(super) bits: usize,
}

impl Type {
    /// The type of a name.
    pub(super) fn of(name: &str) -> Option<Self> {
        let (name, bits) = TYPES.into_iter().find(|&(known, _)| known == name)?;
        Some(Type { name, bits })
    }
}

/// Why a number of a file cannot be taken in: its place, and what it is.
pub(super) struct Unfit {
    pub(super) at: usize,
    pub(super) value: String,
}

/// The numbers that the bytes hold, or `None` for a type that is not read as numbers.
///
/// Floats are rounded to the nearest; whole numbers that `A` does not hold exactly, and finite floats that would become
/// infinite, are unfit.
pub(super) fn decode<A: Scalar>(kind: Type, bytes: &[u8]) -> Option<Result<Vec<A>, Unfit>> {
    if kind.name == A::FILE_TYPE {
        return Some(Ok(bytes.chunks_exact(size_of::<A>()).map(A::from_file).collect()));
    }
    /// The bytes as numbers of one type.
    macro_rules! numbers {
        ($number:ty) => {
            bytes.as_chunks().0.iter().map(|&bytes| <$number>::from_le_bytes(bytes))
        };
    }
    Some(match kind.name {
        "F16" => floats(numbers!(u16).map(half)),
        "BF16" => floats(numbers!(u16).map(|bits| f64::from(f32::from_bits(u32::from(bits) << 16)))),
        "F32" => floats(numbers!(f32).map(f64::from)),
        "F64" => floats(numbers!(f64)),
        "U8" => whole(numbers!(u8).map(i128::from)),
        "I8" => whole(numbers!(i8).map(i128::from)),
        "U16" => whole(numbers!(u16).map(i128::from)),
        "I16" => whole(numbers!(i16).map(i128::from)),
        "U32" => whole(numbers!(u32).map(i128::from)),
        "I32" => whole(numbers!(i32).map(i128::from)),
        "U64" => whole(numbers!(u64).map(i128::from)),
        "I64" => whole(numbers!(i64).map(i128::from)),
        _ => return None,
    })
}

fn floats<A: Scalar>(values: impl ExactSizeIterator<Item = f64>) -> Result<Vec<A>, Unfit> {
    let take = |(at, value): (usize, f64)| {
        let taken = A::of(value);
        if taken.is_infinite() && value.is_finite() { Err(Unfit { at, value: value.to_string() }) } else { Ok(taken) }
    };
    collect(values.enumerate().map(take))
}

fn whole<A: Scalar>(values: impl ExactSizeIterator<Item = i128>) -> Result<Vec<A>, Unfit> {
    // Every whole number up to 2 / epsilon (2^24 in f32, 2^53 in f64) has a float of its own.
    let most = (2.0 / A::epsilon().as_f64()) as i128;
    let take = |(at, value): (usize, i128)| {
        if value.abs() <= most { Ok(A::of(value as f64)) } else { Err(Unfit { at, value: value.to_string() }) }
    };
    collect(values.enumerate().map(take))
}

/// All of them or the first error, in memory that is taken once: collecting results grows it step by step.
fn collect<A>(values: impl ExactSizeIterator<Item = Result<A, Unfit>>) -> Result<Vec<A>, Unfit> {
    let mut all = Vec::with_capacity(values.len());
    for value in values {
        all.push(value?);
    }
    Ok(all)
}

/// The value of a number of 16 bits: sign, 5 of the exponent, 10 of the fraction (IEEE 754 binary16).
pub(super) fn half(bits: u16) -> f64 {
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1F), f64::from(bits & 0x3FF));
    let magnitude = match exponent {
        0 => fraction * 2f64.powi(-24),
        0x1F if fraction == 0.0 => f64::INFINITY,
        0x1F => f64::NAN,
        _ => (1.0 + fraction / 1024.0) * 2f64.powi(exponent - 15),
    };
    if bits >> 15 == 1 { -magnitude } else { magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_16_bits_are_those_of_the_standard() {
        for (bits, value) in [
            (0x0000, 0.0),
            (0x0001, 2f64.powi(-24)),
            (0x03FF, 6.097555160522461e-5),
            (0x0400, 6.103515625e-5),
            (0x3555, 0.333251953125),
            (0x3C00, 1.0),
            (0xC000, -2.0),
            (0x7BFF, 65504.0),
            (0x7C00, f64::INFINITY),
            (0xFC00, f64::NEG_INFINITY),
        ] {
            assert_eq!(half(bits), value, "{bits:#06x}");
        }
        assert!(half(0x7E01).is_nan());
        assert!(half(0x8000).is_sign_negative());
    }
}
