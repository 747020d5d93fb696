//! The area of a chart, between its axes.

use super::axis::Axis;
use super::palette::{GREY, RULE};
use super::scene::Scene;
use super::text;

/// The size of the numbers along the sides, and of what the sides are called.
pub(super) const SMALL: f64 = 11.0;
pub(super) const NORMAL: f64 = 12.5;
/// The size of headings.
pub(super) const LARGE: f64 = 15.0;

/// The room that the numbers and the name on the left, and those below, need.
pub(super) const LEFT: f64 = 66.0;
pub(super) const BELOW: f64 = 42.0;

/// A rectangle with an axis along its lower and one along its left side.
pub(super) struct Frame {
    pub(super) at: [f64; 2],
    pub(super) size: [f64; 2],
    pub(super) x: Axis,
    pub(super) y: Axis,
}

impl Frame {
    /// Where a pair of numbers is.
    pub(super) fn place(&self, x: f64, y: f64) -> [f64; 2] {
        [self.at[0] + self.size[0] * self.x.place(x), self.at[1] + self.size[1] * (1.0 - self.y.place(y))]
    }

    /// Draws rules, numbers, and the names of both sides.
    pub(super) fn draw(&self, scene: &mut Scene, x_name: &str, y_name: &str) {
        let [left, top] = self.at;
        let [width, height] = self.size;
        let bottom = top + height;
        for (value, text) in self.y.ticks((height / 45.0).max(2.0) as usize) {
            let y = top + height * (1.0 - self.y.place(value));
            scene.line(vec![[left, y], [left + width, y]], RULE, 1.0);
            scene.text([left - 6.0, y + 4.0], text, SMALL).end().ink(GREY);
        }
        for (value, text) in self.x.ticks((width / 60.0).max(2.0) as usize) {
            let x = left + width * self.x.place(value);
            scene.line(vec![[x, top], [x, bottom]], RULE, 1.0);
            scene.text([x, bottom + 16.0], text, SMALL).middle().ink(GREY);
        }
        scene.line(vec![[left, top], [left, bottom], [left + width, bottom]], GREY, 1.0);
        let middle = [left + width / 2.0, top + height / 2.0];
        if !x_name.is_empty() {
            let shown = text::fit(x_name, NORMAL, width);
            scene.text([middle[0], bottom + 35.0], shown, NORMAL).middle().tip(x_name);
        }
        if !y_name.is_empty() {
            let shown = text::fit(y_name, NORMAL, height);
            scene.text([left - 50.0, middle[1]], shown, NORMAL).middle().turn().tip(y_name);
        }
    }
}
