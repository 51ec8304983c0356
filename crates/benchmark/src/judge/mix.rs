//! Whether the mix and the skew that were asked for were reached.

use std::collections::BTreeMap;

use super::{Criterion, Met};

/// What was asked and what came, by state or by whatever else the load is mixed of.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mix {
    /// Share of each, which add up to 1.
    pub planned: BTreeMap<String, f64>,
    /// Sales of each.
    pub found: BTreeMap<String, u64>,
}

/// How far a share may be off, of itself.
const OFF_SHARE: f64 = 0.05;
/// Besides, as many standard deviations as chance makes once in 16,000 looks: there are 51 states and many steps.
pub(super) const DEVIATIONS: f64 = 4.0;

/// Judges it; unknown if nobody counted.
pub(super) fn reached(mix: Option<&Mix>) -> Criterion {
    let (name, limit) = ("mix and skew as asked", "each share ± 5 % and chance");
    let all = mix.map_or(0, |mix| mix.found.values().sum::<u64>());
    let Some(mix) = mix.filter(|_| all > 0) else { return Criterion::unknown(name, limit, "not counted") };
    let n = all as f64;
    let off = |name: &str, found: u64| {
        let planned = mix.planned.get(name).copied().unwrap_or(0.0);
        let chance = DEVIATIONS * (planned * (1.0 - planned) / n).sqrt();
        // How many times the tolerance.
        (found as f64 / n - planned).abs() / (OFF_SHARE * planned + chance).max(1.0 / n)
    };
    let names = mix.planned.keys().chain(mix.found.keys());
    let worst = names
        .map(|name| (off(name, mix.found.get(name).copied().unwrap_or(0)), name))
        .max_by(|(a, _), (b, _)| a.total_cmp(b));
    let Some((off, worst)) = worst else { return Criterion::unknown(name, limit, "nothing was planned") };
    let found = mix.found.get(worst).copied().unwrap_or(0) as f64 / n;
    let planned = mix.planned.get(worst).copied().unwrap_or(0.0);
    let text = format!("{worst}: {:.2} % of {:.2} % planned", found * 100.0, planned * 100.0);
    Criterion::new(name, limit, text, Met::from(off <= 1.0)).or(
        "the loaders were not set up alike: give all of them the same seed, stores, skew and hot store, and run the \
             benchmark again",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(found: [(&str, u64); 2]) -> Criterion {
        let planned = [("ca".to_owned(), 0.9), ("wy".to_owned(), 0.1)].into();
        let found = found.map(|(name, n)| (name.to_owned(), n)).into();
        reached(Some(&Mix { planned, found }))
    }

    #[test]
    fn a_share_may_be_off_by_chance_and_no_more() {
        assert_eq!(judged([("ca", 9_000), ("wy", 1_000)]).met, Met::Yes);
        assert_eq!(judged([("ca", 85), ("wy", 15)]).met, Met::Yes, "of a hundred sales");
        let missed = judged([("ca", 85_000), ("wy", 15_000)]);
        assert_eq!((missed.met, missed.measured.as_str()), (Met::No, "wy: 15.00 % of 10.00 % planned"));
        assert!(missed.remedy.is_some());
    }

    #[test]
    fn what_was_not_planned_is_missed_too() {
        assert_eq!(judged([("ca", 90_000), ("tx", 10_000)]).met, Met::No);
    }

    #[test]
    fn what_was_not_counted_is_unknown() {
        assert_eq!(reached(None).met, Met::Unknown);
        assert_eq!(judged([("ca", 0), ("wy", 0)]).met, Met::Unknown);
    }
}
