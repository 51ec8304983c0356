use service::{Histogram, Latency};

use super::*;
use crate::samples::report;

const A: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1)), 8080);
const B: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2)), 8080);

/// A ledger that knows both addresses, and the moment at which DNS named them.
fn ledger() -> (Ledger, Instant) {
    let start = Instant::now();
    let mut ledger = Ledger::new(Targets::default());
    ledger.resolved("loader", &[A, B], start);
    (ledger, start)
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn pods(ledger: &Ledger, now: Instant) -> Vec<Option<(&str, u64)>> {
    ledger
        .instances(now)
        .map(|(_, _, _, answered)| answered.map(|it| (it.report.pod.as_str(), it.report.incarnation)))
        .collect()
}

#[test]
fn totals_add_up_the_instances() {
    let (mut ledger, start) = ledger();
    ledger.reported("loader", A, report("loader-0", 1, 1, &[("accepted", 10)]), start).unwrap();
    ledger.reported("loader", B, report("loader-1", 2, 1, &[("accepted", 5)]), start).unwrap();
    ledger.reported("loader", A, report("loader-0", 1, 2, &[("accepted", 30)]), start).unwrap();
    assert_eq!(ledger.total("loader", "accepted"), Some(35));
    assert_eq!(ledger.total("loader", "unknown"), None);
    assert_eq!(ledger.total("etl-redis", "cached"), None);
}

#[test]
fn totals_survive_a_restart_and_a_pod_that_goes() {
    let (mut ledger, start) = ledger();
    ledger.reported("loader", A, report("loader-0", 1, 9, &[("accepted", 10)]), start).unwrap();
    ledger.reported("loader", A, report("loader-0", 2, 11, &[("accepted", 3)]), start).unwrap();
    assert_eq!(ledger.total("loader", "accepted"), Some(13));
    ledger.end_round(start + seconds(100));
    assert_eq!(pods(&ledger, start + seconds(100)), []);
    assert_eq!(ledger.total("loader", "accepted"), Some(13));
}

#[test]
fn an_incarnation_that_comes_back_is_not_counted_twice() {
    let (mut ledger, start) = ledger();
    ledger.reported("loader", A, report("loader-0", 1, 1, &[("accepted", 10)]), start).unwrap();
    ledger.end_round(start + seconds(100));
    ledger.resolved("loader", &[A], start + seconds(101));
    ledger.reported("loader", A, report("loader-0", 1, 101, &[("accepted", 12)]), start).unwrap();
    assert_eq!(ledger.total("loader", "accepted"), Some(12));
}

#[test]
fn who_is_silent_is_stale_and_keeps_its_figures() {
    let (mut ledger, start) = ledger();
    ledger.reported("loader", A, report("loader-0", 1, 1, &[("accepted", 10)]), start).unwrap();
    ledger.failed("loader", A, "connection refused".to_owned());
    let now = start + seconds(50);
    ledger.resolved("loader", &[A, B], now);
    ledger.end_round(now);
    let (_, _, address, answered) = ledger.instances(now).next().unwrap();
    let answered = answered.unwrap();
    assert!(answered.is_stale(now));
    assert_eq!(answered.age(now), seconds(50));
    assert_eq!(answered.report.counters["accepted"], 10);
    assert_eq!(address.error.as_deref(), Some("connection refused"));
}

#[test]
fn who_has_vanished_from_dns_is_forgotten_once_silent() {
    let (mut ledger, start) = ledger();
    ledger.reported("loader", A, report("loader-0", 1, 1, &[]), start).unwrap();
    ledger.reported("loader", B, report("loader-1", 2, 1, &[]), start).unwrap();
    ledger.reported("loader", B, report("loader-1", 2, 59, &[]), start + seconds(58)).unwrap();
    ledger.end_round(start + seconds(59));
    assert_eq!(pods(&ledger, start + seconds(59)), [Some(("loader-0", 1)), Some(("loader-1", 2))]);
    ledger.end_round(start + seconds(61));
    assert_eq!(pods(&ledger, start + seconds(61)), [Some(("loader-1", 2))], "it answers, though DNS is away");
}

#[test]
fn a_pod_at_a_new_address_is_listed_once() {
    let (mut ledger, start) = ledger();
    ledger.reported("loader", A, report("loader-0", 1, 1, &[]), start).unwrap();
    assert_eq!(pods(&ledger, start), [Some(("loader-0", 1)), None], "the second has not been heard yet");
    ledger.reported("loader", B, report("loader-0", 2, 20, &[]), start + seconds(20)).unwrap();
    assert_eq!(pods(&ledger, start + seconds(20)), [Some(("loader-0", 2))]);
}

#[test]
fn recent_latencies_are_those_of_the_last_rounds() {
    let (mut ledger, start) = ledger();
    let latency = Latency::default();
    for round in 0..30 {
        latency.record_n(0, 1_000, 7);
        let mut report = report("loader-0", 1, round, &[]);
        report.latencies.insert("accepted".to_owned(), Histogram::encode(&latency).unwrap());
        ledger.reported("loader", A, report, start).unwrap();
        ledger.end_round(start);
    }
    assert_eq!(ledger.latency("loader", "accepted").unwrap().histogram.len(), 210);
    assert_eq!(ledger.recent("loader", "accepted").unwrap().histogram.len(), 70);
}

#[test]
fn a_pod_with_two_addresses_is_counted_and_listed_once() {
    let (mut ledger, start) = ledger();
    ledger.reported("loader", A, report("loader-0", 1, 6, &[("accepted", 10)]), start).unwrap();
    ledger.reported("loader", B, report("loader-0", 1, 5, &[("accepted", 8)]), start).unwrap();
    ledger.reported("loader", A, report("loader-0", 1, 7, &[("accepted", 12)]), start).unwrap();
    assert_eq!(ledger.total("loader", "accepted"), Some(12));
    assert_eq!(pods(&ledger, start), [Some(("loader-0", 1))]);
}

/// A report of a loader that has counted and measured so many sales.
fn counted(sequence: u64, sales: u64) -> Report {
    let latency = Latency::default();
    latency.record_n(0, 1_000, sales);
    let mut report = report("loader-0", 1, sequence, &[("accepted", sales)]);
    report.latencies.insert("accepted".to_owned(), Histogram::encode(&latency).unwrap());
    report
}

#[test]
fn what_came_while_a_report_was_decoded_is_counted_once() {
    let (mut ledger, start) = ledger();
    ledger.reported("loader", A, counted(1, 10), start).unwrap();
    let last = counted(3, 30);
    let gained = ledger.counted("loader", &last).until(&last).unwrap();
    ledger.reported("loader", B, counted(2, 20), start).unwrap();
    assert!(!ledger.received("loader", A, &last, &gained, start), "it was decoded against the first");
    ledger.reported("loader", A, last, start).unwrap();
    let sales = ledger.latency("loader", "accepted").unwrap().histogram.len();
    assert_eq!((ledger.total("loader", "accepted"), sales), (Some(30), 30));
}

#[test]
fn a_report_that_cannot_be_read_changes_nothing() {
    let (mut ledger, start) = ledger();
    ledger.reported("loader", A, counted(1, 10), start).unwrap();
    let mut broken = counted(2, 20);
    broken.latencies.get_mut("accepted").unwrap().v2 = "?".to_owned();
    assert!(ledger.reported("loader", A, broken, start).is_err());
    ledger.reported("loader", A, counted(3, 30), start).unwrap();
    let sales = ledger.latency("loader", "accepted").unwrap().histogram.len();
    assert_eq!((ledger.total("loader", "accepted"), sales), (Some(30), 30));
}

#[test]
fn of_many_that_answer_none_is_forgotten() {
    let (mut ledger, start) = ledger();
    for round in 1..=3 {
        for n in 0..600_u16 {
            let [high, low] = n.to_be_bytes();
            let address = SocketAddr::from(([10, 1, high, low], 8080));
            ledger.resolved("loader", &[address], start);
            ledger
                .reported("loader", address, report(&format!("loader-{n}"), 1, round, &[("accepted", 9)]), start)
                .unwrap();
        }
        ledger.end_round(start);
    }
    assert_eq!(ledger.total("loader", "accepted"), Some(600 * 9));
}

#[test]
fn one_that_has_stopped_in_an_orderly_way_is_not_missed() {
    let (mut ledger, start) = ledger();
    ledger.reported("loader", A, report("loader-0", 1, 1, &[]), start).unwrap();
    ledger.reported("loader", B, report("loader-1", 2, 1, &[]), start).unwrap();
    let mut last = report("loader-1", 2, 2, &[]);
    last.ended = true;
    ledger.reported("loader", B, last, start + seconds(1)).unwrap();
    for address in [A, B] {
        ledger.failed("loader", address, "connection refused".to_owned());
    }
    let now = start + seconds(9);
    ledger.resolved("loader", &[A, B], now);
    ledger.end_round(now);
    assert_eq!(pods(&ledger, now), [Some(("loader-0", 1))]);
    assert_eq!(ledger.lost("loader"), 1, "of the other nobody knows what it did last");
    ledger.reported("loader", B, report("loader-1", 3, 10, &[]), now).unwrap();
    assert_eq!((pods(&ledger, now).len(), ledger.lost("loader")), (2, 1), "it is back");
    ledger.resolved("loader", &[B], start + seconds(99));
    assert_eq!(pods(&ledger, start + seconds(99)).len(), 2);
}

#[test]
fn a_program_that_is_killed_and_starts_again_is_noticed_at_once() {
    let (mut ledger, start) = ledger();
    for incarnation in 1..=3 {
        ledger.reported("loader", A, report("loader-0", incarnation, 1, &[]), start + seconds(incarnation)).unwrap();
    }
    assert_eq!(ledger.lost("loader"), 2);
}
