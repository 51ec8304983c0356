//! Whether the loaders sell what was asked for: the mix and the skew follow from the parameters that the chart gave them. That each
//! sale is the one that follows from its loader's parameters is what the auditor proves.

use std::collections::BTreeMap;

use service::reported::loader::{CUSTOMERS, DAYS, HOT_STORE, SEED, SKEW, STORES};

use super::load::LOADER;
use super::sample::Snapshot;
use super::{Criterion, Met};

/// The parameters, by their names in the chart's values, and the gauges in which a loader reports them.
const PARAMETERS: [(&str, &str); 6] = [
    ("seed", SEED),
    ("stores", STORES),
    ("customers", CUSTOMERS),
    ("skew", SKEW),
    ("hotStore", HOT_STORE),
    ("days", DAYS),
];

/// What was asked for, by the loaders' gauges. Of `load`, what has another name or is no number is left out.
pub fn parameters_of(load: &BTreeMap<String, String>) -> BTreeMap<&'static str, f64> {
    PARAMETERS.iter().filter_map(|(name, gauge)| Some((*gauge, load.get(*name)?.parse().ok()?))).collect()
}

/// Judges it; unknown if a loader does not say what it sells.
#[expect(clippy::float_cmp, reason = "whole numbers below 2^53")]
pub(super) fn reached(asked: &BTreeMap<&'static str, f64>, now: &Snapshot) -> Criterion {
    let (name, limit) = ("mix and skew as asked", "the parameters of every loader");
    let loaders: Vec<_> = now.reports.iter().filter(|it| it.component == LOADER).map(|it| &it.report).collect();
    if asked.is_empty() || loaders.is_empty() {
        return Criterion::unknown(name, limit, "not told");
    }
    for loader in &loaders {
        for (gauge, wanted) in asked {
            let Some(has) = loader.gauges.get(*gauge) else {
                return Criterion::unknown(name, limit, &format!("{} does not tell its {gauge}", loader.pod));
            };
            if has != wanted {
                let text = format!("{} of {}: {has}, and {wanted} was asked for", gauge, loader.pod);
                return Criterion::new(name, limit, text, Met::No).or(
                    "the loaders are not set up alike: wait until an upgrade has reached all of them, and run the benchmark again",
                );
            }
        }
    }
    let many = if loaders.len() == 1 { "" } else { "s" };
    Criterion::new(name, limit, format!("as asked, at {} loader{many}", loaders.len()), Met::Yes)
}

#[cfg(test)]
mod tests {
    use super::super::samples::{report, snapshot};
    use super::*;

    fn judged(change: impl FnOnce(&mut BTreeMap<String, f64>) -> Option<f64>) -> Criterion {
        let load = [("seed", "2014"), ("hotStore", "50"), ("arrivals", "even")];
        let asked = parameters_of(&load.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
        let mut now = snapshot(0);
        let gauges = &mut report(&mut now, LOADER).gauges;
        gauges.extend([
            ("load_seed".to_owned(), 2014.0),
            ("load_hot_store".to_owned(), 50.0),
            ("rate".to_owned(), 7.0),
        ]);
        change(gauges);
        reached(&asked, &now)
    }

    #[test]
    fn a_loader_with_another_parameter_sells_another_mix() {
        assert_eq!(judged(|_| None).met, Met::Yes);
        let missed = judged(|gauges| gauges.insert("load_hot_store".to_owned(), 0.0));
        assert_eq!(
            (missed.met, missed.measured.as_str()),
            (Met::No, "load_hot_store of loader-0: 0, and 50 was asked for")
        );
        assert!(missed.remedy.is_some());
    }

    #[test]
    fn what_is_not_told_is_unknown() {
        assert_eq!(judged(|gauges| gauges.remove("load_seed")).met, Met::Unknown);
        assert_eq!(reached(&BTreeMap::new(), &snapshot(0)).met, Met::Unknown);
    }
}
