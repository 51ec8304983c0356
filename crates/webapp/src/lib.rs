//! The shop: takes each sale by HTTP and puts it in Kafka, tells what was sold from Redis, and shows it on a map.
//!
//! - `POST /sales`: one sale as JSON. `201` once Kafka has acknowledged it; `400`, `408` and `413` with the reason if it is not a
//!   valid one; `503` with `Retry-After` if it was not taken; `504` if nobody knows.
//! - `GET /customers/{id}`: a customer's last purchases. `GET /states/{state}`, `GET /states`: what was sold there.
//! - `GET /`: the map.
//!
//! Promises: a sale that was answered with `201` is in Kafka, once; of one that was not taken, nothing is. Nothing queues without
//! end: there is room for so many connections, bytes of bodies, and sales in Kafka's client, and what finds none is told so at
//! once. A slow or absent Redis costs nobody but those who ask what was sold.
#![deny(missing_docs)]

mod answers;
mod config;
mod habits;
mod metrics;
mod shelves;
mod till;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use hyper::body::Incoming;
use hyper::{Method, Request};
use petstore::State;
use pipeline::Topic;
use service::http::{self, Response, StatusCode};
use service::server::{self, Limits, WhenFull};
use service::{Health, listen, shop};
use tokio::runtime::Handle;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::info;

pub use config::Config;
pub use metrics::Metrics;

use crate::answers::only;
use crate::shelves::{Question, Shelves};
use crate::till::Till;

/// Each idle connection takes some kilobytes. The grace is less than the 30 s that Kubernetes gives.
const LIMITS: Limits = Limits {
    connections: 4_096,
    when_full: WhenFull::Refuse,
    keep_alive: true,
    head: Duration::from_mins(1),
    connection: Duration::from_hours(24),
    grace: Duration::from_secs(18),
};
/// How long customers are sent away, each with an answer, before the door is shut: of a request that meets a closed door nobody
/// can say what became of it. Kubernetes, too, takes a moment to send them elsewhere.
const CLOSING: Duration = Duration::from_secs(2);
/// Rest between two turns of the loop that watches the till.
const TURN: Duration = Duration::from_secs(1);
/// A loop this late counts as stuck.
const TURN_LIMIT: Duration = Duration::from_secs(30);

const PAGE: &str = include_str!("page.html");
const SCRIPT: &str = include_str!("page.js");

struct Shop {
    till: Till,
    shelves: Shelves,
}

/// Waits for Kafka, opens the shop, and closes it at `shutdown`, when all who are being served have their answers.
///
/// An error means that the process should end: the client has failed or has lost Kafka for good, or Kafka was emptied.
pub async fn run(
    config: Config,
    kafka: kafka::Config,
    metrics: Arc<Metrics>,
    health: Health,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let beat = health.loop_("shop", TURN_LIMIT);
    let ready = health.ready("kafka");
    let opening = async {
        tokio::select! {
            opened = kafka.ensure_topics(&[Topic::Sales], &shutdown) => opened,
            never = turning(&beat) => match never {},
        }
    };
    match opening.await {
        Err(_) if shutdown.is_cancelled() => return Ok(()),
        opened => opened?,
    }
    let till = Till::new(&kafka, Arc::clone(&metrics))?;
    let producer = till.producer();
    let shop = Arc::new(Shop { till, shelves: Shelves::new(config.redis, config.n_plus_one, Arc::clone(&metrics)) });
    let listener = listen(config.http_addr)?;
    info!(addr = ?listener.local_addr().ok(), "the shop is open");
    ready.set(true);

    let closed = CancellationToken::new();
    let (runtime, end) = (Handle::current(), closed.clone());
    // Whatever ends this, the runtime waits for the blocking thread.
    let _closing = closed.clone().drop_guard();
    let guarding = tokio::task::spawn_blocking(move || {
        kafka::guard(&kafka, Some(&producer), || metrics.taken.get(), &runtime, &end)
    });
    let (answering, closing) = (Arc::clone(&shop), shutdown.clone());
    let serving = async {
        let answer = move |request| {
            let (shop, closing) = (Arc::clone(&answering), closing.clone());
            async move {
                let mut response = shop.answer(request).await;
                if closing.is_cancelled() {
                    response.headers_mut().insert("connection", http::HeaderValue::from_static("close"));
                }
                response
            }
        };
        let end = async {
            shutdown.cancelled().await;
            sleep(CLOSING).await;
        };
        server::serve(listener, LIMITS, answer, end).await;
        closed.cancel();
        anyhow::Ok(())
    };
    let watching = async {
        while !closed.is_cancelled() {
            beat.turned();
            shop.till.is_working()?;
            closed.run_until_cancelled(sleep(TURN)).await;
        }
        anyhow::Ok(())
    };
    tokio::try_join!(serving, watching, async { guarding.await.context("watching kafka").flatten() })?;
    Ok(())
}

