//! A pipeline that is only simulated, behind real HTTP: an exporter's API and loaders whose rates can be set.
//!
//! It runs [`SPEED`] times as fast as the clock. Its last stage takes up to a limit, and what is beyond it waits.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use service::http::{self, Method, Request, Response, StatusCode};
use service::{Admin, Figures, Health, Histogram, HostPort, Latency, Secret};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Seconds of the pipeline in one of the clock.
pub(crate) const SPEED: u32 = 20;
/// What each loader does when nobody tells it otherwise. Of two, more sales are on their way than a step may begin with.
pub(crate) const CONFIGURED: f64 = 300.0;
const TOKEN: &str = "the release's";
/// From due to stored, when nothing waits.
const DELAY: f64 = 0.05;
const STEP: f64 = 0.05;

/// What the pipeline is like.
#[derive(Clone, Debug)]
pub(crate) struct Like {
    /// Sales per second that each pod of the last stage takes.
    pub(crate) limit: f64,
    /// How many seconds of a backlog make an autoscaler add a pod to it, and how many pods it may have.
    pub(crate) scales: Option<(f64, usize)>,
    /// Sales per second that a loader tells it could do.
    pub(crate) ceiling: f64,
    /// Whether the loaders are throttled above this rate.
    pub(crate) throttled_above: f64,
    /// Sales that are lost in all.
    pub(crate) lost: u64,
    /// Records that the auditor never reads.
    pub(crate) backlog: u64,
    /// By how much the last stage's clock is ahead, in microseconds.
    pub(crate) clock_us: i64,
    /// Whether the exporter also lists the pod of a benchmark that was killed, and that of one that is new each time.
    pub(crate) benchmark: bool,
}

impl Default for Like {
    fn default() -> Self {
        Self {
            limit: 2_000.0,
            scales: None,
            ceiling: 12_000.0,
            throttled_above: f64::INFINITY,
            lost: 0,
            backlog: 0,
            clock_us: 0,
            benchmark: false,
        }
    }
}

/// A running one. It ends when it is dropped.
pub(crate) struct Pipeline {
    simulated: Arc<Mutex<Simulated>>,
    pub(crate) exporter: HostPort,
    _stop: tokio_util::sync::DropGuard,
}

struct Simulated {
    like: Like,
    began: Instant,
    /// Seconds that were simulated.
    at: f64,
    loaders: Vec<Loader>,
    sinks: Vec<Sink>,
    /// Seconds for which there has been a backlog.
    behind: f64,
    throttled_us: f64,
    /// The steps that the loaders were told, in their order.
    told: Vec<String>,
}

/// A pod of the last stage.
#[derive(Default)]
struct Sink {
    /// When it was added.
    born: f64,
    stored: f64,
    latency: Latency,
}

struct Loader {
    address: String,
    /// Rate, and until when.
    set: Option<(f64, f64)>,
    sent: f64,
    latency: Latency,
}

impl Pipeline {
    pub(crate) async fn start(like: Like, loaders: usize) -> Self {
        let simulated = Arc::new(Mutex::new(Simulated {
            like,
            began: Instant::now(),
            at: 0.0,
            loaders: Vec::new(),
            sinks: vec![Sink::default()],
            behind: 0.0,
            throttled_us: 0.0,
            told: Vec::new(),
        }));
        let stop = CancellationToken::new();
        for n in 0..loaders {
            let shared = Arc::clone(&simulated);
            let address = serve(&stop, move |request| shared.lock().unwrap().now().told(n, request)).await;
            let loader = Loader { address, set: None, sent: 0.0, latency: Latency::default() };
            simulated.lock().unwrap().loaders.push(loader);
        }
        let shared = Arc::clone(&simulated);
        let exporter = serve(&stop, move |request| shared.lock().unwrap().now().asked(request)).await;
        let exporter = HostPort::try_from(exporter).unwrap();
        Self { simulated, exporter, _stop: stop.drop_guard() }
    }

    pub(crate) fn token() -> Secret {
        Secret::new(TOKEN)
    }

    /// Sales per second of each loader, now.
    pub(crate) fn rates(&self) -> Vec<f64> {
        let mut simulated = self.lock();
        let at = simulated.now().at;
        simulated.loaders.iter().map(|loader| loader.rate(at)).collect()
    }

