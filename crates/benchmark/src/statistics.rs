//! The statistics of a verdict: medians, ranges and a robust slope.

/// The median; none of nothing.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

/// The smallest and the largest value; none of nothing.
pub fn range(values: &[f64]) -> Option<(f64, f64)> {
    let low = values.iter().copied().reduce(f64::min)?;
    let high = values.iter().copied().reduce(f64::max)?;
    Some((low, high))
}

/// The slope of Theil and Sen: the median of the slopes between all pairs of points `(x, y)`. One stall or one commit does
/// not move it. None with fewer than two different x.
pub fn theil_sen(points: &[(f64, f64)]) -> Option<f64> {
    let mut slopes = Vec::with_capacity(points.len() * points.len().saturating_sub(1) / 2);
    for (n, (x, y)) in points.iter().enumerate() {
        let later = points[n + 1..].iter().filter(|(other, _)| (other - x).abs() > 0.0);
        slopes.extend(later.map(|(later_x, later_y)| (later_y - y) / (later_x - x)));
    }
    median(&slopes)
}

/// The chance that the range of `n` runs contains the true median, whatever the distribution: 1 − 2 × 0.5ⁿ.
pub fn range_holds_median(n: usize) -> f64 {
    if n < 2 { 0.0 } else { 1.0 - 2.0 * 0.5_f64.powi(i32::try_from(n).unwrap_or(i32::MAX)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_the_middle_or_between_the_two_in_the_middle() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }

    #[test]
    fn the_slope_is_that_of_most_points() {
        let mut points: Vec<_> = (0..60).map(|x| (f64::from(x), 2.0 * f64::from(x))).collect();
        assert_eq!(theil_sen(&points), Some(2.0));
        points[30].1 = 10_000.0;
        points[31].1 = 0.0;
        assert!((theil_sen(&points).unwrap() - 2.0).abs() < 1e-9, "two outliers do not move it");
    }

    #[test]
    fn points_at_one_time_have_no_slope() {
        assert_eq!(theil_sen(&[]), None);
        assert_eq!(theil_sen(&[(1.0, 5.0)]), None);
        assert_eq!(theil_sen(&[(1.0, 5.0), (1.0, 9.0)]), None);
    }

    #[test]
    fn six_runs_are_needed_for_a_statement_at_95_percent() {
        assert!((range_holds_median(3) - 0.75).abs() < 1e-12);
        assert!(range_holds_median(5) < 0.95 && range_holds_median(6) > 0.95);
        assert!(range_holds_median(1) < 1e-12 && range_holds_median(0) < 1e-12);
    }
}
