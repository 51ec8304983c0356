//! The shop's answers in common.

use std::collections::BTreeMap;

use petstore::SaleId;
use service::http::{self, HeaderValue, Response, StatusCode};

/// Not now: whoever asks again after a second may have more luck.
pub(crate) fn busy(why: &str) -> Response {
    let mut response = http::error(StatusCode::SERVICE_UNAVAILABLE, why);
    response.headers_mut().insert("retry-after", HeaderValue::from_static("1"));
    response
}

/// Kafka has the sale.
pub(crate) fn created(id: SaleId) -> Response {
    let mut response = http::json(&BTreeMap::from([("id", id)]));
    *response.status_mut() = StatusCode::CREATED;
    response
}

/// Another method is needed.
pub(crate) fn only(method: &'static str) -> Response {
    let mut response = http::error(StatusCode::METHOD_NOT_ALLOWED, format!("use {method} here"));
    response.headers_mut().insert("allow", HeaderValue::from_static(method));
    response
}
