//! Paths with fields in braces.

use crate::error::{Error, Result};

/// More signs than this are no file name.
const MOST_WIDTH: usize = 64;

/// `model-{epoch:03}-{val_loss:.4}.safetensors`: text, and numbers by their names. `{{` and `}}` stand for the signs
/// themselves. Behind a colon `0` fills with zeros up to the width, and a point precedes the number of decimals.
#[derive(Clone, Debug)]
pub(super) struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug)]
enum Part {
    Text(String),
    Field { name: String, zeros: bool, width: usize, precision: Option<usize> },
}

impl Template {
    pub(super) fn parse(path: &str) -> Result<Self> {
        let wrong = |got: &str| {
            let requirement =
                "a path in which braces stand around a field ({epoch}, {epoch:03}, {val_loss:.4}) or twice";
            Error::setting("path", requirement, got)
        };
        let mut parts = Vec::new();
        let mut rest = path;
        while let Some(at) = rest.find(['{', '}']) {
            let (text, brace) = rest.split_at(at);
            parts.push(Part::Text(text.to_owned()));
            if let Some(after) = brace.strip_prefix("{{").or_else(|| brace.strip_prefix("}}")) {
                parts.push(Part::Text(brace[..1].to_owned()));
                rest = after;
                continue;
            }
            let inside = brace.strip_prefix('{').and_then(|inside| inside.split_once('}'));
            let (field, after) = inside.ok_or_else(|| wrong(path))?;
            parts.push(field_of(field).ok_or_else(|| wrong(path))?);
            rest = after;
        }
        parts.push(Part::Text(rest.to_owned()));
        Ok(Template { parts })
    }

    pub(super) fn has_field(&self, wanted: &str) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Field { name, .. } if name == wanted))
    }

    /// The path with these numbers in it.
    ///
    /// # Errors
    /// Where a field has none of their names.
    pub(super) fn fill(&self, numbers: &[(&str, f64)]) -> Result<String> {
        let mut path = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => path += text,
                Part::Field { name, zeros, width, precision } => {
                    let Some((_, value)) = numbers.iter().find(|(has, _)| has == name) else {
                        let names: Vec<_> = numbers.iter().map(|(name, _)| *name).collect();
                        return Err(Error::setting("field of the path", format!("one of {}", names.join(", ")), name));
                    };
                    path += &match (zeros, precision) {
                        (true, Some(precision)) => format!("{value:0width$.precision$}"),
                        (true, None) => format!("{value:0width$}"),
                        (false, Some(precision)) => format!("{value:width$.precision$}"),
                        (false, None) => format!("{value:width$}"),
                    };
                }
            }
        }
        Ok(path)
    }
}

/// The field of `name`, `name:3`, `name:03`, `name:.2` or `name:08.3`.
fn field_of(text: &str) -> Option<Part> {
    let (name, format) = text.split_once(':').unwrap_or((text, ""));
    let (width, precision) = match format.split_once('.') {
        Some((width, precision)) => (width, Some(number(precision)?)),
        None => (format, None),
    };
    let zeros = width.starts_with('0');
    let width = if width.is_empty() { 0 } else { number(width)? };
    (!name.is_empty()).then(|| Part::Field { name: name.to_owned(), zeros, width, precision })
}

fn number(digits: &str) -> Option<usize> {
    let plain = digits.bytes().all(|digit| digit.is_ascii_digit());
    digits.parse().ok().filter(|&number| plain && number <= MOST_WIDTH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_take_numbers_in_their_format() -> Result<()> {
        let numbers = [("epoch", 7.0), ("val_loss", 0.123456), ("rate", -2.5), ("bad", f64::NAN)];
        let cases = [
            ("plain.safetensors", "plain.safetensors"),
            ("m-{epoch}", "m-7"),
            ("{epoch:03}-{val_loss:.4}.x", "007-0.1235.x"),
            ("{epoch:3}|{val_loss:8.2}|{rate:07.1}", "  7|    0.12|-0002.5"),
            ("{{{epoch}}}", "{7}"),
            ("{bad}", "NaN"),
        ];
        for (template, expected) in cases {
            assert_eq!(Template::parse(template)?.fill(&numbers)?, expected, "{template}");
        }
        Ok(())
    }

    #[test]
    fn what_is_no_field_is_refused() {
        for template in ["{", "}", "a{b", "a}b", "{}", "{:3}", "{epoch:x}", "{epoch:.}", "{epoch:999}", "{epoch:+3}"] {
            let error = Template::parse(template).unwrap_err().to_string();
            assert!(error.ends_with(&format!("got {template}")), "{error}");
        }
        let error = Template::parse("{epok}").and_then(|path| path.fill(&[("epoch", 1.0), ("loss", 2.0)])).unwrap_err();
        assert_eq!(error.to_string(), "field of the path must be one of epoch, loss, got epok");
    }
}
