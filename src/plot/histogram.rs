use ndarray::{ArrayBase, Data, Dimension};

use super::Picture;
use super::axis::Axis;
use super::frame::{BELOW, Frame, LARGE, LEFT, NORMAL, SMALL};
use super::number::{counted, digits};
use super::palette::{GREY, series};
use super::panels::panels;
use super::scene::Scene;
use super::text;
use crate::error::{Error, Result};
use crate::io::Spread;
use crate::layer::Layer;
use crate::model::Model;
use crate::models::Sequential;
use crate::scalar::{Element, Scalar};
use crate::tensor::to_tensor;

/// The size of a panel, without its heading.
const SIZE: [f64; 2] = [300.0, 170.0];
/// More could not be told apart.
const MOST_BINS: usize = 1000;

/// How values are spread: a panel for each set of them, with counts in bins of equal width between the least and the
/// greatest.
///
/// Values that are not finite are in no bin; the panel says how many there are.
///
/// ```
/// use layerwise::plot::{self, Picture};
/// use layerwise::prelude::*;
/// # use layerwise::data::datasets;
///
/// let mut model = Sequential::new().add(Dense::new(8).activation(Activation::Relu)).add(Dense::new(3));
/// model.initialize(&[4], 0)?;
/// let weights = plot::Histogram::weights(&model)?.svg()?;
/// assert!(weights.contains("0.weight") && weights.contains("1.bias"));
/// let activations = plot::Histogram::activations(&model, &datasets::iris().features)?;
/// assert!(activations.title("Iris").svg()?.contains("0 Dense"));
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Histogram {
    title: String,
    sets: Vec<(String, Vec<f64>)>,
    bins: usize,
    columns: usize,
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

impl Histogram {
    /// Without values, in 30 bins (TensorFlow's), three panels side by side.
    pub fn new() -> Self {
        Histogram { title: String::new(), sets: Vec::new(), bins: 30, columns: 3 }
    }

    /// Every weight and state of a model.
    ///
    /// # Errors
    /// [`Error::NotBuilt`] for a model without weights yet.
    pub fn weights<A: Scalar>(model: &dyn Layer<A>) -> Result<Self> {
        model.params().into_iter().filter(|(_, param)| !param.is_empty()).try_fold(Self::new(), |all, (name, param)| {
            Ok(all.values(name, param.values()?.iter().map(|value| value.as_f64())))
        })
    }

    /// What each layer of a network gives for some samples, in inference.
    ///
    /// # Errors
    /// Where a layer cannot work on what it gets.
    pub fn activations<A, E, S, D>(model: &Sequential<A>, x: &ArrayBase<S, D>) -> Result<Self>
    where
        A: Scalar,
        E: Element<A>,
        S: Data<Elem = E>,
        D: Dimension,
    {
        let (mut all, mut values) = (Self::new(), to_tensor::<A, _, _, _>(x)?);
        for (number, layer) in model.layers().iter().enumerate() {
            let outputs = layer.predict_all(&[values]).map_err(|error| error.in_layer(number, layer.kind()))?;
            values = outputs.into_iter().next().ok_or_else(|| Error::Empty(format!("the output of layer {number}")))?;
            all = all.values(format!("{number} {}", layer.kind()), values.iter().map(|value| value.as_f64()));
        }
        Ok(all)
    }

    /// Adds a panel.
    #[must_use]
    pub fn values(mut self, name: impl Into<String>, values: impl IntoIterator<Item = f64>) -> Self {
        self.sets.push((name.into(), values.into_iter().collect()));
        self
    }

    /// A heading; none by default.
    #[must_use]
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = title.into();
        self
    }

    /// The number of bins.
    #[must_use]
    pub fn bins(mut self, bins: usize) -> Self {
        self.bins = bins;
        self
    }

    /// How many panels stand side by side.
    #[must_use]
    pub fn columns(mut self, columns: usize) -> Self {
        self.columns = columns;
        self
    }

    fn panel(&self, name: &str, values: &[f64]) -> Result<Scene> {
        if values.is_empty() {
            return Err(Error::Empty(format!("the set of values \"{name}\" of a histogram")));
        }
        let finite: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
        let top = LARGE + 24.0;
        let mut scene = Scene::new(name, LEFT + SIZE[0] + 14.0, top + SIZE[1] + BELOW - 16.0);
        scene.text([LEFT, NORMAL], text::fit(name, NORMAL, SIZE[0]), NORMAL).tip(name);
        let hidden = values.len() - finite.len();
        let note = if hidden == 0 { String::new() } else { format!(", {hidden} not finite") };
        let mean = finite.iter().map(|value| value / finite.len() as f64).sum::<f64>();
        let about = if finite.is_empty() { String::new() } else { format!(", mean {}", digits(mean, 3)) };
        let about = format!("{}{about}{note}", counted(values.len(), "value"));
        scene.text([LEFT, NORMAL + 16.0], text::fit(&about, SMALL, SIZE[0]), SMALL).ink(GREY).tip(about);
        if finite.is_empty() {
            let at = [LEFT + SIZE[0] / 2.0, top + SIZE[1] / 2.0];
            scene.text(at, "no value that can be shown", NORMAL).middle();
            return Ok(scene);
        }
        let spread = Spread::of(name, &finite, self.bins)?;
        let most = spread.counts.iter().fold(0.0, |most: f64, &count| most.max(count));
        let (first, last) = (spread.edges[0], spread.edges[self.bins]);
        // Far from 0 half a unit to either side may be lost.
        let x = if first < last { Axis::from_to(first, last) } else { Axis::over([last], false) };
        let y = Axis::counts(most);
        let frame = Frame { at: [LEFT, top], size: SIZE, x, y };
        frame.draw(&mut scene, "", "count");
        bars(&mut scene, &frame, &spread);
        Ok(scene)
    }
}

fn bars(scene: &mut Scene, frame: &Frame, spread: &Spread) {
    for (pair, &count) in spread.edges.windows(2).zip(&spread.counts) {
        let (from, to) = (pair[0], pair[1]);
        let ([left, top], [right, bottom]) = (frame.place(from, count), frame.place(to, 0.0));
        if count > 0.0 {
            let tip = format!("{} to {}: {count}", digits(from, 4), digits(to, 4));
            let gap = if right - left > 4.0 { 0.5 } else { 0.0 };
            let width = (right - left - 2.0 * gap).max(0.5);
            scene.rect([left + gap, top], [width, bottom - top], series(0).mix(0.8)).tip(tip);
        }
    }
}

impl Picture for Histogram {
    fn scene(&self) -> Result<Scene> {
        if !(1..=MOST_BINS).contains(&self.bins) {
            return Err(Error::setting("bins of Histogram", format!("from 1 to {MOST_BINS}"), self.bins));
        }
        if self.columns == 0 {
            return Err(Error::setting("columns of Histogram", "at least 1", 0));
        }
        if self.sets.is_empty() {
            return Err(Error::Empty("the histogram".into()));
        }
        let all = self.sets.iter().map(|(name, values)| self.panel(name, values)).collect::<Result<_>>()?;
        Ok(panels(&self.title, self.columns, all))
    }
}
