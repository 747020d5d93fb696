//! Numbers as people read them.

/// At most so many digits that say something, without zeros at the end; powers of ten where there are many zeros.
pub(super) fn digits(value: f64, digits: usize) -> String {
    if value == 0.0 || !value.is_finite() {
        return format!("{}", value + 0.0); // no -0
    }
    let rounded = format!("{value:.*e}", digits.saturating_sub(1)).parse().unwrap_or(value);
    if (1e-4..1e6).contains(&rounded.abs()) { format!("{rounded}") } else { format!("{rounded:e}") }
}

/// "1 epoch", "2 epochs".
pub(super) fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_keep_what_they_say() {
        let cases = [(0.0, "0"), (-0.0, "0"), (0.1 + 0.2, "0.3"), (1234.567, "1234.57"), (1e300, "1e300")];
        let more = [(-2.5e-7, "-2.5e-7"), (f64::NAN, "NaN"), (f64::NEG_INFINITY, "-inf"), (999_999.96, "1e6")];
        for (value, text) in cases.into_iter().chain(more) {
            assert_eq!(digits(value, 6), text);
        }
    }
}
