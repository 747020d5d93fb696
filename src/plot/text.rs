//! The font, and how wide texts are.

use std::sync::LazyLock;

use ab_glyph::{Font, FontRef, PxScale, ScaleFont, point};

use super::escape::one_line;

/// DejaVu Sans, without the letters of most scripts: see `font/LICENSE`.
static FONT: LazyLock<FontRef<'static>> = LazyLock::new(|| {
    FontRef::try_from_slice(include_bytes!("font/DejaVuSans-subset.ttf")).expect("the bytes of a font")
});

/// From the deepest to the highest letter, in units of what CSS calls the size of a font.
const HEIGHT: f64 = 2384.0 / 2048.0;

fn scale(size: f64) -> PxScale {
    PxScale::from((size * HEIGHT) as f32)
}

/// Where each letter begins, and where the text ends.
fn places(text: &str, size: f64) -> (Vec<(char, f32)>, f32) {
    let font = FONT.as_scaled(scale(size));
    let (mut places, mut end, mut before) = (Vec::new(), 0.0, None);
    for letter in text.chars() {
        let glyph = font.glyph_id(letter);
        end += before.map_or(0.0, |before| font.kern(before, glyph));
        places.push((letter, end));
        end += font.h_advance(glyph);
        before = Some(glyph);
    }
    (places, end)
}

/// The width of a text.
pub(super) fn width(text: &str, size: f64) -> f64 {
    f64::from(places(&one_line(text), size).1)
}

/// Calls `dot` for each pixel that a text has ink on, with how much: right of where it begins, and down from its
/// baseline.
pub(super) fn draw(text: &str, size: f64, mut dot: impl FnMut(i32, i32, f32)) {
    for (letter, x) in places(&one_line(text), size).0 {
        let glyph = FONT.glyph_id(letter).with_scale_and_position(scale(size), point(x, 0.0));
        if let Some(outline) = FONT.outline_glyph(glyph) {
            let corner = outline.px_bounds().min;
            outline.draw(|x, y, ink| dot(x as i32 + corner.x as i32, y as i32 + corner.y as i32, ink));
        }
    }
}

/// The text, or as much of it as there is room for, and dots.
pub(super) fn fit(text: &str, size: f64, room: f64) -> String {
    let text = one_line(text);
    if width(&text, size) <= room {
        return text.into_owned();
    }
    let letters: Vec<char> = text.chars().collect();
    let cut = |count: usize| letters[..count].iter().collect::<String>().trim_end().to_owned() + "…";
    let (mut fits, mut too_many) = (0, letters.len());
    while fits + 1 < too_many {
        let middle = (fits + too_many) / 2;
        *(if width(&cut(middle), size) <= room { &mut fits } else { &mut too_many }) = middle;
    }
    cut(fits)
}
