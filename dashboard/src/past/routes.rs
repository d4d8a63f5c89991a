//! The addresses of the past: how far it reaches, any span as a frame, captures, and a part of it as a file.
//!
//! Invariants: what is asked for is worked out on a thread of its own, from a copy of a segment, so that neither a scrape nor a
//! frame waits for somebody who looks back. Where the sidecar shows a recording, the past is that recording.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::{Deserialize, Serialize};

use super::{Capture, Clip, Marks, span_frame};
use crate::frame::Frame;
use crate::history::Asked;
use crate::recording::RecordingError;
use crate::routes::{Shared, failure, json};
use crate::stream::{SharedObserver, with};
use crate::tape::Tape;

/// What the past is of: this sidecar's processes, or those of a recording.
#[derive(Clone)]
pub(crate) enum Archive {
    Live(SharedObserver),
    Tape(Arc<Tape>, Playing),
}

/// How a recording is to be played to who opens the page.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Playing {
    /// Name of the file.
    pub(crate) name: String,
    pub(crate) speed: f64,
}

/// How far the past reaches, and what there is to open.
#[derive(Serialize)]
struct Reach {
    /// Milliseconds since 1970; null while there is nothing.
    from: Option<u64>,
    to: Option<u64>,
    captures: Vec<Capture>,
    marks: Marks,
    /// The recording that is shown in place of processes.
    recording: Option<Recording>,
}

#[derive(Serialize)]
struct Recording {
    #[serde(flatten)]
    playing: Playing,
    note: String,
    version: String,
    whole: bool,
    damage: Option<String>,
}

/// A span, in milliseconds since 1970, of the past or of a capture.
#[derive(Debug, Deserialize)]
struct Span {
    from: u64,
    to: u64,
    capture: Option<u32>,
}

#[derive(Debug, Deserialize)]
struct Of {
    capture: Option<u32>,
}

pub(crate) fn router() -> Router<Shared> {
    Router::new()
        .route("/api/history", get(history))
        .route("/api/past", get(span))
        .route("/api/past/reach", get(reach))
        .route("/api/past/recording", get(recording))
        .route("/api/past/captures/{id}", get(capture))
}

async fn reach(State(shared): State<Shared>) -> Response {
    let reach = match &shared.archive {
        Archive::Live(observer) => with(observer, |observer| {
            let reach = observer.past.reach();
            let captures = observer.past.captures().cloned().collect();
            let marks = observer.past.marks().clone();
            Reach { from: reach.map(|r| r.0), to: reach.map(|r| r.1), captures, marks, recording: None }
        }),
        Archive::Tape(tape, playing) => Reach {
            from: Some(tape.reach().0),
            to: Some(tape.reach().1),
            captures: Vec::new(),
            marks: tape.marks().clone(),
            recording: Some(Recording {
                playing: playing.clone(),
                note: tape.about().note.clone(),
                version: tape.about().version.clone(),
                whole: tape.is_whole(),
                damage: tape.damage().map(str::to_owned),
            }),
        },
    };
    json(&reach)
}

async fn history(State(shared): State<Shared>, Query(asked): Query<Asked>, Query(of): Query<Of>) -> Response {
    match shared.archive.part(of.capture) {
        Ok(Part::Tape(tape)) => json(&tape.history.part(asked)),
        Ok(Part::Live(observer)) => with(observer, |observer| json(&observer.history.part(asked))),
        Err(refusal) => refusal.into_response(),
    }
}

/// What is asked for: the sidecar's own past, or something that was recorded.
enum Part<'a> {
    Live(&'a SharedObserver),
    Tape(Arc<Tape>),
}

impl Archive {
    fn part(&self, capture: Option<u32>) -> Result<Part<'_>, NoCapture> {
        match (self, capture) {
            (Archive::Tape(tape, _), None) => Ok(Part::Tape(Arc::clone(tape))),
            (Archive::Live(observer), None) => Ok(Part::Live(observer)),
            (Archive::Live(observer), Some(id)) => {
                with(observer, |observer| observer.past.tape(id)).map(Part::Tape).ok_or(NoCapture(id))
            }
            (Archive::Tape(..), Some(id)) => Err(NoCapture(id)),
        }
    }
}

