//! What the colours of a chart mean.

use super::frame::{NORMAL, SMALL};
use super::palette::Colour;
use super::scene::Scene;
use super::text;

/// How an entry is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sample {
    Line,
    Dashes,
    Dot,
}

/// Entries in lines, from left to right.
pub(super) struct Legend {
    /// Line by line: where each begins, and what it is.
    entries: Vec<([f64; 2], Sample, Colour, String, String)>,
    lines: usize,
}

const LINE: f64 = 18.0;
const SAMPLE: f64 = 26.0;

impl Legend {
    /// In this width. A text that is wider alone is cut.
    pub(super) fn new(width: f64, entries: impl IntoIterator<Item = (Sample, Colour, String)>) -> Self {
        let mut legend = Legend { entries: Vec::new(), lines: 0 };
        let mut x = f64::INFINITY;
        for (sample, colour, full) in entries {
            let text = text::fit(&full, SMALL, width - SAMPLE);
            let needs = SAMPLE + text::width(&text, SMALL);
            if x + needs > width {
                (x, legend.lines) = (0.0, legend.lines + 1);
            }
            let at = [x, LINE * (legend.lines - 1) as f64];
            legend.entries.push((at, sample, colour, text, full));
            x += needs + NORMAL;
        }
        legend
    }

    pub(super) fn height(&self) -> f64 {
        LINE * self.lines as f64
    }

    pub(super) fn draw(self, scene: &mut Scene, [left, top]: [f64; 2]) {
        for ([x, y], sample, colour, text, full) in self.entries {
            let (x, y) = (left + x, top + y + LINE / 2.0);
            match sample {
                Sample::Dot => {
                    scene.dot([x + 12.0, y], 5.0, colour);
                }
                Sample::Line | Sample::Dashes => {
                    let line = scene.line(vec![[x, y], [x + SAMPLE - 6.0, y]], colour, 2.0);
                    if sample == Sample::Dashes {
                        line.dashes();
                    }
                }
            }
            scene.text([x + SAMPLE, y + 4.0], text, SMALL).tip(full);
        }
    }
}
