//! A scene as PNG: drawn too large by plotters, then made smaller, which smooths every edge.

use std::fmt::Display;

use plotters::prelude::{BitMapBackend, Color, DrawingBackend, RGBColor, ShapeStyle};

use super::palette::Colour;
use super::scene::{Anchor, Form, Pixels, Scene};
use super::text;
use crate::error::{Error, Result};
use crate::io::encode_png;

/// Pixels of the file for each unit of the picture.
const PIXELS: usize = 2;
/// Pixels of the drawing for each of the file.
const FINER: usize = 2;
/// Pixels of the drawing for each unit.
const SCALE: f64 = (PIXELS * FINER) as f64;
/// The most pixels of a drawing: 3 bytes each.
const MOST: f64 = 2e8;

/// The bytes of the file.
pub(super) fn draw(scene: &Scene) -> Result<Vec<u8>> {
    let [width, height] = [scene.width * SCALE, scene.height * SCALE];
    if width * height > MOST {
        let size = format!("{} by {}", scene.width, scene.height);
        return Err(Error::setting(
            "size of a picture in PNG",
            format!("at most {} units²", MOST / SCALE / SCALE),
            size,
        ));
    }
    let (width, height) = (width as usize, height as usize);
    let mut large = vec![255; width * height * 3];
    let mut canvas = Canvas { backend: BitMapBackend::with_buffer(&mut large, (width as u32, height as u32)) };
    scene.shapes.iter().try_for_each(|shape| canvas.shape(&shape.form))?;
    drop(canvas);
    let (small, size) = smaller(&large, width, height);
    encode_png(&small, size).map_err(|error| Error::custom(format!("the picture cannot be compressed: {error}")))
}

/// Each pixel the mean of a square of the large ones.
fn smaller(large: &[u8], width: usize, height: usize) -> (Vec<u8>, [usize; 3]) {
    let (columns, rows) = (width / FINER, height / FINER);
    let mut small = Vec::with_capacity(columns * rows * 3);
    for row in 0..rows {
        for column in 0..columns {
            for channel in 0..3 {
                let place =
                    |at: usize| ((row * FINER + at / FINER) * width + column * FINER + at % FINER) * 3 + channel;
                let sum: usize = (0..FINER * FINER).map(|at| usize::from(large[place(at)])).sum();
                small.push((sum / (FINER * FINER)) as u8);
            }
        }
    }
    (small, [rows, columns, 3])
}

struct Canvas<'b> {
    backend: BitMapBackend<'b>,
}

/// Drawing into memory has no reason to fail; what plotters says is passed on all the same.
fn drawn(result: Result<(), impl Display>) -> Result<()> {
    result.map_err(|error| Error::custom(format!("the picture cannot be drawn: {error}")))
}

fn pixel([x, y]: [f64; 2]) -> (i32, i32) {
    ((x * SCALE).round() as i32, (y * SCALE).round() as i32)
}

fn style(Colour([red, green, blue]): Colour, width: f64) -> ShapeStyle {
    RGBColor(red, green, blue).stroke_width((width * SCALE).round() as u32)
}