async fn span(State(shared): State<Shared>, Query(span): Query<Span>) -> Response {
    if span.from > span.to {
        return (StatusCode::BAD_REQUEST, "The span ends before it begins: `from` must not be above `to`.\n")
            .into_response();
    }
    let work = match shared.archive.part(span.capture) {
        Err(refusal) => return refusal.into_response(),
        Ok(Part::Tape(tape)) => Work::Tape(tape),
        Ok(Part::Live(observer)) => {
            let (clips, marks) = with(observer, |observer| {
                let past = &observer.past;
                ((past.clip(span.from), past.clip(span.to)), past.marks().clone())
            });
            let (from, Some(to)) = clips else { return nothing_yet() };
            Work::Clips(from, to, marks)
        }
    };
    match tokio::task::spawn_blocking(move || work.frame(span.from, span.to)).await {
        Ok(Ok(frame)) => json(&frame),
        Ok(Err(error)) => failure("the recording cannot be read", &error),
        Err(error) => failure("the past cannot be read", &error),
    }
}

/// Where the two moments of a span are to be read.
enum Work {
    Tape(Arc<Tape>),
    Clips(Option<Clip>, Clip, Marks),
}

impl Work {
    fn frame(self, from: u64, to: u64) -> Result<Frame, RecordingError> {
        match self {
            Work::Tape(tape) => tape.frame(from, to),
            Work::Clips(from, to, marks) => {
                let to = to.moment().ok_or(RecordingError::Damaged { at: 0 })?;
                let from = from.and_then(|clip| clip.moment()).filter(|from| from.unix_ms < to.unix_ms);
                Ok(span_frame(from.as_ref(), &to, &marks))
            }
        }
    }
}

async fn capture(State(shared): State<Shared>, Path(id): Path<u32>) -> Response {
    let Archive::Live(observer) = &shared.archive else { return NoCapture(id).into_response() };
    let found = with(observer, |observer| {
        let capture = observer.past.captures().find(|c| c.id == id)?;
        Some((capture.file_name(), capture.tape.file()?.to_vec()))
    });
    found.map_or_else(|| NoCapture(id).into_response(), |(name, bytes)| download(&name, bytes))
}

async fn recording(State(shared): State<Shared>, Query(span): Query<Span>) -> Response {
    let Archive::Live(observer) = &shared.archive else {
        return (StatusCode::NOT_FOUND, "This is a recording already: it is the file that is being shown.\n")
            .into_response();
    };
    let name = format!("stormglass-{}.sgrec", span.to / 1000);
    let bytes = with(observer, |observer| observer.past.recording(span.from, span.to, span.to / 1000));
    download(&name, bytes)
}

fn download(name: &str, bytes: Vec<u8>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
    ];
    (headers, bytes).into_response()
}

/// Nothing is kept under this number, or not any more.
struct NoCapture(u32);

impl IntoResponse for NoCapture {
    fn into_response(self) -> Response {
        let text = format!("There is no capture {}: /api/past/reach lists those that are kept.\n", self.0);
        (StatusCode::NOT_FOUND, text).into_response()
    }
}

