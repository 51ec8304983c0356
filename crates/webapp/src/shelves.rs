//! What was sold, as far as Redis knows it. Without Redis, or while it is slow or away, only these questions are not answered.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use petstore::State;
use serde::Serialize;
use service::http::{self, Response, StatusCode};
use stores::redis::{Config, Reader, Total};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::answers::busy;
use crate::{Metrics, habits};

/// Questions to Redis at once, each on a connection of its own.
const CONNECTIONS: usize = 8;
/// How long a question may wait for a connection, and how long it may take then.
const LIMIT: Duration = Duration::from_secs(1);

/// See the module.
pub(crate) struct Shelves {
    redis: Option<Config>,
    n_plus_one: bool,
    free: Semaphore,
    /// Those that are not in use.
    readers: Mutex<Vec<Reader>>,
    metrics: Arc<Metrics>,
}

/// What somebody wants to know.
#[derive(Clone, Debug)]
pub(crate) enum Question {
    /// The last purchases of a customer.
    Customer(u64),
    /// What was sold in a state.
    State(State),
    /// What was sold in every state.
    States,
}

/// What was sold in a state.
#[derive(Serialize)]
struct Sold {
    state: State,
    name: &'static str,
    sales: u64,
    cents: u64,
}

impl Sold {
    fn of(state: State, Total { sales, cents }: Total) -> Self {
        Self { state, name: state.name(), sales, cents }
    }
}

impl Shelves {
    pub(crate) fn new(redis: Option<Config>, n_plus_one: bool, metrics: Arc<Metrics>) -> Self {
        Self { redis, n_plus_one, free: Semaphore::new(CONNECTIONS), readers: Mutex::default(), metrics }
    }

    /// Answers a question.
    pub(crate) async fn look(&self, question: Question) -> Response {
        let begun = Instant::now();
        self.metrics.reads.inc();
        match self.asked(question).await {
            Ok(response) => {
                self.metrics.read.record_duration(begun.elapsed());
                response
            }
            Err(why) => {
                self.metrics.read_errors.inc();
                busy(&why)
            }
        }
    }

    async fn asked(&self, question: Question) -> Result<Response, String> {
        let redis = self.redis.as_ref().ok_or("this shop has no Redis to look it up in: set redis.enabled=true")?;
        let permit = timeout(LIMIT, self.free.acquire()).await;
        let Ok(Ok(_permit)) = permit else { return Err("too many questions at once".to_owned()) };
        let kept = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut reader = kept.unwrap_or_else(|| Reader::new(redis.clone()));
        // One that was not waited for is dropped: its answer may still come.
        let answer = timeout(LIMIT, self.answer(&mut reader, question)).await;
        let answer = answer.map_err(|_| format!("redis has not answered in {} s", LIMIT.as_secs()))?;
        self.readers.lock().unwrap_or_else(PoisonError::into_inner).push(reader);
        answer.map_err(|err| format!("redis can't be read: {err}"))
    }

    async fn answer(&self, reader: &mut Reader, question: Question) -> Result<Response, stores::Error> {
        Ok(match question {
            Question::Customer(id) => {
                // Each purchase is JSON already.
                let recent = self.recent(reader, id).await?.join(",");
                let body = format!(r#"{{"customer":{id},"recent":[{recent}]}}"#);
                http::response(StatusCode::OK, "application/json", body)
            }
            Question::State(state) => {
                let total = self.totals(reader, &[state]).await?.pop().unwrap_or_default();
                http::json(&Sold::of(state, total))
            }
            Question::States => {
                let totals = self.totals(reader, &State::ALL).await?;
                let sold = State::ALL.into_iter().zip(totals).map(|(state, total)| Sold::of(state, total));
                http::json(&sold.collect::<Vec<_>>())
            }
        })
    }

    async fn totals(&self, reader: &mut Reader, states: &[State]) -> Result<Vec<Total>, stores::Error> {
        if self.n_plus_one {
            return habits::totals(reader, states, || self.asked_redis()).await;
        }
        self.asked_redis();
        reader.totals(states).await
    }

    async fn recent(&self, reader: &mut Reader, customer: u64) -> Result<Vec<String>, stores::Error> {
        if self.n_plus_one {
            return habits::recent(reader, customer, || self.asked_redis()).await;
        }
        self.asked_redis();
        reader.recent(customer).await
    }

    fn asked_redis(&self) {
        self.metrics.lookups.inc();
    }
}
