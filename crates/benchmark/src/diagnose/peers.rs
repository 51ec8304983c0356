//! Peers do like work: the one out of line is the suspect, without any absolute limit (Kasick et al., Dhalion).

use crate::statistics::median;

/// How many times the median of the others it must be.
const OUT_OF_LINE: f64 = 2.0;
/// Of fewer others there is no line.
const LEAST_OTHERS: usize = 2;

/// The one whose value is out of line with all others'.
pub(super) fn outlier<'a>(values: &[(&'a str, f64)]) -> Option<&'a str> {
    let (name, highest) = values.iter().copied().max_by(|(_, a), (_, b)| a.total_cmp(b))?;
    let others: Vec<f64> = values.iter().filter(|(other, _)| *other != name).map(|(_, value)| *value).collect();
    let line = median(&others).filter(|_| others.len() >= LEAST_OTHERS)?;
    (highest >= OUT_OF_LINE * line && highest > 0.0).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_is_twice_the_others_is_out_of_line() {
        assert_eq!(outlier(&[("a", 10.0), ("b", 30.0), ("c", 12.0)]), Some("b"));
        assert_eq!(outlier(&[("a", 10.0), ("b", 15.0), ("c", 12.0)]), None);
        assert_eq!(outlier(&[("a", 30.0), ("b", 30.0), ("c", 1.0)]), None, "two are not one");
    }

    #[test]
    fn of_two_neither_can_be_told() {
        assert_eq!(outlier(&[("a", 10.0), ("b", 90.0)]), None);
        assert_eq!(outlier(&[]), None);
    }
}