impl Canvas<'_> {
    fn shape(&mut self, form: &Form) -> Result<()> {
        match form {
            Form::Line { points, colour, width, dashed: false } => self.line(points, *colour, *width),
            Form::Line { points, colour, width, dashed: true } => {
                dashes(points).iter().try_for_each(|dash| self.line(dash, *colour, *width))
            }
            Form::Polygon { points, fill } => {
                drawn(self.backend.fill_polygon(points.iter().copied().map(pixel), &style(*fill, 1.0)))
            }
            Form::Rect { at, size, fill, edge } => self.rect(*at, *size, *fill, *edge),
            Form::Circle { at, radius, fill, edge } => {
                let mut disc = |radius: f64, colour| {
                    drawn(self.backend.draw_circle(pixel(*at), (radius * SCALE) as u32, &style(colour, 1.0), true))
                };
                match edge {
                    // The rim lies half outside, as in SVG.
                    Some(edge) => disc(radius + 0.5, *edge).and_then(|()| disc(radius - 0.5, *fill)),
                    None => disc(*radius, *fill),
                }
            }
            Form::Text { at, text, size, colour, anchor, turned } => {
                self.text(*at, text, *size, *colour, *anchor, *turned)
            }
            Form::Image { at, size, pixels } => self.image(*at, *size, pixels),
        }
    }

    fn line(&mut self, points: &[[f64; 2]], colour: Colour, width: f64) -> Result<()> {
        drawn(self.backend.draw_path(points.iter().copied().map(pixel), &style(colour, width)))
    }

    fn rect(&mut self, at: [f64; 2], size: [f64; 2], fill: Option<Colour>, edge: Option<Colour>) -> Result<()> {
        let to = [at[0] + size[0], at[1] + size[1]];
        if let Some(fill) = fill {
            drawn(self.backend.draw_rect(pixel(at), pixel(to), &style(fill, 1.0), true))?;
        }
        let corners = [at, [to[0], at[1]], to, [at[0], to[1]], at];
        edge.map_or(Ok(()), |edge| self.line(&corners, edge, 1.0))
    }

    fn text(
        &mut self,
        at: [f64; 2],
        text: &str,
        size: f64,
        colour: Colour,
        anchor: Anchor,
        turned: bool,
    ) -> Result<()> {
        let before = match anchor {
            Anchor::Start => 0.0,
            Anchor::Middle => text::width(text, size) / 2.0,
            Anchor::End => text::width(text, size),
        };
        let begin = pixel(if turned { [at[0], at[1] + before] } else { [at[0] - before, at[1]] });
        let Colour([red, green, blue]) = colour;
        let mut all = Ok(());
        text::draw(text, size * SCALE, |right, down, ink| {
            let (right, down) = if turned { (down, -right) } else { (right, down) };
            let colour = RGBColor(red, green, blue).mix(f64::from(ink)).to_backend_color();
            let dot = self.backend.draw_pixel((begin.0 + right, begin.1 + down), colour);
            if all.is_ok() {
                all = drawn(dot);
            }
        });
        all
    }

    fn image(&mut self, at: [f64; 2], size: [f64; 2], Pixels { width, height, rgb }: &Pixels) -> Result<()> {
        let corner = |column: usize, row: usize| {
            let share = [column as f64 / *width as f64, row as f64 / *height as f64];
            [at[0] + size[0] * share[0], at[1] + size[1] * share[1]]
        };
        for (number, colour) in rgb.chunks_exact(3).enumerate() {
            let (row, column) = (number / width, number % width);
            let (from, to) = (corner(column, row), corner(column + 1, row + 1));
            self.rect(from, [to[0] - from[0], to[1] - from[1]], Some(Colour([colour[0], colour[1], colour[2]])), None)?;
        }
        Ok(())
    }
}

/// Pieces of 6 with 4 between them along a line.
fn dashes(points: &[[f64; 2]]) -> Vec<Vec<[f64; 2]>> {
    const PIECES: [f64; 2] = [6.0, 4.0];
    let mut dashes = Vec::new();
    let mut dash = Vec::from_iter(points.first().copied());
    let (mut kind, mut left) = (0, PIECES[0]);
    for pair in points.windows(2) {
        let [from, to] = [pair[0], pair[1]];
        let length = (to[0] - from[0]).hypot(to[1] - from[1]);
        let mut gone = 0.0;
        while length - gone > left {
            gone += left;
            let at = [0, 1].map(|axis| from[axis] + (to[axis] - from[axis]) * gone / length);
            dash.push(at);
            if kind == 0 {
                dashes.push(std::mem::take(&mut dash));
            }
            dash = vec![at];
            kind = 1 - kind;
            left = PIECES[kind];
        }
        left -= length - gone;
        dash.push(to);
    }
    if kind == 0 && dash.len() > 1 {
        dashes.push(dash);
    }
    dashes
}
