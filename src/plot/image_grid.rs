use ndarray::{ArrayBase, ArrayD, Axis, Data, Dimension};

use super::Picture;
use super::frame::{NORMAL, SMALL};
use super::number::counted;
use super::palette::{GREY, RED, RULE};
use super::panels::head;
use super::scene::{Form, Pixels, Scene};
use super::text;
use crate::data::Images;
use crate::error::{Error, Result};
use crate::scalar::Scalar;
use crate::tensor::unravel;

const GAP: f64 = 12.0;
const HEAD: f64 = 34.0;
const LINE: f64 = 15.0;

/// Images in rows, with a caption under each.
///
/// ```
/// use layerwise::data::datasets;
/// use layerwise::plot::{self, Picture};
///
/// let digits = datasets::digits_images().rows(&[0, 1, 2])?;
/// let svg = plot::ImageGrid::labelled(&digits).columns(3).title("Three digits").svg()?;
/// assert_eq!(svg.matches("<image ").count(), 3);
/// # Ok::<(), layerwise::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ImageGrid {
    images: ArrayD<f64>,
    title: String,
    captions: Option<Vec<String>>,
    notes: Option<Vec<String>>,
    columns: usize,
    side: f64,
    most: usize,
    range: (f64, f64),
}

impl ImageGrid {
    /// Of images `(images, height, width)` or `(images, height, width, channels)`, with 1 channel (grey) or 3 (red,
    /// green, blue) and values from 0 to 1; ten in a row, 84 units wide, 60 at most.
    pub fn of<A, S, D>(images: &ArrayBase<S, D>) -> Self
    where
        A: Scalar,
        S: Data<Elem = A>,
        D: Dimension,
    {
        ImageGrid {
            images: images.mapv(|value| value.as_f64()).into_dyn(),
            title: String::new(),
            captions: None,
            notes: None,
            columns: 10,
            side: 84.0,
            most: 60,
            range: (0.0, 1.0),
        }
    }

    /// Of a set, with the classes as captions.
    pub fn labelled(set: &Images) -> Self {
        let name = |&label: &usize| set.classes.get(label).cloned().unwrap_or_else(|| label.to_string());
        Self::of(&set.images).captions(set.labels.iter().map(name))
    }

