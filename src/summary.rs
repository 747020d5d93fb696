//! The table of a model's layers.

use std::collections::HashSet;
use std::fmt;

use crate::param::ParamId;

/// One line of a [`Summary`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SummaryRow {
    /// Dotted position in the model.
    pub path: String,
    /// The layer's type.
    pub kind: String,
    /// The shape of each output, without the batch.
    pub outputs: Vec<Vec<usize>>,
    /// How many values its parameters and its state have; those that an earlier line has counted are not counted
    /// again.
    pub params: usize,
}

/// The layers of a model with their output shapes and sizes. Printing it gives a table.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    rows: Vec<SummaryRow>,
    path: Vec<String>,
    seen: HashSet<ParamId>,
    trainable: usize,
    fixed: usize,
    unbuilt: bool,
}

impl Summary {
    /// The lines.
    pub fn rows(&self) -> &[SummaryRow] {
        &self.rows
    }

    /// The number of values that training changes.
    pub fn trainable(&self) -> usize {
        self.trainable
    }

    /// The number of values that it leaves alone: frozen weights and state.
    pub fn non_trainable(&self) -> usize {
        self.fixed
    }

    /// Opens the place of a child for what `inside` adds.
    ///
    /// # Errors
    /// What `inside` returns.
    pub fn scope(
        &mut self,
        name: impl fmt::Display,
        inside: impl FnOnce(&mut Self) -> crate::Result<()>,
    ) -> crate::Result<()> {
        self.path.push(name.to_string());
        let result = inside(self);
        self.path.pop();
        result
    }

    /// Adds a layer: its type, output shapes, and for each parameter its identity, its number of values (0 before it
    /// was built), and whether it is trained.
    pub fn add(&mut self, kind: &str, outputs: &[Vec<usize>], params: &[(ParamId, usize, bool)]) {
        let mut own = 0;
        for &(id, count, trainable) in params {
            self.unbuilt |= count == 0;
            if self.seen.insert(id) {
                own += count;
                *(if trainable { &mut self.trainable } else { &mut self.fixed }) += count;
            }
        }
        let (path, kind) = (self.path.join("."), kind.to_owned());
        self.rows.push(SummaryRow { path, kind, outputs: outputs.to_vec(), params: own });
    }
}

fn shapes(outputs: &[Vec<usize>]) -> String {
    let shape = |dims: &Vec<usize>| {
        let dims: String = dims.iter().map(|dim| format!(", {dim}")).collect();
        format!("(batch{dims})")
    };
    outputs.iter().map(shape).collect::<Vec<_>>().join(" ")
}

fn grouped(count: usize) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["layer", "type", "output shape", "parameters"].map(String::from);
        let mut lines = vec![head];
        for row in &self.rows {
            lines.push([row.path.clone(), row.kind.clone(), shapes(&row.outputs), grouped(row.params)]);
        }
        let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
        let [a, b, c, d] = [width(0), width(1), width(2), width(3)];
        let rule = "─".repeat(a + b + c + d + 6);
        for (number, [path, kind, shape, params]) in lines.iter().enumerate() {
            writeln!(f, "{path:<a$}  {kind:<b$}  {shape:<c$}  {params:>d$}")?;
            if number == 0 {
                writeln!(f, "{rule}")?;
            }
        }
        writeln!(f, "{rule}")?;
        let (trainable, fixed) = (self.trainable, self.fixed);
        write!(f, "{} parameters, {} of them trainable", grouped(trainable + fixed), grouped(trainable))?;
        if self.unbuilt {
            write!(f, "\nnot built yet: `initialize` or `fit` makes the parameters that are missing here")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::prelude::*;

    #[test]
    fn a_model_that_is_not_built_yet_says_so() -> Result<()> {
        let mut model = Sequential::new().add(Dense::new(2)).add(Activation::Tanh);
        let missing = "not built yet: `initialize` or `fit` makes the parameters that are missing here";
        let summary = model.summary(&[3])?.to_string();
        assert_eq!(summary.lines().rev().take(2).collect::<Vec<_>>(), [missing, "0 parameters, 0 of them trainable"]);
        model.initialize(&[3], 0)?;
        assert!(model.summary(&[3])?.to_string().ends_with("\n8 parameters, 8 of them trainable"));
        Ok(())
    }
}