    /// The steps that the loaders were told.
    pub(crate) fn told(&self) -> Vec<String> {
        self.lock().told.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Simulated> {
        self.simulated.lock().unwrap()
    }
}

async fn serve(
    stop: &CancellationToken,
    answer: impl Fn(&Request) -> Option<Response> + Send + Sync + 'static,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let config = service::Config::default();
    let admin = Admin::new(&config, "simulated", Registry::default(), Health::default(), Figures::default)
        .routes(move |request| std::future::ready(answer(&request)));
    let stop = stop.clone();
    tokio::spawn(async move { admin.serve_on(listener, stop).await });
    address
}

impl Loader {
    fn rate(&self, at: f64) -> f64 {
        self.set.filter(|(_, until)| at < *until).map_or(CONFIGURED, |(rate, _)| rate)
    }
}

impl Simulated {
    /// Goes on to this moment.
    fn now(&mut self) -> &mut Self {
        let now = self.began.elapsed().as_secs_f64() * f64::from(SPEED);
        while self.at + STEP <= now {
            self.at += STEP;
            let at = self.at;
            let mut rate = 0.0;
            for loader in &mut self.loaders {
                let mine = loader.rate(at);
                loader.sent += mine * STEP;
                record(&loader.latency, 0.005, mine * STEP);
                rate += mine;
                if mine > self.like.throttled_above {
                    self.throttled_us += STEP * 1e6 / 5.0;
                }
            }
            let sent: f64 = self.loaders.iter().map(|loader| loader.sent).sum();
            let waiting = (sent - rate * DELAY - self.stored()).max(0.0);
            let limit = self.limit();
            let done = waiting.min(limit * STEP);
            let each = done / self.sinks.len() as f64;
            for sink in &mut self.sinks {
                sink.stored += each;
                record(&sink.latency, DELAY + (waiting - done) / limit, each);
            }
            self.behind = if waiting > done { self.behind + STEP } else { 0.0 };
            if self.like.scales.is_some_and(|(after, most)| self.behind >= after && self.sinks.len() < most) {
                self.sinks.push(Sink { born: at, ..Sink::default() });
                self.behind = 0.0;
            }
        }
        self
    }

    /// Sales per second that the last stage takes.
    fn limit(&self) -> f64 {
        self.like.limit * self.sinks.len() as f64
    }

    fn stored(&self) -> f64 {
        self.sinks.iter().map(|sink| sink.stored).sum()
    }

    fn told(&mut self, loader: usize, request: &Request) -> Option<Response> {
        if request.uri().path() != "/rate" {
            return None;
        }
        let token = request.headers().get("authorization").and_then(|token| token.to_str().ok());
        if token != Some(&format!("Bearer {TOKEN}")) {
            return Some(http::text(StatusCode::UNAUTHORIZED, "the token is not this loader's\n"));
        }
        let at = self.at;
        match *request.method() {
            Method::DELETE => self.loaders[loader].set = None,
            Method::PUT => {
                let body: Value = serde_json::from_slice(request.body()).unwrap();
                let (rate, lease) = (body["rate"].as_f64().unwrap(), body["lease"].as_f64().unwrap());
                assert!((lease - 10.0).abs() < 1e-9);
                self.loaders[loader].set = Some((rate, at + lease));
                let step = body["step"].as_str().unwrap().to_owned();
                if self.told.last() != Some(&step) {
                    self.told.push(step);
                }
            }
            _ => return Some(http::text(StatusCode::METHOD_NOT_ALLOWED, "use PUT or DELETE\n")),
        }
        Some(http::json(&json!({})))
    }

    fn asked(&self, request: &Request) -> Option<Response> {
        match request.uri().path() {
            "/api/v1/state" => Some(http::json(&self.state())),
            "/api/v1/reports" => Some(http::json(&self.reports())),
            "/metrics" => Some(http::text(StatusCode::OK, self.metrics())),
            _ => None,
        }
    }

    fn sent(&self) -> u64 {
        whole(self.loaders.iter().map(|loader| loader.sent).sum())
    }

