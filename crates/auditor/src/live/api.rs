//! What is answered on the admin port besides what every program answers.

use std::sync::Arc;

use service::http::{Method, Request, Response, StatusCode, json, text};

use super::Live;

/// `/api/v1/account` and `/api/v1/blocks`; other paths are not ours.
pub(super) fn answer(request: &Request, live: Option<&Arc<Live>>) -> Option<Response> {
    let path = request.uri().path();
    if !matches!(path, "/api/v1/account" | "/api/v1/blocks") {
        return None;
    }
    if request.method() != Method::GET {
        return Some(text(StatusCode::METHOD_NOT_ALLOWED, "only GET\n"));
    }
    let Some(live) = live.filter(|live| live.has_started()) else {
        return Some(text(StatusCode::SERVICE_UNAVAILABLE, "waiting for kafka\n"));
    };
    Some(match path {
        "/api/v1/account" => json(&live.account()),
        _ => json(&live.audit().blocks()),
    })
}
