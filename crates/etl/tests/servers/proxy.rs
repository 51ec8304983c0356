//! A TCP proxy before a store: it can be slow, hold everything back, or keep connections open and pass nothing on.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::Instant;

/// Listens until the test ends.
pub(crate) struct Proxy {
    /// Where, on loopback.
    pub(crate) port: u16,
    line: Arc<Line>,
}

struct Line {
    delay_ms: AtomicU64,
    /// Whether anything passes.
    open: watch::Sender<bool>,
    /// Connections older than this number pass nothing, ever again.
    silent_below: watch::Sender<u64>,
    connections: AtomicU64,
}

/// Chunks under way in one direction.
const HELD: usize = 64;

impl Proxy {
    /// Before the server at `port` on loopback.
    pub(crate) async fn new(port: u16) -> Self {
        let line = Arc::new(Line {
            delay_ms: AtomicU64::new(0),
            open: watch::Sender::new(true),
            silent_below: watch::Sender::new(0),
            connections: AtomicU64::new(0),
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let SocketAddr::V4(address) = listener.local_addr().unwrap() else { unreachable!("bound to an IPv4 address") };
        tokio::spawn(listen(listener, port, Arc::clone(&line)));
        Self { port: address.port(), line }
    }

    /// Each way takes so long from now on.
    pub(crate) fn slow(&self, delay: Duration) {
        self.line.delay_ms.store(u64::try_from(delay.as_millis()).unwrap(), Ordering::Relaxed);
    }

    /// Holds everything back, new connections too, or lets it go.
    pub(crate) fn hold(&self, hold: bool) {
        self.line.open.send_replace(!hold);
    }

    /// The connections that there are stay open, and nothing passes on them any more; neither end is told.
    pub(crate) fn half_open(&self) {
        self.line.silent_below.send_replace(self.line.connections.load(Ordering::SeqCst));
    }
}

async fn listen(listener: TcpListener, port: u16, line: Arc<Line>) {
    while let Ok((client, _)) = listener.accept().await {
        let number = line.connections.fetch_add(1, Ordering::SeqCst);
        // A server that is away closes the connection.
        let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await else { continue };
        let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
        tokio::spawn(pass(from_client, to_server, number, Arc::clone(&line)));
        tokio::spawn(pass(from_server, to_client, number, Arc::clone(&line)));
    }
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, number: u64, line: Arc<Line>) {
    let (chunks, mut held) = tokio::sync::mpsc::channel::<(Instant, Vec<u8>)>(HELD);
    let deliver = {
        let line = Arc::clone(&line);
        async move {
            let (mut open, mut silent) = (line.open.subscribe(), line.silent_below.subscribe());
            while let Some((due, chunk)) = held.recv().await {
                tokio::time::sleep_until(due).await;
                if open.wait_for(|open| *open).await.is_err() || *silent.borrow_and_update() > number {
                    std::future::pending::<()>().await;
                }
                if to.write_all(&chunk).await.is_err() {
                    return;
                }
            }
        }
    };
    let read = async move {
        let mut chunk = vec![0; 64 << 10];
        while let Ok(bytes @ 1..) = from.read(&mut chunk).await {
            let delay = Duration::from_millis(line.delay_ms.load(Ordering::Relaxed));
            if chunks.send((Instant::now() + delay, chunk[..bytes].to_vec())).await.is_err() {
                return;
            }
        }
    };
    tokio::join!(deliver, read);
}
