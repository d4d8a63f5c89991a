//! Accepts connections and serves them, whatever their clients do.
//!
//! Invariants: a newcomer is always accepted: when there are too many connections, the one that has been silent for longest goes;
//! a request's head is short and comes in time, or the connection ends; whoever connects, and however often, the sidecar
//! keeps the descriptors that it reads segments with. So nobody who is slow, or many, keeps a scrape waiting.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use crate::connection::{Connection, Pulse};

/// What connections may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Connections at one time.
    pub(crate) connections: usize,
    /// Time for a TLS handshake, and for each request's head; also how long a connection may wait for its next request.
    pub(crate) head: Duration,
    /// How long a connection may stay silent in both directions. A stream of frames never is.
    pub(crate) silence: Duration,
}

impl Limits {
    /// Those of a sidecar. Its descriptors are at least 1024.
    pub(crate) const DEFAULT: Limits =
        Limits { connections: 256, head: Duration::from_secs(5), silence: Duration::from_secs(20) };
}

/// Header lines of a request at most.
const HEADERS: usize = 64;
/// Bytes of a request's head at most.
const HEAD_BYTES: usize = 16 << 10;
/// How long to wait when a connection cannot be accepted for want of descriptors or memory.
const REST: Duration = Duration::from_millis(100);
/// How long open connections may take to end after the shutdown.
const GRACE: Duration = Duration::from_secs(1);

/// Serves until `end` resolves, and then lets the open requests end.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    tls: Option<TlsAcceptor>,
    limits: Limits,
    end: impl Future<Output = ()>,
) {
    let mut end = pin!(end);
    let (close, closed) = watch::channel(());
    let mut tasks = JoinSet::new();
    let mut open: Vec<(Arc<Pulse>, tokio::task::AbortHandle)> = Vec::new();
    loop {
        let accepted = tokio::select! {
            () = &mut end => break,
            accepted = listener.accept() => accepted,
            // Takes out those that have ended.
            Some(_) = tasks.join_next() => continue,
        };
        match accepted {
            Ok((stream, _)) => {
                make_room(&mut open, limits.connections);
                let pulse = Pulse::new();
                let connection = Connection::new(stream, Arc::clone(&pulse), limits.silence);
                let (router, tls, closed) = (router.clone(), tls.clone(), closed.clone());
                open.push((pulse, tasks.spawn(handle(connection, router, tls, limits, closed))));
            }
            Err(error) if is_of_the_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "a connection cannot be accepted");
                sleep(REST).await;
            }
        }
    }
    // New connections are refused from here on.
    drop(listener);
    drop(close);
    drop(closed);
    let ended = timeout(GRACE, async { while tasks.join_next().await.is_some() {} });
    if ended.await.is_err() {
        tracing::debug!("left connections that did not end in time");
    }
}

/// Ends the connection that has been silent for longest, if there are as many as there may be.
fn make_room(open: &mut Vec<(Arc<Pulse>, tokio::task::AbortHandle)>, most: usize) {
    if open.len() < most {
        return;
    }
    open.retain(|(_, task)| !task.is_finished());
    while open.len() >= most {
        let Some(silent) = (0..open.len()).min_by_key(|&at| open[at].0.last()) else { return };
        open.swap_remove(silent).1.abort();
    }
}

/// Whether only this connection is concerned: its client has gone before it was accepted.
fn is_of_the_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    )
}

async fn handle(
    connection: Connection,
    router: Router,
    tls: Option<TlsAcceptor>,
    limits: Limits,
    closed: watch::Receiver<()>,
) {
    match tls {
        None => talk(connection, router, limits, closed).await,
        Some(tls) => match timeout(limits.head, tls.accept(connection)).await {
            Ok(Ok(stream)) => talk(stream, router, limits, closed).await,
            Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
            Err(_) => tracing::debug!("a TLS handshake took too long"),
        },
    }
}

/// Answers the requests of one connection.
async fn talk(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    router: Router,
    limits: Limits,
    mut closed: watch::Receiver<()>,
) {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_headers(HEADERS)
        .max_buf_size(HEAD_BYTES);
    let connection = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        // Nothing is ever sent: the change is that the sender goes.
        _ = closed.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "a connection ended early");
    }
}
