use super::palette::{Colour, INK, WHITE};

/// What is on a picture: lines, areas, texts and images at their places, in units that a screen shows as pixels.
///
/// [`Picture`](super::Picture) makes one of it, and files out of one.
#[derive(Clone, Debug)]
pub struct Scene {
    pub(super) width: f64,
    pub(super) height: f64,
    /// What the picture is, for those who hear it.
    pub(super) name: String,
    pub(super) shapes: Vec<Shape>,
}

/// Something with a place, and what a browser says of it under the mouse.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    pub(super) form: Form,
    pub(super) tip: Option<String>,
}

/// Places are right and down from the upper left corner.
#[derive(Clone, Debug)]
pub(super) enum Form {
    Line { points: Vec<[f64; 2]>, colour: Colour, width: f64, dashed: bool },
    Rect { at: [f64; 2], size: [f64; 2], fill: Option<Colour>, edge: Option<Colour> },
    Circle { at: [f64; 2], radius: f64, fill: Colour, edge: Option<Colour> },
    Polygon { points: Vec<[f64; 2]>, fill: Colour },
    Text { at: [f64; 2], text: String, size: f64, colour: Colour, anchor: Anchor, turned: bool },
    Image { at: [f64; 2], size: [f64; 2], pixels: Pixels },
}

/// Which part of a text its place is, along the baseline.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// Red, green and blue, row by row.
#[derive(Clone, Debug)]
pub(super) struct Pixels {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) rgb: Vec<u8>,
}

impl Scene {
    pub(super) fn new(name: impl Into<String>, width: f64, height: f64) -> Self {
        Scene { width: width.ceil(), height: height.ceil(), name: name.into(), shapes: Vec::new() }
    }

    /// Adds a shape on top of those that are there.
    pub(super) fn add(&mut self, form: Form) -> &mut Shape {
        self.shapes.push(Shape { form, tip: None });
        self.shapes.last_mut().expect("it was just added")
    }

    pub(super) fn line(&mut self, points: Vec<[f64; 2]>, colour: Colour, width: f64) -> &mut Shape {
        self.add(Form::Line { points, colour, width, dashed: false })
    }

    pub(super) fn rect(&mut self, at: [f64; 2], size: [f64; 2], fill: Colour) -> &mut Shape {
        self.add(Form::Rect { at, size, fill: Some(fill), edge: None })
    }

    pub(super) fn frame(&mut self, at: [f64; 2], size: [f64; 2], edge: Colour) -> &mut Shape {
        self.add(Form::Rect { at, size, fill: None, edge: Some(edge) })
    }

    pub(super) fn dot(&mut self, at: [f64; 2], radius: f64, fill: Colour) -> &mut Shape {
        self.add(Form::Circle { at, radius, fill, edge: None })
    }

    /// A dot with a white rim, which is seen on others and on areas.
    pub(super) fn bead(&mut self, at: [f64; 2], radius: f64, fill: Colour) -> &mut Shape {
        self.add(Form::Circle { at, radius, fill, edge: Some(WHITE) })
    }

    /// A small cross.
    pub(super) fn cross(&mut self, [x, y]: [f64; 2], colour: Colour, tip: &str) {
        for lean in [-3.5, 3.5] {
            self.line(vec![[x - 3.5, y - lean], [x + 3.5, y + lean]], colour, 1.5).tip(tip);
        }
    }

    pub(super) fn text(&mut self, at: [f64; 2], text: impl Into<String>, size: f64) -> &mut Shape {
        let (text, colour, anchor) = (text.into(), INK, Anchor::Start);
        self.add(Form::Text { at, text, size, colour, anchor, turned: false })
    }

    /// Adds all of another scene, moved right and down.
    pub(super) fn place(&mut self, other: Scene, by: [f64; 2]) {
        self.shapes.extend(other.shapes.into_iter().map(|mut shape| {
            shape.form.shift(by);
            shape
        }));
    }
}

impl Shape {
    pub(super) fn tip(&mut self, tip: impl Into<String>) -> &mut Self {
        self.tip = Some(tip.into());
        self
    }

    /// A line of dashes.
    pub(super) fn dashes(&mut self) -> &mut Self {
        if let Form::Line { dashed, .. } = &mut self.form {
            *dashed = true;
        }
        self
    }

    pub(super) fn anchor(&mut self, place: Anchor) -> &mut Self {
        if let Form::Text { anchor, .. } = &mut self.form {
            *anchor = place;
        }
        self
    }

    pub(super) fn middle(&mut self) -> &mut Self {
        self.anchor(Anchor::Middle)
    }

    pub(super) fn end(&mut self) -> &mut Self {
        self.anchor(Anchor::End)
    }

    /// A text that is read from below upwards.
    pub(super) fn turn(&mut self) -> &mut Self {
        if let Form::Text { turned, .. } = &mut self.form {
            *turned = true;
        }
        self
    }

    pub(super) fn ink(&mut self, ink: Colour) -> &mut Self {
        if let Form::Text { colour, .. } = &mut self.form {
            *colour = ink;
        }
        self
    }
}

impl Form {
    fn shift(&mut self, [right, down]: [f64; 2]) {
        let shift = |at: &mut [f64; 2]| *at = [at[0] + right, at[1] + down];
        match self {
            Form::Line { points, .. } | Form::Polygon { points, .. } => points.iter_mut().for_each(shift),
            Form::Rect { at, .. } | Form::Circle { at, .. } | Form::Text { at, .. } | Form::Image { at, .. } => {
                shift(at);
            }
        }
    }
}
