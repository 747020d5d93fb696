//! A run as a page of HTML.

use std::io::Write;
use std::path::Path;

use super::escape::escape;
use super::number::digits;
use super::{ConfusionMatrix, Picture, TrainingCurves, extension};
use crate::error::{Error, Result};
use crate::io::write_atomically;
use crate::metrics;
use crate::summary::Summary;
use crate::train::History;

/// Says to the browser that nothing is to be fetched, whatever the page holds.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";
const STYLE: &str = include_str!("report.css");

/// A report of a run in one HTML file, which needs no network and no script: what was reached, curves, confusion matrix,
/// pictures, the layers, and the table of epochs.
///
/// ```
/// use layerwise::plot;
/// use layerwise::prelude::*;
/// # use layerwise::data::datasets;
///
/// # let iris = datasets::iris();
/// # let mut model = Sequential::new().add(Dense::new(3));
/// # let mut trainer = Trainer::new(SoftmaxCrossEntropy::new(), Adam::new(1e-3)).epochs(2).progress(Progress::Silent);
/// let history = trainer.fit(&mut model, (&iris.features, &iris.labels))?;
/// plot::Report::new("Iris")
///     .text("Three species by four measurements.")
///     .history(&history)?
///     .summary(&model.summary(&[4])?)
///     .save(std::env::temp_dir().join("layerwise-report.html"))?;
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Report {
    title: String,
    texts: Vec<String>,
    history: Option<History>,
    /// Headings, and what stands under them, as HTML.
    sections: Vec<(String, String)>,
}

impl Report {
    /// An empty page with a heading.
    pub fn new(title: impl Into<String>) -> Self {
        Report { title: title.into(), texts: Vec::new(), history: None, sections: Vec::new() }
    }

    /// A paragraph under the heading.
    #[must_use]
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.texts.push(text.into());
        self
    }

    /// The run: what its last epoch came to, its warnings, curves of all losses and metrics, and at the end of the page
    /// the table of epochs. A run without epochs is said to have none.
    ///
    /// # Errors
    /// As for [`Picture::scene`] of [`TrainingCurves`].
    pub fn history(mut self, history: &History) -> Result<Self> {
        self.history = Some(history.clone());
        if history.epochs().is_empty() {
            return Ok(self.section("Training", "<p>No epoch was run.</p>".into()));
        }
        self.picture("Training", &TrainingCurves::of(history))
    }

    /// The confusion matrix as a picture, and the scores of each class.
    ///
    /// # Errors
    /// [`Error::Empty`] for a matrix that has taken nothing in.
    pub fn confusion_matrix(self, matrix: &metrics::ConfusionMatrix) -> Result<Self> {
        let svg = ConfusionMatrix::of(matrix).svg()?;
        let scores = escape(&matrix.report().to_string());
        Ok(self.section("Confusion matrix", format!("{}<pre>{scores}</pre>", figure(&svg))))
    }

    /// The layers of the model.
    #[must_use]
    pub fn summary(self, summary: &Summary) -> Self {
        self.section("Model", format!("<pre>{}</pre>", escape(&summary.to_string())))
    }

    /// Any picture under a heading.
    ///
    /// # Errors
    /// As for [`Picture::scene`].
    pub fn picture(self, heading: impl Into<String>, picture: &impl Picture) -> Result<Self> {
        let svg = picture.svg()?;
        Ok(self.section(heading, figure(&svg)))
    }

    fn section(mut self, heading: impl Into<String>, html: String) -> Self {
        self.sections.push((heading.into(), html));
        self
    }

    /// The page.
    pub fn html(&self) -> String {
        let title = escape(&self.title);
        let mut page = format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <link rel=\"icon\" href=\"data:,\">\n<title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n\
             <body>\n<h1>{title}</h1>\n"
        );
        for text in &self.texts {
            page += &format!("<p>{}</p>\n", escape(text));
        }
        page += &self.history.as_ref().map_or(String::new(), facts);
        for (heading, html) in &self.sections {
            page += &format!("<section>\n<h2>{}</h2>\n{html}\n</section>\n", escape(heading));
        }
        page += &self.history.as_ref().map_or(String::new(), epochs);
        let version = env!("CARGO_PKG_VERSION");
        page + &format!("<footer>layerwise {version}</footer>\n</body>\n</html>\n")
    }

    /// Writes the page to a file ending in `.html`.
    ///
    /// # Errors
    /// [`Error::Setting`] for another extension, [`Error::Io`] where it cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        if !matches!(extension(path).as_str(), "html" | "htm") {
            return Err(Error::setting("path of a report", "a file ending in .html", path.display()));
        }
        write_atomically(path, |file| file.write_all(self.html().as_bytes()))
    }
}

fn figure(svg: &str) -> String {
    format!("<figure>\n{svg}</figure>\n")
}

/// What the last epoch came to, and warnings.
fn facts(history: &History) -> String {
    let mut html = String::new();
    for warning in history.warnings() {
        html += &format!("<p class=\"warning\">{}</p>\n", escape(warning));
    }
    let Some(last) = history.last() else { return html };
    let seconds = history.epochs().iter().map(|epoch| epoch.seconds).sum::<f64>();
    let run = [("epochs", history.epochs().len() as f64), ("seconds", seconds), ("learning rate", last.rate)];
    let values = last.values().iter().map(|(name, value)| (name.as_str(), *value)).chain(run);
    html += "<dl>\n";
    for (name, value) in values {
        html += &format!("<div><dt>{}</dt><dd>{}</dd></div>\n", escape(name), digits(value, 4));
    }
    html + "</dl>\n"
}

/// A line for each epoch.
fn epochs(history: &History) -> String {
    if history.epochs().is_empty() {
        return String::new();
    }
    let names = history.names();
    let cell = |text: &str| format!("<td>{text}</td>");
    let head: String = names.iter().map(|name| format!("<th>{}</th>", escape(name))).collect();
    let mut html = format!(
        "<section>\n<h2>Epochs</h2>\n<div class=\"wide\"><table>\n\
         <thead><tr><th>epoch</th>{head}<th>learning rate</th><th>seconds</th></tr></thead>\n<tbody>\n"
    );
    for epoch in history.epochs() {
        let values: String =
            names.iter().map(|name| cell(&epoch.get(name).map_or(String::new(), |value| digits(value, 6)))).collect();
        let (rate, seconds) = (cell(&digits(epoch.rate, 4)), cell(&digits(epoch.seconds, 3)));
        html += &format!("<tr>{}{values}{rate}{seconds}</tr>\n", cell(&epoch.number.to_string()));
    }
    html + "</tbody>\n</table></div>\n</section>\n"
}
