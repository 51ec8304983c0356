//! `/rate` on the admin port: shows the rate in force, and lets the holder of the token set another for a while.
//!
//! - `GET /rate`: the rate in force and its segment, as [`Answer`].
//! - `PUT /rate` with `{"rate": 1200.0, "lease": 10, "step": "ramp-3"}`: that rate is in force from now on, for `lease` seconds.
//!   Sent again with the same rate and step, it only renews the lease.
//! - `DELETE /rate`: the configured rate is in force from now on.
//!
//! Whatever is wrong with a request, the load goes on.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use service::Secret;
use service::http::{HeaderValue, Method, Request, Response, StatusCode, error, json};

use crate::in_force::{Refused, View, Wanted};
use crate::rate::Rate;
use crate::running::Load;

/// The largest body: it holds three short fields.
const BODY_LIMIT: usize = 4 << 10;
/// How long a lease may last, in seconds: a setter that dies must not leave its rate for long.
const LEASE_S: RangeInclusive<f64> = 1.0..=60.0;
/// Characters of a step's name.
const STEP: RangeInclusive<usize> = 1..=64;
const EXAMPLE: &str = r#"send JSON such as {"rate": 1200.0, "lease": 10, "step": "ramp-3"}"#;

/// The rate in force.
#[derive(Debug, Serialize)]
pub struct Answer {
    /// Sales per second; 0 is a pause, or a load that has ended.
    rate: f64,
    /// `configured`, or `set` from outside.
    source: &'static str,
    /// The name given with a rate that was set.
    step: Option<String>,
    /// Seconds until the configured rate comes back, unless the lease is renewed.
    lease_seconds: Option<f64>,
    /// When the segment began, by the loader's wall clock, in microseconds since 1970; none before the load begins and after
    /// it has ended.
    t0_us: Option<i64>,
    /// Sales of the segment that were due so far.
    due: u64,
    /// Sales of the segment that were handed to the client so far.
    handed_over: u64,
    /// Sales of the segment that ended without being offered: 0 as long as it is in force.
    not_offered: u64,
    /// The segment before, to its end.
    previous: Option<service::Segment>,
    /// Why the load has ended, if it has.
    ended: Option<&'static str>,
}

impl From<View> for Answer {
    fn from(view: View) -> Self {
        let (step, lease) = view.set.unzip();
        let segment = view.segment.as_ref();
        Self {
            rate: view.rate.per_second(),
            source: if step.is_some() { "set" } else { "configured" },
            step,
            lease_seconds: lease.map(|lease| lease.as_secs_f64()),
            t0_us: segment.map(|segment| segment.t0_us),
            due: segment.map_or(0, |segment| segment.due),
            handed_over: segment.map_or(0, |segment| segment.handed_over),
            not_offered: segment.map_or(0, |segment| segment.not_offered),
            previous: view.previous,
            ended: view.ended,
        }
    }
}

/// Why a request is refused, in a sentence that names the value and the fix.
#[derive(Debug)]
struct Wrong {
    status: StatusCode,
    sentence: String,
}

impl Wrong {
    fn new(status: StatusCode, sentence: impl Into<String>) -> Self {
        Self { status, sentence: sentence.into() }
    }
}

impl From<Refused> for Wrong {
    fn from(refused: Refused) -> Self {
        let status = match refused {
            Refused::Ended(_) => StatusCode::CONFLICT,
            Refused::Busy => StatusCode::TOO_MANY_REQUESTS,
        };
        Self::new(status, refused.to_string())
    }
}

impl From<Wrong> for Response {
    fn from(wrong: Wrong) -> Self {
        let mut response = error(wrong.status, wrong.sentence);
        let header = match wrong.status {
            StatusCode::METHOD_NOT_ALLOWED => Some(("allow", "GET, PUT, DELETE")),
            StatusCode::UNAUTHORIZED => Some(("www-authenticate", "Bearer")),
            _ => None,
        };
        if let Some((name, value)) = header {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

/// Answers `/rate`; other paths are not ours.
pub fn answer(request: &Request, load: &Load, token: Option<&Secret>) -> Option<Response> {
    (request.uri().path() == "/rate").then(|| match act(request, load, token) {
        Ok(()) => json(&Answer::from(load.in_force())),
        Err(wrong) => wrong.into(),
    })
}

fn act(request: &Request, load: &Load, token: Option<&Secret>) -> Result<(), Wrong> {
    match *request.method() {
        Method::GET => Ok(()),
        Method::PUT => {
            authorize(request, token)?;
            Ok(load.set_rate(wanted(request.body())?)?)
        }
        Method::DELETE => {
            authorize(request, token)?;
            Ok(load.unset_rate()?)
        }
        ref other => {
            let sentence = format!("{other} is not possible: use GET, PUT or DELETE");
            Err(Wrong::new(StatusCode::METHOD_NOT_ALLOWED, sentence))
        }
    }
}

fn authorize(request: &Request, token: Option<&Secret>) -> Result<(), Wrong> {
    let Some(token) = token else {
        return Err(Wrong::new(StatusCode::FORBIDDEN, "this loader has no token, so its rate can't be set"));
    };
    let given = request.headers().get("authorization").map(HeaderValue::as_bytes);
    if given.and_then(|given| given.strip_prefix(b"Bearer ")).is_some_and(|given| token.is(given)) {
        return Ok(());
    }
    let what = if given.is_some() { "the token is not this loader's" } else { "the token is missing" };
    let sentence = format!("{what}: send `Authorization: Bearer TOKEN` with the one in LOADER_TOKEN");
    Err(Wrong::new(StatusCode::UNAUTHORIZED, sentence))
}

/// What the body asks for.
fn wanted(body: &[u8]) -> Result<Wanted, Wrong> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        rate: Value,
        lease: Value,
        step: Value,
    }
    if body.len() > BODY_LIMIT {
        let wrong = format!("the body has {} bytes, and {BODY_LIMIT} are allowed: {EXAMPLE}", body.len());
        return Err(Wrong::new(StatusCode::PAYLOAD_TOO_LARGE, wrong));
    }
    let wrong = |sentence: String| Wrong::new(StatusCode::BAD_REQUEST, sentence);
    let Body { rate, lease, step } =
        serde_json::from_slice(body).map_err(|err| wrong(format!("the body can't be read ({err}): {EXAMPLE}")))?;
    let number = |value: &Value, what: &str, range: &str| {
        value.as_f64().ok_or_else(|| wrong(format!("{what} {value} is not a number: set {range}")))
    };
    let range = "sales per second from 0.000001 to 1000000, or 0 for a pause";
    let per_second = number(&rate, "rate", range)?;
    let pause = (per_second == 0.0).then_some(Rate::PAUSE);
    let rate = pause
        .or_else(|| Rate::per_second_of(per_second))
        .ok_or_else(|| wrong(format!("rate {rate} is out of range: set {range}")))?;
    let range = "seconds from 1 to 60";
    let seconds = number(&lease, "lease", range)?;
    if !LEASE_S.contains(&seconds) {
        return Err(wrong(format!("lease {lease} is out of range: set {range}")));
    }
    let named = |step: &&str| {
        STEP.contains(&step.len()) && step.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
    };
    let Some(step) = step.as_str().filter(named) else {
        let rule = "set 1 to 64 letters, digits, `.`, `_` or `-`, such as \"ramp-3\"";
        return Err(wrong(format!("step {step} is not a name: {rule}")));
    };
    Ok(Wanted { rate, lease: Duration::from_secs_f64(seconds), step: step.to_owned() })
}