    /// A heading; none by default.
    #[must_use]
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = title.into();
        self
    }

    /// A line under each image.
    #[must_use]
    pub fn captions<S: Into<String>>(mut self, captions: impl IntoIterator<Item = S>) -> Self {
        self.captions = Some(captions.into_iter().map(Into::into).collect());
        self
    }

    /// A second line under each image, in red: what it was taken for, for one.
    #[must_use]
    pub fn notes<S: Into<String>>(mut self, notes: impl IntoIterator<Item = S>) -> Self {
        self.notes = Some(notes.into_iter().map(Into::into).collect());
        self
    }

    /// How many images stand in a row.
    #[must_use]
    pub fn columns(mut self, columns: usize) -> Self {
        self.columns = columns;
        self
    }

    /// How wide an image is shown.
    #[must_use]
    pub fn side(mut self, side: f64) -> Self {
        self.side = side;
        self
    }

    /// How many images are shown at most. Where there are more, the picture says so.
    #[must_use]
    pub fn most(mut self, most: usize) -> Self {
        self.most = most;
        self
    }

    /// Which values are black and white (or without and with all of a colour); those beyond are shown as these. For
    /// what does not go from 0 to 1: filters of a convolution.
    #[must_use]
    pub fn range(mut self, low: f64, high: f64) -> Self {
        self.range = (low, high);
        self
    }

    /// The number of images, their height, width and channels.
    fn shape(&self) -> Result<[usize; 4]> {
        let [images, height, width, channels] = match *self.images.shape() {
            [images, height, width] => [images, height, width, 1],
            [images, height, width, channels] => [images, height, width, channels],
            _ => [0; 4],
        };
        if images == 0 && self.images.ndim() >= 3 {
            return Err(Error::Empty("the grid of images".into()));
        }
        if self.images.is_empty() || !matches!(channels, 1 | 3) {
            let expected = "(images, height, width) or (images, height, width, channels) with 1 or 3 channels";
            return Err(Error::shape("images of ImageGrid", expected, self.images.shape()));
        }
        Ok([images, height, width, channels])
    }

    fn check(&self, images: usize) -> Result<()> {
        for (what, texts) in [("captions", &self.captions), ("notes", &self.notes)] {
            if let Some(texts) = texts.as_ref().filter(|texts| texts.len() != images) {
                return Err(Error::length(format!("{what} of ImageGrid, one for each image"), images, texts.len()));
            }
        }
        for (name, value) in [("columns", self.columns), ("most", self.most)] {
            if value == 0 {
                return Err(Error::setting(format!("{name} of ImageGrid"), "at least 1", value));
            }
        }
        if !(1.0..=10_000.0).contains(&self.side) {
            return Err(Error::setting("side of ImageGrid", "from 1 to 10000", self.side));
        }
        let (low, high) = self.range;
        if !(low < high && (high - low).is_finite()) {
            return Err(Error::setting(
                "range of ImageGrid",
                "from a number to a larger one",
                format!("{low} to {high}"),
            ));
        }
        Ok(())
    }

    fn pixels(&self, number: usize, [_, height, width, channels]: [usize; 4]) -> Result<Pixels> {
        let (low, high) = self.range;
        let image = self.images.index_axis(Axis(0), number);
        let mut rgb = Vec::with_capacity(height * width * 3);
        for (position, &value) in image.iter().enumerate() {
            if value.is_nan() {
                let index = [&[number], &unravel(position, image.shape())[..]].concat();
                return Err(Error::value("value of an image of ImageGrid", &index, "a number", value));
            }
            let level = (255.0 * (value - low) / (high - low)).round() as u8;
            rgb.extend(std::iter::repeat_n(level, 3 / channels));
        }
        Ok(Pixels { width, height, rgb })
    }
}

impl Picture for ImageGrid {
    fn scene(&self) -> Result<Scene> {
        let shape = self.shape()?;
        let [images, height, width, _] = shape;
        self.check(images)?;
        let shown = images.min(self.most);
        let texts: Vec<_> = [(&self.captions, GREY), (&self.notes, RED)]
            .into_iter()
            .filter_map(|(texts, colour)| texts.as_ref().map(|texts| (texts, colour)))
            .collect();
        let size = [self.side, self.side * height as f64 / width as f64];
        let step = [size[0] + GAP, size[1] + GAP + LINE * texts.len() as f64];
        let (columns, rows) = (self.columns.min(shown), shown.div_ceil(self.columns));
        let above = if self.title.is_empty() { GAP } else { HEAD + GAP };
        let below = if shown < images { LINE + GAP } else { 0.0 };
        let total = [GAP + columns as f64 * step[0], above + rows as f64 * step[1] + below];
        let name = if self.title.is_empty() { counted(images, "image") } else { self.title.clone() };
        let mut scene = Scene::new(name, total[0], total[1]);
        head(&mut scene, &self.title, GAP);
        for number in 0..shown {
            let (row, column) = (number / self.columns, number % self.columns);
            let at = [GAP + column as f64 * step[0], above + row as f64 * step[1]];
            scene.add(Form::Image { at, size, pixels: self.pixels(number, shape)? }).tip(format!("image {number}"));
            scene.frame(at, size, RULE);
            for (line, (texts, colour)) in texts.iter().enumerate() {
                let (full, at) = (&texts[number], [at[0], at[1] + size[1] + LINE * (line + 1) as f64 - 2.0]);
                scene.text(at, text::fit(full, SMALL, size[0] + GAP - 4.0), SMALL).ink(*colour).tip(full);
            }
        }
        if shown < images {
            let note = format!("{shown} of {images} images shown");
            scene.text([GAP, total[1] - GAP], text::fit(&note, NORMAL, total[0] - GAP), NORMAL).ink(GREY).tip(note);
        }
        Ok(scene)
    }
}
