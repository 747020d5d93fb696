use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{Callback, Event};
use crate::error::Result;
use crate::scalar::Scalar;
use crate::train::history::Short;

/// Epochs shorter than this get no bar: it would only flicker.
const BAR_AFTER: Duration = Duration::from_millis(300);

/// How often the bar is drawn anew.
const REDRAW_AFTER: Duration = Duration::from_millis(50);

/// How a run shows how far it is. Everything goes to standard error.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Progress {
    /// [`Bar`](Self::Bar) on a terminal, [`Lines`](Self::Lines) elsewhere.
    #[default]
    Auto,
    /// A line for each epoch, and under them a bar for the one that runs, if it takes long enough to see it. Where
    /// standard error is no terminal there is no bar.
    Bar,
    /// A line for each epoch.
    Lines,
    /// Nothing.
    Silent,
}

/// The callback behind [`Progress`].
pub(crate) struct ProgressReport {
    style: Progress,
    /// The bar of the running epoch, once it is worth one.
    bar: Option<ProgressBar>,
    epoch_began: Instant,
    drawn: Instant,
}

impl ProgressReport {
    pub(crate) fn new(style: Progress) -> Self {
        let style = match style {
            Progress::Auto | Progress::Bar if std::io::stderr().is_terminal() => Progress::Bar,
            Progress::Auto | Progress::Bar => Progress::Lines,
            other => other,
        };
        let now = Instant::now();
        ProgressReport { style, bar: None, epoch_began: now, drawn: now }
    }

    /// A closed standard error is no reason to stop training.
    fn print(&self, mut line: String) {
        if self.style != Progress::Silent {
            // In one piece: every write to standard error is a system call.
            line.push('\n');
            _ = std::io::stderr().write_all(line.as_bytes());
        }
    }
}

/// A bar for the epoch of an event. It draws nothing yet.
fn new_bar<A: Scalar>(event: &Event<'_, A>) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(event.batches as u64), ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("epoch {prefix}  {bar:30} {pos}/{len}  {msg}");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        .with_prefix(number(event))
        .with_position(event.batch as u64)
}

/// `  7/100`: the epoch in the width of the last one.
fn number<A: Scalar>(event: &Event<'_, A>) -> String {
    let width = event.epochs.to_string().len();
    format!("{:>width$}/{}", event.epoch, event.epochs)
}

impl<A: Scalar> Callback<A> for ProgressReport {
    fn on_train_begin(&mut self, event: &mut Event<'_, A>) -> Result<()> {
        event.history.warnings.iter().for_each(|warning| self.print(format!("warning: {warning}")));
        Ok(())
    }

    fn on_epoch_begin(&mut self, _: &mut Event<'_, A>) -> Result<()> {
        self.epoch_began = Instant::now();
        Ok(())
    }

    fn on_batch_end(&mut self, event: &mut Event<'_, A>) -> Result<()> {
        if self.style != Progress::Bar {
            return Ok(());
        }
        let now = Instant::now();
        let due = now - self.drawn >= REDRAW_AFTER || event.batch == event.batches;
        if now - self.epoch_began < BAR_AFTER || !due {
            return Ok(());
        }
        let bar = self.bar.get_or_insert_with(|| new_bar(event));
        bar.set_message(format!("loss {}", Short(event.loss)));
        bar.set_position(event.batch as u64);
        self.drawn = now;
        Ok(())
    }

    /// The bar goes before anything else is written, be it by the user's callbacks.
    fn on_epoch_end(&mut self, event: &mut Event<'_, A>) -> Result<()> {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        if let Some(epoch) = event.history.last() {
            self.print(format!("epoch {}  {epoch}", number(event)));
        }
        Ok(())
    }
}
