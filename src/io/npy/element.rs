//! The types of elements: how each is stored, and what it takes in.

use std::convert::identity;
use std::io::{self, Read, Write};

use crate::io::number::half;
use crate::scalar::Scalar;

/// What an `.npy` array can be read as and written from: floats, whole numbers, booleans.
///
/// An array is read as another type than its own where every element has a place there: a whole number or a boolean as
/// a number of that value (up to 2^24 as `f32`, up to 2^53 as `f64`), a float as a float, rounded to nearest, or as the
/// whole number that it is. Anything else (2^24 + 1 as `f32`, 1e300 as `f32`, 0.5 as `i64`) is an error that names the
/// element.
pub trait NpyElement: Copy + private::Sealed {
    /// NumPy's name of the type, lowest byte first.
    #[doc(hidden)]
    const DESCR: &'static str;
    /// The name in Rust.
    #[doc(hidden)]
    const NAME: &'static str;

    /// A whole number.
    #[doc(hidden)]
    fn of_int(value: i128) -> Option<Self>;

    /// A float.
    #[doc(hidden)]
    fn of_f64(value: f64) -> Option<Self>;

    /// A float in half the bytes: `f32` itself keeps all its bits.
    #[doc(hidden)]
    fn of_f32(value: f32) -> Option<Self> {
        Self::of_f64(f64::from(value))
    }

    /// Writes the bytes, lowest first.
    #[doc(hidden)]
    fn write(self, to: &mut dyn Write) -> io::Result<()>;
}

mod private {
    pub trait Sealed {}
}

/// A float of either width, rounded; one that is too large is not infinity.
fn round<A: Scalar>(value: f64) -> Option<A> {
    Some(A::of(value)).filter(|taken| taken.is_finite() || !value.is_finite())
}

/// A whole number as a float. Up to 2 / epsilon (2^24 in `f32`, 2^53 in `f64`) each has one of its own.
fn exactly<A: Scalar>(value: i128) -> Option<A> {
    let most = (2.0 / A::epsilon().as_f64()) as i128;
    (value.abs() <= most).then(|| A::of(value as f64))
}

macro_rules! element {
    ($type:ident, $descr:literal, $bits:expr, $of_int:expr, $of_f64:expr $(, $of_f32:expr)?) => {
        impl private::Sealed for $type {}

        impl NpyElement for $type {
            const DESCR: &'static str = $descr;
            const NAME: &'static str = stringify!($type);

            fn of_int(value: i128) -> Option<Self> {
                $of_int(value)
            }

            fn of_f64(value: f64) -> Option<Self> {
                $of_f64(value)
            }

            $(fn of_f32(value: f32) -> Option<Self> {
                $of_f32(value)
            })?

            fn write(self, to: &mut dyn Write) -> io::Result<()> {
                to.write_all(&$bits(self).to_le_bytes())
            }
        }
    };
}
element!(f32, "<f4", identity, exactly, round, Some);
element!(f64, "<f8", identity, exactly, Some);
element!(bool, "|b1", u8::from, boolean, |value: f64| boolean(whole(value)?));

macro_rules! whole_elements {
    ($($type:ident $descr:literal),*) => {
        $(element!($type, $descr, identity, fit, |value: f64| fit(whole(value)?));)*
    };
}
whole_elements!(i8 "|i1", i16 "<i2", i32 "<i4", i64 "<i8", u8 "|u1", u16 "<u2", u32 "<u4", u64 "<u8");

fn fit<T: TryFrom<i128>>(value: i128) -> Option<T> {
    T::try_from(value).ok()
}

/// A float that is a whole number.
fn whole(value: f64) -> Option<i128> {
    // Every type of whole numbers ends below 2^64.
    (value.fract() == 0.0 && value.abs() <= 2_f64.powi(64)).then_some(value as i128)
}

