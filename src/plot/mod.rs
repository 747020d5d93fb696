//! Pictures of runs, models and data, as SVG and PNG, and a report of a run as a page of HTML. Needs the feature `plot`.
//!
//! ```
//! use layerwise::plot::{self, Picture};
//! use layerwise::prelude::*;
//!
//! let curves = plot::TrainingCurves::new()
//!     .curve("loss", "training", [0.9, 0.5, 0.3])
//!     .curve("loss", "validation", [0.8, 0.6, 0.5]);
//! assert!(curves.svg()?.starts_with("<svg"));
//! curves.save(std::env::temp_dir().join("layerwise-curves.png"))?;
//! # Ok::<(), Error>(())
//! ```
//!
//! | picture | of |
//! |---|---|
//! | [`TrainingCurves`] | the losses and metrics of a [`History`](crate::train::History) |
//! | [`ConfusionMatrix`] | a [`metrics::ConfusionMatrix`](crate::metrics::ConfusionMatrix) |
//! | [`RocCurve`], [`PrecisionRecallCurve`] | [`Thresholds`](crate::metrics::Thresholds) |
//! | [`Histogram`] | weights, activations, any numbers |
//! | [`ImageGrid`] | images with captions |
//! | [`DecisionRegions`] | what a classifier of two features says where |
//! | [`Architecture`] | the layers of a model and how they are wired; as Mermaid text too |
//!
//! SVG files carry the numbers: a browser shows those of a point or a cell under the mouse. They name no font but
//! `sans-serif`, and keep room for a wide one. PNG files have twice as many pixels as the picture has units; their
//! letters are those of DejaVu Sans, of which a part comes with the crate (Latin, Greek, Cyrillic; its licence is in
//! `src/plot/font/LICENSE`). Letters of other scripts are boxes in PNG.
//!
//! Nothing is left out in silence: values that cannot be drawn, NaN for one, are counted in the legend.

mod architecture;
mod axis;
mod confusion_matrix;
mod decision_regions;
mod escape;
mod frame;
mod histogram;
mod image_grid;
mod layering;
mod legend;
mod number;
mod palette;
mod panels;
mod png;
mod rates;
mod report;
mod scene;
mod svg;
mod text;
mod training_curves;

use std::io::Write;
use std::path::Path;

pub use architecture::Architecture;
pub use confusion_matrix::ConfusionMatrix;
pub use decision_regions::DecisionRegions;
pub use histogram::Histogram;
pub use image_grid::ImageGrid;
pub use rates::{PrecisionRecallCurve, RocCurve};
pub use report::Report;
pub use scene::Scene;
pub use training_curves::TrainingCurves;

use crate::error::{Error, Result};
use crate::io::write_atomically;

/// What can be drawn.
pub trait Picture {
    /// The lines, areas and texts of the picture.
    ///
    /// # Errors
    /// [`Error::Empty`] where there is nothing to draw, and where what was given does not fit together.
    fn scene(&self) -> Result<Scene>;

    /// The picture as an SVG element, which is a whole file as well.
    ///
    /// # Errors
    /// As for [`scene`](Self::scene).
    fn svg(&self) -> Result<String> {
        Ok(svg::write(&self.scene()?))
    }

    /// The picture as the bytes of a PNG file, two pixels for each unit.
    ///
    /// # Errors
    /// As for [`scene`](Self::scene), and where it would have too many pixels.
    fn png(&self) -> Result<Vec<u8>> {
        png::draw(&self.scene()?)
    }

    /// Writes a file, `.svg` or `.png`.
    ///
    /// # Errors
    /// [`Error::Setting`] for another extension, [`Error::Io`] where it cannot be written, and as for
    /// [`scene`](Self::scene).
    fn save(&self, path: impl AsRef<Path>) -> Result<()>
    where
        Self: Sized,
    {
        let path = path.as_ref();
        let bytes = match extension(path).as_str() {
            "svg" => self.svg()?.into_bytes(),
            "png" => self.png()?,
            _ => return Err(Error::setting("path of a picture", "a file ending in .svg or .png", path.display())),
        };
        write_atomically(path, |file| file.write_all(&bytes))
    }
}

