//! A frame of any span: what the page and the terminal show of the last second, of two moments that may lie an hour apart.
//!
//! Invariant: a frame of the past says what a frame said then: rates and grids are of the span, and of the dead of their
//! lives; verdicts are those that were on at its end.

use std::sync::Arc;

use stormglass_telemetry::{Liveness, Snapshot};

use super::Marks;
use crate::frame::{Body, Frame, Now, ProcessFrame, ProcessId, Spans};
use crate::recording::Moment;

/// What happened from one moment (`None` where there is none before) to another.
pub(crate) fn span_frame(from: Option<&Moment>, to: &Moment, marks: &Marks) -> Frame {
    let now = Now { unix_ms: to.unix_ms, monotonic: to.monotonic };
    let processes = to.snapshots.iter().map(|snapshot| {
        let id = ProcessId::of(&snapshot.process);
        let before = from.and_then(|from| from.snapshots.iter().find(|s| ProcessId::of(&s.process) == id));
        let body = Arc::new(Body::new(snapshot, &spans(before, snapshot)));
        ProcessFrame::new(body, snapshot, now, marks.at(id, to.unix_ms))
    });
    Frame {
        time: to.unix_ms,
        processes: processes.collect(),
        sidecar_verdicts: Vec::new(),
        left_out: to.left_out as usize,
        // A recording has no scrapes.
        series_left_out: 0,
        results: None,
    }
}

/// One that was not there before began in the span, so the span is its life.
pub(crate) fn spans(before: Option<&Snapshot>, snapshot: &Snapshot) -> Spans {
    let mut lifetime = snapshot.lifetime();
    if snapshot.liveness == Liveness::Dead {
        // As in a frame of now: what was seen alive lived at least that long.
        if let Some(seen) = before.filter(|s| s.liveness == Liveness::Live) {
            let until = seen.taken.max(snapshot.heartbeat).saturating_sub(snapshot.born);
            lifetime.elapsed = lifetime.elapsed.max(Some(std::time::Duration::from_nanos(until.max(1))));
        }
        return Spans { recent: None, lifetime };
    }
    let recent = before.map_or_else(|| Some(lifetime.clone()), |before| snapshot.since(before));
    Spans { recent, lifetime }
}
