//! Quantiles of sorted numbers.

/// The quantile at `q` between 0 and 1, on the straight line between its neighbours: NumPy's default.
pub(super) fn quantile(sorted: &[f64], q: f64) -> f64 {
    at(sorted, q.clamp(0.0, 1.0) * (sorted.len() - 1) as f64)
}

/// The number `point` of `count` quantiles at even distances from the first number to the last. Where there are as many
/// as numbers, they are the numbers.
pub(super) fn even_quantile(sorted: &[f64], point: usize, count: usize) -> f64 {
    at(sorted, point as f64 * (sorted.len() - 1) as f64 / (count - 1).max(1) as f64)
}

/// What is at a place between 0 and the last.
fn at(sorted: &[f64], place: f64) -> f64 {
    let (below, part) = (place.floor() as usize, place.fract());
    let (low, high) = (sorted[below], sorted[(below + 1).min(sorted.len() - 1)]);
    // From the nearer end, so that both ends are met exactly.
    if part < 0.5 { low + (high - low) * part } else { high - (high - low) * (1.0 - part) }
}

/// The numbers with a share of `part / parts` of the weight at or below them, for each part from 0 to `parts`, of
/// numbers sorted with their weights above 0; where the share ends between two numbers, their mean. NumPy's
/// `averaged_inverted_cdf`.
pub(super) fn step_quantiles(sorted: &[(f64, f64)], parts: usize) -> Vec<f64> {
    let total: f64 = sorted.iter().map(|(_, weight)| weight).sum();
    let mut below = 0.0;
    let mut place = 0;
    let mut quantiles = Vec::with_capacity(parts + 1);
    for part in 0..=parts {
        // Without a division, so that whole weights are compared without rounding.
        let wanted = total * part as f64;
        while place + 1 < sorted.len() && (below + sorted[place].1) * (parts as f64) < wanted {
            below += sorted[place].1;
            place += 1;
        }
        let ends_here = part > 0 && (below + sorted[place].1) * (parts as f64) == wanted;
        let next = if ends_here { (place + 1).min(sorted.len() - 1) } else { place };
        quantiles.push(f64::midpoint(sorted[place].0, sorted[next].0));
    }
    quantiles
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_one_number_are_that_number() {
        assert_eq!([0.0, 0.3, 1.0].map(|q| quantile(&[4.0], q)), [4.0; 3]);
        assert_eq!(step_quantiles(&[(4.0, 0.3)], 2), [4.0; 3]);
    }

    #[test]
    fn a_step_that_ends_between_two_numbers_is_their_mean() {
        let numbers = [1.0, 2.0, 4.0, 8.0].map(|number| (number, 1.0));
        assert_eq!(step_quantiles(&numbers, 2), [1.0, 3.0, 8.0]);
        assert_eq!(step_quantiles(&numbers, 3), [1.0, 2.0, 4.0, 8.0]);
        assert_eq!(
            step_quantiles(&[(1.0, 3.0), (2.0, 0.5), (5.0, 0.5)], 8),
            [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.5, 3.5, 5.0]
        );
    }
}
