//! Categories of any number in columns of a fixed number.

use std::marker::PhantomData;

use ndarray::Array2;
use serde_json::{Value, json};

use super::encode::encode;
use super::transform::MOST_FEATURES;
use crate::data::column::Column;
use crate::data::features::not_fitted;
use crate::data::table::{Table, table_error};
use crate::error::{Error, Result};
use crate::io::Fields;
use crate::scalar::Scalar;

/// Columns of a table, hashed into a fixed number of features (Weinberger et al. 2009): no category is unknown, and
/// there may be any number of them.
///
/// A cell of text adds 1 or -1 to the feature that the hash of `column=cell` names, a number adds itself or its
/// negative to that of `column`. The hash is MurmurHash3 with 32 bits and seed 0, feature and sign are chosen as in
/// scikit-learn, so that the same table gives the same array there. A missing cell is an error.
///
/// ```
/// use layerwise::data::{FeatureHasher, Table};
/// let table = Table::from_reader("city,rooms\nBerne,3\nParis,2\n".as_bytes(), "flats")?;
/// let array = FeatureHasher::new(8).fit(&table, &["city", "rooms"])?.transform(&table)?;
/// assert_eq!(array.dim(), (2, 8));
/// # Ok::<(), layerwise::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct FeatureHasher<A = f32> {
    features: usize,
    alternate_sign: bool,
    columns: Vec<String>,
    number: PhantomData<A>,
}

encode!(FeatureHasher);

impl FeatureHasher<f32> {
    /// One that makes `f32` arrays of so many features, with signs.
    pub fn new(features: usize) -> Self {
        Self::of(features)
    }
}

impl<A: Scalar> FeatureHasher<A> {
    /// One that makes arrays of either number type of so many features, with signs.
    pub fn of(features: usize) -> Self {
        Self { features, alternate_sign: true, columns: Vec::new(), number: PhantomData }
    }

    /// Whether the hash chooses a sign too, so that categories that fall together cancel on average.
    #[must_use]
    pub fn alternate_sign(mut self, alternate_sign: bool) -> Self {
        self.alternate_sign = alternate_sign;
        self
    }

    /// Chooses the columns; there is nothing to learn of their cells.
    ///
    /// # Errors
    /// [`Error::Setting`] for no features or more than 65536, [`Error::Table`] for a column that does not exist,
    /// [`Error::Empty`] for no columns.
    pub fn fit(&mut self, table: &Table, columns: &[impl AsRef<str>]) -> Result<&mut Self> {
        self.check()?;
        if columns.is_empty() {
            return Err(Error::Empty("the choice of columns of FeatureHasher".to_owned()));
        }
        for column in columns {
            table.column(column.as_ref())?;
        }
        self.columns = columns.iter().map(|column| column.as_ref().to_owned()).collect();
        Ok(self)
    }

    fn check(&self) -> Result<()> {
        match self.features {
            1..=MOST_FEATURES => Ok(()),
            other => Err(Error::setting("features", format!("from 1 to {MOST_FEATURES}"), other)),
        }
    }

    /// The array `(rows, features)`.
    ///
    /// # Errors
    /// [`Error::Setting`] before `fit`; [`Error::Table`], with line and column, for a missing cell or a number
    /// too large for `A`.
    pub fn transform(&self, table: &Table) -> Result<Array2<A>> {
        if self.columns.is_empty() {
            return Err(not_fitted("FeatureHasher"));
        }
        let mut array = Array2::zeros((table.rows(), self.features));
        for name in &self.columns {
            let column = table.column(name)?;
            for (row, mut out) in array.rows_mut().into_iter().enumerate() {
                if column.is_missing(row) {
                    return Err(table.missing_cell(row, name));
                }
                let (hash, amount) = match column {
                    Column::Numbers(cells) => (murmur3(name.as_bytes()), cells[row]),
                    Column::Text(cells) => {
                        let cell = cells[row].as_deref().unwrap_or_default();
                        (murmur3(format!("{name}={cell}").as_bytes()), 1.0)
                    }
                };
                let signed = if self.alternate_sign && hash < 0 { -amount } else { amount };
                let total: &mut A = &mut out[hash.unsigned_abs() as usize % self.features];
                *total += A::of(signed);
                if total.is_infinite() {
                    let message = format!("{amount:?} is too large for {}", A::NAME);
                    return Err(table_error(table.name(), Some(table.lines[row]), Some(name), message));
                }
            }
        }
        Ok(array)
    }

    /// The names of the array's features: `hash_0`, `hash_1`...
    pub fn feature_names_out(&self) -> Vec<String> {
        (0..self.features).map(|feature| format!("hash_{feature}")).collect()
    }

    fn json(&self) -> Result<Value> {
        if self.columns.is_empty() {
            return Err(not_fitted("FeatureHasher"));
        }
        let (features, sign) = (self.features, self.alternate_sign);
        Ok(json!({ "kind": "FeatureHasher", "features": features, "alternate_sign": sign, "columns": self.columns }))
    }

    pub(super) fn read(fields: &Fields<'_>) -> Result<Self> {
        let mut read = Self::of(fields.get("features")?).alternate_sign(fields.get("alternate_sign")?);
        read.check()?;
        read.columns = fields.get("columns")?;
        match read.columns.is_empty() {
            true => Err(Error::Empty(fields.place().key("columns").to_string())),
            false => Ok(read),
        }
    }
}

/// MurmurHash3_x86_32 with seed 0 (Austin Appleby, public domain).
fn murmur3(bytes: &[u8]) -> i32 {
    let scramble = |word: u32| word.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593);
    let (words, tail) = bytes.as_chunks();
    let mut hash = 0u32;
    for &word in words {
        hash ^= scramble(u32::from_le_bytes(word));
        hash = hash.rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64);
    }
    let mut last = [0; 4];
    last[..tail.len()].copy_from_slice(tail);
    hash ^= scramble(u32::from_le_bytes(last));
    hash ^= bytes.len() as u32;
    hash = (hash ^ (hash >> 16)).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ (hash >> 13)).wrapping_mul(0xc2b2_ae35);
    (hash ^ (hash >> 16)) as i32
}
