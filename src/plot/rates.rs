//! Curves of the rates that the thresholds of a classifier of two classes lead to.

use super::Picture;
use super::axis::Axis;
use super::frame::{BELOW, Frame, LEFT, NORMAL};
use super::legend::{Legend, Sample};
use super::number::digits;
use super::palette::{GREY, series};
use super::panels::panels;
use super::scene::Scene;
use crate::error::{Error, Result};
use crate::metrics::Thresholds;

/// The side of the chart.
const SIDE: f64 = 400.0;
/// Points of a curve up to which each tells its numbers under the mouse.
const TIPS: usize = 500;
/// Points of a curve that lie this close are one.
const NEAR: f64 = 0.1;

/// What both pictures of this family hold.
#[derive(Clone, Debug, Default)]
struct Rates {
    title: String,
    curves: Vec<(String, Thresholds)>,
}

/// A curve as it is drawn.
struct Drawn {
    /// The name, with the area.
    label: String,
    /// Both rates and the threshold that leads to them.
    points: Vec<[f64; 3]>,
}

/// What the rates are, and how to have them of thresholds.
struct Kind {
    what: &'static str,
    axes: [&'static str; 2],
    curve: fn(&str, &Thresholds) -> Drawn,
    /// Whether a rate holds until the next point, so that there is no straight way between them.
    steps: bool,
    /// Where a classifier that knows nothing is, from left to right.
    chance: fn(&Thresholds) -> [f64; 2],
}

/// "name (area 0.9)", and why there is no curve where there is none.
fn label(name: &str, area: &str, value: f64, drawn: bool) -> String {
    let value = if drawn { format!("{area} {}", digits(value, 4)) } else { "no curve: one class alone".to_owned() };
    if name.is_empty() { value } else { format!("{name} ({value})") }
}

const ROC: Kind = Kind {
    what: "ROC curve",
    axes: ["false positive rate", "true positive rate"],
    curve: |name, thresholds| {
        let curve = thresholds.roc_curve();
        let rates = curve.false_positive_rate.iter().zip(&curve.true_positive_rate).zip(&curve.thresholds);
        let points = rates.map(|((&x, &y), &threshold)| [x, y, threshold]).collect();
        let drawn = thresholds.roc_auc().is_finite();
        Drawn { label: label(name, "area", thresholds.roc_auc(), drawn), points }
    },
    steps: false,
    chance: |_| [0.0, 1.0],
};

const PRECISION_RECALL: Kind = Kind {
    what: "precision-recall curve",
    axes: ["recall", "precision"],
    curve: |name, thresholds| {
        let curve = thresholds.precision_recall_curve();
        // The last point has no threshold: nothing is above it.
        let all = curve.thresholds.iter().chain(&[f64::INFINITY]);
        let points = curve.recall.iter().zip(&curve.precision).zip(all).map(|((&x, &y), &t)| [x, y, t]);
        // Without class 1 every recall is 1 by convention: that is no curve.
        let drawn = thresholds.positives() > 0.0;
        let none = [f64::NAN; 3];
        let points = points.map(|point| if drawn { point } else { none }).collect();
        Drawn { label: label(name, "average precision", thresholds.average_precision(), drawn), points }
    },
    steps: true,
    chance: |thresholds| [thresholds.positives() / (thresholds.positives() + thresholds.negatives()); 2],
};

impl Rates {
    fn draw(&self, kind: &Kind) -> Result<Scene> {
        if self.curves.is_empty() {
            return Err(Error::Empty(format!("the {}", kind.what)));
        }
        let curves: Vec<_> = self.curves.iter().map(|(name, thresholds)| (kind.curve)(name, thresholds)).collect();
        let entry = |(number, curve): (usize, &Drawn)| (Sample::Line, series(number), curve.label.clone());
        let chance = (kind.chance)(&self.curves[0].1);
        let known = self.curves.len() == 1 || !kind.steps;
        let mut entries: Vec<_> = curves.iter().enumerate().map(entry).collect();
        if known && chance[0].is_finite() {
            entries.push((Sample::Dashes, GREY, "chance".to_owned()));
        }
        let legend = Legend::new(SIDE, entries);
        let top = legend.height() + 8.0;
        let mut scene = Scene::new(kind.what, LEFT + SIDE + 14.0, top + SIDE + BELOW);
        legend.draw(&mut scene, [LEFT, 0.0]);
        let unit = Axis::from_to(0.0, 1.0);
        let frame = Frame { at: [LEFT, top], size: [SIDE, SIDE], x: unit, y: unit };
        frame.draw(&mut scene, kind.axes[0], kind.axes[1]);
        if known && chance[0].is_finite() {
            scene.line(vec![frame.place(0.0, chance[0]), frame.place(1.0, chance[1])], GREY, 1.0).dashes();
        }
        for (number, curve) in curves.iter().enumerate() {
            curve.draw(&mut scene, &frame, kind, number);
        }
        if curves.iter().all(|curve| curve.shown().is_empty()) {
            let at = [LEFT + SIDE / 2.0, top + SIDE * 0.8]; // clear of the line of chance
            scene.text(at, "no curve: one class alone", NORMAL).middle();
        }
        Ok(panels(&self.title, 1, vec![scene]))
    }
}

impl Drawn {
    fn shown(&self) -> Vec<[f64; 3]> {
        self.points.iter().copied().filter(|point| point[0].is_finite() && point[1].is_finite()).collect()
    }

