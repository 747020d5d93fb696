use ndarray::{Array1, Array2, Axis as Side};

use super::Picture;
use super::axis::Axis;
use super::frame::{BELOW, Frame, LEFT};
use super::legend::{Legend, Sample};
use super::number::digits;
use super::palette::{Colour, series};
use super::panels::panels;
use super::scene::{Form, Pixels, Scene};
use crate::error::{Error, Result};
use crate::scalar::Scalar;
use crate::tensor::Tensor;

/// The size of the chart.
const SIZE: [f64; 2] = [520.0, 400.0];
/// The places at which the classifier is asked, from left to right and from top to bottom.
const PLACES: [usize; 2] = [208, 160];
/// Where the classifier says nothing.
const UNCLEAR: Colour = Colour([200, 200, 200]);

/// What a classifier of two features says where, and the samples that it should get right: those that lie on another
/// colour are the mistakes.
///
/// ```
/// use layerwise::data::datasets;
/// use layerwise::plot::{self, Picture};
/// use layerwise::prelude::*;
/// use ndarray::s;
///
/// let iris = datasets::iris();
/// let petals = iris.features.slice(s![.., 2..]).to_owned();
/// let mut model = Sequential::new().add(Dense::new(16).activation(Activation::Tanh)).add(Dense::new(3));
/// let mut trainer =
///     Trainer::new(SoftmaxCrossEntropy::new(), Adam::new(0.02)).epochs(20).progress(Progress::Silent);
/// trainer.fit(&mut model, (&petals, &iris.labels))?;
/// let regions = plot::DecisionRegions::of(&petals, &iris.labels, |x| trainer.predict_proba(&model, x))?
///     .feature_names("petal length (cm)", "petal width (cm)")
///     .class_names(["setosa", "versicolor", "virginica"]);
/// assert_eq!(regions.svg()?.matches("<circle").count(), 150 + 3);
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct DecisionRegions<A: Scalar = f32> {
    x: Array2<A>,
    labels: Array1<usize>,
    axes: [Axis; 2],
    /// The class at each place, row by row; none where a score is NaN.
    regions: Vec<Option<usize>>,
    classes: usize,
    features: [String; 2],
    names: Option<Vec<String>>,
    title: String,
}

impl<A: Scalar> DecisionRegions<A> {
    /// Of samples `(samples, 2)`, their classes, and what gives probabilities (or other scores, the largest of which is
    /// the class) for samples `(places, 2)`; of one score for a sample, class 1 is above 0.5, as for
    /// [`Accuracy`](crate::metrics::Accuracy). A scaler belongs into `predict`, so that the picture has the features'
    /// own units.
    ///
    /// # Errors
    /// [`Error::Shape`] for other shapes, [`Error::Length`] where there are not as many labels as samples,
    /// [`Error::Value`] for a feature that is not finite or a class that the scores do not have, and what `predict`
    /// returns.
    pub fn of(
        x: &Array2<A>,
        labels: &Array1<usize>,
        predict: impl FnOnce(&Array2<A>) -> Result<Tensor<A>>,
    ) -> Result<Self> {
        check(x, labels)?;
        let axes = [0, 1].map(|side| Axis::over(x.column(side).iter().map(|value| value.as_f64()), false));
        let [columns, rows] = PLACES;
        let places = Array2::from_shape_fn((columns * rows, 2), |(place, side)| {
            let share = [place % columns, place / columns][side] as f64 + 0.5;
            let share = if side == 0 { share / columns as f64 } else { 1.0 - share / rows as f64 };
            A::of(axes[side].at(share))
        });
        let scores = predict(&places)?;
        let (regions, classes) = regions(&scores, columns * rows)?;
        if let Some(row) = labels.iter().position(|&label| label >= classes) {
            let expected = format!("below {classes}, the number of classes of the scores");
            return Err(Error::value("class label of DecisionRegions", &[row], expected, labels[row]));
        }
        let (x, labels, title) = (x.clone(), labels.clone(), String::new());
        let features = ["feature 0".to_owned(), "feature 1".to_owned()];
        Ok(DecisionRegions { x, labels, axes, regions, classes, features, names: None, title })
    }

    /// What the features are called, along the lower side and on the left.
    #[must_use]
    pub fn feature_names(mut self, x: impl Into<String>, y: impl Into<String>) -> Self {
        self.features = [x.into(), y.into()];
        self
    }

