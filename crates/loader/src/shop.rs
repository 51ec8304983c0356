//! Customers of the shop: each sale is a request of its own, whatever becomes of those before it. Whoever was told that the shop
//! took their sale may look something up.
//!
//! A sale that the shop has certainly not taken is tried again: when it refuses, or nobody can be reached. One whose answer did
//! not come is not, and stays unknown: it may be in Kafka, and would be there twice.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use kafka::{Deliveries, NotSent};
use petstore::SaleRef;
use service::client::{Connection, Unanswered};
use service::http::{Answer, Bytes, HeaderValue, Method, Request, StatusCode, request};
use service::{HostPort, shop};
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::acks::Acks;
use crate::running::Load;
use crate::seldom::Seldom;

/// Sales that wait for a connection, each about a kilobyte.
const QUEUE: usize = 10_000;
/// Connections open at once, each with one sale on its way.
const CONNECTIONS: usize = 512;
/// How long an answer may take: longer than the shop lets Kafka take.
const ANSWER_LIMIT: Duration = Duration::from_secs(75);
/// A connection is replaced after this time, so that a pod of the shop that has begun since gets its share.
const AGE: Duration = Duration::from_secs(30);
/// A connection that nobody used for so long may be about to be closed by the shop.
const IDLE: Duration = Duration::from_secs(10);
/// Rest before a sale that was not taken is tried again.
const REST: Duration = Duration::from_millis(250);
/// The longest of such rests, whatever the shop asks for.
const LONGEST_REST: Duration = Duration::from_secs(5);
/// Every so many times, a customer looks at a state instead of their own purchases.
const STATE_EVERY: u64 = 10;

/// The way to the shop.
pub(crate) struct Shop {
    jobs: Sender<Job>,
    purged: CancellationToken,
}

/// A sale to be made.
struct Job {
    body: Bytes,
    due_us: i64,
    tag: usize,
}

struct Customers {
    address: HostPort,
    /// In percent of the sales that were taken.
    reads: u64,
    /// Sales that were taken.
    taken: AtomicU64,
    load: Arc<Load>,
    acks: Acks,
    /// Those that are not in use; the last used first, so that the others grow old.
    idle: Mutex<Vec<Connection>>,
    purged: CancellationToken,
    logged: Seldom,
}

impl Shop {
    /// Needs a runtime, in which the requests are made.
    pub(crate) fn new(address: HostPort, reads: u32, load: &Arc<Load>) -> Self {
        let (jobs, waiting) = channel(QUEUE);
        let purged = CancellationToken::new();
        let customers = Customers {
            address,
            reads: reads.into(),
            taken: AtomicU64::new(0),
            load: Arc::clone(load),
            acks: Acks::new(Arc::clone(load)),
            idle: Mutex::default(),
            purged: purged.clone(),
            logged: Seldom::default(),
        };
        tokio::spawn(Arc::new(customers).come(waiting));
        Self { jobs, purged }
    }

    pub(crate) fn send(&self, body: &[u8], due_us: i64, tag: usize) -> Result<(), NotSent> {
        // The receiver lives as long as the sender.
        self.jobs.try_send(Job { body: Bytes::copy_from_slice(body), due_us, tag }).map_err(|_| NotSent::QueueFull)
    }

    pub(crate) fn purge(&self) {
        self.purged.cancel();
    }
}

impl Customers {
    async fn come(self: Arc<Self>, mut waiting: Receiver<Job>) {
        let free = Arc::new(Semaphore::new(CONNECTIONS));
        while let Some(job) = waiting.recv().await {
            let Ok(permit) = Arc::clone(&free).acquire_owned().await else { return };
            let customers = Arc::clone(&self);
            tokio::spawn(async move {
                customers.buy(job).await;
                drop(permit);
            });
        }
    }

