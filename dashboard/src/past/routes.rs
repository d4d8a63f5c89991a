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
        Err(refusal) => refusal,
    }
}

/// What is asked for: the sidecar's own past, or something that was recorded.
enum Part<'a> {
    Live(&'a SharedObserver),
    Tape(Arc<Tape>),
}

impl Archive {
    fn part(&self, capture: Option<u32>) -> Result<Part<'_>, Response> {
        match (self, capture) {
            (Archive::Tape(tape, _), None) => Ok(Part::Tape(Arc::clone(tape))),
            (Archive::Live(observer), None) => Ok(Part::Live(observer)),
            (Archive::Live(observer), Some(id)) => with(observer, |observer| observer.past.tape(id))
                .map(Part::Tape)
                .ok_or_else(|| no_capture(id)),
            (Archive::Tape(..), Some(id)) => Err(no_capture(id)),
        }
    }
}

async fn span(State(shared): State<Shared>, Query(span): Query<Span>) -> Response {
    if span.from > span.to {
        return (StatusCode::BAD_REQUEST, "The span ends before it begins: `from` must not be above `to`.\n")
            .into_response();
    }
    let work = match shared.archive.part(span.capture) {
        Err(refusal) => return refusal,
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
    let Archive::Live(observer) = &shared.archive else { return no_capture(id) };
    let found = with(observer, |observer| {
        let capture = observer.past.captures().find(|c| c.id == id)?;
        Some((capture.file_name(), capture.tape.file()?.to_vec()))
    });
    found.map_or_else(|| no_capture(id), |(name, bytes)| download(&name, bytes))
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

fn no_capture(id: u32) -> Response {
    let text = format!("There is no capture {id}: /api/past/reach lists those that are kept.\n");
    (StatusCode::NOT_FOUND, text).into_response()
}

fn nothing_yet() -> Response {
    (StatusCode::NOT_FOUND, "Nothing is past yet: ask again in a second.\n").into_response()
}