    fn draw(&self, scene: &mut Scene, frame: &Frame, kind: &Kind, number: usize) {
        let points = self.shown();
        let mut path: Vec<[f64; 2]> = Vec::new();
        for (at, point) in points.iter().enumerate() {
            let place = frame.place(point[0], point[1]);
            let last = path.last().copied().unwrap_or([f64::INFINITY; 2]);
            let near = (place[0] - last[0]).abs() + (place[1] - last[1]).abs() < NEAR;
            if near && at + 1 < points.len() {
                continue;
            }
            if kind.steps && at > 0 {
                path.push([place[0], last[1]]);
            }
            path.push(place);
        }
        if path.len() > 1 {
            scene.line(path, series(number), 2.0).tip(&self.label);
        }
        for [x, y, threshold] in points.iter().filter(|_| points.len() <= TIPS) {
            let [x_name, y_name] = kind.axes;
            let (x_text, y_text) = (digits(*x, 4), digits(*y, 4));
            let tip = format!("threshold {}: {x_name} {x_text}, {y_name} {y_text}", digits(*threshold, 4));
            scene.dot(frame.place(*x, *y), if points.len() <= 30 { 2.5 } else { 1.0 }, series(number)).tip(tip);
        }
    }
}

/// A picture of rates: its constructors and its drawing.
macro_rules! rates {
    ($(#[$doc:meta])* $name:ident, $kind:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default)]
        pub struct $name {
            rates: Rates,
        }

        impl $name {
            /// Without curves.
            pub fn new() -> Self {
                Self::default()
            }

            /// One curve without a name.
            pub fn of(thresholds: &Thresholds) -> Self {
                Self::new().curve("", thresholds)
            }

            /// Adds a curve: one model of several, or one class against the others.
            #[must_use]
            pub fn curve(mut self, name: impl Into<String>, thresholds: &Thresholds) -> Self {
                self.rates.curves.push((name.into(), thresholds.clone()));
                self
            }

            /// A heading; none by default.
            #[must_use]
            pub fn title(mut self, title: impl Into<String>) -> Self {
                self.rates.title = title.into();
                self
            }
        }

        impl Picture for $name {
            fn scene(&self) -> Result<Scene> {
                self.rates.draw(&$kind)
            }
        }
    };
}

rates! {
    /// The share of class 1 that is found against the share of the others that is taken for it, over all thresholds,
    /// with the area under the curve. The dashes are where chance would be.
    ///
    /// Samples of one class alone have no curve; the legend says so.
    ///
    /// ```
    /// use layerwise::metrics::Thresholds;
    /// use layerwise::plot::{self, Picture};
    /// use layerwise::to_tensor;
    /// use ndarray::array;
    /// let scores = to_tensor::<f32, _, _, _>(&array![0.9, 0.8, 0.3, 0.1])?;
    /// let thresholds = Thresholds::of(&scores, &to_tensor(&array![1, 0, 1, 0])?, None)?;
    /// assert!(plot::RocCurve::of(&thresholds).svg()?.contains("area 0.75"));
    /// # Ok::<(), layerwise::Error>(())
    /// ```
    RocCurve, ROC
}

rates! {
    /// The share of what is taken for class 1 that is, against the share of class 1 that is found, over all thresholds,
    /// with the average precision. Of one curve, the dashes are where chance would be: at the share of class 1.
    ///
    /// Samples without class 1 have no curve; the legend says so.
    ///
    /// ```
    /// use layerwise::metrics::Thresholds;
    /// use layerwise::plot::{self, Picture};
    /// use layerwise::to_tensor;
    /// use ndarray::array;
    /// let scores = to_tensor::<f32, _, _, _>(&array![0.9, 0.8, 0.3, 0.1])?;
    /// let thresholds = Thresholds::of(&scores, &to_tensor(&array![1, 0, 1, 0])?, None)?;
    /// assert!(plot::PrecisionRecallCurve::of(&thresholds).svg()?.contains("average precision 0.8333"));
    /// # Ok::<(), layerwise::Error>(())
    /// ```
    PrecisionRecallCurve, PRECISION_RECALL
}