    async fn buy(&self, job: Job) {
        match self.purged.run_until_cancelled(self.until_taken(&job)).await {
            Some(Ok(())) => self.acks.acknowledged(job.tag),
            Some(Err(why)) => return self.acks.failed(job.tag, &format_args!("{why:#}")),
            None => return self.acks.failed(job.tag, &"there was no time left for the shop's answer"),
        }
        let before = self.taken.fetch_add(1, Ordering::Relaxed);
        for number in (before * self.reads / 100)..((before + 1) * self.reads / 100) {
            self.purged.run_until_cancelled(self.look_up(&job.body, number)).await;
        }
    }

    /// Until the shop took the sale. An error if it is unknown whether it did.
    async fn until_taken(&self, job: &Job) -> anyhow::Result<()> {
        loop {
            let mut request = request(Method::POST, shop::SALES, job.body.clone());
            request.headers_mut().insert(shop::DUE, HeaderValue::from(job.due_us));
            let (why, rest) = match self.ask(request).await {
                Ok(answer) if answer.status() == StatusCode::CREATED => return Ok(()),
                Ok(answer) if answer.status() == StatusCode::SERVICE_UNAVAILABLE => {
                    self.load.metrics.shop_busy.inc();
                    let asked = answer.headers().get("retry-after").and_then(|after| after.to_str().ok()?.parse().ok());
                    (said(&answer), asked.map_or(REST, Duration::from_secs))
                }
                Ok(answer) if answer.status().is_client_error() => {
                    self.load.metrics.refused.inc();
                    (said(&answer), LONGEST_REST)
                }
                Ok(answer) => anyhow::bail!(said(&answer)),
                Err(Unanswered::NotSent(err)) => (format!("{err:#}"), REST),
                Err(Unanswered::Unknown(err)) => return Err(err),
            };
            self.log(&why);
            // Not all of them at once.
            sleep(rest.min(LONGEST_REST).mul_f64(rand::random_range(0.5..1.0))).await;
        }
    }

    /// A customer looks at their own purchases, or at what is sold in the state.
    async fn look_up(&self, body: &[u8], number: u64) {
        let Ok(sale) = SaleRef::parse(body) else { return };
        let path = match number % STATE_EVERY {
            0 => shop::of_state(sale.store.state),
            _ => shop::of_customer(sale.customer.id),
        };
        let begun = Instant::now();
        let answer = self.ask(request(Method::GET, &path, Bytes::new())).await;
        let metrics = &self.load.metrics;
        metrics.reads.inc();
        let failure = match answer {
            Ok(answer) if answer.status() == StatusCode::OK => {
                return metrics.read_latency.record_duration(begun.elapsed());
            }
            Ok(answer) => said(&answer),
            Err(unanswered) => format!("{:#}", anyhow::Error::from(unanswered)),
        };
        metrics.read_errors.inc();
        self.log(&format!("{path}: {failure}"));
    }

    async fn ask(&self, request: Request) -> Result<Answer, Unanswered> {
        let mut connection = match self.idle_one() {
            Some(connection) => connection,
            None => Connection::open(self.address.as_str()).await.map_err(Unanswered::NotSent)?,
        };
        let late = |_| Unanswered::Unknown(anyhow::anyhow!("no answer in {} s", ANSWER_LIMIT.as_secs()));
        let answer = timeout(ANSWER_LIMIT, connection.ask(request)).await.map_err(late)??;
        self.idle().push(connection);
        Ok(answer)
    }

    /// The connection that was used last and is good for another request.
    fn idle_one(&self) -> Option<Connection> {
        let mut idle = self.idle();
        while let Some(connection) = idle.pop() {
            if connection.is_fresh(AGE, IDLE) {
                return Some(connection);
            }
        }
        None
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn log(&self, why: &str) {
        if self.logged.is_due() {
            warn!("the shop at {}: {why}", self.address);
        }
    }
}

/// What the shop said, for the log.
fn said(answer: &Answer) -> String {
    let body = answer.body();
    format!("{}: {}", answer.status(), String::from_utf8_lossy(&body[..body.len().min(200)]).trim())
}
