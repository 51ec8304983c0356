//! A connection of HTTP/1.1 that is kept open, for a program that asks another many things.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{HOST, HeaderValue};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, lookup_host};

/// How long connecting may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// The largest answer: a report is some tens of kilobytes, the state of a large installation a few megabytes.
const BODY_LIMIT: usize = 8 << 20;

/// A connection, for one request at a time.
#[derive(Debug)]
pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
    host: HeaderValue,
    opened: Instant,
    used: Instant,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum Unanswered {
    /// The request was certainly not sent.
    NotSent(anyhow::Error),
    /// It was sent, perhaps not to its end, and nobody can say what became of it.
    Unknown(anyhow::Error),
}

impl From<Unanswered> for anyhow::Error {
    fn from(unanswered: Unanswered) -> Self {
        match unanswered {
            Unanswered::NotSent(err) | Unanswered::Unknown(err) => err,
        }
    }
}

impl Connection {
    /// Connects to `authority`, a host with its port. Of several addresses of the host, each is used in turn: a headless Service
    /// has one for every pod.
    pub async fn open(authority: &str) -> anyhow::Result<Self> {
        // Each program begins with another address.
        static NEXT: LazyLock<AtomicUsize> =
            LazyLock::new(|| AtomicUsize::new(usize::try_from(crate::incarnation() % 1_000).unwrap_or_default()));
        let connecting = async {
            let mut addresses: Vec<_> = lookup_host(authority).await?.collect();
            let turn = NEXT.fetch_add(1, Ordering::Relaxed).checked_rem(addresses.len()).unwrap_or_default();
            addresses.rotate_left(turn);
            let stream = TcpStream::connect(&addresses[..]).await?;
            stream.set_nodelay(true)?;
            anyhow::Ok(handshake(TokioIo::new(stream)).await?)
        };
        let connected = tokio::time::timeout(CONNECT_LIMIT, connecting).await.context("no answer in 5 s").flatten();
        let (sender, connection) = connected.with_context(|| format!("connecting to {authority}"))?;
        // Ends with the sender.
        tokio::spawn(connection);
        let (host, now) = (HeaderValue::from_str(authority)?, Instant::now());
        Ok(Self { sender, host, opened: now, used: now })
    }

    /// Whether it is open, younger than `age`, and was used within `idle`: the other end closes what is idle for long.
    pub fn is_fresh(&self, age: Duration, idle: Duration) -> bool {
        !self.sender.is_closed() && self.opened.elapsed() < age && self.used.elapsed() < idle
    }

    /// Sends a request, whose address is a path, and waits for the whole answer. The caller limits the time; a connection whose
    /// answer was not waited for must not be used again.
    pub async fn ask(&mut self, request: Request<Bytes>) -> Result<Response<Bytes>, Unanswered> {
        let mut request = request.map(Full::new);
        request.headers_mut().insert(HOST, self.host.clone());
        self.sender.ready().await.map_err(|err| Unanswered::NotSent(err.into()))?;
        let answer = self.sender.try_send_request(request).await.map_err(|mut err| {
            let was_sent = err.take_message().is_none();
            let err = anyhow::Error::from(err.into_error());
            if was_sent { Unanswered::Unknown(err) } else { Unanswered::NotSent(err) }
        })?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, BODY_LIMIT).collect().await;
        let body = body.map_err(|err| Unanswered::Unknown(anyhow!("reading the answer: {err}")))?.to_bytes();
        self.used = Instant::now();
        Ok(Response::from_parts(head, body))
    }
}
