//! Reports as tests need them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Instant;

use service::Report;

use crate::ledger::Ledger;

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
        segment: None,
    }
}

impl Ledger {
    /// Decodes a report and takes it at once.
    #[expect(clippy::needless_pass_by_value, reason = "each test makes its report in place")]
    pub(crate) fn reported(
        &mut self,
        component: &str,
        address: SocketAddr,
        report: Report,
        now: Instant,
    ) -> anyhow::Result<()> {
        let gained = self.counted(component, &report).until(&report)?;
        assert!(self.received(component, address, &report, &gained, now), "nobody else reports");
        Ok(())
    }
}