/// Turns for ever.
async fn turning(beat: &service::Beat) -> Infallible {
    loop {
        beat.turned();
        sleep(TURN).await;
    }
}

impl Shop {
    async fn answer(&self, request: Request<Incoming>) -> Response {
        let path = request.uri().path().trim_end_matches('/').to_owned();
        if path == shop::SALES {
            return if request.method() == Method::POST { self.till.sell(request).await } else { only("POST") };
        }
        let is_get = request.method() == Method::GET;
        match path.as_str() {
            _ if !is_get => only("GET"),
            "" => http::page(PAGE),
            "/page.js" => http::response(StatusCode::OK, "text/javascript; charset=utf-8", SCRIPT),
            path => match question(path) {
                Ok(question) => self.shelves.look(question).await,
                Err(sentence) => http::error(StatusCode::NOT_FOUND, sentence),
            },
        }
    }
}

/// What the path asks for.
fn question(path: &str) -> Result<Question, String> {
    let under = |top: &str| path.strip_prefix(top)?.strip_prefix('/').map(str::to_owned);
    if path == shop::STATES {
        return Ok(Question::States);
    }
    if let Some(code) = under(shop::STATES) {
        let state: Result<State, _> = code.parse();
        return state.map(Question::State).map_err(|_| format!("{code:?} is not a state: write its code, such as ca"));
    }
    if let Some(id) = under(shop::CUSTOMERS) {
        let number = id.parse().map(Question::Customer);
        return number.map_err(|_| format!("{id:?} is not a customer: write their number, such as 17"));
    }
    Err(format!("{path} is not here: the shop has /sales, /states and /customers"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_read_from_its_path_and_what_is_wrong_with_it_is_named() {
        assert!(matches!(question("/states"), Ok(Question::States)));
        assert!(matches!(question("/states/ca"), Ok(Question::State(State::Ca))));
        assert!(matches!(question("/customers/18446744073709551615"), Ok(Question::Customer(u64::MAX))));
        for (path, sentence) in [
            ("/states/xx", "\"xx\" is not a state: write its code, such as ca"),
            ("/customers/-1", "\"-1\" is not a customer: write their number, such as 17"),
            ("/customers/", "\"\" is not a customer: write their number, such as 17"),
            ("/statesca", "/statesca is not here: the shop has /sales, /states and /customers"),
            ("/customers", "/customers is not here: the shop has /sales, /states and /customers"),
        ] {
            assert_eq!(question(path).unwrap_err(), sentence);
        }
    }

    #[test]
    fn the_page_needs_nothing_from_elsewhere() {
        for attribute in ["src=\"", "href=\""] {
            for link in PAGE.split(attribute).skip(1) {
                assert!(!link.starts_with("http") && !link.starts_with('/'), "{}", &link[..20]);
            }
        }
        assert!(PAGE.contains("src=\"page.js\""));
    }
}
