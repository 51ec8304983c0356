//! A small HTTP/1.1 server in which everything is bounded: the admin port of every program, and the shop.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};
use tracing::warn;

use crate::http::Response;

/// The largest head of a request, and what is buffered of it: hyper's own 400 KiB, many times, is more than some pods have.
const HEAD_BYTES: usize = 16 << 10;
/// How long to wait after accepting failed, as it does when file descriptors run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a server allows.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections open at once.
    pub connections: usize,
    /// What becomes of one more.
    pub when_full: WhenFull,
    /// Whether a connection carries more than one request.
    pub keep_alive: bool,
    /// How long the head of a request may take, and how long a connection may be idle before it.
    pub head: Duration,
    /// How long a connection may last in all.
    pub connection: Duration,
    /// How long open requests may take to finish at the end.
    pub grace: Duration,
}

/// What becomes of a connection when there are as many as may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// The oldest is closed in its place: clients that say nothing must not keep others out.
    CloseOldest,
    /// It is closed at once: whoever is being served must not pay for who comes later.
    Refuse,
}

/// Answers requests until `stop` ends, and then waits for those that are being answered.
pub async fn serve<F, A>(listener: TcpListener, limits: Limits, answer: F, stop: impl Future<Output = ()>)
where
    F: Fn(hyper::Request<Incoming>) -> A + Send + Sync + 'static,
    A: Future<Output = Response> + Send + 'static,
{
    let (answer, connections) = (Arc::new(answer), GracefulShutdown::new());
    let mut open = VecDeque::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let stream = tokio::select! {
            biased;
            () = &mut stop => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(err) => {
                    warn!(%err, "accepting a connection");
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
        };
        if make_room(&mut open, limits) {
            open.push_back(connect(stream, limits, Arc::clone(&answer), &connections));
        }
    }
    drop(listener);
    // Connections that are still open then are closed.
    let _ = timeout(limits.grace, connections.shutdown()).await;
    for connection in open {
        connection.abort();
    }
}

/// Whether there is room for one more, once those that are closed are forgotten.
fn make_room(open: &mut VecDeque<AbortHandle>, limits: Limits) -> bool {
    if open.len() < limits.connections {
        return true;
    }
    open.retain(|connection| !connection.is_finished());
    if open.len() < limits.connections {
        return true;
    }
    if limits.when_full == WhenFull::Refuse {
        return false;
    }
    if let Some(oldest) = open.pop_front() {
        oldest.abort();
    }
    true
}

fn connect<F, A>(stream: TcpStream, limits: Limits, answer: Arc<F>, open: &GracefulShutdown) -> AbortHandle
where
    F: Fn(hyper::Request<Incoming>) -> A + Send + Sync + 'static,
    A: Future<Output = Response> + Send + 'static,
{
    // An answer is written at once, and waits for no acknowledgement of an earlier one.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let answering = answer(request);
        async move { Ok::<_, Infallible>(answering.await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(HEAD_BYTES)
        .keep_alive(limits.keep_alive)
        .serve_connection(TokioIo::new(stream), service);
    let connection = open.watch(connection);
    // Bounded by the limit, and joined by `open`.
    tokio::spawn(async move {
        let _ = timeout(limits.connection, connection).await;
    })
    .abort_handle()
}
