//! The little HTTP that the programs need among themselves.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, bail};
use http_body_util::Full;
use hyper::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use serde::Serialize;
use tracing::error;

use crate::client::Connection;

pub use bytes::Bytes;
pub use hyper::header::HeaderValue;
pub use hyper::{Method, StatusCode};

/// A request whose body has been read.
pub type Request = hyper::Request<Bytes>;

/// An answer that was read.
pub type Answer = hyper::Response<Bytes>;

/// An answer to be sent.
pub type Response = hyper::Response<Full<Bytes>>;

/// Gets `http://<authority><path>` within `timeout`, all together. Anything but 200 is an error.
pub async fn get(authority: &str, path: &str, timeout: Duration) -> anyhow::Result<Bytes> {
    let (status, body) = fetch(authority, path, timeout).await?;
    if status != StatusCode::OK {
        let text = String::from_utf8_lossy(&body[..body.len().min(200)]).trim().to_owned();
        bail!("getting http://{authority}{path}: {status}: {text}");
    }
    Ok(body)
}

/// Gets `http://<authority><path>` within `timeout`, all together, whatever its status.
pub async fn fetch(authority: &str, path: &str, timeout: Duration) -> anyhow::Result<(StatusCode, Bytes)> {
    let request = hyper::Request::get(path).body(Bytes::new()).context("making the request")?;
    send(authority, request, timeout).await
}

/// Sends a request, whose address is a path, and reads the answer within `timeout`, all together, whatever its status.
pub async fn send(authority: &str, request: Request, timeout: Duration) -> anyhow::Result<(StatusCode, Bytes)> {
    let verb = if request.method() == Method::GET { "getting" } else { request.method().as_str() };
    let doing = format!("{verb} http://{authority}{}", request.uri());
    tokio::time::timeout(timeout, exchange(authority, request))
        .await
        .with_context(|| format!("{doing}: no answer in {timeout:?}"))?
        .context(doing)
}

/// A request without headers.
///
/// # Panics
///
/// If `path` is not one.
pub fn request(method: Method, path: &str, body: Bytes) -> Request {
    hyper::Request::builder().method(method).uri(path).body(body).expect("the path is one of ours")
}

/// Answers with a text.
pub fn text(status: StatusCode, body: impl Into<Bytes>) -> Response {
    response(status, "text/plain; charset=utf-8", body)
}

/// Answers with a page.
pub fn html(body: impl Into<Bytes>) -> Response {
    response(StatusCode::OK, "text/html; charset=utf-8", body)
}

/// Answers with a page that is allowed nothing but its own script and the figures of its own program.
pub fn page(body: impl Into<Bytes>) -> Response {
    let policy = "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'unsafe-inline'";
    let mut page = html(body);
    page.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    page
}

/// Answers with a value as JSON.
pub fn json<T: Serialize>(value: &T) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => response(StatusCode::OK, "application/json", body),
        Err(err) => {
            error!(%err, "encoding an answer");
            text(StatusCode::INTERNAL_SERVER_ERROR, "encoding the answer failed\n")
        }
    }
}

/// Answers with a sentence about what is wrong, as JSON: `{"error": "…"}`.
pub fn error(status: StatusCode, sentence: impl Into<String>) -> Response {
    let mut response = json(&BTreeMap::from([("error", sentence.into())]));
    *response.status_mut() = status;
    response
}

/// Answers with a body of a given type.
pub fn response(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    // Figures are valid only at this moment.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

async fn exchange(authority: &str, request: Request) -> anyhow::Result<(StatusCode, Bytes)> {
    let answer = Connection::open(authority).await?.ask(request).await?;
    Ok((answer.status(), answer.into_body()))
}
