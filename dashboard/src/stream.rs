//! The stream of frames, as server-sent events.
//!
//! One sampler reads the segments for everybody: a frame is made once and written as JSON once, however many pages
//! are open, and not written at all while none is. Invariant: the sampler owns the only sender, so when it ends,
//! every stream ends, and the server can.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use tokio::sync::{Notify, watch};

use crate::frame::Frame;
use crate::observer::Observer;

/// Time between frames while a page is open.
const WATCHED: Duration = Duration::from_millis(200);
/// Time between samples while none is: enough for the history.
const UNWATCHED: Duration = Duration::from_millis(500);
/// Streams at one time: pages that are open. Each is a connection that stays.
const STREAMS: usize = 64;
/// Said at the start of a stream: how long a page waits before it asks again, in milliseconds.
const HELLO: &str = "retry: 1000\n\n";

/// What every task of the sidecar shares.
pub(crate) type SharedObserver = Arc<Mutex<Observer>>;

/// Runs `f` on the observer; see `SharedSource::lock` for why poison is ignored.
pub(crate) fn with<T>(observer: &SharedObserver, f: impl FnOnce(&mut Observer) -> T) -> T {
    f(&mut observer.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Where streams are handed out.
#[derive(Clone)]
pub(crate) struct Frames {
    sender: Weak<watch::Sender<Bytes>>,
    arrival: Arc<Notify>,
}

/// Makes the frames; runs until it is told to end.
pub(crate) struct Sampler {
    observer: SharedObserver,
    sender: Arc<watch::Sender<Bytes>>,
    arrival: Arc<Notify>,
}

/// The two ends of the stream.
pub(crate) fn channel(observer: SharedObserver) -> (Sampler, Frames) {
    let sender = Arc::new(watch::Sender::new(Bytes::new()));
    let arrival = Arc::new(Notify::new());
    let frames = Frames { sender: Arc::downgrade(&sender), arrival: Arc::clone(&arrival) };
    (Sampler { observer, sender, arrival }, frames)
}

impl Sampler {
    /// Samples until `end` resolves.
    pub(crate) async fn run(self, end: impl Future<Output = ()>) {
        let mut end = std::pin::pin!(end);
        loop {
            let frame = with(&self.observer, Observer::observe);
            let watched = self.sender.receiver_count() > 0;
            if watched {
                self.sender.send_replace(event(&frame));
            }
            tokio::select! {
                () = &mut end => return,
                // A page that has just been opened gets its first frame now.
                () = self.arrival.notified() => {}
                () = tokio::time::sleep(if watched { WATCHED } else { UNWATCHED }) => {}
            }
        }
    }
}

impl Frames {
    /// A stream that lasts until the page or the sidecar goes.
    pub(crate) fn open(&self) -> Response {
        let Some(receiver) = self.sender.upgrade().map(|sender| sender.subscribe()) else {
            return (StatusCode::SERVICE_UNAVAILABLE, "The sidecar is shutting down.\n").into_response();
        };
        if receiver_count(&self.sender) > STREAMS {
            return (StatusCode::SERVICE_UNAVAILABLE, "Too many pages are open already.\n").into_response();
        }
        self.arrival.notify_one();
        let first = stream::once(async { Ok::<_, Infallible>(Bytes::from_static(HELLO.as_bytes())) });
        // A page that is slower than the sampler misses frames instead of falling behind.
        let rest = stream::unfold(receiver, |mut receiver| async {
            receiver.changed().await.ok()?;
            let event = receiver.borrow_and_update().clone();
            Some((Ok(event), receiver))
        });
        let body = Body::from_stream(stream::StreamExt::chain(first, rest));
        ([(header::CONTENT_TYPE, "text/event-stream")], body).into_response()
    }
}

fn receiver_count(sender: &Weak<watch::Sender<Bytes>>) -> usize {
    sender.upgrade().map_or(0, |sender| sender.receiver_count())
}

/// A frame as an event. JSON has no raw line ends, so it is one `data` line.
fn event(frame: &Frame) -> Bytes {
    let mut text = String::from("event: frame\ndata: ");
    match serde_json::to_string(frame) {
        Ok(json) => text.push_str(&json),
        Err(error) => {
            tracing::error!(%error, "a frame could not be written as JSON; this is a defect, please report it");
            let _ = write!(text, "null");
        }
    }
    text.push_str("\n\n");
    Bytes::from(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::Results;
    use crate::source::SharedSource;
    use crate::synthetic::{self, Fixed, SECOND};
    use crate::verdicts::Verdicts;
    use futures_util::StreamExt;

    fn observer() -> SharedObserver {
        let snapshots = vec![synthetic::snapshot(synthetic::process(1, "mutex"), SECOND)];
        let source = SharedSource::new(Fixed::new(snapshots));
        Arc::new(Mutex::new(Observer::new(source, Results::default(), Verdicts::default())))
    }

    #[tokio::test(start_paused = true)]
    async fn a_page_gets_a_frame_at_once_then_five_a_second_until_the_end() {
        let (sampler, frames) = channel(observer());
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let task = tokio::spawn(sampler.run(async {
            let _ = stopped.await;
        }));
        tokio::time::sleep(Duration::from_secs(3)).await;

        let start = tokio::time::Instant::now();
        let mut chunks = frames.open().into_body().into_data_stream();
        assert_eq!(chunks.next().await.expect("a chunk").expect("no error"), HELLO);
        let mut text = chunks.next().await.expect("a frame").expect("no error");
        assert!(start.elapsed() < Duration::from_millis(10));
        for _ in 0..5 {
            text = chunks.next().await.expect("a frame").expect("no error");
        }
        assert!(start.elapsed() <= Duration::from_millis(1010), "{:?}", start.elapsed());
        let json = text.strip_prefix(b"event: frame\ndata: ".as_slice()).expect("the event's name");
        let frame: serde_json::Value = serde_json::from_slice(json).expect("one JSON value");
        assert_eq!(frame["processes"][0]["strategy"], "mutex");

        stop.send(()).expect("the sampler listens");
        assert!(chunks.next().await.is_none(), "the stream ends");
        task.await.expect("the sampler ends");
        assert_eq!(frames.open().status(), StatusCode::SERVICE_UNAVAILABLE);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_written_while_nobody_watches() {
        let (sampler, frames) = channel(observer());
        let sender = Arc::clone(&sampler.sender);
        let task = tokio::spawn(sampler.run(std::future::pending()));
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(sender.borrow().is_empty());
        drop(frames.open());
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(sender.receiver_count(), 0, "a page that went is not sent to");
        task.abort();
    }
}
