use super::Picture;
use super::escape::one_line;
use super::frame::{NORMAL, SMALL};
use super::layering::layering;
use super::number::counted;
use super::palette::{Colour, GREY, series};
use super::panels::panels;
use super::scene::{Form, Scene};
use super::text;
use crate::error::{Error, Result};
use crate::io::{Operation, operations};
use crate::layer::Layer;
use crate::scalar::Scalar;
use crate::summary::{grouped, shapes};

const LINE: f64 = 16.0;
/// Room between layers, for arrows.
const STEP: f64 = 30.0;
/// The longest line of a box.
const LONGEST: f64 = 300.0;

/// The layers of a model as boxes, and how they are wired: with the place and type of each layer as in the
/// [`Summary`](crate::Summary), its output's shape and its number of parameters. As a picture, or as text for
/// [Mermaid](https://mermaid.js.org), which Markdown on many sites shows as a diagram.
///
/// A container of another crate is one box.
///
/// ```
/// use layerwise::plot::{self, Picture};
/// use layerwise::prelude::*;
///
/// let model = Sequential::new().add(Residual::new(Dense::new(4))).add(Dense::new(1));
/// let diagram = plot::Architecture::of(&model, &[vec![4]])?;
/// assert!(diagram.svg()?.contains("0.body Dense"));
/// assert!(diagram.mermaid().starts_with("flowchart TD\n    n0([\"Input<br/>(batch, 4)\"])\n"));
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Architecture {
    boxes: Vec<Box>,
    title: String,
}

#[derive(Clone, Debug)]
struct Box {
    /// What is written in it: place and type, shape, parameters.
    lines: Vec<String>,
    reads: Vec<usize>,
    sort: Sort,
    settings: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Sort {
    Input,
    /// With parameters.
    Learns,
    Plain,
}

impl Architecture {
    /// Of a model, for inputs of these shapes, without the batch; without shapes the boxes have none either.
    ///
    /// # Errors
    /// Where the model cannot work on these shapes.
    pub fn of<A: Scalar>(model: &dyn Layer<A>, inputs: &[Vec<usize>]) -> Result<Self> {
        let boxes = operations(model, inputs)?.into_iter().map(Box::of).collect();
        Ok(Architecture { boxes, title: String::new() })
    }

    /// A heading; none by default.
    #[must_use]
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = title.into();
        self
    }

    /// The diagram as Mermaid's text.
    pub fn mermaid(&self) -> String {
        let mut text = "flowchart TD\n".to_owned();
        for (number, node) in self.boxes.iter().enumerate() {
            let label = node.lines.iter().map(|line| mermaid_text(line)).collect::<Vec<_>>().join("<br/>");
            let [open, close] = if node.sort == Sort::Input { ["([", "])"] } else { ["[", "]"] };
            text += &format!("    n{number}{open}\"{label}\"{close}\n");
        }
        for (number, node) in self.boxes.iter().enumerate() {
            for input in &node.reads {
                text += &format!("    n{input} --> n{number}\n");
            }
        }
        text
    }

    fn draw(&self) -> Scene {
        let widths: Vec<f64> = self.boxes.iter().map(Box::width).collect();
        let reads: Vec<_> = self.boxes.iter().map(|node| node.reads.clone()).collect();
        let places = layering(&widths, &reads);
        let mut heights = vec![0.0_f64; places.layer.iter().max().map_or(0, |last| last + 1)];
        for (node, &layer) in self.boxes.iter().zip(&places.layer) {
            heights[layer] = heights[layer].max(node.height());
        }
        let tops: Vec<f64> =
            (0..heights.len()).map(|at| heights[..at].iter().map(|height| height + STEP).sum()).collect();
        let total = heights.iter().map(|height| height + STEP).sum::<f64>() - STEP;
        let mut scene = Scene::new("architecture", places.width + 2.0, total + 2.0);
        // The upper and the lower end of each node; a lane goes through its layer.
        let ends = |node: usize| {
            let layer = places.layer[node];
            let height = self.boxes.get(node).map_or(heights[layer], Box::height);
            let top = 1.0 + tops[layer] + (heights[layer] - height) / 2.0;
            (1.0 + places.x[node], top, top + height)
        };
        for arrow in &places.arrows {
            draw_arrow(&mut scene, &arrow.iter().map(|&node| ends(node)).collect::<Vec<_>>());
        }
        for (number, node) in self.boxes.iter().enumerate() {
            let (x, top, _) = ends(number);
            node.draw(&mut scene, [x, top], widths[number]);
        }
        scene
    }
}