    /// What the classes are called, from class 0 on; their numbers by default.
    #[must_use]
    pub fn class_names<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.names = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// A heading; none by default.
    #[must_use]
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = title.into();
        self
    }

    fn names(&self) -> Result<Vec<String>> {
        match &self.names {
            Some(names) if names.len() != self.classes => {
                let what = "class names of DecisionRegions, one for each class";
                Err(Error::length(what, self.classes, names.len()))
            }
            Some(names) => Ok(names.clone()),
            None => Ok((0..self.classes).map(|class| class.to_string()).collect()),
        }
    }

    /// The regions in pale colours.
    fn pixels(&self) -> Pixels {
        let colour = |class: &Option<usize>| class.map_or(UNCLEAR, |class| series(class).mix(0.3)).0;
        Pixels { width: PLACES[0], height: PLACES[1], rgb: self.regions.iter().flat_map(colour).collect() }
    }
}

fn check<A: Scalar>(x: &Array2<A>, labels: &Array1<usize>) -> Result<()> {
    let (samples, features) = x.dim();
    if features != 2 {
        return Err(Error::shape("samples of DecisionRegions", "(samples, 2)", x.shape()));
    }
    if samples != labels.len() {
        return Err(Error::length("labels of DecisionRegions against its samples", samples, labels.len()));
    }
    if samples == 0 {
        return Err(Error::Empty("the set of samples of DecisionRegions".into()));
    }
    match x.indexed_iter().find(|(_, value)| !value.is_finite()) {
        Some(((row, side), value)) => {
            Err(Error::value("feature of DecisionRegions", &[row, side], "a finite number", value))
        }
        None => Ok(()),
    }
}

/// The class at each place, and how many classes there are.
fn regions<A: Scalar>(scores: &Tensor<A>, places: usize) -> Result<(Vec<Option<usize>>, usize)> {
    let classes = match *scores.shape() {
        [rows] if rows == places => 1,
        [rows, classes] if rows == places && classes > 0 => classes,
        _ => {
            let expected = format!("({places}, classes), or one score for each of them");
            return Err(Error::shape("scores of DecisionRegions", expected, scores.shape()));
        }
    };
    let class = |scores: ndarray::ArrayViewD<'_, A>| {
        if scores.iter().any(|score| score.is_nan()) {
            return None;
        }
        if classes == 1 {
            return scores.iter().next().map(|&score| usize::from(score > A::of(0.5)));
        }
        // The first of equal ones, as in the metrics.
        scores.iter().enumerate().reduce(|best, one| if one.1 > best.1 { one } else { best }).map(|(class, _)| class)
    };
    Ok((scores.axis_iter(Side(0)).map(class).collect(), classes.max(2)))
}

impl<A: Scalar> Picture for DecisionRegions<A> {
    fn scene(&self) -> Result<Scene> {
        let names = self.names()?;
        let unclear = self.regions.iter().any(Option::is_none);
        let mut entries: Vec<_> =
            names.iter().enumerate().map(|(class, name)| (Sample::Dot, series(class), name.clone())).collect();
        if unclear {
            entries.push((Sample::Dot, UNCLEAR, "grey: the score is NaN".to_owned()));
        }
        let legend = Legend::new(SIZE[0], entries);
        let top = legend.height() + 8.0;
        let mut scene = Scene::new("decision regions", LEFT + SIZE[0] + 14.0, top + SIZE[1] + BELOW);
        legend.draw(&mut scene, [LEFT, 0.0]);
        let [x, y] = self.axes;
        let frame = Frame { at: [LEFT, top], size: SIZE, x, y };
        frame.draw(&mut scene, &self.features[0], &self.features[1]);
        scene.add(Form::Image { at: frame.at, size: frame.size, pixels: self.pixels() });
        for (sample, &label) in self.x.rows().into_iter().zip(&self.labels) {
            let [x, y] = [sample[0].as_f64(), sample[1].as_f64()];
            let tip = format!("{}: {}, {}", names[label], digits(x, 4), digits(y, 4));
            scene.bead(frame.place(x, y), 3.5, series(label)).tip(tip);
        }
        Ok(panels(&self.title, 1, vec![scene]))
    }
}