fn boolean(value: i128) -> Option<bool> {
    match value {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

/// How the elements of a file are stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Stored {
    kind: Kind,
    big_endian: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    F2,
    F4,
    F8,
    I1,
    I2,
    I4,
    I8,
    U1,
    U2,
    U4,
    U8,
    Bool,
}

/// Why elements did not come.
pub(super) enum Stopped {
    /// The file gave no more.
    Read(io::Error),
    /// The element at this position has no place in the type that was asked for.
    Refused { position: usize, got: String },
}

/// The bytes that are read at once: a multiple of every element's.
const CHUNK: usize = 8192;

impl Stored {
    /// From NumPy's name of the type; `None` for what is not a plain number.
    pub(super) fn of(descr: &str) -> Option<Self> {
        let (order, name) = descr.split_at_checked(1)?;
        let kind = match name {
            "f2" => Kind::F2,
            "f4" => Kind::F4,
            "f8" => Kind::F8,
            "i1" => Kind::I1,
            "i2" => Kind::I2,
            "i4" => Kind::I4,
            "i8" => Kind::I8,
            "u1" => Kind::U1,
            "u2" => Kind::U2,
            "u4" => Kind::U4,
            "u8" => Kind::U8,
            "b1" => Kind::Bool,
            _ => return None,
        };
        let stored = Stored { kind, big_endian: order == ">" };
        // Without an order only single bytes are what they are on every machine.
        let known = matches!(order, "<" | ">") || (order == "|" && stored.size() == 1);
        known.then_some(stored)
    }

    /// The bytes of one element.
    pub(super) fn size(self) -> usize {
        match self.kind {
            Kind::I1 | Kind::U1 | Kind::Bool => 1,
            Kind::F2 | Kind::I2 | Kind::U2 => 2,
            Kind::F4 | Kind::I4 | Kind::U4 => 4,
            Kind::F8 | Kind::I8 | Kind::U8 => 8,
        }
    }

    /// Reads so many elements onto the end of `values`.
    pub(super) fn read<T: NpyElement>(
        self,
        reader: &mut dyn Read,
        count: usize,
        values: &mut Vec<T>,
    ) -> Result<(), Stopped> {
        macro_rules! read {
            ($type:ident, $take:expr) => {
                each(reader, count, values, |bytes| {
                    let value = if self.big_endian { $type::from_be_bytes(bytes) } else { $type::from_le_bytes(bytes) };
                    let take: fn($type) -> Option<T> = $take;
                    take(value).ok_or_else(|| format!("{value:?}"))
                })
            };
        }
        match self.kind {
            Kind::F2 => each(reader, count, values, |bytes| {
                let bits = if self.big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) };
                let value = half(bits);
                T::of_f64(value).ok_or_else(|| format!("{value:?}"))
            }),
            Kind::F4 => read!(f32, |value| T::of_f32(value)),
            Kind::F8 => read!(f64, |value| T::of_f64(value)),
            Kind::I1 => read!(i8, |value| T::of_int(value.into())),
            Kind::I2 => read!(i16, |value| T::of_int(value.into())),
            Kind::I4 => read!(i32, |value| T::of_int(value.into())),
            Kind::I8 => read!(i64, |value| T::of_int(value.into())),
            Kind::U1 => read!(u8, |value| T::of_int(value.into())),
            Kind::U2 => read!(u16, |value| T::of_int(value.into())),
            Kind::U4 => read!(u32, |value| T::of_int(value.into())),
            Kind::U8 => read!(u64, |value| T::of_int(value.into())),
            Kind::Bool => each(reader, count, values, |[byte]: [u8; 1]| match byte {
                0 | 1 => T::of_int(byte.into()).ok_or_else(|| byte.to_string()),
                _ => Err(format!("the byte {byte} of a boolean")),
            }),
        }
    }
}

/// Reads elements of `N` bytes chunk by chunk.
fn each<T, const N: usize>(
    reader: &mut dyn Read,
    count: usize,
    values: &mut Vec<T>,
    take: impl Fn([u8; N]) -> Result<T, String>,
) -> Result<(), Stopped> {
    let mut chunk = [0; CHUNK];
    let mut left = count;
    while left > 0 {
        let now = left.min(CHUNK / N);
        let bytes = &mut chunk[..now * N];
        reader.read_exact(bytes).map_err(Stopped::Read)?;
        for (at, bytes) in bytes.as_chunks().0.iter().enumerate() {
            let refused = |got| Stopped::Refused { position: count - left + at, got };
            values.push(take(*bytes).map_err(refused)?);
        }
        left -= now;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_taken_where_it_has_a_place() {
        assert_eq!(f32::of_int(-(1 << 24)), Some(-16_777_216.0));
        assert_eq!(f32::of_int((1 << 24) + 1), None);
        assert_eq!(f64::of_int(1 << 53), Some(9_007_199_254_740_992.0));
        assert_eq!(f64::of_int(i128::from(u64::MAX)), None);
        assert_eq!(f32::of_f64(0.1), Some(0.1));
        assert_eq!(f32::of_f64(1e300), None);
        assert_eq!(f32::of_f64(f64::INFINITY), Some(f32::INFINITY));
        assert_eq!(i64::of_f64(-3.0), Some(-3));
        assert_eq!(i64::of_f64(0.5), None);
        assert_eq!(i64::of_f64(f64::NAN), None);
        assert_eq!(u64::of_f64(2_f64.powi(64)), None);
        assert_eq!(u8::of_int(256), None);
        assert_eq!(bool::of_int(2), None);
        assert_eq!(f32::of_f32(f32::from_bits(0x7F80_0001)).map(f32::to_bits), Some(0x7F80_0001));
    }
}
