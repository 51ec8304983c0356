//! The admin port of a program.

use std::net::{Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::registry::Registry;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::http::{Request, Response, StatusCode, text};
use crate::resources::Reader;
use crate::server::{self, Limits, WhenFull};
use crate::{Figures, Health, Histogram, Report, http, incarnation, listen, own, unix_us};

/// Prometheus, the exporter, the kubelet and a few people need a handful of connections, for milliseconds each, and one request
/// on each. Clients that send nothing, or read nothing, must not block the kubelet.
const LIMITS: Limits = Limits {
    connections: 64,
    when_full: WhenFull::CloseOldest,
    keep_alive: false,
    head: Duration::from_secs(5),
    connection: Duration::from_secs(30),
    grace: Duration::from_secs(2),
};
/// The largest body of a request: all of them are a few fields.
const BODY_LIMIT: usize = 64 << 10;
/// How long the program's own loops may take to end before the port is closed anyway: a little
/// less than the 30 s that Kubernetes waits.
const WORK_LIMIT: Duration = Duration::from_secs(25);
/// How long to wait for the last figures to be fetched: one and a half polls of the exporter.
const LAST_REPORT_LIMIT: Duration = Duration::from_millis(1_500);
/// How often to look whether the loops have ended.
const WORK_CHECK: Duration = Duration::from_millis(20);

/// The address of the admin port, and the names in reports.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Address of the admin port: IPv6 and IPv4 unless one is given.
    pub admin_addr: SocketAddr,
    /// Name of the pod.
    pub pod: String,
    /// Name of the node; empty if unknown.
    pub node: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            admin_addr: SocketAddr::from((Ipv6Addr::UNSPECIFIED, 8080)),
            pod: "local".to_owned(),
            node: String::new(),
        }
    }
}

/// Serves `/metrics`, `/livez`, `/readyz` and `/report` until `shutdown` is cancelled and the last
/// figures were fetched. See [`Admin`] for programs with more pages.
pub async fn serve_admin(
    config: &Config,
    program: &'static str,
    registry: Registry,
    health: Health,
    figures: impl Fn() -> Figures + Send + Sync + 'static,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    Admin::new(config, program, registry, health, figures).serve(shutdown).await
}

/// The admin server, before it serves.
pub struct Admin {
    config: Config,
    program: &'static str,
    registry: Registry,
    own: Registry,
    health: Health,
    figures: Box<dyn Fn() -> Figures + Send + Sync>,
    routes: Routes,
    resources: Arc<Mutex<Reader>>,
    sequence: AtomicU64,
    /// The program was told to stop, and its loops have ended.
    ended: AtomicBool,
    reported: Notify,
}

type Routes = Box<dyn Fn(Request) -> Answering + Send + Sync>;
type Answering = Pin<Box<dyn Future<Output = Option<Response>> + Send>>;

impl Admin {
    /// Takes what every program has to show.
    pub fn new(
        config: &Config,
        program: &'static str,
        registry: Registry,
        health: Health,
        figures: impl Fn() -> Figures + Send + Sync + 'static,
    ) -> Self {
        let resources = Arc::new(Mutex::new(Reader::own()));
        Self {
            config: config.clone(),
            program,
            registry,
            own: own::registry(program, Arc::clone(&resources)),
            health,
            figures: Box::new(figures),
            routes: Box::new(|_| Box::pin(async { None })),
            resources,
            sequence: AtomicU64::new(0),
            ended: AtomicBool::new(false),
            reported: Notify::new(),
        }
    }

    /// Adds the program's own pages. They are asked first; `None` means "not mine".
    #[must_use]
    pub fn routes<F, A>(mut self, routes: F) -> Self
    where
        F: Fn(Request) -> A + Send + Sync + 'static,
        A: Future<Output = Option<Response>> + Send + 'static,
    {
        self.routes = Box::new(move |request| Box::pin(routes(request)));
        self
    }

    /// Listens on the configured address, and serves.
    pub async fn serve(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let listener = listen(self.config.admin_addr)?;
        self.serve_on(listener, shutdown).await
    }

