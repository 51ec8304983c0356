//! A rate that is set from outside, and what is left of it when its setter or the loader dies.
//!
//! Needs the servers of `ci/servers up`: see the crate `test-servers`.

mod support;

use std::collections::BTreeSet;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use service::Report;
use service::http::{HeaderValue, Request, StatusCode, send};
use support::{Kafka, LIMIT, Loader};

const TOKEN: &str = "not-so-secret";

/// A process that sets a rate twice a second until it is killed.
struct Setter(Child);

impl Setter {
    fn start(loader: &Loader, body: &Value) -> Self {
        let (host, port) = loader.admin().split_once(':').unwrap();
        let body = body.to_string();
        let request = format!(
            "PUT /rate HTTP/1.1\\r\\nHost: x\\r\\nAuthorization: Bearer {TOKEN}\\r\\nContent-Length: {}\\r\\n\\r\\n",
            body.len()
        );
        let script = format!(
            "while :; do exec 3<>/dev/tcp/{host}/{port}; printf '{request}%s' \"$0\" >&3; read -r _ <&3; exec 3>&-; \
             sleep 0.5; done"
        );
        Self(Command::new("bash").args(["-c", &script, &body]).spawn().unwrap())
    }

    fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Setter {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn ask(loader: &Loader, method: &str, body: &Value) -> (StatusCode, Value) {
    let mut request = Request::new(body.to_string().into());
    *request.method_mut() = method.parse().unwrap();
    *request.uri_mut() = "/rate".parse().unwrap();
    let token = HeaderValue::from_str(&format!("Bearer {TOKEN}")).unwrap();
    request.headers_mut().insert("authorization", token);
    let (status, body) = send(loader.admin(), request, LIMIT).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap())
}

/// Waits until the report is as wanted.
async fn reports(loader: &Loader, what: &str, wanted: impl Fn(&Report) -> bool) -> Report {
    let deadline = Instant::now() + LIMIT;
    loop {
        let report = loader.report().await;
        match report {
            Some(report) if wanted(&report) => return report,
            report => assert!(Instant::now() < deadline, "not within {LIMIT:?}: {what}; last: {report:?}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn step(report: &Report) -> Option<&str> {
    report.segment.as_ref()?.step.as_deref()
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_one_who_renews_is_killed_the_configured_rate_comes_back() {
    let kafka = Kafka::new();
    let variables = [("LOADER_RATE", "100"), ("LOADER_DAYS", "30"), ("LOADER_TOKEN", TOKEN)];
    let mut loader = Loader::start(&kafka, &variables);
    loader.reports("1 s of sales", |counters| counters["accepted"] >= 100).await;
    let setter = Setter::start(&loader, &json!({"rate": 1_000.0, "lease": 2, "step": "ramp-1"}));
    // Twice as long as a lease.
    let set = reports(&loader, "4 s of the set rate", |report| {
        step(report) == Some("ramp-1") && report.segment.as_ref().unwrap().due >= 4_000
    })
    .await;
    assert_eq!((set.gauges["rate"], set.gauges["configured_rate"]), (1_000.0, 100.0));
    let t0_us = set.segment.unwrap().t0_us;
    setter.kill();
    let killed_at_us = service::unix_us();

    let back = reports(&loader, "the configured rate", |report| step(report).is_none()).await.segment.unwrap();
    let lease_us = back.t0_us - killed_at_us;
    assert!((0..4_000_000).contains(&lease_us), "{lease_us} us after the kill, of a lease of 2 s");
    let (_, answer) = ask(&loader, "GET", &json!(null)).await;
    let previous = &answer["previous"];
    assert_eq!(
        (&answer["source"], &answer["rate"], &previous["step"], &previous["t0_us"]),
        (&json!("configured"), &json!(100.0), &json!("ramp-1"), &json!(t0_us))
    );
    let planned = (back.t0_us - t0_us) as f64 / 1e3;
    let due = previous["due"].as_f64().unwrap();
    assert!((due - planned).abs() <= 1.0, "{due} sales in {planned} ms");

    let last = reports(&loader, "2 s more", |report| report.segment.as_ref().is_some_and(|it| it.due >= 200)).await;
    assert_eq!(last.counters["segments"], 2, "no renewal began a segment");
    loader.stop().await;
    let audit = kafka.audit();
    assert_eq!(audit.unknown, 0);
    let mut due: Vec<(petstore::SaleId, i64)> =
        kafka.sales().iter().map(|record| (record.header.id, record.header.due_us)).collect();
    due.sort_unstable();
    assert!(due.is_sorted_by_key(|(_, due_us)| *due_us), "numbers go on over segments");
    let of_step = due.iter().filter(|(_, due_us)| (t0_us..back.t0_us).contains(due_us)).count();
    let handed_over = previous["handed_over"].as_u64().unwrap();
    assert!(
        of_step.abs_diff(usize::try_from(handed_over).unwrap()) <= 1,
        "{of_step} are there, {handed_over} were sent"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restart_the_configured_rate_is_in_force_and_the_load_ends_when_it_would_have() {
    let kafka = Kafka::new();
    let variables =
        [("LOADER_RATE", "100"), ("LOADER_DAYS", "30"), ("LOADER_STOP_AFTER", "30s"), ("LOADER_TOKEN", TOKEN)];
    let mut first = Loader::start(&kafka, &variables);
    first.reports("1 s of sales", |counters| counters["accepted"] >= 100).await;
    let (status, answer) = ask(&first, "PUT", &json!({"rate": 2_000.0, "lease": 60, "step": "a"})).await;
    assert_eq!((status, &answer["source"]), (StatusCode::OK, &json!("set")));
    first.reports("sales of the set rate", |counters| counters["accepted"] >= 2_000).await;
    first.signal("KILL");
    first.ended().await;

    let mut second = Loader::start(&kafka, &variables);
    second.reports("1 s of sales", |counters| counters["accepted"] >= 100).await;
    let (_, answer) = ask(&second, "GET", &json!(null)).await;
    assert_eq!(
        (&answer["source"], &answer["rate"], &answer["step"]),
        (&json!("configured"), &json!(100.0), &json!(null))
    );
    // A set rate doesn't make the load longer either.
    ask(&second, "PUT", &json!({"rate": 0, "lease": 60, "step": "pause"})).await;
    second.reports("the end", |counters| counters["blocks_closed"] == counters["blocks_reserved"]).await;
    let (status, answer) = ask(&second, "PUT", &json!({"rate": 1, "lease": 60, "step": "b"})).await;
    assert_eq!(status, StatusCode::CONFLICT, "{answer}");
    assert!(answer["error"].as_str().unwrap().contains("has ended as planned"), "{answer}");
    assert!(second.is_ready().await);
    second.stop().await;

    let loads: BTreeSet<_> =
        kafka.blocks().iter().map(|block| block.record.load.map(|load| (load.began_at_us, load.micro_rate))).collect();
    assert_eq!(loads.len(), 1, "it is one load, whatever rate was set: {loads:?}");
    assert_eq!(loads.first().unwrap().unwrap().1, 100_000_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_due_while_the_loader_hung_is_not_offered_once_another_rate_is_set() {
    let kafka = Kafka::new();
    let mut loader = Loader::start(&kafka, &[("LOADER_RATE", "200"), ("LOADER_TOKEN", TOKEN)]);
    loader.reports("1 s of sales", |counters| counters["accepted"] >= 200).await;
    loader.signal("STOP");
    tokio::time::sleep(Duration::from_secs(3)).await;
    loader.signal("CONT");
    let (_, answer) = ask(&loader, "PUT", &json!({"rate": 50, "lease": 60, "step": "a"})).await;
    assert_eq!(answer["not_offered"], 0, "{answer}");
    let counters = &loader.reports("the step", |counters| counters["segments"] == 1).await.counters;
    let (due, sent, not_offered) = (counters["due"], counters["sent"], counters["not_offered"]);
    assert!(not_offered > 300, "{counters:?}");
    assert!(due.abs_diff(sent + not_offered) <= 5, "{counters:?}");
    assert_eq!(
        counters["late"],
        counters["late_blocked"] + counters["late_otherwise"] + counters.get("late_throttled").unwrap_or(&0)
    );
    loader.stop().await;
    assert_eq!(kafka.audit().unknown, 0, "what was not offered has no id");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loader_that_others_keep_from_the_cpu_says_so() {
    let kafka = Kafka::new();
    let mut loader = Loader::start(&kafka, &[("LOADER_RATE", "500"), ("LOADER_DAYS", "30")]);
    let before = loader.reports("2 s of sales", |counters| counters["accepted"] >= 1_000).await.counters;
    // All of its threads share one CPU with programs that come before it.
    loader.confine_to_cpu_0();
    let busy: Vec<Setter> = (0..3).map(|_| Setter(spin_on_cpu_0())).collect();
    let throttled = |counters: &std::collections::BTreeMap<String, u64>| {
        counters["late_throttled"] >= before["late_throttled"] + 500
    };
    let after = loader.reports("late sales", throttled).await.counters;
    drop(busy);
    let grew = |name: &str| after[name] - before[name];
    assert!(grew("cpu_wait_us") > 100_000, "{after:?}");
    assert!(grew("late_throttled") > 2 * grew("late_otherwise"), "{after:?}");
    loader.stop().await;
}

fn spin_on_cpu_0() -> Child {
    Command::new("taskset").args(["-c", "0", "sh", "-c", "while :; do :; done"]).spawn().unwrap()
}
