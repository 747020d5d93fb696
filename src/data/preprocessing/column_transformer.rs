//! Different preprocessors for different columns of a table.

use std::path::Path;

use ndarray::{Array2, Axis, concatenate};
use serde_json::{Value, json};

use super::encode::Encode;
use super::part::Part;
use super::pipeline::Pipeline;
use super::stored::each;
use super::transform::Transform;
use crate::data::features::not_fitted;
use crate::data::impute::Impute;
use crate::data::table::Table;
use crate::data::table_imputer::TableImputer;
use crate::error::{Error, Result};
use crate::io::{Fields, Place, TensorFile, json as strict, model_tensors};
use crate::layer::Layer;
use crate::scalar::Scalar;

/// The key of the metadata under which a model's file has the transformer of its inputs.
const DATA: &str = "layerwise.data";

/// Makes one array of a table, by different preprocessors for different columns, and is saved with the model that the
/// array is for.
///
/// The array has the features of each part in the order in which the parts were added; columns that no part names are
/// left out. Columns are matched by name, so that a table to predict from may have others, or an order of its own.
///
/// ```
/// use layerwise::data::{ColumnTransformer, Impute, OneHotEncoder, Pipeline, SimpleImputer, StandardScaler, Table};
/// let file = "age,income,port\n20,100,S\n40,,C\n30,300,\n";
/// let table = Table::from_reader(file.as_bytes(), "people")?;
/// let scaled = Pipeline::new().then(SimpleImputer::new(Impute::Mean)).then(StandardScaler::new());
/// let mut transformer = ColumnTransformer::new()
///     .fill(&["port"], Impute::MostFrequent)
///     .numbers(&["income", "age"], scaled)
///     .encoded(&["port"], OneHotEncoder::new());
/// let x = transformer.fit_transform(&table)?;
/// assert_eq!(x.dim(), (3, 4));
/// assert_eq!(transformer.feature_names_out(), ["income", "age", "port_C", "port_S"]);
/// assert_eq!(x.row(2).to_vec()[2..], [1.0, 0.0]);
/// # Ok::<(), layerwise::Error>(())
/// ```
#[derive(Debug)]
pub struct ColumnTransformer<A: Scalar = f32> {
    fills: Vec<TableImputer>,
    parts: Vec<Part<A>>,
    fitted: bool,
}

impl ColumnTransformer<f32> {
    /// One for `f32` models, without parts yet.
    pub fn new() -> Self {
        Self::of()
    }
}

impl<A: Scalar> Default for ColumnTransformer<A> {
    fn default() -> Self {
        Self::of()
    }
}

impl<A: Scalar> ColumnTransformer<A> {
    /// One for models of either number type, without parts yet.
    pub fn of() -> Self {
        Self { fills: Vec::new(), parts: Vec::new(), fitted: false }
    }

    /// Fills missing cells of these columns, in the table itself, before any part sees them.
    #[must_use]
    pub fn fill(mut self, columns: &[impl AsRef<str>], strategy: Impute) -> Self {
        self.fills.push(TableImputer::new(strategy).columns(columns));
        self.fitted = false;
        self
    }

    /// Columns of numbers, NaN where a cell is missing, through a preprocessor or a [`Pipeline`] of them.
    #[must_use]
    pub fn numbers(self, columns: &[impl AsRef<str>], steps: impl Transform<A> + 'static) -> Self {
        self.part(columns, None, Box::new(steps))
    }

    /// Columns of numbers as they are.
    #[must_use]
    pub fn passthrough(self, columns: &[impl AsRef<str>]) -> Self {
        self.numbers(columns, Pipeline::of())
    }

    /// Columns of any kind through an encoder.
    #[must_use]
    pub fn encoded(self, columns: &[impl AsRef<str>], encoder: impl Encode<A> + 'static) -> Self {
        self.encoded_then(columns, encoder, Pipeline::of())
    }

    /// Columns of any kind through an encoder, and its array through a preprocessor or a [`Pipeline`] of them.
    #[must_use]
    pub fn encoded_then(
        self,
        columns: &[impl AsRef<str>],
        encoder: impl Encode<A> + 'static,
        steps: impl Transform<A> + 'static,
    ) -> Self {
        self.part(columns, Some(Box::new(encoder)), Box::new(steps))
    }

    fn part(
        mut self,
        columns: &[impl AsRef<str>],
        encoder: Option<Box<dyn Encode<A>>>,
        steps: Box<dyn Transform<A>>,
    ) -> Self {
        let columns = columns.iter().map(|column| column.as_ref().to_owned()).collect();
        self.parts.push(Part { columns, encoder, steps });
        self.fitted = false;
        self
    }

    /// Learns from a table: give it the training rows alone.
    ///
    /// # Errors
    /// [`Error::Empty`] without parts, or for one without columns; and those of the parts, with their columns.
    pub fn fit(&mut self, table: &Table) -> Result<&mut Self> {
        if self.parts.is_empty() {
            return Err(Error::Empty("ColumnTransformer, which has no part yet,".to_owned()));
        }
        if self.parts.iter().any(|part| part.columns.is_empty()) {
            return Err(Error::Empty("the choice of columns of ColumnTransformer".to_owned()));
        }
        self.fitted = false;
        let mut filled = table.clone();
        for fill in &mut self.fills {
            filled = fill.fit_transform(&filled)?;
        }
        for part in &mut self.parts {
            part.fit(&filled).map_err(|error| part.within(error))?;
        }
        self.fitted = true;
        Ok(self)
    }

