//! A scene as SVG.

use std::fmt::{self, Write};

use super::escape::escape;
use super::palette::Colour;
use super::scene::{Anchor, Form, Pixels, Scene, Shape};
use crate::io::encode_png;

pub(super) fn write(scene: &Scene) -> String {
    let mut svg = String::new();
    // Writing to a string does not fail.
    let _ = write_all(&mut svg, scene);
    svg
}

fn write_all(svg: &mut String, scene: &Scene) -> fmt::Result {
    let Scene { width, height, name, shapes } = scene;
    write!(svg, r#"<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}""#)?;
    writeln!(svg, r#" viewBox="0 0 {width} {height}" font-family="sans-serif" role="img">"#)?;
    writeln!(svg, "<title>{}</title>", escape(name))?;
    writeln!(svg, r##"<rect width="{width}" height="{height}" fill="#ffffff"/>"##)?;
    shapes.iter().try_for_each(|shape| write_shape(svg, shape))?;
    writeln!(svg, "</svg>")
}

fn write_shape(svg: &mut String, Shape { form, tip }: &Shape) -> fmt::Result {
    let (tag, mut content) = match form {
        Form::Line { points, colour, width, dashed } => {
            let dashes = if *dashed { r#" stroke-dasharray="6 4""# } else { "" };
            write!(svg, r#"<polyline points="{}" fill="none" stroke="{colour}""#, Points(points))?;
            write!(svg, r#" stroke-width="{width}" stroke-linejoin="round"{dashes}"#)?;
            ("polyline", String::new())
        }
        Form::Rect { at, size, fill, edge } => {
            write!(svg, r#"<rect x="{}" y="{}""#, Place(at[0]), Place(at[1]))?;
            write!(svg, r#" width="{}" height="{}""#, Place(size[0]), Place(size[1]))?;
            paint(svg, *fill, *edge)?;
            ("rect", String::new())
        }
        Form::Circle { at, radius, fill, edge } => {
            write!(svg, r#"<circle cx="{}" cy="{}" r="{radius}""#, Place(at[0]), Place(at[1]))?;
            paint(svg, Some(*fill), *edge)?;
            ("circle", String::new())
        }
        Form::Polygon { points, fill } => {
            write!(svg, r#"<polygon points="{}" fill="{fill}""#, Points(points))?;
            ("polygon", String::new())
        }
        Form::Text { at: [x, y], text, size, colour, anchor, turned } => {
            let (x, y) = (Place(*x), Place(*y));
            write!(svg, r#"<text x="{x}" y="{y}" font-size="{size}" fill="{colour}""#)?;
            match anchor {
                Anchor::Start => {}
                Anchor::Middle => write!(svg, r#" text-anchor="middle""#)?,
                Anchor::End => write!(svg, r#" text-anchor="end""#)?,
            }
            if tip.is_none() {
                // Under the mouse is what lies below.
                write!(svg, r#" pointer-events="none""#)?;
            }
            if *turned {
                write!(svg, r#" transform="rotate(-90 {x} {y})""#)?;
            }
            ("text", escape(text))
        }
        Form::Image { at, size, pixels } => {
            write!(svg, r#"<image x="{}" y="{}""#, Place(at[0]), Place(at[1]))?;
            write!(svg, r#" width="{}" height="{}""#, Place(size[0]), Place(size[1]))?;
            write!(svg, r#" preserveAspectRatio="none" style="image-rendering:pixelated" href="{}""#, link(pixels))?;
            ("image", String::new())
        }
    };
    // A text that is whole needs no tip that says it again.
    let whole = |tip: &&String| matches!(form, Form::Text { text, .. } if text == *tip);
    if let Some(tip) = tip.as_ref().filter(|tip| !whole(tip)) {
        write!(content, "<title>{}</title>", escape(tip))?;
    }
    if content.is_empty() { writeln!(svg, "/>") } else { writeln!(svg, ">{content}</{tag}>") }
}

fn paint(svg: &mut String, fill: Option<Colour>, edge: Option<Colour>) -> fmt::Result {
    match fill {
        Some(fill) => write!(svg, r#" fill="{fill}""#)?,
        None => write!(svg, r#" fill="none""#)?,
    }
    edge.map_or(Ok(()), |edge| write!(svg, r#" stroke="{edge}""#))
}

/// A hundredth is more than anybody sees.
struct Place(f64);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", (100.0 * self.0).round() / 100.0 + 0.0)
    }
}

struct Points<'p>(&'p [[f64; 2]]);

impl fmt::Display for Points<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, [x, y]) in self.0.iter().enumerate() {
            let gap = if number == 0 { "" } else { " " };
            write!(f, "{gap}{},{}", Place(*x), Place(*y))?;
        }
        Ok(())
    }
}

impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Colour([red, green, blue]) = self;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}

/// An image inside of the file.
fn link(Pixels { width, height, rgb }: &Pixels) -> String {
    // Into memory, which does not fail.
    let png = encode_png(rgb, [*height, *width, 3]).unwrap_or_default();
    format!("data:image/png;base64,{}", base64(&png))
}

/// RFC 4648.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = (0..3).fold(0, |bits, at| bits << 8 | usize::from(group.get(at).copied().unwrap_or(0)));
        for place in 0..4 {
            let letter = LETTERS[bits >> (18 - 6 * place) & 63];
            text.push(if place <= group.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_rfc() {
        for (text, code) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(text.as_bytes()), code);
        }
    }
}
