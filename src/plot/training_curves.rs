use super::Picture;
use super::axis::Axis;
use super::frame::{BELOW, Frame, LARGE, LEFT, NORMAL};
use super::legend::{Legend, Sample};
use super::number::digits;
use super::palette::series;
use super::panels::panels;
use super::scene::Scene;
use super::text;
use crate::error::{Error, Result};
use crate::train::History;

/// The size of a panel, without its heading and legend.
const SIZE: [f64; 2] = [480.0, 300.0];
/// Points of a curve up to which each is shown as a dot.
const DOTS: usize = 40;
/// Points of a longer curve that tell their numbers under the mouse, at most.
const TIPS: usize = 50;

/// Losses and metrics over the epochs of a run: a panel for each, with the training and the validation.
///
/// Points tell their numbers under the mouse: each of up to 40, and up to 50 of more.
///
/// Values that no chart can show (NaN, infinities, and on a logarithmic axis what is not above 0) leave a gap, have a
/// cross on the lower side, and are counted in the legend.
///
/// ```
/// use layerwise::plot::{self, Picture};
/// use layerwise::prelude::*;
/// # use layerwise::data::datasets;
/// # let iris = datasets::iris();
/// # let mut model = Sequential::new().add(Dense::new(3));
///
/// let mut trainer = Trainer::new(SoftmaxCrossEntropy::new(), Adam::new(1e-3))
///     .metric(Accuracy::new())
///     .validation_split(ValidationSplit::Stratified(0.2))
///     .epochs(3)
///     .progress(Progress::Silent);
/// let history = trainer.fit(&mut model, (&iris.features, &iris.labels))?;
/// let svg = plot::TrainingCurves::of(&history).title("Iris").svg()?;
/// assert!(svg.contains("accuracy") && svg.contains("validation"));
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct TrainingCurves {
    title: String,
    curves: Vec<Curve>,
    log: bool,
    columns: Option<usize>,
}

#[derive(Clone, Debug)]
struct Curve {
    panel: String,
    name: String,
    values: Vec<f64>,
}

impl TrainingCurves {
    /// Without curves.
    pub fn new() -> Self {
        Self::default()
    }

    /// Every loss and metric of a run; those of the validation beside those of the training.
    pub fn of(history: &History) -> Self {
        history.names().into_iter().fold(Self::new(), |curves, name| {
            let values = history.get(name).unwrap_or_default();
            match name.strip_prefix("val_") {
                Some(panel) => curves.curve(panel, "validation", values),
                None => curves.curve(name, "training", values),
            }
        })
    }

    /// Adds a curve: the panel that it belongs to, its name, and its values from the first epoch on. So the curves of
    /// several runs come into one picture.
    #[must_use]
    pub fn curve(
        mut self,
        panel: impl Into<String>,
        name: impl Into<String>,
        values: impl IntoIterator<Item = f64>,
    ) -> Self {
        let (panel, name) = (panel.into(), name.into());
        self.curves.push(Curve { panel, name, values: values.into_iter().collect() });
        self
    }

    /// A heading; none by default.
    #[must_use]
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = title.into();
        self
    }

    /// Logarithmic vertical axes.
    #[must_use]
    pub fn log_scale(mut self) -> Self {
        self.log = true;
        self
    }

    /// How many panels stand side by side; 2 by default.
    #[must_use]
    pub fn columns(mut self, columns: usize) -> Self {
        self.columns = Some(columns);
        self
    }

    fn panel(&self, name: &str) -> Scene {
        let curves: Vec<_> = self.curves.iter().filter(|curve| curve.panel == name).collect();
        let epochs = curves.iter().map(|curve| curve.values.len()).max().unwrap_or(0);
        let entry = |(number, curve): (usize, &&Curve)| (Sample::Line, series(number), curve.label(self.log));
        let legend = Legend::new(SIZE[0], curves.iter().enumerate().map(entry));
        let top = LARGE + 12.0 + legend.height();
        let mut scene = Scene::new(name, LEFT + SIZE[0] + 10.0, top + SIZE[1] + BELOW);
        scene.text([LEFT, LARGE], text::fit(name, LARGE, SIZE[0]), LARGE).tip(name);
        legend.draw(&mut scene, [LEFT, LARGE + 6.0]);
        let values = || curves.iter().flat_map(|curve| curve.values.iter().copied());
        let (x, y) = (Axis::epochs(epochs), Axis::over(values(), self.log));
        let frame = Frame { at: [LEFT, top], size: SIZE, x, y };
        frame.draw(&mut scene, "epoch", "");
        for (number, curve) in curves.iter().enumerate() {
            curve.draw(&mut scene, &frame, number, self.log);
        }
        if !values().any(|value| Axis::shows(value, self.log)) {
            let at = [LEFT + SIZE[0] / 2.0, top + SIZE[1] / 2.0];
            scene.text(at, "no value that can be shown", NORMAL).middle();
        }
        scene
    }
}

impl Curve {
    /// The name, the last value, and how many cannot be shown.
    fn label(&self, log: bool) -> String {
        let last = self.values.last().map_or(String::new(), |&last| format!(" {}", digits(last, 4)));
        let hidden = self.values.iter().filter(|&&value| !Axis::shows(value, log)).count();
        let note =
            if hidden == 0 { String::new() } else { format!(" ({hidden} of {} cannot be shown)", self.values.len()) };
        format!("{}{last}{note}", self.name)
    }

    fn draw(&self, scene: &mut Scene, frame: &Frame, number: usize, log: bool) {
        let colour = series(number);
        let values = || self.values.iter().enumerate().map(|(at, &value)| ((at + 1) as f64, value));
        let points: Vec<_> = values().map(|(x, y)| (Axis::shows(y, log), frame.place(x, y))).collect();
        for run in points.split(|(shown, _)| !shown).filter(|run| run.len() > 1) {
            scene.line(run.iter().map(|&(_, at)| at).collect(), colour, 2.0);
        }
        let bottom = frame.at[1] + frame.size[1];
        let count = self.values.len();
        let (radius, every) = if count <= DOTS { (2.5, 1) } else { (1.0, count.div_ceil(TIPS)) };
        for (number, ((epoch, value), (shown, at))) in values().zip(points).enumerate() {
            let tip = format!("{}, epoch {epoch}: {}", self.name, digits(value, 6));
            if !shown {
                scene.cross([at[0], bottom - 5.0], colour, &tip);
            } else if number.is_multiple_of(every) {
                scene.dot(at, radius, colour).tip(tip);
            }
        }
    }
}

impl Picture for TrainingCurves {
    fn scene(&self) -> Result<Scene> {
        if self.curves.iter().all(|curve| curve.values.is_empty()) {
            return Err(Error::Empty("the history of the curves".into()));
        }
        if self.columns == Some(0) {
            return Err(Error::setting("columns of TrainingCurves", "at least 1", 0));
        }
        let mut names: Vec<&str> = Vec::new();
        for curve in &self.curves {
            if !names.contains(&curve.panel.as_str()) {
                names.push(&curve.panel);
            }
        }
        let all = names.into_iter().map(|name| self.panel(name)).collect();
        Ok(panels(&self.title, self.columns.unwrap_or(2), all))
    }
}
