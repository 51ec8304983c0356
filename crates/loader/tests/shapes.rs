//! A rate that changes with time, and sales that come as customers do: by the due times that are on `sales`.
//!
//! Needs the servers of `ci/servers up`: see the crate `test-servers`.

mod support;

use std::time::Duration;

use support::{Kafka, Loader};

/// A spike of a second in every four.
const SPIKE: [(&str, &str); 6] = [
    ("LOADER_RATE", "200"),
    ("LOADER_SHAPE", "spike"),
    ("LOADER_SHAPE_HIGH", "3"),
    ("LOADER_SHAPE_PERIOD", "4s"),
    ("LOADER_SHAPE_LENGTH", "1s"),
    ("LOADER_STOP_AFTER", "8s"),
];
/// Of two of them: three seconds at 200/s and one at 600/s.
const SALES: u64 = 2 * (3 * 200 + 600);

/// Runs the load to its end. Returns when its sales were due, in microseconds after its beginning.
async fn due_us(more: &[(&str, &str)]) -> Vec<u64> {
    let kafka = Kafka::new();
    let mut loader = Loader::start(&kafka, &[&SPIKE, more].concat());
    loader.reports("the end of the load", |counters| counters["accepted"] > SALES / 2).await;
    while !loader.log().contains("ended as planned") {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    loader.stop().await;
    let mut due: Vec<i64> = kafka.sales().iter().map(|record| record.header.due_us).collect();
    due.sort_unstable();
    due.iter().map(|us| u64::try_from(us - due[0]).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spike_comes_when_it_is_due_and_not_a_sale_more_or_less() {
    let due = due_us(&[]).await;
    let mut seconds = [0_u32; 8];
    for us in &due {
        seconds[usize::try_from(us / 1_000_000).unwrap()] += 1;
    }
    assert_eq!(seconds, [200, 200, 200, 600, 200, 200, 200, 600]);
}

#[tokio::test(flavor = "multi_thread")]
async fn customers_who_know_nothing_of_each_other_come_at_exponential_distances() {
    let due = due_us(&[("LOADER_ARRIVALS", "poisson")]).await;
    // Four standard deviations.
    assert!(due.len().abs_diff(usize::try_from(SALES).unwrap()) < 200, "{} sales", due.len());
    let distances: Vec<f64> = due
        .windows(2)
        .filter(|pair| pair[1] % 4_000_000 < 2_900_000 && pair[0] % 4_000_000 < pair[1] % 4_000_000)
        .map(|pair| (pair[1] - pair[0]) as f64)
        .collect();
    let mean = distances.iter().sum::<f64>() / distances.len() as f64;
    let variance = distances.iter().map(|us| (us - mean).powi(2)).sum::<f64>() / distances.len() as f64;
    assert!((mean - 5_000.0).abs() < 700.0, "{mean} us apart");
    assert!((variance.sqrt() / mean - 1.0).abs() < 0.15, "a deviation of {} times the mean", variance.sqrt() / mean);
}
