use std::io::{IsTerminal, Write};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{Callback, Event};
use crate::error::Result;
use crate::scalar::Scalar;

/// How a run shows how far it is. Everything goes to standard error.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Progress {
    /// A bar on a terminal, lines elsewhere. Keras's default.
    #[default]
    Auto,
    /// A bar for each epoch.
    Bar,
    /// A line for each epoch.
    Lines,
    /// Nothing.
    Silent,
}

/// The callback behind [`Progress`].
pub(crate) struct ProgressReport {
    style: Progress,
    bar: Option<ProgressBar>,
}

impl ProgressReport {
    pub(crate) fn new(style: Progress) -> Self {
        let style = match style {
            Progress::Auto if std::io::stderr().is_terminal() => Progress::Bar,
            Progress::Auto => Progress::Lines,
            other => other,
        };
        ProgressReport { style, bar: None }
    }

    /// A line above the bar. A closed standard error is no reason to stop training.
    fn print(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| _ = writeln!(std::io::stderr(), "{line}")),
            None => _ = writeln!(std::io::stderr(), "{line}"),
        }
    }
}

impl<A: Scalar> Callback<A> for ProgressReport {
    fn on_train_begin(&mut self, event: &mut Event<'_, A>) -> Result<()> {
        if self.style != Progress::Silent {
            event.history.warnings.iter().for_each(|warning| self.print(&format!("warning: {warning}")));
        }
        Ok(())
    }

    fn on_epoch_begin(&mut self, event: &mut Event<'_, A>) -> Result<()> {
        if self.style != Progress::Bar {
            return Ok(());
        }
        let bar = self.bar.get_or_insert_with(|| {
            let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("{prefix} {bar:30} {pos}/{len} {msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        bar.set_length(event.batches as u64);
        bar.set_position(0);
        bar.set_prefix(format!("epoch {}/{}", event.epoch, event.epochs));
        Ok(())
    }

    fn on_batch_end(&mut self, _: &mut Event<'_, A>) -> Result<()> {
        if let Some(bar) = &self.bar {
            bar.inc(1);
        }
        Ok(())
    }

    fn on_epoch_end(&mut self, event: &mut Event<'_, A>) -> Result<()> {
        let Some(epoch) = event.history.last() else { return Ok(()) };
        match (&self.bar, self.style) {
            (Some(bar), _) => bar.set_message(epoch.to_string()),
            (None, Progress::Lines) => {
                let width = event.epochs.to_string().len();
                self.print(&format!("epoch {:>width$}/{}  {epoch}", epoch.number, event.epochs));
            }
            _ => {}
        }
        Ok(())
    }

    fn on_train_end(&mut self, _: &mut Event<'_, A>) -> Result<()> {
        if let Some(bar) = self.bar.take() {
            bar.abandon();
        }
        Ok(())
    }
}
