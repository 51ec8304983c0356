//! A cluster over HTTP: the exporter's API, and the loaders' admin ports, whose addresses the exporter knows.

use std::time::Duration;

use anyhow::{Context, bail};
use serde::de::DeserializeOwned;
use serde_json::json;
use service::http::{self, HeaderValue, Method, Request, StatusCode};
use service::state::{Received, State};
use service::{HostPort, Secret};

use super::cluster::Cluster;
use super::exposition::partitions;
use crate::judge::Partition;

/// The exporter may be busy; the state is asked for each second.
const ANSWER_LIMIT: Duration = Duration::from_millis(900);
/// The reports carry histograms, of all instances at once.
const REPORTS_LIMIT: Duration = Duration::from_secs(5);
/// The exporter polls this program, too. It is no part of what it judges: neither itself nor the pod of a run that was killed.
const OWN: &str = "benchmark";
/// A loader counts a lease by its own clock: without renewal, its configured rate comes back after so many seconds.
pub(super) const LEASE_S: u64 = 10;

/// The exporter and the loaders of an installation.
#[derive(Clone, Debug)]
pub struct Http {
    exporter: HostPort,
    token: Secret,
}

impl Http {
    /// Nothing is connected yet.
    pub fn new(exporter: HostPort, token: Secret) -> Self {
        Self { exporter, token }
    }

    async fn get<T: DeserializeOwned>(&self, path: &str, limit: Duration) -> anyhow::Result<T> {
        let body = http::get(self.exporter.as_str(), path, limit).await?;
        serde_json::from_slice(&body).with_context(|| format!("reading the answer of {}{path}", self.exporter))
    }

    async fn ask(&self, method: Method, loader: &str, body: String) -> anyhow::Result<()> {
        let doing = format!("{method} http://{loader}/rate");
        let mut request = Request::new(body.into());
        *request.method_mut() = method;
        *request.uri_mut() = "/rate".parse().context("making the request")?;
        let token = HeaderValue::from_str(&format!("Bearer {}", self.token.expose())).context("making the request")?;
        request.headers_mut().insert("authorization", token);
        request.headers_mut().insert("content-type", HeaderValue::from_static("application/json"));
        let (status, answer) = http::send(loader, request, ANSWER_LIMIT).await?;
        if status == StatusCode::OK || status == StatusCode::NO_CONTENT {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&answer[..answer.len().min(200)]).trim().to_owned();
        bail!("{doing}: {status}: {text}")
    }
}

impl Cluster for Http {
    async fn state(&self) -> anyhow::Result<State> {
        let mut state: State = self.get("/api/v1/state", ANSWER_LIMIT).await?;
        state.instances.retain(|instance| instance.component != OWN);
        state.resources.retain(|used| used.component != OWN);
        Ok(state)
    }

    async fn reports(&self) -> anyhow::Result<Vec<Received>> {
        let mut reports: Vec<Received> = self.get("/api/v1/reports", REPORTS_LIMIT).await?;
        reports.retain(|received| received.component != OWN);
        Ok(reports)
    }

    async fn partitions(&self) -> anyhow::Result<Vec<Partition>> {
        let body = http::get(self.exporter.as_str(), "/metrics", ANSWER_LIMIT).await?;
        Ok(partitions(&String::from_utf8_lossy(&body)))
    }

    async fn offer(&self, loader: &str, rate: f64, step: &str) -> anyhow::Result<()> {
        let body = json!({ "rate": rate, "lease": LEASE_S as f64, "step": step });
        self.ask(Method::PUT, loader, body.to_string()).await
    }

    async fn release(&self, loader: &str) -> anyhow::Result<()> {
        self.ask(Method::DELETE, loader, String::new()).await
    }
}