/// A line from below the first to above the last, which bends between layers, and its head.
fn draw_arrow(scene: &mut Scene, ends: &[(f64, f64, f64)]) {
    const BENDS: usize = 12;
    let mut points = Vec::new();
    for pair in ends.windows(2) {
        let ((x, _, from), (to_x, to, _)) = (pair[0], pair[1]);
        points.extend((0..=BENDS).map(|at| {
            let share = at as f64 / BENDS as f64;
            let smooth = share * share * (3.0 - 2.0 * share);
            [x + (to_x - x) * smooth, from + (to - from) * share]
        }));
    }
    let Some(last) = points.last_mut() else { return };
    let [x, y] = *last;
    *last = [x, y - 3.0];
    scene.line(points, GREY, 1.2);
    scene.add(Form::Polygon { points: vec![[x - 4.0, y - 7.0], [x + 4.0, y - 7.0], [x, y]], fill: GREY });
}

impl Box {
    fn of(operation: Operation) -> Self {
        let Operation { path, kind, inputs, shapes: outputs, params, config, .. } = operation;
        let gap = if path.is_empty() { "" } else { " " };
        let mut lines = vec![format!("{path}{gap}{kind}")];
        if let Some(name) = config["activation"]["name"].as_str().filter(|name| *name != "Linear") {
            lines[0] += &format!(", {name}");
        }
        if !outputs.is_empty() {
            lines.push(shapes(&outputs));
        }
        if params > 0 {
            lines.push(if params == 1 { counted(1, "parameter") } else { format!("{} parameters", grouped(params)) });
        }
        let sort = match (kind.as_str(), params) {
            ("Input", _) => Sort::Input,
            (_, 0) => Sort::Plain,
            _ => Sort::Learns,
        };
        let settings = if config.is_null() { String::new() } else { config.to_string() };
        Box { lines, reads: inputs, sort, settings }
    }

    fn width(&self) -> f64 {
        let widest = self.lines.iter().map(|line| text::width(line, NORMAL)).fold(0.0, f64::max);
        widest.clamp(70.0, LONGEST) + 20.0
    }

    fn height(&self) -> f64 {
        LINE * self.lines.len() as f64 + 12.0
    }

    fn draw(&self, scene: &mut Scene, [x, top]: [f64; 2], width: f64) {
        let colour: Colour = match self.sort {
            Sort::Input => series(2),
            Sort::Learns => series(0),
            Sort::Plain => GREY,
        };
        let (at, size) = ([x - width / 2.0, top], [width, self.height()]);
        let shape = scene.add(Form::Rect { at, size, fill: Some(colour.mix(0.12)), edge: Some(colour.mix(0.7)) });
        if !self.settings.is_empty() {
            shape.tip(&self.settings);
        }
        for (number, line) in self.lines.iter().enumerate() {
            let size = if number == 0 { NORMAL } else { SMALL };
            let shown = text::fit(line, size, LONGEST);
            let at = [x, top + LINE * (number + 1) as f64];
            let shape = scene.text(at, shown, size).middle().tip(line);
            if number > 0 {
                shape.ink(GREY);
            }
        }
    }
}

/// Text between quotation marks in Mermaid.
fn mermaid_text(text: &str) -> String {
    let text = one_line(text).replace('#', "#35;").replace('&', "#38;");
    text.replace('"', "#quot;").replace('<', "#lt;").replace('>', "#gt;")
}

impl Picture for Architecture {
    fn scene(&self) -> Result<Scene> {
        if self.boxes.is_empty() {
            return Err(Error::Empty("the diagram of the model".into()));
        }
        Ok(panels(&self.title, 1, vec![self.draw()]))
    }
}