/// What a path ends in, in small letters; empty where it has no extension.
fn extension(path: &Path) -> String {
    path.extension().unwrap_or_default().to_string_lossy().to_lowercase()
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;

    use super::scene::{Anchor, Form};
    use super::*;
    use crate::layers::Dense;
    use crate::metrics::{self, Metric};
    use crate::models::Sequential;
    use crate::to_tensor;

    const LONG: &str = "WWWWWWWW a name that is far longer than anybody would wish for and goes on and on and on";

    /// Texts that are not wholly on their picture.
    fn outside(scene: &Scene) -> Vec<String> {
        let mut outside = Vec::new();
        for shape in &scene.shapes {
            let Form::Text { at, text, size, anchor, turned, .. } = &shape.form else { continue };
            let width = text::width(text, *size);
            let before = match anchor {
                Anchor::Start => 0.0,
                Anchor::Middle => width / 2.0,
                Anchor::End => width,
            };
            let (from, to, edge) = match turned {
                true => (at[1] + before - width, at[1] + before, scene.height),
                false => (at[0] - before, at[0] - before + width, scene.width),
            };
            let across = if *turned { (at[0], scene.width) } else { (at[1], scene.height) };
            if from < 0.0 || to > edge || across.0 - size < 0.0 || across.0 > across.1 {
                outside.push(format!("{text}: {from} to {to} of {edge}, {across:?}"));
            }
        }
        outside
    }

    fn confusion(classes: usize, name: &str) -> Result<ConfusionMatrix> {
        let scores = ndarray::Array2::<f32>::eye(classes);
        let mut matrix =
            metrics::ConfusionMatrix::new().class_names((0..classes).map(|class| format!("{name} {class}")));
        matrix.update(&to_tensor(&scores)?, &to_tensor(&(0..classes).collect::<ndarray::Array1<_>>())?, None)?;
        Ok(ConfusionMatrix::of(&matrix).title(name))
    }

    #[test]
    fn every_text_is_wholly_on_its_picture() -> Result<()> {
        let model: Sequential = Sequential::new().add(Dense::new(1)).add(Dense::new(2));
        let values = (0..40).map(f64::from);
        let curves = TrainingCurves::new().curve(LONG, LONG, [1e300, 2e300]).curve("b", "c", [0.1; 1000]).title(LONG);
        let thresholds = metrics::Thresholds::of::<f32>(
            &to_tensor(&ndarray::array![0.1_f32, 0.9])?,
            &to_tensor(&ndarray::array![0, 1])?,
            None,
        )?;
        let pictures: Vec<(&str, Scene)> = vec![
            ("curves", curves.scene()?),
            ("two classes", confusion(2, "a")?.scene()?),
            ("sixty classes", confusion(60, LONG)?.scene()?),
            ("roc", RocCurve::new().curve(LONG, &thresholds).title(LONG).scene()?),
            ("histogram", Histogram::new().values(LONG, values).title(LONG).scene()?),
            ("grid", ImageGrid::of(&Array3::<f32>::zeros((11, 2, 3))).captions([LONG; 11]).most(1).scene()?),
            ("architecture", Architecture::of(&model, &[vec![3]])?.title(LONG).scene()?),
        ];
        for (name, scene) in pictures {
            assert!(outside(&scene).is_empty(), "{name}: {:?}", outside(&scene));
        }
        Ok(())
    }

    #[test]
    fn letters_are_as_wide_as_the_font_says() {
        // Advances of DejaVu Sans in 2048 parts of its size: "H" 1540, "i" 569, and the dots that are one letter, 2048.
        assert!((text::width("Hi", 2048.0) - (1540.0 + 569.0)).abs() < 1.0);
        assert_eq!(text::fit("Hi", 10.0, 100.0), "Hi");
        assert!(text::width(&text::fit(LONG, 10.0, 100.0), 10.0) <= 100.0);
        assert_eq!(text::fit("a\nb", 10.0, 100.0), "a b");
    }
}
