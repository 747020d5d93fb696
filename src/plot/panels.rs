//! Several small charts in one picture.

use super::frame::LARGE;
use super::scene::Scene;
use super::text;

const GAP: f64 = 14.0;
/// How wide a title makes a picture that is narrow.
const TITLE: f64 = 500.0;

/// Scenes in rows of so many, under a title that may be empty.
pub(super) fn panels(title: &str, columns: usize, panels: Vec<Scene>) -> Scene {
    let columns = columns.min(panels.len()).max(1);
    let widest = panels.iter().map(|panel| panel.width).fold(0.0, f64::max);
    let heights: Vec<f64> =
        panels.chunks(columns).map(|row| row.iter().map(|panel| panel.height).fold(0.0, f64::max)).collect();
    let above = if title.is_empty() { GAP } else { GAP + 2.0 * LARGE };
    let title_width = (text::width(title, LARGE) + 2.0 * GAP).min(TITLE);
    let width = (columns as f64 * (widest + GAP) + GAP).max(title_width);
    let height = above + heights.iter().map(|height| height + GAP).sum::<f64>();
    let name = if title.is_empty() {
        panels.iter().map(|panel| panel.name.as_str()).collect::<Vec<_>>().join(", ")
    } else {
        title.to_owned()
    };
    let mut scene = Scene::new(name, width, height);
    head(&mut scene, title, GAP);
    for (number, panel) in panels.into_iter().enumerate() {
        let (row, column) = (number / columns, number % columns);
        let top = above + heights[..row].iter().map(|height| height + GAP).sum::<f64>();
        scene.place(panel, [GAP + column as f64 * (widest + GAP), top]);
    }
    scene
}

/// A title in the upper left corner, cut where it is too long.
pub(super) fn head(scene: &mut Scene, title: &str, left: f64) {
    if !title.is_empty() {
        let room = scene.width - 2.0 * left;
        scene.text([left, GAP + LARGE], text::fit(title, LARGE, room), LARGE).tip(title);
    }
}
