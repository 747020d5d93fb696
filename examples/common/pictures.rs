//! Pictures that the examples write, as SVG files that any browser shows.

use std::fmt::Display;
use std::path::Path;

use layerwise::data::Images;
use layerwise::prelude::*;
use ndarray::Axis;
use plotters::prelude::*;

/// The mistakes that a picture shows at most.
const MOST: usize = 60;
/// Pictures in a row.
const COLUMNS: usize = 10;
/// The side of an image and the height of its caption, in pixels.
const SIDE: i32 = 84;
const CAPTION: i32 = 34;
const GAP: i32 = 12;

/// Writes the images that a classifier got wrong, the surest mistakes first, each with what it is and what it was taken
/// for; gives the number of all mistakes.
pub fn mistakes(set: &Images, probabilities: &Tensor, path: &str) -> Result<usize> {
    let mut wrong = Vec::new();
    for (number, (row, &class)) in probabilities.axis_iter(Axis(0)).zip(&set.labels).enumerate() {
        let best = row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(class, _)| class);
        if best != class {
            wrong.push((number, best, row[best]));
        }
    }
    wrong.sort_by(|a, b| b.2.total_cmp(&a.2));
    let shown = &wrong[..wrong.len().min(MOST)];
    let title = format!("{} of {} images wrong: what it is, and what it was taken for", wrong.len(), set.len());
    let rows = shown.len().div_ceil(COLUMNS).max(1) as i32;
    let size = (COLUMNS as i32 * (SIDE + GAP) + GAP, rows * (SIDE + CAPTION + GAP) + 2 * GAP + 24);
    let area = SVGBackend::new(path_of(path)?, (size.0 as u32, size.1 as u32)).into_drawing_area();
    area.fill(&WHITE).map_err(drawing)?;
    let text = |size: i32| ("sans-serif", size).into_font().color(&BLACK);
    area.draw(&Text::new(title, (GAP, GAP), text(18))).map_err(drawing)?;
    for (place, &(number, taken, probability)) in shown.iter().enumerate() {
        let corner = (
            GAP + (place % COLUMNS) as i32 * (SIDE + GAP),
            2 * GAP + 24 + (place / COLUMNS) as i32 * (SIDE + CAPTION + GAP),
        );
        let image = set.images.index_axis(Axis(0), number);
        let (height, width, _) = image.dim();
        let edge = |at: usize, of: usize| (at as i32 * SIDE) / of as i32;
        for row in 0..height {
            for column in 0..width {
                let ink = (255.0 * (1.0 - image[[row, column, 0]])).clamp(0.0, 255.0) as u8;
                let from = (corner.0 + edge(column, width), corner.1 + edge(row, height));
                let to = (corner.0 + edge(column + 1, width), corner.1 + edge(row + 1, height));
                if ink < 250 {
                    let fill = RGBColor(ink, ink, ink).filled();
                    area.draw(&Rectangle::new([from, to], fill)).map_err(drawing)?;
                }
            }
        }
        let frame = Rectangle::new([corner, (corner.0 + SIDE, corner.1 + SIDE)], RGBColor(190, 190, 190));
        area.draw(&frame).map_err(drawing)?;
        let below = corner.1 + SIDE + 3;
        let is = set.classes[set.labels[number]].as_str();
        area.draw(&Text::new(is.to_owned(), (corner.0, below), text(13))).map_err(drawing)?;
        let taken = format!("{} {:.0} %", set.classes[taken], 100.0 * probability);
        let red = ("sans-serif", 13).into_font().color(&RGBColor(200, 30, 30));
        area.draw(&Text::new(taken, (corner.0, below + 15), red)).map_err(drawing)?;
    }
    area.present().map_err(drawing)?;
    Ok(wrong.len())
}

/// The path, once the folder that it is in is there.
fn path_of(path: &str) -> Result<&Path> {
    let path = Path::new(path);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|error| Error::custom(format!("{}: {error}", folder.display())))?;
    }
    Ok(path)
}

fn drawing(error: impl Display) -> Error {
    Error::custom(format!("the picture cannot be drawn: {error}"))
}