    /// Serves on a listener that is there already, as tests have it.
    pub async fn serve_on(self, listener: TcpListener, shutdown: CancellationToken) -> anyhow::Result<()> {
        info!(addr = ?listener.local_addr().ok(), "serving the admin port");
        let admin = Arc::new(self);
        let answering = Arc::clone(&admin);
        let answer = move |request| {
            let admin = Arc::clone(&answering);
            async move { admin.receive(request).await }
        };
        server::serve(listener, LIMITS, answer, admin.ended(&shutdown)).await;
        Ok(())
    }

    /// Ends when the work is done and its last figures have been fetched: without them the
    /// exporter would never learn of the last second.
    async fn ended(&self, shutdown: &CancellationToken) {
        shutdown.cancelled().await;
        let idle = async {
            while !self.health.all_ended() {
                sleep(WORK_CHECK).await;
            }
        };
        if timeout(WORK_LIMIT, idle).await.is_ok() {
            self.ended.store(true, Ordering::Release);
        }
        let _ = timeout(LAST_REPORT_LIMIT, self.reported.notified()).await;
    }

    async fn receive(&self, request: hyper::Request<Incoming>) -> Response {
        let (head, body) = request.into_parts();
        match Limited::new(body, BODY_LIMIT).collect().await {
            Ok(body) => self.answer(Request::from_parts(head, body.to_bytes())).await,
            Err(_) => http::error(StatusCode::PAYLOAD_TOO_LARGE, "the body is larger than 64 KiB or broke off"),
        }
    }

    async fn answer(&self, request: Request) -> Response {
        let path = request.uri().path().to_owned();
        if let Some(response) = (self.routes)(request).await {
            return response;
        }
        match path.as_str() {
            "/metrics" => self.metrics(),
            "/livez" => verdict(self.health.live()),
            "/readyz" => verdict(self.health.serving()),
            "/report" => self.report(),
            _ => text(StatusCode::NOT_FOUND, "not found\n"),
        }
    }

    fn metrics(&self) -> Response {
        let mut body = String::new();
        let encoded = encode_registry(&mut body, &self.registry)
            .and_then(|()| encode_registry(&mut body, &self.own))
            .and_then(|()| encode_eof(&mut body));
        match encoded {
            Ok(()) => {
                http::response(StatusCode::OK, "application/openmetrics-text; version=1.0.0; charset=utf-8", body)
            }
            Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "encoding the metrics failed\n"),
        }
    }

    fn report(&self) -> Response {
        // Before the figures are read: those of a program that has ended are its last.
        let ended = self.ended.load(Ordering::Acquire);
        let figures = (self.figures)();
        let latencies = figures
            .latencies
            .iter()
            .map(|(name, latency)| Ok((name.clone(), Histogram::encode(latency)?)))
            .collect::<anyhow::Result<_>>();
        let latencies = match latencies {
            Ok(latencies) => latencies,
            Err(err) => return text(StatusCode::INTERNAL_SERVER_ERROR, Bytes::from(format!("{err:#}\n"))),
        };
        self.reported.notify_waiters();
        http::json(&Report {
            program: self.program.to_owned(),
            pod: self.config.pod.clone(),
            node: self.config.node.clone(),
            incarnation: incarnation(),
            sequence: self.sequence.fetch_add(1, Ordering::Relaxed),
            at_us: unix_us(),
            ended,
            counters: figures.counters,
            gauges: figures.gauges,
            latencies,
            threads: figures.threads,
            resources: Some(self.resources.lock().unwrap_or_else(PoisonError::into_inner).read()),
            neighbour: figures.neighbour,
            unknown: figures.unknown,
            segment: figures.segment,
        })
    }
}

fn verdict(outcome: Result<(), String>) -> Response {
    match outcome {
        Ok(()) => text(StatusCode::OK, "ok\n"),
        Err(why) => text(StatusCode::SERVICE_UNAVAILABLE, why + "\n"),
    }
}
