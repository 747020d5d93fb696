use std::fmt;

/// Named numbers in a fixed order: `loss`, then the metrics as they were added.
pub(super) type Logs = Vec<(String, f64)>;

fn find(logs: &Logs, name: &str) -> Option<f64> {
    logs.iter().find(|(has, _)| has == name).map(|&(_, value)| value)
}

/// What an evaluation found. Printing it gives one line.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Report {
    pub(super) logs: Logs,
}

impl Report {
    /// The loss over all samples.
    pub fn loss(&self) -> f64 {
        self.get("loss").unwrap_or(f64::NAN)
    }

    /// A number by its name: `loss`, or the name of a metric.
    pub fn get(&self, name: &str) -> Option<f64> {
        find(&self.logs, name)
    }

    /// All numbers with their names.
    pub fn values(&self) -> &[(String, f64)] {
        &self.logs
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (name, value)) in self.logs.iter().enumerate() {
            let gap = if number == 0 { "" } else { "  " };
            write!(f, "{gap}{name} {}", Short(*value))?;
        }
        Ok(())
    }
}

/// A number in four digits or so.
pub(super) struct Short(pub(super) f64);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.0.abs() {
            0.0 => "0.0000".to_owned(),
            size if size.is_finite() && !(1e-3..1e5).contains(&size) => format!("{:.3e}", self.0),
            _ => format!("{:.4}", self.0),
        };
        f.pad(&text)
    }
}

/// One epoch of a training run.
#[derive(Clone, Debug, PartialEq)]
pub struct Epoch {
    /// Counted from 1 within the run.
    pub number: usize,
    /// How long it took, validation included.
    pub seconds: f64,
    /// The learning rate of its last step.
    pub rate: f64,
    pub(super) logs: Logs,
}

impl Epoch {
    /// A number by its name: `loss`, the name of a metric, or either with `val_` before it.
    pub fn get(&self, name: &str) -> Option<f64> {
        find(&self.logs, name)
    }

    /// All numbers with their names.
    pub fn values(&self) -> &[(String, f64)] {
        &self.logs
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.logs {
            write!(f, "{name} {}  ", Short(*value))?;
        }
        write!(f, "{:.2} s", self.seconds)
    }
}

/// The course of a training run. Printing it gives a table, one line for each epoch.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct History {
    pub(super) epochs: Vec<Epoch>,
    pub(super) warnings: Vec<String>,
    pub(super) shards: usize,
}

impl History {
    /// The epochs, in order.
    pub fn epochs(&self) -> &[Epoch] {
        &self.epochs
    }

    /// One number over all epochs: `loss`, `val_accuracy`... NaN in an epoch that does not have it; `None` if none has.
    pub fn get(&self, name: &str) -> Option<Vec<f64>> {
        let values: Vec<_> = self.epochs.iter().map(|epoch| epoch.get(name)).collect();
        let known = values.iter().any(Option::is_some);
        known.then(|| values.into_iter().map(|value| value.unwrap_or(f64::NAN)).collect())
    }

    /// The names of all numbers, in the order in which they first came.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for (name, _) in self.epochs.iter().flat_map(|epoch| &epoch.logs) {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
        names
    }

    /// The last epoch.
    pub fn last(&self) -> Option<&Epoch> {
        self.epochs.last()
    }

    /// What the user should know: a class that is missing from the validation part, for one.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// In how many shards a full batch was cut. The same seed and the same number of shards give the same bits.
    pub fn shards(&self) -> usize {
        self.shards
    }
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for warning in &self.warnings {
            writeln!(f, "warning: {warning}")?;
        }
        let Some(first) = self.epochs.first() else { return write!(f, "no epochs") };
        let names: Vec<_> = first.logs.iter().map(|(name, _)| name.as_str()).collect();
        write!(f, "epoch")?;
        for name in &names {
            write!(f, "  {name:>9}")?;
        }
        write!(f, "    seconds")?;
        for epoch in &self.epochs {
            write!(f, "\n{:>5}", epoch.number)?;
            for name in &names {
                let width = name.len().max(9);
                write!(f, "  {:>width$}", Short(epoch.get(name).unwrap_or(f64::NAN)))?;
            }
            write!(f, "  {:>9.3}", epoch.seconds)?;
        }
        Ok(())
    }
}
