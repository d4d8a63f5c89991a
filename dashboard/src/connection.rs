//! One connection: bytes in and out, none for ever, and a pulse that says when it last moved any.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

/// When a connection last moved a byte.
#[derive(Debug)]
pub(crate) struct Pulse {
    opened: Instant,
    /// Milliseconds after that.
    last: AtomicU64,
}

impl Pulse {
    pub(crate) fn new() -> Arc<Pulse> {
        Arc::new(Pulse { opened: Instant::now(), last: AtomicU64::new(0) })
    }

    fn beat(&self, now: Instant) {
        // Relaxed: a hint for who is to go.
        self.last.store(now.duration_since(self.opened).as_millis() as u64, Ordering::Relaxed);
    }

    /// The moment.
    pub(crate) fn last(&self) -> Instant {
        // Relaxed: as in `beat`.
        self.opened + Duration::from_millis(self.last.load(Ordering::Relaxed))
    }
}

/// A connection that ends when it has been silent in both directions for too long.
pub(crate) struct Connection {
    stream: TcpStream,
    pulse: Arc<Pulse>,
    silence: Duration,
    ends: Pin<Box<Sleep>>,
}

impl Connection {
    pub(crate) fn new(stream: TcpStream, pulse: Arc<Pulse>, silence: Duration) -> Connection {
        Connection { stream, pulse, silence, ends: Box::pin(sleep(silence)) }
    }

    fn heard(&mut self) {
        let now = Instant::now();
        self.pulse.beat(now);
        self.ends.as_mut().reset(now + self.silence);
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
