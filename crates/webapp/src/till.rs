//! Where sales are made: each is put in Kafka, and answered once Kafka has it.

use std::collections::HashMap;
use std::fmt::Display;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use anyhow::bail;
use http_body_util::{BodyExt, Limited};
use hyper::Request;
use hyper::body::{Body, Incoming};
use kafka::{Batching, Deliveries, Linger, NotSent, Producer, SaleHeader};
use petstore::{MAX_SALE_BYTES, SaleId, SaleRef, check_due};
use service::http::{self, Response, StatusCode};
use service::{shop, unix_us};
use tokio::sync::{Semaphore, SemaphorePermit, oneshot};
use tokio::time::timeout;

use crate::Metrics;
use crate::answers::{busy, created};

/// Sales that wait in Kafka's client: more than there is room for, since those whose customers have left are among them.
const QUEUE: u32 = 8_000;
/// A customer waits for the answer, and most of the time nobody else comes in that time.
const LINGER: Linger = Linger::from_ms::<5>();
/// Memory for the bodies of sales on their way, in KiB. A generated sale takes one.
const ROOM_KIB: usize = 2 << 10;
/// How long the body of a request may take.
const BODY_LIMIT: Duration = Duration::from_secs(10);
/// How long Kafka may take, before its answer is not waited for any more.
const KAFKA_LIMIT: Duration = Duration::from_mins(1);

/// See the module.
pub(crate) struct Till {
    producer: Arc<Producer<Answers>>,
    waiting: Arc<Waiting>,
    topic: String,
    room: Semaphore,
    /// Why no more sale can be made, ever.
    broken: OnceLock<String>,
    next: AtomicUsize,
    metrics: Arc<Metrics>,
}

/// The customers that wait for Kafka's answer, by the tags of their sales.
#[derive(Default)]
struct Waiting(Mutex<HashMap<usize, oneshot::Sender<Result<(), String>>>>);

/// Kafka's answers, to be passed on to those who wait.
pub(crate) struct Answers(Arc<Waiting>);

impl Deliveries for Answers {
    fn acknowledged(&self, tag: usize) {
        self.0.answer(tag, Ok(()));
    }

    fn failed(&self, tag: usize, reason: &dyn Display) {
        self.0.answer(tag, Err(reason.to_string()));
    }
}