    fn state(&self) -> Value {
        let (sent, stored) = (self.sent(), whole(self.stored()));
        let stage = |name: &str, component: &str, sales: u64| {
            json!({
                "name": name, "component": component, "sales": sales, "rate": self.rate(), "lag": sent.saturating_sub(sales),
                "ceiling": self.limit(), "latency": null, "recent": null, "age_seconds": 0.5, "instances": 1, "stale": 0,
            })
        };
        let instance = |component: &str, pod: String, address: &str, ceiling: f64| {
            json!({
                "component": component, "address": address, "pod": pod, "node": "node-1", "incarnation": 1, "sequence": 1,
                "age_seconds": 0.5, "stale": false, "error": null,
                "clock": {"offset_us": if component == "etl-postgres" { self.like.clock_us } else { 0 }, "error_us": 100},
                "counters": {}, "gauges": {"ceiling": ceiling},
            })
        };
        let loaders = self.loaders.iter().enumerate();
        let mut instances: Vec<Value> = loaders
            .map(|(n, loader)| instance("loader", format!("loader-{n}"), &loader.address, self.like.ceiling))
            .collect();
        instances.push(instance("etl-fan-out", "fan-out-0".to_owned(), "fan-out:8080", 0.0));
        for n in 0..self.sinks.len() {
            instances.push(instance("etl-postgres", format!("postgres-{n}"), "postgres:8080", 0.0));
        }
        if self.like.benchmark {
            let mut killed = instance("benchmark", "run-1-x".to_owned(), "benchmark:8080", 0.0);
            killed["stale"] = json!(true);
            instances.push(killed);
        }
        // What is lost is found out late.
        let lost = if self.at > 60.0 { self.like.lost } else { 0 };
        json!({
            "at_us": self.at_us(),
            "stages": [
                stage("accepted", "loader", sent), stage("routed", "etl-fan-out", sent), stage("stored", "etl-postgres", stored),
            ],
            "load": {"asked": self.rate(), "sent": self.rate(), "schedule_lag": null, "blocked": null},
            "instances": instances, "resources": [], "kafka": null,
            "findings": {
                "age_seconds": 0.5, "auditable": true, "backlog": self.like.backlog, "total": lost,
                "counts": [{"stage": "stored", "kind": "lost", "findings": lost}],
            },
        })
    }

    fn reports(&self) -> Vec<Value> {
        let report = |component: &str, pod: String, more: Value| {
            let mut report = json!({
                "program": component, "pod": pod, "node": "node-1", "incarnation": 1, "sequence": 1, "at_us": self.at_us(),
                "gauges": {}, "resources": {
                    "cpu_usage_us": whole(self.at * 1e5), "cpu_limit_millicores": 1_000, "cpu_throttled_us": 0, "cpu_periods":
                    whole(self.at * 10.0), "cpu_throttled_periods": 0,
                },
            });
            report.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            json!({"component": component, "address": "", "age_seconds": 0.5, "report": report})
        };
        let histogram = |latency: &Latency| serde_json::to_value(Histogram::encode(latency).unwrap()).unwrap();
        let loaders = self.loaders.iter().enumerate().map(|(n, loader)| {
            let sent = whole(loader.sent);
            let mut report = report(
                "loader",
                format!("loader-{n}"),
                json!({
                    "counters": {"accepted": sent, "due": sent, "sent": sent, "unknown": 0, "blocked_us": 0},
                    "latencies": {
                        "accepted": histogram(&loader.latency), "schedule_lag": histogram(&loader.latency),
                        "blocked": histogram(&Latency::default()),
                    },
                }),
            );
            report["report"]["resources"]["cpu_throttled_us"] = json!(whole(self.throttled_us));
            report
        });
        let mut reports: Vec<Value> = loaders.collect();
        let routed = json!({
            "counters": {"routed": self.sent()},
            "latencies": {"routed": histogram(&self.loaders[0].latency)},
        });
        reports.push(report("etl-fan-out", "fan-out-0".to_owned(), routed));
        for (n, sink) in self.sinks.iter().enumerate() {
            let age = self.at - sink.born;
            let busy = whole(age * 1e6 * (self.rate() / self.limit()).min(1.0));
            let stored = json!({
                "counters": {"stored": whole(sink.stored), "batches": whole(age * 10.0)},
                "latencies": {"stored": histogram(&sink.latency)},
                "threads": {"0": {"working_us": busy / 10, "store_us": busy - busy / 10, "input_us": whole(age * 1e6) - busy}},
            });
            reports.push(report("etl-postgres", format!("postgres-{n}"), stored));
        }
        if self.like.benchmark {
            reports.push(report(
                "benchmark",
                format!("run-{}", self.at_us()),
                json!({"counters": {}, "latencies": {}}),
            ));
        }
        reports
    }

    fn metrics(&self) -> String {
        let labels: BTreeMap<_, _> = [("topic", "sales"), ("partition", "0")].into();
        let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
        let labels = labels.join(",");
        format!(
            "kafka_consumergroup_lag{{consumergroup=\"fan-out\",{labels}}} 3\n\
             kafka_topic_partition_current_offset{{{labels}}} {}\n",
            self.sent()
        )
    }

    fn rate(&self) -> f64 {
        self.loaders.iter().map(|loader| loader.rate(self.at)).sum()
    }

    fn at_us(&self) -> u64 {
        whole(self.at * 1e6)
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not below 0")]
fn whole(value: f64) -> u64 {
    value.round() as u64
}

fn record(latency: &Latency, seconds: f64, n: f64) {
    latency.record_n(0, i64::try_from(whole(seconds * 1e6)).unwrap(), whole(n));
}
