//! The listener: at most so many connections at a time, and none that stays open without a word.
//!
//! A connection is a file descriptor, and so is the look at a directory or at a process. Invariant: whoever connects, and
//! however often, the sidecar keeps the descriptors that it reads segments with.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep};

/// Connections at one time; more wait until one ends.
const CONNECTIONS: usize = 64;
/// How long a connection may stay silent in both directions. A stream of frames never is, and who scrapes less often than
/// that connects again.
const SILENCE: Duration = Duration::from_mins(1);

/// A listener with room for a fixed number of connections.
pub(crate) struct Bounded {
    listener: TcpListener,
    places: Arc<Semaphore>,
    silence: Duration,
}

impl Bounded {
    pub(crate) fn new(listener: TcpListener) -> Bounded {
        Bounded { listener, places: Arc::new(Semaphore::new(CONNECTIONS)), silence: SILENCE }
    }
}

impl Listener for Bounded {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        // Nobody closes the semaphore; without a place the connection would be one too many, not an error.
        let place = Arc::clone(&self.places).acquire_owned().await.ok();
        let (stream, peer) = Listener::accept(&mut self.listener).await;
        let silence = self.silence;
        (Connection { stream, silence, ends: Box::pin(sleep(silence)), _place: place }, peer)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// One connection.
pub(crate) struct Connection {
    stream: TcpStream,
    silence: Duration,
    /// When it has been silent for too long.
    ends: Pin<Box<Sleep>>,
    _place: Option<OwnedSemaphorePermit>,
}

impl Connection {
    fn heard(&mut self) {
        self.ends.as_mut().reset(Instant::now() + self.silence);
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Poll::Ready(result) = Pin::new(&mut self.stream).poll_read(cx, buf) {
            self.heard();
            return Poll::Ready(result);
        }
        // The server reads on while it writes, so this is where it hears of it.
        ready!(self.ends.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, buf));
        self.heard();
        Poll::Ready(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, bufs));
        self.heard();
        Poll::Ready(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream as Client;

    use axum::Router;
    use axum::routing::get;

    use super::*;

    async fn listener(places: usize, silence: Duration) -> (Bounded, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        (Bounded { listener, places: Arc::new(Semaphore::new(places)), silence }, address)
    }

    #[tokio::test]
    async fn one_too_many_waits_until_another_ends() {
        let (mut bounded, address) = listener(2, SILENCE).await;
        let _clients: Vec<Client> = (0..3).map(|_| Client::connect(address).expect("it listens")).collect();
        let first = bounded.accept().await;
        let _second = bounded.accept().await;
        let third = tokio::time::timeout(Duration::from_millis(50), bounded.accept()).await;
        assert!(third.is_err(), "there is no place");
        drop(first);
        bounded.accept().await;
    }

    #[tokio::test]
    async fn silent_connections_do_not_keep_others_out() {
        let (bounded, address) = listener(2, Duration::from_millis(50)).await;
        let server = tokio::spawn(async move {
            axum::serve(bounded, Router::new().route("/", get(async || "well\n"))).await
        });
        let _silent: Vec<Client> = (0..5).map(|_| Client::connect(address).expect("it listens")).collect();
        let answer = tokio::task::spawn_blocking(move || {
            use std::io::{Read as _, Write as _};
            let mut client = Client::connect(address).expect("it listens");
            client.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
            client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("sent");
            let mut answer = String::new();
            client.read_to_string(&mut answer).map(|_| answer)
        });
        assert!(answer.await.expect("no panic").expect("an answer").ends_with("well\n"));
        server.abort();
    }
}