impl Waiting {
    fn answer(&self, tag: usize, answer: Result<(), String>) {
        if let Some(customer) = self.lock().remove(&tag) {
            // A customer who has left hears nothing.
            let _ = customer.send(answer);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<usize, oneshot::Sender<Result<(), String>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Till {
    pub(crate) fn new(kafka: &kafka::Config, metrics: Arc<Metrics>) -> anyhow::Result<Self> {
        let waiting = Arc::<Waiting>::default();
        let batching = Batching { linger: LINGER, ..Batching::default() };
        let producer = Producer::new(kafka, batching, QUEUE, Answers(Arc::clone(&waiting)))?;
        Ok(Self {
            producer: Arc::new(producer),
            waiting,
            topic: kafka.names().sales(),
            room: Semaphore::new(ROOM_KIB),
            broken: OnceLock::new(),
            next: AtomicUsize::new(0),
            metrics,
        })
    }

    /// The client of Kafka.
    pub(crate) fn producer(&self) -> Arc<Producer<Answers>> {
        Arc::clone(&self.producer)
    }

    /// An error once the client of Kafka has failed for good.
    pub(crate) fn is_working(&self) -> anyhow::Result<()> {
        match self.broken.get() {
            Some(reason) => bail!("the producer has failed for good: {reason}"),
            None => Ok(()),
        }
    }

    /// Answers the request of a customer who buys something.
    pub(crate) async fn sell(&self, request: Request<Incoming>) -> Response {
        let came_us = unix_us();
        let Ok(_room) = self.room_for(&request) else {
            self.metrics.busy.inc();
            return busy("too many sales are on their way");
        };
        let response = match read(request).await {
            Ok((body, due_us)) => self.take(&body, due_us.unwrap_or(came_us)).await,
            Err((status, wrong)) => http::error(status, wrong),
        };
        let status = response.status();
        if status == StatusCode::CREATED {
            self.metrics.taken.inc();
            self.metrics.take.record(came_us, unix_us());
        } else if status == StatusCode::SERVICE_UNAVAILABLE {
            self.metrics.busy.inc();
        } else if status.is_client_error() {
            self.metrics.invalid.inc();
        } else {
            self.metrics.unknown.inc();
        }
        response
    }

    /// Room for the body, as long as it is; of one that doesn't say so, as long as it may be.
    fn room_for(&self, request: &Request<Incoming>) -> Result<SemaphorePermit<'_>, tokio::sync::TryAcquireError> {
        let bytes = request.body().size_hint().exact().unwrap_or(u64::MAX).min(MAX_SALE_BYTES as u64);
        self.room.try_acquire_many(u32::try_from(bytes.div_ceil(1 << 10)).unwrap_or(u32::MAX))
    }

    async fn take(&self, body: &[u8], due_us: i64) -> Response {
        let sale = match SaleRef::parse(body).and_then(|sale| check_due(due_us).map(|()| sale)) {
            Ok(sale) => sale,
            Err(wrong) => return http::error(StatusCode::BAD_REQUEST, wrong.to_string()),
        };
        let header = SaleHeader { id: sale.id, due_us, state: sale.store.state };
        let (customer, answer) = oneshot::channel();
        let tag = self.next.fetch_add(1, Ordering::Relaxed);
        // Before it is sent: the answer may be there before the next line.
        self.waiting.lock().insert(tag, customer);
        if let Err(why) = self.producer.send(&self.topic, &sale.store.id.to_string(), body, &header, tag) {
            self.waiting.lock().remove(&tag);
            return self.not_sent(why);
        }
        let answered = timeout(KAFKA_LIMIT, answer).await;
        self.waiting.lock().remove(&tag);
        outcome(sale.id, answered.ok().and_then(Result::ok))
    }

    /// The sale was certainly not sent.
    fn not_sent(&self, why: NotSent) -> Response {
        match why {
            NotSent::QueueFull => busy("kafka takes fewer sales than there are"),
            NotSent::Refused(err) => busy(&format!("kafka's client refuses the sale: {err}")),
            NotSent::Fatal(reason) => {
                let sentence = format!("the producer has failed for good: {reason}");
                let _ = self.broken.set(reason);
                busy(&sentence)
            }
        }
    }
}

fn outcome(id: SaleId, answered: Option<Result<(), String>>) -> Response {
    let why = match answered {
        Some(Ok(())) => return created(id),
        Some(Err(why)) => why,
        None => format!("it has not answered in {} s", KAFKA_LIMIT.as_secs()),
    };
    http::error(StatusCode::GATEWAY_TIMEOUT, format!("nobody knows whether kafka has sale {id}: {why}"))
}

/// The body and the due time, if one is given.
async fn read(request: Request<Incoming>) -> Result<(http::Bytes, Option<i64>), (StatusCode, String)> {
    let (head, body) = request.into_parts();
    let due_us = head.headers.get(shop::DUE).map(|due| {
        let number = due.to_str().ok().and_then(|due| due.parse().ok());
        number.ok_or_else(|| {
            let sentence = format!("header {} must be microseconds since 1970, not {due:?}", shop::DUE);
            (StatusCode::BAD_REQUEST, sentence)
        })
    });
    let due_us = due_us.transpose()?;
    match timeout(BODY_LIMIT, Limited::new(body, MAX_SALE_BYTES).collect()).await {
        Ok(Ok(body)) => Ok((body.to_bytes(), due_us)),
        Ok(Err(err)) if err.is::<http_body_util::LengthLimitError>() => {
            let sentence = format!("the body of a sale has at most {MAX_SALE_BYTES} bytes");
            Err((StatusCode::PAYLOAD_TOO_LARGE, sentence))
        }
        Ok(Err(err)) => Err((StatusCode::BAD_REQUEST, format!("the body broke off: {err}"))),
        Err(_) => {
            let sentence = format!("the body did not come within {} s", BODY_LIMIT.as_secs());
            Err((StatusCode::REQUEST_TIMEOUT, sentence))
        }
    }
}