fn nothing_yet() -> Response {
    (StatusCode::NOT_FOUND, "Nothing is past yet: ask again in a second.\n").into_response()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use serde_json::Value;
    use stormglass_telemetry::Snapshot;
    use tower::ServiceExt;

    use super::*;
    use crate::exposition::{Exposition, Grouping, Options};
    use crate::frame::Now;
    use crate::observer::Observer;
    use crate::past::Past;
    use crate::results::Results;
    use crate::security::{Hosts, Rules};
    use crate::source::SharedSource;
    use crate::stream;
    use crate::synthetic::{self, Fixed, SECOND};
    use crate::verdicts::Verdicts;

    const START: u64 = 1_700_000_000_000;

    fn moment(second: u64) -> (Now, Snapshot) {
        let mut snapshot = synthetic::snapshot(synthetic::process(5, "mutex"), second * SECOND);
        synthetic::add(&mut snapshot, stormglass_telemetry::Metric::RingHits, &[0], 0, 1000 * second);
        (Now { unix_ms: START + second * 1000, monotonic: snapshot.taken }, snapshot)
    }

    /// Twenty seconds of one process.
    fn past() -> Past {
        let mut past = Past::default();
        for second in 10..=30 {
            let (now, snapshot) = moment(second);
            past.record(now, 0, &[snapshot.into()]);
        }
        past
    }

    fn app(recorded: bool) -> axum::Router {
        let source = SharedSource::new(Fixed::new(vec![moment(30).1]));
        let verdicts = Verdicts::default();
        let options = Options { grouping: Grouping::Kind, max_series: 1000 };
        let exposition = Exposition::new(source.clone(), verdicts.clone(), options);
        let mut observer = Observer::new(source, Results::default(), verdicts);
        observer.past = past();
        let observer = Arc::new(Mutex::new(observer));
        let (_, frames) = stream::channel(Arc::clone(&observer));
        let archive = if recorded {
            let tape = Tape::of_bytes(past().recording(0, u64::MAX, 0)).expect("a recording");
            Archive::Tape(Arc::new(tape), Playing { name: "a.sgrec".to_owned(), speed: 2.0 })
        } else {
            Archive::Live(Arc::clone(&observer))
        };
        let hosts = Hosts::new("127.0.0.1:7070".parse().expect("an address"), &[]);
        let rules = Rules { hosts, token: None };
        crate::routes::router(Shared::new(observer, frames, exposition, archive), rules)
    }

    async fn ask(recorded: bool, path: &str) -> (StatusCode, Vec<u8>) {
        let request = Request::builder().uri(path).header(header::HOST, "localhost").body(Body::empty());
        let answer = app(recorded).oneshot(request.expect("a request")).await.expect("infallible");
        let status = answer.status();
        (status, to_bytes(answer.into_body(), usize::MAX).await.expect("a body").to_vec())
    }

    async fn json_of(recorded: bool, path: &str) -> Value {
        let (status, body) = ask(recorded, path).await;
        assert_eq!(status, StatusCode::OK, "{path}");
        serde_json::from_slice(&body).expect("JSON")
    }

    #[tokio::test]
    async fn a_span_is_a_frame_of_now_or_of_a_recording() {
        for recorded in [false, true] {
            let reach = json_of(recorded, "/api/past/reach").await;
            assert_eq!(
                (reach["from"].as_u64(), reach["to"].as_u64()),
                (Some(START + 10_000), Some(START + 30_000))
            );
            assert_eq!(reach["recording"]["name"].as_str(), recorded.then_some("a.sgrec"));
            let address = format!("/api/past?from={}&to={}", START + 15_000, START + 25_400);
            let frame = json_of(recorded, &address).await;
            assert_eq!(frame["time"], START + 25_000);
            assert_eq!(frame["processes"][0]["rates"]["allocations_per_second"], 1000.0);
        }
        let lines = json_of(true, "/api/history?last=5000").await;
        assert_eq!(lines["points"]["5-50-0"].as_array().map(Vec::len), Some(6));
    }

    #[tokio::test]
    async fn a_span_can_be_taken_away_as_a_file() {
        let (status, bytes) =
            ask(false, &format!("/api/past/recording?from={START}&to={}", START + 99_000)).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(Tape::of_bytes(bytes).expect("a recording").times().count(), 21);
        assert_eq!(ask(true, "/api/past/recording?from=0&to=1").await.0, StatusCode::NOT_FOUND);
    }

    #[tokio::test]
    async fn what_makes_no_sense_is_refused_in_a_sentence() {
        for (path, status) in [
            ("/api/past?from=2&to=1", StatusCode::BAD_REQUEST),
            ("/api/past?from=x&to=1", StatusCode::BAD_REQUEST),
            ("/api/past", StatusCode::BAD_REQUEST),
            ("/api/past?from=1&to=2&capture=7", StatusCode::NOT_FOUND),
            ("/api/history?capture=7", StatusCode::NOT_FOUND),
            ("/api/past/captures/7", StatusCode::NOT_FOUND),
        ] {
            let (answer, body) = ask(false, path).await;
            assert_eq!(answer, status, "{path}");
            assert!(!body.is_empty(), "{path}");
        }
    }
}
