//! A summary as a table.

use std::fmt;

use super::Summary;

pub(crate) fn shapes(outputs: &[Vec<usize>]) -> String {
    let shape = |dims: &Vec<usize>| {
        let dims: String = dims.iter().map(|dim| format!(", {dim}")).collect();
        format!("(batch{dims})")
    };
    outputs.iter().map(shape).collect::<Vec<_>>().join(" ")
}

pub(crate) fn grouped(count: usize) -> String {
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

/// A number in three digits with a prefix of the SI, `1.23 M`; small ones as they are.
fn scaled(number: u64) -> String {
    if number < 1000 {
        return format!("{number} ");
    }
    let (mut scaled, mut prefixes) = (number as f64 / 1e3, "kMGTPE".chars());
    let mut prefix = prefixes.next();
    while scaled >= 999.5 {
        (scaled, prefix) = (scaled / 1e3, prefixes.next());
    }
    let decimals = if scaled < 9.995 { 2 } else { usize::from(scaled < 99.95) };
    format!("{scaled:.decimals$} {}", prefix.unwrap_or_default())
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["layer", "type", "output shape", "parameters", "kept", "FLOP"].map(String::from);
        let mut lines = vec![head];
        for row in &self.rows {
            let (kept, flops) = (format!("{}B", scaled(row.kept)), scaled(row.flops).trim_end().to_owned());
            let (path, kind) = (row.path.clone(), row.kind.clone());
            lines.push([path, kind, shapes(&row.outputs), grouped(row.params), kept, flops]);
        }
        let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
        let [a, b, c, d, e, g] = [0, 1, 2, 3, 4, 5].map(width);
        let rule = "─".repeat(a + b + c + d + e + g + 10);
        for (number, [path, kind, shape, params, kept, flops]) in lines.iter().enumerate() {
            writeln!(f, "{path:<a$}  {kind:<b$}  {shape:<c$}  {params:>d$}  {kept:>e$}  {flops:>g$}")?;
            if number == 0 {
                writeln!(f, "{rule}")?;
            }
        }
        writeln!(f, "{rule}")?;
        let (trainable, fixed) = (self.trainable, self.fixed);
        writeln!(f, "{} parameters, {} of them trainable", grouped(trainable + fixed), grouped(trainable))?;
        let (flops, kept, most) = (scaled(self.flops()), scaled(self.kept()), scaled(self.inference_memory()));
        write!(f, "a sample: {flops}FLOP forward; {kept}B kept for backward, {most}B at once in inference")?;
        if self.unbuilt {
            write!(f, "\nnot built yet: `initialize` or `fit` makes the parameters that are missing here")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{grouped, scaled};
    use crate::prelude::*;

    #[test]
    fn a_model_that_is_not_built_yet_says_so() -> Result<()> {
        let mut model = Sequential::new().add(Dense::new(2)).add(Activation::Tanh);
        let missing = "not built yet: `initialize` or `fit` makes the parameters that are missing here";
        // 2 * 3 * 2 + 2 + 2 operations; backward reads the output of tanh, which is the caller's; 3 + 2 and 3 + 2 + 2
        // numbers are there while the layers work.
        let cost = "a sample: 16 FLOP forward; 0 B kept for backward, 28 B at once in inference";
        let summary = model.summary(&[3])?.to_string();
        let end: Vec<_> = summary.lines().rev().take(3).collect();
        assert_eq!(end, [missing, cost, "0 parameters, 0 of them trainable"]);
        model.initialize(&[3], 0)?;
        let summary = model.summary(&[3])?.to_string();
        assert!(summary.ends_with(&format!("\n8 parameters, 8 of them trainable\n{cost}")), "{summary}");
        Ok(())
    }

    #[test]
    fn large_numbers_are_readable() {
        let cases = [
            (0, "0 "),
            (999, "999 "),
            (1000, "1.00 k"),
            (9_994, "9.99 k"),
            (9_996, "10.0 k"),
            (99_960, "100 k"),
            (999_499, "999 k"),
            (999_500, "1.00 M"),
            (1_234_567_890, "1.23 G"),
            (u64::MAX, "18.4 E"),
        ];
        for (number, text) in cases {
            assert_eq!(scaled(number), text);
        }
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }
}
