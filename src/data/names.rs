//! Names in messages, and the order of classes.

use std::cmp::Ordering;
use std::collections::BTreeSet;

/// How many names a message lists before it only counts.
const LISTED: usize = 20;

/// `"a", "b", "c"`, cut short where the list is long.
pub(super) fn listed(names: &[impl AsRef<str>]) -> String {
    let quoted: Vec<String> = names.iter().take(LISTED).map(|name| format!("{:?}", name.as_ref())).collect();
    match names.len().saturating_sub(LISTED) {
        0 => quoted.join(", "),
        more => format!("{} and {more} more", quoted.join(", ")),
    }
}

/// The different labels in order: as numbers where every one of them is a number, so that "10" follows "9"; else as
/// text.
pub(super) fn sorted_classes<'a>(labels: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut classes: Vec<String> = labels.into_iter().collect::<BTreeSet<_>>().into_iter().map(String::from).collect();
    if classes.iter().all(|class| number(class).is_some()) {
        // Stable, so that "1" and "1.0" stay in their order as text.
        classes.sort_by(|a, b| number(a).partial_cmp(&number(b)).unwrap_or(Ordering::Equal));
    }
    classes
}

/// The finite number that a cell holds, if it holds one.
pub(super) fn number(cell: &str) -> Option<f64> {
    cell.parse::<f64>().ok().filter(|number| number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_that_are_numbers_sort_as_numbers_and_others_as_text() {
        assert_eq!(sorted_classes(["10", "9", "10", "-1"]), ["-1", "9", "10"]);
        assert_eq!(sorted_classes(["b10", "b9", "a"]), ["a", "b10", "b9"]);
    }

    #[test]
    fn a_long_list_ends_in_a_count() {
        assert_eq!(listed(&["a", "b"]), r#""a", "b""#);
        assert!(listed(&["x"; 25]).ends_with(r#""x" and 5 more"#));
    }
}