    /// The array `(rows, features)`.
    ///
    /// # Errors
    /// [`Error::Setting`] before `fit`, and those of the parts, with their columns.
    pub fn transform(&self, table: &Table) -> Result<Array2<A>> {
        self.check_fitted()?;
        let mut filled = table.clone();
        for fill in &self.fills {
            filled = fill.transform(&filled)?;
        }
        let array = |part: &Part<A>| part.transform(&filled).map_err(|error| part.within(error));
        let arrays = self.parts.iter().map(array).collect::<Result<Vec<_>>>()?;
        let views: Vec<_> = arrays.iter().map(|array| array.view()).collect();
        Ok(concatenate(Axis(1), &views).expect("all parts have the rows of one table"))
    }

    /// [`fit`](Self::fit), then [`transform`](Self::transform).
    ///
    /// # Errors
    /// Those of both.
    pub fn fit_transform(&mut self, table: &Table) -> Result<Array2<A>> {
        self.fit(table)?.transform(table)
    }

    /// The names of the array's features, after `fit`.
    pub fn feature_names_out(&self) -> Vec<String> {
        self.parts.iter().flat_map(Part::names).collect()
    }

    fn check_fitted(&self) -> Result<()> {
        if self.fitted { Ok(()) } else { Err(not_fitted("ColumnTransformer")) }
    }

    /// Writes a model as [`io::save_model`](crate::io::save_model) does, and the transformer into the same file: any
    /// reader of models takes it, and [`load`](Self::load) finds the transformer.
    ///
    /// ```
    /// use layerwise::data::{ColumnTransformer, StandardScaler, Table};
    /// use layerwise::{io, prelude::*};
    /// let table = Table::from_reader("age,income\n20,100\n40,300\n".as_bytes(), "people")?;
    /// let mut transformer = ColumnTransformer::new().numbers(&["age", "income"], StandardScaler::new());
    /// let x = transformer.fit_transform(&table)?;
    /// let mut model = Sequential::new().add(Dense::new(1));
    /// model.initialize(&[2], 0)?;
    /// # let path = std::env::temp_dir().join(format!("layerwise-columns-{}.safetensors", std::process::id()));
    /// transformer.save_with_model(&model, &path)?;
    ///
    /// let (model, transformer) = (io::load_model(&path)?, ColumnTransformer::<f32>::load(&path)?);
    /// assert_eq!(transformer.transform(&table)?, x);
    /// let y = model.predict(&transformer.transform(&table)?)?;
    /// # std::fs::remove_file(path).ok();
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`io::save_model`](crate::io::save_model); [`Error::Setting`] before `fit`, [`Error::Custom`] for a
    /// preprocessor of one's own.
    pub fn save_with_model(&self, model: &dyn Layer<A>, path: impl AsRef<Path>) -> Result<()> {
        let text = self.to_json()?.to_string();
        let mut tensors = model_tensors(model)?;
        tensors.metadata(DATA, text);
        tensors.write(path)
    }

    /// The transformer in a file of [`save_with_model`](Self::save_with_model).
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be opened, [`Error::File`] if it is damaged, has no transformer, one of
    /// another number type, or one that is not sound.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        Self::read(&TensorFile::open(path)?)
    }

    /// The same from a file that is open, or in memory: [`TensorFile::from_bytes`].
    ///
    /// # Errors
    /// As for [`load`](Self::load).
    pub fn read(file: &TensorFile) -> Result<Self> {
        let Some(text) = file.metadata(DATA) else {
            return Err(file.error("it holds no transformer: `save_with_model` writes one beside a model"));
        };
        let value = strict::parse(text).map_err(|error| file.error(format!("the transformer in it: {error}")))?;
        Self::from_json(&value).map_err(|error| file.error(format!("the transformer in it: {error}")))
    }

    /// Its parts and what they have learned. Every number keeps its bits.
    ///
    /// # Errors
    /// [`Error::Setting`] before `fit`, [`Error::Custom`] for a preprocessor of one's own.
    pub fn to_json(&self) -> Result<Value> {
        self.check_fitted()?;
        let fills = self.fills.iter().map(TableImputer::json).collect::<Result<Vec<_>>>()?;
        let parts = self.parts.iter().map(Part::json).collect::<Result<Vec<_>>>()?;
        Ok(json!({ "numbers": A::NAME, "fills": fills, "parts": parts }))
    }

    /// A fitted transformer out of [`to_json`](Self::to_json).
    ///
    /// # Errors
    /// [`Error::Setting`], [`Error::Length`] or [`Error::Empty`] with the place of what is wrong.
    pub fn from_json(value: &Value) -> Result<Self> {
        let fields = Fields::of(value, Place::root("transformer"))?;
        let numbers: String = fields.get("numbers")?;
        if numbers != A::NAME {
            return Err(fields.place().key("numbers").refuse(format!("{:?}", A::NAME), &numbers.into()));
        }
        let fills = each(&fields, "fills", TableImputer::read)?;
        let parts = each(&fields, "parts", Part::read)?;
        fields.finish()?;
        match parts.is_empty() {
            true => Err(Error::Empty(fields.place().key("parts").to_string())),
            false => Ok(Self { fills, parts, fitted: true }),
        }
    }
}
