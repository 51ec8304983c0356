//! Reports as tests need them.

use std::collections::BTreeMap;

use service::Report;

/// A report made at a second of the program's clock.
pub(crate) fn report(pod: &str, incarnation: u64, second: u64, counters: &[(&str, u64)]) -> Report {
    Report {
        program: "test".to_owned(),
        pod: pod.to_owned(),
        node: "node-1".to_owned(),
        incarnation,
        sequence: second,
        at_us: i64::try_from(second).unwrap() * 1_000_000,
        ended: false,
        counters: counters.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect(),
        gauges: BTreeMap::new(),
        latencies: BTreeMap::new(),
        threads: BTreeMap::new(),
        resources: None,
        neighbour: None,
        unknown: BTreeMap::new(),
    }
}
